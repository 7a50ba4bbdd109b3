//! Parts that the tests in a browser share: the page that runs jobs, and the servers that it speaks with.

pub mod documents;
pub mod mail;
pub mod peers;
pub mod picture;
pub mod relay;
pub mod stage;
pub mod thing;

use std::env;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use jackfield_browser_suite::job::{Job, Outcome};
use jackfield_testing::chromium::{Chromium, Page};
use jackfield_testing::site::{Site, SiteBuilder};
use jackfield_testing::workspace::{cargo, target_folder};

/// How long a job may take.
const JOB: Duration = Duration::from_mins(3);

/// The page of `tests/browser-suite` in a browser of its own.
#[derive(Debug)]
pub struct Suite {
    /// The page.
    pub page: Page,
    /// The browser.
    pub browser: Chromium,
    /// Where its files come from.
    pub site: Site,
}

/// Where in the page a job runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In its window.
    Window,
    /// In a dedicated worker.
    Worker,
}

impl Suite {
    /// The page as an Isolated Web App, which has Direct Sockets.
    ///
    /// # Errors
    /// Where it can't be built or opened.
    pub async fn app() -> Result<Self> {
        Self::app_of(Self::start(None).await?).await
    }

    /// The same with the files of this folder beside it.
    ///
    /// # Errors
    /// As [`app`](Self::app).
    pub async fn app_beside(folder: &Path) -> Result<Self> {
        Self::app_of(Self::start(Some(folder)).await?).await
    }

    async fn app_of((site, browser): (Site, Chromium)) -> Result<Self> {
        let app = browser.install(&site).await?;
        let page = browser.launch_app(&app).await?;
        Self::ready(site, browser, page).await
    }

    /// The page as an ordinary one.
    ///
    /// # Errors
    /// As [`app`](Self::app).
    pub async fn ordinary() -> Result<Self> {
        let (site, browser) = Self::start(None).await?;
        let page = browser.open(&site.url()).await?;
        Self::ready(site, browser, page).await
    }

    async fn start(beside: Option<&Path>) -> Result<(Site, Chromium)> {
        // Built on a thread of its own, since it takes long the first time.
        let mut site = tokio::task::spawn_blocking(site).await??;
        if let Some(folder) = beside {
            site = site.dir(folder);
        }
        Ok((site.start().await?, Chromium::launch().await?))
    }

    async fn ready(site: Site, browser: Chromium, page: Page) -> Result<Self> {
        page.wait_for("!!globalThis.suite").await?;
        Ok(Self {
            page: page.with_deadline(JOB),
            browser,
            site,
        })
    }

    /// Runs a job.
    ///
    /// # Errors
    /// Where the page doesn't answer; a job that fails is an [`Outcome`].
    pub async fn run(&self, place: Place, job: &Job) -> Result<Outcome> {
        let place = match place {
            Place::Window => "window",
            Place::Worker => "worker",
        };
        let job = serde_json::to_string(job)?;
        let outcome: String = self
            .page
            .invoke(&format!("suite.{place}"), &[job.into()])
            .await?;
        serde_json::from_str(&outcome).with_context(|| outcome)
    }

    /// Ends the browser.
    ///
    /// # Errors
    /// Where it doesn't end in order.
    pub async fn close(self) -> Result<()> {
        self.browser.close().await
    }
}

/// The folder of a page as `cargo xtask web` names it, built once in a process.
///
/// # Errors
/// Where it can't be built.
pub fn page(name: &str) -> Result<PathBuf> {
    static BUILT: OnceLock<Result<(), String>> = OnceLock::new();
    let xtask = ["run", "--quiet", "--package=xtask", "--", "web", "--quick"];
    let built = BUILT.get_or_init(|| run_cargo(&xtask).map_err(|error| format!("{error:#}")));
    built.clone().map_err(anyhow::Error::msg)?;
    Ok(workspace().join("dist").join(name))
}

/// Where tests leave what a person may want to look at.
pub fn output() -> PathBuf {
    env::var_os("JACKFIELD_TEST_OUTPUT")
        .map_or_else(|| target_folder().join("test-output"), PathBuf::from)
}

/// Whether the long tests run.
pub fn soak() -> bool {
    env::var_os("JACKFIELD_SOAK").is_some_and(|value| !value.is_empty() && value != "0")
}

/// The page's files; its module is built once in a process.
fn site() -> Result<SiteBuilder> {
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let built = BUILT.get_or_init(|| build().map_err(|error| format!("{error:#}")));
    let module = built.clone().map_err(anyhow::Error::msg)?;
    let root = workspace();
    Ok(Site::builder()
        .dir(root.join("tests/browser-suite/page"))
        .dir(module))
}

fn build() -> Result<PathBuf> {
    const TARGET: &str = "wasm32-unknown-unknown";
    // Benchmarks, which are optimised themselves, measure what would be shipped.
    let [profile, folder] = if cfg!(debug_assertions) {
        ["dev", "debug"]
    } else {
        ["web", "web"]
    };
    let target = target_folder();
    let out = target.join("browser-suite");
    run_cargo(&[
        "build",
        "--quiet",
        "--package=jackfield-browser-suite",
        "--target",
        TARGET,
        "--profile",
        profile,
    ])?;
    let module = target.join(format!("{TARGET}/{folder}/jackfield_browser_suite.wasm"));
    run_cargo(&[
        "run",
        "--quiet",
        "--package=xtask-wasm",
        "--",
        "bindgen",
        path(&module)?,
        path(&out)?,
    ])?;
    Ok(out)
}

fn run_cargo(arguments: &[&str]) -> Result<()> {
    let output = cargo(arguments).output()?;
    ensure!(
        output.status.success(),
        "cargo {} failed:\n{}",
        arguments.join(" "),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

/// The folder of the repository.
pub fn workspace() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here)
}

fn path(path: &Path) -> Result<&str> {
    path.to_str().context("a path that is not UTF-8")
}

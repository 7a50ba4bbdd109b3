//! Chromium, driven over its DevTools pipe: ordinary pages, and Isolated Web Apps in developer mode.
//!
//! The commands that install an app exist only on `--remote-debugging-pipe`, which the usual
//! drivers don't speak; and a client of our own needs no Node. Everything the browser writes goes to
//! a temporary folder, and it ends with its whole process group.
//!
//! ```no_run
//! use jackfield_testing::{chromium::Chromium, site::Site};
//!
//! # async fn run() -> anyhow::Result<()> {
//! let site = Site::builder().dir("dist/demo").start().await?;
//! let browser = Chromium::launch().await?;
//! let page = browser.open(&site.url()).await?;
//! page.click("#join").await?;
//! page.type_text("hello").await?;
//! page.press("Enter").await?;
//! page.wait_for("document.querySelectorAll('.message').length > 0").await?;
//! browser.close().await
//! # }
//! ```

mod cdp;
mod page;

use std::env;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, ensure};
use command_fds::{CommandFdExt as _, FdMapping};

use rustix::process::{Pid, Signal};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::unix::pipe;
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

use cdp::Connection;
pub use page::{Page, Viewport};

use crate::site::Site;

/// How long the browser may take to answer anything but a page's own script.
const BROWSER_DEADLINE: Duration = Duration::from_secs(30);
/// How long it may take to end when asked to, before it is killed.
const CLOSE_DEADLINE: Duration = Duration::from_secs(5);

/// The features that an Isolated Web App in developer mode needs.
const FEATURES: &str = "IsolatedWebApps,IsolatedWebAppDevMode,\
                        DirectSocketsInSharedWorkers,DirectSocketsInServiceWorkers";

/// Where a browser may be, unless `CHROMIUM` names it.
const PROGRAMS: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

/// A running browser. Dropping it kills it; [`close`](Self::close) ends it in order.
#[derive(Debug)]
pub struct Chromium {
    connection: Connection,
    child: Child,
    /// The browser's process group, until it has been ended.
    group: Option<Pid>,
    /// Kept until the browser has ended.
    home: TempDir,
}

/// An installed Isolated Web App.
#[derive(Clone, Debug)]
pub struct App {
    /// `isolated-app://…/`, with the slash.
    manifest: String,
}

impl App {
    /// Its origin, `isolated-app://…`, without a slash.
    pub fn origin(&self) -> &str {
        self.manifest.trim_end_matches('/')
    }
}

/// The browser's program, if one is installed: `$CHROMIUM`, or the first of its usual names on the
/// path.
pub fn program() -> Option<PathBuf> {
    if let Some(given) = env::var_os("CHROMIUM") {
        return Some(given.into());
    }
    let path = env::var_os("PATH")?;
    PROGRAMS
        .iter()
        .flat_map(|name| env::split_paths(&path).map(move |folder| folder.join(name)))
        .find(|candidate| candidate.is_file())
}

impl Chromium {
    /// Starts a browser without a display, with nothing open but an empty page.
    ///
    /// # Errors
    /// Where no browser is installed, or it doesn't start.
    pub async fn launch() -> Result<Self> {
        Self::launch_with(&[]).await
    }

    /// The same, with more switches.
    ///
    /// # Errors
    /// As [`launch`](Self::launch).
    pub async fn launch_with(switches: &[&str]) -> Result<Self> {
        let program = program().context(
            "no Chromium found: install it (Debian: apt install chromium), or name it in CHROMIUM",
        )?;
        let home = TempDir::with_prefix("jackfield-chromium-")?;
        let (commands, our_commands) = std::io::pipe()?;
        let (our_answers, answers) = std::io::pipe()?;

        let mut command = Command::new(&program);
        command
            .args([
                "--headless=new",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-quic",
                "--no-first-run",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
                "--disable-breakpad",
                // A test that isn't in front must not be slowed down.
                "--disable-background-timer-throttling",
                "--disable-backgrounding-occluded-windows",
                "--disable-renderer-backgrounding",
                "--remote-debugging-pipe",
            ])
            .arg(format!("--enable-features={FEATURES}"))
            .arg(format!(
                "--user-data-dir={}",
                home.path().join("profile").display()
            ))
            .args(switches)
            .arg("about:blank")
            // Installing an app writes its icons below the home folder.
            .env("HOME", home.path())
            .env("XDG_DATA_HOME", home.path().join("share"))
            .env("XDG_CONFIG_HOME", home.path().join("config"))
            .env("XDG_CACHE_HOME", home.path().join("cache"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(home.path().join("stderr.txt"))?)
            .process_group(0)
            .kill_on_drop(true);
        command.fd_mappings(vec![
            FdMapping {
                parent_fd: commands.into(),
                child_fd: 3,
            },
            FdMapping {
                parent_fd: answers.into(),
                child_fd: 4,
            },
        ])?;
        let child = command
            .spawn()
            .with_context(|| format!("starting {}", program.display()))?;
        // The browser's ends of the pipes live in the command: while it lives, a browser that ended
        // would not be noticed.
        drop(command);

        let connection = Connection::new(
            pipe::Sender::from_owned_fd(our_commands.into())?,
            pipe::Receiver::from_owned_fd(our_answers.into())?,
        );
        let browser = Self {
            connection,
            group: child.id().and_then(|id| Pid::from_raw(id.cast_signed())),
            child,
            home,
        };
        if let Err(error) = browser.call("Browser.getVersion", json!({})).await {
            let said = std::fs::read_to_string(browser.home.path().join("stderr.txt"))?;
            return Err(error.context(format!("{} did not start: {said}", program.display())));
        }
        Ok(browser)
    }

    /// The browser's process, to measure it.
    pub fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// Opens an ordinary page and waits until it has loaded.
    ///
    /// # Errors
    /// Where the page doesn't load.
    pub async fn open(&self, url: &str) -> Result<Page> {
        let created = self
            .call("Target.createTarget", json!({"url": "about:blank"}))
            .await?;
        let page = self.attach(text(&created, "targetId")?).await?;
        page.go_to(url).await?;
        Ok(page)
    }

    /// Installs a site as an Isolated Web App in developer mode, under an identity made for it, and
    /// lets it reach this machine and the local network, which a browser without a display denies.
    ///
    /// The site's root must hold the app, with `/.well-known/manifest.webmanifest`.
    ///
    /// # Errors
    /// Where the browser refuses the app.
    pub async fn install(&self, site: &Site) -> Result<App> {
        let app = App {
            manifest: format!("isolated-app://{}/", identity()),
        };
        self.call(
            "PWA.install",
            json!({"manifestId": app.manifest, "installUrlOrBundleUrl": site.url()}),
        )
        .await
        .context("installing the app")?;
        self.call(
            "Browser.grantPermissions",
            json!({"origin": app.origin(), "permissions": ["loopbackNetwork", "localNetwork"]}),
        )
        .await?;
        Ok(app)
    }

    /// Opens a window of an installed app and waits until it has loaded.
    ///
    /// # Errors
    /// Where its page doesn't load.
    pub async fn launch_app(&self, app: &App) -> Result<Page> {
        let launched = self
            .call("PWA.launch", json!({"manifestId": app.manifest}))
            .await?;
        let launched = text(&launched, "targetId")?;
        // The identity that a launch answers with may be that of the tab which the app's window
        // is made of, so the app's own page is looked for.
        let find = async {
            loop {
                let targets = self.call("Target.getTargets", json!({})).await?;
                let found = targets["targetInfos"].as_array().and_then(|all| {
                    all.iter().find(|target| {
                        let address = target["url"].as_str().unwrap_or_default();
                        address.starts_with(app.origin())
                            && (target["type"] != "tab" || target["targetId"] == launched)
                    })
                });
                if let Some(found) = found {
                    return text(found, "targetId").map(str::to_owned);
                }
                sleep(Duration::from_millis(20)).await;
            }
        };
        let target = timeout(BROWSER_DEADLINE, find)
            .await
            .map_err(|_| anyhow!("the app's window did not appear"))??;
        let page = self.attach(&target).await?;
        page.wait_for("document.readyState === 'complete'").await?;
        Ok(page)
    }

    /// Ends the browser and removes all it has written.
    ///
    /// # Errors
    /// Where it did not end in order.
    pub async fn close(mut self) -> Result<()> {
        // The answer may be lost with the pipe.
        let _ = timeout(CLOSE_DEADLINE, self.call("Browser.close", json!({}))).await;
        let ended: Result<ExitStatus> = match timeout(CLOSE_DEADLINE, self.child.wait()).await {
            Ok(status) => Ok(status?),
            Err(_) => Err(anyhow!("the browser did not end when it was asked to")),
        };
        self.kill_group();
        ensure!(ended?.success(), "the browser ended with an error");
        Ok(())
    }

    async fn attach(&self, target: &str) -> Result<Page> {
        let attached = self
            .call(
                "Target.attachToTarget",
                json!({"targetId": target, "flatten": true}),
            )
            .await?;
        Page::attach(
            self.connection.clone(),
            text(&attached, "sessionId")?.to_owned(),
        )
        .await
    }

    async fn call(&self, method: &str, parameters: Value) -> Result<Value> {
        self.connection
            .call(None, method, &parameters, BROWSER_DEADLINE)
            .await
    }

    /// Ends the helpers that may have outlived the browser. The group's number stays taken as long
    /// as one of them lives.
    fn kill_group(&mut self) {
        if let Some(group) = self.group.take() {
            // An error says that there was none.
            let _ = rustix::process::kill_process_group(group, Signal::KILL);
        }
    }
}

impl Drop for Chromium {
    fn drop(&mut self) {
        self.kill_group();
    }
}

fn text<'a>(value: &'a Value, key: &str) -> Result<&'a str> {
    value[key]
        .as_str()
        .with_context(|| format!("the browser's answer has no {key}: {value}"))
}

/// A new app's identity: 32 bytes that stand for a key, and 00 00 02, which says "developer proxy",
/// in lower-case base32 without padding.
fn identity() -> String {
    const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let mut bytes = [0; 35];
    fastrand::fill(&mut bytes[..32]);
    bytes[34] = 2;
    bytes
        .chunks(5)
        .flat_map(|five| {
            let bits = five
                .iter()
                .fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte));
            (0..8)
                .rev()
                .map(move |n| char::from(ALPHABET[(bits >> (5 * n) & 31) as usize]))
        })
        .collect()
}

//! What measuring in a page takes: a browser, a page with the package's scripts beside the peers', and a relay.

use anyhow::{Context as _, Result};
use jackfield_testing::chromium::{Chromium, Page};
use jackfield_testing::site::{Site, SiteBuilder};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::Peers;
use crate::child::Running;
use crate::machine;
use crate::relay::servers::{self, TOKEN};

/// A page with nothing in it, from a site with the entries of the npm package.
pub(super) struct Stage {
    pub(super) browser: Chromium,
    pub(super) page: Page,
    pub(super) site: Site,
    pub(super) relay: Running,
    /// What `open()` takes, for the relay.
    pub(super) options: Value,
}

impl Stage {
    /// The same with what else the site has.
    pub(super) async fn start(peers: &Peers, site: SiteBuilder) -> Result<Self> {
        let site = site
            .dir(&peers.web)
            .file("/empty.html", "<!doctype html><title>Benchmark</title>")
            .start()
            .await?;
        let (relay, port) = servers::relayd(peers, Some(&site.origin())).await?;
        let browser = Chromium::launch().await?;
        let page = browser.open(&format!("{}empty.html", site.url())).await?;
        Ok(Self {
            browser,
            page,
            site,
            relay,
            options: json!({ "relay": format!("ws://127.0.0.1:{port}/"), "token": TOKEN }),
        })
    }

    /// The page anew, with nothing loaded.
    pub(super) async fn renew(&mut self) -> Result<()> {
        let url = format!("{}empty.html", self.site.url());
        let page = self.browser.open(&url).await?;
        std::mem::replace(&mut self.page, page).close().await
    }
}

/// A runtime for a group: the browser is spoken with and the site served on one thread, in peace.
pub(super) fn runtime() -> Result<Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?)
}

/// For how many seconds the page's main thread has been busy.
pub(super) async fn busy(page: &Page) -> Result<f64> {
    page.call("Performance.enable", json!({})).await?;
    let metrics = page.call("Performance.getMetrics", json!({})).await?;
    let found = metrics["metrics"]
        .as_array()
        .and_then(|all| all.iter().find(|metric| metric["name"] == "TaskDuration"));
    let value = found.and_then(|metric| metric["value"].as_f64());
    value.context("the browser doesn't tell how busy the page is")
}

/// What the page holds when what nobody needs has been collected, in bytes: JavaScript's heap, and the buffers
/// outside it.
pub(super) async fn held(page: &Page) -> Result<f64> {
    page.call("HeapProfiler.collectGarbage", json!({})).await?;
    let heap = page.call("Runtime.getHeapUsage", json!({})).await?;
    let sizes = ["usedSize", "embedderHeapUsedSize", "backingStorageSize"];
    Ok(sizes.iter().filter_map(|size| heap[size].as_f64()).sum())
}

/// Resident memory of a browser, in bytes.
pub(super) fn resident(browser: &Chromium) -> Result<f64> {
    Ok(machine::resident(&[pid(browser)?])? as f64)
}

pub(super) fn pid(browser: &Chromium) -> Result<u32> {
    browser.pid().context("the browser has ended")
}

/// Lets this process, and those that it starts from now on, open as many files as the system allows.
pub(super) fn many_files() -> Result<()> {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut files = getrlimit(Resource::Nofile);
    files.current = files.maximum;
    Ok(setrlimit(Resource::Nofile, files)?)
}

/// The site of an Isolated Web App with nothing in it, beside the entries of the npm package.
pub(super) fn app(peers: &Peers) -> SiteBuilder {
    Site::builder()
        .dir(jackfield_browser_tests::workspace().join("tests/browser-suite/page"))
        .dir(&peers.web)
        .file("/index.html", "<!doctype html><title>Benchmark</title>")
}

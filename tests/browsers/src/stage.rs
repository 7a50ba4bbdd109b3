//! A page with nothing in it beside the module, and a relay: where what a page of one's own would do is
//! tried.

use std::net::SocketAddr;

use jackfield_testing::chromium::{Chromium, Page};
use jackfield_testing::process::free_addresses;
use jackfield_testing::site::Site;
use serde_json::{Value, json};

use crate::page;
use crate::relay::{self, SECRET};

/// Puts into a page what tries a table of methods, each with how it is called and whether it waits for what never
/// comes; what it gives is what was not as it has to be. Methods that wait for nothing are named apart.
pub const GAVE_UP: &str = "!!(globalThis.gaveUp = async (thing, table, apart) => {
    const wrong = [];
    const expect = (what, got, ...wanted) => {
        if (!wanted.includes(got)) wrong.push(`${what}: ${got}`);
    };
    const all = Object.getOwnPropertyDescriptors(Object.getPrototypeOf(thing));
    const methods = Object.keys(all).filter((name) => name !== 'constructor' && all[name].value);
    expect('methods', String(methods.filter((name) => !table[name] && !apart.includes(name))), '');
    for (const [name, [ask, waits]] of Object.entries(table)) {
        const fails = async (how) => {
            try {
                await ask(how);
                return 'done';
            } catch (error) {
                return error instanceof JackfieldError ? error.kind : String(error);
            }
        };
        expect(`${name}, aborted before`, await fails({ signal: AbortSignal.abort('before') }), 'before');
        expect(`${name}, a wrong time`, await fails({ timeout: 'soon' }), 'invalid-input');
        expect(`${name}, a wrong option`, await fails({ timeuot: 1 }), 'invalid-input');
        if (waits) {
            expect(`${name}, late`, await fails({ timeout: 50 }), 'timed-out');
            const aborted = new AbortController();
            const soon = fails({ signal: aborted.signal });
            aborted.abort('enough');
            expect(`${name}, aborted`, await soon, 'enough');
        }
    }
    return wrong;
})";

/// The page's path.
const EMPTY: &str = "empty.html";

/// A page with nothing in it, beside the module; `open` and `JackfieldError` are there by their names; and a relay that takes it to one port.
#[derive(Debug)]
pub struct Stage {
    /// The browser.
    pub browser: Chromium,
    /// The page.
    pub page: Page,
    site: Site,
    /// What `open()` takes.
    pub options: Value,
}

impl Stage {
    /// Opens the page, and starts a relay that takes it to this server alone.
    ///
    /// # Panics
    /// Where that fails.
    pub async fn start(server: SocketAddr) -> Self {
        Self::reaching(&[server]).await
    }

    /// The same with a relay that takes the page to these servers alone.
    ///
    /// # Panics
    /// As [`start`](Self::start).
    pub async fn reaching(servers: &[SocketAddr]) -> Self {
        let ports: Vec<String> = servers.iter().map(|it| it.port().to_string()).collect();
        Self::with_ports(&ports).await
    }

    /// The same, with a relay that takes the page to these ports of this machine: `7` over TCP, `7/udp`.
    ///
    /// # Panics
    /// As [`start`](Self::start).
    pub async fn with_ports(ports: &[String]) -> Self {
        Self::with(ports, &[]).await
    }

    /// The same with these files beside the page, each by its path and what it holds.
    ///
    /// # Panics
    /// As [`start`](Self::start).
    pub async fn with(ports: &[String], files: &[(&str, &str)]) -> Self {
        let [at] = free_addresses().unwrap();
        let relay = relay::start(at, ports).await;
        let folder = tokio::task::spawn_blocking(|| page("npm")).await;
        let mut site = Site::builder()
            .dir(folder.unwrap().unwrap())
            .file(&format!("/{EMPTY}"), "<!doctype html><title>Empty</title>")
            .port(at.port());
        for (path, content) in files {
            site = site.file(path, *content);
        }
        let site = site.start().await.unwrap();
        let browser = Chromium::launch().await.unwrap();
        let page = browser.open(&format!("{}{EMPTY}", site.url())).await;
        let stage = Self {
            browser,
            page: page.unwrap(),
            site,
            options: json!({ "relay": format!("ws://{relay}/"), "token": SECRET }),
        };
        stage.load().await;
        stage
    }

    async fn load(&self) {
        let load = "import('./index.js').then(module => !!Object.assign(globalThis, module))";
        assert!(self.page.evaluate::<bool>(load).await.unwrap());
    }

    /// Loads the page again: what stood in it is gone.
    ///
    /// # Panics
    /// Where that fails.
    pub async fn reload(&self) {
        let url = format!("{}{EMPTY}", self.site.url());
        self.page.go_to(&url).await.unwrap();
        self.load().await;
    }

    /// What this function gives for these arguments.
    ///
    /// # Panics
    /// Where it throws.
    pub async fn run(&self, function: &str, arguments: &[Value]) -> Value {
        self.page.invoke(function, arguments).await.unwrap()
    }
}

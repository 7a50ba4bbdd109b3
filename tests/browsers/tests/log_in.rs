//! The example with a log-in, as its users have it: who is logged in talks through the relay with tokens that come
//! and go unnoticed, and who logs out is cut off, and nobody else.

use std::net::SocketAddr;

use jackfield_browser_tests::{page, picture};
use jackfield_demo::log_in::{Around, LogIn};
use jackfield_testing::certs::Authority;
use jackfield_testing::chromium::{Chromium, Page, Viewport};
use jackfield_testing::mosquitto::{Mosquitto, Settings};

/// A token's time that is over several times in a test, and one that isn't.
const SHORT: u32 = 3;
const LONG: u32 = 300;

/// The back end, its relay and a broker.
struct Stage {
    log_in: LogIn,
    _broker: Mosquitto,
}

impl Stage {
    async fn start(token_seconds: u32) -> Self {
        let authority = Authority::new();
        let certificate = authority.server(&["127.0.0.1"]);
        let broker = Mosquitto::start(&certificate, &Settings::default()).await;
        let broker = broker.unwrap();
        let folder = tokio::task::spawn_blocking(|| page("log-in")).await;
        let folder = folder.unwrap().unwrap();
        let log_in = LogIn::start(&Around {
            page: &folder,
            port: 0,
            relay: SocketAddr::from(([127, 0, 0, 1], 0)),
            broker: broker.tls(),
            roots: authority.pem(),
            token_seconds,
        })
        .await;
        Self {
            log_in: log_in.unwrap(),
            _broker: broker,
        }
    }

    /// Opens the page in a browser of its own, and logs in.
    async fn user(&self, name: &str, password: &str) -> (Chromium, Page) {
        let browser = Chromium::launch().await.unwrap();
        let page = browser.open(self.log_in.url()).await.unwrap();
        page.set_viewport(Viewport::LAPTOP).await.unwrap();
        log_in(&page, name, password).await;
        page.wait_for_text("#state", "connected").await.unwrap();
        // Once he hears himself, he hears the others.
        say(&page, "hello").await;
        hears(&page, &format!("{name} hello")).await;
        (browser, page)
    }
}

async fn log_in(page: &Page, name: &str, password: &str) {
    page.wait_for("!document.querySelector('#log-in').hidden")
        .await
        .unwrap();
    page.fill("#name", name).await.unwrap();
    page.fill("#password", password).await.unwrap();
    page.click("#log-in .primary").await.unwrap();
}

async fn say(page: &Page, text: &str) {
    page.fill("#text", text).await.unwrap();
    page.click("#say .primary").await.unwrap();
}

/// Waits until the last line is this.
async fn hears(page: &Page, line: &str) {
    let last = format!(
        "document.querySelector('#said li:last-child')?.innerText.replace(/\\s+/g, ' ') === {line:?}"
    );
    page.wait_for(&last).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_logs_out_is_cut_off_and_nobody_else() {
    let stage = Stage::start(LONG).await;
    let (adas, ada) = stage.user("ada", "engine").await;
    let (bobs, bob) = stage.user("bob", "builder").await;
    say(&ada, "good morning").await;
    hears(&bob, "ada good morning").await;
    hears(&ada, "ada good morning").await;
    let told = "document.querySelector('#token').innerText";
    let told: String = ada.evaluate(told).await.unwrap();
    assert!(
        told.contains("127.0.0.1:") && told.contains("in 4:"),
        "{told}"
    );
    picture::picture(&ada, "log-in-inside").await;

    // Another tab of hers has the same log-in, and ends with it.
    let other = adas.open(stage.log_in.url()).await.unwrap();
    other.wait_for_text("#state", "connected").await.unwrap();
    ada.click("#log-out").await.unwrap();
    let ended = "The connection has ended: you are not logged in any more.";
    for page in [&ada, &other] {
        page.wait_for_text("#ended", ended).await.unwrap();
        page.wait_for_text("#state", "closed").await.unwrap();
    }
    picture::picture(&ada, "log-in-ended").await;
    say(&bob, "is anybody there?").await;
    hears(&bob, "bob is anybody there?").await;
    let connected: String = bob
        .evaluate("document.querySelector('#state').textContent")
        .await
        .unwrap();
    assert_eq!(connected, "connected");

    // She may come again.
    ada.click("#again").await.unwrap();
    log_in(&ada, "ada", "engine").await;
    ada.wait_for_text("#state", "connected").await.unwrap();
    say(&ada, "I am back").await;
    hears(&bob, "ada I am back").await;
    adas.close().await.unwrap();
    bobs.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_renewed_unnoticed() {
    let stage = Stage::start(SHORT).await;
    let (browser, page) = stage.user("ada", "engine").await;
    for number in 2..4 {
        let count =
            format!("Number(document.querySelectorAll('#token dd')[2].textContent) >= {number}");
        page.wait_for(&count).await.unwrap();
        let text = format!("word {number}");
        say(&page, &text).await;
        hears(&page, &format!("ada {text}")).await;
    }
    let said: u32 = page
        .evaluate("document.querySelector('#said').childElementCount")
        .await
        .unwrap();
    assert_eq!(said, 3, "each is there once");
    assert!(
        page.evaluate::<bool>("document.querySelector('#ended').hidden")
            .await
            .unwrap()
    );
    browser.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_nobody_gets_nothing() {
    let stage = Stage::start(LONG).await;
    let browser = Chromium::launch().await.unwrap();
    let page = browser.open(stage.log_in.url()).await.unwrap();
    page.set_viewport(Viewport::LAPTOP).await.unwrap();
    let statuses = "Promise.all([['me', 'GET'], ['relay-token', 'POST']].map(
        async ([path, method]) => (await fetch(path, { method })).status))";
    assert_eq!(
        page.evaluate::<Vec<u16>>(statuses).await.unwrap(),
        [401, 401]
    );
    for (name, password) in [("ada", "builder"), ("eve", "engine")] {
        log_in(&page, name, password).await;
        let error = "That is not the name and the password of anybody here.";
        page.wait_for_text("#log-in-error", error).await.unwrap();
    }
    picture::picture(&page, "log-in-wrong").await;
    // A log-in that is over while its page is open: the next token is refused, and the page tells so.
    log_in(&page, "ada", "engine").await;
    page.wait_for_text("#state", "connected").await.unwrap();
    let over = "fetch('log-out', { method: 'POST' }).then(({ status }) => status)";
    assert_eq!(page.evaluate::<u16>(over).await.unwrap(), 204);
    let ended = "The connection has ended: you are not logged in any more.";
    page.wait_for_text("#ended", ended).await.unwrap();
    assert_eq!(
        page.evaluate::<Vec<u16>>(statuses).await.unwrap(),
        [401, 401]
    );
    browser.close().await.unwrap();
}

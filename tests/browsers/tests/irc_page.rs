//! The IRC page, driven with real typing and clicks, against inspircd.

use std::net::SocketAddr;

use jackfield_browser_tests::relay::{self, HOST, SECRET};
use jackfield_browser_tests::{output, page, picture};
use jackfield_testing::certs::Authority;
use jackfield_testing::chromium::{Chromium, Page, Viewport};
use jackfield_testing::command_line::jackfield;
use jackfield_testing::inspircd::Inspircd;
use jackfield_testing::process::free_addresses;
use jackfield_testing::proxy::Proxy;
use jackfield_testing::site::Site;
use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::Command;

/// What is said, and must not be read on the way.
const SAID: &str = "a sentence that only the two of them know";

/// Everything between a browser and an IRC server.
struct Stage {
    site: Site,
    relay: SocketAddr,
    authority: Authority,
    browser: Chromium,
    /// Between the relay, or the page itself, and the server.
    proxy: Proxy,
    _server: Inspircd,
}

impl Stage {
    /// With a server whose certificate is for this name.
    async fn start(certified: &str) -> Self {
        let page = tokio::task::spawn_blocking(|| page("irc")).await;
        let page = page.unwrap().unwrap();
        let authority = Authority::new();
        let server = Inspircd::start(&authority.server(&[certified])).await;
        let server = server.unwrap();
        let proxy = Proxy::start(server.tls()).await.unwrap();
        let port = proxy.address().port();

        let [at] = free_addresses().unwrap();
        let relay = relay::start(at, &[port.to_string()]).await;
        let config = json!({
            "relay": format!("ws://{relay}/"),
            "token": SECRET,
            "roots": authority.pem(),
            "server": HOST,
            "port": port,
            "channels": "#jackfield",
        });
        let site = Site::builder()
            .dir(page)
            .file("/config.json", config.to_string())
            .port(at.port())
            .start()
            .await
            .unwrap();
        let browser = Chromium::launch().await.unwrap();
        Self {
            site,
            relay,
            authority,
            browser,
            proxy,
            _server: server,
        }
    }

    /// Opens the page, types a nickname, and connects.
    async fn connect(&self, nick: &str) -> Page {
        let page = self.browser.open(&self.site.url()).await.unwrap();
        page.set_viewport(Viewport::LAPTOP).await.unwrap();
        connect(&page, nick).await;
        page
    }
}

async fn connect(page: &Page, nick: &str) {
    page.wait_for_element("#connect-button:enabled")
        .await
        .unwrap();
    page.fill("#nick", nick).await.unwrap();
    page.click("#connect-button").await.unwrap();
}

/// Waits until a page stands in the channel.
async fn joined(page: &Page) {
    page.wait_for_text("#buffer-name", "#jackfield")
        .await
        .unwrap();
    page.wait_for_text("#log", "You joined.").await.unwrap();
}

async fn say(page: &Page, line: &str) {
    page.fill("#input", line).await.unwrap();
    page.press("Enter").await.unwrap();
}

async fn picture(page: &Page, name: &str) {
    picture::picture(page, &format!("irc-page-{name}")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_people_talk_through_a_relay_that_reads_nothing() {
    let stage = Stage::start(HOST).await;
    let ada = stage.connect("ada").await;
    joined(&ada).await;
    ada.wait_for_text("#lock.secure", "TLS to localhost")
        .await
        .unwrap();
    let grace = stage.connect("grace").await;
    joined(&grace).await;
    ada.wait_for_text("#member-list", "grace").await.unwrap();

    say(&ada, SAID).await;
    grace.wait_for_text("#log", SAID).await.unwrap();
    grace.wait_for_text("#log .nick", "ada").await.unwrap();
    say(&grace, "/me waves").await;
    ada.wait_for_text("#log .action", "waves").await.unwrap();
    say(&ada, "/topic First light").await;
    grace.wait_for_text("#topic", "First light").await.unwrap();
    // Markup is text.
    say(&grace, "<b>ada</b>: see https://example.org/.").await;
    ada.wait_for_text("#log .mention", "<b>ada</b>")
        .await
        .unwrap();
    ada.wait_for_element("#log a[href='https://example.org/'][rel~=noopener]")
        .await
        .unwrap();

    say(&ada, "/nick ada_l").await;
    grace
        .wait_for_text("#log", "ada is now ada_l")
        .await
        .unwrap();
    say(&grace, "/msg ada_l a word between us").await;
    ada.wait_for_text("#buffers .mentioned", "grace")
        .await
        .unwrap();
    picture(&ada, "laptop").await;
    ada.set_viewport(Viewport::PHONE).await.unwrap();
    picture(&ada, "phone").await;
    ada.set_viewport(Viewport::LAPTOP).await.unwrap();

    ada.click("#lock").await.unwrap();
    ada.wait_for_text("#connection-summary", "ciphertext only")
        .await
        .unwrap();
    ada.wait_for_text("#connection-facts", "TLS 1.3")
        .await
        .unwrap();
    picture(&ada, "connection").await;
    ada.press("Escape").await.unwrap();

    // What left the relay for the server, and what came back: none of it can be read.
    let recordings = stage.proxy.recordings();
    assert_eq!(recordings.len(), 2);
    for recording in recordings {
        for direction in [&recording.to_server, &recording.to_client] {
            assert!(direction.count > 0);
            for plain in [SAID, "PRIVMSG", "#jackfield", "NICK"] {
                let found = direction
                    .bytes
                    .windows(plain.len())
                    .any(|window| window == plain.as_bytes());
                assert!(!found, "{plain:?} passed the relay in the clear");
            }
        }
    }

    // The connection is cut; the page says so, and comes back by itself.
    stage.proxy.cut();
    ada.wait_for_text("#state", "Trying again").await.unwrap();
    picture(&ada, "cut").await;
    ada.click("#retry").await.unwrap();
    ada.wait_for_element("#state[hidden]").await.unwrap();
    ada.wait_for_text("#lock.secure", "TLS to localhost")
        .await
        .unwrap();
    stage.browser.close().await.unwrap();
}

/// What a developer reaches for when something doesn't connect takes the page's own way.
#[tokio::test(flavor = "multi_thread")]
async fn a_page_and_a_command_meet_through_one_relay() {
    let stage = Stage::start(HOST).await;
    let page = stage.connect("ada").await;
    joined(&page).await;

    let folder = output();
    std::fs::create_dir_all(&folder).unwrap();
    let (root, token) = (
        folder.join("irc-page-root.pem"),
        folder.join("irc-page-token"),
    );
    std::fs::write(&root, stage.authority.pem()).unwrap();
    std::fs::write(&token, SECRET).unwrap();
    let mut command = Command::new(jackfield().await.unwrap())
        .args([
            "nc",
            HOST,
            &stage.proxy.address().port().to_string(),
            "--tls",
        ])
        .args(["--relay", &format!("ws://{}/", stage.relay)])
        .arg("--ca")
        .arg(&root)
        .arg("--token-file")
        .arg(&token)
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut input = command.stdin.take().unwrap();
    let mut lines = BufReader::new(command.stdout.take().unwrap()).lines();
    input
        .write_all(b"NICK nora\r\nUSER nora 0 * :Nora\r\n")
        .await
        .unwrap();
    while let Some(line) = lines.next_line().await.unwrap() {
        if let Some(cookie) = line.strip_prefix("PING ") {
            input
                .write_all(format!("PONG {cookie}\r\n").as_bytes())
                .await
                .unwrap();
        } else if line.contains(" 001 ") {
            break;
        }
    }
    input
        .write_all(b"JOIN #jackfield\r\nPRIVMSG #jackfield :by hand\r\n")
        .await
        .unwrap();
    page.wait_for_text("#log", "by hand").await.unwrap();
    say(&page, SAID).await;
    let heard = async {
        while let Some(line) = lines.next_line().await.unwrap() {
            if line.ends_with(SAID) {
                return true;
            }
        }
        false
    };
    assert!(heard.await, "the command's connection ended first");
    drop(input);
    stage.browser.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_certificate_is_refused_where_one_sees_it() {
    let stage = Stage::start("irc.elsewhere.example").await;
    let page = stage.connect("ada").await;
    page.wait_for_text("#connect-error", "certificate of localhost")
        .await
        .unwrap();
    page.wait_for_text("#connect-error", "refused")
        .await
        .unwrap();
    picture(&page, "wrong-certificate").await;
    stage.browser.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_taken_nickname_and_a_wrong_command_are_explained() {
    let stage = Stage::start(HOST).await;
    let page = stage.connect("ada").await;
    joined(&page).await;
    say(&page, "/dance").await;
    page.wait_for_text("#log .fault", "no command /dance")
        .await
        .unwrap();
    say(&page, "/nick #no").await;
    page.wait_for_text("#log .fault", "nick").await.unwrap();
    let second = stage.connect("ada").await;
    joined(&second).await;
    // It took another one by itself, and says which.
    second.wait_for_text("#own-nick", "ada_").await.unwrap();
    stage.browser.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_page_is_an_app_with_sockets_of_its_own() {
    let stage = Stage::start(HOST).await;
    let app = stage.browser.install(&stage.site).await.unwrap();
    let page = stage.browser.launch_app(&app).await.unwrap();
    connect(&page, "ada").await;
    joined(&page).await;
    say(&page, SAID).await;
    page.wait_for_text("#log .own", SAID).await.unwrap();
    page.click("#lock").await.unwrap();
    page.wait_for_text("#connection-summary", "no relay in between")
        .await
        .unwrap();
    page.wait_for_text("#connection-facts", "Direct Sockets")
        .await
        .unwrap();
    picture(&page, "app").await;
    stage.browser.close().await.unwrap();
}

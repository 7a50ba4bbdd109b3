//! The harness itself: that it types, clicks, waits, hears errors, and leaves nothing behind.

use std::time::Duration;

use jackfield_testing::chromium::{Chromium, Viewport};
use jackfield_testing::site::Site;
use rustix::process::Pid;

const PAGE: &str = r"<!doctype html><title>test</title>
<input id=name><button id=greet>Greet</button><p id=out></p>
<script>
  document.querySelector('#greet').onclick = event => {
    const name = document.querySelector('#name').value;
    document.querySelector('#out').textContent = `hello ${name} ${event.isTrusted}`;
  };
  console.log('loaded', 1, { a: 2 });
</script>";

#[tokio::test]
async fn an_ordinary_page_is_driven_by_real_input() {
    let site = Site::builder().file("/index.html", PAGE).start().await;
    let site = site.unwrap();
    let browser = Chromium::launch().await.unwrap();
    let page = browser.open(&site.url()).await.unwrap();

    page.click("#name").await.unwrap();
    page.type_text("Ada ü").await.unwrap();
    page.click("#greet").await.unwrap();
    page.wait_for_text("#out", "hello Ada ü true")
        .await
        .unwrap();
    page.fill("#name", "Grace").await.unwrap();
    page.click("#greet").await.unwrap();
    page.wait_for_text("#out", "hello Grace true")
        .await
        .unwrap();

    let sum: u32 = page.evaluate("Promise.resolve(1 + 2)").await.unwrap();
    assert_eq!(sum, 3);
    let sum: u32 = page
        .invoke("(a, b) => a + b", &[4.into(), 5.into()])
        .await
        .unwrap();
    assert_eq!(sum, 9);

    let error = page.evaluate::<u32>("nothing.there").await.unwrap_err();
    let error = format!("{error:#}");
    assert!(error.contains("nothing is not defined"), "{error}");
    assert!(error.contains("log: loaded 1"), "{error}");

    page.set_viewport(Viewport::PHONE).await.unwrap();
    let width: u32 = page.evaluate("screen.width").await.unwrap();
    assert_eq!(width, 390);
    let folder = tempfile::tempdir().unwrap();
    let picture = folder.path().join("pictures/phone.png");
    page.screenshot(&picture).await.unwrap();
    assert!(std::fs::read(picture).unwrap().starts_with(b"\x89PNG"));

    browser.close().await.unwrap();
}

#[tokio::test]
async fn an_isolated_web_app_has_sockets() {
    let manifest = r#"{
        "id": "/", "name": "Test", "version": "1.0.0", "start_url": "/", "display": "standalone",
        "icons": [{"src": "/icon.png", "sizes": "144x144", "type": "image/png"}],
        "permissions_policy": {
            "cross-origin-isolated": ["self"], "direct-sockets": ["self"],
            "loopback-network": ["self"], "local-network": ["self"]
        }
    }"#;
    let site = Site::builder()
        .file("/index.html", PAGE.split("<script>").next().unwrap())
        .file("/.well-known/manifest.webmanifest", manifest)
        .file("/icon.png", include_bytes!("icon.png"))
        .start()
        .await
        .unwrap();
    let browser = Chromium::launch().await.unwrap();
    let app = browser.install(&site).await.unwrap();
    let page = browser.launch_app(&app).await.unwrap();
    let kind: String = page.evaluate("typeof TCPSocket").await.unwrap();
    assert_eq!(kind, "function");
    let port: u16 = page
        .evaluate("new TCPServerSocket('127.0.0.1').opened.then(at => at.localPort)")
        .await
        .unwrap();
    assert!(port >= 32768, "{port}");

    let process = Pid::from_raw(browser.pid().unwrap().cast_signed()).unwrap();
    assert!(rustix::process::test_kill_process_group(process).is_ok());
    browser.close().await.unwrap();
    // Killed helpers may take a moment to be gone, and no event tells.
    let gone = async {
        while rustix::process::test_kill_process_group(process).is_ok() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), gone)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_page_that_crashes_fails_what_was_asked_of_it() {
    let site = Site::builder().file("/index.html", PAGE).start().await;
    let site = site.unwrap();
    let browser = Chromium::launch().await.unwrap();
    let page = browser.open(&site.url()).await.unwrap();
    let (asked, crash) = tokio::join!(
        page.evaluate::<u32>("new Promise(() => {})"),
        page.call("Page.crash", serde_json::json!({})),
    );
    assert!(crash.is_err());
    let error = format!("{:#}", asked.unwrap_err());
    assert!(error.contains("the page crashed"), "{error}");
    browser.close().await.unwrap();
}

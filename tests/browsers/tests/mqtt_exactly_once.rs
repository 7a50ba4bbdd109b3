//! QoS 2 means exactly once, and in order, in a page too: with a connection that is cut at random
//! bytes, and with a tab that is closed or crashes in between and is opened again.
//!
//! On the other side of mosquitto is a client of another hand, whose connection nobody cuts. The
//! same for processes: tests/servers/tests/mqtt_exactly_once.rs.

use std::time::Duration;

use jackfield_browser_tests::page;
use jackfield_browser_tests::relay::{self, HOST, SECRET};
use jackfield_server_tests::mqtt::second::{QoS, Second};
use jackfield_server_tests::mqtt::{FROM, TO, UNDER_WAY};
use jackfield_testing::certs::Authority;
use jackfield_testing::chromium::{Chromium, Page};
use jackfield_testing::mosquitto::{Mosquitto, Settings};
use jackfield_testing::process::free_addresses;
use jackfield_testing::proxy::{After, Cut, Proxy, Way};
use jackfield_testing::site::Site;
use serde_json::json;
use tokio::sync::watch;
use tokio::time::timeout;

/// How many messages each way.
const MANY: u64 = 10_000;
/// A tab lives until so many messages of its own have arrived, at the most.
const LIFE: u64 = 800;
/// How long all of it may take. Far more than it does.
const LONG_RUN: Duration = Duration::from_mins(5);
const SEED: u64 = 0x5441;

/// Cuts every connection somewhere: in the middle of a packet, as a rule.
///
/// Not before the broker has sent again what it had under way; why, the same test for processes says.
fn cut_anywhere(proxy: &Proxy) {
    const BYTES: u64 = 6000;
    const REPEATED: u64 = UNDER_WAY as u64 * 32;
    let mut random = fastrand::Rng::with_seed(SEED);
    proxy.cut_by(move |_| {
        let bytes = random.u64(1..BYTES);
        let (way, bytes) = if random.bool() {
            (Way::ToServer, bytes)
        } else {
            (Way::ToClient, REPEATED + bytes)
        };
        let after = After::Bytes(bytes);
        Some(Cut { way, after })
    });
}

/// Sends numbers to the page, and stays only so far ahead of what it has got: what mosquitto has for
/// a session, it sends again from the beginning on each new connection.
async fn feed(broker: &Mosquitto, mut got: watch::Receiver<u64>) {
    let source = Second::v5(broker.plain(), "source").await;
    for number in 0..MANY {
        let near = |got: &u64| number < got + UNDER_WAY as u64;
        got.wait_for(near).await.expect("it is told");
        let text = number.to_string();
        source.send(TO, QoS::ExactlyOnce, false, text).await;
    }
    // Dropped, it would take what it has not sent yet with it.
    std::future::pending::<()>().await;
}

/// Tells how many numbers the page has got, whichever page it is now.
async fn follow(mut pages: watch::Receiver<Page>, tell: watch::Sender<u64>) {
    let mut got = 0;
    loop {
        let page = pages.borrow_and_update().clone();
        let more = format!("globalThis.device?.received > {got} && device.received");
        tokio::select! {
            more = page.wait_for(&more) => match more {
                Ok(more) => {
                    got = more.as_u64().expect("a number");
                    tell.send_replace(got);
                }
                // It is gone, and another one is on its way.
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            },
            _ = pages.changed() => {}
        }
    }
}

async fn open(browser: &Chromium, site: &Site) -> Page {
    let page = browser.open(&format!("{}device.html", site.url())).await;
    let page = page.expect("the page");
    page.wait_for("globalThis.device?.ready || globalThis.device?.problems.length > 0")
        .await
        .expect("it gets ready");
    page
}

#[tokio::test(flavor = "multi_thread")]
async fn closed_crashed_and_cut_at_random() {
    let settings = Settings {
        extra: vec![format!("max_inflight_messages {UNDER_WAY}")],
        ..Settings::default()
    };
    let certificate = Authority::new().server(&[HOST]);
    let broker = Mosquitto::start(&certificate, &settings).await;
    let broker = broker.expect("the broker");
    let proxy = Proxy::start(broker.plain()).await.expect("a proxy");
    cut_anywhere(&proxy);

    let [at] = free_addresses().expect("a port");
    let port = proxy.address().port();
    let relay = relay::start(at, &[port.to_string()]).await;
    let config = json!({
        "relay": format!("ws://{relay}/"),
        "token": SECRET,
        "broker": format!("mqtt://{HOST}:{port}"),
        "from": FROM,
        "to": TO,
        // The last one shows that none before it comes twice.
        "count": MANY + 1,
        "underWay": UNDER_WAY,
    });
    let files = tokio::task::spawn_blocking(|| page("iot")).await;
    let site = Site::builder()
        .dir(files.expect("it ends").expect("the page"))
        .file("/device.html", include_str!("../page/device.html"))
        .file("/device.js", include_str!("../page/device.js"))
        .file("/device.json", config.to_string())
        .port(at.port());
    let site = site.start().await.expect("the site");
    let browser = Chromium::launch().await.expect("a browser");
    let mut sink = Second::v5(broker.plain(), "sink").await;
    sink.subscribe(FROM, QoS::ExactlyOnce).await;

    let mut random = fastrand::Rng::with_seed(SEED);
    let (mut closed, mut crashed) = (0, 0);
    let mut page = open(&browser, &site).await;
    let (show, pages) = watch::channel(page.clone());
    let (tell, got) = watch::channel(0);
    let arriving = async {
        let mut dies_at = random.u64(1..LIFE);
        for expected in 0..=MANY {
            let payload = sink.message().await.payload;
            assert_eq!(payload, expected.to_string());
            if expected == dies_at {
                if random.bool() {
                    page.crash().await.expect("it crashes");
                    crashed += 1;
                } else {
                    closed += 1;
                }
                page.close().await.expect("it is closed");
                page = open(&browser, &site).await;
                show.send_replace(page.clone());
                dies_at += random.u64(1..LIFE);
            }
        }
        let page = page.with_deadline(LONG_RUN);
        let all = format!("device.received >= {MANY} || device.problems.length > 0");
        page.wait_for(&all).await.expect("all arrive");
        let problems: Vec<String> = page.evaluate("device.problems").await.expect("problems");
        assert_eq!(problems, <[&str; 0]>::default());
        let received: Vec<String> = page.evaluate("device.all()").await.expect("all");
        let wrong = (0..MANY).zip(&received).find(|(expected, received)| {
            let expected = expected.to_string();
            expected != **received
        });
        assert_eq!((wrong, received.len() as u64), (None, MANY));
    };
    let all = async {
        tokio::select! {
            () = arriving => {}
            () = feed(&broker, got) => {}
            () = follow(pages, tell) => {}
        }
    };
    timeout(LONG_RUN, all).await.expect("in time");
    assert!(
        closed > 5 && crashed > 5,
        "{closed} closed, {crashed} crashed"
    );
    assert!(proxy.cuts() > 50, "only {} cuts", proxy.cuts());
    browser.close().await.expect("it ends");
}

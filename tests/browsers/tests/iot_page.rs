//! The IoT page, driven with real typing and clicks, against mosquitto and devices that speak CoAP.

use std::net::SocketAddr;
use std::time::Duration;

use jackfield_browser_tests::relay::{self, HOST, SECRET};
use jackfield_browser_tests::thing::Thing;
use jackfield_browser_tests::{page, picture};
use jackfield_testing::aiocoap::Aiocoap;
use jackfield_testing::certs::{Authority, Certificate};
use jackfield_testing::chromium::{Chromium, Page, Viewport};
use jackfield_testing::coap_device::Device;
use jackfield_testing::libcoap::Libcoap;
use jackfield_testing::mosquitto::{Mosquitto, Settings, User};
use jackfield_testing::mqtt_broker::{Broker, PATH};
use jackfield_testing::process::free_addresses;
use jackfield_testing::proxy::Proxy;
use jackfield_testing::site::Site;
use serde_json::{Value, json};
use tokio::time::timeout;

/// What is published, and must not be read on the way.
const SAID: &str = "a sentence that only broker and page know";
/// Nothing here takes so long, unless it hangs.
const PATIENCE: Duration = Duration::from_secs(20);
/// How many bytes of firmware a device is given.
const FIRMWARE: usize = 200_000;

/// Everything between a browser, a broker and a device.
struct Stage {
    site: Site,
    browser: Chromium,
    mosquitto: Mosquitto,
    /// Between the relay, or the page itself, and the broker.
    proxy: Proxy,
    device: Device,
}

impl Stage {
    /// With a broker whose certificate is for this name.
    async fn start(certified: &str) -> Self {
        let authority = Authority::new();
        let certificate = authority.server(&[certified]);
        Self::start_with(&authority, &certificate, &Settings::default(), &[]).await
    }

    /// The same, with this certificate, a broker that is set so, and more ports for the relay: `7`,
    /// or `7/udp`.
    async fn start_with(
        authority: &Authority,
        certificate: &Certificate,
        settings: &Settings,
        more: &[String],
    ) -> Self {
        let mosquitto = Mosquitto::start(certificate, settings).await.unwrap();
        let proxy = Proxy::start(mosquitto.tls()).await.unwrap();
        let device = Device::start().await.unwrap();
        let mut ports = more.to_vec();
        ports.push(proxy.address().port().to_string());
        ports.push(device.tcp().port().to_string());
        ports.push(format!("{}/udp", device.udp().port()));

        let [at] = free_addresses().unwrap();
        let relay = relay::start(at, &ports).await;
        let config = json!({
            "relay": format!("ws://{relay}/"),
            "token": SECRET,
            "roots": authority.pem(),
        });
        Self {
            site: site(at, &config).await,
            browser: Chromium::launch().await.unwrap(),
            mosquitto,
            proxy,
            device,
        }
    }

    async fn open(&self) -> Page {
        let page = self.browser.open(&self.site.url()).await.unwrap();
        page.set_viewport(Viewport::LAPTOP).await.unwrap();
        page
    }

    /// The broker's address for pages.
    fn broker(&self) -> String {
        format!("mqtts://{HOST}:{}", self.proxy.address().port())
    }

    /// The device's.
    fn hall(&self) -> String {
        format!("coap://{}", self.device.udp())
    }

    async fn thing(&self, name: &str) -> Thing {
        Thing::start(self.mosquitto.plain(), name).await
    }
}

async fn site(at: SocketAddr, config: &Value) -> Site {
    let page = tokio::task::spawn_blocking(|| page("iot")).await;
    let site = Site::builder()
        .dir(page.unwrap().unwrap())
        .file("/config.json", config.to_string())
        .port(at.port());
    site.start().await.unwrap()
}

/// Types an address and a name, as whoever has a new broker or device.
async fn add(page: &Page, address: &str, name: &str) {
    page.click("#add").await.unwrap();
    page.fill("#add-address", address).await.unwrap();
    page.fill("#add-name", name).await.unwrap();
    page.click("#add-button").await.unwrap();
    page.wait_for_text(".source h2", name).await.unwrap();
}

/// The same, and waits until it is connected.
async fn connect(page: &Page, address: &str, name: &str) {
    add(page, address, name).await;
    state(page, name, "connected").await;
}

/// Waits for the word that stands beside a broker's or device's name.
async fn state(page: &Page, name: &str, word: &str) {
    let pill = format!("[data-source={name:?}] .pill");
    page.wait_for_text(&pill, word).await.unwrap();
}

/// Goes to the page of a broker or a device.
async fn visit(page: &Page, name: &str) {
    page.click(&format!("#entries [data-source={name:?}] a"))
        .await
        .unwrap();
    page.wait_for_text("#title", name).await.unwrap();
}

/// What matches within the tile of a topic or a path.
fn tile(key: &str, within: &str) -> String {
    format!(".tile[data-key={key:?}] {within}")
}

/// Waits for a value with its chart, which is another picture than before.
async fn charted(page: &Page, key: &str, value: &str) {
    let drawn = format!(
        "document.querySelector({}).toDataURL()",
        Value::from(tile(key, "canvas"))
    );
    page.wait_for_text(&tile(key, ".value"), value)
        .await
        .unwrap();
    page.evaluate::<bool>(&format!("(globalThis.drawn = {drawn}) !== ''"))
        .await
        .unwrap();
    page.wait_for(&format!("{drawn} !== drawn")).await.unwrap();
}

/// The page on a phone that was turned: all of it is within the window.
async fn phone(page: &Page, name: &str) {
    page.set_viewport(Viewport::PHONE).await.unwrap();
    let within = "[...document.querySelectorAll('.tile, .topbar, .chart canvas')]
        .every(part => part.getBoundingClientRect().right <= 390)";
    page.wait_for(within).await.unwrap();
    picture(page, name).await;
    page.set_viewport(Viewport::LAPTOP).await.unwrap();
}

async fn picture(page: &Page, name: &str) {
    picture::picture(page, &format!("iot-page-{name}")).await;
}

/// Whether the console is as empty as that of a page should be.
fn is_quiet(page: &Page) -> bool {
    let wrong = |line: &String| {
        ["error", "warning", "uncaught", "assert"]
            .iter()
            .any(|level| line.starts_with(level))
    };
    !page.console().iter().any(wrong)
}

#[tokio::test(flavor = "multi_thread")]
async fn topics_are_live_through_a_relay_that_reads_nothing() {
    let stage = Stage::start(HOST).await;
    let greenhouse = stage.thing("greenhouse").await;
    greenhouse.keep("greenhouse/notice", SAID).await;
    greenhouse.keep("greenhouse/light", "off").await;
    let mut orders = greenhouse.orders("greenhouse/light/set").await;

    let page = stage.open().await;
    page.wait_for_text("#view", "Nothing here yet")
        .await
        .unwrap();
    picture(&page, "empty").await;
    connect(&page, &stage.broker(), "House").await;

    // What was there before is retained; what comes now is not, and is drawn.
    for key in ["greenhouse/notice", "greenhouse/light", "greenhouse/status"] {
        page.wait_for_text(&tile(key, ".badges"), "retained")
            .await
            .unwrap();
    }
    page.wait_for_text(&tile("greenhouse/notice", ".said"), SAID)
        .await
        .unwrap();
    page.wait_for_text(&tile("greenhouse/status", ".word"), "online")
        .await
        .unwrap();
    for (number, text) in [("20.5", "20.5"), ("21.25", "21.25"), ("23", "23")] {
        let payload = format!(r#"{{"value":{number},"unit":"°C"}}"#);
        greenhouse.publish("greenhouse/temperature", payload).await;
        charted(&page, "greenhouse/temperature", text).await;
    }
    page.wait_for_element(&tile(
        "greenhouse/temperature",
        "[role=img][aria-label*='between 20.5 and 23']",
    ))
    .await
    .unwrap();

    // The light is switched by a message, and says so itself; with the keyboard too.
    let switch = tile("greenhouse/light", "[role=switch]");
    page.click(&switch).await.unwrap();
    for (order, state, aria) in [("on", "on", "true"), ("off", "off", "false")] {
        let told = timeout(PATIENCE, orders.next()).await.unwrap();
        assert_eq!(told, order);
        greenhouse.keep("greenhouse/light", state).await;
        let confirmed = format!("{switch}[aria-checked={aria}]:not(.pending)");
        page.wait_for_element(&confirmed).await.unwrap();
        if order == "on" {
            page.wait_for_element(".tile.lit[data-key='greenhouse/light']")
                .await
                .unwrap();
            picture(&page, "broker").await;
            page.press("Enter").await.unwrap();
        }
    }
    phone(&page, "phone").await;

    // What is typed is published.
    let mut heard = greenhouse.orders("greenhouse/vents").await;
    visit(&page, "House").await;
    page.fill("#publish-topic", "greenhouse/vents")
        .await
        .unwrap();
    page.fill("#publish-payload", "open").await.unwrap();
    page.click("#publish").await.unwrap();
    page.wait_for_text("#publish-answer", "Delivered")
        .await
        .unwrap();
    assert_eq!(timeout(PATIENCE, heard.next()).await.unwrap(), "open");
    page.fill("#publish-topic", "greenhouse/#").await.unwrap();
    page.click("#publish").await.unwrap();
    page.wait_for_text("#publish-answer.bad", "topic")
        .await
        .unwrap();
    picture(&page, "topics").await;

    page.click(".state .lock").await.unwrap();
    page.wait_for_text("#connection-summary", "ciphertext only")
        .await
        .unwrap();
    page.wait_for_text("#connection-facts", "TLS 1.3")
        .await
        .unwrap();
    picture(&page, "connection").await;
    page.press("Escape").await.unwrap();

    // It is gone without a word: its last will says so, at everything that is its.
    greenhouse.die();
    page.click("#entries li:first-child a").await.unwrap();
    page.wait_for_text(&tile("greenhouse/status", ".word"), "offline")
        .await
        .unwrap();
    page.wait_for_text(&tile("greenhouse/temperature", ".badge.bad"), "offline")
        .await
        .unwrap();
    picture(&page, "last-will").await;

    // It is back: what it measured meanwhile nobody knows, and no line is drawn there.
    let greenhouse = stage.thing("greenhouse").await;
    page.wait_for_text(&tile("greenhouse/status", ".word"), "online")
        .await
        .unwrap();
    let payload = r#"{"value":21,"unit":"°C"}"#;
    greenhouse.publish("greenhouse/temperature", payload).await;
    charted(&page, "greenhouse/temperature", "21").await;
    picture(&page, "back-again").await;
    let line = page.evaluate::<Value>(
        "(async () => {
            const { Series } = await import('./js/series.js');
            const series = new Series();
            series.add(1000, 20);
            series.lost(2000);
            series.back(5000);
            series.add(6000, 21);
            const broken = series.line(0);
            // What a session had kept comes late, and the line is whole.
            series.add(3000, 22);
            return [broken, series.line(1), series.line(4)];
        })()",
    );
    let lines = json!([
        [[1, 2, 6], [20, null, 21]],
        [[1, 3, 6], [20, 22, 21]],
        [[3, 6], [22, 21]],
    ]);
    assert_eq!(line.await.unwrap(), lines);

    // What left the relay for the broker, and what came back: none of it can be read.
    let recordings = stage.proxy.recordings();
    assert_eq!(recordings.len(), 1);
    for direction in [&recordings[0].to_server, &recordings[0].to_client] {
        assert!(direction.count > 0 && direction.is_whole());
        for plain in [SAID, "greenhouse", "MQTT", "online"] {
            let found = direction
                .bytes
                .windows(plain.len())
                .any(|window| window == plain.as_bytes());
            assert!(!found, "{plain:?} passed the relay in the clear");
        }
    }
    assert!(is_quiet(&page), "{:?}", page.console());
    stage.browser.close().await.unwrap();
}

/// Three times away, and each time all that was published meanwhile arrives: brought back by hand,
/// by itself, and with the page closed in between.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_was_cut_comes_back_with_everything() {
    const MISSED: usize = 20;
    let stage = Stage::start(HOST).await;
    let meter = stage.thing("meter").await;
    let missed = async |when: &str| {
        for number in 1..=MISSED {
            let topic = format!("meter/{when}/{number}");
            meter.publish(&topic, number.to_string()).await;
        }
    };
    let all_there = async |page: &Page, when: &str| {
        let rows = format!("document.querySelectorAll('#items [data-key^=\"meter/{when}/\"]')");
        page.wait_for(&format!("{rows}.length === {MISSED}"))
            .await
            .unwrap();
    };
    let page = stage.open().await;
    connect(&page, &stage.broker(), "House").await;
    visit(&page, "House").await;
    page.wait_for_text(".filters", "subscribed").await.unwrap();

    for when in ["by-hand", "by-itself"] {
        stage.proxy.refuse(true);
        stage.proxy.cut();
        page.wait_for_text(".pill", "reconnecting").await.unwrap();
        page.wait_for_text(".details .banner.error", "Trying again")
            .await
            .unwrap();
        missed(when).await;
        picture(&page, &format!("cut-{when}")).await;
        stage.proxy.refuse(false);
        if when == "by-hand" {
            let back = "document.querySelector('.details .banner.good')";
            page.click_unless(".details .banner button", back)
                .await
                .unwrap();
        }
        page.wait_for_text(".details .banner.good", "nothing is lost")
            .await
            .unwrap();
        all_there(&page, when).await;
    }
    picture(&page, "back").await;
    assert!(is_quiet(&page), "{:?}", page.console());

    // A page that was told to close still lives for a moment, and sees what comes in it.
    page.close().await.unwrap();
    timeout(PATIENCE, stage.proxy.all_ended()).await.unwrap();
    missed("closed").await;
    let page = stage.open().await;
    state(&page, "House", "connected").await;
    visit(&page, "House").await;
    all_there(&page, "closed").await;

    // One tab at a time has the session, and another one says so.
    let second = stage.open().await;
    second
        .wait_for_text(".banner.error", "open in another tab")
        .await
        .unwrap();
    picture(&second, "second-tab").await;
    stage.browser.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_is_discovered_observed_switched_and_updated() {
    let stage = Stage::start(HOST).await;
    let page = stage.open().await;
    connect(&page, &stage.hall(), "Hall").await;
    for (celsius, text) in [(20.25, "20.25"), (21.5, "21.5")] {
        stage.device.measure(celsius);
        charted(&page, "/temperature", text).await;
    }
    page.wait_for_text(&tile("/temperature", ".unit"), "°C")
        .await
        .unwrap();

    assert!(!stage.device.light());
    page.click(&tile("/light", "[role=switch]")).await.unwrap();
    page.wait_for_element(".tile.lit[data-key='/light']")
        .await
        .unwrap();
    assert!(stage.device.light());
    page.click(&tile("/lock", "[role=switch]")).await.unwrap();
    page.wait_for_text(&tile("/lock", ".word"), "Unlocked")
        .await
        .unwrap();

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("firmware-2.bin");
    let image: Vec<u8> = (0..FIRMWARE).map(|at| (at * 31 % 251) as u8).collect();
    std::fs::write(&file, &image).unwrap();
    // The dialogue for files is the browser's; that it was asked for is the page's.
    let intercept = json!({"enabled": true});
    page.call("Page.setInterceptFileChooserDialog", intercept)
        .await
        .unwrap();
    let field = tile("/firmware", "input");
    let watch = format!(
        "(() => {{
            globalThis.asked = 0;
            globalThis.progress = [];
            const tile = document.querySelector({});
            tile.querySelector('input').addEventListener('click', () => asked += 1);
            const bar = tile.querySelector('progress');
            new MutationObserver(() => progress.push(bar.value / bar.max))
                .observe(bar, {{ attributes: true }});
            return true;
        }})()",
        Value::from(".tile[data-key='/firmware']")
    );
    page.evaluate::<bool>(&watch).await.unwrap();
    page.click(&tile("/firmware", ".choose")).await.unwrap();
    page.wait_for("asked === 1").await.unwrap();
    page.choose_files(&field, &[&file]).await.unwrap();
    page.wait_for_text(&tile("/firmware", ".done"), "All 200000 bytes are there")
        .await
        .unwrap();
    assert!(stage.device.firmware() == image, "it is another image");
    let progress: Vec<f64> = page.evaluate("progress").await.unwrap();
    assert!(progress.is_sorted(), "{progress:?}");
    let between = progress.iter().filter(|done| **done > 0.0 && **done < 1.0);
    assert!(between.count() > 3, "{progress:?}");
    picture(&page, "device").await;
    phone(&page, "device-phone").await;

    // One that is cancelled changes nothing.
    std::fs::write(&file, vec![7; 4 * FIRMWARE]).unwrap();
    page.choose_files(&field, &[&file]).await.unwrap();
    page.wait_for("progress.at(-1) > 0 && progress.at(-1) < 1")
        .await
        .unwrap();
    picture(&page, "upload").await;
    page.click(&tile("/firmware", ".cancel")).await.unwrap();
    page.wait_for_text(&tile("/firmware", ".cancelled"), "Cancelled")
        .await
        .unwrap();
    assert!(stage.device.firmware() == image, "it is another image");

    visit(&page, "Hall").await;
    for path in ["/temperature", "/light", "/lock", "/firmware", "/about"] {
        page.wait_for_element(&format!("#items [data-key={path:?}]"))
            .await
            .unwrap();
    }
    page.fill("#request-path", "/about").await.unwrap();
    page.click("#request").await.unwrap();
    page.wait_for_text("#request-answer", "2.05 Content")
        .await
        .unwrap();
    page.fill("#request-path", "/nowhere").await.unwrap();
    page.click("#request").await.unwrap();
    page.wait_for_text("#request-answer.bad", "4.04 Not Found")
        .await
        .unwrap();
    picture(&page, "resources").await;
    assert!(is_quiet(&page), "{:?}", page.console());
    stage.browser.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_of_another_hand_is_observed() {
    let authority = Authority::new();
    let certificate = authority.server(&[HOST]);
    let libcoap = Libcoap::start_with(&certificate).await.unwrap();
    let [plain, secure] = [libcoap.plain().port(), libcoap.secure().port()];
    let ports = [
        plain.to_string(),
        format!("{plain}/udp"),
        secure.to_string(),
    ];
    let settings = Settings::default();
    let stage = Stage::start_with(&authority, &certificate, &settings, &ports).await;
    let page = stage.open().await;
    for (name, address) in [
        ("Datagrams", format!("coap://127.0.0.1:{plain}")),
        ("Stream", format!("coap+tcp://127.0.0.1:{plain}")),
        ("Secure", format!("coaps+tcp://{HOST}:{secure}")),
    ] {
        connect(&page, &address, name).await;
        // Its clock, as it says once a second.
        let clock = format!(
            "document.querySelector('[data-source={name}] [data-key=\"/time\"] .said')?.innerText"
        );
        page.wait_for(&format!(
            "/:\\d\\d/u.test(globalThis.first = {clock} ?? '')"
        ))
        .await
        .unwrap();
        page.wait_for(&format!("{clock} !== first")).await.unwrap();
    }
    let lock = "[data-source=Secure] .lock";
    page.wait_for_text(lock, "TLS to localhost").await.unwrap();
    picture(&page, "libcoap").await;
    assert!(is_quiet(&page), "{:?}", page.console());
    stage.browser.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_that_speak_websocket_need_no_relay() {
    let broker = Broker::start().await.unwrap();
    let thing = Thing::start(broker.tcp(), "meter").await;
    let aiocoap = Aiocoap::start(&[]).await.unwrap();
    let [at] = free_addresses().unwrap();
    let site = site(at, &json!({})).await;
    let browser = Chromium::launch().await.unwrap();
    let page = browser.open(&site.url()).await.unwrap();
    page.set_viewport(Viewport::LAPTOP).await.unwrap();
    page.wait_for_text("#way-text", "no relay").await.unwrap();

    let address = format!("ws://{}{PATH}", broker.websocket());
    connect(&page, &address, "House").await;
    for power in ["400", "450"] {
        thing.keep("meter/power", power).await;
        charted(&page, "meter/power", power).await;
    }
    connect(&page, &format!("coap+ws://{}", aiocoap.websocket()), "Hall").await;
    let ticks = format!(
        "Number(document.querySelector({})?.innerText)",
        Value::from(tile("/ticks", ".value"))
    );
    page.wait_for(&format!("{ticks} >= 1")).await.unwrap();
    page.wait_for(&format!("{ticks} >= 3")).await.unwrap();
    visit(&page, "Hall").await;
    page.click(".state .lock").await.unwrap();
    page.wait_for_text("#connection-facts", "own WebSocket")
        .await
        .unwrap();
    page.press("Escape").await.unwrap();
    picture(&page, "without-relay").await;
    assert!(is_quiet(&page), "{:?}", page.console());

    // Everything else needs one, and the page says so before it tries.
    page.click("#add").await.unwrap();
    page.fill("#add-address", "mqtts://broker.example.org")
        .await
        .unwrap();
    page.click("#add-button").await.unwrap();
    page.wait_for_text("#add-error", "relay").await.unwrap();
    browser.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_page_is_an_app_with_sockets_of_its_own() {
    let stage = Stage::start(HOST).await;
    let meter = stage.thing("meter").await;
    let app = stage.browser.install(&stage.site).await.unwrap();
    let page = stage.browser.launch_app(&app).await.unwrap();
    page.set_viewport(Viewport::LAPTOP).await.unwrap();
    page.wait_for_text("#way-text", "Direct Sockets")
        .await
        .unwrap();
    connect(&page, &stage.broker(), "House").await;
    for power in ["400", "450"] {
        meter.keep("meter/power", power).await;
        charted(&page, "meter/power", power).await;
    }
    connect(&page, &stage.hall(), "Hall").await;
    for (celsius, text) in [(20.25, "20.25"), (21.5, "21.5")] {
        stage.device.measure(celsius);
        charted(&page, "/temperature", text).await;
    }
    page.click(&tile("/light", "[role=switch]")).await.unwrap();
    page.wait_for_element(".tile.lit[data-key='/light']")
        .await
        .unwrap();
    assert!(stage.device.light());
    picture(&page, "app").await;

    visit(&page, "House").await;
    page.click(".state .lock").await.unwrap();
    page.wait_for_text("#connection-summary", "no relay in between")
        .await
        .unwrap();
    page.wait_for_text("#connection-facts", "Direct Sockets")
        .await
        .unwrap();
    assert!(is_quiet(&page), "{:?}", page.console());
    stage.browser.close().await.unwrap();
}

/// In either light, and on a phone.
async fn pictures(page: &Page, name: &str) {
    for (scheme, suffix) in [("dark", "-dark"), ("light", "")] {
        let features = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        page.call("Emulation.setEmulatedMedia", features)
            .await
            .unwrap();
        picture(page, &format!("{name}{suffix}")).await;
        phone(page, &format!("{name}-phone{suffix}")).await;
    }
}

/// Far more topics than one would scroll through: levels that fold, by mouse and keyboard.
#[tokio::test(flavor = "multi_thread")]
async fn many_topics_are_a_tree_that_folds() {
    let stage = Stage::start(HOST).await;
    let plant = stage.thing("plant").await;
    let page = stage.open().await;
    connect(&page, &stage.broker(), "House").await;
    visit(&page, "House").await;
    page.wait_for_text(".filters", "subscribed").await.unwrap();
    for number in 0..900 {
        let topic = format!("plant/line-{}/oven/zone-{}", number / 100 + 1, number % 100);
        plant.publish(&topic, number.to_string()).await;
    }
    // With the plant's own status.
    page.wait_for_text(".panel h2 .muted", "901").await.unwrap();
    let rows = "document.querySelectorAll('#items [data-key]').length";
    assert_eq!(page.evaluate::<usize>(rows).await.unwrap(), 0, "unfolded");
    let folder = |path: &str| format!("#items [data-folder={path:?}] .fold");
    page.click(&folder("plant/")).await.unwrap();
    page.wait_for_text("#items .folder", "line-7/oven/")
        .await
        .unwrap();
    page.wait_for_element("#items [data-key='plant/status']")
        .await
        .unwrap();
    page.click(&folder("plant/line-7/oven/")).await.unwrap();
    page.wait_for_text("#items [data-key='plant/line-7/oven/zone-42']", "642")
        .await
        .unwrap();
    pictures(&page, "tree").await;
    page.press("Enter").await.unwrap();
    page.wait_for(&format!("{rows} === 1")).await.unwrap();

    // All of them at once would be too many to draw; what one looks for is found among all.
    for line in 1..=5 {
        page.click(&folder(&format!("plant/line-{line}/oven/")))
            .await
            .unwrap();
    }
    page.wait_for_text("#more-items", "more are not shown")
        .await
        .unwrap();
    page.fill("#find", "zone-42").await.unwrap();
    page.wait_for(&format!("{rows} === 9")).await.unwrap();
    page.click("#items [data-key='plant/line-3/oven/zone-42'] .pin")
        .await
        .unwrap();
    page.click("#entries li:first-child a").await.unwrap();
    page.wait_for_text(&tile("plant/line-3/oven/zone-42", ".value"), "242")
        .await
        .unwrap();
    assert!(is_quiet(&page), "{:?}", page.console());
    stage.browser.close().await.unwrap();
}

/// What is kept says how things stand, not what has just happened; a payload of several fields is shown
/// by one of them; and what was wrong is mended where it stands.
#[tokio::test(flavor = "multi_thread")]
async fn kept_values_fields_and_a_source_that_is_edited() {
    let [nowhere] = free_addresses().unwrap();
    let port = nowhere.port();
    let authority = Authority::new();
    let certificate = authority.server(&[HOST]);
    let settings = Settings::default();
    let stage = Stage::start_with(&authority, &certificate, &settings, &[port.to_string()]).await;
    let lamp = stage.thing("lamp").await;
    lamp.keep("lamp/mode", "party").await;
    let measured = r#"{"state":"on","time":1700000000}"#;
    lamp.keep("lamp/power", measured).await;
    let page = stage.open().await;
    add(&page, &format!("mqtts://{HOST}:{port}"), "Huose").await;
    page.wait_for_text(".source .banner.error", "Check the port")
        .await
        .unwrap();

    visit(&page, "Huose").await;
    page.click("#change").await.unwrap();
    page.wait_for_text("#adding-title", "Edit Huose")
        .await
        .unwrap();
    let address = "document.querySelector('#add-address').value";
    assert_eq!(
        page.evaluate::<String>(address).await.unwrap(),
        format!("{HOST}:{port}")
    );
    picture(&page, "edit").await;
    page.fill("#add-address", &stage.broker()).await.unwrap();
    page.fill("#add-name", "House").await.unwrap();
    page.press("Enter").await.unwrap();
    page.wait_for_text("#title", "House").await.unwrap();
    page.wait_for_text(".details .pill", "connected")
        .await
        .unwrap();

    page.wait_for_text("#items [data-key='lamp/mode'] .when", "since before")
        .await
        .unwrap();
    page.wait_for_text("#items [data-key='lamp/power'] .when", "since Nov 1")
        .await
        .unwrap();
    let report = |level: u32| {
        format!(r#"{{"link":61,"battery":{{"level":{level},"low":false}},"name":"desk"}}"#)
    };
    lamp.publish("lamp/report", report(80)).await;
    page.click("#items [data-key='lamp/report'] .fields")
        .await
        .unwrap();
    page.wait_for_text("#items [data-key='lamp/report#name']", "desk")
        .await
        .unwrap();
    page.click("#items [data-key='lamp/report#battery.level'] .pin")
        .await
        .unwrap();
    pictures(&page, "fields").await;
    page.click("#entries li:first-child a").await.unwrap();
    page.wait_for_text(&tile("lamp/report#battery.level", ".value"), "80")
        .await
        .unwrap();
    for (level, text) in [(79, "79"), (78, "78")] {
        lamp.publish("lamp/report", report(level)).await;
        charted(&page, "lamp/report#battery.level", text).await;
    }
    page.wait_for_text(&tile("lamp/mode", ".when"), "since before")
        .await
        .unwrap();
    lamp.keep("lamp/mode", "quiet").await;
    page.wait_for_text(&tile("lamp/mode", ".when"), "ago")
        .await
        .unwrap();
    pictures(&page, "kept").await;

    // The tile is there again after a reload, and what is kept as well.
    page.call("Page.reload", json!({})).await.unwrap();
    state(&page, "House", "connected").await;
    lamp.publish("lamp/report", report(77)).await;
    page.wait_for_text(&tile("lamp/report#battery.level", ".value"), "77")
        .await
        .unwrap();
    assert!(is_quiet(&page), "{:?}", page.console());
    stage.browser.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_certificate_is_refused_where_one_sees_it() {
    let stage = Stage::start("broker.elsewhere.example").await;
    let page = stage.open().await;
    add(&page, &stage.broker(), "House").await;
    page.wait_for_text(".source .banner.error", "can't prove who it is")
        .await
        .unwrap();
    page.wait_for_text(".source .banner.error", "is for another name")
        .await
        .unwrap();
    picture(&page, "wrong-certificate").await;
    stage.browser.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_address_and_a_wrong_password_are_explained() {
    let [nowhere] = free_addresses().unwrap();
    let port = nowhere.port();
    let ports = [port.to_string(), format!("{port}/udp")];
    let settings = Settings {
        users: vec![User {
            name: "ada".into(),
            password: "enchantress".into(),
            access: vec!["readwrite house/#".into()],
        }],
        ..Settings::default()
    };
    let authority = Authority::new();
    let certificate = authority.server(&[HOST]);
    let stage = Stage::start_with(&authority, &certificate, &settings, &ports).await;
    let page = stage.open().await;
    page.click("#add").await.unwrap();
    for (address, said) in [("", "Give an address"), ("no address", "is no address")] {
        page.fill("#add-address", address).await.unwrap();
        page.click("#add-button").await.unwrap();
        page.wait_for_text("#add-error", said).await.unwrap();
    }
    picture(&page, "no-address").await;
    page.press("Escape").await.unwrap();

    for (name, address, said) in [
        (
            "Nothing",
            format!("mqtts://{HOST}:{port}"),
            "Check the port",
        ),
        ("Denied", format!("mqtts://{HOST}:9"), "owner can allow it"),
        (
            "Silent",
            format!("coap://127.0.0.1:{port}"),
            "does not answer",
        ),
        ("Stranger", stage.broker(), "does not accept this name"),
    ] {
        add(&page, &address, name).await;
        let banner = format!("[data-source={name:?}] .banner.error");
        page.wait_for_text(&banner, said).await.unwrap();
    }
    picture(&page, "wrong-address").await;

    // Removed, and added again with what the broker wants; what it refuses then is told beside it.
    visit(&page, "Stranger").await;
    page.click("#remove").await.unwrap();
    page.click("#add").await.unwrap();
    page.fill("#add-address", &stage.broker()).await.unwrap();
    page.fill("#add-name", "House").await.unwrap();
    page.fill("#add-username", "ada").await.unwrap();
    page.fill("#add-password", "enchantress").await.unwrap();
    page.click("#add-button").await.unwrap();
    state(&page, "House", "connected").await;
    visit(&page, "House").await;
    page.fill("#publish-topic", "elsewhere").await.unwrap();
    page.click("#publish").await.unwrap();
    page.wait_for_text("#publish-answer.bad", "authorized")
        .await
        .unwrap();
    picture(&page, "refused").await;
    stage.browser.close().await.unwrap();
}

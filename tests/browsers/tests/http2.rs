//! WebSockets over HTTP/2 (RFC 8441): Chromium opens them so, through HAProxy, to a relay that speaks
//! HTTP/1.1.

use jackfield_server_tests::NAMES;
use jackfield_server_tests::balanced::{HAPROXY, Relayd, TOKEN, before, replaced};
use jackfield_testing::certs::Authority;
use jackfield_testing::chromium::Chromium;
use jackfield_testing::haproxy::{self, Haproxy};
use jackfield_testing::process::free_addresses;
use jackfield_testing::unpacked::is_skipped;

/// A page of HAProxy's own, and a line for each request with the version of HTTP that it came in.
const PAGE: &str =
    "    http-request return status 200 content-type text/html string page if { path /page }
    log stdout format raw local0
    option logasap
    log-format \"asked in %HV for %HP.\"
    default_backend relays";

/// Opens a WebSocket to the relay; its subprotocol, and the type of the first frame in it.
const OPEN: &str = "token => new Promise((resolve, reject) => {
    const encoded = btoa(token).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
    const address = `wss://${location.host}/`;
    const socket = new WebSocket(address, ['jackfield.v1', `jackfield.token.${encoded}`]);
    socket.binaryType = 'arraybuffer';
    socket.onmessage = event => resolve([socket.protocol, new Uint8Array(event.data)[0]]);
    socket.onclose = event => reject(new Error(`closed: ${event.code} ${event.reason}`));
})";

#[tokio::test]
async fn a_websocket_shares_the_pages_http2_connection() {
    if is_skipped(haproxy::NAME) {
        return;
    }
    let [front] = free_addresses().unwrap();
    let origin = format!("origins = ['https://{front}']");
    let relays = [
        Relayd::start("proxy", &origin).await,
        Relayd::start("proxy", &origin).await,
    ];
    let config = before(HAPROXY, front, &relays);
    let config = replaced(&config, &[("    default_backend relays", PAGE)]);
    let certificate = Authority::new().server(&NAMES);
    let haproxy = Haproxy::start(&config, &certificate, front).await.unwrap();

    let browser = Chromium::launch_with(&["--ignore-certificate-errors"]).await;
    let browser = browser.unwrap();
    let page = browser
        .open(&format!("https://{front}/page"))
        .await
        .unwrap();
    let opened: (String, u8) = page.invoke(OPEN, &[TOKEN.into()]).await.unwrap();
    // HELLO.
    assert_eq!(opened, ("jackfield.v1".to_owned(), 1));
    let within = jackfield_server_tests::LONG;
    for path in ["/page", "/"] {
        let line = format!("asked in HTTP/2.0 for https://{front}{path}.");
        let logged = haproxy.process().wait_for_line(&line, within).await;
        logged.unwrap();
    }
    browser.close().await.unwrap();
}

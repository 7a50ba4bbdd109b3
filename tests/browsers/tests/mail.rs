//! The scenario of a mail app over every backend, with the embedded server: natively, through the relay,
//! and in Chromium through the relay and on Direct Sockets, with TLS in the page.

use std::net::SocketAddr;

use jackfield_browser_suite::job::{Job, Over, Task};
use jackfield_browser_suite::mail::play;
use jackfield_browser_tests::mail::MailServer;
use jackfield_browser_tests::{Place, Suite, relay};
use jackfield_native::Native;
use jackfield_relay::{Relay, RelayConfig};
use jackfield_socket::TcpConnect;
use jackfield_tls::{Certificates, Tls, TlsConfig, TlsConnector};

/// TLS that trusts the server.
fn secured<N: TcpConnect>(network: N, server: &MailServer) -> Tls<N> {
    let root = Certificates::from_pem(server.root.as_bytes()).expect("a root");
    let connector = TlsConnector::new(TlsConfig::new().with_roots(root));
    Tls::new(network, connector.expect("a configuration"))
}

/// A relay for a page of this address, which reaches the server.
async fn relay_to(server: &MailServer, page: SocketAddr) -> String {
    let ports = [server.imap, server.submission].map(|it| it.port().to_string());
    format!("ws://{}/", relay::start(page, &ports).await)
}

/// Runs it in both places of a page, each with a server of its own.
async fn in_a_page(suite: Suite, over: impl AsyncFn(&Suite, &MailServer) -> Over) {
    for place in [Place::Window, Place::Worker] {
        let server = MailServer::start().await;
        let job = Job {
            over: over(&suite, &server).await,
            tls_root: Some(server.root.clone()),
            task: Task::Mail {
                imap: server.imap,
                submission: server.submission,
            },
        };
        let outcome = suite.run(place, &job).await.expect("the page answers");
        assert_eq!(outcome.error, None, "{place:?}");
    }
    suite.close().await.expect("the browser ends");
}

#[tokio::test]
async fn natively() {
    let server = MailServer::start().await;
    let played = play(secured(Native, &server), server.imap, server.submission);
    assert_eq!(played.await, Ok(()));
}

#[tokio::test]
async fn through_a_relay() {
    let server = MailServer::start().await;
    let nobody = SocketAddr::from(([127, 0, 0, 1], 9));
    let url = relay_to(&server, nobody).await;
    let config = RelayConfig::new(&url).and_then(|config| config.with_token(relay::SECRET));
    let (network, connection) = Relay::over(Native, config.expect("a configuration"));
    let running = tokio::spawn(connection);
    let played = play(secured(network, &server), server.imap, server.submission);
    assert_eq!(played.await, Ok(()));
    running.abort();
}

#[tokio::test]
async fn in_a_page_through_a_relay() {
    let suite = Suite::ordinary().await.expect("a page");
    in_a_page(suite, async |suite, server| {
        let page = suite.site.origin();
        let page = page.strip_prefix("http://").expect("no TLS");
        let page = page.parse().expect("an address");
        let url = relay_to(server, page).await;
        Over::Relay(url, relay::SECRET.to_owned())
    })
    .await;
}

#[tokio::test]
async fn in_an_app_on_direct_sockets() {
    let suite = Suite::app().await.expect("an app");
    in_a_page(suite, async |_, _| Over::Direct).await;
}

//! The servers of the test support: that they start, listen, know each other, and end.

use std::time::Duration;

use jackfield_server_tests::NAMES;
use jackfield_testing::atheme::{Account, Atheme};
use jackfield_testing::certs::Authority;
use jackfield_testing::inspircd::Inspircd;
use jackfield_testing::ngircd::Ngircd;

const LONG: Duration = Duration::from_secs(30);

#[tokio::test]
async fn inspircd_starts_and_ends() {
    let certificate = Authority::new().server(&NAMES);
    let server = Inspircd::start(&certificate).await.expect("it starts");
    let (plain, tls) = (server.plain(), server.tls());
    for address in [plain, tls] {
        let reachable = server.process().wait_for_port(address, LONG).await;
        reachable.expect("it listens");
    }
    drop(server);
    for address in [plain, tls] {
        let refused = tokio::net::TcpStream::connect(address).await;
        refused.expect_err("it is gone");
    }
}

#[tokio::test]
async fn ngircd_starts() {
    let certificate = Authority::new().server(&NAMES);
    let server = Ngircd::start(&certificate).await.expect("it starts");
    for address in [server.plain(), server.tls()] {
        let reachable = server.process().wait_for_port(address, LONG).await;
        reachable.expect("it listens");
    }
}

#[tokio::test]
async fn services_link_and_load_their_accounts() {
    let authority = Authority::new();
    let certificate = authority.server(&NAMES);
    let server = Inspircd::start(&certificate).await.expect("the server");
    let account = Account {
        name: "alice".into(),
        password: "wonderland".into(),
        fingerprint: Some(authority.client("alice").fingerprint()),
    };
    let services = Atheme::start(&server, &[account]).await.expect("services");
    assert!(!services.process().has_ended());
}

//! A relay for one page.

use std::net::SocketAddr;

use jackfield_relayd::token::{Credential, Secret};
use jackfield_relayd::{Config, Relayd, Token};

/// What lets the page in.
pub const SECRET: &str = "the-secret-of-the-tests";
/// The name of this machine, for the page and for the relay that looks it up.
pub const HOST: &str = "localhost";

/// Starts a relay for the page at this address, and for programs, that reaches these ports of this
/// machine and nothing else: `7` over TCP, `7/udp`. It runs to the end of the test.
///
/// # Panics
/// Where it can't be started.
pub async fn start(page: SocketAddr, ports: &[String]) -> SocketAddr {
    let secret = Secret::new(SECRET).expect("a secret");
    let mut token = Token::new("page", Credential::Secret(secret));
    for port in ports {
        for host in [HOST, "127.0.0.0/8", "[::1]"] {
            let rule = format!("{host}:{port}");
            token.policy.allow.push(rule.parse().expect("a rule"));
        }
    }
    let mut config = Config::default();
    config.listen = vec![SocketAddr::from(([127, 0, 0, 1], 0))];
    config.origins = vec![format!("http://{page}").parse().expect("an origin")];
    // A program sends none.
    config.allow_without_origin = true;
    config.tokens = vec![token];
    let relay = Relayd::bind(config).await.expect("a free port");
    let address = relay.local_addrs()[0];
    tokio::spawn(relay.run(std::future::pending()));
    address
}

//! The doctor, at a relay that is well, and behind proxies that aren't.

mod common;

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use jackfield_relayd::conformance::Suite;
use jackfield_relayd::doctor::{Diagnosis, Doctor, Severity};
use jackfield_relayd::{Config, Relayd, TlsFiles};
use jackfield_testing::certs::Authority;
use jackfield_testing::closed::Closed;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use common::{ORIGIN, SECRET, TestRelay, config, keep, token};

fn doctor(relay: SocketAddr, token: &str) -> Doctor {
    let address = format!("ws://127.0.0.1:{}/", relay.port());
    let mut suite = Suite::new(&address).expect("a relay's address");
    suite.token = Some(token.into());
    suite.origin = Some(ORIGIN.into());
    let mut doctor = Doctor::new(suite);
    doctor.silence = Duration::ZERO;
    doctor
}

/// That this is the one thing that is wrong.
#[track_caller]
fn is_wrong(diagnosis: &Diagnosis, what: &str) {
    let mut wrong = (diagnosis.findings().iter())
        .filter(|finding| finding.severity == Severity::Wrong)
        .map(|finding| &finding.text);
    let only = wrong.next().filter(|text| text.contains(what));
    assert!(only.is_some() && wrong.next().is_none(), "{diagnosis}");
    assert!(!diagnosis.is_well());
}

fn well_known() -> Config {
    let mut config = config(token());
    config.hosts = vec!["127.0.0.1".parse().expect("a host")];
    config
}

#[tokio::test]
async fn a_relay_that_is_well() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let target = keep(listener);
    let mut careful = token();
    careful.policy.allow = vec![target.parse().expect("a rule")];
    let mut config = well_known();
    config.tokens = vec![careful];
    let relay = TestRelay::start(config).await;
    let mut doctor = doctor(relay.address, SECRET);
    doctor.destinations = vec![target.parse().expect("a destination")];
    doctor.silence = Duration::from_millis(1);
    let diagnosis = doctor.examine().await;
    assert!(diagnosis.is_well(), "{diagnosis}");
    let doubtful = (diagnosis.findings().iter())
        .filter(|finding| finding.severity != Severity::Well)
        .map(|finding| &*finding.text);
    let plain = "ws:// without TLS: good within this machine or network, and no further";
    assert_eq!(doubtful.collect::<Vec<_>>(), [plain], "{diagnosis}");
    for expected in [
        "another origin is turned away",
        "no token is turned away",
        "is reached",
    ] {
        assert!(diagnosis.to_string().contains(expected), "{diagnosis}");
    }
}

#[tokio::test]
async fn what_the_configuration_refuses_is_told() {
    let relay = TestRelay::start(well_known()).await;
    let diagnosis = doctor(relay.address, "another-secret-than-that")
        .examine()
        .await;
    is_wrong(&diagnosis, "Compare it with the configuration");

    let mut config = well_known();
    config.tokens[0].policy.allow.clear();
    config.hosts = vec!["relay.example".parse().expect("a host")];
    let relay = TestRelay::start(config).await;
    let diagnosis = doctor(relay.address, SECRET).examine().await;
    is_wrong(&diagnosis, "to `hosts`");
}

#[tokio::test]
async fn a_destination_that_is_not_reached_is_told() {
    let mut config = well_known();
    config.tokens[0].policy.allow.clear();
    let relay = TestRelay::start(config).await;
    let mut doctor = doctor(relay.address, SECRET);
    doctor.destinations = vec!["127.0.0.1:9".parse().expect("a destination")];
    is_wrong(&doctor.examine().await, "which rule decides");
}

/// A token that opens the relay's own network is pointed at.
#[tokio::test]
async fn a_wide_token_is_doubtful() {
    let mut config = well_known();
    config.tokens[0].policy.allow = vec!["127.0.0.0/8:*".parse().expect("a rule")];
    let relay = TestRelay::start(config).await;
    let diagnosis = doctor(relay.address, SECRET).examine().await;
    let told = diagnosis.findings().iter().any(|finding| {
        finding.severity == Severity::Doubtful && finding.text.contains("may reach 127.0.0.1:22")
    });
    assert!(told && diagnosis.is_well(), "{diagnosis}");
}

/// What a proxy does to the bytes that pass: to the request, to the answer, and to what comes later.
#[derive(Clone, Copy)]
struct Faults {
    request: fn(String) -> String,
    answer: fn(String) -> String,
    /// The most bytes that come at once and pass.
    most: usize,
    /// How long nothing may come.
    silence: Duration,
}

const NONE: Faults = Faults {
    request: |text| text,
    answer: |text| text,
    most: usize::MAX,
    silence: Duration::from_hours(1),
};

#[tokio::test]
async fn a_proxy_that_spoils_it_is_told() {
    let relay = TestRelay::start(well_known()).await;
    let through = |faults| {
        let relay = relay.address;
        async move {
            let mut doctor = doctor(proxy(relay, faults).await, SECRET);
            doctor.silence = Duration::from_mins(1);
            doctor.examine().await
        }
    };
    let faults = Faults {
        request: |text| text.replace("Upgrade: websocket\r\n", ""),
        ..NONE
    };
    is_wrong(&through(faults).await, "doesn't forward the upgrade");
    let faults = Faults {
        answer: |text| text.replace("Sec-WebSocket-Protocol: jackfield.v1\r\n", ""),
        ..NONE
    };
    is_wrong(&through(faults).await, "takes the header");
    let faults = Faults {
        request: |text| text.replace("GET / ", "GET /jackfield "),
        ..NONE
    };
    is_wrong(&through(faults).await, "Compare the address with `path`");
    let faults = Faults {
        most: 60_000,
        ..NONE
    };
    is_wrong(&through(faults).await, "a message of 64 KiB");
    let faults = Faults {
        silence: Duration::from_secs(2),
        ..NONE
    };
    is_wrong(&through(faults).await, "a proxy cuts sooner");
}

#[tokio::test]
async fn a_relay_that_is_away_is_told() {
    let nobody = Closed::tcp();
    is_wrong(
        &doctor(nobody.address(), SECRET).examine().await,
        "can't be reached",
    );
}

/// A proxy before a relay; where.
async fn proxy(relay: SocketAddr, faults: Faults) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            tokio::spawn(pass(client, relay, faults));
        }
    });
    address
}

async fn pass(mut client: TcpStream, relay: SocketAddr, faults: Faults) -> Option<()> {
    let mut server = TcpStream::connect(relay).await.ok()?;
    let request = head(&mut client).await?;
    server
        .write_all((faults.request)(request).as_bytes())
        .await
        .ok()?;
    let answer = head(&mut server).await?;
    client
        .write_all((faults.answer)(answer).as_bytes())
        .await
        .ok()?;
    let (mut up, mut down) = (vec![0; 1 << 20], vec![0; 1 << 20]);
    let mut passed = 0;
    loop {
        let passing = async {
            tokio::select! {
                count = client.read(&mut up) => {
                    let count = count.ok()?;
                    passed += count;
                    let short = count > 0 && passed <= faults.most;
                    server.write_all(up.get(..count).filter(|_| short)?).await.ok()
                }
                count = server.read(&mut down) => {
                    let count = count.ok()?;
                    client.write_all(down.get(..count).filter(|_| count > 0)?).await.ok()
                }
            }
        };
        timeout(faults.silence, passing).await.ok()??;
    }
}

async fn head(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    String::from_utf8(head).ok()
}

#[tokio::test]
async fn what_a_web_server_answers_instead_is_told() {
    let relay = TestRelay::start(well_known()).await;
    let moved = Faults {
        answer: |_| {
            "HTTP/1.1 301 Moved Permanently\r\nLocation: https://relay.example/\r\n\r\n".into()
        },
        ..NONE
    };
    let diagnosis = doctor(proxy(relay.address, moved).await, SECRET);
    let diagnosis = diagnosis.examine().await;
    is_wrong(
        &diagnosis,
        "301 to \"https://relay.example/\": WebSockets follow nobody",
    );
    let late = Faults {
        answer: |text| {
            let Some((before, behind)) = text.split_once("Date: ") else {
                return text;
            };
            let (_, behind) = behind.split_once("\r\n").expect("a line");
            format!("{before}Date: Sat, 01 Feb 2020 00:00:00 GMT\r\n{behind}")
        },
        ..NONE
    };
    let diagnosis = doctor(proxy(relay.address, late).await, SECRET);
    let diagnosis = diagnosis.examine().await;
    is_wrong(&diagnosis, "one of both clocks is wrong");
}

#[tokio::test]
async fn a_relay_that_is_about_to_end_is_told() {
    let mut config = well_known();
    config.drain.delay = Duration::from_hours(1);
    config.drain.cut = Duration::from_hours(2);
    let relay = TestRelay::start(config).await;
    relay.stopper.drain();
    let diagnosis = doctor(relay.address, SECRET).examine().await;
    is_wrong(&diagnosis, "/readyz answers 503, \"draining\"");
}

#[tokio::test]
async fn metrics_that_anybody_reads_are_told() {
    let mut config = well_known();
    config.metrics = Some("127.0.0.1:0".parse().expect("an address"));
    let relay = Relayd::bind(config).await.expect("it starts");
    let metrics = relay.metrics_addr().expect("configured");
    let address = relay.local_addrs()[0];
    let running = tokio::spawn(relay.run(std::future::pending()));
    let mut doctor = doctor(address, SECRET);
    doctor.metrics_port = metrics.port();
    let diagnosis = doctor.examine().await;
    // This is the relay's own machine.
    let told = diagnosis.findings().iter().any(|finding| {
        finding.severity == Severity::Doubtful
            && finding
                .text
                .starts_with(&format!("{metrics} tells its metrics"))
    });
    assert!(told && diagnosis.is_well(), "{diagnosis}");
    running.abort();
}

/// What is found at a relay with this certificate and key, by these roots.
async fn with_certificate((chain, key): (&str, &str), roots: &Path) -> Diagnosis {
    let directory = tempfile::tempdir().expect("a directory");
    let files = ["relay.crt", "relay.key"].map(|name| directory.path().join(name));
    for (file, text) in files.iter().zip([chain, key]) {
        std::fs::write(file, text).expect("written");
    }
    let [certificate, key] = files;
    let mut config = config(token());
    config.hosts = vec!["localhost".parse().expect("a host")];
    config.tls = Some(TlsFiles::new(certificate, key).into());
    let relay = TestRelay::start(config).await;
    let suite = Suite::new(&format!("wss://localhost:{}/", relay.address.port()));
    let mut suite = suite.expect("an address").with_roots(roots).expect("roots");
    suite.token = Some(SECRET.into());
    suite.origin = Some(ORIGIN.into());
    let mut doctor = Doctor::new(suite);
    doctor.silence = Duration::ZERO;
    doctor.examine().await
}

#[tokio::test]
async fn a_certificate_that_clients_refuse_is_told() {
    let authority = Authority::new();
    let directory = tempfile::tempdir().expect("a directory");
    let roots = directory.path().join("roots.pem");
    std::fs::write(&roots, authority.pem()).expect("written");
    let ended = authority.expired_server(&["localhost"]);
    let other = authority.server(&["a.example"]);
    // Whoever doesn't know the one between doesn't know this one either.
    let unknown = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("made");
    for (chain, key, expected) in [
        (ended.pem(), ended.key_pem(), "Renew it, and have"),
        (other.pem(), other.key_pem(), "Use one of these names"),
        (
            &unknown.cert.pem(),
            &unknown.signing_key.serialize_pem(),
            "put that one's behind it",
        ),
    ] {
        let diagnosis = with_certificate((chain, key), &roots).await;
        is_wrong(&diagnosis, expected);
    }
}

/// A certificate is told of before it ends.
#[tokio::test]
async fn a_certificate_that_ends_soon_is_doubtful() {
    let authority = Authority::new();
    let directory = tempfile::tempdir().expect("a directory");
    let roots = directory.path().join("roots.pem");
    std::fs::write(&roots, authority.pem()).expect("written");
    for (days, severity, expected) in [
        (10, Severity::Doubtful, "GMT, which is in 9 days: renew it"),
        (15, Severity::Well, "GMT"),
    ] {
        let certificate = authority.server_for_days(&["localhost"], days);
        let shown = (certificate.pem(), certificate.key_pem());
        let diagnosis = with_certificate(shown, &roots).await;
        let told = diagnosis.findings().iter().find(|finding| {
            finding
                .text
                .starts_with("TLS: the certificate is good for localhost, until ")
        });
        let told = told.unwrap_or_else(|| panic!("{diagnosis}"));
        assert!(told.text.contains(expected), "{diagnosis}");
        assert_eq!(told.severity, severity, "{diagnosis}");
    }
}

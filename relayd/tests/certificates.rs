//! Programs that come in by a certificate of theirs, in the place of a token.

mod common;

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use common::{SECRET, config, keep, within};
use jackfield_native::Native;
use jackfield_relay::{Code, Reason, Relay, RelayConfig};
use jackfield_relayd::record::{Record, Records};
use jackfield_relayd::token::{ClientCa, Credential, Revocation, WhenOutdated};
use jackfield_relayd::{Config, Relayd, Reloader, TlsFiles, Token};
use jackfield_socket::{Error, ErrorKind, TcpConnect as _, TcpOptions};
use jackfield_testing::certs::{Authority, Certificate};
use jackfield_tls::{Certificates, Identity, TlsConfig, TlsConnector};
use tempfile::TempDir;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

/// A relay that lets in by the tests' token, and by certificates of an authority of its own.
struct Setup {
    relay: SocketAddr,
    reloader: Reloader,
    records: mpsc::UnboundedReceiver<Record>,
    config: Config,
    /// Who has signed the relay's certificate.
    trusted: Authority,
    fleet: Authority,
    target: String,
    _directory: TempDir,
}

#[derive(Debug)]
struct Told(mpsc::UnboundedSender<Record>);

impl Records for Told {
    fn record(&self, record: &Record) {
        let _ = self.0.send(record.clone());
    }
}

fn authority(of: &Authority, revoked: Option<&str>) -> Credential {
    Credential::Certificates(ClientCa::from_pem(of.pem(), revoked).expect("an authority"))
}

impl Setup {
    async fn start() -> Self {
        let (trusted, fleet) = (Authority::new(), Authority::new());
        let directory = tempfile::tempdir().expect("a directory");
        let files = trusted
            .server(&["localhost"])
            .write_to(directory.path(), "relay")
            .expect("both files");
        let mut token = Token::new("fleet", authority(&fleet, None));
        token.policy.allow = vec!["127.0.0.0/8:1024-65535".parse().expect("a rule")];
        token.bearer_limits.sessions = Some(1);
        let mut config = config(common::token());
        config.tls = Some(TlsFiles::new(files.certificate, files.key).into());
        config.hosts = vec!["localhost".parse().expect("a host")];
        config.allow_without_origin = true;
        // What a JWT has to name: a certificate is for no relay in particular.
        config.audience = Some("relay.example".into());
        config.tokens.push(token);
        let relayd = Relayd::bind(config.clone()).await.expect("a free port");
        let (told, records) = mpsc::unbounded_channel();
        let relayd = relayd.with_records(Told(told));
        let (relay, reloader) = (relayd.local_addrs()[0], relayd.reloader());
        tokio::spawn(relayd.run(std::future::pending()));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        Self {
            relay,
            reloader,
            records,
            config,
            trusted,
            fleet,
            target: keep(listener),
            _directory: directory,
        }
    }

    /// A client that has this certificate, or this token, or none.
    fn client(&self, certificate: Option<&Certificate>, token: Option<&str>) -> Relay {
        let roots = Certificates::from_pem(self.trusted.pem().as_bytes()).expect("a certificate");
        let mut tls = TlsConfig::new().with_roots(roots);
        if let Some(own) = certificate {
            let identity = Identity::from_pem(own.pem().as_bytes(), own.key_pem().as_bytes());
            tls = tls.with_identity(identity.expect("they belong together"));
        }
        let tls = TlsConnector::new(tls).expect("a connector");
        let mut config = RelayConfig::new(&format!("wss://localhost:{}/", self.relay.port()))
            .expect("a good address")
            .with_tls(tls);
        if let Some(token) = token {
            config = config.with_token(token).expect("a good token");
        }
        let (relay, connection) = Relay::over(Native, config);
        tokio::spawn(connection);
        relay
    }

    /// Waits until this one is in.
    async fn ready(&self, certificate: &Certificate) -> Relay {
        let client = self.client(Some(certificate), None);
        within(client.ready()).await.expect("let in");
        client
    }

    async fn refused(&self, certificate: Option<&Certificate>) -> Error {
        let client = self.client(certificate, None);
        within(client.ready()).await.expect_err("not let in")
    }

    fn fleet_token(&mut self) -> &mut Token {
        self.config.tokens.last_mut().expect("two of them")
    }

    async fn reload(&self) {
        let reloading = self.reloader.reload(&self.config);
        within(reloading).await.expect("a good one");
    }
}

/// The relay's own word in an error.
fn code(error: &Error) -> Code {
    Reason::find(error).expect("the relay's word").code()
}

#[tokio::test]
async fn a_program_with_a_certificate_needs_no_token_and_has_a_name() {
    let mut setup = Setup::start().await;
    let ada = setup.fleet.client("ada");
    let client = setup.ready(&ada).await;
    let to = setup.target.parse().expect("an endpoint");
    let options = TcpOptions::default();
    let stream = client.connect(&to, &options).await.expect("allowed");
    let record = within(setup.records.recv()).await.expect("one");
    let who = &record.who;
    assert_eq!((&*who.token, who.bearer.as_deref()), ("fleet", Some("ada")));
    assert_eq!(record.outcome, "opened");
    let to = "127.0.0.1:7".parse().expect("an endpoint");
    let error = client.connect(&to, &options).await.expect_err("no rule");
    assert_eq!(error.kind(), ErrorKind::Denied);
    let record = within(setup.records.recv()).await.expect("one");
    assert_eq!(record.who.bearer.as_deref(), Some("ada"));

    // Her limits are her own.
    assert_eq!(code(&setup.refused(Some(&ada)).await), Code::TOKEN_FULL);
    setup.ready(&setup.fleet.client("grace")).await;
    drop(stream);
}

#[tokio::test]
async fn who_has_none_or_another_needs_a_token() {
    let setup = Setup::start().await;
    assert_eq!(code(&setup.refused(None).await), Code::TOKEN_MISSING);
    let with_token = setup.client(None, Some(SECRET));
    within(with_token.ready()).await.expect("let in");
    // A token that comes with a certificate is what counts.
    let ada = setup.fleet.client("ada");
    let wrong = setup.client(Some(&ada), Some("another-secret-of-the-tests"));
    let error = within(wrong.ready()).await.expect_err("unknown");
    assert_eq!(code(&error), Code::TOKEN_UNKNOWN);
}

/// What a client is told, and that the relay counts it as a denial with this code.
async fn is_told(setup: &Setup, own: &Certificate, expected: (Code, &str)) {
    let error = setup.refused(Some(own)).await;
    let reason = Reason::find(&error).expect("the relay says so");
    let (code, text) = expected;
    assert_eq!(reason.code(), code, "{error}");
    assert!(reason.text().starts_with(text), "{error}\nnot: {text}");
    assert_eq!(error.kind(), ErrorKind::Denied);
}

#[tokio::test]
async fn a_certificate_that_is_not_good_is_told_why() {
    let mut setup = Setup::start().await;
    let fleet = &setup.fleet;
    let another = Authority::new();
    let strange = "the certificate is of no authority that the relay knows";
    for (own, code, text) in [
        (another.client("ada"), Code::TOKEN_UNKNOWN, strange),
        // Whose it is counts for more than its time.
        (
            another.client_for_days("ada", (-9, -2)),
            Code::TOKEN_UNKNOWN,
            strange,
        ),
        (
            fleet.client_for_days("ada", (-9, -2)),
            Code::TOKEN_EXPIRED,
            "the certificate has expired at ",
        ),
        (
            fleet.client_for_days("ada", (2, 9)),
            Code::TOKEN_UNKNOWN,
            "the certificate is not valid before ",
        ),
        (
            fleet.server(&["ada"]),
            Code::TOKEN_UNKNOWN,
            "the certificate is not for clients",
        ),
    ] {
        is_told(&setup, &own, (code, text)).await;
    }
    // Another authority's list says nothing of it.
    let ada = setup.fleet.client("ada");
    let list = another.revoked(&[7]);
    setup.fleet_token().credential = authority(&setup.fleet, Some(&list));
    setup.reload().await;
    let text = "the certificate may be revoked: the relay has no good list";
    is_told(&setup, &ada, (Code::TOKEN_UNKNOWN, text)).await;
    // Nor may it come any longer than its token of the configuration.
    setup.fleet_token().credential = authority(&setup.fleet, None);
    setup.fleet_token().expires = Some(SystemTime::now() - Duration::from_secs(1));
    setup.reload().await;
    let text = "the certificate has let in until ";
    is_told(&setup, &ada, (Code::TOKEN_EXPIRED, text)).await;
}

#[tokio::test]
async fn two_authorities_are_told_apart_whatever_is_wrong() {
    let mut setup = Setup::start().await;
    let other = Authority::new();
    let token = Token::new("others", authority(&other, None));
    setup.config.tokens.push(token);
    setup.reload().await;
    setup.ready(&setup.fleet.client("ada")).await;
    setup.ready(&other.client("ada")).await;
    for of in [&setup.fleet, &other] {
        let late = of.client_for_days("eve", (-9, -2));
        let text = "the certificate has expired at ";
        is_told(&setup, &late, (Code::TOKEN_EXPIRED, text)).await;
        let text = "the certificate is not for clients";
        is_told(&setup, &of.server(&["eve"]), (Code::TOKEN_UNKNOWN, text)).await;
    }
}

/// A stream that is open ends, for this reason, and nobody comes in again.
async fn ends_with(
    setup: &mut Setup,
    own: &Certificate,
    expected: &str,
    change: impl FnOnce(&mut Setup),
) -> Error {
    let client = setup.ready(own).await;
    let to = setup.target.parse().expect("an endpoint");
    let stream = client.connect(&to, &TcpOptions::default()).await;
    let mut stream = stream.expect("allowed");
    let opened = within(setup.records.recv()).await.expect("one");
    assert_eq!(opened.outcome, "opened");
    change(setup);
    setup.reload().await;
    let cut = within(stream.read_u8()).await;
    cut.expect_err("its session has ended");
    let record = within(setup.records.recv()).await.expect("one");
    assert_eq!(record.why.as_deref(), Some(expected), "{record:?}");
    setup.refused(Some(own)).await
}

const REVOKED: &str = "the certificate was revoked";

#[tokio::test]
async fn a_name_or_a_number_is_revoked_as_those_of_tokens_are() {
    for by_name in [true, false] {
        let mut setup = Setup::start().await;
        let ada = setup.fleet.numbered_client("ada", 0x4d);
        let error = ends_with(&mut setup, &ada, REVOKED, |setup| {
            let mut revocation = Revocation::default();
            if by_name {
                revocation.subject = Some("ada".into());
            } else {
                revocation.id = Some("4d".into());
            }
            setup.config.revoked = vec![revocation];
        })
        .await;
        let reason = Reason::find(&error).expect("the relay says so");
        assert_eq!(
            (reason.code(), reason.text()),
            (Code::TOKEN_EXPIRED, REVOKED)
        );
        setup.ready(&setup.fleet.client("grace")).await;
    }
}

#[tokio::test]
async fn a_list_of_the_authoritys_revokes_too() {
    let mut setup = Setup::start().await;
    let ada = setup.fleet.numbered_client("ada", 7);
    let error = ends_with(&mut setup, &ada, REVOKED, |setup| {
        let list = setup.fleet.revoked(&[7]);
        let fleet = authority(&setup.fleet, Some(&list));
        setup.fleet_token().credential = fleet;
    })
    .await;
    assert_eq!(code(&error), Code::TOKEN_EXPIRED);
    let other = setup.fleet.numbered_client("ada", 8);
    setup.ready(&other).await;
}

#[tokio::test]
async fn an_authority_can_be_replaced_while_the_relay_runs() {
    let mut setup = Setup::start().await;
    let ada = setup.fleet.client("ada");
    let next = Authority::new();
    let of_next = authority(&next, None);
    let strange = "the certificate is of no authority that the relay knows";
    let error = ends_with(&mut setup, &ada, strange, |setup| {
        setup.fleet_token().credential = of_next;
    })
    .await;
    assert_eq!(code(&error), Code::TOKEN_UNKNOWN);
    setup.ready(&next.client("ada")).await;
}

#[tokio::test]
async fn an_authority_can_be_taken_out_while_the_relay_runs() {
    let mut setup = Setup::start().await;
    let ada = setup.fleet.client("ada");
    let gone = "the relay's configuration has no such token any more";
    let error = ends_with(&mut setup, &ada, gone, |setup| {
        setup.config.tokens.pop();
    })
    .await;
    // Nor does TLS ask for certificates any more.
    assert_eq!(code(&error), Code::TOKEN_MISSING);
}

/// What is done while a list is outdated is said by name; that it is, is said in any case.
#[tokio::test]
async fn a_list_that_is_outdated_counts_as_is_chosen() {
    let mut setup = Setup::start().await;
    let (ada, eve) = (
        setup.fleet.client("ada"),
        setup.fleet.numbered_client("eve", 7),
    );
    let list = setup.fleet.revoked_until(&[7], -1);
    let of = |when| {
        let authority = ClientCa::from_pem_with(setup.fleet.pem(), Some(&list), when);
        Credential::Certificates(authority.expect("an authority"))
    };
    let [allowing, denying] = [WhenOutdated::Allow, WhenOutdated::Deny].map(of);
    setup.fleet_token().credential = allowing;
    let [warning] = &setup.config.warnings()[..] else {
        panic!("one: {:?}", setup.config.warnings());
    };
    assert!(
        warning
            .starts_with("client_crl_file: the token \"fleet\" has a list whose next one was due"),
        "{warning}"
    );
    setup.reload().await;
    is_told(&setup, &eve, (Code::TOKEN_EXPIRED, REVOKED)).await;
    // Who is in goes, too.
    let outdated = "the certificate may be revoked: the relay's list (CRL) is outdated";
    let error = ends_with(&mut setup, &ada, outdated, |setup| {
        setup.fleet_token().credential = denying;
    })
    .await;
    assert_eq!(code(&error), Code::TOKEN_UNKNOWN);
}

//! One scenario, against servers of mail that others wrote: what each takes arrives as it was sent, and what
//! each can't do is refused before anything is said.

use std::io;
use std::net::SocketAddr;

use jackfield_client::ConnectionError;
use jackfield_native::Native;
use jackfield_sasl::Credentials;
use jackfield_server_tests::smtp::{User, config, envelope, lmtp, message, parts, refusals, taken};
use jackfield_server_tests::{NAMES, connector};
use jackfield_smtp::client::{self, ClientEvent, Envelope, PoolConfig, Status, connect_pool};
use jackfield_smtp::codec::{
    BodyKind, Capability, DeliverBy, Hold, Late, Limit, Notify, Priority, Return,
};
use jackfield_smtp::core::{Config, Protocol, Security};
use jackfield_smtp::{LoginError, RequestError, SessionError, starttls};
use jackfield_socket::{Endpoint, ErrorKind, HostName, TcpConnect};
use jackfield_testing::aiosmtpd::Aiosmtpd;
use jackfield_testing::certs::Authority;
use jackfield_testing::cyrus::{self, Cyrus};
use jackfield_testing::exim::{Exim, Release};
use jackfield_testing::opensmtpd::{self, OpenSmtpd};
use jackfield_testing::postfix::{self, Postfix};
use jackfield_testing::sendmail::{self, Sendmail};
use jackfield_testing::sink::Sink;
use jackfield_testing::unpacked;
use jackfield_tls::{StartTls, TlsConfig};
use tokio::io::AsyncReadExt;
use tokio::task::JoinSet;

/// A server, and what it is known to have.
struct Server {
    authority: Authority,
    plain: SocketAddr,
    /// How a client speaks to it without TLS.
    config: Config,
    /// Whether it takes messages of any size for anybody.
    takes_anything: bool,
    has_tls: bool,
    has_login: bool,
    /// Keywords, of those that [`parameters`] knows.
    offers: &'static [&'static str],
}

/// What a message may ask for: the keyword of the extension, and how it is asked.
fn parameters() -> Vec<(&'static str, fn(&mut Envelope))> {
    vec![
        ("8BITMIME", |to| {
            to.parameters.body = Some(BodyKind::EightBitMime);
        }),
        ("SMTPUTF8", |to| to.parameters.smtp_utf8 = true),
        ("DSN", |to| {
            to.parameters.ret = Some(Return::Headers);
            to.parameters.envelope_id = Some("a+b=c".parse().expect("a name"));
            to.recipients[0].parameters.notify = Some(Notify::NEVER);
        }),
        ("DELIVERBY", |to| {
            let by = DeliverBy::new(120, Late::Return).expect("a time");
            to.parameters.deliver_by = Some(by);
        }),
        ("REQUIRETLS", |to| to.parameters.require_tls = true),
        ("FUTURERELEASE", |to| {
            to.parameters.hold = Some(Hold::For(60));
        }),
        ("MT-PRIORITY", |to| {
            to.parameters.priority = Some(Priority::new(3).expect("a priority"));
        }),
        ("BINARYMIME", |to| {
            to.parameters.body = Some(BodyKind::BinaryMime);
        }),
    ]
}

impl Server {
    fn new(plain: SocketAddr, authority: Authority) -> Self {
        Self {
            authority,
            plain,
            config: config(),
            takes_anything: false,
            has_tls: true,
            has_login: false,
            offers: &[],
        }
    }

    /// A way to it that begins TLS.
    fn securing(&self) -> (impl TcpConnect + use<>, Endpoint) {
        let connector = connector(TlsConfig::new(), &self.authority);
        let network = StartTls::new(Native, connector, starttls::opening());
        let name: HostName = "localhost".parse().expect("a name");
        (network, Endpoint::new(name, self.plain.port()))
    }

    /// A client that begins TLS, and logs in where there is a password.
    fn secured(&self, password: Option<&str>) -> User {
        let (network, at) = self.securing();
        User::new(network, &at, securely(password))
    }

    /// All that it is asked for; what must have arrived.
    async fn play(&self) -> Vec<(String, String)> {
        let user = User::new(Native, &Endpoint::from(self.plain), self.config.clone());
        let mut expected: Vec<_> = taken(&user).await.into_iter().collect();
        expected.push(if self.takes_anything {
            anything(&user).await
        } else {
            refusals(&user).await
        });
        expected.extend(line_ends(&user).await);
        expected.extend(self.parameters(&user, false).await);
        // Most say neither yes nor no, and some nothing at all: the session goes on.
        match user.client.verify("grace".parse().expect("a text")).await {
            Ok(_) | Err(RequestError::Refused(_)) => {}
            Err(error) => panic!("{error}"),
        }
        user.client.noop().await.expect("a sign of life");
        user.close().await;
        let at = Endpoint::from(self.plain);
        expected.extend(pooled("pooled", Native, at, self.config.clone()).await);
        expected.extend(self.tls().await);
        expected
    }

    /// Each thing that a message may ask for is done, or refused without a word to the server.
    async fn parameters(&self, user: &User, is_secured: bool) -> Vec<(String, String)> {
        let mut expected = Vec::new();
        for (keyword, ask) in parameters() {
            let mut to = envelope(&["grace@example.com"]);
            ask(&mut to);
            let name = format!("{keyword}-{is_secured}");
            let sent = user.client.send(to, message(&name, "Grüße\n")).await;
            // It is nothing to ask for where others read along.
            let offers = self.offers.contains(&keyword) && (is_secured || keyword != "REQUIRETLS");
            match sent {
                Ok(outcome) => {
                    assert!(offers && outcome.is_complete(), "{keyword}: {outcome:?}");
                    expected.push((name, "Grüße\n".to_owned()));
                }
                Err(RequestError::Unsupported(what)) => {
                    assert_eq!((what, offers), (keyword, false));
                }
                Err(error) => panic!("{keyword}: {error}"),
            }
        }
        expected
    }

    /// TLS and logins, as far as it has them.
    async fn tls(&self) -> Vec<(String, String)> {
        let mut expected = Vec::new();
        let send = async |user: &User, name: &str| {
            let to = envelope(&["grace@example.com"]);
            user.client.send(to, message(name, "Hi.\n")).await
        };
        let not_connected = |sent: Result<_, RequestError>| match sent {
            Err(RequestError::NotConnected(error)) => *error,
            other => panic!("{other:?}"),
        };
        if !self.has_tls {
            let error = not_connected(send(&self.secured(None), "never").await);
            let ConnectionError::Connect(error) = error else {
                panic!("{error}");
            };
            // The way to TLS begins with SMTP's own word, which LMTP hasn't.
            let kind = match self.config.protocol {
                Protocol::Lmtp => ErrorKind::Protocol,
                _ => ErrorKind::TlsRefused,
            };
            assert_eq!(error.kind(), kind, "{error}");
            return expected;
        }
        let user = self.secured(None);
        send(&user, "over-tls").await.expect("taken");
        expected.push(("over-tls".to_owned(), "Hi.\n".to_owned()));
        expected.extend(self.parameters(&user, true).await);
        user.close().await;

        let (network, at) = self.securing();
        expected.extend(pooled("pooled-over-tls", network, at, securely(None)).await);

        let user = self.secured(Some("correct horse"));
        let sent = send(&user, "logged-in").await;
        if !self.has_login {
            let error = not_connected(sent);
            let is_unavailable = matches!(
                error,
                ConnectionError::Session(SessionError::Login(LoginError::Unavailable))
            );
            assert!(is_unavailable, "{error}");
            return expected;
        }
        sent.expect("let in");
        expected.push(("logged-in".to_owned(), "Hi.\n".to_owned()));
        user.close().await;
        let error = not_connected(send(&self.secured(Some("wrong horse")), "never").await);
        let told = format!("{error} {error:?}");
        assert!(!told.contains("horse"), "{told}");
        let ConnectionError::Session(SessionError::Login(LoginError::Refused(reply))) = error
        else {
            panic!("{told}");
        };
        assert_eq!(reply.code(), 535);

        let (network, at) = self.securing();
        let config = securely(Some("correct horse"));
        expected.extend(pooled("pooled-logged-in", network, at, config).await);
        let (network, at) = self.securing();
        refused_together(network, at, securely(Some("wrong horse"))).await;
        expected
    }
}

/// What a client is told that begins TLS, and logs in where there is a password.
fn securely(password: Option<&str>) -> Config {
    let mut config = config();
    config.security = Security::StartTls;
    let credentials = password.map(|it| Credentials::password("ada", it).expect("valid"));
    config.credentials = credentials;
    config
}

/// Many over a few connections.
async fn pooled(
    name: &str,
    network: impl TcpConnect,
    at: Endpoint,
    config: Config,
) -> Vec<(String, String)> {
    let has_login = config.credentials.is_some();
    let mut config = PoolConfig::new(config);
    config.connections = 3;
    let (pool, mut events, connection) = connect_pool(network, at, config);
    let connection = tokio::spawn(connection);
    let mut all = JoinSet::new();
    for number in 0..30 {
        let (pool, name) = (pool.clone(), format!("{name}-{number}"));
        all.spawn(async move {
            let content = message(&name, "Hi.\n");
            let sent = pool.send(envelope(&["grace@example.com"]), content).await;
            sent.unwrap_or_else(|error| panic!("{name}: {error}"));
            (name, "Hi.\n".to_owned())
        });
    }
    let sent = all.join_all().await;
    let status = pool.status();
    let stand = |it: &Status| matches!(it, Status::Ready(it) if it.login.is_some() == has_login);
    let standing = status.iter().filter(|it| stand(it)).count();
    assert!(standing > 1, "{status:?}");
    pool.close().await;
    connection.await.expect("no panic").expect("in order");
    while let Some(told) = events.next().await {
        // Nobody leaves, and no login that was bound fails.
        assert!(matches!(told.event, ClientEvent::Status(_)), "{told:?}");
    }
    sent
}

/// Many whose password is wrong: none is sent, each is told, and the work ends.
async fn refused_together(network: impl TcpConnect, at: Endpoint, config: Config) {
    let (pool, _, connection) = connect_pool(network, at, PoolConfig::new(config));
    let connection = tokio::spawn(connection);
    let mut all = JoinSet::new();
    for number in 0..30 {
        let pool = pool.clone();
        all.spawn(async move {
            let content = message(&format!("never-{number}"), "Hi.\n");
            pool.send(envelope(&["grace@example.com"]), content).await
        });
    }
    for sent in all.join_all().await {
        let Err(RequestError::NotConnected(error)) = sent else {
            panic!("{sent:?}");
        };
        assert!(is_refused(&error), "{error}");
    }
    let ended = connection.await.expect("no panic");
    assert!(is_refused(&ended.expect_err("it can't go on")));
}

fn is_refused(error: &client::ConnectionError) -> bool {
    matches!(
        error,
        ConnectionError::Session(SessionError::Login(LoginError::Refused(_)))
    )
}

/// Whom others don't know it knows, and what is too large for others it takes. Returns what arrives.
async fn anything(user: &User) -> (String, String) {
    let text = "a line of thirty-two characters\n".repeat(40_000);
    let to = envelope(&["nobody@example.com", "grace@example.com"]);
    let sent = user.client.send(to, message("large", &text)).await;
    assert!(sent.expect("taken").is_complete());
    ("large".to_owned(), text)
}

/// Line ends of all kinds, in memory and read from somewhere in pieces.
async fn line_ends(user: &User) -> Vec<(String, String)> {
    let text = "a\nb\r\nc\rd\n\r.\r..\n.\r\n\n.e\r\r\nf\n";
    let lines = "a\nb\nc\nd\n\n.\n..\n.\n\n.e\n\nf\n";
    let content = message("line-ends", text);
    let to = || envelope(&["grace@example.com"]);
    user.client
        .send(to(), content.clone())
        .await
        .expect("taken");
    let (head, tail) = content.split_at(content.len() - 9);
    let source = AsyncReadExt::chain(head.as_bytes(), tail.as_bytes());
    let sent = user.client.send_from(to(), source, None).await;
    sent.expect("taken");
    vec![("line-ends".to_owned(), lines.to_owned()); 2]
}

/// Sees that these have arrived, and no others.
fn have_arrived(messages: io::Result<Vec<Vec<u8>>>, mut expected: Vec<(String, String)>) {
    let messages = messages.expect("all");
    let mut came: Vec<_> = messages.iter().map(|it| parts(it)).collect();
    came.sort();
    expected.sort();
    for (came, expected) in came.iter().zip(&expected) {
        assert_eq!(came, expected);
    }
    assert_eq!(came.len(), expected.len());
}

#[tokio::test]
async fn exim() {
    if unpacked::is_skipped(Release::Stable.name()) {
        return;
    }
    let authority = Authority::new();
    let running = Exim::start(Release::Stable, &authority.server(&NAMES)).await;
    let running = running.expect("the server");
    let mut server = Server::new(running.plain(), authority);
    server.has_login = true;
    server.offers = &["8BITMIME", "SMTPUTF8", "DSN"];
    let expected = server.play().await;
    have_arrived(running.messages(expected.len()).await, expected);
}

#[tokio::test]
async fn exim_that_says_how_much_it_takes() {
    if unpacked::is_skipped(Release::Sid.name()) {
        return;
    }
    let authority = Authority::new();
    let running = Exim::start(Release::Sid, &authority.server(&NAMES)).await;
    let running = running.expect("the server");
    let mut server = Server::new(running.plain(), authority);
    server.has_login = true;
    server.offers = &["8BITMIME", "SMTPUTF8", "DSN"];
    let expected = server.play().await;
    have_arrived(running.messages(expected.len()).await, expected);

    let user = User::new(Native, &Endpoint::from(running.plain()), config());
    user.client.noop().await.expect("a sign of life");
    let Status::Ready(known) = user.client.status() else {
        panic!("it stands");
    };
    let limits: Vec<Limit> = known.capabilities.limits().cloned().collect();
    let mails = limits.iter().any(|it| matches!(it, Limit::Mails(1000)));
    let recipients = limits
        .iter()
        .any(|it| matches!(it, Limit::Recipients(50_000)));
    assert!(mails && recipients, "{limits:?}");
    user.close().await;
}

#[tokio::test]
async fn opensmtpd() {
    if unpacked::is_skipped(opensmtpd::NAME) {
        return;
    }
    let running = OpenSmtpd::start().await.expect("the server");
    let mut server = Server::new(running.plain(), Authority::new());
    server.has_tls = false;
    server.offers = &["8BITMIME", "DSN"];
    let expected = server.play().await;
    have_arrived(running.messages(expected.len()).await, expected);
    takes_nothing_ahead(&running).await;
}

#[tokio::test]
async fn opensmtpd_with_a_login() {
    if unpacked::is_skipped(opensmtpd::NEWER) {
        return;
    }
    let authority = Authority::new();
    let running = OpenSmtpd::start_newer(&authority.server(&NAMES)).await;
    let running = running.expect("the server");
    let mut server = Server::new(running.plain(), authority);
    server.has_login = true;
    server.offers = &["8BITMIME", "DSN"];
    let expected = server.play().await;
    have_arrived(running.messages(expected.len()).await, expected);
    takes_nothing_ahead(&running).await;
}

async fn takes_nothing_ahead(running: &OpenSmtpd) {
    let user = User::new(Native, &Endpoint::from(running.plain()), config());
    user.client.noop().await.expect("a sign of life");
    let Status::Ready(known) = user.client.status() else {
        panic!("it stands");
    };
    assert!(!known.capabilities.has(&Capability::Pipelining));
    user.close().await;
}

#[tokio::test]
async fn postfix() {
    if unpacked::is_skipped(postfix::NAME) {
        return;
    }
    let authority = Authority::new();
    let running = Postfix::start(&authority.server(&NAMES)).await;
    let running = running.expect("the server");
    let mut server = Server::new(running.plain(), authority);
    server.offers = &["8BITMIME", "SMTPUTF8", "DSN"];
    let expected = server.play().await;
    have_arrived(running.messages("grace", expected.len()).await, expected);
}

#[tokio::test]
async fn postfix_that_has_requiretls() {
    if unpacked::is_skipped(postfix::NEWER) {
        return;
    }
    let authority = Authority::new();
    let running = Postfix::start_newer(&authority.server(&NAMES)).await;
    let running = running.expect("the server");
    let mut server = Server::new(running.plain(), authority);
    server.offers = &["8BITMIME", "SMTPUTF8", "DSN", "REQUIRETLS"];
    let expected = server.play().await;
    have_arrived(running.messages("grace", expected.len()).await, expected);
}

#[tokio::test]
async fn sendmail() {
    if unpacked::is_skipped(sendmail::NAME) {
        return;
    }
    let authority = Authority::new();
    let running = Sendmail::start(&authority.server(&NAMES)).await;
    let running = running.expect("the server");
    let mut server = Server::new(running.plain(), authority);
    server.has_login = true;
    server.offers = &["8BITMIME", "DSN", "DELIVERBY"];
    let expected = server.play().await;
    have_arrived(running.messages(expected.len()).await, expected);
}

#[tokio::test]
async fn aiosmtpd() {
    let authority = Authority::new();
    let running = Aiosmtpd::start(&authority.server(&NAMES)).await;
    let running = running.expect("the server");
    let mut server = Server::new(running.free(), authority);
    server.has_login = true;
    server.offers = &["8BITMIME", "SMTPUTF8"];
    let expected = server.play().await;
    have_arrived(running.messages(expected.len()).await, expected);
}

#[tokio::test]
async fn smtp_sink() {
    if unpacked::is_skipped(postfix::NAME) {
        return;
    }
    let running = Sink::smtp().await.expect("the server");
    let mut server = Server::new(running.plain(), Authority::new());
    server.takes_anything = true;
    server.has_tls = false;
    server.offers = &["8BITMIME", "DSN"];
    let expected = server.play().await;
    have_arrived(running.messages(expected.len()).await, expected);
}

#[tokio::test]
async fn smtp_sink_by_lmtp() {
    if unpacked::is_skipped(postfix::NAME) {
        return;
    }
    let running = Sink::lmtp().await.expect("the server");
    let mut server = Server::new(running.plain(), Authority::new());
    server.config = lmtp();
    server.takes_anything = true;
    server.has_tls = false;
    server.offers = &["8BITMIME", "DSN"];
    let expected = server.play().await;
    have_arrived(running.messages(expected.len()).await, expected);
}

#[tokio::test]
async fn cyrus_answers_for_each_by_lmtp() {
    if unpacked::is_skipped(cyrus::NAME) {
        return;
    }
    let authority = Authority::new();
    let running = Cyrus::start(&authority.server(&NAMES)).await;
    let running = running.expect("the server");
    let mut config: Config = lmtp();
    for depth in [1, 8] {
        config.pipeline_depth = depth;
        let user = User::new(Native, &Endpoint::from(running.lmtp()), config.clone());
        for number in 0..10 {
            let to = ["ada@localhost", "grace@localhost"];
            let content = message(&format!("{depth}-{number}"), ".Grüße\n.\n");
            let sent = user.client.send(envelope(&to), content).await;
            let sent = sent.expect("taken");
            assert!(sent.is_complete(), "{sent:?}");
            let accepted: Vec<_> = sent.accepted().map(ToString::to_string).collect();
            assert_eq!(accepted, to);
        }
        user.close().await;
    }
}

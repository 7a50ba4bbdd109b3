//! IRC's login by SCRAM over TLS 1.3, on a server whose SCRAM others wrote: none of the IRC servers at
//! hand has it.

use std::io::Cursor;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;

use jackfield_irc::client::{ClientConfig, ClientEvent};
use jackfield_irc::core::{Credentials, Event, Mechanism};
use jackfield_native::Native;
use jackfield_sasl::base64;
use jackfield_server_tests::user::{User, config};
use jackfield_server_tests::{NAMES, identity_of, trusting};
use jackfield_socket::{ByteStream, Endpoint, ListenOptions, TcpListen, TcpListener};
use jackfield_testing::certs::Authority;
use jackfield_tls::{TlsAcceptor, TlsListener, TlsServerConfig};
use ring::{digest, hmac, pbkdf2};
use rsasl::callback::{Context, Request, SessionCallback, SessionData};
use rsasl::mechanisms::scram::properties::ScramStoredPassword;
use rsasl::mechanisms::scram::{SCRAM_SHA256, SCRAM_SHA256_PLUS};
use rsasl::mechname::Mechname;
use rsasl::prelude::{Registry, SASLConfig, SASLServer, Session, SessionError, State};
use rsasl::property::{AuthId, ChannelBindings};
use rsasl::validate::{Validate, Validation, ValidationError};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::task::JoinHandle;

const PASSWORD: &str = "correct horse, e\u{301}=";
const SALT: &[u8] = b"a salt";
const ROUNDS: u32 = 4096;

#[tokio::test]
async fn a_login_is_bound_to_its_connection() {
    let authority = Authority::new();
    let server = Server::start(&authority, "SCRAM-SHA-256,SCRAM-SHA-256-PLUS,PLAIN", |it| {
        it
    })
    .await;
    let mut user = User::start(trusting(&authority), &server.at(), login(PASSWORD));
    let (_, account) = user.registered().await;
    assert_eq!(account.as_deref(), Some("SCRAM-SHA-256-PLUS"));
    assert_eq!(refused(&user), []);
}

/// TLS ends before the server, or is broken up by someone between: either way, what the two ends see
/// isn't the same.
#[tokio::test]
async fn a_binding_that_does_not_match_is_told() {
    let authority = Authority::new();
    let other = |_: Option<[u8; 32]>| Some([7; 32]);
    let server = Server::start(&authority, "SCRAM-SHA-256,SCRAM-SHA-256-PLUS", other).await;
    let mut user = User::start(trusting(&authority), &server.at(), login(PASSWORD));
    let (_, account) = user.registered().await;
    assert_eq!(account.as_deref(), Some("SCRAM-SHA-256"));
    assert_eq!(refused(&user), [Mechanism::ScramSha256Plus]);
}

#[tokio::test]
async fn a_server_that_cannot_bind_is_told_that_it_could() {
    let authority = Authority::new();
    let server = Server::start(&authority, "PLAIN,SCRAM-SHA-256", |it| it).await;
    let mut user = User::start(trusting(&authority), &server.at(), login(PASSWORD));
    let (_, account) = user.registered().await;
    assert_eq!(account.as_deref(), Some("SCRAM-SHA-256"));
}

#[tokio::test]
async fn a_wrong_password_is_for_good() {
    let authority = Authority::new();
    let server = Server::start(&authority, "SCRAM-SHA-256,SCRAM-SHA-256-PLUS", |it| it).await;
    let user = User::start(trusting(&authority), &server.at(), login("another"));
    let error = user.ended().await.expect_err("it is refused").to_string();
    assert!(error.contains("invalid-proof"), "{error}");
}

fn login(password: &str) -> ClientConfig {
    let mut config = config("ada");
    config.session.sasl = Some(Credentials::password("ada", password).expect("a login"));
    config
}

/// The mechanisms that were told to be refused.
fn refused(user: &User) -> Vec<Mechanism> {
    let events = user.events().into_iter();
    let refused = events.filter_map(|event| match event {
        ClientEvent::Event(Event::MechanismRefused { mechanism, .. }) => Some(mechanism),
        _ => None,
    });
    refused.collect()
}

/// As much of an IRC server as a login takes; the account that it tells is the mechanism.
struct Server {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Server {
    /// `sees` makes of the binding that the connection has what this server takes it for.
    async fn start(
        authority: &Authority,
        mechanisms: &'static str,
        sees: fn(Option<[u8; 32]>) -> Option<[u8; 32]>,
    ) -> Self {
        let at = SocketAddr::from(([127, 0, 0, 1], 0));
        let listener = Native.listen(at, &ListenOptions::default()).await;
        let listener = listener.expect("a port");
        let address = listener.local_addr().expect("its address");
        let config = TlsServerConfig::new(identity_of(&authority.server(&NAMES)));
        let acceptor = TlsAcceptor::new(config).expect("a configuration");
        let mut listener = TlsListener::new(listener, acceptor);
        let task = tokio::spawn(async move {
            loop {
                let stream = listener.accept().await.expect("a connection");
                let binding = sees(stream.tls_exporter());
                serve(stream, mechanisms, binding).await;
            }
        });
        Self { address, task }
    }

    fn at(&self) -> Endpoint {
        let server = format!("localhost:{}", self.address.port());
        server.parse().expect("an endpoint")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// One client, until it leaves.
async fn serve(stream: impl ByteStream, mechanisms: &str, binding: Option<[u8; 32]>) {
    let mut stream = BufReader::new(stream);
    let mut login: Option<Login> = None;
    let mut line = String::new();
    while stream.read_line(&mut line).await.is_ok_and(|read| read > 0) {
        let (command, rest) = line.trim_end().split_once(' ').unwrap_or_default();
        let answers = match (command, &mut login) {
            ("CAP", _) if rest.starts_with("LS") => vec![format!(":x CAP * LS :sasl={mechanisms}")],
            ("CAP", _) if rest.starts_with("REQ") => vec![":x CAP * ACK :sasl".to_owned()],
            ("CAP", _) => [":x 001 ada :Welcome", ":x 422 ada :No MOTD"]
                .map(str::to_owned)
                .to_vec(),
            ("PING", _) => vec![format!(":x PONG x {rest}")],
            ("AUTHENTICATE", Some(login)) if rest != "*" => login.answer(rest),
            ("AUTHENTICATE", None) => {
                login = Some(Login::start(rest, binding));
                vec!["AUTHENTICATE +".to_owned()]
            }
            _ => Vec::new(),
        };
        for answer in answers {
            let written = stream.write_all(format!("{answer}\r\n").as_bytes()).await;
            written.expect("the client listens");
        }
        stream.flush().await.expect("the client listens");
        line.clear();
    }
}

/// A login on the server's side.
struct Login {
    session: Session<LetIn>,
    finished: bool,
}

/// Told for who has been let in.
struct LetIn;

impl Validation for LetIn {
    type Value = String;
}

impl Login {
    fn start(mechanism: &str, binding: Option<[u8; 32]>) -> Self {
        let theirs = match mechanism {
            "SCRAM-SHA-256" => SCRAM_SHA256,
            "SCRAM-SHA-256-PLUS" => SCRAM_SHA256_PLUS,
            other => panic!("{other} is weaker than what is offered"),
        };
        let registry = Registry::with_mechanisms(Box::leak(Box::new([theirs])));
        let config = SASLConfig::builder().with_registry(registry);
        let config: Arc<SASLConfig> = config
            .with_callback(Known { binding })
            .expect("a configuration");
        let name = Mechname::parse(mechanism.as_bytes()).expect("a name");
        let server = SASLServer::<LetIn>::new(config);
        Self {
            session: server.start_suggested(name).expect("it is known"),
            finished: false,
        }
    }

    fn answer(&mut self, message: &str) -> Vec<String> {
        if self.finished {
            let account = self.session.validation().expect("who has been let in");
            return vec![
                format!(":x 900 ada ada!a@h {account} :You are logged in"),
                ":x 903 ada :SASL authentication successful".to_owned(),
            ];
        }
        let message = base64::decode(message).expect("base64");
        let mut challenge = Cursor::new(Vec::new());
        let state = self.session.step(Some(&message), &mut challenge);
        self.finished = matches!(state.expect("it goes on"), State::Finished(_));
        let challenge = challenge.into_inner();
        let mut answers = vec![format!("AUTHENTICATE {}", base64::encode(&challenge))];
        if challenge.starts_with(b"e=") {
            answers.push(":x 904 ada :SASL authentication failed".to_owned());
        }
        answers
    }
}

/// What the server knows: the one account, and what its end of the connection is bound to.
struct Known {
    binding: Option<[u8; 32]>,
}

impl SessionCallback for Known {
    fn callback(
        &self,
        _session: &SessionData,
        context: &Context<'_>,
        request: &mut Request<'_>,
    ) -> Result<(), SessionError> {
        let mut salted = [0; digest::SHA256_OUTPUT_LEN];
        // As SASLprep leaves it.
        let password = PASSWORD.replace("e\u{301}", "é");
        let rounds = NonZeroU32::new(ROUNDS).expect("some");
        let algorithm = pbkdf2::PBKDF2_HMAC_SHA256;
        pbkdf2::derive(algorithm, rounds, SALT, password.as_bytes(), &mut salted);
        let stored = digest::digest(&digest::SHA256, sign(&salted, "Client Key").as_ref());
        let server = sign(&salted, "Server Key");
        let keys = ScramStoredPassword::new(ROUNDS, SALT, stored.as_ref(), server.as_ref());
        if context.get_ref::<AuthId>() == Some("ada") {
            request.satisfy::<ScramStoredPassword<'_>>(&keys)?;
        }
        if let Some(binding) = &self.binding {
            request.satisfy::<ChannelBindings>(binding)?;
        }
        Ok(())
    }

    fn validate(
        &self,
        session: &SessionData,
        _context: &Context<'_>,
        validate: &mut Validate<'_>,
    ) -> Result<(), ValidationError> {
        validate.with::<LetIn, _>(|| Ok(session.mechanism().to_string()))?;
        Ok(())
    }

    fn enable_channel_binding(&self) -> bool {
        self.binding.is_some()
    }
}

fn sign(key: &[u8], text: &str) -> hmac::Tag {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes())
}

//! `jackfield imap`: reads mailboxes, and writes into them.

mod append;
pub(crate) mod args;
mod criteria;
mod fetch;
mod file;
mod list;
mod maildir;
mod search;
mod sync;
mod watch;

use std::pin::pin;

use jackfield_imap::client::{self, Client, ClientConfig, ClientEvent, Connection, Events, Status};
use jackfield_imap::codec::{InvalidValue, MailboxName, Reason};
use jackfield_imap::core::{Event, Security, Selected};
use jackfield_imap::{RequestError, SessionError};
use jackfield_socket::{AnyNetwork, Endpoint, Error, ErrorKind, Result};

use self::args::{ImapCommand, MailboxArgs};
use crate::args::BackendArgs;
use crate::failure::{Failure, Step};
use crate::leave::{self, Leave};
use crate::mail::args::MailArgs;
use crate::mail::{Address, Dial, Phase, Scheme, credentials, not_connected};
use crate::output::tell;

impl ImapCommand {
    pub(crate) fn backend(&self) -> &BackendArgs {
        &self.server().1.backend
    }
}

pub(crate) async fn run(
    command: &ImapCommand,
    network: &AnyNetwork,
    leave: &Leave,
) -> Result<(), Failure> {
    if let ImapCommand::Watch(args) = command {
        return watch::run(args, network, leave).await;
    }
    let (address, mail) = command.server();
    let mut server = Server::new(address, mail, network).step("setting up the connection")?;
    server.config.connection.reconnect = None;
    let (client, mut events, connection) = server.connect();
    let mut connection = pin!(connection);
    let mut is_ended = false;
    let worked = leave.unless_asked(async {
        let mut work = pin!(work(command, &server, &client));
        let mut listen = pin!(server.listen(&mut events));
        let mut is_heard = false;
        let (outcome, ended) = loop {
            tokio::select! {
                biased;
                outcome = &mut work => break (outcome, None),
                // What was asked for has its outcome by then.
                ended = &mut connection => break (work.await, Some(ended)),
                () = &mut listen, if !is_heard => is_heard = true,
            }
        };
        let ended = match (&outcome, ended) {
            // Why there is no connection says more.
            (Err(Stopped::Request { error, .. }), None) if is_lost(error) => {
                leave::farewell(&mut connection).await
            }
            (_, ended) => ended,
        };
        is_ended = ended.is_some();
        match (outcome, ended) {
            (Err(Stopped::Request { error, .. }), Some(Err(why))) if is_lost(&error) => {
                Err(server.failure(&why))
            }
            (Err(Stopped::Request { step, error }), _) => Err(not_done(step, &error)),
            (Err(Stopped::Failure(failure)), _) => Err(failure),
            (Ok(()), _) => Ok(()),
        }
    });
    let worked = worked.await;
    drop(events);
    if !is_ended {
        leave::farewell(async { tokio::join!(client.close(), connection) }).await;
    }
    worked
}

async fn work(command: &ImapCommand, server: &Server, client: &Client) -> Result<(), Stopped> {
    match command {
        ImapCommand::List(args) => list::run(args, client).await,
        ImapCommand::Search(args) => search::run(args, client).await,
        ImapCommand::Fetch(args) => fetch::run(args, client).await,
        ImapCommand::Append(args) => append::run(args, client).await,
        ImapCommand::Sync(args) => sync::run(args, server, client).await,
        // It goes on over several connections.
        ImapCommand::Watch(_) => Ok(()),
    }
}

/// The mailbox that the address names.
fn mailbox(args: &MailboxArgs) -> Result<MailboxName, Failure> {
    let Some(name) = args.address.mailbox() else {
        return Ok(MailboxName::inbox());
    };
    let parsed = name.parse();
    parsed
        .map_err(|error: InvalidValue| Error::new(ErrorKind::InvalidInput, error.to_string()))
        .step(format!("opening {name}"))
}

/// Opens the mailbox that the address names, to look only.
async fn examine(args: &MailboxArgs, client: &Client) -> Result<Selected, Stopped> {
    let name = mailbox(args)?;
    let examined = client.examine(name.clone()).await;
    examined.asked(|| format!("opening {name}"))
}

/// A server, and how to reach it.
struct Server {
    endpoint: Endpoint,
    dial: Dial,
    config: ClientConfig,
}

impl Server {
    fn new(address: &Address, args: &MailArgs, network: &AnyNetwork) -> Result<Self> {
        let credentials = credentials(args, address)?.ok_or_else(|| {
            let text = "whom to log in as is not said: imaps://USER@HOST, or --user NAME";
            Error::new(ErrorKind::InvalidInput, text)
        })?;
        let dial = Dial::new(address, args, network)?;
        let mut config = ClientConfig::new(credentials);
        config.connection.connect_timeout = dial.patience();
        config.session.security = match address.scheme() {
            _ if dial.is_plain() => Security::Plaintext,
            Scheme::Imaps => Security::Tls,
            _ => Security::StartTls,
        };
        config.session.password_in_the_clear = args.password_in_the_clear;
        Ok(Self {
            endpoint: address.endpoint().clone(),
            dial,
            config,
        })
    }

    /// Whom one is logged in as; nothing where the certificate says it.
    fn user(&self) -> &str {
        self.config.session.credentials.username()
    }

    fn connect(&self) -> (Client, Events, Connection) {
        client::connect(
            self.dial.clone(),
            self.endpoint.clone(),
            self.config.clone(),
        )
    }

    /// Tells what a server wants people to know, until the client has ended.
    async fn listen(&self, events: &mut Events) {
        while let Some(event) = events.next().await {
            self.hear(&event);
        }
    }

    fn hear(&self, event: &ClientEvent) {
        match event {
            ClientEvent::Status(Status::Ready(_)) => {
                self.dial.reached(Phase::LoggedIn);
                self.dial.say(&format!("logged in to {}", self.endpoint));
            }
            ClientEvent::Event(Event::Alert(text)) => {
                tell(format_args!("jackfield: the server says: {text}"));
            }
            ClientEvent::Event(Event::LoginNotBound) => {
                self.dial
                    .say("the log-in is not bound to the TLS connection: that was refused");
            }
            _ => {}
        }
    }

    fn failure(&self, error: &client::ConnectionError) -> Failure {
        let server = &self.endpoint;
        not_connected(server, &self.dial, error, |error| {
            let is_login = matches!(
                error,
                SessionError::LoginRefused(_)
                    | SessionError::NoLogin
                    | SessionError::Sasl(_)
                    | SessionError::LoginTimedOut
            );
            let step = if is_login {
                format!("logging in to {server}")
            } else {
                self.dial.phase().step(server, ErrorKind::Other)
            };
            let hint = match error {
                SessionError::NoLogin if self.dial.is_plain() => {
                    Some("TLS, or --password-in-the-clear where nobody can listen")
                }
                SessionError::LoginRefused(refusal) if refusal.retry_after().is_none() => {
                    Some("the password: many providers want one made for apps, or --oauth")
                }
                _ => None,
            };
            (step, kind(error), hint.map(str::to_owned))
        })
    }
}

/// Why a command's work has stopped.
enum Stopped {
    Failure(Failure),
    Request { step: String, error: RequestError },
}

impl From<Failure> for Stopped {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

/// Names the step for which something was asked of the server.
trait Asked<T> {
    fn asked(self, step: impl FnOnce() -> String) -> Result<T, Stopped>;
}

impl<T> Asked<T> for Result<T, RequestError> {
    fn asked(self, step: impl FnOnce() -> String) -> Result<T, Stopped> {
        let step = |error| Stopped::Request {
            step: step(),
            error,
        };
        self.map_err(step)
    }
}

/// Whether a request failed since there is no connection any more.
fn is_lost(error: &RequestError) -> bool {
    matches!(
        error,
        RequestError::ConnectionLost(_) | RequestError::NotConnected | RequestError::Closed
    )
}

fn kind(error: &SessionError) -> ErrorKind {
    match error {
        SessionError::LoginRefused(_) | SessionError::NoLogin | SessionError::Sasl(_) => {
            ErrorKind::Denied
        }
        SessionError::NotEncrypted | SessionError::PreAuth => ErrorKind::TlsRefused,
        SessionError::NotImap => ErrorKind::Protocol,
        SessionError::LimitExceeded(_) => ErrorKind::LimitExceeded,
        SessionError::LoginTimedOut | SessionError::TimedOut => ErrorKind::TimedOut,
        SessionError::Bye(_) => ErrorKind::Closed,
        SessionError::Ended | SessionError::Truncated => ErrorKind::UnexpectedEof,
        SessionError::Invalid(_) => ErrorKind::InvalidInput,
        _ => ErrorKind::Other,
    }
}

/// A request that failed.
fn not_done(step: String, error: &RequestError) -> Failure {
    let reason = match error {
        RequestError::Refused(refusal) => refusal.reason(),
        _ => None,
    };
    let kind = match error {
        RequestError::Refused(_) => match reason {
            Some(
                Reason::NoPerm
                | Reason::AuthenticationFailed
                | Reason::AuthorizationFailed
                | Reason::Expired,
            ) => ErrorKind::Denied,
            _ => ErrorKind::Other,
        },
        RequestError::Throttled(_) | RequestError::TimedOut => ErrorKind::TimedOut,
        RequestError::ConnectionLost(_) | RequestError::NotConnected => ErrorKind::Reset,
        RequestError::Closed => ErrorKind::Closed,
        RequestError::TooLarge | RequestError::MessageTooLarge { .. } => ErrorKind::LimitExceeded,
        RequestError::Unsupported(_) => ErrorKind::Unsupported,
        RequestError::Invalid(_) => ErrorKind::InvalidInput,
        _ => ErrorKind::Other,
    };
    let hint = (reason == Some(Reason::NonExistent))
        .then_some("jackfield imap list, which says what mailboxes there are");
    Failure::new(step, Error::new(kind, error.to_string())).with_hint(hint)
}

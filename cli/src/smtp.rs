//! `jackfield smtp`: sends mail, and tells what a server can do.

pub(crate) mod args;
mod send;
mod verify;

use std::pin::pin;

use jackfield_smtp::client::{self, Client, ClientConfig, ConnectionError};
use jackfield_smtp::codec::Reply;
use jackfield_smtp::core::{Config, Protocol, Security, Step as At};
use jackfield_smtp::{LoginError, RequestError, SessionError};
use jackfield_socket::{AnyNetwork, Endpoint, Error, ErrorKind, Result};

use self::args::{ServerArgs, SmtpCommand};
use self::send::Prepared;
use crate::args::BackendArgs;
use crate::failure::{Failure, Step};
use crate::leave::{self, Leave};
use crate::mail::{Dial, Scheme, credentials, not_connected};

impl SmtpCommand {
    pub(crate) fn backend(&self) -> &BackendArgs {
        &self.server().mail.backend
    }
}

pub(crate) async fn run(
    command: &SmtpCommand,
    network: &AnyNetwork,
    leave: &Leave,
) -> Result<(), Failure> {
    let server = command.server();
    let endpoint = server.address.endpoint();
    let dial = Dial::new(&server.address, &server.mail, network);
    let dial = dial.step("setting up the connection")?;
    let config = config(server, &dial).step("setting up the connection")?;
    let prepared = leave.unless_asked(async {
        Ok(match command {
            SmtpCommand::Send(args) => Some(send::prepare(args).await?),
            SmtpCommand::Verify(_) => None,
        })
    });
    let prepared = prepared.await?;
    let (client, _, connection) = client::connect(dial.clone(), endpoint.clone(), config);
    let mut connection = pin!(connection);
    let mut is_ended = false;
    let worked = leave.unless_asked(async {
        let mut work = pin!(work(command, prepared, &client));
        let ended = tokio::select! {
            biased;
            outcome = &mut work => {
                return outcome.map_err(|stopped| stopped.failure(endpoint, &dial));
            }
            ended = &mut connection => ended,
        };
        is_ended = true;
        // What was asked for has its outcome by now, which may say more.
        match (work.await, ended) {
            (
                Err(Stopped::Request {
                    error: RequestError::Closed | RequestError::ConnectionLost,
                    ..
                }),
                Err(error),
            ) => Err(lost(endpoint, &dial, &error)),
            (outcome, _) => outcome.map_err(|stopped| stopped.failure(endpoint, &dial)),
        }
    });
    let worked = worked.await;
    if !is_ended {
        leave::farewell(async { tokio::join!(client.close(), connection) }).await;
    }
    worked
}

async fn work(
    command: &SmtpCommand,
    prepared: Option<Prepared>,
    client: &Client,
) -> Result<(), Stopped> {
    match (command, prepared) {
        (SmtpCommand::Send(_), Some(prepared)) => send::run(prepared, client).await,
        (SmtpCommand::Verify(args), _) => verify::run(args, client).await,
        (SmtpCommand::Send(_), None) => Ok(()),
    }
}

fn config(server: &ServerArgs, dial: &Dial) -> Result<ClientConfig> {
    let mut config = Config::new(server.helo.clone());
    config.credentials = credentials(&server.mail, &server.address)?;
    config.allow_plaintext_auth = server.mail.password_in_the_clear;
    config.security = match server.address.scheme() {
        _ if dial.is_plain() => Security::Plaintext,
        Scheme::Smtps => Security::Tls,
        _ => Security::StartTls,
    };
    if server.address.scheme() == Scheme::Lmtp {
        config.protocol = Protocol::Lmtp;
    }
    let mut config = ClientConfig::new(config);
    config.connection.reconnect = None;
    config.connection.connect_timeout = dial.patience();
    Ok(config)
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

impl Stopped {
    fn failure(self, endpoint: &Endpoint, dial: &Dial) -> Failure {
        match self {
            Self::Failure(failure) => failure,
            Self::Request { step, error } => not_done(endpoint, dial, step, &error),
        }
    }
}

fn lost(endpoint: &Endpoint, dial: &Dial, error: &ConnectionError) -> Failure {
    not_connected(endpoint, dial, error, |error| {
        let (step, kind) = match error {
            SessionError::Login(error) => {
                let kind = match error {
                    LoginError::Refused(reply) if reply.is_temporary() => ErrorKind::Other,
                    _ => ErrorKind::Denied,
                };
                ("logging in to", kind)
            }
            SessionError::Refused(At::Greeting, _) => {
                ("waiting for the greeting of", ErrorKind::Other)
            }
            SessionError::Refused(_, reply) => ("introducing ourselves to", refused(reply)),
            SessionError::Malformed(_) | SessionError::Unexpected(At::Greeting, _) => {
                ("waiting for the greeting of", ErrorKind::Protocol)
            }
            SessionError::Unexpected(..) | SessionError::Unasked(_) => {
                ("talking to", ErrorKind::Protocol)
            }
            SessionError::TimedOut(At::Greeting) => {
                ("waiting for the greeting of", ErrorKind::TimedOut)
            }
            SessionError::TimedOut(_) => ("talking to", ErrorKind::TimedOut),
            SessionError::ClosedByServer(_) => ("talking to", ErrorKind::Closed),
            SessionError::Ended | SessionError::Truncated => {
                ("talking to", ErrorKind::UnexpectedEof)
            }
            _ => ("talking to", ErrorKind::Other),
        };
        let hint = match error {
            SessionError::Login(LoginError::Plaintext) => {
                Some("TLS, or --password-in-the-clear where nobody can listen")
            }
            SessionError::Login(LoginError::Unavailable) => {
                Some("an address without a user, where the server has no log-in; or --oauth")
            }
            SessionError::Login(LoginError::Refused(reply)) if !reply.is_temporary() => {
                Some("the password: many providers want one made for apps, or --oauth")
            }
            _ => None,
        };
        (format!("{step} {endpoint}"), kind, hint.map(str::to_owned))
    })
}

/// A request that failed.
fn not_done(endpoint: &Endpoint, dial: &Dial, step: String, error: &RequestError) -> Failure {
    let kind = match error {
        RequestError::NotConnected(error) => return lost(endpoint, dial, error),
        RequestError::Refused(refusal) => refused(&refusal.reply),
        RequestError::ConnectionLost => ErrorKind::Reset,
        RequestError::TimedOut => ErrorKind::TimedOut,
        RequestError::TooLarge { .. } | RequestError::TooManyRecipients { .. } => {
            ErrorKind::LimitExceeded
        }
        RequestError::Unsupported(_) => ErrorKind::Unsupported,
        RequestError::NoRecipients | RequestError::Nul => ErrorKind::InvalidInput,
        RequestError::Closed => ErrorKind::Closed,
        _ => ErrorKind::Other,
    };
    let hint = match error {
        RequestError::Refused(_) if error.is_temporary() => Some("later: the server says not now"),
        RequestError::OutcomeUnknown(_) => {
            Some("to find out whether it arrived, before sending it again")
        }
        _ => None,
    };
    let failure = Failure::new(step, Error::new(kind, error.to_string())).with_hint(hint);
    match error {
        RequestError::OutcomeUnknown(_) => failure.with_code(9),
        _ => failure,
    }
}

/// What a refusal is: of whoever asks (RFC 3463: 7 is policy), or of something else.
fn refused(reply: &Reply) -> ErrorKind {
    let is_policy = reply.enhanced().is_some_and(|code| code.subject == 7);
    if is_policy || matches!(reply.code(), 530 | 535 | 538) {
        ErrorKind::Denied
    } else {
        ErrorKind::Other
    }
}

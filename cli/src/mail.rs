//! Mail: what `jackfield imap` and `jackfield smtp` have in common, which is how a server is named,
//! reached and logged in to.

mod address;
pub(crate) mod args;
mod dial;

pub(crate) use self::address::{Address, Scheme};
pub(crate) use self::dial::{Dial, Phase};

use jackfield_client::ConnectionError;
use jackfield_sasl::Credentials;
use jackfield_socket::{Endpoint, Error, ErrorKind, Result};

use self::args::MailArgs;
use crate::failure::Failure;
use crate::secret::{PASSWORD_VARIABLE, secret};

/// Who the user is, and what proves it; `None` where nobody was named.
pub(crate) fn credentials(args: &MailArgs, address: &Address) -> Result<Option<Credentials>> {
    let invalid = |what: String| Error::new(ErrorKind::InvalidInput, what);
    if args.external {
        return Ok(Some(Credentials::external()));
    }
    let Some(user) = args.user.as_deref().or(address.user()) else {
        return Ok(None);
    };
    let secret = secret(args.password_file.as_deref(), PASSWORD_VARIABLE)?;
    let Some(secret) = secret else {
        return Err(invalid(format!(
            "to log in as {user} takes a password, in {PASSWORD_VARIABLE} or --password-file"
        )));
    };
    let credentials = if args.oauth {
        let (host, port) = (address.endpoint().host(), address.endpoint().port());
        Credentials::token(user, secret.trim())
            .and_then(|token| token.with_server(&host.to_string(), port))
    } else {
        Credentials::password(user, &secret)
    };
    credentials
        .map(Some)
        .map_err(|error| invalid(error.to_string()))
}

/// Why there is no connection: the step is the one that was under way.
pub(crate) fn not_connected<E: std::error::Error>(
    server: &Endpoint,
    dial: &Dial,
    error: &ConnectionError<E>,
    session: impl FnOnce(&E) -> (String, ErrorKind, Option<String>),
) -> Failure {
    match error {
        ConnectionError::Session(error) => {
            let (step, kind, hint) = session(error);
            let mut told = Error::new(kind, error.to_string());
            if let Some(source) = error.source() {
                told = told.with_source(source.to_string());
            }
            Failure::new(step, told).with_hint(hint)
        }
        ConnectionError::Connect(error) => {
            let step = dial.phase().step(server, error.kind());
            Failure::shared(step, error.clone()).with_hint(dial.hint(error.kind()))
        }
        ConnectionError::Stream(error) => {
            Failure::shared(format!("talking to {server}"), error.clone())
        }
        _ => {
            let late = Error::new(ErrorKind::TimedOut, "it took too long");
            Failure::new(dial.phase().step(server, ErrorKind::TimedOut), late)
        }
    }
}

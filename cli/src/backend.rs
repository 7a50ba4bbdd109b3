//! The network that a command uses: the one place that knows the backends.

use std::env;
use std::fs;
use std::path::Path;
use std::time::Duration;

use jackfield_native::Native;
use jackfield_relay::{Connection, Relay, RelayConfig};
use jackfield_socket::{AnyNetwork, Error, ErrorKind, Result};
use jackfield_tls::{Certificates, TlsConfig, TlsConnector};
use tokio::task::JoinHandle;

use crate::args::BackendArgs;
use crate::failure::{Failure, Step};
use crate::secure::identity;

/// Where the token is, unless a file is named.
const TOKEN_VARIABLE: &str = "JACKFIELD_TOKEN";
/// How long the connection to the relay may take to end.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// A network, and what keeps it going.
pub(crate) struct Backend {
    pub(crate) network: AnyNetwork,
    connection: Option<JoinHandle<()>>,
}

/// The system's own sockets, or a relay that has let us in.
pub(crate) async fn open(args: &BackendArgs) -> Result<Backend, Failure> {
    let Some(url) = &args.relay else {
        return Ok(Backend {
            network: AnyNetwork::new(Native),
            connection: None,
        });
    };
    let (relay, connection) = through_relay(url, args).step("setting up the relay")?;
    let connection = tokio::spawn(connection);
    // What comes after the question mark may be a secret.
    let address = url.split('?').next().unwrap_or(url);
    relay
        .ready()
        .await
        .step(format!("reaching the relay at {address}"))?;
    Ok(Backend {
        network: AnyNetwork::new(relay),
        connection: Some(connection),
    })
}

fn through_relay(url: &str, args: &BackendArgs) -> Result<(Relay, Connection)> {
    let mut config = RelayConfig::new(url)?;
    if let Some(token) = token(args)? {
        config = config.with_token(token)?;
    }
    let identity = identity(args.relay_cert.as_deref(), args.relay_key.as_deref())?;
    if identity.is_some() && !url.to_ascii_lowercase().starts_with("wss:") {
        return Err(Error::new(
            ErrorKind::InvalidInput,
            "a certificate is shown to a relay at wss://…, in TLS",
        ));
    }
    if args.relay_ca.is_some() || identity.is_some() {
        let mut tls = TlsConfig::new();
        if let Some(path) = &args.relay_ca {
            tls = tls.with_roots(read_roots(path)?);
        }
        if let Some(identity) = identity {
            tls = tls.with_identity(identity);
        }
        config = config.with_tls(TlsConnector::new(tls)?);
    }
    Ok(Relay::over(Native, config))
}

impl Backend {
    /// Waits until the relay has been told that this is the end.
    pub(crate) async fn close(self) {
        drop(self.network);
        if let Some(connection) = self.connection {
            let _ = tokio::time::timeout(CLOSE_TIMEOUT, connection).await;
        }
    }
}

/// The token; never from the command line, which everyone on this machine can read.
fn token(args: &BackendArgs) -> Result<Option<String>> {
    match &args.token_file {
        Some(path) => match String::from_utf8(read(path)?) {
            Ok(token) => Ok(Some(token.trim().to_owned())),
            Err(_) => Err(Error::new(
                ErrorKind::InvalidInput,
                format!("the token in {} is not text", path.display()),
            )),
        },
        None => match env::var(TOKEN_VARIABLE) {
            Ok(token) => Ok(Some(token)),
            Err(env::VarError::NotPresent) => Ok(None),
            Err(env::VarError::NotUnicode(_)) => Err(Error::new(
                ErrorKind::InvalidInput,
                format!("the token in {TOKEN_VARIABLE} is not text"),
            )),
        },
    }
}

pub(crate) fn read_roots(path: &Path) -> Result<Certificates> {
    Certificates::from_pem(&read(path)?).map_err(|error| in_file(path, &error))
}

/// A file's bytes; the error names it.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).map_err(|error| {
        let message = format!("can't read {}", path.display());
        Error::new(ErrorKind::InvalidInput, message).with_source(error)
    })
}

/// What is wrong in a file.
pub(crate) fn in_file(path: &Path, error: &Error) -> Error {
    Error::new(error.kind(), format!("{}: {error}", path.display()))
}

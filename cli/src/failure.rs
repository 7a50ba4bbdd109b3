//! What failed, and at which step.

use std::error::Error as StdError;
use std::fmt::{self, Display};
use std::process::ExitCode;
use std::sync::Arc;

use jackfield_client::ConnectionError;
use jackfield_socket::{Error, ErrorKind};

/// A step that failed.
#[derive(Debug)]
pub(crate) struct Failure {
    step: String,
    error: Arc<Error>,
}

impl Failure {
    pub(crate) fn new(step: impl Into<String>, error: impl Into<Error>) -> Self {
        Self {
            step: step.into(),
            error: Arc::new(error.into()),
        }
    }

    /// Why a client has no connection to its server. What kind of error a session's is, its protocol
    /// says.
    pub(crate) fn connection<E: StdError>(
        server: impl Display,
        error: &ConnectionError<E>,
        kind: impl FnOnce(&E) -> ErrorKind,
    ) -> Self {
        let (step, error) = match error {
            ConnectionError::Connect(error) => ("connecting to", error.clone()),
            ConnectionError::Stream(error) => ("talking to", error.clone()),
            ConnectionError::Session(error) => {
                let told = Error::new(kind(error), error.to_string());
                let told = match error.source() {
                    Some(source) => told.with_source(source.to_string()),
                    None => told,
                };
                ("talking to", Arc::new(told))
            }
            _ => {
                let late = Error::new(ErrorKind::TimedOut, "it took too long");
                ("connecting to", Arc::new(late))
            }
        };
        let step = format!("{step} {server}");
        Self { step, error }
    }

    /// Tells it on standard error: the step, the error, its causes. Returns the exit code.
    pub(crate) fn report(&self) -> ExitCode {
        eprintln!("jackfield: {self}");
        ExitCode::from(exit_code(self.error.kind()))
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.step, self.error)?;
        let mut cause = self.error.source();
        while let Some(error) = cause {
            write!(f, "\n  because: {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

/// Names the step at which something may fail.
pub(crate) trait Step<T> {
    fn step(self, step: impl Display) -> Result<T, Failure>;
}

impl<T, E: Into<Error>> Step<T> for Result<T, E> {
    fn step(self, step: impl Display) -> Result<T, Failure> {
        self.map_err(|error| Failure::new(step.to_string(), error))
    }
}

/// As `--help` tells them.
fn exit_code(kind: ErrorKind) -> u8 {
    match kind {
        ErrorKind::InvalidInput | ErrorKind::Unsupported => 2,
        ErrorKind::HostNotFound => 3,
        ErrorKind::Refused | ErrorKind::Unreachable | ErrorKind::TimedOut => 4,
        ErrorKind::Certificate | ErrorKind::TlsRefused | ErrorKind::Protocol => 5,
        ErrorKind::Denied => 6,
        ErrorKind::Reset | ErrorKind::UnexpectedEof | ErrorKind::Closed => 7,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_names_its_step_and_its_causes() {
        let error = Error::new(
            ErrorKind::HostNotFound,
            "can't find an address of host.invalid",
        )
        .with_source("Name or service not known");
        let failure = Failure::new("connecting to host.invalid:80", error);
        assert_eq!(
            failure.to_string(),
            "connecting to host.invalid:80: can't find an address of host.invalid\n  \
             because: Name or service not known"
        );
        assert_eq!(failure.report(), ExitCode::from(3));
    }
}

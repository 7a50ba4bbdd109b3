//! What failed, and at which step.

use std::error::Error as StdError;
use std::fmt::Display;
use std::process::ExitCode;

use jackfield_socket::{Error, ErrorKind};

/// A step that failed.
#[derive(Debug)]
pub(crate) struct Failure {
    step: String,
    error: Error,
}

impl Failure {
    pub(crate) fn new(step: impl Into<String>, error: impl Into<Error>) -> Self {
        Self {
            step: step.into(),
            error: error.into(),
        }
    }

    /// Tells it on standard error: the step, the error, its causes. Returns the exit code.
    pub(crate) fn report(&self) -> ExitCode {
        eprintln!("jackfield: {}: {}", self.step, self.error);
        let mut cause = self.error.source();
        while let Some(error) = cause {
            eprintln!("  because: {error}");
            cause = error.source();
        }
        ExitCode::from(exit_code(self.error.kind()))
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
        ErrorKind::Certificate | ErrorKind::Protocol => 5,
        ErrorKind::Denied => 6,
        ErrorKind::Reset | ErrorKind::UnexpectedEof | ErrorKind::Closed => 7,
        _ => 1,
    }
}

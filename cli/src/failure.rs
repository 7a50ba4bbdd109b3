//! Failures: what went wrong, and at which step.

use std::error::Error as StdError;
use std::fmt::Display;
use std::process::ExitCode;
use std::sync::Arc;

use jackfield_client::ConnectionError;
use jackfield_socket::{Error, ErrorKind};

use crate::leave::Signal;
use crate::output::tell;

/// The signal of a pipe that nobody reads.
const SIGPIPE: u8 = 13;

/// Why a command ends before its end.
#[derive(Debug)]
pub(crate) enum Failure {
    /// A step failed.
    Step {
        step: String,
        error: Arc<Error>,
        /// What may help.
        hint: Option<String>,
        /// The exit code, where the kind of the error has none of its own.
        code: Option<u8>,
    },
    /// A signal asked for it.
    Signal(Signal),
    /// Whatever read standard output has ended.
    NobodyReads,
}

impl Failure {
    pub(crate) fn new(step: impl Into<String>, error: impl Into<Error>) -> Self {
        Self::shared(step, Arc::new(error.into()))
    }

    /// A step that failed with an error that others have too.
    pub(crate) fn shared(step: impl Into<String>, error: Arc<Error>) -> Self {
        Self::Step {
            step: step.into(),
            error,
            hint: None,
            code: None,
        }
    }

    /// The same, with what whoever reads it may try.
    pub(crate) fn with_hint(mut self, text: Option<impl Into<String>>) -> Self {
        if let Self::Step { hint, .. } = &mut self {
            *hint = text.map(Into::into);
        }
        self
    }

    /// The same, which ends the program with this code.
    pub(crate) fn with_code(mut self, exit_code: u8) -> Self {
        if let Self::Step { code, .. } = &mut self {
            *code = Some(exit_code);
        }
        self
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
        Self::shared(format!("{step} {server}"), error)
    }

    /// Whether it ends the command, however many connections it takes.
    pub(crate) fn is_end(&self) -> bool {
        !matches!(self, Self::Step { .. })
    }

    /// Tells it on standard error. Returns the exit code.
    pub(crate) fn report(&self) -> ExitCode {
        for line in self.lines() {
            tell(line);
        }
        ExitCode::from(self.exit_code())
    }

    /// The step, the error, its causes that add something, and what may help, a line each; nothing where no
    /// step failed.
    fn lines(&self) -> Vec<String> {
        let Self::Step {
            step, error, hint, ..
        } = self
        else {
            return Vec::new();
        };
        let mut lines = vec![format!("jackfield: {step}: {error}")];
        let mut cause = error.source();
        while let Some(error) = cause {
            let text = error.to_string();
            if !lines.iter().any(|line| line.contains(&text)) {
                lines.push(format!("  because: {text}"));
            }
            cause = error.source();
        }
        lines.extend(hint.as_ref().map(|hint| format!("  try: {hint}")));
        lines
    }

    /// As `--help` tells them. Where no step failed it is that of a shell: 128, and the signal that
    /// would have ended a program without a farewell.
    fn exit_code(&self) -> u8 {
        match self {
            Self::Signal(signal) => 128 + *signal as u8,
            Self::NobodyReads => 128 + SIGPIPE,
            Self::Step {
                code: Some(code), ..
            } => *code,
            Self::Step { error, .. } => match error.kind() {
                ErrorKind::InvalidInput | ErrorKind::Unsupported => 2,
                ErrorKind::HostNotFound => 3,
                ErrorKind::Refused | ErrorKind::Unreachable | ErrorKind::TimedOut => 4,
                ErrorKind::Certificate | ErrorKind::Protocol | ErrorKind::TlsRefused => 5,
                ErrorKind::Denied => 6,
                ErrorKind::Reset | ErrorKind::UnexpectedEof | ErrorKind::Closed => 7,
                _ => 1,
            },
        }
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
        let failure = failure.with_hint(Some("another name"));
        assert_eq!(
            failure.lines(),
            [
                "jackfield: connecting to host.invalid:80: can't find an address of host.invalid",
                "  because: Name or service not known",
                "  try: another name"
            ]
        );
        assert_eq!(failure.exit_code(), 3);
    }
}

//! Logging in (RFC 4954): SASL's messages in lines of base64.

use jackfield_sasl::{Channel, Error, Exchange, base64, choose};

use super::Config;
use crate::codec::{Capabilities, Reply, Severity};
use crate::error::LoginError;

/// The longest line with AUTH (RFC 4954, section 4). A response that does not fit waits to be asked
/// for.
const MAX_LINE: usize = 12 * 1024;

/// An exchange with the server.
#[derive(Debug)]
pub(super) struct Login {
    exchange: Exchange,
    /// Why it was cancelled.
    failed: Option<Error>,
    /// Whether it failed, bound or not, for what has nothing to do with that.
    is_hopeless: bool,
}

/// What comes of a reply.
#[derive(Debug)]
pub(super) enum Progress {
    /// This was said, and is to be answered.
    Goes,
    /// One is logged in.
    Done(&'static str),
}

impl Login {
    /// Begins, where there are credentials: appends the command.
    pub(super) fn start(
        config: &Config,
        channel: &Channel,
        can: &Capabilities,
        out: &mut Vec<u8>,
    ) -> Result<Option<Self>, LoginError> {
        let Some(credentials) = &config.credentials else {
            return Ok(None);
        };
        if !channel.encrypted && !config.allow_plaintext_auth {
            return Err(LoginError::Plaintext);
        }
        let mut channel = channel.clone();
        // Where it isn't, it was asked for by name.
        channel.encrypted = true;
        let choice =
            choose(can.mechanisms(), credentials, &channel).map_err(|error| match error {
                Error::NoMechanism => LoginError::Unavailable,
                error => LoginError::Mechanism(error),
            })?;
        let mut exchange = Exchange::start(choice, credentials, &channel, config.limits.sasl)
            .map_err(LoginError::Mechanism)?;
        let name = exchange.mechanism().name();
        out.extend_from_slice(b"AUTH ");
        out.extend_from_slice(name.as_bytes());
        if let Some(initial) = exchange.initial_response() {
            let initial = base64::encode_initial(&initial);
            if initial.len() + name.len() + 8 <= MAX_LINE {
                out.push(b' ');
                out.extend_from_slice(initial.as_bytes());
            } else {
                exchange = Exchange::start(choice, credentials, &channel, config.limits.sasl)
                    .map_err(LoginError::Mechanism)?;
            }
        }
        out.extend_from_slice(b"\r\n");
        Ok(Some(Self {
            exchange,
            failed: None,
            is_hopeless: false,
        }))
    }

    /// Whether it is bound to its TLS connection, and what becomes of it might be better without.
    pub(super) fn is_bound_in_vain(&self) -> bool {
        self.exchange.mechanism().is_bound() && !self.is_hopeless
    }

    /// Takes a reply; appends what is said to it.
    pub(super) fn take(&mut self, reply: Reply, out: &mut Vec<u8>) -> Result<Progress, LoginError> {
        match reply.severity() {
            Severity::Intermediate if self.failed.is_none() => {
                let challenge = base64::decode(reply.text());
                match challenge.and_then(|challenge| self.exchange.step(&challenge)) {
                    Ok(answer) => out.extend_from_slice(base64::encode(answer).as_bytes()),
                    Err(error) => {
                        self.is_hopeless = !error.may_be_binding();
                        self.failed = Some(error);
                        out.push(b'*');
                    }
                }
                out.extend_from_slice(b"\r\n");
                Ok(Progress::Goes)
            }
            Severity::Positive if self.failed.is_none() => {
                self.exchange.finish(None).map_err(|error| {
                    self.is_hopeless = !error.may_be_binding();
                    LoginError::Mechanism(error)
                })?;
                Ok(Progress::Done(self.exchange.mechanism().name()))
            }
            _ => {
                if let Some(error) = self.failed.take() {
                    return Err(LoginError::Mechanism(error));
                }
                // What is not for good is not for the binding.
                self.is_hopeless = reply.is_temporary();
                Err(LoginError::Refused(reply))
            }
        }
    }
}

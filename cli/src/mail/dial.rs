//! Dialling: the way to a mail server, step by step, so that a failure can name its step.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use jackfield_socket::{
    AnyNetwork, AnyStream, Endpoint, Error, ErrorKind, Result, TcpConnect, TcpOptions, opening,
};
use jackfield_tls::TlsConnector;

use super::{Address, Scheme};
use crate::args::StartTls;
use crate::mail::args::MailArgs;
use crate::output::tell;
use crate::secure::{self, connector_with, within};
use crate::starttls;

/// How far the way to a server has gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Connecting,
    AskingForTls,
    Securing,
    /// The stream is there, and the session begins.
    Greeting,
    /// The user is logged in.
    LoggedIn,
}

const PHASES: [Phase; 5] = [
    Phase::Connecting,
    Phase::AskingForTls,
    Phase::Securing,
    Phase::Greeting,
    Phase::LoggedIn,
];

impl Phase {
    /// What was being done when this kind of failure came.
    pub(crate) fn step(self, server: &Endpoint, kind: ErrorKind) -> String {
        match self {
            Self::Connecting if kind == ErrorKind::HostNotFound => {
                format!("looking up {}", server.host())
            }
            Self::Connecting => format!("connecting to {server}"),
            Self::AskingForTls => format!("asking {server} for TLS"),
            Self::Securing => format!("securing the stream to {server}"),
            Self::Greeting => format!("waiting for the greeting of {server}"),
            Self::LoggedIn => format!("talking to {server}"),
        }
    }
}

/// A network that goes all the way to a mail server: the connection, STARTTLS where the address has
/// it, and TLS. Clones tell of the same way.
#[derive(Clone)]
pub(crate) struct Dial {
    network: AnyNetwork,
    connector: Option<TlsConnector>,
    scheme: Scheme,
    timeout: Duration,
    verbose: bool,
    phase: Arc<AtomicU8>,
}

impl Dial {
    pub(crate) fn new(address: &Address, args: &MailArgs, network: &AnyNetwork) -> Result<Self> {
        let scheme = address.scheme();
        let invalid = |text: &'static str| Err(Error::new(ErrorKind::InvalidInput, text));
        if args.plain && scheme.is_secure() {
            return invalid("--plain is for imap:// and smtp://");
        }
        let is_plain = args.plain || scheme == Scheme::Lmtp;
        if args.password_in_the_clear && !is_plain {
            return invalid("--password-in-the-clear goes with --plain");
        }
        let trusts = args.ca.is_some() || !args.pin.is_empty() || args.identity.cert.is_some();
        if trusts && is_plain {
            return invalid("--ca, --pin and --cert are for TLS, which LMTP is spoken without");
        }
        let connector = if is_plain {
            None
        } else {
            let connector = connector_with(args.ca.as_deref(), &args.pin, &args.identity);
            Some(connector?)
        };
        Ok(Self {
            network: network.clone(),
            connector,
            scheme,
            timeout: args.timeout,
            verbose: args.verbose,
            phase: Arc::default(),
        })
    }

    /// Whether nothing guards the stream.
    pub(crate) fn is_plain(&self) -> bool {
        self.connector.is_none()
    }

    /// How long all of it may take.
    pub(crate) fn patience(&self) -> Duration {
        // Each step has its own limit, which comes before.
        self.timeout.saturating_mul(4)
    }

    pub(crate) fn phase(&self) -> Phase {
        let phase = self.phase.load(Ordering::Relaxed);
        PHASES[usize::from(phase).min(PHASES.len() - 1)]
    }

    pub(crate) fn reached(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Relaxed);
    }

    pub(crate) fn say(&self, text: &str) {
        if self.verbose {
            tell(format_args!("jackfield: {text}"));
        }
    }

    /// What may help when the way ended here.
    pub(crate) fn hint(&self, kind: ErrorKind) -> Option<&'static str> {
        let is_securing = self.phase() == Phase::Securing;
        match (kind, self.scheme) {
            (ErrorKind::TlsRefused, Scheme::Imap) => {
                Some("imaps:// for a server that speaks TLS from the start; --plain goes without")
            }
            (ErrorKind::TlsRefused, _) => {
                Some("smtps:// for a server that speaks TLS from the start; --plain goes without")
            }
            (ErrorKind::Protocol, Scheme::Imaps) if is_securing => {
                Some("imap:// for a server that begins in plaintext, as at port 143")
            }
            (ErrorKind::Protocol, Scheme::Smtps) if is_securing => {
                Some("smtp:// for a server that begins in plaintext, as at port 587")
            }
            (ErrorKind::Certificate, _) => {
                Some("--ca FILE or --pin PIN, where you know that it is the right server")
            }
            _ => None,
        }
    }
}

impl TcpConnect for Dial {
    type Stream = AnyStream;

    async fn connect(&self, to: &Endpoint, options: &TcpOptions) -> Result<AnyStream> {
        self.reached(Phase::Connecting);
        self.say(&format!("connecting to {to}"));
        let mut stream = within(self.timeout, self.network.connect(to, options)).await?;
        let Some(connector) = &self.connector else {
            self.reached(Phase::Greeting);
            return Ok(stream);
        };
        if !self.scheme.is_secure() {
            self.reached(Phase::AskingForTls);
            self.say("asking for TLS");
            let protocol = match self.scheme {
                Scheme::Imap | Scheme::Imaps => StartTls::Imap,
                Scheme::Smtp | Scheme::Smtps | Scheme::Lmtp => StartTls::Smtp,
            };
            let mut opening = starttls::opening(protocol);
            within(self.timeout, opening::speak(&mut stream, opening.as_mut())).await?;
        }
        self.reached(Phase::Securing);
        let stream = within(self.timeout, connector.connect(stream, to.host())).await?;
        for line in secure::describe(&stream) {
            self.say(&line);
        }
        self.reached(Phase::Greeting);
        Ok(AnyStream::new(stream))
    }
}

//! Reloading: new rules for a relay that runs, and for the sessions that it has.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use tokio::sync::watch;
use tracing::{error, info, warn};

use crate::config::{Config, ConfigError};
use crate::handshake::Gate;
use crate::jwks;
use crate::limits::Accounts;
use crate::tls::Certificates;
use crate::token::Credential;

/// What gives a running relay another configuration.
///
/// Origins, hosts, path, audience, tokens with their keys, rules and limits, and revocations are taken from
/// it, and the certificate's files are read again. A session that came in by a token which is no longer good,
/// or from an origin which is no longer allowed, ends at once; so does one whose token has lost a rule, or
/// got another one that denies or [another to ask](crate::ask), and may come again. All others go on, by the new rules. A lower limit
/// ends nothing: nothing new is opened until it is kept. Only of a day that is used up by it, streams end.
/// What is carried keeps to the new rates at once.
///
/// What else the configuration has takes effect when the relay is started again; the log says so where it
/// differs.
#[derive(Debug)]
pub struct Reloader {
    pub(crate) rules: watch::Sender<Arc<Gate>>,
    pub(crate) tls: Option<Arc<Certificates>>,
    pub(crate) addresses: Vec<SocketAddr>,
    pub(crate) accounts: Arc<Accounts>,
    /// What the relay was started with.
    pub(crate) started: Config,
}

/// Why a configuration was not taken.
#[derive(Debug)]
pub(crate) enum NotTaken {
    File(ConfigError),
    /// The certificate's files, or keys at a URL.
    Other(io::Error),
}

impl fmt::Display for NotTaken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(error) => error.fmt(f),
            Self::Other(error) => error.fmt(f),
        }
    }
}

impl Reloader {
    /// Takes this configuration, as a whole.
    ///
    /// # Errors
    /// Where the certificate's files can't be used, or keys are at a URL that the relay wasn't started with,
    /// and would have to be waited for. Then all stays as it was.
    pub fn reload(&self, config: &Config) -> io::Result<()> {
        let mut config = config.clone();
        self.adopt(&mut config)?;
        let config = &config;
        if let Some(tls) = &self.tls {
            tls.reload()?;
        }
        for key in self.needs_start(config) {
            warn!(key, "takes effect when the relay is started again");
        }
        let gate = Gate::new(config, &self.addresses, Arc::clone(&self.accounts));
        self.rules.send_replace(Arc::new(gate));
        Ok(())
    }

    /// Reads a file, and takes what stands there. What is wrong with it goes to the log, with file and line;
    /// then all stays as it was.
    pub fn reload_from(&self, path: &Path) {
        // The log has it.
        let _ = self.take_from(path);
    }

    /// The same, for one who is to hear of it: what takes effect when the relay is started again, or what is
    /// wrong.
    pub(crate) fn take_from(&self, path: &Path) -> Result<Vec<&'static str>, NotTaken> {
        let config = Config::load(path).map_err(|error| {
            error!(%error, "the configuration in use stays: the file is wrong");
            NotTaken::File(error)
        })?;
        self.reload(&config).map_err(|error| {
            error!(%error, "the configuration in use stays");
            NotTaken::Other(error)
        })?;
        info!(tokens = config.tokens.len(), "reloaded the configuration");
        Ok(self.needs_start(&config))
    }

    /// Keys at a URL are those that the relay has, and keeps up to date.
    fn adopt(&self, config: &mut Config) -> io::Result<()> {
        for token in &mut config.tokens {
            if let Credential::RemoteKeys(keys) = &mut token.credential {
                let known = jwks::of(&self.started).find(|known| *known == keys);
                *keys = known.cloned().ok_or_else(|| {
                    let text = format!(
                        "the token {:?} has another jwks_url or other roots, which takes effect when the \
                         relay is started again",
                        token.name
                    );
                    io::Error::new(io::ErrorKind::InvalidInput, text)
                })?;
            }
        }
        Ok(())
    }

    /// What differs that a running relay doesn't take.
    fn needs_start(&self, new: &Config) -> Vec<&'static str> {
        let old = &self.started;
        [
            ("listen", old.listen != new.listen),
            ("advertise", old.advertise != new.advertise),
            ("health", old.health != new.health),
            ("metrics", old.metrics != new.metrics),
            ("admin", old.admin != new.admin),
            ("mint", old.mint != new.mint),
            ("drain", old.drain != new.drain),
            ("tls", old.tls != new.tls),
            ("proxies", old.proxies != new.proxies),
            ("max_sessions", old.max_sessions != new.max_sessions),
            (
                "handshake_seconds",
                old.handshake_deadline != new.handshake_deadline,
            ),
            ("log", old.log != new.log),
        ]
        .into_iter()
        .filter_map(|(key, differs)| differs.then_some(key))
        .collect()
    }
}

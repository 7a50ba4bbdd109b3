//! Reloading: new rules for a relay that runs, and for the sessions that it has.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::{Mutex, watch};
use tokio::task::spawn_blocking;
use tracing::{error, info, warn};

use crate::config::{Config, ConfigError, Places};
use crate::ending::Stopper;
use crate::handshake::Gate;
use crate::jwks::{self, Fetched, NoKeys};
use crate::limits::Accounts;
use crate::record::{Command, Commanded, Records};
use crate::tls::Certificates;
use crate::token::Revocation;

/// What gives a running relay another configuration.
///
/// Origins, hosts, path, audience, tokens with their keys, rules and limits, revocations, and the time for a
/// handshake are taken from it, the certificate's files are read again, and the file for records is opened
/// again. A session that came in by a token
/// which is no longer good, or from an origin which is no longer allowed, ends at once; so does one whose
/// token has lost a rule, or got another one that denies or [another to ask](crate::ask), and may come again.
/// All others go on, by the new rules. A lower limit ends nothing: nothing new is opened until it is kept.
/// Only of a day that is used up by it, streams end. What is carried keeps to the new rates at once.
///
/// [Proxies](crate::proxy) are believed, or no longer, in connections that come from then on. How the relay
/// [ends](crate::DrainConfig) is taken unless it is ending.
///
/// All of it is looked at before anything of it takes effect, and keys that are at a URL are fetched where
/// they aren't known. What else the configuration has takes effect when the relay is started again; the log
/// says so where it differs.
///
/// Clones are the same: reloads come one after the other, whoever asks for them.
#[derive(Clone, Debug)]
pub struct Reloader {
    pub(crate) rules: watch::Sender<Arc<Gate>>,
    /// Keys at URLs that are in use.
    pub(crate) keys: watch::Sender<Vec<Fetched>>,
    pub(crate) stopper: Stopper,
    pub(crate) tls: Option<Arc<Certificates>>,
    pub(crate) records: Arc<dyn Records>,
    pub(crate) addresses: Vec<SocketAddr>,
    pub(crate) accounts: Arc<Accounts>,
    /// What the relay was started with.
    pub(crate) started: Arc<Config>,
    /// Whoever has it reloads.
    pub(crate) turn: Arc<Mutex<()>>,
    pub(crate) told: Told,
}

/// What is told of a relay that takes another configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reloading {
    /// It begins to.
    Begins,
    /// It has taken it, or has not: the one that it has is in use.
    Over,
}

/// Who is told of it.
#[derive(Clone, Default)]
pub(crate) struct Told(Arc<OnceLock<Box<dyn Fn(Reloading) + Send + Sync>>>);

impl Told {
    /// The first one is told, and no other.
    pub(crate) fn set(&self, tell: impl Fn(Reloading) + Send + Sync + 'static) {
        let _ = self.0.set(Box::new(tell));
    }

    /// Says that it begins, and that it is over when this is dropped.
    fn begin(&self) -> Telling<'_> {
        self.tell(Reloading::Begins);
        Telling(self)
    }

    fn tell(&self, what: Reloading) {
        if let Some(tell) = self.0.get() {
            tell(what);
        }
    }
}

impl fmt::Debug for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Told")
    }
}

struct Telling<'a>(&'a Told);

impl Drop for Telling<'_> {
    fn drop(&mut self) {
        self.0.tell(Reloading::Over);
    }
}

/// Why a configuration was not taken.
#[derive(Debug)]
pub(crate) enum NotTaken {
    File(ConfigError),
    /// What stands in no one place, as limits that don't fit in the machine's.
    Other(io::Error),
}

/// Whether what an administrator has revoked outlasts the relay.
#[derive(Debug)]
pub(crate) enum Lasts {
    /// All relays that share a Redis have it from there.
    InRedis,
    /// It stands in this file.
    InFile(PathBuf),
    /// It ends with the relay; why.
    UntilTheEnd(String),
}

impl From<io::Error> for NotTaken {
    fn from(error: io::Error) -> Self {
        match error.downcast() {
            Ok(wrong) => Self::File(wrong),
            Err(error) => Self::Other(error),
        }
    }
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
    /// Where the certificate's files or that for records can't be used, keys at a URL can't be fetched, which may take 10 s, or
    /// the limits need more descriptors than the system gives. Then all stays as it was.
    ///
    /// # Cancel safety
    /// Dropping the future before it is ready changes nothing.
    pub async fn reload(&self, config: &Config) -> io::Result<()> {
        let _turn = self.turn.lock().await;
        let _telling = self.told.begin();
        let taken = self.take(config.clone()).await;
        self.record(&taken);
        taken.map(drop).map_err(|not_taken| match not_taken {
            NotTaken::File(error) => io::Error::other(error),
            NotTaken::Other(error) => error,
        })
    }

    /// Reads a file, and takes what stands there. What is wrong with it goes to the log, with file and line;
    /// then all stays as it was.
    ///
    /// # Cancel safety
    /// As [`reload`](Self::reload).
    pub async fn reload_from(&self, path: &Path) {
        // The log has it.
        let _ = self.take_from(path).await;
    }

    /// The same, for one who is to hear of it: what takes effect when the relay is started again, or what is
    /// wrong.
    pub(crate) async fn take_from(&self, path: &Path) -> Result<Vec<&'static str>, NotTaken> {
        // The file is read in its turn, so that the last one to ask has the last word.
        let _turn = self.turn.lock().await;
        let _telling = self.told.begin();
        let take = async {
            let config = Config::load(path).map_err(NotTaken::File)?;
            let tokens = config.tokens.len();
            let needs_start = self.take(config).await?;
            info!(tokens, "reloaded the configuration");
            Ok(needs_start)
        };
        let taken = take.await;
        self.record(&taken);
        if let Err(error) = &taken {
            error!(%error, "the configuration in use stays");
        }
        taken
    }

    /// Revokes this: at all relays that share a Redis with this one, for so long; without one, at this relay. There
    /// it counts at once, whatever becomes of the file that it is appended to.
    ///
    /// # Errors
    /// Says why it can't. Then nothing is revoked.
    ///
    /// # Cancel safety
    /// Dropping the future before it is ready takes nothing back: at this relay it is revoked, and where its file
    /// can take it, it is appended.
    pub(crate) async fn revoke(
        &self,
        one: &Revocation,
        matters: Duration,
    ) -> Result<Lasts, String> {
        if let Some(fleet) = self.accounts.fleet() {
            let revoked = fleet.revoke(one, matters).await;
            return revoked.map(|()| Lasts::InRedis);
        }
        self.accounts.revoking().revoke(one)?;
        // Those who are in are looked at again.
        self.rules.send_modify(|_| {});
        // Whoever reads the file meanwhile could miss it.
        let turn = Arc::clone(&self.turn).lock_owned().await;
        let (accounts, one) = (Arc::clone(&self.accounts), one.clone());
        let keeping = spawn_blocking(move || {
            let _turn = turn;
            accounts.revoking().keep(&one)
        });
        Ok(match keeping.await {
            Ok(Ok(file)) => Lasts::InFile(file),
            Ok(Err(why)) => Lasts::UntilTheEnd(why),
            Err(error) => Lasts::UntilTheEnd(error.to_string()),
        })
    }

    fn record<T>(&self, taken: &Result<T, NotTaken>) {
        let failed = taken.as_ref().err().map(|error| error as &dyn fmt::Display);
        self.records
            .command(&Command::now(Commanded::Reload, failed));
    }

    /// Takes this, and says what takes effect when the relay is started again.
    async fn take(&self, mut config: Config) -> Result<Vec<&'static str>, NotTaken> {
        config.check()?;
        let known = self.keys.borrow().clone();
        let keys = jwks::fetch_all(&mut config, &known).await;
        let keys = keys.map_err(|NoKeys { token, why }| {
            NotTaken::File(config.places.wrong_keys(token, why))
        })?;
        let gate = Gate::new(&config, &self.addresses, Arc::clone(&self.accounts));
        // In use already, should something be wrong with what follows; it is the same file then.
        let elsewhere = Places::default();
        let places = if self.started.records == config.records {
            &config.places
        } else {
            // Records go where they went, which that file doesn't name.
            &elsewhere
        };
        (self.records.reopen()).map_err(|error| places.wrong("records.file", &error))?;
        // The last that can fail. From here on nothing is waited for, so that nobody sees a part of it.
        if let Some(tls) = &self.tls {
            tls.reload_with(&config)?;
        }
        self.stopper.configure(config.drain);
        self.keys.send_replace(keys);
        self.rules.send_replace(Arc::new(gate));
        (self.accounts.revoking()).read_with(config.revoked_file.clone());
        let needs_start = self.needs_start(&config);
        for key in &needs_start {
            warn!(key, "takes effect when the relay is started again");
        }
        Ok(needs_start)
    }

    /// What differs that a running relay doesn't take. Each key is named here, so that a new one is thought of.
    fn needs_start(&self, new: &Config) -> Vec<&'static str> {
        let Config {
            listen,
            advertise,
            tls,
            max_sessions,
            max_streams,
            max_buffer_bytes,
            admission,
            health,
            metrics,
            admin,
            mint,
            #[cfg(feature = "redis")]
            redis,
            resolver,
            max_look_ups,
            log,
            records,
            // These are taken.
            path: _,
            origins: _,
            allow_without_origin: _,
            proxies: _,
            hosts: _,
            tokens: _,
            audience: _,
            revoked: _,
            revoked_file: _,
            source_limits: _,
            handshake_deadline: _,
            drain: _,
            // These are no keys.
            file: _,
            places: _,
        } = &*self.started;
        [
            ("listen", *listen != new.listen),
            ("advertise", *advertise != new.advertise),
            ("health", *health != new.health),
            ("metrics", *metrics != new.metrics),
            ("admin", *admin != new.admin),
            ("mint", *mint != new.mint),
            #[cfg(feature = "redis")]
            ("redis", *redis != new.redis),
            ("tls", *tls != new.tls),
            ("max_sessions", *max_sessions != new.max_sessions),
            ("max_streams", *max_streams != new.max_streams),
            (
                "max_buffer_bytes",
                *max_buffer_bytes != new.max_buffer_bytes,
            ),
            ("admission", *admission != new.admission),
            ("resolver", *resolver != new.resolver),
            ("max_look_ups", *max_look_ups != new.max_look_ups),
            ("records", *records != new.records),
            ("log", *log != new.log),
        ]
        .into_iter()
        .filter_map(|(key, differs)| differs.then_some(key))
        .collect()
    }
}

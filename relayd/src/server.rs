//! The server: accepts connections, speaks TLS, lets clients in, and ends in order.

mod door;
mod guest;

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::{Semaphore, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tracing::{debug, error, info, warn};

use self::door::Door;
use self::guest::Guest;
#[cfg(unix)]
use crate::admin::{self, Admin, Asker};
use crate::admission::{Admission, Turned};
use crate::budget::{self, Budget};
use crate::config::{Config, Places};
use crate::crl;
use crate::ending::{Ending, Phase, Stopper};
use crate::handshake::Gate;
use crate::health;
use crate::jwks::{self, NoKeys};
use crate::lane::ACCEPT_PAUSE;
use crate::limits::Accounts;
use crate::machine::Machine;
use crate::metrics;
use crate::passed::Passed;
use crate::record::{Command, Commanded, JsonLines, Records, Strangers};
use crate::reload::{Reloader, Reloading, Told};
use crate::resolve::Resolve;
use crate::session::{self, Context};
use crate::tls::Certificates;

/// How many clients that were told why they aren't let in may take their leave at a time; beyond it, they
/// are told and not waited for. What they take is no handshake's place, nor a session's.
const MAX_DENIALS: usize = 64;
/// How long it may take to give back what was leased, at the end.
const GIVE_BACK: Duration = Duration::from_secs(1);

/// A relay that listens, and waits to be [run](Self::run).
#[derive(Debug)]
pub struct Relayd {
    listeners: Vec<TcpListener>,
    addresses: Vec<SocketAddr>,
    health: Option<TcpListener>,
    metrics: Option<TcpListener>,
    #[cfg(unix)]
    admin: Option<admin::Socket>,
    #[cfg(unix)]
    mint: Option<admin::Socket>,
    shared: Shared,
    stopper: Stopper,
    reloader: Reloader,
}

#[derive(Debug)]
struct Shared {
    rules: watch::Sender<Arc<Gate>>,
    accounts: Arc<Accounts>,
    tls: Option<Arc<Certificates>>,
    sessions: Semaphore,
    door: Arc<Door>,
    denials: Semaphore,
    strangers: Strangers,
    context: Context,
    numbers: AtomicU64,
}

impl Shared {
    /// Counts, records and logs that a handshake may not begin.
    fn turned_away(&self, peer: SocketAddr, reason: Turned) {
        let (metrics, records) = (self.context.metrics(), self.context.records());
        metrics.turned_away(reason);
        self.strangers.turned_away(&**records, peer, reason);
        info!(%peer, %reason, "turned a client away");
    }
}

impl Config {
    /// Looks at what only shows when the relay starts: the certificate's files, whether records may go where
    /// they are to, and whether the system gives as many descriptors as the limits need.
    ///
    /// # Errors
    /// Names the file and what is wrong with it, with its place in the configuration's, or the limits and what
    /// they need.
    pub fn check(&self) -> io::Result<()> {
        budget::fit(&mut self.clone())?;
        if let Some(path) = &self.records {
            let checked = JsonLines::check(path);
            checked.map_err(|error| self.places.wrong("records.file", &error))?;
        }
        Certificates::check(self)
    }
}

impl Relayd {
    /// Listens at the configuration's addresses, and reads its certificate. The process's soft limit
    /// of descriptors is raised to its hard one.
    ///
    /// # Errors
    /// Where an address can't be had, or the certificate's files can't be used, or keys that are at a URL
    /// can't be fetched, or the limits need more descriptors than the system gives; the text names which.
    ///
    /// # Cancel safety
    /// Dropping the future closes what it has opened.
    pub async fn bind(config: Config) -> io::Result<Self> {
        Self::bind_with(config, Vec::new()).await
    }

    /// As [`bind`](Self::bind), with sockets that listen already, such as a service manager passes: one
    /// for each address of the configuration's `listen`, and perhaps one for `health` and `metrics`.
    ///
    /// # Errors
    /// As those of [`bind`](Self::bind), and where sockets and addresses don't match; the text says where
    /// in the configuration's file.
    ///
    /// # Cancel safety
    /// Dropping the future closes what it has opened, and what was passed.
    pub async fn bind_with(
        mut config: Config,
        passed: Vec<std::net::TcpListener>,
    ) -> io::Result<Self> {
        let started = Arc::new(config.clone());
        budget::fit(&mut config)?;
        let tls = Certificates::load(&config)?.map(Arc::new);
        let mut passed = Passed::new(passed)?;
        let listeners = passed.clients(&config.listen, &config.places).await?;
        let health = match &config.health {
            Some(address) => Some(lane(&mut passed, address, "health", &config.places).await?),
            None => None,
        };
        let metrics = match &config.metrics {
            Some(address) => Some(lane(&mut passed, address, "metrics", &config.places).await?),
            None => None,
        };
        passed.finish(&config.places)?;
        #[cfg(unix)]
        let [admin, mint] = [
            (&config.admin, "admin.socket", Asker::Administrator),
            (&config.mint, "mint.socket", Asker::BackEnd),
        ]
        .map(|(path, key, asker)| {
            let bind = |path| admin::Socket::bind(path, asker);
            let bound = path.as_deref().map(bind).transpose();
            bound.map_err(|error| config.places.wrong(key, &error))
        });
        #[cfg(unix)]
        let (admin, mint) = (admin?, mint?);
        #[cfg(not(unix))]
        if config.admin.is_some() || config.mint.is_some() {
            let text = "this system has no Unix sockets for administrators and back ends";
            return Err(io::Error::new(io::ErrorKind::Unsupported, text));
        }
        let addresses = listeners
            .iter()
            .map(TcpListener::local_addr)
            .collect::<io::Result<Vec<_>>>()?;
        let mut own = addresses.clone();
        for lane in [&health, &metrics].into_iter().flatten() {
            own.push(lane.local_addr()?);
        }
        let keys = jwks::fetch_all(&mut config, &[]).await;
        let keys = keys.map_err(|NoKeys { token, why }| {
            io::Error::other(config.places.wrong_keys(token, why))
        })?;
        let context = Context::new(&config, Machine::new(&own, &config.advertise)?)?;
        let accounts = Accounts::new(Budget::new(&config)).with_fleet(context.fleet().cloned());
        (accounts.revoking()).read_with(config.revoked_file.clone());
        let accounts = Arc::new(accounts);
        let gate = Gate::new(&config, &addresses, Arc::clone(&accounts));
        let rules = watch::Sender::new(Arc::new(gate));
        let stopper = Stopper::new(config.drain);
        let reloader = Reloader {
            rules: rules.clone(),
            keys: watch::Sender::new(keys),
            stopper: stopper.clone(),
            tls: tls.clone(),
            records: Arc::clone(context.records()),
            addresses: addresses.clone(),
            accounts: Arc::clone(&accounts),
            started,
            turn: Arc::default(),
            told: Told::default(),
        };
        let shared = Shared {
            rules,
            accounts,
            tls,
            sessions: Semaphore::new(config.max_sessions as usize),
            door: Arc::new(Door::new(Admission::new(
                config.admission.clone(),
                fastrand::Rng::new(),
            ))),
            denials: Semaphore::new(MAX_DENIALS),
            strangers: Strangers::default(),
            context,
            numbers: AtomicU64::new(1),
        };
        Ok(Self {
            listeners,
            addresses,
            health,
            metrics,
            #[cfg(unix)]
            admin,
            #[cfg(unix)]
            mint,
            shared,
            stopper,
            reloader,
        })
    }

    /// Looks names up with this instead of what the configuration says.
    #[must_use]
    pub fn with_resolver(mut self, resolver: impl Resolve) -> Self {
        self.shared.context.set_resolver(resolver);
        self
    }

    /// Gives records to this instead of to what the configuration says.
    #[must_use]
    pub fn with_records(mut self, records: impl Records) -> Self {
        self.shared.context.set_records(records);
        self.reloader.records = Arc::clone(self.shared.context.records());
        self
    }

    /// Has this called whenever the relay begins to take another configuration, and when that is over,
    /// whoever has asked for it. It shall not wait for anything.
    #[must_use]
    pub fn on_reload(self, tell: impl Fn(Reloading) + Send + Sync + 'static) -> Self {
        self.reloader.told.set(tell);
        self
    }

    /// Where it listens, in the configuration's order; with the real ports where that had 0.
    pub fn local_addrs(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Where it answers for its health alone, if that is configured; with the real port.
    pub fn health_addr(&self) -> Option<SocketAddr> {
        let health = self.health.as_ref()?;
        health.local_addr().ok()
    }

    /// Where it answers with its metrics, if that is configured; with the real port.
    pub fn metrics_addr(&self) -> Option<SocketAddr> {
        let metrics = self.metrics.as_ref()?;
        metrics.local_addr().ok()
    }

    /// What gives it another configuration while it runs.
    pub fn reloader(&self) -> Reloader {
        self.reloader.clone()
    }

    /// Reads the certificate's files again whenever it is called, for connections to come. If that
    /// fails, the log says so and the certificate in use stays.
    pub fn reload_certificate(&self) -> impl Fn() + Send + Sync + use<> {
        let tls = self.shared.tls.clone();
        move || match tls.as_ref().map(|tls| tls.reload()) {
            None => info!("there is no certificate to read again"),
            Some(Ok(())) => info!("read the certificate again"),
            Some(Err(error)) => error!(%error, "can't read the certificate again"),
        }
    }

    /// What ends it while it runs.
    pub fn stopper(&self) -> Stopper {
        self.stopper.clone()
    }

    /// Serves until `shutdown` is ready, or a [`Stopper`] says so. Then it ends as its configuration's
    /// [`drain`](Config::drain) says: it goes on taking clients for a while, takes nothing new and tells
    /// its clients so, and cuts what is open then.
    ///
    /// # Cancel safety
    /// Dropping the future cuts every session at once, without a word.
    pub async fn run(self, shutdown: impl Future<Output = ()>) {
        let (stopper, reloader) = (self.stopper, self.reloader);
        let shared = Arc::new(self.shared);
        // Dropped, and so ended, with this future: health is told to the end.
        let mut probes = JoinSet::new();
        if let Some(listener) = self.health {
            if let Ok(address) = listener.local_addr() {
                info!(%address, "answering for health");
            }
            let tls = shared.tls.clone();
            probes.spawn(health::serve(listener, stopper.ending(), tls));
        }
        if let Some(listener) = self.metrics {
            if let Ok(address) = listener.local_addr() {
                info!(%address, "answering with metrics");
            }
            let sources = metrics::Sources {
                context: shared.context.clone(),
                accounts: Arc::clone(&shared.accounts),
                rules: shared.rules.subscribe(),
                tls: shared.tls.clone(),
                max_sessions: reloader.started.max_sessions,
            };
            probes.spawn(metrics::serve(listener, sources));
        }
        #[cfg(unix)]
        {
            let admin = Arc::new(Admin {
                registry: Arc::clone(shared.context.registry()),
                records: Arc::clone(shared.context.records()),
                reloader: reloader.clone(),
                stopper: stopper.clone(),
                since: std::time::Instant::now(),
            });
            for socket in [self.admin, self.mint].into_iter().flatten() {
                probes.spawn(admin::serve(socket, Arc::clone(&admin)));
            }
        }
        // Ends with this future, too. New keys are new rules, also for those who are in.
        let mut refreshing = JoinSet::new();
        let rules = shared.rules.clone();
        let changed = move || rules.send_modify(|_| {});
        refreshing.spawn(jwks::keep_all(reloader.keys.subscribe(), changed.clone()));
        refreshing.spawn(crl::watch(shared.rules.subscribe(), changed));
        if let Some(fleet) = shared.context.fleet().cloned() {
            let (context, rules) = (shared.context.clone(), shared.rules.clone());
            refreshing.spawn(fleet.clone().renew(Arc::clone(&shared.accounts)));
            let (tried, first) = oneshot::channel();
            refreshing.spawn(fleet.keep(context, move || rules.send_modify(|_| {}), tried));
            // Whoever was revoked while the relay wasn't there shall not get in meanwhile.
            tokio::select! {
                _ = first => {}
                () = stopper.stopping() => {}
            }
        }
        if let Some(tls) = &shared.tls {
            refreshing.spawn(Arc::clone(tls).tell_of_end());
            #[cfg(feature = "acme")]
            refreshing.spawn(Arc::clone(tls).keep());
        }
        let mut tasks = JoinSet::new();
        for listener in self.listeners {
            if let Ok(address) = listener.local_addr() {
                info!(%address, tls = shared.tls.is_some(), "listening");
            }
            tasks.spawn(serve(listener, Arc::clone(&shared), stopper.ending()));
        }
        tokio::select! {
            () = shutdown => stopper.drain(),
            () = stopper.stopping() => {}
        }
        let drain = Command::now(Commanded::Drain, None);
        shared.context.records().command(&drain);
        end(&stopper, tasks).await;
        // What isn't given back ends with its time.
        let _ = timeout(GIVE_BACK, shared.accounts.settle(true)).await;
    }
}

/// Goes through the phases of the end, until nothing is left.
async fn end(stopper: &Stopper, mut tasks: JoinSet<()>) {
    let drain = stopper.config();
    let begin = Instant::now();
    info!(delay = ?drain.delay, spread = ?drain.spread, cut = ?drain.cut, "shutting down");
    // Where it is cut before, that is the phase.
    let _ = timeout(drain.delay.min(drain.cut), stopper.reached(Phase::Cut)).await;
    stopper.reach(Phase::Leaving);
    let all = async { while tasks.join_next().await.is_some() {} };
    let mut all = pin!(all);
    let orderly = async {
        tokio::select! {
            () = &mut all => true,
            () = stopper.reached(Phase::Cut) => false,
        }
    };
    let left = drain.cut.saturating_sub(begin.elapsed());
    if timeout(left, orderly).await == Ok(true) {
        return;
    }
    warn!("some sessions did not end in time and are cut");
    stopper.cut();
    if timeout(session::CLOSE_DEADLINE, all).await.is_err() {
        debug!("some clients did not take leave");
    }
}

/// Accepts at one address until the relay ends, then waits for its sessions.
async fn serve(listener: TcpListener, shared: Arc<Shared>, ending: Ending) {
    let mut sessions = JoinSet::new();
    let mut ended = ending.clone();
    // At once and always: who waits in the system's queue can't be told from who waits behind him.
    let accepting = async {
        loop {
            match listener.accept().await {
                Ok((stream, peer)) => {
                    while sessions.try_join_next().is_some() {}
                    let (proxies, time) = {
                        let rules = shared.rules.borrow();
                        (Arc::clone(&rules.proxies), rules.deadline)
                    };
                    let untold = proxies.told_by(peer.ip());
                    let handshaking = match shared.door.enter(peer, untold) {
                        Ok(handshaking) => handshaking,
                        Err(reason) => {
                            shared.turned_away(peer, reason);
                            continue;
                        }
                    };
                    let guest = Guest {
                        peer,
                        proxies,
                        untold,
                        deadline: Instant::now() + time,
                        handshaking,
                        ending: ending.clone(),
                    };
                    let shared = Arc::clone(&shared);
                    let bell = guest.handshaking.bell();
                    sessions.spawn(async move {
                        tokio::select! {
                            () = guest::connection(stream, guest, &shared) => {}
                            () = bell.notified() => shared.turned_away(peer, Turned::Early),
                        }
                    });
                }
                Err(error) => {
                    warn!(%error, "can't accept a connection");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    };
    tokio::select! {
        () = accepting => {}
        () = ended.leaving() => {}
    }
    drop(listener);
    while sessions.join_next().await.is_some() {}
}

/// What listens for health or metrics.
async fn lane(
    passed: &mut Passed,
    address: &SocketAddr,
    key: &'static str,
    places: &Places,
) -> io::Result<TcpListener> {
    let listener = passed.lane(address).await;
    listener.map_err(|error| places.wrong(key, &error))
}

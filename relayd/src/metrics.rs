//! Metrics: what the relay counts, for Prometheus, as OpenMetrics text at an address of its own.
//!
//! Labels are what the relay itself makes: kinds, codes, and the names that tokens have in the
//! configuration. Nothing that a client, a token or a page has said of itself is ever in one, since each
//! would be a series for ever. Who that was is in the [records](crate::record).
//!
//! Openings are counted where they are recorded, so that the two agree. What sessions carry is
//! added up when somebody asks: each session has numbers of its own, and no two write the same one.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jackfield_relay_wire::Code;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, text};
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::metrics::{MetricType, TypedMetric};
use prometheus_client::registry::{Registry as Series, Unit};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tracing::debug;

use crate::admission::Turned;
use crate::ask::No;
use crate::budget::Used;
use crate::handshake::{self, Gate};
use crate::lane;
use crate::limits::{Accounts, Rate, Whose};
use crate::record::{Answered, Event, Record};
use crate::session::Context;
use crate::tls::Certificates;

/// How many scrapes are answered at a time; beyond it, connections are closed.
pub(crate) const MAX_SCRAPES: usize = 8;
/// How long one may take.
const DEADLINE: Duration = Duration::from_secs(10);
/// The bounds of a histogram's buckets, in seconds. What a dial or a look-up takes has a deadline, of
/// 15 s by default.
const SECONDS: [f64; 12] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 15.0,
];

type Label = (&'static str, String);

/// What is counted while it happens.
#[derive(Debug)]
pub(crate) struct Metrics {
    /// By what was asked for, what carries it, and what came of it.
    openings: Family<[Label; 3], Counter>,
    handshakes: Family<[Label; 1], Counter>,
    turned_away: Family<[Label; 1], Counter>,
    open: [Gauge; Kind::ALL.len()],
    /// By the limit and whose it is.
    held_back: Family<[(&'static str, &'static str); 2], Gauge>,
    renewals: Family<[Label; 1], Counter>,
    questions: Family<[Label; 1], Counter>,
    look_ups: Family<[Label; 1], Counter>,
    look_up_seconds: Histogram,
    dial_seconds: Histogram,
}

/// What hangs on a session.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Opening,
    Stream,
    Listener,
    Datagrams,
}

impl Kind {
    const ALL: [Self; 4] = [Self::Opening, Self::Stream, Self::Listener, Self::Datagrams];

    fn name(self) -> &'static str {
        match self {
            Self::Opening => "opening",
            Self::Stream => "stream",
            Self::Listener => "listener",
            Self::Datagrams => "datagrams",
        }
    }
}

/// Something that hangs on a session, as long as it does.
#[derive(Debug)]
pub(crate) struct Counted(Gauge);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// What has become of a handshake.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Handshake {
    /// It became a session.
    Admitted,
    /// It was a certificate authority's, which has seen a challenge.
    Challenge,
    /// It was asked for the relay's health.
    Probe,
    /// It was answered with a status of HTTP.
    Refused,
    /// The client was told this in its WebSocket.
    Denied(Code),
    /// It was not done in time.
    Late,
    /// A trusted proxy did not tell whom it speaks for.
    Proxy,
    /// TLS failed.
    Tls,
    /// The client went away.
    Gone,
}

impl Default for Metrics {
    fn default() -> Self {
        let held_back = Family::default();
        // So that nothing is a 0, and not nothing.
        for whose in [Whose::Bearer, Whose::Source, Whose::Token] {
            for rate in [Rate::Bytes, Rate::Packets] {
                drop(held_back.get_or_create(&limit_labels(whose, rate)));
            }
        }
        Self {
            held_back,
            openings: Family::default(),
            handshakes: Family::default(),
            turned_away: Family::default(),
            open: Default::default(),
            renewals: Family::default(),
            questions: Family::default(),
            look_ups: Family::default(),
            look_up_seconds: Histogram::new(SECONDS),
            dial_seconds: Histogram::new(SECONDS),
        }
    }
}

impl Metrics {
    /// A record is written.
    pub(crate) fn recorded(&self, record: &Record) {
        if record.event != Event::Open {
            return;
        }
        let labels = [
            ("action", record.action.name().to_owned()),
            ("transport", record.transport.to_string()),
            ("result", label(&record.outcome)),
        ];
        self.openings.get_or_create(&labels).inc();
    }

    pub(crate) fn handshake(&self, handshake: Handshake) {
        let result = match handshake {
            Handshake::Admitted => "admitted".into(),
            Handshake::Challenge => "challenge".into(),
            Handshake::Probe => "probe".into(),
            Handshake::Refused => "refused".into(),
            Handshake::Denied(code) => label(&code.to_string()),
            Handshake::Late => "late".into(),
            Handshake::Proxy => "proxy_failed".into(),
            Handshake::Tls => "tls_failed".into(),
            Handshake::Gone => "gone".into(),
        };
        self.handshakes.get_or_create(&[("result", result)]).inc();
    }

    /// Another token has come within a session, with this outcome.
    pub(crate) fn renewed(&self, outcome: &str) {
        self.renewals
            .get_or_create(&[("result", label(outcome))])
            .inc();
    }

    /// Admission let nobody in.
    pub(crate) fn turned_away(&self, turned: Turned) {
        let reason = match turned {
            Turned::Early => "early",
            Turned::SourceFull => "source_full",
            Turned::Penalised => "penalised",
        };
        let labels = [("reason", reason.to_owned())];
        self.turned_away.get_or_create(&labels).inc();
    }

    /// Something hangs on a session from now on.
    pub(crate) fn hangs(&self, kind: Kind) -> Counted {
        let gauge = self.open[kind as usize].clone();
        gauge.inc();
        Counted(gauge)
    }

    /// Something that is to be carried waits for a limit from now on.
    pub(crate) fn held_back(&self, (whose, rate): (Whose, Rate)) -> Counted {
        let gauge = self
            .held_back
            .get_or_create_owned(&limit_labels(whose, rate));
        gauge.inc();
        Counted(gauge)
    }

    /// It was asked whether to open something, or couldn't be.
    pub(crate) fn asked(&self, answered: &Result<Answered, No>) {
        let result = match answered {
            Ok(Answered::Allowed) => "allowed",
            Err(No::Denied(_)) | Ok(Answered::Denied) => "denied",
            Ok(Answered::FailedOpen) => "failed_open",
            Err(No::Failed(_)) | Ok(Answered::FailedClosed) => "failed_closed",
            Err(No::Limit(_)) => "limit_exceeded",
        };
        let labels = [("result", result.to_owned())];
        self.questions.get_or_create(&labels).inc();
    }

    /// A name was looked up, and that took so long. Look-ups that were given up are not among them.
    pub(crate) fn looked_up<T>(&self, found: &io::Result<T>, took: Duration) {
        let result = match found {
            Ok(_) => "found",
            Err(error) if error.kind() == io::ErrorKind::NotFound => "not_found",
            Err(_) => "failed",
        };
        let labels = [("result", result.to_owned())];
        self.look_ups.get_or_create(&labels).inc();
        self.look_up_seconds.observe(took.as_secs_f64());
    }

    /// A target has answered after so long.
    pub(crate) fn dialled(&self, took: Duration) {
        self.dial_seconds.observe(took.as_secs_f64());
    }
}

fn limit_labels(whose: Whose, rate: Rate) -> [(&'static str, &'static str); 2] {
    let limit = match rate {
        Rate::Bytes => "bytes_per_second",
        Rate::Packets => "packets_per_second",
    };
    let whose = match whose {
        Whose::Bearer => "bearer",
        Whose::Source => "source",
        // No others are by the second.
        Whose::Token | Whose::Relay | Whose::Fleet => "token",
    };
    [("limit", limit), ("whose", whose)]
}

/// A code's name as a label: `limit_exceeded`. A client may take an opening back with a code that nobody
/// knows, of which there would be hundreds.
fn label(name: &str) -> String {
    if name.starts_with("code ") {
        "other".into()
    } else {
        name.replace(' ', "_")
    }
}

/// What is looked at when somebody asks.
#[derive(Debug)]
pub(crate) struct Sources {
    pub(crate) context: Context,
    pub(crate) accounts: Arc<Accounts>,
    pub(crate) rules: watch::Receiver<Arc<Gate>>,
    pub(crate) tls: Option<Arc<Certificates>>,
    /// `max_sessions`.
    pub(crate) max_sessions: u32,
}

/// Answers with the metrics until it is dropped.
pub(crate) async fn serve(listener: TcpListener, sources: Sources) {
    let series = Arc::new(series(sources));
    let answer = |mut stream: TcpStream, peer: SocketAddr| {
        let series = Arc::clone(&series);
        async move {
            let text = || {
                let mut text = String::new();
                // Writing to a string fails by nobody's fault but a metric's own.
                text::encode(&mut text, &series).map(|()| text)
            };
            let answered = handshake::scrape(&mut stream, text).await;
            debug!(%peer, ?answered, "asked for metrics");
        }
    };
    lane::serve(listener, MAX_SCRAPES, DEADLINE, answer).await;
}

fn series(sources: Sources) -> Series {
    let metrics = Arc::clone(sources.context.metrics());
    let mut series = Series::with_prefix("jackfield");
    let build = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
    series.register("build", "The relay's version", build);
    let started = Gauge::<i64>::default();
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    started.set(since.map_or(0, |since| since.as_secs().cast_signed()));
    series.register_with_unit(
        "start_time",
        "When the relay was started, since 1970",
        Unit::Seconds,
        started,
    );
    series.register(
        "openings",
        "Openings that were decided on, by what came of them",
        metrics.openings.clone(),
    );
    series.register(
        "handshakes",
        "Connections that began a handshake, by what came of it",
        metrics.handshakes.clone(),
    );
    series.register(
        "renewals",
        "Tokens that came within sessions, by what came of them",
        metrics.renewals.clone(),
    );
    series.register(
        "turned_away",
        "Connections that may begin no handshake, by why",
        metrics.turned_away.clone(),
    );
    series.register(
        "held_back",
        "Directions of streams and sockets that wait for a limit by the second",
        metrics.held_back.clone(),
    );
    series.register(
        "questions",
        "Whether to open something, by what was answered",
        metrics.questions.clone(),
    );
    series.register(
        "look_ups",
        "Names that were looked up, by what came of it",
        metrics.look_ups.clone(),
    );
    series.register_with_unit(
        "look_up",
        "How long names took to be looked up",
        Unit::Seconds,
        metrics.look_up_seconds.clone(),
    );
    series.register_with_unit(
        "dial",
        "How long targets took to accept a TCP connection",
        Unit::Seconds,
        metrics.dial_seconds.clone(),
    );
    if let Some(fleet) = sources.context.fleet() {
        fleet.series().register(&mut series);
    }
    series.register_collector(Box::new(sources));
    series
}

impl Collector for Sources {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let (total, mut of_token) = self.context.registry().totals();
        for name in self.rules.borrow().tokens() {
            of_token.entry(name.to_owned()).or_default();
        }
        let sessions: u64 = of_token.values().sum();
        let mut out = Out(&mut encoder);
        out.gauges(
            "sessions",
            "Sessions whose client is there, by their token's name",
            "token",
            of_token.iter().map(|(token, count)| (&**token, *count)),
        )?;
        let open = Kind::ALL.map(|kind| {
            let open = self.context.metrics().open[kind as usize].get();
            (kind.name(), u64::try_from(open).unwrap_or(0))
        });
        let help = "What is open or being opened, by its kind";
        out.gauges("streams", help, "kind", open)?;
        out.counters(
            "payload_bytes",
            "Payload that was carried: up is from clients",
            "direction",
            [("up", total.bytes_up), ("down", total.bytes_down)],
        )?;
        out.counters(
            "datagrams",
            "Datagrams that were carried",
            "direction",
            [("up", total.datagrams_up), ("down", total.datagrams_down)],
        )?;
        let dropped = ConstCounter::new(total.datagrams_dropped);
        let help = "Datagrams that were dropped, since they couldn't be or may not be sent.";
        let metric =
            (out.0).encode_descriptor("datagrams_dropped", help, None, dropped.metric_type())?;
        dropped.encode(metric)?;
        out.counters(
            "lines_dropped",
            "Lines that were dropped, since nobody took them",
            "sink",
            [
                ("log", crate::log::dropped()),
                ("records", self.context.records().dropped()),
            ],
        )?;
        let not_after = self.tls.as_ref().and_then(|tls| tls.not_after());
        if let Some(Ok(since)) = not_after.map(|end| end.duration_since(UNIX_EPOCH)) {
            let end = ConstGauge::new(since.as_secs());
            let help = "When the certificate in use ends, since 1970.";
            let kind = end.metric_type();
            let name = "certificate_not_after";
            let metric = (out.0).encode_descriptor(name, help, Some(&Unit::Seconds), kind)?;
            end.encode(metric)?;
        }
        let gate = Arc::clone(&self.rules.borrow());
        let since_1970 = |(token, due): (_, SystemTime)| {
            let since = due.duration_since(UNIX_EPOCH).unwrap_or_default();
            (token, since.as_secs())
        };
        let lists = gate.identity().lists().map(since_1970).collect::<Vec<_>>();
        if !lists.is_empty() {
            let help = "When the next list of revoked certificates is due, since 1970, by the token's name";
            out.gauges("crl_next_update_seconds", help, "token", lists)?;
        }
        #[cfg(feature = "acme")]
        if let Some((issued, failed)) = self.tls.as_ref().and_then(|tls| tls.orders()) {
            let help = "Certificates that the relay has asked for, by what came of it";
            let orders = [("issued", issued), ("failed", failed)];
            out.counters("certificate_orders", help, "result", orders)?;
        }
        let Used { streams, bytes } = self.accounts.used();
        let look_ups = self.context.look_ups();
        let budget = [
            ("sessions", (sessions, self.max_sessions.into())),
            ("streams", streams),
            ("buffer_bytes", bytes),
            ("look_ups", look_ups),
        ];
        let used = budget.map(|(name, (used, _))| (name, used));
        let help = "How much of the relay's limits for all is in use";
        out.gauges("budget_used", help, "limit", used)?;
        let limits = budget.map(|(name, (_, limit))| (name, limit));
        let help = "The relay's limits for all";
        out.gauges("budget_limit", help, "limit", limits)
    }
}

/// Writes families of which each metric has one label.
struct Out<'a, 'b>(&'a mut DescriptorEncoder<'b>);

impl Out<'_, '_> {
    fn gauges<'l>(
        &mut self,
        name: &str,
        help: &str,
        label: &'static str,
        values: impl IntoIterator<Item = (&'l str, u64)>,
    ) -> fmt::Result {
        let kind = ConstGauge::<u64>::TYPE;
        let gauge = |value| ConstGauge::new(value);
        self.family((name, help, kind), label, values, gauge)
    }

    fn counters<'l>(
        &mut self,
        name: &str,
        help: &str,
        label: &'static str,
        values: impl IntoIterator<Item = (&'l str, u64)>,
    ) -> fmt::Result {
        let kind = ConstCounter::<u64>::TYPE;
        let counter = |value| ConstCounter::new(value);
        self.family((name, help, kind), label, values, counter)
    }

    fn family<'l, M: EncodeMetric>(
        &mut self,
        (name, help, kind): (&str, &str, MetricType),
        label: &'static str,
        values: impl IntoIterator<Item = (&'l str, u64)>,
        metric: impl Fn(u64) -> M,
    ) -> fmt::Result {
        // As the library does for those that it keeps.
        let help = format!("{help}.");
        let mut family = self.0.encode_descriptor(name, &help, None, kind)?;
        for (text, value) in values {
            let labels = [(label, text)];
            metric(value).encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }
}

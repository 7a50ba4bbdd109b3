//! The log: what an administrator needs, and nothing that a client wants kept.
//!
//! Every event is structured. Sessions have a number, which the events of their streams carry too.
//! No payload, token or password is ever given to the log; nor are bytes that a client could use to
//! forge a line, since what it sent is written in quotes.
//!
//! Nor is it a way to harm the relay. Lines wait in a bounded queue for a thread that
//! writes them, so that a reader who stalls stalls nobody else. And of events of one kind from one
//! source, [a few a minute](LogConfig::repeats) are written, and the others told as a number.

use std::fmt;
use std::io::IsTerminal as _;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use tracing::callsite::Identifier;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber, info, span};
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::{Context, Filter, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::config::{LogConfig, LogFormat, LogLevel};
use crate::repeats::{Repeats, Summary};
use crate::sink::Sink;
use crate::source::Source;

/// What summaries are known by, which no limit applies to.
const SUMMARY: &str = "jackfield_relayd::log::summary";
/// How long the process waits at its end for the log to be written.
const FLUSH: Duration = Duration::from_millis(500);

/// Where the process's log goes, once it has one.
static SINK: OnceLock<Sink> = OnceLock::new();

/// The process's log. Dropping it waits for half a second at most until everything is written.
#[derive(Debug)]
#[must_use = "what is in the queue when the process ends is lost"]
pub struct Log {
    sink: Sink,
    repeats: Arc<Mutex<Repeats<Identifier>>>,
}

/// Sends the process's log to standard error.
///
/// # Errors
/// Where the process has a log already, or no thread is left.
pub fn init(config: &LogConfig) -> Result<Log, Box<dyn std::error::Error + Send + Sync>> {
    let level = match config.level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
    };
    let limit = Some(config.repeats).filter(|limit| *limit > 0);
    let repeats = Repeats::new(limit.unwrap_or(u32::MAX), Instant::now());
    let repeats = Arc::new(Mutex::new(repeats));
    let ticking = Arc::clone(&repeats);
    let tick = move || tell(lock(&ticking).next(Instant::now()));
    let sink = Sink::start("log", std::io::stderr(), tick)?;
    let filter = Limited {
        level,
        repeats: Arc::clone(&repeats),
    };
    let layer = tracing_subscriber::fmt::layer()
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(sink.clone());
    let registry = tracing_subscriber::registry();
    match config.format {
        LogFormat::Text => registry.with(layer.with_filter(filter)).try_init(),
        LogFormat::Json => registry
            .with(layer.json().flatten_event(true).with_filter(filter))
            .try_init(),
    }?;
    let sink = SINK.get_or_init(|| sink).clone();
    Ok(Log { sink, repeats })
}

/// How many lines of the process's log were dropped since the start.
pub(crate) fn dropped() -> u64 {
    SINK.get().map_or(0, Sink::dropped)
}

impl Drop for Log {
    fn drop(&mut self) {
        tell(lock(&self.repeats).end());
        self.sink.flush(FLUSH);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Tells what was not written in the last minute. Nothing is locked by now: this is an event as well.
fn tell(summaries: Vec<Summary>) {
    for Summary { what, more, source } in summaries {
        let source = source.map_or_else(|| "various sources".to_owned(), |one| one.to_string());
        info!(target: SUMMARY, what, more, source, "more of the same in the last minute");
    }
}

/// Passes what has the level, and is not one repeat too many. Events below [`Level::INFO`] are
/// written all: who asks for them wants them.
struct Limited {
    level: LevelFilter,
    repeats: Arc<Mutex<Repeats<Identifier>>>,
}

/// Where a session comes from, kept with its span.
struct From(Source);

impl<S: Subscriber + for<'a> LookupSpan<'a>> Filter<S> for Limited {
    fn enabled(&self, metadata: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        *metadata.level() <= self.level
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.level)
    }

    fn on_new_span(&self, attributes: &span::Attributes<'_>, id: &span::Id, ctx: Context<'_, S>) {
        let mut seen = Seen::default();
        attributes.record(&mut seen);
        if let (Some(source), Some(span)) = (seen.source, ctx.span(id)) {
            span.extensions_mut().insert(From(source));
        }
    }

    fn event_enabled(&self, event: &Event<'_>, ctx: &Context<'_, S>) -> bool {
        let metadata = event.metadata();
        if metadata.target() == SUMMARY || *metadata.level() > Level::INFO {
            return true;
        }
        let mut seen = Seen::default();
        event.record(&mut seen);
        let source = seen.source.or_else(|| {
            let mut scope = ctx.event_scope(event)?;
            scope.find_map(|span| span.extensions().get::<From>().map(|from| from.0))
        });
        let what = || seen.message.unwrap_or_else(|| metadata.name().into());
        lock(&self.repeats).note(metadata.callsite(), source, what)
    }
}

/// What matters of the fields of an event or a span.
#[derive(Default)]
struct Seen {
    message: Option<String>,
    source: Option<Source>,
}

impl Visit for Seen {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        match field.name() {
            "message" => self.message = Some(format!("{value:?}")),
            "peer" => {
                let text = format!("{value:?}");
                let address = text.parse().map(|peer: SocketAddr| peer.ip());
                let address = address.or_else(|_| text.parse::<IpAddr>());
                self.source = address.ok().map(Source::of);
            }
            _ => {}
        }
    }
}

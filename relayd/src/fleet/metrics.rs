//! Metrics of the fleet: whether Redis is there, and what has become of what was asked of it.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

#[derive(Debug, Default)]
pub(super) struct Metrics {
    pub(super) connected: Gauge,
    operations: Family<[(&'static str, &'static str); 2], Counter>,
}

/// What is shown of them.
#[derive(Debug)]
pub(crate) struct Series {
    connected: Gauge,
    operations: Family<[(&'static str, &'static str); 2], Counter>,
}

impl Metrics {
    /// Counts something that was asked of Redis.
    pub(super) fn count<T, E>(&self, operation: &'static str, done: &Result<T, E>) {
        let result = if done.is_ok() { "done" } else { "failed" };
        let labels = [("operation", operation), ("result", result)];
        self.operations.get_or_create(&labels).inc();
    }

    pub(super) fn series(&self) -> Series {
        Series {
            connected: self.connected.clone(),
            operations: self.operations.clone(),
        }
    }
}

impl Series {
    pub(crate) fn register(self, series: &mut Registry) {
        series.register(
            "redis_connected",
            "Whether Redis is there: 1, or 0",
            self.connected,
        );
        series.register(
            "redis_operations",
            "What was asked of Redis, by what came of it",
            self.operations,
        );
    }
}

//! Percentiles, medians, and ratios with their spread.

use std::fmt;
use std::time::Duration;

/// Many durations.
#[derive(Debug, Default)]
pub(crate) struct Samples(Vec<Duration>);

impl Samples {
    pub(crate) fn push(&mut self, sample: Duration) {
        self.0.push(sample);
    }

    /// The value that this share of the samples doesn't pass.
    pub(crate) fn percentile(&mut self, share: f64) -> Duration {
        self.0.sort_unstable();
        let last = self.0.len().saturating_sub(1);
        let index = (last as f64 * share).round() as usize;
        self.0.get(index).copied().unwrap_or_default()
    }
}

/// The middle one of a few runs.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// How many times one is of the other, with the spread of its runs.
///
/// The runs of both alternate, so that what disturbs the machine for a while disturbs both: the ratio is
/// that of neighbours. A ratio whose spread has 1 in it is a tie.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ratio {
    middle: f64,
    low: f64,
    high: f64,
}

impl Ratio {
    /// Of runs that were made in turn, the first of one beside the first of the other.
    pub(crate) fn of(one: &[f64], other: &[f64]) -> Self {
        let mut ratios: Vec<f64> = one.iter().zip(other).map(|(a, b)| a / b).collect();
        ratios.sort_unstable_by(f64::total_cmp);
        // The outermost run on each side is left out where there are enough: one that was disturbed
        // says nothing about the code.
        let cut = usize::from(ratios.len() >= 5);
        let kept = &ratios[cut..ratios.len() - cut];
        Self {
            middle: median(ratios.clone()),
            low: kept.first().copied().unwrap_or(f64::NAN),
            high: kept.last().copied().unwrap_or(f64::NAN),
        }
    }
}

impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { middle, low, high } = self;
        if low == high {
            // Ours over ours.
            return write!(f, "{middle:.2}");
        }
        let tie = if *low <= 1.0 && *high >= 1.0 {
            ", a tie"
        } else {
            ""
        };
        write!(f, "{middle:.2} ({low:.2}–{high:.2}{tie})")
    }
}

pub(crate) fn micros(duration: Duration) -> String {
    let micros = duration.as_secs_f64() * 1e6;
    if micros < 1000.0 {
        format!("{micros:.0} µs")
    } else {
        format!("{:.1} ms", micros / 1000.0)
    }
}

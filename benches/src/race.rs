//! A race: the same piece of work done in several ways, counted in instructions beside the time.
//!
//! Instructions are the same in every run on every machine of a kind, where time swings with whatever
//! else the machine does. They are counted by valgrind: this binary runs itself below it, once with some
//! repeats and once with more, and the difference is what the work took, without what was set up for it.

use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};

use crate::stats::{Ratio, median};

/// Set for a process that is to do one way of one race, and nothing else: the race's name, the way's
/// index and the repeats, parted by tabs.
const COUNTED: &str = "JACKFIELD_BENCH_COUNTED";
/// How often the work is done when it is counted, less and more.
const LESS: usize = 50;
const MORE: usize = 250;
const RUNS: usize = 9;
/// Nanoseconds that a run takes, roughly.
const RUN: u128 = 30_000_000;

type Work<'a> = Box<dyn FnMut() -> Result<()> + 'a>;

/// A piece of work and the ways to do it.
pub(crate) struct Race<'a> {
    section: &'static str,
    name: String,
    items: usize,
    ways: Vec<Work<'a>>,
}

/// What a race came to, ours first as it was added first.
pub(crate) struct Outcome {
    /// Nanoseconds an item, a run each.
    nanoseconds: Vec<Vec<f64>>,
    /// Instructions an item.
    instructions: Vec<f64>,
}

impl Outcome {
    /// Cells of a table: time and instructions of each way.
    pub(crate) fn cells(&self) -> Vec<String> {
        let cell = |(runs, count): (&Vec<f64>, &f64)| {
            format!("{:.1} ns, {count:.0}", median(runs.clone()))
        };
        self.nanoseconds
            .iter()
            .zip(&self.instructions)
            .map(cell)
            .collect()
    }

    /// How many times our time, and our instructions, the way with this index takes.
    pub(crate) fn over(&self, way: usize) -> [String; 2] {
        let time = Ratio::of(&self.nanoseconds[way], &self.nanoseconds[0]);
        let count = self.instructions[way] / self.instructions[0];
        [time.to_string(), format!("{count:.2}")]
    }

    /// The same for the best of all other ways: the fastest, and that with the fewest instructions.
    pub(crate) fn over_best(&self) -> [String; 2] {
        let best = |value: &dyn Fn(usize) -> f64| {
            let others = 1..self.nanoseconds.len();
            others
                .min_by(|a, b| value(*a).total_cmp(&value(*b)))
                .unwrap_or(0)
        };
        let fastest = best(&|way| median(self.nanoseconds[way].clone()));
        let fewest = best(&|way| self.instructions[way]);
        let [time, _] = self.over(fastest);
        let [_, count] = self.over(fewest);
        [time, count]
    }
}

impl<'a> Race<'a> {
    /// A race in a section of the report; each piece of work does this many items.
    pub(crate) fn new(section: &'static str, name: impl Into<String>, items: usize) -> Self {
        Self {
            section,
            name: name.into(),
            items,
            ways: Vec::new(),
        }
    }

    /// The same with one more way; ours comes first.
    pub(crate) fn with(mut self, work: impl FnMut() -> Result<()> + 'a) -> Self {
        self.ways.push(Box::new(work));
        self
    }

    /// Runs all ways in turn, several times, and counts each.
    pub(crate) fn run(mut self) -> Result<Outcome> {
        if let Ok(counted) = std::env::var(COUNTED) {
            return self.be_counted(&counted);
        }
        let mut nanoseconds = vec![Vec::new(); self.ways.len()];
        let mut repeats = Vec::new();
        for way in &mut self.ways {
            // It warms up, and says how long it takes.
            let start = Instant::now();
            for _ in 0..100 {
                way()?;
            }
            let each = start.elapsed().as_nanos() / 100;
            repeats.push((RUN / each.max(1)).clamp(10, 1_000_000) as usize);
        }
        for _ in 0..RUNS {
            for ((way, repeats), runs) in self.ways.iter_mut().zip(&repeats).zip(&mut nanoseconds) {
                let start = Instant::now();
                for _ in 0..*repeats {
                    way()?;
                }
                let items = (repeats * self.items) as f64;
                runs.push(start.elapsed().as_secs_f64() * 1e9 / items);
            }
        }
        let instructions = (0..self.ways.len())
            .map(|way| self.count(way))
            .collect::<Result<_>>()?;
        Ok(Outcome {
            nanoseconds,
            instructions,
        })
    }

    /// Instructions an item, of this way.
    fn count(&self, way: usize) -> Result<f64> {
        let less = self.total(way, LESS)?;
        let more = self.total(way, MORE)?;
        Ok((more - less) / ((MORE - LESS) * self.items) as f64)
    }

    /// Instructions of a process that does this way so often, set-up and all.
    fn total(&self, way: usize, repeats: usize) -> Result<f64> {
        let output = Command::new("valgrind")
            .args(["--tool=cachegrind", "--cache-sim=no"])
            .arg("--cachegrind-out-file=/dev/null")
            .arg(std::env::current_exe()?)
            .arg(self.section)
            .env(COUNTED, format!("{}\t{way}\t{repeats}", self.name))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .output()
            .context("running valgrind")?;
        let text = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{}: {text}", self.name);
        let refs = text.lines().find_map(|line| line.split_once("I   refs:"));
        let digits = refs.context("valgrind counted nothing")?.1.replace(',', "");
        Ok(digits.trim().parse()?)
    }

    /// Does what is to be counted and ends the process, if it is of this race; else it came to nothing.
    fn be_counted(&mut self, counted: &str) -> Result<Outcome> {
        let mut parts = counted.split('\t');
        if parts.next() != Some(&self.name) {
            return Ok(Outcome {
                nanoseconds: vec![vec![0.0]; self.ways.len()],
                instructions: vec![0.0; self.ways.len()],
            });
        }
        let mut number = || anyhow::Ok(parts.next().context("a part is missing")?.parse()?);
        let (way, repeats): (usize, usize) = (number()?, number()?);
        let work = self.ways.get_mut(way).context("no such way")?;
        for _ in 0..repeats {
            work()?;
        }
        std::process::exit(0)
    }
}

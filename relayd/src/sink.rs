//! A sink for lines: a bounded queue, and a thread that writes what is in it.
//!
//! Whoever has a line never waits for the one who reads it. Where nobody reads, or the disk is full,
//! lines are dropped, and counted; as soon as lines move again, the log has how many there were.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use tracing::warn;
use tracing_subscriber::fmt::MakeWriter;

/// How many lines wait to be written; beyond it, new ones are dropped.
const LINES_CAPACITY: usize = 1024;
/// How many bytes these may have together.
const BYTES_CAPACITY: usize = 1024 * 1024;
/// How often the thread looks at what else there is to do.
const TICK: Duration = Duration::from_secs(1);
/// How often it is looked whether all is written.
const FLUSH_STEP: Duration = Duration::from_millis(2);

/// Where lines go. Clones share the queue.
#[derive(Clone, Debug)]
pub(crate) struct Sink {
    lines: SyncSender<Vec<u8>>,
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    /// Bytes of lines that are not written yet.
    waiting: AtomicUsize,
    /// Lines that were dropped since the start.
    dropped: AtomicU64,
}

impl Sink {
    /// Writes lines to `writer`, which may block for as long as it likes. About every second, unless
    /// it does, `tick` is called.
    ///
    /// # Errors
    /// Where the system has no thread left.
    pub(crate) fn start(
        name: &'static str,
        writer: impl Write + Send + 'static,
        tick: impl FnMut() + Send + 'static,
    ) -> io::Result<Self> {
        let (lines, queue) = sync_channel(LINES_CAPACITY);
        let counts = Arc::new(Counts::default());
        let shared = Arc::clone(&counts);
        thread::Builder::new()
            .name(name.into())
            .spawn(move || write_all(name, &queue, &shared, writer, tick))?;
        Ok(Self { lines, counts })
    }

    /// Queues a line, which has its end; it is dropped where too many wait.
    pub(crate) fn put(&self, line: &[u8]) {
        let waiting = &self.counts.waiting;
        let before = waiting.fetch_add(line.len(), Ordering::Relaxed);
        if before + line.len() > BYTES_CAPACITY || self.lines.try_send(line.into()).is_err() {
            waiting.fetch_sub(line.len(), Ordering::Relaxed);
            self.counts.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits until everything is written, but not for ever. Whether it is.
    pub(crate) fn flush(&self, within: Duration) -> bool {
        let begun = Instant::now();
        while self.counts.waiting.load(Ordering::Acquire) > 0 {
            if begun.elapsed() > within {
                return false;
            }
            thread::sleep(FLUSH_STEP);
        }
        true
    }

    /// How many lines were dropped since the start.
    pub(crate) fn dropped(&self) -> u64 {
        self.counts.dropped.load(Ordering::Relaxed)
    }
}

fn write_all(
    name: &str,
    queue: &Receiver<Vec<u8>>,
    counts: &Counts,
    mut writer: impl Write,
    mut tick: impl FnMut(),
) {
    let (mut ticked, mut told) = (Instant::now(), 0);
    loop {
        match queue.recv_timeout(TICK) {
            Ok(line) => {
                if writer.write_all(&line).is_err() {
                    counts.dropped.fetch_add(1, Ordering::Relaxed);
                }
                counts.waiting.fetch_sub(line.len(), Ordering::Release);
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        if ticked.elapsed() < TICK {
            continue;
        }
        ticked = Instant::now();
        tick();
        let dropped = counts.dropped.load(Ordering::Relaxed);
        if dropped > told {
            let lines = dropped - told;
            // Should this line be dropped, the next one counts it.
            warn!(
                sink = name,
                lines,
                in_all = dropped,
                "lines were dropped, since nobody took them"
            );
            told = dropped;
        }
    }
}

/// A line is what is written at once, as `tracing_subscriber` does.
impl<'a> MakeWriter<'a> for Sink {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line(self)
    }
}

/// Takes one line.
pub(crate) struct Line<'a>(&'a Sink);

impl Write for Line<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.put(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    /// A writer that takes a line only when it is told to.
    struct Stalling {
        go_on: Receiver<()>,
        written: std::sync::mpsc::Sender<Vec<u8>>,
    }

    impl Write for Stalling {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.go_on.recv().map_err(io::Error::other)?;
            self.written.send(bytes.into()).map_err(io::Error::other)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn where_nobody_reads_lines_are_dropped_and_counted() {
        let ((go, go_on), (written, read)) = (channel(), channel());
        let sink = Sink::start("test", Stalling { go_on, written }, || {}).expect("a thread");
        for number in 0..3000 {
            sink.put(format!("{number}\n").as_bytes());
        }
        assert!(!sink.flush(Duration::ZERO), "nobody has read");
        // The queue's, and perhaps the one that is being written.
        let kept = 3000 - sink.dropped();
        let capacity = LINES_CAPACITY as u64;
        assert!((capacity..=capacity + 1).contains(&kept), "{kept}");
        for number in 0..kept {
            go.send(()).expect("it writes");
            let line = read.recv().expect("a line");
            // One more is kept where the writer took the first only when others had been dropped.
            if number < capacity {
                let oldest = format!("{number}\n");
                assert_eq!(line, oldest.as_bytes(), "the oldest are kept");
            }
        }
        assert!(sink.flush(Duration::from_secs(20)));
        sink.put(b"after\n");
        go.send(()).expect("it writes");
        assert_eq!(read.recv().expect("a line"), b"after\n");
    }

    #[test]
    fn lines_that_wait_are_bounded_in_bytes() {
        let ((_go, go_on), (written, _read)) = (channel(), channel());
        let sink = Sink::start("test", Stalling { go_on, written }, || {}).expect("a thread");
        let line = vec![b'a'; 64 * 1024];
        for _ in 0..100 {
            sink.put(&line);
        }
        assert_eq!(sink.dropped(), 100 - (BYTES_CAPACITY / line.len()) as u64);
    }

    #[test]
    fn a_writer_that_fails_is_counted() {
        struct Full;
        impl Write for Full {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::StorageFull.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let sink = Sink::start("test", Full, || {}).expect("a thread");
        sink.put(b"line\n");
        assert!(sink.flush(Duration::from_secs(20)));
        assert_eq!(sink.dropped(), 1);
    }
}

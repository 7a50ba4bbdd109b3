//! Records as lines of JSON, in a file that may be moved away.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;

use super::file::{self, Appending};
use super::{Command, Minting, Record, Records, SessionRecord};
use crate::files;
use crate::sink::Sink;

/// How long it is waited for the last records to be written.
const FLUSH: Duration = Duration::from_millis(500);

/// Records as lines of JSON, which a thread of its own writes. Dropping it waits for half a second at
/// most until all are written.
#[derive(Debug)]
pub struct JsonLines {
    sink: Sink,
    /// None for standard output.
    file: Option<(PathBuf, Next)>,
}

/// The file that is written to next, in place of the one that is.
type Next = Arc<Mutex<Option<Appending>>>;

impl JsonLines {
    /// Appends to this file, which is made if it isn't there, or a character device such as `/dev/null`; to
    /// standard output where its name is `-`.
    /// [Reopened](Records::reopen), it makes the file anew where somebody has moved it away, as `logrotate`
    /// does; lines that wait by then go into either.
    ///
    /// # Errors
    /// Where the file can't be opened, or is something else, such as a FIFO, whose reader would be waited for;
    /// the text names it.
    pub fn open(path: &Path) -> io::Result<Self> {
        if path == Path::new("-") {
            let sink = Sink::start("records", io::stdout(), || {})?;
            return Ok(Self { sink, file: None });
        }
        let next = Next::default();
        let writer = Following {
            current: Appending::open(path)?,
            next: Arc::clone(&next),
        };
        Ok(Self {
            sink: Sink::start("records", writer, || {})?,
            file: Some((path.into(), next)),
        })
    }
}

impl JsonLines {
    /// Whether this may be opened, by what is there; nothing is made.
    ///
    /// # Errors
    /// As those of [`open`](Self::open).
    pub(crate) fn check(path: &Path) -> io::Result<()> {
        if path == Path::new("-") {
            return Ok(());
        }
        file::wrong(path, files::check_append(path))
    }
}

/// Writes to the file that was opened last. A line is written at once, and so to one file.
struct Following {
    current: Appending,
    next: Next,
}

impl Write for Following {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_all(bytes).map(|()| bytes.len())
    }

    fn write_all(&mut self, line: &[u8]) -> io::Result<()> {
        let next = (self.next.lock())
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(next) = next {
            self.current = next;
        }
        self.current.write_line(line)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.current.flush()
    }
}

impl JsonLines {
    fn put(&self, record: &impl Serialize) {
        // Nothing in it can't be written as JSON.
        if let Ok(mut line) = serde_json::to_vec(record) {
            line.push(b'\n');
            self.sink.put(&line);
        }
    }
}

impl Records for JsonLines {
    fn record(&self, record: &Record) {
        self.put(record);
    }

    fn session(&self, record: &SessionRecord) {
        self.put(record);
    }

    fn minting(&self, minting: &Minting) {
        self.put(minting);
    }

    fn command(&self, command: &Command) {
        self.put(command);
    }

    fn dropped(&self) -> u64 {
        self.sink.dropped()
    }

    fn reopen(&self) -> io::Result<()> {
        if let Some((path, next)) = &self.file {
            let file = Appending::open(path)?;
            *next.lock().unwrap_or_else(PoisonError::into_inner) = Some(file);
        }
        Ok(())
    }
}

impl Drop for JsonLines {
    fn drop(&mut self) {
        self.sink.flush(FLUSH);
    }
}

//! The file that records are appended to: each on a line of its own, whatever the disk took of the last one.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write};
use std::path::Path;

use crate::files;

/// A file that is appended to, line by line.
#[derive(Debug)]
pub(super) struct Appending<W = File> {
    file: W,
    /// Whether its last line has no end: a full disk has taken a part of it, now or before the last start. What
    /// follows on it would be lost with it.
    torn: bool,
}

impl Appending {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = wrong(path, files::append(path))?;
        // One that can't be read is taken as it is.
        let torn = file.metadata()?.is_file() && is_torn(path).unwrap_or(false);
        Ok(Self { file, torn })
    }
}

/// The same, with the file's name where it is an error.
pub(super) fn wrong<T>(path: &Path, opened: io::Result<T>) -> io::Result<T> {
    opened.map_err(|error| {
        let text = format!("{} can't be written to: {error}", path.display());
        io::Error::new(error.kind(), text)
    })
}

impl<W: Write> Appending<W> {
    /// Writes a line, which has its end, on a line of its own.
    pub(super) fn write_line(&mut self, line: &[u8]) -> io::Result<()> {
        if self.torn {
            self.file.write_all(b"\n")?;
            self.torn = false;
        }
        let mut left = line;
        while !left.is_empty() {
            match self.file.write(left) {
                Ok(count @ 1..) => left = &left[count..],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                failed => {
                    self.torn = left.len() < line.len();
                    return failed.and(Err(io::ErrorKind::WriteZero.into()));
                }
            }
        }
        Ok(())
    }

    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

fn is_torn(path: &Path) -> io::Result<bool> {
    let mut file = File::open(path)?;
    if file.seek(SeekFrom::End(0))? == 0 {
        return Ok(false);
    }
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    Ok(last != *b"\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A disk that has room for so many bytes.
    struct Disk {
        written: Vec<u8>,
        room: usize,
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let taken = bytes.len().min(self.room);
            if taken == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.room -= taken;
            self.written.extend_from_slice(&bytes[..taken]);
            Ok(taken)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_full_disk_spoils_no_line_but_the_one_that_it_cut() {
        for (room, expected) in [
            (8, "first\nse\nfourth\n"),
            (6, "first\nfourth\n"),
            (13, "first\nsecond\nfourth\n"),
        ] {
            let written = Vec::new();
            let mut disk = Appending {
                file: Disk { written, room },
                torn: false,
            };
            assert!(disk.write_line(b"first\n").is_ok());
            let _ = disk.write_line(b"second\n");
            assert!(disk.write_line(b"third\n").is_err());
            disk.file.room = 100;
            assert!(disk.write_line(b"fourth\n").is_ok());
            let written = String::from_utf8(disk.file.written).expect("text");
            assert_eq!(written, expected);
        }
    }

    #[test]
    fn a_line_that_was_cut_before_the_start_is_ended() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("records");
        for (before, expected) in [("", "new\n"), ("old\n", "old\nnew\n"), ("ol", "ol\nnew\n")] {
            std::fs::write(&path, before).expect("written");
            let mut file = Appending::open(&path).expect("opened");
            file.write_line(b"new\n").expect("written");
            let text = std::fs::read_to_string(&path).expect("text");
            assert_eq!(text, expected);
        }
    }
}

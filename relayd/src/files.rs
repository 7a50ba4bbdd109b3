//! Files that the configuration names: regular ones, and no more of each than it may have.
//!
//! A path may lead anywhere. To open a FIFO is to wait until somebody writes there, for good perhaps, and a
//! relay that is told to reload would do so with everybody in it; a device may never end. So nothing is opened
//! but a regular file, to which symbolic links may lead, as those of a ConfigMap do.

use std::fs::{File, FileType, OpenOptions};
use std::io::{self, Read as _};
use std::path::Path;

/// The most that is read of a file with a secret, a key or a URL, in bytes: they have some hundred.
pub(crate) const MAX_SECRET_FILE: u64 = 64 * 1024;
/// The most that is read of any other file, in bytes: the configuration, certificates, sets of keys, and lists of
/// what was revoked, which may have [a hundred thousand](crate::token::MAX_REVOCATIONS) of it.
pub(crate) const MAX_FILE: u64 = 64 * 1024 * 1024;

/// What is in a regular file of at most so many bytes, as text.
///
/// # Errors
/// Where it is something else than a file, or longer, or no UTF-8; the text doesn't name it.
pub(crate) fn read(path: &Path, most: u64) -> io::Result<String> {
    read_from(open(path)?, most)
}

/// As [`read`], of a file that is open.
pub(crate) fn read_from(file: File, most: u64) -> io::Result<String> {
    let mut text = String::new();
    let count = file.take(most + 1).read_to_string(&mut text)?;
    if count as u64 > most {
        let text = format!("it has more than {most} bytes");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, text));
    }
    Ok(text)
}

/// Opens a regular file, to be read.
///
/// # Errors
/// Where it is something else, or can't be opened.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    let regular = |kind: FileType| {
        if kind.is_file() {
            return Ok(());
        }
        Err(unfit(kind, "no regular file"))
    };
    open_if(path, OpenOptions::new().read(true), regular)
}

/// Opens what lines are appended to: a regular file, which is made where nothing is there, or a character device,
/// such as `/dev/null`.
///
/// # Errors
/// Where it is something else, or can't be opened.
pub(crate) fn append(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    open_if(path, options.append(true).create(true), may_grow)
}

/// Whether lines could be [appended](append) there, by what it is.
///
/// # Errors
/// Where it is what no lines are appended to.
pub(crate) fn check_append(path: &Path) -> io::Result<()> {
    match path.metadata() {
        Ok(known) => may_grow(known.file_type()),
        // It is made, or what else is wrong shows then.
        Err(_) => Ok(()),
    }
}

fn may_grow(kind: FileType) -> io::Result<()> {
    if kind.is_file() || is_character_device(kind) {
        return Ok(());
    }
    Err(unfit(kind, "neither a file nor a character device"))
}

fn open_if(
    path: &Path,
    options: &mut OpenOptions,
    fit: impl Fn(FileType) -> io::Result<()>,
) -> io::Result<File> {
    // Ahead of opening, which a device may notice, and a FIFO waits in.
    match path.metadata() {
        Ok(known) => fit(known.file_type())?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    // The path may lead to another by now: then nothing is waited for, and it is looked at again.
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        let flags = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOCTTY;
        options.custom_flags(flags.bits().cast_signed());
    }
    let file = options.open(path)?;
    fit(file.metadata()?.file_type())?;
    Ok(file)
}

fn unfit(kind: FileType, expected: &str) -> io::Error {
    let text = format!("it is {}, and {expected}", name(kind));
    io::Error::new(io::ErrorKind::InvalidInput, text)
}

#[cfg(unix)]
fn name(kind: FileType) -> &'static str {
    use std::os::unix::fs::FileTypeExt as _;
    match kind {
        _ if kind.is_file() => "a file",
        _ if kind.is_dir() => "a directory",
        _ if kind.is_fifo() => "a FIFO",
        _ if kind.is_socket() => "a socket",
        _ => "a device",
    }
}

#[cfg(not(unix))]
fn name(kind: FileType) -> &'static str {
    match kind {
        _ if kind.is_file() => "a file",
        _ if kind.is_dir() => "a directory",
        _ => "something else",
    }
}

#[cfg(unix)]
fn is_character_device(kind: FileType) -> bool {
    std::os::unix::fs::FileTypeExt::is_char_device(&kind)
}

#[cfg(not(unix))]
fn is_character_device(_: FileType) -> bool {
    false
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    use rustix::fs::{CWD, FileType as Kind, Mode, mknodat};

    use super::*;

    #[test]
    fn what_is_no_file_is_not_waited_for() {
        let at = tempfile::tempdir().expect("a directory");
        let [file, fifo, socket, link, to_fifo] =
            ["file", "fifo", "socket", "link", "to-fifo"].map(|name| at.path().join(name));
        std::fs::write(&file, "text").expect("written");
        mknodat(CWD, &fifo, Kind::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("made");
        let _listener = UnixListener::bind(&socket).expect("bound");
        symlink(&file, &link).expect("made");
        symlink(&fifo, &to_fifo).expect("made");
        for good in [&file, &link] {
            assert_eq!(read(good, 4).expect("a file"), "text");
            append(good).expect("a file");
        }
        append(Path::new("/dev/null")).expect("a device for it");
        for (path, kind) in [
            (at.path(), "a directory"),
            (&fifo, "a FIFO"),
            (&to_fifo, "a FIFO"),
            (&socket, "a socket"),
        ] {
            let error = read(path, 4).expect_err(kind).to_string();
            assert_eq!(error, format!("it is {kind}, and no regular file"));
            for error in [append(path).map(drop), check_append(path)] {
                let error = error.expect_err(kind).to_string();
                let expected = format!("it is {kind}, and neither a file nor a character device");
                assert_eq!(error, expected);
            }
        }
        let error = read(Path::new("/dev/zero"), 4).expect_err("a device");
        assert_eq!(error.to_string(), "it is a device, and no regular file");
        let error = read(&at.path().join("none"), 4).expect_err("not there");
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        let new = at.path().join("new");
        check_append(&new).expect("it can be made");
        append(&new).expect("it is made");
        assert!(new.exists());
    }

    #[test]
    fn a_file_is_read_up_to_its_bound_and_none_beyond() {
        let at = tempfile::tempdir().expect("a directory");
        let file = at.path().join("file");
        std::fs::write(&file, "text").expect("written");
        let error = read(&file, 3).expect_err("too long").to_string();
        assert_eq!(error, "it has more than 3 bytes");
        std::fs::write(&file, b"\xff").expect("written");
        assert!(read(&file, 3).is_err(), "no text");
    }
}

//! A Maildir that is the copy of a mailbox: a folder with `new`, `cur` and `tmp`, and a file for each
//! message.
//!
//! What is known of the copy stands in the names of its files, `UIDVALIDITY.UID.jackfield:2,FLAGS`: so
//! whenever it is stopped, names and messages agree. All of a name is made here, of numbers; nothing of it
//! is the server's. Files with other names are nobody's business, and stay.

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use jackfield_imap::codec::Flag;
use jackfield_socket::{Error, ErrorKind, Result};

use super::file::{NewFile, wrong};

/// Whose copy it is.
const OWNER: &str = ".jackfield-mailbox";
/// Held while the copy is brought up to date.
const LOCK: &str = ".jackfield-lock";
/// What marks our files.
const MARK: &str = "jackfield";
/// What stands before the flags. A colon can't stand in a name everywhere.
const INFO: &str = if cfg!(windows) { ";2," } else { ":2," };

pub(super) struct Maildir {
    folder: PathBuf,
    validity: u32,
    /// The messages that are there, by their UIDs.
    messages: BTreeMap<u32, Entry>,
    /// Files of an earlier UIDVALIDITY, which mean nothing any more.
    stale: Vec<PathBuf>,
    _lock: File,
}

struct Entry {
    path: PathBuf,
    flags: Flags,
}

impl Maildir {
    /// Opens the copy of a mailbox, and makes it where it is missing.
    ///
    /// # Errors
    /// Where it is that of another mailbox, or someone else is about it.
    pub(super) fn open(folder: &Path, owner: &str, validity: u32) -> Result<Self> {
        for name in ["tmp", "new", "cur"] {
            let part = folder.join(name);
            fs::create_dir_all(&part).map_err(|error| wrong(&part, &error))?;
        }
        let lock = lock(&folder.join(LOCK))?;
        own(folder, owner)?;
        let mut maildir = Self {
            folder: folder.to_owned(),
            validity,
            messages: BTreeMap::new(),
            stale: Vec::new(),
            _lock: lock,
        };
        for part in ["new", "cur"] {
            maildir.scan(&folder.join(part))?;
        }
        // What was not finished.
        for (name, path) in files(&folder.join("tmp"))? {
            if Name::from_str(&name).is_ok() {
                let _ = fs::remove_file(path);
            }
        }
        Ok(maildir)
    }

    fn scan(&mut self, part: &Path) -> Result<()> {
        for (name, path) in files(part)? {
            let Ok(name) = Name::from_str(&name) else {
                continue;
            };
            if name.validity == self.validity {
                let flags = name.flags;
                self.messages.insert(name.uid, Entry { path, flags });
            } else {
                self.stale.push(path);
            }
        }
        Ok(())
    }

    /// Removes what is left of the time before the server gave all messages other UIDs. How many it
    /// were.
    pub(super) fn remove_stale(&mut self) -> Result<usize> {
        let stale = std::mem::take(&mut self.stale);
        for path in &stale {
            remove(path)?;
        }
        Ok(stale.len())
    }

    /// The UIDs of the messages that are there, in ascending order.
    pub(super) fn uids(&self) -> impl Iterator<Item = u32> {
        self.messages.keys().copied()
    }

    pub(super) fn has(&self, uid: u32) -> bool {
        self.messages.contains_key(&uid)
    }

    /// Gives a message these flags; whether it had others.
    pub(super) fn set_flags(&mut self, uid: u32, flags: Flags) -> Result<bool> {
        let Some(entry) = self.messages.get_mut(&uid) else {
            return Ok(false);
        };
        if entry.flags == flags {
            return Ok(false);
        }
        let validity = self.validity;
        let name = Name {
            validity,
            uid,
            flags,
        };
        let path = name.path(&self.folder);
        let renamed = fs::rename(&entry.path, &path);
        renamed.map_err(|error| wrong(&path, &error))?;
        *entry = Entry { path, flags };
        Ok(true)
    }

    pub(super) fn remove(&mut self, uid: u32) -> Result<()> {
        if let Some(entry) = self.messages.remove(&uid) {
            remove(&entry.path)?;
        }
        Ok(())
    }

    /// Begins a message, which is there when it is finished.
    pub(super) fn create(&self, uid: u32, flags: Flags) -> Result<NewFile> {
        let name = Name {
            validity: self.validity,
            uid,
            flags,
        };
        let meanwhile = self.folder.join("tmp").join(name.base());
        NewFile::create(name.path(&self.folder), meanwhile)
    }
}

/// Who begins at the same time, waits for nobody.
fn lock(path: &Path) -> Result<File> {
    let file = File::create(path).map_err(|error| wrong(path, &error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            let text = "it is brought up to date by another command at the moment";
            Err(Error::new(ErrorKind::Other, text))
        }
        Err(TryLockError::Error(error)) => Err(wrong(path, &error)),
    }
}

/// Makes sure that it is the copy of this mailbox: of another, everything would be gone.
fn own(folder: &Path, owner: &str) -> Result<()> {
    let path = folder.join(OWNER);
    match fs::read_to_string(&path) {
        Ok(found) if found.trim_end() == owner => Ok(()),
        Ok(found) => {
            let text = format!("it is the copy of another mailbox, {}", found.trim_end());
            Err(Error::new(ErrorKind::InvalidInput, text))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let meanwhile = folder.join(format!("{OWNER}.part"));
            let mut file = NewFile::create(path, meanwhile)?;
            file.write(owner.as_bytes())?;
            file.write(b"\n")?;
            file.finish()
        }
        Err(error) => {
            let text = format!("can't read {}", path.display());
            Err(Error::new(ErrorKind::Other, text).with_source(error.to_string()))
        }
    }
}

/// The files in a folder whose names are text; ours all are.
fn files(folder: &Path) -> Result<Vec<(String, PathBuf)>> {
    let read = || {
        let mut files = Vec::new();
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            if let Ok(name) = entry.file_name().into_string() {
                files.push((name, entry.path()));
            }
        }
        Ok(files)
    };
    read().map_err(|error: io::Error| {
        let text = format!("can't read {}", folder.display());
        Error::new(ErrorKind::Other, text).with_source(error.to_string())
    })
}

/// Someone else may have removed it.
fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(wrong(path, &error)),
        _ => Ok(()),
    }
}

/// The flags that a Maildir has: a letter each, in alphabetical order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Flags(u8);

const LETTERS: [char; 6] = ['D', 'F', 'P', 'R', 'S', 'T'];

impl Flags {
    /// Of those of a message, as far as there are letters for them.
    pub(super) fn of(flags: &[Flag]) -> Self {
        let letters = flags.iter().filter_map(|flag| match flag {
            Flag::Draft => Some('D'),
            Flag::Flagged => Some('F'),
            Flag::Answered => Some('R'),
            Flag::Seen => Some('S'),
            Flag::Deleted => Some('T'),
            Flag::Other(name) if name.text().is("$Forwarded") => Some('P'),
            _ => None,
        });
        letters.collect()
    }

    fn letters(self) -> impl Iterator<Item = char> {
        let all = LETTERS.iter().enumerate();
        all.filter_map(move |(at, letter)| (self.0 >> at & 1 == 1).then_some(*letter))
    }
}

impl FromIterator<char> for Flags {
    fn from_iter<T: IntoIterator<Item = char>>(letters: T) -> Self {
        let bit = |letter| LETTERS.iter().position(|known| *known == letter);
        let bits = letters.into_iter().filter_map(bit);
        Self(bits.fold(0, |flags, bit| flags | 1 << bit))
    }
}

/// The name of a file of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Name {
    validity: u32,
    uid: u32,
    flags: Flags,
}

impl Name {
    fn base(&self) -> String {
        format!("{}.{}.{MARK}", self.validity, self.uid)
    }

    /// What has no flag is new.
    fn path(&self, folder: &Path) -> PathBuf {
        if self.flags == Flags::default() {
            return folder.join("new").join(self.base());
        }
        let flags: String = self.flags.letters().collect();
        folder
            .join("cur")
            .join(format!("{}{INFO}{flags}", self.base()))
    }
}

impl FromStr for Name {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        let (base, flags) = name.split_once(INFO).unwrap_or((name, ""));
        let mut parts = base.split('.');
        let mut number = || parts.next().and_then(|part| part.parse().ok()).ok_or(());
        let found = Self {
            validity: number()?,
            uid: number()?,
            flags: flags.chars().collect(),
        };
        // A number may be written in several ways, and one of them is ours.
        if found.base() == base {
            Ok(found)
        } else {
            Err(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_numbers_and_flags() {
        let flags = Flags::of(&[Flag::Seen, Flag::Deleted, Flag::Flagged]);
        let name = Name {
            validity: 7,
            uid: 17,
            flags,
        };
        let path = name.path(Path::new("mail"));
        let file = path.file_name().and_then(|name| name.to_str());
        let file = file.expect("text");
        assert_eq!(file, format!("7.17.jackfield{INFO}FST"));
        assert_eq!(file.parse(), Ok(name));
        // Flags of others, and keywords, are kept by nobody.
        let strange: Name = format!("7.17.jackfield{INFO}FSTabc")
            .parse()
            .expect("a name");
        assert_eq!(strange, name);
        for other in [
            "",
            "7.17",
            "07.17.jackfield",
            "7.17.jackfield.bak",
            "x.17.jackfield",
        ] {
            assert!(other.parse::<Name>().is_err(), "{other}");
        }
    }

    #[test]
    fn a_copy_is_of_one_mailbox_and_in_one_hand() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = folder.path();
        let open = |owner: &str, validity| Maildir::open(at, owner, validity).map(drop);
        let stranger = at.join("new");
        let copy = Maildir::open(at, "ada", 7).expect("a copy");
        let stranger = stranger.join("stranger");
        fs::write(&stranger, "").expect("written");
        for uid in [1, 2] {
            let mut file = copy.create(uid, Flags::default()).expect("a file");
            file.write(b"text").expect("written");
            file.finish().expect("there");
        }
        // One that is stopped is not there.
        drop(copy.create(3, Flags::default()).expect("a file"));
        open("ada", 7).expect_err("someone is about it");
        drop(copy);
        open("eve", 7).expect_err("another mailbox");

        let mut copy = Maildir::open(at, "ada", 7).expect("a copy");
        assert_eq!(copy.uids().collect::<Vec<_>>(), [1, 2]);
        let seen = Flags::of(&[Flag::Seen]);
        assert!(copy.set_flags(1, seen).expect("renamed"));
        assert!(!copy.set_flags(1, seen).expect("nothing to do"));
        copy.remove(2).expect("removed");
        drop(copy);
        let copy = Maildir::open(at, "ada", 7).expect("a copy");
        assert_eq!(copy.uids().collect::<Vec<_>>(), [1]);
        drop(copy);

        // Other UIDs: nothing of old is one of the new.
        let mut copy = Maildir::open(at, "ada", 8).expect("a copy");
        assert_eq!(copy.uids().count(), 0);
        assert_eq!(copy.remove_stale().expect("removed"), 1);
        assert!(stranger.exists());
    }
}

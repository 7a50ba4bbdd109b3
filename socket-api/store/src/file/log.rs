//! The log: what the store's thread does with its files.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::format::{
    FILE_HEADER, FileHeader, RECORD_HEADER, checksum, file_header, read_body, read_file_header,
    read_record_header, record,
};
use crate::{Batch, Error, ErrorKind, Records, Result, check_room, record_size};

/// The log is written anew when this many bytes of it, and more than half, are out of date.
const MIN_GARBAGE: u64 = 64 * 1024;
/// How many bytes a record of the log that is written anew holds, roughly.
const REWRITE_BATCH: usize = 1024 * 1024;
/// How many bytes are read at once when the rest of a damaged log is searched.
const SEARCH_WINDOW: usize = 64 * 1024;

/// A log that is open, and locked.
#[derive(Debug)]
pub(super) struct Log {
    path: PathBuf,
    file: File,
    salt: u64,
    /// Where the next record goes.
    end: u64,
    index: BTreeMap<Vec<u8>, Value>,
    /// Of all records, as the capacity counts.
    size: u64,
    capacity: u64,
    failed: bool,
    /// Released when this is dropped.
    _lock: File,
}

/// Where a value stands in the file.
#[derive(Clone, Copy, Debug)]
struct Value {
    at: u64,
    length: usize,
}

impl Log {
    pub(super) fn open(path: PathBuf, capacity: u64) -> Result<Self> {
        // A link stays one, and leads to what is written anew.
        let path = fs::canonicalize(&path).unwrap_or(path);
        let lock = lock(&path)?;
        let mut file = match options().open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => create(&path)?,
            Err(error) => return Err(failed("open", &path, error)),
        };
        let length = file
            .metadata()
            .map_err(|error| failed("read", &path, error))?
            .len();
        if length < FILE_HEADER as u64 {
            let mut begun = Vec::new();
            file.read_to_end(&mut begun)
                .map_err(|error| failed("read", &path, error))?;
            // Files begin whole; but an empty one may be what somebody prepared.
            if !begun.is_empty() {
                return Err(corrupt(&path, 0, "it is too short for a store"));
            }
            file = create(&path)?;
        }
        let mut log = Self {
            salt: read_salt(&mut file, &path)?,
            path,
            file,
            end: FILE_HEADER as u64,
            index: BTreeMap::new(),
            size: 0,
            capacity,
            failed: false,
            _lock: lock,
        };
        log.read_records()?;
        Ok(log)
    }

    /// All records.
    pub(super) fn load(&mut self) -> Result<Records> {
        self.check_usable()?;
        let mut records = Records::new();
        for (key, value) in &self.index {
            let value = read_value(&mut self.file, value)
                .map_err(|error| failed("read", &self.path, error))?;
            records.insert(key.clone(), value);
        }
        Ok(records)
    }

    /// Makes a batch durable.
    pub(super) fn commit(&mut self, batch: &Batch) -> Result<()> {
        self.check_usable()?;
        batch.check()?;
        let size = self.size_with(batch);
        check_room(self.size, size, self.capacity)?;
        if batch.is_empty() {
            return Ok(());
        }
        let record = record(self.salt, self.end, batch);
        self.append(&record)?;
        self.take_up(&record[RECORD_HEADER..], self.end + RECORD_HEADER as u64);
        self.end += record.len() as u64;
        debug_assert_eq!(self.size, size);
        Ok(())
    }

    /// Writes the log anew where more than half of it is out of date. Where that fails, the old
    /// one goes on.
    pub(super) fn tidy(&mut self) {
        let garbage = self.end.saturating_sub(self.size);
        if self.failed || garbage < MIN_GARBAGE || garbage < self.end / 2 {
            return;
        }
        let _ = self.rewrite();
    }

    fn check_usable(&self) -> Result<()> {
        if self.failed {
            return Err(Error::new(
                ErrorKind::Closed,
                format!(
                    "the store in {} has failed: it must be opened again",
                    self.path.display()
                ),
            ));
        }
        Ok(())
    }

    /// How large it will be.
    fn size_with(&self, batch: &Batch) -> u64 {
        let mut size = self.size;
        for (key, value) in batch.iter() {
            let old = self.index.get(key);
            size -= old.map_or(0, |old| record_size(key, old.length));
            size += value.map_or(0, |new| record_size(key, new.len()));
        }
        size
    }

    /// Appends a record and syncs it.
    fn append(&mut self, record: &[u8]) -> Result<()> {
        let written = self
            .file
            .seek(SeekFrom::Start(self.end))
            .and_then(|_| self.file.write_all(record));
        if let Err(error) = written {
            // What of it was written goes again; where that fails, nothing more may follow it.
            self.failed = self.file.set_len(self.end).is_err();
            let error = failed("write", &self.path, error);
            self.failed |= error.kind() != ErrorKind::Full;
            return Err(error);
        }
        self.file.sync_data().map_err(|error| {
            // What the disk holds now is not known.
            self.failed = true;
            failed("sync", &self.path, error)
        })
    }

    /// Makes the changes of a body, which begins at `at` in the file, in the index. Whether it is
    /// one.
    fn take_up(&mut self, body: &[u8], at: u64) -> bool {
        let Some(changes) = read_body(body) else {
            return false;
        };
        for change in changes {
            let old = match change.value {
                Some((offset, length)) => {
                    self.size += record_size(change.key, length);
                    let at = at + offset as u64;
                    self.index.insert(change.key.to_vec(), Value { at, length })
                }
                None => self.index.remove(change.key),
            };
            self.size -= old.map_or(0, |old| record_size(change.key, old.length));
        }
        true
    }

    /// Reads the log from its beginning, and cuts off a torn end.
    fn read_records(&mut self) -> Result<()> {
        loop {
            let read = read_record(&mut self.file, self.salt, self.end)
                .map_err(|error| failed("read", &self.path, error))?;
            match read {
                Found::End => return Ok(()),
                Found::Record(body) => {
                    if !self.take_up(&body, self.end + RECORD_HEADER as u64) {
                        return Err(corrupt(&self.path, self.end, "a record makes no sense"));
                    }
                    self.end += (RECORD_HEADER + body.len()) as u64;
                }
                Found::Damaged => return self.cut_off(),
            }
        }
    }

    /// Cuts off what was being written when it stopped. Each record was synced before the next one
    /// was begun: so if a whole one stands behind this one, this is damage of another kind.
    fn cut_off(&mut self) -> Result<()> {
        let found = find_record(&mut self.file, self.salt, self.end + 1)
            .map_err(|error| failed("read", &self.path, error))?;
        if found {
            return Err(corrupt(&self.path, self.end, "a record is damaged"));
        }
        self.file
            .set_len(self.end)
            .and_then(|()| self.file.sync_data())
            .map_err(|error| failed("cut the torn end off", &self.path, error))
    }

    /// Writes what is held to a new log, which takes the place of this one.
    fn rewrite(&mut self) -> Result<()> {
        let beside = beside(&self.path, ".new");
        let written = self.write_anew(&beside);
        let (file, salt) = match written {
            Ok(written) => written,
            Err(error) => {
                let _ = fs::remove_file(&beside);
                return Err(failed("write anew", &self.path, error));
            }
        };
        fs::rename(&beside, &self.path).map_err(|error| failed("write anew", &self.path, error))?;
        // From here on the new one must be used, and read back as any other.
        self.failed = true;
        sync_folder(&self.path).map_err(|error| failed("sync", &self.path, error))?;
        self.file = file;
        self.salt = salt;
        self.end = FILE_HEADER as u64;
        self.index.clear();
        self.size = 0;
        self.read_records()?;
        self.failed = false;
        Ok(())
    }

    fn write_anew(&mut self, path: &Path) -> io::Result<(File, u64)> {
        let salt = random();
        let mut file = options().create(true).truncate(true).open(path)?;
        file.write_all(&file_header(salt))?;
        let mut end = FILE_HEADER as u64;
        let mut batch = Batch::new();
        let mut waiting = 0;
        let mut values = self.index.iter().peekable();
        while let Some((key, value)) = values.next() {
            batch.put(key.clone(), read_value(&mut self.file, value)?);
            waiting += key.len() + value.length;
            if waiting >= REWRITE_BATCH || values.peek().is_none() {
                let record = record(salt, end, &std::mem::take(&mut batch));
                file.write_all(&record)?;
                end += record.len() as u64;
                waiting = 0;
            }
        }
        file.sync_all()?;
        Ok((file, salt))
    }
}

/// What stands at a place of a log.
enum Found {
    /// The file ends there.
    End,
    /// A record with this body.
    Record(Vec<u8>),
    /// No whole record.
    Damaged,
}

fn read_record(file: &mut File, salt: u64, at: u64) -> io::Result<Found> {
    let left = file.metadata()?.len().saturating_sub(at);
    if left == 0 {
        return Ok(Found::End);
    }
    let mut header = [0; RECORD_HEADER];
    if left < RECORD_HEADER as u64 {
        return Ok(Found::Damaged);
    }
    file.seek(SeekFrom::Start(at))?;
    file.read_exact(&mut header)?;
    let Some((length, expected)) = read_record_header(salt, at, &header) else {
        return Ok(Found::Damaged);
    };
    // Nothing is allocated that isn't there.
    if length as u64 > left - RECORD_HEADER as u64 {
        return Ok(Found::Damaged);
    }
    let mut body = vec![0; length];
    file.read_exact(&mut body)?;
    if checksum(salt, at, &body) == expected {
        Ok(Found::Record(body))
    } else {
        Ok(Found::Damaged)
    }
}

/// Whether a whole record begins anywhere from here on.
fn find_record(file: &mut File, salt: u64, from: u64) -> io::Result<bool> {
    let mut at = from;
    loop {
        file.seek(SeekFrom::Start(at))?;
        let mut window = Vec::new();
        Read::by_ref(file)
            .take((SEARCH_WINDOW + RECORD_HEADER) as u64)
            .read_to_end(&mut window)?;
        let Some(last) = window.len().checked_sub(RECORD_HEADER) else {
            return Ok(false);
        };
        for (offset, header) in window.windows(RECORD_HEADER).enumerate() {
            let Ok(header) = header.try_into() else {
                continue;
            };
            let here = at + offset as u64;
            if read_record_header(salt, here, header).is_some()
                && matches!(read_record(file, salt, here)?, Found::Record(_))
            {
                return Ok(true);
            }
        }
        at += last as u64 + 1;
    }
}

fn read_value(file: &mut File, value: &Value) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; value.length];
    file.seek(SeekFrom::Start(value.at))?;
    file.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// Makes an empty log, whole from the beginning.
fn create(path: &Path) -> Result<File> {
    let beside = beside(path, ".new");
    let make = || {
        let mut file = options().create(true).truncate(true).open(&beside)?;
        file.write_all(&file_header(random()))?;
        file.sync_all()?;
        fs::rename(&beside, path)?;
        sync_folder(path)?;
        Ok(file)
    };
    make().map_err(|error| failed("make", path, error))
}

fn read_salt(file: &mut File, path: &Path) -> Result<u64> {
    let mut header = [0; FILE_HEADER];
    file.seek(SeekFrom::Start(0))
        .and_then(|_| file.read_exact(&mut header))
        .map_err(|error| failed("read", path, error))?;
    match read_file_header(&header) {
        FileHeader::Salt(salt) => Ok(salt),
        FileHeader::LaterVersion(version) => Err(Error::new(
            ErrorKind::Unsupported,
            format!(
                "the store in {} has format {version}, which is later than this program's",
                path.display()
            ),
        )),
        FileHeader::Foreign => Err(corrupt(path, 0, "it doesn't begin as a store does")),
    }
}

/// Keeps others out.
fn lock(path: &Path) -> Result<File> {
    let beside = beside(path, ".lock");
    let file = options()
        .create(true)
        .open(&beside)
        .map_err(|error| failed("lock", path, error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::new(
            ErrorKind::InUse,
            format!("the store in {} is open already", path.display()),
        )),
        Err(TryLockError::Error(error)) => Err(failed("lock", path, error)),
    }
}

/// To read and write a file that is its owner's alone.
fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// The path of a file beside the log.
fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Makes a new name durable, where the system knows how.
fn sync_folder(path: &Path) -> io::Result<()> {
    if cfg!(unix) {
        let folder = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
    }
    Ok(())
}

/// A number that nobody else can know.
fn random() -> u64 {
    RandomState::new().hash_one(0)
}

fn failed(step: &str, path: &Path, error: io::Error) -> Error {
    let kind = match error.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => ErrorKind::Denied,
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ErrorKind::Full,
        _ => ErrorKind::Other,
    };
    let message = format!("can't {step} the store in {}: {error}", path.display());
    Error::new(kind, message).with_source(error)
}

fn corrupt(path: &Path, at: u64, what: &str) -> Error {
    Error::new(
        ErrorKind::Corrupt,
        format!("the store in {}: {what}, at byte {at}", path.display()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const CAPACITY: u64 = 1 << 20;

    fn put(pairs: &[(&str, &str)]) -> Batch {
        let mut batch = Batch::new();
        for (key, value) in pairs {
            batch.put(*key, *value);
        }
        batch
    }

    /// Batches that store, replace and delete, one with a value that looks like a log.
    fn batches(salt: u64) -> Vec<Batch> {
        let mut like_a_log = file_header(salt);
        like_a_log.extend(record(salt, FILE_HEADER as u64, &put(&[("key", "value")])));
        let mut third = put(&[("b", "replaced"), ("", "")]);
        third.delete("a");
        let mut fourth = put(&[("d", "end")]);
        fourth.put("c", like_a_log);
        vec![
            put(&[("a", "1"), ("b", "2")]),
            put(&[("c", "3")]),
            third,
            fourth,
        ]
    }

    /// A log with these batches: its bytes, and where each batch ends in it.
    fn written(path: &Path) -> (Vec<u8>, Vec<usize>, Vec<Records>) {
        let mut log = Log::open(path.into(), CAPACITY).unwrap();
        let mut ends = vec![FILE_HEADER];
        let mut states = vec![Records::new()];
        for batch in batches(log.salt) {
            log.commit(&batch).unwrap();
            ends.push(log.end as usize);
            let mut records = states[states.len() - 1].clone();
            batch.apply(&mut records);
            assert_eq!(log.load().unwrap(), records);
            states.push(records);
        }
        (fs::read(path).unwrap(), ends, states)
    }

    #[test]
    fn cut_at_any_byte_it_holds_the_whole_batches_before() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store");
        let (bytes, ends, states) = written(&path);
        for length in FILE_HEADER..=bytes.len() {
            let whole = ends.iter().filter(|end| **end <= length).count() - 1;
            // Cut off, and with what a file system may have put there instead.
            for rest in [0, bytes.len() - length] {
                let mut torn = bytes[..length].to_vec();
                torn.resize(length + rest, 0);
                fs::write(&path, torn).unwrap();
                let mut log = Log::open(path.clone(), CAPACITY).unwrap();
                // Zeros may have been meant.
                let meant = rest > 0 && fs::read(&path).unwrap().len() > ends[whole];
                let expected = &states[whole + usize::from(meant)];
                assert_eq!(
                    &log.load().unwrap(),
                    expected,
                    "{length} bytes, {rest} zeros"
                );
                log.commit(&put(&[("more", "of it")])).unwrap();
                drop(log);
                let again = Log::open(path.clone(), CAPACITY).unwrap().load().unwrap();
                assert_eq!(again.len(), expected.len() + 1);
            }
        }
    }

    #[test]
    fn damage_in_the_middle_is_told_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store");
        let (bytes, ends, states) = written(&path);
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x10;
            fs::write(&path, &damaged).unwrap();
            let opened = Log::open(path.clone(), CAPACITY);
            if at < ends[ends.len() - 2] {
                let kind = opened.unwrap_err().kind();
                // The version's own four bytes.
                if (16..20).contains(&at) {
                    assert_eq!(kind, ErrorKind::Unsupported, "byte {at}");
                } else {
                    assert_eq!(kind, ErrorKind::Corrupt, "byte {at}");
                }
                assert_eq!(fs::read(&path).unwrap(), damaged, "byte {at}");
            } else {
                // The last batch may have been torn.
                assert_eq!(opened.unwrap().load().unwrap(), states[states.len() - 2]);
            }
        }
    }

    #[test]
    fn what_is_no_store_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("letter");
        for text in [
            "Dear store",
            "Dear store, this is longer than the header of a log is.",
        ] {
            fs::write(&path, text).unwrap();
            let error = Log::open(path.clone(), CAPACITY).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupt);
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
    }

    #[test]
    fn it_is_written_anew_before_it_grows() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store");
        let mut log = Log::open(path.clone(), CAPACITY).unwrap();
        let mut longest = 0;
        for n in 0..200_u32 {
            let mut batch = put(&[("kept", "for ever")]);
            batch.put("counter", n.to_be_bytes().repeat(500));
            batch.delete("gone");
            log.commit(&batch).unwrap();
            log.tidy();
            longest = longest.max(fs::metadata(&path).unwrap().len());
        }
        assert!(longest < 2 * MIN_GARBAGE, "{longest}");
        let expected = log.load().unwrap();
        assert_eq!(expected.len(), 2);
        drop(log);
        assert_eq!(
            Log::open(path.clone(), CAPACITY).unwrap().load().unwrap(),
            expected
        );
        let beside: Vec<_> = fs::read_dir(folder.path()).unwrap().collect();
        assert_eq!(beside.len(), 2, "the log and its lock");
    }

    #[test]
    fn it_has_one_owner_and_a_capacity() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store");
        let mut log = Log::open(path.clone(), 1000).unwrap();
        let second = Log::open(path.clone(), 1000).unwrap_err();
        assert_eq!(second.kind(), ErrorKind::InUse);

        let mut large = put(&[("a", "1")]);
        log.commit(&large).unwrap();
        large.put("b", vec![0; 1000]);
        assert_eq!(log.commit(&large).unwrap_err().kind(), ErrorKind::Full);
        large.put("b", "2");
        log.commit(&large).unwrap();
        drop(log);

        // With less room it can still be emptied.
        let mut log = Log::open(path, 10).unwrap();
        let mut smaller = Batch::new();
        smaller.delete("a");
        log.commit(&smaller).unwrap();
        assert_eq!(log.load().unwrap().len(), 1);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn what_cannot_be_taken_back_ends_the_store() {
        let folder = tempfile::tempdir().unwrap();
        let mut log = Log::open(folder.path().join("store"), CAPACITY).unwrap();
        log.commit(&put(&[("a", "1")])).unwrap();
        // Every write to this device fails as on a full disk, and it can't be cut back.
        log.file = OpenOptions::new()
            .read(true)
            .write(true)
            .open("/dev/full")
            .unwrap();
        let error = log.commit(&put(&[("b", "2")])).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Full);
        let error = log.commit(&put(&[("b", "2")])).unwrap_err();
        assert_eq!(
            error.kind(),
            ErrorKind::Closed,
            "it can't be known what was written"
        );
    }
}

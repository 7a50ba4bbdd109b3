//! Files that messages are written to.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use jackfield_socket::{Error, ErrorKind};

/// A file that is there when it is whole, and not before.
pub(super) struct NewFile {
    file: File,
    path: PathBuf,
    /// What it is called until then; `None` when that is over.
    meanwhile: Option<PathBuf>,
}

impl NewFile {
    /// Begins one; what it is called meanwhile is in the same file system.
    pub(super) fn create(path: PathBuf, meanwhile: PathBuf) -> Result<Self, Error> {
        let file = File::create(&meanwhile).map_err(|error| wrong(&meanwhile, &error))?;
        let meanwhile = Some(meanwhile);
        Ok(Self {
            file,
            path,
            meanwhile,
        })
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let written = self.file.write_all(bytes);
        written.map_err(|error| wrong(&self.path, &error))
    }

    /// Says when it was last changed, which is now otherwise.
    pub(super) fn set_time(&mut self, time: SystemTime) -> Result<(), Error> {
        let set = self.file.set_modified(time);
        set.map_err(|error| wrong(&self.path, &error))
    }

    /// It is whole: on the disk, and under its name.
    pub(super) fn finish(mut self) -> Result<(), Error> {
        let mut finished = self.file.sync_all();
        if let Some(meanwhile) = self.meanwhile.take() {
            finished = finished.and_then(|()| std::fs::rename(&meanwhile, &self.path));
            if finished.is_err() {
                let _ = std::fs::remove_file(meanwhile);
            }
        }
        finished.map_err(|error| wrong(&self.path, &error))
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if let Some(meanwhile) = &self.meanwhile {
            let _ = std::fs::remove_file(meanwhile);
        }
    }
}

/// What is wrong with a file that is written. The system's kinds are those of networks here.
pub(super) fn wrong(path: &Path, error: &std::io::Error) -> Error {
    let text = format!("can't write {}", path.display());
    Error::new(ErrorKind::Other, text).with_source(error.to_string())
}

//! Folder: what of an account outlives the process. Its files are for the relay's user alone.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use super::AcmeConfig;
use crate::files::{self, MAX_FILE};

const ACCOUNT: &str = "account.json";
/// The address that the authority knows of the account; empty, or not there, where it knows none.
const EMAIL: &str = "email.txt";
/// The chain and its key: in one file, so that they never differ.
const CERTIFICATE: &str = "certificate.pem";

/// The files of one directory: another one's account and certificates are others.
#[derive(Debug)]
pub(super) struct Folder(PathBuf);

impl Folder {
    /// Makes it, for the relay's user alone, unless it is there.
    ///
    /// # Errors
    /// Where nothing can be written there; the text names it.
    pub(super) fn make(config: &AcmeConfig) -> io::Result<Self> {
        let url = &config.directory;
        let plain = |character: char| match character {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '.' | '-' => character,
            _ => '_',
        };
        let name: String = url
            .trim_start_matches("https://")
            .chars()
            .map(plain)
            .collect();
        let folder = Self(config.folder.join(name));
        let made = private_folder(&folder.0).and_then(|()| {
            // What can't be kept would be asked for again and again.
            folder.write("probe", "")?;
            fs::remove_file(folder.0.join("probe"))
        });
        made.map_err(|error| folder.wrong("can't be written to", &error))?;
        Ok(folder)
    }

    /// The account's credentials, if there are some.
    pub(super) fn account(&self) -> Result<Option<String>, String> {
        self.read(ACCOUNT)
    }

    /// Keeps the account's credentials.
    pub(super) fn keep_account(&self, credentials: &str) -> io::Result<()> {
        self.keep(ACCOUNT, credentials)
    }

    /// The address that the authority has of the account, if it has one.
    pub(super) fn email(&self) -> Result<Option<String>, String> {
        Ok(self.read(EMAIL)?.filter(|email| !email.is_empty()))
    }

    /// Keeps that the authority has this one.
    pub(super) fn keep_email(&self, email: Option<&str>) -> io::Result<()> {
        self.keep(EMAIL, email.unwrap_or_default())
    }

    /// Forgets the account, which the authority doesn't know.
    pub(super) fn forget_account(&self) -> io::Result<()> {
        fs::remove_file(self.0.join(ACCOUNT))
            .map_err(|error| self.wrong("can't be changed", &error))
    }

    /// The chain and its key, both in PEM, if they are there.
    pub(super) fn certificate(&self) -> Result<Option<(String, String)>, String> {
        // One is asked for the chain, the other for the key.
        Ok(self.read(CERTIFICATE)?.map(|text| (text.clone(), text)))
    }

    /// Keeps a chain and its key, both in PEM.
    pub(super) fn keep_certificate(&self, chain: &str, key: &str) -> io::Result<()> {
        self.keep(CERTIFICATE, &format!("{}\n{key}", chain.trim_end()))
    }

    fn read(&self, name: &str) -> Result<Option<String>, String> {
        match files::read(&self.0.join(name), MAX_FILE) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(format!("{}/{name}: {error}", self.0.display())),
        }
    }

    /// Writes a file that is there whole, or as it was.
    fn keep(&self, name: &str, text: &str) -> io::Result<()> {
        let new = format!("{name}.new");
        self.write(&new, text)
            .and_then(|()| fs::rename(self.0.join(new), self.0.join(name)))
            .map_err(|error| self.wrong("can't be written to", &error))
    }

    fn write(&self, name: &str, text: &str) -> io::Result<()> {
        let path = self.0.join(name);
        // One that was left half-written may be open to others.
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = private_file(&path)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()
    }

    fn wrong(&self, what: &str, error: &io::Error) -> io::Error {
        let text = format!("tls.acme: {} {what}: {error}", self.0.display());
        io::Error::new(error.kind(), text)
    }
}

fn private_folder(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(path)
}

fn private_file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.write(true).create_new(true).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(directory: &str, folder: &Path) -> AcmeConfig {
        AcmeConfig::new(directory, None, &["relay.example"], folder).expect("right")
    }

    #[test]
    fn what_is_kept_is_there_for_the_same_directory() {
        let at = tempfile::tempdir().expect("a folder");
        let at = at.path().join("acme");
        let folder = Folder::make(&config("https://ca.example:14000/dir?a", &at)).expect("made");
        assert!(folder.0.ends_with("ca.example_14000_dir_a"), "{folder:?}");
        assert_eq!(folder.account(), Ok(None));
        folder.keep_account("{}").expect("kept");
        folder.keep_account("{1}").expect("kept again");
        assert_eq!(folder.account(), Ok(Some("{1}".into())));
        for email in [Some("a@b"), None] {
            folder.keep_email(email).expect("kept");
            assert_eq!(folder.email().expect("read").as_deref(), email);
        }
        folder.keep_certificate("chain\n", "key\n").expect("kept");
        let both = "chain\nkey\n".to_owned();
        assert_eq!(folder.certificate(), Ok(Some((both.clone(), both))));
        let other = Folder::make(&config("https://ca.example/dir", &at)).expect("made");
        assert_eq!(other.account(), Ok(None));
        folder.forget_account().expect("forgotten");
        assert_eq!(folder.account(), Ok(None));
    }

    #[cfg(unix)]
    #[test]
    fn it_is_for_the_relays_user_alone() {
        use std::os::unix::fs::PermissionsExt as _;
        let at = tempfile::tempdir().expect("a folder");
        let at = at.path().join("deep").join("acme");
        let folder = Folder::make(&config("https://ca.example/", &at)).expect("made");
        folder.keep_account("{}").expect("kept");
        let mode = |path: &Path| {
            let known = fs::metadata(path).expect("it is there");
            known.permissions().mode() & 0o777
        };
        assert_eq!((mode(&at), mode(&folder.0)), (0o700, 0o700));
        assert_eq!(mode(&folder.0.join(ACCOUNT)), 0o600);

        let file = at.join("file");
        fs::write(&file, "").expect("written");
        let error = Folder::make(&config("https://ca.example/", &file)).expect_err("no folder");
        assert!(error.to_string().contains("tls.acme"), "{error}");
    }
}

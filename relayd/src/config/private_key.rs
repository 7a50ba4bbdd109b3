//! The private key in a file, which is nobody's but the relay's.

use std::fs::File;
use std::io;
use std::path::Path;

use crate::files::{self, MAX_SECRET_FILE};
use crate::token::SigningKey;

/// Reads a private key in PEM (PKCS #8), from a file that others can't read.
///
/// It is the relay's user's own and nobody else may read it, or root's and its group may, as secrets are often
/// handed to a service; root may use any that is its owner's alone.
///
/// # Errors
/// Says which file, and what is wrong with it.
pub(super) fn read(path: &Path) -> Result<SigningKey, String> {
    let place = path.display();
    let read = || {
        let file = files::open(path)?;
        // Of what was opened: the path may lead to another file by now.
        let shared = shared(&file)?;
        io::Result::Ok((shared, files::read_from(file, MAX_SECRET_FILE)?))
    };
    let (shared, text) = read().map_err(|error| format!("{place} can't be read: {error}"))?;
    if let Some(why) = shared {
        return Err(format!("{place} is a private key, and {why}"));
    }
    SigningKey::from_pem(&text).map_err(|message| format!("{place}: {message}"))
}

/// Who else has a file.
#[cfg(unix)]
fn shared(file: &File) -> io::Result<Option<String>> {
    use std::os::unix::fs::MetadataExt as _;
    let known = file.metadata()?;
    let user = rustix::process::geteuid().as_raw();
    Ok(others(user, known.uid(), known.mode()))
}

/// Elsewhere files have no modes.
#[cfg(not(unix))]
fn shared(_: &File) -> io::Result<Option<String>> {
    Ok(None)
}

#[cfg(unix)]
fn others(user: u32, owner: u32, mode: u32) -> Option<String> {
    if owner != user && owner != 0 && user != 0 {
        return Some("it is another user's".into());
    }
    let to_group = owner == 0 && user != 0;
    let may = if to_group { 0o640 } else { 0o600 };
    let mode = mode & 0o777;
    (mode & !may & 0o077 != 0).then(|| {
        format!("others have it, too: its mode is {mode:04o}, and may be {may:04o} (chmod)")
    })
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_file_is_its_owners_alone_or_roots_for_a_group() {
        let (us, others_id, root) = (1000, 1001, 0);
        for (user, owner, mode, good) in [
            (us, us, 0o100_600, true),
            (us, us, 0o100_400, true),
            (us, us, 0o100_640, false),
            (us, us, 0o100_604, false),
            (us, us, 0o100_620, false),
            (us, root, 0o100_640, true),
            (us, root, 0o100_440, true),
            (us, root, 0o100_660, false),
            (us, root, 0o100_644, false),
            (us, others_id, 0o100_600, false),
            (root, us, 0o100_600, true),
            (root, us, 0o100_640, false),
            (root, root, 0o100_600, true),
            (root, root, 0o100_640, false),
        ] {
            let found = others(user, owner, mode);
            assert_eq!(found.is_none(), good, "{user} {owner} {mode:o}: {found:?}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_with_the_file_and_without_the_key() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("app.key");
        let error = read(&path).expect_err("not there");
        assert!(error.contains("app.key can't be read: "), "{error}");
        let good = include_str!("../../tests/keys/ed25519.pem");
        let public = include_str!("../../tests/keys/ed25519.pub.pem");
        for (text, mode, expected) in [
            (good, 0o640, "app.key is a private key, and others have it"),
            (good, 0o604, "its mode is 0604, and may be 0600"),
            (public, 0o600, "app.key: there is no PRIVATE KEY in PEM"),
            ("", 0o600, "app.key: there is no PRIVATE KEY in PEM"),
        ] {
            std::fs::write(&path, text).expect("written");
            let mode = std::fs::Permissions::from_mode(mode);
            std::fs::set_permissions(&path, mode).expect("ours");
            let error = read(&path).expect_err(expected);
            assert!(error.contains(expected), "{error}\nnot: {expected}");
            assert!(!error.contains("MC4"), "{error}");
        }
        std::fs::write(&path, good).expect("written");
        let mode = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(&path, mode).expect("ours");
        read(&path).expect("a key that is ours alone");
    }
}

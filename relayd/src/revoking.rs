//! Revoking by command: what an administrator revokes at this relay while it runs.
//!
//! It counts at once. It lasts where it can be appended to the configuration's `revoked_file`: then it is one of
//! those that stand there, which whoever edits the file may take back. Where it can't be, it counts until the
//! relay ends, and no reload takes it back. Relays that share a Redis keep what is revoked there instead.

use std::path::PathBuf;
use std::sync::{PoisonError, RwLock};

use crate::config::append_revocation;
use crate::token::{Credential, MAX_REVOCATIONS, Proven, Revocation, Revoked};

/// All that was revoked by command and that the configuration in use doesn't have.
#[derive(Debug, Default)]
pub(crate) struct Revoking(RwLock<Held>);

#[derive(Debug, Default)]
struct Held {
    /// The configuration's `revoked_file`.
    file: Option<PathBuf>,
    /// [`MAX_REVOCATIONS`] at most; then nothing more is revoked.
    all: Vec<One>,
    /// The same, to look at.
    revoked: Revoked,
}

#[derive(Debug)]
struct One {
    revocation: Revocation,
    /// It stands in the file too, which has not been read since.
    in_file: bool,
}

impl Revoking {
    /// The configuration was read, whose `revoked_file` is this: what stands there is the configuration's from
    /// now on.
    pub(crate) fn read_with(&self, file: Option<PathBuf>) {
        let mut held = self.held();
        held.file = file;
        held.all.retain(|one| !one.in_file);
        let mut revoked = Revoked::default();
        for one in &held.all {
            revoked.add(&one.revocation);
        }
        held.revoked = revoked;
    }

    /// Whether the token of that name that says this was revoked.
    pub(crate) fn has(&self, token: &str, credential: &Credential, proven: &Proven) -> bool {
        let held = self.0.read().unwrap_or_else(PoisonError::into_inner);
        held.revoked.has(token, credential, proven)
    }

    /// Revokes this from now on.
    ///
    /// # Errors
    /// Where too many are held already: then it is not revoked.
    pub(crate) fn revoke(&self, one: &Revocation) -> Result<(), String> {
        let mut held = self.held();
        if held.all.iter().any(|known| known.revocation == *one) {
            return Ok(());
        }
        if held.all.len() >= MAX_REVOCATIONS {
            return Err(format!(
                "{MAX_REVOCATIONS} were revoked since the configuration was read: nothing more is"
            ));
        }
        held.revoked.add(one);
        held.all.push(One {
            revocation: one.clone(),
            in_file: false,
        });
        Ok(())
    }

    /// Appends what was revoked to the file, so that it outlasts the relay; where that is. It waits for the disk.
    /// No configuration may be read meanwhile.
    ///
    /// # Errors
    /// Says why it can't. Then it counts until the relay ends.
    pub(crate) fn keep(&self, one: &Revocation) -> Result<PathBuf, String> {
        let file = self.held().file.clone();
        let file = file.ok_or("the configuration has no revoked_file")?;
        append_revocation(&file, one)
            .map_err(|why| format!("{} can't take it: {why}", file.display()))?;
        let mut held = self.held();
        let kept = held.all.iter_mut().find(|known| known.revocation == *one);
        if let Some(kept) = kept {
            kept.in_file = true;
        }
        Ok(file)
    }

    fn held(&self) -> std::sync::RwLockWriteGuard<'_, Held> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(subject: &str) -> Revocation {
        Revocation {
            subject: Some(subject.into()),
            ..Revocation::default()
        }
    }

    fn held(revoking: &Revoking) -> Vec<String> {
        let held = revoking.held();
        let subjects = held.all.iter().map(|one| one.revocation.subject.clone());
        subjects.map(Option::unwrap_or_default).collect()
    }

    #[test]
    fn what_is_in_the_file_is_the_files_once_that_is_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("revoked.toml");
        let revoking = Revoking::default();
        revoking.read_with(Some(file.clone()));
        for subject in ["ada", "ada", "eve"] {
            revoking.revoke(&of(subject)).expect("few");
        }
        assert_eq!(held(&revoking), ["ada", "eve"]);
        // It isn't there.
        let why = revoking.keep(&of("ada")).expect_err("no file");
        assert!(why.contains("revoked.toml"), "{why}");
        std::fs::write(&file, "").expect("written");
        assert_eq!(revoking.keep(&of("ada")), Ok(file));
        assert_eq!(held(&revoking), ["ada", "eve"], "nobody has read it yet");
        revoking.read_with(None);
        assert_eq!(held(&revoking), ["eve"]);
        let why = revoking.keep(&of("eve")).expect_err("no file");
        assert!(why.contains("no revoked_file"), "{why}");
    }

    #[test]
    fn so_many_are_held_and_no_more() {
        let revoking = Revoking::default();
        for number in 0..MAX_REVOCATIONS {
            let one = of(&number.to_string());
            let mut held = revoking.held();
            held.all.push(One {
                revocation: one,
                in_file: true,
            });
        }
        assert!(revoking.revoke(&of("one more")).is_err());
        revoking.revoke(&of("7")).expect("known already");
        revoking.read_with(None);
        revoking.revoke(&of("one more")).expect("room again");
    }
}

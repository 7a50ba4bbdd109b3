//! Servers that are unpacked and not installed: as packages they conflict with each other, or stand in
//! another suite of Debian. `cargo xtask test` unpacks each into a root of its own below the target folder.

use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::certs::Certificate;
use crate::process;
use crate::workspace::target_folder;

/// Who a server runs as that need not be root, and refuses to be: nobody, and nogroup.
pub const NOBODY: u32 = 65534;

/// A folder for one running server, inside the root that it sees; it is removed with this value.
#[derive(Debug)]
pub struct Folder {
    folder: TempDir,
    inside: PathBuf,
}

/// The root of what was unpacked by this name.
///
/// # Errors
/// Where nothing was.
pub fn root(name: &str) -> io::Result<PathBuf> {
    let folder = target_folder().join("roots").join(name);
    // It is written last.
    if folder.join("recipe").is_file() {
        return Ok(folder.join("root"));
    }
    Err(io::Error::new(
        io::ErrorKind::NotFound,
        format!("{name} is not unpacked: run `cargo xtask test servers`, as root"),
    ))
}

/// A command that runs a program of that root, and sees nothing else. Only root may.
///
/// # Errors
/// Where nothing was unpacked by this name.
pub fn command(name: &str, program: &str) -> io::Result<Command> {
    let mut command = Command::new(process::require_program("chroot")?);
    command.arg(root(name)?).arg(program);
    Ok(command)
}

/// Whether the tests of what is unpacked by this name are passed over: `cargo xtask test` could not unpack it,
/// and tells so in its summary. Nothing else passes a test over.
pub fn is_skipped(name: &str) -> bool {
    let without = std::env::var("JACKFIELD_WITHOUT").unwrap_or_default();
    without.split(' ').any(|it| it == name)
}

/// Writes who there is in the root of what was unpacked by this name: root, and these with a group of the
/// same number.
pub(crate) fn write_users(name: &str, users: &[(&str, u32)]) -> io::Result<()> {
    let root = root(name)?;
    let (mut passwd, mut group) = (
        "root:x:0:0::/:/bin/sh\n".to_owned(),
        "root:x:0:\nnogroup:x:65534:\n".to_owned(),
    );
    for (user, id) in users {
        passwd = format!("{passwd}{user}:x:{id}:{id}::/:/bin/sh\n");
        group = format!("{group}{user}:x:{id}:\n");
    }
    for (file, text) in [("etc/passwd", passwd), ("etc/group", group)] {
        let path = root.join(file);
        // Another server may be reading it.
        if fs::read_to_string(&path)? != text {
            fs::write(path, text)?;
        }
    }
    Ok(())
}

/// The same, run as [`NOBODY`].
///
/// # Errors
/// Where nothing was unpacked by this name.
pub fn command_as_nobody(name: &str, program: &str) -> io::Result<Command> {
    command_as(name, NOBODY, program)
}

/// The same, run as a user.
///
/// # Errors
/// Where nothing was unpacked by this name.
pub fn command_as(name: &str, user: u32, program: &str) -> io::Result<Command> {
    let mut command = Command::new(process::require_program("chroot")?);
    command.arg(format!("--userspec={user}:{user}"));
    command.arg(root(name)?).arg(program);
    Ok(command)
}

impl Folder {
    /// A folder in the root of what was unpacked by this name, which everybody may look into.
    ///
    /// # Errors
    /// Where nothing was unpacked by this name, or nothing can be written.
    pub fn new(name: &str) -> io::Result<Self> {
        let root = root(name)?;
        let folder = tempfile::tempdir_in(root.join("tmp"))?;
        let at = folder.path();
        // Its owner is who runs the tests, and a server's parts are others.
        fs::set_permissions(at, PermissionsExt::from_mode(0o755))?;
        let inside = Path::new("/").join(at.strip_prefix(&root).unwrap_or(at));
        Ok(Self { folder, inside })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Where the server sees it.
    pub fn inside(&self) -> std::path::Display<'_> {
        self.inside.display()
    }

    /// Writes a certificate to `cert.pem` in it, and its key to `key.pem`, which only its owner may read.
    ///
    /// # Errors
    /// Those of the system.
    pub(crate) fn write_certificate(&self, certificate: &Certificate) -> io::Result<()> {
        let key = self.path().join("key.pem");
        fs::write(self.path().join("cert.pem"), certificate.pem())?;
        fs::write(&key, certificate.key_pem())?;
        fs::set_permissions(key, PermissionsExt::from_mode(0o600))
    }

    /// Gives it, and all that is in it, to [`NOBODY`].
    ///
    /// # Errors
    /// Those of the system.
    pub fn give_away(&self) -> io::Result<()> {
        give_to(self.path(), NOBODY)
    }
}

/// Gives a file or folder, and all that is in it, to a user.
pub(crate) fn give_to(path: &Path, user: u32) -> io::Result<()> {
    chown(path, Some(user), Some(user))?;
    if path.is_dir() {
        for entry in fs::read_dir(path)? {
            give_to(&entry?.path(), user)?;
        }
    }
    Ok(())
}

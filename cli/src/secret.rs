//! Secrets: read from files or from the environment, never from the command line, which everyone on
//! this machine can read.

use std::env;
use std::path::Path;

use jackfield_socket::{Error, ErrorKind, Result};

use crate::backend::read;

/// Where the user's password is, unless a file is named.
pub(crate) const PASSWORD_VARIABLE: &str = "JACKFIELD_PASSWORD";

/// A password, from a file or else from the environment.
pub(crate) fn secret(file: Option<&Path>, variable: &str) -> Result<Option<String>> {
    let invalid = |what: String| Err(Error::new(ErrorKind::InvalidInput, what));
    match (file, env::var(variable)) {
        (Some(path), _) => match String::from_utf8(read(path)?) {
            Ok(password) => Ok(Some(password.trim_end_matches(['\r', '\n']).to_owned())),
            Err(_) => invalid(format!("{} is not text", path.display())),
        },
        (None, Ok(password)) => Ok(Some(password)),
        (None, Err(env::VarError::NotPresent)) => Ok(None),
        (None, Err(env::VarError::NotUnicode(_))) => invalid(format!("{variable} is not text")),
    }
}

//! Addresses as pages give them: `scheme://host:port/path`.

use jackfield_socket::{Endpoint, Error, ErrorKind, Result};

/// An address, taken apart.
#[derive(Debug)]
pub(crate) struct Address<'a> {
    pub(crate) scheme: &'a str,
    authority: &'a str,
    /// From the first `/` or `?` on; may be empty.
    pub(crate) path: &'a str,
}

impl<'a> Address<'a> {
    pub(crate) fn parse(text: &'a str) -> Result<Self> {
        let (scheme, rest) = text
            .split_once("://")
            .ok_or_else(|| invalid("has no scheme, such as mqtts://", text))?;
        if rest.contains('#') {
            return Err(invalid("holds a fragment", text));
        }
        let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        if authority.contains('@') {
            // Not quoted: what stands there may be a password.
            return Err(Error::new(
                ErrorKind::InvalidInput,
                "the address holds a user or a password: they are options of their own",
            ));
        }
        Ok(Self {
            scheme,
            authority,
            path,
        })
    }

    /// Host and port; the port is this one where none is given.
    pub(crate) fn endpoint(&self, port: u16) -> Result<Endpoint> {
        let after = self.authority.rfind(']').unwrap_or(0);
        if self.authority[after..].contains(':') {
            self.authority.parse()
        } else {
            format!("{}:{port}", self.authority).parse()
        }
    }
}

fn invalid(what: &str, text: &str) -> Error {
    Error::new(
        ErrorKind::InvalidInput,
        format!("the address {text:?} {what}"),
    )
}

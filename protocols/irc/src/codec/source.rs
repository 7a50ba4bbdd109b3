//! Sources: who a message is from.

use std::fmt;

/// Who a message is from, borrowed: `nick!user@host`, or a server's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SourceRef<'a> {
    /// The nickname, or the server's name.
    pub name: &'a str,
    /// The user name.
    pub user: Option<&'a str>,
    /// The host, as the server shows it.
    pub host: Option<&'a str>,
}

/// Who a message is from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Source {
    /// The nickname, or the server's name.
    pub name: String,
    /// The user name.
    pub user: Option<String>,
    /// The host, as the server shows it.
    pub host: Option<String>,
}

impl<'a> SourceRef<'a> {
    /// Takes a source apart, without the `:` in front.
    ///
    /// ```
    /// use jackfield_irc::codec::SourceRef;
    ///
    /// let source = SourceRef::parse("ada!~a@example.org");
    /// assert_eq!((source.name, source.user, source.host), ("ada", Some("~a"), Some("example.org")));
    /// ```
    pub fn parse(source: &'a str) -> Self {
        // The host holds no `@`; nick and user, between them, no further `!`.
        let (front, host) = match source.rsplit_once('@') {
            Some((front, host)) => (front, Some(host)),
            None => (source, None),
        };
        let (name, user) = match front.split_once('!') {
            Some((name, user)) => (name, Some(user)),
            None => (front, None),
        };
        Self { name, user, host }
    }

    /// An owned copy.
    pub fn to_source(self) -> Source {
        Source {
            name: self.name.to_owned(),
            user: self.user.map(str::to_owned),
            host: self.host.map(str::to_owned),
        }
    }
}

impl fmt::Display for SourceRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)?;
        if let Some(user) = self.user {
            write!(f, "!{user}")?;
        }
        if let Some(host) = self.host {
            write!(f, "@{host}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, user, host } = self;
        let (user, host) = (user.as_deref(), host.as_deref());
        SourceRef { name, user, host }.fmt(f)
    }
}

//! Capabilities: what a server says it can do (RFC 9051, section 7.2.2).

use std::fmt;

/// No server has as many.
const MAX_NAMES: usize = 1000;

/// What a server says it can do, in capitals and in order.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Capabilities(Vec<Box<str>>);

impl Capabilities {
    pub(crate) fn of<'a>(names: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let capital = |name| {
            String::from_utf8_lossy(name)
                .to_ascii_uppercase()
                .into_boxed_str()
        };
        let mut sorted = Vec::new();
        for name in names.into_iter().take(MAX_NAMES).map(capital) {
            // They are few, and a page need not load one more sort.
            if let Err(at) = sorted.binary_search(&name) {
                sorted.insert(at, name);
            }
        }
        Self(sorted)
    }

    /// Whether it has one, by its name in capitals: `IDLE`, `AUTH=PLAIN`.
    pub fn has(&self, name: &str) -> bool {
        self.0.binary_search_by(|known| (**known).cmp(name)).is_ok()
    }

    /// What stands behind `NAME=` in those that begin so: the mechanisms of `AUTH`, the limit of
    /// `APPENDLIMIT`.
    pub fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> + 'a {
        let value = move |known: &'a str| known.strip_prefix(name)?.strip_prefix('=');
        self.iter().filter_map(value)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|name| &**name)
    }

    /// Whether the server has named none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Capabilities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, name) in self.iter().enumerate() {
            f.write_str(if at == 0 { "" } else { " " })?;
            f.write_str(name)?;
        }
        Ok(())
    }
}

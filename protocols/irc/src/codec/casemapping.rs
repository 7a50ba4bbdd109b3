//! Case mapping: which names are the same (`CASEMAPPING` in `RPL_ISUPPORT`).

/// How a server compares nicknames and channel names.
///
/// ```
/// use jackfield_irc::codec::CaseMapping;
///
/// assert!(CaseMapping::Rfc1459.eq("Ada[m]", "ada{M}"));
/// assert!(!CaseMapping::Ascii.eq("Ada[m]", "ada{M}"));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CaseMapping {
    /// `A`–`Z` are `a`–`z`.
    Ascii,
    /// Besides, `[]\~` are `{}|^` (RFC 2812, section 2.2). What a server that says nothing uses.
    #[default]
    Rfc1459,
    /// Besides ASCII, `[]\` are `{}|`.
    Rfc1459Strict,
}

impl CaseMapping {
    /// Finds the mapping of this name: `ascii`, `rfc1459`, `rfc1459-strict` (and
    /// `strict-rfc1459`, which some servers write).
    pub fn from_name(name: &str) -> Option<Self> {
        match name.to_ascii_lowercase().as_str() {
            "ascii" => Some(Self::Ascii),
            "rfc1459" => Some(Self::Rfc1459),
            "rfc1459-strict" | "strict-rfc1459" => Some(Self::Rfc1459Strict),
            _ => None,
        }
    }

    /// The one spelling that stands for all that are the same.
    pub fn fold(self, name: &str) -> String {
        name.chars().map(|c| self.fold_char(c)).collect()
    }

    /// Whether two names are the same.
    pub fn eq(self, a: &str, b: &str) -> bool {
        a.len() == b.len()
            && a.chars()
                .zip(b.chars())
                .all(|(a, b)| self.fold_char(a) == self.fold_char(b))
    }

    fn fold_char(self, character: char) -> char {
        match (self, character) {
            (Self::Rfc1459 | Self::Rfc1459Strict, '[') => '{',
            (Self::Rfc1459 | Self::Rfc1459Strict, ']') => '}',
            (Self::Rfc1459 | Self::Rfc1459Strict, '\\') => '|',
            (Self::Rfc1459, '~') => '^',
            _ => character.to_ascii_lowercase(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_mapping_folds_its_own() {
        let name = r"A[]\~É";
        assert_eq!(CaseMapping::Ascii.fold(name), r"a[]\~É");
        assert_eq!(CaseMapping::Rfc1459.fold(name), "a{}|^É");
        assert_eq!(CaseMapping::Rfc1459Strict.fold(name), "a{}|~É");
    }
}

//! Mode strings, read by what the server says about its modes (`CHANMODES` and `PREFIX`).

/// One change of a mode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModeChange {
    /// Whether the mode is set (`+`) or lifted (`-`).
    pub add: bool,
    /// The mode's letter.
    pub mode: char,
    /// The parameter: a nickname, a mask, a key, a number.
    pub param: Option<String>,
}

/// What sort of mode a letter is, and so when it has a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ModeKind {
    /// A list (`b`): a parameter both ways; without one, the list is asked for.
    List,
    /// A setting that has a parameter both ways (`k`).
    Setting,
    /// A setting that has a parameter when it is set (`l`).
    SettingWhenSet,
    /// A flag (`t`): no parameter.
    Flag,
    /// A member's rank (`o`): a nickname both ways.
    Rank,
}

/// The modes of a server's channels.
///
/// ```
/// use jackfield_irc::codec::ModeTypes;
///
/// let modes = ModeTypes::default();
/// let changes = modes.parse("+oo-k", ["ada", "grace", "secret"]);
/// let shown: Vec<_> = changes.iter().map(ToString::to_string).collect();
/// assert_eq!(shown, ["+o ada", "+o grace", "-k secret"]);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModeTypes {
    lists: String,
    settings: String,
    settings_when_set: String,
    /// Letter and symbol, the highest rank first.
    ranks: Vec<(char, char)>,
}

/// How many changes one mode string may make; the rest is ignored. No server allows as many.
const MAX_CHANGES: usize = 64;
/// How many ranks a server may have; the rest is ignored.
const MAX_RANKS: usize = 16;

impl Default for ModeTypes {
    /// RFC 2811's modes, for a server that says nothing.
    fn default() -> Self {
        Self {
            lists: "beI".to_owned(),
            settings: "k".to_owned(),
            settings_when_set: "l".to_owned(),
            ranks: vec![('o', '@'), ('v', '+')],
        }
    }
}

impl ModeTypes {
    /// Modes without parameters, as a user's own are.
    pub fn flags_only() -> Self {
        Self {
            lists: String::new(),
            settings: String::new(),
            settings_when_set: String::new(),
            ranks: Vec::new(),
        }
    }

    /// Takes the value of `CHANMODES`: lists, settings, settings when set, flags.
    pub fn set_chanmodes(&mut self, value: &str) {
        let mut groups = value.split(',');
        let mut group = || groups.next().unwrap_or_default().to_owned();
        self.lists = group();
        self.settings = group();
        self.settings_when_set = group();
    }

    /// Takes the value of `PREFIX`: `(ov)@+`. An empty one means that there are no ranks.
    pub fn set_prefix(&mut self, value: &str) {
        self.ranks = match value
            .strip_prefix('(')
            .and_then(|rest| rest.split_once(')'))
        {
            Some((letters, symbols)) => letters
                .chars()
                .zip(symbols.chars())
                .take(MAX_RANKS)
                .collect(),
            None => Vec::new(),
        };
    }

    /// What sort of mode this letter is.
    pub fn kind(&self, mode: char) -> ModeKind {
        if self.ranks.iter().any(|(letter, _)| *letter == mode) {
            ModeKind::Rank
        } else if self.lists.contains(mode) {
            ModeKind::List
        } else if self.settings.contains(mode) {
            ModeKind::Setting
        } else if self.settings_when_set.contains(mode) {
            ModeKind::SettingWhenSet
        } else {
            ModeKind::Flag
        }
    }

    /// The letters and symbols of the ranks, the highest first.
    pub fn ranks(&self) -> &[(char, char)] {
        &self.ranks
    }

    /// The symbol of a rank's letter.
    pub fn symbol(&self, mode: char) -> Option<char> {
        let found = self.ranks.iter().find(|(letter, _)| *letter == mode);
        found.map(|(_, symbol)| *symbol)
    }

    /// Splits the symbols in front of a nickname from it: `@+ada`.
    pub fn split_symbols<'a>(&self, text: &'a str) -> (&'a str, &'a str) {
        let is_symbol = |c: char| self.ranks.iter().any(|(_, symbol)| *symbol == c);
        let name = text.trim_start_matches(is_symbol);
        text.split_at(text.len() - name.len())
    }

    /// Reads a mode string with its parameters.
    pub fn parse<'a>(
        &self,
        modes: &str,
        params: impl IntoIterator<Item = &'a str>,
    ) -> Vec<ModeChange> {
        let mut params = params.into_iter();
        let mut add = true;
        let mut changes = Vec::new();
        for mode in modes.chars() {
            match mode {
                '+' => add = true,
                '-' => add = false,
                _ if changes.len() == MAX_CHANGES => break,
                mode => {
                    let takes_param = match self.kind(mode) {
                        ModeKind::List | ModeKind::Setting | ModeKind::Rank => true,
                        ModeKind::SettingWhenSet => add,
                        ModeKind::Flag => false,
                    };
                    let param = takes_param.then(|| params.next()).flatten();
                    changes.push(ModeChange {
                        add,
                        mode,
                        param: param.map(str::to_owned),
                    });
                }
            }
        }
        changes
    }
}

impl std::fmt::Display for ModeChange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let sign = if self.add { '+' } else { '-' };
        write!(f, "{sign}{}", self.mode)?;
        if let Some(param) = &self.param {
            write!(f, " {param}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(types: &ModeTypes, modes: &str, params: &[&str]) -> Vec<String> {
        let changes = types.parse(modes, params.iter().copied());
        changes.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn each_kind_takes_its_parameters() {
        let mut types = ModeTypes::default();
        types.set_chanmodes("b,k,l,imnpst");
        types.set_prefix("(qaohv)~&@%+");
        assert_eq!(
            shown(
                &types,
                "+mqbl-l+k-k",
                &["ada", "*!*@bad", "5", "key", "key"]
            ),
            [
                "+m",
                "+q ada",
                "+b *!*@bad",
                "+l 5",
                "-l",
                "+k key",
                "-k key"
            ]
        );
        assert_eq!(shown(&types, "+b", &[]), ["+b"]);
        assert_eq!(types.split_symbols("~@+ada"), ("~@+", "ada"));
    }

    #[test]
    fn a_hostile_mode_string_is_cut() {
        let types = ModeTypes::default();
        assert_eq!(types.parse(&"+n".repeat(5000), []).len(), MAX_CHANGES);
        assert!(types.parse("", []).is_empty());
    }
}

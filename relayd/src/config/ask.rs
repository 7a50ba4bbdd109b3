//! Whom a token asks, as it stands in the file.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::Spanned;

use super::file::Wrong;
use crate::ask::{Ask, Fails};
use crate::files::{self, MAX_FILE};

/// The keys of a token that say it.
pub(super) struct FileAsk {
    pub(super) url: Option<(String, Range<usize>)>,
    pub(super) fails: Option<Spanned<Fails>>,
    pub(super) roots: Option<Spanned<PathBuf>>,
    pub(super) seconds: Option<Spanned<u32>>,
    pub(super) at_most: Option<Spanned<u32>>,
}

impl FileAsk {
    /// Reads it for the token with this key, whose openings have so much time.
    pub(super) fn read(
        self,
        token: &str,
        directory: &Path,
        dial_deadline: Duration,
    ) -> Result<Option<Ask>, Wrong> {
        let wrong = |span, name: &str, message: &str| {
            Err(Wrong::new(span, format!("{token}.{name}"), message))
        };
        let Some((url, place)) = self.url else {
            let given = [
                self.fails.map(|it| (it.span(), "ask_fails")),
                self.roots.map(|it| (it.span(), "ask_roots_file")),
                self.seconds.map(|it| (it.span(), "ask_seconds")),
                self.at_most.map(|it| (it.span(), "ask_at_most")),
            ];
            return match given.into_iter().flatten().next() {
                Some((span, name)) => wrong(span, name, "it is of `ask`, which isn't there"),
                None => Ok(None),
            };
        };
        let Some(fails) = self.fails else {
            let message = "ask_fails has to say what is done where nobody answers: \"open\" or \
                           \"closed\"";
            return wrong(place, "ask", message);
        };
        let roots = match &self.roots {
            None => None,
            Some(path) => {
                let at = directory.join(path.get_ref());
                match files::read(&at, MAX_FILE) {
                    Ok(roots) => Some(roots),
                    Err(error) => {
                        let message = format!("{} can't be read: {error}", at.display());
                        return wrong(path.span(), "ask_roots_file", &message);
                    }
                }
            }
        };
        let mut ask = match Ask::new(&url, roots.as_deref(), fails.into_inner()) {
            Ok(ask) => ask,
            Err(message) => return wrong(place, "ask", &message),
        };
        ask = ask.with_deadline(match &self.seconds {
            // An opening that isn't asked about in time must have time to go on.
            None => Ask::DEADLINE.min(dial_deadline / 2),
            Some(seconds) => {
                let deadline = Duration::from_secs((*seconds.get_ref()).into());
                if deadline.is_zero() || deadline >= dial_deadline {
                    let message =
                        "it is at least 1, and less than dial_seconds, of which it is a part";
                    return wrong(seconds.span(), "ask_seconds", message);
                }
                deadline
            }
        });
        if let Some(at_most) = &self.at_most {
            if *at_most.get_ref() == 0 {
                return wrong(at_most.span(), "ask_at_most", "nothing could be asked");
            }
            ask = ask.with_at_most(*at_most.get_ref());
        }
        Ok(Some(ask))
    }
}

//! The file of revocations: how it is read, and how an administrator's are appended to it.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use toml::Spanned;
use toml::value::{Date, Datetime, Offset, Time};

use super::Token;
use super::file::{Wrong, deserialize, system_time};
use super::table::Table;
use crate::calendar;
use crate::files::{self, MAX_FILE};
use crate::token::{Credential, MAX_REVOCATIONS, Revocation};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    revoked: Vec<Spanned<Table<FileRevocation>>>,
}

#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileRevocation {
    token: Option<String>,
    jti: Option<String>,
    sub: Option<String>,
    issued_before: Option<Datetime>,
}

/// Reads the file that stands there in the configuration; what is wrong in it is told with its own name.
pub(super) fn read(
    path: &Spanned<PathBuf>,
    directory: &Path,
    tokens: &[Token],
) -> Result<Vec<Revocation>, Wrong> {
    let file = directory.join(path.get_ref());
    let text = files::read(&file, MAX_FILE).map_err(|error| {
        let message = format!("{} can't be read: {error}", file.display());
        Wrong::new(path.span(), "revoked_file", message)
    })?;
    parse(&text, tokens).map_err(|mut wrong| {
        wrong.elsewhere = Some((file, text.clone()));
        wrong
    })
}

fn parse(text: &str, tokens: &[Token]) -> Result<Vec<Revocation>, Wrong> {
    let file: File = deserialize(text)?;
    if let Some(one) = file.revoked.get(MAX_REVOCATIONS) {
        let message = format!("there are more than {MAX_REVOCATIONS} revocations");
        return Err(Wrong::new(one.span(), "revoked", message));
    }
    let read = |(index, one): (usize, Spanned<Table<FileRevocation>>)| {
        let span = one.span();
        revocation(one.into_inner().0, tokens)
            .map_err(|message| Wrong::new(span, format!("revoked[{index}]"), message))
    };
    file.revoked.into_iter().enumerate().map(read).collect()
}

/// Appends one to the file: it is there whole, or the file is as it was. A link stays a link, and the file keeps its
/// mode. One that stands there already is not written again. It waits for the disk.
///
/// # Errors
/// Says why it can't be: the file can't be read or replaced, something is wrong in it, or it has
/// [`MAX_REVOCATIONS`] already.
pub(crate) fn append(path: &Path, one: &Revocation) -> Result<(), String> {
    let said = |error: io::Error| error.to_string();
    let path = fs::canonicalize(path).map_err(said)?;
    let mut text = files::read(&path, MAX_FILE).map_err(said)?;
    let known: File = deserialize(&text).map_err(|wrong| wrong.message)?;
    let one = FileRevocation::try_from(one)?;
    if known.revoked.iter().any(|known| known.get_ref().0 == one) {
        return Ok(());
    }
    if known.revoked.len() >= MAX_REVOCATIONS {
        return Err(format!("it has {MAX_REVOCATIONS} revocations already"));
    }
    let entry = toml::to_string(&one).map_err(|error| error.to_string())?;
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    let comment = "# By `ctl revoke`. Once the last of these tokens has ended, it may go.";
    for part in ["\n", comment, "\n[[revoked]]\n", &entry] {
        text.push_str(part);
    }
    // Where the file writes `revoked = [ … ]`, nothing can follow that.
    deserialize::<File>(&text).map_err(|wrong| wrong.message)?;
    replace(&path, &text).map_err(said)
}

/// Puts a text in a file's place, with the same mode.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    let new = PathBuf::from(new);
    // One that was left half-written, if any.
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).open(&new)?;
    let written = (|| {
        file.set_permissions(fs::metadata(path)?.permissions())?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&new, path)
    })();
    if written.is_err() {
        let _ = fs::remove_file(&new);
        return written;
    }
    // It is replaced; whether that outlasts a crash of the machine, the folder knows.
    match path.parent() {
        Some(folder) => fs::File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

impl TryFrom<&Revocation> for FileRevocation {
    type Error = String;

    fn try_from(one: &Revocation) -> Result<Self, String> {
        Ok(Self {
            token: one.token.clone(),
            jti: one.id.clone(),
            sub: one.subject.clone(),
            issued_before: one.issued_before.map(datetime).transpose()?,
        })
    }
}

/// A point in time as the file has it: in UTC, to the second.
fn datetime(time: SystemTime) -> Result<Datetime, String> {
    let far = || "the time can't be written".to_owned();
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let (days, second) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
    let (year, month, day) = calendar::date(days);
    let small = |number: u64| u8::try_from(number).map_err(|_| far());
    if year > 9999 {
        return Err(far());
    }
    Ok(Datetime {
        date: Some(Date {
            year: year.try_into().map_err(|_| far())?,
            month: small(month)?,
            day: small(day)?,
        }),
        time: Some(Time {
            hour: small(second / 3600)?,
            minute: small(second / 60 % 60)?,
            second: Some(small(second % 60)?),
            nanosecond: None,
        }),
        offset: Some(Offset::Z),
    })
}

/// Whether what this credential makes can be revoked; why not, else.
pub(crate) fn can_revoke(credential: Option<&Credential>) -> Result<(), &'static str> {
    match credential {
        None => Err("the configuration has no token of this name"),
        Some(Credential::Secret(_)) => {
            Err("a shared secret can't be revoked: take it out of the configuration")
        }
        Some(_) => Ok(()),
    }
}

fn revocation(one: FileRevocation, tokens: &[Token]) -> Result<Revocation, &'static str> {
    if one.jti.is_none() && one.sub.is_none() && one.issued_before.is_none() {
        return Err("a revocation has at least one of jti, sub and issued_before");
    }
    if let Some(name) = &one.token {
        let token = tokens.iter().find(|token| token.name == *name);
        can_revoke(token.map(|token| &token.credential))?;
    }
    let issued_before = match &one.issued_before {
        None => None,
        Some(time) => Some(system_time(time).ok_or(
            "issued_before is a date and time with its offset from UTC, \
             for example 2030-01-31T12:00:00Z",
        )?),
    };
    Ok(Revocation {
        token: one.token,
        id: one.jti,
        subject: one.sub,
        issued_before,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::Secret;

    #[test]
    fn revocations_are_read_and_faults_named() {
        let secret = Secret::new("0123456789abcdef").expect("long enough");
        let tokens = [
            Token::new("a", Credential::Key(secret.clone())),
            Token::new("b", Credential::Secret(secret)),
        ];
        let parse = |text: &str| parse(text, &tokens);
        let all = parse(
            "[[revoked]]\ntoken = 'a'\njti = '7'\n[[revoked]]\nsub = 'ada'\n\
             issued_before = 2030-01-01T00:00:00Z\n",
        );
        let all = all.unwrap_or_else(|wrong| panic!("{}", wrong.message));
        assert_eq!((all.len(), all[0].id.as_deref()), (2, Some("7")));
        assert!(all[1].issued_before.is_some());
        assert!(parse("").is_ok_and(|none| none.is_empty()));
        for (text, expected) in [
            ("[[revoked]]\n", "at least one of"),
            ("[[revoked]]\ntoken = 'a'\n", "at least one of"),
            (
                "[[revoked]]\ntoken = 'c'\njti = '7'",
                "no token of this name",
            ),
            ("[[revoked]]\ntoken = 'b'\njti = '7'", "shared secret"),
            ("[[revoked]]\nid = '7'", "unknown field"),
            ("revoked = [['a', '7']]", "expected a table"),
            ("[[revoked]]\nissued_before = 2030-01-01", "offset from UTC"),
            ("revoked = 7", "invalid type"),
            ("[[", ""),
        ] {
            let wrong = parse(text).err().map(|wrong| wrong.message);
            let wrong = wrong.unwrap_or_else(|| panic!("{text} is taken"));
            assert!(wrong.contains(expected), "{text}: {wrong}");
        }
        let many = "[[revoked]]\njti = '7'\n".repeat(MAX_REVOCATIONS + 1);
        assert!(parse(&many).is_err());
    }
    #[test]
    fn what_is_appended_is_read_as_it_was() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("revoked.toml");
        let at = |seconds| UNIX_EPOCH + std::time::Duration::from_secs(seconds);
        let all = [
            Revocation {
                id: Some("7 \"\u{fc}\\".into()),
                ..Revocation::default()
            },
            Revocation {
                token: Some("a".into()),
                subject: Some("ada".into()),
                issued_before: Some(at(951_825_599)),
                ..Revocation::default()
            },
        ];
        let before = "# Mine\n[[revoked]]\nsub = 'eve'";
        fs::write(&file, before).expect("written");
        for one in all.iter().chain(&all) {
            append(&file, one).expect("written");
        }
        let text = fs::read_to_string(&file).expect("text");
        assert!(text.starts_with(before), "{text}");
        let secret = Secret::new("0123456789abcdef").expect("long enough");
        let tokens = [Token::new("a", Credential::Key(secret))];
        let read = parse(&text, &tokens).unwrap_or_else(|wrong| panic!("{}", wrong.message));
        assert_eq!(read[1..], all, "each once: {text}");
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 1);

        for (text, expected) in [
            ("revoked = 7", "invalid type"),
            ("revoked = []", "duplicate key"),
            ("[[", ""),
        ] {
            fs::write(&file, text).expect("written");
            let why = append(&file, &all[0]).expect_err(text);
            assert!(why.contains(expected), "{text}: {why}");
            assert_eq!(fs::read_to_string(&file).expect("text"), text);
        }
        fs::remove_file(&file).expect("there");
        append(&file, &all[0]).expect_err("it isn't there");
    }

    #[cfg(unix)]
    #[test]
    fn a_link_stays_one_and_a_mode_too() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().expect("a folder");
        let [file, link] = ["real.toml", "revoked.toml"].map(|name| folder.path().join(name));
        fs::write(&file, "").expect("written");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).expect("its own");
        std::os::unix::fs::symlink("real.toml", &link).expect("made");
        let one = Revocation {
            id: Some("7".into()),
            ..Revocation::default()
        };
        append(&link, &one).expect("written");
        assert!(fs::symlink_metadata(&link).expect("there").is_symlink());
        let mode = fs::metadata(&file).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o640);
        let text = fs::read_to_string(&file).expect("text");
        assert!(text.ends_with("[[revoked]]\njti = \"7\"\n"), "{text}");
    }

    #[test]
    fn a_time_is_written_as_it_is_read() {
        for text in [
            "1970-01-01T00:00:00Z",
            "1999-12-31T23:59:59Z",
            "2000-02-29T12:34:56Z",
            "2026-11-30T00:00:00Z",
            "2100-03-01T00:00:01Z",
            "9999-12-31T23:59:59Z",
        ] {
            let time = system_time(&text.parse().expect(text)).expect(text);
            assert_eq!(datetime(time).expect(text).to_string(), text);
        }
        let last = "9999-12-31T23:59:59Z".parse().expect("a time");
        let last = system_time(&last).expect("a point in time");
        datetime(last + std::time::Duration::from_secs(1)).expect_err("a year of five digits");
    }
}

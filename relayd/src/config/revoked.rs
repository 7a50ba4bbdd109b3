//! The file of revocations.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::Spanned;
use toml::value::Datetime;

use super::Token;
use super::file::{Wrong, deserialize, system_time};
use crate::token::{Credential, MAX_REVOCATIONS, Revocation};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    revoked: Vec<Spanned<FileRevocation>>,
}

#[derive(Deserialize)]
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
    let text = std::fs::read_to_string(&file).map_err(|error| {
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
    let read = |(index, one): (usize, Spanned<FileRevocation>)| {
        let span = one.span();
        revocation(one.into_inner(), tokens)
            .map_err(|message| Wrong::new(span, format!("revoked[{index}]"), message))
    };
    file.revoked.into_iter().enumerate().map(read).collect()
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
}

//! Tokens in the configuration file.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use toml::Spanned;
use toml::value::Datetime;

use super::Token;
use super::ask::FileAsk;
use super::file::{Hidden, Wrong, lined, system_time};
use super::limits::{FileLimits, FileQuota};
use super::private_key;
use super::table::Table;
use crate::ask::Fails;
use crate::files::{self, MAX_FILE, MAX_SECRET_FILE};
use crate::limits::{Limits, Quota};
use crate::mint::minting_key;
use crate::policy::{ListenRule, Policy, Rule};
use crate::token::{ClientCa, Credential, PublicKeys, RemoteKeys, Secret, WhenOutdated};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FileToken {
    name: Spanned<String>,
    secret: Option<Spanned<Hidden>>,
    secret_file: Option<Spanned<PathBuf>>,
    signing_key: Option<Spanned<Hidden>>,
    signing_key_file: Option<Spanned<PathBuf>>,
    public_key: Option<Spanned<Hidden>>,
    public_key_file: Option<Spanned<PathBuf>>,
    jwks_file: Option<Spanned<PathBuf>>,
    pub(super) jwks_url: Option<Spanned<Hidden>>,
    jwks_roots_file: Option<Spanned<PathBuf>>,
    client_ca_file: Option<Spanned<PathBuf>>,
    client_crl_file: Option<Spanned<PathBuf>>,
    client_crl_outdated: Option<Spanned<WhenOutdated>>,
    expires: Option<Spanned<Datetime>>,
    #[serde(default)]
    allow: Vec<Spanned<String>>,
    #[serde(default)]
    deny: Vec<Spanned<String>>,
    #[serde(default)]
    listen: Vec<Spanned<String>>,
    #[serde(default)]
    report: bool,
    ask: Option<Spanned<Hidden>>,
    ask_fails: Option<Spanned<Fails>>,
    ask_roots_file: Option<Spanned<PathBuf>>,
    ask_seconds: Option<Spanned<u32>>,
    ask_at_most: Option<Spanned<u32>>,
    mint_at_most_seconds: Option<Spanned<NonZeroU32>>,
    mint_key_file: Option<Spanned<PathBuf>>,
    #[serde(default)]
    udp_open: bool,
    #[serde(default)]
    limits: Table<FileLimits>,
    bearer_limits: Option<Spanned<Table<FileQuota>>>,
}

/// What stands in the file above all tokens, for those that have nothing of their own.
pub(super) struct Defaults {
    pub(super) limits: Limits,
    pub(super) bearer_limits: Quota,
    /// Whether programs come in over TLS, and so can show certificates; why not, else.
    pub(super) programs: Result<(), &'static str>,
    /// For no token of its own: what leads to this machine from outside.
    pub(super) advertise: Vec<IpAddr>,
}

pub(super) fn read(
    index: usize,
    token: Spanned<Table<FileToken>>,
    defaults: &Defaults,
    (file, directory): (&str, &Path),
    before: &[Token],
) -> Result<Token, Wrong> {
    let key = |name: &str| format!("token[{index}].{name}");
    let whole = token.span();
    let Table(token) = token.into_inner();

    let name = token.name.get_ref();
    let good = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    let complaint = if name.is_empty() || name.len() > 64 || !name.bytes().all(good) {
        Some("a token's name has 1 to 64 ASCII letters, digits, '-' or '_'")
    } else if before.iter().any(|other| other.name == *name) {
        Some("another token has this name")
    } else {
        None
    };
    if let Some(complaint) = complaint {
        return Err(Wrong::new(token.name.span(), key("name"), complaint));
    }

    let given = |name, text: Option<Spanned<Hidden>>| {
        text.map(|text| (name, text.span(), Ok(text.into_inner().0)))
    };
    let from_file = |name, path: Option<Spanned<PathBuf>>| {
        path.map(|path| (name, path.span(), Err(directory.join(path.into_inner()))))
    };
    let mut sources = [
        given("secret", token.secret),
        from_file("secret_file", token.secret_file),
        given("signing_key", token.signing_key),
        from_file("signing_key_file", token.signing_key_file),
        given("public_key", token.public_key),
        from_file("public_key_file", token.public_key_file),
        from_file("jwks_file", token.jwks_file),
        given("jwks_url", token.jwks_url),
        from_file("client_ca_file", token.client_ca_file),
    ]
    .into_iter()
    .flatten();
    let (Some((name, span, source)), None) = (sources.next(), sources.next()) else {
        let message = "a token has exactly one of secret, secret_file, signing_key, \
                       signing_key_file, public_key, public_key_file, jwks_file, jwks_url and \
                       client_ca_file";
        return Err(Wrong::new(whole, format!("token[{index}]"), message));
    };
    let beside = |of: &str, own: &str, path: Option<Spanned<PathBuf>>, what: &str| match path {
        None => Ok(None),
        Some(path) if name == of => {
            let at = directory.join(path.get_ref());
            let text = files::read(&at, MAX_FILE);
            text.map(Some).map_err(|error| {
                let message = format!("{} can't be read: {error}", at.display());
                Wrong::new(path.span(), key(own), message)
            })
        }
        Some(path) => {
            let message = format!("it says {what} {of}, which isn't there");
            Err(Wrong::new(path.span(), key(own), message))
        }
    };
    let roots = token.jwks_roots_file;
    let roots = beside("jwks_url", "jwks_roots_file", roots, "whom to trust at")?;
    let revoked = token.client_crl_file;
    let revoked = beside(
        "client_ca_file",
        "client_crl_file",
        revoked,
        "what was revoked of",
    )?;
    if let (Some(outdated), None) = (&token.client_crl_outdated, &revoked) {
        let message = "it is of client_crl_file, which isn't there";
        return Err(Wrong::new(
            outdated.span(),
            key("client_crl_outdated"),
            message,
        ));
    }
    let wrong = |message| Wrong::new(span.clone(), key(name), message);
    let text = roots.as_deref().or(revoked.as_deref());
    let when_outdated = token.client_crl_outdated.map(Spanned::into_inner);
    let credential =
        read_credential(name, source, text, when_outdated.unwrap_or_default()).map_err(wrong)?;
    let met = |other: &Token| Some((other.name.clone(), credential.met(&other.credential)?));
    if let Some((other, what)) = before.iter().find_map(met) {
        return Err(wrong(format!("the token {other:?} has {what}, too")));
    }
    if let Credential::Certificates(_) = &credential {
        defaults.programs.map_err(|message| wrong(message.into()))?;
    }

    let expires = match token.expires {
        None => None,
        Some(time) => Some(system_time(time.get_ref()).ok_or_else(|| {
            let message = "expected a date and time with its offset from UTC, \
                           for example 2030-01-31T12:00:00Z";
            Wrong::new(time.span(), key("expires"), message)
        })?),
    };
    let bearer_limits = match (token.bearer_limits, &credential) {
        (None, _) => defaults.bearer_limits,
        (Some(limits), Credential::Secret(_)) => {
            let message = "whoever has a shared secret is the same bearer: its limits are `limits`";
            return Err(Wrong::new(limits.span(), key("bearer_limits"), message));
        }
        (Some(limits), _) => limits.get_ref().0.over(defaults.bearer_limits),
    };
    let named = token.name.get_ref();
    let mint_key = match &token.mint_key_file {
        None => None,
        Some(path) => {
            let wrong = |message: String| Wrong::new(path.span(), key("mint_key_file"), message);
            if token.mint_at_most_seconds.is_none() {
                let message = "nothing is minted with it: there is no mint_at_most_seconds";
                return Err(wrong(message.into()));
            }
            let private = private_key::read(&directory.join(path.get_ref())).map_err(wrong)?;
            minting_key(named, &credential, Some(&private)).map_err(wrong)?;
            Some(private)
        }
    };
    if let Some(seconds) = &token.mint_at_most_seconds {
        minting_key(named, &credential, mint_key.as_ref())
            .map_err(|message| Wrong::new(seconds.span(), key("mint_at_most_seconds"), message))?;
    }
    let listen = lined(&token.listen, &key("listen"), file, ListenRule::at_line)?;
    for (index, (rule, text)) in listen.iter().zip(&token.listen).enumerate() {
        if let Some(outer) = rule
            .advertised()
            .filter(|it| !defaults.advertise.contains(it))
        {
            let key = key(&format!("listen[{index}]"));
            let message = format!("{outer} is none of `advertise`, which lead here from outside");
            return Err(Wrong::new(text.span(), key, message));
        }
    }
    let limits = token.limits.0.over(defaults.limits);
    let ask = FileAsk {
        url: token.ask.map(|url| {
            let place = url.span();
            (url.into_inner().0, place)
        }),
        fails: token.ask_fails,
        roots: token.ask_roots_file,
        seconds: token.ask_seconds,
        at_most: token.ask_at_most,
    };
    let ask = ask.read(&format!("token[{index}]"), directory, limits.dial_deadline)?;
    Ok(Token {
        name: token.name.into_inner(),
        credential,
        expires,
        policy: Policy {
            allow: lined(&token.allow, &key("allow"), file, Rule::at_line)?,
            deny: lined(&token.deny, &key("deny"), file, Rule::at_line)?,
            listen,
            within: None,
            report: token.report,
        },
        ask,
        udp_open: token.udp_open,
        limits,
        mint_at_most: (token.mint_at_most_seconds)
            .map(|seconds| Duration::from_secs(seconds.get_ref().get().into())),
        mint_key,
        bearer_limits,
    })
}

/// Reads a secret, a key or an authority, which stands there or in a file; beside it may be roots, or lists of
/// what was revoked, which may be outdated.
fn read_credential(
    name: &str,
    source: Result<String, PathBuf>,
    beside: Option<&str>,
    when_outdated: WhenOutdated,
) -> Result<Credential, String> {
    let (text, place) = match source {
        Ok(text) => (text, String::new()),
        Err(path) => {
            let place = path.display();
            let most = match name {
                "secret_file" | "signing_key_file" => MAX_SECRET_FILE,
                _ => MAX_FILE,
            };
            let text = files::read(&path, most)
                .map_err(|error| format!("{place} can't be read: {error}"))?;
            (text, format!("{place}: "))
        }
    };
    match name {
        "secret" | "secret_file" => Secret::new(&text).map(Credential::Secret),
        "signing_key" | "signing_key_file" => Secret::new(&text).map(Credential::Key),
        "jwks_url" => RemoteKeys::new(&text, beside).map(Credential::RemoteKeys),
        "client_ca_file" => {
            ClientCa::from_pem_with(&text, beside, when_outdated).map(Credential::Certificates)
        }
        _ => PublicKeys::new(&text).map(Credential::PublicKeys),
    }
    .map_err(|message| format!("{place}{message}"))
}

//! Minting: signed tokens for an application's users, made by the relay with a key of its own:
//! the `signing_key` of the configuration, or a private one (`mint_key_file`).
//!
//! For back ends that would rather ask for a token than have the key. What is minted is a JWT like any other:
//! whatever it says, it gives no more than its `[[token]]` of the configuration, and it is tried as one that
//! a client presents before it is handed out.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Deserialize;
use serde_json::Value;
use tracing::info;

use crate::config::{Origin, Token};
use crate::handshake::Gate;
use crate::record::{Minting, Records};
use crate::token::{Claims, Credential, Payload, PayloadLimits, Shown, SigningKey, random_id};

/// How long a token is good whose request doesn't say it, where the configuration allows as much.
const USUAL: Duration = Duration::from_mins(15);

/// What is to be minted.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wanted {
    /// The token's name in the configuration.
    token: String,
    /// For how many seconds it is good.
    seconds: Option<u32>,
    sub: Option<Value>,
    jti: Option<Value>,
    origins: Option<Value>,
    allow: Option<Value>,
    limits: Option<PayloadLimits>,
}

/// What was minted.
pub(crate) struct Minted {
    /// The token itself: whoever has it may use it.
    pub(crate) jwt: String,
    /// What it can be revoked by.
    pub(crate) jti: String,
    /// When it ends, in seconds since 1970.
    pub(crate) exp: u64,
}

/// Mints a token by the rules in use. Log and records say for whom, and not what it is; records also why one is not
/// minted.
///
/// # Errors
/// Says why it would be of no use, or may not be.
pub(crate) fn mint(
    gate: &Gate,
    records: &dyn Records,
    wanted: Wanted,
    now: SystemTime,
) -> Result<Minted, String> {
    let name = wanted.token.clone();
    let bearer = wanted.sub.as_ref().and_then(Value::as_str);
    let bearer = bearer.map(str::to_owned);
    let minted = try_mint(gate, wanted, now);
    match &minted {
        Ok(Minted { jti, exp, .. }) => {
            info!(token = name, bearer, jti, exp, "minted a token");
            records.minting(&Minting::minted(&name, bearer, jti, *exp));
        }
        Err(why) => records.minting(&Minting::denied(&name, bearer, why)),
    }
    minted
}

fn try_mint(gate: &Gate, wanted: Wanted, now: SystemTime) -> Result<Minted, String> {
    let name = wanted.token.clone();
    let token = gate.identity().token(&name);
    let token = token.ok_or_else(|| format!("the configuration has no token {name:?}"))?;
    let key = token.signing_key()?;
    let expires = expires(token, wanted.seconds, now)?;
    let mut claims = wanted.claims(expires)?;
    claims.issued_at = Some(now);
    claims.audience = gate
        .identity()
        .audience()
        .map(str::to_owned)
        .into_iter()
        .collect();
    let jti = claims.id.take().map_or_else(random_id, Ok)?;
    claims.id = Some(jti.clone());
    for origin in claims.origins.iter().flatten() {
        if !gate.allows(Some(origin.as_str())) {
            let origin = origin.as_str();
            return Err(format!("no page of {origin} may use the relay (origins)"));
        }
    }
    let jwt = key.mint(&claims)?;
    let origins = claims.origins.as_deref().unwrap_or_default();
    let origin = origins.first().map(Origin::as_str);
    let shown = Shown::Token(jwt.clone());
    (gate.identity().check(&shown, origin, now))
        .map_err(|error| format!("the relay would not take it: {error}"))?;
    let exp = expires.duration_since(UNIX_EPOCH).unwrap_or_default();
    let exp = exp.as_secs();
    Ok(Minted { jwt, jti, exp })
}

/// The key that tokens of this name are minted with, where the relay has one; `private` is what it has beside
/// public keys.
///
/// # Errors
/// Says why there is none.
pub(crate) fn minting_key(
    name: &str,
    credential: &Credential,
    private: Option<&SigningKey>,
) -> Result<SigningKey, String> {
    match (credential, private) {
        (Credential::Key(secret), None) => {
            SigningKey::hs256(secret).map(|secret| secret.with_id(name))
        }
        (Credential::PublicKeys(keys), Some(private)) => keys
            .pair(private, name)
            .ok_or_else(|| "its public key is none of the token's".into()),
        (Credential::PublicKeys(_), None) => {
            Err("it has public keys: mint_key_file names the file of a private one".into())
        }
        (Credential::Key(_), Some(_)) => Err("it has a signing_key, which mints by itself".into()),
        (Credential::Secret(_), _) => Err("it has a secret, which is no key to mint with".into()),
        (Credential::Certificates(_), _) => Err("it is for who has a certificate".into()),
        (Credential::RemoteKeys(_), _) => {
            Err("its keys are at a URL: who publishes them mints its tokens".into())
        }
    }
}

impl Token {
    /// The key that the relay mints tokens of this name with: a `signing_key`, or the
    /// [`mint_key`](Self::mint_key), which names itself as the public one does.
    ///
    /// # Errors
    /// Where the relay has none; the text says why.
    pub fn signing_key(&self) -> Result<SigningKey, String> {
        let name = &self.name;
        minting_key(name, &self.credential, self.mint_key.as_ref())
            .map_err(|error| format!("the token {name:?} can't be minted: {error}"))
    }
}

/// When a token ends that is to be good for so long: with the one of the configuration at the latest.
fn expires(token: &Token, seconds: Option<u32>, now: SystemTime) -> Result<SystemTime, String> {
    let name = &token.name;
    let most = token.mint_at_most.ok_or_else(|| {
        format!("the token {name:?} may not be minted: it has no mint_at_most_seconds")
    })?;
    let good_for = match seconds {
        None => USUAL.min(most),
        Some(0) => return Err("a token is good for a second at least".into()),
        Some(seconds) => Duration::from_secs(seconds.into()),
    };
    if good_for > most {
        let most = most.as_secs();
        return Err(format!(
            "a token {name:?} is minted for {most} s at most (mint_at_most_seconds)"
        ));
    }
    Ok(token
        .expires
        .map_or(now + good_for, |end| end.min(now + good_for)))
}

impl Wanted {
    fn claims(self, expires: SystemTime) -> Result<Claims, String> {
        let payload = Payload {
            sub: self.sub,
            jti: self.jti,
            origins: self.origins,
            allow: self.allow,
            limits: self.limits,
            ..Payload::from(&Claims::new(expires))
        };
        Claims::try_from(payload).map_err(|error| error.to_string())
    }
}

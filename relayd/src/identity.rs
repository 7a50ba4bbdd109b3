//! Identity: whose token that is, and what its bearer may do.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use jackfield_relay_wire::Reason;

use crate::config::{Config, Token, can_revoke};
use crate::fleet::Fleet;
use crate::limits::{Accounts, Holder, Quota, Usage};
use crate::source::Source;
use crate::token::{Claims, Credential, Proven, Revoked, Shown, TokenError};

/// Whom the relay knows.
#[derive(Debug)]
pub(crate) struct Identity {
    tokens: Vec<Arc<Token>>,
    audience: Option<String>,
    source_limits: Quota,
    revoked: Revoked,
    accounts: Arc<Accounts>,
}

/// What a session may do, and where it counts what it uses.
#[derive(Debug)]
pub(crate) struct Grant {
    /// The token of the configuration, narrowed to what the bearer's own says.
    pub(crate) token: Arc<Token>,
    pub(crate) usage: Usage,
    /// Who the bearer is, by the token's `sub`.
    pub(crate) bearer: Option<String>,
    /// The token's own identifier, its `jti`.
    pub(crate) id: Option<String>,
    /// When the token ends, and the session with it.
    pub(crate) expires: Option<SystemTime>,
}

/// Whose a token is that is signed as it should be, whether it is good or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Signed {
    /// The token's name in the configuration.
    pub(crate) token: String,
    /// Its `sub`.
    pub(crate) bearer: Option<String>,
    /// Its `jti`.
    pub(crate) id: Option<String>,
}

/// Why a token lets nobody in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NotGood {
    pub(crate) error: TokenError,
    /// Whose it is. `None` where nothing proves it: what an unsigned token says, anybody may have written.
    pub(crate) of: Option<Signed>,
}

/// Who presents a token.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Client<'a> {
    pub(crate) origin: Option<&'a str>,
    pub(crate) from: IpAddr,
}

impl Identity {
    /// Knows the tokens of the configuration; what their bearers use is counted in `accounts`.
    pub(crate) fn new(config: &Config, accounts: Arc<Accounts>) -> Self {
        Self {
            tokens: config.tokens.iter().cloned().map(Arc::new).collect(),
            audience: config.audience.clone(),
            source_limits: config.source_limits,
            revoked: Revoked::new(&config.revoked),
            accounts,
        }
    }

    /// The names of the tokens that there are.
    pub(crate) fn tokens(&self) -> impl Iterator<Item = &str> {
        self.tokens.iter().map(|token| &*token.name)
    }

    /// Of each token that has lists of revoked certificates, when the first of them is to be replaced.
    pub(crate) fn lists(&self) -> impl Iterator<Item = (&str, SystemTime)> {
        let tokens = self.tokens.iter();
        tokens.filter_map(|token| Some((&*token.name, token.credential.list_due()?)))
    }

    /// What the bearer of this token or certificate may do.
    pub(crate) fn admit(
        &self,
        shown: &Shown,
        client: Client<'_>,
        now: SystemTime,
    ) -> Result<Grant, NotGood> {
        let (token, proven, expires) = self.check(shown, client.origin, now)?;
        Ok(self.grant(token, proven, expires, client.from))
    }

    /// Whether a token is good now for a client of this origin: whose it is, what it says, and when it ends.
    pub(crate) fn check(
        &self,
        shown: &Shown,
        origin: Option<&str>,
        now: SystemTime,
    ) -> Result<(&Arc<Token>, Proven, Option<SystemTime>), NotGood> {
        let found = self.find(shown, now);
        let (token, proven) = found.map_err(|error| NotGood::from(error.of(shown)))?;
        let ends = [token.expires, proven.expires];
        let expires = ends.into_iter().flatten().min();
        match self.is_good(token, &proven, expires, shown, origin, now) {
            Ok(()) => Ok((token, proven, expires)),
            Err(error) => Err(NotGood {
                error: error.of(shown),
                of: Some(Signed::of(token, &proven)),
            }),
        }
    }

    /// Whether what is signed as it should be is good now, and here.
    fn is_good(
        &self,
        token: &Token,
        proven: &Proven,
        expires: Option<SystemTime>,
        shown: &Shown,
        origin: Option<&str>,
        now: SystemTime,
    ) -> Result<(), TokenError> {
        if let Some(expires) = expires.filter(|expires| *expires <= now) {
            return Err(TokenError::Expired(expires));
        }
        // A certificate is for no relay in particular.
        if let (Shown::Token(_), Some(claims)) = (shown, &proven.claims) {
            claims.check(now, self.audience.as_deref(), origin)?;
        }
        let (name, credential) = (&token.name, &token.credential);
        let by_others = |fleet: &Fleet| fleet.has_revoked(name, credential, proven);
        if self.revoked.has(name, credential, proven)
            || (self.accounts.revoking()).has(name, credential, proven)
            || self.accounts.fleet().is_some_and(by_others)
        {
            return Err(TokenError::Revoked);
        }
        Ok(())
    }

    /// The token of the configuration that has this name.
    pub(crate) fn token(&self, name: &str) -> Option<&Token> {
        let mut tokens = self.tokens.iter();
        tokens
            .find(|token| token.name == name)
            .map(|token| &**token)
    }

    /// What JWTs for this relay name it by.
    pub(crate) fn audience(&self) -> Option<&str> {
        self.audience.as_deref()
    }

    /// Whether tokens of this name can be revoked; why not, else.
    pub(crate) fn can_revoke(&self, name: &str) -> Result<(), &'static str> {
        let token = self.tokens.iter().find(|token| token.name == name);
        can_revoke(token.map(|token| &token.credential))
    }

    /// Which token of the configuration this is, and what it says.
    fn find(&self, shown: &Shown, now: SystemTime) -> Result<(&Arc<Token>, Proven), TokenError> {
        // Every token is looked at, so that the time taken doesn't tell which one was near.
        let mut found = Err(TokenError::Unknown);
        for token in &self.tokens {
            match (&found, token.credential.recognise(&token.name, shown, now)) {
                // What isn't for clients is that before any authority looks whose it is.
                (_, Err(TokenError::Unknown))
                | (Err(TokenError::Certificate(_)), Err(TokenError::Certificate(_))) => {}
                (Err(TokenError::Unknown), verified) => {
                    found = verified.map(|proven| (token, proven));
                }
                // One that could be of several is nobody's: none could be told to be the right one.
                (_, _) => return Err(TokenError::Unknown),
            }
        }
        if let (Err(TokenError::Unknown), Shown::Token(presented)) = (&found, shown) {
            for token in &self.tokens {
                token.credential.missed(&token.name, presented);
            }
        }
        found
    }

    fn grant(
        &self,
        token: &Arc<Token>,
        proven: Proven,
        expires: Option<SystemTime>,
        from: IpAddr,
    ) -> Grant {
        let name = &token.name;
        let narrowed = proven.claims.as_ref().map(|claims| narrow(token, claims));
        let token = narrowed.map_or_else(|| Arc::clone(token), Arc::new);
        let bearer = match proven.bearer {
            Some(bearer) => (Holder::Bearer(name.clone(), bearer), token.bearer_limits),
            None => (
                Holder::Sharer(name.clone(), Source::of(from)),
                Quota::default(),
            ),
        };
        let source = (self.source_limits != Quota::default())
            .then(|| (Holder::Source(Source::of(from)), self.source_limits));
        let all = (Holder::Token(name.clone()), Quota::from(&token.limits));
        let holders = [Some(bearer), source, Some(all)];
        let (bearer, id) = proven
            .claims
            .map_or((None, None), |claims| (claims.subject, claims.id));
        Grant {
            usage: self.accounts.usage(holders.into_iter().flatten()),
            token,
            bearer,
            id,
            expires,
        }
    }
}

impl Signed {
    fn of(token: &Token, proven: &Proven) -> Self {
        let claims = proven.claims.as_ref();
        Self {
            token: token.name.clone(),
            bearer: claims.and_then(|claims| claims.subject.clone()),
            id: claims.and_then(|claims| claims.id.clone()),
        }
    }
}

impl From<&Grant> for Signed {
    fn from(grant: &Grant) -> Self {
        Self {
            token: grant.token.name.clone(),
            bearer: grant.bearer.clone(),
            id: grant.id.clone(),
        }
    }
}

/// Of nobody.
impl From<TokenError> for NotGood {
    fn from(error: TokenError) -> Self {
        Self { error, of: None }
    }
}

impl NotGood {
    /// What a client is told.
    pub(crate) fn reason(&self) -> Reason {
        Reason::new(self.error.code(), &self.error.to_string())
    }
}

impl fmt::Display for NotGood {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl Grant {
    /// What a client is told whose time is over.
    pub(crate) fn over(&self) -> &'static str {
        match self.token.credential {
            Credential::Certificates(_) => "the certificate lets in no longer: its time is over",
            _ => "the token has expired",
        }
    }

    /// How long the token is still good; `None` where it has no end.
    pub(crate) fn left(&self, now: SystemTime) -> Option<Duration> {
        let end = self.expires?;
        Some(end.duration_since(now).unwrap_or_default())
    }

    /// Whether another token of the same bearer may follow: whose it is has to stand in both.
    pub(crate) fn is_renewable(&self) -> bool {
        self.bearer.is_some() && !matches!(self.token.credential, Credential::Certificates(_))
    }

    /// Whether it is of whoever has the other one.
    pub(crate) fn is_of_the_same_bearer(&self, other: &Self) -> bool {
        self.bearer.is_some()
            && (&self.token.name, &self.bearer) == (&other.token.name, &other.bearer)
    }

    /// Whether this allows whatever another did. Of the limits, only what is opened from now on hears.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        let (new, old) = (&self.token, &other.token);
        let asked = match (&new.ask, &old.ask) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(new), Some(old)) => new.covers(old),
        };
        new.name == old.name
            && new.policy.covers(&old.policy)
            && asked
            && (new.udp_open || !old.udp_open)
    }
}

/// What is left of a token of the configuration to the bearer of one that says this.
fn narrow(token: &Token, claims: &Claims) -> Token {
    let mut narrowed = token.clone();
    narrowed.policy.within.clone_from(&claims.allow);
    narrowed.bearer_limits = token.bearer_limits.min(&claims.limits);
    narrowed
}

//! The WebSocket's handshake (RFC 6455, section 4.2): who may come in.
//!
//! A request passes in this order: it is well-formed, `Host` is a name of the relay (so that no
//! page can reach it by rebinding a name of its own), the path is right, `Origin` is one of those
//! allowed (RFC 6455, section 10.2), it asks for this WebSocket, and its token is good.
//! What asks for a WebSocket and doesn't pass gets one, with nothing in it but why: a status would be
//! kept from the page by its browser. Whoever is told of the token has passed all the rest, so that a
//! foreign page can't try tokens. What asks for no WebSocket gets a status and a short plain text.

mod http;
#[cfg(test)]
mod tests;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use jackfield_relay_wire::{Code, Reason, auth};
use rustls_pki_types::CertificateDer;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};

use self::http::{Head, Probe, Status, accept_key, answer_with, read_head};
pub(crate) use self::http::{Headers, Refused};
use crate::config::{Config, HostHeader};
use crate::ending::Ending;
use crate::identity::{Client, Grant, Identity, NotGood, Signed};
use crate::limits::Accounts;
use crate::proxy::{self, ProxiesConfig};
use crate::token::{Shown, TokenError};

/// The most headers that a request may have.
const MAX_HEADERS: usize = 64;
/// For the owner of a proxy.
const EATEN: &str = "your proxy does not forward the upgrade: it has to pass on the headers Upgrade \
                     and Connection, in HTTP/1.1";
/// For the owner of another proxy.
const UNTRUSTED: &str = "a PROXY header is taken from none but trusted proxies, and only where the \
                         relay's configuration says that they send it";

/// Whom to let in.
#[derive(Debug)]
pub(crate) struct Gate {
    path: String,
    origins: Vec<String>,
    allow_without_origin: bool,
    hosts: Vec<HostHeader>,
    identity: Identity,
    /// Who may speak for those who come.
    pub(crate) proxies: Arc<ProxiesConfig>,
    /// How long they may take.
    pub(crate) deadline: Duration,
}

/// Who came in.
#[derive(Debug)]
pub(crate) struct Admitted {
    pub(crate) grant: Arc<Grant>,
    pub(crate) origin: Option<String>,
    pub(crate) upgrade: Upgrade,
    /// By what it came in, to be looked at again when the rules change.
    pub(crate) presented: Presented,
}

/// What a client has shown of itself.
pub(crate) struct Presented {
    shown: Shown,
    from: IpAddr,
}

impl std::fmt::Debug for Presented {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("(token or certificate)")
    }
}

/// Who asks for a WebSocket, and isn't let in.
#[derive(Debug)]
pub(crate) struct Denied {
    pub(crate) upgrade: Upgrade,
    /// The origin that it names, whatever that is.
    pub(crate) origin: Option<String>,
    /// Whose its token is, where that is signed as it should be.
    pub(crate) of: Option<Signed>,
    pub(crate) reason: Reason,
}

/// The answer that makes a WebSocket of the connection.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Upgrade {
    accept: String,
}

/// What a request comes to.
#[derive(Debug)]
enum Verdict {
    Admitted(Admitted),
    Probe(Probe),
    Refused(Refused),
    Denied(Denied),
}

impl Gate {
    /// Lets in whom the configuration lets in; `addresses` are where the relay listens, and what is used is
    /// counted in `accounts`.
    pub(crate) fn new(config: &Config, addresses: &[SocketAddr], accounts: Arc<Accounts>) -> Self {
        let hosts = if config.hosts.is_empty() {
            addresses.iter().map(|&address| address.into()).collect()
        } else {
            config.hosts.clone()
        };
        Self {
            path: config.path.clone(),
            origins: config
                .origins
                .iter()
                .map(|o| o.as_str().to_owned())
                .collect(),
            allow_without_origin: config.allow_without_origin,
            hosts,
            identity: Identity::new(config, accounts),
            proxies: Arc::new(config.proxies.clone()),
            deadline: config.handshake_deadline,
        }
    }

    /// The names of the tokens that there are.
    pub(crate) fn tokens(&self) -> impl Iterator<Item = &str> {
        self.identity.tokens()
    }

    /// What a client that came in by other rules may do by these.
    pub(crate) fn reconsider(
        &self,
        admitted: &Admitted,
        before: &Grant,
        now: SystemTime,
    ) -> Result<Grant, Reason> {
        let origin = admitted.origin.as_deref();
        if !self.allows(origin) {
            let text = "this Origin may not use the relay any more";
            return Err(Reason::new(Code::ORIGIN_REFUSED, text));
        }
        let Presented { shown, from } = &admitted.presented;
        let client = Client {
            origin,
            from: *from,
        };
        let grant = self.identity.admit(shown, client, now);
        let grant = grant.map_err(|not_good| {
            if self.identity.token(&before.token.name).is_some() {
                return not_good.reason();
            }
            let text = "the relay's configuration has no such token any more";
            Reason::new(not_good.error.code(), text)
        })?;
        if !grant.covers(before) {
            let text = "the relay's rules for this token have changed";
            return Err(Reason::new(Code::GOING_AWAY, text));
        }
        Ok(grant)
    }

    /// What a client that is in may do by another token, which is to be one of the same bearer.
    pub(crate) fn renew(
        &self,
        admitted: &Admitted,
        before: &Grant,
        token: &str,
        now: SystemTime,
    ) -> Result<(Grant, Presented), Reason> {
        let presented = Presented {
            shown: Shown::Token(token.to_owned()),
            from: admitted.presented.from,
        };
        let client = Client {
            origin: admitted.origin.as_deref(),
            from: presented.from,
        };
        let grant = self.identity.admit(&presented.shown, client, now);
        let grant = grant.map_err(|not_good| not_good.reason())?;
        if !grant.is_of_the_same_bearer(before) {
            let text = "the token is not of the bearer (sub) whose session this is";
            return Err(Reason::new(Code::DENIED, text));
        }
        Ok((grant, presented))
    }

    /// Whom it knows.
    pub(crate) fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Whether a client may come in whose origin this is.
    pub(crate) fn allows(&self, origin: Option<&str>) -> bool {
        match origin {
            Some(origin) => self.origins.iter().any(|allowed| allowed == origin),
            None => self.allow_without_origin,
        }
    }

    /// Judges a request; `from` tells from its headers where it comes from, or why it is refused; `chain` is
    /// the certificate that it came with.
    fn judge(
        &self,
        head: &Head,
        from: impl FnOnce(&Headers<'_>) -> Result<IpAddr, Refused>,
        chain: Vec<CertificateDer<'static>>,
        now: SystemTime,
    ) -> Verdict {
        match self.try_judge(&head.bytes, from, chain, now) {
            // What comes before the answer belongs to no WebSocket.
            Ok(Verdict::Admitted(_) | Verdict::Denied(..)) if head.has_tail => {
                let text = "something follows the request";
                Verdict::Refused(Refused::new(Status::BadRequest, text))
            }
            Ok(verdict) => verdict,
            Err(refused) => Verdict::Refused(refused),
        }
    }

    fn try_judge(
        &self,
        head: &[u8],
        from: impl FnOnce(&Headers<'_>) -> Result<IpAddr, Refused>,
        chain: Vec<CertificateDer<'static>>,
        now: SystemTime,
    ) -> Result<Verdict, Refused> {
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let request = parse(head, &mut headers)?;
        let (method, path) = (request.method.unwrap_or(""), request.path.unwrap_or(""));
        let headers = Headers(request.headers);

        if let Some(probe) = Probe::of(method, path) {
            return Ok(Verdict::Probe(probe));
        }
        let from = from(&headers)?;
        // The upgrade is between neighbours, and what it is for is not: who asks for the latter only
        // has a proxy to this side that kept the former. Its `Host` may be the proxy's too.
        let eaten = headers.all("sec-websocket-key").next().is_some()
            && headers.all("upgrade").next().is_none();
        if eaten {
            return Err(Refused::new(Status::UpgradeRequired, EATEN));
        }
        if request.version != Some(1) {
            let text = "a WebSocket begins in HTTP/1.1";
            return Err(Refused::new(Status::UpgradeRequired, text));
        }
        let host = headers.only("host");
        let host = host.ok_or(Refused::new(Status::BadRequest, "a request has one Host"))?;
        let upgrade = Upgrade::of(method, &headers);
        let origin = headers.all("origin").next();
        let allowed = match origin {
            Some(_) => (headers.only("origin")).is_some_and(|only| self.allows(Some(only))),
            None => self.allows(None),
        };
        let refused = if !self.hosts.iter().any(|allowed| allowed.matches(host)) {
            let text = "the relay doesn't go by this Host";
            Some((Status::Forbidden, Code::HOST_UNKNOWN, text))
        } else if path != self.path {
            let text = "there is no relay at this path";
            Some((Status::NotFound, Code::PATH_UNKNOWN, text))
        } else if !allowed {
            let text = "this Origin may not use the relay";
            Some((Status::Forbidden, Code::ORIGIN_REFUSED, text))
        } else {
            None
        };
        let denied = |upgrade, of, reason| {
            let origin = origin.map(str::to_owned);
            Verdict::Denied(Denied {
                upgrade,
                origin,
                of,
                reason,
            })
        };
        // Who speaks WebSocket is told in one, since a browser keeps a status from its page.
        let upgrade = match (refused, upgrade) {
            (Some((_, code, text)), Ok(upgrade)) => {
                return Ok(denied(upgrade, None, Reason::new(code, text)));
            }
            (Some((status, _, text)), Err(_)) => return Err(Refused::new(status, text)),
            (None, upgrade) => upgrade?,
        };
        let mut tokens = headers
            .list("sec-websocket-protocol")
            .filter(|protocol| protocol.starts_with(auth::TOKEN_PREFIX));
        let shown = match (tokens.next(), tokens.next()) {
            (Some(token), None) => {
                let token = auth::token(token).map(Shown::Token);
                token.ok_or(TokenError::Unknown)
            }
            // A browser shows its user's certificate for any page, which has to show more than that.
            (None, _) if origin.is_none() && !chain.is_empty() => Ok(Shown::Certificate(chain)),
            (None, _) => Err(TokenError::Missing),
            (Some(_), Some(_)) => Err(TokenError::Unknown),
        };
        let granted = shown.map_err(NotGood::from).and_then(|shown| {
            let grant = self.identity.admit(&shown, Client { origin, from }, now)?;
            Ok((grant, Presented { shown, from }))
        });
        Ok(match granted {
            Ok((grant, presented)) => Verdict::Admitted(Admitted {
                presented,
                grant: Arc::new(grant),
                origin: origin.map(str::to_owned),
                upgrade,
            }),
            Err(not_good) => {
                let reason = not_good.reason();
                denied(upgrade, not_good.of, reason)
            }
        })
    }
}

/// Reads the request, and answers it unless a WebSocket is to come of it; then
/// [`Upgrade::send`] does. `from` tells from the request's headers where it comes from, or why it is
/// refused, before anything is judged but whether it asks for health. `chain` is the certificate that it has shown
/// in TLS, with those that lead to its authority; empty, where it has shown none. As soon as anything has come,
/// `heard` is set.
///
/// # Errors
/// [`Outcome::Refused`] where the client was answered with an error, [`Outcome::Probed`] where it
/// asked for the relay's health, [`Outcome::Denied`] where it is to learn why in its WebSocket, and
/// [`Outcome::Failed`] where it went away.
pub(crate) async fn receive<S>(
    stream: &mut S,
    from: impl FnOnce(&Headers<'_>) -> Result<IpAddr, Refused>,
    chain: Vec<CertificateDer<'static>>,
    gate: &Gate,
    ending: &Ending,
    heard: &mut bool,
) -> Result<Admitted, Outcome>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let verdict = match read_head(stream, heard).await? {
        Ok(head) => gate.judge(&head, from, chain, SystemTime::now()),
        Err(refused) => Verdict::Refused(refused),
    };
    match verdict {
        Verdict::Admitted(admitted) => Ok(admitted),
        Verdict::Probe(probe) => {
            // TLS has brought it here, so that there is a certificate.
            let unready = ending.is_draining().then_some("draining");
            probe.answer(stream, unready).await?;
            Err(Outcome::Probed)
        }
        Verdict::Refused(refused) => {
            refused.send(stream).await?;
            Err(Outcome::Refused(refused))
        }
        Verdict::Denied(denied) => Err(Outcome::Denied(denied)),
    }
}

/// Reads a request for the relay's health and answers it, and nothing else; `unready` is why no clients should
/// come.
///
/// # Errors
/// Where the client went away.
pub(crate) async fn probe<S>(stream: &mut S, unready: Option<&'static str>) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let probe = read_head(stream, &mut false).await?.and_then(|head| {
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let request = parse(&head.bytes, &mut headers)?;
        Probe::of(request.method.unwrap_or(""), request.path.unwrap_or("")).ok_or_else(|| {
            let text = "here are /healthz and /readyz, and nothing else";
            Refused::new(Status::NotFound, text)
        })
    });
    match probe {
        Ok(probe) => probe.answer(stream, unready).await,
        Err(refused) => refused.send(stream).await,
    }
}

/// Reads a request for the relay's metrics and answers it, and nothing else.
///
/// # Errors
/// Where the client went away.
pub(crate) async fn scrape<S>(
    stream: &mut S,
    text: impl FnOnce() -> Result<String, std::fmt::Error>,
) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    /// What Prometheus calls OpenMetrics.
    const KIND: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    let head_only = read_head(stream, &mut false).await?.and_then(|head| {
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let request = parse(&head.bytes, &mut headers)?;
        let target = request.path.unwrap_or("");
        let path = target.split_once('?').map_or(target, |(path, _)| path);
        match (request.method.unwrap_or(""), path) {
            ("GET", "/metrics") => Ok(false),
            ("HEAD", "/metrics") => Ok(true),
            _ => {
                let text = "here is /metrics, and nothing else";
                Err(Refused::new(Status::NotFound, text))
            }
        }
    });
    match head_only {
        Ok(head_only) => {
            let text = text().map_err(io::Error::other)?;
            answer_with(stream, "200 OK", "", (KIND, &text), head_only).await
        }
        Err(refused) => refused.send(stream).await,
    }
}

fn parse<'headers, 'head>(
    head: &'head [u8],
    headers: &'headers mut [httparse::Header<'head>],
) -> Result<httparse::Request<'headers, 'head>, Refused> {
    let bad = |text| Refused::new(Status::BadRequest, text);
    if proxy::begins(head) {
        return Err(bad(UNTRUSTED));
    }
    let mut request = httparse::Request::new(headers);
    match request.parse(head) {
        Ok(httparse::Status::Complete(_)) => Ok(request),
        Ok(httparse::Status::Partial) => Err(bad("the request is not whole")),
        Err(httparse::Error::TooManyHeaders) => {
            Err(Refused::new(Status::TooLarge, "too many headers"))
        }
        Err(_) => Err(bad("that is not HTTP/1.1")),
    }
}

/// How a request ended that didn't become a session.
#[derive(Debug)]
pub(crate) enum Outcome {
    Probed,
    Refused(Refused),
    Denied(Denied),
    Failed(io::Error),
}

impl From<io::Error> for Outcome {
    fn from(error: io::Error) -> Self {
        Self::Failed(error)
    }
}

impl Upgrade {
    /// The answer to a request for this WebSocket.
    fn of(method: &str, headers: &Headers<'_>) -> Result<Self, Refused> {
        if method != "GET" {
            let text = "a WebSocket begins with GET";
            return Err(Refused::new(Status::MethodNotAllowed, text));
        }
        let has = |name, wanted: &str| {
            let mut items = headers.list(name);
            items.any(|item| item.eq_ignore_ascii_case(wanted))
        };
        let bad = |text| Refused::new(Status::BadRequest, text);
        let framed = ["content-length", "transfer-encoding"];
        if framed
            .into_iter()
            .any(|name| headers.all(name).next().is_some())
        {
            return Err(bad("the request for a WebSocket has no body"));
        }
        if !has("upgrade", "websocket")
            || !has("connection", "upgrade")
            || headers.only("sec-websocket-version") != Some("13")
        {
            let text = "here is a WebSocket, version 13";
            return Err(Refused::new(Status::UpgradeRequired, text));
        }
        let key = headers
            .only("sec-websocket-key")
            .filter(|key| BASE64_STANDARD.decode(key).is_ok_and(|key| key.len() == 16))
            .ok_or(bad("a WebSocket's request has one Sec-WebSocket-Key"))?;
        let mut protocols = headers.list("sec-websocket-protocol");
        if !protocols.any(|protocol| protocol == auth::SUBPROTOCOL) {
            return Err(bad("the relay speaks the subprotocol jackfield.v1"));
        }
        Ok(Self {
            accept: accept_key(key),
        })
    }

    /// Tells the client that this is a WebSocket from here on.
    pub(crate) async fn send<S: AsyncWrite + Unpin>(&self, stream: &mut S) -> io::Result<()> {
        let response = format!(
            "HTTP/1.1 101 Switching Protocols\r\n\
             Upgrade: websocket\r\n\
             Connection: Upgrade\r\n\
             Sec-WebSocket-Accept: {}\r\n\
             Sec-WebSocket-Protocol: {}\r\n\r\n",
            self.accept,
            auth::SUBPROTOCOL
        );
        stream.write_all(response.as_bytes()).await?;
        stream.flush().await
    }
}

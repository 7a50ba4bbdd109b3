//! The WebSocket's handshake (RFC 6455, section 4.2): who may come in.
//!
//! A request passes in this order: it is well-formed, `Host` is a name of the relay (so that no
//! page can reach it by rebinding a name of its own), the path is right, `Origin` is one of those
//! allowed (RFC 6455, section 10.2), it asks for this WebSocket, and its token is good.
//! What asks for a WebSocket and doesn't pass gets one, with nothing in it but why: a status would be
//! kept from the page by its browser. Whoever is told of the token has passed all the rest, so that a
//! foreign page can't try tokens. What asks for no WebSocket gets a status and a short plain text.

mod http;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::SystemTime;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use jackfield_relay_wire::{Code, Reason, auth};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};

use self::http::{Head, Probe, Status, accept_key, answer_with, read_head};
pub(crate) use self::http::{Headers, Refused};
use crate::config::{Config, HostHeader};
use crate::ending::Ending;
use crate::identity::{Client, Grant, Identity};
use crate::limits::Accounts;
use crate::proxy;
use crate::token::TokenError;

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
    token: String,
    from: IpAddr,
}

impl std::fmt::Debug for Presented {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("(token)")
    }
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
    Denied(Upgrade, Reason),
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
        }
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
        let Presented { token, from } = &admitted.presented;
        let client = Client {
            origin,
            from: *from,
        };
        let grant = (self.identity.admit(token, client, now))
            .map_err(|error| Reason::new(error.code(), &error.to_string()))?;
        if !grant.covers(before) {
            let text = "the relay's rules for this token have changed";
            return Err(Reason::new(Code::GOING_AWAY, text));
        }
        Ok(grant)
    }

    fn allows(&self, origin: Option<&str>) -> bool {
        match origin {
            Some(origin) => self.origins.iter().any(|allowed| allowed == origin),
            None => self.allow_without_origin,
        }
    }

    /// Judges a request; `from` tells from its headers where it comes from, or why it is refused.
    fn judge(
        &self,
        head: &Head,
        from: impl FnOnce(&Headers<'_>) -> Result<IpAddr, Refused>,
        now: SystemTime,
    ) -> Verdict {
        match self.try_judge(&head.bytes, from, now) {
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
            Some(_) => headers
                .only("origin")
                .is_some_and(|origin| self.origins.iter().any(|allowed| allowed == origin)),
            None => self.allow_without_origin,
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
        // Who speaks WebSocket is told in one, since a browser keeps a status from its page.
        let upgrade = match (refused, upgrade) {
            (Some((_, code, text)), Ok(upgrade)) => {
                return Ok(Verdict::Denied(upgrade, Reason::new(code, text)));
            }
            (Some((status, _, text)), Err(_)) => return Err(Refused::new(status, text)),
            (None, upgrade) => upgrade?,
        };
        let mut tokens = headers
            .list("sec-websocket-protocol")
            .filter(|protocol| protocol.starts_with(auth::TOKEN_PREFIX));
        let token = match (tokens.next(), tokens.next()) {
            (Some(token), None) => Ok(token),
            (None, _) => Err(TokenError::Missing),
            (Some(_), Some(_)) => Err(TokenError::Unknown),
        };
        let granted = token
            .and_then(|token| auth::token(token).ok_or(TokenError::Unknown))
            .and_then(|token| {
                let grant = self.identity.admit(&token, Client { origin, from }, now)?;
                Ok((grant, Presented { token, from }))
            });
        Ok(match granted {
            Ok((grant, presented)) => Verdict::Admitted(Admitted {
                presented,
                grant: Arc::new(grant),
                origin: origin.map(str::to_owned),
                upgrade,
            }),
            Err(error) => Verdict::Denied(upgrade, Reason::new(error.code(), &error.to_string())),
        })
    }
}

/// Reads the request, and answers it unless a WebSocket is to come of it; then
/// [`Upgrade::send`] does. `from` tells from the request's headers where it comes from, or why it is
/// refused, before anything is judged but whether it asks for health.
///
/// # Errors
/// [`Outcome::Refused`] where the client was answered with an error, [`Outcome::Probed`] where it
/// asked for the relay's health, [`Outcome::Denied`] where it is to learn why in its WebSocket, and
/// [`Outcome::Failed`] where it went away.
pub(crate) async fn receive<S>(
    stream: &mut S,
    from: impl FnOnce(&Headers<'_>) -> Result<IpAddr, Refused>,
    gate: &Gate,
    ending: &Ending,
) -> Result<Admitted, Outcome>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let verdict = match read_head(stream).await? {
        Ok(head) => gate.judge(&head, from, SystemTime::now()),
        Err(refused) => Verdict::Refused(refused),
    };
    match verdict {
        Verdict::Admitted(admitted) => Ok(admitted),
        Verdict::Probe(probe) => {
            probe.answer(stream, ending.is_draining()).await?;
            Err(Outcome::Probed)
        }
        Verdict::Refused(refused) => {
            refused.send(stream).await?;
            Err(Outcome::Refused(refused))
        }
        Verdict::Denied(upgrade, reason) => Err(Outcome::Denied(upgrade, reason)),
    }
}

/// Reads a request for the relay's health and answers it, and nothing else.
///
/// # Errors
/// Where the client went away.
pub(crate) async fn probe<S>(stream: &mut S, ending: &Ending) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let probe = read_head(stream).await?.and_then(|head| {
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let request = parse(&head.bytes, &mut headers)?;
        Probe::of(request.method.unwrap_or(""), request.path.unwrap_or("")).ok_or_else(|| {
            let text = "here are /healthz and /readyz, and nothing else";
            Refused::new(Status::NotFound, text)
        })
    });
    match probe {
        Ok(probe) => probe.answer(stream, ending.is_draining()).await,
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
    let head_only = read_head(stream).await?.and_then(|head| {
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
    Denied(Upgrade, Reason),
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

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;
    use crate::config::Token;
    use crate::token::{Credential, Secret};

    const SECRET: &str = "the-secret-of-the-tests";
    const KEY: &str = "the-signing-key-of-the-tests";
    const NOW: Duration = Duration::from_secs(1_800_000_001);
    const FROM: fn(&Headers<'_>) -> Result<IpAddr, Refused> =
        |_| Ok(IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 7)));

    fn gate() -> Gate {
        let secret = |text| Secret::new(text).expect("long enough");
        let mut old = Token::new("old", Credential::Secret(secret("an-old-and-tired-secret")));
        old.expires = Some(UNIX_EPOCH + NOW);
        Gate::new(
            &Config {
                path: "/relay".into(),
                origins: vec!["https://app.example".parse().expect("an origin")],
                hosts: vec!["relay.example".parse().expect("a host")],
                tokens: vec![
                    Token::new("static", Credential::Secret(secret(SECRET))),
                    Token::new("signed", Credential::Key(secret(KEY))),
                    old,
                ],
                ..Config::default()
            },
            &[],
            Arc::new(Accounts::new(
                crate::budget::Budget::new(&Config::default()),
            )),
        )
    }

    /// A good request, with some lines replaced (by the header's name) or removed.
    fn request(changes: &[(&str, Option<&str>)]) -> String {
        let token = auth::token_subprotocol(SECRET);
        let protocols = format!("jackfield.v1, {token}");
        let mut lines = vec![
            ("", "GET /relay HTTP/1.1"),
            ("Host", "relay.example:8443"),
            ("Origin", "https://app.example"),
            ("Connection", "keep-alive, Upgrade"),
            ("Upgrade", "websocket"),
            ("Sec-WebSocket-Version", "13"),
            ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
            ("Sec-WebSocket-Protocol", &protocols),
        ];
        for (name, value) in changes {
            lines.retain(|(known, _)| known != name);
            lines.extend(value.map(|value| (*name, value)));
        }
        lines.sort_by_key(|(name, _)| !name.is_empty());
        let lines: Vec<_> = lines
            .into_iter()
            .map(|(name, value)| match name {
                "" => value.to_owned(),
                name => format!("{name}: {value}"),
            })
            .collect();
        format!("{}\r\n\r\n", lines.join("\r\n"))
    }

    fn head(request: &str) -> Head {
        Head {
            bytes: request.into(),
            has_tail: false,
        }
    }

    fn judge(request: &str) -> Verdict {
        gate().judge(&head(request), FROM, UNIX_EPOCH + NOW)
    }

    fn refused(request: &str) -> Status {
        match judge(request) {
            Verdict::Refused(refused) => refused.status,
            other => panic!("{request}\n{other:?}"),
        }
    }

    fn denied(request: &str) -> Reason {
        match judge(request) {
            Verdict::Denied(_, reason) => reason,
            other => panic!("{request}\n{other:?}"),
        }
    }

    fn admitted(request: &str) -> Admitted {
        match judge(request) {
            Verdict::Admitted(admitted) => admitted,
            other => panic!("{request}\n{other:?}"),
        }
    }

    #[test]
    fn a_good_request_is_admitted() {
        let admitted = admitted(&request(&[]));
        assert_eq!(admitted.grant.token.name, "static");
        assert_eq!(admitted.grant.expires, None);
        assert_eq!(admitted.origin.as_deref(), Some("https://app.example"));
        // RFC 6455, section 1.3, has this pair.
        assert_eq!(admitted.upgrade.accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn what_is_wrong_is_refused_with_its_status() {
        use Status::{BadRequest, MethodNotAllowed, NotFound, UpgradeRequired};
        let only_token = auth::token_subprotocol(SECRET);
        for (name, value, expected) in [
            ("", Some("GET /relay HTTP/1.0"), UpgradeRequired),
            ("", Some("GET /relay"), BadRequest),
            ("", Some("POST /relay HTTP/1.1"), MethodNotAllowed),
            ("", Some("POST /healthz HTTP/1.1"), NotFound),
            ("Host", None, BadRequest),
            (
                "Host",
                Some("relay.example:8443\r\nHost: relay.example"),
                BadRequest,
            ),
            ("Upgrade", None, UpgradeRequired),
            ("Upgrade", Some("h2c"), UpgradeRequired),
            ("Connection", Some("keep-alive"), UpgradeRequired),
            ("Sec-WebSocket-Version", Some("8"), UpgradeRequired),
            ("Sec-WebSocket-Key", None, BadRequest),
            ("Sec-WebSocket-Key", Some("c2hvcnQ="), BadRequest),
            ("Sec-WebSocket-Protocol", None, BadRequest),
            ("Sec-WebSocket-Protocol", Some(&*only_token), BadRequest),
            // A body, which belongs to no WebSocket, and with which requests are smuggled.
            ("Content-Length", Some("0"), BadRequest),
            ("Content-Length", Some("5"), BadRequest),
            ("Transfer-Encoding", Some("chunked"), BadRequest),
            // Blanks that only Unicode takes for such.
            ("Upgrade", Some("\u{a0}websocket"), UpgradeRequired),
            ("Upgrade", Some("h2c,\u{2003}websocket"), UpgradeRequired),
            ("Connection", Some("Upgrade\u{85}"), UpgradeRequired),
            ("Sec-WebSocket-Version", Some("13\u{3000}"), UpgradeRequired),
        ] {
            let request = request(&[(name, value)]);
            assert_eq!(refused(&request), expected, "{request}");
        }
        let many = request(&[("X", Some(&"a\r\nX: ".repeat(80)))]);
        assert_eq!(refused(&many), Status::TooLarge);
    }

    /// Where no WebSocket is asked for, the same is told by a status.
    #[test]
    fn what_is_not_let_in_is_told_in_its_websocket() {
        use Status::{Forbidden, NotFound};
        let (host, path) = (Code::HOST_UNKNOWN, Code::PATH_UNKNOWN);
        let origin = Code::ORIGIN_REFUSED;
        let queried = "GET /relay?token=the-secret-of-the-tests HTTP/1.1";
        let twice = "https://app.example\r\nOrigin: https://app.example";
        for (name, value, code, status) in [
            ("", Some("GET / HTTP/1.1"), path, NotFound),
            ("", Some(queried), path, NotFound),
            ("Host", Some("evil.example"), host, Forbidden),
            ("Host", Some("relay.example.evil.example"), host, Forbidden),
            ("Origin", None, origin, Forbidden),
            ("Origin", Some("null"), origin, Forbidden),
            ("Origin", Some("https://evil.example"), origin, Forbidden),
            (
                "Origin",
                Some("https://app.example.evil.example"),
                origin,
                Forbidden,
            ),
            ("Origin", Some("http://app.example"), origin, Forbidden),
            (
                "Origin",
                Some("https://app.example:8443"),
                origin,
                Forbidden,
            ),
            ("Origin", Some("https://APP.example"), origin, Forbidden),
            ("Origin", Some(""), origin, Forbidden),
            ("Origin", Some(twice), origin, Forbidden),
        ] {
            let asked = request(&[(name, value)]);
            assert_eq!(denied(&asked).code(), code, "{asked}");
            let no_key = ("Sec-WebSocket-Key", None);
            let plain = request(&[(name, value), ("Upgrade", None), no_key]);
            assert_eq!(refused(&plain), status, "{plain}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_token_is_told_in_the_websocket() {
        let good = auth::token_subprotocol(SECRET);
        let other = auth::token_subprotocol("not-this-secret");
        let old = auth::token_subprotocol("an-old-and-tired-secret");
        let expired = "the token has expired at Fri, 15 Jan 2027 08:00:01 GMT";
        let unknown = "the token is not accepted";
        for (tokens, code, text) in [
            (
                String::new(),
                Code::TOKEN_MISSING,
                "the relay asks for a token",
            ),
            (format!(", {other}"), Code::TOKEN_UNKNOWN, unknown),
            (
                format!(", jackfield.token.{SECRET}"),
                Code::TOKEN_UNKNOWN,
                unknown,
            ),
            (format!(", {good}, {good}"), Code::TOKEN_UNKNOWN, unknown),
            (format!(", {old}"), Code::TOKEN_EXPIRED, expired),
        ] {
            let protocols = format!("jackfield.v1{tokens}");
            let request = request(&[("Sec-WebSocket-Protocol", Some(&protocols))]);
            assert_eq!(denied(&request), Reason::new(code, text), "{request}");
        }
    }

    #[test]
    fn a_token_is_not_looked_at_before_the_origin() {
        let request = request(&[
            ("Origin", Some("https://evil.example")),
            ("Sec-WebSocket-Protocol", Some("jackfield.v1")),
        ]);
        assert_eq!(denied(&request).code(), Code::ORIGIN_REFUSED);
    }

    #[test]
    fn protocols_may_stand_in_several_headers() {
        let token = auth::token_subprotocol(SECRET);
        let several = format!("{token}\r\nsec-websocket-protocol:other,jackfield.v1");
        admitted(&request(&[("Sec-WebSocket-Protocol", Some(&several))]));
    }

    #[test]
    fn a_signed_token_is_good_until_it_ends() {
        let key = Secret::new(KEY).expect("long enough");
        let at = |name: &str, end: Duration| {
            let token = auth::token_subprotocol(&key.sign(name, UNIX_EPOCH + end));
            let protocols = format!("jackfield.v1, {token}");
            request(&[("Sec-WebSocket-Protocol", Some(&protocols))])
        };
        let later = NOW + Duration::from_mins(1);
        let admitted = admitted(&at("signed", later));
        assert_eq!(admitted.grant.token.name, "signed");
        assert_eq!(admitted.grant.expires, Some(UNIX_EPOCH + later));
        assert_eq!(denied(&at("signed", NOW)).code(), Code::TOKEN_EXPIRED);
        assert_eq!(denied(&at("static", later)).code(), Code::TOKEN_UNKNOWN);
    }

    #[test]
    fn a_proxy_that_is_not_trusted_is_told() {
        let header = "PROXY TCP4 192.0.2.7 192.0.2.1 56324 443\r\n";
        for head in [format!("{header}{}", request(&[])), "\r\n\r\n".into()] {
            match judge(&head) {
                Verdict::Refused(refused) => {
                    assert_eq!(refused, Refused::new(Status::BadRequest, UNTRUSTED));
                }
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn programs_without_an_origin_come_in_where_that_is_allowed() {
        let mut gate = gate();
        gate.allow_without_origin = true;
        let judge = |request: String| gate.judge(&head(&request), FROM, UNIX_EPOCH + NOW);
        assert!(matches!(
            judge(request(&[("Origin", None)])),
            Verdict::Admitted(_)
        ));
        let evil = request(&[("Origin", Some("https://evil.example"))]);
        assert!(matches!(judge(evil), Verdict::Denied(..)));
    }

    #[test]
    fn health_needs_no_host_and_is_told_in_any_http() {
        for (line, ready, head_only) in [
            ("GET /healthz HTTP/1.1", false, false),
            ("GET /healthz HTTP/1.0", false, false),
            ("HEAD /healthz HTTP/1.0", false, true),
            (
                "GET /readyz HTTP/1.1\r\nHost: anything.example",
                true,
                false,
            ),
            (
                "HEAD /readyz?from=balancer&x= HTTP/1.1\r\nHost: a",
                true,
                true,
            ),
        ] {
            match judge(&format!("{line}\r\n\r\n")) {
                Verdict::Probe(probe) => assert_eq!(probe, Probe { ready, head_only }, "{line}"),
                other => panic!("{line}: {other:?}"),
            }
        }
    }

    #[test]
    fn a_proxy_that_keeps_the_upgrade_is_told() {
        // As nginx does without `proxy_http_version` and the two headers.
        let nginx = request(&[
            ("", Some("GET /relay HTTP/1.0")),
            ("Host", Some("127.0.0.1:8443")),
            ("Connection", Some("close")),
            ("Upgrade", None),
        ]);
        match judge(&nginx) {
            Verdict::Refused(refused) => {
                assert_eq!(refused, Refused::new(Status::UpgradeRequired, EATEN));
            }
            other => panic!("{other:?}"),
        }
        // A browser that is pointed at the relay has no proxy.
        let browser = request(&[("Upgrade", None), ("Sec-WebSocket-Key", None)]);
        match judge(&browser) {
            Verdict::Refused(refused) => assert_ne!(refused.text, EATEN),
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn a_request_may_come_in_pieces_but_not_too_long_nor_with_a_tail() {
        let (mut client, mut server) = tokio::io::duplex(16);
        let sent = tokio::spawn(async move {
            let _ = client.write_all(request(&[]).as_bytes()).await;
            client
        });
        let head = read_head(&mut server).await.expect("whole").expect("good");
        assert!(head.bytes.ends_with(b"\r\n\r\n") && !head.has_tail);
        drop(sent);

        let mut long = io::Cursor::new(vec![b'a'; 2 * http::MAX_REQUEST]);
        let refused = read_head(&mut long)
            .await
            .expect("read")
            .expect_err("too long");
        assert_eq!(refused.status, Status::TooLarge);

        let mut tail = io::Cursor::new(format!("{}more", request(&[])));
        let head = read_head(&mut tail).await.expect("read").expect("whole");
        match gate().judge(&head, FROM, UNIX_EPOCH + NOW) {
            Verdict::Refused(refused) => assert_eq!(refused.status, Status::BadRequest),
            other => panic!("{other:?}"),
        }
        // A page can have a browser send a form here; that is no hostile client.
        let form = request(&[("", Some("POST /relay HTTP/1.1"))]);
        let mut form = io::Cursor::new(format!("{form}a=b"));
        let head = read_head(&mut form).await.expect("read").expect("whole");
        match gate().judge(&head, FROM, UNIX_EPOCH + NOW) {
            Verdict::Refused(refused) => assert_eq!(refused.status, Status::MethodNotAllowed),
            other => panic!("{other:?}"),
        }

        for lines in [
            "GET / HTTP/1.1\nHost: a\n\n",
            "GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\n\n",
            "\n",
        ] {
            let mut bare = io::Cursor::new(lines.to_owned());
            let refused = read_head(&mut bare).await.expect("read");
            let refused = refused.expect_err("LF without CR");
            assert_eq!(refused.status, Status::BadRequest, "{lines:?}");
        }

        let mut cut = io::Cursor::new(b"GET / HT".to_vec());
        assert!(read_head(&mut cut).await.is_err());
    }
}

//! Requests, good and bad, and what they come to.

use std::time::UNIX_EPOCH;

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
    gate().judge(&head(request), FROM, Vec::new(), UNIX_EPOCH + NOW)
}

fn refused(request: &str) -> Status {
    match judge(request) {
        Verdict::Refused(refused) => refused.status,
        other => panic!("{request}\n{other:?}"),
    }
}

fn denied(request: &str) -> Reason {
    match judge(request) {
        Verdict::Denied(denied) => denied.reason,
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

/// Whatever it is: a browser would show it for any page.
#[test]
fn a_certificate_is_nothing_to_a_page() {
    let shown = vec![CertificateDer::from(vec![0x30, 0])];
    let judge = |gate: &Gate, origin| {
        let request = request(&[("Sec-WebSocket-Protocol", Some("jackfield.v1")), origin]);
        match gate.judge(&head(&request), FROM, shown.clone(), UNIX_EPOCH + NOW) {
            Verdict::Denied(denied) => denied.reason.code(),
            other => panic!("{other:?}"),
        }
    };
    let mut gate = gate();
    let page = ("Origin", Some("https://app.example"));
    assert_eq!(judge(&gate, page), Code::TOKEN_MISSING);
    let program = ("Origin", None);
    assert_eq!(judge(&gate, program), Code::ORIGIN_REFUSED);
    gate.allow_without_origin = true;
    assert_eq!(judge(&gate, program), Code::TOKEN_UNKNOWN, "nobody's");
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
    let judge = |request: String| gate.judge(&head(&request), FROM, Vec::new(), UNIX_EPOCH + NOW);
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
    let head = read_head(&mut server, &mut false)
        .await
        .expect("whole")
        .expect("good");
    assert!(head.bytes.ends_with(b"\r\n\r\n") && !head.has_tail);
    drop(sent);

    let mut long = io::Cursor::new(vec![b'a'; 2 * http::MAX_REQUEST]);
    let refused = read_head(&mut long, &mut false)
        .await
        .expect("read")
        .expect_err("too long");
    assert_eq!(refused.status, Status::TooLarge);

    let mut tail = io::Cursor::new(format!("{}more", request(&[])));
    let head = read_head(&mut tail, &mut false)
        .await
        .expect("read")
        .expect("whole");
    match gate().judge(&head, FROM, Vec::new(), UNIX_EPOCH + NOW) {
        Verdict::Refused(refused) => assert_eq!(refused.status, Status::BadRequest),
        other => panic!("{other:?}"),
    }
    // A page can have a browser send a form here; that is no hostile client.
    let form = request(&[("", Some("POST /relay HTTP/1.1"))]);
    let mut form = io::Cursor::new(format!("{form}a=b"));
    let head = read_head(&mut form, &mut false)
        .await
        .expect("read")
        .expect("whole");
    match gate().judge(&head, FROM, Vec::new(), UNIX_EPOCH + NOW) {
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
        let refused = read_head(&mut bare, &mut false).await.expect("read");
        let refused = refused.expect_err("LF without CR");
        assert_eq!(refused.status, Status::BadRequest, "{lines:?}");
    }

    let mut cut = io::Cursor::new(b"GET / HT".to_vec());
    assert!(read_head(&mut cut, &mut false).await.is_err());
}

//! Configuration files, right and wrong, and what is said of them.

use std::num::{NonZeroU32, NonZeroU64};

use toml::value::Datetime;

use super::*;

fn parse(text: &str) -> Result<Config, ConfigError> {
    Config::parse(text, Path::new("relayd.toml"))
}

#[test]
fn the_example_is_valid_and_says_what_it_does() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("relayd.example.toml");
    let text = std::fs::read_to_string(&path).expect("the example is there");
    let config = Config::parse(&text, &path).expect("the example is valid");
    assert!(!config.tokens.is_empty() && !config.origins.is_empty());
    // What is commented out is valid too: every key, with its default or an example.
    let all: String = text
        .lines()
        .map(|line| line.strip_prefix("#: ").unwrap_or(line))
        .collect::<Vec<_>>()
        .join("\n");
    assert_ne!(all, text.trim_end(), "some keys are commented out");
    // Without the feature, this section alone is refused.
    let all = if cfg!(feature = "redis") {
        all
    } else {
        let begin = all.find("\n[redis]").expect("it is there") + 1;
        let end = all[begin..].find("\n[").expect("it isn't the last");
        all[..begin].to_owned() + &all[begin + end..]
    };
    match Config::parse(&all, &path) {
        Ok(config) => assert!(config.tls.is_some()),
        Err(error) => panic!("{error}"),
    }
}

#[cfg(not(feature = "redis"))]
#[test]
fn what_takes_redis_is_refused_by_a_relay_without_it() {
    let error = parse("listen = ['127.0.0.1:0']\n\n[redis]\nurl = 'redis://127.0.0.1'")
        .expect_err("refused");
    assert_eq!((error.line(), error.key()), (Some(3), "redis"));
    assert!(error.to_string().contains("the feature redis"), "{error}");
}

#[cfg(feature = "redis")]
#[test]
fn what_is_wrong_about_redis_is_named_without_the_url() {
    let when = "quotas_when_gone = 'deny'\nrevocations_when_gone = 'deny'\n";
    for (section, expected) in [
        (
            "url = 'redis://a'",
            "relayd.toml:2:1: redis: missing field `quotas_when_gone`",
        ),
        (
            "url = 'redis://a'\nquotas_when_gone = 'no'",
            "relayd.toml:4:20: redis.quotas_when_gone: ",
        ),
        (
            when,
            "relayd.toml:2:1: redis: it has exactly one of url and url_file",
        ),
        (
            &format!("{when}url = 'http://hid'"),
            "relayd.toml:5:7: redis.url: it begins with redis://, rediss://",
        ),
        (
            &format!("{when}url = 'redis://hid:den@a/b'"),
            "relayd.toml:5:7: redis.url: ",
        ),
        (
            &format!("{when}url_file = 'none'"),
            "relayd.toml:5:12: redis.url_file: none can't be read: ",
        ),
        (
            &format!("{when}url = 'redis://a'\nroots_file = 'none'"),
            "relayd.toml:6:14: redis.roots_file: ",
        ),
        (
            &format!("{when}url = 'redis://a'\nprefix = 'a b'"),
            "relayd.toml:6:10: redis.prefix: a prefix has",
        ),
        (
            &format!("{when}url = 'redis://a'\nlease_seconds = 1"),
            "relayd.toml:6:17: redis.lease_seconds: a lease is of 2 to 300 seconds",
        ),
    ] {
        let text = format!("listen = ['127.0.0.1:0']\n[redis]\n{section}");
        let error = parse(&text).expect_err(section).to_string();
        assert!(error.starts_with(expected), "{error}");
        assert!(!error.contains("hid"), "{error}");
    }
}

#[test]
fn a_certificate_comes_from_one_place() {
    let said = |section: &str| {
        let text = format!("listen = ['127.0.0.1:0']\n{section}");
        let error = parse(&text).expect_err(section);
        error.to_string()
    };
    let wrong = "it has certificate_file and key_file, or a section [tls.acme]";
    for section in [
        "[tls]",
        "[tls]\nkey_file = 'a'",
        "[tls]\ncertificate_file = 'a'",
    ] {
        assert_eq!(said(section), format!("relayd.toml:2:1: tls: {wrong}"));
    }
    let acme = "[tls.acme]\ndomains = ['a.example']\nfolder = 'acme'";
    let error = said(&format!("[tls]\nkey_file = 'a'\n{acme}"));
    let expected = "relayd.toml:4:1: tls.acme: a certificate comes from certificate_file and";
    assert!(error.starts_with(expected), "{error}");
    if cfg!(not(feature = "acme")) {
        let expected = "relayd.toml:2:1: tls.acme: this relay was built without the feature";
        assert!(said(acme).starts_with(expected), "{}", said(acme));
    }
}

#[cfg(feature = "acme")]
#[test]
fn a_certificate_is_had_from_an_authority() {
    let acme = |more: &str| {
        let lines = format!("[tls.acme]\nfolder = 'acme'\n{more}");
        Config::parse(
            &format!("listen = ['127.0.0.1:0']\n{lines}"),
            Path::new("/etc/relayd.toml"),
        )
    };
    let config = acme("domains = ['Relay.example']").expect("valid");
    let domains = ["relay.example"];
    let expected = AcmeConfig::new(AcmeConfig::LETS_ENCRYPT, None, &domains, "/etc/acme");
    assert_eq!(config.tls, Some(expected.expect("valid").into()));
    let valid = "domains = ['a.example', 'b.example']\nemail = 'ada@example.org'\n\
                 directory = 'https://ca.example:8443/acme/directory'";
    acme(valid).expect("valid");
    // What the example has in place of files is valid too.
    let example = include_str!("../../relayd.example.toml");
    let (_, section) = example.split_once("# [tls.acme]\n").expect("it is there");
    let (section, _) = section.split_once("\n\n").expect("it isn't the last");
    let keys = section
        .lines()
        .filter(|line| line.contains(" = \"") || line.contains(" = ["));
    let keys = keys.filter(|line| !line.contains("_file"));
    let keys = keys.filter(|line| !line.contains("external_account"));
    let keys: Vec<_> = keys.map(|line| line.trim_start_matches("# ")).collect();
    assert_eq!(keys.len(), 4);
    let text = format!("listen = ['127.0.0.1:0']\n[tls.acme]\n{}", keys.join("\n"));
    parse(&text).expect("valid");
    for (more, key, place) in [
        ("", "missing field `domains`", "2:1: tls.acme"),
        ("domains = []", "1 to 100 domains", "2:1: tls.acme"),
        (
            "domains = ['a', '*.b']",
            "\"*.b\"",
            "4:17: tls.acme.domains[1]",
        ),
        (
            "domains = ['127.0.0.1']",
            "\"127.0.0.1\"",
            "4:12: tls.acme.domains[0]",
        ),
        ("email = 'ada'", "not an address", "4:9: tls.acme.email"),
        (
            "directory = 'http://ca.example/'",
            "https://",
            "4:13: tls.acme.directory",
        ),
        (
            "directory_roots_file = '/none'",
            "can't be read",
            "4:24: tls.acme.directory_roots_file",
        ),
        (
            "external_account = 'kid-1'",
            "stand together",
            "2:1: tls.acme",
        ),
        (
            "external_account = 'kid-1'\nexternal_account_key_file = '/none'",
            "can't be read",
            "5:29: tls.acme.external_account_key_file",
        ),
        ("port = 80", "unknown field", "4:1: tls.acme.port"),
    ] {
        let domains = if more.contains("domains") || more.is_empty() {
            ""
        } else {
            "\ndomains = ['a.example']"
        };
        let error = acme(&format!("{more}{domains}"))
            .expect_err(more)
            .to_string();
        let place = format!("/etc/relayd.toml:{place}: ");
        assert!(error.starts_with(&place) && error.contains(key), "{error}");
    }
}

#[test]
fn an_empty_relay_reaches_nothing() {
    let config = parse("listen = ['127.0.0.1:0']").expect("valid");
    assert!(config.tokens.is_empty() && config.origins.is_empty());
    assert!(!config.allow_without_origin);
}

#[test]
fn an_error_names_file_line_column_and_key_and_no_secret() {
    let token = "listen = ['127.0.0.1:0']\n[[token]]\nname = 'a'\n";
    let asks =
        |more: &str| format!("{token}secret = '0123456789abcdef'\nask_fails = 'closed'\n{more}");
    for (text, expected) in [
        ("", "relayd.toml:1:1: missing field `listen`"),
        (
            "listen = ['127.0.0.1:0']\nport = 7",
            "relayd.toml:2:1: port: unknown field `port`, expected one of",
        ),
        (
            "listen = ['localhost']",
            "relayd.toml:1:11: listen[0]: \"localhost\" is not an address with a port",
        ),
        ("listen = [\n", "relayd.toml:"),
        (
            "listen = ['127.0.0.1:0']\n\n[limits]\nstreams = 'many'",
            "relayd.toml:4:11: limits.streams: invalid type: string \"many\", expected a nonzero u32",
        ),
        (
            "listen = ['127.0.0.1:0']\norigins = ['https://a.example', 'https://a.example/']",
            "relayd.toml:2:33: origins[1]: \"https://a.example/\" is not an origin",
        ),
        (
            "listen = ['127.0.0.1:0']\n[admission]\nhandshakes = '9:30:5'",
            "relayd.toml:3:14: admission.handshakes: \"9:30:5\" is not START:RATE:FULL",
        ),
        (
            "listen = ['127.0.0.1:0']\n[admission]\nexempt = ['10.0.0.0/8', '10.0.0.1/8']",
            "relayd.toml:3:25: admission.exempt[1]: \"10.0.0.1/8\" is not a network",
        ),
        (
            "listen = ['127.0.0.1:0']\n[proxies]\nheader = 'proxy'\ntrusted = ['10.0.0.0/8', 'lb.example']",
            "relayd.toml:4:26: proxies.trusted[1]: \"lb.example\" is not an IP address",
        ),
        (
            "listen = ['127.0.0.1:0']\n[proxies]\ntrusted = []",
            "relayd.toml:2:1: proxies: missing field `header`",
        ),
        (
            "listen = ['127.0.0.1:0']\n[proxies]\ntrusted = []\nheader = 'forwarded'",
            "relayd.toml:4:10: proxies.header: unknown variant `forwarded`, expected `proxy` or",
        ),
        (
            "listen = ['127.0.0.1:0']\n[drain]\ndelay_seconds = 5",
            "relayd.toml:3:17: drain.delay_seconds: what is left is cut after 5 s (cut_seconds)",
        ),
        (
            "listen = ['127.0.0.1:0']\n[drain]\ncome_back_seconds = 61",
            "relayd.toml:3:21: drain.come_back_seconds: no client waits for longer than 60 s",
        ),
        (
            "listen = ['127.0.0.1:0']\n[drain]\nspread_seconds = 9\ndelay_seconds = 2\ncut_seconds = 10",
            "relayd.toml:3:18: drain.spread_seconds: what is left is cut after 10 s",
        ),
        (
            "listen = ['127.0.0.1:0']\nhealth = '9090'",
            "relayd.toml:2:10: health: \"9090\" is not an address with a port",
        ),
        (
            &format!(
                "listen = ['127.0.0.1:0']\n[admin]\nsocket = '/{}'",
                "a".repeat(200)
            ),
            "relayd.toml:3:10: admin.socket: ",
        ),
        (
            "listen = ['127.0.0.1:0']\n[admin]\nsocket = 'a'\n[mint]\nsocket = 'a'",
            "relayd.toml:5:10: mint.socket: the administrator's socket is another one",
        ),
        (
            &format!("{token}secret = '0123456789abcdef'\nmint_at_most_seconds = 60"),
            "relayd.toml:5:24: token[0].mint_at_most_seconds: it has a secret, which is no key",
        ),
        (
            &format!("{token}signing_key = '0123456789abcdef'\nmint_at_most_seconds = 60"),
            "relayd.toml:5:24: token[0].mint_at_most_seconds: a key for JWTs has at least 32",
        ),
        (
            "listen = ['127.0.0.1:0']\npath = '/readyz'",
            "relayd.toml:2:8: path: a path begins with '/', and is none for health checks",
        ),
        (
            &format!("{token}secret = 'tooshort'"),
            "relayd.toml:4:10: token[0].secret: a secret has 16 to 512 characters",
        ),
        (
            &format!("{token}secret = 12345"),
            "relayd.toml:4:10: token[0].secret: expected a string",
        ),
        (
            token,
            "relayd.toml:2:1: token[0]: a token has exactly one of secret, ",
        ),
        (
            &format!("{token}secret = '0123456789abcdef'\nbearer_limits = {{ streams = 7 }}"),
            "relayd.toml:5:17: token[0].bearer_limits: whoever has a shared secret is the same",
        ),
        (
            &format!("{token}jwks_url = 'http://id.example/keys'"),
            "relayd.toml:4:12: token[0].jwks_url: it begins with https://",
        ),
        (
            &format!("{token}jwks_url = 'https://id.example/'\njwks_roots_file = 'none.pem'"),
            "relayd.toml:5:19: token[0].jwks_roots_file: none.pem can't be read: ",
        ),
        (
            &format!("{token}secret = '0123456789abcdef'\njwks_roots_file = 'roots.pem'"),
            "relayd.toml:5:19: token[0].jwks_roots_file: it says whom to trust at jwks_url",
        ),
        (
            &format!("{token}secret = '0123456789abcdef'\nask = 'http://127.0.0.1/'"),
            "relayd.toml:5:7: token[0].ask: ask_fails has to say what is done where nobody",
        ),
        (
            &asks("ask = 'http://8.8.8.8/'"),
            "relayd.toml:6:7: token[0].ask: plain http:// goes to a loopback or private address",
        ),
        (
            &asks("ask = 'http://ask.example/'"),
            "relayd.toml:6:7: token[0].ask: plain http:// goes to a loopback or private address",
        ),
        (
            &asks("ask = 'ftp://127.0.0.1/'"),
            "relayd.toml:6:7: token[0].ask: it begins with https:// or http://",
        ),
        (
            &asks("ask = 12345"),
            "relayd.toml:6:7: token[0].ask: expected a string",
        ),
        (
            &asks(""),
            "relayd.toml:5:13: token[0].ask_fails: it is of `ask`, which isn't there",
        ),
        (
            &format!("{token}secret = '0123456789abcdef'\nask_fails = 'maybe'"),
            "relayd.toml:5:13: token[0].ask_fails: unknown variant `maybe`, expected `open` or",
        ),
        (
            &asks("ask = 'https://a.example/'\nask_roots_file = 'none.pem'"),
            "relayd.toml:7:18: token[0].ask_roots_file: none.pem can't be read: ",
        ),
        (
            &asks("ask = 'http://[::1]/'\nask_seconds = 15"),
            "relayd.toml:7:15: token[0].ask_seconds: it is at least 1, and less than dial_seconds",
        ),
        (
            &asks("ask = 'http://[::1]/'\nask_at_most = 0"),
            "relayd.toml:7:15: token[0].ask_at_most: nothing could be asked",
        ),
        (
            "listen = ['127.0.0.1:0']\n[bearer_limits]\nbytes_per_second = 0",
            "relayd.toml:3:20: bearer_limits.bytes_per_second: ",
        ),
        (
            &format!("{token}secret = '0123456789abcdef'\nlimits.packets_per_second = 0"),
            "relayd.toml:5:29: token[0].limits.packets_per_second: ",
        ),
        (
            "listen = ['127.0.0.1:0']\nsource_limits = { idle_seconds = 7 }",
            "relayd.toml:2:19: source_limits.idle_seconds: unknown field `idle_seconds`",
        ),
        (
            &format!("{token}secret = '0123456789abcdef'\nclient_crl_file = 'a.crl'"),
            "relayd.toml:5:19: token[0].client_crl_file: it says what was revoked of client_ca_file",
        ),
        (
            &format!("{token}secret = '0123456789abcdef'\nclient_crl_outdated = 'deny'"),
            "relayd.toml:5:23: token[0].client_crl_outdated: it is of client_crl_file, which isn't there",
        ),
        (
            &format!("{token}secret = '0123456789abcdef'\nclient_crl_outdated = 'no'"),
            "relayd.toml:5:23: token[0].client_crl_outdated: unknown variant `no`, expected `allow`",
        ),
        (
            &format!("{token}secret = '0123456789abcdef'\nmint_key_file = 'none.key'"),
            "relayd.toml:5:17: token[0].mint_key_file: nothing is minted with it: there is no mint_at",
        ),
        (
            &format!(
                "{token}secret = '0123456789abcdef'\nmint_key_file = 'none.key'\n\
                 mint_at_most_seconds = 60"
            ),
            "relayd.toml:5:17: token[0].mint_key_file: none.key can't be read: ",
        ),
        (
            &format!("{token}client_ca_file = 'none.pem'"),
            "relayd.toml:4:18: token[0].client_ca_file: none.pem can't be read: ",
        ),
        (
            &format!("{token}public_key = 'of-no-kind-at-all'"),
            "relayd.toml:4:14: token[0].public_key: there is no public key on Ed25519 or P-256",
        ),
        (
            &format!("{token}secret = '0123456789abcdef'\njwks_file = 'not-there'"),
            "relayd.toml:2:1: token[0]: a token has exactly one of secret, ",
        ),
        (
            &format!("{token}secret_file = 'not-there'"),
            "relayd.toml:4:15: token[0].secret_file: not-there can't be read",
        ),
        (
            &format!("{token}secret = '0123456789abcdef'\nallow = ['a:1', 'b']"),
            "relayd.toml:5:17: token[0].allow[1]: \"b\" has no port",
        ),
        (
            &format!(
                "advertise = ['203.0.113.7']\n{token}secret = '0123456789abcdef'\n\
                 listen = ['10.0.0.5:1 as 203.0.113.7', '10.0.0.5:2 as 203.0.113.8']"
            ),
            "relayd.toml:6:40: token[0].listen[1]: 203.0.113.8 is none of `advertise`",
        ),
        (
            &format!("{token}secret = '0123456789abcdef'\nexpires = 2030-01-01"),
            "relayd.toml:5:11: token[0].expires: expected a date and time",
        ),
        (
            &format!(
                "{token}secret = '0123456789abcdef'\n\
                 [[token]]\nname = 'a'\nsecret = '0123456789abcdef'"
            ),
            "relayd.toml:6:8: token[1].name: another token has this name",
        ),
    ] {
        let error = parse(text).expect_err(text).to_string();
        assert!(error.starts_with(expected), "{error}\nnot: {expected}");
        for secret in ["tooshort", "12345", "0123456789abcdef"] {
            assert!(!error.contains(secret), "{error}");
        }
    }
}

/// What 0 would have nobody let in, or nothing opened or carried, is refused where it stands; where something
/// is just left out by it, it is taken.
#[test]
fn a_zero_is_taken_only_where_it_leaves_something() {
    let limits = "[limits]";
    for (section, key) in [
        ("", "max_sessions"),
        ("", "max_streams"),
        ("", "max_buffer_bytes"),
        ("", "max_look_ups"),
        ("", "handshake_seconds"),
        ("[admission]", "handshakes_per_source"),
        (limits, "sessions"),
        (limits, "streams"),
        (limits, "dials_per_second"),
        (limits, "dial_seconds"),
        (limits, "idle_seconds"),
        (limits, "session_bytes"),
        (limits, "bytes_per_second"),
        (limits, "packets_per_second"),
        (limits, "bytes_per_day"),
        ("[bearer_limits]", "sessions"),
        ("[bearer_limits]", "streams"),
        ("[bearer_limits]", "dials_per_second"),
        ("[source_limits]", "sessions"),
        ("[source_limits]", "bytes_per_day"),
    ] {
        let text = format!("listen = ['127.0.0.1:0']\n{section}\n{key} = 0");
        let error = parse(&text).expect_err(key);
        let name = format!("{}.{key}", section.trim_matches(['[', ']']));
        let name = name.trim_start_matches('.');
        assert_eq!((error.line(), error.key()), (Some(3), name), "{error}");
        assert!(error.to_string().contains("nonzero"), "{error}");
    }
    for (section, key) in [
        ("[admission]", "refuse_after_seconds"),
        ("[admission]", "refuse_at_most_seconds"),
        ("[admission]", "token_penalty_seconds"),
        ("[drain]", "cut_seconds"),
        ("[drain]", "come_back_seconds"),
        ("[log]", "repeats"),
        (limits, "listeners"),
        (limits, "look_ups"),
        (limits, "refusals_per_minute"),
        (limits, "buffer_bytes"),
        (limits, "draining_streams"),
        (limits, "drain_seconds"),
        (limits, "drain_bytes_per_second"),
        ("[bearer_limits]", "listeners"),
    ] {
        let text = format!("listen = ['127.0.0.1:0']\n{section}\n{key} = 0");
        parse(&text).expect(key);
    }
    let error = parse("listen = []").expect_err("it listens nowhere");
    let expected = "relayd.toml:1:10: listen: nobody could come in: it names no address";
    assert_eq!(error.to_string(), expected);
}

#[test]
fn a_section_is_a_table_and_no_array() {
    let token = "[[token]]\nname = 'a'\nsecret = '0123456789abcdef'";
    for (text, key) in [
        ("log = ['json']", "log"),
        ("log = []", "log"),
        ("[[log]]\nformat = 'json'", "log"),
        ("proxies = [['10.0.0.0/8'], 'proxy']", "proxies"),
        ("admission = ['64:30:512']", "admission"),
        ("admin = ['/run/admin.sock']", "admin"),
        ("mint = ['/run/mint.sock']", "mint"),
        ("drain = [0]", "drain"),
        ("records = ['records.jsonl']", "records"),
        ("limits = [1]", "limits"),
        ("bearer_limits = [1]", "bearer_limits"),
        ("source_limits = [1]", "source_limits"),
        ("tls = ['a.crt', 'a.key']", "tls"),
        ("tls.acme = [['relay.example'], 'acme']", "tls.acme"),
        ("token = [['a', '0123456789abcdef']]", "token[0]"),
        (&format!("{token}\nlimits = [1]"), "token[0].limits"),
        (
            "[[token]]\nname = 'a'\nsigning_key = '0123456789abcdef'\nbearer_limits = [1]",
            "token[0].bearer_limits",
        ),
    ] {
        let error = parse(&format!("listen = ['127.0.0.1:0']\n{text}")).expect_err(text);
        assert_eq!(error.key(), key, "{error}");
        assert!(error.line().is_some_and(|line| line > 1), "{error}");
        let text = error.to_string();
        assert!(text.contains("expected a table"), "{text}");
        assert!(!text.contains("0123456789abcdef"), "{text}");
    }
}

/// Nobody could tell who comes by it.
#[test]
fn no_two_tokens_have_the_same_secret() {
    let okp =
        |x: &str, id: &str| format!(r#"'{{"kty":"OKP","crv":"Ed25519","x":"{x}","kid":"{id}"}}'"#);
    let (one, other) = (
        "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
        "A6EHv_POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg",
    );
    let (secret, short) = ("'0123456789abcdef0123456789abcdef'", "'fedcba9876543210'");
    let two = |first: [&str; 2], second: [&str; 2]| {
        let [first, second] = [first, second].map(|[key, value]| format!("{key} = {value}"));
        parse(&format!(
            "listen = ['127.0.0.1:0']\n[[token]]\nname = 'a'\n{first}\n\
             [[token]]\nname = 'b'\n{second}"
        ))
    };
    let (url, elsewhere) = ("'https://id.example/keys'", "'https://id.example/others'");
    let (key, same, other_id, other) =
        (okp(one, "1"), okp(one, "1"), okp(one, "2"), okp(other, "1"));
    for (first, second) in [
        (["secret", secret], ["secret", secret]),
        (
            ["secret", secret],
            ["secret", "' 0123456789abcdef0123456789abcdef '"],
        ),
        (["secret", secret], ["signing_key", secret]),
        (["signing_key", secret], ["secret", secret]),
        (["public_key", &key], ["public_key", &same]),
        (["jwks_url", url], ["jwks_url", url]),
    ] {
        let error = two(first, second).expect_err(first[0]);
        let name = format!("token[1].{}", second[0]);
        assert_eq!((error.line(), error.key()), (Some(7), &*name), "{error}");
        let text = error.to_string();
        assert!(text.contains("the token \"a\" has"), "{text}");
        assert!(
            !text.contains("0123456789") && !text.contains("id.example"),
            "{text}"
        );
    }
    // What tells them apart is the token's name, or the key's own.
    for (first, second) in [
        (["secret", secret], ["secret", short]),
        (["signing_key", secret], ["signing_key", secret]),
        (["public_key", &key], ["public_key", &other_id]),
        (["public_key", &key], ["public_key", &other]),
        (["jwks_url", url], ["jwks_url", elsewhere]),
    ] {
        two(first, second).expect(first[0]);
    }
}

/// Nothing waits for who writes to a FIFO, and no device is read that never ends.
#[cfg(unix)]
#[test]
fn every_file_that_is_named_is_a_regular_one() {
    use rustix::fs::{CWD, FileType, Mode, mknodat};
    let at = tempfile::tempdir().expect("a directory");
    let mode = Mode::RUSR | Mode::WUSR;
    mknodat(CWD, at.path().join("fifo"), FileType::Fifo, mode, 0).expect("made");
    let path = at.path().join("relayd.toml");
    let begin = "listen = ['127.0.0.1:0']\nallow_without_origin = true";
    let tls = "[tls]\ncertificate_file = 'a'\nkey_file = 'b'";
    let token = "[[token]]\nname = 'a'";
    let secret = "secret = '0123456789abcdef'";
    let key = include_str!("../../tests/keys/ed25519.pub.pem");
    std::fs::write(at.path().join("key.pem"), key).expect("written");
    let mut all = vec![
        (String::new(), "revoked_file"),
        (token.into(), "secret_file"),
        (token.into(), "signing_key_file"),
        (token.into(), "public_key_file"),
        (token.into(), "jwks_file"),
        (
            format!("{token}\njwks_url = 'https://a.example/'"),
            "jwks_roots_file",
        ),
        (format!("{tls}\n{token}"), "client_ca_file"),
        (
            format!("{tls}\n{token}\nclient_ca_file = 'key.pem'"),
            "client_crl_file",
        ),
        (
            format!("{token}\n{secret}\nask = 'https://a.example/'\nask_fails = 'open'"),
            "ask_roots_file",
        ),
        (
            format!("{token}\npublic_key_file = 'key.pem'\nmint_at_most_seconds = 60"),
            "mint_key_file",
        ),
    ];
    if cfg!(feature = "redis") {
        let when = "quotas_when_gone = 'deny'\nrevocations_when_gone = 'deny'";
        all.push((format!("[redis]\n{when}"), "url_file"));
        let url = "url = 'rediss://a'";
        all.push((format!("[redis]\n{when}\n{url}"), "roots_file"));
    }
    if cfg!(feature = "acme") {
        let acme = "[tls.acme]\ndomains = ['a.example']\nfolder = 'acme'";
        all.push((acme.into(), "directory_roots_file"));
        let account = format!("{acme}\nexternal_account = 'kid-1'");
        all.push((account, "external_account_key_file"));
    }
    for (before, key) in all {
        for (leads_to, kind) in [
            ("fifo", "a FIFO"),
            ("/dev/zero", "a device"),
            (".", "a directory"),
        ] {
            let text = format!("{begin}\n{before}\n{key} = '{leads_to}'");
            let error = Config::parse(&text, &path).expect_err(key);
            let line = format!("{begin}\n{before}\n").lines().count() + 1;
            assert_eq!(error.line(), Some(line), "{error}");
            assert!(error.key().ends_with(key), "{error}");
            let expected = format!("can't be read: it is {kind}, and no regular file");
            assert!(error.to_string().contains(&expected), "{error}");
        }
    }
    let error = Config::load(&at.path().join("fifo")).expect_err("no file");
    assert!(
        error
            .to_string()
            .ends_with("it is a FIFO, and no regular file"),
        "{error}"
    );
}

/// What only shows when the relay starts is told with its place, too.
#[cfg(unix)]
#[tokio::test]
async fn what_shows_at_the_start_is_told_with_file_and_line() {
    let at = tempfile::tempdir().expect("a directory");
    let path = at.path().join("relayd.toml");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let used = taken.local_addr().expect("bound");
    let listen = "listen = ['127.0.0.1:0']";
    std::fs::write(at.path().join("a-file"), "precious").expect("written");
    let wrong = async |text: &str, place: &str, what: &str| {
        let config = Config::parse(text, &path).expect(text);
        let error = crate::Relayd::bind(config)
            .await
            .expect_err(text)
            .to_string();
        let begin = format!("{}:{place}: ", path.display());
        assert!(error.starts_with(&begin) && error.contains(what), "{error}");
    };
    for (section, key, what) in [
        ("[records]\nfile = '.'", "records.file", "is a directory"),
        (
            "[records]\nfile = 'none/records'",
            "records.file",
            "none/records can't be",
        ),
        (
            "[admin]\nsocket = 'a-file'",
            "admin.socket",
            "that is no socket",
        ),
        ("[admin]\nsocket = 'none/sock'", "admin.socket", "none/sock"),
        (
            "[mint]\nsocket = 'a-file'",
            "mint.socket",
            "that is no socket",
        ),
        (
            "[tls]\ncertificate_file = 'none'\nkey_file = 'none'",
            "tls.certificate_file",
            "none: ",
        ),
    ] {
        let column = section.lines().nth(1).and_then(|line| line.find('\''));
        let column = column.expect("a value") + 1;
        wrong(
            &format!("{listen}\n{section}"),
            &format!("3:{column}: {key}"),
            what,
        )
        .await;
    }
    let can_t = format!("can't listen at {used}");
    wrong(
        &format!("{listen}\nhealth = '{used}'"),
        "2:10: health",
        &can_t,
    )
    .await;
    wrong(
        &format!("{listen}\nmetrics = '{used}'"),
        "2:11: metrics",
        &can_t,
    )
    .await;
    let listen = format!("listen = [\n'127.0.0.1:0',\n'{used}',\n]");
    wrong(&listen, "3: listen[1]", &can_t).await;
}

#[test]
fn plain_text_on_a_public_address_is_warned_of() {
    let warnings = |text: &str| parse(text).expect(text).warnings();
    let listen = "listen = ['127.0.0.1:80', '8.8.8.8:80', '10.0.0.1:80', '[::]:80']";
    let told = warnings(listen);
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].contains("8.8.8.8:80") && told[1].contains("[::]:80"));
    let tls = "[tls]\ncertificate_file = 'a'\nkey_file = 'b'";
    assert!(warnings(&format!("{listen}\n{tls}")).is_empty());
}

#[test]
fn trust_in_everybody_is_warned_of() {
    let text =
        "listen = ['127.0.0.1:0']\n[proxies]\nheader = 'proxy'\ntrusted = ['10.0.0.0/8', '::/0']";
    let told = parse(text).expect(text).warnings();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(
        told[0].starts_with("proxies.trusted: ::/0 is everybody"),
        "{told:?}"
    );
}

#[test]
fn a_token_takes_the_limits_that_it_has_not_of_its_own() {
    let config = parse(
        "listen = ['127.0.0.1:0']\n\
         [limits]\nstreams = 7\nsession_bytes = 1000\nbytes_per_second = 7000\n\
         [bearer_limits]\nstreams = 5\nsessions = 2\npackets_per_second = 9\n\
         [source_limits]\nbytes_per_day = 5\n\
         [[token]]\nname = 'a'\nsecret = '0123456789abcdef'\n\
         expires = 2030-01-01T01:00:01+01:00\nlimits = { streams = 3, dial_seconds = 2 }\n\
         [[token]]\nname = 'b'\nsigning_key = 'fedcba9876543210'\n\
         bearer_limits = { sessions = 1, bytes_per_day = 8 }\n\
         limits = { bytes_per_second = 5000 }\n",
    )
    .expect("valid");
    let [a, b] = &config.tokens[..] else {
        panic!("two tokens");
    };
    assert_eq!((a.limits.streams, b.limits.streams), (3, 7));
    assert_eq!(a.limits.dial_deadline, Duration::from_secs(2));
    assert_eq!(b.limits.dial_deadline, Limits::default().dial_deadline);
    assert_eq!(a.limits.session_bytes, Some(1000));
    let (a_each, b_each) = (a.bearer_limits, b.bearer_limits);
    assert_eq!((a_each.sessions, b_each.sessions), (Some(2), Some(1)));
    assert_eq!((a_each.streams, b_each.streams), (Some(5), Some(5)));
    assert_eq!(b_each.listeners, Quota::BEARER.listeners);
    let rates = |token: &Token| token.limits.bytes_per_second.map(NonZeroU64::get);
    assert_eq!((rates(a), rates(b)), (Some(7000), Some(5000)));
    assert_eq!(
        (a_each.bytes_per_day, b_each.bytes_per_day),
        (None, Some(8))
    );
    assert_eq!(b_each.packets_per_second, NonZeroU32::new(9));
    let source = Quota {
        bytes_per_day: Some(5),
        ..Quota::default()
    };
    assert_eq!(config.source_limits, source);
    let expires = SystemTime::UNIX_EPOCH + Duration::from_secs(1_893_456_001);
    assert_eq!((a.expires, b.expires), (Some(expires), None));
    assert!(!format!("{config:?}").contains("0123456789abcdef"));
}

#[test]
fn times_are_read_in_every_part_of_the_calendar() {
    for (text, seconds) in [
        ("1970-01-01T00:00:00Z", 0),
        ("2000-02-29T12:00:00Z", 951_825_600),
        ("2024-12-31T23:59:59Z", 1_735_689_599),
        ("2026-03-01T00:00:00-05:30", 1_772_343_000),
    ] {
        let time: Datetime = text.parse().expect(text);
        let expected = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        assert_eq!(system_time(&time), Some(expected), "{text}");
    }
}

#[test]
fn hosts_match_with_and_without_ports() {
    for (rule, host, expected) in [
        ("relay.example", "relay.example", true),
        ("relay.example", "Relay.Example:8443", true),
        ("relay.example", "relay.example:", false),
        ("relay.example", "relay.example:80x", false),
        ("relay.example", "relay.example.evil.test", false),
        ("relay.example", "evil.test", false),
        ("relay.example:8443", "relay.example:8443", true),
        ("relay.example:8443", "relay.example", false),
        ("relay.example:8443", "relay.example:84430", false),
        ("127.0.0.1", "127.0.0.1:80", true),
        ("[::1]", "[::1]:80", true),
        ("[::1]:80", "[::1]:81", false),
    ] {
        let rule: HostHeader = rule.parse().expect(rule);
        assert_eq!(rule.matches(host), expected, "{rule:?} {host}");
    }
    for text in ["", "*", "a/b", "https://a.example", "::1", "a:b"] {
        assert!(text.parse::<HostHeader>().is_err(), "{text:?}");
    }
}

#[test]
fn origins_are_written_as_browsers_send_them() {
    for good in [
        "https://app.example.org",
        "http://localhost:8000",
        "http://[::1]:8000",
        "http://[2001:db8::7]",
        "https://app.example.org:65535",
        "http://app.example.org:443",
        "isolated-app://aerugqztij5biqquuk3mfwpsaibuegaqcitgfchwuosuofdjabzqaaic",
    ] {
        assert!(good.parse::<Origin>().is_ok(), "{good}");
    }
    for bad in [
        "*",
        "null",
        "",
        "https://",
        "https://app.example.org/",
        "https://App.example.org",
        "https://app.example.org:443",
        "http://app.example.org:80",
        "https://*.example.org",
        "https://user@app.example.org",
        "https://app.example.org:99999",
        "https://app.example.org:0",
        "https://app.example.org:",
        "https://app.example.org:08443",
        "https://app.example.org:+8443",
        "https://app.example.org:8443:8443",
        "https://app.example.org:a",
        "http://[::1]:99999",
        "http://[::1",
        "http://::1",
        "http://[]",
        "http://[::1]a",
    ] {
        assert!(bad.parse::<Origin>().is_err(), "{bad}");
    }
}

//! Forged and faulty tokens, and good ones.

use std::num::{NonZeroU32, NonZeroU64};

use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair};
use serde_json::{Value, json};

use super::*;

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

#[test]
fn a_shared_secret_is_itself_and_nothing_else() {
    let secret = Credential::Secret(Secret::new("0123456789abcdef").expect("long enough"));
    assert_eq!(
        secret.verify("a", "0123456789abcdef"),
        Ok(Proven::default())
    );
    for wrong in [
        "",
        "0123456789abcde",
        "0123456789abcdef0",
        "0123456789abcdeF",
    ] {
        let refused = secret.verify("a", wrong);
        assert_eq!(refused, Err(TokenError::Unknown), "{wrong}");
    }
}

#[test]
fn a_signed_token_holds_for_its_name_key_and_time_only() {
    let key = Secret::new("a-key-of-some-length").expect("long enough");
    let token = key.sign("web.mail", at(1_800_000_000));
    let credential = Credential::Key(key.clone());
    let proven = credential.verify("web.mail", &token).expect("good");
    assert_eq!(proven.expires, Some(at(1_800_000_000)));
    // Another token is another bearer's.
    let other = key.sign("web.mail", at(1_800_000_001));
    let other = credential.verify("web.mail", &other).expect("good");
    assert!(proven.bearer.is_some() && proven.bearer != other.bearer);
    let unknown = Err(TokenError::Unknown);
    assert_eq!(credential.verify("other", &token), unknown);
    let other = Credential::Key(Secret::new("another-key-of-some-length").expect("long"));
    assert_eq!(other.verify("web.mail", &token), unknown);
    let mac = token.rsplit('.').next().expect("three parts");
    for forged in [
        format!("web.mail.1800000001.{mac}"),
        format!("web.mail.01800000000.{mac}"),
        format!("web.mail.+1800000000.{mac}"),
        format!("web.mail.1800000000.{}", &mac[1..]),
        format!("web.mail.1800000000.{mac}="),
        "web.mail.1800000000.".into(),
        "web.mail.99999999999999999999999.AAAA".into(),
        "..".into(),
        String::new(),
        // The key itself is no token.
        "a-key-of-some-length".into(),
    ] {
        let refused = credential.verify("web.mail", &forged);
        assert_eq!(refused, unknown, "{forged}");
    }
}

#[test]
fn a_signed_token_is_what_the_documentation_says() {
    // Made with: printf 'jackfield.v1 demo 1800000000' | openssl dgst -sha256
    //   -hmac 0123456789abcdef -binary | basenc --base64url | tr -d =
    let key = Secret::new("0123456789abcdef").expect("long enough");
    assert_eq!(
        key.sign("demo", at(1_800_000_000)),
        "demo.1800000000.v27nudCYNyb0V_r79o9K8dAR9Ifdt9eOGrlZSMIoEQ0"
    );
}

#[test]
fn secrets_are_checked_and_never_shown() {
    for wrong in [
        "",
        "short",
        "with a blank inside it",
        "with a\ttab inside of it",
        "\u{fc}ber0123456789abc",
    ] {
        let error = Secret::new(wrong).expect_err(wrong);
        assert!(wrong.is_empty() || !error.contains(wrong), "{error}");
    }
    let secret = Secret::new(" 0123456789abcdef\n").expect("blanks around it are cut");
    assert_eq!(format!("{secret:?}"), "(secret)");
    let credential = Credential::Secret(secret);
    assert!(!format!("{credential:?}").contains("0123456789"));
}

pub(super) const KEY: &str = "a-signing-key-that-has-32-letters";
pub(super) const NOW: u64 = 1_800_000_000;

pub(super) fn secret(text: &str) -> Secret {
    Secret::new(text).expect("long enough")
}

/// A JWT of these parts, signed by HMAC-SHA256.
pub(super) fn jwt_of(header: &str, claims: &str, key: &str) -> String {
    let signed = format!("{}.{}", BASE64.encode(header), BASE64.encode(claims));
    let mac = hmac::sign(&secret(key).key(), signed.as_bytes());
    format!("{signed}.{}", BASE64.encode(mac))
}

pub(super) fn hs256(claims: &str) -> String {
    jwt_of(r#"{"alg":"HS256","typ":"JWT"}"#, claims, KEY)
}

fn pem(label: &str, der: &[u8]) -> String {
    let base64 = base64::prelude::BASE64_STANDARD.encode(der);
    format!("-----BEGIN {label}-----\n{base64}\n-----END {label}-----\n")
}

/// A private key of each kind.
pub(super) fn pairs() -> [SigningKey; 2] {
    let random = SystemRandom::new();
    let ed25519 = Ed25519KeyPair::generate_pkcs8(&random).expect("a key");
    let p256 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random);
    [ed25519, p256.expect("a key")]
        .map(|der| SigningKey::from_pem(&pem("PRIVATE KEY", der.as_ref())).expect("a key"))
}

pub(super) fn public(key: &SigningKey) -> PublicKeys {
    PublicKeys::new(&key.public_jwk().expect("it has one")).expect("a JWK")
}

pub(super) fn claims() -> Claims {
    let mut claims = Claims::new(at(NOW + 900));
    claims.subject = Some("ada".into());
    claims
}

#[test]
fn a_jwt_says_what_it_was_made_to_say() {
    let mut all = claims();
    all.id = Some("7".into());
    all.not_before = Some(at(NOW - 1));
    all.issued_at = Some(at(NOW - 2));
    all.audience = vec!["relay.example".into(), "another.example".into()];
    all.origins = Some(vec!["https://app.example".parse().expect("an origin")]);
    all.allow = Some(vec!["*.example.org:443,8000-8100".parse().expect("a rule")]);
    all.limits.streams = Some(3);
    all.limits.bytes_per_second = NonZeroU64::new(4);
    all.limits.packets_per_second = NonZeroU32::new(5);
    all.limits.bytes_per_day = Some(6);
    let hs256 = SigningKey::hs256(&secret(KEY)).expect("long enough");
    let [ed25519, p256] = pairs();
    for (key, credential) in [
        (&hs256, Credential::Key(secret(KEY))),
        (&ed25519, Credential::PublicKeys(public(&ed25519))),
        (&p256, Credential::PublicKeys(public(&p256))),
    ] {
        for claims in [&all, &claims()] {
            let token = key.mint(claims).expect("not too long");
            let proven = credential.verify("a", &token).expect("good");
            assert_eq!(proven.claims.as_ref(), Some(claims));
            assert_eq!(proven.expires, Some(claims.expires));
            assert_eq!(proven.bearer.as_deref(), Some("sub ada"));
        }
        // Whom a token doesn't name is told from others by the token.
        let anonymous = |id: Option<&str>, end| {
            let mut claims = Claims::new(at(end));
            claims.id = id.map(str::to_owned);
            let token = key.mint(&claims).expect("not too long");
            credential.verify("a", &token).expect("good").bearer
        };
        assert_eq!(anonymous(Some("7"), NOW).as_deref(), Some("jti 7"));
        // ECDSA signs the same in many ways.
        assert_eq!(anonymous(None, NOW), anonymous(None, NOW));
        assert_ne!(anonymous(None, NOW), anonymous(None, NOW + 1));
    }
}

#[test]
fn forged_tokens_are_unknown() {
    let [ed25519, p256] = pairs();
    let keys = [
        Credential::Key(secret(KEY)),
        Credential::PublicKeys(public(&ed25519)),
        Credential::PublicKeys(public(&p256)),
    ];
    let good = hs256(r#"{"exp":1800000900}"#);
    let (signed, mac) = good.rsplit_once('.').expect("three parts");
    let unsigned = |header: &str| {
        let claims = BASE64.encode(r#"{"exp":1800000900}"#);
        format!("{}.{claims}.", BASE64.encode(header))
    };
    let from_public = |key: &SigningKey| {
        let jwk: Value = serde_json::from_str(&key.public_jwk().expect("one")).expect("JSON");
        jwk["x"].as_str().expect("a coordinate").to_owned()
    };
    let header = r#"{"alg":"HS256"}"#;
    let exp = r#"{"exp":1800000900}"#;
    let mut forged = vec![
        // No signature, in all spellings.
        unsigned(r#"{"alg":"none"}"#),
        unsigned(r#"{"alg":"None"}"#),
        unsigned(r#"{"alg":"nOnE"}"#),
        unsigned(r#"{"alg":""}"#),
        unsigned(header),
        unsigned("{}"),
        format!("{signed}."),
        signed.to_owned(),
        // Signed, and said to be signed otherwise.
        jwt_of(r#"{"alg":"none"}"#, exp, KEY),
        jwt_of(r#"{"alg":"HS512"}"#, exp, KEY),
        jwt_of(r#"{"alg":"RS256"}"#, exp, KEY),
        jwt_of(r#"{"alg":"ES256"}"#, exp, KEY),
        jwt_of(r#"{"alg":"EdDSA"}"#, exp, KEY),
        jwt_of(r#"{"alg":["HS256"]}"#, exp, KEY),
        jwt_of("{}", exp, KEY),
        jwt_of(r#"{"alg":"HS256","alg":"HS256"}"#, exp, KEY),
        // By another key.
        jwt_of(header, exp, "another-signing-key-of-32-letters"),
        jwt_of(r#"{"alg":"HS256","kid":"b"}"#, exp, KEY),
        jwt_of(r#"{"alg":"HS256","kid":""}"#, exp, KEY),
        jwt_of(r#"{"alg":"HS256","kid":7}"#, exp, KEY),
        // What nobody understands, and says is important.
        jwt_of(r#"{"alg":"HS256","crit":["exp"],"exp":1}"#, exp, KEY),
        jwt_of(r#"{"alg":"HS256","crit":[]}"#, exp, KEY),
        jwt_of(r#"{"alg":"HS256","b64":false,"crit":["b64"]}"#, exp, KEY),
        // Another spelling of the same.
        format!("{good}="),
        format!("{good}."),
        format!(".{good}"),
        format!("{good}.{mac}"),
        format!(" {good}"),
        format!("{signed}.{}", &mac[1..]),
        "..".into(),
        "eyJ.eyJ.eyJ".into(),
    ];
    // The public key as HMAC's secret: the algorithm is the key's, whatever the token says.
    for key in [&ed25519, &p256] {
        forged.push(jwt_of(header, exp, &from_public(key)));
        forged.push(jwt_of(header, exp, &key.public_jwk().expect("one")));
    }
    for token in &forged {
        for key in &keys {
            assert_eq!(key.verify("a", token), Err(TokenError::Unknown), "{token}");
        }
    }
    assert!(keys[0].verify("a", &good).is_ok());
    // A key of the right kind that isn't known, and one of another kind.
    let token = pairs().map(|key| key.mint(&claims()).expect("short"));
    for (token, key) in token
        .iter()
        .flat_map(|token| keys.iter().map(move |key| (token, key)))
    {
        assert_eq!(key.verify("a", token), Err(TokenError::Unknown));
    }
    for changed in 0..good.len() {
        let mut bytes = good.clone().into_bytes();
        bytes[changed] ^= 1;
        let Ok(token) = String::from_utf8(bytes) else {
            continue;
        };
        assert_eq!(keys[0].verify("a", &token), Err(TokenError::Unknown));
    }
}

#[test]
fn claims_that_cannot_be_read_are_named() {
    let key = Credential::Key(secret(KEY));
    let long = "a".repeat(257);
    let with = |name: &str, value: &Value| {
        let mut claims = json!({ "exp": NOW + 900 });
        claims[name] = value.clone();
        key.verify("a", &hs256(&claims.to_string()))
    };
    for (name, value) in [
        ("exp", json!(null)),
        ("exp", json!("1800000900")),
        ("exp", json!(-1)),
        ("exp", json!(1e300)),
        ("exp", json!(u64::MAX)),
        ("exp", json!({})),
        ("nbf", json!("now")),
        ("iat", json!([1])),
        ("sub", json!("")),
        ("sub", json!(7)),
        ("sub", json!(long)),
        ("jti", json!("")),
        ("jti", json!({})),
        ("aud", json!([])),
        ("aud", json!([7])),
        ("origins", json!("https://app.example")),
        ("origins", json!(["*"])),
        ("allow", json!("*:*")),
        ("allow", json!(["a"])),
        ("limits", json!({ "streams": -1 })),
        ("limits", json!({ "stream": 1 })),
        ("limits", json!({ "bytes_per_second": 0 })),
        ("limits", json!(3)),
    ] {
        // What holds several values is read as a whole.
        let name = if name == "limits" { "set" } else { name };
        let field = if name == "set" { "limits" } else { name };
        assert_eq!(
            with(field, &value),
            Err(TokenError::Claim(name)),
            "{field}: {value}"
        );
    }
    for claims in [
        "{}",
        r#"{"sub":"ada"}"#,
        r#"{"exp":1800000900,"exp":1900000000}"#,
        r#"{"exp":1800000900,"sub":"ada","sub":"eve"}"#,
        r#"{"exp":1800000900,"allow":[],"allow":["*:*"]}"#,
        r#"{"exp":1800000900,"limits":{"streams":1,"streams":9}}"#,
        "[]",
        "7",
        "",
        "{",
    ] {
        let refused = key.verify("a", &hs256(claims));
        assert!(
            matches!(refused, Err(TokenError::Claim(_))),
            "{claims}: {refused:?}"
        );
    }
    // What others put into their tokens is theirs.
    for (name, value) in [
        ("iss", json!("https://login.example")),
        ("email", json!({ "a": [1] })),
        ("exp", json!(1_800_000_900.9)),
        ("sub", json!(null)),
    ] {
        assert!(with(name, &value).is_ok(), "{name}: {value}");
    }
}

#[test]
fn claims_hold_for_their_time_relay_and_origin() {
    let good = claims();
    let check = |claims: &Claims, now, audience, origin| claims.check(at(now), audience, origin);
    assert_eq!(check(&good, NOW, None, None), Ok(()));
    assert_eq!(check(&good, NOW + 899, None, None), Ok(()));
    let expired = Err(TokenError::Expired(at(NOW + 900)));
    assert_eq!(check(&good, NOW + 900, None, None), expired);
    for set in [
        (|claims, time| claims.not_before = time) as fn(&mut Claims, _),
        |claims, time| claims.issued_at = time,
    ] {
        let mut later = claims();
        set(&mut later, Some(at(NOW)));
        assert_eq!(check(&later, NOW, None, None), Ok(()));
        assert_eq!(check(&later, NOW - 60, None, None), Ok(()));
        let refused = Err(TokenError::NotYet(at(NOW)));
        assert_eq!(check(&later, NOW - 61, None, None), refused);
    }
    let mut meant = claims();
    meant.audience = vec!["a.example".into(), "b.example".into()];
    for (claims, audience, expected) in [
        (&meant, Some("b.example"), Ok(())),
        (&meant, Some("c.example"), Err(TokenError::Audience)),
        (&meant, Some("B.example"), Err(TokenError::Audience)),
        (&meant, None, Err(TokenError::Audience)),
        (&good, Some("a.example"), Err(TokenError::Audience)),
    ] {
        assert_eq!(check(claims, NOW, audience, None), expected);
    }
    let mut bound = claims();
    bound.origins = Some(vec!["https://app.example".parse().expect("an origin")]);
    for (origin, expected) in [
        (Some("https://app.example"), Ok(())),
        (Some("https://evil.example"), Err(TokenError::Origin)),
        (None, Err(TokenError::Origin)),
    ] {
        assert_eq!(check(&bound, NOW, None, origin), expected);
    }
    bound.origins = Some(Vec::new());
    let refused = check(&bound, NOW, None, Some("https://app.example"));
    assert_eq!(refused, Err(TokenError::Origin));
}

#[test]
fn a_key_is_named_by_its_jwk_or_by_the_token_of_the_configuration() {
    let [ed25519, p256] = pairs();
    let ids = [ed25519.clone().with_id("old"), p256.clone().with_id("new")];
    let jwks: Vec<Value> = (ids.iter())
        .map(|key| serde_json::from_str(&key.public_jwk().expect("one")).expect("JSON"))
        .chain([
            json!({ "kty": "RSA", "n": "AQAB", "e": "AQAB", "kid": "rsa" }),
            json!({ "kty": "oct", "k": "c2VjcmV0", "kid": "secret" }),
            json!({ "kty": "unheard of" }),
        ])
        .collect();
    let set = json!({ "keys": jwks }).to_string();
    let set = Credential::PublicKeys(PublicKeys::new(&set).expect("two are good"));
    let good = |credential: &Credential, key: &SigningKey| {
        let token = key.mint(&claims()).expect("short");
        credential.verify("webmail", &token).is_ok()
    };
    for key in [&ids[0], &ids[1], &ed25519, &p256] {
        assert!(good(&set, key));
    }
    for (key, id) in [(&ed25519, "new"), (&p256, "old"), (&p256, "webmail")] {
        assert!(!good(&set, &key.clone().with_id(id)), "{id}");
    }
    let nameless = Credential::PublicKeys(public(&ed25519));
    for (id, expected) in [("webmail", true), ("iot", false), ("old", false)] {
        assert_eq!(
            good(&nameless, &ed25519.clone().with_id(id)),
            expected,
            "{id}"
        );
    }
}

#[test]
fn public_keys_are_read_as_openssl_and_others_write_them() {
    // openssl genpkey -algorithm ed25519, and -algorithm EC -pkeyopt ec_paramgen_curve:P-256; then
    // openssl pkey -pubout
    let private = [
        include_str!("../../tests/keys/ed25519.pem"),
        include_str!("../../tests/keys/p256.pem"),
    ];
    let public_pem = [
        include_str!("../../tests/keys/ed25519.pub.pem"),
        include_str!("../../tests/keys/p256.pub.pem"),
    ];
    let both = PublicKeys::new(&public_pem.concat()).expect("two keys");
    for (private, public_pem) in private.iter().zip(&public_pem) {
        let key = SigningKey::from_pem(private).expect("a key");
        let token = key.mint(&claims()).expect("short");
        assert_eq!(public(&key), PublicKeys::new(public_pem).expect("a key"));
        for keys in [&both, &PublicKeys::new(public_pem).expect("a key")] {
            assert!(keys.verify("a", &token).is_ok());
        }
        for text in [*private, &format!("{private}{public_pem}")] {
            let error = PublicKeys::new(text).expect_err("private");
            assert!(error.contains("private key"), "{error}");
        }
        assert!(SigningKey::from_pem(public_pem).is_err());
        assert_eq!(format!("{key:?}"), "(signing key)");
    }
    let short = secret("only-sixteen-and");
    assert!(
        SigningKey::hs256(&short)
            .expect_err("too short")
            .contains("at least 32")
    );
    // Today's tokens are made with it all the same.
    let token = short.sign("a", at(NOW));
    assert!(Credential::Key(short).verify("a", &token).is_ok());
    for text in [
        "",
        "{}",
        "{",
        r#"{"keys":[]}"#,
        r#"{"keys":7}"#,
        r#"{"keys":[{"kty":"OKP","crv":"Ed25519","x":"AAAA"}]}"#,
        r#"{"kty":"OKP","crv":"Ed25519","x":"AAAA"}"#,
        r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","d":""}"#,
        r#"{"kty":"OKP","crv":"Ed25519","alg":"ES256","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#,
        r#"{"kty":"OKP","crv":"Ed25519","use":"enc","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#,
        r#"{"kty":"EC","crv":"P-384","x":"AAAA","y":"AAAA"}"#,
        "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
    ] {
        assert!(PublicKeys::new(text).is_err(), "{text}");
    }
    // The key of RFC 8037, appendix A.2.
    let known =
        r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
    assert!(PublicKeys::new(known).is_ok());
    let many = vec![known; MAX_KEYS + 1].join(",");
    assert!(PublicKeys::new(&format!(r#"{{"keys":[{many}]}}"#)).is_err());
}

#[test]
fn a_token_that_nobody_could_present_is_not_made() {
    let key = SigningKey::hs256(&secret(KEY)).expect("long enough");
    let mut long = claims();
    let rule = "a-host-with-a-name.example.org:443"
        .parse()
        .expect("a rule");
    long.allow = Some(vec![rule; 200]);
    let error = key.mint(&long).expect_err("too long");
    assert!(error.contains("at most 4096"), "{error}");
}

//! Attacks on JWTs that are known from elsewhere, one after the other.

use serde_json::{Value, json};

use super::tests::{KEY, NOW, claims, hs256, jwt_of, pairs, public, secret};
use super::*;

const EXP: &str = r#"{"exp":1800000900}"#;

fn hmac_by(key: &[u8], header: &str, claims: &str) -> String {
    let signed = format!("{}.{}", BASE64.encode(header), BASE64.encode(claims));
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    let mac = hmac::sign(&key, signed.as_bytes());
    format!("{signed}.{}", BASE64.encode(mac))
}

/// Where a header says that a key can be found, nobody looks; the key that it brings along is nobody's.
#[test]
fn a_header_leads_to_no_key() {
    let ours = Credential::Key(secret(KEY));
    let [attacker, _] = pairs();
    let theirs: Value = serde_json::from_str(&attacker.public_jwk().expect("one")).expect("JSON");
    for (name, value) in [
        ("jku", json!("https://attacker.example/jwks.json")),
        ("jku", json!("file:///etc/passwd")),
        ("x5u", json!("https://attacker.example/chain.pem")),
        ("x5c", json!(["MIIB"])),
        ("x5t", json!("AAAA")),
        ("jwk", theirs.clone()),
        ("jwk", json!({ "kty": "oct", "k": BASE64.encode(KEY) })),
    ] {
        let mut header = json!({ "alg": "HS256" });
        header[name] = value;
        let header = header.to_string();
        // By another key it is nobody's; by ours, the header changes nothing, if it can be read at all.
        let forged = jwt_of(&header, EXP, "another-key-that-has-32-letters!!");
        assert_eq!(
            ours.verify("a", &forged),
            Err(TokenError::Unknown),
            "{name}"
        );
        let plain = hs256(EXP);
        match ours.verify("a", &jwt_of(&header, EXP, KEY)) {
            Err(TokenError::Unknown) => {}
            read => assert_eq!(
                read.map(|it| it.claims),
                ours.verify("a", &plain).map(|it| it.claims),
                "{name}"
            ),
        }
        // Signed by the attacker's own pair, whose public key the header has.
        let header = json!({ "alg": "EdDSA", "jwk": theirs }).to_string();
        let signed = attacker.mint(&claims()).expect("short");
        let (_, rest) = signed.split_once('.').expect("three parts");
        let forged = format!("{}.{rest}", BASE64.encode(header));
        let [other, _] = pairs();
        let known = Credential::PublicKeys(public(&other));
        assert_eq!(known.verify("a", &forged), Err(TokenError::Unknown));
    }
}

/// `kid` is compared, and nothing else is done with it.
#[test]
fn a_kid_is_no_path_and_no_query() {
    let ours = Credential::Key(secret(KEY));
    for kid in [
        "../../../../dev/null",
        "/dev/null",
        "file:///dev/null",
        "a\0",
        "a/../a",
        "A",
        " a",
        "' UNION SELECT 'secret' --",
        "$(id)",
        "%61",
        "",
    ] {
        let header = json!({ "alg": "HS256", "kid": kid }).to_string();
        for key in [KEY.as_bytes(), b"", b"\0"] {
            let token = hmac_by(key, &header, EXP);
            let refused = ours.verify("a", &token);
            assert_eq!(refused, Err(TokenError::Unknown), "{kid:?}");
        }
    }
    for kid in [json!(7), json!(["a"]), json!({ "a": 1 }), json!(true)] {
        let header = json!({ "alg": "HS256", "kid": kid }).to_string();
        let refused = ours.verify("a", &jwt_of(&header, EXP, KEY));
        assert_eq!(refused, Err(TokenError::Unknown), "{kid}");
    }
}

/// A public key is everybody's: as a secret for HS256 it signs nothing, however it is written.
#[test]
fn a_public_key_is_no_secret() {
    for (private, pem_text) in [
        (
            include_str!("../../tests/keys/ed25519.pem"),
            include_str!("../../tests/keys/ed25519.pub.pem"),
        ),
        (
            include_str!("../../tests/keys/p256.pem"),
            include_str!("../../tests/keys/p256.pub.pem"),
        ),
    ] {
        let pair = SigningKey::from_pem(private).expect("a key");
        let known = Credential::PublicKeys(PublicKeys::new(pem_text).expect("a key"));
        let jwk = pair.public_jwk().expect("it has one");
        let inside: String = pem_text
            .lines()
            .filter(|it| !it.starts_with("---"))
            .collect();
        let der = base64::prelude::BASE64_STANDARD.decode(&inside);
        let der = der.expect("base64");
        let raw = &der[der.len() - 32..];
        let point = &der[der.len().saturating_sub(65)..];
        for key in [
            pem_text.as_bytes(),
            pem_text.trim_end().as_bytes(),
            inside.as_bytes(),
            jwk.as_bytes(),
            &der,
            raw,
            point,
            b"",
        ] {
            for header in [r#"{"alg":"HS256"}"#, r#"{"alg":"HS256","kid":"a"}"#] {
                let forged = hmac_by(key, header, EXP);
                assert_eq!(known.verify("a", &forged), Err(TokenError::Unknown));
            }
        }
        // What it signed, under another algorithm's name.
        let good = pair.mint(&claims()).expect("short");
        assert!(known.verify("a", &good).is_ok());
        let (_, rest) = good.split_once('.').expect("three parts");
        for algorithm in [
            "HS256", "HS512", "RS256", "PS256", "ES384", "none", "None", "eddsa", "es256", "",
        ] {
            let header = json!({ "alg": algorithm }).to_string();
            let forged = format!("{}.{rest}", BASE64.encode(header));
            assert_eq!(known.verify("a", &forged), Err(TokenError::Unknown));
        }
        // Signatures that fit everything elsewhere: nothing, zeros (CVE-2022-21449), and DER.
        let (signed, _) = good.rsplit_once('.').expect("three parts");
        for signature in [
            &[][..],
            &[0; 64],
            &[0xff; 64],
            &[0; 32],
            &[0x30, 6, 2, 1, 1, 2, 1, 1],
        ] {
            let forged = format!("{signed}.{}", BASE64.encode(signature));
            assert_eq!(known.verify("a", &forged), Err(TokenError::Unknown));
        }
    }
}

/// What is there twice, encrypted, compressed, inside of another, or not to be understood.
#[test]
fn a_header_says_one_thing_once() {
    let ours = Credential::Key(secret(KEY));
    for header in [
        r#"{"alg":"none","alg":"HS256"}"#,
        r#"{"alg":"HS256","alg":"none"}"#,
        r#"{"alg":"HS256","alg":"HS256"}"#,
        r#"{"alg":"HS256","kid":"a","kid":"b"}"#,
        r#"{"alg":["HS256"]}"#,
        r#"{"alg":"HS256","crit":["exp"]}"#,
        r#"{"alg":"HS256","crit":[]}"#,
        r#"{"alg":"HS256","b64":false}"#,
        r#"{"alg":"HS256","b64":false,"crit":["b64"]}"#,
        r#"{"alg":"dir","enc":"A256GCM"}"#,
        "{}",
        "[]",
        "null",
        "",
    ] {
        let refused = ours.verify("a", &jwt_of(header, EXP, KEY));
        assert_eq!(refused, Err(TokenError::Unknown), "{header}");
    }
    // A token in a token, of the same key: it is no set of claims.
    let inner = hs256(EXP);
    for claims in [inner.clone(), json!(inner).to_string()] {
        let nested = jwt_of(r#"{"alg":"HS256","cty":"JWT"}"#, &claims, KEY);
        assert_eq!(
            ours.verify("a", &nested),
            Err(TokenError::Claim("set")),
            "{claims}"
        );
    }
    // Five parts are a JWE's; two, four and padded ones nobody's.
    let good = hs256(EXP);
    let (signed, mac) = good.rsplit_once('.').expect("three parts");
    for wrong in [
        format!("{good}.{mac}.{mac}"),
        format!("{good}.{mac}"),
        signed.to_owned(),
        format!("{good}="),
        format!(" {good}"),
        format!("{good}\n"),
        format!("Bearer {good}"),
        good.replace('.', ".."),
    ] {
        let refused = ours.verify("a", &wrong);
        assert_eq!(refused, Err(TokenError::Unknown), "{wrong}");
    }
}

/// Numbers that are none, or of another time, and claims that are deep.
#[test]
fn odd_numbers_and_depths_are_refused_or_read_as_they_stand() {
    let ours = Credential::Key(secret(KEY));
    let read = |claims: &str| ours.verify("a", &hs256(claims)).map(|it| it.expires);
    for number in [
        "1e18",
        "1e400",
        "-1e400",
        "253402300800",
        "99999999999999999999999999999999",
        "-1",
        "-0.5",
        "NaN",
        "Infinity",
        "0x6b49d200",
        "01800000900",
        "+1800000900",
        "true",
        "\"1800000900\"",
        "[1800000900]",
        "{\"$numberLong\":\"1800000900\"}",
    ] {
        let refused = read(&format!(r#"{{"exp":{number}}}"#));
        assert!(
            matches!(refused, Err(TokenError::Claim(_))),
            "{number}: {refused:?}"
        );
    }
    for (number, seconds) in [
        ("1800000900", 1_800_000_900),
        ("1800000900.0", 1_800_000_900),
        ("1800000900.999", 1_800_000_900),
        ("1.8000009e9", 1_800_000_900),
        ("253402300799", 253_402_300_799),
        ("0", 0),
        ("-0", 0),
        ("-0.0", 0),
        ("1e-400", 0),
    ] {
        let expires = UNIX_EPOCH + Duration::from_secs(seconds);
        let read = read(&format!(r#"{{"exp":{number}}}"#));
        assert_eq!(read, Ok(Some(expires)), "{number}");
    }
    let deep = format!("{}1{}", "[".repeat(1000), "]".repeat(1000));
    for claims in [
        format!(r#"{{"exp":1800000900,"sub":{deep}}}"#),
        format!(r#"{{"exp":1800000900,"aud":{deep}}}"#),
    ] {
        let refused = read(&claims);
        assert!(matches!(refused, Err(TokenError::Claim(_))), "{refused:?}");
    }
    // What nobody reads may be as it likes.
    let other = format!(r#"{{"exp":1800000900,"other":{deep}}}"#);
    assert!(read(&other).is_ok());
}

/// Who a bearer is stands in logs, records and on screens.
#[test]
fn a_name_that_plays_tricks_makes_the_token_void() {
    let ours = Credential::Key(secret(KEY));
    for name in [
        "ada\nlet in",
        "\u{1b}[2J",
        "\u{202e}ada",
        "a\u{0}b",
        "\u{2066}a",
    ] {
        for claim in ["sub", "jti"] {
            let mut claims = json!({ "exp": NOW + 900 });
            claims[claim] = name.into();
            let refused = ours.verify("a", &hs256(&claims.to_string()));
            assert_eq!(refused, Err(TokenError::Claim(claim)), "{name:?}");
        }
    }
}

/// Sets as identity providers publish them, and as they should not.
#[test]
fn a_set_is_taken_for_what_can_be_used_and_never_with_a_private_key() {
    let [ed25519, p256] = pairs();
    let jwk = |key: &SigningKey, kid: &str| -> Value {
        let text = key.clone().with_id(kid).public_jwk().expect("one");
        serde_json::from_str(&text).expect("JSON")
    };
    let rsa = json!({ "kty": "RSA", "kid": "rsa-1", "alg": "RS256", "n": "AQAB", "e": "AQAB" });
    let set = |keys: &[Value]| PublicKeys::new(&json!({ "keys": keys }).to_string());

    // One name for several keys, of several kinds: each is tried.
    let mixed = [jwk(&ed25519, "1"), rsa.clone(), jwk(&p256, "1")];
    let mixed = set(&mixed).expect("two are good");
    assert_eq!(
        mixed.passed_over(),
        Some("the key \"rsa-1\" is passed over: a public key is on Ed25519 or P-256")
    );
    let mixed = Credential::PublicKeys(mixed);
    for key in [&ed25519, &p256] {
        let token = key.clone().with_id("1").mint(&claims()).expect("short");
        assert!(mixed.verify("a", &token).is_ok());
    }
    let long = json!({ "kty": "RSA", "kid": "\u{202e}".repeat(900), "n": "AQAB", "e": "AQAB" });
    let several = set(&[long, rsa.clone(), jwk(&p256, "1")]).expect("one is good");
    let told = several.passed_over().expect("two");
    assert!(
        told.starts_with("2 keys are passed over, the first, "),
        "{told}"
    );
    assert!(told.len() < 1000 && told.is_ascii(), "{told}");
    assert!(set(std::slice::from_ref(&rsa)).is_err(), "nothing is left");

    // Meant for something else, in either way to say so.
    for (name, value, good) in [
        ("use", json!("enc"), false),
        ("use", json!("sig"), true),
        ("key_ops", json!(["verify"]), true),
        ("key_ops", json!(["deriveKey"]), false),
        ("key_ops", json!(["sign"]), false),
        ("key_ops", json!([]), false),
        ("alg", json!("ES256"), true),
        ("alg", json!("ES384"), false),
        ("alg", json!("ECDH-ES"), false),
        ("x5u", json!("https://attacker.example/"), true),
        ("x5c", json!(["not base64"]), true),
    ] {
        let mut key = jwk(&p256, "1");
        key[name] = value.clone();
        assert_eq!(set(&[key]).is_ok(), good, "{name}: {value}");
    }

    // Private halves, of whatever kind, wherever they stand.
    let mut own = jwk(&p256, "mine");
    own["d"] = "AAAA".into();
    let mut other = rsa;
    other["d"] = json!(null);
    for private in [own, other] {
        let error = set(&[jwk(&ed25519, "1"), private]).expect_err("private");
        assert!(error.contains("there is a private key, \""), "{error}");
    }
    // A point that isn't on the curve verifies nothing.
    let mut off = jwk(&p256, "1");
    off["y"] = off["x"].clone();
    if let Ok(off) = set(&[off]) {
        let token = p256.clone().with_id("1").mint(&claims()).expect("short");
        assert_eq!(off.verify("a", &token), Err(TokenError::Unknown));
    }
}

/// A pair is found among public keys by what it is, not by what it is called.
#[test]
fn a_private_key_is_of_its_public_one_alone() {
    let [ed25519, p256] = pairs();
    let named = public(&ed25519.clone().with_id("old"));
    let nameless = public(&ed25519);
    assert!(named.pair(&p256, "a").is_none());
    let secret = SigningKey::hs256(&secret(KEY)).expect("long enough");
    assert!(named.pair(&secret, "a").is_none());
    for (keys, id) in [(named, "old"), (nameless, "a")] {
        let pair = keys.pair(&ed25519, "a").expect("its own");
        let jwk = pair.public_jwk().expect("one");
        assert!(jwk.contains(&format!("\"kid\":\"{id}\"")), "{jwk}");
        let token = pair.mint(&claims()).expect("short");
        assert!(keys.verify("a", &token).is_ok());
        // Under a name that it doesn't have.
        let other = ed25519.clone().with_id("other");
        let pair = keys.pair(&other, "a").expect("its own");
        let token = pair.mint(&claims()).expect("short");
        assert!(keys.verify("a", &token).is_ok());
    }
}

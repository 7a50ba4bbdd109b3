//! Oracle: what holds for any token that is presented, and for any claims that are signed.

use base64::Engine as _;
use ring::hmac;

use super::{BASE64, Credential, PublicKeys, Secret, SigningKey, TokenError};

/// The token's name in the configuration.
const NAME: &str = "fuzzed";
/// The key that signs; the corpus is signed with it too.
const KEY: &str = "a-signing-key-for-the-fuzz-target";
/// Public keys of which nobody has the private ones: RFC 8037, appendix A, and RFC 7517, appendix A.1.
const PUBLIC: &str = r#"{"keys":[
    {"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},
    {"kty":"EC","crv":"P-256","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
     "y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}]}"#;

/// Verifying never panics, whatever is presented. What nobody has signed is unknown. What the key has signed
/// is read, or its claim named; then a token that is made of what was read says the same again, and no
/// byte of it can be changed.
///
/// # Panics
/// Where that is not so.
pub fn token(data: &[u8]) {
    let secret = Secret::new(KEY).expect("long enough");
    let public = PublicKeys::new(PUBLIC).expect("two keys");
    let (key, public) = (
        Credential::Key(secret.clone()),
        Credential::PublicKeys(public),
    );
    let text = String::from_utf8_lossy(data);
    assert_eq!(public.verify(NAME, &text), Err(TokenError::Unknown));
    let presented = key.verify(NAME, &text);
    // The same bytes as claims.
    let header = BASE64.encode(r#"{"alg":"HS256","typ":"JWT"}"#);
    let signed = format!("{header}.{}", BASE64.encode(data));
    let mac = hmac::sign(&secret.key(), signed.as_bytes());
    let signed = key.verify(NAME, &format!("{signed}.{}", BASE64.encode(mac)));
    assert_ne!(signed, Err(TokenError::Unknown), "the key has signed it");

    let signing = SigningKey::hs256(&secret).expect("long enough");
    for proven in [presented, signed].into_iter().flatten() {
        let Some(claims) = proven.claims else {
            continue;
        };
        // What was written in fewer bytes than it takes here may be too long.
        let Ok(token) = signing.mint(&claims) else {
            continue;
        };
        let again = key.verify(NAME, &token).expect("the key has signed it");
        assert_eq!(again.claims, Some(claims));
        let at = data.first().map_or(0, |&byte| usize::from(byte)) % token.len();
        let mut changed = token.into_bytes();
        changed[at] ^= 1;
        let changed = String::from_utf8(changed).expect("ASCII");
        assert_eq!(key.verify(NAME, &changed), Err(TokenError::Unknown));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fuzzing_began_with_and_found() {
        jackfield_corpora::hold("relay_token", token);
    }
}

//! The vectors of RFC 8613, appendix C (`tests/vectors/oscore`).

use std::fs;
use std::path::Path;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::crypto::{Derivation, additional_data, info, nonce};
use super::sequence::{END, Sequence};
use super::{Algorithm, Context, Parameters};
use crate::codec::{Datagram, OptionNumber};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyDerivation {
    title: String,
    master_secret: String,
    master_salt: Option<String>,
    id_context: Option<String>,
    sender_id: String,
    recipient_id: String,
    info: Info,
    sender_key: String,
    recipient_key: String,
    common_iv: String,
    sender_nonce_at_0: String,
    recipient_nonce_at_0: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Info {
    sender_key: String,
    recipient_key: String,
    common_iv: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    title: String,
    context: String,
    sender_sequence_number: u64,
    unprotected: String,
    aad: String,
    nonce: String,
    option: String,
    ciphertext: String,
    protected: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Response {
    title: String,
    context: String,
    request: String,
    partial_iv: bool,
    unprotected: String,
    aad: String,
    nonce: String,
    option: String,
    ciphertext: String,
    protected: String,
}

fn read<T: DeserializeOwned>(name: &str) -> T {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/vectors/oscore")
        .join(format!("{name}.json"));
    let text = fs::read_to_string(path).expect(name);
    serde_json::from_str(&text).expect(name)
}

fn bytes(hex: &str) -> Vec<u8> {
    hex.as_bytes()
        .chunks(2)
        .map(|digits| {
            let digits = str::from_utf8(digits).expect("ASCII");
            u8::from_str_radix(digits, 16).expect("hexadecimal")
        })
        .collect()
}

fn datagram(hex: &str) -> Datagram {
    Datagram::decode(&bytes(hex)).expect("a message")
}

/// The context of a file, at a sequence number.
fn context(name: &str, next: u64) -> Context {
    let vector: KeyDerivation = read(name);
    let mut parameters = Parameters::new(
        &bytes(&vector.master_secret),
        &bytes(&vector.sender_id),
        &bytes(&vector.recipient_id),
    )
    .expect("parameters")
    .with_master_salt(&bytes(vector.master_salt.as_deref().unwrap_or_default()));
    if let Some(id_context) = vector.id_context {
        parameters = parameters
            .with_id_context(&bytes(&id_context))
            .expect("parameters");
    }
    let mut context = Context::ephemeral(&parameters);
    context.sender.sequence = Sequence::starting_at(next);
    context.sender.sequence.reserve(END);
    context
}

/// The same file's other side.
fn peer(name: &str) -> Context {
    match name.split_once('-') {
        Some((vector, "client")) => context(&format!("{vector}-server"), 0),
        Some((vector, _)) => context(&format!("{vector}-client"), 0),
        None => panic!("{name} is neither side's"),
    }
}

#[test]
fn keys_are_derived_as_in_c1_to_c3() {
    let algorithm = Algorithm::AesCcm16_64_128;
    for name in [
        "c1-client",
        "c1-server",
        "c2-client",
        "c2-server",
        "c3-client",
        "c3-server",
    ] {
        let vector: KeyDerivation = read(name);
        let title = &vector.title;
        let secret = bytes(&vector.master_secret);
        let salt = bytes(vector.master_salt.as_deref().unwrap_or_default());
        let id_context = vector.id_context.as_deref().map(bytes);
        let ours = bytes(&vector.sender_id);
        let theirs = bytes(&vector.recipient_id);
        let info = |id: &[u8], kind: &str, length| {
            info(id, id_context.as_deref(), algorithm, kind, length)
        };
        assert_eq!(
            info(&ours, "Key", 16),
            bytes(&vector.info.sender_key),
            "{title}"
        );
        assert_eq!(
            info(&theirs, "Key", 16),
            bytes(&vector.info.recipient_key),
            "{title}"
        );
        assert_eq!(
            info(&[], "IV", 13),
            bytes(&vector.info.common_iv),
            "{title}"
        );

        let derivation = Derivation::new(&secret, &salt, id_context.as_deref(), algorithm);
        assert_eq!(*derivation.key(&ours), bytes(&vector.sender_key), "{title}");
        assert_eq!(
            *derivation.key(&theirs),
            bytes(&vector.recipient_key),
            "{title}"
        );
        let iv = derivation.common_iv();
        assert_eq!(iv.to_vec(), bytes(&vector.common_iv), "{title}");
        let at_0 = |id: &[u8]| nonce(&iv, id, &[0]).to_vec();
        assert_eq!(at_0(&ours), bytes(&vector.sender_nonce_at_0), "{title}");
        assert_eq!(
            at_0(&theirs),
            bytes(&vector.recipient_nonce_at_0),
            "{title}"
        );
    }
}

#[test]
fn requests_are_protected_and_verified_as_in_c4_to_c6() {
    for name in ["c4-request", "c5-request", "c6-request"] {
        let vector: Request = read(name);
        let title = &vector.title;
        let mut ours = context(&vector.context, vector.sender_sequence_number);
        let piv = [vector.sender_sequence_number as u8];
        let aad = additional_data(ours.algorithm, &ours.sender.id, &piv);
        assert_eq!(aad, bytes(&vector.aad), "{title}");
        let nonce = nonce(&ours.common_iv, &ours.sender.id, &piv);
        assert_eq!(nonce.to_vec(), bytes(&vector.nonce), "{title}");

        let mut request = datagram(&vector.unprotected);
        let (protected, _) = ours.protect_request(&request.message).expect(title);
        let option = protected.options().get(OptionNumber::OSCORE);
        assert_eq!(option, Some(&bytes(&vector.option)[..]), "{title}");
        assert_eq!(protected.payload, bytes(&vector.ciphertext), "{title}");
        let unprotected = std::mem::replace(&mut request.message, protected);
        assert_eq!(request.to_bytes(), bytes(&vector.protected), "{title}");

        let received = datagram(&vector.protected).message;
        let (verified, _) = peer(&vector.context)
            .unprotect_request(&received)
            .expect(title);
        assert_eq!(verified, unprotected, "{title}");
    }
}

#[test]
fn responses_are_protected_and_verified_as_in_c7_and_c8() {
    for name in ["c7-response", "c8-response"] {
        let vector: Response = read(name);
        let title = &vector.title;
        let asked: Request = read(&vector.request);
        let mut theirs = context(&asked.context, asked.sender_sequence_number);
        let unprotected = datagram(&asked.unprotected).message;
        let (protected, mut sent) = theirs.protect_request(&unprotected).expect(title);
        let mut ours = context(&vector.context, 0);
        let (_, mut answering) = ours.unprotect_request(&protected).expect(title);
        // As after a first notification.
        answering.nonce_used = vector.partial_iv;
        let kid = &ours.recipient.id;
        let piv = [asked.sender_sequence_number as u8];
        assert_eq!(
            additional_data(ours.algorithm, kid, &piv),
            bytes(&vector.aad),
            "{title}"
        );
        let nonce = if vector.partial_iv {
            nonce(&ours.common_iv, &ours.sender.id, &[0])
        } else {
            nonce(&ours.common_iv, kid, &piv)
        };
        assert_eq!(nonce.to_vec(), bytes(&vector.nonce), "{title}");

        let mut response = datagram(&vector.unprotected);
        let protected = ours
            .protect_response(&mut answering, &response.message)
            .expect(title);
        let option = protected
            .options()
            .iter()
            .find(|(number, _)| *number == OptionNumber::OSCORE);
        assert_eq!(
            option.map(|(_, value)| value),
            Some(&bytes(&vector.option)[..]),
            "{title}"
        );
        assert_eq!(protected.payload, bytes(&vector.ciphertext), "{title}");
        let unprotected = std::mem::replace(&mut response.message, protected);
        assert_eq!(response.to_bytes(), bytes(&vector.protected), "{title}");

        let received = datagram(&vector.protected).message;
        let verified = theirs
            .unprotect_response(&mut sent, &received)
            .expect(title);
        assert_eq!(verified, unprotected, "{title}");
    }
}

//! The client's side of SCRAM-SHA-256 (RFC 7677), without channel binding.

use std::num::NonZeroU32;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::{digest, hmac, pbkdf2};

/// Its name.
pub const METHOD: &str = "SCRAM-SHA-256";

/// A login under way.
#[derive(Debug)]
pub struct Login {
    password: String,
    first_bare: String,
    server_signature: Option<Vec<u8>>,
}

impl Login {
    /// A login with a name and a nonce that need no escaping.
    pub fn new(name: &str, password: &str, nonce: &str) -> Self {
        Self {
            password: password.to_owned(),
            first_bare: format!("n={name},r={nonce}"),
            server_signature: None,
        }
    }

    /// The first message.
    pub fn first(&self) -> String {
        format!("n,,{}", self.first_bare)
    }

    /// The answer to the server's first message.
    pub fn answer(&mut self, challenge: &[u8]) -> String {
        let challenge = std::str::from_utf8(challenge).expect("text");
        let field = |name| {
            let mut fields = challenge.split(',');
            fields
                .find_map(|field| field.strip_prefix(name))
                .expect("a field")
        };
        let salt = STANDARD.decode(field("s=")).expect("a salt");
        let rounds: NonZeroU32 = field("i=").parse().expect("a number");
        let mut salted = [0; digest::SHA256_OUTPUT_LEN];
        pbkdf2::derive(
            pbkdf2::PBKDF2_HMAC_SHA256,
            rounds,
            &salt,
            self.password.as_bytes(),
            &mut salted,
        );
        let without_proof = format!("c=biws,r={}", field("r="));
        let signed = format!("{},{challenge},{without_proof}", self.first_bare);
        let client_key = sign(&salted, "Client Key");
        let stored_key = digest::digest(&digest::SHA256, &client_key);
        let signature = sign(stored_key.as_ref(), &signed);
        let proof: Vec<u8> = client_key
            .iter()
            .zip(&signature)
            .map(|(key, signature)| key ^ signature)
            .collect();
        self.server_signature = Some(sign(&sign(&salted, "Server Key"), &signed));
        format!("{without_proof},p={}", STANDARD.encode(proof))
    }

    /// The server has to prove that it knows the password too.
    pub fn verify(&self, last: &[u8]) {
        let signature = last.strip_prefix(b"v=").expect("a signature");
        let signature = STANDARD.decode(signature).expect("in Base64");
        assert_eq!(Some(signature), self.server_signature);
    }
}

fn sign(key: &[u8], text: &str) -> Vec<u8> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    hmac::sign(&key, text.as_bytes()).as_ref().to_vec()
}

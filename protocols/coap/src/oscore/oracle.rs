//! The oracle of OSCORE: what must hold for any input, shared by the tests here and the fuzz
//! target.

use super::crypto::{additional_data, nonce};
use super::option::Header;
use super::{Context, Parameters};
use crate::codec::{Code, Datagram, Message, OptionNumber};

/// Nothing that a peer sends makes a context panic; what was not made with its keys is refused; what
/// was, whatever it says, is refused or means the same after another round; and the option's value
/// has one form.
///
/// The first byte says which of these is tried.
///
/// # Panics
/// When one of these promises is broken.
pub fn unprotect(data: &[u8]) {
    let Some((&what, data)) = data.split_first() else {
        return;
    };
    match what % 4 {
        0 => header(data),
        1 => stranger(data),
        2 => plaintext(data, true),
        _ => plaintext(data, false),
    }
}

fn contexts() -> (Context, Context) {
    let parameters = |ours: &[u8], theirs: &[u8]| {
        Parameters::new(&[0x5a; 16], ours, theirs)
            .and_then(|parameters| parameters.with_id_context(b"i"))
            .expect("parameters")
    };
    (
        Context::ephemeral(&parameters(b"", b"s")),
        Context::ephemeral(&parameters(b"s", b"")),
    )
}

fn header(value: &[u8]) {
    if let Ok(header) = Header::decode(value) {
        assert_eq!(header.encode(), value, "the header has another form");
    }
}

/// A message of someone who has no key.
fn stranger(data: &[u8]) {
    let Ok(datagram) = Datagram::decode(data) else {
        return;
    };
    let message = datagram.message;
    let (mut client, mut server) = contexts();
    let refusal = server
        .unprotect_request(&message)
        .expect_err("a request was forged");
    if let Some(response) = refusal.into_response() {
        assert!(response.code().is_client_error());
        assert_eq!(response.token(), message.token());
    }
    let (_, mut sent) = client
        .protect_request(&Message::new(Code::GET))
        .expect("a number is left");
    client
        .unprotect_response(&mut sent, &message)
        .expect_err("a response was forged");
}

/// A message of someone who has the key, and says what it likes.
fn plaintext(data: &[u8], is_request: bool) {
    let (mut client, mut server) = contexts();
    let mut sealed = data.to_vec();
    let mut message = Message::new(Code::POST);
    if is_request {
        let nonce = nonce(&client.common_iv, b"", &[7]);
        let data = additional_data(client.algorithm, b"", &[7]);
        if client
            .sender
            .cipher
            .seal(&nonce, &data, &mut sealed)
            .is_err()
        {
            return;
        }
        message.options_mut().insert(OptionNumber::OSCORE, &[9, 7]);
        message.payload = sealed.into();
        if let Ok((plain, _)) = server.unprotect_request(&message) {
            assert!(plain.code().is_request());
            let (mut client, mut server) = contexts();
            // It may have options that are not protected twice.
            if let Ok((again, _)) = client.protect_request(&plain) {
                let (again, _) = server.unprotect_request(&again).expect("it is ours");
                // Which is split, and says the same in other options.
                if !plain.options().contains(OptionNumber::PROXY_URI) {
                    assert_eq!(again, plain, "it means something else");
                }
            }
        }
    } else {
        let mut request = Message::new(Code::GET);
        request.set_observe(0);
        let (protected, mut sent) = client.protect_request(&request).expect("a number is left");
        let nonce = nonce(&server.common_iv, b"", &[0]);
        let data = additional_data(server.algorithm, b"", &[0]);
        if server
            .sender
            .cipher
            .seal(&nonce, &data, &mut sealed)
            .is_err()
        {
            return;
        }
        message.set_code(Code::CHANGED);
        message.options_mut().insert(OptionNumber::OSCORE, &[]);
        message.payload = sealed.into();
        if let Ok(plain) = client.unprotect_response(&mut sent, &message) {
            assert!(plain.code().is_response());
            client
                .unprotect_response(&mut sent, &message)
                .expect_err("a response was accepted twice");
            let (mut client, _) = contexts();
            let (_, mut sent) = client.protect_request(&request).expect("a number is left");
            let (_, mut answering) = server.unprotect_request(&protected).expect("it is ours");
            if let Ok(again) = server.protect_response(&mut answering, &plain) {
                let again = client
                    .unprotect_response(&mut sent, &again)
                    .expect("it is ours");
                assert_eq!(again.code(), plain.code());
                assert_eq!(again.payload, plain.payload);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_received() {
        let mut random = fastrand::Rng::with_seed(8613);
        for _ in 0..3_000 {
            let mut data = vec![0; random.usize(..60)];
            random.fill(&mut data);
            // More often than chance would have it, something like a message.
            if random.bool() && data.len() > 2 {
                data[1] = [0x40, 0x01, 0x45, 0x09][random.usize(..4)];
            }
            unprotect(&data);
        }
    }

    /// What the fuzz target begins with, and what it has found.
    #[test]
    fn the_corpus_holds() {
        jackfield_corpora::hold("oscore_unprotect", unprotect);
    }
}

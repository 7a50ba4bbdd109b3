//! What holds whatever a server sends. Tests and the fuzz target share it.

use crate::exchange::{Exchange, Limits};
use crate::scram::{Hash, Keys};
use crate::{Channel, ChannelBinding, Credentials, Mechanism, base64, choose};

const NAME: &str = "ada,=";
const PASSWORD: &str = "correct horse";
const TOKEN: &str = "dG9rZW4";
const NONCE: &str = "fyko+d2lbbFgONRv9qkxdawL";

/// Plays a server to an exchange, as a script says: each step is a byte, and what belongs to it.
///
/// Whatever the server says: a secret is sent over nothing that is not encrypted, SCRAM never sends
/// one, an exchange that has failed stays so, and success is none unless the server has what it needs,
/// and has proven that it knows the password where the mechanism can tell.
///
/// # Panics
/// When one of these promises is broken.
pub fn exchange(script: &[u8]) {
    let mut script = script.iter().copied();
    let (Some(mechanism), Some(flags)) = (script.next(), script.next()) else {
        return;
    };
    let mechanism = Mechanism::ALL[usize::from(mechanism) % Mechanism::ALL.len()];
    let channel = Channel {
        encrypted: flags & 1 != 0,
        binding: (flags & 2 != 0).then(|| ChannelBinding::tls_exporter([7; 32])),
    };
    let limits = Limits {
        max_challenge: 200,
        max_iterations: 50,
        min_iterations: 1,
    };

    let credentials = credentials(mechanism);
    let offered = [mechanism.name()];
    let started = choose(offered, &credentials, &channel).and_then(|choice| {
        Exchange::start_with_nonce(choice, &credentials, &channel, limits, NONCE)
    });
    let able = (channel.encrypted || !mechanism.is_plaintext())
        && (channel.binding.is_some() || !mechanism.is_bound());
    assert_eq!(started.is_ok(), able, "{mechanism} over {channel:?}");
    let Ok(exchange) = started else { return };
    let mut play = Play {
        exchange,
        server: Server::new(mechanism, if flags & 4 == 0 { PASSWORD } else { "guess" }),
        sent: Vec::new(),
        heard: Vec::new(),
        failed: false,
    };
    while let Some(step) = script.next() {
        let raw = |script: &mut dyn Iterator<Item = u8>| {
            let length = script.next().unwrap_or_default();
            script.take(usize::from(length)).collect::<Vec<u8>>()
        };
        match step % 7 {
            0 => play.initial_response(),
            1 => {
                let honest = play.honest();
                play.challenge(honest);
            }
            2 => play.challenge(raw(&mut script)),
            3 => play.success(None),
            4 => play.success(Some(raw(&mut script))),
            5 => {
                let honest = play.honest();
                play.success(Some(honest));
            }
            _ => {
                let mut honest = play.honest();
                let (at, with) = (script.next(), script.next());
                let at = usize::from(at.unwrap_or_default());
                if let Some(byte) = honest.get_mut(at) {
                    *byte ^= with.unwrap_or_default();
                }
                play.challenge(honest);
            }
        }
    }
}

fn credentials(mechanism: Mechanism) -> Credentials {
    let credentials = match mechanism {
        Mechanism::External => Ok(Credentials::external()),
        Mechanism::OAuthBearer | Mechanism::XOAuth2 => Credentials::token(NAME, TOKEN),
        _ => Credentials::password(NAME, PASSWORD),
    };
    credentials.expect("valid credentials")
}

struct Play {
    exchange: Exchange,
    server: Server,
    /// What the client has sent.
    sent: Vec<Vec<u8>>,
    /// The challenges that it has taken.
    heard: Vec<Vec<u8>>,
    failed: bool,
}

impl Play {
    fn initial_response(&mut self) {
        if let Some(message) = self.exchange.initial_response() {
            assert!(self.sent.is_empty() && !self.failed, "it is the first");
            self.send(message);
        }
    }

    fn send(&mut self, message: Vec<u8>) {
        if self.exchange.mechanism().is_scram() {
            assert!(!contains(&message, PASSWORD), "SCRAM tells no password");
        }
        self.sent.push(message);
    }

    fn challenge(&mut self, challenge: Vec<u8>) {
        let began = !self.sent.is_empty();
        match self.exchange.step(&challenge) {
            Ok(answer) => {
                assert!(!self.failed, "what has failed stays so");
                self.send(answer);
                if began {
                    self.heard.push(challenge);
                }
            }
            Err(error) => {
                assert!(!error.to_string().contains(PASSWORD));
                self.failed = true;
            }
        }
    }

    fn success(&mut self, data: Option<Vec<u8>>) {
        let outcome = self.exchange.finish(data.as_deref());
        if outcome.is_err() {
            self.failed = true;
            return;
        }
        assert!(!self.failed, "what has failed stays so");
        let has = |secret| self.sent.iter().any(|sent| contains(sent, secret));
        match self.exchange.mechanism() {
            Mechanism::Login | Mechanism::Plain => assert!(has(PASSWORD)),
            Mechanism::OAuthBearer | Mechanism::XOAuth2 => {
                assert!(has(TOKEN) && self.heard.is_empty());
            }
            Mechanism::External => assert_eq!(self.sent, [b""]),
            _ => {
                self.heard.extend(data.filter(|data| !data.is_empty()));
                self.verified();
            }
        }
    }

    /// The server has sent the signature of one who knows the password.
    fn verified(&self) {
        let [first, last, ..] = &self.heard[..] else {
            panic!("a server that says little has proven nothing");
        };
        let knows = Server::new(self.exchange.mechanism(), PASSWORD);
        let signature = knows.last(&self.sent[0], first, &self.sent[1]);
        let value = last.split(|byte| *byte == b',').next();
        assert_eq!(value, Some(&signature[..]), "the signature is another's");
    }

    /// What an honest server says next.
    fn honest(&self) -> Vec<u8> {
        let scram = self.exchange.mechanism().is_scram();
        match (&self.sent[..], &self.heard[..]) {
            ([first], []) if scram => Server::first(first),
            ([first, last, ..], [challenge, ..]) if scram => {
                self.server.last(first, challenge, last)
            }
            _ => Vec::new(),
        }
    }
}

/// An honest SCRAM server that checks nothing: it tells what one who knows this password would.
pub(crate) struct Server {
    hash: Hash,
    password: &'static str,
}

impl Server {
    pub(crate) fn new(mechanism: Mechanism, password: &'static str) -> Self {
        Self {
            hash: Hash::of(mechanism),
            password,
        }
    }

    pub(crate) fn first(client_first: &[u8]) -> Vec<u8> {
        let nonce = attribute(client_first, "r=");
        format!("r={nonce}3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=3").into_bytes()
    }

    pub(crate) fn last(
        &self,
        client_first: &[u8],
        server_first: &[u8],
        client_last: &[u8],
    ) -> Vec<u8> {
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        let (client_first, server_first) = (text(client_first), text(server_first));
        let client_last = text(client_last);
        let bare = client_first.find("n=").unwrap_or_default();
        let proof = client_last.rfind(",p=").unwrap_or_default();
        let auth = [&client_first[bare..], &server_first, &client_last[..proof]].join(",");

        let salt = base64::decode(attribute(server_first.as_bytes(), "s=")).unwrap_or_default();
        let rounds = attribute(server_first.as_bytes(), "i=").parse();
        let keys = Keys::new(
            self.hash,
            self.password.as_bytes(),
            &salt,
            rounds.unwrap_or(1),
        );
        let signature = keys.signature(auth.as_bytes());
        format!("v={}", base64::encode(&*signature)).into_bytes()
    }
}

/// The value of the first attribute of this name.
fn attribute(message: &[u8], name: &str) -> String {
    let text = String::from_utf8_lossy(message);
    let mut parts = text.split(',');
    let value = parts.find_map(|part| part.strip_prefix(name));
    value.unwrap_or_default().to_owned()
}

fn contains(message: &[u8], secret: &str) -> bool {
    let mut windows = message.windows(secret.len());
    windows.any(|window| window == secret.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Error;

    #[test]
    fn the_fuzzers_inputs_hold() {
        jackfield_corpora::hold("sasl", exchange);
    }

    #[test]
    fn whatever_comes_holds() {
        let mut random = fastrand::Rng::with_seed(5802);
        for _ in 0..5_000 {
            let script: Vec<u8> = (0..30)
                // Mostly steps, so that some get somewhere.
                .map(|_| match random.u8(..) {
                    byte if random.bool() => byte % 9,
                    byte => byte,
                })
                .collect();
            exchange(&script);
        }
    }

    /// Scripts whose steps matter, so that the inputs above reach as far as success.
    #[test]
    fn an_honest_server_gets_through() {
        for mechanism in Mechanism::ALL {
            let channel = Channel::encrypted().with_binding(ChannelBinding::tls_exporter([7; 32]));
            let exchange = Exchange::start_with_nonce(
                mechanism,
                &credentials(mechanism),
                &channel,
                Limits {
                    min_iterations: 1,
                    ..Limits::default()
                },
                NONCE,
            );
            let mut play = Play {
                exchange: exchange.expect("it begins"),
                server: Server::new(mechanism, PASSWORD),
                sent: Vec::new(),
                heard: Vec::new(),
                failed: false,
            };
            play.initial_response();
            let challenges = match mechanism {
                Mechanism::Login => 2,
                _ if mechanism.is_scram() => 1,
                _ => 0,
            };
            for _ in 0..challenges {
                let honest = play.honest();
                play.challenge(honest);
            }
            let honest = play.honest();
            play.success(Some(honest));
            assert!(!play.failed, "{mechanism}");
        }
    }

    #[test]
    fn one_who_guesses_the_password_is_found_out() {
        let exchange = Exchange::start_with_nonce(
            Mechanism::ScramSha256,
            &credentials(Mechanism::ScramSha256),
            &Channel::plaintext(),
            Limits {
                min_iterations: 1,
                ..Limits::default()
            },
            NONCE,
        );
        let mut exchange = exchange.expect("it begins");
        let server = Server::new(Mechanism::ScramSha256, "guess");
        let first = exchange.initial_response().expect("a message");
        let challenge = Server::first(&first);
        let last = exchange.step(&challenge).expect("an answer");
        let signature = server.last(&first, &challenge, &last);
        assert_eq!(exchange.step(&signature), Err(Error::WrongSignature));
        assert_eq!(exchange.finish(None), Err(Error::Failed));
    }
}

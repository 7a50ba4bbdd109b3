//! A server's side of OSCORE: several contexts, and the requests that it is to answer.

use std::collections::BTreeMap;

use jackfield_socket::driver::Peer;
use jackfield_store::Batch;

use super::{Context, Error, ErrorKind, Refusal, ServerExchange};
use crate::codec::{Code, Message, Token};

/// How many requests that are still to be answered, and observations, are remembered. Beyond it, the
/// one of which nothing was heard for longest is forgotten: it gets no answer any more.
const MAX_EXCHANGES: usize = 1024;

/// A server's contexts, and what its answers are bound to.
#[derive(Debug)]
pub(crate) struct ServerContexts {
    contexts: Vec<Context>,
    exchanges: BTreeMap<(Peer, Token), Answering>,
    /// How often an exchange was used.
    uses: u64,
}

#[derive(Debug)]
struct Answering {
    exchange: ServerExchange,
    /// Whose it is, of the contexts.
    context: usize,
    last_used: u64,
}

impl ServerContexts {
    pub(crate) fn new(contexts: Vec<Context>) -> Self {
        Self {
            contexts,
            exchanges: BTreeMap::new(),
            uses: 0,
        }
    }

    /// What is to be stored next, and for which of the contexts ([`Context::poll_store`]).
    pub(crate) fn poll_store(&mut self) -> Option<(usize, Batch)> {
        let mut contexts = self.contexts.iter_mut().enumerate();
        contexts.find_map(|(index, context)| Some((index, context.poll_store()?)))
    }

    /// One of the contexts.
    pub(crate) fn context(&mut self, index: usize) -> Option<&mut Context> {
        self.contexts.get_mut(index)
    }

    /// Verifies a request with whichever context is its own; otherwise gives what to answer, if
    /// anything. A request that is not protected is answered with 4.01.
    pub(crate) fn unprotect(
        &mut self,
        from: Peer,
        request: &Message,
    ) -> Result<Message, Option<Message>> {
        let mut refusal: Option<Refusal> = None;
        for (index, context) in self.contexts.iter_mut().enumerate() {
            match context.unprotect_request(request) {
                Ok((plain, exchange)) => {
                    self.remember((from, request.token()), exchange, index);
                    return Ok(plain);
                }
                Err(other) => {
                    // Several may go by the same name (section 3.3): what the others say counts less
                    // than what that one says which knows it.
                    let says_more = other.error().kind() != ErrorKind::UnknownContext;
                    if refusal.is_none() || says_more {
                        refusal = Some(other);
                    }
                    // Challenged, with its own key: it is this one's.
                    if refusal.as_ref().map(|it| it.error().kind())
                        == Some(ErrorKind::Unsynchronised)
                    {
                        break;
                    }
                }
            }
        }
        Err(match refusal {
            Some(refusal) if refusal.error().kind() != ErrorKind::Unprotected => {
                refusal.into_response()
            }
            _ => {
                let mut response = Message::new(Code::UNAUTHORIZED);
                response.set_token(request.token());
                response.set_max_age(0);
                Some(response)
            }
        })
    }

    /// Protects a response, or a notification, to a request that was verified.
    pub(crate) fn protect(&mut self, to: Peer, response: &Message) -> Result<Message, Error> {
        let key = (to, response.token());
        let answering = self.exchanges.get_mut(&key);
        let Some(answering) = answering else {
            return Err(Error::unasked());
        };
        let Some(context) = self.contexts.get_mut(answering.context) else {
            return Err(Error::unasked());
        };
        let protected = context.protect_response(&mut answering.exchange, response)?;
        self.uses += 1;
        answering.last_used = self.uses;
        if response.observe().is_none() {
            self.exchanges.remove(&key);
        }
        Ok(protected)
    }

    fn remember(&mut self, key: (Peer, Token), exchange: ServerExchange, context: usize) {
        if self.exchanges.len() >= MAX_EXCHANGES && !self.exchanges.contains_key(&key) {
            let oldest = self
                .exchanges
                .iter()
                .min_by_key(|(_, answering)| answering.last_used)
                .map(|(key, _)| *key);
            if let Some(oldest) = oldest {
                self.exchanges.remove(&oldest);
            }
        }
        self.uses += 1;
        let answering = Answering {
            exchange,
            context,
            last_used: self.uses,
        };
        self.exchanges.insert(key, answering);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oscore::{ClientExchange, Parameters};

    const PEER: Peer = Peer::Connected;

    fn parameters(secret: u8, ours: &[u8], theirs: &[u8]) -> Parameters {
        Parameters::new(&[secret; 16], ours, theirs).expect("parameters")
    }

    fn ask(client: &mut Context, token: u32) -> (Message, ClientExchange) {
        let mut request = Message::new(Code::GET);
        request.set_token(Token::new(&token.to_be_bytes()).expect("a token"));
        client.protect_request(&request).expect("a number")
    }

    fn content(token: Token) -> Message {
        let mut response = Message::new(Code::CONTENT);
        response.set_token(token);
        response
    }

    #[test]
    fn each_client_has_its_own_keys_though_they_have_the_same_name() {
        let mut contexts = ServerContexts::new(vec![
            Context::ephemeral(&parameters(1, b"s", b"c")),
            Context::ephemeral(&parameters(2, b"s", b"c")),
        ]);
        for secret in [2, 1] {
            let mut client = Context::ephemeral(&parameters(secret, b"c", b"s"));
            let (request, mut sent) = ask(&mut client, secret.into());
            let plain = contexts.unprotect(PEER, &request).expect("it is known");
            assert_eq!(plain.code(), Code::GET);
            let response = contexts
                .protect(PEER, &content(plain.token()))
                .expect("a response");
            client
                .unprotect_response(&mut sent, &response)
                .expect("its own");
            // There is one response, and nothing goes out that is not protected.
            assert!(contexts.protect(PEER, &content(plain.token())).is_err());
        }
        let mut stranger = Context::ephemeral(&parameters(3, b"c", b"s"));
        // Whose first number was seen from others.
        ask(&mut stranger, 3);
        let (request, _) = ask(&mut stranger, 3);
        let refused = contexts.unprotect(PEER, &request).expect_err("nobody's");
        assert_eq!(refused.map(|it| it.code()), Some(Code::BAD_REQUEST));
        let refused = contexts
            .unprotect(PEER, &Message::new(Code::GET))
            .expect_err("not protected");
        assert_eq!(refused.map(|it| it.code()), Some(Code::UNAUTHORIZED));
    }

    #[test]
    fn what_is_never_answered_is_forgotten() {
        let mut contexts =
            ServerContexts::new(vec![Context::ephemeral(&parameters(1, b"s", b"c"))]);
        let mut client = Context::ephemeral(&parameters(1, b"c", b"s"));
        let mut tokens = Vec::new();
        for number in 0..=MAX_EXCHANGES as u32 {
            let (request, _) = ask(&mut client, number);
            let plain = contexts.unprotect(PEER, &request).expect("it is known");
            tokens.push(plain.token());
        }
        assert_eq!(contexts.exchanges.len(), MAX_EXCHANGES);
        assert!(contexts.protect(PEER, &content(tokens[0])).is_err());
        assert!(contexts.protect(PEER, &content(tokens[1])).is_ok());
    }
}

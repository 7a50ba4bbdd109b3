//! Protecting and verifying requests and responses (section 8).

use super::context::Replay;
use super::crypto::{additional_data, nonce};
use super::option::Header;
use super::sequence::PartialIv;
use super::window::ReplayWindow;
use super::{Context, Error, ErrorKind, Refusal};
use crate::codec::{Block, Code, Message, OptionNumber, Options, Target, Uri};

/// The value of Observe that registers (RFC 7641, section 2).
const REGISTER: u32 = 0;

/// What a client keeps of a request that it has protected, to verify what answers it: one response,
/// or, where it asked to observe, one notification after the other.
#[derive(Debug)]
pub struct ClientExchange {
    partial_iv: PartialIv,
    registers: bool,
    /// Whether a message with the request's own nonce was accepted: there is one at the most.
    pub(super) nonce_used: bool,
    /// The largest Partial IV of the notifications so far (section 4.1.3.5.2).
    notification: Option<u64>,
    /// Whether a response was accepted after which nothing comes.
    answered: bool,
}

impl ClientExchange {
    /// Whether a response or notification was accepted.
    pub(crate) fn is_answered(&self) -> bool {
        self.nonce_used || self.answered || self.notification.is_some()
    }
}

/// What a server keeps of a request that it has verified, to protect what answers it: one response,
/// or, where it was asked to observe, one notification after the other.
#[derive(Debug)]
pub struct ServerExchange {
    partial_iv: PartialIv,
    /// Whether a response with the request's own nonce was made: there must be one at the most.
    pub(super) nonce_used: bool,
}

impl Context {
    /// Protects a request (section 8.1): what is for the server alone is encrypted, what proxies need
    /// stays readable (Uri-Host, Uri-Port, Proxy-Scheme, Hop-Limit, a Proxy-Uri without path and
    /// query, and that something is observed).
    ///
    /// Each call uses a sequence number. What is sent again because it was lost must be the message
    /// that was protected before, not the request protected again.
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput), where it is no request, is protected already, has
    /// a Proxy-Uri that is not one of CoAP's, or is beyond 64 KiB;
    /// [`Unreserved`](ErrorKind::Unreserved), [`Store`](ErrorKind::Store) and
    /// [`Exhausted`](ErrorKind::Exhausted), where there is no sequence number for it.
    pub fn protect_request(
        &mut self,
        request: &Message,
    ) -> Result<(Message, ClientExchange), Error> {
        if !request.code().is_request() {
            return Err(invalid("only a request can be protected as one"));
        }
        let split = split_proxy_uri(request)?;
        let request = split.as_ref().unwrap_or(request);
        let observe = request.observe();
        let code = match observe {
            Some(_) => Code::FETCH,
            None => Code::POST,
        };
        check_protectable(request)?;
        let partial_iv = self.next_partial_iv()?;
        let header = Header {
            partial_iv: Some(partial_iv.as_bytes()),
            kid_context: self.id_context.as_deref(),
            kid: Some(&self.sender.id),
        };
        let nonce = nonce(&self.common_iv, &self.sender.id, partial_iv.as_bytes());
        let data = additional_data(self.algorithm, &self.sender.id, partial_iv.as_bytes());
        let protected = self.seal(request, code, observe, header, &nonce, &data)?;
        let exchange = ClientExchange {
            partial_iv,
            registers: observe == Some(REGISTER),
            nonce_used: false,
            notification: None,
            answered: false,
        };
        Ok((protected, exchange))
    }

    /// Verifies a response to a protected request, and takes the protection off (section 8.4). Where
    /// it is a notification, the value of its Observe is its place in the order of what this context
    /// has verified, for the server's own value is not protected; a notification that is older than
    /// one before is refused.
    ///
    /// After an error the exchange waits on: whoever can reach us can send us anything, and the real
    /// response may still come.
    ///
    /// # Errors
    /// [`Unprotected`](ErrorKind::Unprotected), where it is not protected, as a server's answers are
    /// that could not verify the request, and everyone's who would like us to believe that;
    /// [`Malformed`](ErrorKind::Malformed), [`UnknownContext`](ErrorKind::UnknownContext),
    /// [`Replay`](ErrorKind::Replay) and [`Forged`](ErrorKind::Forged), as their names say.
    pub fn unprotect_response(
        &mut self,
        exchange: &mut ClientExchange,
        response: &Message,
    ) -> Result<Message, Error> {
        let Some(header) = response.options().get(OptionNumber::OSCORE) else {
            let text = format!("the response ({:?}) is not protected", response.code());
            return Err(Error::new(ErrorKind::Unprotected, text));
        };
        let header = Header::decode(header).map_err(|_| undecodable())?;
        refuse_fragment(response)?;
        if header.kid.is_some_and(|kid| kid != self.recipient.id)
            || (header.kid_context.is_some() && header.kid_context != self.id_context.as_deref())
        {
            return Err(unknown());
        }
        let partial_iv = match header.partial_iv {
            Some(bytes) => Some(PartialIv::from_bytes(bytes).ok_or_else(undecodable)?),
            None => None,
        };
        let of_request = exchange.partial_iv.as_bytes();
        let nonce = if let Some(own) = &partial_iv {
            nonce(&self.common_iv, &self.recipient.id, own.as_bytes())
        } else {
            nonce(&self.common_iv, &self.sender.id, of_request)
        };
        let data = additional_data(self.algorithm, &self.sender.id, of_request);
        let mut plain = self.unseal(response, &nonce, &data)?;
        if !plain.code().is_response() {
            return Err(undecodable());
        }
        self.accept_response(exchange, partial_iv, &mut plain)?;
        Ok(plain)
    }

    /// Sees to it that each response is accepted once, and notifications in their order.
    fn accept_response(
        &mut self,
        exchange: &mut ClientExchange,
        partial_iv: Option<PartialIv>,
        response: &mut Message,
    ) -> Result<(), Error> {
        let is_notification = has(response.options(), OptionNumber::OBSERVE);
        if is_notification && !exchange.registers {
            return Err(Error::new(
                ErrorKind::Malformed,
                "a notification answers a request that did not ask to observe",
            ));
        }
        if exchange.answered {
            return Err(replayed());
        }
        match partial_iv {
            None if exchange.nonce_used => return Err(replayed()),
            // It is the oldest of all, whenever it arrives (section 7.4.1).
            None if is_notification && exchange.notification.is_some() => return Err(replayed()),
            None => exchange.nonce_used = true,
            Some(partial_iv) if is_notification => {
                let number = partial_iv.number();
                if exchange.notification.is_some_and(|newest| number <= newest) {
                    return Err(replayed());
                }
                exchange.notification = Some(number);
            }
            Some(_) => {}
        }
        if is_notification {
            self.notifications = self.notifications.wrapping_add(1);
            response.set_observe(self.notifications);
        } else {
            exchange.answered = true;
        }
        Ok(())
    }

    /// Verifies a request, and takes the protection off (section 8.2). Each is accepted once.
    ///
    /// Where this context was opened with a store that had seen it before, nothing is accepted until
    /// a request brings back the Echo value with which the first one is refused (appendix B.1.2).
    ///
    /// # Errors
    /// A [`Refusal`] says why, and what to answer.
    pub fn unprotect_request(
        &mut self,
        request: &Message,
    ) -> Result<(Message, ServerExchange), Refusal> {
        let (plain, partial_iv) = self
            .verify_request(request)
            .map_err(|error| Refusal::new(error, request))?;
        let number = partial_iv.number();
        let mut exchange = ServerExchange {
            partial_iv,
            nonce_used: false,
        };
        match &mut self.recipient.replay {
            Replay::Known(window) => window.accept(number),
            Replay::Unknown(challenge) => {
                if plain.options().get(OptionNumber::ECHO) == Some(&challenge[..]) {
                    let mut window = ReplayWindow::starting_at(number);
                    window.accept(number);
                    self.recipient.replay = Replay::Known(window);
                } else {
                    let challenge = *challenge;
                    return Err(self.challenge(&mut exchange, &plain, challenge));
                }
            }
        }
        Ok((plain, exchange))
    }

    fn verify_request(&self, request: &Message) -> Result<(Message, PartialIv), Error> {
        let Some(header) = request.options().get(OptionNumber::OSCORE) else {
            return Err(Error::new(
                ErrorKind::Unprotected,
                "the request is not protected",
            ));
        };
        let header = Header::decode(header).map_err(|_| undecodable())?;
        refuse_fragment(request)?;
        // Both are always there in a request (section 5).
        let (Some(kid), Some(partial_iv)) = (header.kid, header.partial_iv) else {
            return Err(undecodable());
        };
        if kid != self.recipient.id
            || (header.kid_context.is_some() && header.kid_context != self.id_context.as_deref())
        {
            return Err(unknown());
        }
        let partial_iv = PartialIv::from_bytes(partial_iv).ok_or_else(undecodable)?;
        if let Replay::Known(window) = &self.recipient.replay
            && !window.is_new(partial_iv.number())
        {
            return Err(replayed());
        }
        let nonce = nonce(&self.common_iv, kid, partial_iv.as_bytes());
        let data = additional_data(self.algorithm, kid, partial_iv.as_bytes());
        let plain = self.unseal(request, &nonce, &data)?;
        if !plain.code().is_request() {
            return Err(undecodable());
        }
        Ok((plain, partial_iv))
    }

    /// Refuses a request of which it is not known whether it is a replay.
    fn challenge(
        &mut self,
        exchange: &mut ServerExchange,
        request: &Message,
        challenge: [u8; 8],
    ) -> Refusal {
        let error = Error::new(
            ErrorKind::Unsynchronised,
            "it is not known which requests were received before this side started",
        );
        // The request's nonce may have been used in another life.
        exchange.nonce_used = true;
        let mut response = Message::new(Code::UNAUTHORIZED);
        response.set_token(request.token());
        response
            .options_mut()
            .insert(OptionNumber::ECHO, &challenge);
        match self.protect_response(exchange, &response) {
            Ok(response) => Refusal::with_response(error, response),
            Err(_) => Refusal::new(error, request),
        }
    }

    /// Protects a response to a request that was verified (section 8.3), or a notification where it
    /// asked to observe: the first with the request's nonce, each further one with a sequence number
    /// of its own.
    ///
    /// # Errors
    /// As [`protect_request`](Self::protect_request).
    pub fn protect_response(
        &mut self,
        exchange: &mut ServerExchange,
        response: &Message,
    ) -> Result<Message, Error> {
        if !response.code().is_response() {
            return Err(invalid("only a response can be protected as one"));
        }
        check_protectable(response)?;
        let own = if exchange.nonce_used {
            Some(self.next_partial_iv()?)
        } else {
            exchange.nonce_used = true;
            None
        };
        let of_request = exchange.partial_iv.as_bytes();
        let nonce = match &own {
            Some(own) => nonce(&self.common_iv, &self.sender.id, own.as_bytes()),
            None => nonce(&self.common_iv, &self.recipient.id, of_request),
        };
        let data = additional_data(self.algorithm, &self.recipient.id, of_request);
        let header = Header {
            partial_iv: own.as_ref().map(PartialIv::as_bytes),
            ..Header::default()
        };
        let observe = response.observe();
        let code = match observe {
            Some(_) => Code::CONTENT,
            None => Code::CHANGED,
        };
        self.seal(response, code, observe, header, &nonce, &data)
    }

    /// Splits a message into what is outside and what is inside (section 4), and encrypts the latter.
    fn seal(
        &self,
        message: &Message,
        outer_code: Code,
        observe: Option<u32>,
        header: Header<'_>,
        nonce: &[u8; super::crypto::NONCE],
        additional_data: &[u8],
    ) -> Result<Message, Error> {
        let mut inner = Message::new(message.code());
        let mut outer = Message::new(outer_code);
        outer.set_token(message.token());
        for (number, value) in message.options() {
            if is_outer(number) {
                outer.options_mut().insert(number, value);
            } else if number == OptionNumber::OBSERVE && message.code().is_response() {
                // Of a notification nothing is inside but that it is one (section 4.1.3.5.2).
                inner.options_mut().insert(number, &[]);
            } else {
                inner.options_mut().insert(number, value);
            }
        }
        if let Some(observe) = observe {
            outer.set_observe(observe);
        }
        outer
            .options_mut()
            .insert(OptionNumber::OSCORE, &header.encode());
        inner.payload = message.payload.clone();

        let capacity = 1 + inner.body_len() + self.algorithm.tag_length();
        let mut plaintext = Vec::with_capacity(capacity);
        plaintext.push(inner.code().to_byte());
        inner.push_body(&mut plaintext);
        self.sender
            .cipher
            .seal(nonce, additional_data, &mut plaintext)
            .map_err(|_| too_long())?;
        outer.payload = plaintext.into();
        Ok(outer)
    }

    /// Decrypts a message, and joins what was inside with what stays of the outside.
    fn unseal(
        &self,
        message: &Message,
        nonce: &[u8; super::crypto::NONCE],
        additional_data: &[u8],
    ) -> Result<Message, Error> {
        // Nothing that was encrypted is shorter than its tag and a code.
        if message.payload.len() <= self.algorithm.tag_length() {
            return Err(undecodable());
        }
        let mut plaintext = message.payload.to_vec();
        self.recipient
            .cipher
            .open(nonce, additional_data, &mut plaintext)
            .map_err(|_| {
                Error::new(
                    ErrorKind::Forged,
                    "the message can't be verified: another key, another request, or changed",
                )
            })?;
        let (&code, _) = plaintext.split_first().ok_or_else(undecodable)?;
        let code = Code::from_byte(code);
        let mut plain = Message::decode_body(code, 0, &plaintext, 1)
            .map_err(|error| undecodable().with_source(error))?;
        if has(plain.options(), OptionNumber::OSCORE) {
            return Err(undecodable());
        }
        // What is inside too, was put there by who knows the key.
        let stays = |number| {
            is_outer(number) && number != OptionNumber::OSCORE && !has(plain.options(), number)
        };
        let outside: Vec<_> = message
            .options()
            .iter()
            .filter(|(number, _)| stays(*number))
            .collect();
        for (number, value) in outside {
            plain.options_mut().insert(number, value);
        }
        plain.set_token(message.token());
        Ok(plain)
    }
}

/// Whether an option is for proxies, and not protected (class U; section 4.1, and RFC 8768, section
/// 6). What is not known, or defined otherwise, is encrypted.
fn is_outer(number: OptionNumber) -> bool {
    matches!(
        number,
        OptionNumber::URI_HOST
            | OptionNumber::URI_PORT
            | OptionNumber::OSCORE
            | OptionNumber::HOP_LIMIT
            | OptionNumber::PROXY_URI
            | OptionNumber::PROXY_SCHEME
    )
}

fn has(options: &Options, number: OptionNumber) -> bool {
    options.iter().any(|(other, _)| other == number)
}

/// The same request with the path and query of its Proxy-Uri, if it has one, as options of their
/// own, so that they are encrypted (section 4.1.3.3).
fn split_proxy_uri(request: &Message) -> Result<Option<Message>, Error> {
    if !has(request.options(), OptionNumber::PROXY_URI) {
        return Ok(None);
    }
    let uri: Uri = request
        .options()
        .text(OptionNumber::PROXY_URI)
        .unwrap_or_default()
        .parse()
        .map_err(|error| {
            invalid("the Proxy-Uri of a request that is to be protected is not one of CoAP's")
                .with_source(error)
        })?;
    let server = Uri::new(uri.scheme(), uri.endpoint().clone(), Target::default()).to_string();
    let mut split = request.clone();
    let options = split.options_mut();
    for number in [
        OptionNumber::PROXY_URI,
        OptionNumber::URI_PATH,
        OptionNumber::URI_QUERY,
    ] {
        options.remove(number);
    }
    options.insert(OptionNumber::PROXY_URI, server.as_bytes());
    for segment in uri.target().path() {
        options.insert(OptionNumber::URI_PATH, segment.as_bytes());
    }
    for argument in uri.target().query() {
        options.insert(OptionNumber::URI_QUERY, argument.as_bytes());
    }
    Ok(Some(split))
}

/// Checked before a sequence number is spent, or a nonce.
fn check_protectable(message: &Message) -> Result<(), Error> {
    if has(message.options(), OptionNumber::OSCORE) {
        return Err(invalid("the message is protected already"));
    }
    // CCM's length has two bytes (RFC 3610, section 2.2); the code needs room as well.
    if message.body_len() >= usize::from(u16::MAX) {
        return Err(too_long());
    }
    Ok(())
}

/// Refuses what a proxy has fragmented: nothing of that can be verified before its last byte.
fn refuse_fragment(message: &Message) -> Result<(), Error> {
    for (number, _) in message.options() {
        let whole = match number {
            OptionNumber::BLOCK1 | OptionNumber::BLOCK2 => message
                .options()
                .uint(number)
                .and_then(Block::from_uint)
                .is_some_and(|block| block.number() == 0 && !block.more()),
            OptionNumber::Q_BLOCK1 | OptionNumber::Q_BLOCK2 => false,
            _ => true,
        };
        if !whole {
            let text = format!("a protected message came in fragments ({number} on the outside)");
            return Err(Error::new(ErrorKind::Malformed, text));
        }
    }
    Ok(())
}

fn invalid(what: &'static str) -> Error {
    Error::new(ErrorKind::InvalidInput, what)
}

fn too_long() -> Error {
    invalid("the message is longer than 64 KiB")
}

fn undecodable() -> Error {
    Error::new(
        ErrorKind::Malformed,
        "what protects the message can't be decoded",
    )
}

fn unknown() -> Error {
    Error::new(
        ErrorKind::UnknownContext,
        "the message is of another security context",
    )
}

fn replayed() -> Error {
    Error::new(
        ErrorKind::Replay,
        "the message, or a later one, has been received before",
    )
}

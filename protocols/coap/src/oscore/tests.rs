//! Contexts that speak with each other, and with whoever meddles.

use jackfield_store::{Batch, MemoryStore, Records, Store};

use super::*;
use crate::client::SecurityContext;
use crate::codec::{Block, BlockSize, Code, Message, OptionNumber};

const SECRET: [u8; 16] = [0x5a; 16];

fn client_side() -> Parameters {
    Parameters::new(&SECRET, b"c", b"s").expect("parameters")
}

fn server_side() -> Parameters {
    Parameters::new(&SECRET, b"s", b"c").expect("parameters")
}

fn pair() -> (Context, Context) {
    (
        Context::ephemeral(&client_side()),
        Context::ephemeral(&server_side()),
    )
}

fn get(path: &str) -> Message {
    let mut request = Message::new(Code::GET);
    request.set_token("tok".parse().expect("a token"));
    let options = request.options_mut();
    options
        .add_text(OptionNumber::URI_PATH, path)
        .expect("a path");
    request
}

fn observing(path: &str) -> Message {
    let mut request = get(path);
    request.set_observe(0);
    request
}

fn content(payload: &str) -> Message {
    let mut response = Message::new(Code::CONTENT);
    response.set_token("tok".parse().expect("a token"));
    response.payload = payload.to_owned().into();
    response
}

fn notification(payload: &str, number: u32) -> Message {
    let mut response = content(payload);
    response.set_observe(number);
    response
}

fn kind<T: std::fmt::Debug>(result: Result<T, Error>) -> ErrorKind {
    result.expect_err("an error").kind()
}

#[test]
fn what_is_for_the_server_alone_is_inside() {
    let (mut client, mut server) = pair();
    let mut request = get("lock");
    request.set_code(Code::PUT);
    request.payload = "open".into();
    let options = request.options_mut();
    for (number, value) in [
        (OptionNumber::URI_HOST, &b"a.example"[..]),
        (OptionNumber::URI_PORT, &[0x16, 0x33]),
        (OptionNumber::HOP_LIMIT, &[9]),
        (OptionNumber::PROXY_SCHEME, b"coap"),
        (OptionNumber::IF_MATCH, &[1]),
        (OptionNumber::CONTENT_FORMAT, &[]),
        (OptionNumber::URI_QUERY, b"now"),
        (OptionNumber::ACCEPT, &[50]),
        (OptionNumber::ECHO, &[7; 8]),
        (OptionNumber::NO_RESPONSE, &[26]),
        (OptionNumber::REQUEST_TAG, &[3]),
        (OptionNumber(65_001), &[1, 2, 3]),
    ] {
        options.add(number, value).expect("an option");
    }
    request.set_block1(Block::new(3, true, BlockSize::at_most(64)).expect("a block"));
    let (protected, _) = client.protect_request(&request).expect("a number is left");
    assert_eq!(protected.code(), Code::POST);
    assert_eq!(protected.token(), request.token());
    let outside: Vec<_> = protected
        .options()
        .iter()
        .map(|(number, _)| number)
        .collect();
    assert_eq!(
        outside,
        [
            OptionNumber::URI_HOST,
            OptionNumber::URI_PORT,
            OptionNumber::OSCORE,
            OptionNumber::HOP_LIMIT,
            OptionNumber::PROXY_SCHEME,
        ]
    );
    let (received, _) = server.unprotect_request(&protected).expect("it is ours");
    assert_eq!(received, request);
}

#[test]
fn what_a_proxy_adds_for_itself_is_not_taken_for_the_clients_word() {
    let (mut client, mut server) = pair();
    let request = get("lock");
    let (mut protected, _) = client.protect_request(&request).expect("a number is left");
    let options = protected.options_mut();
    options
        .set_text(OptionNumber::URI_PATH, "elsewhere")
        .expect("an option");
    options
        .set_uint(OptionNumber::OBSERVE, 0)
        .expect("an option");
    options
        .set(OptionNumber::NO_RESPONSE, &[26])
        .expect("an option");
    options.set(OptionNumber::ETAG, &[1]).expect("an option");
    protected.set_code(Code::DELETE);
    let (received, _) = server.unprotect_request(&protected).expect("it is ours");
    assert_eq!(received, request);
}

#[test]
fn each_request_is_accepted_once() {
    let (mut client, mut server) = pair();
    let mut protected = Vec::new();
    for _ in 0..40 {
        protected.push(client.protect_request(&get("lock")).expect("a number").0);
    }
    protected.swap(3, 30);
    for request in &protected {
        server.unprotect_request(request).expect("it is new");
        let refusal = server.unprotect_request(request).expect_err("it is not");
        assert_eq!(refusal.error().kind(), ErrorKind::Replay);
        let response = refusal.into_response().expect("an answer");
        assert_eq!(response.code(), Code::UNAUTHORIZED);
        assert_eq!(response.max_age(), Some(0));
        assert_eq!(response.payload, "Replay detected");
    }
}

#[test]
fn what_can_not_be_verified_is_refused_with_the_code_that_the_rfc_names() {
    let (mut client, mut server) = pair();
    let (protected, _) = client.protect_request(&get("lock")).expect("a number");
    let with_option = |value: &[u8]| {
        let mut changed = protected.clone();
        changed
            .options_mut()
            .set(OptionNumber::OSCORE, value)
            .expect("it fits");
        changed
    };
    let mut forged = protected.clone();
    let mut payload = forged.payload.to_vec();
    payload[0] ^= 1;
    forged.payload = payload.into();
    let mut short = protected.clone();
    short.payload = vec![0; 8].into();
    let mut fragment = protected.clone();
    fragment.set_block1(Block::new(0, true, BlockSize::at_most(64)).expect("a block"));
    for (what, message, expected) in [
        ("a bit changed", forged, Some(Code::BAD_REQUEST)),
        (
            "another number",
            with_option(b"\x09\x05c"),
            Some(Code::BAD_REQUEST),
        ),
        ("nothing but a tag", short, Some(Code::BAD_OPTION)),
        (
            "a reserved flag",
            with_option(b"\x29\0c"),
            Some(Code::BAD_OPTION),
        ),
        ("no kid", with_option(b"\x01\0"), Some(Code::BAD_OPTION)),
        (
            "no Partial IV",
            with_option(b"\x08c"),
            Some(Code::BAD_OPTION),
        ),
        ("a fragment", fragment, Some(Code::BAD_OPTION)),
        (
            "another kid",
            with_option(b"\x09\0x"),
            Some(Code::UNAUTHORIZED),
        ),
        (
            "a kid context",
            with_option(b"\x19\0\x01xc"),
            Some(Code::UNAUTHORIZED),
        ),
        ("not protected at all", get("lock"), None),
    ] {
        let refusal = server.unprotect_request(&message).expect_err(what);
        let response = refusal.into_response();
        assert_eq!(response.as_ref().map(Message::code), expected, "{what}");
        if let Some(response) = response {
            assert_eq!(response.token(), message.token(), "{what}");
            assert_eq!(response.max_age(), Some(0), "{what}");
        }
    }
    // None of that has moved the window.
    server.unprotect_request(&protected).expect("the real one");
}

#[test]
fn a_response_belongs_to_its_request() {
    let (mut client, mut server) = pair();
    let (first, mut first_sent) = client.protect_request(&get("a")).expect("a number");
    let (second, mut second_sent) = client.protect_request(&get("b")).expect("a number");
    let (_, mut to_first) = server.unprotect_request(&first).expect("it is new");
    let (_, mut to_second) = server.unprotect_request(&second).expect("it is new");
    let first = server
        .protect_response(&mut to_first, &content("A"))
        .expect("a response");
    let second = server
        .protect_response(&mut to_second, &content("B"))
        .expect("a response");
    // Whoever swaps the tokens swaps nothing.
    assert_eq!(
        kind(client.unprotect_response(&mut first_sent, &second)),
        ErrorKind::Forged
    );
    let verified = client
        .unprotect_response(&mut first_sent, &first)
        .expect("ours");
    assert_eq!(verified.payload, "A");
    assert_eq!(
        kind(client.unprotect_response(&mut first_sent, &first)),
        ErrorKind::Replay
    );
    client
        .unprotect_response(&mut second_sent, &second)
        .expect("ours");
    // A second response has a number of its own, and is not accepted either.
    let again = server
        .protect_response(&mut to_first, &content("C"))
        .expect("a response");
    assert_eq!(
        kind(client.unprotect_response(&mut first_sent, &again)),
        ErrorKind::Replay
    );
    // What is not protected is nobody's word.
    let mut plain = Message::new(Code::UNAUTHORIZED);
    plain.payload = "Replay detected".into();
    assert_eq!(
        kind(client.unprotect_response(&mut second_sent, &plain)),
        ErrorKind::Unprotected
    );
    // A request is no response, though the same key made it.
    let (request, _) = server.protect_request(&get("a")).expect("a number");
    assert!(
        client
            .unprotect_response(&mut second_sent, &request)
            .is_err()
    );
}

#[test]
fn notifications_are_accepted_in_their_order_and_once() {
    let (mut client, mut server) = pair();
    let (request, mut sent) = client
        .protect_request(&observing("temperature"))
        .expect("a number");
    assert_eq!(request.code(), Code::FETCH);
    assert_eq!(request.observe(), Some(0));
    let (received, mut answering) = server.unprotect_request(&request).expect("it is new");
    assert_eq!(received.observe(), Some(0));
    let mut notifications = Vec::new();
    for number in 0..5_u32 {
        let notification = notification(&number.to_string(), 1000 - number);
        let protected = server
            .protect_response(&mut answering, &notification)
            .expect("a number");
        assert_eq!(protected.code(), Code::CONTENT);
        // The order on the outside is for proxies.
        assert_eq!(protected.observe(), Some(1000 - number));
        notifications.push(protected);
    }
    let mut accept = |number: usize| client.unprotect_response(&mut sent, &notifications[number]);
    let mut before = 0;
    for (number, fresh) in [
        (0, true),
        (0, false),
        (2, true),
        (1, false),
        (2, false),
        (4, true),
        (3, false),
    ] {
        match accept(number) {
            Ok(verified) => {
                assert!(fresh, "{number}");
                assert_eq!(verified.payload, number.to_string().as_bytes());
                let order = verified.observe().expect("a notification");
                assert!(order > before);
                before = order;
            }
            Err(error) => {
                assert!(!fresh, "{number}: {error}");
                assert_eq!(error.kind(), ErrorKind::Replay);
            }
        }
    }
    // The last word ends it.
    let gone = Message::new(Code::NOT_FOUND);
    let gone = server
        .protect_response(&mut answering, &gone)
        .expect("a number");
    client.unprotect_response(&mut sent, &gone).expect("ours");
    let late = server
        .protect_response(&mut answering, &notification("late", 1))
        .expect("a number");
    assert_eq!(
        kind(client.unprotect_response(&mut sent, &late)),
        ErrorKind::Replay
    );
}

#[test]
fn the_notification_without_a_number_is_the_oldest() {
    let (mut client, mut server) = pair();
    let (request, mut sent) = client.protect_request(&observing("t")).expect("a number");
    let (_, mut answering) = server.unprotect_request(&request).expect("it is new");
    let first = server
        .protect_response(&mut answering, &notification("1", 1))
        .expect("it");
    let second = server
        .protect_response(&mut answering, &notification("2", 2))
        .expect("it");
    client.unprotect_response(&mut sent, &second).expect("ours");
    assert_eq!(
        kind(client.unprotect_response(&mut sent, &first)),
        ErrorKind::Replay
    );
}

#[test]
fn a_notification_needs_to_have_been_asked_for() {
    let (mut client, mut server) = pair();
    let (request, mut sent) = client.protect_request(&get("t")).expect("a number");
    let (_, mut answering) = server.unprotect_request(&request).expect("it is new");
    let pushed = server
        .protect_response(&mut answering, &notification("1", 1))
        .expect("it");
    assert_eq!(
        kind(client.unprotect_response(&mut sent, &pushed)),
        ErrorKind::Malformed
    );
}

#[test]
fn what_can_not_be_protected_costs_no_number() {
    let (mut client, _) = pair();
    let mut nested = get("a");
    nested
        .options_mut()
        .set(OptionNumber::OSCORE, b"")
        .expect("an option");
    let mut proxied = get("a");
    let uri = b"http://a.example/";
    proxied
        .options_mut()
        .set(OptionNumber::PROXY_URI, uri)
        .expect("an option");
    let mut large = get("a");
    large.payload = vec![0; 65_530].into();
    for message in [
        nested,
        proxied,
        large,
        content("no request"),
        Message::new(Code::PING),
    ] {
        assert_eq!(
            kind(client.protect_request(&message)),
            ErrorKind::InvalidInput
        );
    }
    let (protected, _) = client.protect_request(&get("a")).expect("a number");
    assert_eq!(
        protected.options().get(OptionNumber::OSCORE),
        Some(&b"\x09\0c"[..])
    );
    let mut largest = get("a");
    largest.payload = vec![0; 65_528].into();
    client.protect_request(&largest).expect("it fits");
}

#[test]
fn a_proxy_sees_of_a_uri_where_to_forward_and_no_more() {
    let (mut client, mut server) = pair();
    let mut request = Message::new(Code::GET);
    let uri = "coap://example.com/resource/part?q=1";
    request
        .options_mut()
        .set_text(OptionNumber::PROXY_URI, uri)
        .expect("an option");
    let (mut protected, _) = client.protect_request(&request).expect("a number");
    let proxy_uri = protected.options().text(OptionNumber::PROXY_URI);
    assert_eq!(proxy_uri, Some("coap://example.com"));
    assert_eq!(protected.options().len(), 2);
    // The proxy takes it off, and forwards.
    protected.options_mut().remove(OptionNumber::PROXY_URI);
    let (received, _) = server.unprotect_request(&protected).expect("it is ours");
    assert!(received.uri_path().eq(["resource", "part"]));
    assert!(received.uri_query().eq(["q=1"]));
}

#[test]
fn all_algorithms_go_round() {
    for algorithm in [
        Algorithm::AesCcm16_64_128,
        Algorithm::AesCcm16_64_256,
        Algorithm::AesCcm16_128_128,
        Algorithm::AesCcm16_128_256,
    ] {
        let parameters = |side: Parameters| {
            side.with_algorithm(algorithm)
                .with_master_salt(b"salt")
                .with_id_context(b"here")
                .expect("it fits")
        };
        let mut client = Context::ephemeral(&parameters(client_side()));
        let mut server = Context::ephemeral(&parameters(server_side()));
        let (request, mut sent) = client.protect_request(&get("a")).expect("a number");
        let (received, mut answering) = server.unprotect_request(&request).expect("it is new");
        assert_eq!(received, get("a"));
        let response = server
            .protect_response(&mut answering, &content("b"))
            .expect("it");
        let response = client
            .unprotect_response(&mut sent, &response)
            .expect("ours");
        assert_eq!(response, content("b"));
        // And not with another algorithm.
        let (_, mut other) = pair();
        assert!(other.unprotect_request(&request).is_err());
    }
}

#[test]
fn nothing_secret_is_shown() {
    let parameters = Parameters::new(b"a secret that is long", b"c", b"s").expect("parameters");
    let context = Context::ephemeral(&parameters);
    for text in [format!("{parameters:?}"), format!("{context:?}")] {
        let secret = b"a secret that is long";
        assert!(
            !text.contains("a secret") && !text.contains(&format!("{:?}", &secret[..4])),
            "{text}"
        );
    }
}

/// The number that a protected request has.
fn number(protected: &Message) -> u64 {
    let option = protected
        .options()
        .get(OptionNumber::OSCORE)
        .expect("an option");
    let length = usize::from(option[0] & 7);
    option[1..=length]
        .iter()
        .fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// As a client or a server begins with a context.
async fn open(parameters: &Parameters, disk: &mut MemoryStore) -> Context {
    let records = disk.load().await.expect("it loads");
    let mut context = Context::restore(parameters, &records).expect("its own records");
    keep(&mut context, disk).await;
    context
}

/// Stores what is to be stored.
async fn keep(context: &mut Context, disk: &mut MemoryStore) {
    if let Some(changes) = context.poll_store() {
        assert!(context.poll_store().is_none(), "one at a time");
        disk.commit(changes).await.expect("there is room");
        context.stored();
    }
}

#[tokio::test]
async fn numbers_are_never_used_again_whenever_the_program_stops() {
    let mut disk = MemoryStore::new();
    let mut random = fastrand::Rng::with_seed(8613);
    let mut next = 0;
    for _ in 0..30 {
        let mut context = open(&client_side(), &mut disk).await;
        for _ in 0..random.usize(..3000) {
            let (protected, _) = context.protect_request(&get("a")).expect("a number");
            assert!(number(&protected) >= next);
            next = number(&protected) + 1;
            // Whoever drives it does this all the time.
            if random.u8(..100) == 0 {
                keep(&mut context, &mut disk).await;
            }
        }
        // Stops here: nothing is said to the store.
    }
    // The other side's numbers are its own, in the same store.
    let mut other = open(&server_side(), &mut disk).await;
    let (protected, _) = other.protect_request(&get("a")).expect("a number");
    assert_eq!(number(&protected), 0);
}

/// A store that has no room.
#[derive(Debug)]
struct Full;

impl Store for Full {
    async fn load(&mut self) -> jackfield_store::Result<Records> {
        Ok(Records::new())
    }

    async fn commit(&mut self, _batch: Batch) -> jackfield_store::Result<()> {
        let kind = jackfield_store::ErrorKind::Full;
        Err(jackfield_store::Error::new(kind, "the disk is full"))
    }
}

#[tokio::test]
async fn without_its_store_a_context_ends_with_what_was_reserved() {
    let mut context = open(&client_side(), &mut MemoryStore::new()).await;
    for _ in 0..1024 {
        context.protect_request(&get("a")).expect("a number");
        if context.poll_store().is_some() {
            context.not_stored("the disk is full");
        }
    }
    assert_eq!(kind(context.protect_request(&get("a"))), ErrorKind::Store);

    let error = SecurityContext::open(&client_side(), Full).await;
    assert_eq!(kind(error), ErrorKind::Store);

    let mut disk = MemoryStore::new();
    open(&client_side(), &mut disk).await;
    let mut batch = Batch::new();
    for (key, _) in disk.load().await.expect("it loads") {
        assert!(!key.windows(4).any(|bytes| bytes == &SECRET[..4]));
        batch.put(key, "something else");
    }
    disk.commit(batch).await.expect("it commits");
    assert_eq!(
        kind(SecurityContext::open(&client_side(), disk).await),
        ErrorKind::Store
    );
}

#[tokio::test]
async fn a_server_that_starts_again_takes_no_replay() {
    let mut disk = MemoryStore::new();
    let mut client = Context::ephemeral(&client_side());
    let mut server = open(&server_side(), &mut disk).await;
    let (recorded, _) = client.protect_request(&get("unlock")).expect("a number");
    server.unprotect_request(&recorded).expect("it is new");
    drop(server);

    let mut server = open(&server_side(), &mut disk).await;
    for _ in 0..2 {
        let refusal = server
            .unprotect_request(&recorded)
            .expect_err("it may be a replay");
        assert_eq!(refusal.error().kind(), ErrorKind::Unsynchronised);
    }
    // A client that is there answers the challenge.
    let mut request = get("unlock");
    let (protected, mut sent) = client.protect_request(&request).expect("a number");
    let refusal = server
        .unprotect_request(&protected)
        .expect_err("it may be a replay");
    let response = refusal.into_response().expect("a challenge");
    let response = client
        .unprotect_response(&mut sent, &response)
        .expect("ours");
    assert_eq!(response.code(), Code::UNAUTHORIZED);
    assert!(response.payload.is_empty() && response.options().len() == 1);
    let echo = response
        .options()
        .get(OptionNumber::ECHO)
        .expect("an Echo")
        .to_vec();
    request
        .options_mut()
        .set(OptionNumber::ECHO, &echo)
        .expect("an option");
    let (answer, _) = client.protect_request(&request).expect("a number");
    server.unprotect_request(&answer).expect("it is fresh");
    for old in [&recorded, &protected, &answer] {
        let refusal = server.unprotect_request(old).expect_err("it is old");
        assert_eq!(refusal.error().kind(), ErrorKind::Replay);
    }
    let (next, _) = client.protect_request(&get("a")).expect("a number");
    server.unprotect_request(&next).expect("it is new");
}

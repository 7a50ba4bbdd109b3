use super::*;

const PEER: Peer = Peer::Connected;

fn layer() -> StreamLayer {
    StreamLayer::new(Instant::now(), StreamConfig::default())
}

/// One whose peer has said that it takes the same.
fn ready() -> StreamLayer {
    let mut layer = layer();
    arrives(&mut layer, &signal::csm(256 * 1024)).expect("a CSM");
    sent(&mut layer);
    assert_eq!(events(&mut layer), [LayerEvent::Ready]);
    layer
}

fn message(code: Code, token: &str, payload: &str) -> Message {
    let mut message = Message::new(code);
    message.set_token(token.parse().expect("a token"));
    message.payload = payload.to_owned().into();
    message
}

fn sent(layer: &mut StreamLayer) -> Vec<Message> {
    let mut bytes = Vec::new();
    layer.transmit(Instant::now(), &mut bytes);
    let mut all = Vec::new();
    let mut rest = &*bytes;
    while let Some(header) = FrameHeader::decode(rest) {
        let (frame, behind) = rest.split_at(header.frame_len() as usize);
        all.push(Message::from_frame(frame).expect("it sends messages"));
        rest = behind;
    }
    all
}

fn events(layer: &mut StreamLayer) -> Vec<LayerEvent> {
    std::iter::from_fn(|| layer.poll_event()).collect()
}

fn arrives(layer: &mut StreamLayer, message: &Message) -> Result<(), LayerError> {
    let mut bytes = Vec::new();
    message.write_frame(&mut bytes);
    layer.receive(Instant::now(), &bytes)
}

fn received(layer: &mut StreamLayer) -> Vec<Received> {
    events(layer)
        .into_iter()
        .filter_map(|event| match event {
            LayerEvent::Received(received) => Some(received),
            _ => None,
        })
        .collect()
}

#[test]
fn settings_come_first_and_count() {
    let mut layer = layer();
    let now = Instant::now();
    assert_eq!(sent(&mut layer), [signal::csm(256 * 1024)]);
    // Requests need not wait for the peer's; till then, the base values hold.
    assert_eq!(layer.max_message_size(PEER), 1152);
    let large = message(Code::POST, "t", &"x".repeat(2000));
    let refused = layer.send(now, PEER, large.clone(), Reliability::Confirmable);
    assert!(matches!(
        refused,
        Err(SendError::TooLarge { limit: 1152, .. })
    ));
    assert!(!layer.allows_bert(PEER));
    let mut settings = signal::csm(4000);
    settings
        .options_mut()
        .insert(OptionNumber(300), b"elective");
    arrives(&mut layer, &settings).expect("a CSM");
    assert_eq!(events(&mut layer), [LayerEvent::Ready]);
    assert!(layer.allows_bert(PEER));
    layer
        .send(now, PEER, large.clone(), Reliability::Confirmable)
        .expect("it may be as long");
    assert_eq!(sent(&mut layer), [large]);
    let due = layer.deadline().expect("it asks for a sign of life, later");
    assert!(due - now >= Duration::from_mins(1), "it waits for settings");
}

#[test]
fn without_settings_there_is_no_connection() {
    let mut layer = layer();
    sent(&mut layer);
    let error = arrives(&mut layer, &message(Code::GET, "t", "")).expect_err("no CSM");
    assert_eq!(error, LayerError::NoSettings);
    assert_eq!(sent(&mut layer), [signal::abort(&error.to_string(), None)]);

    let mut layer = self::layer();
    let due = layer.deadline().expect("it is waiting");
    let error = layer.handle_deadline(due).expect_err("no CSM");
    assert_eq!(error, LayerError::SettingsTimedOut);
}

#[test]
fn a_critical_option_that_is_not_known_is_named() {
    let mut layer = layer();
    sent(&mut layer);
    let mut settings = signal::csm(4000);
    settings
        .options_mut()
        .insert(OptionNumber(301), b"critical");
    let error = arrives(&mut layer, &settings).expect_err("a bad CSM");
    assert_eq!(error, LayerError::BadSettings(OptionNumber(301)));
    let abort = sent(&mut layer).remove(0);
    let bad_option = Some(OptionNumber(301));
    assert_eq!(
        Signal::decode(&abort),
        Ok(Some(Signal::Abort { bad_option }))
    );
    assert!(!abort.payload.is_empty());

    // The other side learns of it.
    let mut layer = ready();
    let error = arrives(&mut layer, &abort).expect_err("an Abort");
    let LayerError::Aborted {
        bad_option,
        diagnostic,
    } = error
    else {
        panic!("{error}");
    };
    assert_eq!(bad_option, Some(OptionNumber(301)));
    assert_eq!(diagnostic.as_bytes(), abort.payload);
    assert_eq!(sent(&mut layer), [], "it has said its last word");
}

#[test]
fn messages_arrive_in_any_pieces() {
    let mut bytes = Vec::new();
    signal::csm(2000).write_frame(&mut bytes);
    let messages = [
        message(Code::GET, "a", ""),
        message(Code::CONTENT, "b", &"x".repeat(500)),
        message(Code::POST, "c", &"y".repeat(70_000)),
    ];
    for message in &messages {
        message.write_frame(&mut bytes);
        // Empty messages mean nothing (section 3.4 calls them a keep-alive).
        Message::new(Code::EMPTY).write_frame(&mut bytes);
    }
    for piece in [1, 2, 7, 1000, bytes.len()] {
        let mut layer = layer();
        let mut found = Vec::new();
        for piece in bytes.chunks(piece) {
            layer.receive(Instant::now(), piece).expect("messages");
            found.extend(received(&mut layer).into_iter().map(|new| new.message));
        }
        assert_eq!(found, messages);
        layer.receive_end(Instant::now()).expect("it is complete");
    }
    let mut layer = ready();
    let (half, _) = bytes.split_at(bytes.len() / 2);
    layer.receive(Instant::now(), half).expect("half of it");
    let error = layer.receive_end(Instant::now()).expect_err("half of it");
    assert_eq!(error, LayerError::Truncated);
}

#[test]
fn what_is_too_large_is_refused_when_it_is_announced() {
    let mut layer = ready();
    let error = layer.receive(Instant::now(), b"\xf0\xff\xff\xff\xff");
    let error = error.expect_err("4 GiB");
    assert!(matches!(error, LayerError::TooLarge { .. }), "{error}");
    assert!(layer.partial.capacity() < 64);
    assert_eq!(sent(&mut layer)[0].code(), Code::ABORT);
}

#[test]
fn what_is_malformed_ends_the_connection() {
    for bytes in [
        &b"\x09\x01"[..],
        b"\x00\x20",
        b"\x10\x01\xff",
        b"\x10\x01\x1f",
        b"\x01\x00a",
    ] {
        let mut layer = ready();
        let long = [bytes, &[0; 16]].concat();
        let error = layer.receive(Instant::now(), &long);
        let error = error.expect_err("no message");
        assert!(matches!(error, LayerError::Malformed(_)), "{error}");
        assert_eq!(sent(&mut layer)[0].code(), Code::ABORT);
    }
}

#[test]
fn a_ping_is_answered_with_its_token() {
    let mut layer = ready();
    let ping = message(Code::PING, "p", "");
    arrives(&mut layer, &ping).expect("a ping");
    assert_eq!(sent(&mut layer), [signal::pong(&ping, false)]);

    let id = layer.ping(Instant::now(), PEER).expect("room");
    let ping = sent(&mut layer).remove(0);
    let other = message(Code::PONG, "?", "");
    arrives(&mut layer, &other).expect("a pong");
    assert_eq!(events(&mut layer), [LayerEvent::Sent(id)]);
    arrives(&mut layer, &signal::pong(&ping, false)).expect("a pong");
    assert_eq!(events(&mut layer), [LayerEvent::Acknowledged(id)]);
}

#[test]
fn custody_waits_for_what_came_before() {
    let mut layer = ready();
    let now = Instant::now();
    let mut ping = message(Code::PING, "p", "");
    ping.options_mut().insert(OptionNumber(2), &[]);
    arrives(&mut layer, &ping).expect("a ping");
    assert_eq!(sent(&mut layer), [signal::pong(&ping, true)]);

    arrives(&mut layer, &message(Code::GET, "a", "")).expect("a request");
    arrives(&mut layer, &message(Code::GET, "b", "")).expect("a request");
    arrives(&mut layer, &ping).expect("a ping");
    arrives(&mut layer, &message(Code::GET, "c", "")).expect("a request");
    let requests = received(&mut layer);
    let answer = || Message::new(Code::CONTENT);
    layer
        .respond(now, &requests[1].reception, answer())
        .expect("room");
    assert_eq!(sent(&mut layer), [message(Code::CONTENT, "b", "")]);
    layer
        .respond(now, &requests[0].reception, answer())
        .expect("room");
    let sent = sent(&mut layer);
    assert_eq!(sent[1], signal::pong(&ping, true), "{sent:?}");
}

#[test]
fn a_released_connection_takes_no_requests() {
    let mut layer = ready();
    let mut release = Message::new(Code::RELEASE);
    release
        .options_mut()
        .insert(OptionNumber(2), b"192.0.2.1:5683");
    release.options_mut().insert(OptionNumber(2), b"a.example");
    release.options_mut().insert(OptionNumber(4), &[10]);
    arrives(&mut layer, &release).expect("a Release");
    let released = LayerEvent::Released {
        alternatives: vec!["192.0.2.1:5683".into(), "a.example".into()],
        hold_off: Duration::from_secs(10),
    };
    assert_eq!(events(&mut layer), [released]);
    let now = Instant::now();
    let get = message(Code::GET, "t", "");
    let refused = layer.send(now, PEER, get, Reliability::Confirmable);
    assert_eq!(refused, Err(SendError::Closing));
    let answer = message(Code::CONTENT, "t", "");
    layer
        .send(now, PEER, answer, Reliability::Confirmable)
        .expect("answers go on");

    layer.close(now);
    assert!(!layer.is_finished());
    assert_eq!(
        sent(&mut layer).last().map(Message::code),
        Some(Code::RELEASE)
    );
    assert!(layer.is_finished());
}

#[test]
fn queues_are_bounded() {
    let mut layer = ready();
    let now = Instant::now();
    let get = || message(Code::GET, "t", "");
    for _ in 0..64 {
        layer
            .send(now, PEER, get(), Reliability::Confirmable)
            .expect("room");
    }
    let refused = layer.send(now, PEER, get(), Reliability::Confirmable);
    assert_eq!(refused, Err(SendError::QueueFull(64)));
    let ping = message(Code::PING, "p", "");
    let result = (0..1000).try_for_each(|_| arrives(&mut layer, &ping));
    assert_eq!(result, Err(LayerError::Stalled));
}

#[test]
fn what_is_cancelled_is_not_sent() {
    let mut layer = ready();
    let now = Instant::now();
    let get = message(Code::GET, "t", "");
    let id = layer
        .send(now, PEER, get, Reliability::Confirmable)
        .expect("room");
    layer.cancel(now, id);
    assert_eq!(sent(&mut layer), []);
    assert_eq!(events(&mut layer), []);
}

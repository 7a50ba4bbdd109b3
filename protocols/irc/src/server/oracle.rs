//! The oracle of the server: what must hold whatever clients send, shared by the fuzz target and
//! the tests.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use jackfield_socket::driver::{Core, StreamCore};
use jackfield_socket::time;

use crate::codec::{MAX_LINE, MessageRef, Timestamp};

use super::ServerConfig;
use super::connection::{Connection, lock};
use super::reply::cut;
use super::state::State;

const CLIENTS: usize = 4;
const SEND_QUEUE: usize = 4096;

/// Plays a script to a server. Each of its lines is one step: after a digit, 0 to 3, a line from
/// that client, `!` in it being CR LF; `-` and a digit close a connection; `.` lets 10 s pass.
///
/// # Panics
/// When the server breaks one of its promises.
pub fn play(script: &[u8]) {
    let mut config = ServerConfig::new();
    config.send_queue = SEND_QUEUE;
    config.add_account("ada", "lovelace");
    let mut now = time::now();
    let state = State::new(config, now, Timestamp::from_unix_millis(0));
    let state = Arc::new(Mutex::new(state));
    let mut clients: [Option<Connection>; CLIENTS] = Default::default();
    for step in script.split(|byte| *byte == b'\n') {
        let Some((kind, rest)) = step.split_first() else {
            continue;
        };
        match kind {
            b'0'..=b'3' => {
                let client = clients[usize::from(kind - b'0')]
                    .get_or_insert_with(|| Connection::new(Arc::clone(&state), None, now));
                for part in rest.split_inclusive(|byte| *byte == b'!') {
                    let (text, end): (_, &[u8]) = match part.split_last() {
                        Some((b'!', text)) => (text, b"\r\n"),
                        _ => (part, b""),
                    };
                    let _ = client.receive(now, text);
                    let _ = client.receive(now, end);
                }
                let _ = client.receive(now, b"\n");
            }
            b'-' => {
                if let Some(closed) = rest
                    .first()
                    .and_then(|digit| clients.get_mut(usize::from(digit.wrapping_sub(b'0'))))
                {
                    *closed = None;
                }
            }
            b'.' => {
                now += Duration::from_secs(10);
                for client in clients.iter_mut().flatten() {
                    if client.deadline().is_some_and(|deadline| deadline <= now) {
                        let _ = client.handle_deadline(now);
                    }
                }
            }
            _ => {}
        }
        check(&lock(&state));
        for client in clients.iter_mut().flatten() {
            let mut out = Vec::new();
            client.transmit(now, &mut out);
            assert!(
                out.len() <= SEND_QUEUE + MAX_LINE,
                "a send queue has a bound"
            );
            check_lines(&out);
        }
    }
    drop(clients);
    let state = lock(&state);
    assert!(state.clients.is_empty(), "who has gone is forgotten");
    assert!(state.nicks.is_empty(), "and their nicknames are free");
    assert!(state.channels.is_empty(), "and channels end with them");
}

/// Everyone and every channel know of each other.
fn check(state: &State) {
    for (name, channel) in &state.channels {
        assert!(!channel.members.is_empty(), "{name} has members");
        for id in channel.members.keys() {
            assert!(state.clients[id].channels.contains(name), "{name} of {id}");
        }
    }
    for (id, client) in &state.clients {
        for name in &client.channels {
            assert!(
                state.channels[name].members.contains_key(id),
                "{id} in {name}"
            );
        }
    }
    for id in state.nicks.values() {
        assert!(state.clients[id].nick.is_some(), "{id} has its nickname");
    }
}

/// Only whole lines go out, and each is a message within its length.
fn check_lines(out: &[u8]) {
    let text = str::from_utf8(out).expect("the server writes UTF-8");
    for line in text.split_inclusive('\n') {
        let line = line.strip_suffix("\r\n").expect("a whole line");
        let message = MessageRef::parse(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        let tags = message.tags().as_str().len();
        assert!(
            line.len() <= 512 + tags,
            "{} bytes: {}",
            line.len(),
            cut(line, 80)
        );
    }
}

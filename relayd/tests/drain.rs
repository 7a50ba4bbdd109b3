//! What a client had sent and ended, and is gone: it is delivered, and holds nobody's place for long.

mod common;

use std::io;
use std::time::{Duration, SystemTime};

use common::{
    Client, ORIGIN, Recorded, SECRET, TestRelay, config, send_and_end, stalling, token, within,
};
use jackfield_relay_wire::{Code, Frame, Reason};
use jackfield_relayd::record::Event;
use tokio::net::TcpListener;

/// Waits until a target is given up, which is recorded.
async fn given_up(recorded: &mut Recorded) {
    let record = loop {
        let record = recorded.next().await;
        if record.event == Event::Close {
            break record;
        }
    };
    assert_eq!(record.undelivered, Some(true), "{record:?}");
}

#[track_caller]
fn was_cut(arrived: io::Result<usize>) {
    let error = arrived.expect_err("no end in order");
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset, "{error}");
}

#[tokio::test]
async fn a_session_gives_its_place_back_when_its_client_goes() {
    let mut token = token();
    token.limits.sessions = 1;
    token.limits.streams = 1;
    let mut config = config(token);
    config.max_sessions = 1;
    let relay = TestRelay::start(config).await;
    let (address, go, arriving) = stalling().await;
    let mut client = relay.client().await;
    let (_, sent) = send_and_end(&mut client, &address).await;
    drop(client);

    // Another has its place, and its stream, while the target takes its time.
    let mut next = within(async {
        loop {
            let client = Client::upgrade(relay.address, ORIGIN, Some(SECRET)).await;
            let mut client = client.expect("a WebSocket");
            match client.frame().await {
                Frame::Hello(_) => break client,
                Frame::GoAway(reason) => assert_eq!(reason.code(), Code::RELAY_FULL, "{reason}"),
                other => panic!("{other:?}"),
            }
        }
    })
    .await;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let other = listener.local_addr().expect("bound").to_string();
    next.connect(&other, 1024).await;
    assert!(!arriving.is_finished());
    go.send(()).expect("it waits");
    let arrived = within(arriving).await.expect("it ends");
    assert_eq!(arrived.expect("in order"), sent);
}

#[tokio::test]
async fn a_target_that_takes_its_time_is_given_up() {
    let mut token = token();
    token.limits.drain_deadline = Duration::from_millis(500);
    let (relay, mut recorded) = TestRelay::start_recorded(config(token)).await;
    // Whether the client is gone, or has cut the stream and stays.
    for gone in [true, false] {
        let (address, go, arriving) = stalling().await;
        let mut client = relay.client().await;
        let (id, _) = send_and_end(&mut client, &address).await;
        let _stays = if gone {
            drop(client);
            None
        } else {
            let reason = Reason::new(Code::CLOSED, "");
            client.send(&Frame::Reset { id, reason }).await;
            Some(client)
        };
        given_up(&mut recorded).await;
        go.send(()).expect("it waits");
        was_cut(within(arriving).await.expect("it ends"));
    }
}

#[tokio::test]
async fn nothing_drains_beyond_the_tokens_end() {
    let mut token = token();
    token.expires = Some(SystemTime::now() + Duration::from_secs(2));
    let (relay, mut recorded) = TestRelay::start_recorded(config(token)).await;
    let (address, go, arriving) = stalling().await;
    let mut client = relay.client().await;
    send_and_end(&mut client, &address).await;
    drop(client);
    given_up(&mut recorded).await;
    go.send(()).expect("it waits");
    was_cut(within(arriving).await.expect("it ends"));
}

#[tokio::test]
async fn nothing_drains_beyond_the_relays_cut() {
    let mut config = config(token());
    config.drain.cut = Duration::from_hours(1);
    let (mut relay, mut recorded) = TestRelay::start_recorded(config).await;
    let (address, go, arriving) = stalling().await;
    let mut client = relay.client().await;
    send_and_end(&mut client, &address).await;
    drop(client);
    relay.stop();
    relay.stopper.cut();
    given_up(&mut recorded).await;
    relay.stopped().await;
    go.send(()).expect("it waits");
    was_cut(within(arriving).await.expect("it ends"));
}

#[tokio::test]
async fn what_drains_is_counted_apart() {
    let mut token = token();
    token.limits.draining_streams = 1;
    let (relay, mut recorded) = TestRelay::start_recorded(config(token)).await;
    let mut client = relay.client().await;
    let (one, go_one, first) = stalling().await;
    let (two, go_two, second) = stalling().await;
    let (_, sent) = send_and_end(&mut client, &one).await;
    send_and_end(&mut client, &two).await;
    drop(client);
    given_up(&mut recorded).await;
    go_one.send(()).expect("it waits");
    go_two.send(()).expect("it waits");
    let (whole, cut): (Vec<_>, Vec<_>) = [within(first).await, within(second).await]
        .map(|arrived| arrived.expect("it ends"))
        .into_iter()
        .partition(Result::is_ok);
    assert_eq!(whole.into_iter().flatten().collect::<Vec<_>>(), [sent]);
    cut.into_iter().for_each(was_cut);
}

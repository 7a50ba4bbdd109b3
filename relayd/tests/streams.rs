//! TCP through the relay: every byte, in order, and no end that isn't one.

mod common;

use std::io;
use std::time::Duration;

use common::{Client, TestRelay, config, pattern, target, token, within};
use jackfield_relay_wire::{Code, Frame, Id, MAX_DATA, Reason};
use jackfield_socket::TcpOptions;
use jackfield_testing::closed::Closed;
use socket2::SockRef;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

const MIB: usize = 1024 * 1024;
/// How long nothing must have moved for a stream to count as stalled.
const STALLED: Duration = Duration::from_millis(500);

#[tokio::test]
async fn bytes_come_back_from_an_echo() {
    let relay = TestRelay::start(config(token())).await;
    let (address, echo) = target(|mut stream| async move {
        let (mut read, mut write) = stream.split();
        tokio::io::copy(&mut read, &mut write).await
    })
    .await;
    let mut client = relay.client().await;
    let (id, mut credit) = client.connect(&address, 1024 * 1024).await;
    assert!(credit > 0);
    let data = "to and fro".as_bytes();
    client
        .send(&Frame::Data {
            id,
            data: data.into(),
        })
        .await;
    assert_eq!(
        client.frame().await,
        Frame::Data {
            id,
            data: data.into()
        }
    );
    client.send(&Frame::Fin { id }).await;
    let (rest, reset) = client.read_to_end(id, &mut credit).await;
    assert!(rest.is_empty() && reset.is_none());
    let echoed = within(echo).await.expect("it ends").expect("in order");
    assert_eq!(echoed, data.len() as u64);
}

/// Reads a stream to its end, giving back credit for everything.
async fn read_all(client: &mut Client, stream: Id) -> Vec<u8> {
    let mut all = Vec::new();
    loop {
        match client.frame().await {
            Frame::Data { id, data } if id == stream => {
                all.extend_from_slice(&data);
                let more = data.len() as u32;
                client.send(&Frame::Credit { id, more }).await;
            }
            Frame::Fin { id } if id == stream => return all,
            other => panic!("{other:?} after {} bytes", all.len()),
        }
    }
}

/// Sends all of it as the credit allows.
async fn write_all(client: &mut Client, stream: Id, mut credit: u32, data: &[u8]) {
    let mut left = data;
    while !left.is_empty() {
        let count = left.len().min(MAX_DATA).min(credit as usize);
        if count > 0 {
            let (chunk, rest) = left.split_at(count);
            let data = chunk.to_vec().into();
            client.send(&Frame::Data { id: stream, data }).await;
            credit -= count as u32;
            left = rest;
            continue;
        }
        match client.frame().await {
            Frame::Credit { id, more } if id == stream => credit += more,
            other => panic!("{other:?} with {} bytes to go", left.len()),
        }
    }
}

#[tokio::test]
async fn everything_before_the_end_arrives_at_a_client_however_late_it_reads() {
    let relay = TestRelay::start(config(token())).await;
    for late in [Duration::ZERO, Duration::from_millis(500)] {
        let data = pattern(8 * MIB);
        let sent = data.clone();
        let (address, sending) = target(|mut stream| async move {
            stream.write_all(&sent).await?;
            stream.shutdown().await?;
            // The client's own end comes afterwards.
            stream.read(&mut [0]).await
        })
        .await;
        let mut client = relay.client().await;
        let (id, _) = client.connect(&address, MIB as u32).await;
        sleep(late).await;
        assert!(read_all(&mut client, id).await == data, "{late:?}");
        client.send(&Frame::Fin { id }).await;
        let read = within(sending).await.expect("it ends");
        assert_eq!(read.expect("in order"), 0);
    }
}

#[tokio::test]
async fn everything_before_the_end_arrives_at_a_target_however_late_it_reads() {
    let relay = TestRelay::start(config(token())).await;
    for late in [Duration::ZERO, Duration::from_millis(500)] {
        let data = pattern(8 * MIB);
        let (address, receiving) = target(move |mut stream| async move {
            sleep(late).await;
            let mut all = Vec::new();
            stream.read_to_end(&mut all).await?;
            stream.write_all(b"thanks").await?;
            io::Result::Ok(all)
        })
        .await;
        let mut client = relay.client().await;
        let (id, mut credit) = client.connect(&address, MIB as u32).await;
        write_all(&mut client, id, credit, &data).await;
        client.send(&Frame::Fin { id }).await;
        let received = within(receiving).await.expect("it ends");
        assert!(received.expect("in order") == data, "{late:?}");
        // And the other direction was open until it ended by itself.
        let (answer, reset) = client.read_to_end(id, &mut credit).await;
        assert_eq!((&*answer, reset), (&b"thanks"[..], None));
    }
}

#[tokio::test]
async fn what_was_sent_and_ended_arrives_though_the_client_reads_no_answer() {
    let relay = TestRelay::start(config(token())).await;
    let data = pattern(MIB / 2);
    let (address, receiving) = target(|mut stream| async move {
        let mut all = Vec::new();
        sleep(Duration::from_millis(200)).await;
        stream.read_to_end(&mut all).await.map(|_| all)
    })
    .await;
    let mut client = relay.client().await;
    let (id, credit) = client.connect(&address, 1024).await;
    write_all(&mut client, id, credit, &data).await;
    client.send(&Frame::Fin { id }).await;
    let reason = Reason::new(Code::CLOSED, "");
    client.send(&Frame::Reset { id, reason }).await;
    let received = within(receiving).await.expect("it ends");
    assert!(received.expect("in order") == data);
}

#[tokio::test]
async fn a_reset_of_the_target_arrives_as_one_and_never_as_an_end() {
    let relay = TestRelay::start(config(token())).await;
    let (address, _cutting) = target(|mut stream| async move {
        stream.write_all(b"the beginning of something").await?;
        let mut go = [0];
        stream.read_exact(&mut go).await?;
        stream.set_zero_linger()
    })
    .await;
    let mut client = relay.client().await;
    let (id, mut credit) = client.connect(&address, 1024).await;
    let data = b"!".to_vec().into();
    client.send(&Frame::Data { id, data }).await;
    let (data, reset) = client.read_to_end(id, &mut credit).await;
    assert!(b"the beginning of something".starts_with(&data));
    assert_eq!(reset.expect("no end in order").code(), Code::RESET);
}

#[tokio::test]
async fn a_reset_of_the_client_arrives_as_one_and_never_as_an_end() {
    let relay = TestRelay::start(config(token())).await;
    // Cut by the client itself, and by the loss of its WebSocket.
    for lost in [false, true] {
        let (address, receiving) = target(|mut stream| async move {
            let mut all = Vec::new();
            stream.read_to_end(&mut all).await
        })
        .await;
        let mut client = relay.client().await;
        let (id, _) = client.connect(&address, 1024).await;
        let data = b"the beginning of something".to_vec().into();
        client.send(&Frame::Data { id, data }).await;
        let reason = Reason::new(Code::CANCELLED, "");
        if lost {
            drop(client);
        } else {
            client.send(&Frame::Reset { id, reason }).await;
        }
        let received = within(receiving).await.expect("it ends");
        let error = received.expect_err("no end in order");
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    }
}

#[tokio::test]
async fn a_connection_that_nobody_takes_is_refused_with_the_reason() {
    let relay = TestRelay::start(config(token())).await;
    let mut client = relay.client().await;
    let nobody = Closed::tcp();
    let address = nobody.address().to_string();
    let reason = client.refused(&address).await;
    assert_eq!(reason.code(), Code::REFUSED);
    assert!(reason.text().contains(&address), "{reason}");
}

/// Opens a stream whose socket in the relay has small buffers, so that what is counted is what the
/// relay itself holds.
async fn connect_narrow(client: &mut Client, to: &str, credit: u32) -> (Id, u32) {
    let id = client.new_id();
    let mut options = TcpOptions::default();
    options.send_buffer = 16_384.try_into().ok();
    options.receive_buffer = 16_384.try_into().ok();
    let to = to.parse().expect(to);
    client
        .send(&Frame::Connect {
            id,
            credit,
            to,
            options,
        })
        .await;
    match client.frame().await {
        Frame::Opened { credit, .. } => (id, credit),
        other => panic!("{other:?}"),
    }
}

fn narrow(stream: &TcpStream) {
    let socket = SockRef::from(stream);
    socket.set_send_buffer_size(16_384).expect("set");
    socket.set_recv_buffer_size(16_384).expect("set");
}

#[tokio::test]
async fn of_a_stream_that_the_client_does_not_read_the_relay_takes_what_it_has_credit_for() {
    const CREDIT: usize = 256 * 1024;
    let relay = TestRelay::start(config(token())).await;
    let (address, pushing) = target(|mut stream| async move {
        narrow(&stream);
        let chunk = vec![7; 16 * 1024];
        let mut sent = 0;
        while let Ok(written) = timeout(STALLED, stream.write(&chunk)).await {
            sent += written.expect("open");
        }
        (sent, stream)
    })
    .await;
    let mut client = relay.client().await;
    let (_id, _) = connect_narrow(&mut client, &address, CREDIT as u32).await;
    let (sent, _stream) = within(pushing).await.expect("it stalls");
    let systems = 256 * 1024;
    assert!(sent >= CREDIT && sent <= CREDIT + systems, "{sent}");
}

#[tokio::test]
async fn of_a_stream_that_the_target_does_not_read_the_relay_takes_one_window() {
    let relay = TestRelay::start(config(token())).await;
    let (address, idle) = target(|stream| async move {
        narrow(&stream);
        stream
    })
    .await;
    let mut client = relay.client().await;
    let (id, window) = connect_narrow(&mut client, &address, 1024).await;
    let _stream = within(idle).await.expect("open");
    let (mut credit, mut sent) = (window as usize, 0);
    loop {
        while credit > 0 {
            let count = credit.min(MAX_DATA);
            let data = vec![7; count].into();
            client.send(&Frame::Data { id, data }).await;
            credit -= count;
            sent += count;
        }
        match timeout(STALLED, client.frame()).await {
            Ok(Frame::Credit { more, .. }) => credit += more as usize,
            Ok(other) => panic!("{other:?}"),
            Err(_) => break,
        }
    }
    let systems = 512 * 1024;
    let window = window as usize;
    assert!(sent >= window && sent <= window + systems, "{sent}");
    // A stalled stream holds up nobody else.
    let (other, echo) = target(|mut stream| async move {
        let mut byte = [0];
        stream.read_exact(&mut byte).await?;
        stream.write_all(&byte).await
    })
    .await;
    let (id, _) = client.connect(&other, 1024).await;
    let data: bytes::Bytes = b"x".to_vec().into();
    client
        .send(&Frame::Data {
            id,
            data: data.clone(),
        })
        .await;
    assert_eq!(client.frame().await, Frame::Data { id, data });
    within(echo).await.expect("it ends").expect("in order");
}

#[tokio::test]
async fn many_streams_move_at_once() {
    let relay = TestRelay::start(config(token())).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a free port");
    let address = listener.local_addr().expect("bound").to_string();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut read, mut write) = stream.split();
                let _ = tokio::io::copy(&mut read, &mut write).await;
                let _ = write.shutdown().await;
            });
        }
    });
    let mut client = relay.client().await;
    let mut streams = std::collections::BTreeMap::new();
    for index in 0..40_u32 {
        let (id, credit) = client.connect(&address, MIB as u32).await;
        let data = pattern(100_000 + index as usize);
        assert!(credit as usize >= data.len());
        streams.insert(id, (data, Vec::new()));
    }
    for (id, (data, _)) in &streams {
        for chunk in data.chunks(MAX_DATA) {
            let data = chunk.to_vec().into();
            client.send(&Frame::Data { id: *id, data }).await;
        }
        client.send(&Frame::Fin { id: *id }).await;
    }
    let mut open = streams.len();
    while open > 0 {
        match client.frame().await {
            Frame::Data { id, data } => {
                let (_, received) = streams.get_mut(&id).expect("a stream");
                received.extend_from_slice(&data);
            }
            Frame::Fin { .. } => open -= 1,
            Frame::Credit { .. } => {}
            other => panic!("{other:?}"),
        }
    }
    for (id, (sent, received)) in streams {
        assert!(sent == received, "{id}");
    }
}

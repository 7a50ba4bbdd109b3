//! Section 6: bytes, credit, ends and cuts of streams.

use std::io::ErrorKind;

use bytes::Bytes;
use jackfield_relay_wire::{Code, Frame, Reason};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::case;
use crate::conformance::client::{Client, Opened, raw, unexpected};
use crate::conformance::targets::accepted;
use crate::conformance::{Case, Checked, Step as _, Stop, Suite, ensure};

pub(super) const CASES: &[Case] = &[
    case!(
        bytes_go_both_ways,
        "6",
        "DATA carries bytes in order, both ways"
    ),
    case!(
        no_data_without_credit,
        "6",
        "the relay sends no more than it has credit for"
    ),
    case!(
        credit_comes_back,
        "6",
        "what a target has taken is given back as credit"
    ),
    case!(
        too_much_data_is_an_error,
        "6",
        "more DATA than credit is FLOW_CONTROL_ERROR"
    ),
    case!(
        too_much_credit_is_an_error,
        "6",
        "more than 2^32-1 of credit is FLOW_CONTROL_ERROR"
    ),
    case!(no_credit_is_an_error, "2", "CREDIT of 0 is an error"),
    case!(no_data_is_an_error, "2", "DATA of no bytes is an error"),
    case!(
        fin_ends_one_direction,
        "6",
        "FIN ends its direction, and the other lives on"
    ),
    case!(
        a_targets_end_is_fin,
        "6",
        "a target's end is FIN, behind all its DATA"
    ),
    case!(
        an_end_takes_no_credit,
        "6",
        "a target's end is FIN, though no credit is left"
    ),
    case!(
        data_after_fin_is_an_error,
        "6",
        "DATA after FIN is an error"
    ),
    case!(
        a_targets_cut_is_reset,
        "6",
        "a target's reset is RESET with the code RESET, no FIN"
    ),
    case!(
        a_reset_cuts_the_target,
        "6",
        "RESET cuts the target: an error there, no end"
    ),
    case!(
        what_fin_ended_is_delivered,
        "6",
        "what FIN had ended is delivered, though RESET follows"
    ),
    case!(
        a_lost_carrier_cuts_targets,
        "6",
        "a lost WebSocket cuts its targets: an error, no end"
    ),
    case!(
        what_was_ended_outlives_the_carrier,
        "6",
        "what FIN had ended is delivered, though the WebSocket is lost"
    ),
    case!(
        a_stalled_stream_stalls_alone,
        "6",
        "a stream that isn't read stalls no other"
    ),
];

/// A stream, and its target.
async fn stream(suite: &Suite, credit: u32) -> Result<(Client, Opened, TcpStream), Stop> {
    let (listener, address) = suite.listener().await?;
    let mut client = suite.client().await?;
    let stream = client.connect(address, credit).await?;
    let target = accepted(&listener).await?;
    Ok((client, stream, target))
}

/// Bytes that differ from their neighbours.
fn pattern(count: usize) -> Vec<u8> {
    (0..count).map(|index| (index % 251) as u8).collect()
}

fn data(stream: &Opened, data: impl Into<Bytes>) -> Frame {
    let (id, data) = (stream.id, data.into());
    Frame::Data { id, data }
}

async fn bytes_go_both_ways(suite: &Suite) -> Checked {
    let (mut client, stream, mut target) = stream(suite, 100_000).await?;
    let sent = pattern(stream.credit.min(50_000) as usize);
    for part in sent.chunks(10_000) {
        client.send(&data(&stream, part.to_vec())).await?;
    }
    let mut arrived = vec![0; sent.len()];
    target
        .read_exact(&mut arrived)
        .await
        .step("the target reads")?;
    ensure!(
        arrived == sent,
        "the target read other bytes than were sent"
    );
    let sent = pattern(100_000);
    target.write_all(&sent).await.step("the target writes")?;
    let arrived = client.read(stream.id, sent.len()).await?;
    ensure!(arrived == sent, "other bytes came than the target wrote");
    Ok(())
}

async fn no_data_without_credit(suite: &Suite) -> Checked {
    let (mut client, stream, mut target) = stream(suite, 10).await?;
    target
        .write_all(b"0123456789abcdef")
        .await
        .step("the target writes")?;
    let first = client.read(stream.id, 10).await?;
    ensure!(
        first == b"0123456789"[..],
        "{first:?} came for credit of 10"
    );
    client.is_quiet().await?;
    client
        .send(&Frame::Credit {
            id: stream.id,
            more: 3,
        })
        .await?;
    let more = client.read(stream.id, 3).await?;
    ensure!(more == b"abc"[..], "{more:?} came for credit of 3");
    client.is_quiet().await
}

async fn credit_comes_back(suite: &Suite) -> Checked {
    let (mut client, stream, mut target) = stream(suite, 1024).await?;
    let mut left = stream.credit;
    while left > 0 {
        let count = left.min(65_536);
        client.send(&data(&stream, vec![7; count as usize])).await?;
        left -= count;
    }
    let mut arrived = vec![0; stream.credit as usize];
    target
        .read_exact(&mut arrived)
        .await
        .step("the target reads")?;
    match client.frame().await? {
        Frame::Credit { id, more } if id == stream.id => {
            ensure!(
                more <= stream.credit,
                "credit of {more} comes back for {}",
                stream.credit
            );
            Ok(())
        }
        other => unexpected(&other, "CREDIT"),
    }
}

async fn too_much_data_is_an_error(suite: &Suite) -> Checked {
    let (mut client, stream, target) = stream(suite, 1024).await?;
    // The target reads nothing, and the relay gives credit back for what the system takes for it:
    // what was given is counted, and passed by one byte once none comes any more.
    let mut left = u64::from(stream.credit);
    loop {
        while left > 0 {
            let count = left.min(65_536);
            client.send(&data(&stream, vec![7; count as usize])).await?;
            left -= count;
        }
        for frame in client.before_now().await? {
            match frame {
                Frame::Credit { id, more } if id == stream.id => left += u64::from(more),
                other => return unexpected(&other, "CREDIT"),
            }
        }
        if left == 0 {
            break;
        }
    }
    // All of a window at once: no more can have been on its way back.
    let mut over = u64::from(stream.credit) + 1;
    while over > 0 {
        let count = over.min(65_536);
        if client
            .send(&data(&stream, vec![7; count as usize]))
            .await
            .is_err()
        {
            break;
        }
        over -= count;
    }
    let ended = client.ends_with(Code::FLOW_CONTROL_ERROR).await;
    drop(target);
    ended
}

async fn too_much_credit_is_an_error(suite: &Suite) -> Checked {
    let (mut client, stream, _target) = stream(suite, 1024).await?;
    client
        .send(&Frame::Credit {
            id: stream.id,
            more: u32::MAX,
        })
        .await?;
    client.ends_with(Code::FLOW_CONTROL_ERROR).await
}

async fn no_credit_is_an_error(suite: &Suite) -> Checked {
    let (mut client, stream, _target) = stream(suite, 1024).await?;
    client
        .send_raw(&raw(0x21, stream.id.get(), &[0; 4]))
        .await?;
    client.ends_with(Code::PROTOCOL_ERROR).await
}

async fn no_data_is_an_error(suite: &Suite) -> Checked {
    let (mut client, stream, _target) = stream(suite, 1024).await?;
    client.send_raw(&raw(0x20, stream.id.get(), &[])).await?;
    client.ends_with(Code::PROTOCOL_ERROR).await
}

async fn fin_ends_one_direction(suite: &Suite) -> Checked {
    let (mut client, stream, mut target) = stream(suite, 1024).await?;
    client.send(&data(&stream, "all of it")).await?;
    client.send(&Frame::Fin { id: stream.id }).await?;
    let mut arrived = Vec::new();
    target
        .read_to_end(&mut arrived)
        .await
        .step("the target reads to the end")?;
    ensure!(arrived == b"all of it", "the target read {arrived:?}");
    target
        .write_all(b"and an answer")
        .await
        .step("the target writes")?;
    let answer = client.read(stream.id, 13).await?;
    ensure!(answer == b"and an answer"[..], "{answer:?} came");
    Ok(())
}

async fn a_targets_end_is_fin(suite: &Suite) -> Checked {
    let (mut client, stream, mut target) = stream(suite, 100_000).await?;
    let sent = pattern(70_000);
    target.write_all(&sent).await.step("the target writes")?;
    target.shutdown().await.step("the target ends")?;
    let arrived = client.read(stream.id, sent.len()).await?;
    ensure!(arrived == sent, "other bytes came than the target wrote");
    match client.frame().await? {
        Frame::Fin { id } if id == stream.id => {}
        other => return unexpected(&other, "FIN"),
    }
    // The other direction lives on.
    client.send(&data(&stream, "still")).await?;
    let mut still = [0; 5];
    target
        .read_exact(&mut still)
        .await
        .step("the target reads")?;
    ensure!(&still == b"still", "the target read {still:?}");
    Ok(())
}

async fn an_end_takes_no_credit(suite: &Suite) -> Checked {
    let (mut client, stream, mut target) = stream(suite, 1000).await?;
    let sent = pattern(1000);
    target.write_all(&sent).await.step("the target writes")?;
    let arrived = client.read(stream.id, sent.len()).await?;
    ensure!(arrived == sent, "other bytes came than the target wrote");
    target.shutdown().await.step("the target ends")?;
    match client.frame().await? {
        Frame::Fin { id } if id == stream.id => Ok(()),
        other => unexpected(&other, "FIN"),
    }
}

async fn data_after_fin_is_an_error(suite: &Suite) -> Checked {
    let (mut client, stream, _target) = stream(suite, 1024).await?;
    client.send(&Frame::Fin { id: stream.id }).await?;
    client.send(&data(&stream, "more")).await?;
    client.ends_with(Code::PROTOCOL_ERROR).await
}

async fn a_targets_cut_is_reset(suite: &Suite) -> Checked {
    let (mut client, stream, target) = stream(suite, 1024).await?;
    let socket = socket2::SockRef::from(&target);
    let at_once = Some(std::time::Duration::ZERO);
    socket.set_linger(at_once).step("the target's socket")?;
    drop(target);
    match client.frame().await? {
        Frame::Reset { id, reason } if id == stream.id => {
            ensure!(reason.code() == Code::RESET, "RESET says {reason:?}");
            client.is_quiet().await
        }
        other => unexpected(&other, "RESET"),
    }
}

async fn a_reset_cuts_the_target(suite: &Suite) -> Checked {
    let (mut client, stream, target) = stream(suite, 1024).await?;
    client.send(&data(&stream, "begun")).await?;
    let reason = Reason::new(Code::CANCELLED, "");
    client
        .send(&Frame::Reset {
            id: stream.id,
            reason,
        })
        .await?;
    is_cut(target).await
}

/// That a target's connection is cut, and doesn't just end.
async fn is_cut(mut target: TcpStream) -> Checked {
    let mut arrived = Vec::new();
    match target.read_to_end(&mut arrived).await {
        Err(error) if error.kind() == ErrorKind::ConnectionReset => Ok(()),
        Err(error) => Err(Stop::Failed(format!("the target's error is {error}"))),
        Ok(_) => Err(Stop::Failed("to the target it looks like an end".into())),
    }
}

async fn what_fin_ended_is_delivered(suite: &Suite) -> Checked {
    let (mut client, stream, target) = stream(suite, 1024).await?;
    let sent = send_and_end(&mut client, &stream).await?;
    let reason = Reason::new(Code::CLOSED, "");
    client
        .send(&Frame::Reset {
            id: stream.id,
            reason,
        })
        .await?;
    has_all(target, &sent).await?;
    // It may have taken some of it before it saw the RESET.
    let before = client.before_now().await?;
    let credit = |frame: &Frame| matches!(frame, Frame::Credit { id, .. } if *id == stream.id);
    ensure!(before.iter().all(credit), "the relay sent {before:?}");
    Ok(())
}

/// As much as there is credit for, and FIN.
async fn send_and_end(client: &mut Client, stream: &Opened) -> Result<Vec<u8>, Stop> {
    let sent = pattern(stream.credit.min(500_000) as usize);
    for part in sent.chunks(65_536) {
        client.send(&data(stream, part.to_vec())).await?;
    }
    client.send(&Frame::Fin { id: stream.id }).await?;
    Ok(sent)
}

/// That a target gets all of this, and the end.
async fn has_all(mut target: TcpStream, sent: &[u8]) -> Checked {
    let mut arrived = Vec::new();
    target
        .read_to_end(&mut arrived)
        .await
        .step("the target reads to the end")?;
    ensure!(
        arrived == sent,
        "the target read {} bytes of {}",
        arrived.len(),
        sent.len()
    );
    Ok(())
}

async fn a_lost_carrier_cuts_targets(suite: &Suite) -> Checked {
    let (mut client, stream, target) = stream(suite, 1024).await?;
    client.send(&data(&stream, "begun")).await?;
    client.is_quiet().await?;
    drop(client);
    is_cut(target).await
}

async fn what_was_ended_outlives_the_carrier(suite: &Suite) -> Checked {
    let (mut client, stream, target) = stream(suite, 1024).await?;
    let sent = send_and_end(&mut client, &stream).await?;
    // It has come to the relay.
    client.before_now().await?;
    drop(client);
    has_all(target, &sent).await
}

async fn a_stalled_stream_stalls_alone(suite: &Suite) -> Checked {
    let (listener, address) = suite.listener().await?;
    let mut client = suite.client().await?;
    let stalled = client.connect(address, 1).await?;
    let mut flood = accepted(&listener).await?;
    let other = client.connect(address, 1024).await?;
    let mut target = accepted(&listener).await?;
    let flooding = async {
        // Until the buffers on the way are full, and then for good.
        let block = vec![7; 65_536];
        while flood.write_all(&block).await.is_ok() {}
        Err(Stop::Failed("the stalled target was cut".into()))
    };
    let talking = async {
        client.read(stalled.id, 1).await?;
        for _ in 0..50 {
            client.send(&data(&other, "ping")).await?;
            let mut ping = [0; 4];
            target
                .read_exact(&mut ping)
                .await
                .step("the target reads")?;
            target.write_all(b"pong").await.step("the target writes")?;
            let pong = client.read(other.id, 4).await?;
            ensure!(pong == b"pong"[..], "{pong:?} came");
            client
                .send(&Frame::Credit {
                    id: other.id,
                    more: 4,
                })
                .await?;
        }
        Ok(())
    };
    tokio::select! {
        stopped = flooding => stopped,
        talked = talking => talked,
    }
}

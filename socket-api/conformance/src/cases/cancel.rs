//! Cancellation: futures that are dropped before they are ready.

use std::time::Duration;

use jackfield_socket::{Endpoint, TcpConnect, TcpOptions, time};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::case;
use crate::client::{STILL, check, poll_once, soon};
use crate::failure::{Step, ensure};
use crate::pattern::Pattern;
use crate::peer::command::Command;
use crate::peer::record::State;
use crate::{Case, Failure, Target};

pub(super) const CASES: &[Case] = &[
    case!(
        a_cancelled_connect_leaks_nothing,
        "dropping a connect future closes what it was opening"
    ),
    case!(
        a_cancelled_read_loses_no_byte,
        "a read that is dropped before it is ready has taken nothing"
    ),
    case!(
        a_cancelled_write_repeats_no_byte,
        "a write that is dropped before it is ready has sent nothing"
    ),
];

async fn a_cancelled_connect_leaks_nothing(target: &Target) -> Result<(), Failure> {
    let to = Endpoint::from(target.peer.tcp);
    for round in 0..50 {
        let options = TcpOptions::default();
        let connecting = target.network.connect(&to, &options);
        // Dropped at once, and after more and more of its steps.
        if round < 10 {
            drop(poll_once(connecting).await);
        } else {
            drop(time::timeout(Duration::from_micros(20 * round), connecting).await);
        }
    }
    let line: String = soon(
        "the peer has no connection left that says nothing",
        target.ask(Command::Silent {}),
    )
    .await??;
    ensure!(line == "none", "the peer answered {line:?}");
    Ok(())
}

async fn a_cancelled_read_loses_no_byte(target: &Target) -> Result<(), Failure> {
    const BYTES: u64 = 30_000;
    let command = Command::Drip {
        seed: 15,
        bytes: BYTES,
        piece: 173,
        pause: 2,
    };
    let mut stream = target.start(command).await?;
    let mut total = 0;
    let mut reads = 0_u32;
    // Of a size unlike the pieces', so that some bytes stay behind in buffers.
    let mut buffer = [0; 100];
    let begin = time::now();
    loop {
        // In turn: given up at once, soon, and hardly ever.
        let read = match reads % 3 {
            0 => poll_once(stream.read(&mut buffer)).await,
            1 => time::timeout(Duration::from_micros(500), stream.read(&mut buffer))
                .await
                .ok(),
            _ => time::timeout(STILL, stream.read(&mut buffer)).await.ok(),
        };
        reads += 1;
        let Some(read) = read else {
            ensure!(
                time::now() - begin < crate::client::SOON * 2,
                "stuck after {total} bytes"
            );
            continue;
        };
        let count = read.step("reading")?;
        if count == 0 {
            break;
        }
        check(15, total, &buffer[..count])?;
        total += count as u64;
    }
    ensure!(total == BYTES, "{total} bytes of {BYTES}");
    Ok(())
}

async fn a_cancelled_write_repeats_no_byte(target: &Target) -> Result<(), Failure> {
    let ticket = target.ticket().await?;
    let mut stream = target.start(Command::Stall { ticket, seed: 16 }).await?;
    // Fill all buffers, so that a write must wait; then give it up, in many sizes.
    let most = target.capabilities.buffered;
    let mut sent = 0;
    let mut given_up = 0;
    while given_up < 20 && sent <= most {
        let size = if given_up == 0 {
            16_384
        } else {
            100 * given_up
        };
        let data = Pattern::new(16).bytes(sent, size);
        let wait = if given_up == 0 {
            STILL
        } else {
            Duration::from_millis(1)
        };
        match time::timeout(wait, stream.write(&data)).await {
            Ok(count) => sent += count.step("writing")? as u64,
            Err(_) => given_up += 1,
        }
    }
    ensure!(
        given_up > 0,
        "the peer reads nothing, yet took {sent} bytes"
    );
    let _: String = target.ask(Command::Release { ticket }).await?;
    let rest = 100_000;
    crate::client::write_pattern(&mut stream, 16, sent, rest).await?;
    stream.shutdown().await.step("ending")?;
    let record = target.outcome(ticket).await?;
    ensure!(
        record.bytes == sent + rest && record.wrong.is_none() && record.state == State::Ended,
        "of {} bytes, the peer got: {record}",
        sent + rest
    );
    Ok(())
}

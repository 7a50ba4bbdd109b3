//! Closing: ends, resets, and drops.

use std::time::Duration;

use jackfield_socket::{Error, ErrorKind, time};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::case;
use crate::client::{check, poll_once, read_line, soon, write_pattern};
use crate::failure::{Step, ensure};
use crate::peer::command::Command;
use crate::peer::record::{Record, State};
use crate::{Case, Failure, Target};

pub(super) const CASES: &[Case] = &[
    case!(
        an_end_wakes_a_pending_read,
        "a read that waits learns of the peer's end"
    ),
    case!(
        a_reset_wakes_a_pending_read,
        "a read that waits learns of a reset"
    ),
    case!(
        a_reset_is_an_error,
        "a stream that was cut fails with Reset; it never looks as if it had ended"
    ),
    case!(
        a_reset_is_an_error_to_a_late_reader,
        "the same where reading starts after the cut"
    ),
    case!(
        a_reset_fails_writes,
        "writing to a peer that has cut the stream fails in the end"
    ),
    case!(
        half_close,
        "after shutdown, reading goes on where that was declared"
    ),
    case!(
        writing_goes_on_after_the_peers_end,
        "the peer's end leaves our direction open where half-close was declared"
    ),
    case!(
        writing_after_shutdown_fails,
        "a write after shutdown fails with Closed"
    ),
    case!(
        shutting_down_twice,
        "shutting down again is ready and no error"
    ),
    case!(
        drop_is_a_cut,
        "a stream that is dropped before its end is cut for its peer, and never seems to have ended"
    ),
    case!(
        what_was_ended_is_not_cut,
        "what was written and ended arrives, whatever is unread when the stream is dropped"
    ),
];

async fn an_end_wakes_a_pending_read(target: &Target) -> Result<(), Failure> {
    let command = Command::Send {
        seed: 0,
        bytes: 0,
        delay: 100,
    };
    let mut stream = target.start(command).await?;
    let count = soon("the peer's end", stream.read(&mut [0; 16]))
        .await?
        .step("reading")?;
    ensure!(count == 0, "{count} bytes came");
    Ok(())
}

async fn a_reset_wakes_a_pending_read(target: &Target) -> Result<(), Failure> {
    let command = Command::Reset {
        seed: 0,
        bytes: 0,
        delay: 100,
    };
    let mut stream = target.start(command).await?;
    let result = soon("the peer's reset", stream.read(&mut [0; 16])).await?;
    is_cut(target, result)
}

async fn a_reset_is_an_error(target: &Target) -> Result<(), Failure> {
    for bytes in [0, 1, 1000, 1_000_000] {
        cut_after(target, bytes, 0).await?;
    }
    Ok(())
}

async fn a_reset_is_an_error_to_a_late_reader(target: &Target) -> Result<(), Failure> {
    for bytes in [0, 1000] {
        cut_after(target, bytes, 300).await?;
    }
    Ok(())
}

/// Reads what comes before a cut, and then the cut itself.
async fn cut_after(target: &Target, bytes: u64, late: u64) -> Result<(), Failure> {
    let command = Command::Reset {
        seed: 12,
        bytes,
        delay: 50,
    };
    let mut stream = target.start(command).await?;
    time::sleep(Duration::from_millis(late)).await;
    let mut buffer = vec![0; 16 * 1024];
    let mut total = 0;
    loop {
        match soon("bytes, then a reset", stream.read(&mut buffer)).await? {
            Ok(count) if count > 0 => {
                check(12, total, &buffer[..count])?;
                total += count as u64;
                ensure!(total <= bytes, "{total} bytes came of {bytes}");
            }
            result => {
                return is_cut(target, result)
                    .map_err(|failure| Failure::new(format!("after {bytes} bytes: {failure}")));
            }
        }
    }
}

/// Fails unless a read was told of a reset.
fn is_cut(target: &Target, result: std::io::Result<usize>) -> Result<(), Failure> {
    match result.map_err(Error::from) {
        Err(error) => {
            ensure!(
                error.kind() == ErrorKind::Reset,
                "the kind is {:?}: {error}",
                error.kind()
            );
            Ok(())
        }
        Ok(0) if target.capabilities.may_truncate => Ok(()),
        Ok(0) => Err(Failure::new("the reset looks like an end")),
        Ok(count) => Err(Failure::new(format!("{count} bytes came"))),
    }
}

async fn a_reset_fails_writes(target: &Target) -> Result<(), Failure> {
    let command = Command::Reset {
        seed: 0,
        bytes: 0,
        delay: 0,
    };
    let mut stream = target.start(command).await?;
    let data = [0; 1024];
    // Bounded: more than any buffer takes.
    let most = target.capabilities.buffered / data.len() as u64;
    for _ in 0..most {
        let write = soon("a write to a peer that is gone", stream.write_all(&data)).await?;
        let failed = match write {
            Ok(()) => stream.flush().await,
            Err(error) => Err(error),
        };
        if let Err(error) = failed.map_err(Error::from) {
            ensure!(
                matches!(error.kind(), ErrorKind::Reset | ErrorKind::Closed),
                "the kind is {:?}: {error}",
                error.kind()
            );
            return Ok(());
        }
        time::sleep(Duration::from_millis(1)).await;
    }
    Err(Failure::new("writing went on as if somebody read"))
}

async fn half_close(target: &Target) -> Result<(), Failure> {
    let mut stream = target.start(Command::HalfClose {}).await?;
    let line = read_line(&mut stream).await?;
    ensure!(line == "go on", "the peer said {line:?}");
    stream.write_all(b"12345").await.step("writing")?;
    stream.shutdown().await.step("ending our direction")?;
    if !target.capabilities.half_close {
        // The declared behaviour: both directions are over, and nothing is made up.
        let mut rest = Vec::new();
        let result = soon("the end of both", stream.read_to_end(&mut rest)).await?;
        ensure!(
            rest.is_empty() || (result.is_ok() && rest == b"5\n"),
            "after closing came {rest:?}"
        );
        return Ok(());
    }
    let line = soon("the peer's last line", read_line(&mut stream)).await??;
    ensure!(line == "5", "the peer counted {line:?} bytes of 5");
    let count = soon("the peer's end", stream.read(&mut [0; 16]))
        .await?
        .step("reading")?;
    ensure!(count == 0, "{count} bytes came after the last");
    Ok(())
}

async fn writing_goes_on_after_the_peers_end(target: &Target) -> Result<(), Failure> {
    let ticket = target.ticket().await?;
    let command = Command::EndThenSink { ticket, seed: 13 };
    let mut stream = target.start(command).await?;
    let count = soon("the peer's end", stream.read(&mut [0; 16]))
        .await?
        .step("reading")?;
    ensure!(count == 0, "{count} bytes came");
    if !target.capabilities.half_close {
        return Ok(());
    }
    write_pattern(&mut stream, 13, 0, 100_000).await?;
    stream.shutdown().await.step("ending")?;
    let record = target.outcome(ticket).await?;
    ensure!(
        record.bytes == 100_000 && record.wrong.is_none() && record.state == State::Ended,
        "of 100000 bytes, the peer got: {record}"
    );
    Ok(())
}

async fn writing_after_shutdown_fails(target: &Target) -> Result<(), Failure> {
    let mut stream = target.start(Command::Echo {}).await?;
    stream.shutdown().await.step("ending")?;
    let result = soon("a write after the end", stream.write(b"more")).await?;
    match result.map_err(Error::from) {
        Ok(count) => Err(Failure::new(format!("it took {count} bytes"))),
        Err(error) => {
            ensure!(
                error.kind() == ErrorKind::Closed,
                "the kind is {:?}: {error}",
                error.kind()
            );
            Ok(())
        }
    }
}

async fn shutting_down_twice(target: &Target) -> Result<(), Failure> {
    let ticket = target.ticket().await?;
    let command = Command::Sink {
        ticket,
        seed: 0,
        delay: 0,
    };
    let mut stream = target.start(command).await?;
    stream.shutdown().await.step("ending")?;
    soon("ending again", stream.shutdown())
        .await?
        .step("ending again")?;
    let record = target.outcome(ticket).await?;
    ensure!(
        record.state == State::Ended && record.bytes == 0,
        "the peer got: {record}"
    );
    Ok(())
}

async fn drop_is_a_cut(target: &Target) -> Result<(), Failure> {
    let ticket = target.ticket().await?;
    let command = Command::Sink {
        ticket,
        seed: 14,
        delay: 0,
    };
    let mut stream = target.start(command).await?;
    write_pattern(&mut stream, 14, 0, 100).await?;
    // A drop may be a reset, which may pass what was written: the peer would never hear whose it is.
    soon("the peer takes what was written", async {
        while target
            .ask::<Record>(Command::Progress { ticket })
            .await?
            .bytes
            < 100
        {
            time::sleep(Duration::from_millis(10)).await;
        }
        Ok::<_, Failure>(())
    })
    .await??;
    // A read that waits must not keep it open.
    let _ = poll_once(stream.read(&mut [0; 16])).await;
    drop(stream);
    let record = soon("the peer learns of the drop", target.outcome(ticket)).await??;
    ensure!(
        record.wrong.is_none()
            && (record.state == State::Failed || target.capabilities.may_truncate),
        "the peer got: {record}"
    );
    Ok(())
}

async fn what_was_ended_is_not_cut(target: &Target) -> Result<(), Failure> {
    const BYTES: u64 = 1_000_000;
    let ticket = target.ticket().await?;
    let command = Command::Job {
        ticket,
        seed: 15,
        delay: 300,
        answer: target.capabilities.half_close,
    };
    let mut stream = target.start(command).await?;
    // The rest of the line is here, and stays unread.
    let first = soon("the peer's line", stream.read_u8()).await?;
    let first = first.step("reading the line's beginning")?;
    ensure!(first == b'r', "the peer said {first}");
    write_pattern(&mut stream, 15, 0, BYTES).await?;
    stream.shutdown().await.step("ending")?;
    drop(stream);
    let record = soon("the job's end", target.outcome(ticket)).await??;
    ensure!(
        record.bytes == BYTES && record.wrong.is_none() && record.state == State::Ended,
        "of {BYTES} bytes, the peer got: {record}"
    );
    Ok(())
}

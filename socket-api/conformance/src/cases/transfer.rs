//! Integrity: every byte, then the end.

use std::io::IoSlice;
use std::time::Duration;

use futures_util::future::try_join_all;
use jackfield_socket::time;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::case;
use crate::client::{poll_once, read_exact_pattern, read_line, read_pattern, soon, write_pattern};
use crate::failure::{Step, ensure};
use crate::pattern::Pattern;
use crate::peer::command::Command;
use crate::peer::record::{Record, State};
use crate::{Case, Failure, Target};

/// More than all buffers between the two ends hold, in most cases.
const BULK: u64 = 8 << 20;
/// How late a late reader starts.
const LATE: u64 = 500;

pub(super) const CASES: &[Case] = &[
    case!(
        download,
        "8 MiB, then the peer's end: every byte arrives, then the end"
    ),
    case!(
        download_by_a_late_reader,
        "the same where reading starts 500 ms late"
    ),
    case!(
        upload,
        "8 MiB, then our end: every byte arrives at the peer, then the end"
    ),
    case!(
        upload_to_a_late_reader,
        "the same where the peer reads 500 ms late"
    ),
    case!(
        upload_then_drop,
        "dropping a stream that was shut down loses nothing of what was written"
    ),
    case!(
        bulk_both_ways,
        "reading and writing at once neither block nor disturb each other"
    ),
    case!(
        short_replies,
        "a reply of a few bytes that ends with the connection is never lost"
    ),
    case!(
        short_replies_to_a_late_reader,
        "the same where reading starts after the end has come"
    ),
    case!(
        empty_writes,
        "a write of no bytes is no end and changes nothing"
    ),
    case!(vectored_writes, "vectored writes keep the order of bytes"),
    case!(
        writes_of_many_sizes,
        "no size of write, powers of two among them, loses bytes"
    ),
    case!(
        many_streams,
        "fifty streams at once don't get into each other"
    ),
    case!(
        small_writes_go_out,
        "what was flushed is on its way, without more to push it"
    ),
];

async fn download(target: &Target) -> Result<(), Failure> {
    receive_bulk(target, 0).await
}

async fn download_by_a_late_reader(target: &Target) -> Result<(), Failure> {
    receive_bulk(target, LATE).await
}

async fn receive_bulk(target: &Target, late: u64) -> Result<(), Failure> {
    let command = Command::Send {
        seed: 3,
        bytes: BULK,
        delay: 0,
    };
    let mut stream = target.start(command).await?;
    if late > 0 {
        time::sleep(Duration::from_millis(late)).await;
    }
    let total = match read_pattern(&mut stream, 3).await {
        // What may be lost is lost on the system's side of a late reader.
        Err(_) if target.capabilities.may_truncate && late > 0 => return Ok(()),
        total => total?,
    };
    ensure!(
        total == BULK || (target.capabilities.may_truncate && late > 0),
        "the end came after {total} bytes of {BULK}"
    );
    let again = stream.read(&mut [0; 16]).await.step("reading on")?;
    ensure!(again == 0, "after the end came {again} bytes");
    Ok(())
}

async fn upload(target: &Target) -> Result<(), Failure> {
    send_bulk(target, 0).await
}

async fn upload_to_a_late_reader(target: &Target) -> Result<(), Failure> {
    send_bulk(target, LATE).await
}

async fn send_bulk(target: &Target, delay: u64) -> Result<(), Failure> {
    let ticket = target.ticket().await?;
    let command = Command::Sink {
        ticket,
        seed: 4,
        delay,
    };
    let mut stream = target.start(command).await?;
    write_pattern(&mut stream, 4, 0, BULK).await?;
    stream.shutdown().await.step("ending")?;
    if target.capabilities.half_close {
        let line = read_line(&mut stream).await?;
        let record: Record = line.parse().step("the peer's answer")?;
        is_whole(record, BULK)?;
        let rest = stream.read(&mut [0; 16]).await.step("reading on")?;
        ensure!(rest == 0, "after the answer came {rest} bytes");
    }
    is_whole(target.outcome(ticket).await?, BULK)
}

/// Fails where the peer didn't get every byte, then the end.
fn is_whole(record: Record, bytes: u64) -> Result<(), Failure> {
    ensure!(
        record.bytes == bytes && record.wrong.is_none() && record.state == State::Ended,
        "of {bytes} bytes, the peer got: {record}"
    );
    Ok(())
}

async fn upload_then_drop(target: &Target) -> Result<(), Failure> {
    let ticket = target.ticket().await?;
    let command = Command::Sink {
        ticket,
        seed: 5,
        delay: 100,
    };
    let mut stream = target.start(command).await?;
    write_pattern(&mut stream, 5, 0, 1_000_000).await?;
    stream.shutdown().await.step("ending")?;
    drop(stream);
    let record = target.outcome(ticket).await?;
    is_whole(record, 1_000_000)
}

async fn bulk_both_ways(target: &Target) -> Result<(), Failure> {
    let stream = target.start(Command::Echo {}).await?;
    let (mut reader, mut writer) = tokio::io::split(stream);
    let write = write_pattern(&mut writer, 6, 0, BULK);
    let read = read_exact_pattern(&mut reader, 6, 0, BULK);
    tokio::try_join!(write, read)?;
    writer.shutdown().await.step("ending")?;
    if target.capabilities.half_close {
        let rest = read_pattern(&mut reader, 6).await?;
        ensure!(rest == 0, "after the echo came {rest} bytes");
    }
    Ok(())
}

async fn short_replies(target: &Target) -> Result<(), Failure> {
    replies(target, 100, 0).await
}

async fn short_replies_to_a_late_reader(target: &Target) -> Result<(), Failure> {
    replies(target, 5, 50).await
}

async fn replies(target: &Target, count: u32, late: u64) -> Result<(), Failure> {
    for round in 0..count {
        let command = Command::Send {
            seed: 7,
            bytes: 3,
            delay: 0,
        };
        let mut stream = target.start(command).await?;
        if late > 0 {
            time::sleep(Duration::from_millis(late)).await;
        }
        let total = soon("a short reply", read_pattern(&mut stream, 7)).await??;
        ensure!(total == 3, "reply {round}: {total} bytes of 3");
    }
    Ok(())
}

async fn empty_writes(target: &Target) -> Result<(), Failure> {
    let ticket = target.ticket().await?;
    let command = Command::Sink {
        ticket,
        seed: 8,
        delay: 0,
    };
    let mut stream = target.start(command).await?;
    for offset in 0..10 {
        let count = stream.write(&[]).await.step("an empty write")?;
        ensure!(count == 0, "an empty write took {count} bytes");
        stream.flush().await.step("flushing nothing")?;
        write_pattern(&mut stream, 8, offset * 100, 100).await?;
    }
    stream.shutdown().await.step("ending")?;
    let record = target.outcome(ticket).await?;
    is_whole(record, 1000)
}

async fn vectored_writes(target: &Target) -> Result<(), Failure> {
    const TOTAL: usize = 300_000;
    let ticket = target.ticket().await?;
    let command = Command::Sink {
        ticket,
        seed: 9,
        delay: 0,
    };
    let mut stream = target.start(command).await?;
    let data = Pattern::new(9).bytes(0, TOTAL);
    let mut sent = 0;
    while sent < TOTAL {
        // Of unlike sizes, empty ones among them.
        let mut rest = &data[sent..];
        let mut slices = Vec::new();
        for size in [0, 1, 1000, 0, 7, 40_000, 3] {
            let (slice, after) = rest.split_at(rest.len().min(size));
            slices.push(IoSlice::new(slice));
            rest = after;
        }
        let count = stream
            .write_vectored(&slices)
            .await
            .step("a vectored write")?;
        ensure!(count > 0, "a vectored write took nothing");
        sent += count;
    }
    stream.shutdown().await.step("ending")?;
    let record = target.outcome(ticket).await?;
    is_whole(record, TOTAL as u64)
}

async fn writes_of_many_sizes(target: &Target) -> Result<(), Failure> {
    for size in [1_000, 4_096, 16_384, 65_521, 65_536, 65_551, 262_144] {
        let ticket = target.ticket().await?;
        let command = Command::Sink {
            ticket,
            seed: 10,
            delay: 0,
        };
        let mut stream = target.start(command).await?;
        let total = 2_000_000 / size * size;
        let mut sent = 0;
        while sent < total {
            let data = Pattern::new(10).bytes(sent as u64, size);
            stream.write_all(&data).await.step("writing")?;
            sent += size;
        }
        stream.shutdown().await.step("ending")?;
        let record = target.outcome(ticket).await?;
        is_whole(record, total as u64)
            .map_err(|failure| Failure::new(format!("in writes of {size} bytes: {failure}")))?;
    }
    Ok(())
}

async fn many_streams(target: &Target) -> Result<(), Failure> {
    try_join_all((0..50).map(|seed| async move {
        let stream = target.start(Command::Echo {}).await?;
        let (mut reader, mut writer) = tokio::io::split(stream);
        let write = write_pattern(&mut writer, seed, 0, 65_536);
        let read = read_exact_pattern(&mut reader, seed, 0, 65_536);
        tokio::try_join!(write, read)
            .map_err(|failure| Failure::new(format!("stream {seed}: {failure}")))
    }))
    .await?;
    Ok(())
}

async fn small_writes_go_out(target: &Target) -> Result<(), Failure> {
    let mut stream = target.start(Command::Echo {}).await?;
    for offset in 0..50 {
        write_pattern(&mut stream, 11, offset, 1).await?;
        let back = read_exact_pattern(&mut stream, 11, offset, 1);
        soon("the echo of one byte", back).await??;
    }
    let none = poll_once(stream.read(&mut [0; 16])).await;
    ensure!(none.is_none(), "something came unasked: {none:?}");
    Ok(())
}

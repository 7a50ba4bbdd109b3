//! Two tasks on one stream: one reads, one writes, and each is woken for what it waits for.
//!
//! A stream below has room for one waker each way. Whoever reads must not take the writer's place
//! there, nor leave without a word when somebody else waits.

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use jackfield_socket::{AnyStream, Error, ErrorKind};
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};

use super::case;
use crate::client::{read_exact_pattern, read_pattern, soon, write_pattern, write_until_still};
use crate::failure::{Step, ensure};
use crate::peer::command::Command;
use crate::peer::record::State;
use crate::{Case, Failure, Running, Target};

/// More than all buffers between the two ends hold, in most cases.
const BULK: u64 = 8 << 20;
/// More than a stream takes that has just stood still.
const MORE: u64 = 1_000_000;

pub(super) const CASES: &[Case] = &[
    case!(
        a_reader_and_a_writer_in_tasks_of_their_own,
        "8 MiB there and back, where one task writes and another reads"
    ),
    case!(
        the_peers_end_leaves_a_writer_that_waits,
        "a writer that waits is woken when there is room, though a reader has met the peer's end"
    ),
    case!(
        the_peers_end_leaves_an_ender_that_waits,
        "the same of one that ends the stream"
    ),
    case!(
        our_end_leaves_a_reader_that_waits,
        "a reader that waits hears what comes after our end, which another task made"
    ),
    case!(
        a_reset_wakes_a_reader_and_a_writer,
        "both learn of a reset that came while both waited"
    ),
];

/// Runs futures as tasks run: each is asked again only when its own waker is woken.
async fn apart<const N: usize>(futures: [Running<'_>; N]) -> Result<(), Failure> {
    let mut futures = FuturesUnordered::from_iter(futures);
    soon("the end of two tasks on one stream", async {
        while let Some(result) = futures.next().await {
            result?;
        }
        Ok(())
    })
    .await?
}

type Halves = (ReadHalf<AnyStream>, WriteHalf<AnyStream>);

/// A stream whose peer doesn't read, with as much written as it takes.
async fn stalled(target: &Target, command: Command, seed: u64) -> Result<(Halves, u64), Failure> {
    let mut stream = target.start(command).await?;
    let most = target.capabilities.buffered;
    let sent = write_until_still(&mut stream, seed, most).await?;
    ensure!(
        sent <= most,
        "the peer reads nothing, yet {sent} bytes were taken"
    );
    Ok((tokio::io::split(stream), sent))
}

async fn release(target: &Target, ticket: u64) -> Result<(), Failure> {
    target.ask::<String>(Command::Release { ticket }).await?;
    Ok(())
}

async fn a_reader_and_a_writer_in_tasks_of_their_own(target: &Target) -> Result<(), Failure> {
    let stream = target.start(Command::Echo {}).await?;
    let (mut read, mut write) = tokio::io::split(stream);
    let half_close = target.capabilities.half_close;
    let write = &mut write;
    let writing = async {
        write_pattern(write, 31, 0, BULK).await?;
        if half_close {
            write.shutdown().await.step("ending")?;
        }
        Ok(())
    };
    let reading = async {
        if !half_close {
            return read_exact_pattern(&mut read, 31, 0, BULK).await;
        }
        let total = read_pattern(&mut read, 31).await?;
        ensure!(total == BULK, "the end came after {total} bytes of {BULK}");
        Ok(())
    };
    apart([Box::pin(writing), Box::pin(reading)]).await?;
    soon("our end", write.shutdown()).await?.step("ending")
}

async fn the_peers_end_leaves_a_writer_that_waits(target: &Target) -> Result<(), Failure> {
    end_beside_a_writer(target, 32, MORE).await
}

async fn the_peers_end_leaves_an_ender_that_waits(target: &Target) -> Result<(), Failure> {
    end_beside_a_writer(target, 33, 0).await
}

/// The peer reads nothing and ends; then it reads what one task has still to write, and its end.
async fn end_beside_a_writer(target: &Target, seed: u64, more: u64) -> Result<(), Failure> {
    let ticket = target.ticket().await?;
    let command = Command::StallThenEnd { ticket, seed };
    let ((mut read, mut write), sent) = stalled(target, command, seed).await?;
    let half_close = target.capabilities.half_close;
    let writing = async {
        let written = async {
            if more > 0 {
                write_pattern(&mut write, seed, sent, more).await?;
            }
            write.shutdown().await.step("ending")
        }
        .await;
        // Where one end is the end of both, it may have come too late.
        if half_close { written } else { Ok(()) }
    };
    let reading = async {
        release(target, ticket).await?;
        let end = read.read(&mut [0; 16]).await;
        if half_close {
            let count = end.step("reading")?;
            ensure!(count == 0, "{count} bytes came");
        }
        release(target, ticket).await
    };
    apart([Box::pin(writing), Box::pin(reading)]).await?;
    if half_close {
        let record = target.outcome(ticket).await?;
        ensure!(
            record.bytes == sent + more && record.wrong.is_none() && record.state == State::Ended,
            "of {} bytes, the peer got: {record}",
            sent + more
        );
    }
    Ok(())
}

async fn our_end_leaves_a_reader_that_waits(target: &Target) -> Result<(), Failure> {
    let stream = target.start(Command::HalfClose {}).await?;
    let (mut read, mut write) = tokio::io::split(stream);
    let half_close = target.capabilities.half_close;
    let reading = async {
        let mut said = String::new();
        let result = read.read_to_string(&mut said).await;
        if half_close {
            result.step("reading")?;
            ensure!(said == "go on\n5\n", "the peer said {said:?}");
        }
        Ok(())
    };
    let writing = async {
        write.write_all(b"12345").await.step("writing")?;
        write.shutdown().await.step("ending our direction")
    };
    apart([Box::pin(reading), Box::pin(writing)]).await
}

async fn a_reset_wakes_a_reader_and_a_writer(target: &Target) -> Result<(), Failure> {
    let ticket = target.ticket().await?;
    let command = Command::StallThenReset { ticket };
    let ((mut read, mut write), _) = stalled(target, command, 34).await?;
    let may_truncate = target.capabilities.may_truncate;
    let writing = async {
        let mut written = write.write_all(&vec![0; MORE as usize]).await;
        if written.is_ok() {
            written = write.flush().await;
        }
        let Err(error) = written.map_err(Error::from) else {
            return Err(Failure::new("writing went on as if somebody read"));
        };
        ensure!(
            matches!(error.kind(), ErrorKind::Reset | ErrorKind::Closed),
            "writing: the kind is {:?}: {error}",
            error.kind()
        );
        Ok(())
    };
    let reading = async {
        match read.read(&mut [0; 16]).await.map_err(Error::from) {
            Err(error) => {
                ensure!(
                    error.kind() == ErrorKind::Reset,
                    "reading: the kind is {:?}: {error}",
                    error.kind()
                );
                Ok(())
            }
            Ok(0) if may_truncate => Ok(()),
            Ok(0) => Err(Failure::new("the reset looks like an end")),
            Ok(count) => Err(Failure::new(format!("{count} bytes came"))),
        }
    };
    let releasing = release(target, ticket);
    apart([Box::pin(writing), Box::pin(reading), Box::pin(releasing)]).await
}

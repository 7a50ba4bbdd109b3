//! Back-pressure: a slow reader stalls its own sender, and nothing else.

use jackfield_socket::time;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::case;
use crate::client::{STILL, read_exact_pattern, soon, write_pattern, write_until_still};
use crate::failure::{Step, ensure};
use crate::peer::command::Command;
use crate::peer::record::{Record, State};
use crate::{Case, Failure, Target};

pub(super) const CASES: &[Case] = &[
    case!(
        a_peer_that_does_not_read_stalls_the_writer,
        "what is accepted while the peer doesn't read is bounded, and none of it is lost"
    ),
    case!(
        a_slow_reader_stalls_the_peer,
        "what the peer can send while nobody reads is bounded"
    ),
    case!(
        a_stalled_stream_holds_no_other,
        "streams that stand still don't hold the others"
    ),
];

async fn a_peer_that_does_not_read_stalls_the_writer(target: &Target) -> Result<(), Failure> {
    let ticket = target.ticket().await?;
    let mut stream = target.start(Command::Stall { ticket, seed: 17 }).await?;
    let most = target.capabilities.buffered;
    let sent = write_until_still(&mut stream, 17, most).await?;
    ensure!(
        sent <= most,
        "the peer reads nothing, yet {sent} bytes were taken; declared are {most}"
    );
    let _: String = target.ask(Command::Release { ticket }).await?;
    write_pattern(&mut stream, 17, sent, 100_000).await?;
    stream.shutdown().await.step("ending")?;
    let record = target.outcome(ticket).await?;
    ensure!(
        record.bytes == sent + 100_000 && record.wrong.is_none() && record.state == State::Ended,
        "of {} bytes, the peer got: {record}",
        sent + 100_000
    );
    Ok(())
}

async fn a_slow_reader_stalls_the_peer(target: &Target) -> Result<(), Failure> {
    let ticket = target.ticket().await?;
    let mut stream = target.start(Command::Fill { ticket, seed: 18 }).await?;
    // A little is read, so that whatever reads ahead has begun to.
    read_exact_pattern(&mut stream, 18, 0, 10).await?;
    let most = target.capabilities.buffered;
    let mut before = 0;
    let sent = loop {
        time::sleep(STILL).await;
        let record: Record = target.ask(Command::Progress { ticket }).await?;
        if record.bytes == before || record.bytes > most {
            break record.bytes;
        }
        before = record.bytes;
    };
    ensure!(
        sent <= most,
        "nobody reads, yet the peer has sent {sent} bytes; declared are {most}"
    );
    // All of it is still there, and more comes.
    let read = read_exact_pattern(&mut stream, 18, 10, sent + 1_000_000);
    soon("what the peer sends", read).await??;
    drop(stream);
    let record = soon("the peer learns of the drop", target.outcome(ticket)).await??;
    ensure!(record.state == State::Failed, "the peer got: {record}");
    Ok(())
}

async fn a_stalled_stream_holds_no_other(target: &Target) -> Result<(), Failure> {
    // One stalls because we don't read, one because the peer doesn't.
    let fill = target.ticket().await?;
    let mut unread = target
        .start(Command::Fill {
            ticket: fill,
            seed: 19,
        })
        .await?;
    let stall = target.ticket().await?;
    let mut unwritten = target
        .start(Command::Stall {
            ticket: stall,
            seed: 20,
        })
        .await?;
    let sent = write_until_still(&mut unwritten, 20, target.capabilities.buffered).await?;
    for _ in 0..3 {
        let mut stream = target.start(Command::Echo {}).await?;
        let echo = async {
            for offset in 0..20 {
                write_pattern(&mut stream, 21, offset * 4096, 4096).await?;
                read_exact_pattern(&mut stream, 21, offset * 4096, 4096).await?;
            }
            Ok::<_, Failure>(())
        };
        soon("an echo beside stalled streams", echo).await??;
    }
    // Both still go on.
    let _: String = target.ask(Command::Release { ticket: stall }).await?;
    write_pattern(&mut unwritten, 20, sent, 1000).await?;
    read_exact_pattern(&mut unread, 19, 0, 1_000_000).await?;
    let count = unread.read(&mut [0; 16]).await.step("reading")?;
    ensure!(count > 0, "the stalled stream ended");
    Ok(())
}

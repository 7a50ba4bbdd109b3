//! The pump: standard input goes to a stream, and the stream to standard output.

use std::io::IsTerminal;
use std::pin::pin;

use jackfield_socket::ByteStream;
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, Stdin, WriteHalf};

use crate::failure::{Failure, Step};
use crate::leave::{self, Leave};
use crate::output::Output;

/// How much is read and written at a time.
const CHUNK: usize = 64 * 1024;

/// Moves bytes until the peer has ended.
///
/// When the input ends, so does our direction, where it can end alone. When the peer ends first,
/// what is typed at a terminal has nobody to go to; input from a file or a pipe is sent to its end
/// all the same, so that none of it is lost in silence. When this is to end earlier, the stream is
/// ended in order.
pub(crate) async fn pump<S: ByteStream>(
    stream: S,
    input: &mut Stdin,
    leave: &Leave,
    say: &impl Fn(&str),
) -> Result<(), Failure> {
    let half_close = stream.info().half_close;
    let (mut read, mut write) = tokio::io::split(stream);
    let mut sent = 0;
    let mut received = 0;
    let both_ways = async {
        let mut send = pin!(send(&mut write, input, &mut sent, half_close, say));
        let mut receive = pin!(receive(&mut read));
        tokio::select! {
            result = &mut receive => {
                received = result?;
                if !std::io::stdin().is_terminal() {
                    return send.await;
                }
            }
            result = &mut send => {
                // Where it failed, the peer may have said why before it stopped listening.
                let after = receive.await;
                result?;
                received = after?;
            }
        }
        Ok(())
    };
    match leave.unless_asked(both_ways).await {
        Err(failure) if failure.is_end() => {
            leave::farewell(write.shutdown()).await;
            return Err(failure);
        }
        moved => moved?,
    }
    // Again, where the end could not be told before, or had no occasion.
    write.shutdown().await.step("ending the stream")?;
    say(&format!(
        "sent {sent} bytes, received {received} bytes, and the peer has ended"
    ));
    Ok(())
}

/// Sends the input to its end, and then that it has ended, where that can be said.
async fn send<S: ByteStream>(
    write: &mut WriteHalf<S>,
    input: &mut Stdin,
    sent: &mut u64,
    half_close: bool,
    say: &impl Fn(&str),
) -> Result<(), Failure> {
    let mut chunk = vec![0; CHUNK];
    loop {
        let count = input
            .read(&mut chunk)
            .await
            .step("reading standard input")?;
        if count == 0 {
            break;
        }
        write.write_all(&chunk[..count]).await.step("sending")?;
        write.flush().await.step("sending")?;
        *sent += count as u64;
    }
    if half_close {
        say("the input has ended, and the peer is told so");
        write.shutdown().await.step("ending our direction")?;
    } else {
        say("the input has ended, which this stream can't say while it still receives");
    }
    Ok(())
}

/// Receives until the peer has ended; how many bytes it were.
async fn receive<S: ByteStream>(read: &mut ReadHalf<S>) -> Result<u64, Failure> {
    let mut output = Output::new();
    let mut chunk = vec![0; CHUNK];
    let mut received = 0;
    loop {
        let count = read.read(&mut chunk).await.step("receiving")?;
        if count == 0 {
            output.end_payload().await?;
            return Ok(received);
        }
        received += count as u64;
        output.payload(&chunk[..count]).await?;
    }
}

//! `jackfield mqtt pub`: publishes what stands in its arguments, a file, or standard input.

use std::collections::VecDeque;
use std::pin::pin;

use jackfield_mqtt::RequestError;
use jackfield_mqtt::client::{Acknowledge, Client, Publication};
use jackfield_mqtt::core::Message;
use jackfield_socket::AnyNetwork;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};

use super::Broker;
use super::args::PubArgs;
use crate::backend::read;
use crate::failure::{Failure, Step};
use crate::leave::Leave;

/// Messages on their way at once.
const IN_FLIGHT: usize = 100;
/// The largest message that is read from standard input: the protocol's limit, roughly.
const MAX_INPUT: u64 = 256 * 1024 * 1024;

pub(super) async fn run(
    args: &PubArgs,
    network: &AnyNetwork,
    leave: &Leave,
) -> Result<(), Failure> {
    let mut broker = Broker::open(&args.broker, network, Acknowledge::WhenTaken).await?;
    let client = broker.client.clone();
    let work = async {
        let mut publish = pin!(publish(args, &client));
        loop {
            tokio::select! {
                biased;
                event = broker.next() => if event?.is_none() {
                    return Ok(());
                },
                published = &mut publish => return match published {
                    Ok(()) => Ok(()),
                    Err(Stopped::Failure(failure)) => Err(failure),
                    Err(Stopped::Request(error)) => {
                        Err(broker.not_done("publishing", &error).await)
                    }
                },
            }
        }
    };
    let published = leave.unless_asked(work).await;
    broker.close(published).await
}

/// Why not everything was published.
enum Stopped {
    Failure(Failure),
    Request(RequestError),
}

impl From<Failure> for Stopped {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

impl From<RequestError> for Stopped {
    fn from(error: RequestError) -> Self {
        Self::Request(error)
    }
}

async fn publish(args: &PubArgs, client: &Client) -> Result<(), Stopped> {
    let payload = match (&args.message, &args.file) {
        (Some(message), _) => message.clone().into_bytes(),
        (_, Some(path)) => read(path).step("reading the message")?,
        _ if args.null_message => Vec::new(),
        _ if args.stdin_line => return publish_lines(args, client).await,
        _ => {
            let mut payload = Vec::new();
            let mut input = tokio::io::stdin().take(MAX_INPUT);
            let read = input.read_to_end(&mut payload).await;
            read.step("reading the message")?;
            payload
        }
    };
    client.publish(message(args, payload)).await?;
    Ok(())
}

/// Publishes a message for each line, in their order, not waiting for each.
async fn publish_lines(args: &PubArgs, client: &Client) -> Result<(), Stopped> {
    let mut input = BufReader::new(tokio::io::stdin()).split(b'\n');
    let mut waiting: VecDeque<Publication> = VecDeque::new();
    while let Some(mut line) = input.next_segment().await.step("reading the messages")? {
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        if waiting.len() >= IN_FLIGHT
            && let Some(oldest) = waiting.pop_front()
        {
            oldest.await?;
        }
        waiting.push_back(client.enqueue(message(args, line)).await?);
    }
    for publication in waiting {
        publication.await?;
    }
    Ok(())
}

fn message(args: &PubArgs, payload: Vec<u8>) -> Message {
    let message = Message::new(args.topic.clone(), payload).qos(args.broker.qos);
    if args.retain {
        message.retained()
    } else {
        message
    }
}

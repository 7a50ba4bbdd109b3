//! `jackfield mqtt sub`: subscribes, and prints the messages that come.

use jackfield_mqtt::RequestError;
use jackfield_mqtt::client::{Acknowledge, Client, ClientEvent};
use jackfield_mqtt::codec::{PublishReason, SubscribeOptions};
use jackfield_mqtt::core::{Event, SubscribeRequest, Subscribed};
use jackfield_socket::{AnyNetwork, time};

use super::args::SubArgs;
use super::format::Format;
use super::{Broker, refused};
use crate::failure::Failure;
use crate::leave::Leave;
use crate::output::Output;

pub(super) async fn run(
    args: &SubArgs,
    network: &AnyNetwork,
    leave: &Leave,
) -> Result<(), Failure> {
    let mut broker = Broker::open(&args.broker, network, Acknowledge::ByHand).await?;
    let follow = Box::pin(follow(args, &mut broker));
    let followed = leave.unless_asked(async {
        match args.wait {
            Some(wait) => time::timeout(wait, follow).await.unwrap_or(Ok(())),
            None => follow.await,
        }
    });
    let followed = followed.await;
    broker.close(followed).await
}

async fn follow(args: &SubArgs, broker: &mut Broker) -> Result<(), Failure> {
    let format = args
        .format
        .clone()
        .unwrap_or_else(|| Format::plain(args.verbose));
    let client = broker.client.clone();
    let subscribe = subscribe(args, &client);
    tokio::pin!(subscribe);
    let mut subscribed = false;
    let mut left = args.count.unwrap_or(u64::MAX);
    let mut output = Output::new();
    while left > 0 {
        let event = tokio::select! {
            biased;
            outcome = &mut subscribe, if !subscribed => {
                match outcome {
                    Ok(outcome) => granted(args, &outcome)?,
                    Err(error) => return Err(broker.not_done("subscribing", &error).await),
                }
                subscribed = true;
                broker.say("subscribed");
                continue;
            }
            event = broker.next() => event?,
        };
        let delivery = match event {
            Some(ClientEvent::Event(Event::Message(delivery))) => delivery,
            Some(_) => continue,
            None => return Ok(()),
        };
        let mut line = Vec::new();
        format.write(&delivery.message, output.is_terminal(), &mut line);
        if !args.no_newline {
            line.push(b'\n');
        }
        output.as_it_is(&line).await?;
        if let Some(serial) = delivery.serial {
            let acknowledged = client.acknowledge(serial, PublishReason::Success).await;
            match acknowledged {
                // The broker has lost the session since.
                Ok(()) | Err(RequestError::UnknownSerial) => {}
                Err(error) => return Err(broker.not_done("acknowledging", &error).await),
            }
        }
        left -= 1;
    }
    Ok(())
}

async fn subscribe(args: &SubArgs, client: &Client) -> Result<Subscribed, RequestError> {
    let options = SubscribeOptions::qos(args.broker.qos);
    let filters = args.topic.iter().cloned();
    let subscribe = SubscribeRequest::all(filters.map(|filter| (filter, options)).collect());
    client.subscribe(subscribe).await
}

/// Whoever asks for several and gets some is told of the others; who gets none has failed.
fn granted(args: &SubArgs, subscribed: &Subscribed) -> Result<(), Failure> {
    let mut granted = false;
    let mut failures = Vec::new();
    for (filter, reason) in args.topic.iter().zip(&subscribed.reasons) {
        if reason.granted().is_some() {
            granted = true;
            continue;
        }
        let reason = (*reason).into();
        let text = format!("refused: {reason}");
        let error = jackfield_socket::Error::new(refused(reason), text);
        failures.push(Failure::new(format!("subscribing to {filter}"), error));
    }
    // The one that ends the command is told with its end.
    let last = if granted { None } else { failures.pop() };
    for failure in &failures {
        failure.report();
    }
    last.map_or(Ok(()), Err)
}

//! `jackfield imap watch`: a line for each thing that happens in a mailbox, over all connections.
//!
//! What is new and what is gone comes of comparing the UIDs, whenever the server says that something
//! has happened: so nothing is told twice, and what happened while there was no connection is told
//! afterwards.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;

use jackfield_imap::RequestError;
use jackfield_imap::client::{Client, ClientEvent, Events, Status};
use jackfield_imap::codec::{Fetch, Flag, Item, Messages, Query, SequenceSet};
use jackfield_imap::core::{Event, Selected};
use jackfield_socket::{AnyNetwork, time};

use super::args::WatchArgs;
use super::{Asked, Server, Stopped, examine, is_lost, not_done};
use crate::failure::{Failure, Step};
use crate::leave::{self, Leave};
use crate::output::{Output, tell};

pub(super) async fn run(
    args: &WatchArgs,
    network: &AnyNetwork,
    leave: &Leave,
) -> Result<(), Failure> {
    let (address, mail) = args.mailbox.server();
    let server = Server::new(address, mail, network).step("setting up the connection")?;
    let (client, mut events, connection) = server.connect();
    let mut connection = pin!(connection);
    let mut is_ended = false;
    let watched = leave.unless_asked(async {
        let watch = Watch {
            args,
            server: &server,
            client: &client,
            output: Output::new(),
            left: args.count.unwrap_or(u64::MAX),
            uids: Vec::new(),
            validity: None,
            stood: false,
        };
        let watched = async {
            match args.duration {
                Some(wait) => {
                    let watched = time::timeout(wait, watch.run(&mut events)).await;
                    watched.unwrap_or(Ok(()))
                }
                None => watch.run(&mut events).await,
            }
        };
        let ended = tokio::select! {
            biased;
            watched = watched => match watched {
                Ok(()) => return Ok(()),
                Err(Stopped::Failure(failure)) => return Err(failure),
                Err(Stopped::Request { step, error }) => return Err(not_done(step, &error)),
            },
            ended = &mut connection => ended,
        };
        is_ended = true;
        ended.map_err(|error| server.failure(&error))
    });
    let watched = watched.await;
    drop(events);
    if !is_ended {
        leave::farewell(async { tokio::join!(client.close(), connection) }).await;
    }
    watched
}

struct Watch<'a> {
    args: &'a WatchArgs,
    server: &'a Server,
    client: &'a Client,
    output: Output,
    /// How many lines are still to be written.
    left: u64,
    /// The UIDs that are there, in their order.
    uids: Vec<u32>,
    validity: Option<u32>,
    /// Whether the server has ever let us in.
    stood: bool,
}

/// What a number of events has brought: no more than there are messages.
#[derive(Default)]
struct News {
    /// Whether messages may have come or gone.
    is_other: bool,
    /// Messages whose flags have changed, with their flags.
    flags: BTreeMap<u32, Vec<Flag>>,
    /// Such messages by their numbers, where the server does not tell UIDs.
    numbers: BTreeSet<u32>,
}

impl Watch<'_> {
    async fn run(mut self, events: &mut Events) -> Result<(), Stopped> {
        let (args, client) = (self.args, self.client);
        let mut news = News::default();
        let opened = examine(&args.mailbox, client);
        let mailbox = self.hearing(events, &mut news, opened).await??;
        self.server.dial.say(&format!("watching {}", mailbox.name));
        self.validity = mailbox.uid_validity;
        // Begins when it is known what is there.
        let mut _idle = None;
        // What is there already is nothing new.
        let mut is_first = true;
        news.is_other = true;
        while self.left > 0 {
            if std::mem::take(&mut news.is_other) {
                let search = client.search(Query::new());
                match self.hearing(events, &mut news, search).await? {
                    Ok(found) if is_first => {
                        self.uids = sorted(found);
                        let count = self.uids.len();
                        self.server.dial.say(&format!("{count} messages are there"));
                        is_first = false;
                        _idle = Some(client.idle());
                    }
                    Ok(found) => self.compare(sorted(found)).await?,
                    // The next connection looks again.
                    Err(error) if is_lost(&error) => {}
                    Err(error) => return Err(error).asked(|| "searching what is new".into()),
                }
                continue;
            }
            if let Some(set) = SequenceSet::of(std::mem::take(&mut news.numbers)) {
                // What has these numbers now, the server says. The messages may have gone since, or
                // the connection.
                let asked = async {
                    let asked = client.fetch(Messages::Numbers(set), [Item::Flags]).await;
                    asked?.all().await
                };
                let found = self.hearing(events, &mut news, asked).await?;
                for fetch in found.unwrap_or_default() {
                    self.changed(&fetch, &mut news);
                }
            }
            for (uid, flags) in std::mem::take(&mut news.flags) {
                let flags: Vec<String> = flags.iter().map(ToString::to_string).collect();
                let text = format!("flags {uid} {}", flags.join(" "));
                self.tell(text.trim_end()).await?;
            }
            let Some(event) = events.next().await else {
                return Ok(());
            };
            self.hear(&event, &mut news)?;
            // Those behind it are of the same kind, as a rule.
            self.hearing(events, &mut news, std::future::ready(()))
                .await?;
        }
        Ok(())
    }

    /// Hears all that happens until something is done: an answer may stand behind it.
    async fn hearing<T>(
        &mut self,
        events: &mut Events,
        news: &mut News,
        done: impl Future<Output = T>,
    ) -> Result<T, Stopped> {
        let mut done = pin!(done);
        loop {
            tokio::select! {
                biased;
                Some(event) = events.next() => self.hear(&event, news)?,
                done = &mut done => return Ok(done),
            }
        }
    }

    /// Takes what happened. What goes wrong before it has ever stood is an error; what goes wrong later
    /// is told, and tried again.
    fn hear(&mut self, event: &ClientEvent, news: &mut News) -> Result<(), Stopped> {
        match event {
            ClientEvent::Status(Status::Disconnected { error, retry_in }) => match retry_in {
                // A log-in that was bound to TLS is tried without at once.
                Some(delay) if delay.is_zero() => {}
                Some(delay) if self.stood => tell(format_args!(
                    "jackfield: {error}; trying again in {} s",
                    delay.as_secs()
                )),
                _ => return Err(self.server.failure(error).into()),
            },
            ClientEvent::Event(Event::Exists(_) | Event::Expunged(_) | Event::Vanished { .. }) => {
                news.is_other = true;
            }
            ClientEvent::Event(Event::Reselected(mailbox)) => self.again(mailbox, news),
            ClientEvent::Event(Event::NotReselected(error)) => {
                return Err(Stopped::Request {
                    step: "opening the mailbox again".into(),
                    error: RequestError::clone(error),
                });
            }
            ClientEvent::Event(Event::Fetch(fetch)) => self.changed(fetch, news),
            _ => {
                self.stood |= matches!(event, ClientEvent::Status(Status::Ready(_)));
                self.server.hear(event);
            }
        }
        Ok(())
    }

    /// A new connection: what happened meanwhile is found by comparing.
    fn again(&mut self, mailbox: &Selected, news: &mut News) {
        self.server
            .dial
            .say(&format!("watching {} again", mailbox.name));
        news.is_other = true;
        // What was known by numbers is known no longer.
        news.numbers.clear();
        if mailbox.uid_validity != self.validity {
            tell("jackfield: the server has given all messages other UIDs");
            self.validity = mailbox.uid_validity;
            self.uids.clear();
        }
    }

    fn changed(&self, fetch: &Fetch, news: &mut News) {
        match (fetch.uid, fetch.number, &fetch.flags) {
            (Some(uid), _, Some(flags)) if self.uids.binary_search(&uid).is_ok() => {
                news.flags.insert(uid, flags.clone());
            }
            (None, Some(number), Some(_)) if number as usize <= self.uids.len() => {
                news.numbers.insert(number);
            }
            _ => {}
        }
    }

    async fn compare(&mut self, found: Vec<u32>) -> Result<(), Stopped> {
        let known = std::mem::replace(&mut self.uids, found);
        let not_in = |one: &[u32], other: &[u32]| -> Vec<u32> {
            let is_not_in = |uid: &u32| other.binary_search(uid).is_err();
            one.iter().copied().filter(is_not_in).collect()
        };
        for uid in not_in(&known, &self.uids) {
            self.tell(&format!("gone {uid}")).await?;
        }
        for uid in not_in(&self.uids, &known) {
            self.tell(&format!("new {uid}")).await?;
        }
        Ok(())
    }

    async fn tell(&mut self, text: &str) -> Result<(), Failure> {
        if self.left > 0 {
            self.left -= 1;
            self.output.line(text).await?;
        }
        Ok(())
    }
}

fn sorted(mut uids: Vec<u32>) -> Vec<u32> {
    uids.sort_unstable();
    uids
}

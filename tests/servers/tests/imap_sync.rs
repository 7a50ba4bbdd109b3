//! Synchronisation of a copy with a mailbox that others change, against every server at hand: by what
//! each can do, and by less.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;

use jackfield_imap::client::{Append, Client, ClientConfig, Sync};
use jackfield_imap::codec::{
    Extension, Flag, FlagChange, Item, MailboxName, Messages, SequenceSet,
};
use jackfield_imap::core::{Change, Event, Security, Server, SyncState};
use jackfield_native::Native;
use jackfield_server_tests::imap::{Mail, PASSWORD, all, config, starttls};
use jackfield_server_tests::{LONG, NAMES, trusting};
use jackfield_socket::{TcpConnect, time};
use jackfield_testing::certs::Authority;
use jackfield_testing::courier::{self, Courier};
use jackfield_testing::cyrus::{self, Cyrus};
use jackfield_testing::dovecot::Dovecot;
use jackfield_testing::dovecot24::{self, Dovecot24};
use jackfield_testing::unpacked;

/// How many messages there are at first.
const MANY: u32 = 24;

/// A copy of the inbox: sizes and flags by UIDs.
#[derive(Default)]
struct Copy {
    messages: BTreeMap<u32, (u64, Vec<String>)>,
    state: Vec<u8>,
}

impl Copy {
    fn begin(&self, client: &Client) -> Sync {
        let state = if self.state.is_empty() {
            SyncState::new()
        } else {
            SyncState::from_bytes(&self.state).expect("it was written")
        };
        client.sync(MailboxName::inbox(), state, [Item::Size])
    }

    /// Brings it up to date: how many changes there were.
    async fn sync(&mut self, client: &Client) -> usize {
        let mut sync = self.begin(client);
        let mut count = 0;
        let run = async {
            while let Some(change) = sync.next().await.expect("no error") {
                self.apply(change, sync.state());
                count += 1;
            }
        };
        time::timeout(LONG, run).await.expect("in time");
        self.state = sync.into_state().to_bytes();
        count
    }

    fn apply(&mut self, change: Change, state: &SyncState) {
        match change {
            Change::Reset => self.messages.clear(),
            Change::Gone(uids) => {
                for uid in uids.iter() {
                    assert!(self.messages.remove(&uid).is_some(), "{uid} was not there");
                }
            }
            Change::New(fetch) => {
                let (uid, size) = (fetch.uid.expect("a UID"), fetch.size.expect("a size"));
                let flags = names(&fetch.flags.expect("flags"));
                let was = self.messages.insert(uid, (size, flags));
                assert_eq!(was, None, "{uid} is told twice");
            }
            Change::Flags { uid, flags, .. } => {
                let (_, known) = self.messages.get_mut(&uid).expect("it is there");
                let flags = names(&flags);
                assert_ne!(*known, flags, "the flags of {uid} are told twice");
                *known = flags;
            }
            other => panic!("what is {other:?}?"),
        }
        self.state = state.to_bytes();
    }

    /// It is what the mailbox is.
    async fn is_whole(&self, client: &Client) {
        let items = [Item::Uid, Item::Flags, Item::Size];
        let messages = client.fetch(all(), items).await.expect("it runs");
        let messages = messages.all().await.expect("all");
        let there = messages.into_iter().map(|message| {
            let uid = message.uid.expect("a UID");
            let flags = names(&message.flags.expect("flags"));
            (uid, (message.size.expect("a size"), flags))
        });
        assert_eq!(self.messages, there.collect());
    }
}

/// In an order of their own; `\Recent` is not the message's.
fn names(flags: &[Flag]) -> Vec<String> {
    let flags = flags.iter().filter(|flag| **flag != Flag::Recent);
    let mut names: Vec<String> = flags.map(ToString::to_string).collect();
    names.sort_unstable();
    names
}

async fn add(client: &Client, count: u32) {
    for number in 0..count {
        let mut message = format!("Subject: {number}\r\n\r\n");
        for _ in 0..number {
            let _ = write!(message, "more\r\n");
        }
        let append = Append::to(MailboxName::inbox());
        client.append(append, message).await.expect("appended");
    }
}

fn some(uids: impl IntoIterator<Item = u32>) -> Messages {
    Messages::Uids(SequenceSet::of(uids).expect("some"))
}

/// Some messages get flags, some go, some come: how many changes that is, at the most.
async fn change(client: &Client, uids: &[u32]) -> usize {
    client.select(MailboxName::inbox()).await.expect("open");
    let seen = some([uids[0], uids[4]]);
    let seen = client.store(seen, FlagChange::Add(vec![Flag::Seen])).await;
    seen.expect("stored");
    let gone = SequenceSet::of([uids[1], uids[2], uids[8]]).expect("some");
    let deleted = FlagChange::Add(vec![Flag::Deleted]);
    let deleted = client.store(Messages::Uids(gone.clone()), deleted).await;
    deleted.expect("stored");
    client.expunge_uids(gone).await.expect("expunged");
    add(client, 3).await;
    2 + 3 + 3
}

/// The same for all: `open` says what to connect to, and how. What the server could do.
async fn play<N: TcpConnect>(open: impl Fn() -> (N, SocketAddr, ClientConfig)) -> Arc<Server> {
    let mail = async || {
        let (network, server, config) = open();
        Mail::open(network, server, config).await
    };
    let (ada, other) = (mail().await, mail().await);
    let server = ada.client.server().expect("it is ready");
    add(&other.client, MANY).await;
    let mut copy = Copy::default();
    assert_eq!(copy.sync(&ada.client).await, MANY as usize);
    copy.is_whole(&ada.client).await;
    assert_eq!(copy.sync(&ada.client).await, 0);

    // While nobody was there; and while the mailbox is open.
    for _ in 0..2 {
        let uids: Vec<u32> = copy.messages.keys().copied().collect();
        let most = change(&other.client, &uids).await;
        let count = copy.sync(&ada.client).await;
        assert!((5..=most).contains(&count), "{count} changes");
        copy.is_whole(&ada.client).await;
        assert_eq!(copy.sync(&ada.client).await, 0);
    }

    // What is given up after each change goes on, over other connections too.
    let uids: Vec<u32> = copy.messages.keys().copied().collect();
    change(&other.client, &uids).await;
    let mut ada = ada;
    for round in 0.. {
        let mut sync = copy.begin(&ada.client);
        let next = time::timeout(LONG, sync.next()).await.expect("in time");
        let Some(change) = next.expect("no error") else {
            break;
        };
        copy.apply(change, sync.state());
        if round % 3 == 0 {
            drop(sync);
            ada.close().await;
            ada = mail().await;
        }
    }
    copy.sync(&ada.client).await;
    copy.is_whole(&ada.client).await;

    // A first run that is given up, again and again.
    let mut copy = Copy::default();
    loop {
        let mut sync = copy.begin(&ada.client);
        for _ in 0..8 {
            let next = time::timeout(LONG, sync.next()).await.expect("in time");
            let Some(change) = next.expect("no error") else {
                break;
            };
            copy.apply(change, sync.state());
        }
        if copy.messages.len() as u32 >= MANY {
            break;
        }
    }
    copy.sync(&ada.client).await;
    copy.is_whole(&ada.client).await;

    // All of it goes.
    let deleted = FlagChange::Add(vec![Flag::Deleted]);
    ada.client.store(all(), deleted).await.expect("stored");
    ada.client.expunge().await.expect("expunged");
    copy.sync(&ada.client).await;
    assert_eq!(copy.messages.len(), 0);
    other.close().await;
    ada.close().await;
    server
}

fn asking(extensions: &[Extension]) -> ClientConfig {
    let mut config = config(PASSWORD);
    config.session.extensions = extensions.to_vec();
    config
}

/// With QRESYNC, with CONDSTORE alone, and with neither.
const LEVELS: [&[Extension]; 3] = [&[Extension::QResync], &[Extension::CondStore], &[]];

#[tokio::test]
async fn dovecot_by_all_it_can_and_by_less() {
    let authority = Authority::new();
    let server = Dovecot::start(&authority.server(&NAMES), "plain").await;
    let server = server.expect("Dovecot");
    for extensions in LEVELS {
        let known = play(|| (trusting(&authority), server.tls(), asking(extensions))).await;
        let is_wanted = |extension| extensions.contains(&extension);
        assert_eq!(known.enabled.has("QRESYNC"), is_wanted(Extension::QResync));
        assert_eq!(known.condstore, !extensions.is_empty());
    }
}

#[tokio::test]
async fn dovecot_24_by_all_it_can_and_by_less() {
    if unpacked::is_skipped(dovecot24::NAME) {
        return;
    }
    let authority = Authority::new();
    let server = Dovecot24::start(&authority.server(&NAMES), "plain").await;
    let server = server.expect("Dovecot 2.4");
    for extensions in LEVELS {
        play(|| (trusting(&authority), server.tls(), asking(extensions))).await;
    }
}

#[tokio::test]
async fn cyrus_by_all_it_can_and_by_less() {
    if unpacked::is_skipped(cyrus::NAME) {
        return;
    }
    let authority = Authority::new();
    let server = Cyrus::start(&authority.server(&NAMES)).await;
    let server = server.expect("Cyrus");
    for uid_only in [false, true] {
        for extensions in LEVELS {
            let mut config = asking(extensions);
            let uids = uid_only.then_some(Extension::UidOnly);
            config.session.extensions.extend(uids);
            // Over TLS each first log-in of a client would fail here, and Cyrus takes its time for that.
            config.session.security = Security::Plaintext;
            config.session.password_in_the_clear = true;
            let known = play(|| (Native, server.plain(), config.clone())).await;
            assert_eq!(known.enabled.has("UIDONLY"), uid_only, "{known:?}");
        }
    }
}

#[tokio::test]
async fn courier_which_counts_nothing() {
    if unpacked::is_skipped(courier::NAME) {
        return;
    }
    let authority = Authority::new();
    let server = Courier::start(&authority.server(&NAMES)).await;
    let server = server.expect("Courier");
    let mut config = asking(&[Extension::QResync]);
    config.session.security = Security::StartTls;
    play(|| (starttls(&authority), server.plain(), config.clone())).await;
}

/// Whoever syncs again at each event stays up to date.
#[tokio::test]
async fn whoever_listens_stays_up_to_date() {
    let authority = Authority::new();
    let server = Dovecot::start(&authority.server(&NAMES), "plain").await;
    let server = server.expect("Dovecot");
    for extensions in LEVELS {
        let open = || Mail::open(trusting(&authority), server.tls(), asking(extensions));
        let (mut ada, other) = (open().await, open().await);
        let mut copy = Copy::default();
        copy.sync(&ada.client).await;
        let before = copy.messages.len();
        let idle = ada.client.idle();
        for number in 1..4 {
            add(&other.client, 1).await;
            // An event may be of what is known already; the last one is not.
            while copy.messages.len() < before + number {
                let is_news = |event: &Event| {
                    matches!(event, Event::Exists(_) | Event::Fetch(_) | Event::Recent(_))
                };
                ada.waits_for("news", is_news).await;
                copy.sync(&ada.client).await;
            }
        }
        copy.is_whole(&ada.client).await;
        drop(idle);
        assert_eq!(copy.sync(&ada.client).await, 0);
        other.close().await;
        ada.close().await;
    }
}

//! Synchronisation of a copy by the client, against a server in the test's hand, on the simulation.

mod common;

use common::{Server, World, config, ready};
use jackfield_imap::client::{ClientConfig, Sync};
use jackfield_imap::codec::{Extension, Flag, Item, MailboxName};
use jackfield_imap::core::{Change, SyncState};
use jackfield_imap::{EndedBy, RequestError};
use jackfield_sim::SimStream;
use tokio::task::JoinHandle;

const QRESYNC: &str = "* PREAUTH [CAPABILITY IMAP4rev1 ENABLE CONDSTORE QRESYNC] hello\r\n";
const CONDSTORE: &str = "* PREAUTH [CAPABILITY IMAP4rev1 CONDSTORE ESEARCH] hello\r\n";
const NEITHER: &str = "* PREAUTH [CAPABILITY IMAP4rev1] hello\r\n";

/// What is told until it is over, and the state then.
type Told = (Vec<String>, Result<SyncState, RequestError>);

fn asking(extensions: Vec<Extension>) -> ClientConfig {
    let mut config = config();
    config.session.extensions = extensions;
    config
}

fn sync(world: &World, state: &SyncState) -> Sync {
    let state = state.clone();
    world.client.sync(MailboxName::inbox(), state, [Item::Size])
}

/// Reads all changes, beside the test.
fn told(mut sync: Sync) -> JoinHandle<Told> {
    tokio::spawn(async move {
        let mut told = Vec::new();
        loop {
            match sync.next().await {
                Ok(Some(change)) => told.push(short(&change)),
                Ok(None) => return (told, Ok(sync.into_state())),
                Err(error) => return (told, Err(error)),
            }
        }
    })
}

fn short(change: &Change) -> String {
    let flags = |flags: &[Flag]| {
        let names: Vec<String> = flags.iter().map(ToString::to_string).collect();
        names.join(" ")
    };
    match change {
        Change::Reset => "reset".to_owned(),
        Change::Gone(uids) => format!("gone {uids}"),
        Change::New(fetch) => {
            let flags = flags(fetch.flags.as_deref().expect("they are asked for"));
            let (uid, size) = (fetch.uid.expect("a UID"), fetch.size.expect("a size"));
            format!("new {uid} of {size} ({flags})")
        }
        Change::Flags { uid, flags: of, .. } => format!("{uid} has ({})", flags(of)),
        other => panic!("what is {other:?}?"),
    }
}

/// A copy of a mailbox with three messages.
async fn first(world: &World, server: &mut Server<SimStream>, tag: u32, select: &str) -> SyncState {
    let copy = told(sync(world, &SyncState::new()));
    server.hears(&format!("A{tag} SELECT INBOX{select}")).await;
    server.say("* 3 EXISTS\r\n* OK [UIDVALIDITY 7] x\r\n").await;
    server.say("* OK [UIDNEXT 6] x\r\n").await;
    let counts = !select.is_empty();
    if counts {
        server.say("* OK [HIGHESTMODSEQ 40] x\r\n").await;
    }
    server.say(&format!("A{tag} OK [READ-WRITE] x\r\n")).await;
    let next = tag + 1;
    let modseq = if counts { " MODSEQ" } else { "" };
    server
        .hears(&format!(
            "A{next} UID FETCH 1:5 (UID FLAGS RFC822.SIZE{modseq})"
        ))
        .await;
    for (number, uid) in [(1, 2), (2, 3), (3, 5)] {
        server
            .say(&format!(
                "* {number} FETCH (UID {uid} FLAGS () RFC822.SIZE 100)\r\n"
            ))
            .await;
    }
    server.say(&format!("A{next} OK x\r\n")).await;
    let (told, state) = copy.await.expect("no panic");
    let expected = ["new 2 of 100 ()", "new 3 of 100 ()", "new 5 of 100 ()"];
    assert_eq!(told, expected);
    let state = state.expect("it is over");
    let (uids, modseq) = (state.uids().expect("some"), state.modseq());
    assert_eq!(
        (uids.to_string().as_str(), modseq),
        ("2:3,5", counts.then_some(40))
    );
    assert_eq!((state.uid_validity(), state.count()), (Some(7), 3));
    assert!(state.contains(5) && !state.contains(4));
    SyncState::from_bytes(&state.to_bytes()).expect("it was written")
}

#[tokio::test(start_paused = true)]
async fn with_qresync_it_takes_one_round_trip() {
    let config = asking(vec![Extension::QResync]);
    let mut world = common::world(config, |here| here).await;
    // The first may be asked for before there is a connection.
    let early = told(sync(&world, &SyncState::new()));
    let mut server = world.accept().await;
    server.say(QRESYNC).await;
    server.hears("A1 ENABLE QRESYNC").await;
    server
        .say("* ENABLED QRESYNC CONDSTORE\r\nA1 OK x\r\n")
        .await;
    server.hears("A2 SELECT INBOX (CONDSTORE)").await;
    server.say("* 0 EXISTS\r\n* OK [UIDVALIDITY 7] x\r\n").await;
    server.say("* OK [UIDNEXT 1] x\r\nA2 OK x\r\n").await;
    let (none, state) = early.await.expect("no panic");
    assert_eq!((none, state.expect("over").count()), (Vec::new(), 0));
    let state = first(&world, &mut server, 3, " (CONDSTORE)").await;

    let copy = told(sync(&world, &state));
    server.hears("A5 SELECT INBOX (QRESYNC (7 40 2:5))").await;
    server
        .hears("A6 UID FETCH 6:* (UID FLAGS RFC822.SIZE MODSEQ)")
        .await;
    server
        .say(
            "* OK [CLOSED] x\r\n* 3 EXISTS\r\n* OK [UIDVALIDITY 7] x\r\n* OK [UIDNEXT 9] x\r\n\
             * OK [HIGHESTMODSEQ 44] x\r\n* VANISHED (EARLIER) 1:3\r\n\
             * 1 FETCH (UID 5 FLAGS (\\Seen) MODSEQ (44))\r\nA5 OK [READ-WRITE] x\r\n\
             * 2 FETCH (UID 8 FLAGS (\\Recent) RFC822.SIZE 9 MODSEQ (43))\r\nA6 OK x\r\n",
        )
        .await;
    let (told, state) = copy.await.expect("no panic");
    assert_eq!(
        told,
        ["gone 2:3", "5 has (\\Seen)", "new 8 of 9 (\\Recent)"]
    );
    let state = state.expect("it is over");
    assert_eq!(state.modseq(), Some(44));
    let uids = state.uids().map(|uids| uids.to_string());
    assert_eq!(uids.as_deref(), Some("5,8"));
}

#[tokio::test(start_paused = true)]
async fn with_condstore_alone_it_takes_one_round_trip() {
    let config = asking(vec![Extension::CondStore]);
    let (world, mut server) = ready(config, CONDSTORE).await;
    let state = first(&world, &mut server, 1, " (CONDSTORE)").await;
    let copy = told(sync(&world, &state));
    server.hears("A3 SELECT INBOX (CONDSTORE)").await;
    server
        .hears("A4 UID FETCH 2:5 (UID FLAGS) (CHANGEDSINCE 40)")
        .await;
    server.hears("A5 UID SEARCH RETURN (ALL) UID 2:5").await;
    server
        .hears("A6 UID FETCH 6:* (UID FLAGS RFC822.SIZE MODSEQ)")
        .await;
    // The newest message is among those from 6 on, though it is older.
    server
        .say(
            "* 2 EXISTS\r\n* OK [UIDVALIDITY 7] x\r\n* OK [UIDNEXT 6] x\r\n\
             * OK [HIGHESTMODSEQ 44] x\r\nA3 OK [READ-WRITE] x\r\n\
             * 2 FETCH (UID 5 FLAGS (\\Seen) MODSEQ (44))\r\nA4 OK x\r\n\
             * ESEARCH (TAG \"A5\") UID ALL 2,5\r\nA5 OK x\r\n\
             * 2 FETCH (UID 5 FLAGS (\\Seen) RFC822.SIZE 100 MODSEQ (44))\r\nA6 OK x\r\n",
        )
        .await;
    let (told, state) = copy.await.expect("no panic");
    assert_eq!(told, ["5 has (\\Seen)", "gone 3"]);
    assert_eq!(state.expect("it is over").modseq(), Some(44));
}

#[tokio::test(start_paused = true)]
async fn with_neither_it_takes_one_round_trip() {
    let (world, mut server) = ready(config(), NEITHER).await;
    let state = first(&world, &mut server, 1, "").await;
    let copy = told(sync(&world, &state));
    server.hears("A3 SELECT INBOX").await;
    server.hears("A4 UID SEARCH UID 2:5").await;
    server.hears("A5 UID FETCH 2:5 (UID FLAGS)").await;
    server
        .hears("A6 UID FETCH 6:* (UID FLAGS RFC822.SIZE)")
        .await;
    // What is left out of the flags, and found, is not gone.
    server
        .say(
            "* 2 EXISTS\r\n* OK [UIDVALIDITY 7] x\r\n* OK [UIDNEXT 7] x\r\nA3 OK x\r\n\
             * SEARCH 3 5\r\nA4 OK x\r\n\
             * 1 FETCH (UID 3 FLAGS (\\Flagged))\r\nA5 OK x\r\n\
             * 3 FETCH (UID 6 FLAGS () RFC822.SIZE 9)\r\nA6 OK x\r\n",
        )
        .await;
    let (told, state) = copy.await.expect("no panic");
    assert_eq!(told, ["3 has (\\Flagged)", "gone 2", "new 6 of 9 ()"]);
    let state = state.expect("it is over");

    // Another mailbox of the same name: what was told of the old one's UIDs means nothing.
    let copy = self::told(sync(&world, &state));
    server.hears("A7 SELECT INBOX").await;
    server.hears("A8 UID SEARCH UID 3:6").await;
    server.hears("A9 UID FETCH 3:6 (UID FLAGS)").await;
    server
        .hears("A10 UID FETCH 7:* (UID FLAGS RFC822.SIZE)")
        .await;
    server
        .say(
            "* 1 EXISTS\r\n* OK [UIDVALIDITY 8] x\r\n* OK [UIDNEXT 10] x\r\nA7 OK x\r\n\
             A8 OK x\r\nA9 OK x\r\n\
             * 1 FETCH (UID 9 FLAGS () RFC822.SIZE 9)\r\nA10 OK x\r\n",
        )
        .await;
    server
        .hears("A11 UID FETCH 1:9 (UID FLAGS RFC822.SIZE)")
        .await;
    server
        .say("* 1 FETCH (UID 9 FLAGS () RFC822.SIZE 9)\r\nA11 OK x\r\n")
        .await;
    let (told, state) = copy.await.expect("no panic");
    assert_eq!(told, ["reset", "new 9 of 9 ()"]);
    assert_eq!(state.expect("it is over").uid_validity(), Some(8));
}

/// A mailbox that is so large that it comes in two windows, of which the first has come.
async fn half(world: &World, server: &mut Server<SimStream>) -> Sync {
    let mut sync = sync(world, &SyncState::new());
    let asked = world.ask(|_| async move {
        let change = sync.next().await;
        (sync, change)
    });
    server.hears("A1 SELECT INBOX").await;
    server
        .say("* 9000 EXISTS\r\n* OK [UIDVALIDITY 7] x\r\n* OK [UIDNEXT 9001] x\r\nA1 OK x\r\n")
        .await;
    server
        .hears("A2 UID FETCH 4001:9000 (UID FLAGS RFC822.SIZE)")
        .await;
    server
        .say("* 9000 FETCH (UID 9000 FLAGS () RFC822.SIZE 1)\r\n")
        .await;
    let (sync, change) = asked.await.expect("no panic");
    let change = change.expect("no error").expect("a change");
    assert_eq!(short(&change), "new 9000 of 1 ()");
    assert!(sync.selected().is_some_and(|open| open.exists == 9000));
    sync
}

#[tokio::test(start_paused = true)]
async fn another_mailbox_is_not_taken_for_this() {
    let (world, mut server) = ready(config(), NEITHER).await;
    let sync = half(&world, &mut server).await;
    let select =
        world.ask(|client| async move { client.select("B".parse().expect("a name")).await });
    tokio::task::yield_now().await;
    server.say("A2 OK x\r\n").await;
    server.hears("A3 SELECT B").await;
    server
        .say("* 9000 EXISTS\r\n* OK [UIDVALIDITY 7] x\r\nA3 OK x\r\n")
        .await;
    select.await.expect("no panic").expect("open");
    let (told, state) = told(sync).await.expect("no panic");
    assert_eq!((told, state), (vec![], Err(RequestError::NotSelected)));
}

#[tokio::test(start_paused = true)]
async fn what_was_cut_goes_on_from_its_state() {
    let (mut world, mut server) = ready(config(), NEITHER).await;
    let mut sync = half(&world, &mut server).await;
    drop(server);
    let error = sync.next().await.expect_err("it is cut");
    assert_eq!(error, RequestError::ConnectionLost(EndedBy::Network));
    assert_eq!(sync.next().await, Ok(None));
    let state = sync.into_state();
    assert_eq!(state.count(), 1);
    let mut server = world.accept().await;
    server.say(NEITHER).await;
    server.hears("A3 SELECT INBOX").await;
    server
        .say("* 2 EXISTS\r\n* OK [UIDVALIDITY 7] x\r\n* OK [UIDNEXT 9002] x\r\nA3 OK x\r\n")
        .await;
    world.ready().await;
    let copy = told(self::sync(&world, &state));
    server.hears("A4 SELECT INBOX").await;
    server.hears("A5 UID SEARCH UID 9000").await;
    server.hears("A6 UID FETCH 9000 (UID FLAGS)").await;
    server
        .hears("A7 UID FETCH 9001:* (UID FLAGS RFC822.SIZE)")
        .await;
    server
        .say(
            "* 2 EXISTS\r\n* OK [UIDVALIDITY 7] x\r\n* OK [UIDNEXT 9002] x\r\nA4 OK x\r\nA5 OK x\r\n\
             * 1 FETCH (UID 9000 FLAGS ())\r\nA6 OK x\r\n\
             * 2 FETCH (UID 9001 FLAGS () RFC822.SIZE 1)\r\nA7 OK x\r\n",
        )
        .await;
    server
        .hears("A8 UID FETCH 4001:8999 (UID FLAGS RFC822.SIZE)")
        .await;
    server.say("A8 OK x\r\n").await;
    server
        .hears("A9 UID FETCH 1:4000 (UID FLAGS RFC822.SIZE)")
        .await;
    server
        .say("* 1 FETCH (UID 4 FLAGS () RFC822.SIZE 1)\r\nA9 OK x\r\n")
        .await;
    let (told, state) = copy.await.expect("no panic");
    assert_eq!(told, ["new 9001 of 1 ()", "new 4 of 1 ()"]);
    let state = state.expect("it is over");
    let uids = state.uids().map(|uids| uids.to_string());
    assert_eq!(uids.as_deref(), Some("4,9000:9001"));
}

#[tokio::test(start_paused = true)]
async fn between_two_windows_the_connection_may_become_another_one() {
    let (mut world, mut server) = ready(config(), NEITHER).await;
    let sync = half(&world, &mut server).await;
    server.say("A2 OK x\r\n").await;
    drop(server);
    let mut server = world.accept().await;
    server.say(NEITHER).await;
    server.hears("A3 SELECT INBOX").await;
    server
        .say("* 2 EXISTS\r\n* OK [UIDVALIDITY 7] x\r\nA3 OK x\r\n")
        .await;
    while world.status().await.is_ready() {}
    world.ready().await;
    let copy = told(sync);
    server
        .hears("A4 UID FETCH 1:4000 (UID FLAGS RFC822.SIZE)")
        .await;
    server.say("A4 OK x\r\n").await;
    let (told, state) = copy.await.expect("no panic");
    assert_eq!(told, Vec::<String>::new());
    assert_eq!(state.expect("it is over").count(), 1);
}

/// Exchange and Gmail answer NO where they can't read one message of many.
#[tokio::test(start_paused = true)]
async fn where_messages_are_refused_their_flags_are_told() {
    let (world, mut server) = ready(config(), NEITHER).await;
    let sync = half(&world, &mut server).await;
    server
        .say("A2 NO Some messages could not be FETCHed (Failure)\r\n")
        .await;
    let copy = tokio::spawn(async move {
        let mut sync = sync;
        let change = sync.next().await;
        (change, sync.next().await)
    });
    server.hears("A3 UID FETCH 4001:8999 (UID FLAGS)").await;
    server
        .say("* 8999 FETCH (UID 8999 FLAGS (\\Seen))\r\nA3 OK x\r\n")
        .await;
    server
        .hears("A4 UID FETCH 1:4000 (UID FLAGS RFC822.SIZE)")
        .await;
    server.say("A4 NO not now\r\n").await;
    // That may pass: nothing is taken for told.
    server.hears("A5 UID FETCH 1:4000 (UID FLAGS)").await;
    server.say("A5 NO not now\r\n").await;
    let (change, end) = copy.await.expect("no panic");
    let Ok(Some(Change::New(fetch))) = change else {
        panic!("{change:?}");
    };
    assert_eq!((fetch.uid, fetch.size), (Some(8999), None));
    assert!(matches!(end, Err(RequestError::Refused(_))), "{end:?}");
}

#[tokio::test(start_paused = true)]
async fn one_that_is_dropped_holds_up_nobody() {
    let mut config = config();
    config.stream_capacity = 1;
    let (world, mut server) = ready(config, NEITHER).await;
    drop(half(&world, &mut server).await);
    for number in 1..100 {
        server
            .say(&format!(
                "* {number} FETCH (UID {number} FLAGS () RFC822.SIZE 1)\r\n"
            ))
            .await;
    }
    server.say("A2 OK x\r\n").await;
    let noop = world.ask(|client| async move { client.noop().await });
    server.hears("A3 NOOP").await;
    server.say("A3 OK x\r\n").await;
    noop.await.expect("no panic").expect("it goes on");
}

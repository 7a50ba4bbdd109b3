//! The client against a server in the test's hand, on the simulation.

mod common;

use std::time::Duration;

use common::{PREAUTH, Server, config, ready, selected, tls, world};
use jackfield_client::ConnectionError;
use jackfield_imap::client::Append;
use jackfield_imap::codec::{
    Flag, FlagChange, Item, ListQuery, MailboxName, Messages, Query, Section, SequenceSet,
};
use jackfield_imap::core::{Credentials, Event, Security};
use jackfield_imap::{EndedBy, RequestError, SessionError};
use jackfield_socket::{TcpListener, time};
use jackfield_tls::Tls;
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};

fn uids(text: &str) -> Messages {
    Messages::Uids(text.parse().expect("a set"))
}

fn name(text: &str) -> MailboxName {
    text.parse().expect("a name")
}

#[tokio::test(start_paused = true)]
async fn a_mailbox_is_searched_listed_and_read() {
    let mut world = world(config(), |here| here).await;
    // Asked for before there is a connection.
    let select = world.ask(|client| async move { client.select(MailboxName::inbox()).await });
    let mut server = world.accept().await;
    server
        .say("* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR] hello\r\n")
        .await;
    server.hears("A1 AUTHENTICATE PLAIN AGFkYQBzZWNyZXQ=").await;
    server
        .say("A1 OK [CAPABILITY IMAP4rev1 IDLE] welcome\r\n")
        .await;
    server.hears("A2 SELECT INBOX").await;
    server
        .say("* 3 EXISTS\r\nA2 OK [READ-WRITE] done\r\n")
        .await;
    assert_eq!(select.await.expect("no panic").expect("open").exists, 3);

    let found = world.ask(|client| async move { client.search(Query::new().unseen()).await });
    server.hears("A3 UID SEARCH UNSEEN").await;
    server.say("* SEARCH 9 7\r\nA3 OK done\r\n").await;
    let found = found.await.expect("no panic").expect("found");
    assert_eq!(found, [9, 7]);

    let found = Messages::Uids(SequenceSet::of(found).expect("some"));
    let mut messages = world
        .client
        .fetch(found, [Item::Envelope])
        .await
        .expect("it runs");
    server.hears("A4 UID FETCH 7,9 (UID ENVELOPE)").await;
    for uid in [7, 9] {
        let envelope = "(NIL \"hi\" NIL NIL NIL NIL NIL NIL NIL NIL)";
        server
            .say(&format!("* 1 FETCH (UID {uid} ENVELOPE {envelope})\r\n"))
            .await;
    }
    server.say("A4 OK done\r\n").await;
    for uid in [7, 9] {
        let message = messages.next().await.expect("no error").expect("a message");
        assert_eq!(message.uid, Some(uid));
        let subject = message.envelope.and_then(|envelope| envelope.subject);
        assert_eq!(subject.expect("a subject"), "hi");
    }
    assert_eq!(messages.next().await, Ok(None));
    assert_eq!(messages.next().await, Ok(None));

    let body = world.ask(|client| async move { client.read(7, Section::all()).await });
    server.hears("A5 UID FETCH 7 (UID BODY.PEEK[])").await;
    server
        .say("* 1 FETCH (UID 7 BODY[] {5}\r\nhello)\r\nA5 OK done\r\n")
        .await;
    let mut body = body.await.expect("no panic").expect("a text");
    assert_eq!(body.size(), 5);
    let mut text = String::new();
    body.read_to_string(&mut text).await.expect("whole");
    assert_eq!(text, "hello");

    let missing = world.ask(|client| async move { client.read(8, Section::all()).await });
    server.hears("A6 UID FETCH 8 (UID BODY.PEEK[])").await;
    server.say("A6 OK done\r\n").await;
    let missing = missing.await.expect("no panic");
    assert_eq!(
        missing.expect_err("no message"),
        RequestError::NoSuchMessage
    );

    let idle = world.client.idle();
    server.hears("A7 IDLE").await;
    server.say("+ idling\r\n* 4 EXISTS\r\n").await;
    assert_eq!(world.event().await, Event::Exists(4));
    drop(idle);
    server.hears("DONE").await;
    server.say("A7 OK done\r\n").await;

    let client = world.client.clone();
    let close = tokio::spawn(async move { client.close().await });
    server.hears("A8 LOGOUT").await;
    server.say("* BYE bye\r\nA8 OK done\r\n").await;
    drop(server);
    close.await.expect("no panic");
    world.connection.await.expect("no panic").expect("in order");
    assert_eq!(world.client.noop().await, Err(RequestError::Closed));
    while world.events.next().await.is_some() {}
}

#[tokio::test(start_paused = true)]
async fn a_text_that_nobody_reads_holds_back_the_server() {
    let mut config = config();
    config.stream_capacity = 2;
    let (world, mut server) = selected(config, PREAUTH).await;
    let body = world.ask(|client| async move { client.read(7, Section::all()).await });
    server.hears("A2 UID FETCH 7 (UID BODY.PEEK[])").await;
    // Far more than anything on the way holds.
    let size = 50_000_000;
    server
        .say(&format!("* 1 FETCH (UID 7 BODY[] {{{size}}}\r\n"))
        .await;
    let sent = tokio::spawn(async move {
        let piece = vec![b'x'; 1 << 16];
        let mut left = size;
        while left > 0 {
            let count = left.min(piece.len());
            server.0.write_all(&piece[..count]).await.expect("room");
            left -= count;
        }
        server.say(")\r\nA2 OK done\r\n").await;
        server
    });
    let mut body = body.await.expect("no panic").expect("a text");
    time::sleep(Duration::from_secs(5)).await;
    assert!(
        !sent.is_finished(),
        "the whole text was taken, and nobody read it"
    );
    let mut read = 0;
    let mut buffer = vec![0; 1 << 16];
    loop {
        match body.read(&mut buffer).await.expect("no error") {
            0 => break,
            count => read += count,
        }
    }
    assert_eq!(read, size);
    let mut server = sent.await.expect("no panic");

    // Whoever drops a text in the middle costs the others nothing.
    let body = world.ask(|client| async move { client.read(8, Section::all()).await });
    server.hears("A3 UID FETCH 8 (UID BODY.PEEK[])").await;
    server.say("* 1 FETCH (UID 8 BODY[] {200000}\r\n").await;
    drop(body.await.expect("no panic").expect("a text"));
    let noop = world.ask(|client| async move { client.noop().await });
    server.hears("A4 NOOP").await;
    server
        .0
        .write_all(&vec![b'x'; 200_000])
        .await
        .expect("room");
    server.say(")\r\nA3 OK done\r\nA4 OK done\r\n").await;
    assert_eq!(noop.await.expect("no panic"), Ok(()));
}

#[tokio::test(start_paused = true)]
async fn a_future_that_is_dropped_mixes_no_answers() {
    let (world, mut server) = selected(config(), PREAUTH).await;
    let search = world.ask(|client| async move { client.search(Query::new()).await });
    server.hears("A2 UID SEARCH ALL").await;
    search.abort();
    let messages = world
        .client
        .fetch(uids("1:2"), [Item::Size])
        .await
        .expect("it runs");
    server.hears("A3 UID FETCH 1:2 (UID RFC822.SIZE)").await;
    drop(messages);
    let second = world.ask(|client| async move { client.search(Query::new().flagged()).await });
    server
        .say("* SEARCH 1 2 3\r\n* 1 FETCH (UID 1 RFC822.SIZE 5)\r\nA2 OK done\r\n")
        .await;
    server.hears("A4 UID SEARCH FLAGGED").await;
    server
        .say("* 2 FETCH (UID 2 RFC822.SIZE 5)\r\n* SEARCH 4\r\nA3 OK x\r\nA4 OK x\r\n")
        .await;
    assert_eq!(second.await.expect("no panic"), Ok(vec![4]));
}

#[tokio::test(start_paused = true)]
async fn a_cut_fails_what_waits_and_the_mailbox_is_opened_again() {
    let (mut world, mut server) = selected(config(), PREAUTH).await;
    let noop = world.ask(|client| async move { client.noop().await });
    server.hears("A2 NOOP").await;
    let mut messages = world
        .client
        .fetch(uids("1"), [Item::Size])
        .await
        .expect("it runs");
    server.hears("A3 UID FETCH 1 (UID RFC822.SIZE)").await;
    drop(server);
    let lost = RequestError::ConnectionLost(EndedBy::Network);
    assert_eq!(noop.await.expect("no panic"), Err(lost.clone()));
    assert_eq!(messages.next().await, Err(lost));
    let error = world.disconnected().await;
    assert!(matches!(error, ConnectionError::Stream(_)), "{error}");
    let search = world.client.search(Query::new()).await;
    assert_eq!(search, Err(RequestError::NotConnected));

    let mut server = world.accept().await;
    server.say(PREAUTH).await;
    server.hears("A4 SELECT INBOX").await;
    server.say("* OK [UIDVALIDITY 6] x\r\nA4 OK done\r\n").await;
    let Event::Reselected(mailbox) = world.event().await else {
        panic!("it was not opened again");
    };
    assert_eq!(mailbox.uid_validity, Some(6));
    // The server says that it goes, and that is who ended it.
    let noop = world.ask(|client| async move { client.noop().await });
    server.hears("A5 NOOP").await;
    server.say("* BYE [UNAVAILABLE] restart\r\n").await;
    let lost = RequestError::ConnectionLost(EndedBy::Server);
    assert_eq!(noop.await.expect("no panic"), Err(lost));
    let error = world.disconnected().await;
    assert!(
        matches!(error, ConnectionError::Session(SessionError::Bye(_))),
        "{error}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_log_in_that_is_refused_is_not_tried_again() {
    let mut world = world(config(), |here| here).await;
    let list = world.ask(|client| async move { client.list(ListQuery::all()).await });
    let mut server = world.accept().await;
    server.say("* OK [CAPABILITY IMAP4rev1] hello\r\n").await;
    server.hears("A1 LOGIN ada \"secret\"").await;
    server.say("A1 NO [AUTHENTICATIONFAILED] who?\r\n").await;
    let error = world.connection.await.expect("no panic");
    let error = error.expect_err("refused").to_string();
    assert!(
        error.contains("who?") && !error.contains("secret"),
        "{error}"
    );
    list.await
        .expect("no panic")
        .expect_err("nobody is logged in");
}

#[tokio::test(start_paused = true)]
async fn where_others_can_read_nothing_is_said() {
    let mut config = config();
    config.session.security = Security::Tls;
    let mut world = world(config, |here| here).await;
    let mut server = world.accept().await;
    server.say("* OK [CAPABILITY IMAP4rev1] hello\r\n").await;
    let error = world.connection.await.expect("no panic");
    let error = error.expect_err("it can be read");
    assert!(
        matches!(error, ConnectionError::Session(SessionError::NotEncrypted)),
        "{error}"
    );
    let mut heard = Vec::new();
    // It is cut, or ends.
    let _ = server.0.read_to_end(&mut heard).await;
    assert!(heard.is_empty());
    while world.events.next().await.is_some() {}
}

#[tokio::test(start_paused = true)]
async fn messages_are_moved_without_move_and_none_is_lost() {
    let greeting = "* PREAUTH [CAPABILITY IMAP4rev1 UIDPLUS] hello\r\n";
    let (world, mut server) = selected(config(), greeting).await;
    let moved = world.ask(|client| async move { client.move_to(uids("1:3"), name("Trash")).await });
    server.hears("A2 UID COPY 1:3 Trash").await;
    // One of them is not there any more: what was not copied is not touched.
    server.say("A2 OK [COPYUID 9 1:2 5:6] done\r\n").await;
    server.hears("A3 UID STORE 1:2 +FLAGS (\\Deleted)").await;
    server.say("A3 OK done\r\n").await;
    server.hears("A4 UID EXPUNGE 1:2").await;
    server
        .say("* 1 EXPUNGE\r\n* 1 EXPUNGE\r\nA4 OK done\r\n")
        .await;
    let moved = moved.await.expect("no panic").expect("moved");
    assert!(!moved.is_left_behind);
    let set = |text: &str| text.parse::<SequenceSet>().expect("a set");
    assert_eq!(moved.uids, [(9, set("1:2"), set("5:6"))]);

    let refused = world.ask(|client| async move { client.move_to(uids("3"), name("x")).await });
    server.hears("A5 UID COPY 3 x").await;
    server.say("A5 NO [TRYCREATE] no\r\n").await;
    let refused = refused.await.expect("no panic");
    assert!(
        matches!(refused, Err(RequestError::Refused(_))),
        "{refused:?}"
    );
    // Nothing else was sent, and neither is what changes nothing.
    let nothing = FlagChange::Remove(Vec::new());
    assert_eq!(world.client.store(uids("1:*"), nothing).await, Ok(()));
    let noop = world.ask(|client| async move { client.noop().await });
    server.hears("A6 NOOP").await;
    server.say("A6 OK done\r\n").await;
    assert_eq!(noop.await.expect("no panic"), Ok(()));
}

#[tokio::test(start_paused = true)]
async fn long_sets_are_split() {
    let mut config = config();
    config.max_set = 44;
    let (world, mut server) = selected(config, PREAUTH).await;
    let mut messages = world
        .client
        .fetch(uids("1,3,5,7,9"), [Item::Size])
        .await
        .expect("it runs");
    let answers = tokio::spawn(async move {
        for (tag, set) in [("A2", "1,3"), ("A3", "5,7"), ("A4", "9")] {
            server
                .hears(&format!("{tag} UID FETCH {set} (UID RFC822.SIZE)"))
                .await;
            for uid in set.split(',') {
                server
                    .say(&format!("* 1 FETCH (UID {uid} RFC822.SIZE 5)\r\n"))
                    .await;
            }
            server.say(&format!("{tag} OK done\r\n")).await;
        }
        server
    });
    let mut told = Vec::new();
    while let Some(message) = messages.next().await.expect("no error") {
        told.extend(message.uid);
    }
    assert_eq!(told, [1, 3, 5, 7, 9]);
    answers.await.expect("no panic");
}

#[tokio::test(start_paused = true)]
async fn a_message_is_appended_as_it_is_read() {
    let (mut world, mut server) = ready(config(), PREAUTH).await;
    let size = 300_000;
    let append = world.ask(move |client| async move {
        let append = Append::to(name("Sent")).flag(Flag::Seen);
        let message = tokio::io::repeat(b'm').take(size);
        client.append_from(append, size, message).await
    });
    server.hears("A1 APPEND Sent (\\Seen) {300000}").await;
    server.say("+ go on\r\n").await;
    let mut message = vec![0; size as usize];
    server.0.read_exact(&mut message).await.expect("all of it");
    assert!(message.iter().all(|byte| *byte == b'm'));
    server.hears("").await;
    server.say("A1 OK [APPENDUID 9 1] done\r\n").await;
    let appended = append.await.expect("no panic").expect("appended");
    assert_eq!(appended.uid.map(|uid| uid.0), Some(9));

    // A source that ends too early can't be made up for.
    let append = world.ask(move |client| async move {
        let message = tokio::io::repeat(b'm').take(10);
        client
            .append_from(Append::to(name("Sent")), 20, message)
            .await
    });
    server.hears("A2 APPEND Sent {20}").await;
    server.say("+ go on\r\n").await;
    assert_eq!(append.await.expect("no panic"), Err(RequestError::Source));
    let error = world.disconnected().await;
    assert!(
        matches!(error, ConnectionError::Session(SessionError::AppendAborted)),
        "{error}"
    );
    let mut server = world.accept().await;
    server.say(PREAUTH).await;
    world.ready().await;
    // In memory it is safe to drop.
    let append = world.ask(|client| async move {
        client
            .append(Append::to(name("Sent")), "hello".as_bytes())
            .await
    });
    server.hears("A3 APPEND Sent {5}").await;
    append.abort();
    server.say("+ go on\r\n").await;
    server.hears("hello").await;
    server.say("A3 OK done\r\n").await;
    let noop = world.ask(|client| async move { client.noop().await });
    server.hears("A4 NOOP").await;
    server.say("A4 OK done\r\n").await;
    assert_eq!(noop.await.expect("no panic"), Ok(()));
}

#[tokio::test(start_paused = true)]
async fn whoever_reads_no_events_learns_so_in_time() {
    let mut config = config();
    config.connection.event_capacity = 1;
    let (mut world, mut server) = selected(config, PREAUTH).await;
    let noop = world.ask(|client| async move { client.noop().await });
    server.hears("A2 NOOP").await;
    for count in 4..9 {
        server.say(&format!("* {count} EXISTS\r\n")).await;
        time::sleep(Duration::from_millis(100)).await;
    }
    server.say("A2 OK done\r\n").await;
    assert_eq!(noop.await.expect("no panic"), Err(RequestError::TimedOut));
    for count in 4..9 {
        assert_eq!(world.event().await, Event::Exists(count));
    }
    let noop = world.ask(|client| async move { client.noop().await });
    server.hears("A3 NOOP").await;
    server.say("A3 OK done\r\n").await;
    assert_eq!(noop.await.expect("no panic"), Ok(()));
}

#[tokio::test(start_paused = true)]
async fn whoever_asks_behind_what_is_unread_learns_so_in_time() {
    let mut config = config();
    config.stream_capacity = 1;
    let (world, mut server) = selected(config, PREAUTH).await;
    let messages = world.client.fetch(uids("1:9"), [Item::Size]).await;
    let mut messages = messages.expect("it runs");
    server.hears("A2 UID FETCH 1:9 (UID RFC822.SIZE)").await;
    for uid in 1..10 {
        server
            .say(&format!("* {uid} FETCH (UID {uid} RFC822.SIZE 5)\r\n"))
            .await;
        time::sleep(Duration::from_millis(100)).await;
    }
    let first = messages.next().await.expect("no error");
    assert_eq!(first.and_then(|first| first.uid), Some(1));
    let read = world.ask(|client| async move { client.read(1, Section::all()).await });
    let read = read.await.expect("no panic");
    assert_eq!(read.expect_err("it stands behind"), RequestError::TimedOut);
    // What has come can be read, and the client goes on.
    let mut told = 1;
    while let Ok(Some(_)) = messages.next().await {
        told += 1;
    }
    assert!(told > 1, "only {told}");
    drop(messages);
    server.say("A2 OK done\r\n").await;
    let noop = world.ask(|client| async move { client.noop().await });
    loop {
        let line = server.line().await;
        let (tag, command) = line.split_once(' ').expect("a command");
        server.say(&format!("{tag} OK done\r\n")).await;
        if command == "NOOP" {
            break;
        }
    }
    assert_eq!(noop.await.expect("no panic"), Ok(()));
}

#[tokio::test(start_paused = true)]
async fn only_a_failure_that_may_be_for_its_binding_gives_it_up() {
    // What the server says to a log-in that is bound, and whether the next one is not.
    let refused = "ZT1pbnZhbGlkLXByb29m"; // e=invalid-proof
    let unmatched = "ZT1jaGFubmVsLWJpbmRpbmdzLWRvbnQtbWF0Y2g="; // e=channel-bindings-dont-match
    for (challenge, answer, is_given_up) in [
        (None, "A1 NO [UNAVAILABLE] later", Some(false)),
        (None, "A1 NO [AUTHENTICATIONFAILED] no", Some(true)),
        (None, "A1 NO no", Some(true)),
        (Some(refused), "A1 NO no", None),
        (Some(unmatched), "A1 NO no", Some(true)),
    ] {
        let (connector, acceptor) = tls();
        let mut config = config();
        config.session.security = Security::Tls;
        let mut world = world(config, |here| Tls::new(here, connector)).await;
        let greeting =
            "* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=SCRAM-SHA-256 AUTH=SCRAM-SHA-256-PLUS] x\r\n";
        let stream = world.listener.accept().await.expect("a connection");
        let secured = acceptor.accept(stream).await.expect("secured");
        let mut server = Server(BufReader::new(secured));
        server.say(greeting).await;
        let asked = server.line().await;
        assert!(
            asked.starts_with("A1 AUTHENTICATE SCRAM-SHA-256-PLUS "),
            "{asked}"
        );
        if let Some(challenge) = challenge {
            server.say(&format!("+ {challenge}\r\n")).await;
            server.hears("*").await;
        }
        server.say(&format!("{answer}\r\n")).await;
        let Some(is_given_up) = is_given_up else {
            // It is over: it would be no better.
            let error = world.disconnected().await;
            assert!(error.is_permanent(), "{error}");
            assert!(world.connection.await.expect("no panic").is_err());
            continue;
        };
        let stream = world.listener.accept().await.expect("a connection");
        let secured = acceptor.accept(stream).await.expect("secured");
        let mut server = Server(BufReader::new(secured));
        server.say(greeting).await;
        let asked = server.line().await;
        let is_bound = asked.contains(" AUTHENTICATE SCRAM-SHA-256-PLUS ");
        assert_eq!(is_bound, !is_given_up, "{answer}: {asked}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_bound_log_in_that_is_cut_is_tried_once_more_without() {
    let (connector, acceptor) = tls();
    let mut config = config();
    config.session.security = Security::Tls;
    let mut world = world(config, |here| Tls::new(here, connector)).await;
    let greeting =
        "* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=SCRAM-SHA-256 AUTH=SCRAM-SHA-256-PLUS] x\r\n";
    let mut asked = Vec::new();
    for _ in 0..2 {
        let stream = world.listener.accept().await.expect("a connection");
        let secured = acceptor.accept(stream).await.expect("secured");
        let mut server = Server(BufReader::new(secured));
        server.say(greeting).await;
        asked.push(server.line().await);
    }
    assert!(
        asked[0].starts_with("A1 AUTHENTICATE SCRAM-SHA-256-PLUS "),
        "{asked:?}"
    );
    // It says that it can't bind ("n,,"), and not that the server can't.
    assert!(
        asked[1].starts_with("A2 AUTHENTICATE SCRAM-SHA-256 biws"),
        "{asked:?}"
    );
    assert_eq!(world.event().await, Event::LoginNotBound);
}

#[tokio::test(start_paused = true)]
async fn credentials_are_asked_for_each_time() {
    let config = config().renew_with(|attempt| async move {
        match attempt {
            2 => Err("no network".into()),
            _ => Ok(Credentials::token("ada", &format!("token{attempt}"))?),
        }
    });
    let mut world = world(config, |here| here).await;
    let greeting = "* OK [CAPABILITY IMAP4rev1 AUTH=XOAUTH2 SASL-IR] hello\r\n";
    let welcome = "OK [CAPABILITY IMAP4rev1] welcome\r\n";
    let mut server = world.accept().await;
    server.say(greeting).await;
    server
        .hears("A1 AUTHENTICATE XOAUTH2 dXNlcj1hZGEBYXV0aD1CZWFyZXIgdG9rZW4xAQE=")
        .await;
    // It had run out, and the attempt is not the last, since the next has another.
    drop(server);
    let error = world.disconnected().await;
    assert!(matches!(error, ConnectionError::Stream(_)), "{error}");
    let error = world.disconnected().await;
    assert_eq!(
        error.to_string(),
        "the credentials could not be renewed: no network"
    );
    let mut server = world.accept().await;
    server.say(greeting).await;
    server
        .hears("A2 AUTHENTICATE XOAUTH2 dXNlcj1hZGEBYXV0aD1CZWFyZXIgdG9rZW4zAQE=")
        .await;
    server.say(&format!("A2 {welcome}")).await;
    world.ready().await;
}

#[tokio::test(start_paused = true)]
async fn whom_the_server_lets_in_to_no_mailbox_tries_again() {
    let (mut world, mut server) = ready(config(), PREAUTH).await;
    let select = world.ask(|client| async move { client.select(MailboxName::inbox()).await });
    server.hears("A1 SELECT INBOX").await;
    server
        .say("A1 BAD User is authenticated but not connected.\r\n")
        .await;
    let lost = RequestError::ConnectionLost(EndedBy::Server);
    assert_eq!(select.await.expect("no panic"), Err(lost));
    let error = world.disconnected().await;
    let is_it = matches!(
        &error,
        ConnectionError::Session(SessionError::UserNotConnected(_))
    );
    assert!(is_it && !error.is_permanent(), "{error}");
    let mut server = world.accept().await;
    server.say(PREAUTH).await;
    world.ready().await;
}

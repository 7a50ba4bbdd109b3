//! Attacks: whoever stands between before TLS, and servers that say too much.

mod common;

use std::time::Duration;

use common::{PREAUTH, Server, config, ready, selected, tls, world};
use jackfield_client::ConnectionError;
use jackfield_imap::client::ClientEvent;
use jackfield_imap::codec::{Item, Limit, MailboxName, Messages, Query, SequenceSet};
use jackfield_imap::core::{Event, Security};
use jackfield_imap::{RequestError, SessionError, starttls};
use jackfield_socket::time;
use jackfield_tls::StartTls;
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};

/// Whatever stands between does before TLS, the client goes no further than the question for it, and nothing
/// that it was told comes through.
#[tokio::test(start_paused = true)]
async fn whoever_stands_between_before_tls_learns_nothing() {
    let greeting = "* OK [CAPABILITY IMAP4rev1 STARTTLS AUTH=PLAIN] hello\r\n";
    let endless = "x".repeat(100_000);
    let all: &[&[&str]] = &[
        // The offer is taken out, and the command is not known.
        &[
            "* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] hello\r\n",
            "A1 BAD what?\r\n",
        ],
        // It is refused, in each way.
        &[greeting, "A1 NO not now\r\n"],
        &[greeting, "A1 NO [UNAVAILABLE] later\r\n"],
        &[greeting, "A1 BAD what?\r\n"],
        &[greeting, "a1 no [ALERT] use http://mail.evil\r\n"],
        // It is answered with something else.
        &[greeting, "* BYE have a nice day\r\n"],
        &[greeting, "+ go\r\n"],
        &[greeting, "A2 OK begin\r\n"],
        &[greeting, "A1 PREAUTH in\r\n"],
        &[greeting, "A1 BYE\r\n"],
        &[greeting, "OK begin\r\n"],
        &[greeting, "220 Ready\r\n"],
        &[greeting, "A1 OK"],
        // Something is said behind the go-ahead.
        &[
            greeting,
            "A1 OK begin\r\n* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n",
        ],
        &[greeting, "A1 OK begin\r\n* PREAUTH in\r\n"],
        &[greeting, "A1 OK begin\r\nA2 OK in\r\n"],
        &[greeting, "A1 OK begin\r\n\x16\x03\x03"],
        // And before it was asked for.
        &["* OK hello\r\nA1 OK begin\r\n"],
        &["A1 OK begin\r\n"],
        &["* OK hello\r\n* PREAUTH in\r\n"],
        // The user is in before anything could be asked for, or is sent elsewhere.
        &["* PREAUTH [CAPABILITY IMAP4rev1] in\r\n"],
        &["* BYE [REFERRAL imap://mail.evil/] there\r\n"],
        &[greeting, "A1 NO [REFERRAL imap://mail.evil/] there\r\n"],
        // What is said of mail is not heard.
        &[greeting, "* 9 EXISTS\r\n"],
        &[greeting, "* 1 FETCH (FLAGS ())\r\n"],
        &[greeting, "* LIST () \"/\" x\r\n"],
        // What never ends.
        &["* OK ", &endless],
        &[greeting, "* OK ", &endless],
        &[greeting, &"* OK [ALERT] call 555-0100\r\n".repeat(20_000)],
    ];
    for says in all {
        let mut config = config();
        config.session.security = Security::StartTls;
        let (connector, _) = tls();
        let wrap = |here| StartTls::new(here, connector, starttls::opening());
        let mut world = world(config, wrap).await;
        let list = world.ask(|client| async move { client.select(MailboxName::inbox()).await });
        let mut stream = world.accept().await.0.into_inner();
        let mut heard = Vec::new();
        for says in *says {
            let _ = stream.write_all(says.as_bytes()).await;
            let mut piece = [0; 4096];
            let read = stream.read(&mut piece);
            let read = time::timeout(Duration::from_secs(5), read).await;
            if let Ok(Ok(count)) = read {
                heard.extend_from_slice(&piece[..count]);
            }
        }
        let _ = stream.shutdown().await;
        let _ = time::timeout(Duration::from_mins(1), stream.read_to_end(&mut heard)).await;
        let at = format!("{says:.60?}");
        // Nothing is told but that it failed, and no text of the server's with it.
        let error = loop {
            match world.events.next().await {
                Some(ClientEvent::Status(status)) => {
                    assert!(!status.is_ready(), "{at}");
                    if let jackfield_imap::client::Status::Disconnected { error, .. } = status {
                        break error;
                    }
                }
                other => panic!("{at}: {other:?}"),
            }
        };
        assert!(
            matches!(error, ConnectionError::Connect(_)),
            "{at}: {error}"
        );
        let text = error.to_string();
        assert!(
            !text.contains("evil") && !text.contains("555"),
            "{at}: {text}"
        );
        let heard = String::from_utf8_lossy(&heard);
        assert!("A1 STARTTLS\r\n".starts_with(&*heard), "{at}: {heard}");
        list.abort();
    }
}

/// What was said before TLS is forgotten, and shown to nobody.
#[tokio::test(start_paused = true)]
async fn nothing_of_the_plaintext_outlives_it() {
    let (connector, acceptor) = tls();
    let mut config = config();
    config.session.security = Security::StartTls;
    let wrap = |here| StartTls::new(here, connector, starttls::opening());
    let mut world = world(config, wrap).await;
    let mut server = world.accept().await;
    server
        .say("* OK [ALERT] call 555-0100, says CAPABILITY\r\n")
        .await;
    server.hears("A1 STARTTLS").await;
    server
        .say("* CAPABILITY IMAP4rev1 IDLE LOGINDISABLED\r\n* OK [ALERT] your password is known\r\n* NO hurry\r\n")
        .await;
    server.say("A1 OK begin\r\n").await;
    let secured = acceptor.accept(server.0.into_inner()).await;
    let mut server = Server(BufReader::new(secured.expect("secured")));
    server.hears("A1 CAPABILITY").await;
    server.say("* CAPABILITY IMAP4rev1\r\nA1 OK done\r\n").await;
    server.hears("A2 LOGIN ada \"secret\"").await;
    server.say("A2 OK [CAPABILITY IMAP4rev1] welcome\r\n").await;
    loop {
        match world.events.next().await.expect("it goes on") {
            ClientEvent::Status(status) if status.is_ready() => break,
            ClientEvent::Status(_) => {}
            other @ ClientEvent::Event(_) => panic!("{other:?}"),
        }
    }
    assert!(!world.client.server().expect("it is ready").can("IDLE"));
    // Over TLS an alert is one.
    server.say("* OK [ALERT] the disk is full\r\n").await;
    assert_eq!(world.event().await, Event::Alert("the disk is full".into()));
}

/// A server that refers elsewhere is not followed: what it said is told, and nobody connects anywhere.
#[tokio::test(start_paused = true)]
async fn nobody_follows_a_referral() {
    let mut world = world(config(), |here| here).await;
    let mut server = world.accept().await;
    server.say("* OK [CAPABILITY IMAP4rev1] hello\r\n").await;
    server.hears("A1 LOGIN ada \"secret\"").await;
    server
        .say("A1 NO [REFERRAL imap://ada;AUTH=*@mail.evil/] there\r\n")
        .await;
    let error = world.connection.await.expect("no panic");
    let error = error.expect_err("refused");
    let ConnectionError::Session(SessionError::LoginRefused(refusal)) = &error else {
        panic!("{error}");
    };
    let told = format!("{:?}", refusal.code);
    assert!(told.contains("mail.evil"), "{told}");
    assert!(!error.to_string().contains("evil"), "{error}");
}

/// A server that says too much, or what nobody asked for, is left, or what it says is dropped.
#[tokio::test(start_paused = true)]
async fn a_server_that_goes_on_and_on_is_left() {
    let endless = |text: &str| text.repeat(300_000 / text.len());
    for says in [
        endless("x"),
        format!("* OK {}", endless("x")),
        format!("* OK [CAPABILITY {}", endless("X ")),
        format!("{{{}}}\r\n", endless("9")),
    ] {
        let mut config = config();
        config.session.limits.max_line = 100_000;
        let mut world = world(config, |here| here).await;
        let mut server = world.accept().await;
        let _ = server.0.write_all(says.as_bytes()).await;
        let error = world.disconnected().await;
        let ConnectionError::Session(error) = error else {
            panic!("{error}");
        };
        assert_eq!(error, SessionError::LimitExceeded(Limit::Line));
    }
    // It says nothing that is of use before the log-in, and goes on for ever.
    let mut world = world(config(), |here| here).await;
    let mut server = world.accept().await;
    server.say("* OK [CAPABILITY IMAP4rev1] hello\r\n").await;
    server.hears("A1 LOGIN ada \"secret\"").await;
    let talk = tokio::spawn(async move {
        while server.0.write_all(b"* OK patience\r\n").await.is_ok() {
            time::sleep(Duration::from_secs(1)).await;
        }
    });
    let error = world.disconnected().await;
    let is_late = matches!(error, ConnectionError::Session(SessionError::LoginTimedOut));
    assert!(is_late, "{error}");
    talk.abort();
}

/// What is too deep or too much costs the one who asked for it, and nobody else.
#[tokio::test(start_paused = true)]
async fn what_is_too_deep_or_too_much_costs_no_session() {
    let mut config = config();
    config.session.limits.max_line = 100_000;
    config.session.limits.max_items = 1_000;
    let (mut world, mut server) = selected(config, PREAUTH).await;
    let deep = "(".repeat(50_000);
    let uids = Messages::Uids(SequenceSet::of([1]).expect("one"));
    let fetch = world.client.fetch(uids, [Item::Structure]).await;
    let fetch = fetch.expect("it runs");
    server.hears("A2 UID FETCH 1 (UID BODYSTRUCTURE)").await;
    for says in [
        format!("* 1 FETCH (UID 1 BODYSTRUCTURE {deep})\r\n"),
        format!("* THREAD {deep}\r\n"),
        format!("* XYZZY {deep}\r\n"),
        format!("* 1 FETCH (UID 1 FLAGS ({}))\r\n", "x ".repeat(5_000)),
        format!("* 1 FETCH (UID 1 RFC822.SIZE {})\r\n", "9".repeat(5_000)),
        format!("* 1 FETCH (UID 1 BODY[] {{{}}}\r\n", "9".repeat(5_000)),
        "A2 OK done\r\n".to_owned(),
    ] {
        server.say(&says).await;
    }
    // Each is told as what it is: something that can't be read, item by item where possible.
    let mut told = fetch.all().await.expect("no error").len();
    let noop = world.ask(|client| async move { client.noop().await });
    server.hears("A3 NOOP").await;
    server.say("* 9 EXISTS\r\nA3 OK done\r\n").await;
    loop {
        match world.event().await {
            Event::Unknown(_) => told += 1,
            Event::Exists(9) => break,
            other => panic!("{other:.80?}"),
        }
    }
    assert_eq!(told, 6);
    assert_eq!(noop.await.expect("no panic"), Ok(()));

    let search = world.ask(|client| async move { client.search(Query::new()).await });
    server.hears("A4 UID SEARCH ALL").await;
    let many = "1 ".repeat(5_000);
    server
        .say(&format!("* SEARCH {many}\r\nA4 OK done\r\n"))
        .await;
    assert_eq!(search.await.expect("no panic"), Err(RequestError::TooLarge));
}

/// What bears the tag of a command that was not sent yet is no answer to it.
#[tokio::test(start_paused = true)]
async fn no_answer_comes_before_its_question() {
    let (world, mut server) = ready(config(), PREAUTH).await;
    // Tags of commands that were not sent yet.
    server.say("A1 NO early\r\nA2 BAD early\r\n").await;
    time::sleep(Duration::from_secs(1)).await;
    let noop = world.ask(|client| async move { client.noop().await });
    server.hears("A1 NOOP").await;
    server.say("A1 OK done\r\n").await;
    assert_eq!(noop.await.expect("no panic"), Ok(()));
}

//! Sending: what the server hears, and what the caller learns.

use std::time::Duration;

use jackfield_smtp::RequestError;
use jackfield_smtp::client::{ClientEvent, Status};
use jackfield_socket::{TcpListener as _, time};

use crate::{config, envelope, world};

#[tokio::test(start_paused = true)]
async fn messages_share_a_connection_that_is_left_when_idle() {
    let mut world = world(config()).await;
    let idle = time::timeout(Duration::from_hours(1), world.listener.accept()).await;
    assert!(idle.is_err(), "nobody asked");
    for _ in 0..2 {
        let first = world.send("grace@example.com", "One.\n");
        let mut server = world.server("").await;
        assert_eq!(server.takes().await, "One.\r\n.\r\n");
        assert!(first.await.expect("no panic").expect("taken").is_complete());
        let second = world.send("grace@example.com", "Two.");
        assert_eq!(server.takes().await, "Two.\r\n.\r\n");
        let outcome = second.await.expect("no panic").expect("taken");
        assert_eq!(outcome.accepted().count(), 1);

        server.hears("QUIT").await;
        server.say("221 Bye").await;
        assert!(server.is_at_end().await);
    }
}

#[tokio::test(start_paused = true)]
async fn each_recipient_has_its_answer() {
    let mut world = world(config()).await;
    let sent = world.send("one@example.com,two@example.com", "Hi.");
    let mut server = world.server("PIPELINING").await;
    for _ in 0..4 {
        server.line().await;
    }
    server.say("250 Ok\n550 5.1.1 Nobody\n250 Ok\n354 Go").await;
    server.content().await;
    server.say("250 Taken").await;
    let outcome = sent.await.expect("no panic").expect("taken for one");
    let refused: Vec<String> = outcome
        .refused()
        .map(|(mailbox, reply)| format!("{mailbox}: {reply}"))
        .collect();
    assert_eq!(refused, ["one@example.com: 550 5.1.1 Nobody"]);
    let accepted: Vec<_> = outcome.accepted().map(ToString::to_string).collect();
    assert_eq!(accepted, ["two@example.com"]);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_says_whether_it_is_for_now_only() {
    let mut world = world(config()).await;
    for (reply, is_temporary) in [("451 4.7.1 Greylisted", true), ("550 5.7.1 No", false)] {
        let sent = world.send("one@example.com", "Hi.");
        let mut server = world.server("").await;
        server.line().await;
        server.say("250 Ok").await;
        server.line().await;
        server.say(reply).await;
        let error = sent.await.expect("no panic").expect_err("refused");
        assert_eq!(error.is_temporary(), is_temporary, "{error}");
        let RequestError::Refused(refusal) = error else {
            panic!("{error}");
        };
        assert_eq!(refusal.reply.to_string(), reply);
        server.hears("QUIT").await;
        server.say("221 Bye").await;
    }
}

/// Each way in which servers are told to end a message, and to take what follows for commands.
#[tokio::test(start_paused = true)]
async fn nothing_that_a_message_holds_ends_it() {
    let mut world = world(config()).await;
    for end in [
        "\n.\n",
        "\r.\r",
        "\r.\n",
        "\n.\r",
        "\n.\r\n",
        "\r\n.\n",
        "\r.\r\n",
        "\r\n.\r",
        "\r\n.\r\n",
        "\n\n.\r\n",
        "\r\n..\r\n",
    ] {
        let content = format!("a{end}MAIL FROM:<eve@example.org>{end}");
        let client = world.client.clone();
        let sent = tokio::spawn(async move {
            let to = envelope("grace@example.com");
            client.send(to, content).await
        });
        let mut server = world.server("").await;
        let carried = server.takes().await;
        sent.await.expect("no panic").expect("taken");
        server.hears("QUIT").await;
        server.say("221 Bye").await;
        // What a server takes that knows any of them for an end.
        let body = carried.strip_suffix(".\r\n").expect("its end");
        for line in body.split(['\r', '\n']) {
            assert_ne!(line, ".", "{end:?} in {carried:?}");
        }
        let all = body.replace("\r\n", "");
        assert!(!all.contains(['\r', '\n']), "{end:?} in {carried:?}");
    }
    let nul = world
        .client
        .send(envelope("grace@example.com"), "a\r\n\0.\r\nb");
    assert!(matches!(nul.await, Err(RequestError::Nul)));
}

#[tokio::test(start_paused = true)]
async fn closing_finishes_what_was_begun() {
    let mut world = world(config()).await;
    let (first, second) = (
        world.send("one@example.com", "One."),
        world.send("two@example.com", "Two."),
    );
    let mut server = world.server("").await;
    server.hears("MAIL FROM:<ada@example.org>").await;
    let client = world.client.clone();
    let closing = tokio::spawn(async move { client.close().await });
    let second = second.await.expect("no panic");
    assert!(matches!(second, Err(RequestError::Closed)), "{second:?}");
    server.say("250 Ok").await;
    server.takes().await;
    first.await.expect("no panic").expect("taken");
    server.hears("QUIT").await;
    server.say("221 Bye").await;
    closing.await.expect("no panic");
    world.connection.await.expect("no panic").expect("in order");
    let late = world
        .client
        .send(envelope("one@example.com"), "Late.")
        .await;
    assert!(matches!(late, Err(RequestError::Closed)), "{late:?}");
    while let Some(event) = world.events.next().await {
        assert!(!matches!(
            event,
            ClientEvent::Status(Status::Disconnected { .. })
        ));
    }
}

#[tokio::test(start_paused = true)]
async fn closing_does_not_wait_for_a_server_that_says_nothing() {
    for begun in [false, true] {
        let mut world = world(config()).await;
        let sent = begun.then(|| world.send("one@example.com", "One."));
        let server = if begun {
            Some(world.server("").await)
        } else {
            None
        };
        let before = time::now();
        world.client.close().await;
        assert!(time::now() - before <= Duration::from_secs(12));
        if let Some(sent) = sent {
            let error = sent.await.expect("no panic").expect_err("not sent");
            assert!(matches!(error, RequestError::Closed), "{error}");
        }
        drop(server);
        world.connection.await.expect("no panic").expect("in order");
    }
}

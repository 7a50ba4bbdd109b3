//! The client appends several messages at once, and puts one in the place of another.

mod common;

use common::{config, ready, selected};
use jackfield_imap::RequestError;
use jackfield_imap::client::{Append, Former};
use jackfield_imap::codec::{AppendMessage, CatenatePart, MailboxName, MessageUrl};
use tokio::io::AsyncReadExt;

fn drafts() -> MailboxName {
    "Drafts".parse().expect("a name")
}

#[tokio::test(start_paused = true)]
async fn several_messages_are_appended_at_once() {
    let greeting = "* PREAUTH [CAPABILITY IMAP4rev1 MULTIAPPEND CATENATE] hello\r\n";
    let (world, mut server) = ready(config(), greeting).await;
    let texts = ["one", "three"].map(str::as_bytes);
    let messages = texts.map(|text| (AppendMessage::new(text.len() as u64), text));
    let both = world.ask(|client| async move { client.append_all(drafts(), messages).await });
    server.hears("A1 APPEND Drafts {3}").await;
    server.say("+ go on\r\n").await;
    server.hears("one {5}").await;
    server.say("+ go on\r\n").await;
    server.hears("three").await;
    server.say("A1 OK [APPENDUID 7 4:5] done\r\n").await;
    let (validity, uids) = both
        .await
        .expect("no panic")
        .expect("appended")
        .uid
        .expect("UIDs");
    assert_eq!((validity, uids.to_string().as_str()), (7, "4:5"));

    let url = MessageUrl::new(&drafts(), 7, 4);
    let parts = [
        CatenatePart::Text(2),
        CatenatePart::Url(url),
        CatenatePart::Text(3),
    ];
    let message = (AppendMessage::catenate(parts), &b"<<>>>"[..]);
    let parts = world.ask(|client| async move { client.append_all(drafts(), [message]).await });
    server.hears("A2 APPEND Drafts CATENATE (TEXT {2}").await;
    server.say("+ go on\r\n").await;
    server
        .hears("<< URL \"/Drafts;UIDVALIDITY=7/;UID=4\" TEXT {3}")
        .await;
    server.say("+ go on\r\n").await;
    server.hears(">>>)").await;
    server.say("A2 OK done\r\n").await;
    parts.await.expect("no panic").expect("appended");
}

#[tokio::test(start_paused = true)]
async fn a_message_that_ends_early_is_no_message() {
    let greeting = "* PREAUTH [CAPABILITY IMAP4rev1 MULTIAPPEND] hello\r\n";
    let (mut world, mut server) = ready(config(), greeting).await;
    let messages = [("one", 3), ("two", 9)].map(|(text, size)| {
        let text = text.as_bytes();
        (AppendMessage::new(size), text)
    });
    let both = world.ask(|client| async move { client.append_all(drafts(), messages).await });
    server.hears("A1 APPEND Drafts {3}").await;
    server.say("+ go on\r\n").await;
    server.hears("one {9}").await;
    server.say("+ go on\r\n").await;
    assert_eq!(both.await.expect("no panic"), Err(RequestError::Source));
    // Nothing can take back what was sent: the connection ends in the middle of it.
    let mut rest = String::new();
    let end = server.0.read_to_string(&mut rest).await;
    assert!(rest.len() < 9, "{rest:?} {end:?}");
    world.disconnected().await;
}

#[tokio::test(start_paused = true)]
async fn a_draft_is_replaced_by_one_command() {
    let greeting = "* PREAUTH [CAPABILITY IMAP4rev1 REPLACE LITERAL+] hello\r\n";
    let (world, mut server) = selected(config(), greeting).await;
    let replace =
        world.ask(|client| async move { client.replace(3, Append::to(drafts()), "new").await });
    server.hears("A2 UID REPLACE 3 Drafts {3+}").await;
    server.hears("new").await;
    server
        .say("* OK [APPENDUID 5 9] ready\r\n* 3 EXPUNGE\r\nA2 OK done\r\n")
        .await;
    let replaced = replace.await.expect("no panic").expect("replaced");
    assert_eq!(replaced.former, Former::Gone);
    assert_eq!(replaced.appended.uid.expect("a UID").1.to_string(), "9");
}

#[tokio::test(start_paused = true)]
async fn without_replace_the_new_draft_is_there_before_the_old_one_goes() {
    let greeting = "* PREAUTH [CAPABILITY IMAP4rev1 UIDPLUS LITERAL+] hello\r\n";
    let (world, mut server) = selected(config(), greeting).await;
    let replace = |text: &'static str| {
        world.ask(move |client| async move {
            let append = Append::to(drafts());
            client
                .replace_from(3, append, text.len() as u64, text.as_bytes())
                .await
        })
    };
    // Where the new one is refused, the old one is not touched.
    let refused = replace("new");
    server.hears("A2 APPEND Drafts {3+}").await;
    server.hears("new").await;
    server.say("A2 NO [OVERQUOTA] full\r\n").await;
    let refused = refused.await.expect("no panic").expect_err("refused");
    assert!(matches!(refused, RequestError::Refused(_)), "{refused}");

    let replaced = replace("new");
    server.hears("A3 APPEND Drafts {3+}").await;
    server.hears("new").await;
    server.say("A3 OK [APPENDUID 5 9] done\r\n").await;
    server.hears("A4 UID STORE 3 +FLAGS (\\Deleted)").await;
    server.say("A4 OK done\r\n").await;
    server.hears("A5 UID EXPUNGE 3").await;
    server.say("* 3 EXPUNGE\r\nA5 OK done\r\n").await;
    let replaced = replaced.await.expect("no panic").expect("replaced");
    assert_eq!(replaced.former, Former::Gone);
    assert_eq!(replaced.appended.uid.expect("a UID").1.to_string(), "9");

    // Where the old one can't be removed, that is told with what was appended.
    let kept = replace("new");
    server.hears("A6 APPEND Drafts {3+}").await;
    server.hears("new").await;
    server.say("A6 OK [APPENDUID 5 10] done\r\n").await;
    server.hears("A7 UID STORE 3 +FLAGS (\\Deleted)").await;
    server.say("A7 NO [NOPERM] no\r\n").await;
    let kept = kept.await.expect("no panic").expect("appended");
    assert!(matches!(kept.former, Former::Kept(_)), "{kept:?}");
    assert_eq!(kept.appended.uid.expect("a UID").1.to_string(), "10");
}

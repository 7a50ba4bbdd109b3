//! The scenario of a mail app's life, the same over every backend: natively and in a page.

use std::fmt::{Debug, Display};
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::future::{Either, select};
use jackfield_imap::client::{self as imap, Append, ClientConfig, ClientEvent};
use jackfield_imap::codec::{
    Attribute, Flag, Item, ListQuery, MailboxName, Messages, Query, Section, SequenceSet,
};
use jackfield_imap::core::Event;
use jackfield_sasl::Credentials;
use jackfield_smtp::client as smtp;
use jackfield_smtp::core::{Config, Envelope, Security};
use jackfield_socket::{TcpConnect, time};
use tokio::io::AsyncReadExt as _;

/// The user that the server must know, whose INBOX is empty.
pub const USER: &str = "ada";
/// Her password.
pub const PASSWORD: &str = "lovelace";
/// Her address.
pub const ADDRESS: &str = "ada@jackfield.example";

/// How long all of it may take.
const LONG: Duration = Duration::from_mins(2);
/// The size of a message that does not fit into what a socket or a stream of the relay takes at once.
const LARGE: usize = 300_000;

/// Logs in, and does what a mail app does: lists, opens, appends, fetches, searches, sends oneself a
/// message that arrives while one waits, moves it, and leaves. The network speaks TLS.
///
/// # Errors
/// The step that failed, and why.
pub async fn play<N: TcpConnect + Clone>(
    network: N,
    imap: SocketAddr,
    submission: SocketAddr,
) -> Result<(), String> {
    let credentials = step("credentials", Credentials::password(USER, PASSWORD))?;
    let config = ClientConfig::new(credentials.clone());
    let (mail, events, reading) = imap::connect(network.clone(), imap.into(), config);

    let mut config = Config::new(step("a name", "localhost".parse())?);
    config.security = Security::Tls;
    config.credentials = Some(credentials);
    let (sender, _, sending) = smtp::connect(network, submission.into(), config);

    let steps = steps(mail, events, sender);
    let connections = async move { futures_util::future::join(reading, sending).await };
    let (steps, connections) = (std::pin::pin!(steps), std::pin::pin!(connections));
    match time::timeout(LONG, select(steps, connections)).await {
        Ok(Either::Left((result, _))) => result,
        Ok(Either::Right(((reading, sending), steps))) => {
            // Both have left, as they were told to.
            step("the connection of IMAP", reading)?;
            step("the connection of SMTP", sending)?;
            steps.await
        }
        Err(_) => Err("it takes too long".to_owned()),
    }
}

async fn steps(
    mail: imap::Client,
    mut events: imap::Events,
    sender: smtp::Client,
) -> Result<(), String> {
    // Waits until somebody is logged in.
    let (mailboxes, _) = step("list", mail.list(ListQuery::all()).await)?;
    let trash = mailboxes.iter().find(|it| it.is(&Attribute::Trash));
    let trash = trash.ok_or("list: there is no trash")?.name.clone();

    let inbox = step("select", mail.select(MailboxName::inbox()).await)?;
    same("select: messages", &inbox.exists, &0)?;

    let large = format!(
        "Subject: large\r\n\r\n{}\r\n",
        "0123456789".repeat(LARGE / 10)
    );
    let append = Append::to(MailboxName::inbox()).flag(Flag::Seen);
    let appended = step("append", mail.append(append, large.clone()).await)?;
    let (_, uids) = appended.uid.ok_or("append: the UID is not told")?;
    same("append: UID", &*uids.to_string(), "1")?;

    let items = [Item::Envelope, Item::Flags, Item::Size];
    let messages = step("fetch", mail.fetch(one(1)?, items).await)?;
    let messages = step("fetch", messages.all().await)?;
    let message = messages.first().ok_or("fetch: there is none")?;
    same("fetch: size", &message.size, &Some(large.len() as u64))?;
    let subject = message.envelope.as_ref().and_then(|it| it.subject.clone());
    same(
        "fetch: subject",
        &*subject.unwrap_or_default().to_str(),
        "large",
    )?;

    let mut text = String::new();
    let mut body = step("read", mail.read(1, Section::all()).await)?;
    step("read", body.read_to_string(&mut text).await)?;
    same("read: is it what was appended", &(text == large), &true)?;

    let found = step("search", mail.search(Query::new().subject("LARGE")).await)?;
    same("search", &found, &vec![1])?;

    let idle = mail.idle();
    let to = [step("an address", ADDRESS.parse())?];
    let envelope = Envelope::new(step("an address", ADDRESS.parse())?, to);
    let letter = format!("From: {ADDRESS}\r\nSubject: to myself\r\n\r\n.\r\nhello\r\n");
    let outcome = step("send", sender.send(envelope, letter).await)?;
    same("send: is it taken", &outcome.is_complete(), &true)?;
    loop {
        let event = events.next().await.ok_or("idle: the client has ended")?;
        if matches!(event, ClientEvent::Event(Event::Exists(2))) {
            break;
        }
    }
    drop(idle);

    let unseen = step("search", mail.search(Query::new().unseen()).await)?;
    same("search: unseen", &unseen, &vec![2])?;
    let mut text = String::new();
    let mut body = step("read", mail.read(2, Section::text()).await)?;
    step("read", body.read_to_string(&mut text).await)?;
    same("read: what was sent", &*text, ".\r\nhello\r\n")?;

    let moved = step("move", mail.move_to(one(2)?, trash.clone()).await)?;
    same("move", &moved.uids.len(), &1)?;
    let trash = step("select", mail.select(trash).await)?;
    same("select: messages", &trash.exists, &1)?;

    sender.close().await;
    mail.close().await;
    Ok(())
}

fn one(uid: u32) -> Result<Messages, String> {
    let set = SequenceSet::of([uid]).ok_or("there is no such UID")?;
    Ok(Messages::Uids(set))
}

fn step<T, E: Display>(name: &str, result: Result<T, E>) -> Result<T, String> {
    result.map_err(|error| format!("{name}: {error}"))
}

fn same<T: PartialEq + Debug + ?Sized>(what: &str, is: &T, expected: &T) -> Result<(), String> {
    if is == expected {
        return Ok(());
    }
    Err(format!("{what}: {is:?}, not {expected:?}"))
}

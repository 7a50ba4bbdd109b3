//! `jackfield imap` with servers of a few lines: what fails is told with its step, and what happens
//! is told once.
#![cfg(unix)]

mod common;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::time::UNIX_EPOCH;

use common::{PATIENCE, Running, command, listener, run, start};
use jackfield_socket::TcpListener as _;
use rustix::process::Signal;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::Command;
use tokio::sync::mpsc;
use tokio::time::timeout;

const GREETING: &str = "* OK [CAPABILITY IMAP4rev1] ready\r\n";
const OK: &str = "TAG OK done\r\n";

/// A server that greets like this, and gives this answer to a command of the so-manieth connection,
/// its tag where `TAG` stands. It hangs up where the answer is empty. What it hears is told.
async fn server(
    greeting: &'static str,
    answer: impl Fn(usize, &str) -> String + Send + 'static,
) -> (SocketAddr, mpsc::UnboundedReceiver<String>) {
    let (mut listener, at) = listener().await;
    let (tell, heard) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        for connection in 1.. {
            let stream = listener.accept().await.expect("a client");
            let mut stream = BufReader::new(stream);
            let written = stream.write_all(greeting.as_bytes()).await;
            written.expect("it reads");
            let (mut line, mut tag) = (String::new(), String::new());
            while stream
                .read_line(&mut line)
                .await
                .is_ok_and(|count| count > 0)
            {
                // DONE has none, and is answered with that of IDLE.
                let said = line.trim_end();
                let command = match said.split_once(' ') {
                    Some((found, command)) => {
                        found.clone_into(&mut tag);
                        command
                    }
                    None => said,
                };
                let _ = tell.send(command.to_owned());
                let answer = answer(connection, command).replace("TAG", &tag);
                if answer.is_empty() || stream.write_all(answer.as_bytes()).await.is_err() {
                    break;
                }
                line.clear();
            }
        }
    });
    (at, heard)
}

/// What most servers say to most commands.
fn usual(command: &str) -> String {
    let data = match command.split(' ').next() {
        Some("CAPABILITY") => "* CAPABILITY IMAP4rev1 ESEARCH IDLE\r\n",
        Some("EXAMINE") => "* 2 EXISTS\r\n* OK [UIDVALIDITY 7] UIDs\r\n",
        Some("IDLE") => return "+ idling\r\n".into(),
        _ => "",
    };
    format!("{data}{OK}")
}

/// A command, with where the mailbox is, in plaintext.
fn imap(verb: &str, at: SocketAddr, args: &[&str]) -> Command {
    let address = format!("imap://ada@{at}/");
    let plain = ["--plain", "--password-in-the-clear"];
    let all = [&["imap", verb, &address], args, &plain].concat();
    let mut command = command(&all);
    command.env("JACKFIELD_PASSWORD", "correct horse");
    command
}

/// Waits until the server has heard this.
async fn hears(heard: &mut mpsc::UnboundedReceiver<String>, said: &str) {
    let hears = async { while heard.recv().await.expect("it goes on") != said {} };
    timeout(PATIENCE, hears).await.expect("it is not said");
}

async fn fails(command: Command, code: i32, expected: &[&str]) {
    let outcome = start(command).finish(b"").await;
    assert_eq!(outcome.code, Some(code), "{}", outcome.errors);
    for expected in expected {
        assert!(
            outcome.errors.contains(expected),
            "{expected}: {}",
            outcome.errors
        );
    }
    assert!(!outcome.errors.contains("horse"), "{}", outcome.errors);
}

#[tokio::test]
async fn each_step_that_fails_is_named() {
    let (silent, at) = listener().await;
    drop(silent);
    let step = format!("jackfield: connecting to {at}: ");
    fails(imap("list", at, &[]), 4, &[&step]).await;

    // No TLS where it begins with TLS, and none after plaintext.
    let (at, _) = server(GREETING, |_, _| "TAG NO not here\r\n".into()).await;
    for (scheme, step, hint) in [
        ("imaps", "securing the stream to", "  try: imap://"),
        ("imap", "asking", "  try: imaps://"),
    ] {
        let mut list = command(&["imap", "list", &format!("{scheme}://ada@{at}")]);
        list.env("JACKFIELD_PASSWORD", "correct horse");
        fails(list, 5, &[&format!("jackfield: {step} {at}"), hint]).await;
    }

    let (at, _) = server("220 mail.test ESMTP\r\n", |_, _| String::new()).await;
    let step = format!("jackfield: waiting for the greeting of {at}: ");
    fails(imap("list", at, &[]), 5, &[&step]).await;

    let (at, _) = server(GREETING, |_, command| match command.split(' ').next() {
        Some("LOGIN") => "TAG NO [AUTHENTICATIONFAILED] who?\r\n".into(),
        _ => usual(command),
    })
    .await;
    let step = format!("jackfield: logging in to {at}: ");
    fails(imap("list", at, &[]), 6, &[&step, "who?", "  try: "]).await;
    let mut list = command(&["imap", "list", "--plain", &format!("imap://ada@{at}")]);
    list.env("JACKFIELD_PASSWORD", "correct horse");
    fails(list, 6, &[&step, "--password-in-the-clear"]).await;
}

#[tokio::test]
async fn each_request_that_fails_is_named() {
    let (at, _) = server(GREETING, |_, command| match command.split(' ').next() {
        Some("EXAMINE") => "TAG NO [NONEXISTENT] no such mailbox\r\n".into(),
        Some("LIST") => "TAG NO [NOPERM] not for you\r\n".into(),
        _ => usual(command),
    })
    .await;
    let expected = [
        "jackfield: opening INBOX: ",
        "no such mailbox",
        "  try: jackfield imap list",
    ];
    fails(imap("search", at, &[]), 1, &expected).await;
    let expected = ["jackfield: listing mailboxes: ", "not for you"];
    fails(imap("list", at, &[]), 6, &expected).await;

    let (at, _) = server(GREETING, |connection, command| {
        match command.split(' ').next() {
            // The second time it is cut.
            Some("UID") if connection == 2 => String::new(),
            _ => usual(command),
        }
    })
    .await;
    let expected = [
        "jackfield: fetching message 5 of INBOX: ",
        "no such message",
    ];
    fails(imap("fetch", at, &["5"]), 1, &expected).await;
    fails(imap("fetch", at, &["5"]), 7, &["jackfield: talking to "]).await;
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_before_anything_is_sent() {
    let (at, mut heard) = server(GREETING, |_, command| usual(command)).await;
    fails(imap("search", at, &["lunch"]), 2, &["text:lunch"]).await;
    fails(imap("fetch", at, &["1:3"]), 2, &["--directory"]).await;
    while heard.try_recv().is_ok() {}
    let address = format!("imap://{at}");
    for args in [
        &["list", &address, "--plain"][..],
        &["list", &address, "--user", "ada"],
        &["list", "imaps://ada:secret@localhost"],
        &["list", "smtp://localhost"],
        &["list", "--plain", "imaps://ada@localhost"],
        &["list", "--plain", "--ca", "none.pem", &address],
        &["list", "--password-in-the-clear", &address],
        &["fetch", &address],
        &["fetch", &address, "0"],
        &["fetch", &address, "1", "--part", "0"],
        &["append", &address, "--flag", "a b"],
        &["sync", &address],
    ] {
        let outcome = run(&[&["imap"], args].concat(), b"").await;
        assert_eq!(outcome.code, Some(2), "{args:?}: {}", outcome.errors);
    }
    assert!(heard.try_recv().is_err(), "something was said");
}

#[tokio::test]
async fn what_mailboxes_are_for_is_guessed_by_their_names() {
    let (at, _) = server(GREETING, |_, command| match command.split(' ').next() {
        Some("LIST") => format!(
            "* LIST (\\Sent) \"/\" Out\r\n\
             * LIST () \"/\" Entw&APw-rfe\r\n\
             * LIST (\\NoSelect) \"/\" Work\r\n{OK}"
        ),
        Some("STATUS") => {
            let name = command.split(' ').nth(1).unwrap_or_default();
            format!("* STATUS {name} (MESSAGES 2 UNSEEN 1)\r\n{OK}")
        }
        _ => usual(command),
    })
    .await;
    let outcome = start(imap("list", at, &[])).finish(b"").await;
    let expected = "Out\t2\t1\tsent\nEntwürfe\t2\t1\tdrafts?\nWork\t-\t-\tno mailbox\n";
    assert_eq!(String::from_utf8_lossy(&outcome.output), expected);
}

/// A server with one message.
async fn with_a_message() -> SocketAddr {
    let (at, _) = server(GREETING, |_, command| {
        if command.starts_with("UID FETCH") {
            let text = "Subject: a\r\n\r\ntext\r\n";
            let size = text.len();
            return format!("* 1 FETCH (UID 17 BODY[] {{{size}}}\r\n{text})\r\n{OK}");
        }
        usual(command)
    })
    .await;
    at
}

#[tokio::test]
async fn a_full_disk_is_told() {
    let at = with_a_message().await;
    let outcome = start(imap("fetch", at, &["17"])).finish(b"").await;
    assert_eq!(
        outcome.output, b"Subject: a\r\n\r\ntext\r\n",
        "{}",
        outcome.errors
    );
    let expected = [
        "jackfield: fetching message 17: can't write /dev/full",
        "  because: No space left on device",
    ];
    fails(imap("fetch", at, &["17", "-o", "/dev/full"]), 1, &expected).await;
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("file");
    std::fs::write(&file, "").expect("written");
    let below = file.join("below");
    let below = below.to_str().expect("text");
    fails(
        imap("fetch", at, &["17", "-d", below]),
        1,
        &["making the directory: can't write"],
    )
    .await;
}

/// A server whose first connection ends when it is idle, and whose messages are others in the second.
async fn changing() -> (SocketAddr, mpsc::UnboundedReceiver<String>) {
    server(GREETING, |connection, command| {
        match command.split(' ').next() {
            Some("UID") if connection == 1 => {
                format!("* ESEARCH (tag \"TAG\") UID ALL 3,5\r\n{OK}")
            }
            Some("UID") => format!("* ESEARCH (tag \"TAG\") UID ALL 5,8:9\r\n{OK}"),
            Some("IDLE") if connection == 1 => String::new(),
            _ => usual(command),
        }
    })
    .await
}

async fn watching(at: SocketAddr, args: &[&str]) -> Running {
    let mut watching = start(imap("watch", at, &[&["-v"], args].concat()));
    watching.said("jackfield: 2 messages are there").await;
    watching
}

#[tokio::test]
async fn what_happened_while_there_was_no_connection_is_told() {
    let (at, _) = changing().await;
    let outcome = watching(at, &["-C", "3"]).await.finish(b"").await;
    assert_eq!(outcome.code, Some(0), "{}", outcome.errors);
    let output = String::from_utf8_lossy(&outcome.output);
    assert_eq!(output, "gone 3\nnew 8\nnew 9\n");
    assert!(
        outcome.errors.contains("trying again in"),
        "{}",
        outcome.errors
    );
}

#[tokio::test]
async fn a_signal_has_it_log_out() {
    let (at, mut heard) = server(GREETING, |_, command| match command.split(' ').next() {
        Some("UID") => format!("* ESEARCH (tag \"TAG\") UID ALL 3,5\r\n{OK}"),
        _ => usual(command),
    })
    .await;
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let watching = watching(at, &[]).await;
        hears(&mut heard, "IDLE").await;
        watching.signal(signal);
        let outcome = watching.end().await;
        assert_eq!(outcome.code, Some(code), "{}", outcome.errors);
        assert_eq!(heard.recv().await.as_deref(), Some("DONE"));
        assert_eq!(heard.recv().await.as_deref(), Some("LOGOUT"));
    }
}

#[tokio::test]
async fn it_logs_out_when_nobody_reads() {
    let (at, mut heard) = changing().await;
    let mut watching = watching(at, &[]).await;
    watching.close_output();
    let outcome = watching.end().await;
    assert_eq!(outcome.code, Some(141), "{}", outcome.errors);
    hears(&mut heard, "LOGOUT").await;
}

#[tokio::test]
async fn a_server_that_says_no_and_hangs_up_is_told_by_what_it_said() {
    // Several times: what is seen first is a matter of chance.
    for _ in 0..5 {
        let (at, _) = server(GREETING, |_, command| match command.split(' ').next() {
            Some("EXAMINE") => "TAG NO [NOPERM] not for you\r\n* BYE\r\n".into(),
            _ => usual(command),
        })
        .await;
        let expected = ["jackfield: opening INBOX: refused: not for you"];
        fails(imap("search", at, &[]), 6, &expected).await;
    }
}

/// The files of a Maildir, and what is in them.
fn copied(folder: &Path) -> BTreeMap<String, String> {
    let mut files = BTreeMap::new();
    for part in ["new", "cur", "tmp"] {
        for entry in std::fs::read_dir(folder.join(part)).expect(part) {
            let path = entry.expect("a file").path();
            let text = std::fs::read_to_string(&path).expect("text");
            let name = path.strip_prefix(folder).expect("below").to_str();
            files.insert(name.expect("text").to_owned(), text);
        }
    }
    files
}

#[tokio::test]
async fn a_copy_that_is_cut_goes_on_where_it_was() {
    // In the first connection the second message does not come to its end.
    let (at, mut heard) = server(GREETING, |connection, command| {
        let text = |uid: u32, text: &str| {
            format!("* {uid} FETCH (UID {uid} BODY[] {{{}}}\r\n{text})\r\n{OK}", text.len())
        };
        let message = "Subject: a\r\n\r\ntext\r\n";
        match command {
            "UID FETCH 1:* (UID FLAGS INTERNALDATE)" => format!(
                "* 1 FETCH (UID 1 FLAGS (\\Seen \\Flagged $x) INTERNALDATE \"29-Nov-2026 05:00:00 +0000\")\r\n\
                 * 2 FETCH (UID 2 FLAGS () INTERNALDATE \"29-Nov-2026 05:00:00 +0000\")\r\n\
                 * 3 FETCH (UID 3 FLAGS () INTERNALDATE \"29-Nov-2026 05:00:00 +0000\")\r\n{OK}"
            ),
            "UID FETCH 2 (UID BODY.PEEK[])" if connection == 1 => {
                "* 2 FETCH (UID 2 BODY[] {99}\r\nSubject: b".into()
            }
            "UID FETCH 1 (UID BODY.PEEK[])" => text(1, message),
            "UID FETCH 2 (UID BODY.PEEK[])" => text(2, message),
            // It has gone meanwhile.
            "UID FETCH 3 (UID BODY.PEEK[])" => OK.into(),
            _ => usual(command),
        }
    })
    .await;
    let folder = tempfile::tempdir().expect("a folder");
    let copy = folder.path().join("mail");
    let path = copy.to_str().expect("text");
    let cut = start(imap("sync", at, &[path, "-v"]));
    hears(&mut heard, "UID FETCH 2 (UID BODY.PEEK[])").await;
    cut.signal(Signal::INT);
    let outcome = cut.end().await;
    assert_eq!(outcome.code, Some(130), "{}", outcome.errors);
    let first = (
        "cur/7.1.jackfield:2,FS".to_owned(),
        "Subject: a\n\ntext\n".to_owned(),
    );
    assert_eq!(copied(&copy), BTreeMap::from([first.clone()]));
    let time = std::fs::metadata(copy.join(&first.0)).and_then(|it| it.modified());
    let time = time
        .expect("a time")
        .duration_since(UNIX_EPOCH)
        .expect("a time");
    assert_eq!(time.as_secs(), 1_795_928_400);

    while heard.try_recv().is_ok() {}
    let outcome = start(imap("sync", at, &[path, "-v"])).finish(b"").await;
    assert_eq!(outcome.code, Some(0), "{}", outcome.errors);
    let said = "jackfield: 1 new, 0 with other flags, 0 gone";
    assert_eq!(outcome.errors.lines().last(), Some(said));
    let second = ("new/7.2.jackfield".to_owned(), first.1.clone());
    assert_eq!(copied(&copy), BTreeMap::from([first, second]));
    let asked: Vec<String> = std::iter::from_fn(|| heard.try_recv().ok()).collect();
    assert!(
        !asked.contains(&"UID FETCH 1 (UID BODY.PEEK[])".to_owned()),
        "{asked:?}"
    );
}

//! `jackfield smtp` with servers of a few lines: what becomes of a message is told, and what fails.
#![cfg(unix)]

mod common;

use std::net::SocketAddr;

use common::{PATIENCE, command, listener, run, start};
use jackfield_socket::TcpListener as _;
use rustix::process::Signal;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::Command;
use tokio::sync::mpsc;
use tokio::time::timeout;

const MESSAGE: &str = "From: Ada <ada@example.org>\nTo: grace@example.com\nCc: \"A\" <alan@example.net>\n\
                       Bcc: eve@example.org\nSubject: hello\n\nGood morning.\n";

/// A server that greets like this, and gives this answer to a line; it hangs up where that is empty.
/// What it hears is told.
async fn server(
    greeting: &'static str,
    answer: impl Fn(&str) -> &'static str + Send + 'static,
) -> (SocketAddr, mpsc::UnboundedReceiver<String>) {
    let (mut listener, at) = listener().await;
    let (tell, heard) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        loop {
            let stream = listener.accept().await.expect("a client");
            let mut stream = BufReader::new(stream);
            let written = stream.write_all(greeting.as_bytes()).await;
            written.expect("it reads");
            let (mut line, mut is_message) = (String::new(), false);
            while stream
                .read_line(&mut line)
                .await
                .is_ok_and(|count| count > 0)
            {
                let said = std::mem::take(&mut line).trim_end().to_owned();
                let _ = tell.send(said.clone());
                if is_message && said != "." {
                    continue;
                }
                is_message = said == "DATA";
                let answer = answer(&said);
                if answer.is_empty() || stream.write_all(answer.as_bytes()).await.is_err() {
                    break;
                }
            }
        }
    });
    (at, heard)
}

const GREETING: &str = "220 mail.test\r\n";

/// What most servers say.
fn usual(line: &str) -> &'static str {
    match line.split([' ', ':']).next() {
        Some("EHLO") => "250-mail.test\r\n250-PIPELINING\r\n250 SIZE 1000000\r\n",
        Some("DATA") => "354 go on\r\n",
        _ => "250 2.0.0 ok\r\n",
    }
}

/// A command to a server in plaintext.
fn smtp(verb: &str, at: SocketAddr, args: &[&str]) -> Command {
    let address = format!("smtp://{at}");
    command(&[&["smtp", verb, "--plain", &address], args].concat())
}

async fn fails(command: Command, input: &[u8], code: i32, expected: &[&str]) -> String {
    let outcome = start(command).finish(input).await;
    assert_eq!(outcome.code, Some(code), "{}", outcome.errors);
    for expected in expected {
        assert!(
            outcome.errors.contains(expected),
            "{expected}: {}",
            outcome.errors
        );
    }
    String::from_utf8(outcome.output).expect("text")
}

/// What was heard until now.
fn all(heard: &mut mpsc::UnboundedReceiver<String>) -> Vec<String> {
    std::iter::from_fn(|| heard.try_recv().ok()).collect()
}

#[tokio::test]
async fn recipients_are_those_of_the_header_or_of_the_arguments() {
    let (at, mut heard) = server(GREETING, usual).await;
    let outcome = start(smtp("send", at, &[]))
        .finish(MESSAGE.as_bytes())
        .await;
    assert_eq!(outcome.code, Some(0), "{}", outcome.errors);
    let output = String::from_utf8_lossy(&outcome.output);
    let expected = "grace@example.com\taccepted\t250 2.0.0 ok\n\
                    alan@example.net\taccepted\t250 2.0.0 ok\n\
                    eve@example.org\taccepted\t250 2.0.0 ok\n";
    assert_eq!(output, expected);
    let said = all(&mut heard);
    assert!(
        said.iter()
            .any(|line| line.starts_with("MAIL FROM:<ada@example.org>")),
        "{said:?}"
    );
    assert!(
        said.contains(&"RCPT TO:<eve@example.org>".to_owned()),
        "{said:?}"
    );
    assert!(said.contains(&"Good morning.".to_owned()), "{said:?}");
    // Who gets it unseen is nowhere in it.
    assert!(!said.iter().any(|line| line.starts_with("Bcc")), "{said:?}");
    assert_eq!(said.last().map(String::as_str), Some("QUIT"));

    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), MESSAGE).expect("written");
    let path = file.path().to_str().expect("text");
    let args = [path, "--from", "", "--to", "Bob <bob@example.org>"];
    let outcome = start(smtp("send", at, &args)).finish(b"").await;
    assert_eq!(
        outcome.output, b"bob@example.org\taccepted\t250 2.0.0 ok\n",
        "{}",
        outcome.errors
    );
    let said = all(&mut heard);
    assert!(
        said.iter().any(|line| line.starts_with("MAIL FROM:<>")),
        "{said:?}"
    );
}

#[tokio::test]
async fn a_message_is_made_of_arguments() {
    let (at, mut heard) = server(GREETING, usual).await;
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("menu.txt");
    std::fs::write(&file, "soup").expect("written");
    let args = [
        "--from",
        "Ad\u{e0} <ada@example.org>",
        "--to",
        "grace@example.com",
        "--bcc",
        "eve@example.org",
        "--subject",
        "Lunch?",
        "--attach",
        file.to_str().expect("text"),
    ];
    let outcome = start(smtp("send", at, &args)).finish(b"At one.\n").await;
    assert_eq!(outcome.code, Some(0), "{}", outcome.errors);
    let said = all(&mut heard);
    for expected in [
        "From: =?utf-8?",
        "Subject: Lunch?",
        "RCPT TO:<eve@example.org>",
        "Message-ID: <",
        "At one.",
        "c291cA==",
    ] {
        assert!(
            said.iter().any(|line| line.starts_with(expected)),
            "{expected}: {said:?}"
        );
    }
    assert!(!said.iter().any(|line| line.starts_with("Bcc")), "{said:?}");
    let file = folder.path().join("missing");
    let args = [
        "--from", "a@b.c", "--to", "d@e.f", "--body", "x", "--attach",
    ];
    let args = [&args[..], &[file.to_str().expect("text")]].concat();
    fails(
        smtp("send", at, &args),
        b"",
        2,
        &["preparing the message: can't read"],
    )
    .await;
    let evil = "x\nBcc: eve@example.org";
    let args = [
        "--from",
        "a@b.c",
        "--to",
        "d@e.f",
        "--body",
        "x",
        "--subject",
        evil,
    ];
    fails(
        smtp("send", at, &args),
        b"",
        2,
        &["preparing the message: the subject"],
    )
    .await;
    assert!(all(&mut heard).is_empty());
}

#[tokio::test]
async fn what_becomes_of_each_recipient_is_told() {
    let (at, _) = server(GREETING, |line| match line {
        "RCPT TO:<grace@example.com>" => "550 5.1.1 no such user\r\n",
        "RCPT TO:<alan@example.net>" => "450 4.2.1 later\r\n",
        _ => usual(line),
    })
    .await;
    let expected = ["jackfield: sending the message: 2 of 3 recipients don't get it"];
    let output = fails(smtp("send", at, &[]), MESSAGE.as_bytes(), 8, &expected).await;
    let told = "grace@example.com\trefused\t550 5.1.1 no such user\n\
                alan@example.net\tnot now\t450 4.2.1 later\n\
                eve@example.org\taccepted\t250 2.0.0 ok\n";
    assert_eq!(output, told);

    let (at, _) = server(GREETING, |line| match line {
        line if line.starts_with("RCPT") => "554 5.7.1 not by us\r\n",
        _ => usual(line),
    })
    .await;
    let to = ["--to", "grace@example.com"];
    let expected = ["jackfield: sending the message: refused: RCPT: 554 5.7.1 not by us"];
    let output = fails(smtp("send", at, &to), MESSAGE.as_bytes(), 6, &expected).await;
    assert_eq!(output, "grace@example.com\trefused\t554 5.7.1 not by us\n");

    // It hangs up where it should have said whether it took it.
    let (at, _) = server(GREETING, |line| match line {
        "." => "",
        _ => usual(line),
    })
    .await;
    let expected = ["may have been taken", "  try: to find out"];
    let output = fails(smtp("send", at, &to), MESSAGE.as_bytes(), 9, &expected).await;
    assert_eq!(output, "grace@example.com\tunknown\t-\n");
}

#[tokio::test]
async fn each_step_that_fails_is_named() {
    let (silent, at) = listener().await;
    drop(silent);
    let step = format!("jackfield: connecting to {at}: ");
    fails(smtp("verify", at, &[]), b"", 4, &[&step]).await;

    let (at, _) = server(GREETING, usual).await;
    for (scheme, step, hint) in [
        ("smtps", "securing the stream to", "  try: smtp://"),
        ("smtp", "asking", "  try: smtps://"),
    ] {
        let verify = command(&["smtp", "verify", &format!("{scheme}://{at}")]);
        fails(verify, b"", 5, &[&format!("jackfield: {step} {at}"), hint]).await;
    }
    let mut verify = command(&["smtp", "verify", "--plain", &format!("smtp://ada@{at}")]);
    verify.env("JACKFIELD_PASSWORD", "correct horse");
    let step = format!("jackfield: logging in to {at}: ");
    fails(verify, b"", 6, &[&step]).await;

    let (at, _) = server("554 5.3.2 not today\r\n", usual).await;
    let step = format!("jackfield: waiting for the greeting of {at}: ");
    fails(smtp("verify", at, &[]), b"", 1, &[&step, "not today"]).await;
    let (at, _) = server("* OK IMAP4rev1\r\n", usual).await;
    let step = format!("jackfield: waiting for the greeting of {at}: ");
    fails(smtp("verify", at, &[]), b"", 5, &[&step]).await;
    let (at, _) = server(GREETING, |line| match line.split(' ').next() {
        Some("EHLO") => "",
        _ => usual(line),
    })
    .await;
    let step = format!("jackfield: talking to {at}: ");
    fails(smtp("verify", at, &[]), b"", 7, &[&step]).await;
}

#[tokio::test]
async fn what_a_server_can_do_is_told() {
    let (at, mut heard) = server(GREETING, |line| match line {
        "VRFY grace" => "550 5.1.1 who?\r\n",
        "VRFY ada" => "252 2.0.0 perhaps\r\n",
        _ => usual(line),
    })
    .await;
    let outcome = start(smtp("verify", at, &["--vrfy", "ada"]))
        .finish(b"")
        .await;
    assert_eq!(outcome.code, Some(0), "{}", outcome.errors);
    let output = String::from_utf8_lossy(&outcome.output);
    let expected = "greeting\t220 mail.test\nlogin\tnone\ncan\tPIPELINING\ncan\tSIZE 1000000\n\
                    vrfy\tada\t252 2.0.0 perhaps\n";
    assert_eq!(output, expected);
    fails(
        smtp("verify", at, &["--vrfy", "grace"]),
        b"",
        1,
        &["verifying grace: "],
    )
    .await;
    let said = all(&mut heard);
    assert!(
        !said.iter().any(|line| line.starts_with("MAIL")),
        "{said:?}"
    );
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_before_anything_is_sent() {
    let (at, mut heard) = server(GREETING, usual).await;
    for input in [
        "Subject: to nobody\n\nhello",
        "From: a b\nTo: c@d.e\n\nhello",
        "",
    ] {
        fails(
            smtp("send", at, &[]),
            input.as_bytes(),
            2,
            &["preparing the message: "],
        )
        .await;
    }
    let address = format!("smtp://{at}");
    for args in [
        &["send", "--plain", &address, "--subject", "x"][..],
        &[
            "send",
            "--plain",
            &address,
            "file",
            "--from",
            "a@b.c",
            "--subject",
            "x",
        ],
        &["send", "--plain", "smtps://localhost"],
        &["send", "imaps://localhost"],
        &["send", "smtps://ada:secret@localhost"],
        &["verify", "--plain", &address, "--vrfy", "a\nb"],
        &["verify", "--plain", &address, "--helo", "a b"],
    ] {
        let outcome = run(&[&["smtp"], args].concat(), b"").await;
        assert_eq!(outcome.code, Some(2), "{args:?}: {}", outcome.errors);
        assert!(!outcome.errors.starts_with("secret"), "{}", outcome.errors);
    }
    assert!(all(&mut heard).is_empty());
}

#[tokio::test]
async fn a_signal_stops_a_message_in_its_middle() {
    let (at, mut heard) = server(GREETING, usual).await;
    let mut sending = start(smtp("send", at, &["--to", "grace@example.com"]));
    sending.give(MESSAGE.as_bytes()).await;
    let hears = async { while heard.recv().await.expect("it goes on") != "DATA" {} };
    timeout(PATIENCE, hears).await.expect("it is not said");
    sending.signal(Signal::INT);
    let outcome = sending.end().await;
    assert_eq!(outcome.code, Some(130), "{}", outcome.errors);
    // It has no end, and so it is none.
    assert!(!all(&mut heard).contains(&".".to_owned()));
}

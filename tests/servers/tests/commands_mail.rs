//! The commands for mail against servers that others wrote.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use jackfield_imap::client::{self, Client};
use jackfield_imap::codec::{Flag, FlagChange, MailboxName, Messages, SequenceSet};
use jackfield_relayd::token::{Credential, Secret};
use jackfield_relayd::{Config, Relayd, Token};
use jackfield_sasl::Credentials;
use jackfield_server_tests::{NAMES, trusting};
use jackfield_socket::{Endpoint, Host};
use jackfield_testing::aiosmtpd::Aiosmtpd;
use jackfield_testing::certs::Authority;
use jackfield_testing::command_line::jackfield;
use jackfield_testing::dovecot::{Dovecot, PASSWORD};
use jackfield_testing::postfix::{self, Postfix};
use jackfield_testing::sink::Sink;
use jackfield_testing::unpacked;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::Command;
use tokio::time::timeout;

/// Nothing here takes so long, unless it hangs.
const PATIENCE: Duration = Duration::from_secs(30);

/// A server of mailboxes, the command, and a folder for files.
struct Mailboxes {
    authority: Authority,
    server: Dovecot,
    binary: PathBuf,
    folder: TempDir,
}

impl Mailboxes {
    async fn start() -> Self {
        let authority = Authority::new();
        let server = Dovecot::start(&authority.server(&NAMES), "plain scram-sha-256").await;
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("ca.pem"), authority.pem()).expect("written");
        Self {
            authority,
            server: server.expect("the server"),
            binary: jackfield().await.expect("the binary"),
            folder,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// `jackfield imap VERB imaps://ada@…/MAILBOX ARGS`.
    fn command(&self, verb: &str, mailbox: &str, args: &[&str]) -> Command {
        let address = format!(
            "imaps://ada@localhost:{}/{mailbox}",
            self.server.tls().port()
        );
        self.at(verb, &address, args)
    }

    fn at(&self, verb: &str, address: &str, args: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        command.args(["imap", verb, address]);
        if !args.contains(&"--plain") {
            command.arg("--ca").arg(self.path("ca.pem"));
        }
        command.args(args).env("JACKFIELD_PASSWORD", PASSWORD);
        command
    }

    /// A client of our own, which changes things.
    fn client(&self) -> Client {
        let credentials = Credentials::password("ada", PASSWORD).expect("credentials");
        let name = Host::Name("localhost".parse().expect("a name"));
        let server = Endpoint::new(name, self.server.tls().port());
        let network = trusting(&self.authority);
        let (client, _, connection) = client::connect(network, server, credentials);
        tokio::spawn(connection);
        client
    }

    async fn run(&self, verb: &str, mailbox: &str, args: &[&str]) -> String {
        output(self.command(verb, mailbox, args), b"").await
    }
}

/// Runs it with this input to its end, which must be a good one; what it wrote.
async fn output(command: Command, input: &[u8]) -> String {
    let output = end(command, input).await;
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("text")
}

/// Runs it with this input to its end.
async fn end(mut command: Command, input: &[u8]) -> Output {
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    command.stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().expect("the binary runs");
    let mut stdin = child.stdin.take().expect("piped");
    let write = async {
        // It may have ended before it has read everything.
        let _ = stdin.write_all(input).await;
        drop(stdin);
    };
    let ended = async { tokio::join!(child.wait_with_output(), write).0 };
    let output = timeout(PATIENCE, ended).await.expect("it does not end");
    output.expect("an end")
}

#[tokio::test]
async fn mailboxes_are_listed() {
    let ada = Mailboxes::start().await;
    let listed = ada.run("list", "", &[]).await;
    assert_eq!(listed, "Sent\t0\t0\tsent\nINBOX\t0\t0\t-\n");
    assert_eq!(ada.run("list", "", &["S*"]).await, "Sent\t0\t0\tsent\n");
    assert_eq!(ada.run("list", "", &["-s"]).await, "Sent\t0\t0\tsent\n");
    // After STARTTLS, and without TLS, where the password is not sent as it is.
    let plain: SocketAddr = ada.server.plain();
    let address = format!("imap://ada@localhost:{}", plain.port());
    for args in [&[][..], &["--plain"]] {
        let listed = output(ada.at("list", &address, args), b"").await;
        assert!(listed.contains("INBOX\t0\t0\t-\n"), "{listed}");
    }
}

/// A message with the line ends of a file.
fn message(subject: &str) -> String {
    format!(
        "From: ada@example.org\nSubject: {subject}\nContent-Type: multipart/mixed; boundary=q\n\n\
         --q\nContent-Type: text/plain\n\nhello\n--q\nContent-Type: text/html\n\n<p>hello\n--q--\n"
    )
}

#[tokio::test]
async fn messages_come_out_as_they_went_in() {
    let ada = Mailboxes::start().await;
    let (one, two) = (message("one"), message("two"));
    let file = ada.path("one.eml");
    std::fs::write(&file, &one).expect("written");
    let file = file.to_str().expect("text");
    let appended = ada
        .run("append", "", &[file, "-f", "\\Seen", "-f", "$Junk"])
        .await;
    assert_eq!(appended, "1\n");
    let appended = output(ada.command("append", "", &[]), two.as_bytes()).await;
    assert_eq!(appended, "2\n");

    let search = async |criteria: &[&str]| ada.run("search", "INBOX", criteria).await;
    assert_eq!(search(&[]).await, "1\n2\n");
    assert_eq!(search(&["unseen"]).await, "2\n");
    assert_eq!(
        search(&["keyword:$Junk", "or", "subject:two"]).await,
        "1\n2\n"
    );
    assert_eq!(search(&["not", "subject:two"]).await, "1\n");

    let sent = |text: &str| text.replace('\n', "\r\n");
    assert_eq!(ada.run("fetch", "", &["2"]).await, sent(&two));
    assert_eq!(
        ada.run("fetch", "", &["1", "--part", "2"]).await,
        "<p>hello"
    );
    let header = ada.run("fetch", "", &["1", "--header"]).await;
    assert!(header.ends_with("boundary=q\r\n\r\n"), "{header}");
    let folder = ada.path("mail");
    let directory = folder.to_str().expect("text");
    assert_eq!(ada.run("fetch", "", &["1:*", "-d", directory]).await, "");
    let mut names: Vec<_> = std::fs::read_dir(&folder).expect("it is there").collect();
    assert_eq!(names.len(), 2, "{names:?}");
    names.clear();
    for (name, text) in [("1.eml", &one), ("2.eml", &two)] {
        let came = std::fs::read_to_string(folder.join(name)).expect(name);
        assert_eq!(came, sent(text));
    }
    // To look does not mark as read.
    assert_eq!(search(&["unseen"]).await, "2\n");
}

#[tokio::test]
async fn what_happens_in_a_mailbox_is_told() {
    let ada = Mailboxes::start().await;
    output(ada.command("append", "", &[]), message("one").as_bytes()).await;
    let mut command = ada.command("watch", "", &["-v", "-C", "4"]);
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    command.stderr(Stdio::piped()).kill_on_drop(true);
    let mut watching = command.spawn().expect("the binary runs");
    let mut said = BufReader::new(watching.stderr.take().expect("piped")).lines();
    let mut happened = BufReader::new(watching.stdout.take().expect("piped")).lines();
    let says = async {
        while let Some(line) = said.next_line().await.expect("text") {
            if line == "jackfield: 1 messages are there" {
                return;
            }
        }
        panic!("it has ended");
    };
    timeout(PATIENCE, says).await.expect("in time");
    let mut tells = async || {
        let line = timeout(PATIENCE, happened.next_line()).await;
        line.expect("in time").expect("text").expect("a line")
    };

    output(ada.command("append", "", &[]), message("two").as_bytes()).await;
    assert_eq!(tells().await, "new 2");
    // A client that changes something.
    let client = ada.client();
    client.select(MailboxName::inbox()).await.expect("open");
    let first = Messages::Uids(SequenceSet::of([1]).expect("a set"));
    let seen = FlagChange::Add(vec![Flag::Seen]);
    client.store(first.clone(), seen).await.expect("done");
    let told = tells().await;
    assert!(
        told.starts_with("flags 1 ") && told.contains("\\Seen"),
        "{told}"
    );
    let deleted = FlagChange::Replace(vec![Flag::Deleted]);
    client.store(first, deleted).await.expect("done");
    let told = tells().await;
    assert!(
        told.starts_with("flags 1 ") && told.contains("\\Deleted"),
        "{told}"
    );
    client.expunge().await.expect("done");
    assert_eq!(tells().await, "gone 1");
    let status = timeout(PATIENCE, watching.wait()).await.expect("in time");
    assert!(status.expect("an end").success());
    client.close().await;
}

#[tokio::test]
async fn mailboxes_are_reached_through_a_relay() {
    let ada = Mailboxes::start().await;
    let secret = "a-token-of-these-tests";
    let credential = Credential::Secret(Secret::new(secret).expect("a secret"));
    let mut token = Token::new("test", credential);
    let rules = ["127.0.0.0/8:1024-65535"];
    token.policy.allow = rules.map(|rule| rule.parse().expect("a rule")).into();
    let mut config = Config::default();
    config.listen = vec![SocketAddr::from(([127, 0, 0, 1], 0))];
    config.allow_without_origin = true;
    config.tokens = vec![token];
    let relay = Relayd::bind(config).await.expect("a port");
    let url = format!("ws://{}", relay.local_addrs()[0]);
    tokio::spawn(relay.run(std::future::pending()));
    let through = |verb: &str, args: &[&str]| {
        let mut command = ada.command(verb, "", &[args, &["--relay", &url]].concat());
        command.env("JACKFIELD_TOKEN", secret);
        command
    };
    let one = message("one");
    assert_eq!(output(through("append", &[]), one.as_bytes()).await, "1\n");
    let fetched = output(through("fetch", &["1"]), b"").await;
    assert_eq!(fetched, one.replace('\n', "\r\n"));
}

/// The names of the files in a Maildir, from their UIDs on.
fn names(folder: &Path) -> Vec<String> {
    let mut names = Vec::new();
    for part in ["new", "cur", "tmp"] {
        for entry in std::fs::read_dir(folder.join(part)).expect(part) {
            let name = entry.expect("a file").file_name();
            let name = name.into_string().expect("text");
            let (_, rest) = name.split_once('.').expect("a validity");
            names.push(format!("{part}/{rest}"));
        }
    }
    names.sort();
    names
}

#[tokio::test]
async fn a_maildir_follows_its_mailbox() {
    let ada = Mailboxes::start().await;
    for subject in ["one", "two", "three"] {
        output(
            ada.command("append", "Sent", &[]),
            message(subject).as_bytes(),
        )
        .await;
    }
    let copy = ada.path("copy");
    let path = copy.to_str().expect("text").to_owned();
    let sync = async || {
        let done = end(ada.command("sync", "Sent", &[&path, "-v"]), b"").await;
        assert!(done.status.success(), "{done:?}");
        let said = String::from_utf8(done.stderr).expect("text");
        said.lines().last().expect("it tells").to_owned()
    };
    assert_eq!(sync().await, "jackfield: 3 new, 0 with other flags, 0 gone");
    let new = ["new/1.jackfield", "new/2.jackfield", "new/3.jackfield"];
    assert_eq!(names(&copy), new);
    let first = std::fs::read_dir(copy.join("new")).expect("files");
    let mut texts: Vec<String> = first
        .map(|it| std::fs::read_to_string(it.expect("a file").path()).expect("text"))
        .collect();
    texts.sort();
    let mut sent = ["one", "two", "three"].map(message);
    sent.sort();
    assert_eq!(texts, sent);
    assert_eq!(sync().await, "jackfield: 0 new, 0 with other flags, 0 gone");

    let client = ada.client();
    let name: MailboxName = "Sent".parse().expect("a name");
    client.select(name.clone()).await.expect("open");
    let one = |uid| Messages::Uids(SequenceSet::of([uid]).expect("a set"));
    let seen = FlagChange::Add(vec![Flag::Seen, Flag::Flagged]);
    client.store(one(1), seen).await.expect("done");
    let deleted = FlagChange::Add(vec![Flag::Deleted]);
    client.store(one(2), deleted).await.expect("done");
    client.expunge().await.expect("done");
    output(
        ada.command("append", "Sent", &[]),
        message("four").as_bytes(),
    )
    .await;
    std::fs::write(copy.join("cur").join("0.stranger"), "").expect("written");
    assert_eq!(sync().await, "jackfield: 1 new, 1 with other flags, 1 gone");
    let now = [
        "cur/1.jackfield:2,FS",
        "cur/stranger",
        "new/3.jackfield",
        "new/4.jackfield",
    ];
    assert_eq!(names(&copy), now);

    // It is the copy of this mailbox, and of no other.
    let other = end(ada.command("sync", "", &[&path]), b"").await;
    assert_eq!(other.status.code(), Some(2), "{other:?}");
    assert_eq!(names(&copy), now);

    // The same name, and all UIDs are others.
    client.select(MailboxName::inbox()).await.expect("open");
    client.delete(name.clone()).await.expect("done");
    client.create(name).await.expect("done");
    client.close().await;
    output(
        ada.command("append", "Sent", &[]),
        message("five").as_bytes(),
    )
    .await;
    assert_eq!(sync().await, "jackfield: 1 new, 0 with other flags, 3 gone");
    assert_eq!(names(&copy), ["cur/stranger", "new/1.jackfield"]);
}

/// `jackfield smtp VERB ADDRESS ARGS`.
async fn smtp(verb: &str, address: &str, args: &[&str]) -> Command {
    let mut command = Command::new(jackfield().await.expect("the binary"));
    command.args(["smtp", verb, address]).args(args);
    command
}

#[tokio::test]
async fn mail_is_sent_through_aiosmtpd() {
    let authority = Authority::new();
    let server = Aiosmtpd::start(&authority.server(&NAMES)).await;
    let server = server.expect("the server");
    let folder = tempfile::tempdir().expect("a folder");
    let ca = folder.path().join("ca.pem");
    std::fs::write(&ca, authority.pem()).expect("written");
    let trust = ["--ca", ca.to_str().expect("text")];
    let smtps = format!("smtps://ada@localhost:{}", server.tls().port());
    let smtp_tls = format!("smtp://ada@localhost:{}", server.plain().port());

    for address in [&smtps, &smtp_tls] {
        let mut verify = smtp("verify", address, &trust).await;
        verify.env("JACKFIELD_PASSWORD", "correct horse");
        let told = output(verify, b"").await;
        assert!(told.contains("can\tSIZE 1000000\n"), "{told}");
        assert!(!told.contains("login\tnone"), "{told}");
    }
    let mut wrong = smtp("verify", &smtps, &trust).await;
    wrong.env("JACKFIELD_PASSWORD", "wrong");
    let wrong = end(wrong, b"").await;
    let errors = String::from_utf8_lossy(&wrong.stderr);
    assert_eq!(wrong.status.code(), Some(6), "{errors}");
    assert!(
        errors.starts_with("jackfield: logging in to localhost:"),
        "{errors}"
    );
    let mut strange = smtp(
        "verify",
        &smtps,
        &["--pin", &format!("certificate:{}", "00".repeat(32))],
    )
    .await;
    strange.env("JACKFIELD_PASSWORD", "correct horse");
    let strange = end(strange, b"").await;
    let errors = String::from_utf8_lossy(&strange.stderr);
    assert_eq!(strange.status.code(), Some(5), "{errors}");
    assert!(
        errors.starts_with("jackfield: securing the stream to localhost:"),
        "{errors}"
    );

    // A file that is larger than what is read at once, and a message that is made.
    let big = format!("{}{}", message("big"), ".dots\n".repeat(50_000));
    let file = folder.path().join("big.eml");
    std::fs::write(&file, &big).expect("written");
    let file = file.to_str().expect("text");
    let to = ["--to", "grace@example.com", "--to", "nobody@example.com"];
    let mut send = smtp("send", &smtps, &[&trust[..], &[file], &to].concat()).await;
    send.env("JACKFIELD_PASSWORD", "correct horse");
    let sent = end(send, b"").await;
    assert_eq!(sent.status.code(), Some(8), "{sent:?}");
    let told = String::from_utf8_lossy(&sent.stdout);
    let told: Vec<&str> = told.lines().collect();
    assert!(
        told[0].starts_with("grace@example.com\taccepted\t250"),
        "{told:?}"
    );
    assert!(
        told[1].starts_with("nobody@example.com\trefused\t5"),
        "{told:?}"
    );
    let made = ["--from", "ada@example.org", "--to", "grace@example.com"];
    let made = [&trust[..], &made, &["--subject", "grüße", "--attach", file]].concat();
    let mut send = smtp("send", &smtp_tls, &made).await;
    send.env("JACKFIELD_PASSWORD", "correct horse");
    output(send, b"hello\n").await;
    let messages = server.messages(2).await.expect("both");
    let came: Vec<String> = messages
        .iter()
        .map(|it| String::from_utf8_lossy(it).replace("\r\n", "\n"))
        .collect();
    assert!(
        came.iter().any(|it| it.ends_with(&big)),
        "the file is another"
    );
    assert!(
        came.iter()
            .any(|it| it.contains("filename=\"big.eml\"") || it.contains("filename=big.eml")),
        "no attachment"
    );
}

#[tokio::test]
async fn mail_is_sent_through_postfix() {
    if unpacked::is_skipped(postfix::NAME) {
        return;
    }
    let authority = Authority::new();
    let server = Postfix::start(&authority.server(&NAMES)).await;
    let server = server.expect("the server");
    let address = format!("smtp://localhost:{}", server.plain().port());
    let ca = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(ca.path(), authority.pem()).expect("written");
    let trust = ["--ca", ca.path().to_str().expect("text")];
    let told = output(smtp("verify", &address, &trust).await, b"").await;
    assert!(
        told.contains("login\tnone\n") && told.contains("can\tPIPELINING\n"),
        "{told}"
    );

    let mail = "From: ada@example.org\nTo: grace@example.com\nBcc: alan@example.com\n\
                Subject: both\n\nhello\n";
    let told = output(smtp("send", &address, &trust).await, mail.as_bytes()).await;
    assert_eq!(
        told.matches("\taccepted\t250 2.0.0 Ok: ").count(),
        2,
        "{told}"
    );
    for user in ["grace", "alan"] {
        let came = server.messages(user, 1).await.expect("it arrives");
        let came = String::from_utf8_lossy(&came[0]);
        assert!(
            came.contains("Subject: both") && !came.contains("Bcc"),
            "{came}"
        );
    }
    // It passes nothing on.
    let relayed = ["--to", "eve@example.net"];
    let send = smtp("send", &address, &[&trust[..], &relayed].concat()).await;
    let refused = end(send, mail.as_bytes()).await;
    assert_eq!(refused.status.code(), Some(6), "{refused:?}");
    let told = String::from_utf8_lossy(&refused.stdout);
    assert!(
        told.starts_with("eve@example.net\trefused\t554 5.7.1"),
        "{told}"
    );

    let sink = Sink::lmtp().await.expect("the server");
    let at = sink.plain();
    let send = smtp("send", &format!("lmtp://{at}"), &[]).await;
    let told = output(send, mail.as_bytes()).await;
    assert_eq!(told.matches("\taccepted\t").count(), 2, "{told}");
}

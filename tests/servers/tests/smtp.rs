//! The SMTP client, natively, against servers that others wrote.

use jackfield_native::Native;
use jackfield_sasl::Credentials;
use jackfield_server_tests::smtp::{User, config, envelope, lmtp, message, parts, play};
use jackfield_server_tests::{NAMES, connector, trusting};
use jackfield_smtp::client::Envelope;
use jackfield_smtp::codec::{Notify, Return};
use jackfield_smtp::core::{Chunking, Config, Security};
use jackfield_smtp::{LoginError, RequestError, SessionError, starttls};
use jackfield_socket::{Endpoint, HostName};
use jackfield_testing::aiosmtpd::Aiosmtpd;
use jackfield_testing::certs::Authority;
use jackfield_testing::postfix::{self, Postfix};
use jackfield_testing::sink::Sink;
use jackfield_testing::unpacked;
use jackfield_tls::{StartTls, TlsConfig};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

fn at(address: std::net::SocketAddr) -> Endpoint {
    let name: HostName = "localhost".parse().expect("a name");
    Endpoint::new(name, address.port())
}

fn login(password: &str, security: Security) -> Config {
    let mut config = config();
    config.credentials = Some(Credentials::password("ada", password).expect("valid"));
    config.security = security;
    config
}

#[tokio::test]
async fn all_arrives_at_postfix() {
    if unpacked::is_skipped(postfix::NAME) {
        return;
    }
    let authority = Authority::new();
    let server = Postfix::start(&authority.server(&NAMES)).await;
    let server = server.expect("the server");
    let to = Endpoint::from(server.plain());
    let mut expected = Vec::new();
    // Counted and with dots, ahead and one by one; the same must arrive.
    for (chunking, depth) in [
        (Chunking::WhereOffered, 8),
        (Chunking::Never, 8),
        (Chunking::Never, 1),
    ] {
        let mut config = config();
        config.chunking = chunking;
        config.pipeline_depth = depth;
        let user = User::new(Native, &to, config);
        expected.extend(play(&user).await);
        user.close().await;
    }
    let messages = server.messages("grace", expected.len()).await;
    let mut came: Vec<_> = messages.expect("all").iter().map(|it| parts(it)).collect();
    came.sort();
    expected.sort();
    assert_eq!(came.len(), expected.len());
    for (came, expected) in came.iter().zip(&expected) {
        assert_eq!(came, expected);
    }
}

#[tokio::test]
async fn all_arrives_at_aiosmtpd_over_tls() {
    let authority = Authority::new();
    let server = Aiosmtpd::start(&authority.server(&NAMES)).await;
    let server = server.expect("the server");
    let network = trusting(&authority);
    let config = login("correct horse", Security::Tls);
    let user = User::new(network, &at(server.tls()), config);
    let mut expected: Vec<_> = play(&user).await.into_iter().collect();
    user.close().await;
    let messages = server.messages(expected.len()).await.expect("all");
    let mut came: Vec<_> = messages.iter().map(|it| parts(it)).collect();
    came.sort();
    expected.sort();
    assert!(came == expected, "{} of {}", came.len(), expected.len());
}

#[tokio::test]
async fn who_logs_in_after_starttls_is_let_in_or_not() {
    let authority = Authority::new();
    let server = Aiosmtpd::start(&authority.server(&NAMES)).await;
    let server = server.expect("the server");
    for (password, is_right) in [("correct horse", true), ("wrong horse", false)] {
        let connector = connector(TlsConfig::new(), &authority);
        let network = StartTls::new(Native, connector, starttls::opening());
        let config = login(password, Security::StartTls);
        let user = User::new(network, &at(server.plain()), config);
        let to = envelope(&["grace@example.com"]);
        let sent = user.client.send(to, message("hello", "Hi.\n")).await;
        match sent {
            Ok(_) => assert!(is_right),
            Err(RequestError::NotConnected(error)) => {
                assert!(!is_right, "{error}");
                let told = format!("{error:?} {error}");
                assert!(!told.contains("horse"), "{told}");
                let jackfield_client::ConnectionError::Session(SessionError::Login(
                    LoginError::Refused(reply),
                )) = *error
                else {
                    panic!("{told}");
                };
                assert_eq!(reply.code(), 535);
            }
            Err(error) => panic!("{error}"),
        }
    }
}

#[tokio::test]
async fn postfix_speaks_tls_when_asked() {
    if unpacked::is_skipped(postfix::NAME) {
        return;
    }
    let authority = Authority::new();
    let server = Postfix::start(&authority.server(&NAMES)).await;
    let server = server.expect("the server");
    let connector = connector(TlsConfig::new(), &authority);
    let network = StartTls::new(Native, connector, starttls::opening());
    let mut config = config();
    config.security = Security::StartTls;
    let user = User::new(network, &at(server.plain()), config);
    // With parameters that it takes, and one that it has not.
    let mut to = envelope(&["grace@example.com"]);
    to.parameters.ret = Some(Return::Headers);
    to.parameters.envelope_id = Some("a+b=c".parse().expect("a name"));
    to.parameters.smtp_utf8 = true;
    to.recipients[0].parameters.notify = Some(Notify::NEVER);
    let sent = user.client.send(to, message("grüße", "Hi.\n")).await;
    sent.expect("taken");
    let mut to = envelope(&["grace@example.com"]);
    to.parameters.require_tls = true;
    let sent = user.client.send(to, message("never", "Hi.\n")).await;
    assert!(
        matches!(sent, Err(RequestError::Unsupported("REQUIRETLS"))),
        "{sent:?}"
    );
    user.close().await;
    let messages = server.messages("grace", 1).await.expect("one");
    assert_eq!(
        parts(&messages[0]),
        ("grüße".to_owned(), "Hi.\n".to_owned())
    );
}

/// What Postfix 3.7 takes for the end of a message, though it is none.
const ENDS: [&str; 4] = ["\n.\n", "\n.\r\n", "\r\n.\n", "\n\n.\r\n"];

fn smuggling(end: &str) -> String {
    let inner = "MAIL FROM:<eve@example.org>\r\nRCPT TO:<grace@example.com>\r\nDATA\r\n\
                 Subject: smuggled\r\nMessage-ID: <2@example.org>\r\n\r\nsmuggled\r\n";
    let outer = message("outer", "before").replace('\n', "\r\n");
    format!("{outer}{end}{inner}")
}

/// The control: sent as it is, each of these is two messages. If it were not, the test below would
/// prove nothing.
#[tokio::test]
async fn postfix_makes_two_messages_of_what_is_sent_raw() {
    if unpacked::is_skipped(postfix::NAME) {
        return;
    }
    let authority = Authority::new();
    let server = Postfix::start(&authority.server(&NAMES)).await;
    let server = server.expect("the server");
    for (number, end) in ENDS.iter().enumerate() {
        let stream = TcpStream::connect(server.plain())
            .await
            .expect("a connection");
        let mut stream = BufReader::new(stream);
        for (say, replies) in [
            ("", 1),
            ("HELO client.jackfield.test\r\n", 1),
            ("MAIL FROM:<ada@example.org>\r\n", 1),
            ("RCPT TO:<grace@example.com>\r\n", 1),
            ("DATA\r\n", 1),
            (&*format!("{}.\r\n", smuggling(end)), 5),
        ] {
            stream.write_all(say.as_bytes()).await.expect("sent");
            for _ in 0..replies {
                let mut reply = String::new();
                stream.read_line(&mut reply).await.expect("a reply");
                assert!(matches!(&reply[..1], "2" | "3"), "{end:?}: {reply}");
            }
        }
        let messages = server.messages("grace", 2 * (number + 1)).await;
        let messages = messages.expect("two each");
        assert_eq!(messages.len(), 2 * (number + 1), "{end:?}");
    }
}

#[tokio::test]
async fn through_the_client_each_stays_one() {
    if unpacked::is_skipped(postfix::NAME) {
        return;
    }
    let authority = Authority::new();
    let server = Postfix::start(&authority.server(&NAMES)).await;
    let server = server.expect("the server");
    let mut expected = Vec::new();
    for chunking in [Chunking::Never, Chunking::WhereOffered] {
        let mut config = config();
        config.chunking = chunking;
        let user = User::new(Native, &Endpoint::from(server.plain()), config);
        for end in ENDS {
            let content = smuggling(end);
            // Read from somewhere, and from memory.
            let to = || envelope(&["grace@example.com"]);
            let read = user.client.send_from(to(), content.as_bytes(), None).await;
            read.expect("taken");
            user.client
                .send(to(), content.clone())
                .await
                .expect("taken");
            let lines = content.replace("\r\n", "\n");
            let (_, text) = lines.split_once("\n\n").expect("an empty line");
            let text = text.to_owned();
            expected.extend([
                ("outer".to_owned(), text.clone()),
                ("outer".to_owned(), text),
            ]);
        }
        user.close().await;
    }
    let messages = server.messages("grace", expected.len()).await;
    let messages = messages.expect("all");
    let mut came: Vec<_> = messages.iter().map(|it| parts(it)).collect();
    came.sort();
    expected.sort();
    assert_eq!(came, expected);
}

#[tokio::test]
async fn lmtp_answers_for_each() {
    if unpacked::is_skipped(postfix::NAME) {
        return;
    }
    let sink = Sink::lmtp().await.expect("the server");
    let user = User::new(Native, &Endpoint::from(sink.plain()), lmtp());
    let to = ["one@example.com", "two@example.com", "three@example.com"];
    for number in 0..20 {
        let sent = user
            .client
            .send(envelope(&to), message(&format!("{number}"), "Hi.\n"))
            .await;
        assert_eq!(sent.expect("taken").accepted().count(), 3);
    }
    let nobody = Envelope::new("".parse().expect("the null path"), []);
    let sent = user.client.send(nobody, "Hi.").await;
    assert!(matches!(sent, Err(RequestError::NoRecipients)), "{sent:?}");
    user.close().await;
}

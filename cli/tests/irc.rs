//! `jackfield irc` on the embedded server: people meet, log in, and are refused.

mod common;

use std::net::SocketAddr;

use common::{command, listener, run, start};
use jackfield_irc::server::{ServerConfig, serve};
use jackfield_socket::TcpListener as _;
use jackfield_testing::certs::Authority;
use jackfield_tls::{Certificates, Identity, TlsAcceptor, TlsListener, TlsServerConfig};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// A server with TLS, and the file with the root that vouches for it.
async fn secured(config: ServerConfig) -> (SocketAddr, TempDir, String) {
    let (listener, at) = listener().await;
    let authority = Authority::new();
    let certificate = authority.server(&["127.0.0.1"]);
    let chain = certificate.pem().as_bytes();
    let identity = Identity::from_pem(chain, certificate.key_pem().as_bytes()).expect("a pair");
    let acceptor = TlsAcceptor::new(TlsServerConfig::new(identity)).expect("an acceptor");
    tokio::spawn(serve(TlsListener::new(listener, acceptor), config));
    let directory = tempfile::tempdir().expect("a directory");
    let ca = directory.path().join("ca.pem");
    std::fs::write(&ca, authority.pem()).expect("written");
    let ca = ca.to_str().expect("text").to_owned();
    (at, directory, ca)
}

/// Nobody here sends more than five lines: what goes beyond is sent at the pace that servers ask
/// for, one in 2 s, and these tests have no time for that.
#[tokio::test]
async fn three_people_talk() {
    let (listener, at) = listener().await;
    tokio::spawn(serve(listener, ServerConfig::new()));
    let port = at.port().to_string();
    let enter = |nick| {
        let args = ["irc", "--plain", "--nick", nick, "--join", "#here"];
        start(command(&[&args[..], &["127.0.0.1", &port]].concat()))
    };

    let mut ada = enter("ada");
    ada.prints("[#here] -> ada").await;
    let mut bob = enter("bob");
    bob.prints("[#here] -> bob").await;
    ada.prints("[#here] -> bob").await;
    bob.give(b"  hello \x1b[31mada\n/me waves\n/msg ada psst\n/names\n")
        .await;
    for line in [
        r"[#here] <bob>   hello \u{1b}[31mada",
        "[#here] * bob waves",
        "[bob] <bob> psst",
    ] {
        ada.prints(line).await;
    }
    bob.prints("[#here] -- @ada bob").await;
    for (typed, printed) in [
        ("/topic tea\n", "[#here] -- topic: tea"),
        ("/away gone for tea\n", "-- away: gone for tea"),
        ("/away\n", "-- no longer away"),
        ("/whois bob\n", "-- bob is ~bob@127.0.0.1"),
    ] {
        ada.give(typed.as_bytes()).await;
        ada.prints(printed).await;
    }
    bob.prints("[#here] -- topic: tea").await;

    let mut eve = enter("eve");
    for (typed, printed) in [
        ("/nick adam\n", "-- eve is now adam"),
        ("/nick not a nick\n", "! a nickname can't contain ' '"),
        ("/msg ada\n", "! nothing to send"),
        ("/quitter\n", "/join #channel"),
        ("/join #there\n", "[#there] -> adam"),
        // The other channel, and not the one that is typed into.
        ("/part #here too loud\n", "[#here] <- adam (too loud)"),
        ("/part good night\n", "[#there] <- adam (good night)"),
        ("anyone?\n", "! no channel here"),
        ("/part\n", "! no channel here"),
    ] {
        eve.give(typed.as_bytes()).await;
        eve.prints(printed).await;
    }
    ada.prints("[#here] <- adam (too loud)").await;
    let outcome = eve.finish(b"/quit bye\n").await;
    assert_eq!(outcome.code, Some(0), "{}", outcome.errors);
    for person in [ada, bob] {
        let outcome = person.finish(b"").await;
        assert_eq!(outcome.code, Some(0), "{}", outcome.errors);
    }
}

#[tokio::test]
async fn logging_in() {
    let mut config = ServerConfig::new();
    config.add_account("countess", "correct horse");
    let (at, _directory, ca) = secured(config).await;
    let port = at.port().to_string();
    let args = ["irc", "--nick", "ada", "--account", "countess", "--ca", &ca];
    let args = [&args[..], &["127.0.0.1", &port]].concat();
    let with = |password| {
        let mut command = command(&args);
        command.env("JACKFIELD_PASSWORD", password);
        start(command)
    };

    let mut ada = with("correct horse");
    ada.prints("-- on Jackfield as ada").await;
    ada.give(b"/whois ada\n").await;
    ada.prints("-- ada is ~ada@127.0.0.1 (ada), logged in as countess")
        .await;
    let outcome = ada.finish(b"/quit\n").await;
    assert_eq!(outcome.code, Some(0), "{}", outcome.errors);

    let outcome = with("wrong donkey").finish(b"").await;
    assert_eq!(outcome.code, Some(6), "{}", outcome.errors);
    let expected = format!("jackfield: talking to {at}: ");
    assert!(outcome.errors.starts_with(&expected), "{}", outcome.errors);
    assert!(!outcome.errors.contains("donkey"), "{}", outcome.errors);
}

#[tokio::test]
async fn a_server_that_is_not_there_is_not_waited_for() {
    let (listener, at) = listener().await;
    drop(listener);
    let port = at.port().to_string();
    let args = ["irc", "--plain", "--nick", "ada", "127.0.0.1", &port];
    let outcome = run(&args, b"").await;
    assert_eq!(outcome.code, Some(4), "{}", outcome.errors);
    let expected = format!("jackfield: connecting to {at}: ");
    assert!(outcome.errors.starts_with(&expected), "{}", outcome.errors);
}

#[tokio::test]
async fn a_wrong_certificate_is_refused() {
    let (at, directory, _) = secured(ServerConfig::new()).await;
    let ca = directory.path().join("another.pem");
    std::fs::write(&ca, Authority::new().pem()).expect("written");
    let (ca, port) = (ca.to_str().expect("text"), at.port().to_string());
    let args = ["irc", "--nick", "ada", "--ca", ca, "127.0.0.1", &port];
    let outcome = run(&args, b"").await;
    assert_eq!(outcome.code, Some(5), "{}", outcome.errors);
    assert!(outcome.errors.contains("certificate"), "{}", outcome.errors);
}

/// The next line that a client says, without its end.
async fn line(stream: &mut (impl AsyncReadExt + Unpin)) -> String {
    let mut line = Vec::new();
    while !line.ends_with(b"\r\n") {
        line.push(stream.read_u8().await.expect("more"));
    }
    String::from_utf8_lossy(&line).trim_end().to_owned()
}

#[tokio::test]
async fn a_servers_password_and_who_one_is() {
    let (mut listener, at) = listener().await;
    let port = at.port().to_string();
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("password");
    std::fs::write(&file, "from the file\n").expect("written");
    let args = ["irc", "--plain", "--nick", "ada", "127.0.0.1", &port];
    let who = ["--user", "countess", "--real-name", "Ada Lovelace"];
    let from_file = ["--server-password-file", file.to_str().expect("text")];
    for (more, password) in [(&who[..], "from here"), (&from_file, "from the file")] {
        let mut command = command(&[&args[..], more].concat());
        command.env("JACKFIELD_SERVER_PASSWORD", "from here");
        let running = start(command);
        let mut stream = listener.accept().await.expect("a client");
        let mut said = Vec::new();
        while !said
            .last()
            .is_some_and(|last: &String| last.starts_with("USER "))
        {
            said.push(line(&mut stream).await);
        }
        assert!(said.contains(&format!("PASS :{password}")), "{said:?}");
        let user = said.last().expect("USER");
        if more == who {
            assert_eq!(user, "USER countess 0 * :Ada Lovelace");
        }
        let refusal = ":x 464 ada :Password incorrect\r\nERROR :Closing Link\r\n";
        stream.write_all(refusal.as_bytes()).await.expect("written");
        let outcome = running.end().await;
        assert_eq!(outcome.code, Some(6), "{}", outcome.errors);
        let told = "the password was refused: Password incorrect";
        assert!(outcome.errors.contains(told), "{}", outcome.errors);
    }
}

#[tokio::test]
async fn logging_in_with_a_certificate() {
    let (listener, at) = listener().await;
    let (server, client) = (Authority::new(), Authority::new());
    let (ours, theirs) = (client.client("ada"), server.server(&["127.0.0.1"]));
    let chain = theirs.pem().as_bytes();
    let identity = Identity::from_pem(chain, theirs.key_pem().as_bytes()).expect("a pair");
    let roots = Certificates::from_pem(client.pem().as_bytes()).expect("roots");
    let config = TlsServerConfig::new(identity).with_client_roots(roots);
    let acceptor = TlsAcceptor::new(config).expect("an acceptor");
    let directory = tempfile::tempdir().expect("a directory");
    let file = |name: &str, content: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, content).expect("written");
        path.to_str().expect("text").to_owned()
    };
    let (ca, cert) = (file("ca", server.pem()), file("cert", ours.pem()));
    let (key, port) = (file("key", ours.key_pem()), at.port().to_string());
    let args = ["irc", "--nick", "ada", "--ca", &ca, "--cert", &cert];
    let args = [
        &args[..],
        &["--key", &key, "--external", "127.0.0.1", &port],
    ]
    .concat();
    let mut running = start(command(&args));
    let mut listener = TlsListener::new(listener, acceptor);
    let mut stream = listener.accept().await.expect("a certificate");
    for (asked, answer) in [
        ("CAP LS", ":x CAP * LS :sasl=PLAIN,EXTERNAL\r\n"),
        ("CAP REQ", ":x CAP * ACK :sasl\r\n"),
        ("AUTHENTICATE EXTERNAL", "AUTHENTICATE +\r\n"),
        ("AUTHENTICATE ", ":x 903 ada :You are known\r\n"),
        ("CAP END", ":x 001 ada :Welcome\r\n:x 422 ada :No MOTD\r\n"),
    ] {
        while !line(&mut stream).await.starts_with(asked) {}
        stream.write_all(answer.as_bytes()).await.expect("written");
    }
    running.prints("-- on the network as ada").await;
}

/// A connection that was lost is made again; but not where the server does not want it.
#[tokio::test]
async fn a_server_that_refuses_later_is_not_tried_again() {
    let (mut listener, at) = listener().await;
    let port = at.port().to_string();
    let args = ["irc", "--plain", "--nick", "ada", "127.0.0.1", &port];
    let mut running = start(command(&args));
    let mut stream = listener.accept().await.expect("a client");
    while !line(&mut stream).await.starts_with("USER ") {}
    let welcome = ":x 001 ada :Welcome\r\n:x 422 ada :No MOTD\r\n";
    stream.write_all(welcome.as_bytes()).await.expect("written");
    running.prints("-- on the network as ada").await;
    let killed = "ERROR :Killed\r\n";
    stream.write_all(killed.as_bytes()).await.expect("written");
    let lost = "! closed by the server: Killed; trying again";
    running.prints(lost).await;
    let mut stream = listener.accept().await.expect("a client");
    while !line(&mut stream).await.starts_with("USER ") {}
    let banned = ":x 465 ada :You are banned\r\nERROR :Closing Link\r\n";
    stream.write_all(banned.as_bytes()).await.expect("written");
    let outcome = running.end().await;
    assert_eq!(outcome.code, Some(6), "{}", outcome.errors);
    let expected = format!("jackfield: talking to {at}: banned from this server: You are banned");
    assert!(outcome.errors.starts_with(&expected), "{}", outcome.errors);
}

#[tokio::test]
async fn a_server_that_closes_at_once_is_told() {
    for (answer, code) in [("ERROR :Full\r\n", 7), (":x 001", 7), ("", 7)] {
        let (mut listener, at) = listener().await;
        let port = at.port().to_string();
        let args = ["irc", "--plain", "--nick", "ada", "127.0.0.1", &port];
        let running = start(command(&args));
        let mut stream = listener.accept().await.expect("a client");
        while !line(&mut stream).await.starts_with("USER ") {}
        stream.write_all(answer.as_bytes()).await.expect("written");
        stream.shutdown().await.expect("ended");
        let outcome = running.end().await;
        assert_eq!(outcome.code, Some(code), "{answer}: {}", outcome.errors);
    }
}

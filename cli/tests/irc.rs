//! `jackfield irc` on the embedded server: two people meet.

mod common;

use common::{command, listener, run, start};
use jackfield_irc::server::{ServerConfig, serve};
use jackfield_testing::certs::Authority;
use jackfield_tls::{Identity, TlsAcceptor, TlsListener, TlsServerConfig};

#[tokio::test]
async fn two_people_talk() {
    let (listener, at) = listener().await;
    tokio::spawn(serve(listener, ServerConfig::new()));
    let port = at.port().to_string();
    let args = |nick| {
        [
            "irc",
            "--plain",
            "--nick",
            nick,
            "--join",
            "#here",
            "127.0.0.1",
            &port,
        ]
    };

    let mut ada = start(command(&args("ada")));
    ada.prints("[#here] -> ada").await;
    let mut bob = start(command(&args("bob")));
    bob.prints("[#here] -> bob").await;
    ada.prints("[#here] -> bob").await;
    bob.give(b"hello \x1b[31mada\n/me waves\n/msg ada psst\n/names\n")
        .await;
    for line in [
        "[#here] <bob> hello [31mada",
        "[#here] * bob waves",
        "[bob] <bob> psst",
    ] {
        ada.prints(line).await;
    }
    bob.prints("[#here] -- @ada bob").await;
    ada.give(b"/topic tea\n").await;
    bob.prints("[#here] -- topic: tea").await;
    for (typed, printed) in [
        ("/whois ada\n", "-- ada is ~ada@127.0.0.1"),
        ("/nick bobby\n", "-- bob is now bobby"),
        ("/nick not a nick\n", "! a nickname can't contain ' '"),
        ("/part\n", "[#here] <- bobby"),
        ("anyone?\n", "! no channel here"),
    ] {
        bob.give(typed.as_bytes()).await;
        bob.prints(printed).await;
    }
    let outcome = bob.finish(b"/quit bye\n").await;
    assert_eq!(outcome.code, Some(0), "{}", outcome.errors);
    let outcome = ada.finish(b"").await;
    assert_eq!(outcome.code, Some(0), "{}", outcome.errors);
}

#[tokio::test]
async fn a_wrong_certificate_is_refused() {
    let (listener, at) = listener().await;
    let certificate = Authority::new().server(&["127.0.0.1"]);
    let chain = certificate.pem().as_bytes();
    let identity = Identity::from_pem(chain, certificate.key_pem().as_bytes()).expect("a pair");
    let acceptor = TlsAcceptor::new(TlsServerConfig::new(identity)).expect("an acceptor");
    tokio::spawn(serve(
        TlsListener::new(listener, acceptor),
        ServerConfig::new(),
    ));

    let directory = tempfile::tempdir().expect("a directory");
    let ca = directory.path().join("ca.pem");
    std::fs::write(&ca, Authority::new().pem()).expect("written");
    let (ca, port) = (ca.to_str().expect("text"), at.port().to_string());
    let args = ["irc", "--nick", "ada", "--ca", ca, "127.0.0.1", &port];
    let outcome = run(&args, b"").await;
    assert_eq!(outcome.code, Some(5), "{}", outcome.errors);
    assert!(outcome.errors.contains("certificate"), "{}", outcome.errors);
}

//! The client asks for quotas, rights and metadata.

mod common;

use common::{config, ready};
use jackfield_imap::RequestError;
use jackfield_imap::codec::{Data, Depth, MailboxName, Resource, Rights, RightsChange, SpecialUse};

#[tokio::test(start_paused = true)]
async fn quotas_rights_and_metadata_are_told() {
    let greeting = "* PREAUTH [CAPABILITY IMAP4rev1 QUOTA ACL METADATA] hello\r\n";
    let (world, mut server) = ready(config(), greeting).await;
    let inbox = MailboxName::inbox;

    let quotas = world.ask(move |client| async move { client.quotas(inbox()).await });
    server.hears("A1 GETQUOTAROOT INBOX").await;
    server
        .say("* QUOTAROOT INBOX a\r\n* QUOTA a (STORAGE 10 512)\r\nA1 OK done\r\n")
        .await;
    let quotas = quotas.await.expect("no panic").expect("some");
    let storage = quotas[0].of(&Resource::Storage).expect("limited");
    assert_eq!((storage.used, storage.limit), (10, 512));

    let rights = RightsChange::Remove(Rights::WRITE);
    let set =
        world.ask(move |client| async move { client.set_acl(inbox(), "grace", rights).await });
    server.hears("A2 SETACL INBOX grace -w").await;
    server.say("A2 OK done\r\n").await;
    assert_eq!(set.await.expect("no panic"), Ok(()));

    let rights = world.ask(move |client| async move { client.my_rights(inbox()).await });
    server.hears("A3 MYRIGHTS INBOX").await;
    server.say("* MYRIGHTS INBOX lrs\r\nA3 OK done\r\n").await;
    let rights = rights.await.expect("no panic").expect("some");
    assert!(rights.contains(Rights::READ) && !rights.contains(Rights::INSERT));

    let entry = "/private/comment".parse().expect("an entry");
    let told = world.ask(move |client| async move {
        client.metadata(Some(inbox()), [entry], Depth::Zero).await
    });
    server
        .hears("A4 GETMETADATA INBOX (/private/comment)")
        .await;
    server
        .say("* METADATA INBOX (/private/comment {3}\r\na b)\r\nA4 OK done\r\n")
        .await;
    let told = told.await.expect("no panic").expect("some");
    let value = told.entries[0].1.as_ref().and_then(Data::text);
    assert_eq!(*value.expect("a value"), "a b");
}

#[tokio::test(start_paused = true)]
async fn mailboxes_for_something_are_found_by_what_is_said_or_by_name() {
    let greeting = "* PREAUTH [CAPABILITY IMAP4rev1 LIST-EXTENDED SPECIAL-USE] hello\r\n";
    let (world, mut server) = ready(config(), greeting).await;
    let special = world.ask(|client| async move { client.special_mailboxes().await });
    server
        .hears("A1 LIST \"\" \"*\" RETURN (SPECIAL-USE)")
        .await;
    server
        .say("* LIST (\\sent) \"/\" x\r\n* LIST () \"/\" Entw&APw-rfe\r\nA1 OK done\r\n")
        .await;
    let special = special.await.expect("no panic").expect("some");
    let shown: Vec<_> = special
        .iter()
        .map(|it| (it.special_use, it.mailbox.name.to_string(), it.is_guess))
        .collect();
    let expected = [
        (SpecialUse::Sent, "x".to_owned(), false),
        (SpecialUse::Drafts, "Entwürfe".to_owned(), true),
    ];
    assert_eq!(shown, expected);
}

#[tokio::test(start_paused = true)]
async fn what_a_server_has_not_it_is_not_asked_for() {
    let (world, mut server) = ready(config(), common::PREAUTH).await;
    let client = &world.client;
    let quotas = client.quotas(MailboxName::inbox()).await;
    assert_eq!(quotas, Err(RequestError::Unsupported("QUOTA")));
    let rights = client.my_rights(MailboxName::inbox()).await;
    assert_eq!(rights, Err(RequestError::Unsupported("ACL")));
    let told = client.metadata(None, [], Depth::One).await;
    assert_eq!(told, Err(RequestError::Unsupported("METADATA")));
    let noop = world.ask(|client| async move { client.noop().await });
    server.hears("A1 NOOP").await;
    server.say("A1 OK done\r\n").await;
    assert_eq!(noop.await.expect("no panic"), Ok(()));
}

//! The client finds messages, and a server that can't is not asked.

mod common;

use common::{config, ready, selected};
use jackfield_imap::RequestError;
use jackfield_imap::codec::{
    InvalidValue, Item, ListQuery, MailboxName, Messages, Query, SearchReturn, Section,
    SequenceSet, SortBy, SortOrder, StatusItem, Threading, Window,
};

#[tokio::test(start_paused = true)]
async fn messages_are_sorted_paged_and_made_conversations() {
    let greeting =
        "* PREAUTH [CAPABILITY IMAP4rev1 SORT ESEARCH PARTIAL THREAD=REFERENCES] hello\r\n";
    let (world, mut server) = selected(config(), greeting).await;

    let newest = SortOrder::by(SortBy::Date).reversed();
    let sort = world.ask(|client| async move { client.sort(newest, Query::new()).await });
    server
        .hears("A2 UID SORT (REVERSE DATE) US-ASCII ALL")
        .await;
    server.say("* SORT 9 3 5\r\nA2 OK done\r\n").await;
    assert_eq!(sort.await.expect("no panic"), Ok(vec![9, 3, 5]));

    let window = Window::of(1, 2).expect("places").from_the_end();
    let returns = [SearchReturn::Partial(window), SearchReturn::Count];
    let page = world.ask(|client| async move { client.search_for(Query::new(), returns).await });
    server
        .hears("A3 UID SEARCH RETURN (PARTIAL -1:-2 COUNT) ALL")
        .await;
    server
        .say("* ESEARCH (TAG \"A3\") UID PARTIAL (-1:-2 17,30) COUNT 8\r\nA3 OK done\r\n")
        .await;
    let page = page.await.expect("no panic").expect("a page");
    assert_eq!(page.count, Some(8));
    let partial = page.partial.expect("a page");
    assert_eq!(partial.window, window);
    assert_eq!(partial.numbers.expect("some").to_string(), "17,30");

    let threads = world
        .ask(|client| async move { client.threads(Threading::References, Query::new()).await });
    server.hears("A4 UID THREAD REFERENCES US-ASCII ALL").await;
    server
        .say("* THREAD (2)(3 6 (4 23)(44 7 96))\r\nA4 OK done\r\n")
        .await;
    let threads = threads.await.expect("no panic").expect("conversations");
    assert_eq!(threads.len(), 2);
    assert_eq!(threads[1].messages(), [3, 6, 4, 23, 44, 7, 96]);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_too_large_is_not_taken_for_none() {
    let greeting = "* PREAUTH [CAPABILITY IMAP4rev1 THREAD=REFERENCES] hello\r\n";
    let (world, mut server) = selected(config(), greeting).await;
    let threads = world
        .ask(|client| async move { client.threads(Threading::References, Query::new()).await });
    server.hears("A2 UID THREAD REFERENCES US-ASCII ALL").await;
    let deep = format!("{}1{}", "(".repeat(100), ")".repeat(100));
    server
        .say(&format!("* THREAD {deep}\r\nA2 OK done\r\n"))
        .await;
    let threads = threads.await.expect("no panic");
    assert_eq!(threads, Err(RequestError::TooLarge));
}

#[tokio::test(start_paused = true)]
async fn what_a_server_has_not_it_is_not_asked_for() {
    let (world, mut server) = selected(config(), common::PREAUTH).await;
    let client = &world.client;
    let sorted = client.sort(SortBy::Date, Query::new()).await;
    assert_eq!(sorted, Err(RequestError::Unsupported("SORT")));
    let threads = client.threads(Threading::References, Query::new()).await;
    let unsupported = RequestError::Unsupported("THREAD=REFERENCES");
    assert_eq!(threads, Err(unsupported));
    for (what, name) in [
        (SearchReturn::Count, "ESEARCH"),
        (SearchReturn::Save, "SEARCHRES"),
        (
            SearchReturn::Partial(Window::of(1, 2).expect("places")),
            "PARTIAL",
        ),
    ] {
        let found = client.search_for(Query::new(), [what]).await;
        assert_eq!(found, Err(RequestError::Unsupported(name)));
    }
    let numbers = Messages::Numbers(SequenceSet::everything());
    let body = Item::Body {
        section: Section::all(),
        partial: None,
        is_binary: true,
        marks_seen: false,
    };
    for (item, name) in [
        (Item::ModSeq, "CONDSTORE"),
        (Item::EmailId, "OBJECTID"),
        (Item::Preview, "PREVIEW"),
        (Item::SaveDate, "SAVEDATE"),
        (Item::Gmail, "X-GM-EXT-1"),
        (body, "BINARY"),
    ] {
        let messages = client.fetch(numbers.clone(), [Item::Flags, item]).await;
        let messages = messages.expect("it runs").all().await;
        assert_eq!(messages, Err(RequestError::Unsupported(name)));
    }
    for (item, name) in [
        (StatusItem::Size, "STATUS=SIZE"),
        (StatusItem::HighestModSeq, "CONDSTORE"),
        (StatusItem::MailboxId, "OBJECTID"),
        (StatusItem::Deleted, "IMAP4REV2"),
    ] {
        let items = [StatusItem::Messages, item];
        let state = client.mailbox_status(MailboxName::inbox(), items).await;
        assert_eq!(state, Err(RequestError::Unsupported(name)));
    }
    for (query, name) in [
        (Query::new().changed_since(7), "CONDSTORE"),
        (
            Query::new().except(Query::new().gmail("in:all")),
            "X-GM-EXT-1",
        ),
    ] {
        let found = client.search(query).await;
        assert_eq!(found, Err(RequestError::Unsupported(name)));
    }
    // Nothing of it was sent.
    let noop = world.ask(|client| async move { client.noop().await });
    server.hears("A2 NOOP").await;
    server.say("A2 OK done\r\n").await;
    assert_eq!(noop.await.expect("no panic"), Ok(()));
}

#[tokio::test(start_paused = true)]
async fn a_search_among_many_becomes_several() {
    let mut config = config();
    config.max_set = 44;
    let (world, mut server) = selected(config, common::PREAUTH).await;
    let many = |text: &str| Messages::Uids(text.parse().expect("a set"));
    // It is not longer than it may be, or could not be shorter.
    for (tag, set) in [("A2", "1,3,5,7,9,11"), ("A3", "1111111111:2222222222")] {
        let query = Query::new().among(many(set));
        let found = world.ask(|client| async move { client.search(query).await });
        server.hears(&format!("{tag} UID SEARCH UID {set}")).await;
        server
            .say(&format!("* SEARCH 3\r\n{tag} OK done\r\n"))
            .await;
        assert_eq!(found.await.expect("no panic"), Ok(vec![3]));
    }
    let long = "100000001,100000003,100000005,100000007,9,9,9";
    let query = Query::new().unseen().among(many(&format!("{long},11")));
    let found = world.ask(|client| async move { client.search(query).await });
    for (tag, set, answer) in [
        ("A4", "100000001,100000003", "100000003 100000001"),
        ("A5", "100000005,100000007", ""),
        ("A6", "9,9", "9"),
        ("A7", "9,11", "9"),
    ] {
        server
            .hears(&format!("{tag} UID SEARCH UNSEEN UID {set}"))
            .await;
        server
            .say(&format!("* SEARCH {answer}\r\n{tag} OK done\r\n"))
            .await;
    }
    let found = found.await.expect("no panic");
    assert_eq!(found, Ok(vec![9, 100_000_001, 100_000_003]));

    // Where several would not find the same, none is sent.
    let long = format!("{long},11");
    let below = [
        Query::new().except(Query::new().among(many(&long))),
        Query::new().any([Query::new().flagged(), Query::new().among(many(&long))]),
    ];
    let too_long = RequestError::Invalid(InvalidValue::TooLong);
    for query in below {
        assert_eq!(world.client.search(query).await, Err(too_long.clone()));
    }
    let query = Query::new().among(many(&long));
    let count = world.client.search_for(query, [SearchReturn::Count]).await;
    assert_eq!(count, Err(too_long));
}

#[tokio::test(start_paused = true)]
async fn more_than_a_million_is_too_many() {
    let (world, mut server) = selected(config(), common::PREAUTH).await;
    let found = world.ask(|client| async move { client.search(Query::new()).await });
    server.hears("A2 UID SEARCH ALL").await;
    let line = format!("* SEARCH{}\r\n", " 1".repeat(600_000));
    server.say(&format!("{line}{line}A2 OK done\r\n")).await;
    assert_eq!(found.await.expect("no panic"), Err(RequestError::TooLarge));
}

/// A LIST with states leaves out what the server can't tell, and tells the rest.
#[tokio::test(start_paused = true)]
async fn a_list_has_the_states_that_the_server_can_tell() {
    let greeting = "* PREAUTH [CAPABILITY IMAP4rev1 LIST-EXTENDED LIST-STATUS] hello\r\n";
    let (world, mut server) = ready(config(), greeting).await;
    let mut query = ListQuery::all();
    query.returns.status = vec![
        StatusItem::Messages,
        StatusItem::Size,
        StatusItem::HighestModSeq,
    ];
    let list = world.ask(|client| async move { client.list(query).await });
    server
        .hears("A1 LIST \"\" \"*\" RETURN (STATUS (MESSAGES))")
        .await;
    server
        .say("* LIST () \"/\" INBOX\r\n* STATUS INBOX (MESSAGES 3)\r\nA1 OK done\r\n")
        .await;
    let (_, states) = list.await.expect("no panic").expect("a list");
    assert_eq!(states[0].messages, Some(3));
}

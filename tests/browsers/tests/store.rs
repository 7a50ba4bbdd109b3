//! The store in a page: it outlives the page, has one owner, and its batches are whole.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use jackfield_browser_suite::job::{StoreJob, StoreOutcome};
use jackfield_browser_tests::Suite;
use jackfield_testing::chromium::Page;

async fn run(page: &Page, job: StoreJob) -> Result<StoreOutcome> {
    let job = serde_json::to_string(&job)?;
    let outcome: String = page.invoke("suite.store", &[job.into()]).await?;
    serde_json::from_str(&outcome).with_context(|| outcome)
}

async fn open(page: &Page) -> StoreOutcome {
    run(page, StoreJob::Open("tests".into())).await.unwrap()
}

async fn commit(page: &Page, changes: &[(&str, Option<&str>)]) -> StoreOutcome {
    let owned = |(key, value): &(&str, Option<&str>)| (key.to_string(), value.map(str::to_owned));
    let changes = changes.iter().map(owned).collect();
    run(page, StoreJob::Commit(changes)).await.unwrap()
}

async fn ready(page: &Page) {
    page.wait_for("!!globalThis.suite").await.unwrap();
}

fn records(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    let owned = |(key, value): &(&str, &str)| (key.to_string(), value.to_string());
    pairs.iter().map(owned).collect()
}

#[tokio::test]
async fn it_outlives_the_page_and_has_one_owner() {
    let suite = Suite::ordinary().await.unwrap();
    let (first, address) = (&suite.page, suite.site.url());
    assert_eq!(open(first).await, Ok(BTreeMap::new()));
    commit(first, &[("a", Some("1")), ("b", Some("2")), ("", Some(""))])
        .await
        .unwrap();
    let held = commit(first, &[("a", None), ("b", Some("3"))]).await;
    assert_eq!(held, Ok(records(&[("", ""), ("b", "3")])));

    let second = suite.browser.open(&address).await.unwrap();
    ready(&second).await;
    let (kind, text) = open(&second).await.unwrap_err();
    assert_eq!(kind, "InUse", "{text}");

    // The first page is left: its store is free, and still there.
    first.go_to("about:blank").await.unwrap();
    assert_eq!(open(&second).await, Ok(records(&[("", ""), ("b", "3")])));
    commit(&second, &[("c", Some("4"))]).await.unwrap();

    // So is one that is closed.
    first.go_to(&address).await.unwrap();
    ready(first).await;
    assert_eq!(open(first).await.unwrap_err().0, "InUse");
    run(&second, StoreJob::Close).await.unwrap().unwrap();
    let expected = records(&[("", ""), ("b", "3"), ("c", "4")]);
    assert_eq!(open(first).await, Ok(expected));
    suite.close().await.unwrap();
}

#[tokio::test]
async fn a_page_that_is_left_in_the_middle_leaves_whole_batches() {
    let suite = Suite::ordinary().await.unwrap();
    let (page, address) = (&suite.page, suite.site.url());
    let keys = ["a", "b", "c", "d"].map(str::to_owned);
    let mut left = 0;
    for _ in 0..5 {
        let found = open(page).await.unwrap();
        let values: Vec<_> = found.values().collect();
        assert!(values.windows(2).all(|two| two[0] == two[1]), "{found:?}");
        assert!(found.is_empty() || found.len() == keys.len(), "{found:?}");
        left += u32::from(!found.is_empty());
        let on = StoreJob::CommitForEver(keys.to_vec());
        run(page, on).await.unwrap().unwrap();
        // A turn of the page's own, in which it commits a few times.
        page.evaluate::<bool>("new Promise(done => setTimeout(() => done(true), 50))")
            .await
            .unwrap();
        page.go_to("about:blank").await.unwrap();
        page.go_to(&address).await.unwrap();
        ready(page).await;
    }
    assert!(left > 0, "something was committed");
    suite.close().await.unwrap();
}

#[tokio::test]
async fn a_database_of_something_else_is_left_alone() {
    let suite = Suite::ordinary().await.unwrap();
    let page = &suite.page;
    let make = |name: &str, version: u32, store: &str| {
        format!(
            "new Promise(done => {{
                const opening = indexedDB.open({name:?}, {version});
                opening.onupgradeneeded = () => opening.result.createObjectStore({store:?});
                opening.onsuccess = () => {{ opening.result.close(); done(true); }};
            }})"
        )
    };
    for (version, store, expected) in [(1, "letters", "Corrupt"), (2, "records", "Unsupported")] {
        page.evaluate::<bool>(&make(store, version, store))
            .await
            .unwrap();
        let opened = run(page, StoreJob::Open(store.into())).await.unwrap();
        let (kind, text) = opened.unwrap_err();
        assert_eq!(kind, expected, "{text}");
    }
    suite.close().await.unwrap();
}

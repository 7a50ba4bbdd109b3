//! The relay from an ordinary page: what a page learns that is not let in.

use jackfield_browser_suite::job::{Job, Over, Task};
use jackfield_browser_tests::{Place, Suite};
use jackfield_relayd::token::{Credential, Secret};
use jackfield_relayd::{Config, Relayd, Token};

#[tokio::test]
async fn a_page_learns_that_its_token_is_not_accepted() {
    let suite = Suite::ordinary().await.unwrap();
    let secret = Secret::new("the-secret-of-the-tests").unwrap();
    let mut config = Config::default();
    config.listen = vec!["127.0.0.1:0".parse().unwrap()];
    config.origins = vec![suite.site.origin().parse().unwrap()];
    config.tokens = vec![Token::new("tests", Credential::Secret(secret))];
    let relay = Relayd::bind(config).await.unwrap();
    let url = format!("ws://{}/", relay.local_addrs()[0]);
    let running = tokio::spawn(relay.run(std::future::pending()));

    let job = Job {
        over: Over::Relay(url, "another-secret-than-that".into()),
        tls_root: None,
        task: Task::Receive {
            from: "127.0.0.1:9".parse().unwrap(),
            late: 0,
        },
    };
    let outcome = suite.run(Place::Window, &job).await.unwrap();
    let error = outcome.error.expect("not let in");
    assert!(error.contains("Denied"), "{error}");
    assert!(error.contains("the token is not accepted"), "{error}");
    running.abort();
    suite.close().await.unwrap();
}

//! Completions and man pages: what shells and `man` want to know.

mod common;

use common::run;

#[tokio::test]
async fn completions_for_each_shell() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let outcome = run(&["completions", shell], b"").await;
        assert_eq!(outcome.code, Some(0), "{}", outcome.errors);
        let script = String::from_utf8(outcome.output).expect("text");
        for word in ["jackfield", "listen", "will-topic"] {
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
}

#[tokio::test]
async fn a_page_for_each_command() {
    let directory = tempfile::tempdir().expect("a directory");
    let pages = directory.path().join("man1");
    let outcome = run(&["man", pages.to_str().expect("text")], b"").await;
    assert_eq!(outcome.code, Some(0), "{}", outcome.errors);
    let page = |name: &str| std::fs::read_to_string(pages.join(name)).expect(name);
    for name in [
        "nc",
        "listen",
        "irc",
        "mqtt",
        "mqtt-sub",
        "coap-observe",
        "imap-fetch",
        "imap-sync",
        "smtp-send",
    ] {
        let page = page(&format!("jackfield-{name}.1"));
        assert!(page.starts_with(".ie"), "{page}");
    }
    assert!(page("jackfield-mqtt-sub.1").contains("\\-\\-format"));
    let outcome = run(&["man"], b"").await;
    assert_eq!(outcome.code, Some(0), "{}", outcome.errors);
    let text = String::from_utf8(outcome.output).expect("text");
    assert_eq!(text, page("jackfield.1"));
    assert!(text.contains("130"), "the exit codes");

    let file = directory.path().join("file");
    std::fs::write(&file, "").expect("written");
    let outcome = run(&["man", file.to_str().expect("text")], b"").await;
    assert_eq!(outcome.code, Some(1), "{}", outcome.errors);
    assert!(
        outcome.errors.contains("jackfield: writing to "),
        "{}",
        outcome.errors
    );
}

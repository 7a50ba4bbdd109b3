//! The examples, as a reader would run them.

use std::fs;

use jackfield_testing::mqtt_broker::Broker;
use jackfield_testing::workspace::{cargo, root};

/// What an example prints.
fn run(example: &str, arguments: &[&str]) -> String {
    let output = cargo(&["run", "--quiet", "--example", example, "--"])
        .args(arguments)
        .output()
        .expect("cargo starts");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{example}: {errors}");
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn irc() {
    assert_eq!(run("irc", &[]), "ada: hello\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn mqtt() {
    let broker = Broker::start().await.expect("a broker");
    let address = broker.tcp().to_string();
    let ran = tokio::task::spawn_blocking(move || run("mqtt", &[&address]));
    assert_eq!(ran.await.expect("it ran"), "lamp/17/state: on\n");
}

#[test]
fn imap() {
    let told = "     1  ada          Lunch?\n     2  ada          At one\n";
    assert_eq!(run("imap", &[]), told);
}

#[test]
fn async_imap() {
    assert_eq!(run("async-imap", &[]), "     1  Lunch?\n");
}

#[test]
fn coap() {
    assert_eq!(
        run("coap", &[]),
        "offers /lamp\n/lamp is off\n/lamp is on\n"
    );
}

#[test]
fn smtp() {
    assert_eq!(
        run("smtp", &[]),
        "grace@example.com: taken\nnobody@example.com: 550 5.1.1 nobody of that name\n"
    );
}

#[test]
fn mail_server() {
    let told = run("mail-server", &[]);
    let lines: Vec<&str> = told.lines().collect();
    assert!(lines[0].starts_with("IMAP at 127.0.0.1:"), "{told}");
    assert!(lines[1].starts_with("submission at 127.0.0.1:"), "{told}");
    assert_eq!(lines[2], "ada@jackfield.example, password lovelace");
}

#[test]
fn relay() {
    assert_eq!(run("relay", &[]), "good morning, ada\n");
}

#[test]
fn each_has_its_test() {
    let here = include_str!("examples.rs");
    for entry in fs::read_dir(root().join("examples/rust")).expect("the folder") {
        let name = entry.expect("a file").file_name();
        let name = name.to_string_lossy();
        let name = name.trim_end_matches(".rs");
        assert!(here.contains(&format!("run(\"{name}\"")), "{name}");
    }
}

//! The program: its arguments, its messages, its end.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Output, Stdio};

fn relayd(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_jackfield-relayd"));
    command.args(arguments);
    command
}

fn run(arguments: &[&str]) -> (bool, String, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = relayd(arguments).output().expect("it runs");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (status.success(), text(stdout), text(stderr))
}

const EXAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/relayd.example.toml");

#[test]
fn help_says_what_it_is_for() {
    let (good, help, _) = run(&["--help"]);
    assert!(good);
    for expected in [
        "web pages",
        "--config",
        "--check",
        "relayd.example.toml",
        "SIGHUP",
    ] {
        assert!(help.contains(expected), "{expected}: {help}");
    }
}

#[test]
fn a_configuration_is_checked_without_being_used() {
    let (good, out, err) = run(&["--config", EXAMPLE, "--check"]);
    assert!(good && out.contains("is valid"), "{out}{err}");

    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("relayd.toml");
    let check = |text: &str| {
        std::fs::write(&path, text).expect("written");
        let (good, out, err) = run(&["--config", &path.to_string_lossy(), "--check"]);
        assert!(!good && out.is_empty(), "{out}");
        err
    };
    let err = check("listen = ['127.0.0.1:0']\nport = 7\n");
    assert!(
        err.contains("relayd.toml:2:1: port: unknown field"),
        "{err}"
    );
    let err = check("listen = []\n[tls]\ncertificate_file = 'x.crt'\nkey_file = 'x.key'\n");
    assert!(err.contains("x.crt"), "{err}");
    std::fs::write(&path, "listen = ['0.0.0.0:80']\n").expect("written");
    let (good, out, err) = run(&["--config", &path.to_string_lossy(), "--check"]);
    assert!(good && out.contains("is valid"), "{out}");
    assert!(err.starts_with("warning: listen: 0.0.0.0:80 "), "{err}");
    let (good, _, err) = run(&["--config", "no-such-file.toml"]);
    assert!(
        !good && err.contains("no-such-file.toml: can't be read"),
        "{err}"
    );
}

#[test]
fn tokens_are_made_from_the_configurations_key() {
    let (good, token, err) = run(&["token", "--config", EXAMPLE, "iot", "--ttl", "60"]);
    assert!(good, "{err}");
    assert!(
        token.starts_with("iot.") && token.ends_with('\n'),
        "{token}"
    );
    assert_eq!(token.trim().split('.').count(), 3);
    for name in ["webmail", "nobody"] {
        let (good, out, err) = run(&["token", "--config", EXAMPLE, name]);
        assert!(!good && out.is_empty() && err.contains(name), "{err}");
        assert!(!err.contains("change-me"), "{err}");
    }
}

#[cfg(unix)]
#[test]
fn sigterm_ends_it_in_order_and_sighup_does_not() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("relayd.toml");
    std::fs::write(&path, "listen = ['127.0.0.1:0']\n").expect("written");
    let path: &Path = &path;
    let mut child = relayd(&["--log-format", "json", "--config"])
        .arg(path)
        .stderr(Stdio::piped())
        .spawn()
        .expect("it runs");
    let log = BufReader::new(child.stderr.take().expect("piped"));
    let signal = |name: &str| {
        let sent = Command::new("kill")
            .args([name, &child.id().to_string()])
            .status();
        assert!(sent.expect("kill runs").success());
    };
    let mut seen = Vec::new();
    for line in log.lines() {
        let line = line.expect("text");
        assert!(
            line.starts_with("{\"timestamp\":") && line.ends_with('}'),
            "{line}"
        );
        if line.contains("\"message\":\"listening\"") {
            signal("-HUP");
        } else if line.contains("no certificate to read again") {
            signal("-TERM");
        }
        seen.push(line);
    }
    assert!(child.wait().expect("it ends").success());
    let last = seen.last().expect("a log");
    assert!(last.contains("shutting down"), "{last}");
}

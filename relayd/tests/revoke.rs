//! `ctl revoke` at a relay without a Redis: it counts at once, and it says whether it lasts.

#![cfg(unix)]

mod common;

use std::time::{Duration, Instant, SystemTime};

use common::program::{Program, configuration};
use common::{Client, ORIGIN, SECRET, within};
use jackfield_relay_wire::{Code, Reason};
use jackfield_relayd::token::{Claims, Secret, SigningKey};
use serde_json::{Value, json};

const KEY: &str = "the-signing-key-of-all-these-tests";

/// A configuration with an admin socket, and two tokens: the tests' own secret, and one with bearers.
fn text(top: &str) -> String {
    let before =
        format!("{top}\n[admin]\nsocket = 'admin.sock'\n[records]\nfile = 'records.jsonl'");
    let after = format!("[[token]]\nname = 'app'\nsigning_key = '{KEY}'\nallow = ['*:*']");
    configuration(&before, &after)
}

/// With a file for what is revoked, which has this in it.
async fn start(revoked: &str) -> Program {
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::write(directory.path().join("revoked.toml"), revoked).expect("written");
    Program::start_in(directory, &text("revoked_file = 'revoked.toml'")).await
}

fn revoked(program: &Program) -> String {
    std::fs::read_to_string(program.path("revoked.toml")).expect("it is there")
}

/// A token of somebody with this name, which has this `jti` and was made a minute ago.
fn token(subject: &str, id: &str) -> String {
    let now = SystemTime::now();
    let mut claims = Claims::new(now + Duration::from_secs(1000));
    claims.subject = Some(subject.into());
    claims.id = Some(id.into());
    claims.issued_at = Some(now - Duration::from_mins(1));
    let key = SigningKey::hs256(&Secret::new(KEY).expect("long enough"));
    let key = key.expect("long enough").with_id("app");
    key.mint(&claims).expect("short")
}

async fn client(program: &Program, token: &str) -> Client {
    let client = Client::open(program.address, ORIGIN, Some(token)).await;
    client.expect("let in")
}

/// Why nobody comes in by this token.
async fn denied(program: &Program, token: &str) -> Code {
    let client = Client::upgrade(program.address, ORIGIN, Some(token)).await;
    let reason = client.expect("a WebSocket").last_word().await;
    reason.expect("a reason").code()
}

/// Its session is ended because its token was revoked.
async fn ends(client: &mut Client) {
    let begun = Instant::now();
    let reason = client.last_word().await;
    let told = reason
        .as_ref()
        .map(|reason| (reason.code(), Reason::text(reason)));
    let expected = (Code::TOKEN_EXPIRED, "the token was revoked");
    assert_eq!(told, Some(expected));
    assert!(
        begun.elapsed() < Duration::from_secs(1),
        "it takes too long"
    );
}

fn of(record: &Value, keys: &[&str]) -> Value {
    keys.iter().map(|key| record[key].clone()).collect()
}

const COMMAND: &[&str] = &[
    "command",
    "token",
    "bearer",
    "jti",
    "issued_before",
    "outcome",
];

#[tokio::test]
async fn what_is_revoked_ends_at_once_and_stands_in_the_file() {
    let program = start("# Mine.\n[[revoked]]\nsub = 'eve'\n").await;
    let mut by_id = client(&program, &token("ada", "1")).await;
    let mut by_subject = client(&program, &token("bob", "2")).await;
    let mut other = client(&program, &token("ada", "3")).await;
    let mut secret = client(&program, SECRET).await;

    let path = program.path("revoked.toml");
    let kept = format!("revoked, and kept in {}\n", path.display());
    assert_eq!(program.ctl(&["revoke", "--jti", "1"]).await, kept);
    ends(&mut by_id).await;
    let by_name = ["revoke", "--token", "app", "--sub", "bob"];
    assert_eq!(program.ctl(&by_name).await, kept);
    ends(&mut by_subject).await;
    let answer = program.ctl(&["revoke", "--jti", "1", "--json"]).await;
    let answer: Value = serde_json::from_str(&answer).expect("one line");
    assert_eq!(answer, json!({ "done": true, "lasts": true, "in": path }));
    assert_eq!(
        denied(&program, &token("ada", "1")).await,
        Code::TOKEN_EXPIRED
    );
    assert_eq!(
        denied(&program, &token("bob", "9")).await,
        Code::TOKEN_EXPIRED
    );
    other.refused("10.0.0.1:1").await;

    // The file keeps what it had, and each once.
    let text = revoked(&program);
    assert!(
        text.starts_with("# Mine.\n[[revoked]]\nsub = 'eve'\n"),
        "{text}"
    );
    assert_eq!(text.matches("[[revoked]]").count(), 3, "{text}");

    // What was made before then, of all names; a shared secret is none that can be.
    let before = ["revoke", "--issued-before", "9000-01-01T00:00:00Z"];
    assert_eq!(program.ctl(&before).await, kept);
    ends(&mut other).await;
    secret.refused("10.0.0.1:1").await;
    let (good, _, err) = program
        .try_ctl(&["revoke", "--token", "tests", "--jti", "1"])
        .await;
    assert!(
        !good && err.contains("a shared secret can't be revoked"),
        "{err}"
    );
    let (good, _, err) = program.try_ctl(&["revoke", "--token", "app"]).await;
    assert!(
        !good && err.contains("a jti, a sub or issued_before"),
        "{err}"
    );

    let commands = program.recorded("command", 4).await;
    let commands: Vec<_> = commands.iter().map(|one| of(one, COMMAND)).collect();
    assert_eq!(
        json!(commands),
        json!([
            ["revoke", null, null, "1", null, "done"],
            ["revoke", "app", "bob", null, null, "done"],
            ["revoke", null, null, "1", null, "done"],
            ["revoke", null, null, null, "9000-01-01T00:00:00Z", "done"],
        ])
    );
    let left = program.recorded("leave", 3).await;
    for left in &left {
        let why = of(left, &["outcome", "why"]);
        assert_eq!(why, json!(["token expired", "the token was revoked"]));
    }

    // Killed, and started again: it lasts.
    let directory = program.kill().await;
    let program = Program::start_in(directory, &text_with_file()).await;
    for gone in [token("ada", "1"), token("bob", "9"), token("eve", "4")] {
        assert_eq!(denied(&program, &gone).await, Code::TOKEN_EXPIRED);
    }
    // Whoever edits the file takes it back.
    std::fs::write(program.path("revoked.toml"), "").expect("written");
    assert_eq!(program.ctl(&["reload"]).await, "reloaded\n");
    client(&program, &token("ada", "1")).await;
}

fn text_with_file() -> String {
    text("revoked_file = 'revoked.toml'")
}

/// By hand, after it was put there by command and before anybody has it read again.
#[tokio::test]
async fn what_is_taken_back_by_hand_is_good_again() {
    let program = start("").await;
    program.ctl(&["revoke", "--sub", "ada"]).await;
    assert_eq!(
        denied(&program, &token("ada", "1")).await,
        Code::TOKEN_EXPIRED
    );
    std::fs::write(program.path("revoked.toml"), "").expect("written");
    assert_eq!(program.ctl(&["reload"]).await, "reloaded\n");
    client(&program, &token("ada", "1")).await;
}

#[tokio::test]
async fn without_a_file_it_ends_with_the_relay_and_says_so() {
    let program = Program::start(&text("")).await;
    let mut ada = client(&program, &token("ada", "1")).await;
    let why = "the configuration has no revoked_file";
    let said = program.ctl(&["revoke", "--sub", "ada"]).await;
    assert_eq!(said, format!("revoked until this relay ends: {why}\n"));
    ends(&mut ada).await;
    let command = program.recorded("command", 1).await;
    let ends = format!("until the relay ends: {why}");
    let command = of(&command[0], &["bearer", "outcome", "why"]);
    assert_eq!(command, json!(["ada", "done", ends]));
    // No reload takes it back.
    assert_eq!(program.ctl(&["reload"]).await, "reloaded\n");
    assert_eq!(
        denied(&program, &token("ada", "2")).await,
        Code::TOKEN_EXPIRED
    );
    let program = Program::start_in(program.kill().await, &text("")).await;
    client(&program, &token("ada", "1")).await;
}

/// A file that can't take it keeps nobody in.
#[tokio::test]
async fn what_a_file_cannot_take_is_revoked_all_the_same() {
    let program = start("").await;
    let wrong = "[[revoked]]\nid = 7\n";
    std::fs::write(program.path("revoked.toml"), wrong).expect("written");
    let mut ada = client(&program, &token("ada", "1")).await;
    let answer = program.ctl(&["revoke", "--jti", "1", "--json"]).await;
    ends(&mut ada).await;
    let answer: Value = serde_json::from_str(&answer).expect("one line");
    assert_eq!(of(&answer, &["done", "lasts"]), json!([true, false]));
    let why = answer["why"].as_str().unwrap_or_default();
    assert!(
        why.contains("revoked.toml") && why.contains("unknown field"),
        "{why}"
    );
    assert_eq!(revoked(&program), wrong);
    assert_eq!(
        denied(&program, &token("ada", "1")).await,
        Code::TOKEN_EXPIRED
    );

    // Once it can, asking again has it last.
    std::fs::write(program.path("revoked.toml"), "").expect("written");
    assert!(
        program
            .ctl(&["revoke", "--jti", "1"])
            .await
            .contains("kept in")
    );
    within(async { while !revoked(&program).contains("jti = \"1\"") {} }).await;
}

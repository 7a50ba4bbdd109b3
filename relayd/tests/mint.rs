//! Tokens that the relay mints: by `ctl`, by hand, and at the socket for back ends.

#![cfg(unix)]

mod common;

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use common::program::{NOBODY, Program, command, configuration, run};
use common::{Client, ORIGIN, keep, within};
use jackfield_relay_wire::Code;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, UnixStream};

const KEY: &str = "the-signing-key-of-all-these-tests";

/// Both sockets, and one token of each kind.
fn text() -> String {
    let before = "[admin]\nsocket = 'admin.sock'\n[mint]\nsocket = 'mint.sock'\n\
                  [records]\nfile = 'records.jsonl'\n";
    let after = format!(
        "[[token]]\nname = 'app'\nsigning_key = '{KEY}'\nmint_at_most_seconds = 600\n\
         allow = ['127.0.0.0/8:1024-65535']\n\
         [[token]]\nname = 'over'\nsigning_key = '{KEY}-2'\nmint_at_most_seconds = 600\n\
         expires = 2020-01-01T00:00:00Z\n\
         [[token]]\nname = 'mine'\nsigning_key = '{KEY}-3'\n\
         [[token]]\nname = 'public'\n\
         public_key = '{{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}}'\n"
    );
    let top = "audience = 'relay.example'\nrevoked_file = 'revoked.toml'\n";
    format!("{top}{}", configuration(before, &after))
}

async fn start() -> Program {
    let directory = tempfile::tempdir().expect("a directory");
    let revoked = "[[revoked]]\nsub = 'eve'\n";
    std::fs::write(directory.path().join("revoked.toml"), revoked).expect("written");
    Program::start_in(directory, &text()).await
}

/// A command that asks at this socket.
fn ctl(socket: &Path, arguments: &[&str]) -> Command {
    let mut command = command();
    command.arg("ctl").arg("--socket").arg(socket);
    command.args(arguments);
    command
}

/// What a back end is answered.
async fn ask(program: &Program, request: &Value) -> Value {
    let mut stream = UnixStream::connect(program.path("mint.sock"))
        .await
        .expect("it listens");
    let line = format!("{request}\n");
    stream.write_all(line.as_bytes()).await.expect("taken");
    let mut answer = String::new();
    within(stream.read_to_string(&mut answer))
        .await
        .expect("text");
    serde_json::from_str(&answer).expect("one line of JSON")
}

/// What a token says, unverified.
fn claims(jwt: &str) -> Value {
    let payload = jwt.split('.').nth(1).expect("three parts");
    let payload = BASE64_URL_SAFE_NO_PAD.decode(payload).expect("base64url");
    serde_json::from_slice(&payload).expect("JSON")
}

async fn target() -> String {
    keep(TcpListener::bind("127.0.0.1:0").await.expect("a free port"))
}

#[tokio::test]
async fn what_is_minted_lets_in_and_no_further_than_it_says() {
    let program = start().await;
    let (to, elsewhere) = (target().await, target().await);
    let request = json!({
        "ask": "mint", "token": "app", "seconds": 300, "sub": "ada", "origins": [ORIGIN],
        // The second rule is none of the configuration's, and gives nothing.
        "allow": [to, "127.0.0.0/8:7"], "limits": { "streams": 1 },
    });
    let minted = ask(&program, &request).await;
    let jwt = minted["jwt"].as_str().expect("a token");
    let said = claims(jwt);
    assert_eq!(
        (&said["jti"], &said["exp"]),
        (&minted["jti"], &minted["exp"])
    );
    let seconds = |claim: &str| said[claim].as_u64().expect("seconds");
    assert_eq!(seconds("exp") - seconds("iat"), 300);
    assert_eq!(said["aud"], json!(["relay.example"]));

    let line = program.says("minted a token").await;
    let line: Value = serde_json::from_str(&line).expect("JSON");
    assert_eq!(
        (&line["token"], &line["bearer"], &line["jti"]),
        (&json!("app"), &json!("ada"), &minted["jti"]),
        "{line}"
    );
    assert!(!line.to_string().contains(jwt), "{line}");

    // It is written beside what is going on.
    let record = within(async {
        loop {
            let text = std::fs::read_to_string(program.path("records.jsonl")).expect("written");
            if text.ends_with('\n') {
                break text;
            }
            tokio::task::yield_now().await;
        }
    })
    .await;
    let record: Value = serde_json::from_str(&record).expect("one line");
    let time = record["time"].clone();
    assert_eq!(
        record,
        json!({ "time": time, "event": "mint", "token": "app", "bearer": "ada",
                "jti": minted["jti"], "exp": minted["exp"] })
    );

    let mut client = Client::open(program.address, ORIGIN, Some(jwt))
        .await
        .expect("let in");
    assert_eq!(client.refused(&elsewhere).await.code(), Code::DENIED);
    assert_eq!(client.refused("127.0.0.1:7").await.code(), Code::DENIED);
    client.connect(&to, 1024).await;
    assert_eq!(client.refused(&to).await.code(), Code::LIMIT_EXCEEDED);
}

#[tokio::test]
async fn ctl_prints_a_token_alone() {
    let program = start().await;
    for socket in ["admin.sock", "mint.sock"] {
        let arguments = [
            "mint", "app", "--sub", "ada", "--origin", ORIGIN, "--ttl", "60",
        ];
        let (good, out, err) = run(ctl(&program.path(socket), &arguments)).await;
        assert!(good, "{err}");
        let jwt = out.trim_end();
        assert_eq!(claims(jwt)["sub"], "ada");
        let client = Client::open(program.address, ORIGIN, Some(jwt)).await;
        client.expect("let in");
    }
    // Without a time it is 15 minutes, or what is allowed.
    let (_, out, _) = run(ctl(&program.path("mint.sock"), &["mint", "app"])).await;
    let said = claims(&out);
    let seconds = |claim: &str| said[claim].as_u64().expect("seconds");
    assert_eq!(seconds("exp") - seconds("iat"), 600);
    assert!(
        said["jti"].as_str().is_some_and(|id| id.len() == 22),
        "{said}"
    );
}

#[tokio::test]
async fn what_would_be_of_no_use_or_too_much_is_refused_and_says_why() {
    let program = start().await;
    for (request, expected) in [
        (
            json!({ "token": "none" }),
            "the configuration has no token \"none\"",
        ),
        (
            json!({ "token": "mine" }),
            "the token \"mine\" may not be minted: it has no mint_at_most_seconds",
        ),
        (
            json!({ "token": "tests" }),
            "the token \"tests\" can't be minted: it has a secret, which is no key",
        ),
        (
            json!({ "token": "public" }),
            "the token \"public\" can't be minted: it has public keys: who has the private one",
        ),
        (
            json!({ "token": "app", "seconds": 601 }),
            "a token \"app\" is minted for 600 s at most (mint_at_most_seconds)",
        ),
        (
            json!({ "token": "app", "seconds": 0 }),
            "a token is good for a second at least",
        ),
        (
            json!({ "token": "app", "seconds": -1 }),
            "that is no request: invalid",
        ),
        (
            json!({ "token": "over" }),
            "the relay would not take it: the token has expired at Wed, 01 Jan 2020",
        ),
        (
            json!({ "token": "app", "sub": "eve" }),
            "the relay would not take it: the token was revoked",
        ),
        (
            json!({ "token": "app", "origins": ["https://evil.example"] }),
            "no page of https://evil.example may use the relay (origins)",
        ),
        (
            json!({ "token": "app", "sub": "" }),
            "the token's claim sub is missing or can't be read",
        ),
        (
            json!({ "token": "app", "allow": ["nowhere"] }),
            "the token's claim allow is missing or can't be read",
        ),
        (
            json!({ "token": "app", "limits": { "everything": 1 } }),
            "that is no request: unknown field `everything`",
        ),
        // A claim that is misspelt would take nothing away.
        (
            json!({ "token": "app", "allowed": [] }),
            "that is no request: unknown field `allowed`",
        ),
    ] {
        let mut request = request;
        request["ask"] = "mint".into();
        let answer = ask(&program, &request).await;
        let error = answer["error"].as_str().expect("an error");
        assert!(error.starts_with(expected), "{error}\nnot: {expected}");
        assert!(answer["jwt"].is_null(), "{answer}");
    }
}

#[tokio::test]
async fn at_the_back_ends_socket_nothing_else_is_done() {
    let program = start().await;
    for request in ["status", "list", "reload", "drain"] {
        let answer = ask(&program, &json!({ "ask": request })).await;
        assert_eq!(
            answer["error"],
            "here tokens are minted, and nothing else is done"
        );
    }
    let answer = ask(&program, &json!({ "ask": "kill", "token": "app" })).await;
    assert_eq!(
        answer["error"],
        "here tokens are minted, and nothing else is done"
    );
    let (good, out, _) = run(ctl(&program.path("admin.sock"), &["status"])).await;
    assert!(good && out.contains("running"), "{out}");
}

/// The back end is another user, in the group that its file is of.
#[tokio::test]
async fn who_is_in_the_files_group_may_have_tokens_minted() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let program = start().await;
    let socket = program.path("mint.sock");
    let mode = socket.metadata().expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o660);
    let as_nobody = || {
        let mut command = program.as_nobody();
        command.args(["ctl", "--socket"]).arg(&socket);
        command.args(["mint", "app", "--sub", "ada"]);
        command
    };
    let (good, _, err) = run(as_nobody()).await;
    assert!(!good && err.contains("Permission denied"), "{err}");
    std::os::unix::fs::chown(&socket, None, Some(NOBODY)).expect("ours");
    let (good, out, err) = run(as_nobody()).await;
    assert!(good, "{err}");
    assert_eq!(claims(&out)["sub"], "ada");
}

/// Once the rules are others, so is what is minted.
#[tokio::test]
async fn a_reload_is_heard_of() {
    let program = start().await;
    program.rewrite(&text().replacen("mint_at_most_seconds = 600", "mint_at_most_seconds = 30", 1));
    let (good, out, err) = run(ctl(&program.path("admin.sock"), &["reload"])).await;
    assert!(good, "{out}{err}");
    let answer = ask(
        &program,
        &json!({ "ask": "mint", "token": "app", "seconds": 31 }),
    )
    .await;
    let error = answer["error"].as_str().expect("an error");
    assert!(error.contains("for 30 s at most"), "{error}");
}

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
use jackfield_relayd::token::SigningKey;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, UnixStream};

const ED25519: &str = include_str!("keys/ed25519.pem");
const P256: &str = include_str!("keys/p256.pem");
/// Nobody's.
const OTHER_ED25519: &str = "-----BEGIN PRIVATE KEY-----\n\
    MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n\
    -----END PRIVATE KEY-----\n";
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
                "jti": minted["jti"], "exp": minted["exp"], "decision": "allow", "why": null })
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
    let mut refused = Vec::new();
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
            "the token \"public\" can't be minted: it has public keys: mint_key_file names",
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
        // What can't be read asks for no token.
        if !expected.starts_with("that is no request") {
            let sub = request.get("sub").cloned().unwrap_or_default();
            refused.push(json!([request["token"], sub, null, null, "deny", error]));
        }
    }
    let records = program.recorded("mint", refused.len()).await;
    let keys = ["token", "bearer", "jti", "exp", "decision", "why"];
    let records = records.iter().map(|one| keys.map(|key| one[key].clone()));
    assert_eq!(json!(records.collect::<Vec<_>>()), json!(refused));
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

/// A private key, which only its owner may read, in this program's folder.
fn private_key(program: &Path, pem: &str) {
    let path = program.join("app.key");
    std::fs::write(&path, pem).expect("written");
    let mode = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(&path, mode).expect("ours");
}

/// With a pair, of each kind, and by all ways; its public key names it, and nothing else of the token changes.
#[tokio::test]
async fn a_private_key_mints_beside_its_public_one() {
    for (algorithm, private, jwk) in [
        ("EdDSA", ED25519, "old"),
        // Without a `kid` of its own it is the token's name.
        ("ES256", P256, "app"),
    ] {
        let key = SigningKey::from_pem(private).expect("a key");
        let own = if jwk == "app" { key } else { key.with_id(jwk) };
        let public = own.public_jwk().expect("it has one");
        let other = SigningKey::from_pem(if algorithm == "EdDSA" { P256 } else { ED25519 });
        let other = other.expect("a key").with_id("other").public_jwk();
        let other = other.expect("it has one");
        let token = format!(
            "[[token]]\nname = 'app'\nmint_at_most_seconds = 600\nmint_key_file = 'app.key'\n\
             public_key = '{{\"keys\":[{other},{public}]}}'\nallow = ['127.0.0.0/8:1024-65535']\n"
        );
        let before = "[admin]\nsocket = 'admin.sock'\n[mint]\nsocket = 'mint.sock'\n";
        let text = configuration(before, &token);
        let directory = tempfile::tempdir().expect("a directory");
        private_key(directory.path(), private);
        let program = Program::start_in(directory, &text).await;
        let header = |jwt: &str| {
            let header = jwt.split('.').next().expect("three parts");
            let header = BASE64_URL_SAFE_NO_PAD.decode(header).expect("base64url");
            serde_json::from_slice::<Value>(&header).expect("JSON")
        };
        let request = json!({ "ask": "mint", "token": "app", "sub": "ada" });
        let asked = ask(&program, &request).await;
        let asked = asked["jwt"].as_str().expect("a token").to_owned();
        let (good, by_ctl, err) = run(ctl(
            &program.path("admin.sock"),
            &["mint", "app", "--sub", "ada"],
        ))
        .await;
        assert!(good, "{err}");
        let mut by_hand = command();
        by_hand.args(["token", "app", "--sub", "ada", "--config"]);
        by_hand.arg(program.path("relayd.toml"));
        let (good, by_hand, err) = run(by_hand).await;
        assert!(good, "{err}");
        for jwt in [&*asked, by_ctl.trim_end(), by_hand.trim_end()] {
            let header = header(jwt);
            let named = (&header["alg"], &header["kid"]);
            assert_eq!(named, (&json!(algorithm), &json!(jwk)));
            let client = Client::open(program.address, ORIGIN, Some(jwt)).await;
            client.expect("let in");
        }

        // A key that is none of its own, or that others could read, is not taken.
        let reload = || run(ctl(&program.path("admin.sock"), &["reload"]));
        let path = program.path("app.key");
        let line = text
            .lines()
            .position(|line| line.starts_with("mint_key_file"));
        let at = format!(":{}:17: token[", line.expect("there") + 1);
        std::fs::write(&path, OTHER_ED25519).expect("written");
        let (good, out, err) = reload().await;
        let error = format!("{out}{err}");
        assert!(!good && error.contains(&at), "{error}");
        let expected = "mint_key_file: its public key is none of the token's";
        assert!(error.contains(expected), "{error}");
        std::fs::write(&path, private).expect("written");
        let mode = std::fs::Permissions::from_mode(0o644);
        std::fs::set_permissions(&path, mode).expect("ours");
        let (good, out, err) = reload().await;
        let error = format!("{out}{err}");
        assert!(!good && error.contains(&at), "{error}");
        assert!(error.contains("others have it, too"), "{error}");
        let mut check = command();
        check.args(["--check", "--config"]);
        check.arg(program.path("relayd.toml"));
        let (good, _, err) = run(check).await;
        assert!(!good && err.contains("others have it, too"), "{err}");
        // The one in use goes on.
        let answer = ask(&program, &request).await;
        assert!(answer["jwt"].is_string(), "{answer}");
        private_key(path.parent().expect("a folder"), private);
        let (good, out, err) = reload().await;
        assert!(good, "{out}{err}");
    }
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

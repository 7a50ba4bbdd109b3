//! The program: its arguments, its messages, its end.

mod common;

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jackfield_relay_wire::Frame;
use jackfield_testing::certs::Authority;
use serde_json::{Value, json};

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
    let err =
        check("listen = ['127.0.0.1:0']\n[tls]\ncertificate_file = 'x.crt'\nkey_file = 'x.key'\n");
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
    let token = |arguments: &[&str]| {
        let (good, out, err) = run(&[&["token", "--config", EXAMPLE], arguments].concat());
        assert_eq!(good, out.ends_with('\n'), "{out}{err}");
        assert!(!err.contains("change-me"), "{err}");
        if good {
            Ok(out.trim().to_owned())
        } else {
            Err(err)
        }
    };
    let plain = token(&["iot", "--ttl", "60", "--plain"]).expect("made");
    assert!(plain.starts_with("iot."), "{plain}");
    assert_eq!(plain.split('.').count(), 3);
    for name in ["webmail", "nobody"] {
        let err = token(&[name]).expect_err("it has no key");
        assert!(err.contains(name), "{err}");
    }
    for wrong in [
        &["iot", "--allow", "a"][..],
        &["iot", "--origin", "*"],
        &["iot", "--plain", "--sub", "ada"],
        &["iot", "--key", "x.pem"],
        &["iot", "--sub", ""],
    ] {
        assert!(token(wrong).is_err(), "{wrong:?}");
    }

    let minted = token(&[
        "iot",
        "--sub",
        "ada",
        "--origin",
        "https://app.example.org",
        "--allow",
        "broker.iot.example.org:8883",
        "--allow",
        "192.0.2.7:1883",
    ]);
    let (header, claims) = parts(&minted.expect("made"));
    assert_eq!(
        header,
        json!({ "typ": "JWT", "alg": "HS256", "kid": "iot" })
    );
    assert_eq!(claims["sub"], "ada");
    assert_eq!(claims["origins"], json!(["https://app.example.org"]));
    let rules = json!(["broker.iot.example.org:8883", "192.0.2.7:1883"]);
    assert_eq!(claims["allow"], rules);
    let seconds = |name: &str| claims[name].as_u64().expect("a number");
    assert_eq!(seconds("exp"), seconds("iat") + 900);
    let other = parts(&token(&["iot"]).expect("made")).1;
    assert_ne!(claims["jti"], other["jti"]);
    assert!(other.get("sub").is_none() && other.get("allow").is_none());
}

/// The header and the claims of a JWT.
fn parts(token: &str) -> (Value, Value) {
    let mut parts = token.split('.').map(|part| {
        let json = BASE64_URL_SAFE_NO_PAD.decode(part).expect("base64url");
        serde_json::from_slice(&json).unwrap_or_default()
    });
    let mut next = || parts.next().expect("three parts");
    (next(), next())
}

#[test]
fn tokens_are_made_with_a_private_key_for_its_public_one() {
    let keys = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/keys");
    let directory = tempfile::tempdir().expect("a directory");
    let config = directory.path().join("relayd.toml");
    let token = |public: &str, private: &str| {
        let text = format!(
            "listen = ['127.0.0.1:0']\naudience = 'relay.example'\n\
             [[token]]\nname = 'a'\npublic_key_file = '{}'\n",
            keys.join(public).display()
        );
        std::fs::write(&config, text).expect("written");
        let (config, key) = (config.to_string_lossy(), keys.join(private));
        let key = key.to_string_lossy();
        run(&[
            "token", "a", "--config", &config, "--key", &key, "--sub", "ada",
        ])
    };
    for (name, algorithm) in [("ed25519", "EdDSA"), ("p256", "ES256")] {
        let (good, out, err) = token(&format!("{name}.pub.pem"), &format!("{name}.pem"));
        assert!(good, "{err}");
        let (header, claims) = parts(out.trim());
        assert_eq!(header["alg"], algorithm);
        assert_eq!(claims["aud"], json!(["relay.example"]));
    }
    let (good, out, err) = token("p256.pub.pem", "ed25519.pem");
    assert!(
        !good && out.is_empty() && err.contains("not accepted"),
        "{err}"
    );
    let (good, _, err) = token("p256.pem", "p256.pem");
    assert!(!good && err.contains("relayd.toml:5:19"), "{err}");
    assert!(err.contains("private key"), "{err}");
}

/// A relay that is killed has no time for anything. What its targets have of a client is a part, and
/// must not look like the whole.
#[cfg(unix)]
#[tokio::test]
async fn a_target_sees_a_killed_relay_as_a_cut() {
    use jackfield_testing::process::Process;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    const WAIT: std::time::Duration = std::time::Duration::from_secs(20);
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("relayd.toml");
    let text = format!(
        "listen = ['127.0.0.1:0']\norigins = ['{}']\n[[token]]\nname = 'tests'\nsecret = '{}'\n\
         allow = ['127.0.0.1:*']\nlisten = ['127.0.0.1:*']\n",
        common::ORIGIN,
        common::SECRET
    );
    std::fs::write(&path, text).expect("written");
    let mut command = relayd(&["--log-format", "json", "--config"]);
    command.arg(&path);
    let process = Process::start(command).expect("it runs");
    let line = process.wait_for_line("\"listening\"", WAIT).await;
    let line = line.expect("it listens");
    let address = line.split("\"address\":\"").nth(1).expect("its address");
    let address = address.split('"').next().expect("to its end");
    let address = address.parse().expect("an address");

    let client = common::Client::open(address, common::ORIGIN, Some(common::SECRET)).await;
    let mut client = client.expect("let in");
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await;
    let listener = listener.expect("a free port");
    let to = listener.local_addr().expect("bound").to_string();
    let (id, _) = client.connect(&to, 1024).await;
    let (dialled, _) = listener.accept().await.expect("a connection");
    client.ask_to_listen("127.0.0.1:0", 1).await;
    let at = match client.frame().await {
        Frame::Opened { local, .. } => local.expect("where it listens"),
        other => panic!("{other:?}"),
    };
    let mut caller = tokio::net::TcpStream::connect(at)
        .await
        .expect("it listens");
    caller.write_all(b"hello").await.expect("open");
    let inbound = match client.frame().await {
        Frame::Inbound { id, .. } => id,
        other => panic!("{other:?}"),
    };
    let mut targets = [dialled, caller];
    for (target, id) in targets.iter_mut().zip([id, inbound]) {
        let data = b"half of".to_vec().into();
        client.send(&Frame::Data { id, data }).await;
        let mut half = [0; 7];
        target.read_exact(&mut half).await.expect("the beginning");
    }
    let killed = Command::new("kill")
        .args(["-9", &process.id().to_string()])
        .status();
    assert!(killed.expect("kill runs").success());
    for target in &mut targets {
        let read = common::within(target.read(&mut [0; 1])).await;
        let error = read.expect_err("no end in order");
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    }
}

#[test]
fn a_decision_is_explained_with_its_rule_and_line() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("relayd.toml");
    let text = "listen = ['127.0.0.1:8443']\nmetrics = '127.0.0.1:8444'\norigins = ['https://a.example']\n[[token]]\nname = 'a'\n\
                secret = '0123456789abcdef'\nallow = ['*:443', '127.0.0.0/8:80,8443-8444', 'localhost:80']\n\
                deny = [\n  '9.9.9.9:*',\n]\n\
                ask = 'http://127.0.0.1:9/secret'\nask_fails = 'closed'\n";
    std::fs::write(&path, text).expect("written");
    let config = path.to_string_lossy();
    for (origin, to, expected, allowed) in [
        (
            "https://a.example",
            "8.8.8.8:443",
            "8.8.8.8:443: allowed by *:443 (line 7)",
            true,
        ),
        (
            "https://b.example",
            "8.8.8.8:443",
            "https://b.example may not connect",
            false,
        ),
        (
            "https://a.example",
            "8.8.8.8:80",
            "8.8.8.8:80: refused: no rule allows it",
            false,
        ),
        (
            "https://a.example",
            "8.8.8.8:443/udp",
            "refused: no rule allows it",
            false,
        ),
        (
            "https://a.example",
            "9.9.9.9:443/udp",
            "refused: the rule 9.9.9.9:* denies it (line 9)",
            false,
        ),
        (
            "https://a.example",
            "127.0.0.1:8443",
            "the relay itself",
            false,
        ),
        (
            "https://a.example",
            "127.0.0.1:8444",
            "the relay itself",
            false,
        ),
        (
            "https://a.example",
            "any.example:81",
            "any.example:81: refused: no rule",
            false,
        ),
        (
            "https://a.example",
            "localhost:80",
            "127.0.0.1:80: allowed by 127.0.0.0/8:80,8443-8444",
            true,
        ),
    ] {
        let arguments = [
            "explain", "--config", &config, "--origin", origin, "--token", "a", to,
        ];
        let (good, out, err) = run(&arguments);
        assert_eq!(good, allowed, "{to}: {out}{err}");
        assert!(out.contains(expected), "{to}: {out}{err}");
        let asks = "127.0.0.1:9 is asked, and may deny it; without an answer it is refused\n";
        let may_open = out.contains(": allowed by ");
        assert_eq!(out.contains(asks), may_open, "{to}: {out}{err}");
    }
    let (good, _, err) = run(&[
        "explain",
        "--config",
        &config,
        "--token",
        "b",
        "8.8.8.8:443",
    ]);
    assert!(!good && err.contains("no token \"b\""), "{err}");
}

/// What a token says of itself narrows what is explained of its name.
#[test]
fn a_token_is_explained_as_it_is_presented() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("relayd.toml");
    let text = "listen = ['127.0.0.1:8443']\norigins = ['https://a.example', 'https://b.example']\n\
                [[token]]\nname = 'a'\nsigning_key = '0123456789abcdef0123456789abcdef'\nallow = ['*:443']\n";
    std::fs::write(&path, text).expect("written");
    let config = path.to_string_lossy();
    let (good, jwt, err) = run(&[
        "token",
        "--config",
        &config,
        "a",
        "--sub",
        "ada",
        "--origin",
        "https://a.example",
        "--allow",
        "8.8.8.0/24:443",
    ]);
    assert!(good, "{err}");
    let jwt = jwt.trim();
    let forged = format!("{jwt}x");
    for (jwt, origin, to, expected, allowed) in [
        (
            jwt,
            "https://a.example",
            "8.8.8.8:443",
            "it is good for the token \"a\", of the bearer \"ada\", until ",
            true,
        ),
        (
            jwt,
            "https://a.example",
            "9.9.9.9:443",
            "9.9.9.9:443: refused: the token itself doesn't reach so far",
            false,
        ),
        (
            jwt,
            "https://b.example",
            "8.8.8.8:443",
            "it is not let in: ",
            false,
        ),
        (
            &*forged,
            "https://a.example",
            "8.8.8.8:443",
            "it is not let in: ",
            false,
        ),
    ] {
        let (good, out, err) = run(&[
            "explain", "--config", &config, "--origin", origin, "--jwt", jwt, to,
        ]);
        assert_eq!(good, allowed, "{to}: {out}{err}");
        assert!(out.contains(expected), "{to}: {out}{err}");
        assert!(!out.contains(jwt) && !err.contains(jwt), "{out}{err}");
    }
}

/// A certificate's name, its authority's token, and why it is not let in.
#[test]
fn a_certificate_is_explained_as_it_is_shown() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = |name: &str, text: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, text).expect("written");
        path.to_string_lossy().into_owned()
    };
    let fleet = Authority::new();
    let own = Authority::new().server(&["localhost"]);
    own.write_to(directory.path(), "relay").expect("both files");
    file("ca.pem", fleet.pem());
    file("revoked.toml", "[[revoked]]\nsub = 'eve'\n");
    let text = "listen = ['127.0.0.1:8443']\nallow_without_origin = true\n\
                revoked_file = 'revoked.toml'\n[tls]\ncertificate_file = 'relay.pem'\n\
                key_file = 'relay.key'\n[[token]]\nname = 'fleet'\nclient_ca_file = 'ca.pem'\n\
                allow = ['8.8.8.0/24:443']\n";
    let config = file("relayd.toml", text);
    let good = fleet.client("ada");
    let strange = Authority::new().client("ada");
    for (certificate, to, expected, allowed) in [
        (
            &good,
            "8.8.8.8:443",
            "it is good for the token \"fleet\", of the bearer \"ada\", until ",
            true,
        ),
        (
            &good,
            "8.8.8.8:443",
            "8.8.8.8:443: allowed by 8.8.8.0/24:443 (line 10)",
            true,
        ),
        (&good, "9.9.9.9:443", "refused: no rule allows it", false),
        (
            &fleet.client("eve"),
            "8.8.8.8:443",
            "it is not let in: the certificate was revoked",
            false,
        ),
        (
            &fleet.client_for_days("ada", (-9, -2)),
            "8.8.8.8:443",
            "it is not let in: the certificate has expired at ",
            false,
        ),
        (
            &strange,
            "8.8.8.8:443",
            "it is not let in: the certificate is of no authority that the relay knows",
            false,
        ),
    ] {
        let own = file("own.pem", certificate.pem());
        let arguments = ["explain", "--config", &config, "--certificate", &own, to];
        let (good, out, err) = run(&arguments);
        assert_eq!(good, allowed, "{to}: {out}{err}");
        assert!(out.contains(expected), "{to}: {out}{err}\nnot: {expected}");
    }
    for (text, expected) in [
        (good.key_pem(), "there is no CERTIFICATE in PEM"),
        ("nothing", "there is no CERTIFICATE in PEM"),
    ] {
        let own = file("own.pem", text);
        let to = "8.8.8.8:443";
        let arguments = ["explain", "--config", &config, "--certificate", &own, to];
        let (good, _, err) = run(&arguments);
        assert!(!good && err.contains(expected), "{err}");
    }
    let to = "8.8.8.8:443";
    let missing = ["explain", "--config", &config, "--certificate", "none", to];
    let (good, _, err) = run(&missing);
    assert!(!good && err.contains("can't read none"), "{err}");
}

#[cfg(unix)]
#[test]
fn sigterm_ends_it_in_order_and_other_signals_do_not() {
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
            for nothing in ["-USR1", "-USR2", "-ALRM", "-IO", "-XFSZ"] {
                signal(nothing);
            }
            signal("-HUP");
        } else if line.contains("reloaded the configuration") {
            signal("-TERM");
        }
        seen.push(line);
    }
    assert!(child.wait().expect("it ends").success());
    let last = seen.last().expect("a log");
    assert!(last.contains("shutting down"), "{last}");
}

//! The relay as a service of systemd, installed as its unit says.

use std::net::SocketAddr;
use std::time::Duration;

use jackfield_native::Native;
use jackfield_relay::{Relay, RelayConfig};
use jackfield_server_tests::LONG;
use jackfield_server_tests::balanced::{TOKEN, echo, replaced};
use jackfield_socket::{Result, TcpConnect as _, TcpOptions};
use jackfield_testing::command_line;
use jackfield_testing::systemd::{self, Machine};
use jackfield_testing::unpacked::is_skipped;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

const SERVICE: &str = include_str!("../../../relayd/packaging/jackfield-relayd.service");
const SOCKET: &str = include_str!("../../../relayd/packaging/jackfield-relayd.socket");
/// Where an administrator changes a unit.
const CHANGE: &str = "/etc/systemd/system/jackfield-relayd.service.d/test.conf";
/// How often a machine is asked how far it is.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// What the relays here are configured with.
const CONFIG: &str = r#"
listen = ["0.0.0.0:443", "[::]:443"]
hosts = ["127.0.0.1"]
allow_without_origin = true
[admin]
socket = "/run/jackfield/admin.sock"
[mint]
socket = "/run/jackfield/mint.sock"
[records]
file = "/var/log/jackfield/records.jsonl"
[drain]
cut_seconds = 3
[[token]]
name = "tests"
secret = "TOKEN"
allow = ["127.0.0.1/32:*"]
[[token]]
name = "app"
signing_key = "the-signing-key-of-all-these-tests"
mint_at_most_seconds = 900
allow = ["127.0.0.1/32:*"]
"#;

fn config() -> String {
    replaced(CONFIG, &[("TOKEN", TOKEN)])
}

/// A machine on which the relay was installed and started, as its unit's first lines say, with this
/// configuration and these changes to the unit. `None` where there can be none.
async fn installed(config: &str, changes: &str) -> Option<Machine> {
    if is_skipped(systemd::NAME) {
        return None;
    }
    let machine = Machine::boot().await.expect("it boots")?;
    let program = command_line::relayd().await.expect("it builds");
    let program = std::fs::read(program).expect("it is there");
    for (name, mode, content) in [
        ("jackfield-relayd", 0o755, &program[..]),
        ("jackfield-relayd.service", 0o644, SERVICE.as_bytes()),
        ("jackfield-relayd.socket", 0o644, SOCKET.as_bytes()),
    ] {
        let written = machine.write(&format!("/opt/{name}"), mode, content);
        written.expect("written");
    }
    machine.write(CHANGE, 0o644, changes).expect("written");
    let lines: Vec<_> = SERVICE
        .lines()
        .filter_map(|line| line.strip_prefix("#   "))
        .collect();
    let begins = lines.iter().position(|line| line.starts_with("systemctl"));
    let (before, after) = lines.split_at(begins.expect("it is started"));
    machine.sh(&format!("cd /opt\n{}", before.join("\n"))).await;
    configure(&machine, config).await;
    machine.sh(&after.join("\n")).await;
    machine.enter_network().expect("it may");
    Some(machine)
}

/// Puts this into the relay's file.
async fn configure(machine: &Machine, config: &str) {
    let file = "/etc/jackfield/relayd.toml";
    machine.write(file, 0o640, config).expect("written");
    machine.sh(&format!("chgrp jackfield {file}")).await;
}

/// What an administrator does and sees.
trait Administered {
    /// What these commands say, which go well.
    async fn sh(&self, script: &str) -> String;
    /// Waits until they say this, and returns all that they say.
    async fn until(&self, script: &str, says: &str) -> String;
    /// A property of the service.
    async fn property(&self, name: &str) -> String;
}

/// All that the relay and systemd have said of the service.
const JOURNAL: &str = "journalctl --no-pager --output=cat --unit=jackfield-relayd.service";

impl Administered for Machine {
    async fn sh(&self, script: &str) -> String {
        match timeout(LONG, self.run(script)).await.expect("in time") {
            Ok(said) => said,
            Err(error) => panic!("{error}: {:?}", self.run(JOURNAL).await),
        }
    }

    async fn until(&self, script: &str, says: &str) -> String {
        let asking = async {
            loop {
                let said = self.sh(script).await;
                if said.contains(says) {
                    return said;
                }
                sleep(LOOK_EVERY).await;
            }
        };
        let Ok(said) = timeout(LONG, asking).await else {
            panic!("no {says} in {}", self.sh(JOURNAL).await);
        };
        said
    }

    async fn property(&self, name: &str) -> String {
        let script = format!("systemctl show --value --property={name} jackfield-relayd.service");
        self.sh(&script).await.trim().to_owned()
    }
}

/// Comes to the relay with this token, opens a stream to what says everything again, and stays until the other end is
/// dropped.
async fn visit(token: &str, echo: SocketAddr, stay: oneshot::Receiver<()>) -> Result<()> {
    let config = RelayConfig::new("ws://127.0.0.1:443/").and_then(|it| it.with_token(token));
    let (relay, connection) = Relay::over(Native, config.expect("a configuration"));
    let visiting = async {
        let mut stream = relay.connect(&echo.into(), &TcpOptions::default()).await?;
        stream.write_all(b"hello").await.expect("open");
        let mut said = [0; 5];
        stream.read_exact(&mut said).await.expect("open");
        assert_eq!(&said, b"hello");
        let _ = stay.await;
        Ok(())
    };
    tokio::select! {
        visited = visiting => visited,
        () = connection => panic!("the session has ended"),
    }
}

/// The same, and leaves at once.
async fn call(machine: &Machine, token: &str, echo: SocketAddr) -> Result<()> {
    let visiting = visit(token, echo, oneshot::channel().1);
    let Ok(visited) = timeout(LONG, visiting).await else {
        panic!("not in time: {}", machine.sh(JOURNAL).await);
    };
    visited
}

#[tokio::test]
async fn the_relay_has_what_it_needs_and_a_restart_refuses_nobody() {
    // The relay's own end takes longer, of which systemd hears.
    let Some(machine) = installed(&config(), "[Service]\nTimeoutStopSec=1\n").await else {
        return;
    };
    let status = machine.property("StatusText").await;
    assert_eq!(status, "listening at 0.0.0.0:443, [::]:443");
    for (name, value) in [("LimitNOFILE", "65536"), ("LimitCORE", "0")] {
        assert_eq!(machine.property(name).await, value, "{name}");
    }
    let files = "/etc/jackfield/relayd.toml /run/jackfield /run/jackfield/* /var/lib/jackfield \
                 /var/log/jackfield /var/log/jackfield/*";
    let seen = machine.sh(&format!("stat -c '%a %U:%G %n' {files}")).await;
    let expected = "640 root:jackfield /etc/jackfield/relayd.toml\n\
                    710 jackfield:jackfield /run/jackfield\n\
                    600 jackfield:jackfield /run/jackfield/admin.sock\n\
                    660 jackfield:jackfield /run/jackfield/mint.sock\n\
                    700 jackfield:jackfield /var/lib/jackfield\n\
                    700 jackfield:jackfield /var/log/jackfield\n\
                    600 jackfield:jackfield /var/log/jackfield/records.jsonl\n";
    assert_eq!(seen, expected);

    // Whom the sockets answer.
    let status = "jackfield-relayd ctl --socket /run/jackfield/admin.sock status";
    machine.until(status, "running").await;
    machine.sh("useradd --system --user-group backend").await;
    let mint = "jackfield-relayd ctl --socket /run/jackfield/mint.sock mint app";
    let backend = "setpriv --reuid=backend --regid=backend";
    let token = machine
        .sh(&format!("{backend} --groups=jackfield {mint}"))
        .await;
    for stranger in [
        format!("{backend} --clear-groups {mint}"),
        format!("{backend} --groups=jackfield {status}"),
    ] {
        machine.run(&stranger).await.expect_err("it may not");
    }
    let echo = echo().await;
    call(&machine, token.trim(), echo).await.expect("let in");
    let records = "cat /var/log/jackfield/records.jsonl";
    machine.until(records, "\"event\":\"close\"").await;

    // Another file is read; a wrong one isn't, and changes nothing.
    configure(
        &machine,
        &replaced(&config(), &[("\"app\"", "\"renamed\"")]),
    )
    .await;
    machine
        .sh("systemctl reload jackfield-relayd.service")
        .await;
    machine.until(JOURNAL, "reloaded the configuration").await;
    call(&machine, token.trim(), echo)
        .await
        .expect_err("there is no such token any more");
    configure(&machine, "listen = 7").await;
    machine
        .sh("systemctl reload jackfield-relayd.service")
        .await;
    machine.until(JOURNAL, "relayd.toml:1:10: listen").await;
    configure(&machine, &config()).await;

    // One stays as long as he may, and others come and go, while the relay is started again.
    let first = machine.property("MainPID").await;
    let (_stays, leave) = oneshot::channel();
    let staying = tokio::spawn(visit(TOKEN, echo, leave));
    machine.until(status, "streams        1").await;
    let mut restarting = Box::pin(machine.sh("systemctl restart jackfield-relayd.service"));
    let mut came = 0;
    loop {
        tokio::select! {
            _ = &mut restarting => break,
            called = call(&machine, TOKEN, echo) => called.expect("let in"),
        }
        came += 1;
    }
    drop(restarting);
    assert!(came > 0);
    call(&machine, TOKEN, echo).await.expect("let in");
    staying.abort();
    assert_ne!(machine.property("MainPID").await, first);
    let said = machine.sh(JOURNAL).await;
    for expected in [
        "some sessions did not end in time and are cut",
        "Deactivated successfully",
    ] {
        assert!(said.contains(expected), "no {expected} in {said}");
    }
    for unexpected in ["timed out", "Killing"] {
        assert!(!said.contains(unexpected), "{unexpected} in {said}");
    }
}

#[tokio::test]
async fn a_relay_that_hangs_is_started_again() {
    let Some(machine) = installed(&config(), "[Service]\nWatchdogSec=1\nTimeoutAbortSec=1\n").await
    else {
        return;
    };
    let echo = echo().await;
    // It says that it lives, more often than it must.
    let mut heard = machine.property("WatchdogTimestampMonotonic").await;
    for _ in 0..4 {
        let before = heard.clone();
        while heard == before {
            sleep(LOOK_EVERY).await;
            heard = machine.property("WatchdogTimestampMonotonic").await;
        }
    }
    assert_eq!(machine.property("NRestarts").await, "0");
    let pid = machine.property("MainPID").await;
    machine.sh(&format!("kill -STOP {pid}")).await;
    // Who comes meanwhile waits for the next one.
    call(&machine, TOKEN, echo).await.expect("let in");
    assert_eq!(machine.property("NRestarts").await, "1");
    machine.until(JOURNAL, "Watchdog timeout").await;
}

#[tokio::test]
async fn a_relay_that_cannot_start_is_tried_until_it_can() {
    let Some(machine) = installed(&config(), "[Service]\nRestartSec=100ms\n").await else {
        return;
    };
    let echo = echo().await;
    // The next one asks where nobody is yet.
    let away = "[[token]]\nname = \"away\"\njwks_url = \"https://127.0.0.1:1/keys\"\n";
    configure(&machine, &format!("{}{away}", config())).await;
    let restart = "systemctl restart jackfield-relayd.service";
    machine.run(restart).await.expect_err("it doesn't start");
    // By default systemd would have given it up by then.
    let restarts = "systemctl show --property=NRestarts jackfield-relayd.service";
    machine.until(restarts, "NRestarts=7").await;
    configure(&machine, &config()).await;
    call(&machine, TOKEN, echo).await.expect("let in");
}

#[tokio::test]
async fn certificates_are_kept_where_the_unit_lets_it_write() {
    let acme = "[tls.acme]\ndomains = [\"localhost\"]\nfolder = \"/var/lib/jackfield/acme\"\n\
                directory = \"https://127.0.0.1:1/dir\"\n[drain]";
    let config = replaced(&config(), &[("[drain]", acme)]);
    let Some(machine) = installed(&config, "").await else {
        return;
    };
    machine.until(JOURNAL, "can't get a certificate").await;
    let seen = machine
        .sh("stat -c '%a %U %n' /var/lib/jackfield/acme/*")
        .await;
    assert_eq!(
        seen,
        "700 jackfield /var/lib/jackfield/acme/127.0.0.1_1_dir\n"
    );
}

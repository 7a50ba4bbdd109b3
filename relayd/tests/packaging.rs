//! What the relay is installed by: the units and the container say what the program understands.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use jackfield_testing::process::find_program;

const PROGRAM: &str = env!("CARGO_BIN_EXE_jackfield-relayd");
/// Where the program is installed.
const INSTALLED: &str = "/usr/bin/jackfield-relayd";

fn file(name: &str) -> (PathBuf, String) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging");
    let path = folder.join(name);
    let text = std::fs::read_to_string(&path).expect(name);
    (path, text)
}

/// The values of a key in a unit, or of an instruction in a Containerfile.
fn values<'a>(text: &'a str, key: &str) -> Vec<&'a str> {
    let of_key = |line: &'a str| line.strip_prefix(key);
    text.lines().filter_map(of_key).collect()
}

/// Whether the program knows these arguments, though the file that they name may not be there.
#[track_caller]
fn is_understood(command: &[&str]) {
    let [program, arguments @ ..] = command else {
        panic!("nothing is run");
    };
    assert_eq!(*program, INSTALLED);
    let output = Command::new(PROGRAM)
        .args(arguments)
        .arg("--check")
        .output();
    let Output { status, stderr, .. } = output.expect("it runs");
    let error = String::from_utf8_lossy(&stderr);
    // What it doesn't know ends it with 2.
    assert!(matches!(status.code(), Some(0 | 1)), "{error}");
    assert!(
        status.success() || error.contains("/etc/jackfield/relayd.toml"),
        "{error}"
    );
}

#[test]
fn the_unit_runs_the_program_as_it_is() {
    let (_, service) = file("jackfield-relayd.service");
    let [start] = values(&service, "ExecStart=")[..] else {
        panic!("it runs one program");
    };
    is_understood(&start.split(' ').collect::<Vec<_>>());
    // It is told by sd_notify, and asked for more than it might get.
    assert_eq!(values(&service, "Type="), ["notify"]);
    let (_, socket) = file("jackfield-relayd.socket");
    let at = values(&socket, "ListenStream=");
    for address in &at {
        address
            .parse::<SocketAddr>()
            .expect("an address as the configuration has it");
    }
    let quoted: Vec<_> = at.iter().map(|address| format!("{address:?}")).collect();
    let listen = format!("#   listen = [{}]", quoted.join(", "));
    assert!(socket.contains(&listen), "{listen}");
}

#[test]
fn the_container_runs_the_program_as_it_is() {
    let (_, container) = file("Containerfile");
    let mut command = Vec::new();
    for part in ["ENTRYPOINT ", "CMD "] {
        let [json] = values(&container, part)[..] else {
            panic!("there is one {part}");
        };
        command.extend(serde_json::from_str::<Vec<String>>(json).expect("an array of strings"));
    }
    is_understood(&command.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(values(&container, "USER "), ["65532:65532"]);
    assert_eq!(values(&container, "STOPSIGNAL "), ["SIGTERM"]);
}

/// By systemd's own judgement, where it is installed.
#[test]
fn systemd_knows_every_line_and_finds_little_exposed() {
    let Some(analyze) = find_program("systemd-analyze") else {
        eprintln!("systemd is not installed: nobody to ask");
        return;
    };
    let directory = tempfile::tempdir().expect("a directory");
    let units = ["jackfield-relayd.socket", "jackfield-relayd.service"].map(|name| {
        let (_, text) = file(name);
        let path = directory.path().join(name);
        // It looks whether the program is there.
        std::fs::write(&path, text.replace(INSTALLED, PROGRAM)).expect("written");
        path
    });
    let run = |command: &mut Command| {
        let output = command.output().expect("it runs");
        let text = [output.stdout, output.stderr].concat();
        (
            output.status.success(),
            String::from_utf8_lossy(&text).into_owned(),
        )
    };
    let (good, said) = run(Command::new(&analyze)
        .args(["verify", "--man=no"])
        .args(&units));
    assert!(good && said.is_empty(), "{said}");
    // Of 10: tenths of points are for having a network at all. 1.4 when this was written.
    let mut judging = Command::new(&analyze);
    judging.args(["security", "--no-pager", "--offline=true", "--threshold=15"]);
    let (good, said) = run(judging.arg(&units[1]));
    assert!(good, "{said}");
}

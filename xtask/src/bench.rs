//! `cargo xtask bench`: measures, and writes `docs/benchmarks.md`.

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};

use crate::needs::{self, DOVECOT, LIBCOAP, MOSQUITTO, NGINX, NODE_SERVERS, Need, POSTFIX};
use crate::run::{cargo, command, quietly};
use crate::web;
use crate::workspace::{root, target_folder, target_folder_of};

const MANIFEST: &str = "benches/Cargo.toml";

/// The peers, pinned. Some are under the LGPL or the AGPL: they are installed in the target folder when they are
/// measured, run as processes of their own, and are part of nothing that ships.
const NPM_PEERS: &[&str] = &[
    "@mercuryworkshop/wisp-js@0.5.0",
    "@mercuryworkshop/epoxy-tls@2.1.19-1",
    "libcurl.js@0.7.4",
    "mqtt@5.16.0",
    "nodemailer@10.6.1",
    "imapflow@2.10.2",
];
const PYTHON_PEERS: &[&str] = &[
    "wisp-python==0.9.0",
    "websockify==0.13.0",
    "paho-mqtt==2.1.0",
];
/// Built from the registry, without what only matters beside a relay: ACME, and the system's roots.
const PENGUIN: &[&str] = &[
    "install",
    "rusty-penguin",
    "--version=0.8.4",
    "--locked",
    "--no-default-features",
    "--features=client,server,rustls-webpki-roots,ring",
];
/// The features of `jackfield-page-size`, each a client without TLS or a backend.
const CLIENTS: &[&str] = &[
    "imap",
    "imap-compress",
    "smtp",
    "smtp-pool",
    "imap,smtp",
    "mail",
];

/// The entries of the package that are measured in a page.
const ENTRIES: &[&str] = &["mqtt", "mqtt-websocket", "sockets"];

/// A browser for the page; what the peers run on.
const NEEDS: &[Need] = &[
    Need::Chromium,
    Need::Program("node", "nodejs"),
    Need::Program("npm", "npm"),
    Need::Program("python3", "python3-venv"),
    // Counts instructions.
    Need::Program("valgrind", "valgrind"),
    LIBCOAP,
    MOSQUITTO,
    DOVECOT,
    // Synchronises mailboxes with folders.
    Need::Program("mbsync", "isync"),
    POSTFIX,
    NGINX,
    NODE_SERVERS,
    Need::PythonPackages,
];

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Measure only this (socket, irc, mqtt, coap, imap, smtp, page, size, relay, or a part as mqtt-codec) and print it, instead of writing the page
    only: Option<String>,
    /// Put what is measured alone into the page, in the place of what was measured before
    #[arg(long, requires = "only")]
    out: bool,
    /// Measure this earlier commit too, group by group
    #[arg(long, value_name = "COMMIT")]
    before: Option<String>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    println!("preparing what is measured");
    needs::ensure(needs::PAGE)?;
    needs::ensure(NEEDS)?;
    quietly(
        "building the relay",
        &mut cargo(&["build", "--release", "--package=jackfield-relayd"]),
    )?;
    quietly(
        "building the benchmarks",
        &mut cargo(&["build", "--release", "--manifest-path", MANIFEST]),
    )?;
    let peers = target_folder()?.join("bench-peers");
    let python = install_peers(&peers)?;
    let penguin = install_penguin(&peers)?;
    let before = arguments.before.as_deref().map(build_earlier).transpose()?;
    let pages = target_folder()?.join("bench-web");
    let only = arguments.only.as_deref();
    if only.is_none_or(|only| only.starts_with("page") || only == "mqtt" || only == "mqtt-download")
    {
        build_entries(&pages)?;
    }
    if only.is_none_or(|only| only == "size") {
        build_clients(&pages)?;
    }

    println!("measuring: some forty minutes, in which the machine should do nothing else");
    let mut bench = cargo(&["run", "--release", "--quiet", "--manifest-path", MANIFEST]);
    bench
        .env(
            "JACKFIELD_RELAYD",
            target_folder()?.join("release/jackfield-relayd"),
        )
        .env("JACKFIELD_BENCH_NPM", &peers)
        .env("JACKFIELD_BENCH_PYTHON", &python)
        .env("JACKFIELD_BENCH_PENGUIN", &penguin)
        .env("JACKFIELD_BENCH_WEB", &pages)
        // In memory: mailboxes of 50,000 files are made there, and copied.
        .env("TMPDIR", "/dev/shm")
        .envs(before.map(|binary| ("JACKFIELD_BENCH_BEFORE", binary)))
        .arg("--");
    let page = root().join("docs/benchmarks.md");
    let writes = arguments.out || arguments.only.is_none();
    if writes {
        bench.arg("--out").arg(&page);
    }
    bench.args(&arguments.only);
    // It says what it measures as it goes.
    let status = bench.status()?;
    ensure!(status.success(), "the benchmarks ended with {status}");
    if writes {
        println!("written to {}", page.display());
    }
    Ok(())
}

/// Builds the benchmarks of an earlier commit, in a folder of its own; gives the binary.
fn build_earlier(commit: &str) -> Result<PathBuf> {
    let folder = target_folder()?.join("bench-before");
    let at = folder.to_string_lossy();
    // What is built already stays.
    let mut check_out = if folder.exists() {
        command("git", &["-C", &at, "checkout", "--detach", commit])
    } else {
        command("git", &["worktree", "add", "--detach", &at, commit])
    };
    quietly("checking out the earlier commit", &mut check_out)?;
    // It looks for what its peers run on below itself.
    let own = target_folder_of(&folder.join("Cargo.toml").to_string_lossy())?;
    std::fs::create_dir_all(&own)?;
    for peers in ["node", "python"] {
        if !own.join(peers).exists() {
            std::os::unix::fs::symlink(target_folder()?.join(peers), own.join(peers))?;
        }
    }
    let manifest = folder.join(MANIFEST);
    let mut build = cargo(&["build", "--release", "--manifest-path"]);
    let target = folder.join("built");
    build.arg(&manifest).env("CARGO_TARGET_DIR", &target);
    quietly("building its benchmarks", &mut build)?;
    Ok(target.join("release/jackfield-benches"))
}

/// Puts what a page downloads that imports an entry of the npm package into a folder: one script, as a bundler
/// makes it, and in `wasm` the module.
fn build_entries(to: &Path) -> Result<()> {
    let package = to.join("package");
    web::package(web::SHIPPED, ENTRIES, &package)?;
    for entry in ENTRIES {
        let script = package.join(entry).with_extension("js");
        web::bundle_scripts(&script, &to.join(format!("{entry}.js")))?;
        let module = format!("wasm/{entry}_bg.wasm");
        web::copy(&package.join(&module), &to.join("wasm"))?;
    }
    Ok(())
}

/// Builds each client alone, as a module for a page, in a folder with its features' names.
fn build_clients(to: &Path) -> Result<()> {
    for features in CLIENTS {
        let module = web::compile("jackfield-page-size", web::SHIPPED, features)?;
        let to = to.join(features);
        web::bind(&module, &to)?;
        web::order(&to.join("jackfield_page_size_bg.wasm"))?;
    }
    Ok(())
}

/// Installs the peers in this folder; gives the Python environment's.
fn install_peers(peers: &Path) -> Result<PathBuf> {
    std::fs::create_dir_all(peers)?;
    // Without a package.json of its own, npm would look for one further up.
    std::fs::write(peers.join("package.json"), "{\"private\":true}\n")?;
    let mut npm = command("npm", &["install", "--no-audit", "--no-fund"]);
    quietly(
        "installing peers from npm",
        npm.args(NPM_PEERS).current_dir(peers),
    )?;

    let python = peers.join("python");
    let folder = python.to_string_lossy();
    quietly(
        "making a Python environment",
        &mut command("python3", &["-m", "venv", &folder]),
    )?;
    let pip = python.join("bin/pip");
    let mut install = command(&pip.to_string_lossy(), &["install", "--quiet"]);
    quietly("installing peers from PyPI", install.args(PYTHON_PEERS))?;
    Ok(python)
}

/// Builds rusty-penguin below this folder, which does nothing where this version is there; gives its binary.
fn install_penguin(peers: &Path) -> Result<PathBuf> {
    let root = peers.join("penguin");
    let binary = root.join("bin/penguin");
    let mut install = cargo(PENGUIN);
    install.arg("--root").arg(&root);
    quietly("building rusty-penguin", &mut install)?;
    Ok(binary)
}

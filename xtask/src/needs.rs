//! Needs of a verb besides cargo: a target, programs. They are installed where that is possible
//! without asking, else named together with the command to type.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Once;

use anyhow::{Result, anyhow, bail};

use crate::run::{captured, command, quietly, read};
use crate::workspace::{WASM, root, target_folder};

/// Something that must be there.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Need {
    /// The compiler's WebAssembly target.
    WasmTarget,
    /// A program, and Debian's package that has it.
    Program(&'static str, &'static str),
    /// The browser that the tests drive.
    Chromium,
    /// The npm packages that a folder's lists name, in a folder of their own in the target folder.
    NodePackages {
        lists: &'static str,
        to: &'static str,
    },
    /// Those of `tests/support/python`, in the target folder's `python`.
    PythonPackages,
    /// Packages of a suite of Debian, with all that they depend on, in a root of this name in the target
    /// folder's `roots`: what can't be installed beside others, or not on this machine.
    Unpacked {
        name: &'static str,
        suite: &'static str,
        packages: &'static [&'static str],
    },
}

/// ring's C code is compiled for WebAssembly by clang; gcc can't.
pub(crate) const CLANG: Need = Need::Program("clang", "clang");
/// An IRC server with everything modern but services.
pub(crate) const INSPIRCD: Need = Need::Program("inspircd", "inspircd");
/// The services that give inspircd SASL.
pub(crate) const ATHEME: Need = Need::Program("atheme-services", "atheme-services");
/// An IRC server with nothing modern.
pub(crate) const NGIRCD: Need = Need::Program("ngircd", "ngircd");
/// An MQTT broker.
pub(crate) const MOSQUITTO: Need = Need::Program("mosquitto", "mosquitto");
/// An IMAP server.
pub(crate) const DOVECOT: Need = Need::Program("dovecot", "dovecot-imapd");
/// A CoAP server.
pub(crate) const LIBCOAP: Need = Need::Program("coap-server-openssl", "libcoap3-bin");
/// Sets up the interfaces of a network namespace.
pub(crate) const IP: Need = Need::Program("ip", "iproute2");
/// A foreign client for listeners.
pub(crate) const CURL: Need = Need::Program("curl", "curl");
/// libFuzzer is C++.
pub(crate) const CXX: Need = Need::Program("c++", "g++");
/// The Chromium that the tests were last run with. One of some versions earlier lets nobody grant an
/// Isolated Web App what it needs for a server on the same machine.
const CHROMIUM_VERSION: u32 = 156;

/// A mail server that can be made to end a message where it does not: as a package, it conflicts with every
/// other one.
pub(crate) const POSTFIX: Need = Need::Unpacked {
    name: "postfix",
    suite: "bookworm",
    packages: &["postfix"],
};

/// A mail server with nearly all extensions, and a login.
pub(crate) const EXIM: Need = Need::Unpacked {
    name: "exim",
    suite: "bookworm",
    packages: &["exim4-daemon-light"],
};
/// A mail server without pipelining. What it delivers by is a shell.
pub(crate) const OPENSMTPD: Need = Need::Unpacked {
    name: "opensmtpd",
    suite: "bookworm",
    packages: &["opensmtpd", "dash"],
};
/// The OpenSMTPD whose TLS works.
pub(crate) const OPENSMTPD_7: Need = Need::Unpacked {
    name: "opensmtpd-7",
    suite: "trixie",
    packages: &["opensmtpd", "dash"],
};
/// The mail server with DELIVERBY, what its configuration is compiled with, and whom it lets in. What it
/// delivers by is a shell.
pub(crate) const SENDMAIL: Need = Need::Unpacked {
    name: "sendmail",
    suite: "bookworm",
    packages: &[
        "sendmail-bin",
        "sendmail-cf",
        "m4",
        "sed",
        "dash",
        "coreutils",
        "sasl2-bin",
        "libsasl2-modules",
    ],
};
/// The Exim that says how much it takes.
pub(crate) const EXIM_SID: Need = Need::Unpacked {
    name: "exim-sid",
    suite: SID,
    packages: &["exim4-daemon-light"],
};
/// The Postfix that has REQUIRETLS.
pub(crate) const POSTFIX_SID: Need = Need::Unpacked {
    name: "postfix-sid",
    suite: SID,
    packages: &["postfix"],
};
/// The suite that changes every day.
const SID: &str = "sid";

/// The IMAP server with the most extensions.
pub(crate) const CYRUS: Need = Need::Unpacked {
    name: "cyrus",
    suite: "trixie",
    packages: &["cyrus-imapd", "sasl2-bin", "libsasl2-modules"],
};
/// The Dovecot of Debian's next suite, which is configured in another language.
pub(crate) const DOVECOT_24: Need = Need::Unpacked {
    name: "dovecot-2.4",
    suite: "trixie",
    packages: &["dovecot-imapd"],
};
/// The IMAP server with the fewest extensions.
pub(crate) const COURIER: Need = Need::Unpacked {
    name: "courier",
    suite: "bookworm",
    packages: &["courier-imap", "dash", "coreutils", "sed", "grep"],
};

/// A database that clients for `connect()` of JavaScript speak with.
pub(crate) const REDIS: Need = Need::Unpacked {
    name: "redis",
    suite: "bookworm",
    packages: &["redis-server"],
};
/// Another one, which begins TLS after a question. What makes its database is a shell.
pub(crate) const POSTGRESQL: Need = Need::Unpacked {
    name: "postgresql",
    suite: "bookworm",
    packages: &["postgresql-15", "dash", "coreutils"],
};

/// Servers and clients in JavaScript, and the compiler of TypeScript.
pub(crate) const NODE_SERVERS: Need = Need::NodePackages {
    lists: "tests/support/node",
    to: NODE_SERVERS_FOLDER,
};
/// Where they are installed, in the target folder.
pub(crate) const NODE_SERVERS_FOLDER: &str = "node";
/// Where `PAGE_PACKAGES` are installed, in the target folder.
pub(crate) const PAGE_PACKAGES_FOLDER: &str = "npm";
/// What the pages take from npm.
const PAGE_PACKAGES: Need = Need::NodePackages {
    lists: "examples/npm",
    to: PAGE_PACKAGES_FOLDER,
};

/// What a page is built with.
pub(crate) const PAGE: &[Need] = &[Need::WasmTarget, CLANG, PAGE_PACKAGES];

/// A web server with TLS and HTTP/2.
pub(crate) const NGINX: Need = Need::Unpacked {
    name: "nginx",
    suite: "bookworm",
    packages: &["nginx"],
};

/// A load balancer.
pub(crate) const HAPROXY: Need = Need::Unpacked {
    name: "haproxy",
    suite: "bookworm",
    packages: &["haproxy"],
};

/// A certificate authority that speaks ACME.
pub(crate) const PEBBLE: Need = Need::Unpacked {
    name: "pebble",
    suite: "bookworm",
    packages: &["pebble"],
};

/// What runs services on most machines, in a root that it can be booted in, with the programs that the unit's
/// installation takes.
pub(crate) const SYSTEMD: Need = Need::Unpacked {
    name: "systemd",
    suite: "bookworm",
    packages: &[
        "systemd",
        "dash",
        "coreutils",
        "passwd",
        "procps",
        "util-linux",
    ],
};

/// Sees to it that everything is there.
///
/// # Errors
/// The first thing that is not and could not be installed, with what to type.
pub(crate) fn ensure(needs: &[Need]) -> Result<()> {
    needs.iter().try_for_each(ensure_one)
}

/// The same for one thing.
///
/// # Errors
/// As [`ensure`].
pub(crate) fn ensure_one(need: &Need) -> Result<()> {
    match *need {
        Need::WasmTarget => wasm_target(),
        Need::Program(program, _) if is_installed(program) => Ok(()),
        Need::Program(program, package) => install(program, package),
        Need::Chromium => chromium(),
        Need::NodePackages { lists, to } => node_packages(lists, to),
        Need::PythonPackages => python_packages(),
        Need::Unpacked {
            name,
            suite,
            packages,
        } => unpacked(name, suite, packages),
    }
}

/// Whether a program can be found.
pub(crate) fn is_installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // Servers live where only root's path leads.
    std::env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/usr/local/sbin".into()])
        .any(|folder| folder.join(program).is_file())
}

fn wasm_target() -> Result<()> {
    let libraries = read(&mut command(
        "rustc",
        &["--print", "target-libdir", "--target", WASM],
    ))?;
    if Path::new(libraries.trim()).is_dir() {
        return Ok(());
    }
    if !is_installed("rustup") {
        bail!(
            "the compiler has no target {WASM}: install it, with rustup by\n\n    rustup target add {WASM}\n"
        );
    }
    quietly(
        "adding the WebAssembly target",
        &mut command("rustup", &["target", "add", WASM]),
    )
}

fn install(program: &str, package: &str) -> Result<()> {
    install_package(package)
        .map_err(|error| error.context(format!("{program} is not installed")))?;
    if is_installed(program) {
        Ok(())
    } else {
        bail!("the package {package} has no program {program}")
    }
}

fn install_package(package: &str) -> Result<()> {
    static UPDATED: Once = Once::new();
    let by_hand = || anyhow!("on Debian or Ubuntu, type\n\n    sudo apt-get install {package}\n");
    if !is_installed("apt-get") || !is_root() {
        return Err(by_hand());
    }
    // A list that came with the machine names packages that are old, or gone. Where it can't be
    // updated, it may still do.
    UPDATED.call_once(|| {
        let _ = quietly("updating the list of packages", &mut apt(&["update"]));
    });
    let _quiet = NoDaemons::new()?;
    let mut install = apt(&["install", "-y", "--no-install-recommends", package]);
    quietly(&format!("installing {package}"), &mut install)
        .map_err(|error| error.context(by_hand()))
}

fn chromium() -> Result<()> {
    let is_new_enough = |version: Option<u32>| version.is_some_and(|it| it >= CHROMIUM_VERSION);
    if is_new_enough(chromium_version()) {
        return Ok(());
    }
    install_package("chromium")
        .map_err(|error| error.context(format!("there is no Chromium {CHROMIUM_VERSION}")))?;
    match chromium_version() {
        version if is_new_enough(version) => Ok(()),
        Some(version) => bail!("the tests need Chromium {CHROMIUM_VERSION}, and this is {version}"),
        None => bail!("the package chromium has no program chromium"),
    }
}

/// The first number of `Chromium 156.0.8078.73 built on …`.
fn chromium_version() -> Option<u32> {
    let told = read(&mut command("chromium", &["--version"])).ok()?;
    told.split([' ', '.']).nth(1)?.parse().ok()
}

/// Packages at the versions of a list that stands in the repository.
fn node_packages(lists: &str, to: &str) -> Result<()> {
    const LISTS: [&str; 2] = ["package.json", "package-lock.json"];
    let (from, to) = (root().join(lists), target_folder()?.join(to));
    let current = to.join("node_modules").is_dir()
        && LISTS
            .iter()
            .all(|list| same(&from.join(list), &to.join(list)));
    for program in ["node", "npm"] {
        if !is_installed(program) {
            install(program, if program == "node" { "nodejs" } else { "npm" })?;
        }
    }
    if current {
        return Ok(());
    }
    // What a broken installation leaves has no list beside it: the list is copied here, and taken
    // away again when npm fails.
    fs::create_dir_all(&to)?;
    for list in LISTS {
        fs::copy(from.join(list), to.join(list))?;
    }
    let mut npm = command(
        "npm",
        &["ci", "--ignore-scripts", "--no-audit", "--no-fund"],
    );
    let installed = quietly("installing JavaScript packages", npm.current_dir(&to));
    if installed.is_err() {
        fs::remove_file(to.join(LISTS[1]))?;
    }
    installed
}

/// Servers and clients in Python, at the versions of a list that stands in the repository.
fn python_packages() -> Result<()> {
    const LIST: &str = "requirements.txt";
    let from = root().join("tests/support/python").join(LIST);
    let to = target_folder()?.join("python");
    if same(&from, &to.join(LIST)) {
        return Ok(());
    }
    let make = || {
        let folder = to.display().to_string();
        captured(
            "making a Python environment",
            &mut command("python3", &["-m", "venv", "--clear", &folder]),
        )
    };
    // Debian has Python without what a virtual environment needs, and Python itself may be missing.
    if !make().is_ok_and(|made| made.status.success()) {
        install_package("python3-venv")?;
        let made = make()?;
        if !made.status.success() {
            bail!("{}", made.output);
        }
    }
    let pip = to.join("bin/pip").display().to_string();
    let list = from.display().to_string();
    quietly(
        "installing Python packages",
        &mut command(&pip, &["install", "--quiet", "--requirement", &list]),
    )?;
    fs::copy(&from, to.join(LIST))?;
    Ok(())
}

/// Packages in a root of their own; once, until their list or the script that unpacks them is another one.
fn unpacked(name: &str, suite: &str, packages: &[&str]) -> Result<()> {
    let script = root().join("tests/support/unpack.sh");
    let to = target_folder()?.join("roots").join(name);
    let recipe = format!(
        "{suite} {}\n{}",
        packages.join(" "),
        fs::read_to_string(&script)?
    );
    let mark = to.join("recipe");
    if fs::read_to_string(&mark).is_ok_and(|it| it == recipe) {
        return Ok(());
    }
    if !is_installed("apt-get") || !is_root() {
        bail!("{name} is unpacked from Debian's packages, by root: run this as root, on Debian");
    }
    let (script, folder) = (script.display().to_string(), to.display().to_string());
    let arguments = [&[&*script, suite, &*folder], packages].concat();
    quietly(&format!("unpacking {name}"), &mut command("sh", &arguments))?;
    fs::write(mark, recipe)?;
    Ok(())
}

/// Whether two files hold the same.
fn same(one: &Path, other: &Path) -> bool {
    matches!((fs::read(one), fs::read(other)), (Ok(one), Ok(other)) if one == other)
}

fn apt(arguments: &[&str]) -> Command {
    let mut apt = command("apt-get", arguments);
    apt.env("DEBIAN_FRONTEND", "noninteractive");
    apt
}

fn is_root() -> bool {
    read(&mut command("id", &["-u"])).is_ok_and(|id| id.trim() == "0")
}

/// Debian starts a server when it installs it, unless this file says no; ours are started by the
/// tests, on ports of their own.
struct NoDaemons {
    ours: bool,
}

impl NoDaemons {
    const POLICY: &str = "/usr/sbin/policy-rc.d";

    fn new() -> Result<Self> {
        let ours = !Path::new(Self::POLICY).exists();
        if ours {
            fs::write(Self::POLICY, "#!/bin/sh\nexit 101\n")?;
            read(&mut command("chmod", &["755", Self::POLICY]))?;
        }
        Ok(Self { ours })
    }
}

impl Drop for NoDaemons {
    fn drop(&mut self) {
        if self.ours {
            // If it stays, servers are not started on installation: no harm worth a panic.
            let _ = fs::remove_file(Self::POLICY);
        }
    }
}

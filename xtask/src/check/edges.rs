//! Edges between crates: the rules that keep the three rings apart. Where a crate stands says
//! which ring it belongs to.
//!
//! ```text
//! client → socket            a core or client knows no backend, and no runtime
//! backend → socket           a backend knows no protocol
//! relay server → relay-wire
//! web → clients, direct, relay; nothing in a page needs an operating system
//! ```

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, bail};

use crate::run::{cargo, read};
use crate::workspace::{Package, WASM, packages};

/// What a crate is to the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ring {
    /// Below protocols; knows no backend either.
    Foundation,
    /// A protocol: its codec, core and client.
    Protocol,
    /// What stands around protocols and is none: messages, and a server of several. It knows no
    /// backend either.
    Around,
    /// A backend of the socket API.
    Backend,
    /// The relay's server.
    RelayServer,
    /// What a page loads first.
    Page,
    /// The name that gathers the others.
    Facade,
    /// Programs, tests and tools: they may depend on anything, and nothing may on them.
    Outside,
}

impl Ring {
    /// The ring of a package, by its folder.
    pub(super) fn of(folder: &str) -> Self {
        let parts: Vec<&str> = folder.split('/').collect();
        match parts[..] {
            ["protocols", "mail" | "mail-server"] => Self::Around,
            // The second proves what a protocol needs, and is held to the same rules.
            ["protocols", ..] | ["tests", "finger"] => Self::Protocol,
            ["socket-api", "backends", ..] => Self::Backend,
            ["socket-api", ..] => Self::Foundation,
            ["relayd"] => Self::RelayServer,
            ["web"] => Self::Page,
            [""] => Self::Facade,
            _ => Self::Outside,
        }
    }
}

/// The ring of each package of the workspace, by its name.
pub(super) type Rings = BTreeMap<String, Ring>;

pub(super) fn rings(packages: &[Package]) -> Rings {
    let ring = |package: &Package| (package.name.clone(), Ring::of(&package.folder));
    packages.iter().map(ring).collect()
}

/// What has no business in a page: they ask the operating system for sockets.
const SYSTEM: &[&str] = &["mio", "socket2", "signal-hook-registry"];
/// What tokio may be asked for where no operating system is; the last are its own helpers.
const TOKIO_ANYWHERE: &[&str] = &[
    "default",
    "sync",
    "macros",
    "io-util",
    "bytes",
    "tokio-macros",
];
/// What tokio may be asked for by a core or a client, natively: timers as well, never sockets or
/// a runtime.
const TOKIO_TIMERS: &[&str] = &["time"];

/// What a WebSocket's library names of tokio's sockets, natively. It would resolve names with them
/// if it were asked to connect by itself; ours gives it a stream.
const TOKIO_NAMED: (&str, &[&str]) = ("jackfield-websocket", &["net", "libc", "mio", "socket2"]);

/// Where a graph is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Target {
    Native,
    Browser,
}

/// A package and the features it is built with.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Dependency {
    name: String,
    features: Vec<String>,
}

/// Checks every package of the workspace that has a rule.
pub(super) fn check() -> Result<()> {
    let rings = rings(&packages("Cargo.toml")?);
    let loaded = in_a_page(&rings)?;
    let mut broken = Vec::new();
    for (package, &ring) in &rings {
        if ![Ring::Outside, Ring::Facade].contains(&ring) {
            let graph = graph(package, Target::Native)?;
            broken.extend(violations(package, Target::Native, &graph, &rings));
        }
        if loaded.contains(package) {
            let graph = graph(package, Target::Browser)?;
            broken.extend(violations(package, Target::Browser, &graph, &rings));
        }
    }
    if broken.is_empty() {
        return Ok(());
    }
    bail!("forbidden dependencies:\n  {}", broken.join("\n  "))
}

/// The packages of the workspace that a page loads, what it loads first among them.
pub(super) fn in_a_page(rings: &Rings) -> Result<BTreeSet<String>> {
    let mut loaded = BTreeSet::new();
    for (package, _) in rings.iter().filter(|(_, ring)| **ring == Ring::Page) {
        loaded.extend(ours(package, &graph(package, Target::Browser)?, rings));
    }
    Ok(loaded)
}

/// A package, and those of the workspace in its graph.
fn ours(package: &str, graph: &BTreeSet<Dependency>, rings: &Rings) -> BTreeSet<String> {
    let names = graph.iter().map(|dependency| dependency.name.clone());
    let mut ours: BTreeSet<String> = names.filter(|name| rings.contains_key(name)).collect();
    ours.insert(package.to_owned());
    ours
}

/// Everything that a package is built with, itself left out. Cargo's metadata joins the features
/// that any package of the workspace asks for; its tree tells those of this package alone.
fn graph(package: &str, target: Target) -> Result<BTreeSet<Dependency>> {
    let mut tree = cargo(&[
        "tree",
        "--edges=normal",
        "--prefix=none",
        "--no-dedupe",
        "--format={p}|{f}",
        "--package",
        package,
    ]);
    if target == Target::Browser {
        tree.args(["--target", WASM]);
    }
    Ok(parse(&read(&mut tree)?))
}

/// Lines such as `tokio v1.54.0|bytes,default,io-util`; the first is the package itself.
fn parse(tree: &str) -> BTreeSet<Dependency> {
    tree.lines()
        .skip(1)
        .filter_map(|line| {
            let (package, features) = line.split_once('|')?;
            Some(Dependency {
                name: package.split(' ').next()?.to_owned(),
                features: features
                    .split(',')
                    .filter(|feature| !feature.is_empty())
                    .map(str::to_owned)
                    .collect(),
            })
        })
        .collect()
}

/// The rules.
fn violations(
    package: &str,
    target: Target,
    graph: &BTreeSet<Dependency>,
    rings: &Rings,
) -> Vec<String> {
    let ring = rings.get(package).copied().unwrap_or(Ring::Outside);
    let below = ring == Ring::Foundation;
    let core = below || matches!(ring, Ring::Protocol | Ring::Around);
    let backend = ring == Ring::Backend;
    let mut broken = Vec::new();
    for dependency in graph {
        let name = dependency.name.as_str();
        let to = rings.get(name).copied();
        let mut forbid = |why: &str| broken.push(format!("{package} → {name}: {why}"));
        match to {
            Some(Ring::Backend) if core => forbid("a core or client knows no backend"),
            Some(Ring::Backend) if backend => forbid("a backend stands alone"),
            Some(Ring::Protocol | Ring::Around)
                if backend || below || ring == Ring::RelayServer =>
            {
                forbid("only clients know a protocol");
            }
            Some(Ring::Outside | Ring::Page | Ring::Facade | Ring::RelayServer) => {
                forbid("nothing in the rings stands on what is outside of them");
            }
            _ => {}
        }
        if target == Target::Browser && SYSTEM.contains(&name) {
            forbid("there is no operating system in a page");
        }
        if name == "tokio" && (core || target == Target::Browser) {
            let timers = if target == Target::Native {
                TOKIO_TIMERS
            } else {
                &[]
            };
            for feature in &dependency.features {
                let feature = feature.as_str();
                let named = target == Target::Native
                    && package == TOKIO_NAMED.0
                    && TOKIO_NAMED.1.contains(&feature);
                if !TOKIO_ANYWHERE.contains(&feature) && !timers.contains(&feature) && !named {
                    forbid(&format!(
                        "tokio's feature `{feature}` binds it to a runtime"
                    ));
                }
            }
        }
    }
    broken
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A workspace of today's shape, with a protocol that does not exist.
    fn made_up() -> Rings {
        let package = |folder: &&str| Package {
            name: format!(
                "jackfield-{}",
                folder.rsplit('/').next().unwrap_or_default()
            ),
            folder: (*folder).to_owned(),
            ..Package::default()
        };
        let folders = [
            "protocols/irc",
            "protocols/coap",
            "protocols/gopher",
            "protocols/mail",
            "socket-api/socket",
            "socket-api/client",
            "socket-api/relay-wire",
            "socket-api/store",
            "socket-api/tls",
            "socket-api/websocket",
            "socket-api/backends/native",
            "socket-api/backends/direct",
            "socket-api/backends/relay",
            "relayd",
            "web",
            "cli",
            "tests/support",
        ];
        rings(&folders.iter().map(package).collect::<Vec<_>>())
    }

    fn broken(package: &str, target: Target, tree: &str) -> Vec<String> {
        let graph = parse(&format!("{package} v0.1.0|\n{tree}"));
        violations(package, target, &graph, &made_up())
    }

    #[test]
    fn a_crate_is_what_it_stands_among() {
        for (folder, ring) in [
            ("protocols/gopher", Ring::Protocol),
            ("tests/finger", Ring::Protocol),
            ("protocols/mail", Ring::Around),
            ("protocols/mail-server", Ring::Around),
            ("socket-api/backends/pigeon", Ring::Backend),
            ("socket-api/serial", Ring::Foundation),
            ("relayd", Ring::RelayServer),
            ("web", Ring::Page),
            ("", Ring::Facade),
            ("cli", Ring::Outside),
            ("tests/web", Ring::Outside),
            ("examples/demo", Ring::Outside),
        ] {
            assert_eq!(Ring::of(folder), ring, "{folder}");
        }
    }

    #[test]
    fn what_a_page_loads_is_found() {
        let page = "jackfield-irc v0.1.0|\njackfield-direct v0.1.0|\ntokio v1.54.0|sync";
        let graph = parse(&format!("jackfield-web v0.1.0|\n{page}"));
        let ours = ours("jackfield-web", &graph, &made_up());
        let ours: Vec<_> = ours.iter().map(String::as_str).collect();
        assert_eq!(ours, ["jackfield-direct", "jackfield-irc", "jackfield-web"]);
    }

    #[test]
    fn what_the_design_allows_passes() {
        use Target::{Browser, Native};
        for (package, target, tree) in [
            (
                "jackfield-irc",
                Native,
                "jackfield-socket v0.1.0|\ntokio v1.54.0|bytes,default,io-util,sync,time",
            ),
            (
                "jackfield-native",
                Native,
                "jackfield-socket v0.1.0|\ntokio v1.54.0|net,rt,time\nmio v1.1.0|net",
            ),
            (
                "jackfield-websocket",
                Native,
                "jackfield-socket v0.1.0|\ntokio v1.54.0|io-util,net,time",
            ),
            ("jackfield-relayd", Native, "jackfield-native v0.1.0|"),
            (
                "jackfield-web",
                Browser,
                "jackfield-irc v0.1.0|\njackfield-direct v0.1.0|\ntokio v1.54.0|io-util,sync",
            ),
        ] {
            let found = broken(package, target, tree);
            assert!(found.is_empty(), "{found:?}");
        }
    }

    #[test]
    fn each_forbidden_edge_is_found() {
        use Target::{Browser, Native};
        for (package, target, tree) in [
            ("jackfield-irc", Native, "jackfield-native v0.1.0|"),
            ("jackfield-irc", Native, "tokio v1.54.0|net"),
            ("jackfield-irc", Native, "tokio v1.54.0|rt"),
            ("jackfield-gopher", Native, "jackfield-native v0.1.0|"),
            ("jackfield-gopher", Native, "tokio v1.54.0|net"),
            ("jackfield-gopher", Native, "jackfield-support v0.1.0|"),
            ("jackfield-gopher", Native, "jackfield-relayd v0.1.0|"),
            ("jackfield-mail", Native, "jackfield-native v0.1.0|"),
            ("jackfield-mail", Native, "tokio v1.54.0|rt"),
            ("jackfield-tls", Native, "jackfield-mail v0.1.0|"),
            ("jackfield-tls", Native, "tokio v1.54.0|rt-multi-thread"),
            ("jackfield-client", Native, "tokio v1.54.0|net"),
            ("jackfield-websocket", Native, "tokio v1.54.0|rt"),
            ("jackfield-store", Native, "jackfield-coap v0.1.0|"),
            ("jackfield-relay-wire", Native, "tokio v1.54.0|net"),
            ("jackfield-websocket", Native, "jackfield-native v0.1.0|"),
            ("jackfield-relay-wire", Native, "jackfield-irc v0.1.0|"),
            ("jackfield-native", Native, "jackfield-gopher v0.1.0|"),
            ("jackfield-native", Native, "jackfield-irc v0.1.0|"),
            ("jackfield-relay", Native, "jackfield-native v0.1.0|"),
            ("jackfield-relayd", Native, "jackfield-irc v0.1.0|"),
            ("jackfield-web", Browser, "mio v1.1.0|"),
            ("jackfield-web", Browser, "jackfield-cli v0.1.0|"),
            ("jackfield-web", Browser, "tokio v1.54.0|time"),
            ("jackfield-coap", Browser, "tokio v1.54.0|rt"),
        ] {
            let found = broken(package, target, tree);
            assert_eq!(found.len(), 1, "{package} with {tree}: {found:?}");
        }
    }

    #[test]
    fn a_tree_is_read_line_by_line() {
        let graph = parse("a v1.0.0 (path)|x\nb v2.0.0|\nc v3.0.0 (proc-macro)|y,z\nb v2.0.0|");
        let names: Vec<_> = graph.iter().map(|found| found.name.as_str()).collect();
        assert_eq!(names, ["b", "c"]);
    }
}

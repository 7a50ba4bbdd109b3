//! Who may depend on whom: the rules that keep the three rings apart.
//!
//! ```text
//! client → socket            a core or client knows no backend, and no runtime
//! backend → socket           a backend knows no protocol
//! relay server → relay-wire
//! web → clients, direct, relay; nothing in a page needs an operating system
//! ```

use std::collections::BTreeSet;

use anyhow::{Result, bail};

use crate::run::{cargo, read};
use crate::workspace::WASM;

const PROTOCOLS: &[&str] = &[
    "jackfield-irc",
    "jackfield-imap",
    "jackfield-smtp",
    "jackfield-mqtt",
    "jackfield-coap",
];
const BACKENDS: &[&str] = &[
    "jackfield-native",
    "jackfield-direct",
    "jackfield-relay",
    "jackfield-sim",
];
/// What stands below protocols and knows no backend either.
const FOUNDATION: &[&str] = &[
    "jackfield-socket",
    "jackfield-client",
    "jackfield-dtls",
    "jackfield-relay-wire",
    "jackfield-store",
    "jackfield-tls",
    "jackfield-websocket",
];
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
    let mut broken = Vec::new();
    let crates = read(&mut cargo(&[
        "tree",
        "--workspace",
        "--depth=0",
        "--prefix=none",
        "--format={p}",
    ]))?;
    for package in crates.lines().filter_map(|line| line.split(' ').next()) {
        for target in [Target::Native, Target::Browser] {
            if has_rules(package, target) {
                let graph = graph(package, target)?;
                broken.extend(violations(package, target, &graph));
            }
        }
    }
    if broken.is_empty() {
        return Ok(());
    }
    bail!("forbidden dependencies:\n  {}", broken.join("\n  "))
}

fn has_rules(package: &str, target: Target) -> bool {
    match target {
        Target::Native => {
            PROTOCOLS.contains(&package)
                || BACKENDS.contains(&package)
                || FOUNDATION.contains(&package)
                || package == "jackfield-relayd"
        }
        // The page itself, whose graph holds all that a page can hold, and what else is made for it.
        Target::Browser => {
            ["jackfield-web", "jackfield-direct", "jackfield-relay"].contains(&package)
        }
    }
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
fn violations(package: &str, target: Target, graph: &BTreeSet<Dependency>) -> Vec<String> {
    let below = FOUNDATION.contains(&package);
    let core = below || PROTOCOLS.contains(&package);
    let server = package == "jackfield-relayd";
    let backend = BACKENDS.contains(&package);
    let mut broken = Vec::new();
    for dependency in graph {
        let name = dependency.name.as_str();
        let mut forbid = |why: &str| broken.push(format!("{package} → {name}: {why}"));
        if core && BACKENDS.contains(&name) {
            forbid("a core or client knows no backend");
        }
        if (backend || server || below) && PROTOCOLS.contains(&name) {
            forbid("only clients know a protocol");
        }
        if backend && BACKENDS.contains(&name) {
            forbid("a backend stands alone");
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

    fn broken(package: &str, target: Target, tree: &str) -> Vec<String> {
        violations(
            package,
            target,
            &parse(&format!("{package} v0.1.0|\n{tree}")),
        )
    }

    #[test]
    fn what_the_design_allows_passes() {
        let client = "jackfield-socket v0.1.0|\ntokio v1.54.0|bytes,default,io-util,sync,time";
        assert!(broken("jackfield-irc", Target::Native, client).is_empty());
        let backend = "jackfield-socket v0.1.0|\ntokio v1.54.0|net,rt,time\nmio v1.1.0|net";
        assert!(broken("jackfield-native", Target::Native, backend).is_empty());
        let carrier = "jackfield-socket v0.1.0|\ntokio v1.54.0|io-util,net,time";
        assert!(broken("jackfield-websocket", Target::Native, carrier).is_empty());
        let page = "jackfield-irc v0.1.0|\njackfield-direct v0.1.0|\ntokio v1.54.0|io-util,sync";
        assert!(broken("jackfield-web", Target::Browser, page).is_empty());
    }

    #[test]
    fn each_forbidden_edge_is_found() {
        use Target::{Browser, Native};
        for (package, target, tree) in [
            ("jackfield-irc", Native, "jackfield-native v0.1.0|"),
            ("jackfield-irc", Native, "tokio v1.54.0|net"),
            ("jackfield-irc", Native, "tokio v1.54.0|rt"),
            ("jackfield-tls", Native, "tokio v1.54.0|rt-multi-thread"),
            ("jackfield-client", Native, "tokio v1.54.0|net"),
            ("jackfield-websocket", Native, "tokio v1.54.0|rt"),
            ("jackfield-store", Native, "jackfield-coap v0.1.0|"),
            ("jackfield-relay-wire", Native, "tokio v1.54.0|net"),
            ("jackfield-websocket", Native, "jackfield-native v0.1.0|"),
            ("jackfield-relay-wire", Native, "jackfield-irc v0.1.0|"),
            ("jackfield-native", Native, "jackfield-irc v0.1.0|"),
            ("jackfield-relay", Native, "jackfield-native v0.1.0|"),
            ("jackfield-relayd", Native, "jackfield-irc v0.1.0|"),
            ("jackfield-web", Browser, "mio v1.1.0|"),
            ("jackfield-web", Browser, "tokio v1.54.0|time"),
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

//! `cargo xtask check`: what needs no test to be known.

mod edges;
mod licences;
mod replays;
mod siblings;
mod tree;

use anyhow::{Result, bail, ensure};

use crate::needs;
use crate::run::{cargo, quietly, step};
use crate::web;
use crate::workspace::{WASM, packages};

/// The packages of which there is nothing anywhere else.
const ONLY_IN_A_PAGE: [&str; 2] = ["jackfield-direct", "jackfield-web"];

/// What makes a warning an error.
const DENY: [&str; 3] = ["--", "-D", "warnings"];

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Run only these: tree, edges, siblings, replays, licences, format, clippy, docs, page
    checks: Vec<String>,
}

/// The checks, by the names by which one can ask for them.
const CHECKS: &[(&str, fn() -> Vec<Result<()>>)] = &[
    ("tree", || vec![step("the tree's own rules", tree::check)]),
    ("edges", || vec![step("who depends on whom", edges::check)]),
    ("siblings", || {
        vec![step("what protocols have in common", siblings::check)]
    }),
    ("replays", || {
        vec![step("what fuzzing found, replayed", replays::check)]
    }),
    ("licences", || {
        vec![step("licences of what ships", licences::check)]
    }),
    ("format", || {
        vec![quietly(
            "formatting",
            &mut cargo(&["fmt", "--all", "--check"]),
        )]
    }),
    ("clippy", || {
        let mut clippy = cargo(&["clippy", "--workspace", "--all-targets", "--all-features"]);
        vec![quietly("clippy", clippy.args(DENY))]
    }),
    ("docs", || {
        let mut doc = cargo(&["doc", "--workspace", "--no-deps", "--all-features"]);
        doc.args(ONLY_IN_A_PAGE.map(|package| format!("--exclude={package}")));
        vec![quietly(
            "documentation",
            doc.env("RUSTDOCFLAGS", "-D warnings"),
        )]
    }),
    ("page", page),
];

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let wanted = &arguments.checks;
    for name in wanted {
        if !CHECKS.iter().any(|(check, _)| check == name) {
            let names: Vec<_> = CHECKS.iter().map(|(check, _)| *check).collect();
            bail!("no check {name}; there are {}", names.join(", "));
        }
    }
    println!("checking");
    let failures: Vec<_> = CHECKS
        .iter()
        .filter(|(name, _)| wanted.is_empty() || wanted.iter().any(|one| one == name))
        .flat_map(|(_, check)| check())
        .filter_map(Result::err)
        .collect();
    for failure in &failures {
        eprintln!("{failure:#}");
    }
    ensure!(
        failures.is_empty(),
        "{} of the checks failed",
        failures.len()
    );
    println!("all is well");
    Ok(())
}

/// What a page loads, compiled for it.
fn page() -> Vec<Result<()>> {
    let loaded = needs::ensure(needs::PAGE)
        .and_then(|()| packages("Cargo.toml"))
        .and_then(|packages| edges::in_a_page(&edges::rings(&packages)));
    let loaded = match loaded {
        Ok(loaded) => loaded,
        Err(error) => return vec![Err(error)],
    };
    vec![
        quietly(
            "clippy, for the browser",
            cargo(&["clippy", "--target", WASM])
                .args(loaded.iter().map(|package| format!("--package={package}")))
                .args(DENY),
        ),
        quietly(
            "clippy, for a page with MQTT alone",
            cargo(&["clippy", "--target", WASM, "--package=jackfield-web"])
                .args(["--no-default-features", "--features=mqtt"])
                .args(DENY),
        ),
        quietly(
            "documentation, for the browser",
            cargo(&["doc", "--no-deps", "--target", WASM])
                .args(ONLY_IN_A_PAGE.map(|package| format!("--package={package}")))
                .env("RUSTDOCFLAGS", "-D warnings"),
        ),
        // An import from `env` is a C function that nobody supplies: the page would not load.
        web::compile(web::QUICK, web::ALL)
            .and_then(|module| web::tool("imports of the WebAssembly", &["imports", &module])),
    ]
}

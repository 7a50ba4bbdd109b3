//! `cargo xtask check`: the checks that need no test to be run.

mod edges;
mod licences;
mod publishable;
mod replays;
mod siblings;
mod tree;

use anyhow::{Result, bail, ensure};

use crate::needs;
use crate::run::{cargo, quietly, step};
use crate::web;
use crate::workspace::{Package, WASM, packages};

/// What makes a warning an error.
const DENY: [&str; 3] = ["--", "-D", "warnings"];

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Run only these: tree, edges, siblings, replays, licences, packages, format, clippy, docs, page
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
    ("packages", || {
        vec![step("packages for crates.io", publishable::check)]
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
    ("docs", || vec![docs()]),
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

fn docs() -> Result<()> {
    let mut doc = cargo(&["doc", "--workspace", "--no-deps", "--all-features"]);
    doc.args(only_in_a_page("--exclude", &packages("Cargo.toml")?));
    quietly("documentation", doc.env("RUSTDOCFLAGS", "-D warnings"))
}

/// Arguments that name the packages of which there is nothing but in a page.
fn only_in_a_page(option: &str, packages: &[Package]) -> Vec<String> {
    let only = packages.iter().filter(|it| it.is_only_in_a_page());
    only.map(|it| format!("{option}={}", it.name)).collect()
}

/// What a page loads, compiled for it.
fn page() -> Vec<Result<()>> {
    let found = needs::ensure(needs::PAGE)
        .and_then(|()| packages("Cargo.toml"))
        .and_then(|packages| {
            let loaded = edges::in_a_page(&edges::rings(&packages))?;
            Ok((packages, loaded))
        });
    let (packages, loaded) = match found {
        Ok(found) => found,
        Err(error) => return vec![Err(error)],
    };
    let mut outcomes = vec![
        quietly(
            "clippy, for the browser",
            cargo(&["clippy", "--target", WASM])
                .args(loaded.iter().map(|package| format!("--package={package}")))
                .args(DENY),
        ),
        quietly(
            "documentation, for the browser",
            cargo(&["doc", "--no-deps", "--target", WASM])
                .args(only_in_a_page("--package", &packages))
                .env("RUSTDOCFLAGS", "-D warnings"),
        ),
        // An import from `env` is a C function that nobody supplies: the page would not load.
        web::compile(web::PACKAGE, web::QUICK, web::ALL)
            .and_then(|module| web::tool("imports of the WebAssembly", &["imports", &module])),
    ];
    // With --quick, all entries of the npm package share one module: that each stands alone is seen here.
    outcomes.extend(web::feature_sets().into_iter().map(|features| {
        quietly(
            &format!("clippy, for a page with {features}"),
            cargo(&["clippy", "--target", WASM, "--package", web::PACKAGE])
                .args(["--no-default-features", "--features", features])
                .args(DENY),
        )
    }));
    outcomes
}

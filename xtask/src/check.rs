//! `cargo xtask check`: what needs no test to be known.

mod edges;
mod licences;
mod tree;

use anyhow::{Result, ensure};

use crate::needs;
use crate::run::{cargo, quietly, step};
use crate::web;
use crate::workspace::WASM;

/// The packages that a page may hold, and that are linted for it.
const IN_A_PAGE: &[&str] = &[
    "--package=jackfield-web",
    "--package=jackfield-direct",
    "--package=jackfield-relay",
    "--package=jackfield-relay-wire",
    "--package=jackfield-tls",
    "--package=jackfield-store",
    "--package=jackfield-websocket",
    "--package=jackfield-socket",
    "--package=jackfield-irc",
];

/// The packages of which there is nothing anywhere else.
const ONLY_IN_A_PAGE: [&str; 2] = ["jackfield-direct", "jackfield-web"];

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {}

pub(crate) fn run(_: &Arguments) -> Result<()> {
    println!("checking");
    let deny = ["--", "-D", "warnings"];
    let mut results = vec![
        step("the tree's own rules", tree::check),
        step("who depends on whom", edges::check),
        step("licences of what ships", licences::check),
        quietly("formatting", &mut cargo(&["fmt", "--all", "--check"])),
        quietly(
            "clippy",
            cargo(&["clippy", "--workspace", "--all-targets", "--all-features"]).args(deny),
        ),
        quietly(
            "documentation",
            cargo(&["doc", "--workspace", "--no-deps", "--all-features"])
                .args(ONLY_IN_A_PAGE.map(|package| format!("--exclude={package}")))
                .env("RUSTDOCFLAGS", "-D warnings"),
        ),
    ];
    match needs::ensure(needs::PAGE) {
        Err(error) => results.push(Err(error)),
        Ok(()) => results.extend([
            quietly(
                "clippy, for the browser",
                cargo(&["clippy", "--target", WASM])
                    .args(IN_A_PAGE)
                    .args(deny),
            ),
            quietly(
                "clippy, for a page with MQTT alone",
                cargo(&["clippy", "--target", WASM, "--package=jackfield-web"])
                    .args(["--no-default-features", "--features=mqtt"])
                    .args(deny),
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
        ]),
    }
    let failures: Vec<_> = results.into_iter().filter_map(Result::err).collect();
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

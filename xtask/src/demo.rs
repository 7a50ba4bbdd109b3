//! `cargo xtask demo`: builds everything, then becomes the demo.

use anyhow::Result;

use crate::run::{cargo, quietly};
use crate::web;
use crate::workspace::target_folder;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The port of the page
    #[arg(long, default_value_t = 8000)]
    port: u16,
    /// Use the embedded IRC server even where inspircd is installed
    #[arg(long)]
    embedded: bool,
    /// A page of your own that may use the relay too, such as http://localhost:5173; may be repeated
    #[arg(long, value_name = "ORIGIN")]
    origin: Vec<String>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    println!("building the demo");
    web::build(web::QUICK)?;
    quietly(
        "building relay, server and bot",
        &mut cargo(&["build", "--package=jackfield-demo"]),
    )?;
    let mut demo = crate::run::command(
        &target_folder()?
            .join("debug/jackfield-demo")
            .to_string_lossy(),
        &["--site", "dist", "--port", &arguments.port.to_string()],
    );
    if arguments.embedded {
        demo.arg("--embedded");
    }
    for origin in &arguments.origin {
        demo.args(["--origin", origin]);
    }
    replace(&mut demo)
}

/// Becomes the program, so that Ctrl-C reaches it and nothing else stands in between.
#[cfg(unix)]
fn replace(command: &mut std::process::Command) -> Result<()> {
    use std::os::unix::process::CommandExt as _;
    Err(command.exec().into())
}

#[cfg(not(unix))]
fn replace(command: &mut std::process::Command) -> Result<()> {
    let status = command.status()?;
    anyhow::ensure!(status.success(), "the demo ended with {status}");
    Ok(())
}

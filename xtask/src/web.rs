//! `cargo xtask web`: the pages, in `dist/`.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

use crate::needs;
use crate::run::{cargo, command, quietly, step};
use crate::workspace::{WASM, root};

/// The profile of what is shipped: small.
const SHIPPED: &str = "web";
/// The profile of what is worked on: it compiles in less than half the time. The demo, the checks
/// and the tests share it, so that nothing is compiled twice.
pub(crate) const QUICK: &str = "dev";

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Compile fast instead of small, and pack nothing
    #[arg(long)]
    quick: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    println!("building the pages");
    if arguments.quick {
        return build(QUICK);
    }
    build(SHIPPED)?;
    bundle()?;
    println!(
        "dist/irc is the page: serve it from any web server, or install it in Chromium as an \
         Isolated Web App;\ndist/irc.swbn is the same as a signed web bundle"
    );
    Ok(())
}

/// Builds the pages with this profile: `dist/irc` is a folder that any server can serve.
pub(crate) fn build(profile: &str) -> Result<()> {
    needs::ensure(needs::PAGE)?;
    let module = compile(profile)?;
    let dist = root().join("dist/irc");
    if dist.exists() {
        // Nothing of an older build may stay among the new.
        fs::remove_dir_all(&dist).with_context(|| format!("could not empty {}", dist.display()))?;
    }
    let generated = dist.join("jackfield/generated");
    fs::create_dir_all(&generated)?;
    tool(
        "binding it to JavaScript",
        &["bindgen", &module, &generated.to_string_lossy()],
    )?;
    if profile == SHIPPED && needs::is_installed(needs::WASM_OPT) {
        let wasm = generated.join("jackfield_web_bg.wasm");
        let wasm = wasm.to_string_lossy();
        quietly(
            "shrinking it",
            &mut command(
                needs::WASM_OPT,
                &["-Os", "--all-features", &wasm, "-o", &wasm],
            ),
        )?;
    }
    step("putting the page together", || {
        copy(&root().join("examples/irc"), &dist)?;
        copy(&root().join("web/js"), &dist.join("jackfield"))
    })
}

/// Compiles with this profile; gives the module's path.
pub(crate) fn compile(profile: &str) -> Result<String> {
    let build = ["build", "--package=jackfield-web", "--target", WASM];
    quietly(
        "compiling to WebAssembly",
        cargo(&build).args(["--profile", profile]),
    )?;
    let folder = if profile == QUICK { "debug" } else { profile };
    Ok(format!("target/{WASM}/{folder}/jackfield_web.wasm"))
}

/// Packs the page as an Isolated Web App, signed with a key of this machine's own.
fn bundle() -> Result<()> {
    let key = root().join("target/iwa-key.pk8");
    tool(
        "signing the bundle",
        &[
            "bundle",
            "dist/irc",
            "dist/irc.swbn",
            "--key",
            &key.to_string_lossy(),
        ],
    )
}

/// Runs the helper that knows WebAssembly.
pub(crate) fn tool(title: &str, arguments: &[&str]) -> Result<()> {
    let mut run = cargo(&["run", "--quiet", "--package=xtask-wasm", "--"]);
    quietly(title, run.args(arguments))
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    let entries = fs::read_dir(from).with_context(|| format!("no folder {}", from.display()))?;
    for entry in entries {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

//! `cargo xtask web`: the pages, in `dist/`.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

use crate::needs;
use crate::run::{cargo, quietly, step};
use crate::workspace::{WASM, root, target_folder};

/// The profile of what is shipped: small.
pub(crate) const SHIPPED: &str = "web";
/// The profile of what is worked on: it compiles in less than half the time. The demo, the checks
/// and the tests share it, so that nothing is compiled twice.
pub(crate) const QUICK: &str = "dev";

/// What pages import.
pub(crate) const PACKAGE: &str = "jackfield-web";
/// Its features, of what is everything.
pub(crate) const ALL: &str = "default";

/// A page, in `dist` under its name.
struct Page {
    name: &'static str,
    source: &'static str,
    /// What it takes from npm: a file, and the folder where the page looks for it.
    packages: &'static [(&'static str, &'static str)],
}

const PAGES: &[Page] = &[
    Page {
        name: "irc",
        source: "examples/irc",
        packages: &[],
    },
    Page {
        name: "iot",
        source: "examples/iot-dashboard",
        packages: &[
            ("uplot/dist/uPlot.esm.js", "uplot"),
            ("uplot/dist/uPlot.min.css", "uplot"),
            ("uplot/LICENSE", "uplot"),
        ],
    },
];

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Compile fast instead of small, and pack nothing
    #[arg(long)]
    quick: bool,
    /// Make only dist/jackfield, the part for pages of your own, with these: irc, mqtt, coap, sockets
    #[arg(long, value_name = "LIST")]
    features: Option<String>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let profile = if arguments.quick { QUICK } else { SHIPPED };
    if let Some(features) = &arguments.features {
        println!("building dist/jackfield");
        return part(profile, features);
    }
    println!("building the pages");
    if arguments.quick {
        return build(QUICK);
    }
    build(SHIPPED)?;
    bundle()?;
    println!(
        "dist/irc and dist/iot are pages: serve them from any web server, or install them in Chromium \
         as Isolated\nWeb Apps; the .swbn beside each is the same as a signed web bundle. dist/npm is \
         the package for npm"
    );
    Ok(())
}

/// Builds the pages with this profile: each is a folder in `dist` that any server can serve.
pub(crate) fn build(profile: &str) -> Result<()> {
    needs::ensure(needs::PAGE)?;
    let generated = target_folder()?.join("web-generated");
    module(profile, ALL, &generated)?;
    let packages = target_folder()?
        .join(needs::PAGE_PACKAGES_FOLDER)
        .join("node_modules");
    step("putting the pages together", || {
        let dist = root().join("dist");
        empty(&dist)?;
        copy(&root().join("examples/index.html"), &dist)?;
        copy(&root().join("examples/shared"), &dist.join("shared"))?;
        for page in PAGES {
            let to = dist.join(page.name);
            copy(&root().join(page.source), &to)?;
            copy(&root().join("examples/shared"), &to.join("shared"))?;
            copy(&root().join("web/js"), &to.join("jackfield"))?;
            copy(&generated, &to.join("jackfield/generated"))?;
            for (file, folder) in page.packages {
                copy(&packages.join(file), &to.join(folder))?;
            }
        }
        package(&generated, &dist.join("npm"))
    })
}

/// Puts the npm package together: what `npm pack` and `npm publish` take.
fn package(generated: &Path, to: &Path) -> Result<()> {
    copy(&root().join("web/js"), to)?;
    copy(generated, &to.join("generated"))?;
    for file in ["web/npm/README.md", "LICENSE-MIT", "LICENSE-APACHE"] {
        copy(&root().join(file), to)?;
    }
    let manifest = fs::read_to_string(root().join("web/npm/package.json"))?;
    // The version is the workspace's, which this crate has as well.
    let version = format!(
        "\"version\": \"{}\",\n  \"description\"",
        env!("CARGO_PKG_VERSION")
    );
    let manifest = manifest.replacen("\"description\"", &version, 1);
    fs::write(to.join("package.json"), manifest)?;
    Ok(())
}

/// Builds what pages import, with these features of `jackfield-web`, in `dist/jackfield`.
fn part(profile: &str, features: &str) -> Result<()> {
    needs::ensure(needs::PAGE)?;
    let to = root().join("dist/jackfield");
    module(profile, features, &to.join("generated"))?;
    copy(&root().join("web/js"), &to)
}

/// Builds the module with these features of `jackfield-web` into a folder, and the JavaScript that
/// goes with it.
pub(crate) fn module(profile: &str, features: &str, to: &Path) -> Result<()> {
    bind(&compile(PACKAGE, profile, features)?, to)
}

/// Makes the JavaScript that goes with a module, and puts both into a folder.
pub(crate) fn bind(module: &str, to: &Path) -> Result<()> {
    empty(to)?;
    tool(
        "binding it to JavaScript",
        &["bindgen", module, &to.to_string_lossy()],
    )
}

/// Compiles a package with this profile and these features; gives the module's path.
pub(crate) fn compile(package: &str, profile: &str, features: &str) -> Result<String> {
    let build = ["build", "--package", package, "--target", WASM];
    quietly(
        "compiling to WebAssembly",
        cargo(&build).args(["--profile", profile]).args([
            "--no-default-features",
            "--features",
            features,
        ]),
    )?;
    let folder = if profile == QUICK { "debug" } else { profile };
    let module = target_folder()?.join(format!(
        "{WASM}/{folder}/{}.wasm",
        package.replace('-', "_")
    ));
    Ok(module.to_string_lossy().into_owned())
}

/// Packs each page as an Isolated Web App, signed with a key of this machine's own. The key decides
/// the app's origin, so each has one.
fn bundle() -> Result<()> {
    for Page { name, .. } in PAGES {
        let key = target_folder()?.join(format!("iwa-key-{name}.pk8"));
        tool(
            &format!("signing the bundle of {name}"),
            &[
                "bundle",
                &format!("dist/{name}"),
                &format!("dist/{name}.swbn"),
                "--key",
                &key.to_string_lossy(),
            ],
        )?;
    }
    Ok(())
}

/// Runs the helper that knows WebAssembly.
pub(crate) fn tool(title: &str, arguments: &[&str]) -> Result<()> {
    let mut run = cargo(&["run", "--quiet", "--package=xtask-wasm", "--"]);
    quietly(title, run.args(arguments))
}

/// Nothing of an older build may stay among the new.
fn empty(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder)
            .with_context(|| format!("could not empty {}", folder.display()))?;
    }
    fs::create_dir_all(folder).with_context(|| format!("could not make {}", folder.display()))
}

/// Copies a file into a folder, or what a folder holds.
pub(crate) fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    if from.is_file() {
        let name = from.file_name().unwrap_or_default();
        fs::copy(from, to.join(name))?;
        return Ok(());
    }
    let entries = fs::read_dir(from).with_context(|| format!("no folder {}", from.display()))?;
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &to.join(entry.file_name()))?;
        } else {
            copy(&entry.path(), to)?;
        }
    }
    Ok(())
}

//! `cargo xtask web`: the pages, in `dist/`.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::needs;
use crate::run::{cargo, command, quietly, step};
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
/// The entry whose module all others load where a page has rules.
pub(crate) const POLICY: &str = "policy";
/// What the files of a module are named after, until an entry has them.
const MODULE: &str = "jackfield_web";

/// An entry of the npm package: a script of this name in `web/js`, with a module of its own.
struct Entry {
    name: &'static str,
    /// Of `jackfield-web`.
    features: &'static str,
}

const ENTRIES: &[Entry] = &[
    Entry {
        name: "index",
        features: "coap,imap,irc,mqtt,raw,smtp",
    },
    Entry {
        name: "irc",
        features: "irc",
    },
    Entry {
        name: "mqtt",
        features: "mqtt,sockets",
    },
    Entry {
        name: "mqtt-websocket",
        features: "mqtt",
    },
    Entry {
        name: "coap",
        features: "coap",
    },
    Entry {
        name: "iot",
        features: "mqtt,coap",
    },
    Entry {
        name: "sockets",
        features: "raw",
    },
    Entry {
        name: "direct-sockets",
        features: "raw",
    },
    Entry {
        name: "imap",
        features: "imap",
    },
    Entry {
        name: "smtp",
        features: "smtp",
    },
    Entry {
        name: "mail",
        features: "imap,smtp",
    },
    Entry {
        name: POLICY,
        features: "policy",
    },
];

/// Scripts beside the entries that need no module.
const ALONE: &[&str] = &["explain"];

/// A page, in `dist` under its name.
struct Page {
    name: &'static str,
    source: &'static str,
    /// The entry of the npm package that it imports.
    entry: &'static str,
    /// What it takes from npm: a file, and the folder where the page looks for it.
    packages: &'static [(&'static str, &'static str)],
    /// Whether it can be an Isolated Web App: what has a back end of its own is none.
    is_app: bool,
}

const PAGES: &[Page] = &[
    Page {
        name: "irc",
        source: "examples/irc",
        entry: "irc",
        packages: &[],
        is_app: true,
    },
    Page {
        name: "iot",
        source: "examples/iot-dashboard",
        entry: "iot",
        packages: &[
            ("uplot/dist/uPlot.esm.js", "uplot"),
            ("uplot/dist/uPlot.min.css", "uplot"),
            ("uplot/LICENSE", "uplot"),
        ],
        is_app: true,
    },
    Page {
        name: "log-in",
        source: "examples/log-in/page",
        entry: "mqtt",
        packages: &[],
        is_app: false,
    },
];

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Compile fast instead of small, and compress and pack nothing
    #[arg(long)]
    quick: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    println!("building the npm package and the pages");
    if arguments.quick {
        return build(QUICK);
    }
    build(SHIPPED)?;
    bundle()?;
    println!(
        "dist/npm is the package for npm. dist/irc and dist/iot are pages: serve them from any web server, or \
         install them\nin Chromium as Isolated Web Apps; the .swbn beside each is the same as a signed web bundle"
    );
    Ok(())
}

/// Builds the package and the pages with this profile: each is a folder in `dist`, and a page's any server
/// can serve.
pub(crate) fn build(profile: &str) -> Result<()> {
    needs::ensure(needs::PAGE)?;
    let npm = root().join("dist/npm");
    empty(&root().join("dist"))?;
    package(profile, &entries().collect::<Vec<_>>(), &npm)?;
    if profile == SHIPPED {
        minify(&npm)?;
        let folder = npm.to_string_lossy();
        tool("compressing it", &["compress", &folder])?;
    }
    step("putting the pages together", || {
        describe(&npm)?;
        copy(&root().join("examples/index.html"), &root().join("dist"))?;
        copy(&root().join("examples/shared"), &root().join("dist/shared"))?;
        PAGES.iter().try_for_each(|page| put_together(page, &npm))
    })
}

/// Puts scripts and modules of these entries of the package into a folder of their own.
pub(crate) fn package(profile: &str, entries: &[&str], to: &Path) -> Result<()> {
    empty(to)?;
    copy(&root().join("web/js"), to)?;
    fs::create_dir_all(to.join("wasm"))?;
    // What is worked on has to be there soon: all entries share one module then. Cargo keeps one library of a
    // package, and makes it anew for other features.
    let shared = (profile == QUICK)
        .then(|| bound(profile, ALL))
        .transpose()?;
    for entry in ENTRIES.iter().filter(|it| entries.contains(&it.name)) {
        let made = match &shared {
            Some(made) => made.clone(),
            None => bound(profile, entry.features)?,
        };
        for kind in [".js", ".d.ts", "_bg.wasm"] {
            let to = to.join(format!("wasm/{}{kind}", entry.name));
            fs::copy(made.join(format!("{MODULE}{kind}")), to)?;
        }
    }
    Ok(())
}

/// Adds what npm wants to know of the package.
fn describe(npm: &Path) -> Result<()> {
    for file in ["web/npm/README.md", "LICENSE-MIT", "LICENSE-APACHE"] {
        copy(&root().join(file), npm)?;
    }
    let manifest = fs::read_to_string(root().join("web/npm/package.json"))?;
    // The version is the workspace's, which this crate has as well.
    let version = format!(
        "\"version\": \"{}\",\n  \"description\"",
        env!("CARGO_PKG_VERSION")
    );
    let manifest = manifest.replacen("\"description\"", &version, 1);
    fs::write(npm.join("package.json"), manifest)?;
    Ok(())
}

/// Makes the folder of a page: its own files, and of the package what its entry needs, and what needs no entry.
fn put_together(page: &Page, npm: &Path) -> Result<()> {
    let to = root().join("dist").join(page.name);
    let package = to.join("jackfield");
    copy(&root().join(page.source), &to)?;
    copy(&root().join("examples/shared"), &to.join("shared"))?;
    copy(&npm.join("lib"), &package.join("lib"))?;
    for (from, to) in [
        (npm.to_owned(), package.clone()),
        (npm.join("wasm"), package.join("wasm")),
    ] {
        let modules = [page.entry, POLICY].map(|entry| format!("{entry}_bg"));
        for file in fs::read_dir(from)? {
            let file = file?.path();
            let name = file
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            let stem = name.split('.').next().unwrap_or_default();
            // The types of one entry stand on those of others.
            if [page.entry, POLICY].contains(&stem)
                || modules.iter().any(|module| stem == module)
                || ALONE.contains(&stem)
                || name.ends_with(".d.ts") && !name.contains(".wasm")
            {
                copy(&file, &to)?;
            }
        }
    }
    let packages = target_folder()?
        .join(needs::PAGE_PACKAGES_FOLDER)
        .join("node_modules");
    for (file, folder) in page.packages {
        copy(&packages.join(file), &to.join(folder))?;
    }
    Ok(())
}

/// The names of the package's entries.
pub(crate) fn entries() -> impl Iterator<Item = &'static str> {
    ENTRIES.iter().map(|entry| entry.name)
}

/// What has types: the entries, and what needs none.
pub(crate) fn documented() -> impl Iterator<Item = &'static str> {
    entries().chain(ALONE.iter().copied())
}

/// The features that they are built with, each set once.
pub(crate) fn feature_sets() -> BTreeSet<&'static str> {
    ENTRIES.iter().map(|entry| entry.features).collect()
}

/// Makes one small script of an entry's script and all that it imports, but for what is loaded where a page has rules.
pub(crate) fn bundle_scripts(from: &Path, to: &Path) -> Result<()> {
    let to = format!("--outfile={}", to.to_string_lossy());
    let mut bundle = esbuild()?;
    bundle
        .arg(from)
        .args(["--bundle", "--minify", "--format=esm", &to])
        .arg(format!("--external:../{POLICY}.js"));
    quietly("bundling its scripts", &mut bundle)
}

fn esbuild() -> Result<Command> {
    let esbuild = target_folder()?
        .join(needs::PAGE_PACKAGES_FOLDER)
        .join("node_modules/esbuild/bin/esbuild");
    Ok(command("node", &[&esbuild.to_string_lossy()]))
}

/// Makes the scripts small. They stay modules, each by itself.
fn minify(npm: &Path) -> Result<()> {
    let mut minify = esbuild()?;
    minify.args(scripts(npm)?);
    let folder = npm.to_string_lossy();
    let to = format!("--outdir={folder}");
    let base = format!("--outbase={folder}");
    minify.args([
        "--minify",
        "--format=esm",
        "--target=es2022",
        "--allow-overwrite",
        &to,
        &base,
    ]);
    quietly("making its scripts small", &mut minify)
}

/// The scripts in a folder, and in those within.
fn scripts(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for file in fs::read_dir(folder)? {
        let file = file?.path();
        if file.is_dir() {
            found.extend(scripts(&file)?);
        } else if file.extension().is_some_and(|kind| kind == "js") {
            found.push(file);
        }
    }
    Ok(found)
}

/// The folder with the module of these features of `jackfield-web` and the JavaScript that goes with it, made
/// if there is none or an older one.
pub(crate) fn bound(profile: &str, features: &str) -> Result<PathBuf> {
    let module = compile(PACKAGE, profile, features)?;
    let to = target_folder()?
        .join("web-generated")
        .join(profile)
        .join(features);
    let changed = |file: &Path| fs::metadata(file).and_then(|data| data.modified());
    let made = changed(&to.join(format!("{MODULE}_bg.wasm")));
    if made.is_ok_and(|made| changed(Path::new(&module)).is_ok_and(|compiled| compiled < made)) {
        return Ok(to);
    }
    empty(&to)?;
    bind(&module, &to)?;
    if profile == SHIPPED {
        order(&to.join(format!("{MODULE}_bg.wasm")))?;
    }
    Ok(to)
}

/// Makes the JavaScript that goes with a module, and puts both into a folder.
pub(crate) fn bind(module: &str, to: &Path) -> Result<()> {
    let to = to.to_string_lossy();
    tool("binding it to JavaScript", &["bindgen", module, &to])
}

/// Puts what a module has into the order in which it is compressed best.
pub(crate) fn order(module: &Path) -> Result<()> {
    let module = module.to_string_lossy();
    tool("putting its functions in order", &["order", &module])
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
    for Page { name, .. } in PAGES.iter().filter(|page| page.is_app) {
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

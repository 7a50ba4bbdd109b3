//! The part of `cargo xtask` that handles WebAssembly: apart, so that its other verbs start at
//! once.

#![expect(
    clippy::print_stdout,
    reason = "it talks to the person who typed the command"
)]

mod bundle;
mod compress;
mod order;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use clap::Parser;
use wasm_bindgen_cli_support::Bindgen;
use wasmparser::{Parser as Wasm, Payload};

/// Works on WebAssembly modules.
#[derive(Debug, Parser)]
enum Verb {
    /// Write the JavaScript that goes with a module, and the module itself, into a folder
    Bindgen { module: PathBuf, out: PathBuf },
    /// Put a copy by gzip and one by brotli beside each module, script and type in a folder
    Compress { folder: PathBuf },
    /// Put the functions of a module into the order in which it is compressed best
    Order { module: PathBuf },
    /// Fail if a module imports what no page can supply
    Imports { module: PathBuf },
    /// Pack a folder as a signed web bundle
    Bundle {
        folder: PathBuf,
        out: PathBuf,
        /// The key in PKCS #8; made if there is none
        #[arg(long)]
        key: PathBuf,
    },
}

fn main() -> ExitCode {
    let result = match Verb::parse() {
        Verb::Bindgen { module, out } => bindgen(&module, &out),
        Verb::Compress { folder } => compress::folder(&folder),
        Verb::Order { module } => order::file(&module),
        Verb::Imports { module } => imports(&module),
        Verb::Bundle { folder, out, key } => {
            bundle::pack(&folder, &out, &key).map(|origin| println!("{origin}"))
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn bindgen(module: &Path, out: &Path) -> Result<()> {
    check_version(&read(module)?)?;
    Bindgen::new()
        .input_path(module)
        .web(true)?
        // For the scripts in web/js, whose own types are written by hand.
        .typescript(true)
        .remove_name_section(true)
        .remove_producers_section(true)
        .generate(out)
}

/// What a module tells of itself to the tool that binds it must be in that tool's own language, which
/// changes with wasm-bindgen's version. The manifests name ranges, so that whoever depends on a crate
/// of ours may take another; this workspace has the one of its lock file.
fn check_version(module: &[u8]) -> Result<()> {
    let ours = wasm_bindgen_shared::version();
    for theirs in bound_versions(module)? {
        if theirs != ours {
            bail!(
                "the module was compiled with wasm-bindgen {theirs}, and what binds it to JavaScript \
                 is of {ours}: compile it with this workspace's Cargo.lock, and let \
                 wasm-bindgen-cli-support in Cargo.toml name the version that stands there"
            );
        }
    }
    Ok(())
}

/// The versions of wasm-bindgen by which the crates of a module were compiled. Each part of the
/// section that they leave is its length and its bytes; the first of each two is a little JSON.
fn bound_versions(module: &[u8]) -> Result<BTreeSet<String>> {
    let mut versions = BTreeSet::new();
    for payload in Wasm::new(0).parse_all(module) {
        let Payload::CustomSection(section) = payload? else {
            continue;
        };
        if section.name() != "__wasm_bindgen_unstable" {
            continue;
        }
        let mut rest = section.data();
        let mut is_version = true;
        while !rest.is_empty() {
            let (part, after) = rest
                .split_first_chunk()
                .and_then(|(len, rest)| rest.split_at_checked(u32::from_le_bytes(*len) as usize))
                .context("what wasm-bindgen left in the module is cut short")?;
            if is_version {
                let found = std::str::from_utf8(part).ok().and_then(version);
                let found = found.context("wasm-bindgen left no version in the module")?;
                versions.insert(found.to_owned());
            }
            is_version = !is_version;
            rest = after;
        }
    }
    Ok(versions)
}

fn version(json: &str) -> Option<&str> {
    let (_, rest) = json.split_once("\"version\":\"")?;
    let (version, _) = rest.split_once('"')?;
    Some(version)
}

fn read(module: &Path) -> Result<Vec<u8>> {
    std::fs::read(module).with_context(|| format!("could not read {}", module.display()))
}

/// Everything that wasm-bindgen supplies stands in modules of its own names. Anything else, `env`
/// above all, is a C function for which nobody wrote a body.
fn imports(module: &Path) -> Result<()> {
    let strange: BTreeSet<String> = imported(&read(module)?)?
        .into_iter()
        .filter(|(from, _)| !from.starts_with("__wbindgen_"))
        .map(|(from, name)| format!("{from}.{name}"))
        .collect();
    if strange.is_empty() {
        return Ok(());
    }
    for name in &strange {
        println!("{name}");
    }
    bail!("{} imports nobody can supply", strange.len())
}

fn imported(bytes: &[u8]) -> Result<Vec<(String, String)>> {
    let mut imports = Vec::new();
    for payload in Wasm::new(0).parse_all(bytes) {
        if let Payload::ImportSection(section) = payload? {
            for import in section.into_imports() {
                let import = import?;
                imports.push((import.module.to_owned(), import.name.to_owned()));
            }
        }
    }
    Ok(imports)
}

#[cfg(test)]
mod tests {
    use super::{bound_versions, check_version, imported};

    /// A module with what the macro of this version leaves in it: twice, as of two crates.
    fn bound_by(version: &str) -> Vec<u8> {
        let json = format!("{{\"schema_version\":\"0.2.118\",\"version\":\"{version}\"}}");
        let mut section = vec![23];
        section.extend(b"__wasm_bindgen_unstable");
        for part in [json.as_bytes(), b"\0program"].repeat(2) {
            section.extend((part.len() as u32).to_le_bytes());
            section.extend(part);
        }
        let mut module = b"\0asm\x01\0\0\0\0".to_vec();
        let length = section.len() as u8;
        module.extend([length & 0x7f | 0x80, length >> 7]);
        module.extend(section);
        module
    }

    #[test]
    fn a_module_of_another_wasm_bindgen_is_refused() {
        let ours = wasm_bindgen_shared::version();
        let module = bound_by(&ours);
        let found = bound_versions(&module).expect("a module");
        assert_eq!(Vec::from_iter(found), std::slice::from_ref(&ours));
        check_version(&module).expect("the same version");

        let error = check_version(&bound_by("0.2.1")).expect_err("another version");
        let text = error.to_string();
        assert!(text.contains("wasm-bindgen 0.2.1,"), "{text}");
        assert!(text.contains(&ours), "{text}");

        let mut cut = bound_by(&ours);
        cut[9] -= 1;
        cut.pop();
        bound_versions(&cut).expect_err("cut short");
        check_version(b"\0asm\x01\0\0\0").expect("a module without bindings");
    }

    #[test]
    fn imports_are_read() {
        // (module (import "env" "f" (func)))
        let module = b"\0asm\x01\0\0\0\x01\x04\x01\x60\0\0\x02\x09\x01\x03env\x01f\0\0";
        let imports = imported(module).expect("a module");
        assert_eq!(imports, [("env".to_owned(), "f".to_owned())]);
    }
}

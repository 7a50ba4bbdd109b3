//! What `cargo xtask` does with WebAssembly, apart from it so that its other verbs start at once.

#![expect(
    clippy::print_stdout,
    reason = "it talks to the person who typed the command"
)]

mod bundle;

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
    Bindgen::new()
        .input_path(module)
        .web(true)?
        // For jackfield.js, whose own types are written by hand: web/js/jackfield.d.ts.
        .typescript(true)
        .remove_name_section(true)
        .remove_producers_section(true)
        .generate(out)
}

/// Everything that wasm-bindgen supplies stands in modules of its own names. Anything else, `env`
/// above all, is a C function for which nobody wrote a body.
fn imports(module: &Path) -> Result<()> {
    let bytes =
        std::fs::read(module).with_context(|| format!("could not read {}", module.display()))?;
    let strange: BTreeSet<String> = imported(&bytes)?
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
    use super::imported;

    #[test]
    fn imports_are_read() {
        // (module (import "env" "f" (func)))
        let module = b"\0asm\x01\0\0\0\x01\x04\x01\x60\0\0\x02\x09\x01\x03env\x01f\0\0";
        let imports = imported(module).expect("a module");
        assert_eq!(imports, [("env".to_owned(), "f".to_owned())]);
    }
}

//! Crates for crates.io: each packages, and says what it is.

use anyhow::{Result, bail};
use serde_json::Value;

use crate::run::{cargo, read};
use crate::workspace::{Package, packages};

/// What the page of a crate shows, as cargo's metadata calls it.
const SHOWN: &[&str] = &["description", "license", "readme", "keywords", "categories"];

/// How docs.rs is told what to build.
const DOCS: &[&str] = &["all-features", "default-target"];

pub(super) fn check() -> Result<()> {
    let packages = packages("Cargo.toml")?;
    let faults: Vec<String> = packages.iter().flat_map(faults).collect();
    if !faults.is_empty() {
        bail!("in the manifests:\n  {}", faults.join("\n  "));
    }
    // Without building them, which other checks do; without asking a registry for news; and with
    // what is not committed, because that is what is checked.
    let mut package = cargo(&["package", "--workspace", "--no-verify"]);
    package.args(["--offline", "--allow-dirty", "--quiet"]);
    let kept = packages.iter().filter(|package| !package.published);
    package.args(kept.map(|package| format!("--exclude={}", package.name)));
    read(&mut package).map(drop)
}

/// What the manifest of a package that is published lacks.
fn faults(package: &Package) -> Vec<String> {
    if !package.published {
        return Vec::new();
    }
    let says = |value: &Value| match value {
        Value::Array(list) => !list.is_empty(),
        Value::String(text) => !text.is_empty(),
        Value::Bool(is) => *is,
        _ => false,
    };
    let lacks = |what: &str| format!("{} has no {what}", package.name);
    let shown = SHOWN.iter().filter(|key| !says(&package.manifest[**key]));
    let mut faults: Vec<String> = shown.map(|key| lacks(key)).collect();
    let docs = &package.manifest["metadata"]["docs"]["rs"];
    if !DOCS.iter().any(|key| says(&docs[*key])) {
        faults.push(lacks("[package.metadata.docs.rs]"));
    }
    faults
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn published(manifest: Value) -> Package {
        Package {
            name: "jackfield-gopher".into(),
            published: true,
            manifest,
            ..Package::default()
        }
    }

    #[test]
    fn a_manifest_says_what_the_crate_is() {
        let whole = json!({
            "description": "A Gopher client",
            "license": "MIT",
            "readme": "README.md",
            "keywords": ["gopher"],
            "categories": ["network-programming"],
            "metadata": { "docs": { "rs": { "all-features": true } } },
        });
        assert!(faults(&published(whole.clone())).is_empty());
        for key in SHOWN.iter().chain(&["metadata"]) {
            let mut part = whole.clone();
            part[key] = Value::Null;
            assert_eq!(faults(&published(part)).len(), 1, "without {key}");
        }
        let mut part = whole;
        part["keywords"] = json!([]);
        assert_eq!(faults(&published(part)).len(), 1);
    }

    #[test]
    fn what_stays_here_needs_nothing() {
        let package = Package {
            published: false,
            ..published(Value::Null)
        };
        assert!(faults(&package).is_empty());
    }
}

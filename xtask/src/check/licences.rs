//! Licences of everything that ships: nothing may bind whoever uses it.

use std::collections::BTreeMap;

use anyhow::{Result, bail};

use super::edges::Ring;
use crate::run::{cargo, read};
use crate::workspace::{Package, packages};

const ALLOWED: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "MPL-2.0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

pub(super) fn check() -> Result<()> {
    let mut tree = cargo(&[
        "tree",
        "--edges=normal,build",
        "--prefix=none",
        "--target=all",
        "--all-features",
        "--format={p}|{l}",
    ]);
    // What is handed to others; tests and benches may use more, as separate programs.
    let is_shipped = |it: &Package| it.published || Ring::of(&it.folder) == Ring::Page;
    let shipped = packages("Cargo.toml")?.into_iter().filter(is_shipped);
    let tree = read(tree.args(shipped.map(|it| format!("--package={}", it.name))))?;
    let packages: BTreeMap<&str, &str> = tree
        .lines()
        .filter_map(|line| line.trim_end_matches(" (*)").split_once('|'))
        .collect();
    let refused: Vec<String> = packages
        .into_iter()
        .filter(|(_, licence)| !is_allowed(licence))
        .map(|(package, licence)| format!("{package}: {licence:?}"))
        .collect();
    if refused.is_empty() {
        return Ok(());
    }
    bail!("licences not on the list:\n  {}", refused.join("\n  "))
}

/// Whether an SPDX expression can be met from the list. `AND` binds more tightly than `OR`; the
/// slash is how crates wrote `OR` before 2018.
fn is_allowed(expression: &str) -> bool {
    let expression = expression.replace('/', " OR ");
    match without_brackets(&expression) {
        Some(plain) => alternative(&plain),
        None => false,
    }
}

/// Replaces each bracketed part by a licence that is allowed, or by none, according to its worth.
fn without_brackets(expression: &str) -> Option<String> {
    let mut expression = expression.to_owned();
    while let Some(close) = expression.find(')') {
        let open = expression[..close].rfind('(')?;
        let worth = if alternative(&expression[open + 1..close]) {
            ALLOWED[0]
        } else {
            "none"
        };
        expression.replace_range(open..=close, worth);
    }
    (!expression.contains('(')).then_some(expression)
}

fn alternative(expression: &str) -> bool {
    expression.split(" OR ").any(|all| {
        all.split(" AND ")
            .all(|licence| ALLOWED.contains(&licence.trim()))
    })
}

#[cfg(test)]
mod tests {
    use super::is_allowed;

    #[test]
    fn expressions_are_weighed() {
        for good in [
            "MIT",
            "MIT OR Apache-2.0",
            "MIT/Apache-2.0",
            "GPL-3.0 OR MIT",
            "Apache-2.0 AND ISC",
            "(MIT OR Apache-2.0) AND Unicode-3.0",
            "Apache-2.0 WITH LLVM-exception OR Apache-2.0 OR MIT",
            "(GPL-2.0 AND MIT) OR ISC",
        ] {
            assert!(is_allowed(good), "{good}");
        }
        for bad in [
            "",
            "LGPL-3.0-or-later",
            "MIT AND GPL-2.0",
            "(MIT OR GPL-2.0) AND AGPL-3.0",
            "GPL-2.0 WITH Classpath-exception-2.0",
            "(MIT",
            "MIT)",
        ] {
            assert!(!is_allowed(bad), "{bad}");
        }
    }
}

//! `cargo xtask reference`: the reference of the npm package, as pages of HTML.

use std::fs;

use anyhow::Result;
use serde_json::json;

use crate::needs::{self, NODE_SERVERS, NODE_SERVERS_FOLDER};
use crate::run::{command, quietly};
use crate::web;
use crate::workspace::{root, target_folder};

/// Makes it in the target folder's `reference/`, of what the types say. What they name and don't explain, and a link that leads
/// nowhere, is an error.
pub(crate) fn run() -> Result<()> {
    needs::ensure_one(&NODE_SERVERS)?;
    let packages = target_folder()?
        .join(NODE_SERVERS_FOLDER)
        .join("node_modules");
    let folder = target_folder()?.join("reference");
    fs::create_dir_all(&folder)?;
    let types = root().join("web/js");
    let compiler = json!({
        "compilerOptions": {
            "lib": ["esnext", "dom", "dom.iterable", "dom.asynciterable"],
            "module": "esnext",
            "moduleResolution": "bundler",
            "strict": true,
            "target": "esnext",
            "types": [],
        },
        "include": [types.join("*.d.ts")],
    });
    let compiler_file = folder.join("tsconfig.json");
    fs::write(&compiler_file, compiler.to_string())?;
    let entries: Vec<_> = web::documented()
        .map(|entry| types.join(format!("{entry}.d.ts")))
        .collect();
    let options = json!({
        // Where a line stands would be told by what `origin` is in this checkout, which may have none.
        "disableSources": true,
        "entryPoints": entries,
        // Of the package, which no repository holds as it is built.
        "disableSources": true,
        "includeVersion": false,
        "name": "Jackfield",
        "out": folder.join("html"),
        "readme": root().join("web/npm/README.md"),
        "treatWarningsAsErrors": true,
        "tsconfig": compiler_file,
        "validation": { "invalidLink": true, "notExported": true },
    });
    let options_file = folder.join("typedoc.json");
    fs::write(&options_file, options.to_string())?;
    let program = packages.join("typedoc/bin/typedoc");
    let mut typedoc = command("node", &[&program.to_string_lossy()]);
    quietly(
        "making the reference",
        typedoc.arg("--options").arg(options_file),
    )?;
    println!("{}", folder.join("html/index.html").display());
    Ok(())
}

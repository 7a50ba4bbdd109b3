//! One name for the browser: `cfg(wasm_browser)`.

use std::env;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-check-cfg=cfg(wasm_browser)");
    let target = |part: &str| env::var(format!("CARGO_CFG_TARGET_{part}")).unwrap_or_default();
    if target("FAMILY").contains("wasm") && target("OS") == "unknown" {
        println!("cargo::rustc-cfg=wasm_browser");
    }
}

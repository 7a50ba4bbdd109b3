//! How much a page has to fetch for a mail client alone.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use brotli::enc::BrotliEncoderParams;

use crate::Peers;
use crate::report::Report;

/// What `cargo xtask bench` built, by its features, what it is, and the aim in kB.
const MODULES: [(&str, &str, Option<u32>); 6] = [
    ("imap", "the IMAP client", Some(150)),
    ("imap-compress", "the same, with compression", None),
    ("smtp", "the SMTP client", Some(60)),
    ("smtp-pool", "the same, and its pool", None),
    ("imap,smtp", "both, which have much in common", None),
    ("mail", "messages to show and to answer", None),
];

pub(crate) fn run(peers: &Peers, report: &mut Report) -> Result<()> {
    report.heading(
        "What a page downloads for mail",
        "The WebAssembly of `tests/page-size` by `gzip -9`: one client alone, with all that it can be \
         asked, and with the allocator and the parts of std that it needs. TLS, a backend and \
         JavaScript come on top. What is asked and what the server says come from outside the module, \
         so that nothing of the client can be left out.",
    );
    let kilobytes = |bytes: u64| format!("{:.1} kB", bytes as f64 / 1000.0);
    let mut rows = Vec::new();
    for (features, what, aim) in MODULES {
        let module = peers.web.join(features).join("jackfield_page_size_bg.wasm");
        let bytes = module
            .metadata()
            .with_context(|| module.display().to_string())?;
        rows.push(vec![
            what.into(),
            kilobytes(bytes.len()),
            kilobytes(gzipped(&module)?),
            aim.map_or_else(String::new, |aim| format!("at most {aim} kB")),
        ]);
    }
    report.table(&["", "size", "gzipped", "aim"], &rows);
    Ok(())
}

/// The size of a file by `gzip -9`.
pub(crate) fn gzipped(file: &Path) -> Result<u64> {
    Ok(gzip(file)?.len() as u64)
}

/// A file by `gzip -9`.
pub(crate) fn gzip(file: &Path) -> Result<Vec<u8>> {
    let output = Command::new("gzip").args(["-9", "-c"]).arg(file).output();
    let output = output.context("gzip")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{}: {said}", file.display());
    Ok(output.stdout)
}

/// The size of a file by brotli at its best.
pub(crate) fn brotlied(file: &Path) -> Result<u64> {
    Ok(brotli(file)?.len() as u64)
}

/// A file by brotli at its best.
pub(crate) fn brotli(file: &Path) -> Result<Vec<u8>> {
    let mut compressed = Vec::new();
    let parameters = BrotliEncoderParams {
        quality: 11,
        ..BrotliEncoderParams::default()
    };
    let bytes = std::fs::read(file).with_context(|| file.display().to_string())?;
    brotli::BrotliCompress(&mut bytes.as_slice(), &mut compressed, &parameters)?;
    Ok(compressed)
}

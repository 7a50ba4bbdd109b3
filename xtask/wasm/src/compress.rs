//! Compressed copies of files, for servers that send them as they are.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result};
use brotli::enc::BrotliEncoderParams;
use flate2::Compression;
use flate2::write::GzEncoder;

/// What is worth it.
const KINDS: [&str; 2] = ["js", "wasm"];

/// Puts a `.gz` and a `.br` beside each file that is worth it, in the folders within too.
pub(crate) fn folder(folder: &Path) -> Result<()> {
    let entries = fs::read_dir(folder);
    for entry in entries.with_context(|| format!("no folder {}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            self::folder(&path)?;
        } else if path
            .extension()
            .is_some_and(|kind| KINDS.iter().any(|known| kind == *known))
        {
            file(&path)?;
        }
    }
    Ok(())
}

fn file(path: &Path) -> Result<()> {
    let bytes = fs::read(path)?;
    let mut gzip = GzEncoder::new(fs::File::create(with(path, "gz"))?, Compression::best());
    gzip.write_all(&bytes)?;
    gzip.finish()?;
    // Its best, with a window as large as browsers take.
    let parameters = BrotliEncoderParams {
        quality: 11,
        lgwin: 22,
        ..Default::default()
    };
    let mut to = fs::File::create(with(path, "br"))?;
    brotli::BrotliCompress(&mut bytes.as_slice(), &mut to, &parameters)?;
    Ok(())
}

fn with(path: &Path, ending: &str) -> std::path::PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(".");
    path.push(ending);
    path.into()
}

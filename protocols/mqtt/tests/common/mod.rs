//! Parts that the tests with vectors share.

use std::path::{Path, PathBuf};

/// The files of a folder of vectors, by name.
pub(crate) fn files(folder: &str) -> Vec<(String, String)> {
    let folder: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/vectors/mqtt")
        .join(folder);
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .expect("the vectors are there")
        .map(|entry| {
            let path = entry.expect("an entry").path();
            let name = path.file_name().expect("a name").to_string_lossy();
            let text = std::fs::read_to_string(&path).expect("a text");
            (name.into_owned(), text)
        })
        .collect();
    files.sort();
    assert!(!files.is_empty());
    files
}

//! What the tests with vectors share.

use std::path::{Path, PathBuf};

use jackfield_mqtt::codec::Version;

/// A packet (`tests/vectors/mqtt/packets`). The README beside them explains the format.
#[derive(Debug)]
pub(crate) struct Vector {
    /// File and line.
    pub(crate) at: String,
    pub(crate) version: Version,
    pub(crate) bytes: Vec<u8>,
    /// Parts of what `Debug` shows of it.
    pub(crate) is: Vec<String>,
    /// Whether it is written back otherwise.
    pub(crate) otherwise: bool,
    /// The reason code for which it is refused.
    pub(crate) refused: Option<u8>,
}

/// All of them.
pub(crate) fn packets() -> Vec<Vector> {
    let mut vectors: Vec<Vector> = Vec::new();
    for (name, text) in files("packets") {
        for (number, line) in text.lines().enumerate() {
            let at = format!("{name}:{}", number + 1);
            let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
            if word == "bytes" {
                let (version, rest) = rest.split_once(' ').expect("a version");
                let version = match version {
                    "5" => Version::V5,
                    "3.1.1" => Version::V311,
                    _ => panic!("{at}: which version is {version}?"),
                };
                vectors.push(Vector {
                    at,
                    version,
                    bytes: bytes(rest),
                    is: Vec::new(),
                    otherwise: false,
                    refused: None,
                });
                continue;
            }
            if matches!(word, "" | "#") {
                continue;
            }
            let vector = vectors.last_mut().expect("bytes first");
            match word {
                "is" => vector.is.push(rest.to_owned()),
                "otherwise" => vector.otherwise = true,
                "refused" => {
                    let reason = u8::from_str_radix(rest, 16).expect("a reason");
                    vector.refused = Some(reason);
                }
                _ => panic!("{at}: what is {word}?"),
            }
        }
    }
    vectors
}

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

/// Bytes in hexadecimal, with text in quotes.
pub(crate) fn bytes(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (at, part) in text.split('"').enumerate() {
        if at % 2 == 1 {
            bytes.extend_from_slice(part.as_bytes());
        } else {
            for word in part.split_whitespace() {
                bytes.push(u8::from_str_radix(word, 16).expect(word));
            }
        }
    }
    bytes
}

//! The vectors of packets (`tests/vectors/mqtt/packets`). The README beside them explains the format.

use jackfield_mqtt::codec::Version;
use jackfield_play::hex;

use crate::common::files;

/// One of them.
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
                    bytes: hex::read(rest),
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

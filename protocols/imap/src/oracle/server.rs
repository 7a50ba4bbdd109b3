//! A server's reading of commands, strict, and written without this crate's own code.

/// A command, as a server takes it apart.
#[derive(Debug)]
pub(super) struct Read {
    pub(super) tag: String,
    /// The atoms and strings behind the tag.
    pub(super) texts: Vec<Vec<u8>>,
}

/// Reads one command.
///
/// # Panics
/// Where it is not exactly one, or the client waits elsewhere than a server would have it.
pub(super) fn read(bytes: &[u8], waits: &[usize]) -> Read {
    let mut texts = Vec::new();
    let mut waited = Vec::new();
    let mut at = 0;
    let mut atom: Vec<u8> = Vec::new();
    while at < bytes.len() {
        let byte = bytes[at];
        at += 1;
        match byte {
            b' ' | b'(' | b')' => end(&mut atom, &mut texts),
            b'"' => {
                end(&mut atom, &mut texts);
                let mut text = Vec::new();
                loop {
                    let byte = bytes[at];
                    at += 1;
                    match byte {
                        b'"' => break,
                        b'\\' => {
                            assert!(
                                matches!(bytes[at], b'"' | b'\\'),
                                "escapes what has no need"
                            );
                            text.push(bytes[at]);
                            at += 1;
                        }
                        b'\r' | b'\n' | 0 => panic!("a quoted string goes over its line"),
                        byte => text.push(byte),
                    }
                }
                texts.push(text);
            }
            b'{' => {
                end(&mut atom, &mut texts);
                let close = bytes[at..]
                    .iter()
                    .position(|byte| *byte == b'}')
                    .expect("a size");
                let size = std::str::from_utf8(&bytes[at..at + close]).expect("digits");
                at += close + 1;
                assert_eq!(
                    &bytes[at..at + 2],
                    b"\r\n",
                    "something stands behind a literal's size"
                );
                at += 2;
                if !size.ends_with('+') {
                    waited.push(at);
                }
                let size: usize = size.trim_end_matches('+').parse().expect("digits");
                texts.push(bytes[at..at + size].to_vec());
                at += size;
            }
            b'\r' => {
                end(&mut atom, &mut texts);
                assert_eq!(&bytes[at..], b"\n", "there is a second command");
                at += 1;
            }
            b'\n' | 0 => panic!("a bare {byte}"),
            byte => atom.push(byte),
        }
    }
    end(&mut atom, &mut texts);
    assert_eq!(waited, waits, "the client waits elsewhere");
    let tag = String::from_utf8(texts.remove(0)).expect("a tag");
    Read { tag, texts }
}

fn end(atom: &mut Vec<u8>, texts: &mut Vec<Vec<u8>>) {
    if !atom.is_empty() {
        texts.push(std::mem::take(atom));
    }
}

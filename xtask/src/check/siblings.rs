//! Siblings: the protocols have the same files, and cores that know no clock and no task.
//!
//! Whoever has read one of them finds his way in the others.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail};

use super::edges::Ring;
use crate::workspace::{Package, packages, root};

/// What a protocol breaks today. It only gets shorter: a line that is true no longer fails the
/// check as well.
const NOT_YET: &[&str] = &[];

/// The files of a protocol. Those that end in a slash are folders with something in them.
const FILES: &[&str] = &[
    "src/lib.rs",
    "src/error.rs",
    // Bytes ↔ types.
    "src/codec.rs",
    "src/codec/",
    // The state machine.
    "src/core.rs",
    "src/core/",
    // The async handle and its connection future.
    "src/client.rs",
    "src/client/action.rs",
    "src/client/config.rs",
    "src/client/connection.rs",
    "src/client/event.rs",
    "src/client/handle.rs",
    // What holds for any input.
    "src/oracle.rs",
];

/// The tests of a protocol, each a file or a folder with a `main.rs`; it may have more.
const TESTS: &[&str] = &[
    // The client against a peer that the test plays.
    "tests/client",
    // The codec, by vectors.
    "tests/messages",
    // The core, by vectors.
    "tests/transcripts",
];

/// The file of a client's handle, and what each handle has.
const HANDLE: &str = "src/client/handle.rs";
const HANDLES: &[&str] = &[
    "pub fn status(&self) -> Status",
    "pub fn statuses(&self) -> Statuses",
    "pub fn reconnect_now(&self)",
    "pub fn lost_at(&self) -> Option<Place>",
    "pub async fn close(&self)",
];

/// The rooms in which neither a clock nor a task may be, and no way leads to the client's.
const SANS_IO: &[&str] = &["src/codec", "src/core"];

/// What these rooms may not say. `Context` alone is the RFC's word for OSCORE's.
const FORBIDDEN: &[&str] = &[
    "Instant::now",
    "time::now",
    "SystemTime",
    "async",
    ".await",
    "Poll",
    "Waker",
    "std::task",
    "core::task",
    "crate::client",
];

/// The texts of a crate by their paths from its folder.
type Sources = BTreeMap<String, String>;

/// Checks every protocol.
pub(super) fn check() -> Result<()> {
    let is_protocol = |package: &Package| Ring::of(&package.folder) == Ring::Protocol;
    let mut faults = BTreeSet::new();
    for package in packages("Cargo.toml")?.into_iter().filter(is_protocol) {
        let sources = sources(&root().join(&package.folder))?;
        let named = |fault| format!("{}/{fault}", package.folder);
        faults.extend(faults_of(&sources).into_iter().map(named));
    }
    let broken = judge(&faults, NOT_YET);
    if broken.is_empty() {
        return Ok(());
    }
    bail!("among the protocols:\n  {}", broken.join("\n  "))
}

/// The faults that are not excused, and the excuses that are no longer needed.
fn judge(faults: &BTreeSet<String>, excused: &[&str]) -> Vec<String> {
    let new = faults
        .iter()
        .filter(|fault| !excused.contains(&fault.as_str()));
    let stale = excused.iter().filter(|excuse| !faults.contains(**excuse));
    new.cloned()
        .chain(stale.map(|excuse| format!("{excuse}: no longer so; take it out of NOT_YET")))
        .collect()
}

fn faults_of(sources: &Sources) -> BTreeSet<String> {
    let mut faults = BTreeSet::new();
    for file in FILES {
        let exists = if file.ends_with('/') {
            sources.keys().any(|path| path.starts_with(file))
        } else {
            sources.contains_key(*file)
        };
        if !exists {
            faults.insert(format!("{file}: does not exist"));
        }
    }
    for test in TESTS {
        let one = format!("{test}.rs");
        if !sources.contains_key(&one) && !sources.contains_key(&format!("{test}/main.rs")) {
            faults.insert(format!("{one}: does not exist"));
        }
    }
    if let Some(text) = sources.get(HANDLE) {
        for method in HANDLES.iter().filter(|method| !text.contains(**method)) {
            faults.insert(format!("{HANDLE}: has no `{method}`"));
        }
    }
    for (path, text) in sources {
        let is_test = path.ends_with("/tests.rs") || path.contains("/tests/");
        if is_test || !SANS_IO.iter().any(|room| is_in(path, room)) {
            continue;
        }
        let code = code(text);
        for word in FORBIDDEN.iter().filter(|word| says(&code, word)) {
            faults.insert(format!("{path}: says `{word}`"));
        }
    }
    faults
}

/// Whether a file is a module's own, or in its folder.
fn is_in(path: &str, module: &str) -> bool {
    path.strip_prefix(module)
        .is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
}

/// What is compiled into the crate: neither comments nor what only tests have. The text is as
/// rustfmt leaves it, so that an item ends where its indentation says so.
fn code(text: &str) -> String {
    let mut code = String::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line.trim() == "#[cfg(test)]" {
            skip_item(&mut lines, line.len() - line.trim_start().len());
            continue;
        }
        // A string that holds two slashes loses its end, which nobody misses here.
        code.push_str(line.split("//").next().unwrap_or_default());
        code.push('\n');
    }
    code
}

/// Skips the item of this indentation that begins in the next line.
fn skip_item<'a>(lines: &mut impl Iterator<Item = &'a str>, indentation: usize) {
    for line in lines {
        let inner = line.trim_start();
        let is_outer = line.len() - inner.len() == indentation && !inner.starts_with("#[");
        if is_outer && inner.ends_with([';', '}', ',']) {
            return;
        }
    }
}

/// Whether a text has this word, not as a part of another.
fn says(text: &str, word: &str) -> bool {
    let is_letter = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(word).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + word.len()..].chars().next();
        (word.starts_with('.') || !before.is_some_and(is_letter)) && !after.is_some_and(is_letter)
    })
}

/// The Rust sources of the crate in this folder.
fn sources(folder: &Path) -> Result<Sources> {
    let mut sources = Sources::new();
    for part in ["src", "tests"] {
        if folder.join(part).is_dir() {
            gather(folder, part, &mut sources)?;
        }
    }
    Ok(sources)
}

fn gather(root: &Path, folder: &str, sources: &mut Sources) -> Result<()> {
    let entries = fs::read_dir(root.join(folder)).with_context(|| format!("no folder {folder}"))?;
    for entry in entries {
        let entry = entry?;
        let path = format!("{folder}/{}", entry.file_name().to_string_lossy());
        if entry.file_type()?.is_dir() {
            gather(root, &path, sources)?;
        } else if Path::new(&path).extension().is_some_and(|is| is == "rs") {
            sources.insert(path, fs::read_to_string(entry.path())?);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A protocol that breaks no rule.
    fn gopher() -> Sources {
        let files = FILES.iter().map(|file| match file.strip_suffix('/') {
            Some(folder) => format!("{folder}/item.rs"),
            None => (*file).to_owned(),
        });
        let tests = TESTS.iter().map(|test| format!("{test}.rs"));
        let mut sources: Sources = files
            .chain(tests)
            .map(|path| (path, String::new()))
            .collect();
        sources.insert(HANDLE.to_owned(), HANDLES.join("\n"));
        sources
    }

    fn with(path: &str, text: &str) -> BTreeSet<String> {
        let mut sources = gopher();
        sources.insert(path.to_owned(), text.to_owned());
        faults_of(&sources)
    }

    #[test]
    fn a_sibling_has_every_file() {
        assert!(faults_of(&gopher()).is_empty());
        for path in gopher().keys() {
            let mut sources = gopher();
            sources.remove(path);
            assert_eq!(faults_of(&sources).len(), 1, "without {path}");
        }
        let mut sources = gopher();
        sources.remove("tests/client.rs");
        sources.insert("tests/client/main.rs".into(), String::new());
        assert!(faults_of(&sources).is_empty());
    }

    #[test]
    fn handles_have_the_same_methods() {
        for method in HANDLES {
            let text = HANDLES.join("\n").replace(method, "");
            let found = with(HANDLE, &text);
            assert_eq!(found.len(), 1, "without {method}: {found:?}");
        }
    }

    #[test]
    fn neither_clock_nor_task_is_in_a_core() {
        for text in [
            "let now = Instant::now();",
            "let now = time::now();",
            "use std::time::SystemTime;",
            "pub async fn receive() {}",
            "    socket.read().await;",
            "use std::task::{Context, Poll};",
            "fn poll(&mut self) -> Poll<()> {}",
            "fn poll(cx: &mut std::task::Context<'_>) {}",
            "use crate::client::Event;",
        ] {
            for path in [
                "src/core.rs",
                "src/core/a/b.rs",
                "src/codec.rs",
                "src/codec/a.rs",
            ] {
                assert!(!with(path, text).is_empty(), "{path}: {text}");
            }
            for path in ["src/client/action.rs", "src/cores.rs", "src/core/tests.rs"] {
                assert!(with(path, text).is_empty(), "{path}: {text}");
            }
        }
    }

    #[test]
    fn what_only_looks_like_it_passes() {
        for text in [
            "/// let now = Instant::now();",
            "let x = 1; // as an async fn would",
            "fn protect(context: oscore::Context) {}",
            "fn poll_event(&mut self) {}",
            "struct Polled; struct MyPoll;",
            "use crate::clients::Event;",
            "#[cfg(test)]\nmod tests {\n    fn a() {\n        Instant::now();\n    }\n}\n",
            "#[cfg(test)]\nuse std::task::Poll;\n",
            "    #[cfg(test)]\n    #[inline]\n    fn a() {\n        Instant::now();\n    }\n",
        ] {
            let found = with("src/core.rs", text);
            assert!(found.is_empty(), "{text}: {found:?}");
        }
    }

    #[test]
    fn what_stands_behind_a_test_is_read() {
        let text = "#[cfg(test)]\nmod tests {\n    fn a() {}\n}\n\nfn now() -> SystemTime {}\n";
        assert_eq!(with("src/core.rs", text).len(), 1);
    }

    #[test]
    fn an_excuse_ends_with_its_reason() {
        let faults = BTreeSet::from(["a: does not exist".to_owned()]);
        assert!(judge(&faults, &["a: does not exist"]).is_empty());
        assert_eq!(judge(&faults, &[]).len(), 1);
        let stale = judge(&BTreeSet::new(), &["a: does not exist"]);
        assert!(stale[0].contains("NOT_YET"), "{stale:?}");
    }
}

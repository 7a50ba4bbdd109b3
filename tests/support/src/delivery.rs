//! What servers of mail deliver: a file for each message, in a folder.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::{sleep, timeout};

const LOOK_AGAIN: Duration = Duration::from_millis(10);
const WITHIN: Duration = Duration::from_secs(30);
const SETTLE: Duration = Duration::from_millis(500);

/// Waits until a folder has so many files, and half a second more for one that is too many; gives what they
/// hold, in the order of their names. Servers move a file there when it is whole.
///
/// # Errors
/// When they don't arrive; the text shows what the server wrote.
pub(crate) async fn arrived(
    folder: &Path,
    count: usize,
    wrote: impl FnOnce() -> String,
) -> io::Result<Vec<Vec<u8>>> {
    let names = || {
        let entries = fs::read_dir(folder).into_iter().flatten();
        let mut names: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        names.retain(|name| name.extension().is_none_or(|it| it != "tmp"));
        names.sort();
        names
    };
    let all_there = async {
        while names().len() < count {
            sleep(LOOK_AGAIN).await;
        }
    };
    if timeout(WITHIN, all_there).await.is_err() {
        let came = names().len();
        let text = format!("{came} of {count} messages have arrived\n{}", wrote());
        return Err(io::Error::new(io::ErrorKind::TimedOut, text));
    }
    sleep(SETTLE).await;
    names().iter().map(fs::read).collect()
}

//! Openings, played: what is said before TLS is a few lines, and stands in the test itself.

use jackfield_socket::{Opening, Result};

/// Plays a server's lines, each without its end, to an opening: what the client said, and whether TLS
/// may begin, or how the opening failed.
pub fn play_opening(mut opening: impl Opening, lines: &[&str]) -> (String, Result<bool>) {
    let mut said = Vec::new();
    let mut outcome = Ok(());
    opening.transmit(&mut said);
    for line in lines {
        let line = format!("{line}\r\n");
        outcome = opening.receive(line.as_bytes()).map(drop);
        if outcome.is_err() {
            break;
        }
        opening.transmit(&mut said);
    }
    let said = String::from_utf8_lossy(&said).into_owned();
    (said, outcome.map(|()| opening.is_done()))
}

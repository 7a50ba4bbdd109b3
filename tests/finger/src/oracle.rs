//! What must hold for any input: a fuzz target would be a line over it.

use crate::codec::{Lines, MAX_LINE};
use crate::error::SessionError;

/// An answer's lines are the same wherever it is cut, bounded, and safe to show.
///
/// # Panics
/// When that does not hold.
pub fn answer(data: &[u8]) {
    let whole = lines([data]);
    assert_eq!(whole, lines(data.chunks(1)));
    for line in &whole.0 {
        // A byte that is no UTF-8 becomes three.
        assert!(line.len() <= 3 * MAX_LINE);
        assert!(!line.contains(|c: char| c.is_control() && c != '\t'));
    }
}

fn lines<'a>(
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> (Vec<String>, Result<(), SessionError>) {
    let (mut lines, mut given) = (Lines::default(), Vec::new());
    let mut pieces = pieces.into_iter();
    let outcome = pieces.try_for_each(|piece| lines.receive(piece, |line| given.push(line)));
    (given, outcome)
}

//! Answers: lines, in any pieces (RFC 1288, section 2.2).

use crate::error::SessionError;

/// The longest line of an answer, in bytes.
pub const MAX_LINE: usize = 1024;

/// Takes an answer apart into lines.
#[derive(Debug, Default)]
pub struct Lines(Vec<u8>);

impl Lines {
    /// Takes bytes, in any pieces, and gives each line that they end.
    ///
    /// # Errors
    /// [`SessionError::LineTooLong`].
    pub fn receive(
        &mut self,
        bytes: &[u8],
        mut give: impl FnMut(String),
    ) -> Result<(), SessionError> {
        for &byte in bytes {
            match byte {
                b'\n' => {
                    let line = String::from_utf8_lossy(&self.0);
                    // What could steer a terminal is left out, the CR as well (section 3.3).
                    give(
                        line.chars()
                            .filter(|c| *c == '\t' || !c.is_control())
                            .collect(),
                    );
                    self.0.clear();
                }
                _ if self.0.len() < MAX_LINE => self.0.push(byte),
                _ => return Err(SessionError::LineTooLong),
            }
        }
        Ok(())
    }

    /// Whether a line has begun and not ended.
    pub fn is_in_line(&self) -> bool {
        !self.0.is_empty()
    }
}

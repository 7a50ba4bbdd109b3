//! The oracle of endpoints: what must hold for any input. It is shared by the tests here and the
//! fuzz target, which is a line over this function.

use crate::Endpoint;

/// An endpoint that is accepted is written back with its meaning.
///
/// # Panics
/// When this promise is broken.
pub fn endpoint(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else {
        return;
    };
    if let Ok(endpoint) = text.parse::<Endpoint>() {
        let again = endpoint.to_string().parse::<Endpoint>();
        assert_eq!(again.ok(), Some(endpoint));
    }
}

#[cfg(test)]
mod tests {
    /// What the fuzz target begins with, and what it has found.
    #[test]
    fn the_corpus_holds() {
        jackfield_corpora::hold("endpoint", super::endpoint);
    }
}

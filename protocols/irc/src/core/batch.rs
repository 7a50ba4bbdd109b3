//! Batches that are open (IRCv3 batch).
//!
//! A batch delays nothing here: what it holds is acted on as it arrives, and only whose answer it
//! is, and whether it is history, is looked up.

use std::collections::BTreeMap;

use super::RequestId;

/// Batches that may be open at once; those beyond are not known, and what they hold is taken as if
/// it stood alone.
const MAX_OPEN: usize = 64;
/// The longest reference that is kept, in bytes.
const MAX_REFERENCE: usize = 128;

#[derive(Debug, Default)]
pub(super) struct Batches(BTreeMap<String, Batch>);

/// What is known about a batch. One within another has what the outer one has.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Batch {
    /// The request that it answers.
    pub(super) label: Option<RequestId>,
    /// Whether it holds history.
    pub(super) history: bool,
    /// Whether its end is the answer's end.
    outermost: bool,
}

impl Batches {
    /// Begins a batch that answers `label`, or lies within `outer`.
    pub(super) fn begin(
        &mut self,
        reference: &str,
        kind: &str,
        label: Option<RequestId>,
        outer: Option<Batch>,
    ) {
        if self.0.len() >= MAX_OPEN || reference.len() > MAX_REFERENCE {
            return;
        }
        let inherited = outer.unwrap_or_default();
        let batch = Batch {
            label: label.or(inherited.label),
            history: inherited.history || matches!(kind, "chathistory" | "znc.in/playback"),
            outermost: outer.is_none(),
        };
        self.0.insert(reference.to_owned(), batch);
    }

    /// Ends a batch; the request whose answer ends with it.
    pub(super) fn end(&mut self, reference: &str) -> Option<RequestId> {
        let batch = self.0.remove(reference)?;
        batch.label.filter(|_| batch.outermost)
    }

    /// What is known about this batch.
    pub(super) fn get(&self, reference: &str) -> Option<Batch> {
        self.0.get(reference).copied()
    }
}

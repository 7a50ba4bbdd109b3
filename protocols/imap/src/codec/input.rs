//! The input of the grammar: what is left of a response, and how much more may come of it.

use std::cell::{Cell, OnceCell};
use std::iter::{Copied, Enumerate};
use std::slice::Iter;
use std::sync::Arc;

use bytes::Bytes;
use nom::{Compare, CompareResult, Err, IResult, Needed};

use super::limits::{Limit, Limits};
use super::text::{SHORT, Text};

/// What a parser of the grammar gives. Nobody looks at its errors: what can't be read is unknown.
pub(super) type Parsed<'a, T> = IResult<Input<'a>, T, ()>;

/// The error of every parser.
pub(super) const WRONG: Err<()> = Err::Error(());

/// As many numbers an item counts for.
const ITEM: usize = 16;

/// A whole response, and what was counted in it.
#[derive(Debug)]
pub(super) struct Counted<'a> {
    whole: &'a Bytes,
    /// The same, for texts to share, once there is one that is long.
    shared: OnceCell<Arc<Bytes>>,
    items: Cell<usize>,
    limit: Cell<Option<Limit>>,
    limits: Limits,
}

impl<'a> Counted<'a> {
    pub(super) fn new(whole: &'a Bytes, limits: Limits) -> Self {
        Self {
            whole,
            shared: OnceCell::new(),
            items: Cell::new(0),
            limit: Cell::new(None),
            limits,
        }
    }

    /// The limit that was reached, if one was.
    pub(super) fn limit(&self) -> Option<Limit> {
        self.limit.get()
    }
}

/// What is left of a response.
#[derive(Clone, Copy, Debug)]
pub(super) struct Input<'a> {
    rest: &'a [u8],
    counted: &'a Counted<'a>,
    depth: u8,
}

impl<'a> Input<'a> {
    pub(super) fn new(counted: &'a Counted<'a>) -> Self {
        Self {
            rest: counted.whole,
            counted,
            depth: 0,
        }
    }

    #[inline]
    pub(super) fn bytes(self) -> &'a [u8] {
        self.rest
    }

    #[inline]
    pub(super) fn is_empty(self) -> bool {
        self.rest.is_empty()
    }

    #[inline]
    pub(super) fn first(self) -> Option<u8> {
        self.rest.first().copied()
    }

    /// As a text that shares the response's memory.
    pub(super) fn text(self) -> Text {
        let whole = self.counted.whole;
        // What is left of a response is a part of it.
        let start = self.rest.as_ptr().addr() - whole.as_ptr().addr();
        Text::part(self.rest, start, || {
            let shared = self.counted.shared.get_or_init(|| Arc::new(whole.clone()));
            Arc::clone(shared)
        })
    }

    /// The first bytes as a text, and the rest.
    #[inline]
    pub(super) fn split_text(self, count: usize) -> (Text, Self) {
        let (taken, rest) = self.split(count);
        match self.rest.first_chunk::<SHORT>() {
            Some(bytes) if count <= SHORT => (Text::first(count, *bytes), rest),
            _ => (taken.text(), rest),
        }
    }

    /// The first bytes as one input, and the rest as another.
    #[inline]
    pub(super) fn split(self, count: usize) -> (Self, Self) {
        let (taken, rest) = self.rest.split_at(count.min(self.rest.len()));
        (
            Self {
                rest: taken,
                ..self
            },
            Self { rest, ..self },
        )
    }

    #[inline]
    pub(super) fn after(self, count: usize) -> Self {
        self.split(count).1
    }

    /// A number more, which takes hardly more memory than its digits.
    pub(super) fn count_number(self) -> Result<(), Err<()>> {
        self.count_as(1)
    }

    /// An item more: what is known of it takes much more than what is said.
    pub(super) fn count(self) -> Result<(), Err<()>> {
        self.count_as(ITEM)
    }

    fn count_as(self, weight: usize) -> Result<(), Err<()>> {
        let items = self.counted.items.get() + weight;
        self.counted.items.set(items);
        if items > self.counted.limits.max_items {
            self.counted.limit.set(Some(Limit::Items));
            return Err(WRONG);
        }
        Ok(())
    }

    /// One level deeper.
    pub(super) fn deeper(self) -> Result<Self, Err<()>> {
        if self.depth >= self.counted.limits.max_depth {
            self.counted.limit.set(Some(Limit::Depth));
            return Err(WRONG);
        }
        let depth = self.depth + 1;
        Ok(Self { depth, ..self })
    }

    /// As deep as another.
    pub(super) fn level(self, other: Self) -> Self {
        let depth = other.depth;
        Self { depth, ..self }
    }
}

impl<'a> nom::Input for Input<'a> {
    type Item = u8;
    type Iter = Copied<Iter<'a, u8>>;
    type IterIndices = Enumerate<Self::Iter>;

    fn input_len(&self) -> usize {
        self.rest.len()
    }

    fn take(&self, index: usize) -> Self {
        self.split(index).0
    }

    fn take_from(&self, index: usize) -> Self {
        self.split(index).1
    }

    fn take_split(&self, index: usize) -> (Self, Self) {
        let (taken, rest) = self.split(index);
        (rest, taken)
    }

    fn position<P: Fn(u8) -> bool>(&self, predicate: P) -> Option<usize> {
        self.rest.iter().position(|byte| predicate(*byte))
    }

    fn iter_elements(&self) -> Self::Iter {
        self.rest.iter().copied()
    }

    fn iter_indices(&self) -> Self::IterIndices {
        self.iter_elements().enumerate()
    }

    fn slice_index(&self, count: usize) -> Result<usize, Needed> {
        if count > self.rest.len() {
            return Err(Needed::Unknown);
        }
        Ok(count)
    }
}

impl Compare<&str> for Input<'_> {
    fn compare(&self, other: &str) -> CompareResult {
        self.rest.compare(other)
    }

    fn compare_no_case(&self, other: &str) -> CompareResult {
        self.rest.compare_no_case(other)
    }
}

//! The suite's cases, by what they are about.

mod cancel;
mod close;
mod connect;
mod datagram;
mod flow;
mod listen;
mod multicast;
mod tasks;
mod transfer;

use crate::Case;

/// One case: a function of this module, and the promise that it checks.
macro_rules! case {
    ($function:ident, $promise:literal) => {
        $crate::Case {
            module: module_path!(),
            name: stringify!($function),
            promise: $promise,
            run: |target| Box::pin($function(target)),
        }
    };
}
use case;

pub(crate) fn all() -> impl Iterator<Item = &'static Case> {
    [
        connect::CASES,
        transfer::CASES,
        close::CASES,
        cancel::CASES,
        flow::CASES,
        tasks::CASES,
        listen::CASES,
        datagram::CASES,
        multicast::CASES,
    ]
    .into_iter()
    .flatten()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    #[test]
    fn names_are_unique() {
        let mut seen = BTreeSet::new();
        for case in super::all() {
            assert!(seen.insert(case.name()), "{} stands twice", case.name());
        }
    }
}

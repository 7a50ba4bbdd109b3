//! Bytes ↔ types: replies, what a server can do, commands, and the content of a message.
//!
//! What a caller passes into a command is a type that can't hold what would end it: a [`Mailbox`],
//! a [`Domain`], a [`Parameter`](MailParameters). What a server sends is bounded by
//! [`ReplyLimits`], and is read the same in whichever pieces it comes.

mod capability;
mod command;
mod content;
mod domain;
mod mailbox;
mod parameters;
mod reply;
#[cfg(any(test, feature = "server"))]
pub mod server;
mod value;

pub use capability::{Capabilities, Capability, Limit};
pub use command::Command;
pub use content::{Content, Framing, Survey};
pub use domain::Domain;
pub use mailbox::{Mailbox, ReversePath};
pub use parameters::{
    BodyKind, DeliverBy, EnvelopeId, Hold, Late, MailParameters, Notify, OriginalRecipient,
    Priority, RecipientParameters, Return, Timestamp,
};
pub use reply::{EnhancedCode, Replies, Reply, ReplyFault, ReplyLimits, Severity};
pub use value::{InvalidValue, Text};

/// Appends a number, in decimal.
pub(crate) fn push_number(out: &mut Vec<u8>, number: u64) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    let mut rest = number;
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_decimal() {
        for number in [0, 7, 10, 354, u64::MAX] {
            let mut out = Vec::new();
            push_number(&mut out, number);
            assert_eq!(out, number.to_string().as_bytes());
        }
    }
}

//! The signals of RFC 8323, section 5: messages about the connection itself.

use std::time::Duration;

use crate::codec::{Code, Message, OptionNumber};

/// CSM's Max-Message-Size.
const MAX_MESSAGE_SIZE: OptionNumber = OptionNumber(2);
/// CSM's Block-Wise-Transfer.
const BLOCK_WISE_TRANSFER: OptionNumber = OptionNumber(4);
/// Ping's and Pong's Custody.
const CUSTODY: OptionNumber = OptionNumber(2);
/// Release's Alternative-Address.
const ALTERNATIVE_ADDRESS: OptionNumber = OptionNumber(2);
/// Release's Hold-Off, in seconds.
const HOLD_OFF: OptionNumber = OptionNumber(4);
/// Abort's Bad-CSM-Option.
const BAD_CSM_OPTION: OptionNumber = OptionNumber(2);

/// A signal, of which it is known what it means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Signal {
    Csm {
        max_message_size: Option<u32>,
        block_wise: bool,
    },
    Ping {
        custody: bool,
    },
    Pong,
    Release {
        alternatives: Vec<String>,
        hold_off: Duration,
    },
    Abort {
        bad_option: Option<OptionNumber>,
    },
}

impl Signal {
    /// What a message says, if it is a signal that is known.
    ///
    /// # Errors
    /// A critical option that is not known. What is elective is ignored, if it isn't known or its
    /// value does not fit.
    pub(super) fn decode(message: &Message) -> Result<Option<Self>, OptionNumber> {
        // The numbers mean something else in each signal; all that are known are elective.
        let critical = |(number, _): (OptionNumber, &[u8])| number.is_critical().then_some(number);
        if let Some(number) = message.options().iter().find_map(critical) {
            return Err(number);
        }
        Ok(Some(match message.code() {
            Code::CSM => Self::Csm {
                max_message_size: uint(message, MAX_MESSAGE_SIZE, 4),
                block_wise: first(message, BLOCK_WISE_TRANSFER).is_some_and(<[u8]>::is_empty),
            },
            Code::PING => Self::Ping {
                custody: first(message, CUSTODY).is_some_and(<[u8]>::is_empty),
            },
            Code::PONG => Self::Pong,
            Code::RELEASE => Self::Release {
                alternatives: message
                    .options()
                    .iter()
                    .filter(|(number, value)| {
                        *number == ALTERNATIVE_ADDRESS && (1..=255).contains(&value.len())
                    })
                    .filter_map(|(_, value)| String::from_utf8(value.to_vec()).ok())
                    .collect(),
                hold_off: Duration::from_secs(uint(message, HOLD_OFF, 3).unwrap_or(0).into()),
            },
            Code::ABORT => Self::Abort {
                bad_option: uint(message, BAD_CSM_OPTION, 2)
                    .map(|number| OptionNumber(number as u16)),
            },
            _ => return Ok(None),
        }))
    }
}

/// A CSM that says what this side takes.
pub(super) fn csm(max_message_size: u32) -> Message {
    let mut message = Message::new(Code::CSM);
    push_uint(&mut message, MAX_MESSAGE_SIZE, max_message_size);
    message.options_mut().insert(BLOCK_WISE_TRANSFER, &[]);
    message
}

/// The answer to a ping.
pub(super) fn pong(ping: &Message, custody: bool) -> Message {
    let mut message = Message::new(Code::PONG);
    message.set_token(ping.token());
    if custody {
        message.options_mut().insert(CUSTODY, &[]);
    }
    message
}

/// The last message on a connection that can't go on.
pub(super) fn abort(diagnostic: &str, bad_option: Option<OptionNumber>) -> Message {
    let mut message = Message::new(Code::ABORT);
    if let Some(number) = bad_option {
        push_uint(&mut message, BAD_CSM_OPTION, number.0.into());
    }
    message.payload = diagnostic.to_owned().into();
    message
}

fn first(message: &Message, number: OptionNumber) -> Option<&[u8]> {
    let mut options = message.options().iter();
    options
        .find(|(other, _)| *other == number)
        .map(|(_, value)| value)
}

fn uint(message: &Message, number: OptionNumber, max_length: usize) -> Option<u32> {
    let value = first(message, number)?;
    (value.len() <= max_length).then(|| {
        value
            .iter()
            .fold(0, |uint, byte| uint << 8 | u32::from(*byte))
    })
}

fn push_uint(message: &mut Message, number: OptionNumber, value: u32) {
    let bytes = value.to_be_bytes();
    let zeros = value.leading_zeros() as usize / 8;
    let value = bytes.get(zeros..).unwrap_or_default();
    message.options_mut().insert(number, value);
}

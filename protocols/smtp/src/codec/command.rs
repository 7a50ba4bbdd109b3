//! Commands (RFC 5321, section 4.1). What they carry are types that hold no line's end.

use super::{
    BodyKind, DeliverBy, Domain, Hold, Late, MailParameters, Mailbox, Notify, RecipientParameters,
    Return, ReversePath, Text, push_number,
};

/// A command, without the content that may follow it.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Command<'a> {
    /// Says who one is, and asks what the server can do.
    Ehlo(&'a Domain),
    /// Says who one is.
    Helo(&'a Domain),
    /// As EHLO, where mail is delivered (RFC 2033).
    Lhlo(&'a Domain),
    /// Begins a message.
    Mail(&'a ReversePath, &'a MailParameters),
    /// Names a recipient.
    Rcpt(&'a Mailbox, &'a RecipientParameters),
    /// Asks for the go-ahead for the content.
    Data,
    /// So many bytes of content follow, the last or not (RFC 3030).
    Bdat(u64, bool),
    /// Gives up the message that was begun.
    Rset,
    /// Asks whether there is such a mailbox.
    Vrfy(&'a Text),
    /// Does nothing.
    Noop,
    /// Takes leave.
    Quit,
}

impl Command<'_> {
    /// Appends the line.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Ehlo(name) => words(out, &["EHLO ", name.as_str()]),
            Self::Helo(name) => words(out, &["HELO ", name.as_str()]),
            Self::Lhlo(name) => words(out, &["LHLO ", name.as_str()]),
            Self::Mail(from, parameters) => {
                words(out, &["MAIL FROM:<", from.as_str(), ">"]);
                mail(out, parameters);
            }
            Self::Rcpt(to, parameters) => {
                words(out, &["RCPT TO:<", to.as_str(), ">"]);
                if let Some(notify) = parameters.notify {
                    words(out, &[" NOTIFY=", when(notify)]);
                }
                if let Some(original) = &parameters.original {
                    words(out, &[" ORCPT=", original.encoded()]);
                }
            }
            Self::Data => words(out, &["DATA"]),
            Self::Bdat(size, is_last) => {
                words(out, &["BDAT "]);
                push_number(out, *size);
                if *is_last {
                    words(out, &[" LAST"]);
                }
            }
            Self::Rset => words(out, &["RSET"]),
            Self::Vrfy(text) => {
                words(out, &["VRFY ", text.as_str()]);
                // Otherwise the reply may not hold Unicode either (RFC 6531, section 3.7.4.2).
                if !text.as_str().is_ascii() {
                    words(out, &[" SMTPUTF8"]);
                }
            }
            Self::Noop => words(out, &["NOOP"]),
            Self::Quit => words(out, &["QUIT"]),
        }
        out.extend_from_slice(b"\r\n");
    }
}

fn words(out: &mut Vec<u8>, words: &[&str]) {
    for word in words {
        out.extend_from_slice(word.as_bytes());
    }
}

fn mail(out: &mut Vec<u8>, parameters: &MailParameters) {
    if let Some(size) = parameters.size {
        words(out, &[" SIZE="]);
        push_number(out, size);
    }
    if let Some(body) = parameters.body {
        let body = match body {
            BodyKind::SevenBit => "7BIT",
            BodyKind::EightBitMime => "8BITMIME",
            BodyKind::BinaryMime => "BINARYMIME",
        };
        words(out, &[" BODY=", body]);
    }
    if parameters.smtp_utf8 {
        words(out, &[" SMTPUTF8"]);
    }
    if let Some(ret) = parameters.ret {
        let ret = match ret {
            Return::Full => "FULL",
            Return::Headers => "HDRS",
        };
        words(out, &[" RET=", ret]);
    }
    if let Some(id) = &parameters.envelope_id {
        words(out, &[" ENVID=", id.encoded()]);
    }
    if parameters.require_tls {
        words(out, &[" REQUIRETLS"]);
    }
    if let Some(DeliverBy {
        seconds,
        late,
        trace,
    }) = parameters.deliver_by
    {
        words(out, &[" BY="]);
        push_signed(out, seconds);
        let late = match late {
            Late::Return => ";R",
            Late::Notify => ";N",
        };
        words(out, &[late, if trace { "T" } else { "" }]);
    }
    match &parameters.hold {
        None => {}
        Some(Hold::For(seconds)) => {
            words(out, &[" HOLDFOR="]);
            push_number(out, u64::from(*seconds));
        }
        Some(Hold::Until(time)) => words(out, &[" HOLDUNTIL=", time.as_str()]),
    }
    if let Some(priority) = parameters.priority {
        words(out, &[" MT-PRIORITY="]);
        push_signed(out, i32::from(priority.number()));
    }
}

fn push_signed(out: &mut Vec<u8>, number: i32) {
    if number < 0 {
        out.push(b'-');
    }
    push_number(out, u64::from(number.unsigned_abs()));
}

fn when(notify: Notify) -> &'static str {
    match (notify.success, notify.failure, notify.delay) {
        (false, false, false) => "NEVER",
        (true, false, false) => "SUCCESS",
        (false, true, false) => "FAILURE",
        (false, false, true) => "DELAY",
        (true, true, false) => "SUCCESS,FAILURE",
        (true, false, true) => "SUCCESS,DELAY",
        (false, true, true) => "FAILURE,DELAY",
        (true, true, true) => "SUCCESS,FAILURE,DELAY",
    }
}

//! A message on its way: what of it was sent, what is sent next, and what the replies make of it
//! (RFC 5321, section 3.3; RFC 3030; RFC 2033).

mod checks;
mod outcome;

use bytes::Bytes;

use super::request::Content as Given;
use super::{Body, Envelope, Step};
use crate::codec::{BodyKind, Command, Content, Framing, MailParameters, Reply, Severity, Survey};
use crate::error::RequestError;

/// How much content is written at a time, in bytes.
const PIECE: usize = 16 * 1024;
/// Up to this size, counted content leaves before the replies to its recipients have come: where all
/// are refused, it was sent in vain.
const SENT_AHEAD: u64 = 32 * 1024;

/// A message.
#[derive(Debug)]
pub(super) struct Transaction {
    envelope: Envelope,
    source: Source,
    /// What MAIL says, once the server is known.
    parameters: MailParameters,
    framing: Framing,
    content: Content,
    stage: Stage,
    is_mail_taken: bool,
    /// What was said to each recipient.
    replies: Vec<Option<Reply>>,
    /// To how many it was yes.
    accepted: usize,
    /// What was said to the whole message: once, or with LMTP once for each accepted recipient.
    finals: Vec<Reply>,
    /// Whether it is said for each recipient.
    is_each: bool,
    /// What was refused of the message itself.
    refused: Option<(Step, Reply)>,
    /// What failed on this side.
    failed: Option<RequestError>,
    /// How many replies are to come.
    outstanding: usize,
}

/// Where the content comes from.
#[derive(Debug)]
enum Source {
    Whole {
        content: Bytes,
        at: usize,
        survey: Survey,
    },
    Streamed {
        size: Option<u64>,
        piece: Bytes,
        /// A piece was asked for, and has not come.
        is_asked: bool,
        has_begun: bool,
        is_over: bool,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// So many commands of the envelope were sent: MAIL, then a RCPT each.
    Envelope(usize),
    /// DATA was sent, and the go-ahead has not come.
    AwaitsGo,
    /// The content is being sent.
    Content,
    /// All of it was sent, its end as well. From here on, whether it was taken is the server's to say.
    Sent,
    /// There was nobody left to send it to, and nothing was sent in its place.
    Nothing,
    /// It goes no further.
    Stopped,
}

/// The reply that something waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Awaited {
    Mail,
    Recipient(usize),
    Data,
    Chunk,
    Message,
    Nothing,
}

impl Awaited {
    pub(super) fn step(self) -> Step {
        match self {
            Self::Mail => Step::Mail,
            Self::Recipient(_) => Step::Recipient,
            Self::Data | Self::Chunk => Step::Data,
            Self::Message | Self::Nothing => Step::Message,
        }
    }
}

/// What was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wrote {
    /// Nothing: there is nothing for now.
    Nothing,
    /// Content, which no reply is to come to.
    Content,
    /// Something that this reply is to come to.
    Asked(Awaited),
}

/// The server said something that is no answer.
#[derive(Debug)]
pub(super) struct NoAnswer;

/// What a reply makes of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// It is as it was, or goes on.
    Noted,
    /// Another reply of the same kind is to come.
    Again,
    /// The server waits for content, and there is nobody to send it to: it gets none.
    SendNothing,
    /// It was refused with some of its content on the way: the connection is of no more use.
    Midway,
}

impl Transaction {
    /// A message.
    ///
    /// # Errors
    /// What shows without asking a server.
    pub(super) fn new(envelope: Envelope, body: Body) -> Result<Self, RequestError> {
        if envelope.recipients.is_empty() {
            return Err(RequestError::NoRecipients);
        }
        let source = match body.0 {
            Given::Whole(content) => {
                let survey = Body::survey(&content, envelope.keep_bcc);
                let is_binary = envelope.parameters.body == Some(BodyKind::BinaryMime);
                if survey.has_nul() && !is_binary {
                    return Err(RequestError::Nul);
                }
                Source::Whole {
                    content,
                    at: 0,
                    survey,
                }
            }
            Given::Streamed(size) => Source::Streamed {
                size,
                piece: Bytes::new(),
                is_asked: false,
                has_begun: false,
                is_over: false,
            },
        };
        Ok(Self {
            replies: vec![None; envelope.recipients.len()],
            parameters: envelope.parameters.clone(),
            envelope,
            source,
            framing: Framing::Dots,
            content: Content::new(Framing::Dots),
            stage: Stage::Envelope(0),
            is_mail_taken: false,
            accepted: 0,
            finals: Vec::new(),
            is_each: false,
            refused: None,
            failed: None,
            outstanding: 0,
        })
    }

    /// Appends what is sent next, where there is something. Nothing is sent ahead of a reply unless the server
    /// can `pipeline`; `is_quiet` says that none is to come.
    pub(super) fn write(&mut self, pipeline: bool, is_quiet: bool, out: &mut Vec<u8>) -> Wrote {
        let may_ask = pipeline || is_quiet;
        let wrote = match self.stage {
            Stage::Envelope(sent) if may_ask && self.refused.is_none() && self.failed.is_none() => {
                self.write_envelope(sent, pipeline, out)
            }
            Stage::Content => self.write_content(may_ask, out),
            _ => Wrote::Nothing,
        };
        if let Wrote::Asked(_) = wrote {
            self.outstanding += 1;
        }
        wrote
    }

    fn write_envelope(&mut self, sent: usize, pipeline: bool, out: &mut Vec<u8>) -> Wrote {
        let Some(next) = sent.checked_sub(1) else {
            self.stage = Stage::Envelope(1);
            Command::Mail(&self.envelope.from, &self.parameters).encode(out);
            return Wrote::Asked(Awaited::Mail);
        };
        if let Some(recipient) = self.envelope.recipients.get(next) {
            self.stage = Stage::Envelope(sent + 1);
            Command::Rcpt(&recipient.mailbox, &recipient.parameters).encode(out);
            return Wrote::Asked(Awaited::Recipient(next));
        }
        if self.framing == Framing::Dots {
            self.stage = Stage::AwaitsGo;
            Command::Data.encode(out);
            return Wrote::Asked(Awaited::Data);
        }
        let size = match &self.source {
            Source::Whole { survey, .. } if self.framing == Framing::Binary => {
                Some(survey.raw_size())
            }
            Source::Whole { survey, .. } => Some(survey.size()),
            Source::Streamed { .. } => None,
        };
        let is_ahead = pipeline && size.is_some_and(|size| size <= SENT_AHEAD);
        if !is_ahead && self.outstanding > 0 {
            return Wrote::Nothing;
        }
        self.stage = Stage::Content;
        let Some(size) = size else {
            return Wrote::Content;
        };
        Command::Bdat(size, true).encode(out);
        Wrote::Asked(Awaited::Message)
    }

    fn write_content(&mut self, may_ask: bool, out: &mut Vec<u8>) -> Wrote {
        let (framing, writer) = (self.framing, &mut self.content);
        match &mut self.source {
            Source::Whole { content, at, .. } => {
                let end = content.len().min(*at + PIECE);
                writer.write(&content[*at..end], out);
                *at = end;
                if end < content.len() {
                    return Wrote::Content;
                }
                writer.end(out);
                self.stage = Stage::Sent;
                match framing {
                    Framing::Dots => Wrote::Asked(Awaited::Message),
                    // It was, with the size.
                    Framing::Chunks | Framing::Binary => Wrote::Content,
                }
            }
            Source::Streamed { piece, .. } if !piece.is_empty() => {
                if framing == Framing::Dots {
                    writer.write(&std::mem::take(piece), out);
                    return Wrote::Content;
                }
                if !may_ask {
                    return Wrote::Nothing;
                }
                let mut chunk = Vec::with_capacity(piece.len());
                writer.write(&std::mem::take(piece), &mut chunk);
                if chunk.is_empty() {
                    return Wrote::Content;
                }
                Command::Bdat(chunk.len() as u64, false).encode(out);
                out.append(&mut chunk);
                Wrote::Asked(Awaited::Chunk)
            }
            // The last chunk says that all of them are a message: not before all were taken.
            Source::Streamed { is_over: true, .. }
                if framing != Framing::Dots && self.outstanding > 0 =>
            {
                Wrote::Nothing
            }
            Source::Streamed { is_over: true, .. } => {
                let mut end = Vec::new();
                writer.end(&mut end);
                if framing != Framing::Dots {
                    Command::Bdat(end.len() as u64, true).encode(out);
                }
                out.append(&mut end);
                self.stage = Stage::Sent;
                Wrote::Asked(Awaited::Message)
            }
            Source::Streamed { .. } => Wrote::Nothing,
        }
    }

    /// Whether the next piece of the content is to be asked for; from then on it counts as asked.
    pub(super) fn ask_for_piece(&mut self) -> bool {
        match &mut self.source {
            Source::Streamed {
                piece,
                is_asked,
                has_begun,
                is_over: false,
                ..
            } if self.stage == Stage::Content && piece.is_empty() && !*is_asked => {
                *is_asked = true;
                *has_begun = true;
                true
            }
            _ => false,
        }
    }

    /// Takes a piece that was asked for; others are passed over.
    ///
    /// # Errors
    /// Where it can't be sent.
    pub(super) fn take_piece(&mut self, given: Option<Bytes>) -> Result<(), RequestError> {
        let is_text = self.framing != Framing::Binary;
        if let Source::Streamed {
            piece,
            is_asked,
            is_over,
            ..
        } = &mut self.source
            && std::mem::take(is_asked)
        {
            match given {
                None => *is_over = true,
                Some(given) if is_text && given.contains(&0) => return Err(RequestError::Nul),
                Some(given) => *piece = given,
            }
        }
        Ok(())
    }

    /// It failed on this side. Returns whether the connection is of no more use: some of its content
    /// is on the way, or will be waited for, and only the end of the stream says that no more comes.
    pub(super) fn fail(&mut self, error: RequestError) -> bool {
        if self.stage == Stage::Sent || matches!(self.source, Source::Whole { .. }) {
            return false;
        }
        self.failed = Some(error);
        match self.stage {
            Stage::Content if self.framing == Framing::Dots => true,
            Stage::Content => {
                self.stage = Stage::Stopped;
                false
            }
            _ => false,
        }
    }

    /// Takes a reply.
    pub(super) fn take(&mut self, awaited: Awaited, reply: Reply) -> Result<Taken, NoAnswer> {
        let severity = reply.severity();
        let is_go_ahead = severity == Severity::Intermediate;
        let is_no = !reply.is_positive() && !is_go_ahead;
        match awaited {
            Awaited::Data if reply.is_positive() => return Err(NoAnswer),
            Awaited::Data => {}
            _ if is_go_ahead => return Err(NoAnswer),
            _ => {}
        }
        self.outstanding = self.outstanding.saturating_sub(1);
        match awaited {
            Awaited::Mail if is_no => self.refused = Some((Step::Mail, reply)),
            Awaited::Mail => self.is_mail_taken = true,
            Awaited::Recipient(at) => {
                self.accepted += usize::from(!is_no);
                if let Some(place) = self.replies.get_mut(at) {
                    *place = Some(reply);
                }
            }
            Awaited::Data if is_no => {
                self.refused.get_or_insert((Step::Data, reply));
                self.stage = Stage::Stopped;
            }
            Awaited::Data if self.failed.is_some() && self.accepted > 0 => {
                self.stage = Stage::Content;
                return Ok(Taken::Midway);
            }
            Awaited::Data if self.accepted == 0 || self.refused.is_some() => {
                self.stage = Stage::Nothing;
                self.outstanding += 1;
                return Ok(Taken::SendNothing);
            }
            Awaited::Data => self.stage = Stage::Content,
            Awaited::Chunk if is_no => {
                self.refused.get_or_insert((Step::Data, reply));
                if self.stage == Stage::Content {
                    self.stage = Stage::Stopped;
                }
            }
            Awaited::Chunk | Awaited::Nothing => {}
            Awaited::Message if self.stage == Stage::Content => {
                // Not all of it has left.
                if !is_no {
                    return Err(NoAnswer);
                }
                self.refused = Some((Step::Message, reply));
                self.stage = Stage::Stopped;
                return Ok(Taken::Midway);
            }
            Awaited::Message => {
                self.finals.push(reply);
                if self.is_each && self.finals.len() < self.accepted {
                    self.outstanding += 1;
                    return Ok(Taken::Again);
                }
            }
        }
        Ok(Taken::Noted)
    }

    /// Whether nothing more is sent and no reply is to come.
    pub(super) fn is_done(&self) -> bool {
        if self.outstanding > 0 {
            return false;
        }
        match self.stage {
            Stage::Envelope(sent) => {
                let all = sent > self.replies.len();
                self.refused.is_some() || self.failed.is_some() || (all && self.accepted == 0)
            }
            Stage::AwaitsGo | Stage::Content => false,
            Stage::Sent | Stage::Nothing | Stage::Stopped => true,
        }
    }

    /// Whether all that it has to send was sent.
    pub(super) fn is_written(&self) -> bool {
        matches!(self.stage, Stage::Sent | Stage::Nothing | Stage::Stopped)
    }

    /// Whether content is being sent.
    pub(super) fn is_in_content(&self) -> bool {
        self.stage == Stage::Content
    }

    /// Whether the server may hold the beginning of it yet, which is to be given up before the next
    /// begins.
    pub(super) fn leaves_rest(&self) -> bool {
        match self.stage {
            // The end of the content ends the message, but a chunk may be refused as a command is.
            Stage::Sent => {
                self.framing != Framing::Dots && !self.finals.iter().any(Reply::is_positive)
            }
            Stage::Nothing => false,
            _ => self.is_mail_taken,
        }
    }

    /// Whether it can be begun anew on another connection: its end has not left, and its content is
    /// still there.
    pub(super) fn can_begin_again(&self) -> bool {
        let is_there = match &self.source {
            Source::Whole { .. } => true,
            Source::Streamed { has_begun, .. } => !has_begun,
        };
        is_there && self.stage != Stage::Sent && self.failed.is_none()
    }

    /// As it was before it was begun.
    pub(super) fn reset(&mut self) {
        if let Source::Whole { at, .. } = &mut self.source {
            *at = 0;
        }
        self.stage = Stage::Envelope(0);
        self.is_mail_taken = false;
        self.replies.fill(None);
        self.accepted = 0;
        self.finals.clear();
        self.refused = None;
        self.outstanding = 0;
    }
}

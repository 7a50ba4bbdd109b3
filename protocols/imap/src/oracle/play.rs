//! A session against a server that says anything, and a user who asks for anything.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use jackfield_sasl::{Channel, Credentials};
use jackfield_socket::driver::{Core, StreamCore};
use jackfield_socket::time::{self, Instant};

#[cfg(feature = "compress")]
use super::deflated::Deflated;
use crate::codec::{
    AppendMessage, CatenatePart, Command, Depth, FlagChange, Item, ListQuery, MailboxName,
    MessageUrl, Messages, Notify, NotifyMailboxes, Query, SearchReturn, Section, SequenceSet,
    SortBy, StatusItem, Threading,
};
use crate::core::{Config, RequestId, Session, SessionEvent};
use crate::error::EndedBy;

/// Whatever the server says and the user asks for: nothing panics, each request has one outcome, what
/// goes out is whole commands, deadlines lie ahead, and when a connection is gone nobody waits.
///
/// # Panics
/// When one of these promises is broken.
pub fn session(data: &[u8]) {
    if let Some(mut play) = play(data) {
        play.lost();
    }
}

fn play(data: &[u8]) -> Option<Play> {
    let (first, script) = data.split_first()?;
    let credentials = Credentials::password("ada", "secret").ok()?;
    let mut config = Config::new(credentials);
    config.request_capacity = 5;
    config.max_in_flight = 3;
    config.max_answers = 3;
    config.late_answers = first & 8 != 0;
    config.extensions = match first & 3 {
        0 => Vec::new(),
        1 => vec![crate::codec::Extension::CondStore],
        _ => vec![
            crate::codec::Extension::Utf8Accept,
            crate::codec::Extension::Rev2,
        ],
    };
    #[cfg(feature = "compress")]
    {
        config.compress = first & 4 != 0;
    }
    let mut play = Play {
        session: Session::new(config),
        now: time::now(),
        is_open: false,
        #[cfg(feature = "compress")]
        deflated: None,
        pending: BTreeSet::new(),
        last_tag: 0,
    };
    let mut bytes = script.iter().copied();
    while let Some(step) = bytes.next() {
        if !play.step(step, bytes.next().unwrap_or_default()) {
            break;
        }
    }
    Some(play)
}

/// Whether the connection is compressed at the end of a script.
#[cfg(all(test, feature = "compress"))]
pub(super) fn is_compressed_by(data: &[u8]) -> bool {
    play(data).is_some_and(|play| play.deflated.is_some())
}

struct Play {
    session: Session,
    now: Instant,
    is_open: bool,
    /// The server's end of the connection, once it is compressed.
    #[cfg(feature = "compress")]
    deflated: Option<Deflated>,
    pending: BTreeSet<RequestId>,
    last_tag: u32,
}

const SAID: &[&str] = &[
    "* OK [CAPABILITY IMAP4rev1 IDLE LITERAL+ ID ENABLE ESEARCH ESORT SORT THREAD=REFERENCES MULTIAPPEND CATENATE REPLACE QUOTA ACL METADATA NOTIFY MOVE UIDPLUS COMPRESS=DEFLATE] ready\r\n",
    "* OK ready\r\n",
    "* PREAUTH hello\r\n",
    "+ \r\n",
    "+ go on\r\n",
    "* 3 EXISTS\r\n",
    "* 1 EXPUNGE\r\n",
    "* SEARCH 1 2 3\r\n",
    "* SORT 3 1\r\n",
    "* OK [NOTIFICATIONOVERFLOW] x\r\n",
    "* QUOTA \"\" (STORAGE 1 2)\r\n",
    "* MYRIGHTS INBOX lr\r\n",
    "* METADATA \"\" (/shared/a b)\r\n",
    "* THREAD (1 2)(3)\r\n",
    "* ESEARCH (TAG \"A4\") UID COUNT 3\r\n",
    "* 2 FETCH (UID 2 FLAGS (\\Seen))\r\n",
    "* 2 FETCH (UID 2 BODY[] {5}\r\nhello)\r\n",
    "* 2 FETCH (UID 2 BODY[] {500000}\r\n",
    "* LIST () \"/\" a\r\n",
    "* STATUS INBOX (MESSAGES 3)\r\n",
    "* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n",
    "* ENABLED UTF8=ACCEPT IMAP4rev2\r\n",
    "* OK [CLOSED] x\r\n",
    "* OK [ALERT] x\r\n",
    "* BYE x\r\n",
    "* NO x\r\n",
    "* OK [INPROGRESS (\"A5\" 1 2)] x\r\n",
    "garbage\r\n",
    "* 2 FET",
];

/// A way to append this much.
fn append(size: u64, what: u8) -> Command {
    let mailbox = MailboxName::inbox();
    let text = CatenatePart::Text;
    let url = CatenatePart::Url(MessageUrl::new(&mailbox, 7, 9));
    match what >> 1 & 3 {
        0 | 1 => Command::Append {
            mailbox,
            flags: Vec::new(),
            date: None,
            size,
        },
        2 => Command::AppendAll {
            mailbox,
            messages: vec![
                AppendMessage::new(size / 2),
                AppendMessage::catenate([text(0), url, text(size - size / 2)]),
            ],
        },
        _ => Command::Replace {
            uid: 3,
            mailbox,
            message: AppendMessage::new(size),
        },
    }
}

/// Something about a mailbox.
fn about(what: u8) -> Command {
    let inbox = MailboxName::inbox();
    match what >> 1 & 3 {
        0 => Command::GetQuotaRoot(inbox),
        1 => Command::MyRights(inbox),
        2 => Command::Notify(Notify::new().watch(NotifyMailboxes::Personal, [])),
        _ => Command::GetMetadata {
            mailbox: None,
            entries: Vec::new(),
            depth: Depth::One,
            max_size: None,
        },
    }
}

/// A way to find messages.
fn find(what: u8) -> Command {
    let query = Query::new().subject("grüße");
    let uids = what & 1 == 0;
    match what >> 1 & 3 {
        0 | 1 => Command::Search {
            query,
            uids,
            returns: vec![SearchReturn::All],
        },
        2 => Command::Sort {
            by: SortBy::Date.into(),
            query,
            uids,
            returns: if what & 8 == 0 {
                Vec::new()
            } else {
                vec![SearchReturn::Count]
            },
        },
        _ => Command::Thread {
            by: Threading::References,
            query,
            uids,
        },
    }
}

impl Play {
    /// Whether the conversation goes on.
    fn step(&mut self, step: u8, what: u8) -> bool {
        let now = self.now;
        let uids = Messages::Uids(SequenceSet::everything());
        match step % 24 {
            0 | 1 if !self.is_open => {
                self.session.opened(now, Channel::encrypted());
                self.is_open = true;
            }
            0 => self.lost(),
            2..=6 if self.is_open => {
                let said = SAID[usize::from(what) % SAID.len()];
                if !self.receive(said.as_bytes()) {
                    return true;
                }
            }
            7..=9 if self.is_open => {
                // Whatever is in flight is answered.
                let status = ["OK", "NO", "BAD"][usize::from(what) % 3];
                let back = u32::from(what) / 64;
                let tag = self.last_tag.saturating_sub(back);
                self.receive(format!("A{tag} {status} [READ-WRITE] x\r\n").as_bytes());
            }
            10 => self.ask(Command::Select {
                mailbox: MailboxName::inbox(),
                read_only: false,
                condstore: true,
                qresync: None,
            }),
            11 => self.ask(find(what)),
            12 => self.ask(Command::Fetch {
                messages: if what & 1 == 0 {
                    uids
                } else {
                    Messages::Numbers(SequenceSet::everything())
                },
                items: vec![Item::Uid, Item::Envelope],
                changed_since: None,
            }),
            13 => {
                let command = Command::Fetch {
                    messages: uids,
                    items: vec![Item::Uid, Item::body(Section::all())],
                    changed_since: None,
                };
                let asked = self.session.read(now, command, Section::all());
                self.pending.extend(asked.ok());
            }
            14 => self.ask(Command::Store {
                messages: uids,
                change: FlagChange::Replace(Vec::new()),
                unchanged_since: None,
            }),
            15 => self.ask(Command::List(ListQuery::all())),
            16 if what & 1 == 1 => self.ask(about(what)),
            16 => {
                let items = vec![StatusItem::Messages];
                self.ask(Command::Status(MailboxName::inbox(), items));
            }
            17 => {
                let size = u64::from(what) * 200;
                let message = (what & 1 == 0).then(|| Bytes::from(vec![b'x'; size as usize]));
                let append = append(size, what);
                let asked = self.session.append(now, append, message);
                self.pending.extend(asked.ok());
            }
            18 => {
                if let Some(id) = self.pending.first() {
                    self.session
                        .message(*id, Bytes::from(vec![b'y'; usize::from(what)]));
                }
            }
            19 => {
                if let Some(id) = self.pending.pop_last() {
                    if what & 1 == 0 {
                        self.session.withdraw(id);
                    } else {
                        self.session.abort_message(now, id);
                    }
                }
            }
            20 => self.session.set_idle(now, what & 1 == 0),
            21 => {
                self.now += Duration::from_secs(u64::from(what));
                self.pass();
            }
            22 => {
                self.session.set_reading(now, what & 1 == 0);
                self.inflate();
            }
            23 if what > 250 => {
                self.session.close(now);
            }
            // Few bytes on the way, where it is compressed, and much to tell.
            23 if what > 240 && self.is_open => {
                self.receive(&b"* 3 EXISTS\r\n".repeat(3_000));
            }
            23 if what < 16 && self.is_open => {
                self.receive_as_it_is(&[what ^ 0xA5; 3]);
            }
            #[cfg(feature = "compress")]
            23 if what == 16
                && let Some(deflated) = &mut self.deflated =>
            {
                let last = deflated.says(b"* 9 EXISTS\r\n", true);
                self.receive_as_it_is(&last);
            }
            _ => {}
        }
        self.drain();
        !self.session.is_finished()
    }

    fn ask(&mut self, command: Command) {
        let asked = self.session.request(self.now, command);
        self.pending.extend(asked.ok());
    }

    fn receive(&mut self, bytes: &[u8]) -> bool {
        #[cfg(feature = "compress")]
        if let Some(deflated) = &mut self.deflated {
            let bytes = deflated.says(bytes, false);
            return self.receive_as_it_is(&bytes);
        }
        self.receive_as_it_is(bytes)
    }

    fn receive_as_it_is(&mut self, bytes: &[u8]) -> bool {
        let taken = self.session.receive(self.now, bytes);
        #[cfg(feature = "compress")]
        if self.session.is_compressed() && self.deflated.is_none() {
            self.deflated = Some(Deflated::new());
        }
        self.drain();
        if taken.is_err() {
            self.lost();
        }
        self.inflate();
        taken.is_ok()
    }

    /// Whatever has come is told, a piece at a time, without time passing.
    fn inflate(&mut self) {
        if self.session.is_compressed() {
            for _ in 0..1000 {
                let is_due = |deadline| deadline <= self.now;
                if !self.is_open || !self.session.deadline().is_some_and(is_due) {
                    return;
                }
                let goes_on = self.session.handle_deadline(self.now);
                self.drain();
                if goes_on.is_err() {
                    self.lost();
                }
            }
            panic!("it is never done");
        }
    }

    fn pass(&mut self) {
        let Some(_) = self
            .session
            .deadline()
            .filter(|deadline| *deadline <= self.now)
        else {
            return;
        };
        if self.session.handle_deadline(self.now).is_err() {
            self.drain();
            return self.lost();
        }
        self.drain();
        self.inflate();
        let next = self.session.deadline();
        assert!(
            next.is_none_or(|next| next > self.now),
            "a deadline lies behind"
        );
    }

    fn lost(&mut self) {
        if !self.is_open {
            return;
        }
        self.is_open = false;
        #[cfg(feature = "compress")]
        {
            self.deflated = None;
        }
        self.session.lost(EndedBy::Network);
        self.drain();
        assert!(
            self.pending.is_empty(),
            "somebody still waits: {:?}",
            self.pending
        );
    }

    fn drain(&mut self) {
        let mut out = Vec::new();
        loop {
            let before = out.len();
            self.session.transmit(self.now, &mut out);
            if out.len() == before {
                break;
            }
        }
        #[cfg(feature = "compress")]
        if let Some(deflated) = &mut self.deflated {
            out = deflated.hears(&out);
        }
        for line in out.split(|byte| *byte == b'\n') {
            let tag = line
                .strip_prefix(b"A")
                .and_then(|line| line.split(|byte| *byte == b' ').next());
            let tag = tag.and_then(|tag| std::str::from_utf8(tag).ok()?.parse().ok());
            self.last_tag = tag.unwrap_or(self.last_tag);
        }
        while let Some(event) = self.session.poll_event() {
            match event {
                SessionEvent::Completed(id, _) => {
                    assert!(self.pending.remove(&id), "{id:?} has two outcomes");
                }
                SessionEvent::Answer(id, _)
                | SessionEvent::Begins(id, _)
                | SessionEvent::Piece(id, _) => {
                    assert!(self.pending.contains(&id), "{id:?} is told of, and over");
                }
                SessionEvent::Wanted(id) if !self.pending.contains(&id) => {
                    self.session.abort_message(self.now, id);
                }
                _ => {}
            }
        }
    }
}

//! Sessions against `tests/vectors/imap/transcripts`, with time in the test's hand.

use std::time::Duration;

use bytes::Bytes;
use jackfield_imap::EndedBy;
use jackfield_imap::codec::{
    AppendMessage, CatenatePart, ChangedSince, Command, Date, Depth, EntryName, Extension, Fetch,
    FlagChange, Item, ListQuery, MessageUrl, Messages, Notify, NotifyEvent, NotifyMailboxes,
    QResync, Query, Response, RightsChange, SearchReturn, Section, SequenceSet, SortBy, SortOrder,
    StatusItem, Threading, Window,
};
use jackfield_imap::core::{
    Change, Channel, Config, Credentials, RequestId, Security, Session, SessionEvent, SyncPlan,
    SyncState,
};
use jackfield_play::{Protocol, Stream, Transcripts, text};
use jackfield_socket::time::Instant;

fn transcripts() -> Transcripts {
    let transcripts = Transcripts::of("imap/transcripts");
    assert!(transcripts.len() >= 8, "only {}", transcripts.len());
    transcripts
}

#[test]
fn every_transcript_holds() {
    transcripts().play(Imap::default);
}

#[test]
fn every_transcript_holds_wherever_its_bytes_are_cut() {
    transcripts().play_in_pieces(Imap::default);
}

struct Imap {
    config: Config,
    /// The newest request.
    last: Option<RequestId>,
    /// How much of a text was read, which comes in any pieces.
    read: usize,
    /// What a copy is brought up to date by, and what was asked for that.
    plan: Option<SyncPlan>,
    asked: Vec<RequestId>,
}

impl Default for Imap {
    fn default() -> Self {
        let credentials = Credentials::password("ada", "secret").expect("credentials");
        let mut config = Config::new(credentials);
        config.id.clear();
        Self {
            config,
            last: None,
            read: 0,
            plan: None,
            asked: Vec::new(),
        }
    }
}

impl Protocol for Imap {
    type Core = Session;
    type Carrier = Stream;

    fn config(&mut self, name: &str, value: &str) {
        let config = &mut self.config;
        let number = || value.parse().expect("a number");
        match name {
            "security" => {
                config.security = match value {
                    "starttls" => Security::StartTls,
                    "plaintext" => Security::Plaintext,
                    other => panic!("what is {other}?"),
                }
            }
            "password-in-the-clear" => config.password_in_the_clear = true,
            "token" => config.credentials = Credentials::token("ada", value).expect("a token"),
            "names-in-utf7" => config.names_in_utf7 = true,
            "id" => config.id = vec![("name".to_owned(), value.to_owned())],
            "enable" => {
                config.extensions = match value {
                    "utf8" => vec![Extension::Utf8Accept],
                    "rev2" => vec![Extension::Rev2],
                    "condstore" => vec![Extension::CondStore],
                    "qresync" => vec![Extension::QResync],
                    "uidonly" => vec![Extension::UidOnly],
                    other => panic!("what is {other}?"),
                }
            }
            "late-answers" => config.late_answers = true,
            "icloud-qresync" => config.icloud_qresync = true,
            "max-in-flight" => config.max_in_flight = number(),
            "max-answers" => config.max_answers = number(),
            "max-line" => config.limits.max_line = number(),
            "max-depth" => config.limits.max_depth = value.parse().expect("a number"),
            "max-literal" => config.limits.max_literal = number(),
            "request-capacity" => config.request_capacity = number(),
            "answer-timeout" => config.answer_timeout = Duration::from_secs(number() as u64),
            other => panic!("what is {other}?"),
        }
    }

    fn begin(&mut self, _now: Instant) -> Session {
        Session::new(self.config.clone())
    }

    fn ask(&mut self, session: &mut Session, now: Instant, line: &str) -> Result<(), String> {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let words: Vec<&str> = rest.split(' ').collect();
        let name = |at: usize| words[at].parse().expect("a mailbox's name");
        let messages = |at: usize| match words[at].strip_prefix('#') {
            None if words[at] == "$" => Messages::Saved,
            Some(numbers) => Messages::Numbers(numbers.parse().expect("a set")),
            None => Messages::Uids(words[at].parse().expect("a set")),
        };
        let command = match word {
            "connect" => {
                let is_plain = self.config.security == Security::Plaintext;
                let channel = if is_plain {
                    Channel::plaintext()
                } else {
                    Channel::encrypted()
                };
                session.opened(now, channel);
                return Ok(());
            }
            "close" => {
                session.close(now);
                return Ok(());
            }
            "idle" | "busy" => {
                session.set_idle(now, word == "idle");
                return Ok(());
            }
            "give" => {
                let piece = Bytes::from(text::read(&format!("{rest}\\")));
                session.message(self.last.expect("a request"), piece);
                return Ok(());
            }
            "withdraw" => {
                self.read = 0;
                session.withdraw(self.last.expect("a request"));
                return Ok(());
            }
            "abort" => {
                session.abort_message(now, self.last.expect("a request"));
                return Ok(());
            }
            // From what is known by the last one, or from the bytes of a state.
            "sync" => {
                let state = match (words.get(1), self.plan.take()) {
                    (Some(_), _) => {
                        let bytes = words[1..].iter().map(|byte| byte.parse().expect("a byte"));
                        let bytes: Vec<u8> = bytes.collect();
                        SyncState::from_bytes(&bytes).expect("a state")
                    }
                    (None, Some(plan)) => plan.into_state(),
                    (None, None) => SyncState::new(),
                };
                self.plan = Some(SyncPlan::new(name(0), state, [Item::Size], 200));
                return self.go_on(session, now);
            }
            "go-on" => return self.go_on(session, now),
            "quota" => Command::GetQuotaRoot(name(0)),
            "acl" => Command::GetAcl(name(0)),
            "my-rights" => Command::MyRights(name(0)),
            "allow" | "forbid" => {
                let rights = words[2].parse().expect("rights");
                let change = if word == "allow" {
                    RightsChange::Add(rights)
                } else {
                    RightsChange::Remove(rights)
                };
                Command::SetAcl(name(0), words[1].to_owned(), change)
            }
            "metadata" => Command::GetMetadata {
                mailbox: words[0].parse().ok(),
                entries: words[1..].iter().map(|it| entry(it)).collect(),
                depth: Depth::Zero,
                max_size: None,
            },
            "note" => {
                let value = Bytes::from(text::read(&format!("{}\\", words[2])));
                Command::SetMetadata {
                    mailbox: words[0].parse().ok(),
                    entries: vec![(entry(words[1]), Some(value))],
                }
            }
            "notify" => {
                let messages = [
                    NotifyEvent::MessageNew(Vec::new()),
                    NotifyEvent::MessageExpunge,
                ];
                let notify = Notify::new();
                Command::Notify(match words[0] {
                    "none" => notify,
                    names => {
                        let names = names.split('+').map(|it| it.parse().expect("a name"));
                        let others = NotifyMailboxes::Mailboxes(names.collect());
                        notify.watch(others, messages).with_status()
                    }
                })
            }
            "noop" => Command::Noop,
            "namespace" => Command::Namespace,
            "unselect" => Command::Unselect,
            "expunge" => match words[0] {
                "" => Command::Expunge,
                uids => Command::ExpungeUids(uids.parse().expect("a set")),
            },
            "select" | "examine" => Command::Select {
                mailbox: name(0),
                read_only: word == "examine",
                condstore: false,
                qresync: None,
            },
            "resume" => {
                let number = |at: usize| words[at].parse::<u64>().expect("a number");
                let mut known = QResync::new(number(1) as u32, number(2));
                known.uids = words.get(3).map(|uids| uids.parse().expect("a set"));
                Command::Select {
                    mailbox: name(0),
                    read_only: false,
                    condstore: false,
                    qresync: Some(Box::new(known)),
                }
            }
            "fetch-changed" => {
                let since = ChangedSince::new(words[1].parse().expect("a number"));
                Command::Fetch {
                    messages: messages(0),
                    items: words[2..].iter().map(|word| item(word)).collect(),
                    changed_since: Some(since.with_vanished()),
                }
            }
            "store-unchanged" => Command::Store {
                messages: messages(0),
                change: FlagChange::Add(vec![words[2][1..].parse().expect("a flag")]),
                unchanged_since: Some(words[1].parse().expect("a number")),
            },
            "create" => Command::Create(name(0)),
            "rename" => Command::Rename(name(0), name(1)),
            "list" => {
                let mut query = ListQuery::matching(words[0]);
                query.returns.special_use = true;
                query.subscribed = words.contains(&"subscribed");
                if words.contains(&"status") {
                    query.returns.status = vec![StatusItem::Messages, StatusItem::MailboxId];
                }
                Command::List(query)
            }
            "status" => Command::Status(name(0), vec![StatusItem::Messages, StatusItem::UidNext]),
            "limit" => Command::Status(name(0), vec![StatusItem::AppendLimit]),
            "search" => Command::Search {
                query: query(&words),
                uids: true,
                returns: vec![SearchReturn::All],
            },
            "search-for" => Command::Search {
                query: query(&words[1..]),
                uids: true,
                returns: returns(words[0]),
            },
            "sort" => Command::Sort {
                by: sort_order(words[0]),
                query: query(&words[1..]),
                uids: true,
                returns: Vec::new(),
            },
            "sort-for" => Command::Sort {
                by: sort_order(words[1]),
                query: query(&words[2..]),
                uids: true,
                returns: returns(words[0]),
            },
            "thread" => Command::Thread {
                by: match words[0] {
                    "references" => Threading::References,
                    _ => Threading::OrderedSubject,
                },
                query: query(&words[1..]),
                uids: true,
            },
            "fetch" => Command::Fetch {
                messages: messages(0),
                items: words[1..].iter().map(|word| item(word)).collect(),
                changed_since: None,
            },
            "read" => {
                let section = Section::all();
                let command = Command::Fetch {
                    messages: messages(0),
                    items: vec![Item::Uid, Item::body(section.clone())],
                    changed_since: None,
                };
                let asked = session.read(now, command, section);
                self.last = asked.as_ref().ok().copied().or(self.last);
                return asked.map(drop).map_err(|error| error.to_string());
            }
            "store" => {
                let flags = vec![words[1][1..].parse().expect("a flag")];
                Command::Store {
                    messages: messages(0),
                    change: if words[1].starts_with('+') {
                        FlagChange::Add(flags)
                    } else {
                        FlagChange::Remove(flags)
                    },
                    unchanged_since: None,
                }
            }
            "copy" => Command::Copy(messages(0), name(1)),
            "move" => Command::Move(messages(0), name(1)),
            "append" | "append-later" => {
                let message = rest.split_once(' ').expect("a message").1;
                let (size, message) = if word == "append" {
                    let message = text::read(&format!("{message}\\"));
                    (message.len() as u64, Some(Bytes::from(message)))
                } else {
                    (message.parse().expect("a size"), None)
                };
                let command = Command::Append {
                    mailbox: name(0),
                    flags: Vec::new(),
                    date: None,
                    size,
                };
                let asked = session.append(now, command, message);
                self.last = asked.as_ref().ok().copied().or(self.last);
                return asked.map(drop).map_err(|error| error.to_string());
            }
            "replace-later" | "append-all-later" => {
                let sizes = words[2..].iter().map(|size| size.parse().expect("a size"));
                let mut messages: Vec<_> = sizes.map(AppendMessage::new).collect();
                let command = if word == "replace-later" {
                    Command::Replace {
                        uid: words[0].parse().expect("a UID"),
                        mailbox: name(1),
                        message: messages.remove(0),
                    }
                } else {
                    messages[0].flags = vec![words[1].parse().expect("a flag")];
                    let mailbox = name(0);
                    Command::AppendAll { mailbox, messages }
                };
                let asked = session.append(now, command, None);
                self.last = asked.as_ref().ok().copied().or(self.last);
                return asked.map(drop).map_err(|error| error.to_string());
            }
            "catenate" => {
                let url = MessageUrl::new(&name(0), 7, words[1].parse().expect("a UID"));
                let text = text::read(&format!("{}\\", words[2]));
                let parts = [
                    CatenatePart::Text(text.len() as u64),
                    CatenatePart::Url(url),
                ];
                let command = Command::AppendAll {
                    mailbox: name(0),
                    messages: vec![AppendMessage::catenate(parts)],
                };
                let asked = session.append(now, command, Some(Bytes::from(text)));
                return asked.map(drop).map_err(|error| error.to_string());
            }
            other => panic!("what is {other}?"),
        };
        let asked = session.request(now, command);
        self.last = asked.as_ref().ok().copied().or(self.last);
        asked.map(drop).map_err(|error| error.to_string())
    }

    fn lost(&mut self, session: &mut Session, _now: Instant) {
        session.lost(EndedBy::Network);
    }

    fn told(&mut self, event: SessionEvent) -> Option<String> {
        let place = |id: &RequestId| self.asked.iter().position(|asked| asked == id);
        match (&mut self.plan, &event) {
            (Some(plan), SessionEvent::Answer(id, response)) if place(id).is_some() => {
                let change = plan.take(place(id)?, (**response).clone());
                return change.map(|change| changed(&change));
            }
            (Some(plan), SessionEvent::Completed(id, outcome)) if place(id).is_some() => {
                let completed = plan.completed(place(id)?, outcome.clone());
                return match completed {
                    Ok((None, false)) => None,
                    Ok((None, true)) => Some("answered".to_owned()),
                    Ok((Some(change), false)) => Some(changed(&change)),
                    Ok((Some(change), true)) => Some(format!("{}; answered", changed(&change))),
                    Err(error) => Some(format!("sync failed: {error}")),
                };
            }
            _ => {}
        }
        Some(match event {
            SessionEvent::Ready(server) => format!("ready: {:?}", server.capabilities),
            SessionEvent::Event(event) => format!("{event:?}"),
            SessionEvent::Answer(id, response) => format!("{} {}", number(id), answer(&response)),
            SessionEvent::Begins(id, size) => format!("{} {size} bytes", number(id)),
            SessionEvent::Piece(_, piece) => {
                // They come in any pieces: their number is told with the outcome.
                self.read += piece.len();
                return None;
            }
            SessionEvent::Wanted(id) => format!("{} more?", number(id)),
            SessionEvent::Completed(id, outcome) => {
                let read = match std::mem::take(&mut self.read) {
                    0 => String::new(),
                    read => format!("{read} bytes read; "),
                };
                let outcome = match outcome {
                    Ok(outcome) => {
                        let code = outcome.code.map(|code| format!("{code:?} "));
                        let selected = outcome.selected.map(|selected| {
                            let (exists, validity) = (selected.exists, selected.uid_validity);
                            let kind = if selected.read_only {
                                "read-only"
                            } else {
                                "open"
                            };
                            format!(" ({kind}, {exists} messages, {validity:?})")
                        });
                        let code = code.unwrap_or_default();
                        let selected = selected.unwrap_or_default();
                        format!("done: {code}{}{selected}", outcome.text)
                    }
                    Err(error) => format!("failed: {error}"),
                };
                format!("{} {read}{outcome}", number(id))
            }
            SessionEvent::Closed => "closed".to_owned(),
            other => format!("{other:?}"),
        })
    }
}

impl Imap {
    /// Asks for what the plan wants next.
    fn go_on(&mut self, session: &mut Session, now: Instant) -> Result<(), String> {
        let plan = self.plan.as_mut().expect("a plan");
        let server = session.server().clone();
        let commands = plan.commands(Some(&server)).expect("a server");
        if commands.is_empty() {
            return Err("it is up to date".to_owned());
        }
        let asked = match plan.selected() {
            Some(mailbox) => session.request_within(now, mailbox, commands),
            None => session.request_together(now, commands),
        };
        self.asked = asked.map_err(|error| error.to_string())?;
        Ok(())
    }
}

fn changed(change: &Change) -> String {
    match change {
        Change::Reset => "reset".to_owned(),
        Change::Gone(uids) => format!("gone: {uids}"),
        Change::New(fetch) => format!("new: {}", message(fetch)),
        Change::Flags { uid, flags, .. } => format!("message {uid} has {flags:?}"),
        other => panic!("what is {other:?}?"),
    }
}

fn number(id: RequestId) -> String {
    let digits: String = format!("{id:?}").matches(char::is_numeric).collect();
    format!("#{digits}")
}

fn answer(response: &Response) -> String {
    match response {
        Response::Search { numbers, .. } => format!("found {numbers:?}"),
        Response::Esearch(found) if found.count.is_some() && found.all.is_none() => {
            format!("{found:?}")
        }
        Response::Esearch(found) if found.partial.is_some() => format!("{found:?}"),
        Response::Esearch(found) => format!("found {:?}", found.numbers().collect::<Vec<_>>()),
        Response::Fetch(fetch) => message(fetch),
        Response::List(listed) => format!("{} {:?}", listed.name, listed.attributes),
        other => format!("{other:?}"),
    }
}

/// What was told of a message, in short.
fn message(fetch: &Fetch) -> String {
    let mut text = format!("message {:?}", fetch.uid.unwrap_or_default());
    let mut tell = |what: String| text.extend(["; ", &what]);
    if let Some(flags) = &fetch.flags {
        tell(format!("{flags:?}"));
    }
    if let Some(envelope) = &fetch.envelope {
        tell(format!(
            "{:?} {} from",
            envelope.subject,
            envelope.from.len()
        ));
    }
    if let Some(structure) = &fetch.structure {
        let (media_type, subtype) = (&structure.media_type, &structure.subtype);
        tell(format!(
            "{media_type}/{subtype} with {} parts",
            structure.parts.len()
        ));
    }
    if let Some(size) = fetch.size {
        tell(format!("{size} bytes"));
    }
    if let Some(date) = fetch.internal_date {
        tell(format!("{date:?}"));
    }
    for section in &fetch.sections {
        tell(format!("{:?} {:?}", section.section, section.data));
    }
    for unknown in &fetch.unknown {
        tell(format!("unknown {unknown:?}"));
    }
    text
}

fn query(words: &[&str]) -> Query {
    let day = || Date::new(2026, 11, 1).expect("a day");
    words.chunks(2).fold(Query::new(), |query, key| match key {
        ["subject", text] => query.subject(*text),
        ["unseen", ..] => query.unseen(),
        ["since", ..] => query.since(day()),
        ["uids", set] => query.among(Messages::Uids(set.parse::<SequenceSet>().expect("a set"))),
        ["saved", ..] => query.among(Messages::Saved),
        ["all", ..] => query,
        other => panic!("what is {other:?}?"),
    })
}

fn entry(name: &str) -> EntryName {
    name.parse().expect("an entry")
}

fn returns(word: &str) -> Vec<SearchReturn> {
    let one = |word| match word {
        "count" => SearchReturn::Count,
        "min" => SearchReturn::Min,
        "max" => SearchReturn::Max,
        "save" => SearchReturn::Save,
        "newest" => {
            let window = Window::of(1, 2).expect("places");
            SearchReturn::Partial(window.from_the_end())
        }
        other => panic!("what is {other}?"),
    };
    word.split('+').map(one).collect()
}

fn sort_order(word: &str) -> SortOrder {
    match word {
        "date" => SortOrder::by(SortBy::Date),
        "newest" => SortOrder::by(SortBy::Date).reversed(),
        "name" => SortOrder::by(SortBy::DisplayFrom).then(SortBy::Subject),
        other => panic!("what is {other}?"),
    }
}

fn item(word: &str) -> Item {
    match word {
        "uid" => Item::Uid,
        "flags" => Item::Flags,
        "envelope" => Item::Envelope,
        "structure" => Item::Structure,
        "size" => Item::Size,
        "date" => Item::InternalDate,
        "text" => Item::body(Section::text()),
        "subject" => Item::body(Section::fields(["Subject"]).expect("a field")),
        "email-id" => Item::EmailId,
        other => panic!("what is {other}?"),
    }
}

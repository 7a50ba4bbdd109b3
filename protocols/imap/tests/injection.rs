//! Injection: each text that a caller can give is given with what would end a command or add to it, and the
//! server must hear the commands that were asked for, and no other.

mod common;

use std::collections::BTreeSet;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use common::{Server, World, config, world};
use jackfield_imap::client::{Append, Client, ClientConfig, Status};
use jackfield_imap::codec::{
    AppendMessage, CatenatePart, Command, Depth, Dialect, Flag, FlagChange, InvalidValue, Item,
    ListQuery, MailboxName, MessageUrl, Messages, Notify, NotifyEvent, NotifyMailboxes, Query,
    Resource, Rights, RightsChange, Section, SequenceSet, SortBy, StatusItem, Text, Threading,
};
use jackfield_imap::core::Credentials;
use jackfield_sim::SimStream;
use tokio::io::AsyncReadExt;

/// What would end a command, or add to it.
const EVIL: [&str; 30] = [
    "\r\nA9 LOGOUT",
    "\nA9 LOGOUT\n",
    "\rA9 LOGOUT\r",
    "\0A9 LOGOUT",
    "\r\n\r\nA9 LOGOUT\r\n",
    "\"",
    "\" \"",
    "\"\r\nA9 LOGOUT\r\n",
    "\\\"\r\nA9 LOGOUT\r\n",
    "\\",
    "{5}\r\nA9 LOGOUT\r\n",
    "{5}",
    "{5+}\r\nhello\r\nA9 LOGOUT\r\n",
    "~{5}\r\n",
    "(",
    ")",
    ") (",
    "))",
    " ALL",
    " OR ALL",
    "\tALL",
    "]",
    "[",
    "% *",
    "&AA0ACg-",
    "\u{b}A9 LOGOUT",
    "\u{7f}A9 LOGOUT",
    "\u{85}A9 LOGOUT",
    "\u{2028}A9 LOGOUT",
    "\u{fc}\r\nA9 LOGOUT",
];

/// What a server can do: all that there are methods for, with each way to send literals, and with UTF-8.
const OFFERS: &str = "IMAP4rev1 ACL CATENATE CONDSTORE ENABLE ESEARCH ID LIST-EXTENDED LIST-STATUS METADATA \
                      MOVE MULTIAPPEND NAMESPACE NOTIFY QUOTA REPLACE SORT SPECIAL-USE THREAD=REFERENCES UIDPLUS \
                      X-GM-EXT-1";

type Asking = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A method with a text of the caller's in one place; `None` where it isn't taken there.
struct Place {
    name: &'static str,
    /// A text that is taken there.
    good: &'static str,
    ask: fn(Client, String) -> Option<Asking>,
}

/// A setting that is a text, for a server that offers this before the log-in.
struct Setting {
    name: &'static str,
    good: &'static str,
    offers: &'static str,
    set: fn(&mut ClientConfig, &str) -> Option<()>,
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "it ends what may have refused the text"
)]
fn asking<T>(asked: impl Future<Output = T> + Send + 'static) -> Option<Asking> {
    Some(Box::pin(async move {
        // What comes of it makes no difference.
        let _ = asked.await;
    }))
}

fn drafts() -> MailboxName {
    "Drafts".parse().expect("a name")
}

fn one() -> Messages {
    Messages::Uids(SequenceSet::of([7]).expect("one"))
}

macro_rules! mailboxes {
    ($($name:literal => |$client:ident, $mailbox:ident| $asked:expr,)*) => {
        &[$(Place {
            name: $name,
            good: "Lists/rust",
            ask: |$client, text| {
                let $mailbox: MailboxName = text.parse().ok()?;
                asking(async move { $asked.await.map(drop) })
            },
        }),*]
    };
}

const MAILBOXES: &[Place] = mailboxes! {
    "SELECT" => |client, mailbox| client.select(mailbox),
    "EXAMINE" => |client, mailbox| client.examine(mailbox),
    "CREATE" => |client, mailbox| client.create(mailbox),
    "DELETE" => |client, mailbox| client.delete(mailbox),
    "RENAME from" => |client, mailbox| client.rename(mailbox, drafts()),
    "RENAME to" => |client, mailbox| client.rename(drafts(), mailbox),
    "SUBSCRIBE" => |client, mailbox| client.subscribe(mailbox),
    "UNSUBSCRIBE" => |client, mailbox| client.unsubscribe(mailbox),
    "STATUS" => |client, mailbox| client.mailbox_status(mailbox, [StatusItem::Messages]),
    "COPY" => |client, mailbox| client.copy(one(), mailbox),
    "MOVE" => |client, mailbox| client.move_to(one(), mailbox),
    "APPEND" => |client, mailbox| client.append(Append::to(mailbox), "Hi."),
    "APPEND of several" => |client, mailbox| {
        client.append_all(mailbox, [(AppendMessage::new(3), &b"Hi."[..])])
    },
    "REPLACE" => |client, mailbox| client.replace(7, Append::to(mailbox), "Hi."),
    "CATENATE's URL" => |client, mailbox| {
        let url = CatenatePart::Url(MessageUrl::new(&mailbox, 1, 2));
        client.append_all(drafts(), [(AppendMessage::catenate([url]), &b""[..])])
    },
    "GETQUOTAROOT" => |client, mailbox| client.quotas(mailbox),
    "GETACL" => |client, mailbox| client.acl(mailbox),
    "SETACL" => |client, mailbox| client.set_acl(mailbox, "grace", RightsChange::Add(Rights::READ)),
    "DELETEACL" => |client, mailbox| client.delete_acl(mailbox, "grace"),
    "LISTRIGHTS" => |client, mailbox| client.list_rights(mailbox, "grace"),
    "MYRIGHTS" => |client, mailbox| client.my_rights(mailbox),
    "GETMETADATA" => |client, mailbox| {
        let entry = "/private/comment".parse().expect("an entry");
        client.metadata(Some(mailbox), [entry], Depth::One)
    },
    "SETMETADATA" => |client, mailbox| {
        let entry = "/private/comment".parse().expect("an entry");
        client.set_metadata(Some(mailbox), [(entry, None)])
    },
    "NOTIFY" => |client, mailbox| {
        let events = [NotifyEvent::MessageNew(Vec::new()), NotifyEvent::MessageExpunge];
        client.notify(Notify::new().watch(NotifyMailboxes::Mailboxes(vec![mailbox]), events))
    },
    "NOTIFY below" => |client, mailbox| {
        let events = [NotifyEvent::MailboxName];
        client.notify(Notify::new().watch(NotifyMailboxes::Subtree(vec![mailbox]), events))
    },
};

macro_rules! queries {
    ($($name:literal => |$text:ident| $query:expr,)*) => {
        &[$(Place {
            name: $name,
            good: "Grace",
            ask: |client, $text| {
                let query = $query;
                asking(async move { client.search(query).await })
            },
        }),*]
    };
}

const QUERIES: &[Place] = queries! {
    "FROM" => |text| Query::new().from(text),
    "TO" => |text| Query::new().to(text),
    "CC" => |text| Query::new().cc(text),
    "BCC" => |text| Query::new().bcc(text),
    "SUBJECT" => |text| Query::new().subject(text),
    "BODY" => |text| Query::new().body(text),
    "TEXT" => |text| Query::new().text(text),
    "X-GM-RAW" => |text| Query::new().gmail(text),
    "HEADER's field" => |text| Query::new().header(text, "x"),
    "HEADER's text" => |text| Query::new().header("X-Mailer", text),
    "KEYWORD" => |text| Query::new().with_flag(text.parse().ok()?),
    "UNKEYWORD" => |text| Query::new().without_flag(text.parse().ok()?),
    "NOT" => |text| Query::new().except(Query::new().subject(text)),
    "OR" => |text| Query::new().any([Query::new().from(text.clone()), Query::new().to(text)]),
};

const OTHERS: &[Place] = &[
    Place {
        name: "LIST's reference",
        good: "Lists/",
        ask: |client, text| {
            let mut query = ListQuery::all();
            query.reference = text;
            asking(async move { client.list(query).await })
        },
    },
    Place {
        name: "LIST's pattern",
        good: "Lists/%",
        ask: |client, text| {
            let mut query = ListQuery::matching(text);
            query.returns.status.push(StatusItem::Messages);
            asking(async move { client.list(query).await })
        },
    },
    Place {
        name: "SORT",
        good: "Grace",
        ask: |client, text| {
            asking(async move { client.sort(SortBy::Date, Query::new().from(text)).await })
        },
    },
    Place {
        name: "THREAD",
        good: "Grace",
        ask: |client, text| {
            let query = Query::new().from(text);
            asking(async move { client.threads(Threading::References, query).await })
        },
    },
    Place {
        name: "FETCH's header fields",
        good: "Subject",
        ask: |client, text| {
            let section = Section::fields([&*text]).ok()?;
            asking(async move {
                client
                    .fetch(one(), [Item::body(section)])
                    .await?
                    .all()
                    .await
            })
        },
    },
    Place {
        name: "the header fields that are read",
        good: "Subject",
        ask: |client, text| {
            let section = Section::fields([&*text, "Date"]).ok()?;
            asking(async move { client.read(7, section).await.map(drop) })
        },
    },
    Place {
        name: "STORE's flag",
        good: "$Forwarded",
        ask: |client, text| {
            let change = FlagChange::Add(vec![text.parse().ok()?]);
            asking(async move { client.store(one(), change).await })
        },
    },
    Place {
        name: "APPEND's flag",
        good: "$Forwarded",
        ask: |client, text| {
            let flag: Flag = text.parse().ok()?;
            let append = Append::to(drafts()).flag(flag);
            asking(async move { client.append(append, "Hi.").await })
        },
    },
    Place {
        name: "the message",
        good: "Subject: hi\r\n\r\nHi.\r\n",
        ask: |client, text| {
            asking(async move { client.append(Append::to(drafts()), text).await.map(drop) })
        },
    },
    Place {
        name: "the message that is read",
        good: "Subject: hi\r\n\r\nHi.\r\n",
        ask: |client, text| {
            asking(async move {
                let (append, size) = (Append::to(drafts()), text.len() as u64);
                let appended = client.append_from(append, size, text.as_bytes()).await;
                appended.map(drop)
            })
        },
    },
    Place {
        name: "several messages",
        good: "Hi.",
        ask: |client, text| {
            asking(async move {
                let parts = [CatenatePart::Text(text.len() as u64), CatenatePart::Text(3)];
                let again = format!("{text}Hi.");
                let messages = [
                    (AppendMessage::new(text.len() as u64), text.as_bytes()),
                    (AppendMessage::catenate(parts), again.as_bytes()),
                ];
                client.append_all(drafts(), messages).await.map(drop)
            })
        },
    },
    Place {
        name: "the URL's section",
        good: "Subject",
        ask: |client, text| {
            let section = Section::fields([&*text]).ok()?;
            let url = MessageUrl::new(&drafts(), 1, 2).section(&section);
            let message = AppendMessage::catenate([CatenatePart::Url(url)]);
            asking(async move { client.append_all(drafts(), [(message, &b""[..])]).await })
        },
    },
    Place {
        name: "SETQUOTA's root",
        good: "#user/ada",
        ask: |client, text| {
            asking(async move { client.set_quota(text, [(Resource::Storage, 9)]).await })
        },
    },
    Place {
        name: "SETQUOTA's resource",
        good: "X-PAGES",
        ask: |client, text| {
            let resource = Resource::Other(Text::from(&*text));
            asking(async move { client.set_quota("", [(resource, 9)]).await })
        },
    },
    Place {
        name: "SETACL's identifier",
        good: "grace",
        ask: |client, text| {
            let change = RightsChange::Replace(Rights::READ);
            asking(async move { client.set_acl(drafts(), text, change).await })
        },
    },
    Place {
        name: "SETACL's rights",
        good: "lr",
        ask: |client, text| {
            let change = RightsChange::Add(text.parse().ok()?);
            asking(async move { client.set_acl(drafts(), "grace", change).await })
        },
    },
    Place {
        name: "DELETEACL's identifier",
        good: "grace",
        ask: |client, text| asking(async move { client.delete_acl(drafts(), text).await }),
    },
    Place {
        name: "LISTRIGHTS' identifier",
        good: "grace",
        ask: |client, text| {
            asking(async move { client.list_rights(drafts(), text).await.map(drop) })
        },
    },
    Place {
        name: "GETMETADATA's entry",
        good: "/private/comment",
        ask: |client, text| {
            let entry = text.parse().ok()?;
            asking(async move { client.metadata(None, [entry], Depth::Zero).await })
        },
    },
    Place {
        name: "SETMETADATA's entry",
        good: "/private/comment",
        ask: |client, text| {
            let entry = text.parse().ok()?;
            let value = Some("x".into());
            asking(async move { client.set_metadata(None, [(entry, value)]).await })
        },
    },
    Place {
        name: "SETMETADATA's value",
        good: "for the tax office",
        ask: |client, text| {
            let entry = "/private/comment".parse().expect("an entry");
            let value = Some(text.into());
            asking(async move { client.set_metadata(None, [(entry, value)]).await })
        },
    },
];

const SETTINGS: &[Setting] = &[
    Setting {
        name: "LOGIN's user",
        good: "ada",
        offers: "",
        set: |config, text| {
            config.session.credentials = Credentials::password(text, "secret").ok()?;
            Some(())
        },
    },
    Setting {
        name: "LOGIN's password",
        good: "correct horse",
        offers: "",
        set: |config, text| {
            config.session.credentials = Credentials::password("ada", text).ok()?;
            Some(())
        },
    },
    Setting {
        name: "PLAIN's user",
        good: "ada",
        offers: "AUTH=PLAIN SASL-IR",
        set: |config, text| {
            config.session.credentials = Credentials::password(text, "secret").ok()?;
            Some(())
        },
    },
    Setting {
        name: "PLAIN's password, as an answer",
        good: "correct horse",
        offers: "AUTH=PLAIN",
        set: |config, text| {
            config.session.credentials = Credentials::password("ada", text).ok()?;
            Some(())
        },
    },
    Setting {
        name: "who is acted as",
        good: "grace",
        offers: "AUTH=PLAIN",
        set: |config, text| {
            let credentials = Credentials::password("ada", "secret").ok()?;
            config.session.credentials = credentials.acting_as(text).ok()?;
            Some(())
        },
    },
    Setting {
        name: "the token",
        good: "ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg",
        offers: "AUTH=XOAUTH2 SASL-IR",
        set: |config, text| {
            config.session.credentials = Credentials::token("ada", text).ok()?;
            Some(())
        },
    },
    Setting {
        name: "whose token it is",
        good: "ada@example.org",
        offers: "AUTH=OAUTHBEARER",
        set: |config, text| {
            config.session.credentials = Credentials::token(text, "abc").ok()?;
            Some(())
        },
    },
    Setting {
        name: "a name in ID",
        good: "vendor",
        offers: "",
        set: |config, text| {
            config.session.id = vec![(text.to_owned(), "x".to_owned())];
            Some(())
        },
    },
    Setting {
        name: "a value in ID",
        good: "Jackfield",
        offers: "",
        set: |config, text| {
            config.session.id = vec![("name".to_owned(), text.to_owned())];
            Some(())
        },
    },
];

/// The words of a command: its atoms and strings, and the parentheses around them.
type Words = Vec<String>;

type Heard = Arc<Mutex<Vec<Words>>>;

/// A server that says yes to all, and keeps what it has heard.
struct Robot {
    server: Server<SimStream>,
    heard: Heard,
}

impl Robot {
    /// Until the client leaves.
    async fn serve(mut self, offers: String) {
        while let Some(command) = self.command().await {
            let (tag, verb) = (command[0].clone(), command[1].clone());
            let has_answer = verb == "AUTHENTICATE" && command.len() == 3;
            self.heard.lock().expect("no panic").push(command.clone());
            if has_answer {
                self.server.say("+ \r\n").await;
                let answer = self.server.line().await;
                let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte);
                assert!(answer.bytes().all(is_base64), "{answer:?}");
            }
            if verb == "ENABLE" {
                self.server.say("* ENABLED UTF8=ACCEPT\r\n").await;
            }
            let code = if matches!(&*verb, "LOGIN" | "AUTHENTICATE") {
                format!("[CAPABILITY {offers}] ")
            } else {
                String::new()
            };
            self.server.say(&format!("{tag} OK {code}done\r\n")).await;
        }
    }

    /// A command, as a strict server takes it apart; `None` at the end.
    async fn command(&mut self) -> Option<Words> {
        let mut words = Words::new();
        let mut word = Vec::new();
        loop {
            let byte = self.server.0.read_u8().await.ok()?;
            let is_end = matches!(byte, b' ' | b'(' | b')' | b'"' | b'{' | b'\r' | b'\n');
            if is_end && !word.is_empty() && word != b"~" {
                words.push(String::from_utf8(std::mem::take(&mut word)).expect("an atom"));
            }
            match byte {
                b'\r' => {
                    assert_eq!(self.server.0.read_u8().await.ok()?, b'\n', "a bare CR");
                    return Some(words);
                }
                b'\n' | 0 => panic!("a bare {byte} behind {words:?}"),
                b'(' | b')' => words.push(char::from(byte).to_string()),
                b'"' => words.push(self.quoted().await?),
                b'{' => {
                    word.clear();
                    words.push(self.literal().await?);
                }
                b' ' => {}
                byte => word.push(byte),
            }
        }
    }

    async fn quoted(&mut self) -> Option<String> {
        let mut text = Vec::new();
        loop {
            match self.server.0.read_u8().await.ok()? {
                b'"' => return Some(format!("={}", String::from_utf8(text).expect("text"))),
                b'\\' => {
                    let byte = self.server.0.read_u8().await.ok()?;
                    assert!(matches!(byte, b'"' | b'\\'), "escapes what has no need");
                    text.push(byte);
                }
                b'\r' | b'\n' | 0 => panic!("a quoted string goes over its line: {text:?}"),
                byte => text.push(byte),
            }
        }
    }

    async fn literal(&mut self) -> Option<String> {
        let size = self.server.line().await;
        let size = size.strip_suffix('}').expect("a size");
        if !size.ends_with('+') {
            self.server.say("+ go on\r\n").await;
        }
        let size: usize = size.trim_end_matches('+').parse().expect("a size");
        let mut text = vec![0; size];
        self.server.0.read_exact(&mut text).await.ok()?;
        Some(format!("={}", String::from_utf8_lossy(&text)))
    }
}

/// The names of the commands, and the places of the words behind them. Atoms and strings are alike.
fn shape(heard: &[Words]) -> Vec<String> {
    let shape = heard.iter().map(|words| {
        let mut words = words.iter().skip(1).peekable();
        let mut name = words.next().cloned().unwrap_or_default();
        if name == "UID" {
            name.push_str(words.next().expect("a command"));
        }
        let mut shape = name.clone();
        while let Some(word) = words.next() {
            match word.as_str() {
                // What is no ASCII asks for it.
                "CHARSET" if name == "UIDSEARCH" => drop(words.next()),
                "(" | ")" => shape.push_str(word),
                _ => shape.push_str(" x"),
            }
        }
        shape
    });
    shape.collect()
}

/// A client with a server that says yes to all; it is ready, or has given up.
async fn robot(config: ClientConfig, offers: &str, begins: &str) -> (World, Heard) {
    let mut world = world(config, |here| here).await;
    let mut server = world.accept().await;
    server.say(begins).await;
    let heard = Heard::default();
    let robot = Robot {
        server,
        heard: Arc::clone(&heard),
    };
    tokio::spawn(robot.serve(offers.to_owned()));
    while !matches!(
        world.status().await,
        Status::Ready(_) | Status::Disconnected { .. }
    ) {}
    (world, heard)
}

fn take(heard: &Heard) -> Vec<Words> {
    std::mem::take(&mut heard.lock().expect("no panic"))
}

/// The good text with each evil one in it, at the beginning, in the middle and at the end.
fn texts(good: &str) -> impl Iterator<Item = String> + '_ {
    EVIL.iter().flat_map(move |evil| {
        let places = [0, 1, good.len() / 2, good.len()];
        places.map(|at| [&good[..at], evil, &good[at..]].concat())
    })
}

#[tokio::test(start_paused = true)]
async fn no_text_that_a_caller_gives_becomes_a_command() {
    let (mut taken, mut refused) = (BTreeSet::new(), BTreeSet::new());
    let places = || [MAILBOXES, QUERIES, OTHERS].into_iter().flatten();
    for ways in ["", " LITERAL+", " LITERAL-", " LITERAL+ UTF8=ACCEPT"] {
        let mut config = config();
        if ways.contains("UTF8") {
            config.session.extensions = vec![jackfield_imap::codec::Extension::Utf8Accept];
        }
        let offers = format!("{OFFERS}{ways}");
        let greeting = format!("* PREAUTH [CAPABILITY {offers}] hello\r\n");
        let (world, heard) = robot(config, &offers, &greeting).await;
        let client = &world.client;
        client.select(MailboxName::inbox()).await.expect("open");
        for place in places() {
            let at = |text: &str| format!("{}{ways}: {text:?}", place.name);
            let ask = async |text: &str| {
                take(&heard);
                (place.ask)(client.clone(), text.to_owned())?.await;
                // Nothing else is heard before it.
                let noop = client.noop().await;
                noop.unwrap_or_else(|error| panic!("{}: {error}", at(text)));
                let mut heard = take(&heard);
                let noop = heard.pop().expect("a command");
                assert_eq!(noop[1..], ["NOOP"], "{}", at(text));
                Some(heard)
            };
            let good = shape(&ask(place.good).await.expect(place.name));
            assert_eq!(good.len(), 1, "{}", at(place.good));
            for text in texts(place.good) {
                match ask(&text).await {
                    Some(heard) if !heard.is_empty() => {
                        taken.insert(place.name);
                        assert_eq!(shape(&heard), good, "{}: {heard:?}", at(&text));
                    }
                    // It was refused when it was given, or when it was asked for.
                    _ => drop(refused.insert(place.name)),
                }
            }
        }
    }
    // Each place refuses something, but the messages and what may be any bytes.
    let unrefused: Vec<_> = places()
        .map(|place| place.name)
        .filter(|name| !refused.contains(name))
        .collect();
    let any = [
        "the message",
        "the message that is read",
        "several messages",
        "SETMETADATA's value",
    ];
    assert_eq!(unrefused, any);
    assert!(
        any.iter().all(|name| taken.contains(name)) && taken.contains("SUBJECT"),
        "{taken:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn no_text_of_the_configuration_becomes_a_command() {
    let mut taken = BTreeSet::new();
    for setting in SETTINGS {
        let begins = format!(
            "* OK [CAPABILITY IMAP4rev1 ID {}] hello\r\n",
            setting.offers
        );
        let ask = async |text: &str| {
            let mut config = config();
            (setting.set)(&mut config, text)?;
            let (_world, heard) = robot(config, "IMAP4rev1 ID LITERAL-", &begins).await;
            Some(take(&heard))
        };
        let good = shape(&ask(setting.good).await.expect(setting.name));
        for text in texts(setting.good) {
            if let Some(heard) = ask(&text).await {
                let at = format!("{}: {text:?}: {heard:?}", setting.name);
                let heard = shape(&heard);
                // What can't be sent ends it.
                assert!(good.starts_with(&heard), "{at}");
                if heard.len() == good.len() {
                    taken.insert(setting.name);
                }
            }
        }
    }
    // A token is letters, digits and signs, and refuses all of it.
    assert_eq!(taken.len(), SETTINGS.len() - 1, "{taken:?}");
}

/// What is written as it is may be nothing else: a command's tag, and the name of a mechanism.
#[test]
fn neither_a_tag_nor_a_mechanism_becomes_more() {
    let encode = |command: &Command, tag: &str| command.encode(tag, Dialect::default()).map(drop);
    let authenticate = |mechanism: &str, initial: Option<&str>| Command::Authenticate {
        mechanism: mechanism.to_owned(),
        initial: initial.map(Into::into),
    };
    assert_eq!(encode(&Command::Noop, "A1"), Ok(()));
    let plain = authenticate("SCRAM-SHA-256", Some("AGFkYQA="));
    assert_eq!(encode(&plain, "A1"), Ok(()));
    assert_eq!(encode(&authenticate("PLAIN", Some("")), "A1"), Ok(()));
    for evil in EVIL {
        let tag = format!("A{evil}1");
        assert_eq!(
            encode(&Command::Noop, &tag),
            Err(InvalidValue::Tag),
            "{tag:?}"
        );
        let name = authenticate(&format!("PLAIN{evil}"), None);
        assert_eq!(
            encode(&name, "A1"),
            Err(InvalidValue::Mechanism),
            "{name:?}"
        );
        let initial = authenticate("PLAIN", Some(&format!("AGFk{evil}")));
        assert_eq!(
            encode(&initial, "A1"),
            Err(InvalidValue::Mechanism),
            "{evil:?}"
        );
    }
    assert_eq!(encode(&Command::Noop, ""), Err(InvalidValue::Tag));
    assert_eq!(
        encode(&authenticate("", None), "A1"),
        Err(InvalidValue::Mechanism)
    );
}

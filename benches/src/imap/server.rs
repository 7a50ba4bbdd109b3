//! The mailboxes that are synchronised, and a socket that speaks just enough of IMAP to make them.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpStream};

use anyhow::{Result, bail, ensure};
use jackfield_testing::dovecot::PASSWORD;

/// How many messages are appended at a time.
const AT_ONCE: usize = 500;

/// A mailbox before it changes.
pub(super) struct Mailbox {
    pub(super) user: String,
    /// How many messages are in it; their UIDs begin with 1.
    pub(super) messages: usize,
    pub(super) uid_validity: u32,
    pub(super) modseq: u64,
}

/// How many messages have other flags, are new, and are gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Changes {
    pub(super) flags: usize,
    pub(super) new: usize,
    pub(super) gone: usize,
}

impl Mailbox {
    /// Makes a mailbox of so many messages, for a user that has none.
    pub(super) fn make(at: SocketAddr, messages: usize) -> Result<Self> {
        let user = format!("user-of-{messages}");
        let mut talk = Talk::log_in(at, &user)?;
        talk.append(1, messages)?;
        let opened = talk.ask("SELECT INBOX (CONDSTORE)")?;
        let number = |code: &str| {
            let behind = opened
                .split_once(code)
                .map(|(_, behind)| behind.split(']').next());
            anyhow::Ok(behind.flatten().unwrap_or("").parse()?)
        };
        let mailbox = Self {
            user,
            messages,
            uid_validity: u32::try_from(number("[UIDVALIDITY ")?)?,
            modseq: number("[HIGHESTMODSEQ ")?,
        };
        ensure!(number("[UIDNEXT ")? as usize == messages + 1, "{opened}");
        // From now on the server has all envelopes in its cache.
        talk.ask("UID FETCH 1:* (FLAGS INTERNALDATE RFC822.SIZE ENVELOPE)")?;
        Ok(mailbox)
    }

    /// Changes one message in a hundred: half of these get a flag, a quarter goes, and a quarter comes.
    pub(super) fn change(&self, at: SocketAddr) -> Result<Changes> {
        let every = |step: usize, from: usize| {
            let uids = (from..=self.messages).step_by(step);
            uids.map(|uid| uid.to_string()).collect::<Vec<_>>()
        };
        let (flagged, gone) = (every(200, 100), every(400, 7));
        let mut talk = Talk::log_in(at, &self.user)?;
        talk.ask("SELECT INBOX")?;
        talk.ask(&format!(
            "UID STORE {} +FLAGS.SILENT (\\Flagged)",
            flagged.join(",")
        ))?;
        talk.ask(&format!(
            "UID STORE {} +FLAGS.SILENT (\\Deleted)",
            gone.join(",")
        ))?;
        talk.ask("EXPUNGE")?;
        let new = self.messages / 400;
        talk.append(self.messages + 1, new)?;
        Ok(Changes {
            flags: flagged.len(),
            new,
            gone: gone.len(),
        })
    }
}

/// A connection that is logged in.
pub(super) struct Talk {
    stream: BufReader<TcpStream>,
}

impl Talk {
    pub(super) fn log_in(at: SocketAddr, user: &str) -> Result<Self> {
        let stream = TcpStream::connect(at)?;
        stream.set_nodelay(true)?;
        let mut talk = Self {
            stream: BufReader::new(stream),
        };
        talk.ask(&format!("LOGIN {user} {PASSWORD}"))?;
        Ok(talk)
    }

    /// Asks for something that the server must do; what it said.
    fn ask(&mut self, command: &str) -> Result<String> {
        let mut said = String::new();
        self.read(command, |line| said.push_str(line))?;
        Ok(said)
    }

    /// Gives each line of the answer, literals among them.
    pub(super) fn read(&mut self, command: &str, mut take: impl FnMut(&str)) -> Result<()> {
        let command = format!("t {command}\r\n");
        self.stream.get_mut().write_all(command.as_bytes())?;
        let mut line = String::new();
        loop {
            line.clear();
            ensure!(self.stream.read_line(&mut line)? > 0, "the server has left");
            take(&line);
            if line.starts_with("t OK ") {
                return Ok(());
            }
            if line.starts_with("t ") {
                bail!("{command:.60}: {line}");
            }
        }
    }

    /// Appends messages with these numbers.
    fn append(&mut self, from: usize, count: usize) -> Result<()> {
        let mut numbers = from..from + count;
        loop {
            let mut command = String::from("APPEND INBOX");
            for number in numbers.by_ref().take(AT_ONCE) {
                let text = message(number);
                let flags = if number % 3 == 0 { "" } else { " (\\Seen)" };
                command.push_str(&format!("{flags} {{{}+}}\r\n{text}", text.len()));
            }
            if !command.contains('{') {
                return Ok(());
            }
            self.ask(&command)?;
        }
    }
}

fn message(number: usize) -> String {
    const SUBJECT: &str = "Re: the quick brown fox, and other stories of the usual length";
    let subject = SUBJECT[..20 + number * 7 % (SUBJECT.len() - 20)].trim_end();
    let (one, two) = (number * 31 % 97, number * 17 % 991);
    let copied = if number % 3 == 0 {
        "Cc: Linus <linus@example.fi>\r\n"
    } else {
        ""
    };
    format!(
        "Date: Fri, 17 Jul 2026 02:23:25 -0700\r\n\
         From: Ada Lovelace {one} <ada.lovelace{two}@mail.example.org>\r\n\
         To: Grace Hopper <grace{two}@example.com>, list-{one}@lists.example.net\r\n\
         {copied}Subject: {subject}\r\n\
         In-Reply-To: <{two:016x}.{number}@mail.example.org>\r\n\
         Message-ID: <B27397-{number:010x}@mail.example.org>\r\n\r\n\
         Good morning.\r\n",
    )
}

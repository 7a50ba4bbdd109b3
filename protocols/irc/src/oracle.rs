//! Oracles: what must hold for any input. They are shared by the tests here and the fuzz targets,
//! which are a line over one of these functions.

use std::collections::BTreeSet;
use std::time::Duration;

use jackfield_socket::driver::{Core, StreamCore};
use jackfield_socket::time::Instant;

use crate::codec::{
    Command, Ctcp, LineBuffer, Message, MessageRef, ModeTypes, SourceRef, TagKey, TagValue, Text,
    Timestamp, decode, formatting,
};
use crate::core::{
    ChannelBinding, Config, Credentials, ListFilter, Request, RequestId, SaslChannel, Session,
    SessionEvent,
};

/// Reading never panics, lines don't depend on the pieces that they arrive in, and a message that
/// is accepted is written back with its meaning.
///
/// # Panics
/// When one of these promises is broken.
pub fn codec(data: &[u8]) {
    let whole = lines(data, data.len().max(1));
    assert_eq!(whole, lines(data, 1), "lines depend on their pieces");
    assert_eq!(whole, lines(data, 7), "lines depend on their pieces");
    for line in whole.iter().flatten() {
        let text = decode(line);
        if let Ok(message) = MessageRef::parse(&text) {
            round_trip(message);
        }
        if let Some(time) = Timestamp::parse(&text) {
            assert_eq!(Timestamp::parse(&time.to_string()), Some(time));
        }
        assert_eq!(SourceRef::parse(&text).to_string(), text);
        let _ = Ctcp::parse(&text);
        formatted(&text);
    }
}

/// A text without its formatting has nothing left to strip.
fn formatted(text: &str) {
    let stripped = formatting::strip(text);
    assert!(!stripped.contains(char::is_control), "{stripped:?}");
    assert_eq!(formatting::strip(&stripped), stripped);
    for span in formatting::spans(text) {
        assert!(!span.text.is_empty());
    }
}

fn lines(data: &[u8], piece: usize) -> Vec<Option<Vec<u8>>> {
    let mut buffer = LineBuffer::new(64);
    let mut found = Vec::new();
    for mut piece in data.chunks(piece) {
        while let Some(line) = buffer.next_line(&mut piece) {
            if let Ok(line) = line {
                assert!(!line.is_empty() && line.len() <= 64);
            }
            found.push(line.ok().map(<[u8]>::to_vec));
        }
    }
    found
}

fn round_trip(message: MessageRef<'_>) {
    let owned = message.to_message();
    assert_eq!(owned.view(), message, "{owned} means something else");
    assert_eq!(
        owned.view().to_string(),
        owned.as_str(),
        "the second time, it is written differently"
    );
    let mut bytes: &[u8] = &owned.to_bytes();
    let mut buffer = LineBuffer::default();
    let line = buffer.next_line(&mut bytes).map(|line| line.map(decode));
    assert_eq!(line, Some(Ok(owned.as_str().into())), "it is one line");

    let mut builder = Message::builder(Command::Tagmsg);
    let mut kept = Vec::new();
    for tag in message.tags().iter() {
        if let (Ok(key), Ok(value)) = (TagKey::new(tag.key), TagValue::new(&tag.value)) {
            builder = builder.tag(&key, &value);
            kept.push(tag);
        }
    }
    let built = builder.build();
    assert_eq!(built.view().tags().iter().collect::<Vec<_>>(), kept);

    let params = message.params();
    assert!(
        ModeTypes::default()
            .parse(&params.clone().collect::<String>(), params)
            .len()
            <= 64
    );
}

/// Plays a script to a session, and checks after each step that its promises hold: its bounds, that
/// what it sends is whole lines that fit, that its deadlines move on, and that each request has one
/// outcome.
///
/// Each line is one step: `S`, a line from the server; `B`, bytes from it without an end; `R`, a
/// request; `.`, time until the next deadline; `Q`, close; `E`, the stream's end. The first byte of
/// all chooses the configuration.
///
/// # Panics
/// When the session breaks one of its promises.
pub fn session(script: &[u8]) {
    let (first, script) = script.split_first().unwrap_or((&0, &[]));
    let Some(mut play) = Play::new(*first) else {
        return;
    };
    for step in script.split(|byte| *byte == b'\n') {
        let Some((kind, rest)) = step.split_first() else {
            continue;
        };
        if play.over {
            break;
        }
        match kind {
            b'S' => play.receive(&[rest, b"\r\n"].concat()),
            b'B' => play.receive(rest),
            b'R' => play.request(rest),
            b'.' => play.pass(),
            b'Q' => play.session.close(),
            b'E' => {
                play.over = true;
                let _ = play.session.receive_end(play.now);
            }
            _ => {}
        }
        play.check();
    }
    let _ = play.session.receive_end(play.now);
    play.check();
    assert!(play.waiting.is_empty(), "requests without an outcome");
}

struct Play {
    session: Session,
    config: Config,
    now: Instant,
    waiting: BTreeSet<RequestId>,
    /// The session has failed or ended.
    over: bool,
    received: usize,
}

impl Play {
    fn new(choice: u8) -> Option<Self> {
        let mut config = Config::new("ada".parse().ok()?);
        config.limits.max_channels = 3;
        config.limits.max_members = 8;
        config.line_capacity = 6;
        config.request_capacity = 4;
        config.limits.max_reply_items = 5;
        if choice & 1 == 1 {
            config.sasl = Some(Credentials::password("ada", "secret").ok()?);
        }
        let mut session = Session::new(config.clone());
        let mut channel = SaslChannel::encrypted();
        if choice & 2 == 2 {
            channel = channel.with_binding(ChannelBinding::tls_exporter([7; 32]));
        }
        session.set_sasl_channel(channel);
        session.set_sasl_nonce("fyko+d2lbbFgONRv9qkxdawL");
        Some(Self {
            session,
            config,
            now: Instant::now(),
            waiting: BTreeSet::new(),
            over: false,
            received: 0,
        })
    }

    fn receive(&mut self, bytes: &[u8]) {
        self.received = bytes.len();
        self.over |= self.session.receive(self.now, bytes).is_err();
    }

    fn pass(&mut self) {
        let Some(deadline) = self.session.deadline() else {
            self.now += Duration::from_secs(1);
            return;
        };
        self.now = self.now.max(deadline);
        self.over |= self.session.handle_deadline(self.now).is_err();
        if let Some(next) = self.session.deadline() {
            assert!(next > self.now, "a deadline that has passed");
        }
    }

    fn request(&mut self, rest: &[u8]) {
        let (kind, rest) = rest.split_first().unwrap_or((&0, &[]));
        let text = decode(rest);
        let (name, tail) = text.split_once(' ').unwrap_or((&text, ""));
        if let Some(request) = request(*kind, name, tail)
            && let Ok(id) = self.session.request(request)
        {
            assert!(self.waiting.insert(id), "a name that was given twice");
        }
    }

    fn check(&mut self) {
        let mut out = Vec::new();
        self.session.transmit(self.now, &mut out);
        let limit = self.session.isupport().line_length;
        for line in out.split_inclusive(|byte| *byte == b'\n') {
            let text = line.strip_suffix(b"\r\n").map(decode);
            let text = text.unwrap_or_else(|| panic!("half a line: {line:?}"));
            let message = Message::parse(&text);
            let message = message.unwrap_or_else(|error| panic!("sent {text:?}: {error}"));
            let length = message.length_without_tags() + 2;
            assert!(length <= limit.max(512), "a line of {length} bytes");
        }
        let mut events = 0;
        while let Some(event) = self.session.poll_event() {
            events += 1;
            if let SessionEvent::Completed(id, _) = event {
                assert!(self.waiting.remove(&id), "an outcome that nobody waits for");
            }
        }
        // A mode string makes the most of its bytes: two events a letter, and a few besides.
        let allowed = 3 * self.received + 32;
        assert!(
            events <= allowed,
            "{events} events of {} bytes",
            self.received
        );
        self.received = 0;
        assert!(self.waiting.len() <= self.config.request_capacity);
        let members: usize = self
            .session
            .channels()
            .map(|channel| channel.members().len())
            .sum();
        assert!(
            members <= self.config.limits.max_members,
            "{members} members"
        );
        assert!(self.session.channels().count() <= self.config.limits.max_channels);
    }
}

fn request(kind: u8, name: &str, tail: &str) -> Option<Request> {
    let channel = || name.parse().ok();
    let text = || Text::new(tail).ok();
    Some(match kind {
        b'j' => Request::Join {
            channel: channel()?,
            key: tail.parse().ok(),
        },
        b'p' => Request::Part {
            channel: channel()?,
            reason: text(),
        },
        b'm' => Request::Message {
            to: name.parse().ok()?,
            text: text()?,
        },
        b'a' => Request::Action {
            to: name.parse().ok()?,
            text: text()?,
        },
        b't' => Request::SetTopic {
            channel: channel()?,
            topic: text()?,
        },
        b'T' => Request::Topic(channel()?),
        b'n' => Request::Names(channel()?),
        b'w' => Request::Who(name.parse().ok()?),
        b'W' => Request::Whois(name.parse().ok()?),
        b'l' => Request::List(ListFilter {
            names: name.parse().ok(),
            min_members: tail.parse().unwrap_or_default(),
        }),
        b'o' => Request::SetMode {
            target: name.parse().ok()?,
            modes: tail.parse().ok()?,
            params: Vec::new(),
        },
        b'k' => Request::Kick {
            channel: channel()?,
            nick: tail.parse().ok()?,
            reason: None,
        },
        b'i' => Request::Invite {
            nick: tail.parse().ok()?,
            channel: channel()?,
        },
        b'y' => Request::Away(text()),
        b'N' => Request::Nick(name.parse().ok()?),
        b'r' => Request::Raw(Message::parse(tail).ok()?),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use jackfield_corpora::hold;

    use super::*;

    /// What servers and users say, to be put together at random.
    const PIECES: &[&str] = &[
        "S:a 001 ada :Welcome ada!u@h",
        "S:a 005 ada PREFIX=(ov)@+ CHANMODES=b,k,l,n WHOX CASEMAPPING=ascii STATUSMSG=@ :are",
        "S:a 005 ada LINELEN=600 -PREFIX :are",
        "S:a 422 ada :No MOTD",
        "S:a CAP * LS * :batch labeled-response",
        "S:a CAP * LS :echo-message sasl=PLAIN",
        "S:a CAP * ACK :batch echo-message labeled-response sasl",
        "S:a CAP * ACK :batch echo-message labeled-response",
        "S:a CAP * NAK :batch echo-message labeled-response",
        "S:a CAP * NEW :away-notify",
        "S:a CAP * DEL :batch",
        "SAUTHENTICATE +",
        "S:a 903 ada :yes",
        "S:a 433 * ada :In use",
        "S:ada!u@h JOIN #a",
        "S:ada!u@h JOIN #b",
        "S:bob!u@h JOIN #A",
        "S:a 353 ada = #a :ada @bob +carol dave erin frank",
        "S:a 353 ada = #b :gina hugo ivan",
        "S:a 366 ada #a :End",
        "S:a 366 ada #b :End",
        "S:bob!u@h MODE #a +ov-o+b carol dave bob *!*@x",
        "S:bob!u@h NICK ada2",
        "S:ada!u@h NICK bob",
        "S:carol!u@h QUIT :bye",
        "S:bob!u@h KICK #a ada",
        "S:ada!u@h PART #b",
        "S:a 332 ada #a :topic",
        "S:ada!u@h TOPIC #a :new",
        "S@label=1 :a BATCH +x labeled-response",
        "S@batch=x :a BATCH +y chathistory",
        "S@batch=y :bob!u@h PRIVMSG #a :old",
        "S:a BATCH -x",
        "S@label=1 :a ACK",
        "S@label=2 :a 404 ada #a :No",
        "SPONG fence-1",
        "SPONG fence-2",
        "SPONG lag-1",
        "SPING :x",
        "S:a 401 ada bob :No such nick",
        "S:a 473 ada #a :Closed",
        "S:a 352 ada #a u h s bob H@ :0 Bob",
        "S:a 354 ada 152 #a u h s bob H@ acc :Bob",
        "S:a 315 ada #a :End",
        "S:a 311 ada bob u h * :Bob",
        "S:a 319 ada bob :#a #b #c #d #e #f",
        "S:a 318 ada bob :End",
        "SFAIL JOIN X #a :no",
        "SERROR :bye",
        "S@@@",
        "B:a PRIV",
        "BMSG ada :hi",
        "Rj#a",
        "Rj#b key",
        "Rp#a",
        "Rm#a hello",
        "Ra#a waves",
        "Rt#a topic",
        "RT#a",
        "Rn#a",
        "Rw#a",
        "RWbob",
        "Ro#a +t",
        "Rk#a bob",
        "Ri#a bob",
        "Ryx lunch",
        "RNbob",
        "Rrx FOO bar",
        ".",
        ".",
        "Q",
        "E",
    ];

    /// What the fuzz targets begin with, and what they have found.
    #[test]
    fn the_corpora_hold() {
        hold("irc_codec", codec);
        hold("irc_session", session);
    }

    #[test]
    fn any_bytes_are_read_or_refused() {
        let mut random = fastrand::Rng::with_seed(1);
        let alphabet = b"@:;=\\ ab#\r\n\0\x01\x02\x03\x04\x0f,!+-,\xc3\xa9\xff0123TZ";
        for _ in 0..20_000 {
            let length = random.usize(..120);
            let data: Vec<u8> = (0..length)
                .map(|_| alphabet[random.usize(..alphabet.len())])
                .collect();
            codec(&data);
        }
    }

    #[test]
    fn any_conversation_keeps_the_promises() {
        for seed in 0..5_000 {
            let mut random = fastrand::Rng::with_seed(seed);
            let mut script = vec![random.u8(..)];
            // Most conversations get past the registration.
            if random.u8(..4) > 0 {
                script[0] &= !1;
                script.extend_from_slice(b"\nS:a 001 ada :Hi\nS:a 422 ada :No MOTD");
            }
            for _ in 0..random.usize(..80) {
                script.push(b'\n');
                let piece = PIECES[random.usize(..PIECES.len())];
                // Ends are rare, so that conversations are long.
                if !matches!(piece, "Q" | "E") || random.u8(..8) == 0 {
                    script.extend_from_slice(piece.as_bytes());
                }
                if random.u8(..16) == 0 {
                    let at = random.usize(..script.len());
                    script[at] = random.u8(..);
                }
            }
            session(&script);
        }
    }

    #[test]
    fn long_lines_fit_and_long_pings_are_not_answered() {
        let long = "é ".repeat(2000);
        let script =
            format!("\0\nS:a 001 ada :Hi\nS:a 422 ada :No\nRm#a {long}\nSPING :{long}\n.\n.");
        session(script.as_bytes());
    }
}

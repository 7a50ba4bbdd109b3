//! Reading IMAP: envelopes and searches.

use std::hint::black_box;
use std::io::Cursor;
use std::time::Instant;

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use async_imap::Client;
use bytes::Bytes;
use imap_codec::ResponseCodec;
use imap_codec::decode::Decoder as _;
use imap_next::client::{Client as Next, Event, Options};
use imap_next::{Interrupt, Io, State as _};
use io_imap::codec::fragmentizer::Fragmentizer;
use io_imap::coroutine::{ImapCoroutine, ImapCoroutineState, ImapYield};
use io_imap::rfc3501::fetch::{ImapMessageFetch, ImapMessageFetchOptions};
use io_imap::rfc3501::search::{ImapMessageSearch, ImapMessageSearchOptions};
use io_imap::types::fetch::{Macro, MacroOrMessageDataItemNames};
use io_imap::types::search::SearchKey;
use jackfield_imap::codec::{Frame, Framer, Limits, Response, ResponseParser};
use tokio::runtime::Runtime;

use crate::race::Race;
use crate::report::Report;
use crate::stats::{Ratio, median};

/// As many bytes come at a time.
const READ: usize = 16 * 1024;
/// What io-imap and imap-next may keep of a response, so that none of these is too long.
const ROOM: u32 = 64 << 20;
const RUNS: usize = 3;
const HEAD: [&str; 9] = [
    "",
    "jackfield-imap",
    "imap-proto",
    "imap-codec",
    "imap-next",
    "io-imap",
    "async-imap",
    "the best's time, ratio",
    "instructions, ratio",
];

/// What a server says, and how many items are in it.
struct Said {
    name: &'static str,
    text: Vec<u8>,
    /// Responses.
    count: usize,
    /// Envelopes, or numbers.
    items: usize,
}

type Way = fn(&Said, &Runtime) -> Result<()>;

/// Ours comes first.
const WAYS: [Way; 6] = [ours, proto, codec, next, io, tokio_client];

pub(crate) fn run(report: &mut Report) -> Result<()> {
    report.heading(
        "Reading IMAP over imap-proto 0.17, imap-codec 2.0.0-alpha.10, imap-next 0.3.4, io-imap \
         0.7.1 and async-imap 0.12",
        "FETCH responses as Dovecot sends them, with UID, FLAGS, INTERNALDATE, RFC822.SIZE and an \
         ENVELOPE, and one SEARCH response. jackfield-imap, imap-next, io-imap and async-imap are \
         given 16 KiB at a time, as from a socket; imap-proto and imap-codec have all of it, and \
         borrow from it. io-imap also sorts what it reads into a map. An envelope, or a number, \
         each. Aim: envelopes at least 1.5 times as fast as the best, searches no slower.",
    );
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let mut rows = Vec::new();
    for said in [
        envelopes("ENVELOPE", 64),
        search("a number of a SEARCH", 2_000),
    ] {
        let (said, runtime) = (&said, &runtime);
        let race = Race::new("imap-codec", said.name, said.items);
        let race = WAYS
            .into_iter()
            .fold(race, |race, way| race.with(move || way(said, runtime)));
        let outcome = race.run()?;
        let mut row = vec![said.name.into()];
        row.extend(outcome.cells());
        row.extend(outcome.over_best());
        rows.push(row);
    }
    report.table(&HEAD, &rows);

    report.append("\nAll of a large mailbox at once, in seconds.\n");
    let mut rows = Vec::new();
    for said in [
        envelopes("50,000 ENVELOPEs", 50_000),
        search("a SEARCH of 400,000 numbers", 400_000),
    ] {
        let mut seconds = vec![Vec::new(); WAYS.len()];
        for _ in 0..RUNS {
            for (way, seconds) in WAYS.into_iter().zip(&mut seconds) {
                let start = Instant::now();
                way(&said, &runtime)?;
                seconds.push(start.elapsed().as_secs_f64());
            }
        }
        let mut row = vec![format!("{}, {} bytes", said.name, said.text.len())];
        row.extend(
            seconds
                .iter()
                .map(|it| format!("{:.4}", median(it.clone()))),
        );
        let others = seconds[1..].iter();
        let best = others.min_by(|a, b| median((*a).clone()).total_cmp(&median((*b).clone())));
        let best = best.context("there are others")?;
        row.push(Ratio::of(best, &seconds[0]).to_string());
        rows.push(row);
    }
    report.table(&HEAD[..8], &rows);
    Ok(())
}

/// Random numbers that are the same in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

fn envelopes(name: &'static str, count: usize) -> Said {
    const SUBJECT: &str = "Re: the quick brown fox, and other stories of the usual length";
    let mut random = Random(88_172_645_463_325_252);
    let mut text = Vec::new();
    for number in 1..=count {
        let subject = &SUBJECT[..20 + random.below(SUBJECT.len() as u64 - 20) as usize];
        let (one, two) = (random.below(100), random.below(1000));
        let from =
            format!("((\"Ada Lovelace {one}\" NIL \"ada.lovelace{two}\" \"mail.example.org\"))");
        let to = format!(
            "((\"Grace Hopper\" NIL \"grace{two}\" \"example.com\")(NIL NIL \"list-{one}\" \
             \"lists.example.net\"))",
        );
        let is_copied = random.below(3) == 0;
        let cc = if is_copied {
            "((\"Linus\" NIL \"linus\" \"example.fi\"))"
        } else {
            "NIL"
        };
        let (id, size) = (random.below(1 << 40), random.below(100_000));
        let parent = if random.below(2) == 0 {
            format!(
                "\"<{:016x}.{number}@mail.example.org>\"",
                random.below(1 << 60)
            )
        } else {
            "NIL".to_owned()
        };
        let line = format!(
            "* {number} FETCH (UID {} FLAGS (\\Seen $Junk) INTERNALDATE \
             \"17-Jul-2026 02:44:25 -0700\" RFC822.SIZE {size} ENVELOPE \
             (\"Fri, 17 Jul 2026 02:23:25 -0700 (PDT)\" \"{subject}\" {from} {from} {from} {to} {cc} \
             NIL {parent} \"<B27397-{id:010x}@mail.example.org>\"))\r\n",
            3 * number,
        );
        text.extend_from_slice(line.as_bytes());
    }
    Said {
        name,
        text,
        count,
        items: count,
    }
}

fn search(name: &'static str, count: usize) -> Said {
    let numbers = (0..count).flat_map(|at| format!(" {}", 100_000 + 2 * at).into_bytes());
    let text = b"* SEARCH".iter().copied().chain(numbers);
    Said {
        name,
        text: text.chain(*b"\r\n").collect(),
        count: 1,
        items: count,
    }
}

fn ours(said: &Said, _: &Runtime) -> Result<()> {
    let mut framer = Framer::new(Limits::default());
    let parser = ResponseParser::default();
    let mut count = 0;
    for mut read in said.text.chunks(READ) {
        while let Some(frame) = framer.next(&mut read).map_err(|error| anyhow!("{error}"))? {
            if let Frame::Response(response) = frame {
                let response = parser.parse(response);
                ensure!(!matches!(response, Response::Unknown { .. }));
                black_box(&response);
                count += 1;
            }
        }
    }
    ensure!(count == said.count);
    Ok(())
}

fn proto(said: &Said, _: &Runtime) -> Result<()> {
    let mut rest = said.text.as_slice();
    for _ in 0..said.count {
        let read = imap_proto::Response::parse(rest);
        let (behind, response) = read.map_err(|_| anyhow!("imap-proto can't read it"))?;
        black_box(&response);
        rest = behind;
    }
    ensure!(rest.is_empty());
    Ok(())
}

fn codec(said: &Said, _: &Runtime) -> Result<()> {
    let codec = ResponseCodec::default();
    let mut rest = said.text.as_slice();
    for _ in 0..said.count {
        let read = codec.decode(rest);
        let (behind, response) = read.map_err(|_| anyhow!("imap-codec can't read it"))?;
        black_box(&response);
        rest = behind;
    }
    ensure!(rest.is_empty());
    Ok(())
}

fn next(said: &Said, _: &Runtime) -> Result<()> {
    let mut options = Options::default();
    options.discard_greeting = true;
    options.max_response_size = ROOM;
    let mut client = Next::new(options);
    let mut reads = said.text.chunks(READ);
    let mut count = 0;
    while count < said.count {
        match client.next() {
            Ok(Event::DataReceived { data }) => {
                black_box(&data);
                count += 1;
            }
            Ok(event) => bail!("imap-next says {event:?}"),
            Err(Interrupt::Io(Io::NeedMoreInput)) => {
                client.enqueue_input(reads.next().context("imap-next wants more")?);
            }
            Err(other) => bail!("imap-next says {other:?}"),
        }
    }
    Ok(())
}

fn io(said: &Said, _: &Runtime) -> Result<()> {
    if said.count > 1 {
        let range = "1:*".try_into().map_err(|_| anyhow!("no set"))?;
        let items = MacroOrMessageDataItemNames::Macro(Macro::All);
        let options = ImapMessageFetchOptions::default();
        let messages = resume(ImapMessageFetch::new(range, items, options), said)?;
        ensure!(messages.map_err(|error| anyhow!("{error}"))?.len() == said.count);
        return Ok(());
    }
    let keys = vec![SearchKey::All].try_into();
    let keys = keys.map_err(|_| anyhow!("no keys"))?;
    let search = ImapMessageSearch::new(keys, ImapMessageSearchOptions::default());
    let found = resume(search, said)?.map_err(|error| anyhow!("{error}"))?;
    ensure!(found.len() == said.items);
    Ok(())
}

fn resume<C: ImapCoroutine<Yield = ImapYield>>(mut coroutine: C, said: &Said) -> Result<C::Return> {
    let mut fragmentizer = Fragmentizer::new(ROOM);
    let mut reads = said.text.chunks(READ);
    let mut answer = Vec::new();
    let mut read = None;
    loop {
        match coroutine.resume(&mut fragmentizer, read.take()) {
            ImapCoroutineState::Complete(outcome) => return Ok(outcome),
            ImapCoroutineState::Yielded(ImapYield::WantsWrite(command)) => {
                answer = command;
                answer.truncate(answer.iter().position(|byte| *byte == b' ').unwrap_or(0));
                answer.extend_from_slice(b" OK done\r\n");
            }
            ImapCoroutineState::Yielded(ImapYield::WantsRead) => {
                read = reads.next();
                if read.is_none() {
                    break;
                }
            }
        }
    }
    match coroutine.resume(&mut fragmentizer, Some(&answer)) {
        ImapCoroutineState::Complete(outcome) => Ok(outcome),
        ImapCoroutineState::Yielded(_) => bail!("io-imap wants more"),
    }
}

fn tokio_client(said: &Said, runtime: &Runtime) -> Result<()> {
    runtime.block_on(async {
        let text = Cursor::new(Bytes::copy_from_slice(&said.text));
        let mut client = Client::new(tokio::io::join(text, tokio::io::sink()));
        for _ in 0..said.count {
            let response = client.read_response().await?;
            black_box(response.context("async-imap wants more")?);
        }
        Ok(())
    })
}

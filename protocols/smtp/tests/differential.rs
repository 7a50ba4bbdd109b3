//! Replies, as smtp-proto reads them, which others wrote: where a server says what it should, both must take it
//! for the same.

use jackfield_smtp::codec::{Replies, Reply};
use smtp_proto::response::parser::ResponseReceiver;

/// What stands in the lines of servers, and is no enhanced code.
const WORDS: &[&str] = &[
    "Ok",
    "queued as",
    "4F2.7",
    "<ada@example.org>",
    "SIZE 1000",
    "AUTH PLAIN LOGIN",
    "-",
    "2",
    "...",
    "ready",
    "=?",
    "\"quoted\"",
];

/// A reply that a server may give: each line has the code, and all of them the enhanced one or none.
fn reply(random: &mut fastrand::Rng) -> String {
    let class = random.u16(2..6);
    let code = class * 100 + random.u16(0..60);
    let enhanced = (random.bool() && class != 3)
        .then(|| format!("{class}.{}.{} ", random.u8(0..8), random.u8(0..200)));
    let count = random.usize(1..5);
    let lines = (1..=count).map(|number| {
        let mark = if number == count { ' ' } else { '-' };
        let words = (0..random.usize(1..4)).map(|_| WORDS[random.usize(..WORDS.len())]);
        let words: Vec<&str> = words.collect();
        let enhanced = enhanced.as_deref().unwrap_or_default();
        format!("{code}{mark}{enhanced}{}\r\n", words.join(" "))
    });
    lines.collect()
}

/// Code, enhanced code and words.
type Meaning = (u16, String, Vec<String>);

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

fn ours(sent: &str) -> Meaning {
    let (mut replies, mut rest) = (Replies::default(), sent.as_bytes());
    let reply: Reply = replies
        .next(&mut rest)
        .expect("it is whole")
        .expect("a reply");
    assert!(rest.is_empty(), "{sent:?}");
    let enhanced = reply.enhanced().map(|it| it.to_string());
    let lines: Vec<&str> = reply.lines().collect();
    (
        reply.code(),
        enhanced.unwrap_or_else(|| "0.0.0".to_owned()),
        words(&lines.join(" ")),
    )
}

fn theirs(sent: &str) -> Meaning {
    let mut receiver = ResponseReceiver::default();
    let parsed = receiver.parse(&mut sent.as_bytes().iter());
    let parsed = parsed.unwrap_or_else(|error| panic!("{sent:?}: {error:?}"));
    let [class, subject, detail] = parsed.esc;
    (
        parsed.code,
        format!("{class}.{subject}.{detail}"),
        words(&parsed.message),
    )
}

#[test]
fn replies_mean_the_same_to_both() {
    let mut random = fastrand::Rng::with_seed(1);
    for _ in 0..20_000 {
        let sent = reply(&mut random);
        assert_eq!(ours(&sent), theirs(&sent), "{sent:?}");
    }
}

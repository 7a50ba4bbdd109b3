//! Parsing IRC against irc-proto.

use std::hint::black_box;
use std::time::Instant;

use jackfield_irc::codec::MessageRef;

use crate::report::Report;
use crate::stats::median;

const LINES: [(&str, &str); 3] = [
    (
        "PRIVMSG with tags",
        "@time=2026-01-02T03:04:05.678Z;msgid=Kf5SdLdw0AMUvbYBqzgXtg;account=ada;batch=17 \
         :ada!ada@user/ada/x-10815 PRIVMSG #jackfield :good morning, here is a line of the usual length",
    ),
    (
        "PRIVMSG",
        ":ada!ada@user/ada/x-10815 PRIVMSG #jackfield :good morning, here is a line of the usual length",
    ),
    (
        "353 (names)",
        ":irc.example.org 353 me = #jackfield :@ada +grace linus dennis ken bjarne guido larry yukihiro",
    ),
];
const PARSES: u32 = 400_000;
const RUNS: usize = 7;

pub(crate) fn run(report: &mut Report) {
    report.heading(
        "Parsing IRC over irc-proto 1.1",
        "One line to a message of which every part was looked at: tags, source, command, each \
         parameter. irc-proto makes owned strings as it parses; jackfield-irc borrows, so `owned` is \
         the same with a copy of the line made, for whoever keeps messages. Median of 7 runs of \
         400,000, alternating. Aim: at least twice as fast.",
    );
    let mut rows = Vec::new();
    for (name, line) in LINES {
        let (mut borrowed, mut owned, mut theirs) = (vec![], vec![], vec![]);
        let crlf = format!("{line}\r\n");
        for _ in 0..RUNS {
            borrowed.push(nanoseconds(|| {
                visit(&MessageRef::parse(black_box(line)).expect("a valid line"));
            }));
            owned.push(nanoseconds(|| {
                let message = MessageRef::parse(black_box(line))
                    .expect("a valid line")
                    .to_message();
                visit(&message.view());
            }));
            theirs.push(nanoseconds(|| {
                let message: irc_proto::Message = black_box(&crlf).parse().expect("a valid line");
                black_box(&message);
            }));
        }
        let (borrowed, owned, theirs) = (median(borrowed), median(owned), median(theirs));
        rows.push(vec![
            name.into(),
            format!("{borrowed:.0} ns"),
            format!("{owned:.0} ns"),
            format!("{theirs:.0} ns"),
            format!("{:.2}", theirs / borrowed),
            format!("{:.2}", theirs / owned),
        ]);
    }
    report.table(
        &[
            "",
            "jackfield-irc",
            "owned",
            "irc-proto",
            "speed, ratio",
            "owned, ratio",
        ],
        &rows,
    );
}

fn visit(message: &MessageRef<'_>) {
    for tag in message.tags().iter() {
        black_box(&tag);
    }
    black_box(message.source());
    black_box(message.command());
    for param in message.params() {
        black_box(param);
    }
}

fn nanoseconds(mut parse: impl FnMut()) -> f64 {
    let start = Instant::now();
    for _ in 0..PARSES {
        parse();
    }
    start.elapsed().as_secs_f64() * 1e9 / f64::from(PARSES)
}

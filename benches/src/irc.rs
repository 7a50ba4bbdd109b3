//! Parsing IRC against irc-proto.

use std::hint::black_box;

use anyhow::Result;
use jackfield_irc::codec::MessageRef;

use crate::race::Race;
use crate::report::Report;

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

pub(crate) fn run(report: &mut Report) -> Result<()> {
    report.heading(
        "Parsing IRC over irc-proto 1.1",
        "One line to a message of which every part was looked at: tags, source, command, each \
         parameter. irc-proto makes owned strings as it parses; jackfield-irc borrows, so `owned` is \
         the same with a copy of the line made, for whoever keeps messages. Aim: at least twice as \
         fast.",
    );
    let mut rows = Vec::new();
    for (name, line) in LINES {
        let crlf = format!("{line}\r\n");
        let outcome = Race::new("irc", name, 1)
            .with(|| {
                visit(&MessageRef::parse(black_box(line))?);
                Ok(())
            })
            .with(|| {
                let message = MessageRef::parse(black_box(line))?.to_message();
                visit(&message.view());
                Ok(())
            })
            .with(|| {
                let message: irc_proto::Message = black_box(&crlf).parse()?;
                black_box(&message);
                Ok(())
            })
            .run()?;
        let mut row = vec![name.into()];
        row.extend(outcome.cells());
        row.extend(outcome.over(2));
        rows.push(row);
    }
    report.table(
        &[
            "",
            "jackfield-irc",
            "owned",
            "irc-proto",
            "irc-proto's time, ratio",
            "instructions, ratio",
        ],
        &rows,
    );
    Ok(())
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

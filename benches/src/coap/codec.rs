//! Parsing and writing messages.

use std::hint::black_box;

use anyhow::Result;
use coap_lite::Packet;
use jackfield_coap::codec::{
    Code, ContentFormat, Datagram, Message, MessageId, MessageType, OptionNumber, Token,
};

use crate::race::Race;
use crate::report::Report;

pub(crate) fn run(report: &mut Report) -> Result<()> {
    report.heading(
        "CoAP messages over coap-lite 0.13.3",
        "One datagram to an owned message and back. jackfield-coap validates as RFC 7252 asks, and \
         looks at each option's header as it does; coap-lite takes what it finds. Aim: no slower.",
    );
    let mut rows = Vec::new();
    for (name, message) in messages()? {
        let datagram = Datagram::new(MessageType::Confirmable, MessageId(0x7d34), message);
        let bytes = datagram.to_bytes();
        let packet = Packet::from_bytes(&bytes).map_err(theirs)?;
        let parse = Race::new("coap-codec", format!("parse {name}"), 1)
            .with(|| {
                black_box(Datagram::decode(black_box(&bytes))?);
                Ok(())
            })
            .with(|| {
                black_box(Packet::from_bytes(black_box(&bytes)).map_err(theirs)?);
                Ok(())
            });
        let write = Race::new("coap-codec", format!("write {name}"), 1)
            .with(|| {
                black_box(black_box(&datagram).to_bytes());
                Ok(())
            })
            .with(|| {
                black_box(black_box(&packet).to_bytes_unlimited().map_err(theirs)?);
                Ok(())
            });
        for (what, race) in [("parse", parse), ("write", write)] {
            let outcome = race.run()?;
            let mut row = vec![format!("{what} {name}")];
            row.extend(outcome.cells());
            row.extend(outcome.over(1));
            rows.push(row);
        }
    }
    report.table(
        &[
            "",
            "jackfield-coap",
            "coap-lite",
            "coap-lite's time, ratio",
            "instructions, ratio",
        ],
        &rows,
    );
    Ok(())
}

fn theirs(error: impl std::fmt::Debug) -> anyhow::Error {
    anyhow::anyhow!("coap-lite: {error:?}")
}

fn messages() -> Result<[(&'static str, Message); 3]> {
    let token = Token::from([7; Token::MAX]);
    let mut get = Message::new(Code::GET);
    get.set_token(token);
    get.options_mut()
        .add_text(OptionNumber::URI_PATH, "sensors")?;
    get.options_mut()
        .add_text(OptionNumber::URI_PATH, "temperature")?;
    get.set_accept(ContentFormat::JSON);

    let mut content = Message::new(Code::CONTENT);
    content.set_token(token);
    content.options_mut().add(OptionNumber::ETAG, b"abcd")?;
    content.set_content_format(ContentFormat::JSON);
    content.set_max_age(30);
    content.payload = r#"{"temperature":22.3,"unit":"C"}"#.into();

    let mut block = content.clone();
    // The fourth of 1024 bytes, with more to come (RFC 7959, section 2.2).
    block
        .options_mut()
        .set_uint(OptionNumber::BLOCK2, 3 << 4 | 8 | 6)?;
    block.payload = vec![7; 1024].into();
    Ok([
        ("a GET with a path of two", get),
        ("a 2.05 with 31 bytes", content),
        ("a block of 1024 bytes", block),
    ])
}

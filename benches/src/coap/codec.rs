//! Parsing and writing messages.

use std::hint::black_box;
use std::time::Instant;

use coap_lite::Packet;
use jackfield_coap::codec::{
    Code, ContentFormat, Datagram, InvalidOption, Message, MessageId, MessageType, OptionNumber,
    Token,
};

use crate::report::Report;
use crate::stats::median;

const REPEATS: u32 = 400_000;
const RUNS: usize = 7;

pub(super) fn run(report: &mut Report) {
    report.heading(
        "CoAP messages over coap-lite 0.13.3",
        "One datagram to an owned message and back. jackfield-coap validates as RFC 7252 asks, and \
         looks at each option's header as it does; coap-lite takes what it finds. Median of 7 runs \
         of 400,000, alternating. Aim: no slower.",
    );
    let mut rows = Vec::new();
    for (name, message) in messages().expect("the options are valid") {
        let datagram = Datagram::new(MessageType::Confirmable, MessageId(0x7d34), message);
        let bytes = datagram.to_bytes();
        let packet = Packet::from_bytes(&bytes).expect("a message");
        let (mut parse, mut parse_theirs, mut write, mut write_theirs) =
            (vec![], vec![], vec![], vec![]);
        for _ in 0..RUNS {
            parse.push(nanoseconds(|| {
                black_box(Datagram::decode(black_box(&bytes)).expect("a message"));
            }));
            parse_theirs.push(nanoseconds(|| {
                black_box(Packet::from_bytes(black_box(&bytes)).expect("a message"));
            }));
            write.push(nanoseconds(|| {
                black_box(black_box(&datagram).to_bytes());
            }));
            write_theirs.push(nanoseconds(|| {
                black_box(black_box(&packet).to_bytes_unlimited().expect("a message"));
            }));
        }
        for (what, ours, theirs) in [
            ("parse", median(parse), median(parse_theirs)),
            ("write", median(write), median(write_theirs)),
        ] {
            rows.push(vec![
                format!("{what} {name}"),
                format!("{ours:.0} ns"),
                format!("{theirs:.0} ns"),
                format!("{:.2}", theirs / ours),
            ]);
        }
    }
    report.table(&["", "jackfield-coap", "coap-lite", "speed, ratio"], &rows);
}

fn messages() -> Result<[(&'static str, Message); 3], InvalidOption> {
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

fn nanoseconds(mut work: impl FnMut()) -> f64 {
    let start = Instant::now();
    for _ in 0..REPEATS {
        work();
    }
    start.elapsed().as_secs_f64() * 1e9 / f64::from(REPEATS)
}

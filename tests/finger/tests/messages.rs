//! The codec: queries, and answers by `tests/vectors/finger/answers.txt`.

use jackfield_finger::codec::{Lines, MAX_LINE, MAX_QUERY, Query};
use jackfield_finger::error::SessionError;
use jackfield_finger::oracle;
use jackfield_play::text;

#[test]
fn a_query_is_one_line() {
    let query: Query = "/W ada@example.org".parse().expect("a query");
    let mut line = Vec::new();
    query.encode(&mut line);
    assert_eq!(line, b"/W ada@example.org\r\n");
    for text in [
        "ada\r\ngrace",
        "ada\n",
        "\0",
        "ad\u{e4}",
        &"a".repeat(MAX_QUERY + 1),
    ] {
        assert!(text.parse::<Query>().is_err(), "{text:?}");
    }
}

#[test]
fn an_answer_is_its_lines() {
    let vectors = include_str!("../../vectors/finger/answers.txt");
    for vector in vectors.lines().filter(|line| !line.starts_with('#')) {
        let (sent, expected) = vector.split_once(" => ").expect("what comes of it");
        let mut lines = Vec::new();
        let taken = Lines::default().receive(&text::read(&format!("{sent}\\")), |line| {
            lines.push(line);
        });
        taken.expect("short lines");
        assert_eq!(lines.join(" / "), expected);
    }
}

#[test]
fn a_line_is_bounded() {
    let mut lines = Lines::default();
    let long = vec![b'a'; MAX_LINE];
    assert_eq!(lines.receive(&long, |_| {}), Ok(()));
    let error = lines.receive(b"a", |_| {});
    assert_eq!(error, Err(SessionError::LineTooLong));
}

#[test]
fn whatever_comes_the_lines_are_the_same_and_safe() {
    let mut random = fastrand::Rng::with_seed(1288);
    for _ in 0..500 {
        let mut byte = || *random.choice(b"ab\r\n\n\t\x1b\x07\xc3\xa9").expect("one");
        let data: Vec<u8> = std::iter::repeat_with(&mut byte).take(200).collect();
        oracle::answer(&data);
    }
    oracle::answer(&[b'\xff'; 2 * MAX_LINE]);
}

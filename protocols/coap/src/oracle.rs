//! Oracles: what must hold for any input. They are shared by the tests here and the fuzz targets,
//! which are a line over one of these functions.

mod datagram;
mod session;
mod stream;

pub use datagram::datagram;
pub use session::session;
pub use stream::stream;

use crate::codec::{
    Block, Datagram, DecodeErrorKind, FrameHeader, Message, OptionFormat, Options,
    frame_to_websocket, websocket_to_frame,
};

/// Reading never panics, what is accepted is written back byte for byte, whatever the carrier, and
/// what is said about options agrees with them.
///
/// # Panics
/// When one of these promises is broken.
pub fn codec(data: &[u8]) {
    match Datagram::decode(data) {
        Ok(datagram) => {
            assert_eq!(
                datagram.to_bytes(),
                data,
                "{datagram:?} is written otherwise"
            );
            assert_eq!(datagram.encoded_len(), data.len());
            message(&datagram.message);
        }
        Err(error) => {
            assert!(error.at() <= data.len(), "{error}");
            let header_is_there =
                data.len() >= 4 && !matches!(error.kind(), DecodeErrorKind::Version(_));
            assert_eq!(error.header().is_some(), header_is_there, "{error}");
        }
    }
    if let Some(header) = FrameHeader::decode(data)
        && let Ok(length) = usize::try_from(header.frame_len())
        && let Some(frame) = data.get(..length)
        && let Ok(read) = Message::from_frame(frame)
    {
        let mut written = Vec::new();
        read.write_frame(&mut written);
        assert_eq!(written, frame, "{read:?} is written otherwise");
        message(&read);
    }
    if let Ok(read) = Message::from_websocket(data) {
        let mut written = Vec::new();
        read.write_websocket(&mut written);
        assert_eq!(written, data, "{read:?} is written otherwise");
    }
    let mut frame = Vec::new();
    if websocket_to_frame(data, &mut frame).is_ok() {
        let mut back = Vec::new();
        frame_to_websocket(&frame, &mut back).expect("it was made a frame");
        assert_eq!(back, data);
    }
}

/// What holds for each message that was read.
fn message(message: &Message) {
    let mut frame = Vec::new();
    message.write_frame(&mut frame);
    assert_eq!(frame.len(), message.frame_len());
    if !matches!(message.code().class(), 1 | 6) {
        assert_eq!(Message::from_frame(&frame).as_ref(), Ok(message));
    }
    let options = message.options();
    assert_eq!(options.iter().count(), options.len());
    assert!(options.iter().is_sorted_by_key(|(number, _)| number));
    let mut before = None;
    let unacceptable = options.iter().find(|(number, value)| {
        let again = before.replace(*number) == Some(*number);
        let fits = number.definition().is_none_or(|definition| {
            let text = definition.format == OptionFormat::String;
            definition.length.contains(&(value.len() as u16))
                && (!text || std::str::from_utf8(value).is_ok())
                && (definition.is_repeatable || !again)
        });
        assert!(!fits || options.get_all(*number).any(|other| other == *value));
        number.is_critical() && !fits
    });
    let unacceptable = unacceptable.map(|(number, _)| number);
    assert_eq!(options.first_unacceptable(|_| true), unacceptable);
    for block in [message.block1(), message.block2()].into_iter().flatten() {
        assert_eq!(Block::from_uint(block.to_uint()), Some(block));
    }
    let _ = (
        message.content_format(),
        message.accept(),
        message.max_age(),
    );
    let _ = (message.observe(), message.etags().count());
    let _ = (message.uri_path().count(), message.uri_query().count());
    // In whatever order they are put together, the same comes out.
    let mut shuffled = Options::default();
    for start in 0..3 {
        for (number, value) in options.iter().skip(start).step_by(3) {
            // Of one number, the order must stay.
            if options.iter().filter(|(other, _)| *other == number).count() == 1 {
                shuffled.insert(number, value);
            }
        }
    }
    for (number, value) in options {
        if options.iter().filter(|(other, _)| *other == number).count() > 1 {
            shuffled.insert(number, value);
        }
    }
    assert_eq!(&shuffled, options);
    if let Some((number, _)) = options.iter().next() {
        let removed = shuffled.remove(number);
        assert_eq!(shuffled.len(), options.len() - removed);
        assert!(shuffled.iter().all(|(other, _)| other != number));
    }
}

#[cfg(test)]
mod tests {
    use jackfield_corpora::hold;

    use super::*;

    /// What the fuzz targets begin with, and what they have found.
    #[test]
    fn the_corpora_hold() {
        hold("coap_codec", codec);
        hold("coap_datagram", datagram);
        hold("coap_session", session);
        hold("coap_stream", stream);
    }

    #[test]
    fn any_bytes_are_read_or_refused() {
        let mut random = fastrand::Rng::with_seed(1);
        let alphabet = b"\x40\x41\x50\x60\x70\x00\x01\x45\x11\x61\xc1\xb1\xd1\xe1\x22\xff\x04a";
        for _ in 0..50_000 {
            let length = random.usize(..40);
            let mut data: Vec<u8> = (0..length)
                .map(|_| alphabet[random.usize(..alphabet.len())])
                .collect();
            if let [first, ..] = &mut *data
                && random.bool()
            {
                *first = [0x40, 0x42, 0x50, 0x60][random.usize(..4)];
            }
            codec(&data);
        }
    }

    #[test]
    fn any_conversation_keeps_the_promises() {
        for seed in 0..5_000 {
            let mut random = fastrand::Rng::with_seed(seed);
            let script: Vec<u8> = (0..random.usize(..400)).map(|_| random.u8(..)).collect();
            datagram(&script);
            stream(&script);
        }
    }
}

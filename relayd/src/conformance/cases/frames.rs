//! Section 2: what is a frame, and what becomes of whoever sends something else.

use bytes::{BufMut as _, BytesMut};
use jackfield_relay_wire::{Code, Frame, MAX_MESSAGE};

use super::case;
use crate::conformance::client::raw;
use crate::conformance::{Case, Checked, Suite, ensure};

pub(super) const CASES: &[Case] = &[
    case!(
        a_text_message_is_an_error,
        "1",
        "a text message is an error"
    ),
    case!(
        a_long_message_is_an_error,
        "1",
        "a message of more than 65,541 bytes is an error"
    ),
    case!(
        an_empty_message_is_an_error,
        "2",
        "a message without a header is an error"
    ),
    case!(
        an_unknown_type_is_an_error,
        "2",
        "a type below 0x80 that is none is an error"
    ),
    case!(
        an_extension_is_ignored,
        "2",
        "a type from 0x80 that is unknown is ignored"
    ),
    case!(
        an_unknown_setting_is_ignored,
        "2",
        "unknown keys and capabilities in HELLO are ignored"
    ),
    case!(
        identifiers_are_where_they_belong,
        "2",
        "PING has the identifier 0, FIN has another"
    ),
    case!(
        a_short_body_is_an_error,
        "2",
        "a body that is too short is an error"
    ),
    case!(
        a_long_body_is_an_error,
        "2",
        "bytes after a body of known length are an error"
    ),
    case!(
        an_unknown_flag_is_an_error,
        "2",
        "an unknown flag of CONNECT is an error"
    ),
    case!(
        an_unknown_family_is_an_error,
        "2",
        "an unknown family in CONNECT is an error"
    ),
    case!(
        wrong_names_are_refused,
        "2.1",
        "a name in capitals, or one that reads as a number, is refused"
    ),
    case!(
        a_wrong_address_is_an_error,
        "2.1",
        "an unknown type of address is an error"
    ),
    case!(
        a_reason_is_text,
        "2.2",
        "a reason that isn't UTF-8 is an error"
    ),
];

/// Whoever sends this is told that it is an error.
async fn breaks(suite: &Suite, message: &[u8]) -> Checked {
    let mut client = suite.client().await?;
    client.send_raw(message).await?;
    client.ends_with(Code::PROTOCOL_ERROR).await
}

/// CONNECT, of these parts.
pub(super) fn connect(flags: u8, family: u8, endpoint: &[u8]) -> BytesMut {
    let mut body = BytesMut::new();
    body.put_u8(flags);
    body.put_u8(family);
    // Keep-alive and both buffers are the system's.
    body.put_bytes(0, 12);
    body.put_u32(1024);
    body.put_slice(endpoint);
    raw(0x10, 1, &body)
}

const LOOPBACK: &[u8] = &[1, 127, 0, 0, 1, 0, 9];

async fn a_text_message_is_an_error(suite: &Suite) -> Checked {
    let mut client = suite.client().await?;
    client.send_text("HELLO").await?;
    client.ends_with(Code::PROTOCOL_ERROR).await
}

async fn a_long_message_is_an_error(suite: &Suite) -> Checked {
    let mut client = suite.client().await?;
    let message = raw(0x80, 0, &vec![0; MAX_MESSAGE - 4]);
    // It may be closed before it has read all of it.
    let _ = client.send_raw(&message).await;
    client.ends_below_frames().await
}

async fn an_empty_message_is_an_error(suite: &Suite) -> Checked {
    breaks(suite, &[]).await?;
    breaks(suite, &[0x03, 0, 0, 0]).await
}

async fn an_unknown_type_is_an_error(suite: &Suite) -> Checked {
    for kind in [0x00, 0x05, 0x16, 0x26, 0x7f] {
        breaks(suite, &raw(kind, 1, &[])).await?;
    }
    Ok(())
}

async fn an_extension_is_ignored(suite: &Suite) -> Checked {
    let mut client = suite.client().await?;
    for kind in [0x90, 0xff] {
        client.send_raw(&raw(kind, 0, &[])).await?;
        client.send_raw(&raw(kind, 7, &[1; 100])).await?;
    }
    client.is_quiet().await
}

async fn an_unknown_setting_is_ignored(suite: &Suite) -> Checked {
    let mut client = suite.upgrade(&suite.request()).await?;
    let hello = [1, 2, 0xff, 0xff, 0xff, 0xff, 200, 1, 2, 3, 4];
    client.send_raw(&raw(0x01, 0, &hello)).await?;
    let first = client.frame().await?;
    ensure!(
        matches!(first, Frame::Hello(_)),
        "{first:?} came, not HELLO"
    );
    client.is_quiet().await
}

async fn identifiers_are_where_they_belong(suite: &Suite) -> Checked {
    breaks(suite, &raw(0x03, 1, &[0; 8])).await?;
    breaks(suite, &raw(0x22, 0, &[])).await
}

async fn a_short_body_is_an_error(suite: &Suite) -> Checked {
    breaks(suite, &raw(0x03, 0, &[0; 7])).await?;
    breaks(suite, &raw(0x21, 1, &[0; 3])).await?;
    breaks(suite, &connect(0, 0, &LOOPBACK[..6])).await
}

async fn a_long_body_is_an_error(suite: &Suite) -> Checked {
    breaks(suite, &raw(0x03, 0, &[0; 9])).await?;
    breaks(suite, &connect(0, 0, &[LOOPBACK, &[0]].concat())).await
}

async fn an_unknown_flag_is_an_error(suite: &Suite) -> Checked {
    breaks(suite, &connect(0x80, 0, LOOPBACK)).await
}

async fn an_unknown_family_is_an_error(suite: &Suite) -> Checked {
    breaks(suite, &connect(0, 5, LOOPBACK)).await
}

async fn wrong_names_are_refused(suite: &Suite) -> Checked {
    for name in [
        "Example.org",
        "example.org.",
        "a..b",
        "1.2.3",
        "example.0x7f",
        "a b",
        "",
    ] {
        let mut endpoint = BytesMut::new();
        endpoint.put_u8(3);
        endpoint.put_u8(u8::try_from(name.len()).unwrap_or(u8::MAX));
        endpoint.put_slice(name.as_bytes());
        endpoint.put_u16(9);
        breaks(suite, &connect(0, 0, &endpoint)).await?;
    }
    Ok(())
}

async fn a_wrong_address_is_an_error(suite: &Suite) -> Checked {
    // An endpoint is neither none nor scoped.
    breaks(suite, &connect(0, 0, &[0])).await?;
    breaks(suite, &connect(0, 0, &[2, 127, 0, 0, 1, 0, 9])).await?;
    let scoped = [&[6][..], &[0xfe, 0x80], &[0; 14], &[0, 0, 0, 1, 0, 9]].concat();
    breaks(suite, &connect(0, 0, &scoped)).await
}

async fn a_reason_is_text(suite: &Suite) -> Checked {
    breaks(suite, &raw(0x23, 1, &[0, 0xff, 0xfe])).await
}

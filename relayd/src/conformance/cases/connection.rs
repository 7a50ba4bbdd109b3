//! Section 3: HELLO, PING and GOAWAY.

use jackfield_relay_wire::{Code, Frame, Reason, Settings};

use super::case;
use crate::conformance::client::{raw, unexpected};
use crate::conformance::{Case, Checked, Suite, ensure};

/// More of them than any relay has room for, one after the other.
const PINGS: u64 = 200;

pub(super) const CASES: &[Case] = &[
    case!(
        hello_waits_for_nobody,
        "3",
        "the relay's HELLO comes first, and waits for nobody's"
    ),
    case!(hello_comes_first, "3", "a frame before HELLO is an error"),
    case!(
        a_second_hello_is_an_error,
        "3",
        "a second HELLO is an error"
    ),
    case!(
        another_version_is_an_error,
        "3",
        "a HELLO of another version is an error"
    ),
    case!(
        a_ping_is_answered,
        "3",
        "PING is answered by PONG with the same bytes"
    ),
    case!(
        many_pings_are_no_breach,
        "3",
        "PINGs whose answers are read may be many"
    ),
    case!(
        goaway_is_the_last_word,
        "3",
        "a client's GOAWAY ends everything"
    ),
];

async fn hello_waits_for_nobody(suite: &Suite) -> Checked {
    let mut client = suite.upgrade(&suite.request()).await?;
    match client.frame().await? {
        Frame::Hello(settings) => {
            ensure!(settings.max_open > 0, "HELLO lets nothing be open");
            Ok(())
        }
        other => unexpected(&other, "HELLO"),
    }
}

async fn hello_comes_first(suite: &Suite) -> Checked {
    let mut client = suite.upgrade(&suite.request()).await?;
    client.send(&Frame::Ping([0; 8])).await?;
    client.ends_with(Code::PROTOCOL_ERROR).await
}

async fn a_second_hello_is_an_error(suite: &Suite) -> Checked {
    let mut client = suite.client().await?;
    client.send(&Frame::Hello(Settings::default())).await?;
    client.ends_with(Code::PROTOCOL_ERROR).await
}

async fn another_version_is_an_error(suite: &Suite) -> Checked {
    let mut client = suite.upgrade(&suite.request()).await?;
    client.send_raw(&raw(0x01, 0, &[2])).await?;
    client.ends_with(Code::PROTOCOL_ERROR).await
}

async fn a_ping_is_answered(suite: &Suite) -> Checked {
    let mut client = suite.client().await?;
    let bytes = *b"\x00\xffjack\x80\x01";
    client.send(&Frame::Ping(bytes)).await?;
    match client.frame().await? {
        Frame::Pong(back) if back == bytes => Ok(()),
        other => unexpected(&other, "PONG with the PING's bytes"),
    }
}

async fn many_pings_are_no_breach(suite: &Suite) -> Checked {
    let mut client = suite.client().await?;
    for _ in 0..PINGS {
        client.is_quiet().await?;
    }
    Ok(())
}

async fn goaway_is_the_last_word(suite: &Suite) -> Checked {
    let mut client = suite.client().await?;
    let reason = Reason::new(Code::CLOSED, "");
    client.send(&Frame::GoAway(reason)).await?;
    client.ends_in_order().await
}

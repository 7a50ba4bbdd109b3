//! Section 3.1: another token within the connection.

use std::time::Duration;

use jackfield_relay_wire::auth::{MAX_TOKEN, Token};
use jackfield_relay_wire::{Code, Frame};

use super::case;
use crate::conformance::client::{Client, raw, unexpected};
use crate::conformance::{Case, Checked, Step as _, Stop, Suite, ensure};

pub(super) const CASES: &[Case] = &[
    case!(
        a_good_token_is_taken,
        "3.1",
        "a token that lets in is taken again, and the answer says how long it is good"
    ),
    case!(
        a_bad_token_changes_nothing,
        "3.1",
        "a token that isn't good is refused, and the connection lives on"
    ),
    case!(
        a_token_that_can_be_none_is_an_error,
        "3.1",
        "a token that is empty, too long or no UTF-8 is an error"
    ),
];

/// A client of a relay that takes another token, and how long the suite's is good.
async fn renewable(suite: &Suite) -> Result<(Client, Duration), Stop> {
    let client = suite.client().await?;
    let why = "the relay takes no other token in the place of the suite's";
    let left = client.settings.token_left.ok_or(Stop::Skipped(why))?;
    Ok((client, left))
}

async fn send(client: &mut Client, token: &str) -> Result<Frame, Stop> {
    let token = Token::new(token).ok_or("its length").step("a token")?;
    client.send(&Frame::Token(token)).await?;
    client.frame().await
}

async fn a_good_token_is_taken(suite: &Suite) -> Checked {
    let (mut client, at_first) = renewable(suite).await?;
    let token = suite.token.as_deref().unwrap_or_default();
    for _ in 0..2 {
        match send(&mut client, token).await? {
            Frame::TokenLeft(left) => ensure!(
                left <= at_first,
                "the same token is good for {left:?} now, and was for {at_first:?}"
            ),
            other => return unexpected(&other, "TOKEN_LEFT"),
        }
    }
    client.is_quiet().await
}

async fn a_bad_token_changes_nothing(suite: &Suite) -> Checked {
    let (mut client, _) = renewable(suite).await?;
    match send(&mut client, "not a token of anybody's").await? {
        Frame::TokenRefused(reason) if reason.code() == Code::TOKEN_UNKNOWN => {}
        other => return unexpected(&other, "TOKEN_REFUSED, because it is unknown"),
    }
    client.is_quiet().await
}

async fn a_token_that_can_be_none_is_an_error(suite: &Suite) -> Checked {
    for body in [&[][..], &[b'a'; MAX_TOKEN + 1], &[0xff]] {
        let (mut client, _) = renewable(suite).await?;
        client.send_raw(&raw(0x82, 0, body)).await?;
        client.ends_with(Code::PROTOCOL_ERROR).await?;
    }
    Ok(())
}

//! Section 1, and the close codes of 2.3: who is let in, and what the others are told.

use jackfield_relay_wire::{Code, Frame, auth};

use super::case;
use crate::conformance::client::Request;
use crate::conformance::{Case, Checked, Stop, Suite, ensure};

pub(super) const CASES: &[Case] = &[
    case!(
        the_protocol_is_selected,
        "1",
        "the subprotocol jackfield.v1 is selected"
    ),
    case!(the_accept_key_is_right, "1", "the handshake is RFC 6455's"),
    case!(
        a_wrong_path_is_told,
        "1",
        "a wrong path is PATH_UNKNOWN, in place of HELLO"
    ),
    case!(
        a_foreign_origin_is_told,
        "1",
        "a foreign origin is ORIGIN_REFUSED, whatever the token"
    ),
    case!(a_missing_token_is_told, "1", "no token is TOKEN_MISSING"),
    case!(
        several_tokens_are_unknown,
        "1",
        "several tokens are TOKEN_UNKNOWN"
    ),
    case!(
        no_websocket_is_a_status,
        "1",
        "what asks for no WebSocket gets an HTTP status"
    ),
    case!(
        another_subprotocol_is_a_status,
        "1",
        "without jackfield.v1 there is no WebSocket"
    ),
];

/// A relay may take those who come like this for attackers.
pub(super) const LAST: &[Case] = &[
    case!(
        a_wrong_token_is_told,
        "1",
        "an unknown token is TOKEN_UNKNOWN"
    ),
    case!(
        bare_line_feeds_are_refused,
        "1",
        "lines that end in LF alone are no HTTP: 400"
    ),
    case!(
        a_body_is_refused,
        "1",
        "a request for a WebSocket with Content-Length is refused: 400"
    ),
];

async fn the_protocol_is_selected(suite: &Suite) -> Checked {
    let (_, answer) = suite.ask(&suite.request()).await?;
    let status = answer.status;
    ensure!(
        status == 101,
        "the handshake is answered with {status}, not 101"
    );
    let selected = answer.header("Sec-WebSocket-Protocol");
    ensure!(
        selected == Some(auth::SUBPROTOCOL),
        "{selected:?} is selected"
    );
    Ok(())
}

async fn the_accept_key_is_right(suite: &Suite) -> Checked {
    let (_, answer) = suite.ask(&suite.request()).await?;
    // RFC 6455, section 1.3, has it for this key.
    let accept = answer.header("Sec-WebSocket-Accept");
    let right = Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    ensure!(accept == right, "Sec-WebSocket-Accept is {accept:?}");
    let extensions = answer.header("Sec-WebSocket-Extensions");
    ensure!(extensions.is_none(), "{extensions:?} was not offered");
    Ok(())
}

/// The relay finishes the handshake, and says why it ends it.
async fn is_turned_away(suite: &Suite, request: &Request, why: Code) -> Checked {
    suite.upgrade(request).await?.ends_with(why).await
}

async fn a_wrong_path_is_told(suite: &Suite) -> Checked {
    let mut request = suite.request();
    let path = request.path.split('?').next().unwrap_or_default();
    request.path = format!("{}/no-relay-is-here", path.trim_end_matches('/'));
    is_turned_away(suite, &request, Code::PATH_UNKNOWN).await
}

async fn a_foreign_origin_is_told(suite: &Suite) -> Checked {
    let foreign = "https://no-such-page.invalid";
    let request = suite.request().set("Origin", foreign);
    let mut client = suite.upgrade(&request).await?;
    if let Frame::Hello(_) = client.frame().await? {
        return Err(Stop::Skipped("the relay takes pages of every origin"));
    }
    let request = suite.request_with(None).set("Origin", foreign);
    is_turned_away(suite, &request, Code::ORIGIN_REFUSED).await
}

async fn a_missing_token_is_told(suite: &Suite) -> Checked {
    if suite.token.is_none() {
        return Err(Stop::Skipped("the suite has no token"));
    }
    is_turned_away(suite, &suite.request_with(None), Code::TOKEN_MISSING).await
}

async fn several_tokens_are_unknown(suite: &Suite) -> Checked {
    let Some(token) = &suite.token else {
        return Err(Stop::Skipped("the suite has no token"));
    };
    let token = auth::token_subprotocol(token);
    let protocols = format!("{}, {token}, {token}", auth::SUBPROTOCOL);
    let request = suite.request().set("Sec-WebSocket-Protocol", protocols);
    is_turned_away(suite, &request, Code::TOKEN_UNKNOWN).await
}

async fn a_wrong_token_is_told(suite: &Suite) -> Checked {
    if suite.token.is_none() {
        return Err(Stop::Skipped("the suite has no token"));
    }
    let request = suite.request_with(Some("a-token-that-nobody-gave"));
    is_turned_away(suite, &request, Code::TOKEN_UNKNOWN).await
}

async fn is_a_status(suite: &Suite, request: &Request, expected: &[u16]) -> Checked {
    let (_, answer) = suite.ask(request).await?;
    let status = answer.status;
    ensure!(
        expected.contains(&status),
        "the answer is {status}, none of {expected:?}"
    );
    Ok(())
}

async fn no_websocket_is_a_status(suite: &Suite) -> Checked {
    let plain = suite
        .request()
        .without("Upgrade")
        .set("Connection", "close");
    is_a_status(suite, &plain, &[400, 403, 404, 405, 426, 431]).await?;
    let mut post = suite.request();
    post.method = "POST";
    is_a_status(suite, &post, &[400, 403, 405]).await
}

async fn another_subprotocol_is_a_status(suite: &Suite) -> Checked {
    let other = suite
        .request()
        .set("Sec-WebSocket-Protocol", "jackfield.v0");
    is_a_status(suite, &other, &[400, 403, 404, 426]).await
}

async fn bare_line_feeds_are_refused(suite: &Suite) -> Checked {
    let mut request = suite.request();
    request.line_end = "\n";
    // A relay that takes it for the beginning of more says nothing, and the case ends by its time.
    is_a_status(suite, &request, &[400]).await
}

async fn a_body_is_refused(suite: &Suite) -> Checked {
    let request = suite.request().set("Content-Length", "0");
    is_a_status(suite, &request, &[400]).await
}

//! Section 4: which identifier is whose, and when one is over.

use jackfield_relay_wire::{Code, Frame, Reason};

use super::case;
use super::frames::connect;
use crate::conformance::client::raw;
use crate::conformance::targets::accepted;
use crate::conformance::{Case, Checked, Suite};

pub(super) const CASES: &[Case] = &[
    case!(
        a_clients_are_odd,
        "4",
        "an even identifier of the client's is an error"
    ),
    case!(
        they_grow,
        "4",
        "an identifier that doesn't grow is an error"
    ),
    case!(
        a_used_one_is_an_error,
        "4",
        "an identifier that is used twice is an error"
    ),
    case!(they_may_leave_gaps, "4", "identifiers may leave gaps"),
    case!(
        a_frame_for_an_unused_one_is_an_error,
        "4",
        "a frame for what was never opened is an error"
    ),
    case!(
        a_frame_for_what_is_over_is_ignored,
        "4",
        "a frame for what is over is ignored"
    ),
    case!(
        the_relays_frames_are_the_relays,
        "4",
        "OPENED from a client is an error"
    ),
];

const NOWHERE: &[u8] = &[1, 127, 0, 0, 1, 0, 1];

async fn a_clients_are_odd(suite: &Suite) -> Checked {
    let mut client = suite.client().await?;
    let mut message = connect(0, 0, NOWHERE);
    message[4] = 2;
    client.send_raw(&message).await?;
    client.ends_with(Code::PROTOCOL_ERROR).await
}

async fn they_grow(suite: &Suite) -> Checked {
    let mut client = suite.client().await?;
    for id in [7, 5] {
        let mut message = connect(0, 0, NOWHERE);
        message[4] = id;
        client.send_raw(&message).await?;
    }
    client.ends_with(Code::PROTOCOL_ERROR).await
}

async fn a_used_one_is_an_error(suite: &Suite) -> Checked {
    let mut client = suite.client().await?;
    for _ in 0..2 {
        client.send_raw(&connect(0, 0, NOWHERE)).await?;
    }
    client.ends_with(Code::PROTOCOL_ERROR).await
}

async fn they_may_leave_gaps(suite: &Suite) -> Checked {
    let (listener, address) = suite.listener().await?;
    let mut client = suite.client().await?;
    for _ in 0..500 {
        client.new_id()?;
    }
    client.connect(address, 1024).await?;
    accepted(&listener).await?;
    Ok(())
}

async fn a_frame_for_an_unused_one_is_an_error(suite: &Suite) -> Checked {
    for kind in [0x22, 0x23] {
        let mut client = suite.client().await?;
        let body: &[u8] = if kind == 0x23 { &[0] } else { &[] };
        client.send_raw(&raw(kind, 9, body)).await?;
        client.ends_with(Code::PROTOCOL_ERROR).await?;
    }
    Ok(())
}

async fn a_frame_for_what_is_over_is_ignored(suite: &Suite) -> Checked {
    let (listener, address) = suite.listener().await?;
    let mut client = suite.client().await?;
    let stream = client.connect(address, 1024).await?;
    let _target = accepted(&listener).await?;
    let id = stream.id;
    let reason = Reason::new(Code::CANCELLED, "");
    client
        .send(&Frame::Reset {
            id,
            reason: reason.clone(),
        })
        .await?;
    client
        .send(&Frame::Data {
            id,
            data: "late"[..].into(),
        })
        .await?;
    client.send(&Frame::Credit { id, more: 1 }).await?;
    client.send(&Frame::Fin { id }).await?;
    client.send(&Frame::Reset { id, reason }).await?;
    client.is_quiet().await
}

async fn the_relays_frames_are_the_relays(suite: &Suite) -> Checked {
    let (listener, address) = suite.listener().await?;
    let mut client = suite.client().await?;
    let stream = client.connect(address, 1024).await?;
    let _target = accepted(&listener).await?;
    client
        .send(&Frame::Opened {
            id: stream.id,
            credit: 0,
            local: None,
            remote: None,
        })
        .await?;
    client.ends_with(Code::PROTOCOL_ERROR).await
}

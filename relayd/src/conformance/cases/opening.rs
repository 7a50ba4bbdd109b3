//! Section 5: opening, refusing, cancelling, listening.

use jackfield_relay_wire::{Capabilities, Code, Frame, Reason};
use jackfield_socket::Endpoint;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::case;
use crate::conformance::client::unexpected;
use crate::conformance::targets::accepted;
use crate::conformance::{Case, Checked, Step as _, Stop, Suite, ensure};

/// More than this is not opened to reach a limit.
const MANY: u32 = 512;

pub(super) const CASES: &[Case] = &[
    case!(
        a_connection_is_opened,
        "5",
        "OPENED tells both addresses and first credit"
    ),
    case!(
        a_closed_port_is_refused,
        "5",
        "a closed port is REFUSED with the code REFUSED"
    ),
    case!(
        an_unknown_name_is_refused,
        "5",
        "a name without an address is REFUSED"
    ),
    case!(
        what_is_cancelled_is_not_answered,
        "5",
        "what was cancelled is forgotten"
    ),
    case!(
        a_listener_is_opened,
        "5",
        "port 0 is a free port, which OPENED tells"
    ),
    case!(
        connections_wait_for_credit,
        "5",
        "INBOUND waits for the listener's credit"
    ),
    case!(
        inbound_streams_have_their_credit,
        "5",
        "an INBOUND stream has LISTEN's credit for streams"
    ),
    case!(
        listeners_carry_no_data,
        "4",
        "DATA for a listener is an error"
    ),
    case!(
        a_closed_listener_leaves_its_streams,
        "7",
        "RESET closes a listener, not its streams"
    ),
];

/// It takes all that a client may open in a second.
pub(super) const LAST: &[Case] = &[case!(
    no_more_than_max_open,
    "5",
    "more than max_open is refused with LIMIT_EXCEEDED"
)];

async fn a_connection_is_opened(suite: &Suite) -> Checked {
    let (listener, address) = suite.listener().await?;
    let mut client = suite.client().await?;
    let stream = client.connect(address, 1024).await?;
    let target = accepted(&listener).await?;
    let from = target.peer_addr().step("the target's peer")?;
    ensure!(
        stream.local == Some(from),
        "OPENED tells {:?} for the relay's own {from}",
        stream.local
    );
    ensure!(
        stream.remote == Some(address),
        "OPENED tells {:?}, not {address}",
        stream.remote
    );
    ensure!(stream.credit > 0, "OPENED gives no credit");
    Ok(())
}

async fn a_closed_port_is_refused(suite: &Suite) -> Checked {
    let closed = suite.closed_port().await?;
    let mut client = suite.client().await?;
    let asked = client.ask_to_connect(closed, 1024).await?;
    match client.answer(asked).await? {
        Err(reason) if reason.code() == Code::REFUSED => client.is_quiet().await,
        Err(reason) => Err(Stop::Failed(format!("it is refused with {reason:?}"))),
        Ok(_) => Err(Stop::Failed("it is opened".into())),
    }
}

async fn an_unknown_name_is_refused(suite: &Suite) -> Checked {
    let mut client = suite.client().await?;
    // RFC 6761 keeps this domain empty.
    let to: Endpoint = "no-such-host.invalid:9".parse().step("a name")?;
    let id = client.ask_to_connect(to, 1024).await?;
    match client.answer(id).await? {
        Ok(_) => Err(Stop::Failed("it is opened".into())),
        // The rules of a relay may come first.
        Err(reason) => {
            let known = [Code::HOST_NOT_FOUND, Code::DENIED].contains(&reason.code());
            ensure!(known, "it is refused with {reason:?}");
            Ok(())
        }
    }
}

async fn what_is_cancelled_is_not_answered(suite: &Suite) -> Checked {
    let (_listener, address) = suite.listener().await?;
    let mut client = suite.client().await?;
    let id = client.ask_to_connect(address, 1024).await?;
    let reason = Reason::new(Code::CANCELLED, "");
    client.send(&Frame::Reset { id, reason }).await?;
    // One answer may have been on its way.
    let before = client.before_now().await?;
    let crossed = match &before[..] {
        [] => true,
        [Frame::Opened { id: other, .. } | Frame::Refused { id: other, .. }] => *other == id,
        _ => false,
    };
    ensure!(crossed, "the relay sent {before:?}");
    client.is_quiet().await
}

async fn a_listener_is_opened(suite: &Suite) -> Checked {
    let mut client = suite.client_with(Capabilities::LISTEN, WITHOUT).await?;
    let (listener, address) = client.listen(suite, (1, 1024)).await?;
    let peer = TcpStream::connect(address)
        .await
        .step("connecting to the listener")?;
    match client.frame().await? {
        Frame::Inbound {
            id,
            listener: of,
            local,
            remote,
            ..
        } => {
            ensure!(of == listener, "INBOUND is of {of:?}, not of the listener");
            ensure!(
                id.get().is_multiple_of(2),
                "the relay's identifier {} is odd",
                id.get()
            );
            ensure!(local == address, "INBOUND tells {local}, not {address}");
            let from = peer.local_addr().step("the peer's address")?;
            ensure!(remote == from, "INBOUND tells {remote}, not {from}");
            Ok(())
        }
        other => unexpected(&other, "INBOUND"),
    }
}

const WITHOUT: &str = "the relay doesn't let the suite listen";

async fn connections_wait_for_credit(suite: &Suite) -> Checked {
    let mut client = suite.client_with(Capabilities::LISTEN, WITHOUT).await?;
    let (listener, address) = client.listen(suite, (1, 1024)).await?;
    let connect = || async { TcpStream::connect(address).await.step("connecting") };
    let _peers = [connect().await?, connect().await?];
    let first = inbound(client.frame().await?)?;
    // The second is there, and waits.
    client.is_quiet().await?;
    client
        .send(&Frame::Credit {
            id: listener,
            more: 1,
        })
        .await?;
    let second = inbound(client.frame().await?)?;
    ensure!(
        second > first,
        "the relay's identifiers don't grow: {first}, {second}"
    );
    Ok(())
}

/// The identifier of a connection that was announced.
fn inbound(frame: Frame) -> Result<u32, Stop> {
    match frame {
        Frame::Inbound { id, .. } => Ok(id.get()),
        other => unexpected(&other, "INBOUND"),
    }
}

async fn inbound_streams_have_their_credit(suite: &Suite) -> Checked {
    let mut client = suite.client_with(Capabilities::LISTEN, WITHOUT).await?;
    let (_, address) = client.listen(suite, (1, 5)).await?;
    let mut peer = TcpStream::connect(address).await.step("connecting")?;
    peer.write_all(b"more than five").await.step("writing")?;
    let Frame::Inbound { id, .. } = client.frame().await? else {
        return Err(Stop::Failed("no INBOUND came".into()));
    };
    let first = client.read(id, 5).await?;
    ensure!(first == b"more "[..], "{first:?} came for credit of 5");
    client.is_quiet().await?;
    client.send(&Frame::Credit { id, more: 100 }).await?;
    let rest = client.read(id, 9).await?;
    ensure!(rest == b"than five"[..], "{rest:?} came next");
    Ok(())
}

async fn listeners_carry_no_data(suite: &Suite) -> Checked {
    let mut client = suite.client_with(Capabilities::LISTEN, WITHOUT).await?;
    let (id, _) = client.listen(suite, (1, 1024)).await?;
    client
        .send(&Frame::Data {
            id,
            data: "x"[..].into(),
        })
        .await?;
    client.ends_with(Code::PROTOCOL_ERROR).await
}

async fn a_closed_listener_leaves_its_streams(suite: &Suite) -> Checked {
    let mut client = suite.client_with(Capabilities::LISTEN, WITHOUT).await?;
    let (listener, address) = client.listen(suite, (1, 1024)).await?;
    let mut peer = TcpStream::connect(address).await.step("connecting")?;
    let Frame::Inbound { id, .. } = client.frame().await? else {
        return Err(Stop::Failed("no INBOUND came".into()));
    };
    let reason = Reason::new(Code::CLOSED, "");
    client
        .send(&Frame::Reset {
            id: listener,
            reason,
        })
        .await?;
    client.is_quiet().await?;
    peer.write_all(b"still here").await.step("writing")?;
    let read = client.read(id, 10).await?;
    ensure!(read == b"still here"[..], "{read:?} came");
    Ok(())
}

async fn no_more_than_max_open(suite: &Suite) -> Checked {
    let (listener, address) = suite.listener().await?;
    // What nobody accepts is at most what the system holds for a listener: 128.
    let mut accepting = JoinSet::new();
    accepting.spawn(async move {
        let mut open = Vec::new();
        while let Ok(stream) = accepted(&listener).await {
            open.push(stream);
        }
    });
    let mut client = suite.client().await?;
    let most = client.settings.max_open;
    if most > MANY {
        return Err(Stop::Skipped(
            "the relay's max_open is larger than the suite opens",
        ));
    }
    for _ in 0..=most {
        client.ask_to_connect(address, 1024).await?;
    }
    let mut refused = 0;
    for _ in 0..=most {
        match client.frame().await? {
            Frame::Opened { .. } => {}
            Frame::Refused { reason, .. } => {
                let code = reason.code();
                ensure!(
                    code == Code::LIMIT_EXCEEDED,
                    "it is refused with {reason:?}"
                );
                refused += 1;
            }
            other => return unexpected(&other, "OPENED or REFUSED"),
        }
    }
    ensure!(
        refused > 0,
        "{} were opened where max_open is {most}",
        most + 1
    );
    client.is_quiet().await
}

//! Listening, with the peer as the one who connects.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use jackfield_socket::{
    AnyListener, AnyStream, ByteStream as _, ErrorKind, ListenOptions, TcpListen, TcpListener as _,
    time,
};
use tokio::io::AsyncWriteExt;

use super::case;
use crate::client::{STILL, poll_once, read_exact_pattern, read_line, soon, write_pattern};
use crate::failure::{Step, ensure};
use crate::peer::command::Command;
use crate::{Case, Failure, Target};

pub(super) const CASES: &[Case] = &[
    case!(
        a_listener_takes_connections,
        "a listener takes connections, and port 0 is a free one"
    ),
    case!(
        a_listener_names_its_peer,
        "an accepted stream knows who connected"
    ),
    case!(
        a_cancelled_accept_loses_nothing,
        "an accept that is dropped has taken no connection"
    ),
    case!(
        waiting_connections_are_kept,
        "connections that come while nobody accepts wait"
    ),
    case!(
        a_dropped_listener_closes,
        "dropping a listener stops listening; its streams live on"
    ),
    case!(
        a_taken_port_is_refused,
        "listening where somebody listens is AddressInUse"
    ),
    case!(
        a_foreign_address_is_refused,
        "listening at an address that isn't ours is AddressNotAvailable"
    ),
    case!(
        listening_with_options,
        "a backlog is honoured or Unsupported; v6_only at IPv4 is InvalidInput"
    ),
];

/// Listens; `None` where the backend can't, after it was seen to say so.
async fn listen(target: &Target) -> Result<Option<(AnyListener, SocketAddr)>, Failure> {
    let ip = target.capabilities.listen;
    let at = SocketAddr::new(ip.unwrap_or(target.peer.tcp.ip()), 0);
    let listening = target.network.listen(at, &ListenOptions::default()).await;
    if ip.is_none() {
        let Err(error) = listening else {
            return Err(Failure::new(
                "it listens, though it was declared that it can't",
            ));
        };
        ensure!(
            matches!(error.kind(), ErrorKind::Unsupported | ErrorKind::Denied),
            "the kind is {:?}: {error}",
            error.kind()
        );
        return Ok(None);
    }
    let listener = listening.step("listening")?;
    let Some(at) = listener.local_addr() else {
        return Err(Failure::new("the listener doesn't know where it listens"));
    };
    ensure!(at.port() != 0, "the listener says that its port is 0");
    Ok(Some((listener, at)))
}

/// Has the peer connect: the stream that was accepted, and the address it came from.
async fn connected(
    target: &Target,
    listener: &mut AnyListener,
    at: SocketAddr,
) -> Result<(AnyStream, String, AnyStream), Failure> {
    let control = target.start(Command::ConnectBack { to: at }).await?;
    let mut stream = soon("a connection", listener.accept())
        .await?
        .step("accepting")?;
    let line = soon("the peer's greeting", read_line(&mut stream)).await??;
    let Some(from) = line.strip_prefix("from ") else {
        return Err(Failure::new(format!("the peer said {line:?}")));
    };
    Ok((stream, from.to_owned(), control))
}

async fn a_listener_takes_connections(target: &Target) -> Result<(), Failure> {
    let Some((mut listener, at)) = listen(target).await? else {
        return Ok(());
    };
    for seed in 22..25 {
        let (stream, _, _control) = connected(target, &mut listener, at).await?;
        let (mut reader, mut writer) = tokio::io::split(stream);
        let write = write_pattern(&mut writer, seed, 0, 1_000_000);
        let read = read_exact_pattern(&mut reader, seed, 0, 1_000_000);
        tokio::try_join!(write, read)?;
    }
    Ok(())
}

async fn a_listener_names_its_peer(target: &Target) -> Result<(), Failure> {
    let Some((mut listener, at)) = listen(target).await? else {
        return Ok(());
    };
    let (stream, from, _control) = connected(target, &mut listener, at).await?;
    let peer = stream.info().peer.map(|peer| peer.to_string());
    ensure!(
        peer.as_deref() == Some(&from),
        "the stream says that it came from {peer:?}, the peer says {from}"
    );
    Ok(())
}

async fn a_cancelled_accept_loses_nothing(target: &Target) -> Result<(), Failure> {
    let Some((mut listener, at)) = listen(target).await? else {
        return Ok(());
    };
    let early = poll_once(listener.accept()).await;
    ensure!(early.is_none(), "accepted before anybody connected");
    let mut controls = Vec::new();
    let mut streams = Vec::new();
    for _ in 0..5 {
        controls.push(target.start(Command::ConnectBack { to: at }).await?);
        for _ in 0..3 {
            if let Some(accepted) = poll_once(listener.accept()).await {
                streams.push(accepted.step("accepting")?);
            }
        }
    }
    while streams.len() < 5 {
        if let Ok(accepted) = time::timeout(Duration::from_millis(2), listener.accept()).await {
            streams.push(accepted.step("accepting")?);
        }
    }
    for stream in &mut streams {
        let line = soon("the peer's greeting", read_line(stream)).await??;
        ensure!(line.starts_with("from "), "the peer said {line:?}");
    }
    Ok(())
}

async fn waiting_connections_are_kept(target: &Target) -> Result<(), Failure> {
    let Some((mut listener, at)) = listen(target).await? else {
        return Ok(());
    };
    let mut controls = Vec::new();
    for _ in 0..5 {
        let mut control = target.start(Command::ConnectBack { to: at }).await?;
        if target.capabilities.stands_before_accept {
            let line = soon("the peer has connected", read_line(&mut control)).await??;
            ensure!(line == "connected", "the peer said {line:?}");
        }
        controls.push(control);
    }
    if !target.capabilities.stands_before_accept {
        // Time for all of them to come as far as they can.
        time::sleep(STILL).await;
    }
    for _ in 0..5 {
        let mut stream = soon("a connection that waits", listener.accept())
            .await?
            .step("accepting")?;
        let line = soon("the peer's greeting", read_line(&mut stream)).await??;
        ensure!(line.starts_with("from "), "the peer said {line:?}");
    }
    Ok(())
}

async fn a_dropped_listener_closes(target: &Target) -> Result<(), Failure> {
    let Some((mut listener, at)) = listen(target).await? else {
        return Ok(());
    };
    let (mut stream, _, _control) = connected(target, &mut listener, at).await?;
    drop(listener);
    // Closing may take a moment where it is done elsewhere.
    let closed = async {
        loop {
            let mut control = target.start(Command::ConnectBack { to: at }).await?;
            if read_line(&mut control).await.is_err() {
                return Ok::<_, Failure>(());
            }
            time::sleep(Duration::from_millis(20)).await;
        }
    };
    soon("the port is closed", closed).await??;
    write_pattern(&mut stream, 25, 0, 1000).await?;
    read_exact_pattern(&mut stream, 25, 0, 1000).await?;
    stream.shutdown().await.step("ending")
}

async fn a_taken_port_is_refused(target: &Target) -> Result<(), Failure> {
    let Some((_listener, at)) = listen(target).await? else {
        return Ok(());
    };
    fails_to_listen(
        target,
        at,
        &ListenOptions::default(),
        &[ErrorKind::AddressInUse],
    )
    .await
}

async fn a_foreign_address_is_refused(target: &Target) -> Result<(), Failure> {
    if listen(target).await?.is_none() {
        return Ok(());
    }
    // RFC 5737: for documentation, nobody's own. A relay may forbid it before it tries.
    let at = SocketAddr::from(([198, 51, 100, 1], 0));
    let kinds = [ErrorKind::AddressNotAvailable, ErrorKind::Denied];
    fails_to_listen(target, at, &ListenOptions::default(), &kinds).await
}

async fn listening_with_options(target: &Target) -> Result<(), Failure> {
    let Some((_, at)) = listen(target).await? else {
        return Ok(());
    };
    let at = SocketAddr::new(at.ip(), 0);
    let mut options = ListenOptions::default();
    options.backlog = NonZeroU32::new(16);
    if target.capabilities.backlog {
        target
            .network
            .listen(at, &options)
            .await
            .step("listening with a backlog")?;
    } else {
        fails_to_listen(target, at, &options, &[ErrorKind::Unsupported]).await?;
    }
    let mut options = ListenOptions::default();
    options.v6_only = Some(true);
    let v4 = SocketAddr::from(([127, 0, 0, 1], 0));
    fails_to_listen(target, v4, &options, &[ErrorKind::InvalidInput]).await
}

async fn fails_to_listen(
    target: &Target,
    at: SocketAddr,
    options: &ListenOptions,
    kinds: &[ErrorKind],
) -> Result<(), Failure> {
    match target.network.listen(at, options).await {
        Ok(_) => Err(Failure::new(format!("it listens at {at}"))),
        Err(error) => {
            ensure!(
                kinds.contains(&error.kind()),
                "the kind is {:?}, not {kinds:?}: {error}",
                error.kind()
            );
            Ok(())
        }
    }
}

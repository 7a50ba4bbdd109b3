//! Connecting: addresses, options, and how it fails.

use std::num::NonZeroU32;
use std::time::Duration;

use jackfield_socket::{
    AddressFamily, ByteStream as _, Endpoint, ErrorKind, TcpConnect, TcpOptions,
};
use tokio::io::AsyncWriteExt;

use super::case;
use crate::client::{command_on, read_line, read_pattern, soon, write_pattern};
use crate::failure::{Step, ensure};
use crate::peer::command::Command;
use crate::{Case, Failure, Target};

pub(super) const CASES: &[Case] = &[
    case!(echo, "what is written arrives, and its answer comes back"),
    case!(connects_by_name, "the backend resolves names"),
    case!(
        addresses_are_right,
        "a stream knows its peer's address, and its own where that was declared"
    ),
    case!(
        info_is_as_declared,
        "a stream says of itself what its backend says"
    ),
    case!(
        refused_connection,
        "a refused connection is an error of the declared kind"
    ),
    case!(
        unknown_host,
        "a name without an address is HostNotFound, and the error names it"
    ),
    case!(
        too_short_keep_alive,
        "a keep-alive under 1 s is InvalidInput on every backend"
    ),
    case!(
        options_are_honoured_or_refused,
        "an option that can't be honoured is Unsupported, never ignored"
    ),
];

async fn echo(target: &Target) -> Result<(), Failure> {
    let mut stream = target.start(Command::Echo {}).await?;
    stream.write_all(b"hello\n").await.step("writing")?;
    stream.flush().await.step("flushing")?;
    let line = soon("an echo", read_line(&mut stream)).await??;
    ensure!(line == "hello", "the echo is {line:?}");
    Ok(())
}

async fn connects_by_name(target: &Target) -> Result<(), Failure> {
    let to = Endpoint::new(target.host(), target.peer.tcp.port());
    let mut stream = target
        .network
        .connect(&to, &TcpOptions::default())
        .await
        .step(&format!("connecting to {to}"))?;
    command_on(
        &mut stream,
        Command::Send {
            seed: 1,
            bytes: 10,
            delay: 0,
        },
    )
    .await?;
    let total = read_pattern(&mut stream, 1).await?;
    ensure!(total == 10, "{total} bytes of 10");
    Ok(())
}

async fn addresses_are_right(target: &Target) -> Result<(), Failure> {
    let mut stream = target.start(Command::Who {}).await?;
    let info = stream.info();
    let line = read_line(&mut stream).await?;
    let (ours, theirs) = line.split_once(' ').unwrap_or((&line, ""));
    let shown = info.peer.map(|peer| peer.to_string());
    ensure!(
        shown.as_deref() == Some(theirs),
        "the stream says that its peer is {shown:?}, the peer says {theirs}"
    );
    let local = info.local.map(|local| local.to_string());
    if target.capabilities.local_address || local.is_some() {
        ensure!(
            local.as_deref() == Some(ours),
            "the stream says that its own address is {local:?}, the peer says {ours}"
        );
    }
    Ok(())
}

async fn info_is_as_declared(target: &Target) -> Result<(), Failure> {
    let info = target.start(Command::Echo {}).await?.info();
    let declared = &target.capabilities;
    ensure!(
        info.half_close == declared.half_close,
        "half_close is {}",
        info.half_close
    );
    ensure!(
        info.may_truncate == declared.may_truncate,
        "may_truncate is {}",
        info.may_truncate
    );
    Ok(())
}

async fn refused_connection(target: &Target) -> Result<(), Failure> {
    let to = Endpoint::from(target.closed().await?);
    let options = TcpOptions::default();
    let connecting = target.network.connect(&to, &options);
    match soon("a refusal", connecting).await? {
        Ok(stream) => Err(Failure::new(format!(
            "connected to {to}, where nothing listens: {stream:?}"
        ))),
        Err(error) => {
            ensure!(
                error.kind() == target.capabilities.refused,
                "the kind is {:?}: {error}",
                error.kind()
            );
            Ok(())
        }
    }
}

async fn unknown_host(target: &Target) -> Result<(), Failure> {
    // RFC 6761, section 6.4: no name under .invalid has an address.
    let to: Endpoint = "no-such-host.invalid:1".parse().step("a host's name")?;
    match target.network.connect(&to, &TcpOptions::default()).await {
        Ok(_) => Err(Failure::new("connected to a host that doesn't exist")),
        Err(error) => {
            ensure!(
                error.kind() == ErrorKind::HostNotFound,
                "the kind is {:?}: {error}",
                error.kind()
            );
            ensure!(
                error.to_string().contains("no-such-host.invalid"),
                "the text doesn't name the host: {error}"
            );
            Ok(())
        }
    }
}

async fn too_short_keep_alive(target: &Target) -> Result<(), Failure> {
    let mut options = TcpOptions::default();
    options.keep_alive = Some(Duration::from_millis(999));
    let to = Endpoint::from(target.peer.tcp);
    match target.network.connect(&to, &options).await {
        Ok(_) => Err(Failure::new("it was ignored")),
        Err(error) => {
            ensure!(
                error.kind() == ErrorKind::InvalidInput,
                "the kind is {:?}: {error}",
                error.kind()
            );
            Ok(())
        }
    }
}

async fn options_are_honoured_or_refused(target: &Target) -> Result<(), Failure> {
    let declared = &target.capabilities;
    let size = NonZeroU32::new(64 * 1024);
    let family = if target.peer.tcp.is_ipv4() {
        AddressFamily::V4
    } else {
        AddressFamily::V6
    };
    let option = |change: &dyn Fn(&mut TcpOptions)| {
        let mut options = TcpOptions::default();
        change(&mut options);
        options
    };
    let tried = [
        (
            "no_delay: false",
            declared.delay,
            option(&|o| o.no_delay = false),
        ),
        (
            "keep_alive",
            declared.keep_alive,
            option(&|o| o.keep_alive = Some(Duration::from_secs(30))),
        ),
        (
            "send_buffer",
            declared.buffer_sizes,
            option(&|o| o.send_buffer = size),
        ),
        (
            "receive_buffer",
            declared.buffer_sizes,
            option(&|o| o.receive_buffer = size),
        ),
        ("family", declared.family, option(&|o| o.family = family)),
    ];
    let to = Endpoint::new(target.host(), target.peer.tcp.port());
    for (name, honoured, options) in tried {
        match target.network.connect(&to, &options).await {
            Ok(mut stream) => {
                ensure!(honoured, "{name} was not refused");
                let ticket = target.ticket().await?;
                let command = Command::Sink {
                    ticket,
                    seed: 2,
                    delay: 0,
                };
                command_on(&mut stream, command).await?;
                write_pattern(&mut stream, 2, 0, 200_000).await?;
                stream.shutdown().await.step("ending")?;
                let record = target.outcome(ticket).await?;
                ensure!(
                    record.bytes == 200_000 && record.wrong.is_none(),
                    "with {name}, the peer got: {record}"
                );
            }
            Err(error) => {
                ensure!(!honoured, "{name}: {error}");
                ensure!(
                    error.kind() == ErrorKind::Unsupported,
                    "{name} was refused as {:?}: {error}",
                    error.kind()
                );
            }
        }
    }
    Ok(())
}

//! `jackfield nc`: connects, and joins the connection to the terminal.

use jackfield_socket::{
    AnyNetwork, AnyStream, ByteStream, Endpoint, StreamInfo, TcpConnect, TcpOptions, opening, time,
};

use crate::args::NcArgs;
use crate::failure::{Failure, Step};
use crate::leave::Leave;
use crate::output::tell;
use crate::pump::pump;
use crate::secure::{self, within};
use crate::{starttls, udp};

pub(crate) async fn run(args: &NcArgs, network: &AnyNetwork, leave: &Leave) -> Result<(), Failure> {
    let to = Endpoint::new(args.host.clone(), args.port);
    let say = |text: &str| {
        if args.verbose {
            tell(text);
        }
    };
    if args.udp {
        let talk = udp::connect(network, &to, args.timeout, &say);
        return leave.unless_asked(talk).await;
    }
    let stream = leave.unless_asked(open(args, &to, network, &say)).await?;
    pump(stream, &mut tokio::io::stdin(), leave, &say).await
}

/// A stream to there, secured where that was asked for.
async fn open(
    args: &NcArgs,
    to: &Endpoint,
    network: &AnyNetwork,
    say: &impl Fn(&str),
) -> Result<AnyStream, Failure> {
    // Read first, so that a wrong file costs no connection.
    let connector = if args.tls.tls || args.tls.starttls.is_some() {
        Some(secure::connector(&args.tls).step("setting up TLS")?)
    } else {
        None
    };
    say(&format!("connecting to {to}"));
    let before = time::now();
    let options = TcpOptions::default();
    let mut stream = within(args.timeout, network.connect(to, &options))
        .await
        .step(format!("connecting to {to}"))?;
    let took = before.elapsed().as_millis();
    say(&format!("connected {} in {took} ms", ends(&stream.info())));

    let Some(connector) = connector else {
        return Ok(stream);
    };
    if let Some(protocol) = args.tls.starttls {
        say(&format!("asking for TLS in {protocol:?}"));
        let mut opening = starttls::opening(protocol);
        let ask = opening::speak(&mut stream, opening.as_mut());
        within(args.timeout, ask)
            .await
            .step(format!("asking {to} for TLS"))?;
    }
    let name = args.tls.server_name.as_ref().unwrap_or(&args.host);
    match &args.tls.pin[..] {
        [] => say(&format!("securing it; the certificate must be for {name}")),
        [_, ..] => say("securing it; the certificate or its key must be one that is pinned"),
    }
    let secure = connector.connect(stream, name);
    let stream = within(args.timeout, secure)
        .await
        .step(format!("securing the stream to {to}"))?;
    for line in secure::describe(&stream) {
        say(&line);
    }
    Ok(AnyStream::new(stream))
}

/// From where to where, as far as the backend knows.
fn ends(info: &StreamInfo) -> String {
    let shown = |address: Option<std::net::SocketAddr>| {
        address.map_or_else(|| "an unknown address".to_owned(), |it| it.to_string())
    };
    format!("to {} from {}", shown(info.peer), shown(info.local))
}

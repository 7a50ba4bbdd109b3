//! `jackfield nc`: connects.

use jackfield_socket::{
    AnyNetwork, ByteStream, Endpoint, StreamInfo, TcpConnect, TcpOptions, opening, time,
};

use crate::args::NcArgs;
use crate::failure::{Failure, Step};
use crate::pump::pump;
use crate::secure::{self, within};
use crate::{starttls, udp};

pub(crate) async fn run(args: &NcArgs, network: &AnyNetwork) -> Result<(), Failure> {
    let to = Endpoint::new(args.host.clone(), args.port);
    let say = |text: &str| {
        if args.verbose {
            eprintln!("{text}");
        }
    };
    if args.udp {
        return udp::connect(network, &to, args.timeout, &say).await;
    }

    // Read first, so that a wrong file costs no connection.
    let connector = if args.tls.tls || args.tls.starttls.is_some() {
        Some(secure::connector(&args.tls).step("setting up TLS")?)
    } else {
        None
    };
    say(&format!("connecting to {to}"));
    let before = time::now();
    let options = TcpOptions::default();
    let mut stream = within(args.timeout, network.connect(&to, &options))
        .await
        .step(format!("connecting to {to}"))?;
    let took = before.elapsed().as_millis();
    say(&format!("connected {} in {took} ms", ends(&stream.info())));

    let Some(connector) = connector else {
        return pump(stream, &mut tokio::io::stdin(), &say).await;
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
    pump(stream, &mut tokio::io::stdin(), &say).await
}

/// From where to where, as far as the backend knows.
fn ends(info: &StreamInfo) -> String {
    let shown = |address: Option<std::net::SocketAddr>| {
        address.map_or_else(|| "an unknown address".to_owned(), |it| it.to_string())
    };
    format!("to {} from {}", shown(info.peer), shown(info.local))
}

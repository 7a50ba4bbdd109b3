//! `jackfield listen`: is connected to.

use jackfield_socket::{
    AnyNetwork, AnyStream, ByteStream, Error, ErrorKind, ListenOptions, TcpListen, TcpListener,
};
use jackfield_tls::{TlsAcceptor, TlsServerConfig};
use tokio::io::Stdin;

use crate::args::ListenArgs;
use crate::failure::{Failure, Step};
use crate::pump::pump;
use crate::secure::{self, within};
use crate::udp;

pub(crate) async fn run(args: &ListenArgs, network: &AnyNetwork) -> Result<(), Failure> {
    if args.udp {
        return udp::listen(network, args.at).await;
    }
    let acceptor = acceptor(args).step("setting up TLS")?;
    let mut listener = network
        .listen(args.at, &ListenOptions::default())
        .await
        .step(format!("listening at {}", args.at))?;
    eprintln!("listening at {}", listener.local_addr().unwrap_or(args.at));
    let mut input = tokio::io::stdin();
    loop {
        let stream = match listener.accept().await {
            Ok(stream) => stream,
            // One connection was lost, and the listener lives.
            Err(error) if matches!(error.kind(), ErrorKind::Reset | ErrorKind::LimitExceeded) => {
                Failure::new("accepting a connection", error).report();
                continue;
            }
            Err(error) => return Err(Failure::new("accepting a connection", error)),
        };
        let result = serve(args, stream, acceptor.as_ref(), &mut input).await;
        if !args.keep {
            return result;
        }
        if let Err(failure) = result {
            failure.report();
        }
    }
}

async fn serve(
    args: &ListenArgs,
    stream: AnyStream,
    acceptor: Option<&TlsAcceptor>,
    input: &mut Stdin,
) -> Result<(), Failure> {
    let say = |text: &str| {
        if args.verbose {
            eprintln!("{text}");
        }
    };
    match stream.info().peer {
        Some(peer) => eprintln!("connection from {peer}"),
        None => eprintln!("connection from an unknown address"),
    }
    let Some(acceptor) = acceptor else {
        return pump(stream, input, &say).await;
    };
    let stream = within(args.timeout, acceptor.accept(stream))
        .await
        .step("securing the stream")?;
    for line in secure::describe(&stream) {
        say(&line);
    }
    pump(stream, input, &say).await
}

fn acceptor(args: &ListenArgs) -> Result<Option<TlsAcceptor>, Error> {
    if !args.tls {
        return Ok(None);
    }
    let identity = secure::identity(&args.identity)?
        .ok_or_else(|| Error::new(ErrorKind::InvalidInput, "--tls needs --cert and --key"))?;
    let config = TlsServerConfig::new(identity).with_alpn(args.alpn.clone());
    TlsAcceptor::new(config).map(Some)
}

//! `jackfield listen`: takes connections or datagrams, and joins them to the terminal.

use jackfield_socket::{
    AnyNetwork, AnyStream, ByteStream, Error, ErrorKind, ListenOptions, TcpListen, TcpListener,
};
use jackfield_tls::{TlsAcceptor, TlsServerConfig};
use tokio::io::Stdin;

use crate::args::ListenArgs;
use crate::failure::{Failure, Step};
use crate::leave::Leave;
use crate::output::tell;
use crate::pump::pump;
use crate::secure::{self, within};
use crate::udp;

pub(crate) async fn run(
    args: &ListenArgs,
    network: &AnyNetwork,
    leave: &Leave,
) -> Result<(), Failure> {
    if args.udp {
        return leave.unless_asked(udp::listen(network, args.at)).await;
    }
    let acceptor = acceptor(args).step("setting up TLS")?;
    let listening = async {
        let listening = network.listen(args.at, &ListenOptions::default()).await;
        listening.step(format!("listening at {}", args.at))
    };
    let mut listener = leave.unless_asked(listening).await?;
    let at = listener.local_addr().unwrap_or(args.at);
    tell(format_args!("listening at {at}"));
    let mut input = tokio::io::stdin();
    loop {
        let accept = async { Ok(listener.accept().await) };
        let stream = match leave.unless_asked(accept).await? {
            Ok(stream) => stream,
            // One connection was lost, and the listener lives.
            Err(error) if matches!(error.kind(), ErrorKind::Reset | ErrorKind::LimitExceeded) => {
                Failure::new("accepting a connection", error).report();
                continue;
            }
            Err(error) => return Err(Failure::new("accepting a connection", error)),
        };
        let result = serve(args, stream, acceptor.as_ref(), &mut input, leave).await;
        match result {
            Err(failure) if args.keep && !failure.is_end() => {
                failure.report();
            }
            Ok(()) if args.keep => {}
            result => return result,
        }
    }
}

async fn serve(
    args: &ListenArgs,
    stream: AnyStream,
    acceptor: Option<&TlsAcceptor>,
    input: &mut Stdin,
    leave: &Leave,
) -> Result<(), Failure> {
    let say = |text: &str| {
        if args.verbose {
            tell(text);
        }
    };
    match stream.info().peer {
        Some(peer) => tell(format_args!("connection from {peer}")),
        None => tell("connection from an unknown address"),
    }
    let Some(acceptor) = acceptor else {
        return pump(stream, input, leave, &say).await;
    };
    let secure = async {
        let secured = within(args.timeout, acceptor.accept(stream)).await;
        secured.step("securing the stream")
    };
    let stream = leave.unless_asked(secure).await?;
    for line in secure::describe(&stream) {
        say(&line);
    }
    pump(stream, input, leave, &say).await
}

fn acceptor(args: &ListenArgs) -> Result<Option<TlsAcceptor>, Error> {
    if !args.tls {
        return Ok(None);
    }
    let identity =
        secure::identity(args.identity.cert.as_deref(), args.identity.key.as_deref())?
            .ok_or_else(|| Error::new(ErrorKind::InvalidInput, "--tls needs --cert and --key"))?;
    let config = TlsServerConfig::new(identity).with_alpn(args.alpn.clone());
    TlsAcceptor::new(config).map(Some)
}

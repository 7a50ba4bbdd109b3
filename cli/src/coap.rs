//! `jackfield coap`: asks servers, in the manner of `coap-client`. The URI's scheme chooses what
//! carries it.

pub(crate) mod args;

use std::env;
use std::path::Path;
use std::pin::pin;

use jackfield_coap::client::{self, Client, ClientConfig, CoapWebSockets, Connection, Events};
use jackfield_coap::codec::{Code, ContentFormat, Link, Links, Scheme};
use jackfield_coap::core::{LayerError, Request, Response};
use jackfield_coap::{RequestError, SessionError};
use jackfield_dtls::{Dtls, DtlsConfig, Psk};
use jackfield_socket::{AnyNetwork, Error, ErrorKind, Result, UdpOpen, time};
use jackfield_tls::Tls;
use tokio::io::AsyncReadExt;

use self::args::{CoapCommand, DiscoverArgs, GetArgs, ObserveArgs, SendArgs, ServerArgs};
use crate::args::BackendArgs;
use crate::backend::read;
use crate::failure::{Failure, Step};
use crate::leave::{self, Leave};
use crate::output::{self, tell};
use crate::secure::connector_with;

/// Where the pre-shared key is, unless a file is named: not on the command line, which everyone
/// here can read.
const KEY_VARIABLE: &str = "JACKFIELD_PSK";

impl CoapCommand {
    pub(crate) fn backend(&self) -> &BackendArgs {
        &self.server().backend
    }
}

pub(crate) async fn run(
    command: &CoapCommand,
    network: &AnyNetwork,
    leave: &Leave,
) -> Result<(), Failure> {
    if let CoapCommand::Discover(args) = command
        && is_group(&args.server)
    {
        return leave.unless_asked(discover_group(args, network)).await;
    }
    let server = command.server();
    let (client, _, connection) =
        connect(server, network, config(server)).step("setting up the connection")?;
    let mut connection = pin!(connection);
    let mut is_ended = false;
    let asked = leave.unless_asked(async {
        let mut work = pin!(ask(command, &client));
        let ended = tokio::select! {
            biased;
            outcome = &mut work => return outcome,
            ended = &mut connection => ended,
        };
        is_ended = true;
        // What was asked for has its outcome by then, also where the server left right behind its answer.
        // An observation has none: it was to go on.
        let outcome = work.await;
        if outcome.is_ok() && !matches!(command, CoapCommand::Observe(_)) {
            return Ok(());
        }
        // It does not try again: what is wrong now is what is to be told.
        let closed = || Error::new(ErrorKind::Closed, "the client has ended");
        Err(match ended {
            Err(error) => Failure::connection(server.uri.endpoint(), &error, kind),
            Ok(()) => Failure::new(format!("asking {}", server.uri), closed()),
        })
    });
    let asked = asked.await;
    if !is_ended {
        leave::farewell(async { tokio::join!(client.close(), connection) }).await;
    }
    asked
}

async fn ask(command: &CoapCommand, client: &Client) -> Result<(), Failure> {
    match command {
        CoapCommand::Get(args) => get(client, args).await,
        CoapCommand::Delete(args) => send(client, Code::DELETE, args, None).await,
        CoapCommand::Put(args) => send(client, Code::PUT, &args.get, Some(args)).await,
        CoapCommand::Post(args) => send(client, Code::POST, &args.get, Some(args)).await,
        CoapCommand::Observe(args) => observe(client, args).await,
        CoapCommand::Discover(args) => {
            let found = client.discover(args.filter.as_deref()).await;
            let links = found.map_err(|error| not_done(&args.server, &error))?;
            print(&lines(&links, "")).await
        }
    }
}

async fn get(client: &Client, args: &GetArgs) -> Result<(), Failure> {
    let server = &args.server;
    let request = request(Code::GET, server)?;
    let fail = |error: &RequestError| not_done(server, error);
    let mut download = client.download(request).await.map_err(|it| fail(&it))?;
    describe(server, &download.response());
    let mut output = Output::open(args.output.as_deref())?;
    let mut ends_line = true;
    while let Some(part) = download.next().await.map_err(|error| fail(&error))? {
        if server.verbose {
            progress(download.received(), download.total());
        }
        ends_line = part.last().map_or(ends_line, |last| *last == b'\n');
        output.write(&part).await?;
    }
    output.finish(ends_line).await
}

async fn send(
    client: &Client,
    method: Code,
    args: &GetArgs,
    with: Option<&SendArgs>,
) -> Result<(), Failure> {
    let server = &args.server;
    let mut request = request(method, server)?;
    let mut body = Vec::new();
    if let Some(with) = with {
        body = payload(with).await?;
        let format = with.content_format.unwrap_or(ContentFormat::TEXT_PLAIN);
        request = request.with_payload(Vec::new(), format);
    }
    let size = Some(body.len() as u64);
    let sent = client.upload(request, &body[..], size, |told| {
        if server.verbose {
            progress(told.sent, told.total);
        }
    });
    let response = sent.await.map_err(|error| not_done(server, &error))?;
    describe(server, &response);
    let mut output = Output::open(args.output.as_deref())?;
    output.write(&response.payload).await?;
    let ends_line = response.payload.last().is_none_or(|last| *last == b'\n');
    output.finish(ends_line).await
}

async fn observe(client: &Client, args: &ObserveArgs) -> Result<(), Failure> {
    let server = &args.server;
    let request = request(Code::GET, server)?;
    let fail = |error: &RequestError| not_done(server, error);
    let mut observation = client.observe(request).await.map_err(|it| fail(&it))?;
    let mut output = output::Output::new();
    let mut left = args.count.unwrap_or(u64::MAX);
    let until = args.duration.map(|duration| time::now() + duration);
    while left > 0 {
        let over = async {
            match until {
                Some(until) => time::sleep_until(until).await,
                None => std::future::pending().await,
            }
        };
        let next = tokio::select! {
            next = observation.next() => next,
            () = over => return Ok(()),
        };
        match next {
            None => return Ok(()),
            Some(Ok(response)) => {
                describe(server, &response);
                output.datagram(&response.payload).await?;
                output.as_it_is(b"\n").await?;
                left -= 1;
            }
            // The observation goes on, unless that was the last word.
            Some(Err(error @ (RequestError::TimedOut | RequestError::ConnectionLost)))
                if left < args.count.unwrap_or(u64::MAX) =>
            {
                tell(format_args!("jackfield: {error}"));
            }
            Some(Err(error)) => return Err(fail(&error)),
        }
    }
    Ok(())
}

/// Asks everyone in a group.
async fn discover_group(args: &DiscoverArgs, network: &AnyNetwork) -> Result<(), Failure> {
    let server = &args.server;
    let Some(group) = server.uri.endpoint().socket_addr() else {
        return Ok(());
    };
    let here = if group.is_ipv4() {
        "0.0.0.0:0"
    } else {
        "[::]:0"
    };
    let here = here
        .parse()
        .map_err(|_| Error::new(ErrorKind::Other, "no local address"))
        .step("preparing to ask a group")?;
    let (multicast, _, connection) = client::multicast(network.clone(), here, config(server));
    let mut target = String::from("/.well-known/core");
    if let Some(filter) = &args.filter {
        target = format!("{target}?{filter}");
    }
    let asked = async {
        let fail = |error: &RequestError| not_done(server, error);
        let asked = multicast.ask(group, &target, args.duration).await;
        let mut answers = asked.map_err(|error| fail(&error))?;
        while let Some(answer) = answers.next().await {
            let (from, response) = answer.map_err(|error| fail(&error))?;
            match Links::parse(&response.payload) {
                Ok(links) => print(&lines(&links, &format!("coap://{from}"))).await?,
                Err(error) => tell(format_args!("jackfield: {from}: {error}")),
            }
        }
        Ok(())
    };
    tokio::select! {
        biased;
        outcome = asked => outcome,
        ended = connection => match ended {
            Err(error) => Err(Failure::connection(server.uri.endpoint(), &error, kind)),
            Ok(()) => Ok(()),
        },
    }
}

fn is_group(server: &ServerArgs) -> bool {
    let address = server.uri.endpoint().socket_addr();
    server.uri.scheme() == Scheme::Coap && address.is_some_and(|it| it.ip().is_multicast())
}

fn config(server: &ServerArgs) -> ClientConfig {
    let mut config = ClientConfig::default();
    config.connection.reconnect = None;
    config.block_size = server.block_size;
    config.connection.connect_timeout = server.timeout;
    config.requests.response_timeout = server.timeout;
    config.requests.limits.max_body = u64::MAX;
    config
}

fn connect(
    server: &ServerArgs,
    network: &AnyNetwork,
    config: ClientConfig,
) -> Result<(Client, Events, Connection)> {
    let to = server.uri.endpoint().clone();
    let network = network.clone();
    let tls = |network| {
        Ok::<_, Error>(Tls::new(
            network,
            connector_with(server.ca.as_deref(), &server.pin, &server.identity)?,
        ))
    };
    Ok(match server.uri.scheme() {
        Scheme::Coap => client::connect(network, to, config),
        Scheme::Coaps => client::connect(dtls(server, network)?, to, config),
        Scheme::CoapTcp => client::connect_tcp(network, to, config),
        Scheme::CoapsTcp => client::connect_tcp(tls(network)?, to, config),
        Scheme::CoapWs => client::connect_tcp(CoapWebSockets::ws(network), to, config),
        Scheme::CoapsWs => client::connect_tcp(CoapWebSockets::wss(tls(network)?), to, config),
    })
}

fn dtls(server: &ServerArgs, network: AnyNetwork) -> Result<impl UdpOpen> {
    let wrong = |what: String| Error::new(ErrorKind::InvalidInput, what);
    let identity = server.user.as_deref();
    let identity = identity.ok_or_else(|| wrong("coaps needs --user, and a key".into()))?;
    let key = if let Some(path) = &server.psk_file {
        let key = read(path)?;
        key.trim_ascii_end().to_vec()
    } else {
        let key = env::var(KEY_VARIABLE);
        let key = key.map_err(|_| wrong(format!("coaps needs its key in {KEY_VARIABLE}")))?;
        key.into_bytes()
    };
    Dtls::new(network, DtlsConfig::new(Psk::new(identity, &key)?))
}

fn request(method: Code, server: &ServerArgs) -> Result<Request, Failure> {
    let made = Request::new(method, server.uri.target());
    let mut request = made.map_err(|error| not_done(server, &error))?;
    if let Some(accept) = server.accept {
        request = request.with_accept(accept);
    }
    if server.non_confirmable {
        request = request.non_confirmable();
    }
    Ok(request)
}

async fn payload(args: &SendArgs) -> Result<Vec<u8>, Failure> {
    match (&args.payload, &args.file) {
        (Some(text), _) => Ok(text.clone().into_bytes()),
        (None, Some(path)) if path.as_os_str() == "-" => {
            let mut bytes = Vec::new();
            let mut input = tokio::io::stdin();
            let read = input.read_to_end(&mut bytes).await;
            read.step("reading standard input").map(|_| bytes)
        }
        (None, Some(path)) => read(path).step("reading what is to be sent"),
        (None, None) => Ok(Vec::new()),
    }
}

/// Says what an answer is.
fn describe(server: &ServerArgs, response: &Response) {
    if server.verbose {
        let format = response.content_format();
        let format = format.map_or_else(String::new, |format| format!(", {format}"));
        let (code, age) = (response.code(), response.max_age());
        tell(format_args!("{code:?}{format}, fresh for {age} s"));
    }
}

fn progress(done: u64, total: Option<u64>) {
    match total {
        Some(total) => tell(format_args!("{done} of {total} bytes")),
        None => tell(format_args!("{done} bytes")),
    }
}

/// A line for each link, with all that is said of it.
fn lines(links: &Links, base: &str) -> Vec<String> {
    let line = |link: &Link| {
        let mut text = String::new();
        let path = link.target();
        text.push_str(if path.starts_with('/') { base } else { "" });
        text.push_str(path);
        for (name, value) in link.attributes() {
            text.push(' ');
            text.push_str(name);
            if let Some(value) = value {
                text.push('=');
                text.push_str(value);
            }
        }
        text
    };
    links.iter().map(line).collect()
}

/// A request that failed.
fn not_done(server: &ServerArgs, error: &RequestError) -> Failure {
    let kind = match error {
        RequestError::Refused(refusal) => match refusal.code() {
            Code::UNAUTHORIZED | Code::FORBIDDEN => ErrorKind::Denied,
            _ => ErrorKind::Other,
        },
        RequestError::TimedOut | RequestError::NotConnected => ErrorKind::TimedOut,
        RequestError::Unsendable(kind) => (*kind).into(),
        RequestError::ConnectionLost | RequestError::Closed => ErrorKind::Reset,
        RequestError::InvalidTarget(_)
        | RequestError::InvalidOption(_)
        | RequestError::InvalidRequest(_)
        | RequestError::TooLarge { .. } => ErrorKind::InvalidInput,
        _ => ErrorKind::Other,
    };
    let step = format!("asking {}", server.uri);
    Failure::new(step, Error::new(kind, error.to_string()))
}

fn kind(error: &SessionError) -> ErrorKind {
    match error {
        SessionError::Layer(error) if *error != LayerError::Truncated => ErrorKind::Protocol,
        _ => ErrorKind::UnexpectedEof,
    }
}

/// Where an answer goes.
enum Output {
    Standard(output::Output),
    File(std::fs::File),
}

impl Output {
    fn open(path: Option<&Path>) -> Result<Self, Failure> {
        match path {
            None => Ok(Self::Standard(output::Output::new())),
            Some(path) => std::fs::File::create(path)
                .map(Self::File)
                .step(format!("writing to {}", path.display())),
        }
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        match self {
            Self::Standard(output) => output.payload(bytes).await,
            Self::File(file) => {
                let written = std::io::Write::write_all(file, bytes);
                written.step("writing what was received")
            }
        }
    }

    /// A terminal gets a whole line.
    async fn finish(mut self, ends_line: bool) -> Result<(), Failure> {
        match &mut self {
            Self::Standard(output) => {
                output.end_payload().await?;
                let line = if !ends_line && output.is_terminal() {
                    "\n"
                } else {
                    ""
                };
                output.as_it_is(line.as_bytes()).await
            }
            Self::File(file) => std::io::Write::flush(file).step("writing what was received"),
        }
    }
}

async fn print(lines: &[String]) -> Result<(), Failure> {
    let mut output = output::Output::new();
    for line in lines {
        output.line(line).await?;
    }
    Ok(())
}

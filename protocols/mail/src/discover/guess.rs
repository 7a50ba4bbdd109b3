//! Guesses: the names that mail servers mostly have.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use jackfield_socket::{Endpoint, Error, ErrorKind, Host, TcpConnect, TcpOptions, time};
use tokio::io::AsyncReadExt;

use super::{Found, How, InvalidAddress, Security, Server, Trust, Who};

/// How many guesses are tried at once.
const MAX_PROBES: usize = 20;

/// Servers that an address may have, by the names that are usual: none of them was asked. All are in the
/// address's domain. They are for [`probe`].
///
/// # Errors
/// Where the address is none.
pub fn guess(address: &str) -> Result<Found, InvalidAddress> {
    Who::parse(address).map(|who| of(&who))
}

pub(super) fn of(who: &Who) -> Found {
    let servers = |hosts: [&str; 3], tls: u16, starttls: u16| {
        let mut servers = Vec::new();
        for (security, port) in [(Security::Tls, tls), (Security::StartTls, starttls)] {
            for prefix in hosts {
                let name = format!("{prefix}{}", who.domain);
                // With a prefix, it may be too long for a name.
                servers.extend(name.parse::<Host>().ok().map(|host| Server {
                    endpoint: Endpoint::new(host, port),
                    security,
                    user: None,
                    auth: Vec::new(),
                }));
            }
        }
        servers
    };
    Found {
        how: How::Guess,
        trust: Trust::SameDomain,
        name: None,
        imap: servers(["imap.", "mail.", ""], 993, 143),
        submission: servers(["smtp.", "mail.", ""], 465, 587),
        oauth: None,
    }
}

/// The first of these servers that is there: those of one kind of security, over a network that has it
/// (`Tls` over any other, or `StartTls` with the protocol's opening). They are tried at once, each for so
/// long; what counts is their order, not who is the fastest.
///
/// Where TLS is spoken from the start, a server has to greet as IMAP and SMTP servers do. With STARTTLS it
/// has greeted before.
///
/// # Errors
/// Where none is there: the error of the first that was tried.
///
/// # Cancel safety
/// Dropping the future closes what was connected.
pub async fn probe<N: TcpConnect>(
    network: &N,
    security: Security,
    servers: &[Server],
    within: Duration,
) -> Result<Server, Error> {
    let wanted = servers.iter().filter(|server| server.security == security);
    let wanted: Vec<&Server> = wanted.take(MAX_PROBES).collect();
    let mut probes: Vec<Probe<'_>> = Vec::new();
    for server in &wanted {
        probes.push(Probe::Running(Box::pin(async move {
            let greeted = time::timeout(within, greets(network, server)).await;
            greeted.unwrap_or_else(|_| {
                let what = format!("{} does not answer", server.endpoint);
                Err(Error::new(ErrorKind::TimedOut, what))
            })
        })));
    }
    let first = poll_fn(|cx| {
        let mut is_undecided = false;
        for (index, probe) in probes.iter_mut().enumerate() {
            if let Probe::Running(future) = probe
                && let Poll::Ready(done) = future.as_mut().poll(cx)
            {
                *probe = Probe::Done(done);
            }
            match probe {
                // Everybody before it was not there.
                Probe::Done(Ok(())) if !is_undecided => return Poll::Ready(Some(index)),
                Probe::Running(_) => is_undecided = true,
                Probe::Done(_) => {}
            }
        }
        if is_undecided {
            Poll::Pending
        } else {
            Poll::Ready(None)
        }
    })
    .await;
    if let Some(index) = first {
        return Ok(wanted[index].clone());
    }
    match probes.into_iter().next() {
        Some(Probe::Done(Err(error))) => Err(error),
        _ => Err(Error::new(
            ErrorKind::HostNotFound,
            "there is no server to be tried",
        )),
    }
}

enum Probe<'a> {
    Running(Pin<Box<dyn Future<Output = Result<(), Error>> + Send + 'a>>),
    Done(Result<(), Error>),
}

/// Connects, and hears what a server says first.
async fn greets<N: TcpConnect>(network: &N, server: &Server) -> Result<(), Error> {
    let mut stream = network
        .connect(&server.endpoint, &TcpOptions::default())
        .await?;
    if server.security == Security::StartTls {
        return Ok(());
    }
    let mut begin = [0; 4];
    stream.read_exact(&mut begin).await?;
    if begin.starts_with(b"* ") || begin == *b"220 " || begin == *b"220-" {
        return Ok(());
    }
    let what = format!("{} is no mail server", server.endpoint);
    Err(Error::new(ErrorKind::Protocol, what))
}

//! Datagrams: each line of input is one, and what is received goes to standard output.

use std::net::SocketAddr;
use std::time::Duration;

use jackfield_socket::{AnyNetwork, DatagramSocket, Endpoint, UdpOpen, UdpOptions, time};
use tokio::io::{AsyncBufReadExt, BufReader, Stdin};

use crate::failure::{Failure, Step};
use crate::output::{Output, tell};
use crate::secure::within;

/// How long an answer is waited for, once the input has ended.
const LAST_ANSWER: Duration = Duration::from_secs(1);
/// No datagram is longer.
const LONGEST: usize = 65_535;

/// Speaks with one peer.
pub(crate) async fn connect(
    network: &AnyNetwork,
    to: &Endpoint,
    timeout: Duration,
    say: &impl Fn(&str),
) -> Result<(), Failure> {
    let options = UdpOptions::default();
    let mut socket = within(timeout, network.open_connected(to, &options))
        .await
        .step(format!("opening a UDP socket to {to}"))?;
    if let Some(peer) = socket.peer_addr() {
        say(&format!("UDP to {peer}; that says nothing of who is there"));
    }
    if let Some(local) = socket.local_addr() {
        say(&format!("our own address is {local}"));
    }
    let mut input = Lines::new();
    let mut output = Output::new();
    let mut buf = vec![0; LONGEST];
    let mut open = true;
    loop {
        tokio::select! {
            line = input.next(), if open => match line? {
                Some(line) => socket.send(line, None).await.step(format!("sending to {to}"))?,
                None => open = false,
            },
            datagram = socket.recv(&mut buf) => {
                let datagram = datagram.step(format!("receiving from {to}"))?;
                output.datagram(&buf[..datagram.len]).await?;
            }
            () = time::sleep(LAST_ANSWER), if !open => return Ok(()),
        }
    }
}

/// Receives from anyone, and answers whoever was heard last.
pub(crate) async fn listen(network: &AnyNetwork, at: SocketAddr) -> Result<(), Failure> {
    let mut socket = network
        .open_bound(at, &UdpOptions::default())
        .await
        .step(format!("opening a UDP socket at {at}"))?;
    let at = socket.local_addr().unwrap_or(at);
    tell(format_args!("listening at {at} (UDP)"));
    let mut input = Lines::new();
    let mut output = Output::new();
    let mut buf = vec![0; LONGEST];
    let mut open = true;
    let mut peer = None;
    loop {
        tokio::select! {
            // Until somebody is there, the input waits.
            line = input.next(), if open && peer.is_some() => match line? {
                Some(line) => socket.send(line, peer).await.step("sending")?,
                None => open = false,
            },
            datagram = socket.recv(&mut buf) => {
                let datagram = datagram.step("receiving")?;
                if let Some(from) = datagram.from.filter(|from| peer != Some(*from)) {
                    tell(format_args!("datagrams from {from}"));
                    peer = Some(from);
                }
                output.datagram(&buf[..datagram.len]).await?;
            }
        }
    }
}

/// The lines of standard input, with their ends.
struct Lines {
    input: BufReader<Stdin>,
    line: Vec<u8>,
    given: bool,
}

impl Lines {
    fn new() -> Self {
        Self {
            input: BufReader::new(tokio::io::stdin()),
            line: Vec::new(),
            given: false,
        }
    }

    /// The next line. Dropping the future loses nothing: what was read of a line stays here.
    async fn next(&mut self) -> Result<Option<&[u8]>, Failure> {
        if self.given {
            self.line.clear();
            self.given = false;
        }
        self.input
            .read_until(b'\n', &mut self.line)
            .await
            .step("reading standard input")?;
        self.given = true;
        Ok(Some(self.line.as_slice()).filter(|line| !line.is_empty()))
    }
}

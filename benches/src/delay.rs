//! A line of some length: a proxy that hands on what it gets half a round trip later, whoever speaks.
//!
//! It adds no bound of its own: what is sent at once arrives at once. Threads that sleep are nearer to the
//! mark than a runtime's timers, which count in milliseconds.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;

const CHUNK: usize = 64 * 1024;
/// How many chunks are on the way at most.
const ON_THE_WAY: usize = 1024;

/// Where to connect to reach a server over a line of this round trip; it lasts as long as the process. The
/// connection itself is made without delay.
pub(crate) fn line(to: SocketAddr, round_trip: Duration) -> Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let at = listener.local_addr()?;
    thread::spawn(move || {
        for near in listener.incoming().flatten() {
            // A connection that fails ends here; the client notices.
            let _ = join(near, to, round_trip / 2);
        }
    });
    Ok(at)
}

fn join(near: TcpStream, to: SocketAddr, half: Duration) -> Result<()> {
    let far = TcpStream::connect(to)?;
    near.set_nodelay(true)?;
    far.set_nodelay(true)?;
    carry(near.try_clone()?, far.try_clone()?, half);
    carry(far, near, half);
    Ok(())
}

fn carry(mut from: TcpStream, mut to: TcpStream, half: Duration) {
    let (depart, arrive) = mpsc::sync_channel::<(Instant, Vec<u8>)>(ON_THE_WAY);
    thread::spawn(move || {
        let mut buffer = vec![0; CHUNK];
        // What is empty is the end.
        while let Ok(count) = from.read(&mut buffer) {
            let chunk = buffer[..count].to_vec();
            if depart.send((Instant::now() + half, chunk)).is_err() || count == 0 {
                return;
            }
        }
    });
    thread::spawn(move || {
        while let Ok((due, chunk)) = arrive.recv() {
            thread::sleep(due.saturating_duration_since(Instant::now()));
            if chunk.is_empty() || to.write_all(&chunk).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Write);
    });
}

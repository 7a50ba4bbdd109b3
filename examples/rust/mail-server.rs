//! Runs a small mail server, for demos and tests: IMAP and submission over one store in memory, without
//! TLS, on this machine only. What Ada sends to Grace or to herself arrives; nothing leaves.
//!
//! ```console
//! cargo run --example mail-server                 # at ports that are free
//! cargo run --example mail-server -- 1143 1587    # at these; it ends with its input (Ctrl-D)
//! ```

#![expect(clippy::print_stdout, reason = "it is there to be watched")]

use std::error::Error;
use std::io::Read;
use std::net::Ipv4Addr;

use jackfield::mail_server::{Config, Store, serve_imap, serve_submission};
use jackfield::native::Native;
use jackfield::socket::{ListenOptions, TcpListen, TcpListener};

const WELCOME: &str = "\
From: Grace <grace@jackfield.example>
To: Ada <ada@jackfield.example>
Subject: Lunch?

At one, as always.
";

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let ports = std::env::args().skip(1).map(|port| port.parse::<u16>());
    let ports: Vec<u16> = ports.collect::<Result<_, _>>()?;
    let port = |at: usize| ports.get(at).copied().unwrap_or_default();

    let store = Store::new(Config::default());
    let users = [("ada", "lovelace"), ("grace", "hopper")];
    for (user, password) in users {
        store.add_user(user, password)?;
    }
    store.add_message("ada", "INBOX", WELCOME, &[])?;

    let (here, options) = (Ipv4Addr::LOCALHOST, ListenOptions::default());
    let imap = Native.listen((here, port(0)).into(), &options).await?;
    let submission = Native.listen((here, port(1)).into(), &options).await?;
    for (what, listener) in [("IMAP", &imap), ("submission", &submission)] {
        let address = listener.local_addr().ok_or("it listens nowhere")?;
        println!("{what} at {address}, without TLS");
    }
    for (user, password) in users {
        println!("{user}@jackfield.example, password {password}");
    }
    // TLS would stand around the listeners: `TlsListener::new(imap, acceptor)`.
    tokio::spawn(serve_imap(imap, store.clone()));
    tokio::spawn(serve_submission(submission, store));
    tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new())).await??;
    Ok(())
}

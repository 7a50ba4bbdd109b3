//! Asks a lamp what it offers, and switches it on.
//!
//! ```console
//! cargo run --example coap                             # a lamp in this process
//! cargo run --example coap -- 192.168.1.20:5683 /light # one of yours
//! ```

#![expect(clippy::print_stdout, reason = "it is there to be watched")]

use std::error::Error;
use std::sync::{Arc, Mutex};

use jackfield::coap::client::{self, ClientConfig};
use jackfield::coap::codec::ContentFormat;
use jackfield::coap::server::{Reply, Resource, ServerConfig, Site, serve_udp};
use jackfield::native::Native;
use jackfield::socket::{DatagramSocket, Endpoint, UdpOpen, UdpOptions};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let server = match arguments.next() {
        Some(server) => server.parse()?,
        None => start_lamp().await?,
    };
    let path = arguments.next().unwrap_or_else(|| "/lamp".into());

    // Nothing happens until somebody runs the connection: here, a task of its own. The events tell
    // of the connection; whoever does not want them, drops them.
    let (client, _, connection) = client::connect(Native, server, ClientConfig::default());
    tokio::spawn(connection);

    for link in &client.discover(None).await? {
        println!("offers {}", link.target());
    }
    let state = client.get(&*path).await?;
    println!("{path} is {}", state.text().unwrap_or("no text"));
    client.put(&*path, "on", ContentFormat::TEXT_PLAIN).await?;
    let state = client.get(&*path).await?;
    println!("{path} is {}", state.text().unwrap_or("no text"));

    client.close().await;
    Ok(())
}

/// Starts a lamp in this process, at a free port.
async fn start_lamp() -> Result<Endpoint, Box<dyn Error>> {
    let is_on = Arc::new(Mutex::new(false));
    let read = Arc::clone(&is_on);
    let lamp = Resource::new()
        .get(move |_| {
            let state = if *read.lock().unwrap() { "on" } else { "off" };
            Reply::content(state, ContentFormat::TEXT_PLAIN)
        })
        .put(move |request| {
            *is_on.lock().unwrap() = request.payload == b"on";
            Reply::changed()
        });
    let site = Site::new(ServerConfig::default());
    site.add("/lamp", lamp)?;

    let at = "127.0.0.1:0".parse()?;
    let socket = Native.open_bound(at, &UdpOptions::default()).await?;
    let address = socket.local_addr().ok_or("the socket has no address")?;
    tokio::spawn(serve_udp(socket, site));
    Ok(address.into())
}

//! Serving over sockets and connections.

use jackfield_socket::driver::{DatagramDriver, Driver};
use jackfield_socket::time::Instant;
use jackfield_socket::{ByteStream, DatagramSocket, Error, ErrorKind, TcpListener, time};

use super::service::Service;
use super::site::Site;
use crate::client::SecurityContext;
use crate::client::security::Stores;
use crate::core::{Config, DatagramLayer, Session, SessionEvent, StreamLayer};

/// Serves a site over a UDP socket until that fails, and returns why it did.
///
/// # Cancel safety
/// Dropping the future closes the socket.
pub async fn serve_udp<S: DatagramSocket>(socket: S, site: Site) -> Error {
    let session = Session::new(layer(&site), Config::default()).serving();
    serve_datagrams(socket, site, session, Stores::default()).await
}

/// The same for clients that share one of these OSCORE contexts, each its own: what is not protected
/// is refused with 4.01 (Unauthorized).
///
/// # Cancel safety
/// As [`serve_udp`].
pub async fn serve_udp_protected<S: DatagramSocket>(
    socket: S,
    site: Site,
    contexts: Vec<SecurityContext>,
) -> Error {
    let (contexts, stores) = Stores::of(contexts);
    let session = Session::new(layer(&site), Config::default()).serving_protected(contexts);
    serve_datagrams(socket, site, session, stores).await
}

fn layer(site: &Site) -> DatagramLayer {
    let seed = site.config.seed.or_else(|| getrandom::u64().ok());
    let (config, limits) = (site.config.datagrams.clone(), site.config.limits);
    DatagramLayer::new(config, limits, seed.unwrap_or_default())
}

async fn serve_datagrams<S: DatagramSocket>(
    socket: S,
    site: Site,
    session: Session<DatagramLayer>,
    mut stores: Stores,
) -> Error {
    let mut driver = DatagramDriver::new(socket, session);
    let mut changes = site.watch();
    let mut service = Service::new(site);
    loop {
        tokio::select! {
            biased;
            () = deadline(service.deadline()) => {
                service.handle_deadline(driver.core_mut(), time::now());
            }
            _ = changes.changed() => service.changed(driver.core_mut(), time::now()),
            event = driver.next() => match event {
                // Notifications need sequence numbers, where OSCORE protects them.
                Ok(Some(SessionEvent::Store(id, changes))) => {
                    stores.commit(driver.core_mut(), id, changes).await;
                }
                Ok(Some(event)) => service.take(driver.core_mut(), event, time::now()),
                Ok(None) => return Error::new(ErrorKind::Closed, "the server has ended"),
                Err(error) => {
                    return Error::new(ErrorKind::Other, format!("the socket failed: {error}"));
                }
            },
        }
    }
}

/// Serves a site over the connections that a listener accepts (RFC 8323), until that fails and those
/// that are open are over, and returns why it failed. With TLS where the listener brings it.
///
/// # Cancel safety
/// Dropping the future closes the listener and every connection.
pub async fn serve_tcp<L: TcpListener>(listener: L, site: Site) -> Error {
    let max_connections = site.config.max_connections;
    let attend = move |stream| attend(stream, site.clone());
    jackfield_socket::serve(listener, max_connections, attend)
        .await
        .expect_err("nothing but an error ends it")
}

/// One connection, from its beginning to its end.
async fn attend<S: ByteStream>(stream: S, site: Site) {
    let layer = StreamLayer::new(time::now(), site.config.streams.clone());
    let session = Session::new(layer, Config::default()).serving();
    let mut driver = Driver::new(stream, session);
    let mut changes = site.watch();
    let mut service = Service::new(site);
    loop {
        tokio::select! {
            biased;
            () = deadline(service.deadline()) => {
                service.handle_deadline(driver.core_mut(), time::now());
            }
            _ = changes.changed() => service.changed(driver.core_mut(), time::now()),
            event = driver.next() => match event {
                Ok(Some(event)) => service.take(driver.core_mut(), event, time::now()),
                Ok(None) | Err(_) => return,
            },
        }
    }
}

async fn deadline(at: Option<Instant>) {
    match at {
        Some(at) => time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

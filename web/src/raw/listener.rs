//! One socket that takes connections, or one that is being opened.

use std::net::SocketAddr;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use jackfield_socket::{
    AnyListener, AnyStream, Error, ErrorKind, ListenOptions, Result, TcpListen as _,
    TcpListener as _,
};
use js_sys::Object;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use super::RawStream;
use super::datagram::{ip_address, tell};
use super::phase::{Outcome, Shared};
use super::stream::buffer_size;
use crate::Network;
use crate::convert::{Options, socket_error};

/// A listening socket of a page's own. Dropping it stops listening; what was accepted lives on.
#[derive(Debug)]
#[wasm_bindgen]
pub struct RawListener {
    shared: Rc<Shared<AnyListener>>,
}

#[wasm_bindgen]
impl Network {
    /// Listens at an address; port 0 takes a free one.
    ///
    /// # Errors
    /// A `JackfieldError`, for an address or an option that can't be right, and where there is no network.
    pub fn listen(&self, host: &str, port: u16, options: &JsValue) -> Outcome<RawListener> {
        let start = || {
            let options = Options(options);
            let at = SocketAddr::new(ip_address(host)?, port);
            let mut listen = ListenOptions::default();
            listen.backlog = buffer_size(&options, "backlog")?;
            listen.v6_only = options.flag("ipv6Only")?;
            Ok((self.sockets()?, at, listen))
        };
        let (network, at, options) = start().map_err(|error: Error| socket_error(&error))?;
        let shared = Shared::opening(async move {
            let listener = network.listen(at, &options).await;
            listener.map_err(|error| socket_error(&error))
        });
        Ok(RawListener { shared })
    }
}

#[wasm_bindgen(wasm_bindgen_futures = crate::promise)]
impl RawListener {
    /// Waits until it listens; tells where.
    ///
    /// # Errors
    /// A `JackfieldError`: why it can't listen.
    pub async fn opened(&self) -> Outcome<Object> {
        let describe = |listener: &mut AnyListener, _: &mut Context<'_>| {
            let info = Object::new();
            tell(&info, ["localAddress", "localPort"], listener.local_addr());
            Poll::Ready(Ok::<_, Error>(info))
        };
        self.shared.polled(describe).await
    }

    /// The next connection.
    ///
    /// # Errors
    /// A `JackfieldError`, where it listens no more.
    pub async fn accept(&self) -> Outcome<RawStream> {
        let accepted = self.shared.polled(poll_accept).await?;
        Ok(RawStream::accepted(accepted))
    }

    /// Stops listening. Whoever accepts fails.
    pub fn close(&self) {
        let reason = Error::new(ErrorKind::Closed, "the listening socket is closed");
        self.shared.end(socket_error(&reason));
    }
}

fn poll_accept(listener: &mut AnyListener, cx: &mut Context<'_>) -> Poll<Result<AnyStream>> {
    loop {
        match ready!(listener.poll_accept(cx)) {
            // One connection was lost before it was taken.
            Err(error) if error.kind() == ErrorKind::Reset => {}
            accepted => return Poll::Ready(accepted),
        }
    }
}

//! Passed sockets: those that listen already when the relay starts.
//!
//! A service manager that keeps the listening sockets (systemd, with a `.socket` unit) passes them to
//! one relay after the other. Who comes while none runs waits in the system's queue, so that a restart
//! refuses nobody. The configuration says the same with them and without: each address that it names is
//! listened at, and that must be true of what was passed, too.

use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};

use tokio::net::TcpListener;

use crate::config::Places;

/// What was passed, and nobody has taken yet.
#[derive(Debug)]
pub(crate) struct Passed {
    left: Vec<(SocketAddr, StdListener)>,
    /// Whether there was anything.
    any: bool,
}

impl Passed {
    /// # Errors
    /// Where one isn't a TCP socket that has an address.
    pub(crate) fn new(listeners: Vec<StdListener>) -> io::Result<Self> {
        let with_address = |listener: StdListener| match listener.local_addr() {
            Ok(address) => Ok((address, listener)),
            Err(error) => Err(invalid(format!(
                "a socket was passed that has no address of TCP: {error}"
            ))),
        };
        let left = listeners.into_iter().map(with_address);
        let left = left.collect::<io::Result<Vec<_>>>()?;
        Ok(Self {
            any: !left.is_empty(),
            left,
        })
    }

    /// What listens for WebSockets at these addresses: all of it was passed, or none.
    ///
    /// # Errors
    /// Where one wasn't passed among others, or can't be listened at; the text says where it stands.
    ///
    /// # Cancel safety
    /// Dropping the future closes what it has opened.
    pub(crate) async fn clients(
        &mut self,
        addresses: &[SocketAddr],
        places: &Places,
    ) -> io::Result<Vec<TcpListener>> {
        let mut listeners = Vec::new();
        for (index, address) in addresses.iter().enumerate() {
            if let Some(listener) = self.take(address)? {
                listeners.push(listener);
            } else if self.any {
                let place = places.listen(index);
                let text = format!("{place}sockets were passed, and none listens at {address}");
                return Err(invalid(text));
            } else {
                let place = places.listen(index);
                listeners.push(
                    listen(address)
                        .await
                        .map_err(|error| io::Error::new(error.kind(), format!("{place}{error}")))?,
                );
            }
        }
        Ok(listeners)
    }

    /// What listens at an address for health or metrics, whether it was passed or not.
    ///
    /// # Errors
    /// Where it can't be had.
    ///
    /// # Cancel safety
    /// Dropping the future closes what it has opened.
    pub(crate) async fn lane(&mut self, address: &SocketAddr) -> io::Result<TcpListener> {
        match self.take(address)? {
            Some(listener) => Ok(listener),
            None => listen(address).await,
        }
    }

    /// Nothing may be left: who comes there would wait for ever.
    ///
    /// # Errors
    /// Names the address of what is left.
    pub(crate) fn finish(self, places: &Places) -> io::Result<()> {
        match self.left.first() {
            None => Ok(()),
            Some((address, _)) => {
                let place = places.listen(0);
                let text = "the configuration doesn't name it in `listen`, `health` or `metrics`";
                Err(invalid(format!(
                    "{place}a socket was passed that listens at {address}, and {text}"
                )))
            }
        }
    }

    fn take(&mut self, address: &SocketAddr) -> io::Result<Option<TcpListener>> {
        let Some(at) = self.left.iter().position(|(passed, _)| passed == address) else {
            return Ok(None);
        };
        let (_, listener) = self.left.swap_remove(at);
        listener.set_nonblocking(true)?;
        TcpListener::from_std(listener).map(Some)
    }
}

async fn listen(address: &SocketAddr) -> io::Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| {
        io::Error::new(error.kind(), format!("can't listen at {address}: {error}"))
    })
}

fn invalid(text: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, text)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::{Config, Relayd};

    fn passed(count: usize) -> (Vec<StdListener>, Vec<SocketAddr>) {
        let listener = || StdListener::bind("127.0.0.1:0").expect("a free port");
        let listeners: Vec<_> = std::iter::repeat_with(listener).take(count).collect();
        let address = |listener: &StdListener| listener.local_addr().expect("bound");
        let addresses = listeners.iter().map(address).collect();
        (listeners, addresses)
    }

    #[tokio::test]
    async fn passed_sockets_are_taken_by_their_addresses() {
        let (mut listeners, at) = passed(3);
        listeners.rotate_left(1);
        let config = Config {
            listen: vec![at[2], at[0]],
            health: Some(at[1]),
            ..Config::default()
        };
        let relay = Relayd::bind_with(config, listeners).await.expect("taken");
        assert_eq!(relay.local_addrs(), [at[2], at[0]]);
        assert_eq!(relay.health_addr(), Some(at[1]));
    }

    #[tokio::test]
    async fn sockets_that_do_not_match_are_refused_with_file_and_line() {
        let refused = async |listeners, text: &str| {
            let config = Config::parse(text, Path::new("relayd.toml")).expect(text);
            let error = Relayd::bind_with(config, listeners).await;
            error.expect_err(text).to_string()
        };
        let (listeners, at) = passed(1);
        let text = format!("listen = [\n  '{}',\n  '127.0.0.1:0',\n]", at[0]);
        let error = refused(listeners, &text).await;
        let expected =
            "relayd.toml:3: listen[1]: sockets were passed, and none listens at 127.0.0.1:0";
        assert_eq!(error, expected);

        let (listeners, at) = passed(2);
        let error = refused(listeners, &format!("\nlisten = ['{}']", at[1])).await;
        let left = at[0];
        let expected =
            format!("relayd.toml:2: listen[0]: a socket was passed that listens at {left}, and");
        assert!(error.starts_with(&expected), "{error}");
    }
}

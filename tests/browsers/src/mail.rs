//! The embedded mail server, with TLS.

use std::net::SocketAddr;

use jackfield_browser_suite::mail::{PASSWORD, USER};
use jackfield_mail_server::{Config, Store, serve_imap, serve_submission};
use jackfield_native::{Native, NativeListener};
use jackfield_socket::{ListenOptions, TcpListen as _, TcpListener as _};
use jackfield_testing::certs::{Authority, Certificate};
use jackfield_tls::{Identity, TlsAcceptor, TlsListener, TlsServerConfig};
use tokio::task::JoinHandle;

/// A running server with one user. Dropping it stops it.
#[derive(Debug)]
pub struct MailServer {
    /// Where IMAP is.
    pub imap: SocketAddr,
    /// Where submission is.
    pub submission: SocketAddr,
    /// The root to trust, as PEM.
    pub root: String,
    store: Store,
    tasks: [JoinHandle<jackfield_socket::Error>; 2],
}

impl MailServer {
    /// Starts one, with an empty store.
    ///
    /// # Panics
    /// Where it can't be started.
    pub async fn start() -> Self {
        let authority = Authority::new();
        let mut server = Self::start_with(&authority.server(&["127.0.0.1"])).await;
        authority.pem().clone_into(&mut server.root);
        server
    }

    /// The same with this certificate, of whose root it knows nothing.
    ///
    /// # Panics
    /// As [`start`](Self::start).
    pub async fn start_with(certificate: &Certificate) -> Self {
        let (chain, key) = (certificate.pem(), certificate.key_pem());
        let listen = async || {
            let identity = Identity::from_pem(chain.as_bytes(), key.as_bytes());
            let config = TlsServerConfig::new(identity.expect("a certificate"));
            let acceptor = TlsAcceptor::new(config).expect("a configuration");
            let at = SocketAddr::from(([127, 0, 0, 1], 0));
            let listener = Native.listen(at, &ListenOptions::default()).await;
            let listener: NativeListener = listener.expect("a free port");
            let address = listener.local_addr().expect("its address");
            (address, TlsListener::new(listener, acceptor))
        };
        let (imap, imap_listener) = listen().await;
        let (submission, submission_listener) = listen().await;
        let store = Store::new(Config::default());
        store.add_user(USER, PASSWORD).expect("the first user");
        let tasks = [
            tokio::spawn(serve_imap(imap_listener, store.clone())),
            tokio::spawn(serve_submission(submission_listener, store.clone())),
        ];
        Self {
            imap,
            submission,
            root: String::new(),
            store,
            tasks,
        }
    }

    /// Puts a message into the user's INBOX.
    ///
    /// # Panics
    /// Where the store has no room.
    pub fn deliver(&self, message: &str) {
        let delivered = self.store.add_message(USER, "INBOX", message, &[]);
        delivered.expect("room");
    }
}

impl Drop for MailServer {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

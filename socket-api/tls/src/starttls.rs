//! TLS after a dialogue in plaintext (STARTTLS), for every stream of a network.

use jackfield_socket::{
    ByteStream, Endpoint, Error, Host, Opening, Result, TcpConnect, TcpOptions, opening,
};

use crate::{TlsConnector, TlsStream};

/// A network on which every stream begins in plaintext and is secured before it is handed on.
///
/// The opening is the protocol's own dialogue up to the server's go-ahead for TLS; each stream gets
/// a clone of it. Afterwards the server must prove to be the host of the endpoint that was asked
/// for, as with [`Tls`](crate::Tls). No stream is ever handed on in plaintext: a server that
/// doesn't offer TLS, or says no, is an error of kind
/// [`TlsRefused`](jackfield_socket::ErrorKind::TlsRefused).
///
/// **No greeting comes on such a stream.** It was said in plaintext, where anybody could have said
/// it, and is forgotten with all else that was said there, such as the server's capabilities: the
/// protocol goes on after TLS as its RFC has it, by asking again.
///
/// ```
/// use jackfield_socket::opening::{Dialogue, Lines, Turn, refused};
/// use jackfield_socket::{Endpoint, Result, TcpConnect, TcpOptions};
/// use jackfield_tls::{StartTls, TlsConnector};
///
/// /// POP3 (RFC 2595, section 4).
/// #[derive(Clone, Debug, Default)]
/// struct Pop3 {
///     greeted: bool,
/// }
///
/// impl Dialogue for Pop3 {
///     fn line(&mut self, line: &str) -> Result<Turn> {
///         match (line.starts_with("+OK"), self.greeted) {
///             (true, false) => {
///                 self.greeted = true;
///                 Ok(Turn::Ask("STLS\r\n".into()))
///             }
///             (true, true) => Ok(Turn::GoAhead),
///             (false, _) => Err(refused("said", line)),
///         }
///     }
/// }
///
/// async fn mailbox(network: impl TcpConnect, tls: TlsConnector) -> Result<()> {
///     let network = StartTls::new(network, tls, Lines::new(Pop3::default()));
///     let server: Endpoint = "pop.example.org:110".parse()?;
///     let stream = network.connect(&server, &TcpOptions::default()).await?;
///     // Secured; what is said next is CAPA or USER.
///     # drop(stream);
///     Ok(())
/// }
/// # fn main() {}
/// ```
#[derive(Clone, Debug)]
pub struct StartTls<N, O> {
    network: N,
    connector: TlsConnector,
    opening: O,
}

impl<N, O> StartTls<N, O> {
    /// TLS over this network, after this opening.
    pub fn new(network: N, connector: TlsConnector, opening: O) -> Self {
        Self {
            network,
            connector,
            opening,
        }
    }
}

impl<N, O> TcpConnect for StartTls<N, O>
where
    N: TcpConnect,
    O: Opening + Clone + Sync + 'static,
{
    type Stream = TlsStream<N::Stream>;

    async fn connect(&self, to: &Endpoint, options: &TcpOptions) -> Result<Self::Stream> {
        let stream = self.network.connect(to, options).await?;
        let mut opening = self.opening.clone();
        self.connector.start(stream, &mut opening, to.host()).await
    }
}

impl TlsConnector {
    /// Speaks a protocol's opening, and secures the stream at the server's go-ahead: what
    /// [`StartTls`] does for each stream of a network.
    ///
    /// # Errors
    /// As [`opening::speak`], then as [`connect`](Self::connect).
    ///
    /// # Cancel safety
    /// Dropping the future closes the stream. It sets no deadline of its own.
    pub async fn start<S, O>(
        &self,
        mut stream: S,
        opening: &mut O,
        server: &Host,
    ) -> Result<TlsStream<S>>
    where
        S: ByteStream,
        O: Opening + ?Sized,
    {
        if let Err(error) = opening::speak(&mut stream, opening).await {
            return Err(asking(server, &error));
        }
        self.connect(stream, server).await
    }
}

/// What failed in plaintext, with whom.
fn asking(server: &Host, error: &Error) -> Error {
    error.retold(format!("asking {server} for TLS: {error}"))
}

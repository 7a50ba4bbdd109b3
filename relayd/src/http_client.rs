//! HTTP client: one request to a server that the configuration names, and its answer.
//!
//! A connection for each request, by HTTP/1.1: what is asked so seldom needs none between. The server is
//! trusted with what it is asked for, but not with the relay's memory or time: whoever reads an answer says
//! how much of it, and sets a deadline of his own.

use std::fmt;
use std::future::poll_fn;
use std::net::IpAddr;
use std::pin::{Pin, pin};

use hyper::body::{Body as _, Incoming};
use hyper::client::conn::http1;
use hyper::header::{HOST, USER_AGENT};
use hyper::http::request;
use hyper::{HeaderMap, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use jackfield_native::NativeStream;
use jackfield_socket::{Endpoint, Host};
use jackfield_tls::{Certificates, TlsConfig, TlsConnector};
use tokio::io::{AsyncRead, AsyncWrite};

/// The most bytes of an answer's head.
const MAX_HEAD: usize = 64 * 1024;

/// What is asked for at a server: a URL that the configuration has, and how the server is verified.
#[derive(Clone)]
pub(crate) struct Resource {
    url: String,
    server: Endpoint,
    /// The server as the URL has it: what `Host` says (RFC 9110, section 7.2), so that it is the same as in a
    /// URL that is signed.
    authority: String,
    /// What is asked for there.
    path: String,
    roots: Option<String>,
    /// None for plain `http`.
    tls: Option<TlsConfig>,
}

/// An answer, whose head is there.
pub(crate) struct Answer {
    response: Response<Incoming>,
    connection: Connection,
}

/// What moves the bytes while an answer is waited for; `None` when it is over.
struct Connection(Option<Pin<Box<dyn Future<Output = ()> + Send>>>);

impl Resource {
    /// An `https` URL, whose server is verified against these roots in PEM, or against those that the system
    /// trusts.
    ///
    /// # Errors
    /// Where that is no such URL, or names a user or a fragment, or the roots can't be used.
    pub(crate) fn secure(url: &str, roots: Option<&str>) -> Result<Self, String> {
        let rest = url
            .strip_prefix("https://")
            .ok_or("it begins with https://")?;
        let mut tls = TlsConfig::new().with_alpn(["http/1.1"]);
        if let Some(roots) = roots {
            let roots = Certificates::from_pem(roots.as_bytes()).map_err(|e| e.to_string())?;
            tls = tls.with_roots(roots);
            TlsConnector::new(tls.clone()).map_err(|error| error.to_string())?;
        }
        let mut resource = Self::new(url, rest, 443)?;
        resource.roots = roots.map(str::to_owned);
        resource.tls = Some(tls);
        Ok(resource)
    }

    /// The same, or a plain `http` URL of this machine or a private network: by its address, since a name
    /// might lead anywhere.
    ///
    /// # Errors
    /// As [`secure`](Self::secure), and where plain `http` would go further.
    pub(crate) fn secure_or_near(url: &str, roots: Option<&str>) -> Result<Self, String> {
        let Some(rest) = url.strip_prefix("http://") else {
            return Self::secure(url, roots)
                .map_err(|why| why.replace("https://", "https:// or http://"));
        };
        if roots.is_some() {
            return Err("http:// has nobody to verify by roots".into());
        }
        let resource = Self::new(url, rest, 80)?;
        match resource.server.host() {
            Host::Ip(ip) if is_near(ip.to_canonical()) => Ok(resource),
            _ => Err(
                "plain http:// goes to a loopback or private address only: use https://, or the \
                 server's address in resource of its name"
                    .into(),
            ),
        }
    }

    fn new(url: &str, rest: &str, port: u16) -> Result<Self, String> {
        let at = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(at);
        let plain = |byte: u8| byte.is_ascii_graphic() && byte != b'#';
        if authority.contains('@') || !url.bytes().all(plain) {
            return Err("it has no user, no fragment, and ASCII characters only".into());
        }
        let server = authority
            .parse::<Endpoint>()
            .or_else(|_| format!("{authority}:{port}").parse())
            .map_err(|_| format!("{authority:?} is not a host"))?;
        Ok(Self {
            url: url.to_owned(),
            server,
            authority: authority.to_owned(),
            path: match path {
                "" => "/".to_owned(),
                query if query.starts_with('?') => format!("/{query}"),
                path => path.to_owned(),
            },
            roots: None,
            tls: None,
        })
    }

    /// The URL as it was given.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Whom to connect to.
    pub(crate) fn server(&self) -> &Endpoint {
        &self.server
    }

    /// Asks over this connection to the [server](Self::server), and waits for the answer's head.
    ///
    /// # Errors
    /// Where the server isn't who it should be, or doesn't answer in HTTP/1.1.
    ///
    /// # Cancel safety
    /// Dropping the future, or what comes of it, closes the connection.
    pub(crate) async fn exchange(
        &self,
        stream: NativeStream,
        request: request::Builder,
        body: String,
    ) -> Result<Answer, String> {
        let agent = concat!("jackfield-relayd/", env!("CARGO_PKG_VERSION"));
        let request = request
            .uri(&self.path)
            .header(HOST, &self.authority)
            .header(USER_AGENT, agent)
            .body(body)
            .map_err(|error| error.to_string())?;
        match &self.tls {
            None => exchange_over(stream, request).await,
            // The system's roots are read anew.
            Some(tls) => {
                let tls = TlsConnector::new(tls.clone()).map_err(|error| error.to_string())?;
                let stream = tls.connect(stream, self.server.host()).await;
                exchange_over(stream.map_err(|error| error.to_string())?, request).await
            }
        }
    }
}

impl PartialEq for Resource {
    /// Whether the same is asked of the same server.
    fn eq(&self, other: &Self) -> bool {
        (&self.url, &self.roots) == (&other.url, &other.roots)
    }
}

impl Eq for Resource {}

impl fmt::Debug for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What stands behind it may be a secret.
        f.debug_tuple("Resource").field(&self.server).finish()
    }
}

impl Answer {
    pub(crate) fn status(&self) -> StatusCode {
        self.response.status()
    }

    pub(crate) fn headers(&self) -> &HeaderMap {
        self.response.headers()
    }

    /// The body, as far as it has come when it is longer than this; then `false` stands beside it.
    ///
    /// # Errors
    /// Where it is cut, or isn't framed as HTTP/1.1 has it.
    pub(crate) async fn read(self, max: usize) -> Result<(Vec<u8>, bool), String> {
        let mut connection = self.connection;
        let mut body = self.response.into_body();
        let read = async {
            let mut all = Vec::new();
            while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
                let frame = frame.map_err(|error| error.to_string())?;
                let Ok(data) = frame.into_data() else {
                    continue;
                };
                let room = max - all.len();
                if data.len() > room {
                    all.extend_from_slice(&data[..room]);
                    return Ok((all, false));
                }
                all.extend_from_slice(&data);
            }
            Ok((all, true))
        };
        connection.beside(read).await
    }
}

async fn exchange_over<S>(stream: S, request: Request<String>) -> Result<Answer, String>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(MAX_HEAD)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|error| error.to_string())?;
    let mut connection = Connection(Some(Box::pin(async {
        // How it ends, the exchange knows.
        let _ = connection.await;
    })));
    let response = connection.beside(sender.send_request(request)).await;
    Ok(Answer {
        response: response.map_err(|error| error.to_string())?,
        connection,
    })
}

impl Connection {
    /// Moves what the exchange waits for; when the connection ends first, the exchange knows how.
    async fn beside<T>(&mut self, exchange: impl Future<Output = T>) -> T {
        let mut exchange = pin!(exchange);
        if let Some(connection) = &mut self.0 {
            tokio::select! {
                biased;
                done = &mut exchange => return done,
                () = connection => {}
            }
            self.0 = None;
        }
        exchange.await
    }
}

/// Whether an address is of this machine, or of a private network.
pub(crate) fn is_near(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_loopback() || ip.is_private(),
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unique_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_says_where_to_ask_and_for_what() {
        for (url, server, path) in [
            ("https://id.example", "id.example:443", "/"),
            ("https://id.example/keys", "id.example:443", "/keys"),
            (
                "https://id.example:8443/a/b?c=d",
                "id.example:8443",
                "/a/b?c=d",
            ),
            ("https://id.example?c", "id.example:443", "/?c"),
            ("https://127.0.0.1:1/", "127.0.0.1:1", "/"),
            ("https://[::1]/", "[::1]:443", "/"),
        ] {
            let resource = Resource::secure(url, Some(&root())).expect(url);
            assert_eq!(
                (&*resource.server.to_string(), &*resource.path),
                (server, path)
            );
            assert!(url["https://".len()..].starts_with(&resource.authority));
            assert_eq!(resource.authority.contains(":443"), url.contains(":443"));
        }
        for wrong in [
            "http://id.example/",
            "id.example",
            "https://",
            "https:///keys",
            "https://a@id.example/",
            "https://id.example/#a",
            "https://id.example/a b",
            "https://id.example/\r\nHost: x",
            "https://id.example:70000/",
        ] {
            assert!(Resource::secure(wrong, Some(&root())).is_err(), "{wrong}");
        }
        assert!(Resource::secure("https://id.example/", Some("no PEM")).is_err());
    }

    #[test]
    fn plain_http_stays_near() {
        for (url, server) in [
            ("http://127.0.0.1:9000/decide", "127.0.0.1:9000"),
            ("http://10.1.2.3", "10.1.2.3:80"),
            ("http://192.168.0.1/?a", "192.168.0.1:80"),
            ("http://[::1]/", "[::1]:80"),
            ("http://[fd00::1]:81/", "[fd00::1]:81"),
            ("https://id.example/", "id.example:443"),
        ] {
            let resource = Resource::secure_or_near(url, None).expect(url);
            assert_eq!(resource.server.to_string(), server);
        }
        for far in [
            "http://8.8.8.8/",
            "http://[2001:db8::1]/",
            "http://id.example/",
            "http://localhost:9000/",
            "http://0.0.0.0/",
            "http://169.254.169.254/",
            "http://[::ffff:8.8.8.8]/",
            "http://a@127.0.0.1/",
            "ftp://127.0.0.1/",
        ] {
            assert!(Resource::secure_or_near(far, None).is_err(), "{far}");
        }
        assert!(Resource::secure_or_near("http://127.0.0.1/", Some(&root())).is_err());
    }

    #[test]
    fn what_is_shown_of_a_resource_is_no_secret() {
        let resource =
            Resource::secure_or_near("http://127.0.0.1/?key=hidden", None).expect("near");
        assert!(!format!("{resource:?}").contains("hidden"), "{resource:?}");
    }

    fn root() -> String {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("made");
        made.cert.pem()
    }
}

//! Requests to the certificate authority, each with a bound of its memory and time.

use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use hyper::body::Body as _;
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use hyper::{Method, Request, Response, Uri};
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient};
use jackfield_native::Native;
use jackfield_socket::{TcpConnect as _, TcpOptions};
use serde_json::Value;
use tokio::time::timeout;

use super::AcmeConfig;
use crate::http_client::Resource;

/// How long a request may take, all in all.
const DEADLINE: Duration = Duration::from_secs(30);
/// The most bytes of an answer; a chain has some ten thousand.
const MAX_BYTES: usize = 256 * 1024;
/// The most digits of `Retry-After`: with more it is no time that anybody would wait.
const MAX_RETRY_DIGITS: usize = 6;

/// What the ACME library asks with.
pub(super) struct Client {
    roots: Option<String>,
}

impl Client {
    pub(super) fn new(config: &AcmeConfig) -> Self {
        Self {
            roots: config.roots.clone(),
        }
    }
}

impl HttpClient for Client {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        let roots = self.roots.clone();
        Box::pin(async move {
            let exchanged = timeout(DEADLINE, exchange(request, roots.as_deref())).await;
            let late = |_| format!("it takes longer than {} s", DEADLINE.as_secs());
            let answered = exchanged.map_err(late).flatten();
            answered.map_err(|error| Error::Other(error.into()))
        })
    }
}

async fn exchange(
    request: Request<BodyWrapper<Bytes>>,
    roots: Option<&str>,
) -> Result<BytesResponse, String> {
    let (asked, mut body) = request.into_parts();
    // The authority names most of these URLs. Each is at a server that is verified like the directory's.
    let url = asked.uri.to_string();
    let about = |error: String| format!("{url}: {error}");
    let resource = Resource::secure(&url, roots).map_err(about)?;
    let mut text = Vec::new();
    while let Some(Ok(frame)) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        text.extend(frame.into_data().unwrap_or_default());
    }
    let body = String::from_utf8(text).map_err(|error| error.to_string())?;
    let mut request = Request::builder().method(&asked.method);
    if let Some(kind) = asked.headers.get(CONTENT_TYPE) {
        request = request.header(CONTENT_TYPE, kind);
    }
    let stream = Native
        .connect(resource.server(), &TcpOptions::default())
        .await;
    let stream = stream.map_err(|error| about(error.to_string()))?;
    let answer = resource
        .exchange(stream, request, body)
        .await
        .map_err(about)?;
    let (status, headers) = (answer.status(), bounded(answer.headers()));
    let (body, true) = answer.read(MAX_BYTES).await.map_err(about)? else {
        return Err(about(format!("it has more than {MAX_BYTES} bytes")));
    };
    // The directory is what is asked for by GET (RFC 8555, section 6.3).
    if asked.method == Method::GET && status.is_success() {
        check_directory(&body).map_err(about)?;
    }
    let (mut parts, ()) = Response::new(()).into_parts();
    parts.status = status;
    parts.headers = headers;
    let body = Box::new(Bytes::from(body));
    Ok(BytesResponse { parts, body })
}

/// The library adds `Retry-After` to the time, and a sum too large is a panic.
fn bounded(headers: &HeaderMap) -> HeaderMap {
    let mut headers = headers.clone();
    let long = |value: &HeaderValue| {
        let value = value.as_bytes().trim_ascii();
        value.len() > MAX_RETRY_DIGITS && value.iter().all(u8::is_ascii_digit)
    };
    if headers.get(RETRY_AFTER).is_some_and(long) {
        headers.remove(RETRY_AFTER);
    }
    headers
}

/// The library takes for granted that this one is a URL; where it isn't, it panics.
fn check_directory(body: &[u8]) -> Result<(), String> {
    let directory: Value = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    let url = directory.get("newNonce").and_then(Value::as_str);
    match url.map(str::parse::<Uri>) {
        Some(Ok(_)) => Ok(()),
        _ => Err("it is no directory: newNonce is not a URL".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_library_would_panic_at_does_not_reach_it() {
        for (value, kept) in [
            ("5", true),
            ("999999", true),
            ("9999999", false),
            (" 18446744073709551615", false),
            ("Fri, 31 Dec 9999 23:59:59 GMT", true),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, HeaderValue::from_static(value));
            let found = bounded(&headers).contains_key(RETRY_AFTER);
            assert_eq!(found, kept, "{value:?}");
        }
        let good = br#"{"newNonce": "https://ca.example/nonce"}"#;
        assert_eq!(check_directory(good), Ok(()));
        for wrong in [
            "",
            "[]",
            "{}",
            r#"{"newNonce": 1}"#,
            r#"{"newNonce": "a\u0000b"}"#,
        ] {
            assert!(check_directory(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }
}

//! `jackfield coap` on the small server: resources are read, written, watched and listed.

mod common;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use common::{command, listener, run, start};
use jackfield_coap::codec::{Code, ContentFormat};
use jackfield_coap::server::{Reply, Resource, ServerConfig, Site, serve_tcp, serve_udp};
use jackfield_native::{Native, NativeStream};
use jackfield_socket::{DatagramSocket, TcpListener as _, UdpOpen, UdpOptions};
use jackfield_testing::certs::{Authority, Certificate};
use jackfield_tls::{Identity, TlsAcceptor, TlsListener, TlsServerConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const TEXT: ContentFormat = ContentFormat::TEXT_PLAIN;

/// A site with `/value`.
fn site() -> Site {
    let value = Arc::new(Mutex::new(b"nothing".to_vec()));
    let site = Site::new(ServerConfig::default());
    let (read, written, changed) = (value.clone(), value, site.clone());
    let resource = Resource::new()
        .resource_type("value")
        .observable()
        .get(move |_| Reply::content(read.lock().expect("no panic").clone(), TEXT))
        .put(move |request| {
            *written.lock().expect("no panic") = request.payload.to_vec();
            changed.changed("/value");
            Reply::changed()
        });
    site.add("/value", resource).expect("a path");
    let locked = Resource::new().get(|_| Reply::error(Code::FORBIDDEN, "not for \u{1b}you"));
    site.add("/locked", locked).expect("a path");
    site
}

/// The site over UDP and TCP.
async fn serve() -> (SocketAddr, SocketAddr) {
    let site = site();
    let at = "127.0.0.1:0".parse().expect("an address");
    let socket = Native.open_bound(at, &UdpOptions::default()).await;
    let socket = socket.expect("a socket");
    let udp = socket.local_addr().expect("an address");
    let (listener, tcp) = listener().await;
    tokio::spawn(serve_udp(socket, site.clone()));
    tokio::spawn(serve_tcp(listener, site));
    (udp, tcp)
}

/// The site over TLS with this certificate.
async fn serve_secure(certificate: &Certificate) -> SocketAddr {
    let chain = certificate.pem().as_bytes();
    let identity = Identity::from_pem(chain, certificate.key_pem().as_bytes()).expect("a pair");
    let acceptor = TlsAcceptor::new(TlsServerConfig::new(identity)).expect("an acceptor");
    let (listener, at) = listener().await;
    tokio::spawn(serve_tcp(TlsListener::new(listener, acceptor), site()));
    at
}

async fn done(args: &[&str], input: &[u8]) -> String {
    let outcome = run(&[&["coap"], args].concat(), input).await;
    assert_eq!(outcome.code, Some(0), "{args:?}: {}", outcome.errors);
    String::from_utf8(outcome.output).expect("text")
}

#[tokio::test]
async fn a_value_is_written_read_and_listed() {
    let (udp, tcp) = serve().await;
    for base in [format!("coap://{udp}"), format!("coap+tcp://{tcp}")] {
        let uri = format!("{base}/value");
        assert_eq!(done(&["put", &uri, "-e", "tea"], b"").await, "");
        assert_eq!(done(&["get", &uri], b"").await, "tea");
        assert_eq!(done(&["put", &uri, "-f", "-"], b"from the input").await, "");
        assert_eq!(done(&["get", "-N", &uri], b"").await, "from the input");
        let listed = done(&["discover", &base], b"").await;
        assert_eq!(listed, "/locked\n/value rt=value obs\n");
        assert_eq!(done(&["discover", &base, "rt=other"], b"").await, "");
    }
}

/// Reads a message of CoAP over TCP: its code and its token (RFC 8323, section 3.2).
async fn message(stream: &mut NativeStream) -> (u8, Vec<u8>) {
    let first = stream.read_u8().await.expect("a message");
    let length = match first >> 4 {
        13 => usize::from(stream.read_u8().await.expect("a length")) + 13,
        length => length.into(),
    };
    let code = stream.read_u8().await.expect("a code");
    let mut rest = vec![0; usize::from(first & 15) + length];
    stream.read_exact(&mut rest).await.expect("the rest");
    rest.truncate((first & 15).into());
    (code, rest)
}

#[tokio::test]
async fn an_answer_counts_though_the_server_hangs_up_behind_it() {
    let (mut listener, at) = listener().await;
    tokio::spawn(async move {
        loop {
            let mut stream = listener.accept().await.expect("a client");
            // Capabilities and Settings, with nothing in it.
            stream.write_all(&[0x00, 0xe1]).await.expect("it reads");
            let token = loop {
                let (code, token) = message(&mut stream).await;
                if code == 1 {
                    break token;
                }
            };
            let length = u8::try_from(token.len()).expect("a short token");
            let answer = [&[4 << 4 | length, 0x45][..], &token, b"\xfftea"].concat();
            stream.write_all(&answer).await.expect("it reads");
        }
    });
    for _ in 0..20 {
        let uri = format!("coap+tcp://{at}/value");
        assert_eq!(done(&["get", &uri], b"").await, "tea");
    }
}

#[tokio::test]
async fn a_large_file_goes_and_comes_in_blocks() {
    let (udp, _) = serve().await;
    let uri = format!("coap://{udp}/value");
    let directory = tempfile::tempdir().expect("a directory");
    let sent = directory.path().join("sent");
    let body: Vec<u8> = (0..20_000_u32).map(|number| (number % 251) as u8).collect();
    std::fs::write(&sent, &body).expect("written");
    let sent = sent.to_str().expect("text");
    let put = ["coap", "put", "-v", "-b", "512", &uri, "-f", sent];
    let outcome = run(&put, b"").await;
    assert_eq!(outcome.code, Some(0), "{}", outcome.errors);
    assert!(
        outcome.errors.contains("512 of 20000 bytes\n"),
        "{}",
        outcome.errors
    );
    assert!(
        outcome.errors.contains("20000 of 20000 bytes\n"),
        "{}",
        outcome.errors
    );
    let got = directory.path().join("got");
    let path = got.to_str().expect("text");
    assert_eq!(done(&["get", "-b", "64", &uri, "-o", path], b"").await, "");
    assert_eq!(std::fs::read(got).expect("it is there"), body);
}

#[tokio::test]
async fn changes_are_told() {
    let (udp, tcp) = serve().await;
    for base in [format!("coap://{udp}"), format!("coap+tcp://{tcp}")] {
        let uri = format!("{base}/value");
        done(&["put", &uri, "-e", "first"], b"").await;
        let mut watching = start(command(&["coap", "observe", &uri, "-C", "3"]));
        watching.prints("first").await;
        for value in ["second", "third"] {
            done(&["put", &uri, "-e", value], b"").await;
            watching.prints(value).await;
        }
        let outcome = watching.finish(b"").await;
        assert_eq!(outcome.code, Some(0), "{}", outcome.errors);
    }
}

#[tokio::test]
async fn a_server_with_a_certificate_of_its_own_making_is_pinned() {
    // For another name, by an unknown authority, and long over.
    let at = serve_secure(&Authority::new().expired_server(&["a.test"])).await;
    let uri = format!("coaps+tcp://{at}/value");
    let refused = run(&["coap", "get", &uri], b"").await;
    assert_eq!(refused.code, Some(5), "{}", refused.errors);
    let (_, shown) = refused
        .errors
        .split_once("because: it showed ")
        .expect("the certificate");
    let pins: Vec<&str> = shown.trim_end().split(" with ").collect();
    assert_eq!(pins.len(), 2, "{shown}");
    for pin in pins {
        assert_eq!(done(&["get", &uri, "--pin", pin], b"").await, "nothing");
        // Not another's.
        let other = serve_secure(&Authority::new().server(&["127.0.0.1"])).await;
        let other = format!("coaps+tcp://{other}/value");
        let outcome = run(&["coap", "get", &other, "--pin", pin], b"").await;
        assert_eq!(outcome.code, Some(5), "{pin}: {}", outcome.errors);
        let what = "its certificate is none of those pinned, nor is its key";
        assert!(outcome.errors.contains(what), "{}", outcome.errors);
    }
    let outcome = run(&["coap", "get", &uri, "--pin", "junk"], b"").await;
    assert_eq!(outcome.code, Some(2), "{}", outcome.errors);
}

#[tokio::test]
async fn what_fails_is_told() {
    let (udp, tcp) = serve().await;
    for (args, code, told) in [
        (
            vec!["get", "http://127.0.0.1/"],
            2,
            "the scheme is not one of CoAP's",
        ),
        (vec!["get", "coaps://127.0.0.1/"], 2, "coaps needs --user"),
        (vec!["get", "coap://host.invalid/"], 3, "host.invalid"),
        (vec!["get", "coap+tcp://127.0.0.1:1/"], 4, "connecting"),
    ] {
        let outcome = run(&[vec!["coap"], args].concat(), b"").await;
        assert_eq!(outcome.code, Some(code), "{}", outcome.errors);
        assert!(outcome.errors.contains(told), "{}", outcome.errors);
    }
    let outcome = run(&["coap", "get", &format!("coap://{udp}/nowhere")], b"").await;
    assert_eq!(outcome.code, Some(1));
    let expected = format!("jackfield: asking coap://{udp}/nowhere: 4.04 Not Found\n");
    assert_eq!(outcome.errors, expected);
    let outcome = run(&["coap", "get", &format!("coap+tcp://{tcp}/locked")], b"").await;
    assert_eq!(outcome.code, Some(6));
    assert!(
        outcome
            .errors
            .ends_with("4.03 Forbidden: not for \\u{1b}you\n")
    );
}

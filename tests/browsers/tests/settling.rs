//! Whatever a page waits for of a socket settles, whoever ends first: the page, the server, or both at once; in
//! order, by a reset, or in the middle of a handshake.
//!
//! Nothing here asks how it ends, which is for `sockets.rs`: a promise that never settles hangs a page for good.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jackfield_browser_tests::stage::Stage;
use jackfield_browser_tests::{Suite, page};
use jackfield_socket::Io;
use jackfield_testing::certs::Authority;
use jackfield_testing::chromium::Page;
use jackfield_tls::{Identity, TlsAcceptor, TlsServerConfig};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

/// How often each is tried.
const ROUNDS: usize = 200;

/// All of it takes less, unless something hangs.
const PATIENCE: Duration = Duration::from_mins(3);

/// Plays all rounds; `pending` has what has not settled.
const PLAY: &str = "async (options, plain, secured, rounds) => {
    const { open } = await import('/sockets.js');
    const network = await open(options);
    globalThis.pending = new Set();

    const play = async (way, action, at) => {
        const waits = [];
        const settles = (what, promise) => {
            const entry = `${way}, ${action}, ${at}: ${what}`;
            pending.add(entry);
            const over = () => void pending.delete(entry);
            waits.push(promise.then(over, over));
        };
        const quietly = (promise) => promise.then(() => undefined, () => undefined);
        const byob = at % 2 === 1;
        const follow = (socket, what) => {
            const reader = socket.readable.getReader(byob ? { mode: 'byob' } : undefined);
            const writer = socket.writable.getWriter();
            settles(`${what}opened`, socket.opened);
            settles(`${what}closed`, socket.closed);
            settles(`${what}readable`, reader.closed);
            settles(`${what}writable`, writer.closed);
            const read = () => (byob ? reader.read(new Uint8Array(64)) : reader.read());
            const all = async () => { while (!(await read()).done); };
            return { reader, writer, read, all };
        };

        const aborted = new AbortController();
        const tls = way === 'tls';
        const { signal } = aborted;
        const socket = network.connect(tls ? secured : plain, { tls, allowHalfOpen: at % 3 === 0, signal });
        const { reader, writer, read, all } = follow(socket, '');
        const word = new TextEncoder().encode(action.startsWith('startTls') ? 'S' : 'P');
        const written = writer.write(word);
        settles('write', written);
        if (action.startsWith('startTls')) {
            if (at % 5 > 0) await quietly(read());
            let next;
            try {
                next = socket.startTls();
            } catch {
                // The server was quicker.
                socket.abort();
                return Promise.all(waits);
            }
            const over = follow(next, 'TLS: ');
            settles('TLS: read', over.all());
            settles('TLS: write', over.writer.write(word));
            if (at % 4 > 1) await quietly(next.opened);
            if (action === 'startTls, close') settles('TLS: close', next.close());
            else if (action === 'startTls, abort') next.abort();
            else aborted.abort();
            return Promise.all(waits);
        }
        settles('read', all());
        if (at % 4 === 1) await quietly(socket.opened);
        if (at % 4 === 2) await quietly(written);
        if (at % 4 === 3) for (let turns = at % 7; turns > 0; turns -= 1) await new Promise((turn) => setTimeout(turn));
        if (action === 'close') settles('close', socket.close());
        else if (action === 'end') settles('end', writer.close());
        else if (action === 'cancel') {
            settles('cancel', reader.cancel());
            settles('end', writer.close());
        } else if (action === 'abort') socket.abort();
        else aborted.abort();
        return Promise.all(waits);
    };

    for (const way of ['plain', 'tls']) {
        const actions = ['close', 'end', 'cancel', 'abort', 'signal'];
        if (way === 'plain') actions.push('startTls, close', 'startTls, abort', 'startTls, signal');
        for (const action of actions) {
            for (let at = 0; at < rounds; at += 20) {
                const some = Array.from({ length: 20 }, (_, more) => play(way, action, at + more));
                await Promise.all(some);
            }
        }
    }
    return [network.kind, pending.size];
}";

/// A server that ends each connection in another way and at another moment.
struct Server {
    plain: SocketAddr,
    secured: SocketAddr,
    roots: String,
}

impl Server {
    async fn start() -> Self {
        let authority = Authority::new();
        let certificate = authority.server(&["127.0.0.1"]);
        let (chain, key) = (certificate.pem(), certificate.key_pem());
        let identity = Identity::from_pem(chain.as_bytes(), key.as_bytes()).unwrap();
        let acceptor = TlsAcceptor::new(TlsServerConfig::new(identity)).unwrap();
        let chance = Arc::new(AtomicU64::new(1));
        let listen = async |tls: bool| {
            let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
            let at = listener.local_addr().unwrap();
            let (acceptor, chance) = (acceptor.clone(), chance.clone());
            tokio::spawn(async move {
                while let Ok((stream, _)) = listener.accept().await {
                    let chance = Chance(chance.fetch_add(1, Ordering::Relaxed));
                    let acceptor = acceptor.clone();
                    tokio::spawn(async move { serve(stream, tls, &acceptor, chance).await });
                }
            });
            at
        };
        Self {
            plain: listen(false).await,
            secured: listen(true).await,
            roots: authority.pem().to_owned(),
        }
    }
}

/// Numbers that are the same in every run.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }

    /// A delay without a clock: so many other tasks have their turn.
    async fn later(&mut self) {
        for _ in 0..self.below(400) {
            tokio::task::yield_now().await;
        }
    }
}

async fn serve(mut stream: TcpStream, tls: bool, acceptor: &TlsAcceptor, mut chance: Chance) {
    if !tls {
        let mut word = [0];
        // Some have nothing to say to it, and don't wait for its word.
        if chance.below(3) == 0 {
            chance.later().await;
            let _ = stream.shutdown().await;
            let _ = stream.read_to_end(&mut Vec::new()).await;
            return;
        }
        if chance.below(5) == 0 || stream.read_exact(&mut word).await.is_err() {
            return chance.later().await;
        }
        if word != *b"S" {
            return end(stream, &mut chance).await;
        }
        if stream.write_all(b"ok").await.is_err() {
            return;
        }
    }
    chance.later().await;
    match chance.below(6) {
        // In the middle of the handshake, for which the page may wait: in order, and not.
        0 => {
            let _ = stream.shutdown().await;
            let _ = stream.read_to_end(&mut Vec::new()).await;
        }
        1 => {
            let _ = stream.read_u8().await;
        }
        _ => {
            if let Ok(stream) = acceptor.accept(Io::new(stream)).await {
                end(stream, &mut chance).await;
            }
        }
    }
}

/// Ends it, in one of the ways that there are.
async fn end(mut stream: impl AsyncRead + AsyncWrite + Unpin, chance: &mut Chance) {
    let mut rest = Vec::new();
    match chance.below(5) {
        // First, last, at the word that the page has for it, behind something to read.
        0 => {
            chance.later().await;
            let _ = stream.shutdown().await;
            let _ = stream.read_to_end(&mut rest).await;
        }
        1 => {
            let _ = stream.read_to_end(&mut rest).await;
            chance.later().await;
            let _ = stream.shutdown().await;
        }
        2 => {
            let _ = stream.read_u8().await;
            chance.later().await;
            let _ = stream.shutdown().await;
            let _ = stream.read_to_end(&mut rest).await;
        }
        3 => {
            let _ = stream.write_all(&[b'x'; 3000]).await;
            chance.later().await;
            let _ = stream.shutdown().await;
            let _ = stream.read_to_end(&mut rest).await;
        }
        // By dropping it: with something unread, that is a reset.
        _ => chance.later().await,
    }
}

async fn settle(page: &Page, options: Value, server: &Server, kind: &str) {
    let arguments = [
        options,
        json!(server.plain.to_string()),
        json!(server.secured.to_string()),
        json!(ROUNDS),
    ];
    let page = page.with_deadline(PATIENCE * 2);
    let played = timeout(PATIENCE, page.invoke::<Value>(PLAY, &arguments)).await;
    let Ok(played) = played else {
        let pending = page.evaluate::<Vec<String>>("[...pending]").await;
        panic!("what never settles: {:#?}", pending.unwrap());
    };
    assert_eq!(played.unwrap(), json!([kind, 0]));
}

#[tokio::test(flavor = "multi_thread")]
async fn all_settles_over_the_relay() {
    let server = Server::start().await;
    let stage = Stage::reaching(&[server.plain, server.secured]).await;
    let mut options = stage.options.clone();
    options["roots"] = json!(server.roots);
    settle(&stage.page, options, &server, "relay").await;
    stage.browser.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn all_settles_over_direct_sockets() {
    let server = Server::start().await;
    let npm = tokio::task::spawn_blocking(|| page("npm")).await;
    let app = Suite::app_beside(&npm.unwrap().unwrap()).await.unwrap();
    let options = json!({ "roots": server.roots });
    settle(&app.page, options, &server, "direct").await;
    app.close().await.unwrap();
}

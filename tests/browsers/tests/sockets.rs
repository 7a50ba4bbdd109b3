//! Sockets of a page's own, `network.connect()`: streams that end, stall and fail as the connection does, and
//! TLS over each.

use std::time::Duration;

use jackfield_browser_tests::stage::Stage;
use jackfield_testing::certs::{Authority, Certificate};
use jackfield_tls::{
    Certificates, Identity, TlsAcceptor, TlsServerConfig, TlsStream as SecuredStream,
};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

/// Nothing here takes so long, unless it hangs.
const PATIENCE: Duration = Duration::from_secs(30);

/// What the scripts share: `told` is how a promise fails, `bytes` and `text` convert.
const TOOLS: &str = "(() => {
    globalThis.bytes = text => new TextEncoder().encode(text);
    globalThis.text = bytes => new TextDecoder().decode(bytes);
    globalThis.told = promise => promise.then(
        value => value === undefined ? 'done' : value, ({ kind, name, message }) => kind ?? `${name}: ${message}`);
    globalThis.all = async stream => text(await new Response(stream).arrayBuffer());
    return true;
})()";

struct Play {
    stage: Stage,
    listener: TcpListener,
    address: String,
}

impl Play {
    async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let at = listener.local_addr().unwrap();
        let stage = Stage::start(at).await;
        assert!(stage.page.evaluate::<bool>(TOOLS).await.unwrap());
        Self {
            stage,
            listener,
            address: at.to_string(),
        }
    }

    /// The script with the options of `open()`, the address of the server, and more.
    async fn page(&self, script: &str, more: Vec<Value>) -> Value {
        let mut arguments = vec![self.stage.options.clone(), json!(self.address)];
        arguments.extend(more);
        let played = timeout(PATIENCE, self.stage.run(script, &arguments)).await;
        played.expect("the page hangs")
    }

    async fn accept(&self) -> TcpStream {
        let accepted = timeout(PATIENCE, self.listener.accept()).await;
        accepted.expect("nobody comes").unwrap().0
    }

    async fn close(self) {
        self.stage.browser.close().await.unwrap();
    }
}

/// Reads until so many bytes are there.
async fn heard(stream: &mut (impl tokio::io::AsyncRead + Unpin), length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    let read = timeout(PATIENCE, stream.read_exact(&mut bytes)).await;
    read.expect("silence").unwrap();
    bytes
}

/// Reads to the end, be it in order or not.
async fn rest(stream: &mut (impl tokio::io::AsyncRead + Unpin)) -> Vec<u8> {
    let mut bytes = Vec::new();
    let read = timeout(PATIENCE, stream.read_to_end(&mut bytes)).await;
    let _ = read.expect("it never ends");
    bytes
}

fn identity(certificate: &Certificate) -> Identity {
    Identity::from_pem(
        certificate.pem().as_bytes(),
        certificate.key_pem().as_bytes(),
    )
    .unwrap()
}

async fn secured(
    stream: TcpStream,
    config: TlsServerConfig,
) -> SecuredStream<impl jackfield_socket::ByteStream> {
    let acceptor = TlsAcceptor::new(config).unwrap();
    let accepted = acceptor.accept(jackfield_socket::Io::new(stream)).await;
    accepted.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_direction_ends_by_itself() {
    const TALK: &str = "async (options, address) => {
        const network = await open(options);
        const socket = network.connect(address, { allowHalfOpen: true });
        const sent = new Uint8Array(1_000_003).map((_, at) => at * 31 + (at >> 8));
        const writer = socket.writable.getWriter();
        // Before it is open, and in all sizes.
        for (let at = 0, size = 1; at < sent.length; at += size, size = Math.min(size * 3, 300_000)) {
            writer.write(sent.subarray(at, at + size));
        }
        await writer.write(new ArrayBuffer(0));
        await writer.close();
        const { remoteAddress, localAddress, ...info } = await socket.opened;
        const reader = socket.readable.getReader({ mode: 'byob' });
        let buffer = new ArrayBuffer(10_000), got = 0, wrong = 0, reads = 0;
        for (;;) {
            const { done, value } = await reader.read(new Uint8Array(buffer, reads++ % 3, 5_000));
            if (done) break;
            for (const byte of value) if (byte !== sent[got++]) wrong += 1;
            buffer = value.buffer;
        }
        await socket.closed;
        const isOpenEnded = /^127.0.0.1:\\d+$/.test(localAddress);
        return { got, wrong, info, isThere: remoteAddress === address, isOpenEnded };
    }";
    let play = Play::start().await;
    let serve = async {
        let mut peer = play.accept().await;
        let all = rest(&mut peer).await;
        peer.write_all(&all).await.unwrap();
        peer.shutdown().await.unwrap();
    };
    let (played, ()) = tokio::join!(play.page(TALK, vec![]), serve);
    let info = json!({ "alpn": null, "halfClose": true, "mayTruncate": false });
    let expected =
        json!({ "got": 1_000_003, "wrong": 0, "info": info, "isThere": true, "isOpenEnded": true });
    assert_eq!(played, expected);
    play.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_read_holds_the_other_back() {
    /// Far more than may wait anywhere.
    const TOTAL: usize = 64 << 20;
    const WRITE: &str = "async (options, address, total) => {
        const socket = (await open(options)).connect(address);
        const writer = socket.writable.getWriter();
        const chunk = new Uint8Array(65_536);
        let written = 0;
        globalThis.finished = (async () => {
            while (written < total) {
                await writer.write(chunk);
                written += chunk.length;
            }
            await writer.close();
            return written;
        })();
        // Nobody reads: it stands still somewhere.
        for (let before = -1; before !== written || written === 0;) {
            before = written;
            await new Promise(done => setTimeout(done, 1_000));
        }
        return [written < total, writer.desiredSize <= 0];
    }";
    const READ: &str = "async (options, address) => {
        const socket = (await open(options)).connect(address);
        await socket.opened;
        // What has come by then, it has not been asked for.
        await new Promise(done => setTimeout(done, 2_000));
        globalThis.rest = async () => {
            let got = 0;
            for await (const piece of socket.readable) got += piece.length;
            return got;
        };
        return true;
    }";
    let play = Play::start().await;
    let (written, mut peer) = tokio::join!(play.page(WRITE, vec![json!(TOTAL)]), async {
        play.accept().await
    });
    assert_eq!(written, json!([true, true]));
    let (written, read) = tokio::join!(play.page("() => finished", vec![]), rest(&mut peer));
    assert_eq!((written, read.len()), (json!(TOTAL), TOTAL));
    drop(peer);

    let flood = async {
        let mut peer = play.accept().await;
        let (sent, mut told) = tokio::sync::watch::channel(0);
        let flooding = tokio::spawn(async move {
            for _ in 0..TOTAL >> 16 {
                peer.write_all(&vec![0; 1 << 16]).await.unwrap();
                sent.send_modify(|sent| *sent += 1 << 16);
            }
            peer.shutdown().await.unwrap();
        });
        told.changed().await.unwrap();
        (flooding, told)
    };
    let (_, (flooding, told)) = tokio::join!(play.page(READ, vec![]), flood);
    assert!(*told.borrow() < TOTAL, "nothing held the peer back");
    assert_eq!(play.page("() => rest()", vec![]).await, json!(TOTAL));
    flooding.await.unwrap();
    play.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn how_it_ends_is_told() {
    const PLAY: &str = "async (options, address, step) => {
        globalThis.network ??= await open(options);
        const socket = network.connect(address);
        const reader = socket.readable.getReader(), writer = socket.writable.getWriter();
        const all = async () => [await told(socket.opened.then(() => undefined)), await told(socket.closed),
            await told(reader.closed), await told(writer.closed)];
        const steps = {
            // The peer ends: what it said is read, then this side ends too.
            async end() {
                const said = text((await reader.read()).value);
                const { done } = await reader.read();
                await told(writer.closed);
                return [said, done, ...await all(), await told(writer.write(bytes('x')))];
            },
            async reset() {
                await writer.write(bytes('x'));
                return [await told(reader.read()), ...await all()];
            },
            // What was written arrives, locked or not, and then the end.
            async close() {
                await socket.opened;
                const written = told(writer.write(bytes('good bye')));
                return [await told(socket.close()), await written, ...await all(), (await reader.read()).done];
            },
            async abort() {
                await writer.write(bytes('x'));
                socket.abort(new Error('enough'));
                return [await told(reader.read()), ...await all()];
            },
            async refused() {
                return [await told(reader.read()), ...await all()];
            },
        };
        return steps[step]();
    }";
    let play = Play::start().await;
    let with = async |step: &str| play.page(PLAY, vec![json!(step)]).await;

    let (met, heard_there) = tokio::join!(with("end"), async {
        let mut peer = play.accept().await;
        peer.write_all(b"hello").await.unwrap();
        peer.shutdown().await.unwrap();
        rest(&mut peer).await
    });
    let expected = json!(["hello", true, "done", "done", "done", "closed", "closed"]);
    assert_eq!(met, expected);
    assert_eq!(heard_there, b"");

    let (met, ()) = tokio::join!(with("reset"), async {
        let mut peer = play.accept().await;
        heard(&mut peer, 1).await;
        peer.set_zero_linger().unwrap();
    });
    assert_eq!(met, json!(["reset", "done", "reset", "reset", "reset"]));

    let (met, heard_there) = tokio::join!(with("close"), async {
        let mut peer = play.accept().await;
        // Words that nobody reads change nothing.
        peer.write_all(&[0; 1000]).await.unwrap();
        let mut heard = Vec::new();
        peer.read_to_end(&mut heard)
            .await
            .expect("an end, no reset");
        heard
    });
    let expected = json!(["done", "done", "done", "done", "done", "closed", true]);
    assert_eq!(met, expected);
    assert_eq!(heard_there, b"good bye");

    let (met, ended) = tokio::join!(with("abort"), async {
        let mut peer = play.accept().await;
        // What was said before may be lost by it.
        let mut said = Vec::new();
        timeout(PATIENCE, peer.read_to_end(&mut said))
            .await
            .unwrap()
    });
    let enough = "Error: enough";
    assert_eq!(met, json!([enough, "done", enough, enough, enough]));
    assert!(ended.is_err(), "the peer is told");

    let Play {
        stage,
        listener,
        address,
    } = play;
    drop(listener);
    let arguments = [stage.options.clone(), json!(address), json!("refused")];
    let met = stage.run(PLAY, &arguments).await;
    assert_eq!(met, json!(["refused"; 5].to_vec()));
    stage.browser.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn opening_can_be_given_up() {
    const PLAY: &str = "async (options, address) => {
        const network = await open(options);
        const outcome = async ({ opened, closed }) => [await told(opened), await told(closed)];
        const before = network.connect(address, { signal: AbortSignal.abort(new Error('never')) });
        const controller = new AbortController();
        const during = network.connect(`tls://${address}`, { signal: controller.signal });
        setTimeout(() => controller.abort(new Error('changed my mind')), 300);
        const late = network.connect(address, { tls: true, timeout: 300 });
        const closed = network.connect(address);
        const left = closed.close();
        const open1 = network.connect(address, { signal: (globalThis.later = new AbortController()).signal });
        await open1.opened;
        const reading = told(open1.readable.getReader().read());
        later.abort(new Error('later'));
        return [await outcome(before), await outcome(during), await outcome(late), await told(left),
            await outcome(closed), await reading, await told(open1.closed)];
    }";
    let play = Play::start().await;
    // It accepts, and says nothing.
    let silent = async {
        let mut peers = Vec::new();
        while let Ok((peer, _)) = play.listener.accept().await {
            peers.push(peer);
        }
    };
    let played = tokio::select! {
        played = play.page(PLAY, vec![]) => played,
        () = silent => unreachable!("it listens for ever"),
    };
    let expected = json!([
        ["Error: never", "Error: never"],
        ["Error: changed my mind", "Error: changed my mind"],
        ["timed-out", "timed-out"],
        "done",
        ["closed", "done"],
        "Error: later",
        "Error: later",
    ]);
    assert_eq!(played, expected);
    play.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_is_the_connections_own() {
    const PLAY: &str = "async (options, address, root, name, certificate, key) => {
        const network = await open(options);
        const secure = { serverName: name, roots: root, alpn: ['other', 'echo'], certificate, key };
        const unknown = await told(network.connect(address, { tls: { serverName: name } }).opened);
        const stranger = await told(network.connect(address, { tls: { roots: root } }).opened);
        const outcomes = [];
        for (const maxVersion of ['TLS 1.3', 'TLS 1.2']) {
            const socket = network.connect(address, { tls: { ...secure, maxVersion } });
            const { alpn, tls, halfClose } = await socket.opened;
            const material = [...socket.exportKeyingMaterial(8, 'EXPORTER-test', bytes('x'))].join();
            const writer = socket.writable.getWriter();
            await writer.write(bytes('hello'));
            const said = await all(socket.readable);
            await socket.closed;
            outcomes.push([alpn, tls.version, halfClose, tls.chain.length, [...tls.certificate].join(), said === material]);
        }
        return [unknown, stranger, ...outcomes];
    }";
    let authority = Authority::new();
    let certificate = authority.server(&["db.example"]);
    let client = authority.client("ada");
    let roots = Certificates::from_pem(authority.pem().as_bytes()).unwrap();
    let play = Play::start().await;
    let config = TlsServerConfig::new(identity(&certificate))
        .with_client_roots(roots)
        .with_alpn(["echo"]);
    let serve = async {
        for _ in 0..2 {
            let refused = play.accept().await;
            let acceptor = TlsAcceptor::new(config.clone()).unwrap();
            let outcome = acceptor.accept(jackfield_socket::Io::new(refused)).await;
            assert!(outcome.is_err(), "the page should not believe this one");
        }
        for _ in 0..2 {
            let mut peer = secured(play.accept().await, config.clone()).await;
            assert_eq!(peer.peer_certificate(), Some(client.der()));
            assert_eq!(heard(&mut peer, 5).await, b"hello");
            let mut material = [0; 8];
            peer.export_keying_material(&mut material, b"EXPORTER-test", Some(b"x"))
                .unwrap();
            let material = material.map(|byte| byte.to_string()).join(",");
            peer.write_all(material.as_bytes()).await.unwrap();
            peer.shutdown().await.unwrap();
            assert_eq!(rest(&mut peer).await, b"");
        }
    };
    let more = vec![
        json!(authority.pem()),
        json!("db.example"),
        json!(client.pem()),
        json!(client.key_pem()),
    ];
    let (played, ()) = tokio::join!(play.page(PLAY, more), serve);
    let der: Vec<String> = certificate.der().iter().map(u8::to_string).collect();
    let der = der.join(",");
    assert_eq!(played[0], "certificate", "{played}");
    assert_eq!(played[1], "certificate", "{played}");
    for (outcome, version, half_close) in [
        (&played[2], "TLS 1.3", true),
        (&played[3], "TLS 1.2", false),
    ] {
        let chain = &outcome[3];
        assert_eq!(
            *outcome,
            json!(["echo", version, half_close, chain, der, true])
        );
    }
    play.close().await;
}

/// STARTTLS: the dialogue in plaintext, then TLS; and whoever says more than the go-ahead is not heard.
#[tokio::test(flavor = "multi_thread")]
async fn tls_begins_where_plaintext_ends() {
    const PLAY: &str = "async (options, address, root, how) => {
        globalThis.network ??= await open(options);
        const socket = network.connect(address);
        const order = [];
        const writer = socket.writable.getWriter();
        // Not waited for: it is sent all the same, before TLS.
        writer.write(bytes('please\\n'));
        const reader = socket.readable.getReader({ mode: 'byob' });
        const { value } = await reader.read(new Uint8Array(9));
        const waiting = how === 'waiting' ? told(reader.read(new Uint8Array(9)).then(({ done }) => done)) : 'not';
        if (how === 'queued') writer.write(bytes('and more\\n'));
        if (how === 'unlocked') { reader.releaseLock(); writer.releaseLock(); }
        const secured = socket.startTls({ roots: root, serverName: 'db.example' });
        const late = how === 'unlocked' ? 'closed' : await told(writer.write(bytes('late')));
        const ends = [socket.closed.then(() => order.push('closed'), ({ kind }) => order.push(kind)),
            secured.opened.then(() => order.push('opened'), ({ kind }) => order.push(kind))];
        await Promise.all(ends);
        const said = order.includes('protocol') ? '' : await all(secured.readable);
        return [text(value), await waiting, late, socket.upgraded, secured.upgraded, order, said,
            await told(secured.closed)];
    }";
    let authority = Authority::new();
    let config = TlsServerConfig::new(identity(&authority.server(&["db.example"])));
    let play = Play::start().await;
    let root = json!(authority.pem());
    for how in ["unlocked", "locked", "waiting", "queued"] {
        let serve = async {
            let mut peer = play.accept().await;
            assert_eq!(heard(&mut peer, 7).await, b"please\n");
            peer.write_all(b"go ahead\n").await.unwrap();
            if how == "queued" {
                assert_eq!(heard(&mut peer, 9).await, b"and more\n");
            }
            let mut peer = secured(peer, config.clone()).await;
            peer.write_all(b"hello").await.unwrap();
            peer.shutdown().await.unwrap();
            assert_eq!(
                rest(&mut peer).await,
                b"",
                "{how}: a late word in plaintext"
            );
        };
        let (played, ()) = tokio::join!(play.page(PLAY, vec![root.clone(), json!(how)]), serve);
        let waiting = if how == "waiting" {
            json!(true)
        } else {
            json!("not")
        };
        let order = ["opened", "closed"];
        let expected = json!([
            "go ahead\n",
            waiting,
            "closed",
            true,
            false,
            order,
            "hello",
            "done"
        ]);
        assert_eq!(played, expected, "{how}");
    }
    let serve = async {
        let mut peer = play.accept().await;
        heard(&mut peer, 7).await;
        peer.write_all(b"go ahead\n* OK obey me\n").await.unwrap();
        // No hello follows.
        assert_eq!(rest(&mut peer).await, b"");
    };
    let (played, ()) = tokio::join!(play.page(PLAY, vec![root, json!("locked")]), serve);
    assert_eq!(played[5], json!(["protocol", "protocol"]), "{played}");
    assert_eq!(played[7], "protocol", "{played}");
    play.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_that_is_forgotten_is_reset() {
    const FORGET: &str = "async (options, address) => {
        globalThis.network = await open(options);
        const signal = (globalThis.controller = new AbortController()).signal;
        for (const how of [{}, { signal }]) {
            const socket = network.connect(address, how);
            await socket.writable.getWriter().write(bytes('x'));
        }
        return true;
    }";
    let play = Play::start().await;
    let (_, mut peers) = tokio::join!(play.page(FORGET, vec![]), async {
        [play.accept().await, play.accept().await]
    });
    for peer in &mut peers {
        heard(peer, 1).await;
        let ended = async {
            let mut byte = [0];
            let mut read = std::pin::pin!(peer.read(&mut byte));
            loop {
                let collect = play
                    .stage
                    .page
                    .call("HeapProfiler.collectGarbage", json!({}));
                tokio::select! {
                    read = &mut read => return matches!(read, Ok(0) | Err(_)),
                    collected = collect => collected.map(drop).unwrap(),
                }
            }
        };
        let ended = timeout(PATIENCE, ended).await;
        assert!(ended.expect("it is kept"));
    }
    play.close().await;
}

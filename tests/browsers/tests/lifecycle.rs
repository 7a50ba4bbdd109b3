//! The life of a client in a page, the same in every protocol: its state and its promises, attempts that needn't be
//! waited for, signals and time-outs, one reader at a time, and what becomes of it when it is left or forgotten.

use std::net::SocketAddr;
use std::time::Duration;

use jackfield_browser_tests::stage::{GAVE_UP, Stage};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::timeout;

/// Nothing here takes so long, unless it hangs.
const PATIENCE: Duration = Duration::from_secs(20);

/// The protocols: what a network calls them, an address's scheme, and what their clients can't do without.
const PROTOCOLS: [(&str, &str, &str); 3] = [
    ("irc", "irc", r#"{ "nick": "ada" }"#),
    ("mqtt", "mqtt", "{}"),
    ("coap", "coap+tcp", "{}"),
];

/// Opens a client, which stays in the page as `client`.
const OPEN: &str = "async (options, method, url, how) => {
    globalThis.unhandled = [];
    globalThis.onunhandledrejection ??= ({ reason }) => unhandled.push(String(reason));
    globalThis.sockets = [];
    const Plain = globalThis.WebSocket;
    globalThis.WebSocket = class extends Plain {
        constructor(...all) { super(...all); sockets.push(this); }
    };
    globalThis.network = await open(options);
    globalThis.client = await network[method](url, how);
    globalThis.ready = client.registered ?? client.connected;
    return client.state;
}";

/// A server that lets clients in, says nothing else, and leaves each connection to the test.
struct Server {
    at: SocketAddr,
    connections: mpsc::UnboundedReceiver<BufReader<TcpStream>>,
}

impl Server {
    async fn start(method: &'static str) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let at = listener.local_addr().unwrap();
        let (sender, connections) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let mut stream = BufReader::new(stream);
                greet(method, &mut stream).await;
                if sender.send(stream).is_err() {
                    return;
                }
            }
        });
        Self { at, connections }
    }

    /// The next connection, whose client has been let in.
    async fn connection(&mut self) -> BufReader<TcpStream> {
        let connection = timeout(PATIENCE, self.connections.recv()).await;
        connection.expect("a connection").expect("it goes on")
    }
}

/// What a server of this protocol says to whoever comes.
async fn greet(method: &str, stream: &mut BufReader<TcpStream>) {
    let greeting: &[u8] = match method {
        "irc" => {
            stream.write_all(b":there CAP * LS :\r\n").await.unwrap();
            while line(stream).await != "CAP END" {}
            b":there 001 ada :Welcome\r\n:there 422 ada :No message\r\n"
        }
        "mqtt" => {
            assert_eq!(stream.read_u8().await.unwrap(), 0x10, "CONNECT");
            &[0x20, 0x03, 0x00, 0x00, 0x00]
        }
        // A CSM without options.
        _ => &[0x00, 0xE1],
    };
    stream.write_all(greeting).await.unwrap();
}

async fn line(stream: &mut BufReader<TcpStream>) -> String {
    let mut line = String::new();
    let read = timeout(PATIENCE, stream.read_line(&mut line)).await;
    assert_ne!(read.expect("a line").unwrap(), 0, "it has ended");
    line.trim_end().to_owned()
}

/// A page with a client that has begun to connect to a server, which was told so much of how.
async fn begun(protocol: (&'static str, &str, &str), how: Value) -> (Stage, Server) {
    let (method, scheme, needs) = protocol;
    let server = Server::start(method).await;
    let stage = Stage::start(server.at).await;
    let mut all: Value = serde_json::from_str(needs).unwrap();
    all.as_object_mut()
        .unwrap()
        .extend(how.as_object().unwrap().clone());
    let arguments = [
        stage.options.clone(),
        json!(method),
        json!(format!("{scheme}://{}", server.at)),
        all,
    ];
    let state = stage.run(OPEN, &arguments).await;
    assert_eq!(state, "connecting", "{method}");
    (stage, server)
}

async fn end(stage: Stage) {
    assert_eq!(stage.run("() => unhandled", &[]).await, json!([]));
    stage.browser.close().await.unwrap();
}

/// Nobody reads an event in this one.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_tells_where_it_stands_and_is_woken() {
    for protocol in PROTOCOLS {
        let an_hour = json!({ "reconnect": { "first": 3_600_000, "longest": 3_600_000 } });
        let (stage, mut server) = begun(protocol, an_hour).await;
        let mut connection = server.connection().await;
        stage
            .page
            .wait_for("ready.then(() => client.state === 'connected')")
            .await
            .unwrap();
        for wake in [
            "client.reconnectNow()",
            "globalThis.dispatchEvent(new Event('online'))",
            "globalThis.dispatchEvent(new Event('pageshow'))",
            "document.dispatchEvent(new Event('visibilitychange'))",
        ] {
            // While it is connected, nothing happens.
            stage.run(&format!("() => void {wake}"), &[]).await;
            drop(connection);
            stage
                .page
                .wait_for("client.state === 'waiting'")
                .await
                .unwrap();
            stage.run(&format!("() => void {wake}"), &[]).await;
            connection = server.connection().await;
            stage
                .page
                .wait_for("client.state === 'connected'")
                .await
                .unwrap();
        }
        drop(connection);
        stage
            .page
            .wait_for("client.state === 'waiting'")
            .await
            .unwrap();
        let left = "async () => { await client.close(); return [await client.closed, client.state].at(-1); }";
        assert_eq!(stage.run(left, &[]).await, "closed");
        end(stage).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_never_reconnects_ends_with_the_reason() {
    const ENDED: &str = "async () => {
        const failed = await client.closed.catch(error => error);
        const later = await (client.say?.('#a', 'x') ?? client.publish?.('a', 'x', { qos: 1 }) ?? client.get('/'))
            .catch(error => error);
        const ready = await globalThis.ready.then(() => 'was ready');
        return [client.state, failed instanceof JackfieldError, later.kind === failed.kind, ready];
    }";
    for protocol in PROTOCOLS {
        let (stage, mut server) = begun(protocol, json!({ "reconnect": false })).await;
        let connection = server.connection().await;
        stage.page.wait_for("ready.then(() => true)").await.unwrap();
        drop(connection);
        let ended = stage.run(ENDED, &[]).await;
        assert_eq!(
            ended,
            json!(["closed", true, true, "was ready"]),
            "{protocol:?}"
        );
        end(stage).await;
    }
}

/// What a page asks for that is never answered: each method of each client gives up, and none takes what it doesn't
/// know.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_waits_can_give_up() {
    // Each method, and whether it waits for what never comes; the rest is done at once, or has left.
    const GIVE_UP: &str = "async () => {
        const first = async all => { for await (const it of all) return it; };
        const tables = {
            Irc: {
                next: [how => client.next(how), true],
                join: [how => client.join('#a', undefined, how), true],
                part: [how => client.part('#a', undefined, how), true],
                say: [how => client.say('#a', 'x', how), false],
                action: [how => client.action('#a', 'x', how), false],
                notice: [how => client.notice('#a', 'x', how), false],
                topic: [how => client.topic('#a', how), true],
                setTopic: [how => client.setTopic('#a', 'x', how), true],
                setNick: [how => client.setNick('bob', how), true],
                setAway: [how => client.setAway('x', how), true],
                raw: [how => client.raw('TIME', 'there', how), false],
                whois: [how => client.whois('bob', how), true],
                who: [how => client.who('#a', how), true],
                names: [how => client.names('#a', how), true],
                list: [how => first(client.list(how)), true],
                modes: [how => client.modes('#a', how), true],
                setMode: [how => client.setMode('#a', '+o-v', 'bob', 'eve', how), true],
                kick: [how => client.kick('#a', 'bob', undefined, how), true],
                invite: [how => client.invite('bob', '#a', how), true],
                close: [how => client.close(undefined, how), false],
            },
            Mqtt: {
                next: [how => client.next(how), true],
                publish: [how => client.publish('a', 'x', { qos: 1, ...how }), true],
                published: [how => client.published(how), false],
                subscribe: [how => Promise.all([client.subscribe('a', how).granted]), true],
                request: [how => client.request('a', 'x', how), true],
                reauthenticate: [how => client.reauthenticate(how), false],
                close: [how => client.close(how), false],
            },
            Coap: {
                get: [how => client.get('/a', how), true],
                put: [how => client.put('/a', 'x', how), true],
                post: [how => client.post('/a', 'x', how), true],
                delete: [how => client.delete('/a', how), true],
                fetch: [how => client.fetch('/a', 'x', how), true],
                patch: [how => client.patch('/a', 'x', how), true],
                iPatch: [how => client.iPatch('/a', 'x', how), true],
                observe: [how => client.observe('/a', how).next(), true],
                discover: [how => client.discover('', how), true],
                ping: [how => client.ping(how), true],
                close: [how => client.close(how), false],
            },
        };
        // What came with the connection.
        while (client.next && await client.next({ timeout: 200 }).catch(() => null));
        return gaveUp(client, tables[client.constructor.name], ['reconnectNow']);
    }";
    for protocol in PROTOCOLS {
        let (stage, mut server) = begun(protocol, json!({})).await;
        let _connection = server.connection().await;
        stage.page.wait_for("ready.then(() => true)").await.unwrap();
        let page = stage.page.evaluate::<bool>(GAVE_UP).await;
        assert!(page.unwrap());
        let wrong = stage.run(GIVE_UP, &[]).await;
        assert_eq!(wrong, json!([]), "{protocol:?}");
        end(stage).await;
    }
}

/// A page that only says things is not held back by what it doesn't read.
#[tokio::test(flavor = "multi_thread")]
async fn events_that_nobody_reads_hold_back_nobody() {
    const READ: &str = "async () => {
        const first = await client.next();
        const texts = [];
        for await (const event of client) {
            if (event.type !== 'message') continue;
            texts.push(event.text);
            if (event.text === 'the last') break;
        }
        const all = first.count + texts.length;
        return [first.type, texts.length > 200 && texts.length <= 256, all >= 2000, client.state];
    }";
    let (stage, mut server) = begun(PROTOCOLS[0], json!({})).await;
    let mut connection = server.connection().await;
    stage.page.wait_for("ready.then(() => true)").await.unwrap();
    for number in 0..2000 {
        let said = format!(":bob!b@there NOTICE ada :{number}\r\n");
        connection.write_all(said.as_bytes()).await.unwrap();
    }
    connection
        .write_all(b":bob!b@there NOTICE ada :the last\r\nPING there\r\n")
        .await
        .unwrap();
    while !line(&mut connection).await.starts_with("PONG") {}
    let said = stage.run("() => client.say('bob', 'still here')", &[]);
    let heard = async {
        while !line(&mut connection).await.ends_with("still here") {}
        // A message is done when what follows it is answered.
        connection.write_all(b"PING there\r\n").await.unwrap();
        loop {
            let line = line(&mut connection).await;
            if let Some(mark) = line.strip_prefix("PING ") {
                let pong = format!(":there PONG there {mark}\r\n");
                connection.write_all(pong.as_bytes()).await.unwrap();
                break;
            }
            if line.starts_with("PONG") {
                break;
            }
        }
    };
    tokio::join!(said, heard);
    let read = stage.run(READ, &[]).await;
    assert_eq!(read, json!(["missed", true, true, "connected"]));
    end(stage).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_have_one_reader_at_a_time() {
    const READ: &str = "async () => {
        const kinds = [];
        const told = error => kinds.push(error.kind);
        // What came with the connection.
        while (await client.next({ timeout: 200 }).catch(() => null));
        const waiting = client.next();
        await client.next().catch(told);
        await (async () => { for await (const _ of client); })().catch(told);
        globalThis.loop = (async () => { for await (const _ of client) return 'left'; })().catch(told);
        globalThis.waits = waiting.then(event => event.type);
        return kinds;
    }";
    for protocol in &PROTOCOLS[..2] {
        let (stage, mut server) = begun(*protocol, json!({ "reconnect": { "first": 1 } })).await;
        let connection = server.connection().await;
        stage.page.wait_for("ready.then(() => true)").await.unwrap();
        assert_eq!(
            stage.run(READ, &[]).await,
            json!(["in-use", "in-use"]),
            "{protocol:?}"
        );
        drop(connection);
        let got = stage.run("() => waits", &[]).await;
        assert_eq!(got, "disconnected");
        // Leaving a loop leaves the client, and the next loop goes on.
        let _connection = server.connection().await;
        let left = "async () => {
            // Of IRC, a connection is ready when it is registered.
            const ready = 'registered' in client ? 'registered' : 'connected';
            for await (const { type } of client) if (type === ready) break;
            return client.state;
        }";
        assert_eq!(stage.run(left, &[]).await, "connected");
        end(stage).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_closes_what_was_opened_over_it() {
    const CLOSE: &str = "async () => {
        const { close } = network;
        await using end = network;
        const kind = await close().then(() => network.coap('coap://127.0.0.1')).catch(({ kind }) => kind);
        return [client.state, sockets.map(({ readyState }) => readyState >= WebSocket.CLOSING), kind];
    }";
    for protocol in PROTOCOLS {
        let (stage, mut server) = begun(protocol, json!({})).await;
        let mut connection = server.connection().await;
        stage.page.wait_for("ready.then(() => true)").await.unwrap();
        let goes = async {
            // Who is left in order lets go.
            let mut rest = Vec::new();
            while !has_left(protocol.0, &rest) {
                let read = timeout(PATIENCE, connection.read_buf(&mut rest)).await;
                if read.expect("a farewell").unwrap() == 0 {
                    break;
                }
            }
            drop(connection);
            rest
        };
        let (closed, rest) = tokio::join!(stage.run(CLOSE, &[]), goes);
        assert_eq!(closed, json!(["closed", [true], "closed"]), "{protocol:?}");
        assert!(has_left(protocol.0, &rest), "{protocol:?}: {rest:?}");
        end(stage).await;
    }
}

/// Whether a client has taken leave, in what came since it was let in.
fn has_left(method: &str, received: &[u8]) -> bool {
    match method {
        "irc" => received.windows(4).any(|word| word == b"QUIT"),
        // DISCONNECT.
        "mqtt" => received.windows(2).any(|word| word == [0xE0, 0x00]),
        // 7.04, Release.
        _ => received.contains(&0xE4),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_is_forgotten_is_closed() {
    const FORGET: &str = "() => {
        globalThis.client = globalThis.network = globalThis.ready = null;
        return true;
    }";
    for protocol in PROTOCOLS {
        let (stage, mut server) = begun(protocol, json!({})).await;
        let mut connection = server.connection().await;
        stage.page.wait_for("ready.then(() => true)").await.unwrap();
        stage.run(FORGET, &[]).await;
        let collect = async || {
            let collected = stage
                .page
                .call("HeapProfiler.collectGarbage", json!({}))
                .await;
            collected.unwrap();
            stage
                .run(
                    "() => sockets.every(({ readyState }) => readyState >= 2)",
                    &[],
                )
                .await
                == true
        };
        let mut rest = Vec::new();
        let is_left =
            async { while !matches!(connection.read_buf(&mut rest).await, Ok(0) | Err(_)) {} };
        tokio::select! {
            () = is_left => {}
            () = async { loop { collect().await; } } => {}
            () = tokio::time::sleep(PATIENCE) => panic!("{protocol:?}: it goes on"),
        }
        let all = async { while !collect().await {} };
        timeout(PATIENCE, all)
            .await
            .expect("its WebSocket is closed");
        end(stage).await;
    }
}

/// A loop that runs has its client, and so has whoever waits for an answer.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_is_of_use_is_not_forgotten() {
    const USE: &str = "() => {
        globalThis.told = [];
        const irc = client;
        irc.topic('#a').then(topic => told.push(topic));
        globalThis.client = globalThis.network = globalThis.ready = null;
        return true;
    }";
    const LOOP: &str = "() => {
        const irc = client;
        (async () => { for await (const { text } of irc) if (text) told.push(text); })();
        globalThis.client = globalThis.network = globalThis.ready = null;
        globalThis.told = [];
        return true;
    }";
    for (function, said, told) in [
        (USE, ":there 332 ada #a :of use\r\n", "of use"),
        (LOOP, ":bob!b@there PRIVMSG ada :of use\r\n", "of use"),
    ] {
        let (stage, mut server) = begun(PROTOCOLS[0], json!({})).await;
        let mut connection = server.connection().await;
        stage.page.wait_for("ready.then(() => true)").await.unwrap();
        stage.run(function, &[]).await;
        for _ in 0..5 {
            stage
                .page
                .call("HeapProfiler.collectGarbage", json!({}))
                .await
                .unwrap();
            stage
                .run("() => new Promise(done => setTimeout(done, 20))", &[])
                .await;
        }
        connection.write_all(said.as_bytes()).await.unwrap();
        stage
            .page
            .wait_for(&format!("told.includes('{told}')"))
            .await
            .unwrap();
        end(stage).await;
    }
}

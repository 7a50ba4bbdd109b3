//! Jackfield's Direct Sockets answer as Chrome's own do: one file of cases is run on Chrome's, in an Isolated Web
//! App, and on Jackfield's, over either way to the network. Where they answer otherwise, it is listed here, with
//! the reason, and in docs/direct-sockets.md.

use std::fs;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::slice;
use std::time::Duration;

use jackfield_browser_tests::peers;
use jackfield_browser_tests::{page, workspace};
use jackfield_native::Native;
use jackfield_relayd::token::{Credential, Secret};
use jackfield_relayd::{Config, Relayd, Token};
use jackfield_socket::{ListenOptions, TcpListen as _, TcpListener as _};
use jackfield_testing::certs::Authority;
use jackfield_testing::chromium::{Chromium, Page};
use jackfield_testing::libcoap::Libcoap;
use jackfield_testing::namespace;
use jackfield_testing::site::Site;
use serde_json::{Map, Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;

const SECRET: &str = "the-secret-of-the-tests";
/// How long the cases may take together, on a busy machine.
const CASES: Duration = Duration::from_mins(4);
/// Nothing else here takes so long, unless it hangs.
const PATIENCE: Duration = Duration::from_secs(20);
/// How many chunks are moved, of what size.
const CHUNKS: usize = 256;
const CHUNK: usize = 65_536;

/// A worker that sends a word to a port by the class, and gives what comes back.
const WORKER: &str = "
    import { TCPSocket, open } from './direct-sockets.js';
    onmessage = async ({ data: { options, port } }) => {
        const network = await open(options);
        const { readable, writable } = await new TCPSocket('127.0.0.1', port).opened;
        const writer = writable.getWriter();
        await writer.write(new TextEncoder().encode('at work'));
        const { value } = await readable.getReader().read();
        postMessage([network.kind, TCPSocket !== globalThis.TCPSocket, new TextDecoder().decode(value)]);
    };";

/// The ways to the network.
const BOTH: &[&str] = &["direct", "relay"];
const RELAY: &[&str] = &["relay"];

/// What Jackfield's sockets do otherwise.
struct Difference {
    /// The case whose answer differs. The documentation names it.
    case: &'static str,
    ways: &'static [&'static str],
    answer: Value,
}

fn differences() -> Vec<Difference> {
    let difference = |case, ways, answer| Difference { case, ways, answer };
    let cut = "NetworkError: Stream aborted by the remote: net::ERR_CONNECTION_RESET";
    let write = "rejected: TypeError: Failed to execute 'write' on 'WritableStreamDefaultWriter': ";
    let class = |name| {
        json!(format!(
            "TypeError: Class constructor {name} cannot be invoked without 'new'"
        ))
    };
    let unsupported = "NotSupportedError: This operation is not supported on the current platform.";
    vec![
        // What Chrome loses or leaves open.
        difference(
            "a BYOB read learns of the peer's end",
            BOTH,
            json!(["bye", [true, 0], "resolved: undefined"]),
        ),
        difference(
            "what is written after a reset is not taken",
            BOTH,
            json!([cut]),
        ),
        difference(
            "a socket whose writing broke can be done with",
            BOTH,
            json!([
                format!(
                    "{write}The provided value is not of type '(ArrayBuffer or ArrayBufferView)'."
                ),
                format!("{write}UDPMessage: missing 'data' field."),
            ]),
        ),
        difference(
            "the peer learns of the end of writing",
            RELAY,
            json!(["done undefined", "resolved: undefined"]),
        ),
        // What a class of JavaScript can't be, and what a relay can't have.
        difference(
            "a constructor is no function",
            BOTH,
            json!([
                class("TCPSocket"),
                class("UDPSocket"),
                class("TCPServerSocket")
            ]),
        ),
        difference(
            "a UDP socket can be connected to port 0",
            RELAY,
            json!(["InvalidAccessError: Access to the requested host or port is blocked."]),
        ),
        difference(
            "a group is joined, heard and left",
            RELAY,
            json!([unsupported]),
        ),
    ]
}

/// A page and an Isolated Web App with the package and the cases, and a relay for the page.
struct World {
    browser: Chromium,
    app: Page,
    page: Page,
    relay: JoinHandle<()>,
    _site: Site,
}

impl World {
    async fn start() -> Self {
        let package = tokio::task::spawn_blocking(package).await;
        let site = Site::builder()
            .dir(workspace().join("tests/browser-suite/page"))
            .file("/index.html", "<!doctype html><title>Sockets</title>")
            .file("/worker.js", WORKER)
            .dir(workspace().join("tests/browsers/page"))
            .dir(package.unwrap());
        let site = site.start().await.unwrap();
        let (at, relay) = relay(&site.origin()).await;
        let browser = Chromium::launch_with(&["--js-flags=--expose-gc"]).await;
        let browser = browser.unwrap();
        let app = browser.install(&site).await.unwrap();
        let app = browser.launch_app(&app).await.unwrap();
        let page = browser.open(&site.url()).await.unwrap();
        let world = Self {
            browser,
            app: app.with_deadline(CASES),
            page: page.with_deadline(CASES),
            relay,
            _site: site,
        };
        for (page, options) in [
            (&world.app, json!({})),
            (&world.page, json!({ "relay": at, "token": SECRET })),
        ] {
            let load = "async options => {
                globalThis.ours = await import('/direct-sockets.js');
                globalThis.options = options;
                globalThis.network = await ours.open(options);
                return network.kind;
            }";
            let kind: String = page.invoke(load, slice::from_ref(&options)).await.unwrap();
            let expected = if options == json!({}) {
                "direct"
            } else {
                "relay"
            };
            assert_eq!(kind, expected);
        }
        world
    }

    fn ways(&self) -> [(&'static str, &Page); 2] {
        [("direct", &self.app), ("relay", &self.page)]
    }

    /// Runs these cases everywhere, and compares.
    async fn compare(&self, set: &str, at: &Value) {
        let chrome = answers(&self.app, "globalThis", set, at).await;
        assert!(chrome.len() > 2, "{chrome:?}");
        let differences = differences();
        let mut wrong = Vec::new();
        for (way, page) in self.ways() {
            let given = answers(page, "ours", set, at).await;
            for (case, answer) in &chrome {
                let known = differences.iter();
                let known = known
                    .filter(|known| known.ways.contains(&way))
                    .find(|known| known.case == case.as_str());
                let expected = known.map_or(answer, |known| &known.answer);
                if known.is_some() && answer == expected {
                    wrong.push(format!("{case}: Chrome does the same by now: {answer}"));
                }
                if given.get(case) != Some(expected) {
                    let given = &given[case];
                    wrong.push(format!("{case}, {way}:\n  {expected}\n  {given}"));
                }
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
}

/// The package's folder. Others use it meanwhile, so that a process which one of the tests starts doesn't build it
/// again.
fn package() -> PathBuf {
    if namespace::is_inside() {
        workspace().join("dist/npm")
    } else {
        page("npm").unwrap()
    }
}

/// What the cases of this set answer on these sockets.
async fn answers(page: &Page, sockets: &str, set: &str, at: &Value) -> Map<String, Value> {
    let run =
        format!("async at => (await import('/direct_sockets.js')).run('{set}', {sockets}, at)");
    page.invoke(&run, slice::from_ref(at)).await.unwrap()
}

/// A relay for the page of this origin, with everything on this machine.
async fn relay(origin: &str) -> (String, JoinHandle<()>) {
    let secret = Secret::new(SECRET).unwrap();
    let mut token = Token::new("page", Credential::Secret(secret));
    let rules = [
        "127.0.0.0/8:*",
        "127.0.0.0/8:*/udp",
        "localhost:*/udp",
        "[::1]:*",
        "nowhere.invalid:*",
        "nowhere.invalid:*/udp",
        "10.71.0.0/16:*/udp",
        "239.0.0.0/8:*/udp",
    ];
    token.policy.allow = rules.map(|rule| rule.parse().unwrap()).into();
    let rules = [
        // As Chrome has it.
        "127.0.0.1:0,32768-65535",
        "127.0.0.1:0,1024-65535/udp",
        "0.0.0.0:0,1024-65535/udp",
        "10.71.0.1:0,1024-65535/udp",
        // Which is no address of this machine.
        "192.0.2.1:*",
        "192.0.2.1:*/udp",
    ];
    token.policy.listen = rules.map(|rule| rule.parse().unwrap()).into();
    // The cases open and close faster than any user.
    token.limits.dials_per_second = 10_000;
    token.udp_open = true;
    let mut config = Config::default();
    config.listen = vec!["127.0.0.1:0".parse().unwrap()];
    config.origins = vec![origin.parse().unwrap()];
    config.tokens = vec![token];
    let relay = Relayd::bind(config).await.unwrap();
    let address = relay.local_addrs()[0];
    let running = tokio::spawn(async move {
        relay.run(std::future::pending()).await;
    });
    (format!("ws://{address}/"), running)
}

/// Serves each connection at a free port, which it gives.
async fn serve<F: Future<Output = ()> + Send + 'static>(
    serve: impl Fn(TcpStream) -> F + Send + 'static,
) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream));
        }
    });
    port
}

async fn echo(mut stream: TcpStream) {
    let (mut reading, mut writing) = stream.split();
    // The client may have seen enough.
    let _ = tokio::io::copy(&mut reading, &mut writing).await;
}

/// The servers that the cases speak with.
async fn servers() -> Value {
    let (echo_at, datagrams) = loop {
        let port = serve(echo).await;
        // What has it for UDP is none of ours.
        if let Ok(datagrams) = UdpSocket::bind(("127.0.0.1", port)).await {
            break (port, datagrams);
        }
    };
    tokio::spawn(async move {
        let mut buffer = vec![0; 65_536];
        while let Ok((len, from)) = datagrams.recv_from(&mut buffer).await {
            let _ = datagrams.send_to(&buffer[..len], from).await;
        }
    });
    let ends = serve(|mut stream| async move {
        let _ = stream.read(&mut [0; 64]).await;
        let _ = stream.write_all(b"bye").await;
        let _ = stream.shutdown().await;
        let _ = stream.read(&mut [0; 64]).await;
    });
    let any = "127.0.0.1:0".parse().unwrap();
    let resets = Native.listen(any, &ListenOptions::default()).await;
    let mut resets = resets.unwrap();
    let resets_at = resets.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok(mut stream) = resets.accept().await {
            tokio::spawn(async move {
                let _ = stream.read(&mut [0; 64]).await;
                stream.abort();
            });
        }
    });
    let free = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let refused = TcpListener::bind("127.0.0.1:0").await.unwrap();
    json!({
        "host": "127.0.0.1",
        "echo": echo_at,
        "ends": ends.await,
        "resets": resets_at.port(),
        "taken": echo_at,
        "free": free.local_addr().unwrap().port(),
        "refused": refused.local_addr().unwrap().port(),
        "interface": namespace::V4,
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn they_answer_as_chromes_do() {
    let at = servers().await;
    let world = World::start().await;
    world.compare("cases", &at).await;
    world.browser.close().await.unwrap();
}

mod in_a_namespace {
    use super::*;

    #[test]
    fn groups_answer_as_chromes_do() {
        package();
        if !namespace::enter("in_a_namespace::groups_answer_as_chromes_do") {
            return;
        }
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let at = servers().await;
            let world = World::start().await;
            world.compare("multicast", &at).await;
            world.browser.close().await.unwrap();
        });
    }

    /// A group of CoAP servers, through a relay that lets the page ask it, and on Direct Sockets.
    #[test]
    fn a_group_of_devices_is_asked() {
        package();
        if !namespace::enter("in_a_namespace::a_group_of_devices_is_asked") {
            return;
        }
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(ask_a_group());
    }

    async fn ask_a_group() {
        const ASK: &str = "async (url, elsewhere) => {
            const { open } = await import('/index.js');
            const network = await open(options);
            const group = await network.coapGroup(url);
            const told = { state: group.state };
            const first = async answers => { for await (const it of answers) return it; };
            const member = await first(group.discover());
            told.member = [member.from, member.links.some(({ href }) => href === '/time')];
            const time = await first(group.get('/time?ticks'));
            told.time = [time.from, time.ok, time.text().length > 5];
            const alone = await network.coap(time.from);
            told.alone = (await alone.get('/time?ticks')).ok;
            // Nobody has that, and so nobody answers.
            told.none = (await Array.fromAsync(group.get('/none', { window: 500 }))).length;
            const aborted = new AbortController();
            const waits = first(group.get('/none', { signal: aborted.signal })).catch(reason => reason);
            aborted.abort('enough');
            told.aborted = await waits;
            await group.close();
            told.closed = await first(group.get('/time')).catch(({ kind }) => kind);
            const fails = async how => {
                const refused = await network.coapGroup(elsewhere, how);
                return first(refused.get('/', { window: 500 })).catch(({ kind, where }) => `${kind}, ${where}`);
            };
            told.interface = await fails({ interface: '192.0.2.77' });
            return told;
        }";
        let group = Ipv4Addr::new(239, 255, 71, 2);
        let server = Libcoap::start_in_group(group, namespace::INTERFACE).await;
        let server = server.unwrap();
        let world = World::start().await;
        let port = server.plain().port();
        let from = format!("coap://{}:{port}", namespace::V4);
        for (page, refused) in [
            (&world.page, "denied, relay"),
            // The browser chooses.
            (&world.app, "unsupported, page"),
        ] {
            let url = json!(format!("coap://{group}:{port}"));
            let told: Value = page.invoke(ASK, &[url.clone(), url]).await.unwrap();
            assert_eq!(
                told,
                json!({
                    "state": "connecting",
                    "member": [from, true],
                    "time": [from, true, true],
                    "alone": true,
                    "none": 0,
                    "aborted": "enough",
                    "closed": "closed",
                    "interface": refused,
                })
            );
        }
        world.browser.close().await.unwrap();
    }
}

/// What is listed here is listed for users.
#[test]
fn the_differences_are_documented() {
    let text = fs::read_to_string(workspace().join("docs/direct-sockets.md")).unwrap();
    let chapter = text
        .split("\n## ")
        .find(|chapter| chapter.starts_with("On any page"));
    let chapter = chapter.expect("a chapter on them");
    for Difference { case, .. } in differences() {
        assert!(chapter.contains(case), "{case} is not documented");
    }
}

/// Chunks of the size of Chrome's pipe, of which its own sockets lose most; a reader that dawdles; and bytes
/// that are written just before the end.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost() {
    const MOVE: &str = "async ({ sink, source, last }, chunks, size) => {
        const { TCPSocket } = ours;
        const up = new TCPSocket('127.0.0.1', sink);
        const { readable, writable } = await up.opened;
        const writer = writable.getWriter();
        const written = (async () => {
            for (let n = 0; n < chunks; n += 1) await writer.write(new Uint8Array(size).fill(n));
        })();
        const { value } = await readable.getReader().read();
        await written;
        const told = [new TextDecoder().decode(value)];

        const down = new TCPSocket('127.0.0.1', source);
        let got = 0;
        for await (const chunk of (await down.opened).readable) {
            for (const byte of [0, chunk.length - 1]) {
                if (chunk[byte] !== (Math.floor((got + byte) / size) & 255)) return `wrong at ${got + byte}`;
            }
            got += chunk.length;
            if (got % 7 === 0) await new Promise(resolve => setTimeout(resolve, 5));
        }
        told.push(got);

        const end = new TCPSocket('127.0.0.1', last);
        const ending = (await end.opened).writable.getWriter();
        await ending.write(new Uint8Array(200_000));
        ending.releaseLock();
        await end.close();
        return told;
    }";
    let sink = serve(|mut stream| async move {
        let mut chunk = vec![0; CHUNK];
        for number in 0..CHUNKS {
            if stream.read_exact(&mut chunk).await.is_err()
                || chunk.iter().any(|byte| usize::from(*byte) != number % 256)
            {
                let _ = stream.write_all(b"lost").await;
                return;
            }
        }
        let _ = stream.write_all(b"whole").await;
        let _ = stream.read(&mut [0]).await;
    });
    let source = serve(|mut stream| async move {
        for number in 0..CHUNKS {
            let chunk = vec![(number % 256) as u8; CHUNK];
            if stream.write_all(&chunk).await.is_err() {
                return;
            }
        }
        let _ = stream.shutdown().await;
        let _ = stream.read(&mut [0]).await;
    });
    let (ended, mut ends) = mpsc::unbounded_channel();
    let last = serve(move |mut stream| {
        let ended = ended.clone();
        async move {
            // It is slow to begin.
            tokio::time::sleep(Duration::from_millis(300)).await;
            let mut all = Vec::new();
            let outcome = stream.read_to_end(&mut all).await;
            let _ = ended.send((all.len(), outcome.is_ok()));
        }
    });
    let at = json!({ "sink": sink.await, "source": source.await, "last": last.await });
    let world = World::start().await;
    for (way, page) in world.ways() {
        let arguments = [at.clone(), json!(CHUNKS), json!(CHUNK)];
        let told: Value = page.invoke(MOVE, &arguments).await.unwrap();
        assert_eq!(told, json!(["whole", CHUNKS * CHUNK]), "{way}");
        let end = timeout(PATIENCE, ends.recv()).await.unwrap();
        assert_eq!(end, Some((200_000, true)), "{way}");
    }
    world.browser.close().await.unwrap();
}

/// A program that was written for Chrome's globals finds them; what stands on Chrome's own goes on doing so.
#[tokio::test(flavor = "multi_thread")]
async fn they_can_be_installed() {
    const USE: &str = "async at => {
        const own = globalThis.TCPSocket;
        ours.install(globalThis);
        ours.install(globalThis);
        const told = [TCPSocket === ours.TCPSocket, TCPSocket !== own, typeof TCPServerSocket, typeof MulticastController];
        await (await ours.open(options)).use();
        const { sets } = await import('/direct_sockets.js');
        told.push((await sets.cases['an echo, read in both ways'](globalThis, at))[0]);
        return [told, (await ours.open()).kind];
    }";
    let at = servers().await;
    let world = World::start().await;
    for (way, page) in world.ways() {
        let told: Value = page.invoke(USE, slice::from_ref(&at)).await.unwrap();
        let kind = (way == "direct").then_some("direct");
        let installed = json!([true, true, "function", "function", "there"]);
        assert_eq!(told, json!([installed, kind]), "{way}");
    }
    world.browser.close().await.unwrap();
}

/// In an app and on a page alike: the package's own sockets, with TLS and without, and the classes in a worker.
#[tokio::test(flavor = "multi_thread")]
async fn an_app_has_sockets_and_so_have_its_workers() {
    const PLAY: &str = "async (plain, secure, root) => {
        const { open } = await import('/index.js');
        const network = await open({ ...options, roots: root });
        const told = { kind: network.kind };
        const echoed = async address => {
            const socket = network.connect(address);
            const { tls, remoteAddress } = await socket.opened;
            const writer = socket.writable.getWriter();
            await writer.write(new TextEncoder().encode('hello'));
            const reader = socket.readable.getReader({ mode: 'byob' });
            const { value } = await reader.read(new Uint8Array(5), { min: 5 });
            reader.releaseLock();
            await socket.close();
            return [new TextDecoder().decode(value), tls?.version ?? null, address.endsWith(remoteAddress)];
        };
        told.plain = await echoed(plain);
        told.secure = await echoed(`tls://${secure}`);
        const refused = network.connect('127.0.0.1:1');
        told.refused = await refused.opened.catch(({ kind, where }) => `${kind}, ${where}`);
        // An app takes no text for a script's address.
        const trusted = trustedTypes.createPolicy('worker', { createScriptURL: script => script });
        const worker = new Worker(trusted.createScriptURL('/worker.js'), { type: 'module' });
        told.worker = await new Promise((done, fail) => {
            worker.onmessage = ({ data }) => done(data);
            worker.onerror = ({ message }) => fail(new Error(message));
            worker.postMessage({ options, port: Number(plain.split(':')[1]) });
        });
        await network.close();
        return told;
    }";
    let authority = Authority::new();
    let plain = peers::echo().await;
    let secure = peers::secure_echo(&authority.server(&["127.0.0.1"])).await;
    let arguments = [
        json!(plain.address().to_string()),
        json!(secure.address().to_string()),
        json!(authority.pem()),
    ];
    let world = World::start().await;
    for (way, page) in world.ways() {
        let told: Value = page.invoke(PLAY, &arguments).await.unwrap();
        assert_eq!(
            told,
            json!({
                "kind": way,
                "plain": ["hello", null, true],
                "secure": ["hello", "TLS 1.3", true],
                "refused": "refused, server",
                "worker": [way, true, "at work"],
            })
        );
    }
    world.browser.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_comes_first() {
    const TRY: &str = "async () => {
        // The module of another document, in which nobody has opened a network.
        const told = [];
        const frame = document.createElement('iframe');
        frame.srcdoc = '<script type=module>import * as fresh from \"/direct-sockets.js\"; parent.took(fresh);</' + 'script>';
        const fresh = new Promise(resolve => { globalThis.took = resolve; });
        document.body.append(frame);
        const { TCPSocket, UDPSocket, TCPServerSocket } = await fresh;
        for (const make of [
            () => new TCPSocket('localhost', 7),
            () => new TCPSocket('localhost'),
            () => new UDPSocket({}),
            () => new TCPServerSocket('127.0.0.1'),
        ]) {
            try { make(); told.push('made'); } catch (error) { told.push(`${error.name}: ${error.message}`); }
        }
        return told;
    }";
    let world = World::start().await;
    let told: Value = world.page.invoke(TRY, &[]).await.unwrap();
    let missing = |class: &str| {
        format!(
            "NotAllowedError: Failed to construct '{class}': no network was opened: call open() of \
             jackfield/direct-sockets before."
        )
    };
    let expected = json!([
        missing("TCPSocket"),
        "TypeError: Failed to construct 'TCPSocket': 2 arguments required, but only 1 present.",
        missing("UDPSocket"),
        missing("TCPServerSocket"),
    ]);
    assert_eq!(told, expected);
    world.browser.close().await.unwrap();
}

/// Whatever is open when the relay goes is told of it, whoever reads or not.
#[tokio::test(flavor = "multi_thread")]
async fn a_relay_that_is_lost_fails_everything() {
    const OPEN: &str = "async ({ echo }) => {
        const { TCPSocket, UDPSocket, TCPServerSocket } = ours;
        globalThis.all = [
            new TCPSocket('127.0.0.1', echo),
            new UDPSocket({ remoteAddress: '127.0.0.1', remotePort: echo }),
            new UDPSocket({ localAddress: '127.0.0.1' }),
            new TCPServerSocket('127.0.0.1'),
        ];
        const opened = await Promise.all(all.map(socket => socket.opened));
        globalThis.taking = opened.at(-1).readable.getReader().read();
        taking.catch(() => undefined);
        return true;
    }";
    const TELL: &str = "async () => {
        const told = [];
        // A UDP socket's writing learns of it when it writes.
        for (const socket of all.slice(1, 3)) await (await socket.opened).writable.abort();
        for (const promise of [...all.map(socket => socket.closed), taking]) {
            told.push(await promise.then(() => 'ended', error => `${error.name}: ${error.message} (${error.cause.kind})`));
        }
        return told;
    }";
    let at = servers().await;
    let world = World::start().await;
    let _: bool = world.page.invoke(OPEN, &[at]).await.unwrap();
    world.relay.abort();
    let told: Value = world.page.invoke(TELL, &[]).await.unwrap();
    let cut = "NetworkError: Stream aborted by the remote: net::ERR_CONNECTION_RESET (reset)";
    let closed = "NetworkError: Server socket closed: net::ERR_CONNECTION_ABORTED (unreachable)";
    assert_eq!(told, json!([cut, cut, cut, closed, closed]));
    world.browser.close().await.unwrap();
}

/// What nobody can reach any more is collected, and its connection is cut; what somebody waits for is not.
#[tokio::test(flavor = "multi_thread")]
async fn a_socket_that_is_forgotten_is_closed() {
    const FORGET: &str = "async port => {
        await (async () => { await new ours.TCPSocket('127.0.0.1', port).opened; })();
        globalThis.got = new Promise((resolve) => void (async () => {
            const { readable } = await new ours.TCPSocket('127.0.0.1', port).opened;
            resolve(await readable.getReader().read());
        })());
        // References of the calls before are gone in another task.
        for (let round = 0; round < 20; round += 1) {
            await new Promise(resolve => setTimeout(resolve, 20));
            gc();
        }
        return true;
    }";
    let (came, mut streams) = mpsc::unbounded_channel();
    let port = serve(move |stream| {
        let _ = came.send(stream);
        async {}
    })
    .await;
    let world = World::start().await;
    for (way, page) in world.ways() {
        let _: bool = page.invoke(FORGET, &[json!(port)]).await.unwrap();
        let mut forgotten = streams.recv().await.unwrap();
        let mut awaited = streams.recv().await.unwrap();
        // An end or a reset, as the way has it.
        let read = timeout(PATIENCE, forgotten.read(&mut [0])).await.unwrap();
        assert!(!matches!(read, Ok(1..)), "{way}: {read:?}");
        awaited.write_all(b"still there").await.unwrap();
        let tell = "() => got.then(({ value }) => new TextDecoder().decode(value))";
        let got: String = page.invoke(tell, &[]).await.unwrap();
        assert_eq!(got, "still there", "{way}");
    }
    world.browser.close().await.unwrap();
}

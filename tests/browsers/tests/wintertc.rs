//! `connect()` of `jackfield/sockets` is WinterTC's: what each line of it says, and libraries that were written for
//! Cloudflare Workers, unchanged, in a page, with servers that others wrote.

use std::io::Write as _;
use std::net::SocketAddr;
use std::process::{Command, Stdio};

use jackfield_browser_tests::page;
use jackfield_browser_tests::stage::Stage;
use jackfield_testing::aiosmtpd::Aiosmtpd;
use jackfield_testing::certs::Authority;
use jackfield_testing::postgresql::{self, Postgresql};
use jackfield_testing::redis::{self, Redis};
use jackfield_testing::runtimes::node_folder;
use jackfield_testing::unpacked;
use jackfield_tls::{Identity, TlsAcceptor, TlsServerConfig};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

/// The libraries, and what opens the network that they go over.
const BUNDLED: &str = "\
import postgres from 'postgres';
import { createRedis } from 'redis-on-workers';
import { WorkerMailer } from 'worker-mailer';
import { load, open } from 'jackfield/sockets';
export { createRedis, load, open, postgres, WorkerMailer };
";

/// What stands in for modules that Workers have.
const ALIASES: [(&str, &str); 3] = [
    ("node:buffer", "buffer"),
    ("node:events", "events"),
    ("node:stream", "readable-stream"),
];

/// A page with the bundle as `libraries`, and the way to one server.
async fn stage(server: SocketAddr) -> Stage {
    let stage = Stage::start(server).await;
    let bundle = tokio::task::spawn_blocking(bundle).await.unwrap();
    let load = "async source => {
        const module = URL.createObjectURL(new Blob([source], { type: 'text/javascript' }));
        globalThis.libraries = await import(module);
        return true;
    }";
    assert_eq!(stage.run(load, &[json!(bundle)]).await, json!(true));
    stage
}

/// Bundles the libraries as for Workers.
fn bundle() -> String {
    let sockets = page("npm").unwrap().join("sockets.js");
    let mut esbuild = Command::new("node");
    esbuild
        .arg("node_modules/esbuild/bin/esbuild")
        .args(["--bundle", "--format=esm", "--conditions=workerd"])
        // It is asked for where there is no `cloudflare:sockets`.
        .arg("--external:@arrowood.dev/socket");
    for name in ["cloudflare:sockets", "jackfield/sockets"] {
        esbuild.arg(format!("--alias:{name}={}", sockets.display()));
    }
    for (name, stand_in) in ALIASES {
        esbuild.arg(format!("--alias:{name}={stand_in}"));
    }
    let esbuild = esbuild
        .current_dir(node_folder())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut bundling = esbuild
        .spawn()
        .expect("node; `cargo xtask test` installs it");
    let source = bundling.stdin.take().unwrap();
    { source }.write_all(BUNDLED.as_bytes()).unwrap();
    let output = bundling.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    String::from_utf8(output.stdout).unwrap()
}

/// What a page passes to `open()`.
fn options(stage: &Stage, authority: &Authority) -> Value {
    let mut options = stage.options.clone();
    options["roots"] = json!(authority.pem());
    options
}

#[tokio::test(flavor = "multi_thread")]
async fn worker_mailer_sends_over_starttls_and_tls() {
    const SEND: &str = "async (options, host, port, secure) => {
        const { load, open, WorkerMailer } = libraries;
        await load(new URL('/wasm/sockets_bg.wasm', location));
        await open(options);
        const mailer = await WorkerMailer.connect({
            host, port, secure, startTls: !secure, authType: 'plain',
            credentials: { username: 'ada', password: 'correct horse' },
        });
        await mailer.send({
            from: { name: 'Ada', email: 'ada@example.com' }, to: 'grace@example.com',
            subject: secure ? 'By TLS' : 'By STARTTLS', text: 'From a page.',
        });
        await mailer.close();
        return true;
    }";
    let authority = Authority::new();
    let server = Aiosmtpd::start(&authority.server(&["127.0.0.1"])).await;
    let server = server.unwrap();
    for (at, secure, count) in [(server.plain(), false, 1), (server.tls(), true, 2)] {
        let stage = stage(at).await;
        let arguments = [
            options(&stage, &authority),
            json!(at.ip()),
            json!(at.port()),
            json!(secure),
        ];
        assert_eq!(stage.run(SEND, &arguments).await, json!(true));
        let messages = server.messages(count).await.unwrap();
        let message = String::from_utf8_lossy(&messages[count - 1]);
        assert!(message.contains("From a page."), "{message}");
        stage.browser.close().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_on_workers_speaks_with_redis() {
    const ASK: &str = "async (options, hostname, port, password, tls) => {
        const { load, open, createRedis } = libraries;
        await load(new URL('/wasm/sockets_bg.wasm', location));
        await open(options);
        const redis = createRedis({ hostname, port, password, tls });
        const answers = [await redis.send('SET', 'lamp', 'on'), await redis.send('GET', 'lamp')];
        const long = 'x'.repeat(300_000);
        await redis.send('SET', 'long', long);
        answers.push(await redis.send('GET', 'long') === long, await redis.send('DEL', 'lamp', 'long'));
        await redis.close();
        return answers;
    }";
    if unpacked::is_skipped(redis::NAME) {
        return;
    }
    let authority = Authority::new();
    let server = Redis::start(&authority.server(&["127.0.0.1"])).await;
    let server = server.unwrap();
    for (at, tls) in [(server.plain(), false), (server.tls(), true)] {
        let stage = stage(at).await;
        let arguments = [
            options(&stage, &authority),
            json!(at.ip()),
            json!(at.port()),
            json!(redis::PASSWORD),
            json!(tls),
        ];
        let answers = stage.run(ASK, &arguments).await;
        assert_eq!(answers, json!(["OK", "on", true, 2]));
        stage.browser.close().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_js_speaks_with_postgresql() {
    const ASK: &str = "async (options, host, port, username, password, ssl) => {
        const { load, open, postgres } = libraries;
        await load(new URL('/wasm/sockets_bg.wasm', location));
        await open(options);
        const sql = postgres({ host, port, database: 'postgres', username, password, ssl });
        await sql`create table reading (at int primary key, what text)`;
        const readings = Array.from({ length: 500 }, (_, at) => ({ at, what: `reading ${at}` }));
        await sql`insert into reading ${sql(readings)}`;
        const [{ count }] = await sql`select count(*)::int from reading`;
        const found = await sql`select what from reading where at > ${497} order by at`;
        const [{ ssl: encrypted }] = await sql`select ssl from pg_stat_ssl where pid = pg_backend_pid()`;
        const refused = await sql`select nothing`.catch(({ code }) => code);
        await sql`drop table reading`;
        await sql.end();
        return [count, found.map(({ what }) => what), encrypted, refused];
    }";
    if unpacked::is_skipped(postgresql::NAME) {
        return;
    }
    let authority = Authority::new();
    let server = Postgresql::start(&authority.server(&["127.0.0.1"])).await;
    let server = server.unwrap();
    let stage = stage(server.at()).await;
    for ssl in [true, false] {
        let arguments = [
            options(&stage, &authority),
            json!(server.at().ip()),
            json!(server.at().port()),
            json!(postgresql::USER),
            json!(postgresql::PASSWORD),
            json!(ssl),
        ];
        let answers = stage.run(ASK, &arguments).await;
        let expected = json!([500, ["reading 498", "reading 499"], ssl, "42703"]);
        assert_eq!(answers, expected);
    }
    stage.browser.close().await.unwrap();
}

/// Calls, and how the error begins that each throws at once.
const MISUSES: &[(&str, &str)] = &[
    ("connect()", "Specified address could not be parsed."),
    ("connect('')", "Specified address could not be parsed."),
    ("connect('a b:1')", "Specified address could not be parsed."),
    (
        "connect('tcp://a.example:1')",
        "Specified address could not be parsed.",
    ),
    (
        "connect('a.example:65536')",
        "Specified address could not be parsed",
    ),
    (
        "connect('a.example:x')",
        "Specified address could not be parsed.",
    ),
    ("connect('a.example')", "Specified address is missing port."),
    (
        "connect('a.example:')",
        "Specified address is missing port.",
    ),
    (
        "connect({ hostname: 'a.example' })",
        "Specified address is missing port.",
    ),
    (
        "connect({ hostname: 5, port: 1 })",
        "Specified address could not be parsed",
    ),
    ("connect({ hostname: 'a b', port: 1 })", ""),
    (
        "connect(at, { secureTransport: 'tls' })",
        "Unsupported value in secureTransport socket option: tls",
    ),
    (
        "connect(at, { sni: 'a.example' })",
        "The sni socket option needs secureTransport",
    ),
    (
        "connect(at, { alpn: ['h2'] })",
        "The alpn socket option needs secureTransport",
    ),
    (
        "connect(at, { secureTransport: 'on', alpn: [''] })",
        "an application protocol's name has 1 to 255 bytes",
    ),
    (
        "connect(at).startTls()",
        "The secureTransport socket option must be set to 'starttls'",
    ),
    (
        "connect(at, { secureTransport: 'on' }).startTls()",
        "Cannot startTls on a TLS socket.",
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn each_line_of_connect_is_kept() {
    const PLAY: &str = "async (options, at, misuses) => {
        const { load, open, connect, SocketError } = await import('./sockets.js');
        const thrown = work => {
            try { work(); } catch (error) {
                return [error instanceof SocketError, error instanceof TypeError, error.message];
            }
        };
        const bytes = text => new TextEncoder().encode(text);
        const told = promise => promise.then(value => value ?? 'done', error => error instanceof SocketError
            ? `${error.message.slice(0, 13)}${error.cause.kind}` : `${error}`);
        let unhandled = 0;
        addEventListener('unhandledrejection', () => unhandled++);
        const early = thrown(() => connect(at));
        await open(options);
        const wrong = misuses.map(call => thrown(() => new Function('connect', 'at', call)(connect, at)));

        // A failed connect rejects both, and errors both streams.
        const failed = connect(at, { secureTransport: 'on', sni: 'elsewhere.example' });
        const failure = [await told(failed.opened), await told(failed.closed),
            await told(failed.readable.getReader().read()), await told(failed.writable.getWriter().write(bytes('x')))];
        const same = await failed.opened.catch(error => error) === await failed.closed.catch(error => error);

        // `opened` settles after the handshake, with what was agreed on.
        const { hostname, port } = new URL(`http://${at}`);
        const secured = connect({ hostname, port: Number(port) }, { secureTransport: 'on', sni: 'db.example', alpn: ['x', 'echo'] });
        const { remoteAddress, alpn, tls } = await secured.opened;
        const facts = [remoteAddress === at, alpn, tls.version, secured.upgraded, secured.secureTransport];
        // Not half open: the peer's end ends this side.
        const said = await new Response(secured.readable).text();
        facts.push(said, await told(secured.closed));

        // STARTTLS.
        const names = [{}, { expectedServerHostname: 'db.example' }, { servername: 'db.example' }];
        const upgrades = [];
        for (const [index, name] of names.entries()) {
            const plain = connect(at, { secureTransport: 'starttls', sni: index === 0 ? 'db.example' : null });
            const order = [];
            plain.closed.then(() => order.push('closed'));
            const writer = plain.writable.getWriter();
            await writer.write(bytes('s'));
            writer.releaseLock();
            const next = plain.startTls(index === 0 ? undefined : name);
            next.opened.then(() => order.push('opened'));
            const isOver = [await told(plain.readable.getReader().closed), plain.upgraded, next.upgraded, next.secureTransport];
            await plain.closed;
            upgrades.push([order, isOver, await new Response(next.readable).text(), thrown(() => next.startTls())[2]]);
        }

        // Half open.
        const half = connect(at, { allowHalfOpen: true, surprise: 1 });
        const writer = half.writable.getWriter();
        await writer.write(bytes('h'));
        const heard = await new Response(half.readable).text();
        await writer.write(bytes('more'));
        await writer.close();
        const halfOpen = [heard, await told(half.closed)];

        // Closing: the reason is passed on, `closed` is what it gives.
        const pending = connect(at);
        const given = pending.close('enough');
        const closing = [given === pending.closed, await told(given), await told(pending.opened)];
        const left = connect(at);
        await left.opened;
        const reader = left.readable.getReader(), last = left.writable.getWriter();
        last.write(bytes('bye'));
        await left.close();
        closing.push((await reader.read()).done, await told(last.write(bytes('x'))));
        return { early, wrong, failure, same, facts, upgrades, halfOpen, closing, unhandled };
    }";
    let authority = Authority::new();
    let certificate = authority.server(&["db.example"]);
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let at = listener.local_addr().unwrap();
    let stage = Stage::start(at).await;
    // It tells by the first byte what is played.
    let serve = async {
        loop {
            let (mut peer, _) = listener.accept().await.unwrap();
            let (chain, key) = (certificate.pem(), certificate.key_pem());
            let identity = Identity::from_pem(chain.as_bytes(), key.as_bytes()).unwrap();
            let config = TlsServerConfig::new(identity).with_alpn(["echo"]);
            let acceptor = TlsAcceptor::new(config).unwrap();
            tokio::spawn(async move {
                let mut first = [0];
                if !matches!(peer.peek(&mut first).await, Ok(1)) {
                    return;
                }
                match first[0] {
                    // A ClientHello begins so.
                    22 | b's' => {
                        if first[0] == b's' {
                            peer.read_exact(&mut first).await.unwrap();
                        }
                        let peer = jackfield_socket::Io::new(peer);
                        if let Ok(mut peer) = acceptor.accept(peer).await {
                            peer.write_all(b"hello").await.unwrap();
                            peer.shutdown().await.unwrap();
                            let _ = peer.read_to_end(&mut Vec::new()).await;
                        }
                    }
                    b'h' => {
                        peer.read_exact(&mut first).await.unwrap();
                        peer.write_all(b"half").await.unwrap();
                        peer.shutdown().await.unwrap();
                        let mut rest = String::new();
                        peer.read_to_string(&mut rest).await.unwrap();
                        assert_eq!(rest, "more");
                    }
                    _ => drop(peer.read_to_end(&mut Vec::new()).await),
                }
            });
        }
    };
    let calls: Vec<_> = MISUSES.iter().map(|(call, _)| *call).collect();
    let arguments = [
        options(&stage, &authority),
        json!(at.to_string()),
        json!(calls),
    ];
    let played = tokio::select! {
        played = stage.run(PLAY, &arguments) => played,
        () = serve => unreachable!("it listens for ever"),
    };
    let early = played["early"][2].as_str().unwrap();
    assert!(
        early.starts_with("SocketError: No network is open"),
        "{early}"
    );
    for ((call, expected), thrown) in MISUSES.iter().zip(played["wrong"].as_array().unwrap()) {
        let message = thrown[2].as_str().unwrap_or("nothing was thrown");
        let expected = format!("SocketError: {expected}");
        assert!(message.starts_with(&expected), "{call}: {message}");
        assert_eq!(
            (&thrown[0], &thrown[1]),
            (&json!(true), &json!(true)),
            "{call}"
        );
    }
    let certificate = "SocketError: certificate";
    assert_eq!(played["failure"], json!(vec![certificate; 4]));
    assert_eq!(played["same"], true);
    let facts = json!([true, "echo", "TLS 1.3", false, "on", "hello", "done"]);
    assert_eq!(played["facts"], facts);
    let upgrade = json!([
        ["opened", "closed"],
        ["done", true, false, "on"],
        "hello",
        "SocketError: Cannot startTls on a TLS socket."
    ]);
    assert_eq!(played["upgrades"], json!([upgrade, upgrade, upgrade]));
    assert_eq!(played["halfOpen"], json!(["half", "done"]));
    let closing = json!([true, "done", "enough", true, "SocketError: closed"]);
    assert_eq!(played["closing"], closing);
    assert_eq!(played["unhandled"], 0);
    stage.browser.close().await.unwrap();
}

//! The package in workers of every kind: each opens a broker through the relay, with TLS, and hears itself; and each
//! has Direct Sockets.

use jackfield_browser_tests::peers;
use jackfield_browser_tests::stage::Stage;
use jackfield_testing::certs::Authority;
use jackfield_testing::mosquitto::{Mosquitto, Settings};
use serde_json::json;
use tokio::net::UdpSocket;

/// What each does with what it is told.
const PLAY: &str = "
    import { load, open } from './mqtt.js';
    export async function play({ options, url, name, module }) {
        await load(module);
        await using broker = await (await open(options)).mqtt(url);
        const own = broker.subscribe(name);
        await own.granted;
        await broker.publish(name, `from ${name}`, { qos: 1 });
        return (await own.next()).text();
    }";

/// The same with the classes of Direct Sockets: what is sent over TCP and over UDP comes back.
const SOCKETS: &str = "
    import { TCPSocket, UDPSocket, open } from './direct-sockets.js';
    const bytes = (text) => new TextEncoder().encode(text);
    export async function play({ options, url, name }) {
        const network = await open(options);
        const { tcp, udp } = JSON.parse(url);
        const stream = await new TCPSocket('127.0.0.1', tcp).opened;
        const writer = stream.writable.getWriter();
        await writer.write(bytes(`from ${name}`));
        await writer.close();
        const said = await new Response(stream.readable).text();
        const socket = new UDPSocket({ remoteAddress: '127.0.0.1', remotePort: udp });
        const datagrams = await socket.opened;
        const sender = datagrams.writable.getWriter();
        const reader = datagrams.readable.getReader();
        await sender.write({ data: bytes(`, ${name}`) });
        const { value } = await reader.read();
        await network.close();
        return said + new TextDecoder().decode(value.data);
    }";

/// The scripts of the workers, by their paths, beside what they do.
const FILES: [(&str, &str); 3] = [
    (
        "/dedicated.js",
        "import { play } from './play.js';
        onmessage = async ({ data }) => postMessage(await play(data).catch(String));",
    ),
    (
        "/shared.js",
        "import { play } from './play.js';
        onconnect = ({ ports: [port] }) => {
            port.onmessage = async ({ data }) => port.postMessage(await play(data).catch(String));
        };",
    ),
    (
        "/service.js",
        "import { play } from './play.js';
        oninstall = () => skipWaiting();
        onactivate = (event) => event.waitUntil(clients.claim());
        onmessage = (event) => {
            const { data, ports: [port] } = event;
            event.waitUntil(play(data).catch(String).then((said) => port.postMessage(said)));
        };",
    ),
];

/// Starts a worker of a kind, and gives what it answers. The module is compiled by the page, and shared.
const ASK: &str = "async (options, url, name) => {
    const module = await WebAssembly.compileStreaming(fetch('./wasm/mqtt_bg.wasm'));
    const { port1, port2 } = new MessageChannel();
    const answer = new Promise((resolve) => {
        globalThis.heard = ({ data }) => resolve(data);
        port1.onmessage = heard;
    });
    const asked = { options, url, name };
    if (name === 'dedicated') {
        const worker = new Worker('dedicated.js', { type: 'module' });
        worker.onmessage = heard;
        worker.postMessage({ ...asked, module });
    } else if (name === 'shared') {
        const { port } = new SharedWorker('shared.js', { type: 'module' });
        port.onmessage = heard;
        port.postMessage(asked);
    } else {
        await navigator.serviceWorker.register('service.js', { type: 'module' });
        const { active } = await navigator.serviceWorker.ready;
        active.postMessage(asked, [port2]);
    }
    return answer;
}";

/// A page whose workers do this, with a relay that takes them to these ports.
async fn stage(play: &'static str, ports: &[String]) -> Stage {
    let mut files = FILES.to_vec();
    files.push(("/play.js", play));
    Stage::with(ports, &files).await
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_of_every_kind_speak() {
    let authority = Authority::new();
    let certificate = authority.server(&["localhost", "127.0.0.1"]);
    let broker = Mosquitto::start(&certificate, &Settings::default()).await;
    let broker = broker.unwrap();
    let stage = stage(PLAY, &[broker.tls().port().to_string()]).await;
    let mut options = stage.options.clone();
    options["roots"] = json!(authority.pem());
    let url = json!(format!("mqtts://{}", broker.tls()));
    for kind in ["dedicated", "shared", "service"] {
        let said = stage
            .run(ASK, &[options.clone(), url.clone(), json!(kind)])
            .await;
        assert_eq!(said, format!("from {kind}"));
    }
    stage.browser.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_of_every_kind_have_direct_sockets() {
    let echo = peers::echo().await;
    let socket = UdpSocket::bind(("127.0.0.1", 0)).await.unwrap();
    let udp = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut datagram = [0; 100];
        while let Ok((length, from)) = socket.recv_from(&mut datagram).await {
            let _ = socket.send_to(&datagram[..length], from).await;
        }
    });
    let tcp = echo.address();
    let ports = [tcp.port().to_string(), format!("{}/udp", udp.port())];
    let stage = stage(SOCKETS, &ports).await;
    let at = json!(json!({ "tcp": tcp.port(), "udp": udp.port() }).to_string());
    for kind in ["dedicated", "shared", "service"] {
        let asked = [stage.options.clone(), at.clone(), json!(kind)];
        let said = stage.run(ASK, &asked).await;
        assert_eq!(said, format!("from {kind}, {kind}"));
    }
    stage.browser.close().await.unwrap();
}

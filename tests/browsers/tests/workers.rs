//! The package in workers of every kind: each opens a broker through the relay, with TLS, and hears itself.

use jackfield_browser_tests::stage::Stage;
use jackfield_testing::certs::Authority;
use jackfield_testing::mosquitto::{Mosquitto, Settings};
use serde_json::json;

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

/// The scripts of the workers, by their paths.
const FILES: [(&str, &str); 4] = [
    ("/play.js", PLAY),
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

#[tokio::test(flavor = "multi_thread")]
async fn workers_of_every_kind_speak() {
    let authority = Authority::new();
    let certificate = authority.server(&["localhost", "127.0.0.1"]);
    let broker = Mosquitto::start(&certificate, &Settings::default()).await;
    let broker = broker.unwrap();
    let stage = Stage::with(&[broker.tls().port().to_string()], &FILES).await;
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

//! What a page of one's own does with the module: it pins a certificate, takes leave, and tells a
//! refusal from a body.

use std::time::Duration;

use jackfield_browser_tests::stage::Stage;
use jackfield_browser_tests::thing::Thing;
use jackfield_coap::codec::{Code, FrameHeader, Message, OptionNumber};
use jackfield_testing::certs::Authority;
use jackfield_testing::mosquitto::{Mosquitto, Settings};
use jackfield_tls::Pin;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

/// Nothing here takes so long, unless it hangs.
const PATIENCE: Duration = Duration::from_secs(20);

/// The usual dialogue of a first use: refused, shown, pinned.
#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_was_refused_can_be_pinned() {
    const CONNECT: &str = "async (options, url) => {
        const broker = await (await open(options)).mqtt(url);
        for await (const { type, error } of broker) {
            if (type === 'connected') {
                await broker.close();
                return type;
            }
            if (type === 'disconnected') {
                await broker.close();
                const { kind, certificatePin, keyPin } = error;
                return { kind, certificatePin, keyPin };
            }
        }
    }";
    // For another name, by an unknown authority, and long over.
    let certificate = Authority::new().expired_server(&["elsewhere.example"]);
    let broker = Mosquitto::start(&certificate, &Settings::default()).await;
    let broker = broker.unwrap();
    let stage = Stage::start(broker.tls()).await;
    let url = json!(format!("mqtts://{}", broker.tls()));
    let pins = [
        Pin::of_certificate(certificate.der()).to_string(),
        Pin::of_key(certificate.der()).unwrap().to_string(),
    ];
    let refused = json!({ "kind": "certificate", "certificatePin": pins[0], "keyPin": pins[1] });
    let with = |pins: &[&str]| {
        let mut options = stage.options.clone();
        options["pins"] = json!(pins);
        options
    };

    let met = stage.run(CONNECT, &[with(&[]), url.clone()]).await;
    assert_eq!(met, refused);
    let another = Pin::key([7; 32]).to_string();
    for pin in &pins {
        let arguments = [with(&[&another, pin]), url.clone()];
        assert_eq!(stage.run(CONNECT, &arguments).await, "connected", "{pin}");
    }
    let changed = stage.run(CONNECT, &[with(&[&another]), url.clone()]).await;
    assert_eq!(changed, refused);
    let function = "options => open(options).catch(({ kind, message }) => `${kind}: ${message}`)";
    let told = stage.run(function, &[with(&["junk"])]).await;
    let told = told.as_str().unwrap();
    assert!(told.starts_with("invalid-input: the option pins"), "{told}");
    stage.browser.close().await.unwrap();
}

/// Whoever waits for anything of a client that is over learns why it is.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_is_over_fails_with_the_reason() {
    const TRY: &str = "async (options, url, host) => {
        const network = await open(options);
        const told = [];
        const fails = async (what, work) => {
            await work().then(() => told.push(`${what}: ended`), ({ kind }) => told.push(`${what}: ${kind}`));
        };
        const broker = await network.mqtt(url);
        await fails('messages', async () => { for await (const _ of broker.subscribe('a')); });
        await fails('publish', () => broker.publish('a', 'x', { qos: 1 }));
        await fails('request', () => broker.request('a'));
        await fails('granted', () => broker.subscribe('b').granted);
        await fails('events', async () => {
            for await (const event of broker) {
                if (event.type === 'disconnected') told.push(event.retryIn);
            }
        });
        const irc = await network.irc(`ircs://${host}`, { nick: 'ada' });
        await fails('events', async () => { for await (const _ of irc); });
        await fails('say', () => irc.say('#a', 'x'));
        return told;
    }";
    let certificate = Authority::new().server(&["127.0.0.1"]);
    let broker = Mosquitto::start(&certificate, &Settings::default()).await;
    let broker = broker.unwrap();
    let stage = Stage::start(broker.tls()).await;
    let url = json!(format!("mqtts://{}", broker.tls()));
    let host = json!(broker.tls().to_string());
    let told = stage.run(TRY, &[stage.options.clone(), url, host]).await;
    let expected = json!([
        "messages: certificate",
        "publish: certificate",
        "request: certificate",
        "granted: certificate",
        null,
        "events: certificate",
        "events: certificate",
        "say: certificate",
    ]);
    assert_eq!(told, expected);
    stage.browser.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_is_left_without_the_will_or_with_it() {
    const VISIT: &str = "async (options, url, how) => {
        const will = { topic: 'lamp/status', payload: 'gone', qos: 1 };
        const broker = await (await open(options)).mqtt(url, { will });
        await broker.publish('lamp/status', 'here', { qos: 1 });
        await broker.close(...how);
        for await (const { type } of broker) {
            if (type === 'disconnected') return false;
        }
        return true;
    }";
    let certificate = Authority::new().server(&["127.0.0.1"]);
    let broker = Mosquitto::start(&certificate, &Settings::default()).await;
    let broker = broker.unwrap();
    let stage = Stage::start(broker.plain()).await;
    let watcher = Thing::start(broker.plain(), "watcher").await;
    let mut told = watcher.orders("lamp/status").await;
    let url = json!(format!("mqtt://{}", broker.plain()));
    for (how, expected) in [
        (json!([]), ["here", "after it"]),
        (json!([{ "will": false }]), ["here", "after it"]),
        (json!([{ "will": true }]), ["here", "gone"]),
    ] {
        let arguments = [stage.options.clone(), url.clone(), how.clone()];
        assert_eq!(stage.run(VISIT, &arguments).await, true, "{how}");
        watcher.publish("lamp/status", "after it").await;
        for expected in expected {
            let next = timeout(PATIENCE, told.next()).await;
            assert_eq!(next.unwrap(), expected, "{how}");
        }
    }
    stage.browser.close().await.unwrap();
}

/// Messages of QoS 0 come many at once, and are read one by one.
#[tokio::test(flavor = "multi_thread")]
async fn messages_come_in_order_however_many_come_at_once() {
    // One client publishes what the other does not read yet: what it would wait for stands behind that.
    const READ: &str = "async (options, url) => {
        const network = await open(options);
        const [sender, reader] = await Promise.all([network.mqtt(url), network.mqtt(url)]);
        const sent = Array.from({ length: 600 }, (_, number) => String(number));
        const publish = (topic) => Promise.all(sent.map((number) =>
            sender.publish(topic, number, { qos: number % 100 === 99 ? 1 : 0 })));
        const subscribed = async (topic, options) => {
            const messages = reader.subscribe(topic, options);
            await messages.granted;
            return messages;
        };
        const all = await subscribed('all', { qos: 1 });
        await publish('all');
        const read = [];
        for await (const message of all) {
            read.push(message.text());
            if (read.length === sent.length) break;
        }
        // Nobody has anything more to read who has left the loop, has unsubscribed, or has given up.
        const looped = await subscribed('looped');
        const left = await subscribed('left');
        const aborted = new AbortController();
        const given = await subscribed('given', { signal: aborted.signal });
        const ends = [];
        await publish('looped');
        for await (const message of looped) {
            ends.push(message.text());
            if (ends.length === 3) break;
        }
        ends.push(await looped.next());
        await publish('left');
        ends.push((await left.next()).text());
        const unsubscribed = left.unsubscribe();
        // What is asked for before the broker has answered may come yet.
        await left.next();
        ends.push((await unsubscribed).code, await left.next());
        await publish('given');
        ends.push((await given.next()).text());
        aborted.abort('enough');
        await given.next().catch(() => undefined);
        ends.push(await given.next().catch((reason) => reason));
        await Promise.all([sender.close(), reader.close()]);
        return { wrong: read.find((number, at) => number !== sent[at]) ?? null, ends };
    }";
    let certificate = Authority::new().server(&["127.0.0.1"]);
    let broker = Mosquitto::start(&certificate, &Settings::default()).await;
    let broker = broker.unwrap();
    let stage = Stage::start(broker.plain()).await;
    let url = json!(format!("mqtt://{}", broker.plain()));
    let read = stage.run(READ, &[stage.options.clone(), url]).await;
    let ends = json!(["0", "1", "2", null, "0", 0, null, "0", "enough"]);
    assert_eq!(read, json!({ "wrong": null, "ends": ends }));
    stage.browser.close().await.unwrap();
}

/// A CoAP server's end of a stream, message by message.
struct Peer {
    stream: TcpStream,
    received: Vec<u8>,
}

impl Peer {
    /// Takes a client, and says what it takes, as each side has to at first.
    async fn accept(listener: &TcpListener) -> Self {
        let accepted = timeout(PATIENCE, listener.accept()).await.unwrap();
        let (stream, _) = accepted.unwrap();
        let received = Vec::new();
        let mut peer = Self { stream, received };
        peer.send(&Message::new(Code::CSM)).await;
        assert_eq!(peer.receive().await.code(), Code::CSM);
        peer
    }

    async fn send(&mut self, message: &Message) {
        let mut bytes = Vec::new();
        message.write_frame(&mut bytes);
        self.stream.write_all(&bytes).await.unwrap();
    }

    async fn receive(&mut self) -> Message {
        loop {
            if let Some(header) = FrameHeader::decode(&self.received)
                && let Some(frame) = self.received.get(..header.frame_len() as usize)
            {
                let message = Message::from_frame(frame).unwrap();
                self.received.drain(..header.frame_len() as usize);
                return message;
            }
            let read = timeout(PATIENCE, self.stream.read_buf(&mut self.received)).await;
            assert_ne!(read.unwrap().unwrap(), 0, "it has ended");
        }
    }

    /// Takes a request, and answers it with this, and more to come where it is the first block, of
    /// 16 bytes.
    async fn answer(&mut self, code: Code, first_block: bool, payload: &str) {
        let request = self.receive().await;
        let mut response = Message::new(code);
        response.set_token(request.token());
        if first_block {
            let options = response.options_mut();
            options.add_text(OptionNumber::ETAG, "a").unwrap();
            // RFC 7959, section 2.2: number 0, M, SZX 0.
            options.set_uint(OptionNumber::BLOCK2, 0x08).unwrap();
        }
        response.payload = payload.to_owned().into();
        self.send(&response).await;
    }
}

async fn coap() -> (TcpListener, Stage, Value) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let at = listener.local_addr().unwrap();
    (
        listener,
        Stage::start(at).await,
        json!(format!("coap+tcp://{at}")),
    )
}

/// RFC 8323, section 5.5.
#[tokio::test(flavor = "multi_thread")]
async fn a_coap_server_is_told_that_it_is_left() {
    const ASK: &str = "async (options, url) => {
        globalThis.device = await (await open(options)).coap(url);
        globalThis.asked = device.get('/value').catch(error => error.kind);
        return true;
    }";
    const LEAVE: &str = "async () => {
        await device.close();
        return [await asked, await device.get('/value').catch(error => error.kind)];
    }";
    let (listener, stage, url) = coap().await;
    stage.run(ASK, &[stage.options.clone(), url]).await;
    let mut peer = Peer::accept(&listener).await;
    assert_eq!(peer.receive().await.code(), Code::GET);
    let hears = async {
        assert_eq!(peer.receive().await.code(), Code::RELEASE);
        drop(peer);
    };
    let (left, ()) = tokio::join!(stage.run(LEAVE, &[]), hears);
    assert_eq!(left, json!(["closed", "closed"]));
    stage.browser.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_in_the_middle_is_no_part_of_the_body() {
    const GET: &str = "async (options, url, watched) => {
        const device = await (await open(options)).coap(url);
        const done = [];
        const progress = watched ? bytes => done.push(bytes) : undefined;
        const response = await device.get('/value', { progress });
        await device.close();
        return [response.ok, response.code, response.text(), done];
    }";
    let (listener, stage, url) = coap().await;
    for (watched, done) in [(true, json!([16])), (false, json!([]))] {
        let serve = async {
            let mut peer = Peer::accept(&listener).await;
            let piece = "0123456789abcdef";
            peer.answer(Code::CONTENT, true, piece).await;
            peer.answer(Code::NOT_FOUND, false, "gone").await;
            assert_eq!(peer.receive().await.code(), Code::RELEASE);
        };
        let arguments = [stage.options.clone(), url.clone(), json!(watched)];
        let (got, ()) = tokio::join!(stage.run(GET, &arguments), serve);
        assert_eq!(got, json!([false, "4.04", "gone", done]));
    }
    stage.browser.close().await.unwrap();
}

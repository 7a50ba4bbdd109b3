//! What a page can ask for beyond the ordinary, against real servers: IRC's queries and channel commands, MQTT's
//! properties, limits and authentication, CoAP's options and proxies.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::BytesMut;
use jackfield_browser_tests::relay::HOST;
use jackfield_browser_tests::stage::Stage;
use jackfield_coap::codec::ContentFormat;
use jackfield_coap::server;
use jackfield_mqtt::codec::{
    Auth, AuthReason, Authentication, ConnAck, ConnectReason, Decoder, Encoder, Packet, Version,
};
use jackfield_native::Native;
use jackfield_socket::{DatagramSocket as _, UdpOpen as _, UdpOptions};
use jackfield_testing::certs::Authority;
use jackfield_testing::inspircd::Inspircd;
use jackfield_testing::libcoap::Libcoap;
use jackfield_testing::mosquitto::{Mosquitto, Settings};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// Two users, one of whom rules a channel.
#[tokio::test(flavor = "multi_thread")]
async fn irc_is_asked_and_ruled() {
    // Whoever sends more than some lines at once is made to wait by the client.
    const ASK: &str = "async (options, url) => {
        const network = await open(options);
        const user = async nick => {
            const irc = await network.irc(url, { nick, realname: `${nick} by name` });
            const events = [];
            const waiting = [];
            (async () => {
                for await (const event of irc) {
                    events.push(event);
                    waiting.splice(0).forEach(wake => wake());
                }
            })();
            const event = async fits => {
                for (;;) {
                    const found = events.find(fits);
                    if (found) return found;
                    await new Promise(wake => waiting.push(wake));
                }
            };
            await event(({ type }) => type === 'registered');
            return { irc, event };
        };
        const kind = promise => promise.then(() => 'done', error => `${error.kind}: ${error.message}`);
        const all = async list => { const found = []; for await (const it of list) found.push(it); return found; };
        const ada = await user('ada');
        const bob = await user('bob');
        Object.assign(globalThis, { ada, bob, kind });
        const told = {};

        await ada.irc.join('#rust');
        await ada.irc.setTopic('#rust', 'sockets, and nothing but sockets');
        await ada.irc.join('#alone');
        await bob.irc.join('#rust');

        const whois = await bob.irc.whois('ada');
        told.whois = [whois.nick, whois.realname, whois.channels.includes('@#rust'), whois.secure, whois.away];
        told.since = whois.signedOn > Date.now() - 3600000 && whois.idle < 3600000;
        told.nobody = await kind(bob.irc.whois('nobody'));
        const who = await bob.irc.who('#rust');
        told.who = who.map(({ nick, prefix, realname }) => [nick, prefix, realname]).sort();
        const names = await bob.irc.names('#rust');
        told.names = names.map(({ nick, prefix }) => prefix + nick).sort();
        told.list = (await all(bob.irc.list())).map(({ channel, members }) => [channel, members]).sort();
        told.large = await all(bob.irc.list({ minMembers: 2 }));
        told.masked = (await all(bob.irc.list({ names: '#al*' }))).map(({ channel }) => channel);
        told.first = [];
        for await (const { channel } of bob.irc.list()) { told.first.push(channel); break; }
        return told;
    }";
    const RULE: &str = "async () => {
        const told = {};
        told.denied = await kind(bob.irc.setMode('#rust', '+m'));
        await ada.irc.setMode('#rust', '+vk', 'bob', 'secret');
        const rank = await bob.event(({ type, prefix }) => type === 'rank' && prefix === '+');
        told.rank = [rank.channel, rank.nick];
        const modes = await ada.irc.modes('#rust');
        told.modes = [modes.modes.includes('k'), modes.params];
        await ada.irc.kick('#rust', 'bob', 'enough for today');
        const kick = await bob.event(({ type }) => type === 'kick');
        told.kick = [kick.channel, kick.nick, kick.by, kick.reason, kick.self];
        told.locked = await kind(bob.irc.join('#rust'));
        await ada.irc.setMode('#rust', '-k+i', 'secret');
        await ada.irc.invite('bob', '#rust');
        const invite = await bob.event(({ type, self }) => type === 'invite' && self);
        told.invite = [invite.channel, invite.nick, invite.by];
        await bob.irc.join('#rust');
        return told;
    }";
    // What no method asks for.
    const SEND: &str = "async () => {
        const told = {};
        await bob.irc.raw('TIME');
        const time = await bob.event(({ type, command }) => type === 'info' && command === '391');
        told.time = [time.params[0], time.from];
        await bob.irc.raw('PRIVMSG', '#rust', 'in any words :)');
        told.said = (await ada.event(({ type, from }) => type === 'message' && from === 'bob')).text;
        await bob.irc.raw('JOIN', '#a:b');
        await bob.event(({ type, channel }) => type === 'join' && channel === '#a:b');
        await bob.irc.raw('NONSENSE', 'at all');
        const fault = await bob.event(({ type, code }) => type === 'fault' && code === '421');
        told.fault = fault.about;
        await bob.irc.raw('PRIVMSG', 'ada', '\\u0001VERSION\\u0001');
        const ctcp = await ada.event(({ type }) => type === 'ctcp');
        told.ctcp = [ctcp.from, ctcp.command, ctcp.reply, ctcp.self];
        await Promise.all([ada.irc.close(), bob.irc.close()]);
        told.closed = (await kind(bob.irc.whois('ada'))).split(':')[0];
        return told;
    }";
    let authority = Authority::new();
    let server = Inspircd::start(&authority.server(&[HOST])).await.unwrap();
    let stage = Stage::start(server.tls()).await;
    let mut options = stage.options.clone();
    options["roots"] = json!(authority.pem());
    let url = json!(format!("ircs://{HOST}:{}", server.tls().port()));
    let told = stage.run(ASK, &[options, url]).await;
    // The server puts the channel's modes in front.
    let topic = "[+nt] sockets, and nothing but sockets";
    assert_eq!(
        told,
        json!({
            "whois": ["ada", "ada by name", true, true, null],
            "since": true,
            "nobody": "refused: refused: No such nick (ERR_NOSUCHNICK)",
            "who": [["ada", "@", "ada by name"], ["bob", "", "bob by name"]],
            "names": ["@ada", "bob"],
            "list": [["#alone", 1], ["#rust", 2]],
            "large": [{ "channel": "#rust", "members": 2, "topic": topic }],
            "masked": ["#alone"],
            "first": [told["first"][0]],
        })
    );
    assert_eq!(
        stage.run(RULE, &[]).await,
        json!({
            "denied": "refused: refused: You must be a channel halfop or higher to set channel mode m (moderated). (ERR_CHANOPRIVSNEEDED)",
            "rank": ["#rust", "bob"],
            "modes": [true, ["secret"]],
            "kick": ["#rust", "bob", "ada", "enough for today", true],
            "locked": "refused: refused: Cannot join channel (incorrect channel key) (ERR_BADCHANNELKEY)",
            "invite": ["#rust", "bob", "ada"],
        })
    );
    assert_eq!(
        stage.run(SEND, &[]).await,
        json!({
            "time": ["bob", "irc.jackfield.test"],
            "said": "in any words :)",
            "fault": "NONSENSE",
            "ctcp": ["bob", "VERSION", false, false],
            "closed": "closed",
        })
    );
    stage.browser.close().await.unwrap();
}

/// A will with all that it can have, several filters with one reader, limits, and numbers of subscriptions.
#[tokio::test(flavor = "multi_thread")]
async fn mqtt_says_all_that_version_5_has() {
    const PLAY: &str = "async (options, url) => {
        const network = await open(options);
        const told = {};
        const take = async (source, count) => {
            const taken = [];
            for await (const it of source) if (taken.push(it) === count) break;
            return taken;
        };
        const watcher = await network.mqtt(url, {
            userProperties: [['page', 'watcher']], topicAliasMaximum: 0,
        });
        const all = watcher.subscribe(['wills/+', 'notes', 'end'], { userProperties: [['why', 'to see']] });
        await all.granted;
        told.filters = all.filters;
        const ada = await network.mqtt(url, { will: {
            topic: 'wills/ada', payload: 'gone', qos: 1, expiry: 60, contentType: 'text/plain',
            responseTopic: 'answers', correlationData: new Uint8Array([1, 2]), userProperties: [['who', 'ada']],
        } });
        await ada.publish('notes', 'hello', { qos: 1 });
        await ada.close({ will: true });
        const [note, will] = await take(all, 2);
        told.note = [note.topic, note.text()];
        told.will = [will.topic, will.text(), will.qos, will.contentType, will.responseTopic,
            [...will.correlationData], will.userProperties];
        // The loop was left: none of the filters is subscribed to.
        const again = watcher.subscribe('end');
        await again.granted;
        await watcher.publish('notes', 'nobody hears it', { qos: 1 });
        await watcher.publish('end', 'end', { qos: 1 });
        told.after = (await take(again, 1)).map(message => message.text());

        // No packet is larger than was said, and no more messages come than were allowed.
        const small = await network.mqtt(url, {
            maximumPacketSize: 1000, receiveMaximum: 2, manualAcknowledgement: true,
        });
        const few = small.subscribe(['few/#']);
        await few.granted;
        await watcher.publish('few/large', new Uint8Array(5000));
        for (const text of ['1', '2', '3']) await watcher.publish('few/small', text, { qos: 1 });
        const [first, second] = [await few.next(), await few.next()];
        let third = few.next();
        const pause = new Promise(done => setTimeout(done, 500, null));
        told.held = await Promise.race([third, pause]);
        await first.acknowledge();
        told.few = [first.text(), second.text(), (await third).text()];

        // What a session was kept for tells for which subscription it came.
        const kept = { clientId: 'kept', sessionExpiry: 60 };
        const before = await network.mqtt(url, kept);
        await before.subscribe('kept').granted;
        await before.close();
        await watcher.publish('kept', 'meanwhile', { qos: 1 });
        const after = await network.mqtt(url, { ...kept, cleanStart: false });
        for await (const event of after) {
            if (event.type !== 'message') continue;
            const { message } = event;
            told.kept = [message.text(), message.subscriptionIdentifiers.length];
            break;
        }
        await Promise.all([watcher.close(), small.close(), after.close()]);
        return told;
    }";
    let authority = Authority::new();
    let broker = Mosquitto::start(&authority.server(&["127.0.0.1"]), &Settings::default()).await;
    let broker = broker.unwrap();
    let stage = Stage::start(broker.plain()).await;
    let url = json!(format!("mqtt://{}", broker.plain()));
    let told = stage.run(PLAY, &[stage.options.clone(), url]).await;
    assert_eq!(
        told,
        json!({
            "filters": ["wills/+", "notes", "end"],
            "note": ["notes", "hello"],
            "will": ["wills/ada", "gone", 1, "text/plain", "answers", [1, 2], [["who", "ada"]]],
            "after": ["end"],
            "held": null,
            "few": ["1", "2", "3"],
            "kept": ["meanwhile", 1],
        })
    );
    stage.browser.close().await.unwrap();
}

/// A broker that lets nobody in who doesn't shout back.
struct Shouting {
    stream: TcpStream,
    buffer: BytesMut,
}

impl Shouting {
    async fn next(&mut self) -> Packet {
        loop {
            let decoder = Decoder::new(Version::V5);
            if let Some(packet) = decoder.decode(&mut self.buffer).unwrap() {
                return packet;
            }
            assert_ne!(self.stream.read_buf(&mut self.buffer).await.unwrap(), 0);
        }
    }

    async fn auth(&mut self) -> Option<String> {
        match self.next().await {
            Packet::Auth(auth) => Self::data(auth.authentication),
            other => panic!("instead of AUTH: {other:?}"),
        }
    }

    fn data(authentication: Option<Authentication>) -> Option<String> {
        let authentication = authentication.expect("a method");
        assert_eq!(authentication.method.as_str(), "SHOUT");
        authentication
            .data
            .map(|data| String::from_utf8(data.to_vec()).unwrap())
    }

    async fn send(&mut self, packet: Packet) {
        let mut bytes = Vec::new();
        Encoder::new(Version::V5)
            .encode(&packet, &mut bytes)
            .unwrap();
        self.stream.write_all(&bytes).await.unwrap();
    }

    fn step(reason: AuthReason, data: &str) -> Packet {
        Packet::Auth(Box::new(Auth {
            reason,
            authentication: Some(Authentication {
                method: "SHOUT".parse().unwrap(),
                data: Some(data.to_owned().into()),
            }),
            reason_string: None,
            user_properties: Vec::new(),
        }))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn mqtt_authenticates_in_steps() {
    const PLAY: &str = "async (options, url) => {
        const heard = [];
        const step = async data => {
            heard.push(data === null ? null : new TextDecoder().decode(data));
            return data === null ? 'hello' : new TextEncoder().encode(heard.at(-1).toUpperCase());
        };
        const broker = await (await open(options)).mqtt(url, { authentication: { method: 'SHOUT', step } });
        await broker.publish('a', 'let in');
        await broker.reauthenticate();
        await broker.close();
        return heard;
    }";
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let broker = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let buffer = BytesMut::new();
        let mut page = Shouting { stream, buffer };
        let Packet::Connect(connect) = page.next().await else {
            panic!("it is the first");
        };
        let first = Shouting::data(connect.authentication);
        assert_eq!(first.as_deref(), Some("hello"));
        let more = Shouting::step(AuthReason::ContinueAuthentication, "louder");
        page.send(more).await;
        assert_eq!(page.auth().await.as_deref(), Some("LOUDER"));
        let mut ack = ConnAck::new(false, ConnectReason::Success);
        ack.authentication = Some(Authentication {
            method: "SHOUT".parse().unwrap(),
            data: None,
        });
        page.send(Packet::ConnAck(Box::new(ack))).await;
        assert!(matches!(page.next().await, Packet::Publish(_)));
        assert_eq!(page.auth().await.as_deref(), Some("hello"));
        let more = Shouting::step(AuthReason::ContinueAuthentication, "once more");
        page.send(more).await;
        assert_eq!(page.auth().await.as_deref(), Some("ONCE MORE"));
        page.send(Shouting::step(AuthReason::Success, "enough"))
            .await;
        assert!(matches!(page.next().await, Packet::Disconnect(_)));
    });
    let stage = Stage::start(at).await;
    let url = json!(format!("mqtt://{at}"));
    let heard = stage.run(PLAY, &[stage.options.clone(), url]).await;
    assert_eq!(heard, json!([null, "louder", null, "once more"]));
    broker.await.unwrap();
    stage.browser.close().await.unwrap();
}

/// Options by number, validation, small blocks and a proxy, over UDP.
#[tokio::test(flavor = "multi_thread")]
async fn coap_says_what_has_no_name() {
    const PLAY: &str = "async (options, device, hidden) => {
        const network = await open(options);
        const proxy = await network.coap(device, { blockSize: 64, maxCacheBytes: 10000 });
        const kind = promise => promise.then(() => 'done', error => error.kind);
        const told = {};
        const first = await proxy.get('/');
        told.ok = [first.ok, first.code, first.text().length > 10];
        told.options = first.options.map(([number, value]) => `${number}: ${value}`);
        // An option that may be passed over, and one that may not.
        told.elective = (await proxy.get('/', { options: [[65000, 'blue'], [65008, 70000]] })).code;
        // The server sends it back, and so nobody understands the answer.
        told.critical = await kind(proxy.get('/', { options: [[65001, new Uint8Array([1])]] }));
        told.queried = (await proxy.get('/time', { options: [[15, 'ticks']] })).text().length > 5;

        const steps = [];
        const progress = done => steps.push(done);
        told.put = (await proxy.put('/large', 'x'.repeat(200), { progress })).ok;
        told.steps = steps.filter(done => done % 64 === 0).length >= 2;

        const uri = await proxy.get(undefined, { proxyUri: `${hidden}/time?ticks` });
        told.proxied = [uri.ok, uri.text().length > 5];
        const { hostname, port } = new URL(hidden.replace('coap:', 'http:'));
        const scheme = await proxy.get('/time', {
            proxyScheme: 'coap', uriHost: hostname, options: [[7, Number(port)]], hopLimit: 3,
        });
        told.scheme = scheme.ok;
        told.nameless = await kind(proxy.get('/time', { proxyScheme: 'coap' }));
        await proxy.close();
        return told;
    }";
    let proxy = Libcoap::start_as_proxy().await.unwrap();
    let hidden = Libcoap::start().await.unwrap();
    let stage = Stage::with_ports(&[format!("{}/udp", proxy.plain().port())]).await;
    let told = stage
        .run(
            PLAY,
            &[
                stage.options.clone(),
                json!(format!("coap://{}", proxy.plain())),
                json!(format!("coap://{}", hidden.plain())),
            ],
        )
        .await;
    assert_eq!(
        told,
        json!({
            "ok": [true, "2.05", true],
            "options": ["4: 1", "14: 2,255,255", "28: 136"],
            "elective": "2.05",
            "critical": "protocol",
            "queried": true,
            "put": true,
            "steps": true,
            "proxied": [true, true],
            "scheme": true,
            "nameless": "invalid-input",
        })
    );
    stage.browser.close().await.unwrap();
}

/// A body that was sent in small blocks is read back in such, and what is held is asked about: the server says that it
/// still holds, to the page itself, and to the client that keeps answers.
#[tokio::test(flavor = "multi_thread")]
async fn coap_reads_back_and_validates() {
    const PLAY: &str = "async (options, libcoap, ours) => {
        const network = await open(options);
        const told = {};
        const device = await network.coap(libcoap, { blockSize: 64, maxCacheBytes: 10000 });
        const body = 'small '.repeat(50);
        told.put = (await device.put('/kept', body)).ok;
        told.read = (await device.get('/kept')).text() === body;
        told.other = (await device.get('/kept', { etag: new Uint8Array([7, 7]) })).text() === body;

        const plain = await network.coap(ours);
        const first = await plain.get('/state');
        told.first = [first.code, first.text(), [...first.etag]];
        const valid = await plain.get('/state', { etag: first.etag });
        told.valid = [valid.ok, valid.code, valid.payload.length, [...valid.etag]];
        const changed = await plain.get('/state', { etag: new Uint8Array([1]) });
        told.changed = [changed.code, changed.text()];
        const keeping = await network.coap(ours, { maxCacheBytes: 10000 });
        told.kept = [];
        for (let round = 0; round < 3; round += 1) {
            const { code, text } = await keeping.get('/state').then(it => ({ code: it.code, text: it.text() }));
            told.kept.push([code, text]);
        }
        await network.close();
        return told;
    }";
    let libcoap = Libcoap::start().await.unwrap();
    let given = Arc::new(AtomicUsize::new(0));
    let site = server::Site::new(server::ServerConfig::default());
    let count = given.clone();
    let state = server::Resource::new().get(move |_| {
        count.fetch_add(1, Ordering::Relaxed);
        let reply = server::Reply::content("as it was", ContentFormat::TEXT_PLAIN);
        reply.with_max_age(0).with_etag(&[5]).unwrap()
    });
    site.add("/state", state).unwrap();
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let socket = Native.open_bound(any, &UdpOptions::default()).await;
    let socket = socket.unwrap();
    let ours = socket.local_addr().unwrap();
    tokio::spawn(server::serve_udp(socket, site));
    let ports = [libcoap.plain(), ours].map(|it| format!("{}/udp", it.port()));
    let stage = Stage::with_ports(&ports).await;
    let addresses = [libcoap.plain(), ours].map(|it| json!(format!("coap://{it}")));
    let [libcoap_at, ours] = addresses;
    let arguments = [stage.options.clone(), libcoap_at, ours];
    let told = stage.run(PLAY, &arguments).await;
    let text = "as it was";
    assert_eq!(
        told,
        json!({
            "put": true,
            "read": true,
            "other": true,
            "first": ["2.05", text, [5]],
            "valid": [true, "2.03", 0, [5]],
            "changed": ["2.05", text],
            // Each time it was asked, and has what it kept.
            "kept": [["2.05", text], ["2.05", text], ["2.05", text]],
        })
    );
    assert_eq!(given.load(Ordering::Relaxed), 6);
    stage.browser.close().await.unwrap();
}

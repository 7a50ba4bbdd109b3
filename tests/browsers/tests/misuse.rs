//! What a page passes that can't be right: it is refused by an error that names it, before anything is sent.

use jackfield_browser_tests::stage::Stage;
use jackfield_testing::certs::Authority;
use jackfield_testing::mosquitto::{Mosquitto, Settings};
use serde_json::json;

/// Calls, and how the error begins that each is refused with.
const MISUSES: &[(&str, &str)] = &[
    // Opening.
    (
        "open(null)",
        "the options of open() are null, not an object",
    ),
    (
        "open('wss://relay.example.org')",
        "the options of open() are a string, not an object",
    ),
    (
        "open({ rely: 'wss://relay.example.org' })",
        "open() has no option rely; is relay meant?",
    ),
    (
        "open({ Token: 'x' })",
        "open() has no option Token; is token meant?",
    ),
    ("open({ relay: 5 })", "the relay is a number, not a string"),
    ("open({ relay: 'relay.example.org' })", ""),
    (
        "open({ ...options, token: 5 })",
        "the option token is neither a string nor a function",
    ),
    (
        "open({ ...options, pins: 'key:x' })",
        "the option pins is no array",
    ),
    (
        "open({ ...options, policy: null })",
        "the options of policy are null, not an object",
    ),
    (
        "open({ ...options, policy: ['*:443'] })",
        "the options of policy are a Array, not an object",
    ),
    (
        "open({ ...options, policy: { alow: ['*:443'] } })",
        "policy has no option alow; is allow meant?",
    ),
    (
        "open({ ...options, policy: { allow: '*:443' } })",
        "policy: allow is a string, not an array of rules",
    ),
    (
        "open({ ...options, policy: { deny: [443] } })",
        "policy: deny has a number in the place of a rule, which is a string",
    ),
    (
        "open({ ...options, policy: { sameDomain: 'example.org' } })",
        "policy: sameDomain is a string, not true or false",
    ),
    (
        "open({ ...options, policy: { ask: true } })",
        "policy: ask is a boolean, not a function",
    ),
    (
        "open({ ...options, policy: { report: true } })",
        "policy: report is a boolean, not a function",
    ),
    (
        "open({ ...options, policy: { allow: ['imap.example.org'] } })",
        "policy: allow: \"imap.example.org\" is no rule: \"imap.example.org\" has no port: expected HOST:PORTS",
    ),
    (
        "open({ ...options, policy: { deny: ['*:https'] } })",
        "policy: deny: \"*:https\" is no rule: ",
    ),
    (
        "open({ ...options, policy: { listen: ['*:1'] } })",
        "policy: listen: \"*:1\" is no rule: ",
    ),
    // Addresses.
    ("network.mqtt()", "the address is missing, not a string"),
    ("network.mqtt(5)", "the address is a number, not a string"),
    (
        "network.mqtt({ url })",
        "the address is a Object, not a string",
    ),
    ("network.mqtt('broker.example.org')", ""),
    ("network.mqtt('https://broker.example.org')", ""),
    ("network.coap()", "the address is missing, not a string"),
    ("network.coap('mqtt://127.0.0.1')", ""),
    // Options.
    (
        "network.mqtt(url, { keepalive: 5 })",
        "mqtt() has no option keepalive; is keepAlive meant?",
    ),
    (
        "network.mqtt(url, { keepAlive: '5' })",
        "the option keepAlive is no number",
    ),
    (
        "network.mqtt(url, { keepAlive: -1 })",
        "the option keepAlive is no whole number from 0 to 65535",
    ),
    (
        "network.mqtt(url, { will: { topic: 'a', payload: {} } })",
        "the payload is a Object, not a string",
    ),
    (
        "network.mqtt(url, { will: { topik: 'a' } })",
        "will has no option topik; is topic meant?",
    ),
    (
        "network.mqtt(url, { reconnect: { first: 'soon' } })",
        "the option first is no number",
    ),
    (
        "network.mqtt(url, { reconnect: { first: 0 } })",
        "the option reconnect.first is no whole number from 1 to 4294967295",
    ),
    (
        "network.mqtt(url, { reconnect: true })",
        "the option reconnect is a boolean, neither false nor an object",
    ),
    (
        "network.irc('ircs://irc.example.org', { nick: 'ada', reconnect: { frist: 5 } })",
        "reconnect has no option frist",
    ),
    (
        "network.irc('ircs://irc.example.org', { nick: 'ada', reconnect: { longest: 'a day' } })",
        "the option longest is no number",
    ),
    (
        "network.coap('coap://127.0.0.1', { reconnect: 5 })",
        "the option reconnect is a number, neither false nor an object",
    ),
    (
        "network.mqtt(url, { version: 4 })",
        "the option version is no string",
    ),
    (
        "network.coap('coap://127.0.0.1', { oscore: { store: 'x' } })",
        "",
    ),
    (
        "network.coap('coap://127.0.0.1', { block: 5 })",
        "coap() has no option block",
    ),
    ("network.irc()", "the address is missing, not a string"),
    (
        "network.irc({ nick: 'ada' })",
        "the address is a Object, not a string",
    ),
    (
        "network.irc('ircs://irc.example.org')",
        "the options of irc() are missing",
    ),
    (
        "network.irc('irc.example.org', { nick: 'ada' })",
        "an address begins with a scheme",
    ),
    (
        "network.irc('mqtts://irc.example.org', { nick: 'ada' })",
        "mqtts:// is no address of an IRC server",
    ),
    (
        "network.irc('ircs://irc.example.org/rust', { nick: 'ada' })",
        "the address of an IRC server has no path",
    ),
    (
        "network.irc('ircs://irc.example.org', { host: 'a', nick: 'ada' })",
        "irc() has no option host",
    ),
    (
        "network.irc('ircs://irc.example.org', { nick: 'ada', chanels: ['#a'] })",
        "irc() has no option chanels; is channels meant?",
    ),
    (
        "network.irc('ircs://irc.example.org', { nick: 'ada', channels: '#a' })",
        "the option channels is no array",
    ),
    (
        "network.irc('ircs://irc.example.org', { nick: 'ada', sasl: { user: 'ada' } })",
        "sasl has no option user",
    ),
    (
        "network.irc('ircs://irc.example.org', {})",
        "the option nick is missing",
    ),
    (
        "network.irc('ircs://irc.example.org', { nick: 'a b' })",
        "the option nick",
    ),
    // Sockets.
    ("network.connect()", "the address is missing, not a string"),
    (
        "network.connect('db.example.org')",
        "the address db.example.org has no port from 1 to 65535",
    ),
    (
        "network.connect('https://db.example.org:1')",
        "the address https://db.example.org:1 is not host:port",
    ),
    (
        "network.connect({ host: 'db.example.org', port: 1 })",
        "the address has no option host",
    ),
    (
        "network.connect({ hostname: 'db.example.org', port: '1' })",
        "the port is a string, not a whole number",
    ),
    (
        "network.connect('db.example.org:1', { TLS: true })",
        "connect() has no option TLS; is tls meant?",
    ),
    (
        "network.connect('db.example.org:1', { tls: 1 })",
        "the option tls is a number, not true or false",
    ),
    (
        "network.connect('db.example.org:1', { tls: { rejectUnauthorized: false } })",
        "tls has no option rejectUnauthorized",
    ),
    (
        "network.connect('db.example.org:1', { tls: { serverName: 5 } })",
        "the option serverName is a number, not a string",
    ),
    (
        "network.connect('db.example.org:1', { tls: { roots: 'no PEM' } })",
        "no certificate in the PEM text",
    ),
    (
        "network.connect('db.example.org:1', { tls: { key: 'x' } })",
        "the option certificate is missing, which key needs",
    ),
    (
        "network.connect('db.example.org:1', { tls: { maxVersion: 'TLS 1.1' } })",
        "the option maxVersion is neither TLS 1.2 nor TLS 1.3",
    ),
    (
        "network.connect('db.example.org:1', { tls: { minVersion: 'TLS 1.3', maxVersion: 'TLS 1.2' } })",
        "the oldest version of TLS to speak is newer than the newest",
    ),
    (
        "network.connect('db.example.org:1', { keepAlive: 10 })",
        "a keep-alive of 10ms is too short",
    ),
    (
        "network.connect('db.example.org:1', { signal: true })",
        "the option signal is a boolean, not an AbortSignal",
    ),
    (
        "network.connect('db.example.org:1', { timeout: '5 s' })",
        "the option timeout is no number from 0 to 2147483647",
    ),
    (
        "network.connect(url.slice(7)).exportKeyingMaterial(0, 'EXPORTER-x')",
        "the length of keying material is no whole number from 1 to 8160",
    ),
    (
        "network.connect(url.slice(7)).writable.getWriter().write('text')",
        "what is written is a string, not an ArrayBuffer",
    ),
    (
        "network.connect(url.slice(7)).startTls({ servername: 'x' })",
        "startTls() has no option servername; is serverName meant?",
    ),
    // MQTT.
    ("broker.publish()", "the topic is missing, not a string"),
    (
        "broker.publish(5, 'x')",
        "the topic is a number, not a string",
    ),
    ("broker.publish('misuse/#', 'x')", ""),
    (
        "broker.publish('misuse', { a: 1 })",
        "the payload is a Object, not a string, bytes, a Blob or a ReadableStream",
    ),
    (
        "broker.publish('misuse', 5)",
        "the payload is a number, not",
    ),
    ("broker.publish('misuse', null)", "the payload is null, not"),
    (
        "broker.publish('misuse', ['a'])",
        "the payload is a Array, not",
    ),
    (
        "broker.publish('misuse', 'x', { QoS: 1 })",
        "publish() has no option QoS; is qos meant?",
    ),
    (
        "broker.publish('misuse', 'x', { qos: 3 })",
        "the option qos is no whole number from 0 to 2",
    ),
    (
        "broker.publish('misuse', 'x', 1)",
        "the options of publish() are a number, not an object",
    ),
    (
        "broker.publish('misuse', new ReadableStream({ start(to) { to.enqueue('x'); to.close(); } }))",
        "the stream of the payload gives a string",
    ),
    ("broker.subscribe()", "the filter is missing, not a string"),
    (
        "broker.subscribe('a', { QOS: 1 })",
        "subscribe() has no option QOS; is qos meant?",
    ),
    (
        "broker.subscribe('a/#/b').granted",
        "the option filter is not valid",
    ),
    (
        "broker.request('misuse', 'x', { timout: 5 })",
        "request() has no option timout; is timeout meant?",
    ),
    (
        "broker.close('good night')",
        "the options of close() are a string, not an object",
    ),
    (
        "broker.close({ will: 1 })",
        "the option will is a number, not true or false",
    ),
    // CoAP.
    ("device.get(5)", "the path is a number, not a string"),
    (
        "device.get('/a', { etag: 1 })",
        "the option etag is neither a string nor a Uint8Array",
    ),
    ("device.get('/a', { tag: 'a' })", "get() has no option tag"),
    ("device.put('/a', 5)", "the payload is a number, not"),
    ("device.put('/a', { a: 1 })", "the payload is a Object, not"),
    ("device.observe(5)", "the path is a number, not a string"),
    (
        "device.observe('/a', { stal: 1 })",
        "observe() has no option stal; is stale meant?",
    ),
    ("device.discover(5)", "the query is a number, not a string"),
    (
        "network.coapGroup('coap://192.168.1.20')",
        "the group can't be asked: it is no multicast address of coap://",
    ),
    (
        "network.coapGroup('coap://group.example')",
        "the group can't be asked: its address is a name",
    ),
    (
        "network.coapGroup('coap://224.0.1.187', { interface: 'eth0' })",
        "the option interface is no IP address",
    ),
    (
        "irc.raw('TIME', { timout: 5 })",
        "raw() has no option timout; is timeout meant?",
    ),
    (
        "device.get('/a', { options: [7] })",
        "an option is a number, not a pair of its number and its value",
    ),
    (
        "device.get('/a', { options: { 7: 'x' } })",
        "the options are a Object, not an array of pairs",
    ),
    (
        "device.get('/a', { options: [[7, null]] })",
        "the value of the option 7 is null, not a string, bytes or a number",
    ),
    (
        "device.get('/a', { options: [['7', 'x']] })",
        "the option number of an option is no whole number from 0 to 65535",
    ),
    (
        "device.get('/a', { options: [[7, -1]] })",
        "the option options is no whole number from 0 to 4294967295",
    ),
    (
        "device.get('/a', { options: [[6, '']] })",
        "the option options",
    ),
    (
        "device.get('/a', { options: [[4, new Uint8Array(9)]] })",
        "the option options",
    ),
    (
        "device.get('/a', { etag: new Uint8Array(0) })",
        "the option etag",
    ),
    (
        "device.get('/a', { hopLimit: 256 })",
        "the option hopLimit is no whole number from 0 to 255",
    ),
    ("device.get('/a', { hopLimit: 0 })", "the option hopLimit"),
    (
        "device.get('/a', { proxyUri: 'http://a.example' })",
        "the option proxyUri",
    ),
    (
        "device.get('/a', { proxyScheme: 'coap' })",
        "the option proxyScheme",
    ),
    (
        "device.get('/a', { proxyUrl: 'coap://a.example' })",
        "get() has no option proxyUrl; is proxyUri meant?",
    ),
    (
        "network.coap('coap://127.0.0.1', { blockSize: 100 })",
        "the option blockSize is not one of 16, 32, 64, 128, 256, 512 and 1024",
    ),
    (
        "broker.subscribe(['a', 5])",
        "the filter is a number, not a string",
    ),
    ("broker.subscribe([])", "there is no filter to subscribe to"),
    (
        "broker.subscribe(['a', 'a#']).granted",
        "the option filter is not valid",
    ),
    (
        "broker.subscribe('a', { userProperties: { a: 'b' } }).granted",
        "the option userProperties is no array of pairs of strings",
    ),
    (
        "network.mqtt(url, { receiveMaximum: 0 })",
        "the option receiveMaximum is 0",
    ),
    (
        "network.mqtt(url, { maximumPacketSize: 1.5 })",
        "the option maximumPacketSize is no whole number",
    ),
    (
        "network.mqtt(url, { topicAliasMaximum: 65536 })",
        "the option topicAliasMaximum is no whole number from 0 to 65535",
    ),
    (
        "network.mqtt(url, { authentication: { method: 'A' } })",
        "the option step is missing",
    ),
    (
        "network.mqtt(url, { authentication: { method: 'A', step: 'B' } })",
        "the option step is no function",
    ),
    (
        "network.mqtt(url, { authentication: { step: () => '' } })",
        "the option method is missing",
    ),
    (
        "network.mqtt(url, { will: { topic: 'a', contentType: 5 } })",
        "the option contentType is no string",
    ),
    ("broker.reauthenticate()", ""),
    // IRC.
    ("irc.say()", "the target is missing, not a string"),
    ("irc.say(5)", "the target is a number, not a string"),
    ("irc.say('#a', 5)", "the text is a number, not a string"),
    ("irc.join(['#a'])", "the channel is a Array, not a string"),
    ("irc.join('#a', 5)", "the key is a number, not a string"),
    ("irc.setNick({})", "the nick is a Object, not a string"),
    ("irc.close(5)", "the reason is a number, not a string"),
    ("irc.raw()", "the command is missing, not a string"),
    (
        "irc.raw('OPER', 5)",
        "the parameter is a number, not a string",
    ),
    ("irc.raw('A B')", "the command can't be sent: "),
    ("irc.raw('')", "the command can't be sent: "),
    (
        "irc.raw('OPER', 'a b', 'c')",
        "the parameter can't be sent: a word can't contain ' '",
    ),
    (
        "irc.raw('OPER', ':a', 'c')",
        "the parameter can't be sent: a word can't start with ':'",
    ),
    (
        "irc.raw('QUIT', 'bye\\r\\nJOIN #a')",
        "the parameter can't be sent: a text can't contain '\\r' (byte 3)",
    ),
    ("irc.raw('QUIT', 'a\\0')", "the parameter can't be sent: "),
    ("irc.whois()", "the nick is missing, not a string"),
    ("irc.whois('#a')", "the nick can't be sent: "),
    ("irc.who(['a'])", "the mask is a Array, not a string"),
    ("irc.who('a b')", "the mask can't be sent: "),
    ("irc.names('a')", "the channel can't be sent: "),
    (
        "irc.list('*rust*')",
        "the options of list() are a string, not an object",
    ),
    (
        "irc.list({ minMember: 5 })",
        "list() has no option minMember; is minMembers meant?",
    ),
    (
        "irc.list({ minMembers: -1 })",
        "the option minMembers is no whole number from 0",
    ),
    (
        "irc.list({ minMembers: '5' })",
        "the option minMembers is no whole number from 0",
    ),
    (
        "irc.list({ names: ['#a'] })",
        "the names is a Array, not a string",
    ),
    (
        "irc.list({ names: 'a b' })[Symbol.asyncIterator]().next()",
        "the names can't be sent: ",
    ),
    ("irc.modes()", "the channel is missing, not a string"),
    ("irc.setMode('#a')", "the modes is missing, not a string"),
    (
        "irc.setMode('#a', '+k', 5)",
        "the parameter is a number, not a string",
    ),
    (
        "irc.setMode('#a', '+k', 'a b')",
        "the parameter can't be sent: ",
    ),
    ("irc.kick('#a')", "the nick is missing, not a string"),
    (
        "irc.kick('#a', 'ada', 5)",
        "the reason is a number, not a string",
    ),
    ("irc.kick('#a', 'a,b')", "the nick can't be sent: "),
    ("irc.invite('#a', 'ada')", "the nick can't be sent: "),
    // Waiting.
    (
        "irc.say('#a', 'x', { timeout: '5' })",
        "the option timeout is no number from 0 to 2147483647",
    ),
    (
        "irc.join('#a', undefined, { timeout: Infinity })",
        "the option timeout is no number",
    ),
    (
        "irc.next({ signal: new AbortController() })",
        "the option signal is a AbortController, not an AbortSignal",
    ),
    (
        "irc.next({ signl: 5 })",
        "next() has no option signl; is signal meant?",
    ),
    (
        "broker.publish('misuse', 'x', { qos: 1, timeout: -1 })",
        "the option timeout is no number",
    ),
    (
        "broker.publish('misuse', 'x', { signal: true })",
        "the option signal is a boolean, not an AbortSignal",
    ),
    (
        "broker.subscribe('a', { signal: {} })",
        "the option signal is a Object, not an AbortSignal",
    ),
    (
        "broker.request('misuse', 'x', { timeout: NaN })",
        "the option timeout is no number",
    ),
    (
        "broker.close({ timeout: null })",
        "the option timeout is no number",
    ),
    (
        "device.get('/a', { timeout: 2 ** 31 })",
        "the option timeout is no number from 0 to 2147483647",
    ),
    (
        "device.observe('/a', { timeout: -5 })",
        "the option timeout is no number from 0 to 2147483647",
    ),
    (
        "device.ping({ signal: 5 })",
        "the option signal is a number, not an AbortSignal",
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_right_is_refused_by_name() {
    const PLAY: &str = "async (options, url, calls) => {
        const network = await open(options);
        const broker = await network.mqtt(url);
        const heard = [];
        const all = broker.subscribe('misuse');
        await all.granted;
        (async () => { for await (const { payload } of all) heard.push([...payload]); })();
        const device = await network.coap('coap://127.0.0.1');
        const irc = await network.irc('ircs://127.0.0.1', { nick: 'ada' });
        const told = [];
        for (const call of calls) {
            const run = new Function('network', 'options', 'url', 'broker', 'device', 'irc',
                `return (async () => ${call})()`);
            const within = new Promise(done => setTimeout(done, 5000, 'nothing'));
            const refused = run(network, options, url, broker, device, irc).then(
                () => 'it was taken',
                error => error instanceof JackfieldError && error.name === 'JackfieldError'
                    ? `${error.kind}: ${error.message}` : `another error: ${error}`);
            told.push(await Promise.race([refused, within]));
        }
        // Whatever had been sent before this would have come before it.
        await broker.publish('misuse', 'end', { qos: 1 });
        while (heard.length === 0) await new Promise(done => setTimeout(done, 10));
        await Promise.all([broker.close(), device.close(), irc.close()]);
        return { told, heard };
    }";
    let authority = Authority::new();
    let broker = Mosquitto::start(&authority.server(&["127.0.0.1"]), &Settings::default()).await;
    let broker = broker.unwrap();
    let stage = Stage::start(broker.plain()).await;
    let url = json!(format!("mqtt://{}", broker.plain()));
    let calls: Vec<&str> = MISUSES.iter().map(|(call, _)| *call).collect();
    let played = stage
        .run(PLAY, &[stage.options.clone(), url, json!(calls)])
        .await;
    let mut wrong = Vec::new();
    for ((call, expected), told) in MISUSES.iter().zip(played["told"].as_array().unwrap()) {
        let told = told.as_str().unwrap();
        if !told.starts_with(&format!("invalid-input: {expected}")) {
            wrong.push(format!("{call}: {told}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(played["heard"], json!([b"end"]));
    stage.browser.close().await.unwrap();
}

/// Bodies of every kind arrive as the bytes that they are.
#[tokio::test(flavor = "multi_thread")]
async fn bodies_are_the_bytes_that_they_are() {
    const PLAY: &str = "async (options, url) => {
        const broker = await (await open(options)).mqtt(url);
        const all = broker.subscribe('bodies');
        await all.granted;
        const bytes = new Uint8Array([0, 1, 2, 3, 4, 5, 6, 7]);
        const stream = new ReadableStream({
            start(to) { to.enqueue(bytes.slice(0, 3)); to.enqueue(bytes.slice(3)); to.close(); },
        });
        const bodies = [
            'gr\\u00fcn', bytes, bytes.subarray(2, 4), bytes.buffer, new DataView(bytes.buffer, 4, 2),
            new Float32Array([1]), new Uint16Array([0x0201]), new Blob(['ab', bytes]), stream, '', undefined,
        ];
        for (const body of bodies) await broker.publish('bodies', body, { qos: 1 });
        const heard = [];
        for await (const { payload } of all) {
            heard.push([...payload]);
            if (heard.length === bodies.length) break;
        }
        await broker.close();
        return heard;
    }";
    let authority = Authority::new();
    let broker = Mosquitto::start(&authority.server(&["127.0.0.1"]), &Settings::default()).await;
    let broker = broker.unwrap();
    let stage = Stage::start(broker.plain()).await;
    let url = json!(format!("mqtt://{}", broker.plain()));
    let heard = stage.run(PLAY, &[stage.options.clone(), url]).await;
    let expected = json!([
        [103, 114, 195, 188, 110],
        [0, 1, 2, 3, 4, 5, 6, 7],
        [2, 3],
        [0, 1, 2, 3, 4, 5, 6, 7],
        [4, 5],
        [0, 0, 128, 63],
        [1, 2],
        [97, 98, 0, 1, 2, 3, 4, 5, 6, 7],
        [0, 1, 2, 3, 4, 5, 6, 7],
        [],
        [],
    ]);
    assert_eq!(heard, expected);
    stage.browser.close().await.unwrap();
}

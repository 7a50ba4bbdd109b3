//! What a page is held to: rules of its own, those that whoever deployed it has set before, and people who are
//! asked. What they refuse never leaves the page.

use std::io::ErrorKind;
use std::net::{TcpListener, UdpSocket};
use std::time::Duration;

use jackfield_browser_tests::relay::SECRET;
use jackfield_browser_tests::stage::Stage;
use jackfield_browser_tests::{Suite, page, peers};
use serde_json::{Value, json};

/// Nothing here takes so long, unless it hangs.
const PATIENCE: Duration = Duration::from_secs(20);

/// Where nobody must come.
struct Silent(TcpListener);

impl Silent {
    fn new() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        Self(listener)
    }

    fn port(&self) -> u16 {
        self.0.local_addr().unwrap().port()
    }

    /// What `open()` takes to have it as its relay.
    fn as_relay(&self) -> Value {
        json!({ "relay": format!("ws://127.0.0.1:{}/", self.port()), "token": SECRET })
    }

    /// Whether nobody has come.
    fn is_untouched(&self) -> bool {
        let came = self.0.accept();
        came.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
    }

    async fn is_reached(&self) {
        let listener = tokio::net::TcpListener::from_std(self.0.try_clone().unwrap()).unwrap();
        listener.accept().await.unwrap();
    }
}

/// How it ends to do something, in one line; by the name `ending`.
const ENDING: &str = "!!(globalThis.ending = (work) => work.then(() => 'opened', (error) => {
    const { kind, where, message } = error instanceof JackfieldError ? error : error.cause ?? error;
    return `${kind} ${where}: ${message}`;
}))";

async fn stage(stage: Stage) -> Stage {
    assert!(stage.page.evaluate::<bool>(ENDING).await.unwrap());
    stage
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_rules_refuse_never_leaves_the_page() {
    const TRY: &str = "async (options, port, policy) => {
        const at = `127.0.0.1:${port}`;
        const login = { username: 'ada', password: 'secret' };
        const network = await open({ ...options, policy });
        const webSocket = await import('./mqtt-websocket.js');
        const sockets = await import('./direct-sockets.js');
        await sockets.open({ ...options, policy });
        const bound = new sockets.UDPSocket({ localAddress: '127.0.0.1' });
        const ways = {
            socket: network.connect(at).opened,
            tls: network.connect(at, { tls: true }).opened,
            irc: network.irc(`ircs://${at}`, { nick: 'ada' }).then(({ closed }) => closed),
            mqtt: network.mqtt(`mqtts://${at}`).then(({ closed }) => closed),
            webSocket: network.mqtt(`ws://${at}/mqtt`).then(({ closed }) => closed),
            ownModule: (await webSocket.open({ policy })).mqtt(`wss://${at}/mqtt`).then(({ closed }) => closed),
            coapTcp: network.coap(`coaps+tcp://${at}`).then(({ closed }) => closed),
            coapWs: network.coap(`coap+ws://${at}`).then(({ closed }) => closed),
            coap: network.coap(`coap://${at}`).then((device) => device.get('/')),
            imap: network.imap(`imaps://${at}`, login).then(({ closed }) => closed),
            smtp: network.smtp(`smtps://${at}`, login).then((smtp) => smtp.verify()),
            direct: new sockets.TCPSocket('127.0.0.1', port).opened,
            bound: bound.opened,
        };
        const told = {};
        for (const [name, way] of Object.entries(ways)) told[name] = await ending(way);
        return told;
    }";
    let [relay, server] = [Silent::new(), Silent::new()];
    let port = server.port();
    let stage = stage(Stage::reaching(&[]).await).await;
    let listed = ["127.0.0.0/8:*", "127.0.0.0/8:*/udp"];
    for policy in [
        json!({}),
        json!({ "allow": ["*:*", "*:*/udp"] }),
        json!({ "allow": listed, "deny": [format!("127.0.0.1:{port}")] }),
    ] {
        let arguments = [relay.as_relay(), json!(port), policy.clone()];
        let told = stage.run(TRY, &arguments).await;
        for (way, told) in told.as_object().unwrap() {
            let told = told.as_str().unwrap();
            let at = if way == "bound" {
                "listening at 127.0.0.1:0/udp".to_owned()
            } else {
                format!("127.0.0.1:{port}/")
            };
            let refused = format!("this application's policy doesn't allow {at}");
            assert!(told.starts_with("denied policy: "), "{way}: {told}");
            assert!(told.contains(&refused), "{way}: {told}");
        }
    }
    assert!(relay.is_untouched() && server.is_untouched());
    stage.browser.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_rules_allow_is_reached_as_before() {
    const TRY: &str = "async (options, port, other) => {
        const sameDomain = { sameDomain: true };
        const listed = { allow: [`127.0.0.1:${port}`] };
        const reach = async (policy, at) => {
            await using network = await open({ ...options, policy });
            return await ending(network.connect(at).opened);
        };
        return [
            await reach(listed, `127.0.0.1:${port}`),
            await reach(listed, `127.0.0.1:${other}`),
            // The relay's rules hold besides.
            await reach({ allow: [`127.0.0.1:${other}`] }, `127.0.0.1:${other}`),
            await reach(sameDomain, `${location.hostname}:${port}`),
            await reach(sameDomain, `elsewhere.example:${port}`),
            await reach({ sameDomain: true, deny: [`*:${port}`] }, `${location.hostname}:${port}`),
        ].map((told) => told.replace(/ doesn't.*| don't.*/, ''));
    }";
    let echo = peers::echo().await;
    let other = Silent::new();
    let stage = stage(Stage::start(echo.address()).await).await;
    let arguments = [
        stage.options.clone(),
        json!(echo.address().port()),
        json!(other.port()),
    ];
    assert_eq!(
        stage.run(TRY, &arguments).await,
        json!([
            "opened",
            "denied policy: this application's policy",
            "denied relay: the relay's rules",
            "opened",
            "denied policy: this application's policy",
            "denied policy: this application's policy",
        ])
    );
    assert!(other.is_untouched());
    stage.browser.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_sent_before_somebody_says_yes() {
    const ASK: &str = "async (options) => {
        const asked = [];
        let wake = () => undefined;
        const next = async () => {
            while (asked.length === 0) await new Promise((resolve) => { wake = resolve; });
            return asked.shift();
        };
        const ask = (request) => new Promise((resolve, reject) => {
            asked.push({ request, resolve, reject });
            wake();
        });
        const network = await open({ ...options, policy: { allow: ['192.0.2.0/24:*', '*.example.org:993'], ask } });
        Object.assign(globalThis, { next, network, asked });

        const told = {};
        const rest = (request) => ({ ...request, signal: request.signal.aborted });
        // What the rules refuse is nobody's question.
        told.refused = await ending(network.connect('elsewhere.example:993').opened);
        told.unasked = asked.length;
        for (const [name, answer] of Object.entries({
            no: ({ resolve }) => resolve(false),
            nothing: ({ resolve }) => resolve(),
            failed: ({ reject }) => reject(new Error('the prompt is gone')),
        })) {
            const opened = ending(network.connect('imap.example.org:993').opened);
            const question = await next();
            told.request = rest(question.request);
            answer(question);
            told[name] = await opened;
        }
        const aborted = new AbortController();
        const opening = ending(network.connect('192.0.2.7:1', { signal: aborted.signal }).opened);
        const question = await next();
        aborted.abort(new JackfieldError('closed', 'enough'));
        told.aborted = [await opening, question.request.signal.aborted, question.request.host];
        // Too late.
        question.resolve(true);
        const late = ending(network.connect('192.0.2.7:1', { timeout: 50 }).opened);
        const unanswered = await next();
        told.late = [await late, unanswered.request.signal.aborted];
        unanswered.resolve(true);
        return told;
    }";
    const ASK_AGAIN: &str = "async () => {
        globalThis.opened = ending(network.connect('imap.example.org:993').opened);
        globalThis.last = await next();
        return asked.length;
    }";
    let relay = Silent::new();
    let stage = stage(Stage::reaching(&[]).await).await;
    let told = stage.run(ASK, &[relay.as_relay()]).await;
    let no = "denied policy: who was asked doesn't allow imap.example.org:993/tcp";
    assert_eq!(
        told,
        json!({
            "refused": "denied policy: this application's policy doesn't allow elsewhere.example:993/tcp: no rule allows it",
            "unasked": 0,
            "request": {
                "action": "connect", "transport": "tcp", "host": "imap.example.org", "port": 993, "signal": false
            },
            "no": no,
            "nothing": format!("{no}: the answer is missing, not true or false"),
            "failed": format!("{no}: Error: the prompt is gone"),
            "aborted": ["closed page: enough", true, "192.0.2.7"],
            "late": ["timed-out server: the socket was not open within 50 ms", true],
        })
    );
    assert_eq!(stage.run(ASK_AGAIN, &[]).await, 0);
    assert!(relay.is_untouched());
    assert!(
        stage
            .page
            .evaluate::<bool>("!last.resolve(true)")
            .await
            .unwrap()
    );
    relay.is_reached().await;
    stage.browser.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_on_trial_tell_what_they_would_refuse_and_reach_it() {
    const TRY: &str = "async (options) => {
        const told = [];
        const report = (refused) => {
            told.push(refused);
            throw new Error('which spoils nothing');
        };
        const network = await open({ ...options, policy: { allow: ['*:443'], deny: ['192.0.2.0/24:*'], report } });
        addEventListener('error', (event) => event.preventDefault());
        const ends = [];
        for (const at of ['imap.example.org:993', 'a.example.org:443', '8.8.8.8:993', '127.0.0.1:993', '8.8.8.8:25']) {
            ends.push((await ending(network.connect(at).opened)).split(':')[0]);
        }
        return { told, ends };
    }";
    let stage = stage(Stage::reaching(&[]).await).await;
    let would = |host: &str| {
        let reason = "no rule allows it";
        json!({ "action": "connect", "transport": "tcp", "host": host, "port": 993, "reason": reason })
    };
    assert_eq!(
        stage.run(TRY, std::slice::from_ref(&stage.options)).await,
        json!({
            "told": [would("imap.example.org"), would("8.8.8.8")],
            // That it comes to the relay's rules is the sign that it passed those.
            "ends": ["denied relay", "denied relay", "denied relay", "denied policy", "denied policy"],
        })
    );
    stage.browser.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn direct_sockets_are_held_to_it_as_well() {
    const TRY: &str = "async (port, other) => {
        const { TCPSocket, UDPSocket, open } = await import('/direct-sockets.js');
        const at = `127.0.0.1:${port}`;
        const policy = { allow: [at, `${at}/udp`], listen: ['127.0.0.1:*/udp'] };
        const { kind } = await open({ policy });
        const ending = (work) => work.then(() => 'done', ({ cause }) => `${cause?.kind} ${cause?.where}`);
        const told = { kind };
        told.streams = [
            await ending(new TCPSocket('127.0.0.1', port).opened),
            await ending(new TCPSocket('127.0.0.1', other).opened),
        ];
        const bind = () => new UDPSocket({ localAddress: '127.0.0.1' }).opened;
        const send = async (remotePort) => {
            const { writable } = await bind();
            const data = new Uint8Array([7]);
            return ending(writable.getWriter().write({ data, remoteAddress: '127.0.0.1', remotePort }));
        };
        told.datagrams = [await send(port), await send(other)];
        const { multicastController } = await bind();
        told.group = await multicastController.joinGroup('239.1.2.3').then(() => 'joined', () => 'refused');
        return told;
    }";
    let echo = peers::echo().await;
    let port = echo.address().port();
    let udp = UdpSocket::bind(("127.0.0.1", port)).unwrap();
    udp.set_read_timeout(Some(PATIENCE)).unwrap();
    let (other, silent) = loop {
        let other = Silent::new();
        if let Ok(udp) = UdpSocket::bind(("127.0.0.1", other.port())) {
            break (other, udp);
        }
    };
    silent.set_nonblocking(true).unwrap();
    let npm = tokio::task::spawn_blocking(|| page("npm")).await;
    let app = Suite::app_beside(&npm.unwrap().unwrap()).await.unwrap();
    let arguments = [json!(port), json!(other.port())];
    assert_eq!(
        app.page.invoke::<Value>(TRY, &arguments).await.unwrap(),
        json!({
            "kind": "direct",
            "streams": ["done", "denied policy"],
            "datagrams": ["done", "denied policy"],
            "group": "refused",
        })
    );
    assert_eq!(udp.recv(&mut [0; 2]).unwrap(), 1);
    assert!(other.is_untouched() && silent.recv(&mut [0; 2]).is_err());
    app.close().await.unwrap();
}

/// A worker that opens and connects, after it was restricted or not.
const WORKER: &str = "
    import { JackfieldError, open } from './sockets.js';
    import { restrict } from './policy.js';
    onmessage = async ({ data: { options, at, policy } }) => {
        if (policy) restrict(policy);
        const network = await open(options);
        const opened = network.connect(at).opened;
        postMessage(await opened.then(() => 'opened', ({ kind, where }) => `${kind} ${where}`));
    };";

#[tokio::test(flavor = "multi_thread")]
async fn a_restriction_holds_all_that_is_opened_later() {
    const RESTRICT: &str = "async (options, port) => {
        const at = `127.0.0.1:${port}`;
        const before = await open(options);
        const { restrict } = await import('./policy.js');
        const asked = [];
        const own = { allow: ['127.0.0.1:*', '*.example.org:443'], ask: ({ host }) => !asked.push(host) };
        restrict({ allow: ['127.0.0.1:*', '*.example.org:*'] });
        const told = {};
        const reach = async (to, policy, how = open) => {
            await using network = await how({ ...options, policy });
            return (await ending(network.connect(to).opened)).split(':')[0];
        };
        told.still = await reach(at);
        restrict(own);
        // What is changed later changes nothing.
        own.allow.push('*:*');
        own.ask = () => true;

        // Neither a wider policy nor whatever else a script can do to it takes it back.
        const key = Symbol.for('jackfield.policy');
        const attempts = [
            () => { globalThis[key] = () => []; },
            () => { delete globalThis[key]; },
            () => Object.defineProperty(globalThis, key, { value: () => [] }),
            () => { globalThis[key]().length = 0; },
            () => { globalThis[key]()[0].allow.push('*:*'); },
            () => { globalThis[key]()[0].allow = ['*:*']; },
            () => { globalThis[key]()[0].report = () => undefined; },
            () => restrict({ allow: ['*:*'] }),
        ];
        for (const attempt of attempts) {
            try { attempt(); } catch { }
        }
        told.wider = await reach('a.example.org:80', { allow: ['*:*'] });
        told.asked = [await reach(at, undefined), asked.join()];
        const other = await import('./sockets.js');
        told.entry = await reach(at, undefined, other.open);
        const copy = await import('./lib/policy.js?copy');
        // It has no module of its own yet, and reads what this one is held to.
        copy.useRules({ read: (policies) => policies.length });
        told.copy = copy.held().rules;
        told.before = await ending(before.connect(at).opened);

        const worker = (policy) => new Promise((resolve) => {
            const worker = new Worker('restricted.js', { type: 'module' });
            worker.onmessage = ({ data }) => resolve(data);
            worker.postMessage({ options, at, policy });
        });
        told.workers = [await worker(), await worker({ allow: ['*:*'] })];
        return told;
    }";
    let echo = peers::echo().await;
    let port = echo.address().port();
    let files = [("/restricted.js", WORKER)];
    let stage = stage(Stage::with(&[port.to_string()], &files).await).await;
    let arguments = [stage.options.clone(), json!(port)];
    assert_eq!(
        stage.run(RESTRICT, &arguments).await,
        json!({
            "still": "opened",
            "wider": "denied policy",
            "asked": ["denied policy", ""],
            "entry": "denied policy",
            "copy": 3,
            "before": "opened",
            "workers": ["opened", "denied policy"],
        })
    );
    stage.browser.close().await.unwrap();
}

/// What was meant to hold and can't be read holds everything.
#[tokio::test(flavor = "multi_thread")]
async fn a_restriction_that_cannot_be_honoured_lets_nothing_be_opened() {
    const WRONG: &str = "async (options, policy) => {
        const { restrict } = await import('./policy.js');
        const told = [];
        try {
            restrict(policy);
            told.push('taken');
        } catch ({ kind, message }) {
            told.push(`${kind}: ${message}`);
        }
        told.push(await ending(open(options)));
        return told;
    }";
    let stage = stage(Stage::reaching(&[]).await).await;
    for (policy, refused, opening) in [
        (
            json!({ "alow": ["*:*"] }),
            "invalid-input: restrict() has no option alow; is allow meant?",
            "denied policy: nothing can be opened here: restrict() has no option alow; is allow meant?",
        ),
        (
            Value::Null,
            "invalid-input: the options of restrict() are null, not an object",
            "denied policy: nothing can be opened here: the options of restrict() are null, not an object",
        ),
        (
            json!({ "allow": ["imap.example.org"] }),
            "taken",
            "invalid-input page: restrict(): allow: \"imap.example.org\" is no rule: \
             \"imap.example.org\" has no port: expected HOST:PORTS",
        ),
    ] {
        // Another page: what one was restricted to, it stays.
        stage.reload().await;
        assert!(stage.page.evaluate::<bool>(ENDING).await.unwrap());
        let told = stage.run(WRONG, &[stage.options.clone(), policy]).await;
        assert_eq!(told, json!([refused, opening]));
    }
    stage.browser.close().await.unwrap();
}

/// The rules are in a module of their own, which nobody downloads who has none; and without it, nothing is opened.
#[tokio::test(flavor = "multi_thread")]
async fn rules_are_loaded_where_there_are_any() {
    const LOADED: &str = "() => performance.getEntriesByType('resource')
        .map(({ name }) => name).filter((name) => name.includes('wasm/policy')).length";
    const OPEN: &str = "async (options, policy) => ending(open({ ...options, policy }))";
    const LATE: &str = "async (options, at) => {
        const { restrict } = await import('./policy.js');
        // As whoever restricts while a network is being opened.
        const opening = open(options);
        restrict({});
        const network = await opening;
        return ending(network.connect(at).opened);
    }";
    let silent = Silent::new();
    let stage = stage(Stage::reaching(&[]).await).await;
    let options = stage.options.clone();
    assert_eq!(
        stage.run(OPEN, std::slice::from_ref(&options)).await,
        "opened"
    );
    assert_eq!(stage.run(LOADED, &[]).await, 0);
    assert_eq!(
        stage.run(OPEN, &[options.clone(), json!({})]).await,
        "opened"
    );
    assert_eq!(stage.run(LOADED, &[]).await, 2);

    stage.reload().await;
    assert!(stage.page.evaluate::<bool>(ENDING).await.unwrap());
    let at = json!(format!("127.0.0.1:{}", silent.port()));
    let told = stage.run(LATE, &[silent.as_relay(), at]).await;
    let told = told.as_str().unwrap();
    assert!(told.starts_with("denied policy: "), "{told}");
    assert!(silent.is_untouched());
    stage.browser.close().await.unwrap();

    let files = [("/wasm/policy_bg.wasm", "<!doctype html>")];
    let broken = self::stage(Stage::with(&[], &files).await).await;
    let told = broken.run(OPEN, &[silent.as_relay(), json!({})]).await;
    let told = told.as_str().unwrap();
    let refused = "other page: the WebAssembly module can't be loaded: ";
    assert!(told.starts_with(refused), "{told}");
    assert!(silent.is_untouched());
    broken.browser.close().await.unwrap();
}

//! Connections that are lost under a client in a page: what was asked for says where they were lost, and a relay that
//! is shut down says that it is.

use std::net::SocketAddr;
use std::time::Duration;

use jackfield_browser_suite::mail::{ADDRESS, PASSWORD, USER};
use jackfield_browser_tests::mail::MailServer;
use jackfield_browser_tests::stage::Stage;
use jackfield_relayd::token::{Credential, Secret};
use jackfield_relayd::{Config, Relayd, Token};
use jackfield_testing::proxy::Proxy;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::time::timeout;

const SECRET: &str = "the-secret-of-the-tests";
/// Nothing here takes so long, unless it hangs.
const PATIENCE: Duration = Duration::from_secs(20);

/// A server that lets clients in, and says nothing else; where it is.
async fn silent(method: &'static str) -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let at = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut stream = BufReader::new(stream);
                // Whoever is cut off has seen enough.
                if let Some(()) = greet(method, &mut stream).await {
                    let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
                }
            });
        }
    });
    at
}

async fn greet(method: &str, stream: &mut BufReader<TcpStream>) -> Option<()> {
    let greeting: &[u8] = match method {
        "irc" => {
            stream.write_all(b":there CAP * LS :\r\n").await.ok()?;
            let mut line = String::new();
            while line != "CAP END\r\n" {
                line.clear();
                if stream.read_line(&mut line).await.ok()? == 0 {
                    return None;
                }
            }
            b":there 001 ada :Welcome\r\n:there 422 ada :No message\r\n"
        }
        "mqtt" => {
            stream.read_u8().await.ok()?;
            // CONNACK, with the method of authentication.
            &[0x20, 7, 0, 0, 4, 0x15, 0, 1, b'X']
        }
        // A CSM without options.
        _ => &[0x00, 0xE1],
    };
    stream.write_all(greeting).await.ok()
}

/// Each of the five clients tells of what it was asked for whether the server closed or the relay went.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_lost_with_its_connection_says_where() {
    const OPEN: &str = "async (options, at, login) => {
        const network = await open(options);
        const how = { reconnect: { first: 1, longest: 10 } };
        globalThis.irc = await network.irc(`irc://${at.irc}`, { nick: 'ada', ...how });
        const authentication = { method: 'X', step: async () => 'x' };
        globalThis.mqtt = await network.mqtt(`mqtt://${at.mqtt}`, { authentication, ...how });
        globalThis.coap = await network.coap(`coap+tcp://${at.coap}`, how);
        globalThis.imap = await network.imap(`imaps://${at.imap}`, { ...login, ...how });
        globalThis.smtp = await network.smtp(`smtps://${at.smtp}`, { ...login, ...how });
        await Promise.all([irc.registered, mqtt.connected, coap.connected, imap.connected, smtp.verify()]);
        return true;
    }";
    // A message goes again over the next connection, unless a part of it was sent.
    const ASK: &str = "async (address) => {
        let begin;
        const begun = new Promise(resolve => { begin = resolve; });
        let pulls = 0;
        const message = new ReadableStream({
            pull(to) {
                pulls += 1;
                if (pulls === 1) {
                    to.enqueue(new TextEncoder().encode('Subject: begun\\r\\n\\r\\n'));
                    return undefined;
                }
                begin();
                return new Promise(() => undefined);
            },
        }, { highWaterMark: 0 });
        const asks = {
            irc: irc.topic('#a'),
            mqtt: mqtt.reauthenticate(),
            coap: coap.get('/a'),
            imap: imap.list(),
            smtp: smtp.send({ from: address, to: [address], message }),
        };
        const told = ({ kind, where }) => `${kind}, ${where}`;
        globalThis.lost = Promise.all(Object.entries(asks).map(
            async ([name, ask]) => [name, await ask.then(() => 'done', told)]));
        await begun;
        return true;
    }";
    let mail = MailServer::start().await;
    let [irc, mqtt, coap] = [
        silent("irc").await,
        silent("mqtt").await,
        silent("coap").await,
    ];
    let mut proxies = Vec::new();
    for server in [irc, mqtt, coap, mail.imap, mail.submission] {
        proxies.push(Proxy::start(server).await.unwrap());
    }
    let at: Vec<SocketAddr> = proxies.iter().map(Proxy::address).collect();
    let stage = Stage::reaching(&at).await;
    let origin = stage.run("() => location.origin", &[]).await;
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let (relay, _shut_down, _running) = relay(origin.as_str().unwrap(), any).await;
    let before_relay = Proxy::start(relay).await.unwrap();
    let address = format!("ws://{}/", before_relay.address());
    let options = json!({ "relay": address, "token": SECRET, "roots": mail.root });
    let [irc, mqtt, coap, imap, smtp] = at[..] else {
        unreachable!("there are five");
    };
    let at = json!({ "irc": irc, "mqtt": mqtt, "coap": coap, "imap": imap, "smtp": smtp });
    let login = json!({ "username": USER, "password": PASSWORD });
    stage.run(OPEN, &[options, at, login]).await;

    let stall = |stalled: bool| (proxies[..4].iter()).for_each(|proxy| proxy.stall(stalled));
    for (place, cut) in [
        (
            "server",
            &(|| proxies.iter().for_each(Proxy::cut)) as &dyn Fn(),
        ),
        ("relay", &|| before_relay.cut()),
    ] {
        stall(true);
        stage.run(ASK, &[json!(ADDRESS)]).await;
        cut();
        let told = stage.run("() => lost", &[]).await;
        let all = ["irc", "mqtt", "coap", "imap", "smtp"];
        let expected = all.map(|name| json!([name, format!("reset, {place}")]));
        assert_eq!(told, json!(expected));
        stall(false);
        let back = "[irc, mqtt, coap, imap].every(({ state }) => state === 'connected')";
        stage.page.wait_for(back).await.unwrap();
        stage
            .run("() => smtp.verify().catch(() => smtp.verify())", &[])
            .await;
    }
    stage.browser.close().await.unwrap();
}

/// A relay at this address, or at any, for pages of this origin, until it is told to shut down.
async fn relay(
    origin: &str,
    at: SocketAddr,
) -> (SocketAddr, oneshot::Sender<()>, tokio::task::JoinHandle<()>) {
    let secret = Secret::new(SECRET).unwrap();
    let mut token = Token::new("page", Credential::Secret(secret));
    token.policy.allow.push("127.0.0.0/8:*".parse().unwrap());
    let mut config = Config::default();
    config.listen = vec![at];
    config.hosts = vec!["127.0.0.1".parse().unwrap()];
    config.origins = vec![origin.parse().unwrap()];
    config.tokens = vec![token];
    let relay = Relayd::bind(config).await.unwrap();
    let address = relay.local_addrs()[0];
    let (shut_down, is_shut_down) = oneshot::channel::<()>();
    let running = tokio::spawn(relay.run(async {
        let _ = is_shut_down.await;
    }));
    (address, shut_down, running)
}

/// What is open goes on for a moment, and is cut then; the client says why, and comes back with the next relay.
#[tokio::test(flavor = "multi_thread")]
async fn a_relay_that_is_shut_down_says_so() {
    const OPEN: &str = "async (options, url) => {
        const how = { nick: 'ada', reconnect: { first: 100, longest: 1000 } };
        globalThis.irc = await (await open(options)).irc(url, how);
        await irc.registered;
        globalThis.lost = (async () => {
            for await (const { type, error, retryIn } of irc) {
                if (type === 'disconnected') {
                    return [error.kind, error.where, error.relayCode, retryIn > 0, irc.state];
                }
            }
        })();
        return irc.state;
    }";
    let server = silent("irc").await;
    let stage = Stage::start(server).await;
    let origin: Value = stage.run("() => location.origin", &[]).await;
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let (at, shut_down, running) = relay(origin.as_str().unwrap(), any).await;
    let options = json!({ "relay": format!("ws://{at}/"), "token": SECRET });
    let arguments = [options, json!(format!("irc://{server}"))];
    assert_eq!(stage.run(OPEN, &arguments).await, "connected");
    shut_down.send(()).unwrap();
    timeout(PATIENCE, running).await.unwrap().unwrap();
    let lost = stage.run("() => lost", &[]).await;
    let told = json!(["reset", "relay", "going-away", true, "waiting"]);
    assert_eq!(lost, told);
    let _next = relay(origin.as_str().unwrap(), at).await;
    let page = &stage.page;
    page.wait_for("irc.state === 'connected'").await.unwrap();
    stage.browser.close().await.unwrap();
}

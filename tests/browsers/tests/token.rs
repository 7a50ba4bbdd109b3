//! A token for the relay that a function of the page gives: asked for when something is opened, once for all
//! that waits, and again before its time is over, or when it is; and what is told where it gives none.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use jackfield_browser_tests::stage::Stage;
use jackfield_relayd::token::{Claims, Credential, Secret, SigningKey};
use jackfield_relayd::{Config, Relayd, Token};
use jackfield_testing::certs::Authority;
use jackfield_testing::mosquitto::{Mosquitto, Settings};
use serde_json::{Value, json};

const KEY: &str = "the-signing-key-of-the-tests-has-32-characters";
/// How long a token is good that ends during a test.
const SHORT: Duration = Duration::from_secs(3);
const LONG: Duration = Duration::from_mins(10);
/// The same, and long enough that there is time to give the next one.
const LONG_ENOUGH: Duration = Duration::from_secs(8);
/// Gives a token to whoever waits for it; how often one was asked for.
const HAND_OVER: &str =
    "(token) => { const to = give; give = undefined; to(token); return asked; }";

/// Opens a network whose tokens `give()` gives, and counts how often one was asked for.
const OPEN: &str = "async (options) => {
    Object.assign(globalThis, { asked: 0, give: undefined });
    const token = () => {
        asked += 1;
        return new Promise((given) => { globalThis.give = given; });
    };
    globalThis.network = await open({ ...options, token });
    return asked;
}";
/// Two clients, and how each was cut off.
const CONNECT: &str = "async (url) => {
    globalThis.cut = [];
    globalThis.clients = await Promise.all([1, 2].map(async () => {
        const broker = await network.mqtt(url, { reconnect: { first: 10 } });
        (async () => {
            for await (const event of broker) {
                if (event.type === 'disconnected') cut.push(event);
            }
        })().catch(() => undefined);
        return broker;
    }));
    return clients.map(({ state }) => state);
}";

/// A token of this bearer; of nobody's, none can follow within a connection.
fn token(good_for: Duration, bearer: Option<&str>) -> Value {
    let key = SigningKey::hs256(&Secret::new(KEY).unwrap()).unwrap();
    let mut claims = Claims::new(SystemTime::now() + good_for);
    claims.subject = bearer.map(Into::into);
    key.mint(&claims).unwrap().into()
}

/// A relay that takes tokens of that key, for this page, to this server alone.
async fn relay(stage: &Stage, server: SocketAddr) -> Value {
    let origin: String = stage.page.evaluate("location.origin").await.unwrap();
    let mut signed = Token::new("app", Credential::Key(Secret::new(KEY).unwrap()));
    signed.policy.allow = vec![server.to_string().parse().unwrap()];
    let mut config = Config::default();
    config.listen = vec!["127.0.0.1:0".parse().unwrap()];
    config.origins = vec![origin.parse().unwrap()];
    config.tokens = vec![signed];
    let relay = Relayd::bind(config).await.unwrap();
    let url = format!("ws://{}/", relay.local_addrs()[0]);
    tokio::spawn(relay.run(std::future::pending()));
    json!({ "relay": url })
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_outlive_their_tokens() {
    let certificate = Authority::new().server(&["localhost"]);
    let broker = Mosquitto::start(&certificate, &Settings::default()).await;
    let broker = broker.unwrap();
    let stage = Stage::start(broker.plain()).await;
    let options = relay(&stage, broker.plain()).await;
    // Nothing is opened yet, so nobody is asked.
    assert_eq!(stage.run(OPEN, &[options]).await, json!(0));
    let url = json!(format!("mqtt://{}", broker.plain()));
    let states = stage.run(CONNECT, &[url]).await;
    assert_eq!(states, json!(["connecting", "connecting"]));

    stage.page.wait_for("give !== undefined").await.unwrap();
    assert_eq!(stage.run(HAND_OVER, &[token(SHORT, None)]).await, json!(1));
    // Both lose their connections with it, and one token is asked for.
    stage.page.wait_for("cut.length >= 2").await.unwrap();
    stage.page.wait_for("give !== undefined").await.unwrap();
    assert_eq!(stage.run(HAND_OVER, &[token(LONG, None)]).await, json!(2));
    let connected = "clients.every(({ state }) => state === 'connected')";
    stage.page.wait_for(connected).await.unwrap();
    let told = "async () => {
        const { explain } = await import('./explain.js');
        const [broker, other] = clients;
        const topic = broker.subscribe('news');
        await broker.publish('news', 'still here', { qos: 1 });
        const { value } = await topic[Symbol.asyncIterator]().next();
        await other.publish('news', 'both', { qos: 1 });
        return [value.text(), asked, ...cut.map(({ error, retryIn }) =>
            [error.kind, error.where, error.relayCode, retryIn !== null, explain(error)])];
    }";
    let lost = "The connection to the relay was lost. It is made again by itself.";
    let lost = json!(["reset", "relay", "token-expired", true, lost]);
    let told = stage.run(told, &[]).await;
    assert_eq!(told, json!(["still here", 2, lost, lost]));
    stage.browser.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_outlive_their_tokens_where_these_say_whose_they_are() {
    let certificate = Authority::new().server(&["localhost"]);
    let broker = Mosquitto::start(&certificate, &Settings::default()).await;
    let broker = broker.unwrap();
    let stage = Stage::start(broker.plain()).await;
    let options = relay(&stage, broker.plain()).await;
    assert_eq!(stage.run(OPEN, &[options]).await, json!(0));
    let url = json!(format!("mqtt://{}", broker.plain()));
    stage.run(CONNECT, &[url]).await;
    stage.page.wait_for("give !== undefined").await.unwrap();
    let first = token(LONG_ENOUGH, Some("ada"));
    assert_eq!(
        stage.run(HAND_OVER, std::slice::from_ref(&first)).await,
        json!(1)
    );
    // While the first one is good.
    stage.page.wait_for("give !== undefined").await.unwrap();
    let next = token(LONG, Some("ada"));
    assert_eq!(stage.run(HAND_OVER, &[next]).await, json!(2));
    let over = format!("JSON.parse(atob({first}.split('.')[1])).exp + 1 < Date.now() / 1000");
    stage.page.wait_for(&over).await.unwrap();
    let told = "async () => {
        await clients[0].publish('news', 'still here', { qos: 1 });
        return [asked, cut.length];
    }";
    assert_eq!(stage.run(told, &[]).await, json!([2, 0]));
    stage.browser.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_gives_no_token_is_told_as_that() {
    // What is thrown is tried again, until it says that there will be none.
    const THROW: &str = "async (options, url) => {
        const thrown = [new TypeError('Failed to fetch'), 'not now'];
        let asked = 0;
        const token = async () => {
            asked += 1;
            throw thrown[asked - 1] ?? new JackfieldError('denied', 'you are logged out');
        };
        const network = await open({ ...options, token });
        const broker = await network.mqtt(url, { reconnect: { first: 10 } });
        const told = [];
        const tell = ({ kind, where, message, cause }) =>
            [kind, where, message, cause === thrown[asked - 1] || cause?.name];
        try {
            for await (const event of broker) {
                if (event.type === 'disconnected') told.push(tell(event.error));
            }
        } catch {}
        told.push(await broker.closed.catch(tell));
        const { explain } = await import('./explain.js');
        told.push(explain(await broker.closed.catch((error) => error)), asked);
        return told;
    }";
    const GIVE: &str = "async (options, url) => {
        const given = [undefined, null, 5, '', {}, 'x'.repeat(4097)];
        const ends = async (token) => {
            const network = await open({ ...options, token: () => token });
            const client = await network.mqtt(url);
            return client.closed.catch(({ kind, where, message }) => `${kind} ${where} ${message}`);
        };
        return Promise.all(given.map(ends));
    }";
    // Closing waits for nobody's answer, and one that comes later changes nothing.
    const CLOSE: &str = "async (options, url) => {
        let answer, isAsked;
        const asked = new Promise((resolve) => { isAsked = resolve; });
        const token = () => {
            isAsked();
            return new Promise((resolve, reject) => { answer = reject; });
        };
        const network = await open({ ...options, token });
        const client = await network.mqtt(url);
        await asked;
        await network.close();
        answer(new Error('too late'));
        await client.closed;
        return client.state;
    }";
    let nobody = SocketAddr::from(([127, 0, 0, 1], 9));
    let stage = Stage::start(nobody).await;
    let arguments = [
        relay(&stage, nobody).await,
        json!(format!("mqtt://{nobody}")),
    ];
    let failed = |what: &str| {
        format!("could not connect: the function for the relay's token failed: {what}")
    };
    let out = "could not connect: you are logged out";
    assert_eq!(
        stage.run(THROW, &arguments).await,
        json!([
            ["other", "relay", failed("Failed to fetch"), true],
            ["other", "relay", failed("not now"), true],
            ["denied", "relay", out, "JackfieldError"],
            ["denied", "relay", out, "JackfieldError"],
            "Could not connect: you are logged out.",
            3,
        ])
    );
    let no = |what: &str| {
        format!(
            "invalid-input page could not connect: the function for the relay's token gave {what} in its place"
        )
    };
    assert_eq!(
        stage.run(GIVE, &arguments).await,
        json!([
            no("nothing"),
            no("null"),
            no("a number"),
            no("an empty string"),
            no("a Object"),
            "invalid-input page could not connect: a token has 1 to 4096 bytes",
        ])
    );
    assert_eq!(stage.run(CLOSE, &arguments).await, json!("closed"));
    stage.browser.close().await.unwrap();
}

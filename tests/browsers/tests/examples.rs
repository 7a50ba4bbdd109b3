//! The examples in the documents for pages run as they stand: against real servers, at addresses that are put in
//! the place of the documents' own. An example that nobody runs is an error, too.

use std::fs;

use jackfield_browser_suite::mail::PASSWORD;
use jackfield_browser_tests::documents::{DOCUMENTS, blocks};
use jackfield_browser_tests::mail::MailServer;
use jackfield_browser_tests::peers::{self, Server};
use jackfield_browser_tests::relay::{self, HOST, SECRET};
use jackfield_browser_tests::thing::Thing;
use jackfield_browser_tests::{page, workspace};
use jackfield_testing::certs::Authority;
use jackfield_testing::chromium::Chromium;
use jackfield_testing::coap_device::Device;
use jackfield_testing::inspircd::Inspircd;
use jackfield_testing::mosquitto::{Mosquitto, Settings};
use jackfield_testing::mqtt_broker::{Broker, PATH};
use jackfield_testing::process::free_addresses;
use jackfield_testing::site::Site;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

/// What tells an example from others, and by what one sees that it has worked.
const EXAMPLES: &[(&str, Outcome)] = &[
    ("restrict({", Outcome::Ends),
    ("May this page reach", Outcome::Ends),
    ("irc.list(", Outcome::Ends),
    ("irc.raw(", Outcome::Ends),
    ("'K8S-SAT'", Outcome::Ends),
    ("broker.reconnectNow()", Outcome::Ends),
    (
        "'ircs://irc.example.org'",
        Outcome::Says("grace hello, ada"),
    ),
    (
        "broker.subscribe('kitchen/+')",
        Outcome::Says("kitchen/lamp on"),
    ),
    (
        "broker.subscribe('greenhouse/+')",
        Outcome::Says("greenhouse/lamp on"),
    ),
    ("'jackfield/mqtt-websocket'", Outcome::Ends),
    ("broker.published()", Outcome::Ends),
    (
        "explain(error)",
        Outcome::Says("The relay is not allowed to reach this server. Its owner can allow it."),
    ),
    ("certificatePin", Outcome::Keeps("pins")),
    ("openMailCopy", Outcome::Says("Lunch?")),
    ("imap.saveDraft(", Outcome::Ends),
    ("['parts']", Outcome::Says("notes.txt")),
    ("imap.list()", Outcome::Says("Lunch?")),
    (
        "{ address, outcome, text }",
        Outcome::Says("ada@jackfield.example accepted"),
    ),
    ("imap.append('Sent'", Outcome::Ends),
    ("token: async () =>", Outcome::Ends),
    ("'whois.example.org:43'", Outcome::Says("example.org")),
    ("'tls://example.org:443'", Outcome::Says("HEAD / HTTP/1.0")),
    ("ownAuthority", Outcome::Says("TLS 1.2")),
    ("plain.startTls()", Outcome::Ends),
    ("new TCPSocket(", Outcome::Says("starwars")),
    (
        "connect('example.org:443'",
        Outcome::Says("HEAD / HTTP/1.0"),
    ),
    ("device.observe('/temperature')", Outcome::Says("19")),
    // The relay of these tests lets nobody ask a group; `reach.rs` has one that does.
    (
        "network.coapGroup(",
        Outcome::Says("the relay's rules don't allow"),
    ),
];

/// Its example serves for ever, and needs a relay that lets pages listen: `direct_sockets.rs` has one.
const ONLY_TYPED: &str = "docs/direct-sockets.md";

/// A message with something attached.
const WITH_NOTES: &str = "From: grace@example.com\r\nSubject: Notes\r\nMIME-Version: 1.0\r\n\
    Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nHere.\r\n--b\r\n\
    Content-Disposition: attachment; filename=notes.txt\r\n\r\nOne, two.\r\n--b--\r\n";

#[derive(Clone, Copy, Debug)]
enum Outcome {
    /// It writes this to the console.
    Says(&'static str),
    /// It comes to its end.
    Ends,
    /// It keeps something under this name.
    Keeps(&'static str),
}

/// Everything that the examples speak with.
struct World {
    site: Site,
    browser: Chromium,
    /// The documents' addresses, and those that are put in their place.
    addresses: Vec<(&'static str, String)>,
    authority: Authority,
    _servers: [Server; 3],
    _mail: MailServer,
    _irc: Inspircd,
    _mosquitto: Mosquitto,
    _broker: Broker,
    _device: Device,
    _thing: Thing,
}

impl World {
    async fn start() -> Self {
        let authority = Authority::new();
        let certificate = authority.server(&[HOST]);
        let irc = Inspircd::start(&certificate).await.unwrap();
        greet(irc.plain()).await;
        let mosquitto = Mosquitto::start(&certificate, &Settings::default()).await;
        let mosquitto = mosquitto.unwrap();
        let thing = Thing::start(mosquitto.plain(), "house").await;
        thing.keep("kitchen/lamp", "on").await;
        thing.keep("greenhouse/lamp", "on").await;
        let broker = Broker::start().await.unwrap();
        let device = Device::start().await.unwrap();
        let servers = [
            peers::echo().await,
            peers::secure_echo(&certificate).await,
            peers::starttls(&certificate).await,
        ];
        let [plain, secure, starttls] = servers.each_ref().map(|server| server.address().port());
        let mail = MailServer::start_with(&certificate).await;
        for _ in 1..17 {
            mail.deliver("From: grace@example.com\r\nSubject: Lunch?\r\n\r\nAt one.\r\n");
        }
        mail.deliver(WITH_NOTES);
        let ports = [
            plain.to_string(),
            secure.to_string(),
            starttls.to_string(),
            mail.imap.port().to_string(),
            mail.submission.port().to_string(),
            irc.tls().port().to_string(),
            mosquitto.tls().port().to_string(),
            format!("{}/udp", device.udp().port()),
        ];
        let [at] = free_addresses().unwrap();
        let relay = relay::start(at, &ports).await;
        let mqtts = format!("mqtts://{HOST}:{}'", mosquitto.tls().port());
        let addresses = vec![
            ("wss://relay.example.org/", format!("ws://{relay}/")),
            (
                "ircs://irc.example.org'",
                format!("ircs://{HOST}:{}'", irc.tls().port()),
            ),
            ("mqtts://broker.example.org'", mqtts.clone()),
            (
                "'broker.example.org:8883'",
                format!("'{HOST}:*', '127.0.0.0/8:*', '[::1]:*'"),
            ),
            ("mqtts://broker.local'", mqtts),
            (
                "wss://broker.example.org/mqtt",
                format!("ws://{}{PATH}", broker.websocket()),
            ),
            (
                "imaps://mail.example.org",
                format!("imaps://{HOST}:{}", mail.imap.port()),
            ),
            (
                "smtps://mail.example.org",
                format!("smtps://{HOST}:{}", mail.submission.port()),
            ),
            // The server has one user.
            ("grace@example.com", "ada@jackfield.example".to_owned()),
            ("ada@example.org", "ada@jackfield.example".to_owned()),
            // The server has no OAuth.
            (
                "token: async () => (await fetch('/token')).text()",
                "password".to_owned(),
            ),
            ("whois.example.org:43", format!("{HOST}:{plain}")),
            ("db.example.org:5433", format!("{HOST}:{secure}")),
            ("mail.example.org:143", format!("{HOST}:{starttls}")),
            ("'telehack.com', 23", format!("'{HOST}', {plain}")),
            ("example.org:443", format!("{HOST}:{secure}")),
            ("coap://192.168.1.20", format!("coap://{}", device.udp())),
        ];
        let folder = tokio::task::spawn_blocking(|| page("npm")).await;
        let folder = folder.unwrap().unwrap();
        let mut site = Site::builder().dir(&folder).port(at.port());
        let mut imports = serde_json::Map::new();
        for file in fs::read_dir(&folder).unwrap() {
            let name = file.unwrap().file_name().into_string().unwrap();
            if let Some(entry) = name.strip_suffix(".js") {
                // The same, with the roots of the tests: the documents' servers have those that browsers know.
                let script = format!(
                    "import * as all from '../{name}';\nexport * from '../{name}';\n\
                     export const open = (how) => all.open(how?.relay ? {{ roots, ...how }} : how);\n"
                );
                site = site.file(&format!("/example/{name}"), script);
                let bare = if entry == "index" {
                    "jackfield".to_owned()
                } else {
                    format!("jackfield/{entry}")
                };
                imports.insert(
                    format!("jackfield/wasm/{entry}_bg.wasm"),
                    format!("./wasm/{entry}_bg.wasm").into(),
                );
                imports.insert(bare, format!("./example/{name}").into());
            }
        }
        let html = format!(
            "<!doctype html><title>Examples</title><script type=importmap>{}</script>",
            json!({ "imports": imports }),
        );
        Self {
            site: site.file("/examples.html", html).start().await.unwrap(),
            browser: Chromium::launch().await.unwrap(),
            addresses,
            authority,
            _servers: servers,
            _mail: mail,
            _irc: irc,
            _mosquitto: mosquitto,
            _broker: broker,
            _device: device,
            _thing: thing,
        }
    }

    /// Runs an example in a page of its own.
    async fn run(&self, example: &str, outcome: Outcome) {
        let mut source = example.to_owned();
        for (theirs, ours) in &self.addresses {
            source = source.replace(theirs, ours);
        }
        if !example.contains("const network") && example.contains("network.") {
            source.insert_str(
                0,
                "const network = await (await import('jackfield')).open(given);\n",
            );
        }
        let relay = &self.addresses[0].1;
        let roots = match outcome {
            // Its server is one that nobody vouches for.
            Outcome::Keeps(_) => Value::Null,
            _ => self.authority.pem().into(),
        };
        let page = self
            .browser
            .open(&format!("{}examples.html", self.site.url()))
            .await;
        let page = page.unwrap();
        let client = self.authority.client("ada");
        let start = "(source, roots, relay, token, more) => {
            Object.assign(globalThis, { roots, token, said: [], ended: false });
            Object.assign(globalThis, more, { given: { relay, token }, confirm: () => true });
            Object.assign(globalThis, { readings: ['1', '2'], image: new Uint8Array(2000) });
            console.log = (...words) => said.push(words.join(' '));
            const module = URL.createObjectURL(new Blob([source], { type: 'text/javascript' }));
            import(module).then(() => { ended = true; }, (error) => said.push(`it failed: ${error}`));
            return true;
        }";
        let more = json!({
            "password": PASSWORD,
            "ownAuthority": self.authority.pem(),
            "ownCertificate": client.pem(),
            "ownKey": client.key_pem(),
        });
        let arguments = [
            source.into(),
            roots,
            relay.clone().into(),
            SECRET.into(),
            more,
        ];
        assert!(page.invoke::<bool>(start, &arguments).await.unwrap());
        let seen = match outcome {
            Outcome::Says(words) => format!("said.some((line) => line.includes({}))", json!(words)),
            Outcome::Ends => "ended".to_owned(),
            Outcome::Keeps(name) => format!("localStorage.getItem({}) !== null", json!(name)),
        };
        if page.wait_for(&seen).await.is_err() {
            let said = page.evaluate::<Value>("said").await.unwrap();
            panic!("{example}\nwas to come to {outcome:?}, and said {said}");
        }
        let closed = page.close().await;
        closed.unwrap_or_else(|error| panic!("{example}\ncould not be closed: {error:#}"));
    }
}

/// Someone who greets whoever comes into `#rust`; once this is done, someone is there.
async fn greet(server: std::net::SocketAddr) {
    let stream = TcpStream::connect(server).await.unwrap();
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read).lines();
    write
        .write_all(b"NICK grace\r\nUSER grace 0 * :Grace\r\n")
        .await
        .unwrap();
    let (there, is_there) = tokio::sync::oneshot::channel();
    tokio::spawn(async move {
        let mut there = Some(there);
        while let Ok(Some(line)) = lines.next_line().await {
            let words: Vec<_> = line.split(' ').collect();
            let who = line
                .trim_start_matches(':')
                .split('!')
                .next()
                .unwrap_or_default();
            let answer = match words[..] {
                ["PING", token] => format!("PONG {token}\r\n"),
                [_, "001", ..] => "JOIN #rust\r\n".to_owned(),
                [_, "366", ..] => {
                    there.take().map(|there| there.send(()));
                    continue;
                }
                [_, "JOIN", ..] if who != "grace" => format!("PRIVMSG #rust :hello, {who}\r\n"),
                _ => continue,
            };
            if write.write_all(answer.as_bytes()).await.is_err() {
                return;
            }
        }
    });
    is_there.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn they_do_what_they_say() {
    let world = World::start().await;
    let mut run = Vec::new();
    for document in DOCUMENTS.into_iter().filter(|name| *name != ONLY_TYPED) {
        let text = fs::read_to_string(workspace().join(document)).unwrap();
        for example in blocks(&text) {
            let known = EXAMPLES.iter().find(|(mark, _)| example.contains(mark));
            let (mark, outcome) =
                known.unwrap_or_else(|| panic!("{document}: nobody runs\n{example}"));
            world.run(&example, *outcome).await;
            run.push(*mark);
        }
    }
    for (mark, _) in EXAMPLES {
        assert!(
            run.contains(mark),
            "there is no example any more with {mark}"
        );
    }
    world.browser.close().await.unwrap();
}

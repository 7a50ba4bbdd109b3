//! The client and the embedded server, on a network in memory that cuts streams where the test
//! says.

use std::time::Duration;

use jackfield_irc::client::{self, Client, ClientConfig, ClientEvent, Events};
use jackfield_irc::core::{Config, Credentials, Event};
use jackfield_irc::server::{ServerConfig, serve};
use jackfield_sim::{Cut, Network, SimHost};
use jackfield_socket::{
    ByteStream, Endpoint, Io, ListenOptions, Result, TcpConnect, TcpListen, TcpOptions,
};

/// The last byte from the server at which a stream is cut: beyond it, the channel has been entered.
const LAST_CUT: u64 = 1500;
const SHORT: Duration = Duration::from_secs(5);

/// A network whose streams nobody can read, as far as the client is told.
#[derive(Clone)]
struct Unread(SimHost);

impl TcpConnect for Unread {
    type Stream = Io<<SimHost as TcpConnect>::Stream>;

    async fn connect(&self, to: &Endpoint, options: &TcpOptions) -> Result<Self::Stream> {
        let stream = self.0.connect(to, options).await?;
        let mut info = stream.info();
        info.encrypted = true;
        Ok(Io::new(stream).with_info(info))
    }
}

async fn start(seed: u64) -> (Network, SimHost, SimHost) {
    let network = Network::new(seed);
    let page = network.host("page.example", ["192.0.2.1".parse().expect("an address")]);
    let server = network.host("irc.example", ["192.0.2.2".parse().expect("an address")]);
    let at = "192.0.2.2:6667".parse().expect("an address");
    let listener = server.listen(at, &ListenOptions::default()).await;
    let listener = listener.expect("the port is free");
    let mut config = ServerConfig::new();
    config.add_account("ada", "lovelace");
    tokio::spawn(serve(listener, config));
    (network, page, server)
}

fn join(page: &SimHost, nick: &str, configure: impl FnOnce(&mut Config)) -> (Client, Events) {
    let mut session = Config::new(nick.parse().expect("a nickname"));
    configure(&mut session);
    let mut config = ClientConfig::new(session);
    config.channels = vec!["#home".parse().expect("a channel")];
    config.connection.seed = Some(1);
    let server = "irc.example:6667".parse().expect("an endpoint");
    let (client, events, connection) = client::connect(Unread(page.clone()), server, config);
    tokio::spawn(connection);
    (client, events)
}

async fn until(events: &mut Events, fits: impl Fn(&Event) -> bool) {
    let found = tokio::time::timeout(Duration::from_hours(1), async {
        while let Some(event) = events.next().await {
            if matches!(&event, ClientEvent::Event(event) if fits(event)) {
                return;
            }
        }
        panic!("the client has ended");
    });
    found.await.expect("it happens within the hour");
}

#[tokio::test(start_paused = true)]
async fn wherever_a_stream_is_cut_the_client_comes_back() {
    for way in [Cut::Reset, Cut::Silence] {
        for at in (0..LAST_CUT).step_by(41) {
            let (network, page, server) = start(at).await;
            network.cut_next(&server, &page, at, way);
            let login = |config: &mut Config| {
                config.sasl = Credentials::password("ada", "lovelace").ok();
            };
            let (client, mut events) = join(&page, "ada", login);
            // Once cut, it must be there again; where the cut lies further on, it is there already.
            until(&mut events, |event| matches!(event, Event::Members { .. })).await;
            client.close().await;
        }
    }
}

/// The server doesn't know of the cut: it holds the nickname until it has waited long enough.
#[tokio::test(start_paused = true)]
async fn a_nickname_that_ones_own_ghost_holds_is_regained() {
    let (network, page, server) = start(1).await;
    network.cut_next(&server, &page, LAST_CUT, Cut::Silence);
    // The client notices before the server does.
    let impatient = |config: &mut Config| {
        (config.ping_interval, config.ping_timeout) = (SHORT, SHORT);
    };
    let (client, mut events) = join(&page, "ada", impatient);
    until(&mut events, |event| matches!(event, Event::Members { .. })).await;
    // The answers bring the cut nearer.
    let home = "#home".parse().expect("a target");
    for _ in 0..20 {
        let _ = client.say(&home, "anyone here?").await;
    }
    until(&mut events, |event| {
        matches!(event, Event::NickChanged { from, to, own: true, .. }
            if from == "ada_" && to == "ada")
    })
    .await;
    client.close().await;
}

#[tokio::test(start_paused = true)]
async fn each_message_is_shown_once_on_both_sides() {
    let (_network, page, _server) = start(1).await;
    let (ada, mut adas) = join(&page, "ada", |_| {});
    until(&mut adas, |event| matches!(event, Event::Members { .. })).await;
    let (_grace, mut graces) = join(&page, "grace", |_| {});
    until(&mut graces, |event| matches!(event, Event::Members { .. })).await;

    let home = "#home".parse().expect("a target");
    for text in ["one", "two"] {
        ada.say(&home, text).await.expect("it is sent");
    }
    for events in [&mut adas, &mut graces] {
        let mut said = Vec::new();
        while said.last().is_none_or(|text| text != "two") {
            match events.next().await.expect("the client goes on") {
                ClientEvent::Event(Event::Message(message)) if message.channel.is_some() => {
                    said.push(message.text);
                }
                _ => {}
            }
        }
        assert_eq!(said, ["one", "two"]);
    }
}

//! The client and the small server under OSCORE, on a network in memory that loses, repeats and
//! reorders, with both sides starting again in between.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jackfield_coap::RequestError;
use jackfield_coap::client::{self, Client, ClientConfig, SecurityContext};
use jackfield_coap::codec::{Code, ContentFormat};
use jackfield_coap::oscore::Parameters;
use jackfield_coap::server::{Reply, Resource, ServerConfig, Site, serve_udp_protected};
use jackfield_sim::{Link, Network, SimHost};
use jackfield_socket::{UdpOpen, UdpOptions};
use jackfield_store::MemoryStore;
use tokio::task::JoinHandle;

const BYTES: ContentFormat = ContentFormat::OCTET_STREAM;

struct World {
    here: SimHost,
    there: SimHost,
    client_disk: MemoryStore,
    server_disk: MemoryStore,
    site: Site,
}

impl World {
    fn new(seed: u64, share: f64) -> Self {
        let network = Network::new(seed);
        let here = network.host("here.example", ["192.0.2.1".parse().expect("an address")]);
        let there = network.host("there.example", ["192.0.2.2".parse().expect("an address")]);
        let mut link = Link::default();
        link.latency = Duration::from_millis(20);
        link.loss = share;
        link.duplication = share;
        link.reordering = share;
        network.link(&here, &there, link);
        let value = Arc::new(Mutex::new(b"nothing".to_vec()));
        let mut config = ServerConfig::default();
        config.seed = Some(seed);
        let site = Site::new(config);
        let (read, written, changed) = (value.clone(), value, site.clone());
        let resource = Resource::new()
            .observable()
            .get(move |_| Reply::content(read.lock().expect("no panic").clone(), BYTES))
            .put(move |request| {
                *written.lock().expect("no panic") = request.payload.to_vec();
                changed.changed("/value");
                Reply::changed()
            });
        site.add("/value", resource).expect("a path");
        Self {
            here,
            there,
            client_disk: MemoryStore::new(),
            server_disk: MemoryStore::new(),
            site,
        }
    }

    async fn serve(&self) -> JoinHandle<jackfield_socket::Error> {
        let parameters = Parameters::new(&[7; 16], b"s", b"c").expect("parameters");
        let context = SecurityContext::open(&parameters, self.server_disk.clone()).await;
        let at: SocketAddr = "192.0.2.2:5683".parse().expect("an address");
        let socket = self.there.open_bound(at, &UdpOptions::default()).await;
        let contexts = vec![context.expect("it opens")];
        let socket = socket.expect("the port is free");
        tokio::spawn(serve_udp_protected(socket, self.site.clone(), contexts))
    }

    async fn client(&self, secret: u8) -> Client {
        let parameters = Parameters::new(&[secret; 16], b"c", b"s").expect("parameters");
        let context = SecurityContext::open(&parameters, self.client_disk.clone()).await;
        let mut config = ClientConfig::default();
        config.connection.seed = Some(7);
        config.requests.seed = Some(7);
        config.oscore = Some(context.expect("it opens"));
        let server = "there.example:5683".parse().expect("an endpoint");
        let (client, _, connection) = client::connect(self.here.clone(), server, config);
        tokio::spawn(connection);
        client
    }
}

#[tokio::test(start_paused = true)]
async fn bodies_in_blocks_arrive_whole_whatever_the_link_does() {
    for (seed, share) in [(1, 0.0), (2, 0.1), (3, 0.2), (4, 0.2)] {
        let world = World::new(seed, share);
        world.serve().await;
        let client = world.client(7).await;
        let body: Vec<u8> = (0..10_000_u32).map(|index| (index % 251) as u8).collect();
        client
            .put("/value", body.clone(), BYTES)
            .await
            .expect("it is taken");
        let got = client.get("/value").await.expect("it is there");
        assert!(got.payload == body, "seed {seed}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_observation_hears_of_the_last_change() {
    for seed in 0..8 {
        let world = World::new(seed, 0.2);
        world.serve().await;
        let client = world.client(7).await;
        let mut values = client.observe("/value").await.expect("it is observable");
        for round in 0..10_u8 {
            client
                .put("/value", [round], BYTES)
                .await
                .expect("it is taken");
        }
        loop {
            let value = values.next().await.expect("it goes on").expect("a value");
            if *value.payload == [9] {
                break;
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn both_sides_may_start_again() {
    let world = World::new(1, 0.0);
    for round in 0..3_u8 {
        let server = world.serve().await;
        // The second time, the server asks whether the request is fresh, and the client says so.
        let client = world.client(7).await;
        client
            .put("/value", [round], BYTES)
            .await
            .expect("it is taken");
        let got = client.get("/value").await.expect("it is there");
        assert_eq!(*got.payload, [round]);
        client.close().await;
        server.abort();
        let _ = server.await;
    }
}

#[tokio::test(start_paused = true)]
async fn who_has_no_context_is_refused() {
    let world = World::new(1, 0.0);
    world.serve().await;
    let stranger = world.client(8).await;
    let error = stranger.get("/value").await.expect_err("other keys");
    assert!(matches!(error, RequestError::Security(_)), "{error}");

    let server = "there.example:5683".parse().expect("an endpoint");
    let config = ClientConfig::default();
    let (plain, _, connection) = client::connect(world.here.clone(), server, config);
    tokio::spawn(connection);
    match plain.get("/value").await {
        Err(RequestError::Refused(refusal)) => assert_eq!(refusal.code(), Code::UNAUTHORIZED),
        other => panic!("{other:?}"),
    }
}

//! A CoAP device inside this process: a thermometer, a lamp, a lock, and a place for firmware, over
//! UDP and TCP.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context as _, Result};
use jackfield_coap::codec::{Code, ContentFormat};
use jackfield_coap::server::{Reply, Resource, ServerConfig, Site, serve_tcp, serve_udp};
use jackfield_native::Native;
use jackfield_socket::{
    DatagramSocket as _, ListenOptions, TcpListen as _, TcpListener as _, UdpOpen as _, UdpOptions,
};
use ring::digest::{SHA256, digest};
use tokio::task::JoinHandle;

const ANY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// A running device, until it is dropped.
#[derive(Debug)]
pub struct Device {
    udp: SocketAddr,
    tcp: SocketAddr,
    site: Site,
    state: Arc<Mutex<State>>,
    serving: [JoinHandle<()>; 2],
}

#[derive(Debug)]
struct State {
    temperature: f64,
    light: bool,
    locked: bool,
    firmware: Vec<u8>,
}

impl Device {
    /// Starts one, at free ports of loopback.
    ///
    /// # Errors
    /// Those of listening.
    pub async fn start() -> Result<Self> {
        Self::start_at(ANY).await
    }

    /// Starts one at this address, for datagrams and for connections.
    ///
    /// # Errors
    /// Those of listening.
    pub async fn start_at(at: SocketAddr) -> Result<Self> {
        let socket = Native.open_bound(at, &UdpOptions::default()).await?;
        let udp = socket.local_addr().context("the socket has no address")?;
        let listener = Native.listen(at, &ListenOptions::default()).await?;
        let tcp = listener
            .local_addr()
            .context("the listener has no address")?;
        let state = Arc::new(Mutex::new(State {
            temperature: 19.0,
            light: false,
            locked: true,
            firmware: Vec::new(),
        }));
        let site = resources(&state)?;
        let over_udp = serve_udp(socket, site.clone());
        let over_tcp = serve_tcp(listener, site.clone());
        let serving = [
            tokio::spawn(async move { panic!("the device's socket ended: {}", over_udp.await) }),
            tokio::spawn(async move { panic!("the device's listener ended: {}", over_tcp.await) }),
        ];
        Ok(Self {
            udp,
            tcp,
            site,
            state,
            serving,
        })
    }

    /// Where it takes datagrams.
    pub fn udp(&self) -> SocketAddr {
        self.udp
    }

    /// Where it takes connections.
    pub fn tcp(&self) -> SocketAddr {
        self.tcp
    }

    /// Measures a temperature, in degrees Celsius.
    pub fn measure(&self, temperature: f64) {
        lock(&self.state).temperature = temperature;
        self.site.changed("/temperature");
    }

    /// Whether the lamp is on.
    pub fn light(&self) -> bool {
        lock(&self.state).light
    }

    /// What was uploaded last.
    pub fn firmware(&self) -> Vec<u8> {
        lock(&self.state).firmware.clone()
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        for task in &self.serving {
            task.abort();
        }
    }
}

fn resources(state: &Arc<Mutex<State>>) -> Result<Site> {
    let site = Site::new(ServerConfig::default());
    let read = state.clone();
    let temperature = Resource::new()
        .title("Hall temperature")
        .resource_type("temperature-c")
        .attribute("if", Some("core.s"))
        .observable()
        .get(move |_| {
            let celsius = lock(&read).temperature;
            let pack = format!(r#"[{{"n":"temperature","u":"Cel","v":{celsius:.2}}}]"#);
            Reply::content(pack, ContentFormat::SENML_JSON)
        });
    site.add("/temperature", temperature)?;
    let light = switch(state, &site, "/light", ["on", "off"], |state| {
        &mut state.light
    });
    site.add("/light", light.title("Hall light").resource_type("light"))?;
    let door = switch(state, &site, "/lock", ["locked", "unlocked"], |state| {
        &mut state.locked
    });
    site.add("/lock", door.title("Front door").resource_type("lock"))?;
    let written = state.clone();
    let firmware = Resource::new()
        .title("Firmware")
        .resource_type("firmware")
        .attribute("if", Some("core.p"))
        .put(move |request| {
            let image = request.payload.to_vec();
            let reply = fingerprint(&image);
            lock(&written).firmware = image;
            Reply::changed().with_payload(reply, ContentFormat::TEXT_PLAIN)
        });
    site.add("/firmware", firmware)?;
    let about = Resource::new().title("About").get(|_| {
        Reply::content(
            "A simulated device, by Jackfield.",
            ContentFormat::TEXT_PLAIN,
        )
    });
    site.add("/about", about)?;
    Ok(site)
}

/// Something that is one of two things, which are the words for true and false.
fn switch(
    state: &Arc<Mutex<State>>,
    site: &Site,
    path: &'static str,
    words: [&'static str; 2],
    part: fn(&mut State) -> &mut bool,
) -> Resource {
    let (read, written, changed) = (state.clone(), state.clone(), site.clone());
    Resource::new()
        .attribute("if", Some("core.a"))
        .observable()
        .get(move |_| {
            let [yes, no] = words;
            let word = if *part(&mut lock(&read)) { yes } else { no };
            Reply::content(word, ContentFormat::TEXT_PLAIN)
        })
        .put(move |request| {
            let wanted = words.iter().position(|word| request.text() == Some(word));
            let Some(wanted) = wanted else {
                return Reply::error(Code::BAD_REQUEST, &format!("say {}", words.join(" or ")));
            };
            *part(&mut lock(&written)) = wanted == 0;
            changed.changed(path);
            Reply::changed()
        })
}

/// What the device says of an image that it has.
fn fingerprint(image: &[u8]) -> String {
    let digest = digest(&SHA256, image);
    let mut first = [0; 8];
    first.copy_from_slice(&digest.as_ref()[..8]);
    let first = u64::from_be_bytes(first);
    format!("All {} bytes are there: SHA-256 {first:016x}…", image.len())
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

//! Groups of CoAP servers, asked by multicast; `CoapGroup` in the package's .d.ts describes them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use jackfield_coap::client::{self, Answers, ClientConfig, Multicast};
use jackfield_coap::codec::{Links, Scheme, Target};
use jackfield_coap::core::Response;
use jackfield_socket::{Error, ErrorKind, Host, MulticastOptions};
use js_sys::Array;
use tokio::sync::{Mutex, Notify};
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen_futures::spawn_local;

use super::{Link, Result, options, target, uri, value};
use crate::Network;
use crate::convert::{Options, invalid, set, socket_error};
use crate::running::{self, Running};

/// A group of CoAP servers.
#[derive(Debug)]
#[wasm_bindgen]
pub struct CoapGroup {
    client: Multicast,
    group: SocketAddr,
    /// The path that the address names, for requests that name none.
    target: Target,
    link: Rc<Link>,
    /// Ends with the page's object.
    running: Running,
}

/// What the members of a group answer.
#[derive(Debug)]
#[wasm_bindgen]
pub struct CoapAnswers {
    /// None once cancelled.
    answers: Mutex<Option<Answers>>,
    /// Whether links are asked for: an answer that has none doesn't count.
    are_links: bool,
    /// Whoever waits for an answer needs wait no longer.
    over: Notify,
    link: Rc<Link>,
}

#[wasm_bindgen]
impl Network {
    /// A group of CoAP servers, asked over it.
    ///
    /// # Errors
    /// A `JackfieldError`, for an option that can't be right.
    #[wasm_bindgen(js_name = "coapGroup")]
    pub fn coap_group(&self, url: &str, options: &JsValue) -> Result<CoapGroup> {
        CoapGroup::open(self, url, &Options(options)).map_err(|error| socket_error(&error))
    }
}

#[wasm_bindgen]
impl CoapGroup {
    /// Asks all members, and takes answers for so many milliseconds; links, where there is no method.
    ///
    /// # Errors
    /// A `JackfieldError`, for what can't be sent.
    pub async fn ask(
        &self,
        method: Option<String>,
        path: Option<String>,
        payload: Option<Vec<u8>>,
        window: u32,
        options: JsValue,
    ) -> Result<CoapAnswers> {
        let are_links = method.is_none();
        let method = method.as_deref().unwrap_or("GET");
        let target = target(path, &self.target);
        let request =
            target.and_then(|target| options::request(method, target, payload, &Options(&options)));
        let request = request.map_err(|error| socket_error(&error))?;
        let window = Duration::from_millis(window.into());
        match self.client.ask(self.group, request, window).await {
            Ok(answers) => Ok(CoapAnswers {
                answers: Mutex::new(Some(answers)),
                are_links,
                over: Notify::new(),
                link: self.link.clone(),
            }),
            Err(error) => Err(self.link.error(&error).await),
        }
    }

    /// Ends it.
    pub async fn close(&self) {
        self.client.close().await;
    }
}

running::methods!(CoapGroup);

#[wasm_bindgen]
impl CoapAnswers {
    /// The next answer, or null after the last.
    ///
    /// # Errors
    /// A `JackfieldError`, where the question could not be sent.
    pub async fn next(&self) -> Result<JsValue> {
        let mut answers = self.answers.lock().await;
        let Some(answers) = answers.as_mut() else {
            return Ok(JsValue::NULL);
        };
        loop {
            let next = tokio::select! {
                next = answers.next() => next,
                () = self.over.notified() => return Ok(JsValue::NULL),
            };
            let (from, response) = match next {
                Some(Ok(answer)) => answer,
                Some(Err(error)) => return Err(self.link.error(&error).await),
                None => return Ok(JsValue::NULL),
            };
            let answer = value::response(&response);
            if self.are_links {
                let Some(links) = links(&response) else {
                    continue;
                };
                set(&answer, "links", links);
            }
            set(&answer, "from", format!("coap://{from}"));
            return Ok(answer.into());
        }
    }

    /// Ends it.
    pub async fn cancel(&self) {
        self.over.notify_one();
        self.answers.lock().await.take();
    }
}

impl CoapGroup {
    fn open(network: &Network, url: &str, options: &Options<'_>) -> Result<Self, Error> {
        let uri = uri(url)?;
        let Host::Ip(address) = *uri.endpoint().host() else {
            return Err(unfit("its address is a name"));
        };
        if uri.scheme() != Scheme::Coap || !address.is_multicast() {
            return Err(unfit("it is no multicast address of coap://"));
        }
        let any: IpAddr = match address {
            IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let mut config = ClientConfig::default();
        let mut multicast = MulticastOptions::default();
        let mut local = any;
        if !options.0.is_undefined() {
            if let Some(interface) = options.text("interface")? {
                let interface = interface
                    .parse()
                    .map_err(|_| invalid("interface", "is no IP address"))?;
                multicast.interface = Some(interface);
                local = interface;
            }
            running::reconnect(options, &mut config.connection)?;
        }
        config.connection.udp.multicast = Some(multicast);
        let local = SocketAddr::new(local, 0);
        let (client, events, connection) = client::multicast(network.sockets()?, local, config);
        let running = Running::start(connection, client.statuses(), |_| "protocol");
        let link = Rc::new(Link::new(client.statuses(), None));
        spawn_local(link.clone().follow(events));
        Ok(Self {
            client,
            group: SocketAddr::new(address, uri.endpoint().port()),
            target: uri.target().clone(),
            link,
            running,
        })
    }
}

fn unfit(what: &str) -> Error {
    Error::new(
        ErrorKind::InvalidInput,
        format!("the group can't be asked: {what}"),
    )
}

/// What a member offers, where it says so.
fn links(response: &Response) -> Option<Array> {
    let links = Links::parse(&response.payload).ok();
    let links = links.filter(|_| response.code().is_success())?;
    Some(links.iter().map(value::link).collect())
}

//! What a page may reach: the rules that it is held to, and its functions that are asked.
//!
//! Most pages have no rules. What reads and applies them, `rules`, is therefore in a module of its own, which
//! `lib/entry.js` loads where there are any; here is only what asks it, and it answers at once.

use std::future::Future;
use std::net::SocketAddr;

use jackfield_policy::{Guard, Guarded, Request, Transport};
use jackfield_socket::{AnyNetwork, Endpoint, Error, ErrorKind, Place, Result};
use js_sys::{Array, Function, Promise};
use send_wrapper::SendWrapper;
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast as _, JsValue};
use wasm_bindgen_futures::JsFuture;

use crate::convert::{Options, invalid};
use crate::request::{named, told};

#[wasm_bindgen]
extern "C" {
    /// The rules of the other module. What they refuse, they throw as a text.
    #[derive(Clone, Debug)]
    type Judge;

    #[wasm_bindgen(method, catch)]
    fn reach(this: &Judge, transport: &str, host: &str, port: u16) -> Result<(), JsValue>;
    #[wasm_bindgen(method, catch)]
    fn found(this: &Judge, transport: &str, host: &str, port: u16, at: &str)
    -> Result<(), JsValue>;
    #[wasm_bindgen(method, catch)]
    fn listen(this: &Judge, transport: &str, at: &str) -> Result<Vec<u16>, JsValue>;
    #[wasm_bindgen(method, catch)]
    fn datagram(this: &Judge, to: &str, is_new: bool) -> Result<bool, JsValue>;
}

/// What a network is held to, where it is; without that, everything is left to the browser and the relay.
#[derive(Clone, Debug)]
pub(crate) struct Policies(Option<Held>);

/// One thread runs a page's scripts; the network is told so.
#[derive(Clone, Debug)]
struct Held {
    rules: SendWrapper<Judge>,
    /// Functions of `lib/policy.js`.
    ask: Vec<SendWrapper<Function>>,
}

impl Policies {
    /// What `rules` and `ask` have: `Rules` of the other module, and who is asked besides.
    pub(crate) fn read(options: &Options<'_>) -> Result<Self> {
        let Some(rules) = options.value("rules")? else {
            return Ok(Self(None));
        };
        let ask = options.value("ask")?.map(JsValue::unchecked_into::<Array>);
        let ask = ask.iter().flat_map(Array::iter).map(|ask| {
            let ask = ask.dyn_into::<Function>();
            ask.map(SendWrapper::new)
                .map_err(|_| invalid("ask", "is no function"))
        });
        Ok(Self(Some(Held {
            rules: SendWrapper::new(rules.unchecked_into()),
            ask: ask.collect::<Result<_>>()?,
        })))
    }

    /// Whether there are none.
    #[cfg(feature = "raw")]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// The network, as far as all of them allow it.
    #[cfg(feature = "sockets")]
    pub(crate) fn over(&self, network: AnyNetwork) -> AnyNetwork {
        match &self.0 {
            None => network,
            Some(held) => AnyNetwork::new(Guarded::held_by(network, held.clone())),
        }
    }

    /// The same of a network that has streams alone, so that nothing is downloaded that guards the rest.
    #[cfg(any(feature = "coap", feature = "mqtt"))]
    pub(crate) fn over_streams(&self, network: AnyNetwork) -> AnyNetwork {
        match &self.0 {
            None => network,
            Some(held) => AnyNetwork::default().with_tcp(Guarded::held_by(network, held.clone())),
        }
    }
}

impl Guard for Held {
    fn reach(&self, transport: Transport, to: &Endpoint) -> Result<()> {
        let host = to.host().to_string();
        (self.rules)
            .reach(named(transport), &host, to.port())
            .map_err(|told| denied(&told))
    }

    fn found(&self, transport: Transport, to: &Endpoint, at: SocketAddr) -> Result<()> {
        let (host, at) = (to.host().to_string(), at.to_string());
        (self.rules)
            .found(named(transport), &host, to.port(), &at)
            .map_err(|told| denied(&told))
    }

    fn listen(&self, transport: Transport, at: SocketAddr) -> Result<Vec<SocketAddr>> {
        let ports = self.rules.listen(named(transport), &at.to_string());
        let ports = ports.map_err(|told| denied(&told))?;
        // In the form in which it was judged, with its scope where it has one.
        let place = |port| {
            let mut place = at;
            place.set_ip(at.ip().to_canonical());
            place.set_port(port);
            place
        };
        Ok(ports.into_iter().map(place).collect())
    }

    fn datagram(&self, to: SocketAddr, is_new: bool) -> Result<bool> {
        let told = self.rules.datagram(&to.to_string(), is_new);
        told.map_err(|told| denied(&told))
    }

    fn ask(&self, request: &Request) -> impl Future<Output = Result<()>> + Send {
        SendWrapper::new(async move {
            for ask in &self.ask {
                asked(ask, request).await?;
            }
            Ok(())
        })
    }
}

/// A refusal in the words of the rules. Where these can't be asked, that is none the less.
fn denied(told: &JsValue) -> Error {
    let text = told.as_string();
    let text = text.unwrap_or_else(|| "this application's policy can't be asked".to_owned());
    Error::new(ErrorKind::Denied, text).at(Place::Policy)
}

/// Asks somebody. The question is withdrawn when this is dropped.
async fn asked(ask: &Function, request: &Request) -> Result<()> {
    let no = |why: &str| {
        let mut text = format!("who was asked doesn't allow {request}");
        if !why.is_empty() {
            text.push_str(": ");
            text.push_str(why);
        }
        Err(Error::new(ErrorKind::Denied, text).at(Place::Policy))
    };
    let question = ask.apply(&JsValue::UNDEFINED, &told(request));
    let Some(question) = question.ok().and_then(|it| it.dyn_into::<Array>().ok()) else {
        return no("it can't be asked");
    };
    let mut question = Question(question.get(0), question.get(1).dyn_into().ok());
    let answer = JsFuture::from(Promise::resolve(&question.0)).await;
    question.1 = None;
    match answer.map(|answer| (answer.as_bool(), answer.as_string())) {
        Ok((Some(true), _)) => Ok(()),
        Ok((_, Some(why))) => no(&why),
        _ => no(""),
    }
}

/// The promise of an answer, and what takes the question back.
struct Question(JsValue, Option<Function>);

impl Drop for Question {
    fn drop(&mut self) {
        if let Some(withdraw) = &self.1 {
            // It throws nothing.
            let _ = withdraw.call0(&JsValue::UNDEFINED);
        }
    }
}

//! What a page may reach: the rules that it is held to, and its functions that are asked and told.
//!
//! `lib/policy.js` has checked what a page passed, and wraps its functions: what comes here is a list of
//! policies, of which all must agree.

use std::str::FromStr;

use jackfield_policy::{Answer, Guarded, Policy, Request, Transport};
use jackfield_socket::{AnyNetwork, Error, ErrorKind, Host, Place, Result};
use js_sys::{Array, Function, Promise};
use send_wrapper::SendWrapper;
use wasm_bindgen::{JsCast as _, JsValue};
use wasm_bindgen_futures::JsFuture;

use crate::convert::{Options, invalid};

/// The policies of a network; without any, everything is left to the browser and the relay.
#[derive(Clone, Debug)]
pub(crate) struct Policies(Vec<Given>);

#[derive(Clone, Debug)]
struct Given {
    policy: Policy,
    ask: Option<Hook>,
    report: Option<Hook>,
}

/// A function of `lib/policy.js`. One thread runs a page's scripts; the network is told so.
type Hook = SendWrapper<Function>;

impl Policies {
    /// What `policies` has: a list of `Policy`, of which `sameDomain` is the page's host, and `name` is what
    /// errors call it.
    pub(crate) fn read(options: &Options<'_>) -> Result<Self> {
        let policies = options.value("policies")?;
        let policies = policies.map(JsValue::unchecked_into::<Array>);
        let policies = policies.iter().flat_map(Array::iter);
        policies
            .map(|policy| Given::read(&Options(&policy)))
            .collect::<Result<_>>()
            .map(Self)
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The network, as far as all of them allow it.
    #[cfg(feature = "sockets")]
    pub(crate) fn over(&self, network: AnyNetwork) -> AnyNetwork {
        if self.is_empty() {
            return network;
        }
        AnyNetwork::new(self.guarded(network))
    }

    /// The same of a network that has streams alone, so that nothing is downloaded that guards the rest.
    #[cfg(any(feature = "coap", feature = "mqtt"))]
    pub(crate) fn over_streams(&self, network: AnyNetwork) -> AnyNetwork {
        if self.is_empty() {
            return network;
        }
        AnyNetwork::default().with_tcp(self.guarded(network))
    }

    fn guarded(&self, network: AnyNetwork) -> Guarded<AnyNetwork> {
        let guarded = Guarded::unrestricted(network);
        self.0
            .iter()
            .fold(guarded, |guarded, one| one.over(guarded))
    }
}

impl Given {
    fn read(options: &Options<'_>) -> Result<Self> {
        let name = options.required("name")?;
        let mut policy = match options.text("sameDomain")? {
            Some(host) => Policy::same_domain_as(&host.parse::<Host>()?),
            None => Policy::default(),
        };
        policy.allow.extend(rules(options, &name, "allow")?);
        policy.deny = rules(options, &name, "deny")?;
        policy.listen = rules(options, &name, "listen")?;
        Ok(Self {
            policy,
            ask: hook(options, "ask")?,
            report: hook(options, "report")?,
        })
    }

    /// The network, as far as this allows it too.
    fn over(&self, network: Guarded<AnyNetwork>) -> Guarded<AnyNetwork> {
        let policy = self.policy.clone();
        let network = match self.report.clone() {
            None => network.narrowed(policy),
            Some(report) => network.reporting(policy, move |request, refusal| {
                let told = told(request);
                told.push(&refusal.to_string().into());
                // It throws nothing: the page's own function is called later.
                let _ = report.apply(&JsValue::UNDEFINED, &told);
            }),
        };
        match self.ask.clone() {
            None => network,
            Some(ask) => network.asking(move |request| {
                let ask = ask.clone();
                SendWrapper::new(async move { asked(&ask, &request).await })
            }),
        }
    }
}

fn rules<T: FromStr<Err = String>>(
    options: &Options<'_>,
    policy: &str,
    list: &str,
) -> Result<Vec<T>> {
    let rules = options.texts(list)?;
    let rules = rules.iter().map(|rule| {
        let wrong = |error| format!("{policy}: {list}: {rule:?} is no rule: {error}");
        let parsed = rule.parse();
        parsed.map_err(|error| Error::new(ErrorKind::InvalidInput, wrong(error)))
    });
    rules.collect()
}

fn hook(options: &Options<'_>, name: &str) -> Result<Option<Hook>> {
    let hook = options.value(name)?.map(JsValue::dyn_into::<Function>);
    let hook = hook.transpose();
    let hook = hook.map_err(|_| invalid(name, "is no function"))?;
    Ok(hook.map(SendWrapper::new))
}

/// What somebody who was asked says. The question is withdrawn when this is dropped.
async fn asked(ask: &Function, request: &Request) -> Result<Answer> {
    let no = |why: &str| {
        let text = format!("who was asked doesn't allow {request}: {why}");
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
        Ok((Some(true), _)) => Ok(Answer::Allow),
        Ok((_, Some(why))) => no(&why),
        _ => Ok(Answer::Deny),
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

/// What is asked for: what is to be done, over what, and the host and the port.
fn told(request: &Request) -> Array {
    let (action, transport, host, port) = match request {
        Request::Reach(transport, to) => ("connect", transport, to.host().to_string(), to.port()),
        Request::Listen(transport, at) => {
            let action = if *transport == Transport::Udp {
                "bind"
            } else {
                "listen"
            };
            (action, transport, at.ip().to_string(), at.port())
        }
        // There are no others yet.
        _ => ("", &Transport::Tcp, String::new(), 0),
    };
    let transport = transport.to_string();
    Array::of4(
        &action.into(),
        &transport.into(),
        &host.into(),
        &port.into(),
    )
}

//! The rules that a page is held to, in a module of their own: `policy` has what asks them, in the module of
//! whatever the page opens.
//!
//! `lib/policy.js` has checked what a page passed, and wraps its functions: what comes here is a list of
//! policies, of which all must agree.

use std::fmt::Display;
use std::net::SocketAddr;
use std::str::FromStr;

use jackfield_policy::{Guard as _, Policy, Transport};
use jackfield_socket::{Endpoint, Error, ErrorKind, Host, Result};
use js_sys::{Array, Function};
use send_wrapper::SendWrapper;
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast as _, JsValue};

use crate::convert::{Options, invalid, socket_error};
use crate::request::told;

/// Policies that must all agree. What they refuse is thrown as a text, which says why.
#[derive(Debug)]
#[wasm_bindgen]
pub struct Rules(jackfield_policy::Rules);

type Answer<T> = std::result::Result<T, String>;

#[wasm_bindgen]
impl Rules {
    /// Reads a list of `Policy`, of which `sameDomain` is the page's host, and `name` is what errors call it.
    ///
    /// # Errors
    /// A `JackfieldError`, for a rule that can't be right.
    #[expect(clippy::needless_pass_by_value, reason = "so it comes from JavaScript")]
    pub fn read(policies: Array) -> std::result::Result<Rules, JsValue> {
        let mut rules = jackfield_policy::Rules::default();
        for policy in policies.iter() {
            let narrowed = narrowed(rules, &Options(&policy));
            rules = narrowed.map_err(|error| socket_error(&error))?;
        }
        Ok(Self(rules))
    }

    /// Judges where to connect.
    ///
    /// # Errors
    /// Why it may not be reached.
    pub fn reach(&self, transport: &str, host: &str, port: u16) -> Answer<()> {
        let judged = self
            .0
            .reach(transport_of(transport), &endpoint(host, port)?);
        judged.map_err(text)
    }

    /// Judges the address that was found for a name.
    ///
    /// # Errors
    /// As [`reach`](Self::reach).
    pub fn found(&self, transport: &str, host: &str, port: u16, at: &str) -> Answer<()> {
        let to = endpoint(host, port)?;
        let judged = self.0.found(transport_of(transport), &to, address(at)?);
        judged.map_err(text)
    }

    /// The ports to listen at, or to bind, one after the other.
    ///
    /// # Errors
    /// Why there is none.
    pub fn listen(&self, transport: &str, at: &str) -> Answer<Vec<u16>> {
        let places = self.0.listen(transport_of(transport), address(at)?);
        let places = places.map_err(text)?;
        Ok(places.iter().map(SocketAddr::port).collect())
    }

    /// Judges where a datagram goes; whether that was only reported.
    ///
    /// # Errors
    /// As [`reach`](Self::reach).
    pub fn datagram(&self, to: &str, is_new: bool) -> Answer<bool> {
        self.0.datagram(address(to)?, is_new).map_err(text)
    }
}

fn narrowed(
    rules: jackfield_policy::Rules,
    options: &Options<'_>,
) -> Result<jackfield_policy::Rules> {
    let name = options.required("name")?;
    let mut policy = match options.text("sameDomain")? {
        Some(host) => Policy::same_domain_as(&host.parse::<Host>()?),
        None => Policy::default(),
    };
    policy.allow.extend(listed(options, &name, "allow")?);
    policy.deny = listed(options, &name, "deny")?;
    policy.listen = listed(options, &name, "listen")?;
    let Some(report) = options.value("report")? else {
        return Ok(rules.narrowed(policy));
    };
    let report = report.dyn_into::<Function>();
    let report = report.map_err(|_| invalid("report", "is no function"))?;
    // One thread runs a page's scripts; the rules are told so.
    let report = SendWrapper::new(report);
    Ok(rules.reporting(policy, move |request, refusal| {
        let told = told(request);
        told.push(&refusal.to_string().into());
        // It throws nothing: the page's own function is called later.
        let _ = report.apply(&JsValue::UNDEFINED, &told);
    }))
}

fn listed<T: FromStr<Err = String>>(
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

fn transport_of(name: &str) -> Transport {
    if name == "udp" {
        Transport::Udp
    } else {
        Transport::Tcp
    }
}

/// What the other module has written can be read; were it not so, it would be refused.
fn endpoint(host: &str, port: u16) -> Answer<Endpoint> {
    Ok(Endpoint::new(host.parse::<Host>().map_err(text)?, port))
}

fn address(at: &str) -> Answer<SocketAddr> {
    at.parse().map_err(text)
}

fn text(error: impl Display) -> String {
    error.to_string()
}

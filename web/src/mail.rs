//! What the clients of mail have in common: who logs in, where they connect, what they send, and how messages
//! are read and written.

mod draft;
mod parsed;
mod reader;

use std::error::Error as StdError;

use jackfield_mail::Charsets;
use jackfield_mail::message::ReadOptions;
use jackfield_sasl::Credentials;
use jackfield_socket::{Endpoint, Error, ErrorKind, Result, Url};
use js_sys::{Function, Object, Promise};
use send_wrapper::SendWrapper;
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast as _, JsValue};
use wasm_bindgen_futures::JsFuture;

use crate::convert::{Options, invalid};

pub(crate) use draft::compose;
#[cfg(feature = "imap")]
pub(crate) use parsed::{address, encoding, millis, or_null, parsed, part_of, plan};
pub(crate) use reader::PageReader;

/// Where an address leads, and whether TLS is there from the start.
pub(crate) struct Address {
    pub(crate) server: Endpoint,
    pub(crate) is_tls: bool,
}

impl Address {
    /// Reads an address of these schemes, each with its usual port: with TLS from the start, and with
    /// STARTTLS.
    pub(crate) fn parse(
        url: &str,
        tls: (&str, u16),
        start_tls: (&str, u16),
        server: &str,
    ) -> Result<Self> {
        let url: Url = url.parse()?;
        let unfit = |text: String| Err(Error::new(ErrorKind::InvalidInput, text));
        let (port, is_tls) = match url.scheme() {
            scheme if scheme == tls.0 => (tls.1, true),
            scheme if scheme == start_tls.0 => (start_tls.1, false),
            scheme => {
                return unfit(format!(
                    "{scheme}:// is no address of an {server} server: {} and {} are",
                    tls.0, start_tls.0
                ));
            }
        };
        if !matches!(url.path(), "" | "/") {
            return unfit(format!("the address of an {server} server has no path"));
        }
        Ok(Self {
            server: url.endpoint(port),
            is_tls,
        })
    }
}

/// Who logs in.
#[derive(Debug)]
pub(crate) struct Login {
    /// What proves it; where a function gives the token, something in its place.
    pub(crate) credentials: Credentials,
    token: Option<Function>,
    server: Endpoint,
}

impl Login {
    /// `username`, and `password` or `token`; nothing where all are missing.
    pub(crate) fn read(options: &Options<'_>, server: &Endpoint) -> Result<Option<Self>> {
        let username = options.text("username")?;
        let (password, token) = (options.text("password")?, options.value("token")?);
        let unfit = |error| invalid("username", format_args!("can't log in: {error}"));
        let (credentials, token) = match (username, password, token) {
            (None, None, None) => return Ok(None),
            (Some(username), Some(password), None) => {
                let known = Credentials::password(&username, &password);
                (known.map_err(unfit)?, None)
            }
            (_, Some(_), Some(_)) => {
                return Err(invalid("token", "is given beside a password: one of them"));
            }
            (None, Some(_), None) => return Err(invalid("username", "is missing")),
            (Some(_), None, None) => {
                return Err(invalid("password", "is missing, and so is token"));
            }
            (username, None, Some(token)) => {
                let username = username.unwrap_or_default();
                if let Some(token) = token.as_string() {
                    (bearer(&username, &token, server)?, None)
                } else {
                    let ask = token
                        .dyn_into::<Function>()
                        .map_err(|_| invalid("token", "is neither a string nor a function"))?;
                    // Nobody logs in with this: the function is asked before each attempt.
                    (bearer(&username, "-", server)?, Some(ask))
                }
            }
        };
        Ok(Some(Self {
            credentials,
            token,
            server: server.clone(),
        }))
    }

    /// The page's function that gives a token for an attempt, where there is one.
    pub(crate) fn renewal(
        &self,
    ) -> Option<impl FnMut(u32) -> SendWrapper<Renewing> + Send + 'static + use<>> {
        // One thread runs a page's scripts; the client is told so.
        let ask = SendWrapper::new(self.token.clone()?);
        let username = self.credentials.username().to_owned();
        let server = self.server.clone();
        Some(move |_attempt| {
            let asked = ask.call0(&JsValue::UNDEFINED);
            let (username, server) = (username.clone(), server.clone());
            let renewing: Renewing = Box::pin(async move {
                let token = async { JsFuture::from(Promise::resolve(&asked?)).await };
                let token = token.await.map_err(|error| said(&error))?;
                let token = token
                    .as_string()
                    .ok_or("the token function gave no string")?;
                Ok(bearer(&username, &token, &server)?)
            });
            SendWrapper::new(renewing)
        })
    }
}

type Renewing = std::pin::Pin<
    Box<dyn Future<Output = std::result::Result<Credentials, Box<dyn StdError + Send + Sync>>>>,
>;

fn bearer(username: &str, token: &str, server: &Endpoint) -> Result<Credentials> {
    let unfit = |error| invalid("token", format_args!("can't log in: {error}"));
    let token = Credentials::token(username, token).map_err(unfit)?;
    let host = server.host().to_string();
    token.with_server(&host, server.port()).map_err(unfit)
}

/// What a page's function threw, as text.
fn said(error: &JsValue) -> String {
    match error.dyn_ref::<js_sys::Error>() {
        Some(error) => String::from(error.message()),
        None => error.as_string().unwrap_or_default(),
    }
}

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(extends = Object)]
    type TextDecoder;

    #[wasm_bindgen(constructor, catch)]
    fn new(label: &str) -> std::result::Result<TextDecoder, JsValue>;

    #[wasm_bindgen(method, catch)]
    fn decode(this: &TextDecoder, bytes: &[u8]) -> std::result::Result<String, JsValue>;
}

/// How messages are read in a page: its own `TextDecoder` knows more charsets than are built in.
pub(crate) fn read_options() -> ReadOptions {
    let mut options = ReadOptions::default();
    options.charsets = Charsets::with(|label, bytes| {
        let decoder = TextDecoder::new(label).ok()?;
        decoder.decode(bytes).ok()
    });
    options
}

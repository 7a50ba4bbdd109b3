//! Configurations for mail apps, as Thunderbird and others read them: `config-v1.1.xml`.

use jackfield_socket::{Endpoint, Host};

use super::xml::{Event, Reader};
use super::{
    Auth, Found, How, InvalidAddress, MAX_AUTOCONFIG, OAuth, Security, Server, Trust, Who,
};

/// The database of providers that Thunderbird keeps.
pub const DATABASE: &str = "https://autoconfig.thunderbird.net/v1.1";

/// How long a text may be, in bytes.
const MAX_TEXT: usize = 1000;
/// How many ways to log in a server may have.
const MAX_AUTH: usize = 10;
/// How many scopes a token may have.
const MAX_SCOPES: usize = 20;

/// Where a domain has its own.
pub(super) fn own(who: &Who) -> [String; 2] {
    let Who {
        domain, address, ..
    } = who;
    let mut encoded = String::with_capacity(address.len() + 8);
    for byte in address.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(byte.into());
        } else {
            encoded.push('%');
            for digit in [byte >> 4, byte & 15] {
                let digit = char::from_digit(u32::from(digit), 16).unwrap_or('0');
                encoded.push(digit.to_ascii_uppercase());
            }
        }
    }
    [
        format!("https://autoconfig.{domain}/mail/config-v1.1.xml?emailaddress={encoded}"),
        // Anybody on that host may see it, so it isn't told who asks.
        format!("https://{domain}/.well-known/autoconfig/mail/config-v1.1.xml"),
    ]
}

/// Reads a configuration that somebody else fetched. Its placeholders are filled in for an address; what
/// is no IMAP or submission server, and what is without TLS, is left out. `None` where nothing is left.
///
/// # Errors
/// Where the address is none.
pub fn parse_autoconfig(
    xml: &[u8],
    address: &str,
    url: &str,
    trust: Trust,
) -> Result<Option<Found>, InvalidAddress> {
    let who = Who::parse(address)?;
    Ok(parse(xml, &who, url.to_owned(), trust))
}

pub(super) fn parse(xml: &[u8], who: &Who, url: String, trust: Trust) -> Option<Found> {
    let xml = String::from_utf8_lossy(&xml[..xml.len().min(MAX_AUTOCONFIG)]);
    let mut found = Found {
        how: How::Autoconfig { url },
        trust,
        name: None,
        imap: Vec::new(),
        submission: Vec::new(),
        oauth: None,
    };
    let mut oauth: Option<OAuth> = None;
    let mut reader = Reader::new(&xml);
    // The elements that are open.
    let mut path: Vec<String> = Vec::new();
    let mut draft: Option<Draft> = None;
    while let Some(event) = reader.next() {
        match event {
            Event::Open(name, attributes) => {
                if matches!(&*name, "incomingServer" | "outgoingServer") {
                    let kind = attributes.into_iter().find(|(name, _)| name == "type");
                    let kind = kind.map(|(_, kind)| kind.to_ascii_lowercase());
                    draft = Some(Draft {
                        kind: kind.unwrap_or_default(),
                        ..Draft::default()
                    });
                }
                if name == "oAuth2" {
                    oauth = Some(OAuth {
                        issuer: String::new(),
                        scopes: Vec::new(),
                        authorization_endpoint: String::new(),
                        token_endpoint: String::new(),
                    });
                }
                path.push(name);
            }
            Event::Text(text) => {
                let text = fill(&text, who);
                let element = path.last().map(String::as_str).unwrap_or_default();
                if let Some(draft) = &mut draft {
                    draft.take(element, text);
                } else if let Some(oauth) = &mut oauth {
                    oauth.take(element, text);
                } else if element == "displayName" && found.name.is_none() {
                    found.name = Some(text);
                }
            }
            Event::Close => {
                let name = path.pop().unwrap_or_default();
                if let Some(oauth) = oauth.take_if(|_| name == "oAuth2") {
                    // The first that is whole.
                    found.oauth = found.oauth.or_else(|| oauth.is_whole().then_some(oauth));
                }
                let done = matches!(&*name, "incomingServer" | "outgoingServer");
                if let Some(draft) = draft.take_if(|_| done) {
                    let list = match (&*name, &*draft.kind) {
                        ("incomingServer", "imap") => &mut found.imap,
                        ("outgoingServer", "smtp") => &mut found.submission,
                        _ => continue,
                    };
                    list.extend(draft.server());
                }
            }
        }
    }
    (!found.imap.is_empty() || !found.submission.is_empty()).then_some(found)
}

/// A text with its placeholders filled in. What an address says can't become another placeholder.
fn fill(text: &str, who: &Who) -> String {
    let text = &text[..text.floor_char_boundary(MAX_TEXT)];
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    'rest: while let Some(at) = rest.find('%') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        for (name, value) in [
            ("%EMAILADDRESS%", &who.address),
            ("%EMAILLOCALPART%", &who.local),
            ("%EMAILDOMAIN%", &who.domain),
        ] {
            if let Some(behind) = rest.strip_prefix(name) {
                out.push_str(value);
                rest = behind;
                continue 'rest;
            }
        }
        out.push('%');
        rest = &rest[1..];
    }
    out.push_str(rest);
    out
}

impl OAuth {
    fn take(&mut self, element: &str, text: String) {
        // What is asked of the user, and the tokens, go over TLS or not at all.
        let is_secure = text.starts_with("https://") && !text.contains(char::is_whitespace);
        match element {
            "issuer" => self.issuer = text,
            "scope" => {
                let scopes = text.split_ascii_whitespace().take(MAX_SCOPES);
                self.scopes = scopes.map(str::to_owned).collect();
            }
            "authURL" if is_secure => self.authorization_endpoint = text,
            "tokenURL" if is_secure => self.token_endpoint = text,
            _ => {}
        }
    }

    fn is_whole(&self) -> bool {
        let needed = [
            &self.issuer,
            &self.authorization_endpoint,
            &self.token_endpoint,
        ];
        needed.iter().all(|text| !text.is_empty())
    }
}

/// A server of which not all is known yet.
#[derive(Default)]
struct Draft {
    kind: String,
    host: Option<Host>,
    port: Option<u16>,
    security: Option<Security>,
    user: Option<String>,
    auth: Vec<Auth>,
}

impl Draft {
    fn take(&mut self, element: &str, text: String) {
        match element {
            "hostname" => self.host = text.parse().ok(),
            "port" => self.port = text.parse().ok().filter(|port| *port > 0),
            "socketType" => {
                self.security = match &*text.to_ascii_uppercase() {
                    "SSL" | "TLS" => Some(Security::Tls),
                    "STARTTLS" => Some(Security::StartTls),
                    _ => None,
                }
            }
            "username" if !text.contains(char::is_control) => self.user = Some(text),
            "authentication" if self.auth.len() < MAX_AUTH => {
                self.auth.push(match &*text.to_ascii_lowercase() {
                    "password-cleartext" | "plain" => Auth::Password,
                    "password-encrypted" | "secure" => Auth::EncryptedPassword,
                    "oauth2" => Auth::OAuth,
                    _ => Auth::Unknown(text),
                });
            }
            _ => {}
        }
    }

    fn server(self) -> Option<Server> {
        Some(Server {
            endpoint: Endpoint::new(self.host?, self.port?),
            security: self.security?,
            user: self.user,
            auth: self.auth,
        })
    }
}

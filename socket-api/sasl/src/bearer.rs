//! Bearer tokens: OAUTHBEARER (RFC 7628) and XOAUTH2, and the JSON with which a server refuses one.

use zeroize::Zeroizing;

use crate::error::{Refusal, shown};
use crate::scram::push_escaped;

/// OAUTHBEARER's only message (RFC 7628, section 3.1).
pub(crate) fn oauthbearer(
    authzid: &str,
    token: &str,
    server: Option<&(String, u16)>,
) -> Zeroizing<Vec<u8>> {
    let mut head = "n,".to_owned();
    if !authzid.is_empty() {
        head.push_str("a=");
        push_escaped(&mut head, authzid);
    }
    head.push_str(",\x01");
    if let Some((host, port)) = server {
        head.push_str("host=");
        head.push_str(host);
        head.push_str("\x01port=");
        head.push_str(&port.to_string());
        head.push('\x01');
    }
    message(&head, token)
}

/// XOAUTH2's only message.
pub(crate) fn xoauth2(username: &str, token: &str) -> Zeroizing<Vec<u8>> {
    message(&["user=", username, "\x01"].concat(), token)
}

fn message(head: &str, token: &str) -> Zeroizing<Vec<u8>> {
    let parts = [head, "auth=Bearer ", token, "\x01\x01"];
    Zeroizing::new(parts.concat().into_bytes())
}

/// Why a server refuses a token (RFC 7628, section 3.2.2). Where it is no JSON object with a status,
/// the status is all of it.
pub(crate) fn refusal(challenge: &[u8]) -> Refusal {
    let text = String::from_utf8_lossy(challenge);
    let mut refusal = Refusal::new("");
    let mut reader = Reader(text.trim());
    if reader.eat('{') {
        while let Some(name) = reader.string() {
            if !reader.eat(':') {
                break;
            }
            let Some(value) = reader.value() else { break };
            match name.as_str() {
                "status" => refusal.status = shown(&value),
                "scope" => refusal.scope = Some(shown(&value)),
                "openid-configuration" => refusal.openid_configuration = Some(shown(&value)),
                _ => {}
            }
            if !reader.eat(',') {
                break;
            }
        }
    }
    if refusal.status.is_empty() {
        refusal.status = shown(&text);
    }
    refusal
}

/// As much of JSON as an object of strings and numbers takes. What is nested ends the reading.
struct Reader<'a>(&'a str);

impl Reader<'_> {
    fn eat(&mut self, wanted: char) -> bool {
        match self.0.trim_start().strip_prefix(wanted) {
            Some(rest) => {
                self.0 = rest;
                true
            }
            None => false,
        }
    }

    /// A string, or anything else up to the next comma.
    fn value(&mut self) -> Option<String> {
        let rest = self.0.trim_start();
        if rest.starts_with('"') {
            return self.string();
        }
        let end = rest.find([',', '}']).unwrap_or(rest.len());
        let (value, rest) = rest.split_at(end);
        self.0 = rest;
        (!value.contains(['{', '[', '"'])).then(|| value.trim_end().to_owned())
    }

    fn string(&mut self) -> Option<String> {
        if !self.eat('"') {
            return None;
        }
        let mut found = String::new();
        let mut chars = self.0.chars();
        loop {
            match chars.next()? {
                '"' => break,
                '\\' => match chars.next()? {
                    'u' => {
                        let rest = chars.as_str();
                        let code = u32::from_str_radix(rest.get(..4)?, 16).ok()?;
                        chars = rest.get(4..)?.chars();
                        // Halves of pairs are not put together: nothing here is made of them.
                        found.push(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
                    }
                    'n' | 'r' | 't' | 'b' | 'f' => found.push(' '),
                    other => found.push(other),
                },
                other => found.push(other),
            }
        }
        self.0 = chars.as_str();
        Some(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_read_as_far_as_they_can_be() {
        for (json, status, scope) in [
            (
                r#"{"status":"400","schemes":"Bearer","scope":"https://mail.google.com/"}"#,
                "400",
                Some("https://mail.google.com/"),
            ),
            (
                r#" { "scope" : "a\"b\u0041" , "status" : 401 } "#,
                "401",
                Some("a\"bA"),
            ),
            (r#"{"status":"a\r\nb\u0007\ud800"}"#, "a  b\u{fffd}", None),
            (
                r#"{"x":{"status":"no"},"status":"yes"}"#,
                r#"{"x":{"status":"no"},"status":"yes"}"#,
                None,
            ),
            (r#"{"status":"cut"#, r#"{"status":"cut"#, None),
            (r#"{"status":"\u00"#, r#"{"status":"\u00"#, None),
            ("{}", "{}", None),
            ("go away\r\n", "go away", None),
            ("", "", None),
        ] {
            let found = refusal(json.as_bytes());
            assert_eq!(found.status, status, "{json}");
            assert_eq!(found.scope.as_deref(), scope, "{json}");
        }
        let long = refusal(&[b'x'; 4000]);
        assert_eq!(long.status.len(), 500);
    }
}

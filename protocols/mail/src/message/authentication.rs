//! What the receiving server found out about a message (Authentication-Results, RFC 8601).

use super::words;
use crate::Charsets;

/// How many results are read.
const MAX_RESULTS: usize = 100;

/// What a server that is trusted says of where a message comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Authentication {
    /// Each method that it tried, and what came of it.
    pub results: Vec<MethodResult>,
}

/// What came of one method.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MethodResult {
    /// The method, in lower case: `spf`, `dkim`, `dmarc`, `arc`.
    pub method: String,
    /// What came of it.
    pub verdict: Verdict,
    /// What it is about: `header.d`, `header.from`, `smtp.mailfrom`, with their values.
    pub properties: Vec<(String, String)>,
}

/// What came of a method (RFC 8601, section 2.7).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// It holds.
    Pass,
    /// It does not.
    Fail,
    /// It probably does not.
    SoftFail,
    /// The sender makes no statement.
    Neutral,
    /// There is nothing to be checked.
    None,
    /// It could not be checked now.
    TempError,
    /// It can't be checked.
    PermError,
    /// Something else, in lower case.
    Unknown(String),
}

impl Authentication {
    /// Whether DMARC holds for a domain: the domain of From is who sent it.
    pub fn is_dmarc_pass(&self, domain: &str) -> bool {
        let is = |result: &&MethodResult| {
            result.method == "dmarc"
                && result.verdict == Verdict::Pass
                && result
                    .property("header.from")
                    .is_some_and(|from| from.eq_ignore_ascii_case(domain))
        };
        self.results.iter().any(|result| is(&result))
    }

    /// The domains whose DKIM signatures hold.
    pub fn signed_by(&self) -> impl Iterator<Item = &str> {
        let valid =
            |result: &&MethodResult| result.method == "dkim" && result.verdict == Verdict::Pass;
        let results = self.results.iter().filter(valid);
        results.filter_map(|result| {
            let domain = result.property("header.d");
            domain.or_else(|| result.property("header.i")?.rsplit('@').next())
        })
    }

    /// What the fields say that this server added. `fields` are all of the header, by name and value, from
    /// the top.
    ///
    /// A server adds its fields above those that the message came with, and takes out those that a sender
    /// added in its name (section 5). A sender's would stand below the server's own `Received`, so that what
    /// stands below the first `Received` that follows the first field is not looked at.
    pub(super) fn of<'a>(
        fields: impl Iterator<Item = (&'a [u8], &'a [u8])>,
        server: &str,
    ) -> Option<Self> {
        let mut found: Option<Self> = None;
        for (name, value) in fields {
            if name.eq_ignore_ascii_case(b"received") && found.is_some() {
                break;
            }
            if !name.eq_ignore_ascii_case(b"authentication-results") {
                continue;
            }
            let value = words::decode(value, &Charsets::built_in(), None);
            let mut statements = statements(&value).into_iter();
            let head = statements.next().unwrap_or_default();
            let id = head.first().map(String::as_str).unwrap_or_default();
            if server.is_empty() || !id.eq_ignore_ascii_case(server) {
                continue;
            }
            let results = &mut found.get_or_insert_default().results;
            let left = MAX_RESULTS.saturating_sub(results.len());
            results.extend(statements.filter_map(|words| result(&words)).take(left));
        }
        found
    }
}

impl MethodResult {
    /// A property's value.
    pub fn property(&self, name: &str) -> Option<&str> {
        let found = self.properties.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }
}

fn result(words: &[String]) -> Option<MethodResult> {
    let (method, verdict) = words.first()?.split_once('=')?;
    let method = method.split('/').next().unwrap_or_default();
    let properties = words[1..].iter().filter_map(|word| {
        let (name, value) = word.split_once('=')?;
        Some((name.to_ascii_lowercase(), value.to_owned()))
    });
    Some(MethodResult {
        method: method.to_ascii_lowercase(),
        verdict: match verdict.to_ascii_lowercase() {
            verdict if verdict == "pass" => Verdict::Pass,
            verdict if verdict == "fail" || verdict == "hardfail" => Verdict::Fail,
            verdict if verdict == "softfail" => Verdict::SoftFail,
            verdict if verdict == "neutral" => Verdict::Neutral,
            verdict if verdict == "none" => Verdict::None,
            verdict if verdict == "temperror" => Verdict::TempError,
            verdict if verdict == "permerror" => Verdict::PermError,
            verdict => Verdict::Unknown(verdict),
        },
        properties: properties.take(MAX_RESULTS).collect(),
    })
}

/// Words between semicolons: without comments, and with quoted texts as parts of words.
fn statements(value: &str) -> Vec<Vec<String>> {
    let mut all = vec![Vec::new()];
    let mut word = String::new();
    let (mut depth, mut is_quoted, mut is_escaped) = (0u32, false, false);
    let mut joins = false;
    for c in value.chars().chain([';']) {
        let is_blank = c.is_whitespace() && !is_quoted;
        if is_escaped {
            is_escaped = false;
            if depth == 0 {
                word.push(c);
            }
            continue;
        }
        match c {
            '\\' if is_quoted || depth > 0 => is_escaped = true,
            '"' if depth == 0 => is_quoted = !is_quoted,
            '(' if !is_quoted => depth += 1,
            ')' if !is_quoted && depth > 0 => depth -= 1,
            _ if depth > 0 => {}
            // `dkim = pass` is one word.
            '=' if !is_quoted && word.is_empty() => {
                if let Some(before) = all.last_mut().and_then(Vec::pop) {
                    word = before;
                }
                word.push('=');
                joins = true;
            }
            _ if is_blank || c == ';' && !is_quoted => {
                if !(word.is_empty() || joins && word.ends_with('=') && is_blank) {
                    if let Some(statement) = all.last_mut() {
                        statement.push(std::mem::take(&mut word));
                    }
                    joins = false;
                }
                if c == ';' {
                    word.clear();
                    all.push(Vec::new());
                }
            }
            c => {
                joins |= c == '=';
                word.push(c);
            }
        }
    }
    all.retain(|words| !words.is_empty());
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(fields: &[(&str, &str)], server: &str) -> Option<Authentication> {
        let fields = fields
            .iter()
            .map(|(name, value)| (name.as_bytes(), value.as_bytes()));
        Authentication::of(fields, server)
    }

    const RESULTS: &str = "Authentication-Results";

    #[test]
    fn what_a_server_says() {
        let said = " mx.example.org 1;\r\n dkim=pass (2048-bit; a \"key) header.i=@example.com header.s=s1;\r\n \
                    spf = softfail smtp.mailfrom=\"a b\"@example.com;\r\n \
                    dmarc=pass (p=NONE) header.from=Example.com; x-new/1=odd";
        let found = of(&[(RESULTS, said)], "MX.example.org").expect("it is trusted");
        let methods: Vec<_> = found.results.iter().map(|result| &*result.method).collect();
        assert_eq!(methods, ["dkim", "spf", "dmarc", "x-new"]);
        assert_eq!(found.results[1].verdict, Verdict::SoftFail);
        assert_eq!(
            found.results[1].property("smtp.mailfrom"),
            Some("a b@example.com")
        );
        assert_eq!(found.results[3].verdict, Verdict::Unknown("odd".into()));
        assert_eq!(found.signed_by().collect::<Vec<_>>(), ["example.com"]);
        assert!(found.is_dmarc_pass("example.com"));
        assert!(!found.is_dmarc_pass("example.org"));
    }

    #[test]
    fn nobody_else_is_believed() {
        let forged = (
            RESULTS,
            "mx.example.org; dmarc=pass header.from=bank.example",
        );
        let own = (
            RESULTS,
            "mx.example.org; dmarc=fail header.from=bank.example",
        );
        let other = (
            RESULTS,
            "mx.evil.example; dmarc=pass header.from=bank.example",
        );
        let received = ("Received", "from evil.example by mx.example.org");

        assert_eq!(of(&[other, received], "mx.example.org"), None);
        assert_eq!(of(&[forged], "example.org"), None);
        let found = of(&[own, received, forged], "mx.example.org").expect("the server's");
        assert!(!found.is_dmarc_pass("bank.example"));
        assert_eq!(found.results.len(), 1);
    }

    #[test]
    fn nothing_is_nothing() {
        let found = of(&[(RESULTS, "mx.example.org; none")], "mx.example.org");
        assert_eq!(found, Some(Authentication::default()));
        assert_eq!(of(&[(RESULTS, "")], "mx.example.org"), None);
        assert_eq!(of(&[(RESULTS, "")], ""), None);
    }

    #[test]
    fn there_are_only_so_many() {
        let said = format!("mx;{}", "a=b c.d=e;".repeat(10_000));
        let found = of(&[(RESULTS, &said)], "mx").expect("it is trusted");
        assert_eq!(found.results.len(), MAX_RESULTS);
    }
}

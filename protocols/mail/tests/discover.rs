//! Finding servers: what each way finds, how far it is believed, and what harm it can do.

use std::collections::BTreeMap;
use std::io;
use std::sync::Mutex;
use std::time::Duration;

use jackfield_mail::discover::{
    Answer, Auth, Fetch, Finder, How, InvalidAddress, Mx, NoFetch, NoResolver, Resolve, Security,
    Srv, Trust, guess, parse_autoconfig, probe,
};
use jackfield_socket::{ErrorKind, ListenOptions, TcpListen, TcpListener};
use tokio::io::AsyncWriteExt;

const OWN: &str =
    "https://autoconfig.example.org/mail/config-v1.1.xml?emailaddress=ada%2Bx%40example.org";
const WELL_KNOWN: &str = "https://example.org/.well-known/autoconfig/mail/config-v1.1.xml";
const DATABASE: &str = "https://autoconfig.thunderbird.net/v1.1/example.org";
const ADDRESS: &str = "ada+x@Example.org";

const XML: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<clientConfig version="1.1">
  <emailProvider id="example.org">
    <domain>example.org</domain>
    <displayName>Mail &amp; more</displayName>
    <incomingServer type="pop3">
      <hostname>pop.example.net</hostname><port>995</port><socketType>SSL</socketType>
    </incomingServer>
    <incomingServer type="imap">
      <hostname>imap.%EMAILDOMAIN%</hostname>
      <port>993</port>
      <socketType>SSL</socketType>
      <username>%EMAILLOCALPART%</username>
      <authentication>OAuth2</authentication>
      <authentication>password-cleartext</authentication>
      <authentication>GSSAPI</authentication>
    </incomingServer>
    <incomingServer type="imap">
      <hostname>plain.example.net</hostname><port>143</port><socketType>plain</socketType>
    </incomingServer>
    <outgoingServer type="smtp">
      <hostname>smtp.example.net</hostname>
      <port>587</port>
      <socketType>STARTTLS</socketType>
      <username>%EMAILADDRESS%</username>
    </outgoingServer>
  </emailProvider>
  <oAuth2>
    <issuer>login.example.org</issuer>
    <scope>imap smtp  offline</scope>
    <authURL>http://login.example.org/auth</authURL>
    <tokenURL>https://login.example.org/token</tokenURL>
  </oAuth2>
  <oAuth2>
    <issuer>login.example.org</issuer>
    <scope>imap smtp  offline</scope>
    <authURL>https://login.example.org/auth</authURL>
    <tokenURL>https://login.example.org/token</tokenURL>
  </oAuth2>
</clientConfig>"#;

/// Answers by a table, and notes what it was asked.
#[derive(Default)]
struct Web {
    pages: BTreeMap<&'static str, &'static str>,
    asked: Mutex<Vec<String>>,
}

impl Web {
    fn of(pages: impl IntoIterator<Item = (&'static str, &'static str)>) -> Self {
        Self {
            pages: pages.into_iter().collect(),
            asked: Mutex::default(),
        }
    }
}

impl Fetch for &Web {
    async fn get(&self, url: &str, max: usize) -> io::Result<Option<Vec<u8>>> {
        self.asked
            .lock()
            .expect("nobody panicked")
            .push(url.to_owned());
        match self.pages.get(url) {
            Some(&"fails") => Err(io::Error::other("no route")),
            page => Ok(page.map(|page| page.as_bytes()[..page.len().min(max)].to_vec())),
        }
    }
}

#[derive(Default)]
struct Dns {
    srv: BTreeMap<&'static str, Answer<Srv>>,
    mx: Answer<Mx>,
    fails: bool,
}

impl Resolve for Dns {
    async fn srv(&self, name: &str) -> io::Result<Answer<Srv>> {
        if self.fails {
            return Err(io::Error::other("no resolver"));
        }
        Ok(self.srv.get(name).cloned().unwrap_or_default())
    }

    async fn mx(&self, _: &str) -> io::Result<Answer<Mx>> {
        if self.fails {
            return Err(io::Error::other("no resolver"));
        }
        Ok(self.mx.clone())
    }
}

fn srv(priority: u16, weight: u16, port: u16, target: &str) -> Srv {
    let target = target.to_owned();
    Srv {
        priority,
        weight,
        port,
        target,
    }
}

#[tokio::test]
async fn a_service_that_is_known_is_not_asked_for() {
    let web = Web::default();
    let search = Finder::new(&web, NoResolver)
        .find("ada@gmail.com")
        .await
        .expect("an address");
    assert_eq!(search.found.how, How::WellKnown { name: "gmail" });
    assert_eq!(search.found.trust, Trust::Domain);
    assert_eq!(search.found.imap[0].auth, [Auth::OAuth, Auth::Password]);
    assert!(web.asked.lock().expect("nobody panicked").is_empty());
}

#[tokio::test]
async fn a_domain_says_what_it_has() {
    let web = Web::of([(OWN, XML)]);
    let search = Finder::new(&web, NoResolver)
        .find(ADDRESS)
        .await
        .expect("an address");
    let found = search.found;
    assert_eq!(found.how, How::Autoconfig { url: OWN.into() });
    assert_eq!(found.trust, Trust::Domain);
    assert_eq!(found.name.as_deref(), Some("Mail & more"));
    // Neither POP nor plaintext.
    let [imap] = &found.imap[..] else {
        panic!("{found:?}");
    };
    assert_eq!(
        imap.endpoint,
        "imap.example.org:993".parse().expect("an endpoint")
    );
    assert_eq!(imap.security, Security::Tls);
    assert_eq!(imap.user.as_deref(), Some("ada+x"));
    assert_eq!(
        imap.auth,
        [Auth::OAuth, Auth::Password, Auth::Unknown("GSSAPI".into())]
    );
    assert_eq!(found.submission[0].security, Security::StartTls);
    assert_eq!(
        found.submission[0].user.as_deref(),
        Some("ada+x@example.org")
    );
    // Not the one whose user would be asked without TLS.
    let oauth = found.oauth.as_ref().expect("OAuth");
    assert_eq!(oauth.issuer, "login.example.org");
    assert_eq!(oauth.scopes, ["imap", "smtp", "offline"]);
    assert_eq!(
        oauth.authorization_endpoint,
        "https://login.example.org/auth"
    );
    assert_eq!(oauth.token_endpoint, "https://login.example.org/token");
}

#[tokio::test]
async fn the_domain_counts_before_the_database() {
    for (pages, how, trust) in [
        (
            vec![(OWN, XML), (WELL_KNOWN, XML), (DATABASE, XML)],
            OWN,
            Trust::Domain,
        ),
        (
            vec![(OWN, "<html>sorry</html>"), (WELL_KNOWN, XML)],
            WELL_KNOWN,
            Trust::Domain,
        ),
        (
            vec![(OWN, "fails"), (DATABASE, XML)],
            DATABASE,
            Trust::ThirdParty,
        ),
    ] {
        let web = Web::of(pages);
        let search = Finder::new(&web, NoResolver)
            .find(ADDRESS)
            .await
            .expect("an address");
        assert_eq!(search.found.how, How::Autoconfig { url: how.into() });
        assert_eq!(search.found.trust, trust);
        assert!(!trust.must_be_confirmed());
    }
}

#[tokio::test]
async fn only_the_domains_own_host_is_told_who_asks() {
    let web = Web::default();
    Finder::new(&web, NoResolver)
        .find(ADDRESS)
        .await
        .expect("an address");
    let asked = web.asked.lock().expect("nobody panicked").clone();
    assert_eq!(asked.len(), 3);
    assert!(asked.iter().all(|url| url.starts_with("https://")));
    let telling: Vec<_> = asked.iter().filter(|url| url.contains("ada")).collect();
    assert_eq!(telling, [OWN]);

    let web = Web::default();
    let mut finder = Finder::new(&web, NoResolver);
    finder.database = None;
    finder.find(ADDRESS).await.expect("an address");
    assert_eq!(web.asked.lock().expect("nobody panicked").len(), 2);
}

#[tokio::test]
async fn what_could_not_be_asked_is_told() {
    let web = Web::of([(OWN, "fails"), (DATABASE, "fails")]);
    let dns = Dns {
        fails: true,
        ..Dns::default()
    };
    let search = Finder::new(&web, dns)
        .find(ADDRESS)
        .await
        .expect("an address");
    assert_eq!(search.found.how, How::Guess);
    let steps: Vec<_> = search.failures.iter().map(|(step, _)| &**step).collect();
    assert_eq!(
        steps,
        [
            OWN,
            DATABASE,
            "the service _imaps._tcp.example.org",
            "the service _imap._tcp.example.org",
            "the service _submissions._tcp.example.org",
            "the service _submission._tcp.example.org",
            "where mail of example.org goes",
        ]
    );
}

#[tokio::test]
async fn services_are_asked_in_their_order() {
    let mut dns = Dns::default();
    dns.srv.insert(
        "_imaps._tcp.example.org",
        Answer::new(vec![
            srv(20, 0, 993, "c.example.org."),
            srv(10, 1, 993, "b.example.org"),
            srv(10, 9, 1993, "a.example.org"),
            srv(0, 0, 0, "none.example.org"),
            srv(0, 0, 993, "not a host"),
        ]),
    );
    dns.srv.insert(
        "_imap._tcp.example.org",
        Answer::new(vec![srv(0, 0, 143, "a.example.org")]),
    );
    dns.srv.insert(
        "_submissions._tcp.example.org",
        Answer::new(vec![srv(0, 0, 0, ".")]),
    );
    dns.srv.insert(
        "_submission._tcp.example.org",
        Answer::new(vec![srv(0, 0, 587, "example.org")]),
    );
    let found = Finder::new(NoFetch, dns)
        .find(ADDRESS)
        .await
        .expect("an address")
        .found;
    assert_eq!(
        found.how,
        How::Srv {
            domain: "example.org".into()
        }
    );
    let imap: Vec<_> = found
        .imap
        .iter()
        .map(|server| server.endpoint.to_string())
        .collect();
    assert_eq!(
        imap,
        [
            "a.example.org:1993",
            "b.example.org:993",
            "c.example.org:993",
            "a.example.org:143"
        ]
    );
    assert_eq!(found.imap[3].security, Security::StartTls);
    assert_eq!(found.submission[0].endpoint.to_string(), "example.org:587");
    assert_eq!(found.trust, Trust::SameDomain);
}

#[tokio::test]
async fn dns_is_not_believed_when_it_leads_elsewhere() {
    for (target, is_dnssec, trust) in [
        ("mail.example.org", false, Trust::SameDomain),
        ("mail.evil.example", false, Trust::Unconfirmed),
        ("evilexample.org", false, Trust::Unconfirmed),
        ("mail.evil.example", true, Trust::Domain),
    ] {
        let answer = |port| {
            let records = vec![srv(0, 0, port, target)];
            if is_dnssec {
                Answer::verified(records)
            } else {
                Answer::new(records)
            }
        };
        let mut dns = Dns::default();
        dns.srv.insert("_imaps._tcp.example.org", answer(993));
        dns.srv.insert("_submissions._tcp.example.org", answer(465));
        let found = Finder::new(NoFetch, dns)
            .find(ADDRESS)
            .await
            .expect("an address")
            .found;
        assert_eq!(found.trust, trust, "{target}");
        assert_eq!(trust.must_be_confirmed(), trust == Trust::Unconfirmed);
    }
}

#[tokio::test]
async fn who_carries_a_domains_mail_is_recognised() {
    let mut dns = Dns::default();
    let mx = |preference, exchange: &str| Mx {
        preference,
        exchange: exchange.into(),
    };
    dns.mx = Answer::new(vec![
        mx(20, "mx.other.example"),
        mx(10, "ASPMX.L.google.com."),
    ]);
    let found = Finder::new(NoFetch, dns)
        .find(ADDRESS)
        .await
        .expect("an address")
        .found;
    let host = "aspmx.l.google.com".to_owned();
    assert_eq!(
        found.how,
        How::Mx {
            host,
            name: "gmail"
        }
    );
    assert_eq!(found.imap[0].user.as_deref(), Some("ada+x@example.org"));
    assert!(found.trust.must_be_confirmed());
}

#[tokio::test]
async fn what_is_no_address_is_refused() {
    for address in [
        "",
        "ada",
        "@example.org",
        "ada@",
        "ada@192.0.2.1.",
        "ada@[192.0.2.1]",
        "ada@example.org/../evil",
        "ada@example.org:80",
        "ada@gr\u{fc}n.example",
        "ada\r\n@example.org",
    ] {
        let found = Finder::new(NoFetch, NoResolver).find(address).await;
        assert!(matches!(found, Err(InvalidAddress)), "{address:?}");
    }
}

#[test]
fn a_configuration_does_no_harm() {
    let read = |xml: &str, address: &str| {
        parse_autoconfig(xml.as_bytes(), address, "https://x", Trust::Domain).expect("an address")
    };
    let server =
        |inner: &str| format!("<a><incomingServer type='imap'>{inner}</incomingServer></a>");
    for inner in [
        "<hostname>a b</hostname><port>993</port><socketType>SSL</socketType>",
        "<hostname>evil.example/x</hostname><port>993</port><socketType>SSL</socketType>",
        "<hostname>a.example</hostname><port>0</port><socketType>SSL</socketType>",
        "<hostname>a.example</hostname><port>70000</port><socketType>SSL</socketType>",
        "<hostname>a.example</hostname><port>993</port>",
        "<port>993</port><socketType>SSL</socketType>",
        "",
    ] {
        assert_eq!(read(&server(inner), "ada@example.org"), None, "{inner}");
    }
    // What an address says is no placeholder.
    let inner = "<hostname>a.example</hostname><port>993</port><socketType>SSL</socketType>\
                 <username>%EMAILLOCALPART%</username>";
    let found = read(&server(inner), "%EMAILDOMAIN%@example.org").expect("a server");
    assert_eq!(found.imap[0].user.as_deref(), Some("%EMAILDOMAIN%"));
    // Without end.
    assert_eq!(read(&"<a>".repeat(1_000_000), "ada@example.org"), None);
    let many = server(inner).repeat(100_000);
    assert!(read(&many, "ada@example.org").expect("servers").imap.len() < 2000);
}

#[test]
fn guesses_are_in_the_domain() {
    let found = guess("ada@example.org").expect("an address");
    let hosts: Vec<_> = found
        .imap
        .iter()
        .map(|server| server.endpoint.to_string())
        .collect();
    assert_eq!(
        hosts,
        [
            "imap.example.org:993",
            "mail.example.org:993",
            "example.org:993",
            "imap.example.org:143",
            "mail.example.org:143",
            "example.org:143"
        ]
    );
    assert_eq!(
        found.submission[0].endpoint.to_string(),
        "smtp.example.org:465"
    );
    assert_eq!(found.trust, Trust::SameDomain);
}

#[tokio::test(start_paused = true)]
async fn a_guess_is_tried_before_it_is_taken() {
    let simulated = jackfield_sim::Network::new(7);
    let here = simulated.host("here.example", ["192.0.2.1".parse().expect("an address")]);
    let serve = async |name: &str, ip: &str, greeting: &'static str| {
        let host = simulated.host(name, [ip.parse().expect("an address")]);
        let at = format!("{ip}:993").parse().expect("an address");
        let mut listener = host
            .listen(at, &ListenOptions::default())
            .await
            .expect("it listens");
        tokio::spawn(async move {
            while let Ok(mut stream) = listener.accept().await {
                stream
                    .write_all(greeting.as_bytes())
                    .await
                    .expect("it is taken");
                // It stays, whether it says something or not.
                tokio::spawn(async move {
                    std::future::pending::<()>().await;
                    drop(stream);
                });
            }
        });
    };
    let found = guess("ada@example.org").expect("an address");
    let within = Duration::from_secs(5);

    let none = probe(&here, Security::Tls, &found.imap, within)
        .await
        .expect_err("nobody");
    assert_eq!(none.kind(), ErrorKind::HostNotFound);
    let none = probe(&here, Security::Tls, &[], within)
        .await
        .expect_err("nothing to try");
    assert_eq!(none.kind(), ErrorKind::HostNotFound);

    // It listens and says nothing, or something else.
    serve("imap.example.org", "192.0.2.2", "").await;
    serve("mail.example.org", "192.0.2.3", "HTTP/1.1 400\r\n").await;
    let none = probe(&here, Security::Tls, &found.imap, within)
        .await
        .expect_err("nobody");
    assert_eq!(none.kind(), ErrorKind::TimedOut);
    assert!(none.to_string().contains("imap.example.org:993"), "{none}");

    serve("example.org", "192.0.2.4", "* OK ready\r\n").await;
    let server = probe(&here, Security::Tls, &found.imap, within)
        .await
        .expect("it is there");
    assert_eq!(server.endpoint.to_string(), "example.org:993");
}

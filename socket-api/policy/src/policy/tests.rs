//! Rules, addresses and names, and what is decided of them.

use super::*;

fn policy(allow: &[&str], deny: &[&str]) -> Policy {
    let rules = |rules: &[&str]| {
        rules
            .iter()
            .map(|rule| rule.parse().expect(rule))
            .collect::<Vec<Rule>>()
    };
    Policy {
        allow: rules(allow),
        deny: rules(deny),
        ..Policy::default()
    }
}

/// What is known of a machine that doesn't exist.
#[derive(Default)]
struct Machine {
    local: Vec<IpAddr>,
    relay: Vec<SocketAddr>,
    /// The addresses of denied names; those that aren't there have none.
    names: Vec<(&'static str, Option<IpAddr>)>,
}

impl Facts for Machine {
    fn is_local(&self, address: IpAddr) -> bool {
        self.local.contains(&address)
    }

    fn is_relay(&self, transport: Transport, address: SocketAddr) -> bool {
        transport == Transport::Tcp && self.relay.contains(&address)
    }

    fn has_address(&self, denied: &HostName, address: IpAddr) -> Option<bool> {
        let known = self.names.iter().find(|(name, _)| *name == denied.as_str());
        known.map_or(Some(false), |(_, known)| known.map(|ip| ip == address))
    }
}

fn check(policy: &Policy, name: Option<&str>, address: &str) -> Result<SocketAddr, Refusal> {
    check_at(&Machine::default(), policy, name, address)
}

fn check_at(
    machine: &Machine,
    policy: &Policy,
    name: Option<&str>,
    address: &str,
) -> Result<SocketAddr, Refusal> {
    let name = name.map(|name| name.parse::<HostName>().expect(name));
    let address = address.parse().expect(address);
    let decided = policy.check(machine, Transport::Tcp, name.as_ref(), address);
    decided.map(|allowed| allowed.address)
}

/// The rule that decides, as it was written.
fn deciding(machine: &Machine, policy: &Policy, transport: Transport, address: &str) -> String {
    let address = address.parse().expect(address);
    match policy.check(machine, transport, None, address) {
        Ok(allowed) => match allowed.would_deny {
            None => format!("allow {}", allowed.rule.expect("one that allows it")),
            Some(refusal) => format!("report: {refusal}"),
        },
        Err(refusal) => match refusal.rule() {
            Some(rule) => format!("deny {rule}"),
            None => refusal.to_string(),
        },
    }
}

#[test]
fn nothing_is_allowed_by_default() {
    let none = Policy::default();
    assert_eq!(check(&none, None, "8.8.8.8:443"), Err(Refusal::NotAllowed));
    assert_eq!(
        check(&none, Some("a.example"), "8.8.8.8:443"),
        Err(Refusal::NotAllowed)
    );
    let name = "a.example".parse().expect("a name");
    assert!(none.check_name(Transport::Tcp, &name, 443).is_err());
    let at = "127.0.0.1:0".parse().expect("an address");
    assert!(none.check_listen(Transport::Tcp, at).is_err());
    assert!(none.check_listen(Transport::Udp, at).is_err());
}

/// Each is a way that an address check was passed somewhere, or might be.
#[test]
fn no_form_of_an_inner_address_passes_a_rule_for_everything() {
    let everything = policy(&["*:*", "0.0.0.0/0:*", "[::/0]:*"], &[]);
    for address in [
        "127.0.0.1:80",
        "127.255.255.254:80",
        "0.0.0.0:80",
        "0.1.2.3:80",
        "10.0.0.1:80",
        "100.64.0.1:80",
        "100.100.100.200:80",
        "168.63.129.16:80",
        "169.254.169.254:80",
        "172.16.0.1:80",
        "192.0.0.192:80",
        "192.168.1.1:80",
        "198.18.0.1:80",
        "224.0.0.1:80",
        "240.0.0.1:80",
        "255.255.255.255:80",
        "[::]:80",
        "[::1]:80",
        "[::ffff:127.0.0.1]:80",
        "[::ffff:7f00:1]:80",
        "[::ffff:10.0.0.1]:80",
        "[::ffff:169.254.169.254]:80",
        "[::ffff:0.0.0.0]:80",
        "[::127.0.0.1]:80",
        "[::ffff:0:127.0.0.1]:80",
        "[64:ff9b::127.0.0.1]:80",
        "[64:ff9b::a9fe:a9fe]:80",
        "[64:ff9b:1::127.0.0.1]:80",
        "[64:ff9b:1:7f00:0:100::]:80",
        "[2002:7f00:1::]:80",
        "[2002:a00:1::1]:80",
        "[2001:0:4136:e378:8000:63bf:80ff:fffe]:80",
        "[2600::5efe:7f00:1]:80",
        "[fc00::1]:80",
        "[fd00:ec2::254]:80",
        "[fe80::1]:80",
        "[fe80::1%3]:80",
        "[fec0::1]:80",
        "[ff02::1]:80",
        "[100::1]:80",
        "[5f00::1]:80",
        "[2001:db8::1]:80",
    ] {
        let refused = check(&everything, None, address).expect_err(address);
        assert!(
            matches!(refused, Refusal::SpecialPurpose(_) | Refusal::Disguised(_)),
            "{address}: {refused}"
        );
        // A name that resolves there fares no better, though a rule has the name itself.
        let named = policy(&["*:*", "inner.example:80", "*.example:80"], &[]);
        check(&named, Some("inner.example"), address).expect_err(address);
    }
    for address in ["8.8.8.8:80", "[2606:4700::1111]:80"] {
        assert_eq!(
            check(&everything, None, address),
            Ok(address.parse().expect(address))
        );
    }
}

#[test]
fn what_came_in_a_form_is_dialled_in_the_form_that_was_checked() {
    let everything = policy(&["*:*"], &[]);
    for (asked, dialled) in [
        ("[::ffff:8.8.8.8]:80", "8.8.8.8:80"),
        // Behind NAT64 the IPv4 address itself can't be reached.
        ("[64:ff9b::8.8.8.8]:80", "[64:ff9b::8.8.8.8]:80"),
        ("[2606:4700::1111%7]:80", "[2606:4700::1111]:80"),
    ] {
        assert_eq!(
            check(&everything, None, asked),
            Ok(dialled.parse().expect(dialled)),
            "{asked}"
        );
    }
}

#[test]
fn a_special_range_is_opened_only_by_a_network_inside_it() {
    let lan = policy(&["192.168.0.0/16:22", "127.0.0.1:6667", "[::1]:6667"], &[]);
    for (address, allowed) in [
        ("192.168.7.7:22", true),
        ("192.168.7.7:23", false),
        ("10.0.0.1:22", false),
        ("127.0.0.1:6667", true),
        ("[::ffff:127.0.0.1]:6667", true),
        ("127.0.0.2:6667", false),
        ("[::1]:6667", true),
        ("[::127.0.0.1]:6667", false),
    ] {
        assert_eq!(check(&lan, None, address).is_ok(), allowed, "{address}");
        // Where the address is listed, it may be reached by a name too.
        assert_eq!(
            check(&lan, Some("nas.example"), address).is_ok(),
            allowed,
            "{address}"
        );
    }
    // A network wider than the range doesn't list it.
    let wide = policy(&["0.0.0.0/1:*", "126.0.0.0/7:*"], &[]);
    assert_eq!(
        check(&wide, None, "127.0.0.1:80"),
        Err(Refusal::SpecialPurpose("loopback"))
    );
    assert!(check(&wide, None, "126.0.0.1:80").is_ok());
}

#[test]
fn port_25_must_be_listed_by_itself() {
    for (rule, allowed) in [
        ("*:*", false),
        ("*:1-1024", false),
        ("mx.example:20-30", false),
        ("*:25", true),
        ("mx.example:25,465", true),
    ] {
        let policy = policy(&[rule], &[]);
        let name = "mx.example".parse().expect("a name");
        assert_eq!(
            check(&policy, Some("mx.example"), "8.8.8.8:25").is_ok(),
            allowed,
            "{rule}"
        );
        assert_eq!(
            policy.check_name(Transport::Tcp, &name, 25).is_ok(),
            allowed,
            "{rule}"
        );
    }
    let zero = policy(&["*:*"], &[]);
    assert_eq!(check(&zero, None, "8.8.8.8:0"), Err(Refusal::Port(0)));
}

#[test]
fn names_match_whole_labels() {
    let names = policy(&["irc.example.org:6697", "*.example.net:443"], &[]);
    for (name, port, allowed) in [
        ("irc.example.org", 6697, true),
        ("IRC.EXAMPLE.ORG.", 6697, true),
        ("irc.example.org", 6698, false),
        ("x.irc.example.org", 6697, false),
        ("example.org", 6697, false),
        ("a.example.net", 443, true),
        ("a.b.example.net", 443, true),
        ("example.net", 443, false),
        ("evilexample.net", 443, false),
        ("a.example.net.evil.example", 443, false),
    ] {
        let parsed: HostName = name.parse().expect(name);
        let decided = names.check_name(Transport::Tcp, &parsed, port);
        assert_eq!(decided.is_ok(), allowed, "{name}:{port}");
        let address = SocketAddr::from(([8, 8, 8, 8], port));
        assert_eq!(
            names
                .check(&Machine::default(), Transport::Tcp, Some(&parsed), address)
                .is_ok(),
            allowed,
            "{name}:{port}"
        );
    }
    // A rule for a name says nothing of its address.
    assert!(check(&names, None, "8.8.8.8:6697").is_err());
}

#[test]
fn a_policy_covers_another_where_nothing_was_taken_away() {
    let old = policy(&["a.example:1", "b.example:2"], &["c.example:3"]);
    for (allow, deny, expected) in [
        (
            &["b.example:2", "a.example:1"][..],
            &["c.example:3"][..],
            true,
        ),
        (&["a.example:1", "b.example:2", "*:*"], &[], true),
        (&["a.example:1"], &["c.example:3"], false),
        (&["a.example:1", "b.example:2-3"], &[], false),
        (
            &["a.example:1", "b.example:2"],
            &["c.example:3", "d.example:4"],
            false,
        ),
    ] {
        assert_eq!(
            policy(allow, deny).covers(&old),
            expected,
            "{allow:?} {deny:?}"
        );
    }
    let mut narrowed = old.clone();
    narrowed.within = Some(Vec::new());
    assert!(old.covers(&narrowed) && !narrowed.covers(&old));
    assert!(narrowed.covers(&narrowed));
}

#[test]
fn a_bearers_token_narrows_what_is_allowed_and_widens_nothing() {
    let mut narrowed = policy(
        &["*.example.org:*", "192.168.0.0/16:22", "*:25"],
        &["secret.example.org:*"],
    );
    let within = [
        "a.example.org:443",
        "secret.example.org:443",
        "192.168.7.0/24:*",
    ];
    let rules = within.map(|rule| rule.parse().expect(rule));
    narrowed.within = Some(rules.into());
    for (name, address, allowed) in [
        (Some("a.example.org"), "8.8.8.8:443", true),
        (Some("a.example.org"), "8.8.8.8:80", false),
        (Some("b.example.org"), "8.8.8.8:443", false),
        (Some("secret.example.org"), "8.8.8.8:443", false),
        (None, "8.8.8.8:443", false),
        (None, "192.168.7.7:22", true),
        (None, "192.168.7.7:23", false),
        (None, "192.168.8.7:22", false),
        (Some("a.example.org"), "192.168.7.7:22", true),
        (Some("mx.example.net"), "8.8.8.8:25", false),
    ] {
        let decided = check(&narrowed, name, address);
        assert_eq!(decided.is_ok(), allowed, "{name:?} {address}: {decided:?}");
    }
    // A name may be looked up where it could have an address that fits.
    let name = "b.example.org".parse().expect("a name");
    assert!(narrowed.check_name(Transport::Tcp, &name, 443).is_ok());
    narrowed.within = Some(vec!["a.example.org:443".parse().expect("a rule")]);
    let refused = narrowed.check_name(Transport::Tcp, &name, 443);
    assert_eq!(refused, Err(Refusal::NotWithin));
    // What it names takes no listing upon itself: ranges and ports are listed by the relay's rules.
    let everything = ["*:*", "192.168.7.0/24:*"].map(|rule| rule.parse().expect(rule));
    narrowed.within = Some(everything.into());
    assert!(check(&narrowed, Some("mx.example.net"), "8.8.8.8:25").is_ok());
    assert!(check(&narrowed, None, "192.168.9.9:22").is_ok());
    assert!(check(&narrowed, None, "192.168.7.7:80").is_err());
    narrowed.within = Some(Vec::new());
    assert!(check(&narrowed, Some("a.example.org"), "8.8.8.8:443").is_err());
}

#[test]
fn deny_wins_over_allow() {
    let some = policy(
        &["*:*", "10.0.0.0/8:*"],
        &["*.example:*", "9.9.9.0/24:*", "10.9.0.0/16:*", "*:6667"],
    );
    for (name, address, allowed) in [
        (None, "8.8.8.8:443", true),
        (Some("a.example"), "8.8.8.8:443", false),
        (Some("a.test"), "9.9.9.9:443", false),
        (None, "[::ffff:9.9.9.9]:443", false),
        (None, "[64:ff9b::9.9.9.9]:443", false),
        (None, "10.8.0.1:443", true),
        (None, "10.9.0.1:443", false),
        (None, "8.8.8.8:6667", false),
    ] {
        assert_eq!(
            check(&some, name, address).is_ok(),
            allowed,
            "{name:?} {address}"
        );
    }
}

#[test]
fn without_a_suffix_an_allowed_host_is_for_tcp_and_a_denied_one_for_both() {
    let some = policy(
        &["*:*", "*:*/udp"],
        &["9.9.9.9:*", "9.9.9.10:*/tcp", "9.9.9.11:*/udp", "*:6667"],
    );
    let none = Machine::default();
    for (address, tcp, udp) in [
        ("8.8.8.8:443", "allow *:*", "allow *:*/udp"),
        ("9.9.9.9:443", "deny 9.9.9.9:*", "deny 9.9.9.9:*"),
        ("9.9.9.10:443", "deny 9.9.9.10:*/tcp", "allow *:*/udp"),
        ("9.9.9.11:443", "allow *:*", "deny 9.9.9.11:*/udp"),
        ("8.8.8.8:6667", "deny *:6667", "deny *:6667"),
    ] {
        assert_eq!(deciding(&none, &some, Transport::Tcp, address), tcp);
        assert_eq!(deciding(&none, &some, Transport::Udp, address), udp);
    }
    let names = policy(&["*.example:*/udp"], &["secret.example:*"]);
    let name = "secret.example".parse().expect("a name");
    assert!(names.check_name(Transport::Udp, &name, 5683).is_err());
    let streams = policy(&["*:443"], &[]);
    assert_eq!(
        deciding(&none, &streams, Transport::Udp, "8.8.8.8:443"),
        "no rule allows it"
    );
}

#[test]
fn a_policy_that_only_reports_reaches_what_rules_refuse_but_nothing_special() {
    let mut some = policy(
        &["1.1.1.1:*", "10.0.0.0/8:*"],
        &["9.9.9.9:*", "10.9.0.0/16:*"],
    );
    some.report = true;
    let machine = Machine {
        local: vec!["8.8.4.4".parse().expect("an address")],
        ..Machine::default()
    };
    for (address, expected) in [
        ("1.1.1.1:443", "allow 1.1.1.1:*"),
        ("8.8.8.8:443", "report: no rule allows it"),
        ("9.9.9.9:443", "report: the rule 9.9.9.9:* denies it"),
        ("8.8.8.8:25", "no rule allows it"),
        ("10.0.0.1:443", "allow 10.0.0.0/8:*"),
        ("10.9.0.1:443", "deny 10.9.0.0/16:*"),
    ] {
        let decided = deciding(&machine, &some, Transport::Tcp, address);
        assert_eq!(decided, expected, "{address}");
    }
    for address in ["127.0.0.1:80", "8.8.4.4:80", "192.168.0.1:80"] {
        assert!(
            check_at(&machine, &some, None, address).is_err(),
            "{address}"
        );
    }
    assert!(some.reaches(Transport::Udp) && !some.listens(Transport::Udp));
    let name = "any.example".parse().expect("a name");
    assert!(some.check_name(Transport::Tcp, &name, 443).is_ok());
    assert!(some.check_name(Transport::Tcp, &name, 25).is_err());
}

#[test]
fn the_addresses_of_a_denied_name_are_denied_by_number_and_by_other_names() {
    let ip = |text: &str| text.parse::<IpAddr>().expect(text);
    let some = policy(&["*:*"], &["secret.example:*", "unknown.example:22"]);
    let machine = Machine {
        names: vec![
            ("secret.example", Some(ip("9.9.9.9"))),
            ("unknown.example", None),
        ],
        ..Machine::default()
    };
    let by_address = || Err(Refusal::DeniedAddress(some.deny[0].clone()));
    for (name, address, expected) in [
        (None, "9.9.9.9:443", by_address()),
        (None, "[::ffff:9.9.9.9]:443", by_address()),
        (None, "[64:ff9b::9.9.9.9]:443", by_address()),
        (Some("alias.example"), "9.9.9.9:443", by_address()),
        (
            Some("secret.example"),
            "8.8.8.8:443",
            Err(Refusal::DeniedBy(some.deny[0].clone())),
        ),
        (None, "8.8.8.8:443", Ok("8.8.8.8:443")),
        // Where nobody knows what a denied name is, it might be anything.
        (
            None,
            "8.8.8.8:22",
            Err(Refusal::DenialUnknown(some.deny[1].clone())),
        ),
        (None, "9.9.9.9:22", by_address()),
    ] {
        let expected = expected.map(|at: &str| at.parse().expect(at));
        let decided = check_at(&machine, &some, name, address);
        assert_eq!(decided, expected, "{name:?} {address}");
    }
    let names = |port| -> Vec<&str> {
        (some
            .denied_names(Transport::Udp, port)
            .map(HostName::as_str))
        .collect()
    };
    assert_eq!(names(Some(443)), ["secret.example"]);
    assert_eq!(names(None), ["secret.example", "unknown.example"]);
}

#[test]
fn an_address_of_this_machine_must_be_listed_by_itself_and_the_relay_never_is() {
    let machine = Machine {
        local: ["9.9.9.9", "2606:4700::9", "10.0.0.9"]
            .map(|ip| ip.parse().expect(ip))
            .into(),
        relay: ["9.9.9.9:8443", "127.0.0.1:8443"]
            .map(|at| at.parse().expect(at))
            .into(),
        ..Machine::default()
    };
    let wide = policy(&["*:*", "9.9.9.0/24:*", "here.example:*"], &[]);
    let mine = Err(Refusal::SpecialPurpose("of the relay's own machine"));
    for address in [
        "9.9.9.9:22",
        "[::ffff:9.9.9.9]:22",
        "[64:ff9b::9.9.9.9]:22",
        "[2606:4700::9]:22",
    ] {
        assert_eq!(check_at(&machine, &wide, None, address), mine, "{address}");
        let named = check_at(&machine, &wide, Some("here.example"), address);
        assert_eq!(named, mine, "{address}");
    }
    assert!(check_at(&machine, &wide, None, "9.9.9.8:22").is_ok());
    assert_eq!(
        check_at(&machine, &wide, None, "9.9.9.9:8443"),
        Err(Refusal::Relay)
    );

    let listed = policy(&["9.9.9.9:*", "10.0.0.0/8:*", "127.0.0.0/8:*", "*:*"], &[]);
    for (address, expected) in [
        ("9.9.9.9:22", "allow 9.9.9.9:*"),
        // The private range is what a rule has to list here, as everywhere in it.
        ("10.0.0.9:22", "allow 10.0.0.0/8:*"),
        ("9.9.9.9:8443", "the relay itself is never reached"),
        ("127.0.0.1:8443", "the relay itself is never reached"),
        (
            "[::ffff:127.0.0.1]:8443",
            "the relay itself is never reached",
        ),
        ("127.0.0.1:8444", "allow 127.0.0.0/8:*"),
    ] {
        let decided = deciding(&machine, &listed, Transport::Tcp, address);
        assert_eq!(decided, expected, "{address}");
    }
}

#[test]
fn listening_is_granted_by_address_and_port() {
    let policy = Policy {
        listen: [
            "127.0.0.1:8000-8002",
            "[::1]:*",
            "0.0.0.0:0/udp",
            "192.0.2.1:5353/udp",
            "192.0.2.0/24:*/udp",
        ]
        .iter()
        .map(|rule| rule.parse().expect(rule))
        .collect(),
        ..Policy::default()
    };
    for (transport, at, expected) in [
        (
            Transport::Tcp,
            "127.0.0.1:0",
            &["127.0.0.1:8000", "127.0.0.1:8001", "127.0.0.1:8002"][..],
        ),
        (Transport::Tcp, "127.0.0.1:8001", &["127.0.0.1:8001"]),
        (
            Transport::Tcp,
            "[::ffff:127.0.0.1]:8001",
            &["127.0.0.1:8001"],
        ),
        (Transport::Tcp, "127.0.0.1:8003", &[]),
        (Transport::Tcp, "0.0.0.0:8001", &[]),
        (Transport::Tcp, "[::1]:0", &["[::1]:0"]),
        (Transport::Tcp, "[::]:8001", &[]),
        (Transport::Udp, "127.0.0.1:8001", &[]),
        (Transport::Udp, "0.0.0.0:0", &["0.0.0.0:0"]),
        (Transport::Udp, "0.0.0.0:53", &[]),
        // Any free port, and not the one that a rule before it names.
        (Transport::Udp, "192.0.2.1:0", &["192.0.2.1:0"]),
        (Transport::Udp, "192.0.2.1:5353", &["192.0.2.1:5353"]),
    ] {
        let expected: Vec<SocketAddr> = expected
            .iter()
            .map(|at| at.parse().expect("an address"))
            .collect();
        let decided = policy.check_listen(transport, at.parse().expect(at));
        let candidates = decided.map(|places| places.candidates);
        assert_eq!(candidates.unwrap_or_default(), expected, "{at}");
    }
}

#[test]
fn a_port_is_chosen_among_those_that_are_advertised_alike() {
    let rules = [
        "10.0.0.5:8000-8001 as 203.0.113.7",
        "10.0.0.5:9000",
        "10.0.0.5:8005 as 203.0.113.7",
        "10.0.0.5:8006 as 203.0.113.8",
    ];
    let policy = Policy {
        listen: rules.map(|rule| rule.parse().expect(rule)).into(),
        ..Policy::default()
    };
    for (at, ports, advertised) in [
        ("10.0.0.5:0", &[8000, 8001, 8005][..], Some("203.0.113.7")),
        ("10.0.0.5:8006", &[8006], Some("203.0.113.8")),
        ("10.0.0.5:9000", &[9000], None),
    ] {
        let places = policy.check_listen(Transport::Tcp, at.parse().expect(at));
        let places = places.expect("allowed");
        let chosen: Vec<u16> = places.candidates.iter().map(SocketAddr::port).collect();
        assert_eq!(chosen, ports, "{at}");
        let expected = advertised.map(|address| address.parse().expect(address));
        assert_eq!(places.rule.advertised(), expected, "{at}");
    }
}

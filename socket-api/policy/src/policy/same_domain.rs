//! The same domain as a page's, ready-made.

use jackfield_socket::Host;

use super::rule::{Hosts, Rule, Transport};
use super::{Policy, unmask};

impl Policy {
    /// The same domain as a page's: its host, and the names below it, at any port, by streams and by
    /// datagrams.
    ///
    /// The host is that of the page's origin. Which names belong to one owner besides, a page of
    /// `www.example.org` can't tell without a list of public suffixes, which isn't here: it reaches
    /// `a.www.example.org`, and neither `example.org` nor `mail.example.org`. As with any rule for a
    /// name, special-purpose addresses must be listed by themselves, so that whoever owns a page's
    /// domain doesn't get into the network of its visitors; so must port 25.
    ///
    /// ```
    /// use jackfield_policy::{Policy, Transport};
    ///
    /// let same = Policy::same_domain_as(&"www.example.org".parse()?);
    /// for (name, allowed) in [
    ///     ("www.example.org", true),
    ///     ("a.www.example.org", true),
    ///     ("mail.example.org", false),
    ///     ("evilwww.example.org", false),
    /// ] {
    ///     let decided = same.check_unresolved(Transport::Tcp, &name.parse()?, 993);
    ///     assert_eq!(decided.is_ok(), allowed, "{name}");
    /// }
    /// # Ok::<(), jackfield_socket::Error>(())
    /// ```
    pub fn same_domain_as(host: &Host) -> Self {
        let hosts = match host {
            Host::Name(name) => vec![Hosts::Name(name.clone()), Hosts::Below(name.clone())],
            // What can only be a disguise is nobody's page.
            Host::Ip(ip) => Vec::from_iter(unmask(*ip).ok().map(|ip| Hosts::Network(ip.into()))),
        };
        let both = [Transport::Tcp, Transport::Udp];
        let rules = hosts
            .into_iter()
            .flat_map(|hosts| both.map(|transport| Rule::at_any_port(hosts.clone(), transport)));
        Self {
            allow: rules.collect(),
            ..Self::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_rules_read_back_as_they_are_written() {
        for (host, expected) in [
            (
                "a.example",
                &[
                    "a.example:*/tcp",
                    "a.example:*/udp",
                    "*.a.example:*/tcp",
                    "*.a.example:*/udp",
                ][..],
            ),
            ("192.168.0.7", &["192.168.0.7:*/tcp", "192.168.0.7:*/udp"]),
            ("::ffff:9.9.9.9", &["9.9.9.9:*/tcp", "9.9.9.9:*/udp"]),
            ("2606::1", &["[2606::1]:*/tcp", "[2606::1]:*/udp"]),
            ("2002:7f00:1::", &[]),
        ] {
            let same = Policy::same_domain_as(&host.parse().expect(host));
            let written: Vec<String> = same.allow.iter().map(Rule::to_string).collect();
            assert_eq!(written, expected, "{host}");
            for (rule, text) in same.allow.iter().zip(&written) {
                assert_eq!(*rule, text.parse().expect(text));
            }
            let nothing_else = Policy {
                allow: Vec::new(),
                ..same
            };
            assert_eq!(nothing_else, Policy::default());
        }
    }
}

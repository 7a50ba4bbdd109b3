//! The disagreements that are known, and why each is not ours.
//!
//! Sections are those of MQTT 5, unless they say otherwise.

use super::fields::Fields;
use super::{Disagreement, Peer};

use Disagreement::{OnlyTheyRead, OnlyWeRead, ReadOtherwise, WrittenOtherwise, WrittenWrong};
use Peer::{Core, Mqttbytes, Rumqttc};

/// One of them.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) what: Disagreement,
    /// Who disagrees with us. Each of them must be seen to.
    pub(crate) who: &'static [Peer],
    /// What is wrong with it.
    pub(crate) why: &'static str,
    /// Looks at the bytes, and at what they read in them, whether it is what it is taken for: our
    /// own word on that is not enough.
    pub(crate) holds: fn(&[u8], &Fields) -> bool,
}

const ALL: &[Peer] = &[Rumqttc, Mqttbytes, Core];
const FAMILY: &[Peer] = &[Rumqttc, Mqttbytes];

const fn known(
    what: Disagreement,
    who: &'static [Peer],
    why: &'static str,
    holds: fn(&[u8], &Fields) -> bool,
) -> Known {
    Known {
        what,
        who,
        why,
        holds,
    }
}

pub(crate) const KNOWN: &[Known] = &[
    // Well-formed packets.
    known(
        OnlyWeRead("AUTH"),
        FAMILY,
        "3.15: they have no AUTH; rumqttc can write it, and not read it",
        |bytes, _| bytes[0] >> 4 == 15,
    ),
    known(
        OnlyWeRead("DISCONNECT"),
        FAMILY,
        "3.14.2.1 and 3.14.2.2.1: the reason may be left out, and so may the properties behind it",
        |bytes, _| bytes[1] < 2,
    ),
    known(
        OnlyWeRead("CONNECT"),
        ALL,
        "3.1.3.6: a password is binary data, and the family takes text only; 3.1.2.9: it needs no \
         user name, and mqtt-protocol-core wants one",
        |bytes, _| connect_flags(bytes) & 0x40 != 0,
    ),
    known(
        ReadOtherwise("CONNECT", &["password", "user name"]),
        FAMILY,
        "3.1.2.8 and 3.1.2.9: they take what is not there for empty, or what is empty for not there",
        |bytes, _| connect_flags(bytes) & 0xC0 != 0,
    ),
    known(
        WrittenOtherwise("CONNECT", &["password", "user name"]),
        FAMILY,
        "3.1.2.8 and 3.1.2.9: they leave out what is empty",
        |bytes, _| connect_flags(bytes) & 0xC0 == 0xC0,
    ),
    known(
        WrittenWrong("CONNECT has a password, but no user name"),
        FAMILY,
        "MQTT 3.1.1, MQTT-3.1.2-22: they leave out a user name that is empty, and not the password",
        |_, fields| fields.get("user name") == "[]",
    ),
    known(
        ReadOtherwise("PUBLISH", &["format", "payload"]),
        FAMILY,
        "3.3.2.3.8: they count a subscription identifier of more than two bytes as longer than it \
         is, and take properties for payload",
        |_, fields| !fields.get("subscription identifiers").is_empty(),
    ),
    known(
        WrittenWrong("a packet is shorter than what it holds"),
        &[Mqttbytes],
        "3.2.2.3.1: it leaves out the length of no properties in CONNACK",
        |_, fields| fields.kind() == "CONNACK",
    ),
    // Malformed packets that others read.
    known(
        OnlyTheyRead("reserved flags of a packet are set"),
        ALL,
        "2.1.3: invalid flags are a malformed packet",
        |bytes, _| {
            let fixed = match bytes[0] >> 4 {
                6 | 8 | 10 => 2,
                _ => 0,
            };
            bytes[0] >> 4 != 3 && bytes[0] & 15 != fixed
        },
    ),
    known(
        OnlyTheyRead("a length is written with more bytes than it needs"),
        ALL,
        "MQTT-1.5.5-1: the fewest bytes possible",
        |bytes, _| bytes.windows(2).any(|pair| pair[0] >= 0x80 && pair[1] == 0),
    ),
    known(
        OnlyTheyRead("a string is not UTF-8, or holds U+0000"),
        ALL,
        "MQTT-1.5.4-2: no U+0000; rumqttc does not look at topics at all (MQTT-1.5.4-1)",
        |_, fields| {
            let topics = [fields.get("topic"), fields.get("will topic")];
            fields.values().any(holds_null) || topics.into_iter().any(is_not_text)
        },
    ),
    known(
        OnlyTheyRead("a packet identifier is 0"),
        ALL,
        "MQTT-2.2.1-3 and -4: never 0",
        |_, fields| fields.get("id") == "0",
    ),
    known(
        OnlyTheyRead("a topic name is empty or holds a wildcard"),
        ALL,
        "MQTT-3.3.2-2 and MQTT-4.7.3-1: no wildcard, at least one character, in a will's, too",
        |_, fields| {
            let will = fields.get("will topic");
            will == "[]" || has_wildcard(will) || has_wildcard(fields.get("topic"))
        },
    ),
    known(
        OnlyTheyRead("a topic filter is empty, or a wildcard is where none may be"),
        ALL,
        "4.7.1: a wildcard fills its level, and `#` is the last; MQTT-4.8.2-1 and -2: shared \
         subscriptions have a name and a filter",
        |_, fields| {
            fields
                .filters
                .iter()
                .any(|filter| !rumqttc::valid_filter(filter) || filter.starts_with("$share/"))
        },
    ),
    known(
        OnlyTheyRead("a message has neither topic nor topic alias"),
        ALL,
        "3.3.2.1: a protocol error",
        |_, fields| fields.get("topic") == "[]" && fields.get("alias").is_empty(),
    ),
    known(
        OnlyTheyRead("a message of QoS 0 is marked as a duplicate"),
        ALL,
        "MQTT-3.3.1-2: DUP is 0",
        |_, fields| fields.get("qos") == "0" && fields.get("dup") == "true",
    ),
    known(
        OnlyTheyRead("a response topic is no topic name"),
        ALL,
        "MQTT-3.3.2-14: no wildcard, and 4.7.3: not empty",
        |_, fields| {
            let topic = fields.get("response topic");
            let will = fields.get("will properties");
            topic == "[]" || has_wildcard(topic) || will.contains("response topic")
        },
    ),
    known(
        OnlyTheyRead("reserved bits of CONNACK are set"),
        ALL,
        "3.2.2.1: bits 7 to 1 are 0",
        |bytes, _| body(bytes)[0] > 1,
    ),
    known(
        OnlyTheyRead("a session is present on a refused connection"),
        ALL,
        "MQTT-3.2.2-6: then it must not be",
        |_, fields| fields.get("session present") == "true" && fields.get("reason") != "0",
    ),
    known(
        OnlyTheyRead("the reserved flag of CONNECT is set"),
        ALL,
        "MQTT-3.1.2-3: 0, or a malformed packet",
        |bytes, _| connect_flags(bytes) & 1 == 1,
    ),
    known(
        OnlyTheyRead("CONNECT has a password, but no user name"),
        FAMILY,
        "MQTT 3.1.1, MQTT-3.1.2-22: it must not have",
        |bytes, _| connect_flags(bytes) & 0xC0 == 0x40,
    ),
    known(
        OnlyTheyRead("CONNECT has flags of a will, but no will"),
        &[Core],
        "MQTT-3.1.2-11 and -13: without a will, its flags are 0",
        |bytes, _| connect_flags(bytes) & 4 == 0 && connect_flags(bytes) & 0x38 != 0,
    ),
    known(
        OnlyTheyRead("a quality of service is 3"),
        &[Core],
        "MQTT-3.1.2-12: no will has it",
        |bytes, _| connect_flags(bytes) & 0x18 == 0x18,
    ),
    known(
        OnlyTheyRead("reserved bits of a subscription are set"),
        ALL,
        "MQTT-3.8.3-5, and MQTT 3.1.1, MQTT-3-8.3-4: they are 0",
        |_, fields| fields.kind() == "SUBSCRIBE",
    ),
    known(
        OnlyTheyRead("a subscription has no topic filter"),
        &[Mqttbytes],
        "MQTT-3.8.3-2: at least one",
        |_, fields| fields.filters.is_empty(),
    ),
    known(
        OnlyTheyRead("an unsubscription has no topic filter"),
        FAMILY,
        "MQTT-3.10.3-2: at least one",
        |_, fields| fields.filters.is_empty(),
    ),
    known(
        OnlyTheyRead("a topic alias is 0"),
        FAMILY,
        "MQTT-3.3.2-8: a sender must not send it",
        |_, fields| fields.get("alias") == "0",
    ),
    known(
        OnlyTheyRead("a property is 0"),
        FAMILY,
        "3.1.2.11 and 3.2.2.3: a receive maximum or a maximum packet size of 0 is a protocol error",
        |_, fields| {
            let sizes = [
                fields.get("receive maximum"),
                fields.get("maximum packet size"),
            ];
            sizes.contains(&"0")
        },
    ),
    known(
        OnlyTheyRead("a shared subscription is marked as no local"),
        ALL,
        "MQTT-3.8.3-4: a protocol error",
        |_, fields| {
            fields
                .filters
                .iter()
                .any(|filter| filter.starts_with("$share/"))
        },
    ),
    known(
        OnlyTheyRead("a subscription identifier is 0"),
        FAMILY,
        "3.3.2.3.8: a protocol error",
        |_, fields| fields.get("subscription identifiers").contains('0'),
    ),
    known(
        OnlyTheyRead("a property is neither 0 nor 1"),
        FAMILY,
        "3.1.2.11, 3.2.2.3 and 3.3.2.3.2: a protocol error",
        |_, fields| matches!(fields.kind(), "CONNECT" | "CONNACK" | "PUBLISH"),
    ),
    known(
        OnlyTheyRead("authentication data come without a method"),
        ALL,
        "3.1.2.11.10: a protocol error; mqtt-protocol-core minds it in CONNECT only",
        |_, fields| fields.get("authentication method").is_empty(),
    ),
    known(
        OnlyTheyRead("a property comes twice"),
        ALL,
        "2.2.2.2: a protocol error; the family keeps the last one, and mqtt-protocol-core minds \
         all but SUBSCRIBE's subscription identifier (3.8.2.1.2)",
        |_, fields| !fields.kind().starts_with("PING"),
    ),
    known(
        OnlyTheyRead("a packet holds a property that it can't have"),
        FAMILY,
        "2.2.2.2: a malformed packet; they miscount subscription identifiers, and stop before it",
        |_, fields| !fields.get("subscription identifiers").is_empty(),
    ),
    known(
        OnlyTheyRead("a packet is longer than what it holds"),
        ALL,
        "1.2: it can't be parsed; they pass over the rest, mqtt-protocol-core that of \
         acknowledgements on MQTT 3.1.1, which it takes for a reason code of MQTT 5",
        |bytes, _| body(bytes).len() < bytes.len(),
    ),
    known(
        OnlyTheyRead("a packet is shorter than what it holds"),
        ALL,
        "1.2: it can't be parsed; the family does not compare lengths of properties with what is \
         there, and mqtt-protocol-core takes a PUBLISH without any",
        |_, fields| !fields.kind().starts_with("PING"),
    ),
];

/// What follows the remaining length.
fn body(bytes: &[u8]) -> &[u8] {
    let length = bytes[1..].iter().take_while(|byte| **byte >= 0x80).count();
    &bytes[2 + length..]
}

/// A CONNECT's flags.
fn connect_flags(bytes: &[u8]) -> u8 {
    body(bytes).get(7).copied().unwrap_or_default()
}

/// Whether a list of bytes holds `+` or `#`.
fn has_wildcard(list: &str) -> bool {
    numbers(list).any(|number| number == "43" || number == "35")
}

/// Whether a value holds U+0000, as text or as a list of bytes.
fn holds_null(value: &str) -> bool {
    value.contains("\\0") || numbers(value).any(|number| number == "0")
}

/// Whether a list of bytes is no UTF-8.
fn is_not_text(list: &str) -> bool {
    let bytes: Vec<u8> = numbers(list).filter_map(|byte| byte.parse().ok()).collect();
    str::from_utf8(&bytes).is_err()
}

fn numbers(list: &str) -> impl Iterator<Item = &str> {
    list.split(|c: char| !c.is_ascii_digit())
}

//! The cases of irc-parser-tests (`tests/vectors/irc/*.json`).

use std::collections::BTreeMap;
use std::path::Path;

use jackfield_irc::codec::{Command, Message, MessageRef, SourceRef, TagKey, TagValue, Text, Word};
use serde::Deserialize;
use serde::de::DeserializeOwned;

#[derive(Deserialize)]
struct Atoms {
    #[serde(default)]
    tags: BTreeMap<String, String>,
    source: Option<String>,
    verb: String,
    #[serde(default)]
    params: Vec<String>,
}

fn cases<T: DeserializeOwned>(name: &str) -> Vec<T> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/vectors/irc")
        .join(name);
    let text = std::fs::read_to_string(&path).expect("the vectors are there");
    let cases: Vec<T> = serde_json::from_str(&text).expect("the vectors are JSON");
    assert!(!cases.is_empty());
    cases
}

#[test]
fn messages_are_taken_apart() {
    #[derive(Deserialize)]
    struct Case {
        input: String,
        atoms: Atoms,
    }
    for Case { input, atoms } in cases::<Case>("split.json") {
        let message = MessageRef::parse(&input).expect(&input);
        let tags: BTreeMap<String, String> = message
            .tags()
            .iter()
            .map(|tag| (tag.key.to_owned(), tag.value.into_owned()))
            .collect();
        assert_eq!(tags, atoms.tags, "{input:?}");
        assert_eq!(
            message.source_str(),
            atoms.source.as_deref().unwrap_or_default(),
            "{input:?}"
        );
        assert_eq!(
            Some(message.command()),
            Command::parse(&atoms.verb),
            "{input:?}"
        );
        assert_eq!(
            message.params().collect::<Vec<_>>(),
            atoms.params,
            "{input:?}"
        );
        let again = message.to_message();
        assert_eq!(again.view(), message, "{input:?} became {again}");
    }
}

#[test]
fn messages_are_put_together() {
    #[derive(Deserialize)]
    struct Case {
        desc: String,
        atoms: Atoms,
        matches: Vec<String>,
    }
    for Case {
        desc,
        atoms,
        matches,
    } in cases::<Case>("join.json")
    {
        let mut builder = Message::builder(Command::parse(&atoms.verb).expect(&desc));
        for (key, value) in &atoms.tags {
            let value = TagValue::new(value).expect(&desc);
            builder = builder.tag(&TagKey::new(key).expect(&desc), &value);
        }
        if let Some(source) = &atoms.source {
            builder = builder.source(Word::new(source).expect(&desc));
        }
        let message = match atoms.params.split_last() {
            Some((last, words)) => {
                for word in words {
                    builder = builder.word(Word::new(word).expect(&desc));
                }
                builder.text(Text::new(last).expect(&desc))
            }
            None => builder.build(),
        };
        assert!(matches.contains(&message.to_string()), "{desc}: {message}");
    }
}

#[test]
fn sources_are_taken_apart() {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Parts {
        nick: String,
        user: String,
        host: String,
    }
    #[derive(Deserialize)]
    struct Case {
        source: String,
        atoms: Parts,
    }
    for Case { source, atoms } in cases::<Case>("userhost.json") {
        let parts = SourceRef::parse(&source);
        assert_eq!(parts.name, atoms.nick, "{source:?}");
        assert_eq!(parts.user.unwrap_or_default(), atoms.user, "{source:?}");
        assert_eq!(parts.host.unwrap_or_default(), atoms.host, "{source:?}");
        assert_eq!(parts.to_string(), source);
    }
}

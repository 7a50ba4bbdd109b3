//! Criteria of a search, as words: `unseen from:ada since:2026-11-01`.

use std::str::FromStr;

use jackfield_imap::codec::{Date, Flag, Messages, Query, SequenceSet};

/// What `search` says of its criteria.
pub(crate) const HELP: &str = "\
Criteria, all of which must be true of a message:
  seen, unseen, answered, unanswered, flagged, unflagged, deleted, undeleted, draft, undraft,
  recent, old
  from:TEXT, to:TEXT, cc:TEXT, bcc:TEXT, subject:TEXT, body:TEXT, text:TEXT (header and body)
  header:FIELD=TEXT, keyword:NAME, gmail:TEXT (as Gmail's own search)
  since:DAY, before:DAY (when it arrived), sent-since:DAY, sent-before:DAY; a DAY is 2026-11-29
  larger:SIZE, smaller:SIZE, in bytes, or with k or M behind it
  uid:SET, such as uid:17,20:*
  not CRITERION; CRITERION or CRITERION
Nothing finds every message.";

/// All of these words as one query.
pub(super) fn parse(words: &[String]) -> Result<Query, String> {
    let mut words = words.iter().map(String::as_str).peekable();
    let mut all: Vec<Query> = Vec::new();
    let mut alternatives = Vec::new();
    while words.peek().is_some() {
        alternatives.push(criterion(&mut words)?);
        if words
            .next_if(|word| word.eq_ignore_ascii_case("or"))
            .is_some()
        {
            if words.peek().is_none() {
                return Err("a criterion is missing behind \"or\"".into());
            }
            continue;
        }
        all.push(match alternatives.len() {
            1 => alternatives.remove(0),
            _ => Query::new().any(alternatives.drain(..)),
        });
    }
    // Any of one is that one.
    Ok(all
        .into_iter()
        .fold(Query::new(), |all, one| all.any([one])))
}

fn criterion<'a>(words: &mut impl Iterator<Item = &'a str>) -> Result<Query, String> {
    let Some(word) = words.next() else {
        return Err("a criterion is missing behind \"not\"".into());
    };
    let all = Query::new();
    let Some((key, value)) = word.split_once(':') else {
        let word = word.to_ascii_lowercase();
        if word == "not" {
            return Ok(all.except(criterion(words)?));
        }
        return flag(&word)
            .ok_or_else(|| format!("\"{word}\" is no criterion; to find a text: text:{word}"));
    };
    let text = value.to_owned();
    let size = || size(value).ok_or_else(|| format!("{word}: a size is a number, such as 10k"));
    let day = || day(value).ok_or_else(|| format!("{word}: a day is written as 2026-11-29"));
    Ok(match key.to_ascii_lowercase().as_str() {
        "from" => all.from(text),
        "to" => all.to(text),
        "cc" => all.cc(text),
        "bcc" => all.bcc(text),
        "subject" => all.subject(text),
        "body" => all.body(text),
        "text" => all.text(text),
        "gmail" => all.gmail(text),
        "header" => match value.split_once('=') {
            Some((field, text)) => all.header(field, text),
            None => all.header(value, ""),
        },
        "keyword" => all.with_flag(parsed::<Flag>(word, value)?),
        "since" => all.since(day()?),
        "before" => all.before(day()?),
        "sent-since" => all.sent_since(day()?),
        "sent-before" => all.sent_before(day()?),
        "larger" => all.larger(size()?),
        "smaller" => all.smaller(size()?),
        "uid" => all.among(Messages::Uids(parsed::<SequenceSet>(word, value)?)),
        _ => return Err(format!("\"{key}:\" is no criterion")),
    })
}

fn flag(word: &str) -> Option<Query> {
    let all = Query::new();
    let (is_without, name) = match word {
        "old" => (true, "recent"),
        "all" => return Some(all),
        word => match word.strip_prefix("un") {
            Some(name) => (true, name),
            None => (false, word),
        },
    };
    let flag = match name {
        "seen" => Flag::Seen,
        "answered" => Flag::Answered,
        "flagged" => Flag::Flagged,
        "deleted" => Flag::Deleted,
        "draft" => Flag::Draft,
        "recent" if word != "unrecent" => Flag::Recent,
        _ => return None,
    };
    Some(if is_without {
        all.without_flag(flag)
    } else {
        all.with_flag(flag)
    })
}

fn parsed<T: FromStr<Err: ToString>>(word: &str, value: &str) -> Result<T, String> {
    let parsed = value.parse();
    parsed.map_err(|error: T::Err| format!("{word}: {}", error.to_string()))
}

fn day(text: &str) -> Option<Date> {
    let mut parts = text.splitn(3, '-');
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    Date::new(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?).ok()
}

fn size(text: &str) -> Option<u32> {
    let (digits, unit) = match text.strip_suffix(['k', 'K']) {
        Some(digits) => (digits, 1 << 10),
        None => match text.strip_suffix(['m', 'M']) {
            Some(digits) => (digits, 1 << 20),
            None => (text, 1),
        },
    };
    digits.parse::<u32>().ok()?.checked_mul(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(words: &str) -> Result<Query, String> {
        let words: Vec<String> = words.split_whitespace().map(str::to_owned).collect();
        parse(&words)
    }

    #[test]
    fn words_become_queries() {
        let all = Query::new;
        let day = Date::new(2026, 11, 1).expect("a day");
        let set = "17,20:*".parse().expect("a set");
        for (words, expected) in [
            ("", all()),
            ("unseen from:ada", all().unseen().from("ada")),
            ("UNSEEN since:2026-11-01", all().unseen().since(day)),
            (
                "not seen flagged",
                all().except(all().with_flag(Flag::Seen)).flagged(),
            ),
            (
                "from:a or from:b unseen",
                all().any([all().from("a"), all().from("b")]).unseen(),
            ),
            (
                "larger:10k smaller:1M",
                all().larger(10_240).smaller(1 << 20),
            ),
            ("uid:17,20:*", all().among(Messages::Uids(set))),
            ("header:List-Id=rust", all().header("List-Id", "rust")),
            ("subject:a:b", all().subject("a:b")),
            (
                "keyword:$Junk old",
                all()
                    .with_flag("$Junk".parse().expect("a flag"))
                    .without_flag(Flag::Recent),
            ),
        ] {
            assert_eq!(query(words), Ok(expected), "{words}");
        }
    }

    #[test]
    fn what_is_no_criterion_is_refused() {
        for words in [
            "lunch",
            "unrecent",
            "colour:blue",
            "since:yesterday",
            "since:2026-02-30",
            "larger:big",
            "larger:9999999k",
            "uid:0",
            "keyword:a(",
            "not",
            "seen or",
        ] {
            query(words).expect_err(words);
        }
    }
}

//! What messages are searched by: `ImapQuery`, and the order of what is found.

use jackfield_imap::codec::{Date, Messages, Query, SequenceSet, SortBy, SortOrder, Threading};
use jackfield_socket::Result;
use wasm_bindgen::{JsCast as _, JsValue};

use super::request::flags;
use crate::convert::{Options, invalid};

/// How deep queries may stand in each other.
const MAX_DEPTH: u32 = 32;

/// What adds a text to a query.
type ByText = fn(Query, String) -> Query;
/// What adds a day.
type ByDay = fn(Query, Date) -> Query;

const TEXTS: [(&str, ByText); 8] = [
    ("from", |query, text| query.from(text)),
    ("to", |query, text| query.to(text)),
    ("cc", |query, text| query.cc(text)),
    ("bcc", |query, text| query.bcc(text)),
    ("subject", |query, text| query.subject(text)),
    ("body", |query, text| query.body(text)),
    ("text", |query, text| query.text(text)),
    ("gmail", |query, text| query.gmail(text)),
];

const DAYS: [(&str, ByDay); 4] = [
    ("since", Query::since),
    ("before", Query::before),
    ("sentSince", Query::sent_since),
    ("sentBefore", Query::sent_before),
];

/// A query; all messages where there is none.
pub(super) fn query(value: Option<&JsValue>) -> Result<Query> {
    match value {
        Some(value) => read(&Options(value), MAX_DEPTH),
        None => Ok(Query::new()),
    }
}

fn read(options: &Options<'_>, depth: u32) -> Result<Query> {
    let Some(depth) = depth.checked_sub(1) else {
        return Err(invalid("query", "stands too deep in others"));
    };
    let mut query = Query::new();
    if let Some(uids) = set("uids", options)? {
        query = query.among(Messages::Uids(uids));
    }
    for flag in flags("flags", options)? {
        query = query.with_flag(flag);
    }
    for flag in flags("withoutFlags", options)? {
        query = query.without_flag(flag);
    }
    for (name, add) in TEXTS {
        if let Some(text) = options.text(name)? {
            query = add(query, text);
        }
    }
    for (name, text) in options.pairs("header")? {
        query = query.header(name, text);
    }
    for (name, add) in DAYS {
        if let Some(day) = day(name, options)? {
            query = add(query, day);
        }
    }
    if let Some(bytes) = options.number("larger")? {
        query = query.larger(whole("larger", bytes)?);
    }
    if let Some(bytes) = options.number("smaller")? {
        query = query.smaller(whole("smaller", bytes)?);
    }
    if let Some(modseq) = modseq("changedSince", options)? {
        query = query.changed_since(modseq);
    }
    if let Some(not) = options.value("not")? {
        query = query.except(read(&Options(&not), depth)?);
    }
    if options.value("or")?.is_some() {
        let either = options.list("or")?;
        let either: Result<Vec<Query>> = either
            .iter()
            .map(|query| read(&Options(query), depth))
            .collect();
        query = query.any(either?);
    }
    Ok(query)
}

/// A set of UIDs; `None` where there is none.
pub(super) fn set(name: &str, options: &Options<'_>) -> Result<Option<SequenceSet>> {
    let Some(value) = options.value(name)? else {
        return Ok(None);
    };
    let wrong = || {
        invalid(
            name,
            "is neither a UID, nor a list of them, nor a set as 1:5,7",
        )
    };
    if let Some(text) = value.as_string() {
        return text.parse().map(Some).map_err(|_| wrong());
    }
    if let Some(number) = value.as_f64() {
        let set = SequenceSet::of([whole(name, number)?]);
        return set.map(Some).ok_or_else(wrong);
    }
    let uid = |item: JsValue| {
        item.as_f64()
            .ok_or_else(wrong)
            .and_then(|it| whole(name, it))
    };
    let uids: Result<Vec<u32>> = options.list(name)?.into_iter().map(uid).collect();
    let set = SequenceSet::of(uids?);
    set.map(Some)
        .ok_or_else(|| invalid(name, "is empty, or holds 0"))
}

/// The day that a `Date` has where the page is.
fn day(name: &str, options: &Options<'_>) -> Result<Option<Date>> {
    let Some(value) = options.value(name)? else {
        return Ok(None);
    };
    let wrong = || invalid(name, "is no Date, or none that has a place in a search");
    let date = value.dyn_into::<js_sys::Date>().map_err(|_| wrong())?;
    let year = u16::try_from(date.get_full_year()).map_err(|_| wrong())?;
    let (month, day) = (date.get_month() as u8 + 1, date.get_date() as u8);
    Date::new(year, month, day).map(Some).map_err(|_| wrong())
}

/// The number of a change: a bigint.
pub(super) fn modseq(name: &str, options: &Options<'_>) -> Result<Option<u64>> {
    let Some(value) = options.value(name)? else {
        return Ok(None);
    };
    let number = u64::try_from(value);
    number
        .map(Some)
        .map_err(|_| invalid(name, "is no bigint, or too large"))
}

/// A whole number of 32 bits.
pub(super) fn whole(name: &str, number: f64) -> Result<u32> {
    if number.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(&number) {
        #[expect(clippy::cast_sign_loss, reason = "it was just seen to be in range")]
        return Ok(number as u32);
    }
    Err(invalid(name, "is no whole number from 0 to 4294967295"))
}

/// `by`: keys to sort by, each perhaps with a `-` before it, for the highest first.
pub(super) fn order(options: &Options<'_>) -> Result<SortOrder> {
    let wrong = || invalid("by", "is not one of the keys, or empty");
    let mut order: Option<SortOrder> = None;
    for key in options.texts("by")? {
        let (name, is_reversed) = match key.strip_prefix('-') {
            Some(name) => (name, true),
            None => (&*key, false),
        };
        let by = match name {
            "arrival" => SortBy::Arrival,
            "cc" => SortBy::Cc,
            "date" => SortBy::Date,
            "from" => SortBy::From,
            "displayFrom" => SortBy::DisplayFrom,
            "size" => SortBy::Size,
            "subject" => SortBy::Subject,
            "to" => SortBy::To,
            "displayTo" => SortBy::DisplayTo,
            _ => return Err(wrong()),
        };
        let next = match order {
            Some(order) => order.then(by),
            None => SortOrder::by(by),
        };
        order = Some(if is_reversed { next.reversed() } else { next });
    }
    order.ok_or_else(wrong)
}

/// `by`: how messages become conversations.
pub(super) fn threading(options: &Options<'_>) -> Result<Threading> {
    match options.text("by")?.as_deref() {
        None | Some("references") => Ok(Threading::References),
        Some("subject") => Ok(Threading::OrderedSubject),
        Some(_) => Err(invalid("by", "is neither references nor subject")),
    }
}

//! Responses that may be used again (RFC 7252, section 5.6).

use std::collections::HashMap;
use std::time::Duration;

use jackfield_socket::time::Instant;

use super::observe::max_age;
use crate::codec::{Code, Message, OptionNumber};

/// How many responses are kept, however small they are.
const MAX_ENTRIES: usize = 1024;

/// Complete responses to GET and FETCH, for as long as they are fresh; beyond that, for as long as
/// there is room and the server may say that they still hold.
///
/// It holds up to a number of bytes. Beyond it, what was used least recently goes; a response
/// that is larger than all of it is not kept.
#[derive(Debug)]
pub(crate) struct Cache {
    limit: usize,
    used: usize,
    clock: u64,
    entries: HashMap<Vec<u8>, Entry>,
}

#[derive(Debug)]
struct Entry {
    response: Message,
    fresh_until: Instant,
    size: usize,
    last_used: u64,
    /// The key of what it is about, whatever the method and the other options.
    resource: Vec<u8>,
}

/// What a cache knows about a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Cached {
    /// A response that is fresh.
    Fresh(Box<Message>),
    /// One that is not, with an entity-tag by which the server can say that it still holds.
    Stale(Vec<u8>),
    /// Nothing.
    Nothing,
}

impl Cache {
    /// A cache of this many bytes: payloads, and what it takes to find them.
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            limit,
            used: 0,
            clock: 0,
            entries: HashMap::new(),
        }
    }

    /// Looks for a response to a request.
    pub(crate) fn look(&mut self, request: &Message, now: Instant) -> Cached {
        let Some(entry) = key(request).and_then(|key| self.entries.get_mut(&key)) else {
            return Cached::Nothing;
        };
        self.clock += 1;
        entry.last_used = self.clock;
        if now < entry.fresh_until {
            let mut response = entry.response.clone();
            // What is left of it (RFC 7252, section 5.6.1).
            let left = entry.fresh_until.saturating_duration_since(now).as_secs();
            response.set_max_age(u32::try_from(left).unwrap_or(u32::MAX));
            return Cached::Fresh(Box::new(response));
        }
        match entry.response.etags().next() {
            Some(etag) => Cached::Stale(etag.to_vec()),
            None => Cached::Nothing,
        }
    }

    /// Takes a request's complete response: keeps it if it may be used again, and drops what is no
    /// longer true.
    pub(crate) fn take(&mut self, request: &Message, response: &Message, now: Instant) {
        if !matches!(request.code(), Code::GET | Code::FETCH) {
            // RFC 7252, section 5.9.1: what was stored of that resource is not fresh any more.
            if response.code().is_success() {
                let resource = resource(request);
                self.remove_where(|entry| entry.resource == resource);
            }
            return;
        }
        let Some(key) = key(request) else { return };
        if response.code() != Code::CONTENT || response.options().contains(OptionNumber::OBSERVE) {
            return;
        }
        let age = max_age(response);
        self.remove(&key);
        // Without time and without an entity-tag, it can never be used.
        if age.is_zero() && response.etags().next().is_none() {
            return;
        }
        let resource = resource(request);
        let size = size_of(&key, response) + resource.len();
        if size > self.limit {
            return;
        }
        while self.used + size > self.limit || self.entries.len() >= MAX_ENTRIES {
            let oldest = self.entries.iter().min_by_key(|(_, entry)| entry.last_used);
            let Some(oldest) = oldest.map(|(key, _)| key.clone()) else {
                return;
            };
            self.remove(&oldest);
        }
        self.clock += 1;
        self.used += size;
        let entry = Entry {
            response: response.clone(),
            fresh_until: until(now, age),
            size,
            last_used: self.clock,
            resource,
        };
        self.entries.insert(key, entry);
    }

    /// A server said 2.03 Valid: what is stored for the request is fresh again, and is the
    /// response (RFC 7252, section 5.9.1.3). `None` where the entity-tag is another one's.
    pub(crate) fn revalidate(
        &mut self,
        request: &Message,
        valid: &Message,
        now: Instant,
    ) -> Option<Message> {
        let entry = self.entries.get_mut(&key(request)?)?;
        let etag = valid.etags().next()?;
        if entry.response.etags().next() != Some(etag) {
            return None;
        }
        let age = max_age(valid);
        entry.fresh_until = until(now, age);
        let seconds = u32::try_from(age.as_secs()).unwrap_or(u32::MAX);
        entry.response.set_max_age(seconds);
        Some(entry.response.clone())
    }

    fn remove(&mut self, key: &[u8]) {
        if let Some(entry) = self.entries.remove(key) {
            self.used -= entry.size;
        }
    }

    fn remove_where(&mut self, fits: impl Fn(&Entry) -> bool) {
        let used = &mut self.used;
        self.entries.retain(|_, entry| {
            let goes = fits(entry);
            if goes {
                *used -= entry.size;
            }
            !goes
        });
    }
}

fn until(now: Instant, age: Duration) -> Instant {
    // The longest Max-Age is 136 years, which some clocks can't count.
    now.checked_add(age).unwrap_or(now)
}

fn size_of(key: &[u8], response: &Message) -> usize {
    let options: usize = response.options().iter().map(|(_, it)| it.len() + 4).sum();
    key.len() + options + response.payload.len()
}

/// What two requests must have in common for one's response to be the other's (RFC 7252, section
/// 5.6; RFC 8132, section 2.3.2): the method, the options but those that are no part of it, and for
/// FETCH the payload. `None` for what can't be cached.
///
/// Block-wise and ETag options are no part of it: what is stored is whole (RFC 7959, section 2.10).
fn key(request: &Message) -> Option<Vec<u8>> {
    let code = request.code();
    if !matches!(code, Code::GET | Code::FETCH) {
        return None;
    }
    let options = request.options();
    let is_key = |number: OptionNumber| {
        !number.is_no_cache_key()
            && !matches!(
                number,
                OptionNumber::BLOCK1
                    | OptionNumber::BLOCK2
                    | OptionNumber::ETAG
                    | OptionNumber::ECHO
                    | OptionNumber::REQUEST_TAG
                    | OptionNumber::NO_RESPONSE
            )
    };
    if options.contains(OptionNumber::OBSERVE) {
        return None;
    }
    let mut key = vec![code.to_byte()];
    push_options(&mut key, request, is_key);
    if code == Code::FETCH {
        // Behind the last option; 0xffff is no option's number here.
        key.extend_from_slice(&[0xff, 0xff]);
        key.extend_from_slice(&request.payload);
    }
    Some(key)
}

/// What a request is about.
fn resource(request: &Message) -> Vec<u8> {
    let mut key = Vec::new();
    push_options(&mut key, request, |number| {
        matches!(
            number,
            OptionNumber::URI_HOST
                | OptionNumber::URI_PORT
                | OptionNumber::URI_PATH
                | OptionNumber::URI_QUERY
                | OptionNumber::PROXY_URI
                | OptionNumber::PROXY_SCHEME
        )
    });
    key
}

fn push_options(key: &mut Vec<u8>, request: &Message, is_key: impl Fn(OptionNumber) -> bool) {
    for (number, value) in request.options() {
        if is_key(number) {
            key.extend_from_slice(&number.0.to_be_bytes());
            key.extend_from_slice(&(value.len() as u32).to_be_bytes());
            key.extend_from_slice(value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(path: &str) -> Message {
        request(Code::GET, path)
    }

    fn request(code: Code, path: &str) -> Message {
        let mut request = Message::new(code);
        let options = request.options_mut();
        options
            .add_text(OptionNumber::URI_PATH, path)
            .expect("a segment");
        request
    }

    fn content(payload: &[u8], etag: Option<&[u8]>, age: Option<u32>) -> Message {
        let mut response = Message::new(Code::CONTENT);
        response.payload = payload.to_vec().into();
        if let Some(etag) = etag {
            let options = response.options_mut();
            options
                .add(OptionNumber::ETAG, etag)
                .expect("an entity-tag");
        }
        if let Some(age) = age {
            response.set_max_age(age);
        }
        response
    }

    fn fresh(cache: &mut Cache, request: &Message, now: Instant) -> Option<Vec<u8>> {
        match cache.look(request, now) {
            Cached::Fresh(response) => Some(response.payload.into()),
            _ => None,
        }
    }

    #[test]
    fn a_response_is_fresh_for_its_max_age() {
        let now = Instant::now();
        let mut cache = Cache::new(10_000);
        cache.take(&get("a"), &content(b"1", None, None), now);
        let after = |seconds| now + Duration::from_secs(seconds);
        assert_eq!(fresh(&mut cache, &get("a"), after(59)), Some(b"1".to_vec()));
        assert_eq!(fresh(&mut cache, &get("b"), now), None);
        assert_eq!(cache.look(&get("a"), after(60)), Cached::Nothing);
        let Cached::Fresh(response) = cache.look(&get("a"), after(20)) else {
            panic!("it is fresh");
        };
        assert_eq!(response.max_age(), Some(40));
    }

    #[test]
    fn an_entity_tag_makes_it_fresh_again() {
        let now = Instant::now();
        let later = now + Duration::from_secs(10);
        let mut cache = Cache::new(10_000);
        cache.take(&get("a"), &content(b"1", Some(b"t"), Some(5)), now);
        assert_eq!(cache.look(&get("a"), later), Cached::Stale(b"t".to_vec()));
        let mut valid = content(b"", Some(b"other"), Some(7));
        valid.set_code(Code::VALID);
        assert_eq!(cache.revalidate(&get("a"), &valid, later), None);
        let mut valid = content(b"", Some(b"t"), Some(7));
        valid.set_code(Code::VALID);
        let response = cache
            .revalidate(&get("a"), &valid, later)
            .expect("it holds");
        assert_eq!(
            (&response.payload[..], response.max_age()),
            (&b"1"[..], Some(7))
        );
        let then = later + Duration::from_secs(6);
        assert_eq!(fresh(&mut cache, &get("a"), then), Some(b"1".to_vec()));
    }

    #[test]
    fn requests_that_differ_have_responses_of_their_own() {
        let now = Instant::now();
        let mut cache = Cache::new(10_000);
        cache.take(&get("a"), &content(b"1", None, None), now);
        let mut json = get("a");
        json.set_accept(crate::codec::ContentFormat::JSON);
        assert_eq!(fresh(&mut cache, &json, now), None);
        let mut one = request(Code::FETCH, "a");
        one.payload = "one".into();
        cache.take(&one, &content(b"2", None, None), now);
        assert_eq!(fresh(&mut cache, &one, now), Some(b"2".to_vec()));
        one.payload = "two".into();
        assert_eq!(fresh(&mut cache, &one, now), None);
    }

    #[test]
    fn a_change_makes_it_stale() {
        let now = Instant::now();
        let mut cache = Cache::new(10_000);
        for path in ["a", "b"] {
            cache.take(&get(path), &content(b"1", None, None), now);
        }
        let changed = Message::new(Code::CHANGED);
        cache.take(&request(Code::PUT, "a"), &changed, now);
        assert_eq!(fresh(&mut cache, &get("a"), now), None);
        assert_eq!(fresh(&mut cache, &get("b"), now), Some(b"1".to_vec()));
    }

    #[test]
    fn it_holds_no_more_than_its_limit() {
        let now = Instant::now();
        let mut cache = Cache::new(300);
        for path in ["a", "b", "c", "d"] {
            cache.take(&get(path), &content(&[0; 80], None, None), now);
            assert!(cache.used <= 300);
            assert!(fresh(&mut cache, &get("a"), now).is_some(), "it is in use");
        }
        assert_eq!(fresh(&mut cache, &get("b"), now), None);
        cache.take(&get("e"), &content(&[0; 301], None, None), now);
        assert_eq!(fresh(&mut cache, &get("e"), now), None);
        cache.remove_where(|_| true);
        assert_eq!(cache.used, 0);
    }

    #[test]
    fn the_longest_max_age_is_a_time_too() {
        let now = Instant::now();
        let mut cache = Cache::new(1000);
        cache.take(&get("a"), &content(b"1", None, Some(u32::MAX)), now);
        assert!(fresh(&mut cache, &get("a"), now).is_some());
    }
}

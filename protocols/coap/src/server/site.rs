//! All resources of a server, whoever asks for them by whatever carrier.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::{Reply, Resource, ServerConfig};
use crate::codec::{Code, ContentFormat, InvalidUri, Link, Links, Message, OptionNumber, Target};

/// The options of requests that are understood here (RFC 7252, section 5.4.1).
const KNOWN_IN_REQUESTS: [OptionNumber; 10] = [
    OptionNumber::IF_MATCH,
    OptionNumber::URI_HOST,
    OptionNumber::IF_NONE_MATCH,
    OptionNumber::URI_PORT,
    OptionNumber::URI_PATH,
    OptionNumber::URI_QUERY,
    OptionNumber::ACCEPT,
    OptionNumber::BLOCK1,
    OptionNumber::BLOCK2,
    OptionNumber::CONTENT_FORMAT,
];

/// The resources of a server. Clones are the same site.
#[derive(Clone)]
pub struct Site {
    resources: Arc<Mutex<BTreeMap<Vec<String>, Resource>>>,
    /// The paths that changed, by the number of changes: so handlers can tell of one while they
    /// are called.
    changes: Arc<Mutex<BTreeMap<Vec<String>, u64>>>,
    wake: watch::Sender<u64>,
    pub(super) config: Arc<ServerConfig>,
}

impl Site {
    /// A site without resources.
    pub fn new(config: ServerConfig) -> Self {
        Self {
            resources: Arc::default(),
            changes: Arc::default(),
            wake: watch::Sender::new(0),
            config: Arc::new(config),
        }
    }

    /// Adds a resource, or puts it in the place of the one that is there.
    ///
    /// # Errors
    /// Where the text is no path.
    pub fn add(&self, path: &str, resource: Resource) -> Result<(), InvalidUri> {
        let target: Target = path.parse()?;
        lock(&self.resources).insert(target.path().to_vec(), resource);
        Ok(())
    }

    /// Removes a resource; whoever observes it is told that it is gone.
    pub fn remove(&self, path: &str) {
        if let Ok(target) = path.parse::<Target>() {
            lock(&self.resources).remove(target.path());
            self.changed(path);
        }
    }

    /// Says that a resource has changed, so that whoever observes it is told what it has become.
    /// Changes in quick succession may be told as one.
    pub fn changed(&self, path: &str) {
        let Ok(target) = path.parse::<Target>() else {
            return;
        };
        let mut changes = lock(&self.changes);
        *changes.entry(target.path().to_vec()).or_default() += 1;
        drop(changes);
        self.wake
            .send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Wakes whoever serves, after each change.
    pub(super) fn watch(&self) -> watch::Receiver<u64> {
        self.wake.subscribe()
    }

    /// How often a resource has changed.
    pub(super) fn version(&self, path: &[String]) -> u64 {
        lock(&self.changes).get(path).copied().unwrap_or_default()
    }

    pub(super) fn is_observable(&self, path: &[String]) -> bool {
        let resources = lock(&self.resources);
        resources.get(path).is_some_and(Resource::is_observable)
    }

    /// The reply to a request with its whole body.
    pub(super) fn reply(&self, request: &Message) -> Reply {
        let options = request.options();
        if options.contains(OptionNumber::PROXY_URI) || options.contains(OptionNumber::PROXY_SCHEME)
        {
            return Reply::error(Code::PROXYING_NOT_SUPPORTED, "this is no proxy");
        }
        let knows = |number| KNOWN_IN_REQUESTS.contains(&number);
        if let Some(number) = options.first_unacceptable(knows) {
            return Reply::error(Code::BAD_OPTION, &number.to_string());
        }
        let path = path_of(request);
        if path == [".well-known", "core"] {
            return match request.code() {
                Code::GET => self.links(request),
                _ => Reply::error(Code::METHOD_NOT_ALLOWED, ""),
            };
        }
        let mut resources = lock(&self.resources);
        let Some(resource) = resources.get_mut(&path) else {
            return Reply::error(Code::NOT_FOUND, "");
        };
        if let Some(refusal) = refuse(resource, request) {
            return refusal;
        }
        let reply = resource.reply(request);
        judge(request, reply)
    }

    fn links(&self, request: &Message) -> Reply {
        let resources = lock(&self.resources);
        let links: Links = resources
            .iter()
            .filter_map(|(path, resource)| resource.link(&to_text(path)).ok())
            .filter(|link| request.uri_query().all(|filter| fits(link, filter)))
            .collect();
        let reply = Reply::content(links.to_string(), ContentFormat::LINK_FORMAT);
        judge(request, reply)
    }
}

impl fmt::Debug for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let resources = lock(&self.resources);
        f.debug_map()
            .entries(resources.iter().map(|(path, it)| (to_text(path), it)))
            .finish()
    }
}

pub(super) fn path_of(request: &Message) -> Vec<String> {
    request.uri_path().map(str::to_owned).collect()
}

/// Whether the conditions of a request hold (RFC 7252, section 5.10.8).
fn refuse(resource: &mut Resource, request: &Message) -> Option<Reply> {
    let options = request.options();
    let if_match: Vec<&[u8]> = options.get_all(OptionNumber::IF_MATCH).collect();
    let if_none_match = options.contains(OptionNumber::IF_NONE_MATCH);
    if if_match.is_empty() && !if_none_match {
        return None;
    }
    let current = resource.reply(&Message::new(Code::GET)).message;
    let exists = current.code().is_success();
    let etag = current.etags().next();
    let matches = if_match
        .iter()
        .any(|wanted| exists && (wanted.is_empty() || Some(*wanted) == etag));
    let holds = (if_match.is_empty() || matches) && !(if_none_match && exists);
    (!holds).then(|| Reply::new(Code::PRECONDITION_FAILED))
}

/// What of a reply the request does not want: another format, or what it has already.
fn judge(request: &Message, mut reply: Reply) -> Reply {
    if reply.message.code() != Code::CONTENT {
        return reply;
    }
    let accept = request.accept();
    if accept.is_some() && accept != reply.message.content_format() {
        return Reply::new(Code::NOT_ACCEPTABLE);
    }
    let etag = reply.message.etags().next();
    if etag.is_some() && request.etags().any(|held| Some(held) == etag) {
        reply.message.set_code(Code::VALID);
        reply.message.payload.clear();
        let options = reply.message.options_mut();
        options.remove(OptionNumber::CONTENT_FORMAT);
    }
    reply
}

/// Whether a link is asked for (RFC 6690, section 4.1): `rt=light`, `href=/a*`.
fn fits(link: &Link, filter: &str) -> bool {
    let Some((name, wanted)) = filter.split_once('=') else {
        return link.has(filter);
    };
    let is_wanted = |value: &str| match wanted.strip_suffix('*') {
        Some(beginning) => value.starts_with(beginning),
        None => value == wanted,
    };
    match name {
        "href" => is_wanted(link.target()),
        // A list of words, one of which is to fit.
        "rt" | "if" | "rel" | "ct" => {
            let words = link.get(name).unwrap_or_default();
            words.split_ascii_whitespace().any(is_wanted)
        }
        _ => link.get(name).is_some_and(is_wanted),
    }
}

fn to_text(path: &[String]) -> String {
    let add = |target: Target, segment: &String| target.with_segment(segment.as_str());
    let target = path.iter().try_fold(Target::default(), add);
    target.unwrap_or_default().to_string()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

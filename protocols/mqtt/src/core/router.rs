//! The router: which filters match a topic, when there are many.

use std::fmt;

use jackfield_socket::sorted::SortedMap;

use crate::codec::{TopicFilter, TopicName};

/// Finds the keys of all filters that match a topic, without looking at each filter.
///
/// A filter may have several keys, and a key several filters. Of a shared subscription's filter, the
/// part behind `$share/NAME/` counts, as topics know nothing of the share.
///
/// ```
/// use jackfield_mqtt::core::Router;
///
/// let mut router = Router::new(100);
/// router.insert(&"house/+/light".parse()?, "lights")?;
/// router.insert(&"house/#".parse()?, "all")?;
/// let mut found = router.matches(&"house/attic/light".parse()?);
/// found.sort_unstable();
/// assert_eq!(found, ["all", "lights"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Router<K> {
    /// A tree whose edges are levels. In one vector, so that a filter of many thousand levels needs
    /// no recursion.
    nodes: Vec<Node<K>>,
    free: Vec<usize>,
    len: usize,
    limit: usize,
}

#[derive(Clone, Debug)]
struct Node<K> {
    children: SortedMap<Box<str>, usize>,
    /// Behind `+`.
    any: Option<usize>,
    /// Of filters that end here.
    here: Vec<K>,
    /// Of filters that end here with `#`.
    rest: Vec<K>,
}

impl<K> Node<K> {
    fn new() -> Self {
        Self {
            children: SortedMap::new(),
            any: None,
            here: Vec::new(),
            rest: Vec::new(),
        }
    }

    fn is_empty(&self) -> bool {
        self.children.is_empty()
            && self.any.is_none()
            && self.here.is_empty()
            && self.rest.is_empty()
    }

    fn child(&self, level: &str) -> Option<usize> {
        match level {
            "+" => self.any,
            level => self.children.get(level).copied(),
        }
    }
}

const ROOT: usize = 0;

impl<K: Clone + Eq> Router<K> {
    /// A router with room for so many pairs of filter and key.
    pub fn new(limit: usize) -> Self {
        Self {
            nodes: vec![Node::new()],
            free: Vec::new(),
            len: 0,
            limit,
        }
    }

    /// How many pairs of filter and key it holds.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Adds a key to a filter. One that it has already is not added again.
    ///
    /// # Errors
    /// [`RouterFull`], where it holds as many as it was made for.
    pub fn insert(&mut self, filter: &TopicFilter, key: K) -> Result<(), RouterFull> {
        if self.len >= self.limit {
            return Err(RouterFull(()));
        }
        let (levels, rest) = split(filter);
        let mut at = ROOT;
        for level in levels {
            at = match self.nodes[at].child(level) {
                Some(child) => child,
                None => self.add(at, level),
            };
        }
        let node = &mut self.nodes[at];
        let keys = if rest { &mut node.rest } else { &mut node.here };
        if !keys.contains(&key) {
            keys.push(key);
            self.len += 1;
        }
        Ok(())
    }

    fn add(&mut self, at: usize, level: &str) -> usize {
        let child = self.free.pop().unwrap_or_else(|| {
            self.nodes.push(Node::new());
            self.nodes.len() - 1
        });
        match level {
            "+" => self.nodes[at].any = Some(child),
            level => {
                self.nodes[at].children.insert(level.into(), child);
            }
        }
        child
    }

    /// Removes a key from a filter; whether it was there.
    pub fn remove(&mut self, filter: &TopicFilter, key: &K) -> bool {
        let (levels, rest) = split(filter);
        let mut path = Vec::new();
        let mut at = ROOT;
        for level in levels {
            let Some(child) = self.nodes[at].child(level) else {
                return false;
            };
            path.push((at, level));
            at = child;
        }
        let node = &mut self.nodes[at];
        let keys = if rest { &mut node.rest } else { &mut node.here };
        let Some(found) = keys.iter().position(|known| known == key) else {
            return false;
        };
        keys.swap_remove(found);
        self.len -= 1;
        for (parent, level) in path.into_iter().rev() {
            if !self.nodes[at].is_empty() {
                break;
            }
            self.free.push(at);
            match level {
                "+" => self.nodes[parent].any = None,
                level => {
                    self.nodes[parent].children.remove(level);
                }
            }
            at = parent;
        }
        true
    }

    /// The keys of all filters that match, each once for each filter, in no order.
    pub fn matches(&self, topic: &TopicName) -> Vec<K> {
        let mut found = Vec::new();
        // MQTT 5, section 4.7.2: a wildcard in front means no topic that begins with `$`.
        let mut is_special = topic.starts_with('$');
        let mut active = vec![ROOT];
        let mut next = Vec::new();
        for level in topic.split('/') {
            for at in active.drain(..) {
                let node = &self.nodes[at];
                next.extend(node.children.get(level));
                if !is_special {
                    next.extend(node.any);
                    found.extend_from_slice(&node.rest);
                }
            }
            is_special = false;
            std::mem::swap(&mut active, &mut next);
            if active.is_empty() {
                return found;
            }
        }
        for at in active {
            let node = &self.nodes[at];
            found.extend_from_slice(&node.here);
            // `sport/#` means `sport`, too.
            found.extend_from_slice(&node.rest);
        }
        found
    }
}

/// A filter's levels, and whether `#` follows them.
fn split(filter: &TopicFilter) -> (Vec<&str>, bool) {
    let mut levels: Vec<_> = filter.without_share().split('/').collect();
    let rest = levels.last() == Some(&"#");
    if rest {
        levels.pop();
    }
    (levels, rest)
}

/// A [`Router`] holds as many pairs as it was made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RouterFull(());

impl fmt::Display for RouterFull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("too many topic filters")
    }
}

impl std::error::Error for RouterFull {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_finds_what_the_filters_match() {
        let mut random = fastrand::Rng::with_seed(7);
        let level = |random: &mut fastrand::Rng, wild: bool| {
            let levels = ["a", "b", "", "$x", "+", "+"];
            levels[random.usize(..if wild { 6 } else { 4 })]
        };
        for _ in 0..300 {
            let mut router = Router::new(usize::MAX);
            let mut filters = Vec::new();
            for key in 0..random.usize(1..30) {
                let count = random.usize(1..5);
                let mut text: Vec<_> = (0..count).map(|_| level(&mut random, true)).collect();
                if random.u8(..3) == 0 {
                    text.push("#");
                }
                let text = text.join("/");
                let text = if random.u8(..5) == 0 {
                    format!("$share/s/{text}")
                } else {
                    text
                };
                let Ok(filter) = TopicFilter::new(text) else {
                    continue;
                };
                router.insert(&filter, key).expect("room");
                filters.push((filter, key));
            }
            for _ in 0..30 {
                if random.u8(..4) == 0 && !filters.is_empty() {
                    let (filter, key) = filters.swap_remove(random.usize(..filters.len()));
                    assert!(router.remove(&filter, &key));
                    assert!(!router.remove(&filter, &key));
                }
                let count = random.usize(1..5);
                let text: Vec<_> = (0..count).map(|_| level(&mut random, false)).collect();
                let Ok(topic) = TopicName::new(text.join("/")) else {
                    continue;
                };
                let mut found = router.matches(&topic);
                found.sort_unstable();
                let mut wanted: Vec<_> = filters
                    .iter()
                    .filter(|(filter, _)| filter.matches(&topic))
                    .map(|(_, key)| *key)
                    .collect();
                wanted.sort_unstable();
                assert_eq!(found, wanted, "{topic} in {filters:?}");
            }
            assert_eq!(router.len(), filters.len());
            for (filter, key) in filters {
                router.remove(&filter, &key);
            }
            assert_eq!(router.free.len() + 1, router.nodes.len(), "nodes are left");
        }
    }

    #[test]
    fn it_has_a_bound_and_takes_the_deepest_filter() {
        let mut router = Router::new(1);
        let filter = TopicFilter::new("/".repeat(65_535)).expect("a filter");
        router.insert(&filter, 1).expect("room");
        assert_eq!(
            router.matches(&TopicName::new("/".repeat(65_535)).expect("a topic")),
            [1]
        );
        assert!(router.insert(&filter, 2).is_err());
    }
}

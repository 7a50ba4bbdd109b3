//! A map in the order of its keys, for keys that mostly grow.
//!
//! What is under way has an id that counts up, and mostly ends in the order in which it began: a queue
//! that is searched by halves does that without a tree's nodes, which would be allocated and freed for
//! each request, and is less to download in a page.

use std::collections::VecDeque;

/// Values by keys, in the order of the keys. To insert or remove one in the middle moves what lies on the
/// shorter side of it; the first and the last are free.
#[derive(Debug)]
pub(crate) struct SortedMap<K, V>(VecDeque<(K, V)>);

impl<K, V> Default for SortedMap<K, V> {
    fn default() -> Self {
        Self(VecDeque::new())
    }
}

impl<K: Copy + Ord, V> SortedMap<K, V> {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// Where a key is, or else belongs.
    fn find(&self, key: &K) -> Result<usize, usize> {
        match self.0.back() {
            // Where most are inserted.
            Some((last, _)) if last < key => Err(self.0.len()),
            _ => self.0.binary_search_by_key(key, |(other, _)| *other),
        }
    }

    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        let at = self.find(key).ok()?;
        self.0.get(at).map(|(_, value)| value)
    }

    pub(crate) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        let at = self.find(key).ok()?;
        self.0.get_mut(at).map(|(_, value)| value)
    }

    /// Sets a key's value; gives the one that it had.
    pub(crate) fn insert(&mut self, key: K, value: V) -> Option<V> {
        match self.find(&key) {
            Ok(at) => {
                let (_, old) = self.0.get_mut(at)?;
                Some(std::mem::replace(old, value))
            }
            Err(at) => {
                self.0.insert(at, (key, value));
                None
            }
        }
    }

    pub(crate) fn remove(&mut self, key: &K) -> Option<V> {
        let at = self.find(key).ok()?;
        self.0.remove(at).map(|(_, value)| value)
    }

    pub(crate) fn first_key(&self) -> Option<K> {
        self.0.front().map(|(key, _)| *key)
    }

    pub(crate) fn pop_first(&mut self) -> Option<(K, V)> {
        self.0.pop_front()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.0.iter().map(|(key, value)| (key, value))
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = &K> {
        self.0.iter().map(|(key, _)| key)
    }

    pub(crate) fn values(&self) -> impl Iterator<Item = &V> {
        self.0.iter().map(|(_, value)| value)
    }

    /// Keeps those for which this is true.
    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&K, &V) -> bool) {
        self.0.retain(|(key, value)| keep(key, value));
    }
}

impl<K, V> IntoIterator for SortedMap<K, V> {
    type Item = (K, V);
    type IntoIter = std::collections::vec_deque::IntoIter<(K, V)>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn it_does_what_a_tree_does() {
        let mut random = fastrand::Rng::with_seed(7);
        let (mut ours, mut tree) = (SortedMap::new(), BTreeMap::new());
        for step in 0..10_000_u32 {
            let key = random.u16(..64);
            match random.u8(..4) {
                0 => assert_eq!(ours.remove(&key), tree.remove(&key)),
                1 => assert_eq!(ours.get(&key), tree.get(&key)),
                2 if step % 7 == 0 => assert_eq!(ours.pop_first(), tree.pop_first()),
                3 if step % 97 == 0 => {
                    ours.retain(|key, _| key % 3 != 0);
                    tree.retain(|key, _| key % 3 != 0);
                }
                _ => assert_eq!(ours.insert(key, step), tree.insert(key, step)),
            }
            assert_eq!(ours.len(), tree.len());
            assert!(ours.iter().eq(tree.iter()));
            assert_eq!(ours.first_key().as_ref(), tree.keys().next());
        }
    }
}

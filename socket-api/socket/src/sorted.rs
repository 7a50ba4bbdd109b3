//! Sorted maps and sets: what cores keep by numbers and names, in the order of these.
//!
//! The standard library has maps that are faster, and each kind of key and value brings some eight
//! kilobytes of them into what a page downloads. These bring one. Keys are unique and in order, so
//! that nothing depends on chance, and no choice of keys makes one slow: to find, to put in or to take
//! out looks at a few dozen entries, and moves no more than a hundred, as long as there are no more
//! than some hundred thousand. Beyond that it grows with the number of entries, slowly.
//!
//! ```
//! use jackfield_socket::sorted::SortedMap;
//!
//! let mut waiting = SortedMap::new();
//! waiting.insert(7, "seven");
//! waiting.insert(3, "three");
//! assert_eq!(waiting.remove(&7), Some("seven"));
//! assert_eq!(waiting.pop_first(), Some((3, "three")));
//! assert!(waiting.is_empty());
//! ```

use std::borrow::Borrow;
use std::fmt;
use std::mem;
use std::ops::Index;

/// How many entries stand in one piece.
const PIECE: usize = 64;

/// Values by their keys, in the order of the keys.
///
/// Two levels: pieces of up to 64 entries, each sorted, and none of them empty.
#[derive(Clone, PartialEq, Eq)]
pub struct SortedMap<K, V> {
    pieces: Vec<Vec<(K, V)>>,
    len: usize,
}

/// Where a key stands: its piece, and its place there or the place where it would be.
type Place = (usize, Result<usize, usize>);

impl<K: Ord, V> SortedMap<K, V> {
    /// An empty map, which has allocated nothing.
    pub const fn new() -> Self {
        Self {
            pieces: Vec::new(),
            len: 0,
        }
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    fn place<Q: Ord + ?Sized>(&self, key: &Q) -> Place
    where
        K: Borrow<Q>,
    {
        // The last piece that doesn't begin behind the key.
        let behind = self.pieces.partition_point(|piece| {
            piece
                .first()
                .is_some_and(|(first, _)| first.borrow() <= key)
        });
        let at = behind.saturating_sub(1);
        let place = self.pieces.get(at).map_or(Err(0), |piece| {
            piece.binary_search_by(|(known, _)| known.borrow().cmp(key))
        });
        (at, place)
    }

    /// The value of a key.
    pub fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        let (_, value) = self.get_key_value(key)?;
        Some(value)
    }

    /// The entry of a key: with the key as it stands in the map.
    pub fn get_key_value<Q: Ord + ?Sized>(&self, key: &Q) -> Option<(&K, &V)>
    where
        K: Borrow<Q>,
    {
        let (at, place) = self.place(key);
        let (key, value) = self.pieces.get(at)?.get(place.ok()?)?;
        Some((key, value))
    }

    /// The value of a key, to be changed.
    pub fn get_mut<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        let (at, place) = self.place(key);
        let (_, value) = self.pieces.get_mut(at)?.get_mut(place.ok()?)?;
        Some(value)
    }

    /// Whether there is such a key.
    pub fn contains_key<Q: Ord + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.get_key_value(key).is_some()
    }

    /// Gives a key a value; the one that it had.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        let (mut at, place) = self.place(&key);
        let mut index = match place {
            Ok(index) => {
                let (_, old) = self.pieces.get_mut(at)?.get_mut(index)?;
                return Some(mem::replace(old, value));
            }
            Err(index) => index,
        };
        self.len += 1;
        let pieces = self.pieces.len();
        let Some(piece) = self.pieces.get_mut(at) else {
            self.pieces.push(vec![(key, value)]);
            return None;
        };
        if piece.len() >= PIECE {
            // What comes in order fills its pieces.
            let half = if at + 1 == pieces && index == piece.len() {
                index
            } else {
                PIECE / 2
            };
            let rest = piece.split_off(half);
            self.pieces.insert(at + 1, rest);
            if index >= half && half > 0 {
                (at, index) = (at + 1, index - half);
            }
        }
        if let Some(piece) = self.pieces.get_mut(at) {
            piece.insert(index, (key, value));
        }
        None
    }

    /// The value of a key, which gets this one where it has none.
    pub fn get_or_insert_with(&mut self, key: &K, value: impl FnOnce() -> V) -> &mut V
    where
        K: Clone,
    {
        if !self.contains_key(key) {
            self.insert(key.clone(), value());
        }
        self.get_mut(key).expect("it has one now")
    }

    /// Takes a key out; the value that it had.
    pub fn remove<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        match self.place(key) {
            (at, Ok(index)) => self.take(at, index).map(|(_, value)| value),
            (_, Err(_)) => None,
        }
    }

    /// Takes the smallest key out.
    pub fn pop_first(&mut self) -> Option<(K, V)> {
        self.take(0, 0)
    }

    /// Takes the largest key out.
    pub fn pop_last(&mut self) -> Option<(K, V)> {
        let at = self.pieces.len().checked_sub(1)?;
        let index = self.pieces.get(at)?.len().checked_sub(1)?;
        self.take(at, index)
    }

    fn take(&mut self, at: usize, index: usize) -> Option<(K, V)> {
        let piece = self.pieces.get_mut(at)?;
        if index >= piece.len() {
            return None;
        }
        let taken = piece.remove(index);
        let left = piece.len();
        self.len -= 1;
        if left == 0 {
            self.pieces.remove(at);
        } else if left < PIECE / 4 {
            self.join(at);
            self.join(at.wrapping_sub(1));
        }
        Some(taken)
    }

    /// Puts a piece and the one behind it together, where they leave room.
    fn join(&mut self, at: usize) {
        let len = |at: usize| self.pieces.get(at).map_or(PIECE, Vec::len);
        if len(at) + len(at.wrapping_add(1)) > PIECE / 2 {
            return;
        }
        let behind = self.pieces.remove(at + 1);
        if let Some(piece) = self.pieces.get_mut(at) {
            piece.extend(behind);
        }
    }

    /// The smallest key, and its value.
    pub fn first_key_value(&self) -> Option<(&K, &V)> {
        self.iter().next()
    }

    /// The largest key, and its value.
    pub fn last_key_value(&self) -> Option<(&K, &V)> {
        let (key, value) = self.pieces.last()?.last()?;
        Some((key, value))
    }

    /// All entries.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.pieces
            .iter()
            .flatten()
            .map(|(key, value)| (key, value))
    }

    /// All entries; their values may be changed.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (&K, &mut V)> {
        let entries = self.pieces.iter_mut().flatten();
        entries.map(|(key, value)| (&*key, value))
    }

    /// All keys.
    pub fn keys(&self) -> impl Iterator<Item = &K> {
        self.pieces.iter().flatten().map(|(key, _)| key)
    }

    /// All values, in the order of their keys.
    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.pieces.iter().flatten().map(|(_, value)| value)
    }

    /// All values, in the order of their keys, to be changed.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.pieces.iter_mut().flatten().map(|(_, value)| value)
    }

    /// Keeps those entries of which this is true.
    pub fn retain(&mut self, mut keep: impl FnMut(&K, &mut V) -> bool) {
        for piece in &mut self.pieces {
            piece.retain_mut(|(key, value)| keep(key, value));
        }
        self.pieces.retain(|piece| !piece.is_empty());
        self.len = self.pieces.iter().map(Vec::len).sum();
    }

    /// Takes everything out.
    pub fn clear(&mut self) {
        self.pieces.clear();
        self.len = 0;
    }
}

impl<K: Ord, V> Default for SortedMap<K, V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: fmt::Debug, V: fmt::Debug> fmt::Debug for SortedMap<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entries = self.pieces.iter().flatten();
        f.debug_map()
            .entries(entries.map(|(key, value)| (key, value)))
            .finish()
    }
}

/// Panics, as other maps do, where there is no such key.
impl<K: Ord + Borrow<Q>, V, Q: Ord + ?Sized> Index<&Q> for SortedMap<K, V> {
    type Output = V;

    fn index(&self, key: &Q) -> &V {
        self.get(key).expect("no entry has this key")
    }
}

impl<K, V> IntoIterator for SortedMap<K, V> {
    type Item = (K, V);
    type IntoIter = std::iter::Flatten<std::vec::IntoIter<Vec<(K, V)>>>;

    fn into_iter(self) -> Self::IntoIter {
        self.pieces.into_iter().flatten()
    }
}

impl<'a, K, V> IntoIterator for &'a SortedMap<K, V> {
    type Item = (&'a K, &'a V);
    type IntoIter = std::iter::Map<
        std::iter::Flatten<std::slice::Iter<'a, Vec<(K, V)>>>,
        fn(&'a (K, V)) -> (&'a K, &'a V),
    >;

    fn into_iter(self) -> Self::IntoIter {
        self.pieces
            .iter()
            .flatten()
            .map(|(key, value)| (key, value))
    }
}

impl<K: Ord, V> Extend<(K, V)> for SortedMap<K, V> {
    fn extend<T: IntoIterator<Item = (K, V)>>(&mut self, entries: T) {
        for (key, value) in entries {
            self.insert(key, value);
        }
    }
}

impl<K: Ord, V> FromIterator<(K, V)> for SortedMap<K, V> {
    fn from_iter<T: IntoIterator<Item = (K, V)>>(entries: T) -> Self {
        let mut map = Self::new();
        map.extend(entries);
        map
    }
}

impl<K: Ord, V, const N: usize> From<[(K, V); N]> for SortedMap<K, V> {
    fn from(entries: [(K, V); N]) -> Self {
        entries.into_iter().collect()
    }
}

/// Keys in their order.
#[derive(Clone, PartialEq, Eq)]
pub struct SortedSet<K>(SortedMap<K, ()>);

impl<K: Ord> SortedSet<K> {
    /// An empty set, which has allocated nothing.
    pub const fn new() -> Self {
        Self(SortedMap::new())
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether this one is among them.
    pub fn contains<Q: Ord + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.0.contains_key(key)
    }

    /// Puts one in; whether it is new.
    pub fn insert(&mut self, key: K) -> bool {
        self.0.insert(key, ()).is_none()
    }

    /// Takes one out; whether it was there.
    pub fn remove<Q: Ord + ?Sized>(&mut self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.0.remove(key).is_some()
    }

    /// Takes the smallest out.
    pub fn pop_first(&mut self) -> Option<K> {
        self.0.pop_first().map(|(key, ())| key)
    }

    /// Takes the largest out.
    pub fn pop_last(&mut self) -> Option<K> {
        self.0.pop_last().map(|(key, ())| key)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &K> {
        self.0.keys()
    }

    /// Keeps those of which this is true.
    pub fn retain(&mut self, mut keep: impl FnMut(&K) -> bool) {
        self.0.retain(|key, ()| keep(key));
    }

    /// Takes everything out.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}

impl<K: Ord> Default for SortedSet<K> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: Ord + fmt::Debug> fmt::Debug for SortedSet<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

impl<K: Ord> Extend<K> for SortedSet<K> {
    fn extend<T: IntoIterator<Item = K>>(&mut self, keys: T) {
        self.0.extend(keys.into_iter().map(|key| (key, ())));
    }
}

impl<K: Ord> FromIterator<K> for SortedSet<K> {
    fn from_iter<T: IntoIterator<Item = K>>(keys: T) -> Self {
        let mut set = Self::new();
        set.extend(keys);
        set
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// What the pieces have to be, beside what the map says.
    fn check(map: &SortedMap<u16, u32>, model: &BTreeMap<u16, u32>) {
        assert!(map.iter().eq(model.iter()));
        assert_eq!(map.len(), model.len());
        assert_eq!(map.is_empty(), model.is_empty());
        assert_eq!(map.first_key_value(), model.first_key_value());
        assert_eq!(map.last_key_value(), model.last_key_value());
        for piece in &map.pieces {
            assert!((1..=PIECE).contains(&piece.len()));
        }
    }

    #[test]
    fn it_does_what_other_maps_do() {
        let mut random = fastrand::Rng::with_seed(1);
        for keys in [10, 300, 5000] {
            let mut map = SortedMap::new();
            let mut model = BTreeMap::new();
            for step in 0..10_000 {
                let key = random.u16(..keys);
                match random.u8(..10) {
                    0..=3 => assert_eq!(map.insert(key, step), model.insert(key, step)),
                    4..=6 => assert_eq!(map.remove(&key), model.remove(&key)),
                    7 if step % 2 == 0 => assert_eq!(map.pop_first(), model.pop_first()),
                    7 => assert_eq!(map.pop_last(), model.pop_last()),
                    8 => {
                        let value = *map.get_or_insert_with(&key, || step);
                        assert_eq!(value, *model.entry(key).or_insert(step));
                        assert_eq!(map.get_mut(&key), model.get_mut(&key));
                    }
                    _ => {
                        assert_eq!(map.get(&key), model.get(&key));
                        assert_eq!(map.contains_key(&key), model.contains_key(&key));
                    }
                }
                if step % 100 == 0 {
                    check(&map, &model);
                }
                if step % 3000 == 0 {
                    map.retain(|key, value| {
                        *value += 1;
                        key % 3 == 0
                    });
                    model.retain(|key, value| {
                        *value += 1;
                        key % 3 == 0
                    });
                    check(&map, &model);
                }
            }
            assert_eq!(map.clone(), map);
            assert!(map.into_iter().eq(model));
        }
    }

    #[test]
    fn pieces_stay_full_enough_whatever_the_order() {
        let orders: [(&str, fn(u16) -> u16); 3] = [
            ("rising", |n| n),
            ("falling", |n| u16::MAX - n),
            ("scattered", |n| n.wrapping_mul(40_503)),
        ];
        for (order, key) in orders {
            let mut map: SortedMap<_, _> = (0..u16::MAX).map(|n| (key(n), u32::from(n))).collect();
            assert_eq!(map.len(), usize::from(u16::MAX));
            let most = map.len() / (PIECE / 2) + 1;
            assert!(map.pieces.len() <= most, "{order}: {}", map.pieces.len());
            // Of many, few are left, all over the map.
            map.retain(|key, _| key % 64 != 1);
            for n in (0..=u16::MAX).filter(|n| n % 64 != 0) {
                map.remove(&n);
            }
            assert!(map.keys().all(|key| key % 64 == 0), "{order}");
            assert!(map.pieces.len() <= 128, "{order}: {}", map.pieces.len());
        }
    }

    #[test]
    fn a_set_knows_what_is_new() {
        let mut set: SortedSet<&str> = ["b", "a"].into_iter().collect();
        assert!(!set.insert("a"));
        assert!(set.insert("c"));
        assert!(set.remove("b"));
        assert!(!set.contains("b"));
        set.retain(|key| *key != "c");
        assert!(set.iter().eq(["a"].iter()));
        assert_eq!(format!("{set:?}"), r#"{"a"}"#);
        set.insert("z");
        assert_eq!((set.pop_first(), set.pop_last()), (Some("a"), Some("z")));
        assert_eq!((set.pop_first(), set.pop_last()), (None, None));
    }
}

//! A fair queue: who has a turn next, by what its turns have cost so far.
//!
//! It is weighted fair queueing (Demers, Keshav and Shenker, 1989) with equal weights: in a virtual
//! time that each one's costs make go on, whose next turn would be over first has it first. What a
//! turn will cost is not known before, so the last one's cost is taken for it. A keystroke passes all
//! bulk transfers so, however quickly one follows another, and nobody is starved: who had more than
//! its share stands behind those that had less.

use jackfield_socket::sorted::SortedMap;

/// Who waits for a turn. Nobody stands in it twice, so it is as long as there are keys at the most.
///
/// ```
/// use jackfield_relay_wire::FairQueue;
///
/// let mut queue = FairQueue::default();
/// for bulk in [1, 2] {
///     queue.wake(bulk);
///     assert_eq!(queue.next(), Some(bulk));
///     queue.charge(bulk, 65_536);
///     queue.wake(bulk);
/// }
/// for _ in 0..3 {
///     queue.wake(7);
///     assert_eq!(queue.next(), Some(7));
///     queue.charge(7, 100);
/// }
/// assert_eq!(queue.next(), Some(1));
/// ```
#[derive(Debug)]
pub struct FairQueue<K> {
    /// By when the turn would be over.
    queue: SortedMap<(u64, K), ()>,
    accounts: SortedMap<K, Account>,
    /// Where in virtual time the latest of the turns began that were had.
    now: u64,
}

/// What is known of one.
#[derive(Debug, Default)]
struct Account {
    /// Where in virtual time its last turn ended.
    end: u64,
    /// What that cost.
    cost: u32,
    /// By when its next turn would be over, if it waits for one.
    waits: Option<u64>,
}

impl Account {
    /// It waits from now on: until when, at which its next turn would be over.
    fn wait(&mut self, now: u64) -> u64 {
        let over = self.end.max(now) + u64::from(self.cost);
        self.waits = Some(over);
        over
    }
}

impl<K: Ord> Default for FairQueue<K> {
    fn default() -> Self {
        Self {
            queue: SortedMap::new(),
            accounts: SortedMap::new(),
            now: 0,
        }
    }
}

impl<K: Copy + Ord> FairQueue<K> {
    /// This one waits for a turn. One that had none for a while has no claim from that.
    pub fn wake(&mut self, key: K) {
        let account = self.accounts.get_or_insert_with(&key, Account::default);
        if account.waits.is_none() {
            let over = account.wait(self.now);
            self.queue.insert((over, key), ());
        }
    }

    /// Who would have the next turn.
    pub fn peek(&self) -> Option<K> {
        let ((_, key), ()) = self.queue.first_key_value()?;
        Some(*key)
    }

    /// Whose turn it is. [`charge`](Self::charge) says what it has cost, and a [`wake`](Self::wake)
    /// from here on counts for the one after it.
    #[expect(clippy::should_implement_trait, reason = "it goes on after `None`")]
    pub fn next(&mut self) -> Option<K> {
        let ((over, key), ()) = self.queue.pop_first()?;
        if let Some(account) = self.accounts.get_mut(&key) {
            account.waits = None;
            // Where it began: the cost is what it was when `over` was reckoned.
            account.end = over - u64::from(account.cost);
            self.now = self.now.max(account.end);
        }
        Some(key)
    }

    /// The turn that this one had has cost so much. Whoever was woken in the middle of it, and waits
    /// already, waits so much longer.
    pub fn charge(&mut self, key: K, cost: u32) {
        let Some(account) = self.accounts.get_mut(&key) else {
            return;
        };
        account.end += u64::from(cost);
        account.cost = cost;
        if let Some(before) = account.waits {
            let over = account.wait(self.now);
            self.queue.remove(&(before, key));
            self.queue.insert((over, key), ());
        }
    }

    /// This one is gone, and nothing is known of it any more.
    pub fn remove(&mut self, key: K) {
        if let Some(over) = self.accounts.remove(&key).and_then(|account| account.waits) {
            self.queue.remove(&(over, key));
        }
    }

    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Of how many something is known.
    #[cfg(any(test, feature = "oracle"))]
    pub(crate) fn len(&self) -> usize {
        self.accounts.len().max(self.queue.len())
    }

    /// All are gone.
    pub fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BULK: u32 = 65_536;
    const KEYSTROKE: u32 = 100;

    /// Has the next turn, which costs so much, and waits for another.
    fn turn(queue: &mut FairQueue<u32>, cost: impl Fn(u32) -> u32) -> u32 {
        let key = queue.next().expect("somebody's turn");
        queue.charge(key, cost(key));
        queue.wake(key);
        key
    }

    /// So many bulk transfers, each of which had a turn.
    fn bulk(count: u32) -> FairQueue<u32> {
        let mut queue = FairQueue::default();
        (0..count).for_each(|key| queue.wake(key));
        for key in 0..count {
            assert_eq!(turn(&mut queue, |_| BULK), key);
        }
        queue
    }

    #[test]
    fn keystrokes_pass_the_bulk_one_after_another() {
        let mut queue = bulk(50);
        for key in 0..20 {
            queue.wake(99);
            assert_eq!(queue.next(), Some(99));
            queue.charge(99, KEYSTROKE);
            assert_eq!(turn(&mut queue, |_| BULK), key);
        }
    }

    #[test]
    fn bulk_that_waited_a_moment_stays_behind() {
        let mut queue = bulk(2);
        assert_eq!(queue.next(), Some(0));
        // It had nothing, and its socket has something right after that.
        queue.wake(0);
        queue.wake(99);
        assert_eq!(queue.next(), Some(99));
    }

    #[test]
    fn whoever_is_woken_in_the_middle_of_a_turn_pays_for_it() {
        let mut queue = bulk(2);
        for round in 0..100 {
            let key = queue.next().expect("somebody's turn");
            assert_eq!(key, round % 2);
            queue.wake(key);
            queue.charge(key, BULK);
        }
        // A turn that costs more than the last one.
        let key = queue.next().expect("somebody's turn");
        queue.wake(key);
        queue.charge(key, 100 * BULK);
        let next: Vec<_> = (0..50).map(|_| turn(&mut queue, |_| BULK)).collect();
        assert!(!next.contains(&key), "{next:?}");
        let mut keys = Vec::new();
        while let Some(key) = queue.next() {
            keys.push(key);
        }
        assert_eq!(keys.len(), 2, "nobody stands there twice");
    }

    #[test]
    fn who_always_has_a_little_has_no_more_than_its_share() {
        let mut queue = bulk(3);
        queue.wake(99);
        let mut carried = [0; 100];
        for _ in 0..10_000 {
            let cost = |key| if key == 99 { KEYSTROKE } else { BULK };
            let key = turn(&mut queue, cost);
            carried[key as usize] += cost(key);
        }
        let most = carried.iter().max();
        let least = carried.iter().filter(|carried| **carried > 0).min();
        let apart = most.zip(least).map(|(most, least)| most - least);
        assert!(apart.is_some_and(|apart| apart <= 2 * BULK), "{carried:?}");
    }

    #[test]
    fn who_was_away_has_no_claim_from_that() {
        let mut queue = bulk(2);
        queue.wake(99);
        assert_eq!(turn(&mut queue, |_| KEYSTROKE), 99);
        assert_eq!(queue.next(), Some(99));
        for _ in 0..100 {
            turn(&mut queue, |_| BULK);
        }
        // What is bulk from now on has its turns as the others have.
        queue.wake(99);
        let turns: Vec<_> = (0..9).map(|_| turn(&mut queue, |_| BULK)).collect();
        let its = turns.iter().filter(|key| **key == 99).count();
        assert!((3..=4).contains(&its), "{turns:?}");
    }

    #[test]
    fn nobody_stands_there_twice_and_who_is_gone_not_at_all() {
        let mut queue = FairQueue::default();
        for key in [1, 1, 2] {
            queue.wake(key);
        }
        queue.remove(2);
        assert_eq!(queue.next(), Some(1));
        assert_eq!(queue.next(), None);
        assert!(queue.is_empty());
        assert_eq!(queue.len(), 1);
        queue.remove(1);
        assert_eq!(queue.len(), 0);
    }
}

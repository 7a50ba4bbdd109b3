//! What accounts count, and what they refuse.

use std::time::Duration;

use super::*;

fn token() -> Holder {
    Holder::Token("a".into())
}

fn bearer(of: &str) -> Holder {
    Holder::Bearer("a".into(), of.into())
}

fn streams(streams: u32) -> Quota {
    Quota {
        streams: Some(streams),
        ..Quota::default()
    }
}

fn dials(dials: u32) -> Quota {
    Quota {
        dials_per_second: Some(dials),
        ..Quota::default()
    }
}

fn known(accounts: &Accounts) -> usize {
    accounts.known.lock().expect("no panic").accounts.len()
}

#[test]
fn slots_come_back_when_they_are_dropped() {
    let usage = Accounts::default().usage([(token(), streams(2))]);
    let first = usage.stream().expect("one of two");
    let second = usage.stream().expect("two of two");
    let third = usage.stream().expect_err("no third");
    assert_eq!(
        third.to_string(),
        "the token's limit streams (2) is reached"
    );
    drop(first);
    let first = usage.stream().expect("one came back");
    drop((first, second));
    assert_eq!(usage.shares[0].account.held[1].load(Ordering::Relaxed), 0);
}

#[test]
fn one_bearer_leaves_the_others_what_is_theirs() {
    let accounts = Accounts::default();
    let of = |name| accounts.usage([(bearer(name), streams(2)), (token(), streams(3))]);
    let (first, second) = (of("first"), of("second"));
    let held = [first.stream(), first.stream()].map(|slot| slot.expect("two of two"));
    for _ in 0..10 {
        let refused = first.stream().expect_err("no third");
        assert_eq!(
            refused.to_string(),
            "the bearer's limit streams (2) is reached"
        );
    }
    // Whoever comes again is the same bearer.
    assert!(of("first").stream().is_err());
    let third = second.stream().expect("one is left");
    let refused = second.stream().expect_err("all three are taken");
    assert_eq!(refused.whose, Whose::Token);
    drop(held);
    // What the token refused was not counted for the bearer.
    let fourth = second.stream().expect("its second");
    drop((third, fourth));
    assert!([first, second].iter().all(|usage| {
        let held = |share: &Share| share.account.held[1].load(Ordering::Relaxed);
        usage.shares.iter().all(|share| held(share) == 0)
    }));
}

#[test]
fn a_block_of_addresses_is_counted_as_one() {
    let accounts = Accounts::default();
    let from = |text: &str| {
        let source = Holder::Source(Source::of(text.parse().expect(text)));
        accounts.usage([(source, streams(1))])
    };
    let (usage, same) = (from("2001:db8:1:2::3"), from("2001:db8:1:2:ffff::"));
    let _held = usage.stream().expect("the only one");
    assert!(same.stream().is_err() && from("2001:db8:1:3::3").stream().is_ok());
    assert_eq!(
        usage.stream().expect_err("no second").to_string(),
        "the limit of one network address, streams (1) is reached"
    );
}

#[test]
fn dials_fill_up_with_time() {
    let usage = Accounts::default().usage([(token(), dials(2))]);
    let start = Instant::now();
    assert!(usage.dial(start).is_ok());
    assert!(usage.dial(start).is_ok());
    let refused = usage.dial(start).expect_err("two at once only");
    assert_eq!(refused.name, "dials_per_second");
    let later = start + Duration::from_millis(501);
    assert!(usage.dial(later).is_ok());
    assert!(usage.dial(later).is_err());
    // However long nothing happened, no more than a second's worth is saved up.
    let much_later = start + Duration::from_mins(1);
    assert!(usage.dial(much_later).is_ok());
    assert!(usage.dial(much_later).is_ok());
    assert!(usage.dial(much_later).is_err());
}

#[test]
fn a_dial_counts_in_every_account_or_in_none() {
    let accounts = Accounts::default();
    let of = |name| accounts.usage([(bearer(name), dials(3)), (token(), dials(4))]);
    let (first, second) = (of("first"), of("second"));
    let now = Instant::now();
    let taken = |usage: &Usage| (0..20).filter(|_| usage.dial(now).is_ok()).count();
    assert_eq!((taken(&first), taken(&second)), (3, 1));
    // Of its three, the second has used one; the others were refused by the token's limit.
    let alone = accounts.usage([(bearer("second"), dials(3))]);
    assert_eq!(taken(&alone), 2);
    // At any rate: none is none.
    assert_eq!(taken(&accounts.usage([(bearer("x"), dials(0))])), 0);
}

#[test]
fn accounts_go_when_nothing_is_held_and_nothing_was_dialled_lately() {
    let accounts = Accounts::default();
    let held: Vec<_> = (0..100)
        .map(|number| accounts.usage([(bearer(&format!("held {number}")), dials(1))]))
        .collect();
    for number in 0..10_000 {
        drop(accounts.usage([(bearer(&number.to_string()), dials(1))]));
    }
    assert!(known(&accounts) <= MIN_ACCOUNTS + held.len());
    for usage in &held {
        assert!(usage.dial(Instant::now()).is_ok());
    }
    // Who has dialled is not forgotten by coming again.
    let now = Instant::now();
    for number in 0..1000 {
        let usage = accounts.usage([(bearer(&format!("dialled {number}")), dials(1))]);
        assert!(usage.dial(now).is_ok());
    }
    assert!(known(&accounts) >= 1000);
    let mut all = accounts.known.lock().expect("no panic");
    let mut clock = Clock::now();
    clock.now = now + Duration::from_secs(2);
    all.sweep(clock);
    assert_eq!(all.accounts.len(), held.len());
}

#[test]
fn accounts_have_a_bound() {
    let accounts = Accounts::default();
    let now = Instant::now();
    for number in 0..3 * MAX_ACCOUNTS as u32 {
        let holder = Holder::Source(Source::of(number.to_be_bytes().into()));
        let _ = accounts.usage([(holder, dials(1))]).dial(now);
        assert!(known(&accounts) <= MAX_ACCOUNTS);
    }
}

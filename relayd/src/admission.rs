//! Admission: whose handshake may begin, before anything is known of a client but its address.
//!
//! A connection costs its sender nothing, so that whoever wants to keep others out opens many and
//! says nothing. Three things keep the door open for the others, all of them after OpenSSH's:
//!
//! - **Early drop** ([`EarlyDrop`], `MaxStartups`): with many handshakes unfinished, each new
//!   connection has one closed with a probability that grows with their number. Which one is drawn by
//!   lot among them and the new one: whoever needs a moment for a handshake is drawn seldom, and
//!   whoever says nothing nearly always. (OpenSSH closes the new one, and so nearly everybody during
//!   a flood from everywhere.)
//! - **A bound for each source** ([`AdmissionConfig::handshakes_per_source`], `PerSourceMaxStartups`),
//!   an IPv4 address or the first 64 bits of an IPv6 address.
//! - **Penalties** (`PerSourcePenalties`): what only a hostile or broken client does adds seconds to
//!   its source. Below a threshold they do nothing; above it, the source is refused until they have
//!   passed. None is for what a page can make its visitors' browsers do. Silence is that, too: browsers open
//!   connections ahead, and to wherever a page wants. So it has a penalty only while it keeps others out.
//!
//! Sources that are [exempt](AdmissionConfig::exempt) have a lane of their own: a flood of others takes
//! nothing from them. A connection from a [proxy that is trusted](crate::proxy::ProxiesConfig) is in that lane until
//! the proxy has told for whom it is, and enters once more from there.
//!
//! This is bookkeeping: time and addresses come in, and decisions go out.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::time::{Duration, Instant};

use crate::address::Network;
use crate::source::Source;

/// Of how many sources penalties are remembered; beyond it, the oldest are forgotten.
const MAX_PENALISED: usize = 16 * 1024;

/// Whose handshake may begin.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AdmissionConfig {
    /// `handshakes`: how many handshakes may be unfinished. Exempt sources are counted by themselves.
    /// Default: `64:30:512`.
    pub handshakes: EarlyDrop,
    /// `handshakes_per_source`: how many of these may come from one source. Default: 32.
    pub handshakes_per_source: u32,
    /// `exempt`: sources without a bound and without penalties, which have the handshakes of a lane
    /// of their own. So have connections from trusted proxies, until these have told for whom they are.
    /// Default: loopback.
    pub exempt: Vec<Network>,
    /// `refuse_after_seconds`: penalties of less than this do nothing. Default: 30 s.
    pub refuse_after: Duration,
    /// `refuse_at_most_seconds`: penalties never add up to more. Default: 600 s.
    pub refuse_at_most: Duration,
    /// `late_penalty_seconds`: for a handshake that wasn't done in time; where nothing at all was said, only
    /// while so many are unfinished that others are dropped. Default: 5 s.
    pub late_penalty: Duration,
    /// `request_penalty_seconds`: for a request that is none. Default: 5 s.
    pub request_penalty: Duration,
    /// `token_penalty_seconds`: for a token that nobody has made; one that has expired is none.
    /// Default: 5 s.
    pub token_penalty: Duration,
}

impl Default for AdmissionConfig {
    fn default() -> Self {
        let penalty = Duration::from_secs(5);
        let loopback = ["127.0.0.0/8", "::1"].map(str::parse);
        Self {
            handshakes: EarlyDrop::default(),
            handshakes_per_source: 32,
            exempt: loopback.into_iter().flatten().collect(),
            refuse_after: Duration::from_secs(30),
            refuse_at_most: Duration::from_mins(10),
            late_penalty: penalty,
            request_penalty: penalty,
            token_penalty: penalty,
        }
    }
}

/// Random early drop: `START:RATE:FULL`, as OpenSSH's `MaxStartups`.
///
/// While fewer than START handshakes are unfinished, every connection may begin one. From there on each
/// has one closed, an unfinished one or itself, with a probability of RATE percent, which grows evenly
/// with the number, up to always at FULL.
///
/// ```
/// use jackfield_relayd::config::EarlyDrop;
///
/// let drop: EarlyDrop = "64:30:512".parse()?;
/// assert_eq!(drop, EarlyDrop::default());
/// assert!("10:30:5".parse::<EarlyDrop>().is_err());
/// # Ok::<(), String>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EarlyDrop {
    start: u32,
    rate: u32,
    full: u32,
}

impl Default for EarlyDrop {
    fn default() -> Self {
        Self {
            start: 64,
            rate: 30,
            full: 512,
        }
    }
}

impl EarlyDrop {
    /// How many handshakes may be unfinished at the most.
    pub fn full(&self) -> u32 {
        self.full
    }

    /// Of a million connections, how many are closed while so many handshakes are unfinished.
    fn per_million(self, unfinished: u32) -> u32 {
        const ALL: u64 = 1_000_000;
        if unfinished < self.start {
            return 0;
        }
        if unfinished >= self.full {
            return ALL as u32;
        }
        let (beyond, span) = (unfinished - self.start, self.full - self.start);
        let least = ALL * u64::from(self.rate) / 100;
        // No more than a million.
        (least + (ALL - least) * u64::from(beyond) / u64::from(span)) as u32
    }
}

impl FromStr for EarlyDrop {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || {
            format!(
                "{text:?} is not START:RATE:FULL, for example \"64:30:512\": \
                 two numbers of handshakes, the greater one last, and 1 to 100 percent between them; \
                 with 0 and 100, nobody would come in"
            )
        };
        let mut numbers = text.split(':').map(|part| {
            // `u32::from_str` would take a sign.
            (part.bytes().all(|byte| byte.is_ascii_digit()))
                .then(|| part.parse::<u32>().ok())
                .flatten()
        });
        let mut next = || numbers.next().flatten().ok_or_else(wrong);
        let (start, rate, full) = (next()?, next()?, next()?);
        let good = full > 0 && start <= full && (1..=100).contains(&rate);
        let good = good && (start, rate) != (0, 100);
        if !good || text.split(':').count() != 3 {
            return Err(wrong());
        }
        Ok(Self { start, rate, full })
    }
}

impl fmt::Display for EarlyDrop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.start, self.rate, self.full)
    }
}

/// Who is in the middle of a handshake, and who has earned what.
#[derive(Debug)]
pub(crate) struct Admission {
    config: AdmissionConfig,
    random: fastrand::Rng,
    /// Unfinished handshakes of exempt sources, and of proxies that have not told for whom they are.
    exempt: Vec<Pass>,
    /// Unfinished handshakes of all others.
    others: Vec<Pass>,
    /// The latter, of each source that has any.
    of_source: HashMap<Source, u32>,
    /// Of how many handshakes the numbers are used.
    numbers: u64,
    /// Whose lot it was to give way, and who hasn't been told.
    given_way: Option<u64>,
    penalties: HashMap<Source, Penalty>,
    /// The sources that have penalties, in the order in which they got their first.
    penalised: VecDeque<Source>,
}

#[derive(Clone, Copy, Debug)]
struct Penalty {
    /// When it has passed.
    until: Instant,
    /// Whether it is above the threshold, and so refuses the source until then.
    refuses: bool,
}

/// A handshake that may begin. It is given back by [`Admission::leave`], unless it had to give way.
#[derive(Clone, Copy, Debug)]
#[must_use = "a handshake that is not given back counts until it gives way"]
pub(crate) struct Pass {
    /// Its number, which no other has.
    pub(crate) number: u64,
    /// Where it comes from, unless that is exempt or not told yet.
    source: Option<Source>,
}

/// What earns a penalty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The handshake was begun, and not done in time.
    Late,
    /// Nothing came in time.
    Silent,
    /// What came is no request.
    Request,
    /// Nobody has made its token.
    Token,
}

/// Why no handshake may begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Turned {
    /// Too many are unfinished.
    Early,
    /// Too many of this source are.
    SourceFull,
    /// The source has earned it.
    Penalised,
}

impl Turned {
    /// Why, in words.
    pub(crate) const fn text(self) -> &'static str {
        match self {
            Self::Early => "too many handshakes are unfinished",
            Self::SourceFull => "too many handshakes of its source are unfinished",
            Self::Penalised => "its source has failed too often",
        }
    }
}

impl fmt::Display for Turned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl Admission {
    pub(crate) fn new(config: AdmissionConfig, random: fastrand::Rng) -> Self {
        Self {
            config,
            random,
            exempt: Vec::new(),
            others: Vec::new(),
            of_source: HashMap::new(),
            numbers: 0,
            given_way: None,
            penalties: HashMap::new(),
            penalised: VecDeque::new(),
        }
    }

    /// Whether a connection from this address may begin its handshake.
    pub(crate) fn enter(&mut self, address: IpAddr, now: Instant) -> Result<Pass, Turned> {
        let address = address.to_canonical();
        let exempt = self.config.exempt.iter().any(|net| net.contains(address));
        let source = (!exempt).then(|| Source::of(address));
        let of_source = source.map_or(0, |source| {
            self.of_source.get(&source).copied().unwrap_or(0)
        });
        if source.is_some_and(|source| self.refuses(source, now)) {
            return Err(Turned::Penalised);
        }
        if of_source >= self.config.handshakes_per_source {
            return Err(Turned::SourceFull);
        }
        self.begin(source)
    }

    /// Whether a connection may begin its handshake from a proxy that has yet to tell for whom it is.
    pub(crate) fn enter_untold(&mut self) -> Result<Pass, Turned> {
        self.begin(None)
    }

    /// Takes a place, unless it is the connection's lot to be dropped early. Where it is another's,
    /// [`given_way`](Self::given_way) has that one.
    fn begin(&mut self, source: Option<Source>) -> Result<Pass, Turned> {
        let unfinished = self.lane(source).len();
        let full = self.config.handshakes.per_million(unfinished as u32);
        if self.random.u32(..1_000_000) < full {
            let lot = self.random.usize(..=unfinished);
            let Some(pass) = self.lane(source).get(lot).copied() else {
                return Err(Turned::Early);
            };
            self.leave(&pass);
            self.given_way = Some(pass.number);
        }
        self.numbers += 1;
        let pass = Pass {
            number: self.numbers,
            source,
        };
        self.lane(source).push(pass);
        if let Some(source) = source {
            *self.of_source.entry(source).or_default() += 1;
        }
        Ok(pass)
    }

    /// Where such a source's handshakes stand. There are never more than FULL of them.
    fn lane(&mut self, source: Option<Source>) -> &mut Vec<Pass> {
        match source {
            None => &mut self.exempt,
            Some(_) => &mut self.others,
        }
    }

    /// Whose handshake had to give way to the one that has begun last: it is left already.
    pub(crate) fn given_way(&mut self) -> Option<u64> {
        self.given_way.take()
    }

    /// The handshake is done, or has failed. Whether it had not given way before.
    pub(crate) fn leave(&mut self, pass: &Pass) -> bool {
        let lane = self.lane(pass.source);
        let Some(place) = lane.iter().position(|other| other.number == pass.number) else {
            return false;
        };
        let _ = lane.swap_remove(place);
        if let Some(source) = pass.source
            && let Some(count) = self.of_source.get_mut(&source)
        {
            *count -= 1;
            if *count == 0 {
                self.of_source.remove(&source);
            }
        }
        true
    }

    /// Adds a penalty to whoever has this pass. Whether its source is refused from now on, and was
    /// not before.
    pub(crate) fn penalise(&mut self, pass: &Pass, fault: Fault, now: Instant) -> bool {
        let Some(source) = pass.source else {
            return false;
        };
        let config = &self.config;
        let more = match fault {
            // Who has the pass is among the others still.
            Fault::Silent if self.others.len() <= config.handshakes.start as usize => return false,
            Fault::Late | Fault::Silent => config.late_penalty,
            Fault::Request => config.request_penalty,
            Fault::Token => config.token_penalty,
        };
        let (threshold, most) = (config.refuse_after, config.refuse_at_most);
        if more.is_zero() || most.is_zero() {
            return false;
        }
        self.forget(now);
        let penalty = self.penalties.entry(source).or_insert_with(|| {
            self.penalised.push_back(source);
            Penalty {
                until: now,
                refuses: false,
            }
        });
        if penalty.until <= now {
            penalty.refuses = false;
        }
        penalty.until = (penalty.until.max(now) + more).min(now + most);
        let refused = penalty.refuses;
        penalty.refuses |= penalty.until - now > threshold;
        penalty.refuses && !refused
    }

    fn refuses(&self, source: Source, now: Instant) -> bool {
        let penalty = self.penalties.get(&source);
        penalty.is_some_and(|penalty| penalty.refuses && now < penalty.until)
    }

    /// Forgets penalties that have passed, and makes room for another.
    fn forget(&mut self, now: Instant) {
        while let Some(oldest) = self.penalised.front() {
            let passed = (self.penalties.get(oldest)).is_none_or(|penalty| penalty.until <= now);
            if !passed && self.penalised.len() < MAX_PENALISED {
                return;
            }
            self.penalties.remove(oldest);
            self.penalised.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;

    fn admission(change: impl FnOnce(&mut AdmissionConfig)) -> Admission {
        let mut config = AdmissionConfig::default();
        change(&mut config);
        Admission::new(config, fastrand::Rng::with_seed(7))
    }

    fn v4(number: u32) -> IpAddr {
        Ipv4Addr::from_bits(0xc000_0000 + number).into()
    }

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn connections_are_dropped_at_random_and_the_more_the_more_are_unfinished() {
        let drop: EarlyDrop = "10:30:100".parse().expect("valid");
        assert_eq!(drop.per_million(9), 0);
        assert_eq!(drop.per_million(10), 300_000);
        assert_eq!(drop.per_million(55), 650_000);
        assert_eq!(drop.per_million(100), 1_000_000);
        assert_eq!(drop.per_million(u32::MAX), 1_000_000);
        let always: EarlyDrop = "5:100:5".parse().expect("valid");
        assert_eq!(
            (always.per_million(4), always.per_million(5)),
            (0, 1_000_000)
        );
    }

    #[test]
    fn early_drop_is_written_as_openssh_has_it() {
        for good in ["64:30:512", "0:1:1", "5:100:5"] {
            assert_eq!(good.parse::<EarlyDrop>().expect(good).to_string(), good);
        }
        for bad in [
            "",
            "64",
            "64:30",
            "64:30:512:1",
            "512:30:64",
            "64:0:512",
            "64:101:512",
            "0:30:0",
            "0:100:5",
            "+1:30:5",
            "a:b:c",
            "64:30:99999999999",
        ] {
            assert!(bad.parse::<EarlyDrop>().is_err(), "{bad:?}");
        }
    }

    /// The flood never stops, and its handshakes never end by themselves.
    #[test]
    fn a_client_gets_in_during_a_flood_from_everywhere() {
        let now = Instant::now();
        let mut admission = admission(|_| {});
        let mut flood = (0..).map(v4);
        let mut wave = |admission: &mut Admission, size| {
            for address in flood.by_ref().take(size) {
                let _ = admission.enter(address, now);
            }
        };
        wave(&mut admission, 2000);
        let mut honest = 0;
        for _ in 0..1000 {
            // It needs as long as fifty of the flood need to come.
            let pass = admission.enter(v4(u32::MAX >> 8), now);
            wave(&mut admission, 50);
            honest += i32::from(pass.is_ok_and(|pass| admission.leave(&pass)));
        }
        let full = EarlyDrop::default().full() as usize;
        assert!(admission.others.len() <= full);
        assert!(honest > 800, "{honest} of 1000");
    }

    #[test]
    fn who_gives_way_is_told_and_counts_no_more() {
        let now = Instant::now();
        let mut admission =
            admission(|config| config.handshakes = "2:100:2".parse().expect("valid"));
        let mut passes: Vec<Pass> = Vec::new();
        let mut refused = 0;
        for number in 0..100 {
            match admission.enter(v4(number), now) {
                Ok(pass) => passes.push(pass),
                Err(turned) => {
                    assert_eq!(turned, Turned::Early);
                    assert_eq!(admission.given_way(), None);
                    refused += 1;
                }
            }
            if let Some(gone) = admission.given_way() {
                let at = passes.iter().position(|pass| pass.number == gone);
                let gone = passes.swap_remove(at.expect("one of those"));
                assert!(!admission.leave(&gone), "it has left");
            }
            assert!(passes.len() <= 2 && admission.of_source.len() == passes.len());
        }
        assert!(
            (10..60).contains(&refused),
            "its lot is one of three: {refused}"
        );
        for pass in &passes {
            assert!(admission.leave(pass));
        }
        assert!(admission.of_source.is_empty() && admission.others.is_empty());
    }

    #[test]
    fn a_source_has_so_many_and_no_more() {
        let now = Instant::now();
        let mut admission = admission(|config| config.handshakes_per_source = 3);
        let block = |host: u64| -> IpAddr {
            Ipv6Addr::from_bits(0x2001_0db8 << 96 | u128::from(host)).into()
        };
        let mut passes: Vec<_> = (0..3)
            .map(|host| admission.enter(block(host), now).expect("one of three"))
            .collect();
        let fourth = admission.enter(block(77), now);
        assert_eq!(fourth.expect_err("no fourth"), Turned::SourceFull);
        let other = admission.enter(v4(1), now).expect("another source");
        admission.leave(&passes.pop().expect("a pass"));
        passes.push(admission.enter(block(77), now).expect("it came back"));
        passes.push(other);
        for pass in &passes {
            admission.leave(pass);
        }
        assert!(admission.of_source.is_empty() && admission.others.is_empty());
    }

    #[test]
    fn an_exempt_source_has_a_lane_of_its_own() {
        let now = Instant::now();
        let mut admission =
            admission(|config| config.handshakes = "4:100:4".parse().expect("valid"));
        for number in 0..100 {
            let _ = admission.enter(v4(number), now);
        }
        assert_eq!(admission.others.len(), 4);
        for proxy in ["127.0.0.1", "::1", "::ffff:127.0.0.9"] {
            let pass = admission
                .enter(proxy.parse().expect(proxy), now)
                .expect(proxy);
            for _ in 0..100 {
                assert!(!admission.penalise(&pass, Fault::Token, now));
            }
            admission.leave(&pass);
        }
        for _ in 0..100 {
            let _ = admission.enter(Ipv4Addr::LOCALHOST.into(), now);
        }
        assert_eq!(admission.exempt.len(), 4, "which is bounded too");
    }

    #[test]
    fn penalties_add_up_refuse_and_pass() {
        let start = Instant::now();
        let mut admission = admission(|_| {});
        let penalise = |admission: &mut Admission, now| {
            let pass = admission.enter(v4(1), now).expect("not refused yet");
            let refused = admission.penalise(&pass, Fault::Token, now);
            admission.leave(&pass);
            refused
        };
        for _ in 0..6 {
            assert!(
                !penalise(&mut admission, start),
                "30 s is no more than 30 s"
            );
        }
        assert!(penalise(&mut admission, start), "35 s is");
        let refused = |admission: &mut Admission, now| match admission.enter(v4(1), now) {
            Ok(pass) => {
                admission.leave(&pass);
                false
            }
            Err(turned) => {
                assert_eq!(turned, Turned::Penalised);
                true
            }
        };
        // Once refused, until all of it has passed.
        assert!(refused(&mut admission, start + 34 * SECOND));
        assert!(!refused(&mut admission, start + 35 * SECOND));
        // From nothing again.
        assert!(!penalise(&mut admission, start + 36 * SECOND));
        let pass = admission.enter(v4(2), start).expect("another source");
        for _ in 0..1000 {
            admission.penalise(&pass, Fault::Late, start);
        }
        admission.leave(&pass);
        assert!(admission.enter(v4(2), start + 599 * SECOND).is_err());
        let after = admission.enter(v4(2), start + 600 * SECOND);
        admission.leave(&after.expect("ten minutes at the most"));
    }

    #[test]
    fn silence_is_a_fault_only_while_it_keeps_others_out() {
        let now = Instant::now();
        let mut admission = admission(|config| config.refuse_after = Duration::ZERO);
        let silent: Vec<_> = (0..64).flat_map(|n| admission.enter(v4(n), now)).collect();
        for pass in &silent {
            assert!(!admission.penalise(pass, Fault::Silent, now));
        }
        for number in 64.. {
            let _ = admission.enter(v4(number), now);
            if admission.others.len() > 64 {
                break;
            }
        }
        for pass in &silent {
            assert!(admission.penalise(pass, Fault::Silent, now));
        }
    }

    #[test]
    fn what_passes_between_faults_counts() {
        let start = Instant::now();
        let mut admission = admission(|_| {});
        let pass = admission
            .enter(v4(1), start)
            .expect("nothing was wrong yet");
        for second in 0..10_000 {
            // One every six seconds, of five each: nobody is refused for that.
            let refused = admission.penalise(&pass, Fault::Late, start + 6 * second * SECOND);
            assert!(!refused);
        }
    }

    #[test]
    fn penalties_are_remembered_of_so_many_sources_and_no_more() {
        let start = Instant::now();
        let mut admission = admission(|config| config.refuse_after = Duration::ZERO);
        for number in 0..3 * MAX_PENALISED as u32 {
            let pass = admission.enter(v4(number), start).expect("new");
            assert!(admission.penalise(&pass, Fault::Request, start));
            admission.leave(&pass);
        }
        assert_eq!(admission.penalties.len(), MAX_PENALISED);
        assert_eq!(admission.penalised.len(), MAX_PENALISED);
        let oldest = admission.enter(v4(0), start).expect("forgotten");
        admission.leave(&oldest);
        assert!(
            admission
                .enter(v4(3 * MAX_PENALISED as u32 - 1), start)
                .is_err()
        );
        // Those that have passed go without another's coming in their place.
        let later = start + 3600 * SECOND;
        let pass = admission.enter(v4(0), later).expect("passed");
        admission.penalise(&pass, Fault::Late, later);
        admission.leave(&pass);
        assert_eq!(
            (admission.penalties.len(), admission.penalised.len()),
            (1, 1)
        );
    }
}

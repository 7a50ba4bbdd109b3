//! The shaper: it says when to write how much, so that Chrome loses none of it.
//!
//! A page's bytes go to the network process through a pipe that holds 64 KiB. Chromium 156 drops a
//! `write()` which starts while that pipe is exactly full: it takes "wait" for "all written", and
//! the promise resolves at once. Otherwise a write is accepted at once where all of it fits, and
//! later, in a task of its own, where it doesn't. From this follows:
//!
//! - **A chunk larger than the pipe can't fit.** Where its write is accepted at once, it was dropped,
//!   whole: nothing else is possible. It can be sent again.
//! - A smaller chunk tells nothing: it may have fitted, or been dropped. It is safe only where
//!   the pipe isn't full, which can't be seen, but mostly be known: little has been written since
//!   the pipe had time to drain, at the rate at which it drained last. Until then it waits, and may
//!   grow into a larger one. So a program that goes on writing makes one small write after each
//!   large one, and hardly more.
//! - A peer that stalls for longer leaves the pipe full, but seldom to the byte, if large chunks
//!   don't end at round places.
//!
//! The first rule rests on the pipe's size, so that isn't assumed but proven: when a stream's first
//! write that doesn't fit comes, all that the stream has ever written is more than the pipe
//! holds. A later Chrome with a larger pipe then proves a larger bound, or none, and nothing is
//! sent twice.

use std::time::Duration;

use jackfield_socket::time::Instant;

/// What Chromium's pipe holds, in bytes.
pub(crate) const PIPE: usize = 64 * 1024;
/// The largest chunk, in bytes. A prime: chunks that end at multiples of the pipe's size find it
/// exactly full again and again.
pub(crate) const LARGEST_CHUNK: usize = 262_139;
/// A large chunk doesn't end at a multiple of this, in bytes, but before it: where a program writes
/// in round sizes, the network process takes round amounts, and the pipe may be exactly full.
const ROUND: u64 = 512;
const BEFORE_ROUND: usize = 61;
/// The largest chunk until the pipe's size is proven, in bytes: the smaller what was written before
/// the first write that doesn't fit, the better the proof.
const FIRST_CHUNK: usize = 79_999;
/// How long the network process is given at least to drain a pipe that may be full, and at the most.
const SHORTEST_PAUSE: Duration = Duration::from_millis(3);
const LONGEST_PAUSE: Duration = Duration::from_millis(250);
/// How long it is given at least before the socket is closed. On a busy machine it may be that long
/// until it gets a turn.
const LAST_PAUSE: Duration = Duration::from_millis(100);
/// How long a full pipe is presumed to need where nothing was measured. Small writes that come faster
/// than that are gathered into large ones: 640 kB/s is the limit.
const PRESUMED_DRAIN: Duration = Duration::from_millis(100);

/// What is known of the pipe's size. It is the same for all streams, so they share it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Capacity {
    /// A number of bytes that is proven to be more than the pipe holds.
    exceeded_by: Option<usize>,
}

/// One stream's pipe, as far as it can be known.
#[derive(Debug, Default)]
pub(crate) struct Shaper {
    /// All bytes ever written.
    total: u64,
    /// Whether a write has ever had to wait.
    has_waited: bool,
    /// What may still be in the pipe, when the last write ended.
    recent: usize,
    /// How long the pipe is given after a write, where its rate was measured.
    pause: Option<Duration>,
    /// The longest of these.
    longest: Duration,
    /// When the last write ended.
    last: Option<Instant>,
}

/// What to do with what is queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Write so many bytes of it: all, but for the last few of what is large.
    Write(usize),
    /// Ask again at this time, or when more is queued.
    Wait(Instant),
}

/// What became of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It is in the pipe, as far as can be known.
    Accepted,
    /// All of it was dropped.
    Lost,
}

impl Capacity {
    /// The largest chunk for now, in bytes.
    pub(crate) fn largest_chunk(self) -> usize {
        match self.exceeded_by {
            Some(_) => LARGEST_CHUNK,
            None => FIRST_CHUNK,
        }
    }

    fn is_exceeded_by(self, len: usize) -> bool {
        self.exceeded_by.is_some_and(|proven| len >= proven)
    }
}

impl Shaper {
    /// Whether to write what is queued now.
    pub(crate) fn next(&mut self, queued: usize, capacity: Capacity, now: Instant) -> Step {
        let Some(last) = self.last else {
            return Step::Write(queued);
        };
        let is_round = (self.total + queued as u64).is_multiple_of(ROUND);
        let large = queued.saturating_sub(if is_round { BEFORE_ROUND } else { 0 });
        let loss_would_show = match capacity.exceeded_by {
            Some(_) => capacity.is_exceeded_by(large),
            None => large > PIPE,
        };
        if loss_would_show {
            return Step::Write(large);
        }
        let wait = self.pause.unwrap_or_else(|| {
            let too_many = (self.recent + queued + 1).saturating_sub(PIPE);
            drain(too_many.min(self.recent))
        });
        let room_at = last + wait;
        if room_at <= now {
            Step::Write(queued)
        } else {
            Step::Wait(room_at)
        }
    }

    /// Takes note of a write that began and ended at these times, and of whether it was accepted
    /// `at_once`: without a task in between.
    pub(crate) fn wrote(
        &mut self,
        len: usize,
        at_once: bool,
        (began, now): (Instant, Instant),
        capacity: &mut Capacity,
    ) -> Outcome {
        let since = self
            .last
            .map_or(Duration::MAX, |last| began.saturating_duration_since(last));
        self.last = Some(now);
        if at_once && capacity.is_exceeded_by(len) {
            self.recent = PIPE;
            return Outcome::Lost;
        }
        self.total += len as u64;
        if at_once {
            // A pipe that drained slowly may be nearly full still, and gets one small write at a
            // time until it has had several pauses.
            let slow = self.pause.filter(|pause| *pause > SHORTEST_PAUSE);
            let left = self.recent.saturating_sub(drained(since));
            self.recent = (left + len).min(PIPE);
            self.pause = slow.map(|pause| (pause / 2).max(SHORTEST_PAUSE));
        } else {
            self.recent = PIPE;
            // Twice as long as it would take to empty the pipe at the rate of this write.
            let full = (now - began) * (2 * PIPE) as u32 / len.max(1) as u32;
            let pause = full.clamp(SHORTEST_PAUSE, LONGEST_PAUSE);
            self.pause = Some(pause);
            self.longest = self.longest.max(pause);
            if !self.has_waited {
                self.has_waited = true;
                let proven = usize::try_from(self.total).unwrap_or(usize::MAX);
                // What is more than a chunk proves nothing about any.
                if proven <= LARGEST_CHUNK {
                    let best = capacity.exceeded_by.map_or(proven, |best| best.min(proven));
                    capacity.exceeded_by = Some(best);
                }
            }
        }
        Outcome::Accepted
    }

    /// How long what has been written is given to leave the pipe before the socket is closed, which
    /// throws away the rest: 100 ms, and up to 2 s where the pipe has ever drained slowly.
    pub(crate) fn last_pause(&self) -> Duration {
        if self.total == 0 {
            return Duration::ZERO;
        }
        LAST_PAUSE.max(self.longest * 8)
    }
}

/// How long so many bytes are presumed to need to leave the pipe.
fn drain(bytes: usize) -> Duration {
    PRESUMED_DRAIN * bytes as u32 / PIPE as u32
}

/// How many bytes are presumed to leave the pipe in this time.
fn drained(time: Duration) -> usize {
    // Not by 128 bits, whose division is long in a page.
    let time = time.min(PRESUMED_DRAIN).as_micros() as u64;
    (time * PIPE as u64 / PRESUMED_DRAIN.as_micros() as u64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAUSE: Duration = SHORTEST_PAUSE;

    /// Chromium's pipe, with its fault.
    struct Pipe {
        size: usize,
        held: usize,
        delivered: u64,
    }

    impl Pipe {
        fn new(size: usize) -> Self {
            Self {
                size,
                held: 0,
                delivered: 0,
            }
        }

        fn take(&mut self, len: usize) {
            let len = len.min(self.held);
            self.held -= len;
            self.delivered += len as u64;
        }

        /// Writes as Chromium does, and says whether it was accepted at once. `take` is how much the
        /// network process takes at a time while the write waits.
        fn write(&mut self, len: usize, faulty: bool, mut take: impl FnMut() -> usize) -> bool {
            if self.held == self.size && faulty {
                return true;
            }
            let mut left = len;
            let mut at_once = true;
            loop {
                let fits = left.min(self.size - self.held);
                self.held += fits;
                left -= fits;
                if left == 0 {
                    return at_once;
                }
                at_once = false;
                self.take(take());
            }
        }
    }

    /// Writes chunks as the writer does, and returns how many bytes it believes to be on their way.
    fn send(
        pipe: &mut Pipe,
        faulty: bool,
        chunks: impl IntoIterator<Item = usize>,
        mut take: impl FnMut() -> usize,
    ) -> u64 {
        let mut shaper = Shaper::default();
        let mut capacity = Capacity::default();
        let mut now = Instant::now();
        let mut sent = 0;
        for chunk in chunks {
            let mut chunk = chunk.min(capacity.largest_chunk());
            loop {
                match shaper.next(chunk, capacity, now) {
                    Step::Write(len) => chunk = len,
                    Step::Wait(until) => {
                        // What the module calls a pause: something is taken meanwhile.
                        now = until;
                        pipe.take(take().max(1));
                    }
                }
                let at_once = pipe.write(chunk, faulty, &mut take);
                match shaper.wrote(chunk, at_once, (now, now), &mut capacity) {
                    Outcome::Accepted => break,
                    Outcome::Lost => {
                        now += PAUSE;
                        pipe.take(take());
                    }
                }
            }
            sent += chunk as u64;
        }
        pipe.take(usize::MAX);
        sent
    }

    #[test]
    fn large_chunks_arrive_whole_however_the_pipe_drains() {
        for seed in 0..200 {
            let mut random = fastrand::Rng::with_seed(seed);
            // Amounts that make chunks end where the pipe is full, as well as any others.
            let amounts = [1, 4096, 16 * 1024, PIPE - 1, PIPE, random.usize(1..PIPE)];
            let mut takes = random.fork();
            let mut pipe = Pipe::new(PIPE);
            let chunks = (0..500).map(|_| match random.u8(0..3) {
                0 => 2 * PIPE,
                1 => LARGEST_CHUNK,
                _ => random.usize(FIRST_CHUNK..=LARGEST_CHUNK),
            });
            let sent = send(&mut pipe, true, chunks, || {
                *takes.choice(&amounts).expect("some")
            });
            assert_eq!(pipe.delivered, sent, "seed {seed}");
        }
    }

    /// A program that writes 8,192 bytes each 4 ms, to a peer whose window closes for a second now
    /// and then: the network process takes all there is each millisecond, or nothing.
    #[test]
    fn round_writes_to_a_peer_that_stalls_arrive_whole() {
        const WRITTEN: usize = 8192;
        for seed in 0..20 {
            let mut random = fastrand::Rng::with_seed(seed);
            let mut pipe = Pipe::new(PIPE);
            let mut shaper = Shaper::default();
            let mut capacity = Capacity::default();
            let began = Instant::now();
            let (mut queued, mut sent) = (0, 0);
            let (mut retry_at, mut chunk) = (0, 0);
            let mut stalled = 0;
            for millisecond in 0..60_000 {
                let now = began + Duration::from_millis(millisecond);
                if stalled > 0 {
                    stalled -= 1;
                } else if random.u16(0..500) == 0 {
                    stalled = 1000;
                    // What the kernel takes last.
                    pipe.take(WRITTEN * random.usize(0..8));
                } else {
                    pipe.take(usize::MAX);
                }
                if millisecond % 4 == 0 && queued + WRITTEN <= LARGEST_CHUNK {
                    queued += WRITTEN;
                }
                if chunk == 0 && queued > 0 {
                    match shaper.next(queued, capacity, now) {
                        Step::Write(len) => {
                            chunk = len;
                            queued -= len;
                            retry_at = millisecond;
                        }
                        Step::Wait(until) => assert!(until > now),
                    }
                }
                if chunk > 0 && millisecond >= retry_at {
                    let mut waited = 0;
                    let at_once = pipe.write(chunk, true, || {
                        waited = std::mem::take(&mut stalled);
                        PIPE
                    });
                    let ended = now + Duration::from_millis(waited);
                    match shaper.wrote(chunk, at_once, (now, ended), &mut capacity) {
                        Outcome::Accepted => sent += std::mem::take(&mut chunk) as u64,
                        Outcome::Lost => retry_at = millisecond + 4,
                    }
                }
            }
            pipe.take(usize::MAX);
            assert_eq!(pipe.delivered, sent, "seed {seed}");
        }
    }

    #[test]
    fn large_chunks_do_not_end_at_round_places() {
        let mut shaper = Shaper::default();
        let mut capacity = Capacity::default();
        let now = Instant::now();
        shaper.wrote(131_072, false, (now, now), &mut capacity);
        // The rest waits with what comes next.
        let short = Step::Write(131_072 + 512 - BEFORE_ROUND);
        assert_eq!(shaper.next(131_072 + 512, capacity, now), short);
        // Without it, a loss would not show.
        let waits = Step::Wait(now + PAUSE);
        assert_eq!(shaper.next(131_072, capacity, now), waits);
    }

    #[test]
    fn small_writes_after_large_ones_wait_for_a_pause() {
        let mut shaper = Shaper::default();
        let mut capacity = Capacity::default();
        let now = Instant::now();
        assert_eq!(shaper.next(100, capacity, now), Step::Write(100));
        shaper.wrote(100, true, (now, now), &mut capacity);
        shaper.wrote(100_000, false, (now, now), &mut capacity);
        assert_eq!(capacity.exceeded_by, Some(100_100));
        assert_eq!(shaper.next(100, capacity, now), Step::Wait(now + PAUSE));
        // As much as can be seen to be lost needs no pause.
        assert_eq!(shaper.next(100_100, capacity, now), Step::Write(100_100));
        assert_eq!(shaper.next(100, capacity, now + PAUSE), Step::Write(100));
    }

    #[test]
    fn a_pipe_that_drains_slowly_gets_small_writes_seldom() {
        let mut shaper = Shaper::default();
        let mut capacity = Capacity::default();
        let began = Instant::now();
        let now = began + Duration::from_millis(20);
        shaper.wrote(PIPE - 1024, true, (began, began), &mut capacity);
        shaper.wrote(4096, false, (began, now), &mut capacity);
        let next = now + LONGEST_PAUSE;
        assert_eq!(shaper.next(4096, capacity, now), Step::Wait(next));
        assert_eq!(shaper.next(4096, capacity, next), Step::Write(4096));
        // It fitted, which doesn't tell that the next one will.
        shaper.wrote(4096, true, (next, next), &mut capacity);
        let later = next + LONGEST_PAUSE / 2;
        assert_eq!(shaper.next(4096, capacity, next), Step::Wait(later));
        // Meanwhile, more was queued.
        assert_eq!(shaper.next(100_000, capacity, next), Step::Write(100_000));
    }

    #[test]
    fn closing_gives_what_was_written_time_to_leave() {
        let mut shaper = Shaper::default();
        let mut capacity = Capacity::default();
        let now = Instant::now();
        assert_eq!(shaper.last_pause(), Duration::ZERO);
        shaper.wrote(10, true, (now, now), &mut capacity);
        assert_eq!(shaper.last_pause(), LAST_PAUSE);
        let slowly = now + Duration::from_secs(1);
        shaper.wrote(70_000, false, (now, slowly), &mut capacity);
        assert_eq!(shaper.last_pause(), Duration::from_secs(2));
        // That the rest was quick doesn't say that it will be.
        shaper.wrote(70_000, false, (slowly, slowly), &mut capacity);
        assert_eq!(shaper.last_pause(), Duration::from_secs(2));
    }

    #[test]
    fn small_writes_never_fill_the_pipe_without_a_pause() {
        let mut shaper = Shaper::default();
        let mut capacity = Capacity::default();
        let now = Instant::now();
        let mut written = 0;
        while shaper.next(1024, capacity, now) == Step::Write(1024) {
            shaper.wrote(1024, true, (now, now), &mut capacity);
            written += 1024;
        }
        assert_eq!(written, PIPE - 1024);
        // Gathered instead, until there is presumed to be room, or enough to see a loss.
        let Step::Wait(until) = shaper.next(1024, capacity, now) else {
            panic!("there is no room");
        };
        assert!(until > now && until < now + PAUSE);
        assert_eq!(shaper.next(1024, capacity, until), Step::Write(1024));
        assert_eq!(shaper.next(PIPE + 1, capacity, now), Step::Write(PIPE + 1));
    }

    #[test]
    fn a_pipe_without_the_fault_gets_nothing_twice() {
        for size in [PIPE, 2 * PIPE, 8 * PIPE, 16 * PIPE] {
            let mut random = fastrand::Rng::with_seed(size as u64);
            let mut takes = random.fork();
            let mut pipe = Pipe::new(size);
            let chunks = (0..2000).map(|_| random.usize(1..=LARGEST_CHUNK));
            let sent = send(&mut pipe, false, chunks, || takes.usize(1..=PIPE));
            assert_eq!(pipe.delivered, sent, "a pipe of {size} bytes");
        }
    }
}

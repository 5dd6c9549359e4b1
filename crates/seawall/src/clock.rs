//! The time that the whole gateway goes by: the wall clock at start, advanced monotonically, never below
//! what the ledger holds. The sandbox clock moves it.
//!
//! A code ends and a limit frees again after the time that has passed, whatever somebody sets the machine's clock to. So
//! a clock that is ahead is slowed by one part in two thousand at most (as the kernel slews its own): a code of ten minutes
//! lives 0.3 s longer. And it is never hurried to reach the wall clock, because limits would free too early; only the
//! clock of counters that nodes share may hurry it, because there windows go by that clock and not by this one.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use seawall_core::time::Timestamp;
use tokio::sync::Notify;
use tokio::time::Instant;

/// A step of the wall clock beyond this is an alarm, microseconds.
const STEP: i64 = 2_000_000;
/// Of the time that passed, the part of a difference that is made up.
const SLEW: i64 = 2_000;

/// The one clock. Only this file reads the machine's. Between two looks at the wall it goes by the runtime's instants, so
/// that a simulated runtime simulates it, too.
pub struct Clock {
    started: Instant,
    /// Microseconds since the epoch at `started`, with every correction since.
    base: AtomicI64,
    /// The latest instant that was given out, milliseconds, so that time never runs backwards.
    latest: AtomicI64,
    /// Microseconds after `started` of the last correction.
    slewed: AtomicI64,
    machine: Machine,
    /// Told when the sandbox moves the clock, so that sleepers look again.
    pub moved: Notify,
}

/// The machine's clock.
#[derive(Default)]
struct Machine {
    /// In a simulation, what it showed when the clock was made, milliseconds.
    simulated: Option<i64>,
    /// How far somebody has set it, milliseconds.
    set: AtomicI64,
}

fn wall() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

impl Clock {
    /// Starts at the wall clock, but not before `floor`, the newest instant in the ledger.
    pub fn start(floor: Timestamp) -> Self {
        Self::start_at(Timestamp::from_millis(wall()), floor)
    }

    /// Starts at the time of a clock that nodes share, but not before `floor`.
    pub fn start_at(time: Timestamp, floor: Timestamp) -> Self {
        let base = time.max(floor).as_millis();
        Clock {
            started: Instant::now(),
            base: AtomicI64::new(base.saturating_mul(1_000)),
            latest: AtomicI64::new(base),
            slewed: AtomicI64::new(0),
            machine: Machine::default(),
            moved: Notify::new(),
        }
    }

    /// For simulations: the same, on a machine whose clock shows `time`.
    pub fn simulated(time: Timestamp, floor: Timestamp) -> Self {
        let machine = Machine { simulated: Some(time.as_millis()), ..Machine::default() };
        Clock { machine, ..Self::start_at(time, floor) }
    }

    /// For tests: as if somebody had set the machine's clock so many milliseconds ahead, or back.
    pub fn set_machine(&self, by: i64) {
        self.machine.set.fetch_add(by, Ordering::Relaxed);
    }

    fn wall(&self) -> i64 {
        let shown = self.machine.simulated.map_or_else(wall, |shown| shown + self.elapsed() / 1_000);
        shown + self.machine.set.load(Ordering::Relaxed)
    }

    fn elapsed(&self) -> i64 {
        i64::try_from(self.started.elapsed().as_micros()).unwrap_or(i64::MAX)
    }

    /// Now; never before an earlier answer.
    pub fn now(&self) -> Timestamp {
        let read = (self.base.load(Ordering::Relaxed) + self.elapsed()) / 1_000;
        let before = self.latest.fetch_max(read, Ordering::Relaxed);
        Timestamp::from_millis(read.max(before))
    }

    /// Moves ahead (`[sandbox] clock = true` only).
    pub fn advance(&self, by: Duration) {
        self.base.fetch_add(i64::try_from(by.as_micros()).unwrap_or(0), Ordering::Relaxed);
        self.moved.notify_waiters();
    }

    /// Sets the time (`[sandbox] clock = true` only). It cannot run backwards: false if `to` is in the past.
    pub fn set(&self, to: Timestamp) -> bool {
        let now = self.now();
        if to < now {
            return false;
        }
        self.advance(to.since(now));
        true
    }

    /// Follows the clock that nodes share, else waits for the wall clock, by small steps and without ever going back.
    /// Returns the difference when it is so large that someone must have set a clock.
    pub fn slew(&self, shared: Option<Timestamp>) -> Option<Duration> {
        let elapsed = self.elapsed();
        let most = (elapsed - self.slewed.swap(elapsed, Ordering::Relaxed)).max(0) / SLEW;
        let to = shared.map_or_else(|| self.wall(), Timestamp::as_millis);
        let difference = to.saturating_mul(1_000) - (self.base.load(Ordering::Relaxed) + elapsed);
        let ahead = if shared.is_some() { most } else { 0 };
        self.base.fetch_add(difference.clamp(-most, ahead), Ordering::Relaxed);
        (difference.abs() > STEP).then(|| Duration::from_micros(difference.unsigned_abs()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_starts_at_the_ledger_and_never_runs_backwards() {
        let floor = Timestamp::from_millis(wall() + 60_000);
        let clock = Clock::start(floor);
        let first = clock.now();
        assert!(first >= floor);
        assert!(!clock.set(Timestamp::from_millis(0)));
        clock.advance(Duration::from_secs(1800));
        assert!(clock.now().since(first) >= Duration::from_secs(1800));
        assert!(clock.slew(None).is_some(), "a minute and more apart is an alarm");
        assert!(clock.now() >= first);
    }

    /// Ten minutes, and two days, as they pass by a clock whose machine was set by so much.
    #[tokio::test(start_paused = true)]
    async fn time_passes_as_it_does_whatever_the_machines_clock_is_set_to() {
        const HOUR: i64 = 3_600_000;
        for set in [-HOUR, HOUR, 72 * HOUR, -72 * HOUR] {
            let clock =
                Clock::simulated(Timestamp::from_millis(1_767_607_200_000), Timestamp::from_millis(0));
            let (began, first) = (Instant::now(), clock.now());
            assert_eq!(clock.slew(None), None);
            clock.set_machine(set);
            for second in 1..2 * 24 * 3_600 {
                tokio::time::advance(Duration::from_millis(1_000)).await;
                assert!(clock.slew(None).is_some(), "{set}: an alarm, for days");
                let (passed, shown) =
                    (began.elapsed().as_millis() as i64, clock.now().since(first).as_millis() as i64);
                assert!(shown <= passed, "{set}: {shown} ms passed of {passed}, and limits free too early");
                assert!(
                    passed - shown <= passed / 2_000 + 1,
                    "{set}: after {second} s it is {shown} of {passed} ms"
                );
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_clock_that_nodes_share_is_reached_from_both_sides() {
        for skew in [-300i64, 300] {
            let clock = Clock::start_at(Timestamp::from_millis(1_000_000 + skew), Timestamp::from_millis(0));
            let began = Instant::now();
            let shared = || Timestamp::from_millis(1_000_000).plus(began.elapsed());
            for _ in 0..700 {
                tokio::time::advance(Duration::from_secs(1)).await;
                clock.slew(Some(shared()));
            }
            assert!(clock.now().as_millis().abs_diff(shared().as_millis()) <= 2, "{skew}");
        }
    }
}

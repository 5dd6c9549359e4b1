//! The time that the whole gateway goes by: the wall clock at start, advanced monotonically, never below
//! what the ledger holds. The sandbox clock moves it.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use seawall_core::time::Timestamp;
use tokio::sync::Notify;
use tokio::time::Instant;

/// A step of the wall clock beyond this is an alarm, milliseconds.
const STEP_MS: i64 = 2_000;
/// How much of a difference is made up at each [`Clock::slew`], milliseconds.
const SLEW_MS: i64 = 50;

/// The one clock. Only this file reads the machine's. Between two looks at the wall it goes by the runtime's instants, so
/// that a simulated runtime simulates it, too.
pub struct Clock {
    started: Instant,
    /// Milliseconds since the epoch at `started`, with every correction since.
    base: AtomicI64,
    /// The latest instant that was given out, so that time never runs backwards.
    latest: AtomicI64,
    /// Told when the sandbox moves the clock, so that sleepers look again.
    pub moved: Notify,
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
            base: AtomicI64::new(base),
            latest: AtomicI64::new(base),
            moved: Notify::new(),
        }
    }

    fn elapsed(&self) -> i64 {
        i64::try_from(self.started.elapsed().as_millis()).unwrap_or(i64::MAX)
    }

    /// Now; never before an earlier answer.
    pub fn now(&self) -> Timestamp {
        let read = self.base.load(Ordering::Relaxed) + self.elapsed();
        let before = self.latest.fetch_max(read, Ordering::Relaxed);
        Timestamp::from_millis(read.max(before))
    }

    /// Moves ahead (`[sandbox] clock = true` only).
    pub fn advance(&self, by: Duration) {
        self.base.fetch_add(i64::try_from(by.as_millis()).unwrap_or(0), Ordering::Relaxed);
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

    /// Follows the clock that nodes share, else the wall clock, by small steps, forwards and backwards without
    /// ever going back. Returns the difference when it is so large that someone must have set a clock.
    pub fn slew(&self, shared: Option<Timestamp>) -> Option<Duration> {
        let difference = shared.map_or_else(wall, Timestamp::as_millis)
            - (self.base.load(Ordering::Relaxed) + self.elapsed());
        self.base.fetch_add(difference.clamp(-SLEW_MS, SLEW_MS), Ordering::Relaxed);
        (difference.abs() > STEP_MS).then(|| Duration::from_millis(difference.unsigned_abs()))
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
}

//! Who asks faster than the API rates allow is told so late. Most callers wait for an answer before they ask
//! again, so a flood slows itself down, and the others' requests do not stand in line behind its refusals.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

/// What one waits at most who is refused alone.
const ALONE: Duration = Duration::from_millis(150);
/// What each who waits already adds to that: about a thousand a second are told, until nobody can be told later.
const EACH: Duration = Duration::from_millis(1);
/// Nobody waits longer than `Retry-After` tells them to.
const MOST: Duration = Duration::from_secs(1);

/// Refusals on their way.
#[derive(Default)]
pub struct Late {
    turn: AtomicU32,
    waiting: AtomicU32,
}

impl Late {
    /// Waits until a refusal may be told.
    pub async fn wait(&self) {
        let place = Waiting::among(&self.waiting);
        tokio::time::sleep(self.next(place.before)).await;
    }

    /// How late, while so many wait already: between half of the longest and the longest, so that those who were refused
    /// together do not come back together. Steps by the golden ratio fall evenly between the two, however many there are.
    fn next(&self, waiting: u32) -> Duration {
        let half = ALONE.saturating_add(EACH.saturating_mul(waiting)).min(MOST) / 2;
        let part = u128::from(self.turn.fetch_add(0x9E37_79B9, Relaxed));
        half + Duration::from_micros(u64::try_from((half.as_micros() * part) >> 32).unwrap_or_default())
    }
}

/// One refusal that waits, also when its caller leaves before it was told.
struct Waiting<'a> {
    count: &'a AtomicU32,
    before: u32,
}

impl<'a> Waiting<'a> {
    fn among(count: &'a AtomicU32) -> Self {
        Waiting { count, before: count.fetch_add(1, Relaxed) }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.count.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::future::join_all;
    use tokio::time::timeout;

    use super::*;

    #[test]
    fn those_who_are_told_late_come_back_one_by_one() {
        let late = Late::default();
        let mut all: Vec<_> = (0..100).map(|_| late.next(0)).collect();
        all.sort_unstable();
        assert!(all[0] >= ALONE / 2 && all[99] < ALONE);
        assert!(all.windows(2).all(|two| (two[1] - two[0]) > Duration::from_micros(200)));
    }

    /// Refusals that so many callers hear in ten seconds, each asking again at once.
    async fn heard(callers: u32) -> u32 {
        let (late, heard) = (Late::default(), AtomicU32::new(0));
        let flood = join_all((0..callers).map(|_| async {
            loop {
                late.wait().await;
                heard.fetch_add(1, Relaxed);
            }
        }));
        let _ = timeout(Duration::from_secs(10), flood).await;
        assert_eq!(late.waiting.load(Relaxed), 0, "who left does not count");
        heard.load(Relaxed)
    }

    #[tokio::test(start_paused = true)]
    async fn the_more_of_them_the_later_and_never_later_than_a_second() {
        assert!((80..=100).contains(&heard(1).await), "nine a second");
        assert!((4_500..=6_000).contains(&heard(100).await));
        assert!((9_000..=13_000).contains(&heard(900).await), "about a thousand a second");
        assert!(heard(3_000).await >= 30_000, "nobody waits longer than a second");
    }
}

//! `messages_per_second`: submissions spaced evenly.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Hands out moments at which to send.
pub(super) struct Rate {
    spacing: Option<Duration>,
    next: Mutex<Option<Instant>>,
}

impl Rate {
    /// `None` is no limit.
    pub(super) fn new(per_second: Option<u32>) -> Self {
        let spacing = per_second.and_then(|count| Duration::from_secs(1).checked_div(count));
        Rate { spacing, next: Mutex::new(None) }
    }

    /// Waits for the next free moment. `false`, at once, when that lies behind `deadline`.
    pub(super) async fn wait(&self, deadline: Instant) -> bool {
        match self.reserve(deadline) {
            Some(moment) if moment > Instant::now() => {
                tokio::time::sleep_until(moment).await;
                true
            }
            moment => moment.is_some(),
        }
    }

    fn reserve(&self, deadline: Instant) -> Option<Instant> {
        let now = Instant::now();
        let Some(spacing) = self.spacing else {
            return Some(now);
        };
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let moment = next.map_or(now, |next| next.max(now));
        if moment > deadline {
            return None;
        }
        *next = Some(moment + spacing);
        Some(moment)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn spaces_evenly_and_refuses_what_would_be_late() {
        let (rate, start) = (Rate::new(Some(2)), Instant::now());
        for _ in 0..3 {
            assert!(rate.wait(start + Duration::from_secs(5)).await);
        }
        assert_eq!(start.elapsed().as_millis(), 1000);
        assert!(!rate.wait(start + Duration::from_secs(1)).await);
    }
}

//! The line of jobs before the writer. Whoever brings one wakes the writer only when it sleeps, and the
//! writer takes all that wait at once.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;

/// Those that may wait; whoever brings one more waits to hand it over.
const ROOM: usize = 4096;

/// Things in the order in which they were brought, from many to one.
pub(super) struct Line<T> {
    state: Mutex<State<T>>,
    wake: Condvar,
    room: Semaphore,
}

struct State<T> {
    waiting: VecDeque<T>,
    open: bool,
    asleep: bool,
}

impl<T> Default for Line<T> {
    fn default() -> Self {
        let state = State { waiting: VecDeque::new(), open: true, asleep: false };
        Line { state: Mutex::new(state), wake: Condvar::new(), room: Semaphore::new(ROOM) }
    }
}

impl<T> Line<T> {
    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Brings one; false when nobody takes any more.
    pub(super) async fn bring(&self, one: T) -> bool {
        let Ok(permit) = self.room.acquire().await else { return false };
        permit.forget();
        let mut state = self.state();
        if !state.open {
            return false;
        }
        state.waiting.push_back(one);
        let wake = std::mem::take(&mut state.asleep);
        drop(state);
        if wake {
            self.wake.notify_one();
        }
        true
    }

    /// Moves all that wait behind `taken`.
    pub(super) fn take(&self, taken: &mut VecDeque<T>) {
        self.taken(self.state(), taken);
    }

    /// The same, but waits until there is something; false when the line is closed and nothing is left.
    pub(super) fn wait(&self, taken: &mut VecDeque<T>) -> bool {
        let mut state = self.state();
        while state.waiting.is_empty() {
            if !state.open {
                return false;
            }
            state.asleep = true;
            state = self.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        self.taken(state, taken);
        true
    }

    fn taken(&self, mut state: MutexGuard<'_, State<T>>, taken: &mut VecDeque<T>) {
        self.room.add_permits(state.waiting.len());
        taken.append(&mut state.waiting);
    }

    /// Takes what comes while it keeps coming: until `enough` are there, until none came for one `pause`, or
    /// until `pauses` have passed.
    pub(super) fn gather(&self, taken: &mut VecDeque<T>, enough: usize, pause: Duration, pauses: u8) {
        for _ in 0..pauses {
            let before = taken.len();
            if before >= enough {
                return;
            }
            std::thread::sleep(pause);
            self.take(taken);
            if taken.len() == before {
                return;
            }
        }
    }

    /// Nobody may bring any more; what waits can still be taken.
    pub(super) fn close(&self) {
        let mut state = self.state();
        state.open = false;
        state.asleep = false;
        drop(state);
        self.room.close();
        self.wake.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn what_is_brought_is_taken_in_order_and_a_full_line_makes_wait() {
        let line = Arc::new(Line::default());
        let bringing = tokio::spawn({
            let line = line.clone();
            async move {
                for n in 0..3 * ROOM {
                    assert!(line.bring(n).await);
                }
            }
        });
        let taking = tokio::task::spawn_blocking(move || {
            let (mut all, mut most) = (VecDeque::new(), 0);
            while all.len() < 3 * ROOM {
                let before = all.len();
                assert!(line.wait(&mut all));
                most = most.max(all.len() - before);
            }
            line.close();
            assert!(!line.wait(&mut all));
            (line, all, most)
        });
        bringing.await.unwrap();
        let (line, all, most) = taking.await.unwrap();
        assert!(all.iter().copied().eq(0..3 * ROOM) && most <= ROOM);
        assert!(!line.bring(0).await, "closed");
    }
}

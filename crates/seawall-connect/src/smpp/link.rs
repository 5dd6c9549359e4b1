//! The supervisor: keeps one session bound, reconnecting with growing pauses.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::connect::Connection;
use super::echo::Echoes;
use super::session::{Session, session};
use super::settings::Settings;
use crate::Health;

const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// A session that lived this long was a good one: the next pause is short again.
const GOOD_SESSION: Duration = Duration::from_secs(30);

enum State {
    Down(String),
    Bound(Arc<Session>),
    Closed,
}

/// The connection of one provider, up or down.
pub(super) struct Link {
    name: String,
    settings: Settings,
    connection: Connection,
    echoes: Arc<Echoes>,
    state: RwLock<State>,
    stop: CancellationToken,
}

impl Link {
    pub(super) fn new(name: String, settings: Settings, connection: Connection, echoes: Echoes) -> Self {
        Link {
            name,
            settings,
            connection,
            echoes: Arc::new(echoes),
            state: RwLock::new(State::Down("connecting".to_owned())),
            stop: CancellationToken::new(),
        }
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The bound session, or why there is none.
    pub(super) fn session(&self) -> Result<Arc<Session>, String> {
        match &*self.state.read().unwrap_or_else(PoisonError::into_inner) {
            State::Bound(session) => Ok(session.clone()),
            State::Down(reason) => Err(reason.clone()),
            State::Closed => Err("closed".to_owned()),
        }
    }

    pub(super) fn health(&self) -> Health {
        match self.session() {
            Ok(_) => Health::Up,
            Err(reason) => Health::Down { reason },
        }
    }

    /// Ends the link at once; what is under way is lost.
    pub(super) fn stop(&self) {
        self.stop.cancel();
    }

    /// Ends the link after letting answers under way arrive.
    pub(super) async fn close(&self) {
        let session = self.session();
        self.become_state(State::Closed);
        if let Ok(session) = session {
            session.close().await;
        }
        self.stop.cancel();
    }

    /// Connects, runs, reconnects, until stopped.
    pub(super) async fn supervise(self: Arc<Self>) {
        let stop = self.stop.clone();
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.keep_bound() => {}
        }
        let session = self.session();
        self.become_state(State::Closed);
        if let Ok(session) = session {
            session.abandon();
        }
    }

    async fn keep_bound(&self) {
        let mut pauses = Pauses::new(self.settings.reconnect, &self.name);
        loop {
            let reason = match self.connection.open().await {
                Err(reason) => reason,
                Ok(stream) => {
                    let (session, running) = session(stream, &self.settings, self.echoes.clone());
                    self.become_state(State::Bound(session));
                    info!(provider = self.name, "bound");
                    let since = Instant::now();
                    let why = running.run().await;
                    if since.elapsed() >= GOOD_SESSION {
                        pauses.reset();
                    }
                    why.to_owned()
                }
            };
            if matches!(*self.state.read().unwrap_or_else(PoisonError::into_inner), State::Closed) {
                return;
            }
            let pause = pauses.next();
            warn!(provider = self.name, reason, pause_ms = pause.as_millis(), "not connected");
            self.become_state(State::Down(reason));
            sleep(pause).await;
        }
    }

    /// `Closed` is final.
    fn become_state(&self, state: State) {
        let mut current = self.state.write().unwrap_or_else(PoisonError::into_inner);
        if !matches!(*current, State::Closed) {
            *current = state;
        }
    }
}

/// Pauses between attempts: doubling up to a minute, each shortened by up to a quarter so that the
/// providers of a restarted installation do not all bind in the same instant.
struct Pauses {
    first: Duration,
    doublings: u32,
    drawn: u64,
    seed: u64,
}

impl Pauses {
    fn new(first: Duration, name: &str) -> Self {
        let mut hasher = DefaultHasher::new();
        name.hash(&mut hasher);
        Pauses { first, doublings: 0, drawn: 0, seed: hasher.finish() }
    }

    fn reset(&mut self) {
        self.doublings = 0;
    }

    fn next(&mut self) -> Duration {
        let whole = self.first.saturating_mul(1_u32 << self.doublings.min(16)).min(LONGEST_PAUSE);
        self.doublings = self.doublings.saturating_add(1);
        self.drawn = self.drawn.wrapping_add(1);
        let shortening = scramble(self.seed ^ self.drawn) % 256;
        whole - whole.mul_f64(f64::from(u32::try_from(shortening).unwrap_or(0)) / 1024.0)
    }
}

/// SplitMix64's finaliser: spreads a counter.
fn scramble(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_minute_with_jitter_and_start_over() {
        let mut pauses = Pauses::new(Duration::from_secs(1), "a");
        for exponent in 0..40_u32 {
            let whole = Duration::from_secs(1 << exponent.min(6)).min(LONGEST_PAUSE);
            let pause = pauses.next();
            assert!(pause <= whole && pause >= whole.mul_f64(0.74), "{exponent}: {pause:?}");
        }
        pauses.reset();
        assert!(pauses.next() <= Duration::from_secs(1));
        let other: Vec<_> = (0..4).map(|_| Pauses::new(Duration::from_secs(1), "b").next()).collect();
        assert_ne!(other[0], Pauses::new(Duration::from_secs(1), "c").next(), "names differ in jitter");
    }
}

//! Detection in the running gateway: the engine, the stream of events that it folds, and the snapshots from
//! which a start goes on. Beside the engine the same stream is folded into what operators look at ([`Watch`]):
//! signals and incidents.
//!
//! A request is assessed before it is decided and booked as soon as it is: before it is on disk, so that the
//! next request sees it. What operators look at may wait: it is brought up to date each second, and when asked.
//! Events go to the ledger within a second, in batches; a snapshot says how far it has folded them, and a start
//! folds the rest. What a crash can lose is the last second of evidence, never a message.
//!
//! Where nodes share the ledger, the stream is common to them, and each folds all of it in the stream's order, its own
//! events included: they count once they are in the stream, a tenth of a second after they happened. So the
//! same prefix of the stream is the same evidence on every node, and a snapshot is of a place in the stream,
//! whichever node made it. [`stream`] writes and follows, [`kept`] makes snapshots and starts from them.

pub mod happened;
mod kept;
pub mod recent;
mod stream;
mod watch;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use seawall_core::detect::{Asked, Engine, Event, Evidence, Size};
use seawall_core::id::Id;
use seawall_core::msisdn::Msisdn;
use seawall_core::time::Timestamp;
use tokio::time::Instant;

use happened::{Happened, Note, Seen};
pub use kept::{Forget, SNAPSHOT_FILE, restore, snapshot};
pub use stream::{catch_up, flush};
pub use watch::Watch;

/// Events that wait for a ledger that does not answer; older ones are given up then.
const MOST_PENDING: usize = 200_000;

/// After so many events a snapshot is due: a start after a crash reads the last one and folds at most about as many.
const SNAPSHOT_AFTER: u64 = 200_000;
/// For so long time may stand still in the stream.
const STANDS: Duration = Duration::from_secs(1);
/// Events that are folded into [`Watch`] before other tasks get their turn.
const AT_A_TIME: usize = 256;

/// The engine and what has happened since its events were last written; and what is folded behind it. Who needs
/// both locks takes that of the watch first.
#[derive(Default)]
pub struct Detection {
    state: Mutex<State>,
    watch: Mutex<Watch>,
    /// Whether other nodes write to the stream, too.
    shared: bool,
    turn: tokio::sync::Mutex<Turn>,
}

/// Held by whoever writes the stream, reads it, or makes a snapshot.
#[derive(Default)]
struct Turn {
    /// A batch of which nobody knows yet whether it is in the stream.
    sending: Option<Vec<u8>>,
    /// How far the snapshot before the newest one had folded the stream.
    before: u64,
}

#[derive(Default)]
struct State {
    engine: Engine,
    pending: Vec<Arc<Happened>>,
    /// What the watch has not seen yet.
    unwatched: VecDeque<Arc<Happened>>,
    /// The batch up to which the engine has folded the ledger's stream.
    folded: u64,
    /// Events that were folded since there was a snapshot.
    since: u64,
    /// When nothing more was in the stream, last.
    up_to_date: Option<Instant>,
    /// When it was looked whether a part of the stream was missed.
    looked: Option<Instant>,
    lost: u64,
}

impl State {
    fn fold(&mut self, happened: &Happened) {
        self.since += 1;
        match happened {
            Happened::Event(event, _) => self.engine.observe(event),
            // Nothing is to be expected of it any more, and it speaks against nobody.
            Happened::Unsent { id, at } => self.engine.observe(&Event::Failed { id: *id, at: *at }),
            Happened::Forget { number } => {
                Msisdn::from_u64(*number).into_iter().for_each(|number| self.engine.forget_number(number));
            }
            Happened::Passed { at } => self.engine.pass(*at),
            Happened::Note(_) => {}
        }
    }
}

/// The number by which events name a message.
pub fn event_id(id: Id) -> u64 {
    id.row().cast_unsigned()
}

impl Detection {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn watching(&self) -> MutexGuard<'_, Watch> {
        self.watch.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is to be thought of a request, before it is decided.
    pub fn assess(&self, asked: &Asked) -> Evidence {
        let mut state = self.state();
        // What nodes share, nobody changes by asking.
        if self.shared { state.engine.consider(asked) } else { state.engine.assess(asked) }
    }

    /// Folds an event in, and keeps it for the ledger.
    pub fn observe(&self, event: Event) {
        self.happened(Happened::Event(event, None));
    }

    /// The same for a request, with what became of it.
    pub fn observe_request(&self, event: Event, seen: Seen) {
        self.happened(Happened::Event(event, Some(Box::new(seen))));
    }

    /// A message that was decided to be sent was not sent after all.
    pub fn unsent(&self, id: Id, at: Timestamp) {
        self.happened(Happened::Unsent { id: event_id(id), at });
    }

    /// Something was done about an incident.
    pub fn note(&self, note: Note) {
        self.happened(Happened::Note(note));
    }

    fn happened(&self, event: Happened) {
        let event = Arc::new(event);
        let mut state = self.state();
        if !self.shared {
            state.fold(&event);
            state.unwatched.push_back(event.clone());
        }
        if state.pending.len() >= MOST_PENDING {
            let keep_from = MOST_PENDING / 10;
            state.pending.drain(..keep_from);
            state.lost += keep_from as u64;
        }
        state.pending.push(event);
    }

    /// Shows the watch up to so many events that it has not seen; true while there are more.
    fn catch_up(&self, at_most: usize) -> bool {
        let mut watch = self.watching();
        let (fresh, more): (Vec<_>, bool) = {
            let mut state = self.state();
            let some = at_most.min(state.unwatched.len());
            (state.unwatched.drain(..some).collect(), !state.unwatched.is_empty())
        };
        fresh.iter().for_each(|happened| watch.observe(happened));
        more
    }

    /// How much the engine holds, and how many events were given up.
    pub fn size(&self) -> (Size, u64) {
        let state = self.state();
        (state.engine.size(), state.lost)
    }

    /// Asks signals and incidents, of everything that has happened.
    pub fn watch<T>(&self, ask: impl FnOnce(&Watch) -> T) -> T {
        while self.catch_up(AT_A_TIME) {}
        ask(&self.watching())
    }

    /// Asks the engine.
    pub fn with<T>(&self, ask: impl FnOnce(&Engine) -> T) -> T {
        ask(&self.state().engine)
    }

    /// Forgets what is known of one number; on all nodes.
    pub fn forget_number(&self, number: Msisdn) {
        self.happened(Happened::Forget { number: number.as_u64() });
    }

    /// Where nodes share the stream, time passes by what is in it: one of them says so when nothing else does.
    pub fn pass(&self, now: Timestamp) {
        let stands = {
            let state = self.state();
            state.pending.is_empty() && state.engine.at().plus(STANDS) <= now
        };
        if self.shared && stands {
            self.happened(Happened::Passed { at: now });
        }
    }

    /// Whether so much was folded since the last snapshot that another is due.
    pub fn wants_snapshot(&self) -> bool {
        self.state().since >= SNAPSHOT_AFTER
    }

    /// Until it is dropped, nothing is written to the stream, and nothing of it is folded.
    pub async fn hold(&self) -> impl Drop {
        self.turn.lock().await
    }

    /// How far this node is behind what has happened.
    pub fn lag(&self) -> Lag {
        let state = self.state();
        let since = if self.shared { state.up_to_date.map(|at| at.elapsed()) } else { None };
        Lag {
            millis: since.map_or(0, |since| since.as_millis()),
            waiting: state.pending.len(),
            folded: state.folded,
        }
    }
}

/// How far a node is behind what has happened.
#[derive(Clone, Copy, Debug)]
pub struct Lag {
    /// Milliseconds since it had folded everything that was in the stream.
    pub millis: u128,
    /// Events of its own that are not in the stream yet.
    pub waiting: usize,
    /// The batch up to which it has folded the stream.
    pub folded: u64,
}

//! The engine: a fold over events, and a question that can be asked of it at any time.

use serde::{Deserialize, Serialize};

use super::asked::{Asked, Event};
use super::booking::low_bits;
use super::delay::{CHECKS, Delay};
use super::guessing::GuessRow;
use super::keys::{Cohort, Key, Keys};
use super::pending::Outstanding;
use super::rows::{DAY, ExposureRow, HealthRow, NumberRow, TRIAL, VolumeRow};
use super::seen::Seen;
use super::sender::SenderRow;
use super::state::KeyState;
use super::table::Table;
use super::tuning::Tuning;
use crate::time::Timestamp;

/// How much the engine may remember. What happens beyond is said at [`Table`]: rows of no more use go first,
/// then the oldest without baseline or suspicion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bounds {
    /// Keys with evidence (64 bytes each, index included some 75).
    pub keys: u32,
    /// Blocks, addresses and networks whose distinct numbers are remembered (48 bytes and 8 a number).
    pub spreads: u32,
    /// Numbers sent to within a day, or confirmed within 30 (40 bytes each, index included some 46).
    pub numbers: u32,
}

impl Default for Bounds {
    fn default() -> Self {
        Bounds { keys: 1_800_000, spreads: 600_000, numbers: 1_100_000 }
    }
}

/// Evidence about every key, folded from events. Deterministic: no clock, no randomness.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Engine {
    #[serde(skip)]
    pub(super) tuning: Tuning,
    /// The latest instant seen, in milliseconds.
    pub(super) now: i64,
    /// When the first event came.
    pub(super) since: i64,
    pub(super) keys: Table<KeyState>,
    pub(super) spreads: Table<Seen>,
    pub(super) numbers: Table<NumberRow>,
    pub(super) exposure: Table<ExposureRow>,
    pub(super) health: Table<HealthRow>,
    pub(super) volumes: Table<VolumeRow>,
    pub(super) guesses: Table<GuessRow>,
    pub(super) senders: Table<SenderRow>,
    pub(super) outstanding: Outstanding,
    pub(super) delay: Delay,
}

impl Default for Engine {
    fn default() -> Self {
        Self::new(Tuning::default(), Bounds::default())
    }
}

/// Why bytes are not a snapshot of this engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// Written by another version.
    #[error("the snapshot has format {found}, this engine reads {FORMAT}; fold the events again instead")]
    Format {
        /// Its format.
        found: u8,
    },
    /// Cut off or changed.
    #[error("the snapshot is damaged; fold the events again instead")]
    Damaged,
}

/// The share of genuine numbers in blocks never seen below which a size of block tells something.
const MOSTLY_SEEN: f64 = 0.4;

/// Format of snapshots; grows with every change of what is kept.
const FORMAT: u8 = 3;

impl Engine {
    /// An engine that has seen nothing.
    pub fn new(tuning: Tuning, bounds: Bounds) -> Self {
        Engine {
            tuning,
            now: 0,
            since: 0,
            keys: Table::new(bounds.keys),
            spreads: Table::new(bounds.spreads),
            numbers: Table::new(bounds.numbers),
            exposure: Table::new(65_536),
            health: Table::new(65_536),
            volumes: Table::new(65_536),
            guesses: Table::new(200_000),
            senders: Table::new(16_384),
            outstanding: Outstanding::default(),
            delay: Delay::default(),
        }
    }

    /// Everything that was learned, as bytes. They hold numbers in a form that can be guessed back: seal them.
    pub fn snapshot(&self) -> Vec<u8> {
        postcard::to_extend(self, vec![FORMAT]).unwrap_or_default()
    }

    /// Goes on where a snapshot stopped.
    pub fn restore(tuning: Tuning, bytes: &[u8]) -> Result<Self, SnapshotError> {
        let (&found, rest) = bytes.split_first().ok_or(SnapshotError::Damaged)?;
        if found != FORMAT {
            return Err(SnapshotError::Format { found });
        }
        let mut engine: Engine = postcard::from_bytes(rest).map_err(|_| SnapshotError::Damaged)?;
        engine.tuning = tuning;
        let whole = engine.keys.reindex()
            && engine.spreads.reindex()
            && engine.numbers.reindex()
            && engine.exposure.reindex()
            && engine.health.reindex()
            && engine.volumes.reindex()
            && engine.guesses.reindex()
            && engine.senders.reindex();
        if whole { Ok(engine) } else { Err(SnapshotError::Damaged) }
    }

    /// Folds one event in. Events come in order of time; one that is late counts as of now.
    pub fn observe(&mut self, event: &Event) {
        self.advance(event.at());
        match event {
            Event::Sent { id, asked, probability, explained } => {
                self.sent(*id, asked, f64::from(*probability), *explained);
            }
            Event::Confirmed { id, .. } => {
                self.checked(*id, false);
                self.confirmed(*id);
            }
            Event::WrongCheck { id, .. } => self.checked(*id, true),
            Event::Failed { id, .. } => self.failed(*id),
            Event::Refused { asked } | Event::Challenged { asked } => self.refused(asked),
            Event::Delivered { .. } => {}
        }
    }

    /// Nothing happened until `at`.
    pub fn pass(&mut self, at: Timestamp) {
        self.advance(at);
    }

    /// The latest instant that was folded.
    pub fn at(&self) -> Timestamp {
        Timestamp::from_millis(self.now)
    }

    /// Moves to `at` and runs the checkpoints that are due by then. Time never goes back.
    pub(super) fn advance(&mut self, at: Timestamp) {
        let at = at.as_millis();
        if self.since == 0 {
            self.since = at;
        }
        while let Some(due) = self.outstanding.due(at.max(self.now)) {
            self.now = self.now.max(due.at);
            if due.stage < CHECKS { self.checkpoint(due.id, due.stage) } else { self.forget(due.id) }
        }
        self.now = self.now.max(at);
    }

    /// Now, in seconds.
    pub(super) fn seconds(&self) -> u32 {
        u32::try_from(self.now / 1000).unwrap_or(u32::MAX)
    }

    /// How many keys, outstanding messages and evictions there are, for metrics.
    pub fn size(&self) -> Size {
        Size {
            keys: self.keys.len(),
            spreads: self.spreads.len(),
            numbers: self.numbers.len(),
            outstanding: self.outstanding.len(),
            evicted: self.keys.evicted() + self.spreads.evicted() + self.numbers.evicted(),
        }
    }

    /// Bytes of memory that it all takes. Walks over everything: for reports, not for every scrape.
    pub fn bytes(&self) -> usize {
        let small = self.exposure.bytes() + self.health.bytes() + self.volumes.bytes();
        let rare = self.guesses.bytes() + self.senders.bytes();
        self.keys.bytes()
            + self.spreads.bytes()
            + self.numbers.bytes()
            + small
            + rare
            + self.outstanding.bytes()
    }

    /// Who asks.
    pub(super) fn cohort(&self, asked: &Asked, keys: &Keys) -> Cohort {
        if asked.trusted {
            return Cohort::Trusted;
        }
        if asked.known {
            let network = keys.network.map_or(0, |n| low_bits(n.hash)).max(1);
            let home = self.numbers.find(keys.number).is_some_and(|row| row.home == network);
            return if home { Cohort::Home } else { Cohort::Known };
        }
        let ip = &asked.ip_facts;
        if (ip.hosting || ip.vpn || ip.tor || ip.proxy) && !ip.relay {
            return Cohort::Hosted;
        }
        if ip.country.is_some_and(|country| country != asked.country) {
            return Cohort::Abroad;
        }
        let confirmed = |key: Option<&Key>| {
            let row = key.and_then(|k| self.keys.find(k.hash));
            row.map_or(0.0, |row| f64::from(row.base_confirmed))
        };
        let block = self.telling_block(keys);
        if confirmed(Some(&block)) >= self.tuning.settled {
            Cohort::Settled
        } else if confirmed(keys.network.as_ref()) >= self.tuning.established {
            Cohort::Established
        } else {
            Cohort::Fresh
        }
    }

    /// The smallest of a number's blocks of whose size most genuine numbers fall into ones seen before. A number
    /// in such a block is where customers are; one outside is not, but for some.
    fn telling_block(&self, keys: &Keys) -> Key {
        let [ten, hundred, one] = keys.blocks;
        let Some(volumes) = self.volumes.find(keys.country.hash) else { return hundred };
        let seen = |at: usize| volumes.novelty(at) < MOSTLY_SEEN;
        match (seen(2), seen(0)) {
            (true, _) => one,
            (_, true) => ten,
            _ => hundred,
        }
    }

    /// The message that this one repeats: the first of an hour, still unconfirmed.
    pub(super) fn repeated(&self, keys: &Keys) -> Option<u64> {
        let row = self.numbers.find(keys.number)?;
        let recent = self.seconds().saturating_sub(row.last) < TRIAL;
        let open = self.outstanding.get(row.trial).is_some();
        (recent && open).then_some(row.trial)
    }
}

/// What the engine holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Size {
    /// Keys with evidence.
    pub keys: usize,
    /// Keys whose distinct numbers are remembered.
    pub spreads: usize,
    /// Numbers.
    pub numbers: usize,
    /// Messages that may still be confirmed.
    pub outstanding: usize,
    /// Rows that had to make room while they were of use.
    pub evicted: u64,
}

/// A block's distinct numbers are remembered for a day.
pub(super) const BLOCK_WINDOW: u32 = DAY;
/// A client's for an hour.
pub(super) const CLIENT_WINDOW: u32 = 3600;

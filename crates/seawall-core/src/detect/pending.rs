//! Messages that may still be confirmed, and what each of them has told its keys so far.

use std::collections::VecDeque;

use hashbrown::HashMap;
use serde::{Deserialize, Serialize};

use super::delay::{CHECKPOINTS, CHECKS};
use super::guessing::GUESSERS;
use super::keys::Cohort;

/// What one message has told one key. What was added can be taken back when the confirmation comes late.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Booking {
    /// Row of the key.
    pub place: u32,
    /// What it is kept for there.
    pub role: Role,
    /// Usual probability of a confirmation.
    pub usual: f32,
    /// Log-likelihood ratios added so far: two alternatives and the two-sided sum.
    pub told: [f32; 3],
    /// Expected confirmations added so far.
    pub expected: f32,
}

/// What a booking teaches its row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Role {
    /// Evidence and baseline of a block, an address or a network.
    Narrow,
    /// Evidence and baseline of one cohort of a key that many share.
    Wide,
    /// Baseline only, over all cohorts.
    Pooled,
}

/// One outstanding message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Pending {
    /// When it was sent, in milliseconds.
    pub at: i64,
    pub number: u64,
    pub cohort: Cohort,
    /// What was thought of it when it was sent.
    pub probability: f32,
    pub price: i64,
    /// A receipt said that it did not arrive.
    pub failed: bool,
    /// The next checkpoint.
    pub stage: u8,
    /// The message that it repeats; 0 for none.
    pub repeats: u64,
    /// Whether it counts towards baselines.
    pub credited: bool,
    pub bookings: Vec<Booking>,
    /// Rows of route health: operator and country.
    pub health: [u64; 2],
    /// Keys of exposure; none of a trusted message.
    pub exposed: Option<[u64; 3]>,
    /// Client keys that answer for wrong codes, 0 for none, and how many there were.
    pub guessers: [u64; GUESSERS],
    pub wrong: u8,
}

/// How long a message is remembered: confirmations after it are lost, exposure ends with it (ms).
pub(super) const REMEMBERED: i64 = 3_600_000;

/// All outstanding messages with their checkpoints; a message that is confirmed is gone, and its checkpoints
/// find nothing. Every checkpoint is the same time after sending, so each
/// has a queue in order of sending, and no heap is needed.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Outstanding {
    #[serde(with = "sorted")]
    messages: HashMap<u64, Pending>,
    queues: [VecDeque<(i64, u64)>; CHECKS + 1],
    /// Nothing is due before; asked with every request.
    #[serde(skip)]
    idle_until: i64,
}

/// A checkpoint that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Due {
    pub at: i64,
    pub id: u64,
    /// Which; [`CHECKS`] is the end of the message.
    pub stage: usize,
}

impl Outstanding {
    pub(super) fn insert(&mut self, id: u64, message: Pending) {
        let due = message.at + checkpoint(0);
        if let Some(queue) = self.queues.first_mut() {
            queue.push_back((due, id));
        }
        self.idle_until = self.idle_until.min(due);
        self.messages.insert(id, message);
    }

    pub(super) fn get(&self, id: u64) -> Option<&Pending> {
        self.messages.get(&id)
    }

    pub(super) fn get_mut(&mut self, id: u64) -> Option<&mut Pending> {
        self.messages.get_mut(&id)
    }

    pub(super) fn remove(&mut self, id: u64) -> Option<Pending> {
        self.messages.remove(&id)
    }

    /// Messages to a number are nobody's from now on.
    pub(super) fn forget_number(&mut self, number: u64) {
        self.messages.values_mut().filter(|m| m.number == number).for_each(|m| m.number = 0);
    }

    /// Back after [`Outstanding::remove`]; its checkpoints still stand.
    pub(super) fn put_back(&mut self, id: u64, message: Pending) {
        self.messages.insert(id, message);
    }

    pub(super) fn len(&self) -> usize {
        self.messages.len()
    }

    /// Bytes of memory.
    pub(super) fn bytes(&self) -> usize {
        let beside = |m: &Pending| m.bookings.capacity() * size_of::<Booking>();
        let queues: usize = self.queues.iter().map(VecDeque::capacity).sum();
        self.messages.capacity() * (size_of::<(u64, Pending)>() + 1) * 8 / 7
            + self.messages.values().map(beside).sum::<usize>()
            + queues * size_of::<(i64, u64)>()
    }

    /// The earliest checkpoint up to `now`; of two at the same time, the later stage first.
    pub(super) fn due(&mut self, now: i64) -> Option<Due> {
        while now >= self.idle_until {
            let due = self.next(now)?;
            if self.messages.contains_key(&due.id) {
                return Some(due);
            }
        }
        None
    }

    /// Takes the earliest checkpoint up to `now` from its queue, and puts the next one of a message that is not gone
    /// into that of it.
    fn next(&mut self, now: i64) -> Option<Due> {
        let fronts = self.queues.iter().enumerate().rev();
        let first = fronts.filter_map(|(stage, queue)| queue.front().map(|&(at, id)| Due { at, id, stage }));
        let first = first.min_by_key(|due| due.at);
        self.idle_until = first.map_or(i64::MAX, |due| due.at);
        let due = first.filter(|due| due.at <= now)?;
        self.queues.get_mut(due.stage)?.pop_front();
        let there = self.messages.contains_key(&due.id);
        if let Some(next) = self.queues.get_mut(due.stage + 1).filter(|_| there) {
            next.push_back((due.at - checkpoint(due.stage) + checkpoint(due.stage + 1), due.id));
        }
        Some(due)
    }
}

fn checkpoint(stage: usize) -> i64 {
    CHECKPOINTS.get(stage).copied().unwrap_or(REMEMBERED)
}

/// Maps are written in order of their keys, so that equal states give equal bytes.
mod sorted {
    use super::{HashMap, Pending};
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(map: &HashMap<u64, Pending>, serializer: S) -> Result<S::Ok, S::Error> {
        let mut all: Vec<(&u64, &Pending)> = map.iter().collect();
        all.sort_unstable_by_key(|(id, _)| **id);
        serializer.collect_seq(all)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<HashMap<u64, Pending>, D::Error> {
        Ok(Vec::<(u64, Pending)>::deserialize(from)?.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(at: i64) -> Pending {
        Pending {
            at,
            number: 1,
            cohort: Cohort::Fresh,
            probability: 0.0,
            price: 0,
            failed: false,
            stage: 0,
            repeats: 0,
            credited: true,
            bookings: Vec::new(),
            health: [0; 2],
            exposed: None,
            guessers: [0; GUESSERS],
            wrong: 0,
        }
    }

    #[test]
    fn checkpoints_come_in_order_of_time() {
        let mut all = Outstanding::default();
        all.insert(1, message(0));
        all.insert(2, message(15_000));
        let mut seen = Vec::new();
        while let Some(due) = all.due(45_000) {
            seen.push((due.at, due.id, due.stage));
        }
        assert_eq!(seen, [(20_000, 1, 0), (35_000, 2, 0), (40_000, 1, 1)]);
        while let Some(due) = all.due(i64::MAX) {
            if due.stage == CHECKS {
                all.remove(due.id);
            }
        }
        assert_eq!(all.len(), 0);
    }
}

//! What is kept in memory beside the database, so that the common questions cost no SQL. The writer changes
//! it together with the tables and takes it back when a transaction fails.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use hashbrown::HashMap;
use seawall_core::consent::OptOutScope;
use seawall_core::id::SEQUENCE_BITS;

use super::numbers::Gathered;
use super::read_from::ReadFrom;
use crate::records::MessageRecord;
pub(super) use crate::sealed::way::Way;

/// Messages kept in memory between their acceptance and their end, instead of being read again.
const RECENT: usize = 8192;
/// Messages of one bucket of the index of references.
const BUCKET_SIZE: u32 = 4096;

/// Everything kept in memory.
#[derive(Default)]
pub(super) struct Hot {
    /// Small numbers for names of subaccounts.
    pub(super) subs: Names,
    /// Opt-outs by number: how far each reaches.
    pub(super) opt_outs: HashMap<i64, Vec<OptOutScope>>,
    /// Numbers that were verified: when first and last.
    pub(super) known: HashMap<i64, (i64, i64)>,
    /// Pending verifications.
    pub(super) open: OpenVerifications,
    /// Messages that wait, are due later, or are being submitted.
    pub(super) queue: Queue,
    /// From which messages on a start reads these two.
    pub(super) read_from: ReadFrom,
    /// Messages that wait to be claimed, in full.
    pub(super) records: Recent<Box<MessageRecord>>,
    /// What changes about messages that were claimed.
    pub(super) ways: Recent<Way>,
    /// The newest part of the index of numbers.
    pub(super) numbers: Gathered,
    /// Webhook deliveries.
    pub(super) hooks: HookQueue,
    /// Stretches of the index of references.
    pub(super) buckets: Buckets,
    /// Stretches of the idempotency keys.
    pub(super) key_buckets: BTreeSet<i64>,
    /// The newest key in the audit log.
    pub(super) last_audit: i64,
}

/// Names of subaccounts as small numbers.
#[derive(Default)]
pub(super) struct Names {
    ids: HashMap<Arc<str>, i64>,
    names: HashMap<i64, Arc<str>>,
}

impl Names {
    pub(super) fn id(&self, name: &str) -> Option<i64> {
        self.ids.get(name).copied()
    }

    pub(super) fn name(&self, id: i64) -> Option<Arc<str>> {
        self.names.get(&id).cloned()
    }

    pub(super) fn insert(&mut self, id: i64, name: &str) {
        let name: Arc<str> = name.into();
        self.ids.insert(name.clone(), id);
        self.names.insert(id, name);
    }

    pub(super) fn remove(&mut self, id: i64) {
        if let Some(name) = self.names.remove(&id) {
            self.ids.remove(&name);
        }
    }
}

/// An open verification: its row and when it ends.
pub(super) type Open = (i64, i64);

/// Pending verifications by subaccount and number, the newest of each.
#[derive(Default)]
pub(super) struct OpenVerifications {
    map: HashMap<(i64, i64), Open>,
    swept_at: usize,
}

impl OpenVerifications {
    /// The one that is pending at `now`.
    pub(super) fn get(&self, key: (i64, i64), now: i64) -> Option<i64> {
        self.map.get(&key).filter(|(_, expires)| *expires > now).map(|(row, _)| *row)
    }

    /// Sets or removes; returns what was there.
    pub(super) fn set(&mut self, key: (i64, i64), open: Option<Open>) -> Option<Open> {
        match open {
            Some(open) => self.map.insert(key, open),
            None => self.map.remove(&key),
        }
    }

    /// The oldest one that is pending at `now`.
    pub(super) fn oldest(&self, now: i64) -> Option<i64> {
        self.map.values().filter(|(_, expires)| *expires > now).map(|(row, _)| *row).min()
    }

    /// Forgets what has expired; does so only when the map has doubled, so that it costs next to nothing.
    pub(super) fn sweep(&mut self, now: i64) {
        if self.map.len() < 1024 + 2 * self.swept_at {
            return;
        }
        self.map.retain(|_, (_, expires)| *expires > now);
        self.swept_at = self.map.len();
    }
}

/// Where a waiting message stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Waiting {
    /// To be sent now.
    Ready,
    /// Not before this time; whether its state is `scheduled`.
    Later(i64, bool),
    /// With a provider.
    Submitting,
}

/// Rows of messages that are not sent yet.
#[derive(Default)]
pub(super) struct Queue {
    ready: BTreeSet<i64>,
    later: BTreeSet<(i64, i64, bool)>,
    submitting: BTreeSet<i64>,
    /// How many of those that are due later are not scheduled.
    put_off: usize,
}

impl Queue {
    pub(super) fn add(&mut self, row: i64, place: Waiting) {
        match place {
            Waiting::Ready => drop(self.ready.insert(row)),
            Waiting::Submitting => drop(self.submitting.insert(row)),
            Waiting::Later(due, scheduled) => {
                let fresh = self.later.insert((due, row, scheduled));
                self.put_off += usize::from(fresh && !scheduled);
            }
        }
    }

    pub(super) fn remove(&mut self, row: i64, place: Waiting) {
        match place {
            Waiting::Ready => drop(self.ready.remove(&row)),
            Waiting::Submitting => drop(self.submitting.remove(&row)),
            Waiting::Later(due, scheduled) => {
                let there = self.later.remove(&(due, row, scheduled));
                self.put_off -= usize::from(there && !scheduled);
            }
        }
    }

    /// Whether anything may be sent at `now`.
    pub(super) fn any(&self, now: i64) -> bool {
        !self.ready.is_empty() || self.later.first().is_some_and(|(due, ..)| *due <= now)
    }

    /// The oldest ones that may be sent at `now`, with their places. They stay in the queue.
    pub(super) fn next(&self, now: i64, limit: usize) -> Vec<(i64, Waiting)> {
        let due = self.later.iter().take_while(|(due, ..)| *due <= now).take(limit);
        let mut next: Vec<(i64, Waiting)> = due.map(|&(due, row, s)| (row, Waiting::Later(due, s))).collect();
        next.extend(self.ready.iter().take(limit).map(|&row| (row, Waiting::Ready)));
        next.sort_unstable_by_key(|(row, _)| *row);
        next.truncate(limit);
        next
    }

    pub(super) fn submitting(&self) -> Vec<i64> {
        self.submitting.iter().copied().collect()
    }

    /// How many are queued.
    pub(super) fn queued(&self) -> usize {
        self.ready.len() + self.put_off
    }

    pub(super) fn waiting(&self) -> usize {
        self.ready.len() + self.later.len()
    }

    /// Below this row nothing is queued or being submitted (scheduled ones have an index).
    pub(super) fn settled_below(&self) -> Option<i64> {
        let later = self.later.iter().filter(|(.., scheduled)| !scheduled).map(|&(_, row, _)| row).min();
        [self.ready.first().copied(), self.submitting.first().copied(), later].into_iter().flatten().min()
    }
}

/// Webhook deliveries by when they are due.
#[derive(Default)]
pub(super) struct HookQueue {
    by_due: BTreeSet<(i64, i64)>,
    due: HashMap<i64, i64>,
}

impl HookQueue {
    /// Sets when a delivery is due, or removes it; returns when it was due.
    pub(super) fn set(&mut self, row: i64, due: Option<i64>) -> Option<i64> {
        let before = match due {
            Some(due) => self.due.insert(row, due),
            None => self.due.remove(&row),
        };
        if let Some(before) = before {
            self.by_due.remove(&(before, row));
        }
        if let Some(due) = due {
            self.by_due.insert((due, row));
        }
        before
    }

    /// Whether one is due.
    pub(super) fn is_due(&self, now: i64) -> bool {
        self.by_due.first().is_some_and(|(due, _)| *due <= now)
    }

    /// Takes those that are due, oldest first, and puts them off until `lease_until`.
    pub(super) fn lease(&mut self, now: i64, lease_until: i64, limit: usize) -> Vec<i64> {
        let due: Vec<i64> =
            self.by_due.iter().take_while(|(due, _)| *due <= now).take(limit).map(|&(_, row)| row).collect();
        for &row in &due {
            self.set(row, Some(lease_until));
        }
        due
    }
}

/// Something about the newest messages by row, oldest forgotten first.
pub(super) struct Recent<T> {
    map: HashMap<i64, T>,
    order: VecDeque<i64>,
}

impl<T> Default for Recent<T> {
    fn default() -> Self {
        Recent { map: HashMap::new(), order: VecDeque::new() }
    }
}

impl<T> Recent<T> {
    /// Takes it out.
    pub(super) fn take(&mut self, row: i64) -> Option<T> {
        // Its place in the order stays and is used up when its turn comes.
        self.map.remove(&row)
    }

    pub(super) fn insert(&mut self, row: i64, value: T) {
        if self.map.insert(row, value).is_none() {
            self.order.push_back(row);
        }
        while self.order.len() > RECENT {
            if let Some(oldest) = self.order.pop_front() {
                self.map.remove(&oldest);
            }
        }
    }

    /// Forgets all up to a row.
    pub(super) fn remove_up_to(&mut self, last: i64) {
        self.map.retain(|row, _| *row > last);
    }
}

/// Where each bucket of the index of references begins, in milliseconds. A message belongs to the last bucket that
/// begins no later than its id, so buckets are in the order of rows.
pub(super) struct Buckets {
    starts: Vec<i64>,
    held: u32,
    newest: i64,
}

impl Default for Buckets {
    fn default() -> Self {
        Buckets { starts: vec![0], held: 0, newest: 0 }
    }
}

impl Buckets {
    /// From what the table holds: the beginnings; and the newest row.
    pub(super) fn load(mut starts: Vec<i64>, newest_row: i64) -> Self {
        if starts.first() != Some(&0) {
            starts.insert(0, 0);
        }
        Buckets { starts, held: 0, newest: newest_row >> SEQUENCE_BITS }
    }

    /// The bucket of a row.
    pub(super) fn of(&self, row: i64) -> i64 {
        let at = row >> SEQUENCE_BITS;
        let place = self.starts.partition_point(|&start| start <= at);
        self.starts.get(place.saturating_sub(1)).copied().unwrap_or(0)
    }

    /// Counts one more message; true when that began a new bucket for what follows.
    pub(super) fn count(&mut self, row: i64) -> bool {
        self.held += 1;
        self.newest = self.newest.max(row >> SEQUENCE_BITS);
        if self.held < BUCKET_SIZE {
            return false;
        }
        let next = self.newest + 1;
        if self.starts.last().is_none_or(|&last| last < next) {
            self.starts.push(next);
        }
        self.held = 0;
        true
    }

    /// All beginnings, newest first.
    pub(super) fn newest_first(&self) -> Vec<i64> {
        self.starts.iter().rev().copied().collect()
    }

    /// Forgets the beginnings of buckets that hold nothing any more.
    pub(super) fn forget_below(&mut self, start: i64) {
        self.starts.retain(|&s| s == 0 || s >= start);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_in_the_order_of_rows() {
        let mut buckets = Buckets::default();
        let row = |ms: i64| ms << SEQUENCE_BITS;
        let before: Vec<i64> = (0..10_000)
            .map(|ms| {
                buckets.count(row(ms));
                buckets.of(row(ms))
            })
            .collect();
        assert!(before.is_sorted());
        assert_eq!(buckets.starts, [0, 4096, 8192]);
        assert_eq!((buckets.of(row(4095)), buckets.of(row(4096)), buckets.of(row(99_999))), (0, 4096, 8192));
    }

    #[test]
    fn the_oldest_go_first_and_only_when_due() {
        let mut queue = Queue::default();
        queue.add(5, Waiting::Ready);
        queue.add(3, Waiting::Later(100, true));
        queue.add(1, Waiting::Later(101, false));
        assert_eq!(queue.next(100, 9), [(3, Waiting::Later(100, true)), (5, Waiting::Ready)]);
        assert_eq!(queue.next(200, 2), [(1, Waiting::Later(101, false)), (3, Waiting::Later(100, true))]);
        assert_eq!(queue.settled_below(), Some(1));
    }
}

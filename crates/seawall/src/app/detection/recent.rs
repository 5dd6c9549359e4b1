//! Messages of the last day that may still be confirmed, and by what they can be found: to count
//! confirmations where the message was counted, and to find what an attack got through before it was noticed.

use std::collections::{HashMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};

use hashbrown::DefaultHashBuilder;
use seawall_core::detect::Asked;
use seawall_core::request::Operation;
use serde::{Deserialize, Serialize};

/// How long a message is remembered, in seconds.
const REMEMBERED: i64 = 86_400;
/// Messages remembered at most; the oldest go first.
const MOST: usize = 100_000;
/// From this age on a message that nobody confirmed counts as unconfirmed (seconds).
const MATURE: i64 = 600;

/// A map with a fast hash: these are looked up for every request.
pub type Map<K, V> = HashMap<K, V, DefaultHashBuilder>;

/// One message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sent {
    /// Its number in the stream.
    pub id: u64,
    /// When, in seconds.
    pub at: i64,
    /// The recipient, hashed.
    pub number: u64,
    /// The recipient's digits without the last four.
    pub range: u64,
    /// The client's address, network and fingerprint, hashed; 0: unknown.
    pub client: [u64; 3],
    /// What it costs, in micro-units, where that is known.
    pub price: i64,
    /// Whether it holds a code, so that a confirmation is to be expected.
    pub code: bool,
    /// Whether detection took it for genuine, so that it may teach what is usual.
    pub genuine: bool,
    /// Confirmed.
    pub confirmed: bool,
    /// The rows of [`crate::app::signals`] that count it; 0: none.
    pub rows: [u32; 8],
    /// The incident that it is part of; 0: none.
    pub incident: u64,
}

/// Hashes as they are kept for look-ups within this day; never shown, never 0.
pub fn hashed(kind: u8, value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    (kind, value).hash(&mut hasher);
    hasher.finish().max(1)
}

/// A client by its address, its network and its fingerprint.
pub fn client(asked: &Asked) -> [u64; 3] {
    let print = asked.fingerprint.as_deref().or(asked.user_agent.as_deref());
    [
        asked.ip.map_or(0, |ip| hashed(1, &ip.bucket_bytes())),
        asked.ip.map_or(0, |ip| hashed(2, &ip.network_bytes())),
        print.map_or(0, |print| hashed(3, &print)),
    ]
}

impl Sent {
    /// A message that is on its way.
    pub fn of(id: u64, asked: &Asked, price: Option<i64>, probability: f32) -> Self {
        Sent {
            id,
            at: asked.at.as_secs(),
            number: hashed(0, &asked.msisdn.as_u64()),
            range: asked.msisdn.as_u64() / 10_000,
            client: client(asked),
            price: price.unwrap_or(0),
            code: asked.operation == Operation::VerifyStart,
            genuine: probability < 0.2,
            confirmed: false,
            rows: [0; 8],
            incident: 0,
        }
    }
}

/// Messages of the last day.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Recent {
    by_id: Map<u64, Sent>,
    /// In the order in which they came.
    by_range: Map<u64, VecDeque<u64>>,
    /// The newest one to each number.
    by_number: Map<u64, u64>,
    order: VecDeque<u64>,
    /// Those that are not ten minutes old yet.
    young: VecDeque<u64>,
}

impl Recent {
    /// One more.
    pub fn add(&mut self, sent: Sent) {
        while self.order.len() >= MOST || self.oldest().is_some_and(|at| at + REMEMBERED < sent.at) {
            self.drop_oldest();
        }
        let id = sent.id;
        self.by_range.entry(sent.range).or_default().push_back(id);
        self.by_number.insert(sent.number, id);
        self.order.push_back(id);
        self.young.push_back(id);
        self.by_id.insert(id, sent);
    }

    fn oldest(&self) -> Option<i64> {
        let id = self.order.front()?;
        Some(self.by_id.get(id).map_or(0, |sent| sent.at))
    }

    fn drop_oldest(&mut self) {
        if let Some(id) = self.order.pop_front() {
            self.remove(id);
        }
    }

    /// One of them.
    pub fn get_mut(&mut self, id: u64) -> Option<&mut Sent> {
        self.by_id.get_mut(&id)
    }

    /// It will not be sent after all.
    pub fn remove(&mut self, id: u64) -> Option<Sent> {
        let sent = self.by_id.remove(&id)?;
        if let Some(ids) = self.by_range.get_mut(&sent.range) {
            // Nearly always the oldest one goes.
            if ids.front() == Some(&id) {
                ids.pop_front();
            } else {
                ids.retain(|other| *other != id);
            }
            if ids.is_empty() {
                self.by_range.remove(&sent.range);
            }
        }
        if self.by_number.get(&sent.number) == Some(&id) {
            self.by_number.remove(&sent.number);
        }
        Some(sent)
    }

    /// Whether the newest message to a number is not confirmed.
    pub fn is_out(&self, number: u64) -> bool {
        let newest = self.by_number.get(&number).and_then(|id| self.by_id.get(id));
        newest.is_some_and(|sent| !sent.confirmed)
    }

    /// The next one that has become ten minutes old, if any.
    pub fn matured(&mut self, now: i64) -> Option<Sent> {
        loop {
            let id = *self.young.front()?;
            match self.by_id.get(&id) {
                Some(sent) if sent.at + MATURE > now => return None,
                found => {
                    let found = found.cloned();
                    self.young.pop_front();
                    if found.is_some() {
                        return found;
                    }
                }
            }
        }
    }

    /// Whether it has become ten minutes old already.
    pub fn is_mature(sent: &Sent, now: i64) -> bool {
        sent.at + MATURE <= now
    }

    /// Those of a range that belong to no incident yet are given to one.
    pub fn claim_range(&mut self, range: u64, incident: u64) -> Vec<Sent> {
        let ids = self.by_range.get(&range).cloned().unwrap_or_default();
        ids.into_iter().filter_map(|id| self.claim(id, incident)).collect()
    }

    /// Those of a client since a time that belong to no incident yet are given to one. `part`: 0 address, 1
    /// network, 2 fingerprint.
    pub fn claim_client(&mut self, part: usize, client: u64, since: i64, incident: u64) -> Vec<Sent> {
        let fits = |sent: &&Sent| sent.at >= since && sent.client.get(part) == Some(&client);
        let ids: Vec<u64> = self.by_id.values().filter(fits).map(|sent| sent.id).collect();
        ids.into_iter().filter_map(|id| self.claim(id, incident)).collect()
    }

    fn claim(&mut self, id: u64, incident: u64) -> Option<Sent> {
        let sent = self.by_id.get_mut(&id).filter(|sent| sent.incident == 0)?;
        sent.incident = incident;
        Some(sent.clone())
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(id: u64, at: i64, range: u64) -> Sent {
        Sent {
            id,
            at,
            number: id,
            range,
            client: [0; 3],
            price: 1,
            code: true,
            genuine: true,
            confirmed: false,
            rows: [0; 8],
            incident: 0,
        }
    }

    #[test]
    fn it_holds_a_day_and_a_bounded_number() {
        let mut recent = Recent::default();
        for id in 1..=150_000u64 {
            recent.add(sent(id, 1000 + id as i64 / 10, id % 7));
        }
        assert_eq!((recent.len(), recent.by_range.values().map(VecDeque::len).sum::<usize>()), (MOST, MOST));
        recent.add(sent(200_000, 1000 + 15_000 + REMEMBERED * 2, 1));
        assert_eq!((recent.len(), recent.by_range.len()), (1, 1), "the rest is older than a day");
    }

    #[test]
    fn a_message_matures_once_and_is_claimed_once() {
        let mut recent = Recent::default();
        recent.add(sent(1, 100, 5));
        recent.add(sent(2, 200, 5));
        assert!(recent.matured(699).is_none());
        assert_eq!(recent.matured(700).map(|s| s.id), Some(1));
        assert!(recent.matured(799).is_none());
        assert_eq!(recent.claim_range(5, 9).len(), 2);
        assert!(recent.claim_range(5, 10).is_empty());
        recent.remove(2);
        assert!(recent.matured(900).is_none(), "what was not sent after all does not mature");
    }
}

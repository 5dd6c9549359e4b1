//! Velocities in virtual time, while a rule looks at them; counted as the live gateway counts them.

use hashbrown::HashMap;

use crate::blind::BlindIndex;
use crate::facts::{Fact, Facts};
use crate::limit::Dimensions;
use crate::request::Request;
use crate::time::Timestamp;
use crate::velocity::tracker::{Keys, Noted, Tracker};
use crate::velocity::{Velocities, VelocityKey};

/// Keys at most.
const MOST_KEYS: usize = 1_000_000;
/// A message that nobody confirmed by then is forgotten (messages later).
const MOST_OPEN: usize = 1 << 20;

/// The tracker, and the keys of messages that may still be confirmed.
#[derive(Debug, Default)]
pub(super) struct Counted(Option<(Tracker, HashMap<u64, Keys>)>);

impl Counted {
    /// Counting only if anybody looks.
    pub fn new(wanted: bool) -> Self {
        Counted(wanted.then(|| (Tracker::new(MOST_KEYS), HashMap::new())))
    }

    /// The keys of a request.
    pub fn keys(
        &self,
        index: &BlindIndex,
        by: &Dimensions,
        request: &Request,
        facts: &Facts,
    ) -> Option<Keys> {
        self.0.as_ref()?;
        let mut keys = Keys::of(by.to);
        let client = &request.client;
        let fields = [
            (VelocityKey::Number, Some(by.to)),
            (VelocityKey::Range, Some(by.range)),
            (VelocityKey::Country, Some(by.country)),
            (VelocityKey::Subaccount, Some(by.sub)),
            (VelocityKey::ApiKey, Some(by.key)),
            (VelocityKey::Ip, by.ip),
            (VelocityKey::Network, by.ip48.or(by.ip24)),
            (
                VelocityKey::Asn,
                facts.ip.and_then(|ip| ip.asn).map(|asn| index.hash(b'5', &asn.to_le_bytes())),
            ),
            (VelocityKey::User, client.user.as_deref().map(|user| index.text(b'6', user))),
            (VelocityKey::Fingerprint, client.fingerprint.as_deref().map(|print| index.text(b'7', print))),
        ];
        for (key, hash) in fields {
            if let Some(hash) = hash {
                keys.set(key, hash);
            }
        }
        Some(keys)
    }

    /// What the keys did before this request, which is counted with it.
    pub fn look(&mut self, keys: Option<&Keys>, now: Timestamp) -> Fact<Velocities> {
        let (Some((tracker, _)), Some(keys)) = (&mut self.0, keys) else { return Fact::NotAsked };
        let before = tracker.read(keys, now);
        tracker.note(keys, Noted::Request, 1, now, now);
        Fact::Known(before)
    }

    /// The request was sent, under this name of the engine's.
    pub fn sent(&mut self, keys: Option<Keys>, id: u64, now: Timestamp) {
        let (Some((tracker, open)), Some(keys)) = (&mut self.0, keys) else { return };
        tracker.note(&keys, Noted::Send, 1, now, now);
        if open.len() >= MOST_OPEN {
            let oldest = id.saturating_sub(MOST_OPEN as u64 / 2);
            open.retain(|id, _| *id > oldest);
        }
        open.insert(id, keys);
    }

    /// Its code was confirmed.
    pub fn confirmed(&mut self, id: u64, now: Timestamp) {
        let Some((tracker, open)) = &mut self.0 else { return };
        if let Some(keys) = open.remove(&id) {
            tracker.note(&keys, Noted::Confirmation, 1, now, now);
        }
    }
}

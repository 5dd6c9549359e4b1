//! A message that is sent: which keys it is booked to, and what is usual for it.

use super::asked::Asked;
use super::engine::{BLOCK_WINDOW, CLIENT_WINDOW, Engine};
use super::evidence::{Explained, KeyKind};
use super::guessing::guesser_hashes;
use super::keys::{Cohort, Key, Keys, mix};
use super::pending::{Booking, Pending, Role};
use super::rows::{ExposureRow, NumberRow, VolumeRow};
use super::seen::{From, Seen};
use super::state::{KeyState, single};
use crate::request::Operation;

/// Trials a day that one address may tell wide keys, unless it usually has more.
const TOLD_PER_DAY: f64 = 3.0;

/// Bounds of what is usual. Where nearly everybody confirms, a single failure must not count for more than its
/// hour-to-hour chance.
const LEAST_USUAL: f64 = 0.15;
const MOST_USUAL: f64 = 0.90;
/// What is assumed to be usual before anything was learned, and how many trials the assumption is worth.
const ASSUMED_USUAL: f64 = 0.8;
const ASSUMED_WEIGHT: f64 = 10.0;
/// The key of everything together.
pub(super) const WORLD: u64 = 0x0f0f;
/// A block with fewer confirmations has never been seen.
const SEEN: f32 = 0.5;

impl Engine {
    pub(super) fn sent(&mut self, id: u64, asked: &Asked, probability: f64, explained: Explained) {
        let keys = Keys::of(asked);
        let cohort = self.cohort(asked, &keys);
        let repeats = self.repeated(&keys);
        let now = self.seconds();
        if asked.of_a_user() {
            self.note_spreads(&keys, cohort, probability, now);
        }
        if asked.operation != Operation::VerifyStart {
            // Nobody confirms a text, and nobody asks for it again.
            self.note_sender(asked, &keys);
            return;
        }
        let first = self.note_number(id, &keys, repeats, now);
        if first {
            self.note_asked(&keys, cohort, explained, now);
        }
        if id == 0 {
            return;
        }
        let bookings = match (repeats, first) {
            (Some(_), _) => Vec::new(),
            (None, true) => self.book(&keys, cohort, explained, now),
            (None, false) => self.book_client(&keys, cohort, now),
        };
        let exposed = self.expose(asked, &keys, cohort, now);
        self.outstanding.insert(
            id,
            Pending {
                at: self.now,
                number: keys.number,
                cohort,
                probability: single(probability),
                price: asked.price,
                failed: false,
                stage: 0,
                repeats: repeats.unwrap_or(0),
                credited: repeats.is_none(),
                bookings,
                health: [keys.operator.hash, keys.country.hash],
                exposed,
                guessers: guesser_hashes(&keys, cohort),
                wrong: 0,
            },
        );
    }

    /// A request that was not sent still says how much is asked for, and of what.
    pub(super) fn refused(&mut self, asked: &Asked) {
        let keys = Keys::of(asked);
        let cohort = self.cohort(asked, &keys);
        let now = self.seconds();
        if asked.operation != Operation::VerifyStart {
            self.note_sender(asked, &keys);
            return;
        }
        let explained = self.explains(asked, &keys, cohort);
        if explained == Explained::Block {
            self.heat(&keys, now);
        }
        let first = self.ask_number(&keys, now).is_none_or(|row| row.asks == 1);
        if first {
            self.note_asked(&keys, cohort, explained, now);
        }
    }

    /// The number's block is under attack: that makes other blocks of the country, and of the world, less
    /// innocent.
    fn heat(&mut self, keys: &Keys, now: u32) {
        let [block, ..] = keys.blocks;
        if !self.spreads.find_mut(block.hash).is_some_and(|seen| seen.heat(now)) {
            return;
        }
        for key in [keys.country.hash, WORLD] {
            if let Some(row) = self.volumes.find_mut(key) {
                row.add_hot(now);
            }
        }
    }

    /// Requests by wide key, sent or not.
    fn note_asked(&mut self, keys: &Keys, cohort: Cohort, explained: Explained, now: u32) {
        for key in wide(keys, explained) {
            let class = (key.kind.has_classes() && cohort.unknown()).then(|| key.of_class(cohort));
            for key in [Some(key.in_cohort(cohort.tested_with())), class].into_iter().flatten() {
                if let Some(row) = self.keys.find_mut(key.hash) {
                    row.fade(now);
                    row.asked += 1.0;
                }
            }
        }
    }

    fn ask_number(&mut self, keys: &Keys, now: u32) -> Option<&mut NumberRow> {
        let (key, network) = (keys.number, keys.network.map_or(0, |n| low_bits(n.hash)));
        let place = self.numbers.enter(key, now, || NumberRow { key, ..NumberRow::default() });
        let row = self.numbers.at_mut(place)?;
        row.ask(now, network);
        Some(row)
    }

    /// Whether it is the first message to this number since it confirmed, or within a day.
    fn note_number(&mut self, id: u64, keys: &Keys, repeats: Option<u64>, now: u32) -> bool {
        let Some(row) = self.ask_number(keys, now) else { return true };
        if repeats.is_none() {
            row.trial = id;
        }
        row.unconfirmed = row.unconfirmed.saturating_add(1);
        row.unconfirmed == 1
    }

    /// Distinct numbers by block and by client, and the country's volume.
    fn note_spreads(&mut self, keys: &Keys, cohort: Cohort, probability: f64, now: u32) {
        let from = keys.from();
        if cohort.unknown() {
            for block in keys.blocks.iter().filter(|b| b.kind != KeyKind::Block1k) {
                let number = within(keys.digits, block.kind);
                self.note(block.hash, BLOCK_WINDOW, number, from, now);
            }
            // A campaign must not raise what is expected of its own blocks.
            if probability < 0.2 {
                let novel =
                    keys.blocks.map(|b| self.keys.find(b.hash).is_none_or(|row| row.base_confirmed < SEEN));
                for key in [keys.country.hash, WORLD] {
                    let place = self.volumes.enter(key, now, || VolumeRow::new(key, now));
                    if let Some(row) = self.volumes.at_mut(place) {
                        row.add(now);
                        row.learn(novel);
                    }
                }
            }
        }
        for client in [keys.ip, keys.network].into_iter().flatten() {
            self.note(client.hash, CLIENT_WINDOW, low_bits(keys.number), from, now);
        }
    }

    fn note(&mut self, key: u64, window: u32, number: u32, from: From, now: u32) {
        let place = self.spreads.enter(key, now, || Seen::new(key, window, now));
        if let Some(seen) = self.spreads.at_mut(place) {
            seen.note(now, number, from);
        }
    }

    /// Books the message to its keys. What a narrow key explains is not held against wide ones.
    fn book(&mut self, keys: &Keys, cohort: Cohort, explained: Explained, now: u32) -> Vec<Booking> {
        let usual = self.usual(keys);
        let mut bookings = Vec::with_capacity(18);
        for key in keys.blocks.into_iter().chain(keys.ip).chain(keys.network) {
            bookings.push(self.booking(key, Role::Narrow, usual, cohort, now));
        }
        if matches!(explained, Explained::No | Explained::Country) {
            for key in self.pooled(keys) {
                bookings.push(self.booking(key, Role::Pooled, usual, cohort, now));
            }
        }
        if cohort != Cohort::Trusted && self.may_tell(keys, now) {
            for key in wide(keys, explained) {
                bookings.push(self.booking(
                    key.in_cohort(cohort.tested_with()),
                    Role::Wide,
                    usual,
                    cohort,
                    now,
                ));
                if key.kind.has_classes() && cohort.unknown() {
                    bookings.push(self.booking(key.of_class(cohort), Role::Pooled, usual, cohort, now));
                }
            }
        }
        bookings
    }

    /// A number that is asked for again and again tells only about who asks: its block, its operator and its
    /// country are not to blame for it.
    fn book_client(&mut self, keys: &Keys, cohort: Cohort, now: u32) -> Vec<Booking> {
        let usual = self.usual(keys);
        let client = [keys.ip, keys.network].into_iter().flatten();
        client.map(|key| self.booking(key, Role::Narrow, usual, cohort, now)).collect()
    }

    fn booking(&mut self, key: Key, role: Role, usual: f64, cohort: Cohort, now: u32) -> Booking {
        let place = self.keys.enter(key.hash, now, || KeyState::new(key.hash, key.kind, now));
        let mut own = usual;
        if let Some(row) = self.keys.at_mut(place) {
            row.fade(now);
            row.pins = row.pins.saturating_add(1);
            if cohort != Cohort::Trusted {
                row.open = row.open.saturating_add(1);
            }
            own = if role == Role::Pooled {
                usual
            } else {
                (usual * row.ratio()).clamp(LEAST_USUAL, MOST_USUAL)
            };
        }
        Booking { place, role, usual: single(own), told: [0.0; 3], expected: 0.0 }
    }

    /// Rows whose baselines make up what is usual: over all cohorts.
    pub(super) fn pooled(&self, keys: &Keys) -> [Key; 4] {
        let pooled = |key: Key| Key { hash: mix(key.hash, 0x9001), ..key };
        let print = Key { kind: KeyKind::Fingerprint, hash: keys.print };
        let world = Key { kind: KeyKind::Subaccount, hash: 0x0f0f };
        [pooled(world), pooled(keys.country), pooled(keys.operator), pooled(print)]
    }

    /// The usual probability that such a message is confirmed: the world's, the country's, the operator's,
    /// each shrunk towards the one before, times what is usual for the client.
    pub(super) fn usual(&self, keys: &Keys) -> f64 {
        let [world, country, operator, print] = self.pooled(keys);
        let base = |key: Key| {
            let row = self.keys.find(key.hash);
            row.map_or((0.0, 0.0), |r| (f64::from(r.base_confirmed), f64::from(r.base_trials)))
        };
        let shrunk = |(c, n): (f64, f64), towards: f64, weight: f64| (c + weight * towards) / (n + weight);
        let told = base(world);
        let world = shrunk(told, ASSUMED_USUAL, ASSUMED_WEIGHT);
        let country = shrunk(base(country), world, 25.0);
        let operator = shrunk(base(operator), country, 30.0);
        let client = self.keys.find(print.hash).map_or(1.0, KeyState::ratio);
        // While little was seen of anything, what is usual may be less by a standard deviation.
        let doubt = (ASSUMED_USUAL * (1.0 - ASSUMED_USUAL) / (ASSUMED_WEIGHT + told.1)).sqrt();
        (operator * client - doubt).clamp(LEAST_USUAL, MOST_USUAL)
    }

    /// Whether this address may still tell wide keys something today.
    fn may_tell(&mut self, keys: &Keys, now: u32) -> bool {
        let Some(ip) = keys.ip else { return true };
        let own = self.keys.find(ip.hash).map_or(0.0, |row| f64::from(row.base_trials));
        let days = super::rows::watched(now.saturating_sub(self.since_seconds())) / 86_400.0;
        let told = self.spreads.find_mut(ip.hash).map_or(0, |seen| seen.book(now));
        f64::from(told) < (2.0 * own / days.max(1.0)).max(TOLD_PER_DAY)
    }

    pub(super) fn since_seconds(&self) -> u32 {
        u32::try_from(self.since / 1000).unwrap_or(0)
    }

    /// Counts the message's price as outstanding.
    fn expose(&mut self, asked: &Asked, keys: &Keys, cohort: Cohort, now: u32) -> Option<[u64; 3]> {
        if cohort == Cohort::Trusted {
            return None;
        }
        let exposed = exposures(keys);
        for key in exposed {
            let place = self.exposure.enter(key, now, || ExposureRow::new(key, now));
            if let Some(row) = self.exposure.at_mut(place) {
                row.outstanding = row.outstanding.saturating_add(asked.price);
                row.pins = row.pins.saturating_add(1);
            }
        }
        Some(exposed)
    }
}

/// Keys of exposure: the subaccount's country, the operator, the subaccount.
pub(super) fn exposures(keys: &Keys) -> [u64; 3] {
    [mix(keys.country.hash, keys.subaccount), mix(keys.operator.hash, 0xe0), mix(keys.subaccount, 0xe1)]
}

/// Wide keys that a message is booked to.
pub(super) fn wide(keys: &Keys, explained: Explained) -> impl Iterator<Item = Key> {
    let of_number = matches!(explained, Explained::No | Explained::Country);
    let number = [keys.operator, keys.country].into_iter().filter(move |_| of_number);
    let of_client = move |kind: KeyKind| match explained {
        Explained::No => true,
        Explained::Client => !matches!(kind, KeyKind::Asn | KeyKind::CountryAsn),
        Explained::Block | Explained::Country => false,
    };
    number.chain(keys.wide_client.into_iter().flatten().filter(move |k| of_client(k.kind)))
}

/// A number's open digits within its block.
pub(super) fn within(digits: u64, kind: KeyKind) -> u32 {
    let open: u64 = if kind == KeyKind::Block100k { 100_000 } else { 10_000 };
    u32::try_from(digits % open).unwrap_or(0)
}

/// Twenty bits of a hash.
pub(super) fn low_bits(hash: u64) -> u32 {
    u32::try_from(hash & 0xf_ffff).unwrap_or(0)
}

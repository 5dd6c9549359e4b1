//! Shared addresses: a campus, an office, a carrier that puts thousands of subscribers behind one address.
//!
//! A limit per address that stops a flood of one person would stop them. So an address earns room by what
//! happened there in the last seven days: for every [`PER_STEP`] different numbers that confirmed a code,
//! one more time the quota, up to [`MOST_WIDENED`] times; each fingerprint there may use half of that. (A
//! fingerprint is often a model of phone rather than one device, so that many people of a campus share it.) An address where less than half of the numbers confirm has not
//! earned anything: that is what pumping looks like.
//!
//! Two codes an hour for every user, with the built-in limit of 20: a thousand users who ask for three codes
//! a week each, most of them in the evening, stay far below (the test at the end draws such a week).

use serde::{Deserialize, Serialize};

/// How long an address is remembered, in hours.
pub const REMEMBERED_HOURS: u32 = 7 * 24;
/// Confirmed numbers for one more time the quota.
pub const PER_STEP: u32 = 10;
/// At most so many times the quota.
pub const MOST_WIDENED: u32 = 64;
/// Numbers of one address that are worth remembering: more change nothing.
pub const MOST_NUMBERS: usize = (PER_STEP * MOST_WIDENED * 2) as usize;

/// What happened at an address in the last seven days.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddressHistory {
    /// Different numbers that codes were sent to.
    pub numbers: u32,
    /// Those among them that confirmed one.
    pub confirmed: u32,
}

impl AddressHistory {
    /// How many times the quota of a limit per address it may use.
    pub fn widened(self) -> u32 {
        if u64::from(self.confirmed) * 2 < u64::from(self.numbers) {
            return 1;
        }
        (1 + self.confirmed / PER_STEP).min(MOST_WIDENED)
    }
}

/// A number seen at an address: eight bytes, because there are many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeenNumber {
    number: u32,
    hour_and_confirmed: u32,
}

impl SeenNumber {
    fn hour(self) -> u32 {
        self.hour_and_confirmed >> 1
    }

    fn confirmed(self) -> bool {
        self.hour_and_confirmed & 1 == 1
    }
}

/// The numbers of one address, oldest first. One needs no allocation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Numbers {
    /// A single one.
    One(SeenNumber),
    /// Several.
    Many(Vec<SeenNumber>),
}

impl Numbers {
    /// With its first number. `number`: its keyed hash; `hour`: hours since the epoch.
    pub fn new(number: u64, hour: u32, confirmed: bool) -> Self {
        Numbers::One(seen(number, hour, confirmed))
    }

    fn all(&self) -> &[SeenNumber] {
        match self {
            Numbers::One(one) => std::slice::from_ref(one),
            Numbers::Many(all) => all,
        }
    }

    /// Notes that a code went to a number, or that the number confirmed one.
    pub fn note(&mut self, number: u64, hour: u32, confirmed: bool) {
        let mut new = seen(number, hour, confirmed);
        if let Some(old) = self.all().iter().find(|old| old.number == new.number) {
            new = SeenNumber {
                hour_and_confirmed: old.hour().max(hour) << 1 | u32::from(old.confirmed() || confirmed),
                ..new
            };
        }
        let mut all = match std::mem::replace(self, Numbers::One(new)) {
            Numbers::One(one) if one.number == new.number => return,
            Numbers::One(one) => vec![one],
            Numbers::Many(all) => all,
        };
        all.retain(|old| old.number != new.number && old.hour() + REMEMBERED_HOURS > hour);
        if all.len() >= MOST_NUMBERS {
            all.remove(0);
        }
        all.push(new);
        *self = Numbers::Many(all);
    }

    /// What happened there until now.
    pub fn history(&self, hour: u32) -> AddressHistory {
        let live = self.all().iter().filter(|seen| seen.hour() + REMEMBERED_HOURS > hour);
        live.fold(AddressHistory::default(), |all, seen| AddressHistory {
            numbers: all.numbers + 1,
            confirmed: all.confirmed + u32::from(seen.confirmed()),
        })
    }

    /// The hour from which on nothing of it matters.
    pub fn forgotten_at(&self) -> u32 {
        self.all().iter().map(|seen| seen.hour() + REMEMBERED_HOURS).max().unwrap_or(0)
    }
}

fn seen(number: u64, hour: u32, confirmed: bool) -> SeenNumber {
    // Half of a keyed hash tells the few hundred numbers of one address apart.
    let number = u32::try_from(number & u64::from(u32::MAX)).unwrap_or(0);
    SeenNumber { number, hour_and_confirmed: hour << 1 | u32::from(confirmed) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Timestamp;
    use crate::window::{Rule, Times};
    use std::time::Duration;

    fn history(numbers: u32, confirmed: u32) -> AddressHistory {
        AddressHistory { numbers, confirmed }
    }

    #[test]
    fn an_address_earns_room_by_confirmed_numbers_only() {
        assert_eq!(history(0, 0).widened(), 1);
        assert_eq!(history(9, 9).widened(), 1);
        assert_eq!(history(19, 19).widened(), 2);
        assert_eq!(history(45, 40).widened(), 5);
        assert_eq!(history(5000, 4000).widened(), MOST_WIDENED);
        assert_eq!(history(81, 40).widened(), 1, "less than half confirm");
        assert_eq!(history(100_000, 100).widened(), 1);
    }

    #[test]
    fn a_number_counts_once_and_is_forgotten_after_a_week() {
        let mut numbers = Numbers::new(1, 0, false);
        numbers.note(1, 5, true);
        numbers.note(2, 6, false);
        numbers.note(1, 7, false);
        assert_eq!(numbers.history(7), history(2, 1));
        assert_eq!(numbers.history(6 + REMEMBERED_HOURS), history(1, 1));
        assert_eq!(numbers.forgotten_at(), 7 + REMEMBERED_HOURS);
        assert_eq!(numbers.history(numbers.forgotten_at()), history(0, 0));
    }

    #[test]
    fn a_flood_of_numbers_takes_bounded_memory_and_earns_nothing() {
        let mut numbers = Numbers::new(0, 0, true);
        for n in 1..10_000 {
            numbers.note(n, 0, false);
        }
        assert_eq!(numbers.all().len(), MOST_NUMBERS);
        assert_eq!(numbers.history(0).widened(), 1);
    }

    /// Numbers without a generator of the system: the same week each time.
    struct Draw(u64);

    impl Draw {
        fn below(&mut self, n: u64) -> u64 {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 33) % n
        }
    }

    /// Three weeks at one address: users ask for three codes a week each, two thirds of them in four hours of
    /// the evening, and 92 of 100 confirm. Counts those whom the address limit of 20 an hour delays, after
    /// the first week.
    fn delayed(users: u64, learned: bool) -> (u64, u64) {
        let mut draw = Draw(7);
        let mut sends: Vec<(i64, u64)> = (0..users * 9)
            .map(|n| {
                let day = i64::try_from(draw.below(21)).unwrap();
                let hour = if draw.below(3) < 2 { 18 + draw.below(4) } else { draw.below(24) };
                let ms = i64::try_from(hour * 3_600_000 + draw.below(3_600_000)).unwrap();
                (day * 86_400_000 + ms, n % users)
            })
            .collect();
        sends.sort_unstable();
        let (mut times, mut numbers): (Option<Times>, Option<Numbers>) = (None, None);
        let (mut asked, mut late) = (0, 0);
        for (ms, user) in sends {
            let (now, hour) = (Timestamp::from_millis(ms), u32::try_from(ms / 3_600_000).unwrap());
            let known = numbers.as_ref().map(|n| n.history(hour)).unwrap_or_default();
            let widened = if learned { known.widened() } else { 1 };
            let window = Duration::from_secs(3600);
            let rule = Rule::Window { quota: 20 * widened, window, kept: 20 * MOST_WIDENED };
            let counted = ms > 7 * 86_400_000;
            asked += u64::from(counted);
            if rule.admits(times.as_ref(), 1, now).is_err() {
                late += u64::from(counted);
                continue;
            }
            rule.charge(&mut times, 1, now);
            let confirmed = draw.below(100) < 92;
            numbers.get_or_insert_with(|| Numbers::new(user, hour, false)).note(user, hour, confirmed);
        }
        (late, asked)
    }

    #[test]
    fn at_most_one_in_a_thousand_users_of_a_shared_address_is_delayed() {
        for users in [5, 30, 100, 300, 1_000, 2_000] {
            let (late, asked) = delayed(users, true);
            assert!(late * 1000 <= asked, "{late} of {asked} delayed with {users} users");
        }
        let (late, asked) = delayed(300, false);
        assert!(late * 10 > asked, "without learning this shows nothing: {late} of {asked}");
    }
}

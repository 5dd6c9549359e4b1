//! Outcomes: a sequential test on confirmations that does not wait for time-outs.
//!
//! A message of age a that nobody confirmed has likelihood 1 - p F(a) where p is the usual probability of a
//! confirmation and F the learned law of its delay. Under the alternative that conversion fell to rho p it is
//! 1 - rho p F(a). The logarithm of the ratio is added to each of the message's keys as it ages, and replaced
//! by ln rho when the confirmation comes. One-sided sums (CUSUM) of both alternatives stay at or above zero.

use super::booking::WORLD;
use super::delay::CHECKS;
use super::engine::Engine;
use super::keys::Cohort;
use super::math::ln;
use super::pending::{Booking, Pending, Role};
use super::rows::HealthRow;
use super::state::{KeyState, MOST, RHO, single};

/// The two-sided sum tells whether a block really confirms: its alternative, and what a confirmation is worth.
const BALANCE_RHO: f64 = 0.55;
const BALANCE_CONFIRMED: f64 = -0.9;
const BALANCE_RANGE: (f64, f64) = (-14.0, 10.0);
/// A single confirmation takes at most so much suspicion away.
const MOST_CLEARED: f64 = -1.3;
/// What is above it teaches no baseline (and neither does what a suspicious key sees).
const TEACHES_BELOW: f32 = 0.2;
/// Share of the alarm threshold from which a key's baseline is frozen.
const FROZEN_FROM: f64 = 0.7;
/// Health above this is health: a few failures are chance.
const HEALTHY: f64 = 0.85;

/// The share of confirmations that has come when nothing more can come.
const NEVER: f64 = 0.995;
/// The checkpoint from which a message of the control group counts as unconfirmed.
const GIVEN_UP: usize = 3;

/// How a message stands at some moment.
#[derive(Clone, Copy)]
enum Standing {
    /// Unconfirmed, when this share of confirmations should have come.
    Waiting(f64),
    /// Confirmed.
    Confirmed,
}

impl Engine {
    /// A message has reached an age at which silence says something.
    pub(super) fn checkpoint(&mut self, id: u64, stage: usize) {
        let Some(mut message) = self.outstanding.remove(id) else { return };
        let last = stage + 1 == CHECKS;
        message.stage = u8::try_from(stage).unwrap_or(u8::MAX);
        let by = if message.failed { NEVER } else { self.delay.by(stage) };
        self.tell(&mut message, Standing::Waiting(by));
        if last {
            self.settle(&message, 0.0);
        }
        self.outstanding.put_back(id, message);
    }

    /// The code was confirmed: this message and the one that it repeats.
    pub(super) fn confirmed(&mut self, id: u64) {
        let Some(message) = self.outstanding.get(id) else { return };
        let (number, repeats) = (message.number, message.repeats);
        // People who ask again confirm later: what is learned is the time from the first message on.
        let first = self.outstanding.get(repeats).unwrap_or(message);
        self.delay.learn(self.now - first.at);
        let now = self.seconds();
        if let Some(row) = self.numbers.find_mut(number) {
            row.confirmed = now;
            (row.asks, row.unconfirmed, row.changes) = (0, 0, 0);
            row.home = row.network.max(1);
        }
        self.confirm_one(id);
        if repeats != 0 {
            self.confirm_one(repeats);
        }
    }

    fn confirm_one(&mut self, id: u64) {
        let Some(mut message) = self.outstanding.remove(id) else { return };
        self.tell(&mut message, Standing::Confirmed);
        // After the last checkpoint the baseline already counts it as unconfirmed: leave it at that.
        if usize::from(message.stage) + 1 < CHECKS {
            self.settle(&message, 1.0);
        }
        self.release(&message, false);
        self.unpin(&message);
    }

    /// A receipt says that the message did not arrive: there is nothing to wait for. It excuses nobody, since
    /// numbers that were made up fail as well; when a route is down the control group shows it.
    pub(super) fn failed(&mut self, id: u64) {
        let Some(mut message) = self.outstanding.remove(id) else { return };
        if !message.failed {
            message.failed = true;
            self.tell(&mut message, Standing::Waiting(NEVER));
            if let Some(usual) = message.bookings.first().map(|b| f64::from(b.usual)) {
                self.control(&message, 0.0, usual);
            }
        }
        self.outstanding.put_back(id, message);
    }

    /// Nothing more is expected of the message.
    pub(super) fn forget(&mut self, id: u64) {
        let Some(message) = self.outstanding.remove(id) else { return };
        self.release(&message, true);
        self.unpin(&message);
    }

    /// Its rows may be forgotten as far as this message is concerned.
    fn unpin(&mut self, message: &Pending) {
        for booking in &message.bookings {
            if let Some(row) = self.keys.at_mut(booking.place) {
                row.pins = row.pins.saturating_sub(1);
            }
        }
        for key in message.exposed.into_iter().flatten() {
            if let Some(row) = self.exposure.find_mut(key) {
                row.pins = row.pins.saturating_sub(1);
            }
        }
    }

    /// Replaces what the message told its keys by what it tells them now.
    fn tell(&mut self, message: &mut Pending, standing: Standing) {
        let now = self.seconds();
        let health = self.route_health(message.health);
        let speaks = message.cohort != Cohort::Trusted;
        self.keys.warm(message.bookings.iter().map(|booking| booking.place));
        let mut said = None;
        for booking in &mut message.bookings {
            let Some(row) = self.keys.at_mut(booking.place) else { continue };
            row.fade(now);
            if booking.told == [0.0; 3] && booking.expected == 0.0 {
                row.trials += 1.0;
            }
            let p = f64::from(booking.usual) * health;
            count(row, booking, standing, p);
            if speaks && booking.role != Role::Pooled {
                // Most keys of a message share what is usual, and logarithms are dear.
                let said = match said {
                    Some((of, said)) if of == p => said,
                    _ => said.insert((p, Said::of(standing, p))).1,
                };
                tell_row(row, booking, said);
            }
        }
        self.control_group(message, standing);
    }

    /// What a trusted message says of its route: once, when it is confirmed or when it should have been.
    fn control_group(&mut self, message: &Pending, standing: Standing) {
        let Some(usual) = message.bookings.first().map(|b| f64::from(b.usual)) else { return };
        match (standing, usize::from(message.stage)) {
            (Standing::Confirmed, ..GIVEN_UP) if !message.failed => self.control(message, 1.0, usual),
            (Standing::Confirmed, _) => self.control(message, 1.0, 0.0),
            (Standing::Waiting(_), GIVEN_UP) if !message.failed => self.control(message, 0.0, usual),
            _ => {}
        }
    }

    /// The control group speaks about its operator and country.
    fn control(&mut self, message: &Pending, confirmed: f64, expected: f64) {
        if message.cohort != Cohort::Trusted {
            return;
        }
        let now = self.seconds();
        for key in message.health.into_iter().chain([WORLD]) {
            let place = self.health.enter(key, now, || HealthRow::new(key, now));
            if let Some(row) = self.health.at_mut(place) {
                row.add(now, confirmed, expected);
            }
        }
    }

    /// Health of the route to an operator, between 0 and 1: what the control group confirms of its usual.
    pub(super) fn route_health(&self, [operator, country]: [u64; 2]) -> f64 {
        let now = self.seconds();
        let of = |key, assumed| self.health.find(key).map_or(assumed, |row| row.health(now, assumed));
        let health = of(operator, of(country, of(WORLD, 1.0)));
        if health > HEALTHY { 1.0 } else { health }
    }

    /// The trial is over: baselines learn from it, unless it looks like part of a campaign or any of its keys is
    /// under suspicion. So an attack cannot make itself usual.
    fn settle(&mut self, message: &Pending, confirmed: f32) {
        let untrusted = message.cohort != Cohort::Trusted;
        let suspicious =
            |row: &KeyState| row.most_suspicious() >= FROZEN_FROM * self.tuning.alarm(row.kind());
        let frozen = message.bookings.iter().any(|b| self.keys.at(b.place).is_some_and(suspicious));
        let teaches = message.probability < TEACHES_BELOW && !(frozen && untrusted);
        for booking in &message.bookings {
            let Some(row) = self.keys.at_mut(booking.place) else { continue };
            if untrusted {
                row.open = row.open.saturating_sub(1);
            }
            if teaches {
                row.base_trials += 1.0;
                row.base_expected += booking.usual;
                row.base_confirmed += confirmed;
            }
        }
    }

    /// The message's price is no longer outstanding.
    fn release(&mut self, message: &Pending, lost: bool) {
        let now = self.seconds();
        for key in message.exposed.into_iter().flatten() {
            let Some(row) = self.exposure.find_mut(key) else { continue };
            row.outstanding = row.outstanding.saturating_sub(message.price);
            if lost && message.probability < TEACHES_BELOW {
                row.lose(now, message.price);
            }
        }
    }
}

/// Confirmations, and those that were expected.
fn count(row: &mut KeyState, booking: &mut Booking, standing: Standing, p: f64) {
    let expected = match standing {
        Standing::Waiting(by) => p * by,
        Standing::Confirmed => {
            row.confirmed += 1.0;
            p
        }
    };
    row.expected += single(expected) - booking.expected;
    booking.expected = single(expected);
}

/// What a message says where a confirmation has probability p: log-likelihood ratios of both alternatives, and
/// what it adds to the two-sided sum.
#[derive(Clone, Copy)]
struct Said {
    ratios: [f64; 2],
    balance: f64,
}

impl Said {
    fn of(standing: Standing, p: f64) -> Self {
        let Standing::Waiting(by) = standing else { return Said::CONFIRMED };
        let d = p * by;
        let ratio = |rho: f64| ln((1.0 - rho * d) / (1.0 - d));
        Said { ratios: RHO.map(ratio), balance: ratio(BALANCE_RHO) }
    }

    const CONFIRMED: Said = {
        let [low, part] = RHO;
        Said { ratios: [ln(low).max(MOST_CLEARED), ln(part).max(MOST_CLEARED)], balance: BALANCE_CONFIRMED }
    };
}

fn tell_row(row: &mut KeyState, booking: &mut Booking, said: Said) {
    let [low, part, both] = &mut booking.told;
    for ((sum, told), ratio) in row.suspicion.iter_mut().zip([low, part]).zip(said.ratios) {
        *sum = single((f64::from(*sum) + ratio - f64::from(*told)).clamp(0.0, MOST));
        *told = single(ratio);
    }
    let (least, most) = BALANCE_RANGE;
    row.balance = single((f64::from(row.balance) + said.balance - f64::from(*both)).clamp(least, most));
    *both = single(said.balance);
    if row.suspicion == [0.0; 2] {
        (row.trials, row.confirmed, row.expected) = (0.0, 0.0, 0.0);
    }
}

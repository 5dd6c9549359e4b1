//! Three defences that are usual elsewhere, as honestly as they can be built from what is published.
//!
//! - **B0**, limits: per client address 10 an hour and 40 a day, per number 3 in 10 minutes and 6 a day. The
//!   address is the left-most one of a forwarding header, as many apps have it.
//! - **B1**, country caps: B0, and for each country a cap for the (UTC) day, 1.5 times its busiest day of the
//!   warm-up and at least 50.
//! - **B2**, prefix velocity and conversion: B0, and a block of 12 hours for blocks of 1,000, 10,000 and 100,000
//!   numbers, operators and countries that over the last 4 hours passed a volume and converted less than 30 %
//!   (operators and countries 35 %). Messages of the last 2 minutes do not count yet.
//!
//! A factor multiplies every threshold of volume but those per number, which protect a person and not a bill.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use hashbrown::HashMap;

use seawall_core::country::Country;
use seawall_core::decision::{Decision, Verdict};
use seawall_core::replay::Decided;

use super::defence::Kind;
use super::seen::Seen;
use super::windows::{Conversion, DAY, Sends};

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;

/// Over how long conversion is looked at, and when a message may be called unconfirmed.
const WINDOW: i64 = 4 * HOUR;
const WAIT: i64 = 2 * MINUTE;
/// How long a prefix is blocked.
const BLOCKED_FOR: i64 = 12 * HOUR;
/// Volume from which on conversion counts, and the conversion below which the key is blocked: blocks of 1,000,
/// 10,000 and 100,000 numbers, operator, country.
const PREFIXES: [(f64, f64); 5] = [(10.0, 0.30), (20.0, 0.30), (40.0, 0.30), (100.0, 0.35), (200.0, 0.35)];

/// A baseline at work.
pub(crate) struct Baseline {
    kind: Kind,
    factor: f64,
    warm_until: i64,
    by_ip: Sends,
    by_number: Sends,
    by_day: HashMap<(Country, i64), u32>,
    /// The busiest day of the warm-up.
    busiest: HashMap<Country, u32>,
    conversion: Conversion,
    blocked: HashMap<u64, i64>,
    /// When a confirmation is due, of a message sent when, to which keys.
    due: BinaryHeap<Reverse<(i64, i64, [u64; 5])>>,
}

impl Baseline {
    pub fn new(kind: Kind, factor: f64, warm_until: i64) -> Self {
        Baseline {
            kind,
            factor,
            warm_until,
            by_ip: Sends::default(),
            by_number: Sends::default(),
            by_day: HashMap::new(),
            busiest: HashMap::new(),
            conversion: Conversion::default(),
            blocked: HashMap::new(),
            due: BinaryHeap::new(),
        }
    }

    /// Decides a request for a code.
    pub fn step(&mut self, seen: &Seen) -> Decided {
        self.hear(seen.at);
        let verdict = self.verdict(seen);
        let sent = verdict == Verdict::Allow;
        if sent {
            self.sent(seen);
        }
        Decided { decision: Decision { verdict, ..Decision::default() }, sent, price: seen.price }
    }

    fn hear(&mut self, now: i64) {
        while let Some(Reverse((due, at, keys))) = self.due.peek().copied() {
            if due > now {
                break;
            }
            self.due.pop();
            keys.iter().for_each(|key| self.conversion.confirmed(*key, at));
        }
    }

    fn verdict(&mut self, seen: &Seen) -> Verdict {
        let most = |quota: f64| scaled(quota, self.factor) as usize;
        let (ip, now) = (seen.ip, seen.at);
        let address = ip.is_none_or(|ip| {
            self.by_ip.fits(ip, HOUR, most(10.0), now) && self.by_ip.fits(ip, DAY, most(40.0), now)
        });
        let number = self.by_number.fits(seen.number, 10 * MINUTE, 3, now)
            && self.by_number.fits(seen.number, DAY, 6, now);
        if !address || !number {
            return Verdict::Throttle;
        }
        let stopped = match self.kind {
            Kind::Limits => false,
            Kind::Caps => self.capped(seen),
            Kind::Prefix => self.prefix_blocked(seen),
        };
        if stopped { Verdict::Block } else { Verdict::Allow }
    }

    /// No cap during the warm-up: that is when the operator learns what is usual.
    fn capped(&self, seen: &Seen) -> bool {
        if seen.at < self.warm_until {
            return false;
        }
        let busiest = self.busiest.get(&seen.country).copied().unwrap_or(0);
        let cap = scaled((f64::from(busiest) * 1.5).max(50.0), self.factor);
        self.by_day.get(&(seen.country, seen.at / DAY)).is_some_and(|n| f64::from(*n) >= cap)
    }

    fn prefix_blocked(&mut self, seen: &Seen) -> bool {
        let mut stopped = false;
        for (key, (volume, least)) in seen.keys.iter().zip(PREFIXES) {
            if self.blocked.get(key).is_some_and(|until| *until > seen.at) {
                stopped = true;
                continue;
            }
            let (sent, confirmed) = self.conversion.lately(*key, WINDOW, WAIT, seen.at);
            if f64::from(sent) >= scaled(volume, self.factor)
                && f64::from(confirmed) < least * f64::from(sent)
            {
                self.blocked.insert(*key, seen.at + BLOCKED_FOR);
                stopped = true;
            }
        }
        stopped
    }

    fn sent(&mut self, seen: &Seen) {
        if let Some(ip) = seen.ip {
            self.by_ip.add(ip, seen.at);
        }
        self.by_number.add(seen.number, seen.at);
        match self.kind {
            Kind::Limits => {}
            Kind::Caps => {
                let today = self.by_day.entry((seen.country, seen.at / DAY)).or_default();
                *today += 1;
                if seen.at < self.warm_until {
                    let busiest = self.busiest.entry(seen.country).or_default();
                    *busiest = (*today).max(*busiest);
                }
            }
            Kind::Prefix => {
                seen.keys.iter().for_each(|key| self.conversion.sent(*key, WINDOW, seen.at));
                let after = seen.if_sent.confirm_after_ms.and_then(|ms| i64::try_from(ms).ok());
                if let Some(after) = after {
                    self.due.push(Reverse((seen.at.saturating_add(after), seen.at, seen.keys)));
                }
            }
        }
    }
}

/// A threshold times a factor, at least 1.
fn scaled(threshold: f64, factor: f64) -> f64 {
    (threshold * factor).round().max(1.0)
}

//! An attacker that hears what becomes of its requests. It leaves a range at the first stop, comes back after a
//! day, and looks like those who were on the page a moment ago.

use hashbrown::HashMap;

use super::Ranges;
use crate::sim::actor::{Actor, Fate, Feedback};
use crate::sim::request::Request;
use crate::sim::rng::Rng;
use crate::sim::scenario::Setup;
use crate::sim::world::World;
use crate::sim::{DAY, HOUR};

/// For how long a range that was stopped is left alone.
const REST: i64 = 24 * HOUR;
/// After so many messages it takes the next range, stopped or not.
const ENOUGH: u32 = 60;
/// So many challenges are taken for a stop.
const NOTICED: u32 = 3;
/// Mean time between two requests, milliseconds.
const PACE: f64 = 15_000.0;

/// Ranges of five dear countries, and an attacker that moves among them.
pub fn adaptive(setup: &mut Setup) {
    let mut ranges = Vec::new();
    for iso in ["UZ", "DZ", "AZ", "LK", "TN"] {
        let country = setup.ranges(iso, 6, 120);
        let one = |block: &u64| Ranges { blocks: vec![*block], ..country.clone() };
        ranges.extend(country.blocks.iter().map(one));
    }
    setup.rng.shuffle(&mut ranges);
    let (rng, left) = (Rng::new(setup.rng.bits(), "adaptive"), setup.count(3_000));
    let due = Some(setup.hour(3.0));
    let ranges =
        ranges.into_iter().map(|range| Front { range, ready: i64::MIN, made: 0, challenged: 0 }).collect();
    setup.actors.push(Box::new(Adaptive {
        campaign: setup.campaign,
        fronts: ranges,
        current: 0,
        own: HashMap::new(),
        due,
        left,
        rng,
    }));
}

/// A range and what was learnt of it.
struct Front {
    range: Ranges,
    /// Not before.
    ready: i64,
    made: u32,
    challenged: u32,
}

struct Adaptive {
    campaign: &'static str,
    fronts: Vec<Front>,
    current: usize,
    /// Which range each of the latest requests was for.
    own: HashMap<u64, usize>,
    due: Option<i64>,
    left: usize,
    rng: Rng,
}

impl Actor for Adaptive {
    fn due(&self) -> Option<i64> {
        self.due
    }

    fn next(&mut self, now: i64, heard: &[Feedback], world: &mut World) -> Vec<Request> {
        heard.iter().for_each(|feedback| self.learn(now, *feedback));
        let Some(front) = self.choose(now) else {
            // Everything was stopped: wait for the first range to be forgotten.
            self.due = self.fronts.iter().map(|front| front.ready).min().filter(|ready| *ready > now);
            return Vec::new();
        };
        let request = self.request(now, front, world);
        self.left = self.left.saturating_sub(1);
        self.due = (self.left > 0).then(|| now + 500 + self.rng.exponential(PACE) as i64);
        request.into_iter().collect()
    }

    fn listens(&self) -> bool {
        true
    }
}

impl Adaptive {
    fn learn(&mut self, now: i64, feedback: Feedback) {
        let front = self.own.remove(&feedback.id).and_then(|front| self.fronts.get_mut(front));
        let Some(front) = front else { return };
        front.challenged += u32::from(feedback.fate == Fate::Challenged);
        if feedback.fate == Fate::Stopped || front.challenged >= NOTICED {
            *front = Front { ready: now + REST, made: 0, challenged: 0, range: front.range.clone() };
        }
    }

    /// The range to use now: the last one, unless it rests or had enough.
    fn choose(&mut self, now: i64) -> Option<usize> {
        let count = self.fronts.len();
        let ready =
            |n: &usize| self.fronts.get(*n).is_some_and(|front| front.ready <= now && front.made < ENOUGH);
        let chosen = (self.current..self.current + count).map(|n| n % count.max(1)).find(ready);
        if chosen.is_none() {
            self.fronts.iter_mut().filter(|front| front.made >= ENOUGH).for_each(|front| front.again(now));
        }
        self.current = chosen.unwrap_or(self.current);
        chosen
    }

    fn request(&mut self, now: i64, at: usize, world: &mut World) -> Option<Request> {
        if self.own.len() > 1_000 {
            self.own.clear();
        }
        let front = self.fronts.get_mut(at)?;
        front.made += 1;
        let client = world.live_client(front.range.land, &mut self.rng);
        let request = front.range.request_from(now, client, world, &mut self.rng)?.campaign(self.campaign);
        self.own.insert(request.id, at);
        Some(request)
    }
}

impl Front {
    /// Nobody minded: it may be used again at once.
    fn again(&mut self, now: i64) {
        self.made = 0;
        self.ready = self.ready.max(now + 1).min(now + DAY);
    }
}

#[cfg(test)]
mod tests {
    use crate::sim::actor::Fate;
    use crate::sim::request::Request;
    use crate::sim::simulation::Simulation;
    use crate::sim::{HOUR, Params};

    /// The attack's requests, when every one of them meets the same fate.
    fn meeting(fate: Option<Fate>) -> Vec<Request> {
        let params = Params { warmup_days: 0, per_day: 200, ..Params::FULL };
        let mut simulation = Simulation::sized("adaptive", 1, params).unwrap();
        let mut attack = Vec::new();
        while let Some(request) = simulation.next_request() {
            if request.campaign.is_some() {
                fate.iter().for_each(|fate| simulation.tell(request.id, *fate));
                attack.push(request);
            }
        }
        attack
    }

    #[test]
    fn who_is_never_stopped_goes_on() {
        assert_eq!(meeting(None).len(), 3_000);
        assert_eq!(meeting(Some(Fate::Sent)).len(), 3_000);
    }

    #[test]
    fn a_stop_ends_a_range_for_a_day() {
        let stopped = meeting(Some(Fate::Stopped));
        let block = |request: &Request| request.to().unwrap() / 10_000;
        assert_eq!(stopped.len(), 60, "thirty ranges, once each, twice");
        let (first, again) = stopped.split_at(30);
        for (a, b) in first.iter().zip(again) {
            assert_eq!(block(a), block(b));
            assert!(b.at - a.at >= 24 * HOUR);
        }
    }

    #[test]
    fn challenges_are_taken_for_a_stop() {
        assert_eq!(meeting(Some(Fate::Challenged)).len(), 180, "three a range");
    }
}

//! The list of scenarios, and what each is built from.

use super::actor::{Actor, Script, Turn};
use super::attacks::{blocks, scatter};
use super::conditions::{Conditions, During, Surge};
use super::request::Request;
use super::rng::Rng;
use super::world::World;
use super::{DAY, HOUR, Params, TEST_FROM};

/// What a scenario is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An attack in quiet traffic.
    Attack,
    /// No attack, but what looks like one.
    HardNegative,
    /// An attack within what looks like one.
    Mixed,
}

/// One scenario.
#[derive(Clone, Copy)]
pub struct Scenario {
    /// Its name, also of its campaign.
    pub name: &'static str,
    /// What it is for.
    pub kind: Kind,
    /// What happens, in a sentence.
    pub what: &'static str,
    /// The size that it is meant to have.
    pub params: Params,
    pub(super) build: fn(&mut Setup),
}

/// There is no such scenario.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no scenario `{name}`; `seawall simulate --list` names them{nearest}")]
pub struct UnknownScenario {
    name: String,
    nearest: String,
}

/// What a scenario is built with.
pub struct Setup<'a> {
    /// What everybody shares.
    pub world: &'a mut World,
    /// The scenario's own chance.
    pub rng: Rng,
    /// What becomes unusual.
    pub conditions: Conditions,
    /// Who acts.
    pub actors: Vec<Box<dyn Actor>>,
    campaign: &'static str,
}

const FULL: Params = Params { warmup_days: 7, test_days: 2, per_day: 8_000, attack_scale: 1.0 };

const fn row(name: &'static str, kind: Kind, what: &'static str, build: fn(&mut Setup)) -> Scenario {
    Scenario { name, kind, what, params: FULL, build }
}

use Kind::{Attack, HardNegative};

#[rustfmt::skip] // one scenario a line reads as the table that it is
static SCENARIOS: &[Scenario] = &[
    row("seq_block", Attack, "4,000 sequential numbers of one block in AZ, from 20 hosting addresses, one bot client", blocks::seq_block),
    row("random_in_prefix", Attack, "3,000 numbers in one block of 10,000 in UZ, from residential proxies", blocks::random_in_prefix),
    row("partial_30", Attack, "3,000 messages to PK, 30 % of them confirmed", blocks::partial_30),
    row("scatter_country", Attack, "2,500 numbers spread over all of PH, everything mimicked", scatter::scatter_country),
    row("hn_quiet", HardNegative, "nothing", |_| {}),
    row("hn_flash_crowd", HardNegative, "eight times the traffic for four hours", |setup| {
        let during = setup.during(12.0, 4.0);
        setup.conditions.surges.push(Surge { during, land: None, times: 8.0 });
    }),
];

/// Everything that can be simulated.
pub fn scenarios() -> &'static [Scenario] {
    SCENARIOS
}

/// A scenario by its name; `quiet` is short for `hn_quiet`.
pub(super) fn find(name: &str) -> Result<&'static Scenario, UnknownScenario> {
    let full = if name == "quiet" { "hn_quiet" } else { name };
    SCENARIOS.iter().find(|scenario| scenario.name == full).ok_or_else(|| {
        let near = SCENARIOS.iter().find(|scenario| scenario.name.contains(name) && name.len() > 2);
        let nearest = near.map(|near| format!("; did you mean `{}`?", near.name)).unwrap_or_default();
        UnknownScenario { name: name.chars().take(40).collect(), nearest }
    })
}

impl<'a> Setup<'a> {
    pub(super) fn new(world: &'a mut World, seed: u64, campaign: &'static str) -> Self {
        let (rng, conditions) = (Rng::new(seed, campaign), Conditions::default());
        Setup { world, rng, conditions, actors: Vec::new(), campaign }
    }

    /// How many requests a full number becomes at this size.
    pub fn count(&self, full: usize) -> usize {
        ((full as f64 * self.world.params.attack_scale).round() as usize).max(1)
    }

    /// A time of the test, in hours from its begin; a test of less than two days is quicker.
    pub fn hour(&self, hours: f64) -> i64 {
        let span = f64::from(self.world.params.test_days) * DAY as f64;
        let hour = (span / 48.0).min(HOUR as f64);
        TEST_FROM + (hours * hour) as i64
    }

    /// Some hours of the test.
    pub fn during(&self, from: f64, hours: f64) -> During {
        During { from: self.hour(from), until: self.hour(from + hours) }
    }

    /// So many times, evenly likely over some hours of the test.
    pub fn times(&mut self, full: usize, from: f64, hours: f64) -> Vec<i64> {
        let (first, last) = (self.hour(from) as f64, self.hour(from + hours) as f64);
        (0..self.count(full)).map(|_| self.rng.between(first, last) as i64).collect()
    }

    /// Requests at given times that belong to the attack.
    pub fn attack(
        &mut self,
        times: Vec<i64>,
        mut make: impl FnMut(&mut Turn) -> Option<Request> + Send + 'static,
    ) {
        let campaign = self.campaign;
        self.act(times, move |turn| {
            make(turn).map(|request| request.campaign(campaign)).into_iter().collect()
        });
    }

    /// Requests at given times.
    pub fn act(&mut self, times: Vec<i64>, make: impl FnMut(&mut Turn) -> Vec<Request> + Send + 'static) {
        let rng = Rng::new(self.rng.bits(), "script");
        self.actors.push(Box::new(Script::new(times, rng, make)));
    }
}

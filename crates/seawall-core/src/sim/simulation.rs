//! The simulation: population, attacks and events merged into one stream in the order of time. What is held in
//! memory is what lies ahead for a few minutes, and the list of customers.

use hashbrown::HashMap;

use super::actor::{Actor, Fate, Feedback};
use super::agenda::{Agenda, Item};
use super::arrivals::Arrivals;
use super::conditions::Conditions;
use super::people::Joined;
use super::request::Request;
use super::rng::Rng;
use super::scenario::{self, Setup, UnknownScenario};
use super::world::World;
use super::{Params, TEST_FROM};
use crate::time::Timestamp;
use crate::trace::Line;

/// How many requests whose fate is not told yet are remembered for their actor.
const UNTOLD: usize = 10_000;

/// A stream of requests, ordered by time, the same for the same scenario, seed and parameters.
pub struct Simulation {
    world: World,
    conditions: Conditions,
    arrivals: Arrivals,
    rng: Rng,
    ahead: Agenda,
    actors: Vec<Cast>,
    untold: HashMap<u64, usize>,
}

struct Cast {
    actor: Box<dyn Actor>,
    heard: Vec<Feedback>,
}

impl Simulation {
    /// A scenario by name, at the size that it is meant to have.
    pub fn new(name: &str, seed: u64) -> Result<Self, UnknownScenario> {
        let params = scenario::find(name)?.params;
        Self::sized(name, seed, params)
    }

    /// A scenario by name, at another size.
    pub fn sized(name: &str, seed: u64, params: Params) -> Result<Self, UnknownScenario> {
        let entry = scenario::find(name)?;
        let mut world = World::new(seed, params);
        let mut setup = Setup::new(&mut world, seed, entry.name);
        (entry.build)(&mut setup);
        let (conditions, actors) = (setup.conditions, setup.actors);
        Ok(Self::with(world, seed, conditions, actors))
    }

    /// Several attacks on one population, each so many milliseconds later than in its own scenario. What a
    /// scenario changes about the population itself is left out.
    pub fn several(attacks: &[(&str, i64)], seed: u64, params: Params) -> Result<Self, UnknownScenario> {
        let mut world = World::new(seed, params);
        let mut actors = Vec::new();
        for (name, later) in attacks {
            let entry = scenario::find(name)?;
            let mut setup = Setup::new(&mut world, seed, entry.name);
            setup.later = *later;
            (entry.build)(&mut setup);
            actors.append(&mut setup.actors);
        }
        Ok(Self::with(world, seed, Conditions::default(), actors))
    }

    /// A quiet population with actors of one's own.
    pub fn around(seed: u64, params: Params, actors: Vec<Box<dyn Actor>>) -> Self {
        Self::with(World::new(seed, params), seed, Conditions::default(), actors)
    }

    fn with(mut world: World, seed: u64, conditions: Conditions, actors: Vec<Box<dyn Actor>>) -> Self {
        let mut rng = Rng::new(seed, "people");
        world.settle(&mut rng);
        let (start, end, per_day) = (world.start(), world.end(), f64::from(world.params.per_day));
        let clock = Rng::new(seed, "arrivals");
        // Every tenth request or so is another try of the same person.
        let arrivals = Arrivals::new(clock, per_day * FIRST_TRIES, start, end, &world.lands, &conditions);
        let actors = actors.into_iter().map(|actor| Cast { actor, heard: Vec::new() }).collect();
        let (ahead, untold) = (Agenda::default(), HashMap::new());
        Simulation { world, conditions, arrivals, rng, ahead, actors, untold }
    }

    /// Whether what it will ask for depends on what it is told.
    pub fn adapts(&self) -> bool {
        self.actors.iter().any(|cast| cast.actor.listens())
    }

    /// When the warm-up ends; attacks begin later.
    pub fn warmup_until(&self) -> Timestamp {
        Timestamp::from_millis(TEST_FROM)
    }

    /// When the trace begins.
    pub fn start(&self) -> Timestamp {
        Timestamp::from_millis(self.world.start())
    }

    /// When the trace ends; no request is later.
    pub fn end(&self) -> Timestamp {
        Timestamp::from_millis(self.world.end())
    }

    /// Tells the one who made a request what became of it, before the next request is asked for. Of no use to a
    /// scenario whose attack does not adapt.
    pub fn tell(&mut self, id: u64, fate: Fate) {
        let cast = self.untold.remove(&id).and_then(|actor| self.actors.get_mut(actor));
        if let Some(cast) = cast {
            cast.heard.push(Feedback { id, fate });
        }
    }

    /// The next request.
    pub fn next_request(&mut self) -> Option<Request> {
        let end = self.world.end();
        loop {
            let (at, whose) = self.soonest()?;
            if at >= end {
                return None;
            }
            match whose {
                Whose::Agenda => {
                    if let Some(request) = self.ahead_comes() {
                        return Some(request);
                    }
                }
                Whose::Actor(index) => self.actor_acts(index, at),
                Whose::People => self.somebody_comes(),
            }
        }
    }

    /// What comes first. At the same instant: what was planned, then actors in their order, then people.
    fn soonest(&self) -> Option<(i64, Whose)> {
        let planned = self.ahead.due().map(|at| (at, Whose::Agenda));
        let actors =
            self.actors.iter().enumerate().filter_map(|(n, c)| Some((c.actor.due()?, Whose::Actor(n))));
        let people = self.arrivals.due().map(|at| (at, Whose::People));
        planned.into_iter().chain(actors).chain(people).min_by_key(|(at, _)| *at)
    }

    fn ahead_comes(&mut self) -> Option<Request> {
        let (request, actor) = match self.ahead.take()? {
            Item::Emit(request, actor) => (*request, actor),
            Item::Join(joined) => {
                self.join(joined);
                return None;
            }
        };
        if let Some(actor) = actor {
            if self.untold.len() >= UNTOLD {
                self.untold.clear();
            }
            self.untold.insert(request.id, actor);
        }
        Some(request)
    }

    fn join(&mut self, joined: Joined) {
        match joined.place {
            Some(place) => self.world.customers.renew(joined.land, place, joined.customer),
            None => self.world.customers.add(joined.land, joined.customer, &mut self.rng),
        }
    }

    fn actor_acts(&mut self, index: usize, at: i64) {
        let Some(cast) = self.actors.get_mut(index) else { return };
        let listens = cast.actor.listens().then_some(index);
        let requests = cast.actor.next(at, &cast.heard, &mut self.world);
        cast.heard.clear();
        for request in requests {
            self.ahead.plan(request.at.max(at), Item::Emit(Box::new(request), listens));
        }
    }

    fn somebody_comes(&mut self) {
        let Some((at, land)) = self.arrivals.take(&self.world.lands, &self.conditions) else { return };
        let Some(visit) = self.world.visit(at, land, &self.conditions, &mut self.rng) else { return };
        self.world.watch(land, visit.from.client);
        let (requests, joined) = self.world.tries(at, &visit, &self.conditions, &mut self.rng);
        for request in requests {
            self.ahead.plan(request.at, Item::Emit(Box::new(request), None));
        }
        if let Some(joined) = joined {
            self.ahead.plan(joined.at, Item::Join(joined));
        }
    }
}

/// Of a day's requests, so many are first tries.
const FIRST_TRIES: f64 = 0.89;

#[derive(Clone, Copy)]
enum Whose {
    Agenda,
    Actor(usize),
    People,
}

impl Iterator for Simulation {
    type Item = Line<'static>;

    fn next(&mut self) -> Option<Line<'static>> {
        self.next_request().map(Request::into_line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::request::Ask;
    use crate::sim::{DAY, scenarios};

    /// A size at which every scenario takes a moment.
    const SMALL: Params = Params { warmup_days: 1, test_days: 2, per_day: 400, attack_scale: 0.05 };

    /// Requests of each attack, checks of codes included.
    const SIZES: [(&str, usize); 35] = [
        ("seq_block", 4_000),
        ("random_in_prefix", 3_000),
        ("multi_range", 4_000),
        ("multi_country", 5_000),
        ("resproxy_top_country", 3_000),
        ("datacentre", 3_000),
        ("low_and_slow", 440),
        ("partial_10", 3_000),
        ("partial_30", 3_000),
        ("partial_60", 3_000),
        ("slow_ramp", 3_000),
        ("weekend_night", 2_500),
        ("test_then_burst", 3_015),
        ("bomb_single", 300),
        ("bomb_list", 1_800),
        ("otp_bruteforce", 2_000),
        ("cred_stuffing", 3_000),
        ("xff_spoof", 2_500),
        ("mixed_campaign", 900),
        ("scatter_country", 2_500),
        ("scatter_partial30", 2_500),
        ("partial_90", 3_000),
        ("forged_dlr", 3_000),
        ("neighbouring_ranges", 3_000),
        ("adaptive", 3_000),
        ("poisoned_warmup", 3_400),
        ("day_zero", 3_000),
        ("ipv6_rotation", 3_000),
        ("vpn_accounts", 2_000),
        ("otp_guessing", 1_800),
        ("check_stuffing", 7_500),
        ("launch_attack", 2_000),
        ("two_tenants", 2_500),
        ("lost_feedback", 3_000),
        ("hijacked_sender", 5_000),
    ];

    fn bytes(name: &str, seed: u64) -> Vec<String> {
        let lines = Simulation::sized(name, seed, SMALL).unwrap();
        lines.map(|line| serde_json::to_string(&line).unwrap()).collect()
    }

    #[test]
    fn a_seed_repeats_its_trace_and_another_does_not() {
        assert_eq!(bytes("seq_block", 1), bytes("seq_block", 1));
        assert_ne!(bytes("seq_block", 1), bytes("seq_block", 2));
    }

    #[test]
    fn every_scenario_runs_in_order_with_unique_names() {
        for scenario in scenarios() {
            let (mut last, mut names, mut attacks) = (0, std::collections::HashSet::new(), 0);
            let mut simulation = Simulation::sized(scenario.name, 3, SMALL).unwrap();
            while let Some(request) = simulation.next_request() {
                assert!(request.at >= last, "{}", scenario.name);
                assert!(names.insert(request.id), "{}: r{} twice", scenario.name, request.id);
                assert!((simulation.start().as_millis()..simulation.end().as_millis()).contains(&request.at));
                last = request.at;
                attacks += usize::from(request.campaign.is_some());
            }
            assert_eq!(attacks > 0, scenario.kind != scenario::Kind::HardNegative, "{}", scenario.name);
        }
    }

    #[test]
    fn an_attack_leaves_the_population_as_it_was() {
        let legitimate = |name| {
            let all = Simulation::sized(name, 5, SMALL).unwrap();
            let lines = all.filter(|line| line.truth.as_ref().is_some_and(|truth| !truth.attack));
            lines.map(|line| (line.t, format!("{:?}{:?}", line.client, line.op))).collect::<Vec<_>>()
        };
        assert_eq!(legitimate("random_in_prefix"), legitimate("quiet"));
    }

    #[test]
    fn a_day_has_its_requests_four_fifths_of_them_confirmed_and_a_quarter_trusted() {
        let params = Params { test_days: 1, ..Params::default() };
        let mut simulation = Simulation::sized("quiet", 1, params).unwrap();
        let (mut all, mut confirmed, mut tokens) = (0.0, 0.0, 0.0);
        while let Some(request) = simulation.next_request() {
            let Ask::Start { if_sent, .. } = request.ask else { continue };
            if request.at >= TEST_FROM - 3 * DAY {
                all += 1.0;
                confirmed += f64::from(u8::from(if_sent.confirm_after_ms.is_some()));
                tokens += f64::from(u8::from(request.from.is_some_and(|from| from.token.is_some())));
            }
        }
        assert!((30_000.0..34_500.0).contains(&all), "{all} in four days");
        assert!((0.785..0.815).contains(&(confirmed / all)), "{}", confirmed / all);
        assert!((0.26..0.31).contains(&(tokens / all)), "{}", tokens / all);
    }

    #[test]
    fn a_token_is_held_only_after_a_verification_that_was_reported() {
        let mut simulation = Simulation::sized("lost_feedback", 1, SMALL).unwrap();
        let mut verified = std::collections::HashMap::new();
        while let Some(request) = simulation.next_request() {
            let (Ask::Start { to, known, if_sent, .. }, Some(from)) = (request.ask, request.from) else {
                continue;
            };
            if from.token.is_some() && !known {
                let since: i64 = *verified.get(&to).unwrap();
                assert!(request.at >= since);
            }
            if let Some(after) = if_sent.confirm_after_ms {
                verified.entry(to).or_insert(request.at + after as i64);
            }
        }
        let mut new = Simulation::sized("day_zero", 1, Params { warmup_days: 0, ..SMALL }).unwrap();
        let first = (0..20).map(|_| new.next_request().unwrap());
        assert!(first.into_iter().all(|request| request.from.is_some_and(|from| from.token.is_none())));
    }

    #[test]
    fn attacks_have_the_size_that_they_are_said_to_have() {
        for (name, count) in SIZES {
            let params = Params { per_day: 100, warmup_days: 1, ..Params::default() };
            let mut simulation = Simulation::sized(name, 1, params).unwrap();
            let requests = std::iter::from_fn(|| simulation.next_request());
            let attacks: Vec<Request> = requests.filter(|request| request.campaign.is_some()).collect();
            assert_eq!(attacks.len(), count, "{name}");
            assert!(attacks.iter().all(|request| request.campaign == Some(name)), "{name}");
            let early = attacks.iter().filter(|request| request.at < TEST_FROM).count();
            assert_eq!(early, if name == "poisoned_warmup" { 400 } else { 0 }, "{name}");
        }
    }

    #[test]
    fn several_attacks_meet_one_population() {
        let both = [("seq_block", 0), ("partial_30", 3 * super::super::HOUR)];
        let simulation = Simulation::several(&both, 1, SMALL).unwrap();
        let mut first = std::collections::BTreeMap::new();
        for line in simulation {
            let truth = line.truth.unwrap();
            first.entry(truth.campaign.map(|name| name.to_string())).or_insert(line.t.as_millis());
        }
        let hour = |name: &str| (first[&Some(name.to_owned())] - TEST_FROM) / super::super::HOUR;
        assert_eq!((first.len(), hour("seq_block"), hour("partial_30")), (3, 10, 12));
    }

    #[test]
    fn an_unknown_scenario_is_named() {
        let error = Simulation::new("hn_flash", 1).err().unwrap().to_string();
        assert!(error.contains("`hn_flash`") && error.contains("`hn_flash_crowd`"), "{error}");
    }
}

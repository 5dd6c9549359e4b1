//! Who acts besides the population: attacks, and legitimate events that are more than a change of rates.

use super::addresses::Address;
use super::request::{Ask, Origin, Request};
use super::rng::Rng;
use super::world::World;
use crate::trace::IfSent;

/// An attack or an event. It is asked when it is due, and may learn what became of its requests.
///
/// A trace has no answers: without anybody who calls [`super::Simulation::tell`], an actor hears nothing.
pub trait Actor: Send {
    /// When it acts next, milliseconds since the epoch; `None`: never again.
    fn due(&self) -> Option<i64>;

    /// What it does now. The requests may lie ahead, not behind. `heard` is what became of its own requests since
    /// the last time, in the order in which it was told.
    fn next(&mut self, now: i64, heard: &[Feedback], world: &mut World) -> Vec<Request>;

    /// Whether it wants to hear.
    fn listens(&self) -> bool {
        false
    }
}

/// What became of a request, as the one who made it can see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Feedback {
    /// The request.
    pub id: u64,
    /// What became of it.
    pub fate: Fate,
}

/// What the one who makes a request can see of the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The message was sent.
    Sent,
    /// A challenge was set.
    Challenged,
    /// Another channel, a wait, or nothing.
    Stopped,
}

/// Requests at times that are fixed beforehand, made one at a time.
pub struct Script<F> {
    times: Vec<i64>,
    made: usize,
    rng: Rng,
    make: F,
}

/// What a script's request is made from.
pub struct Turn<'a> {
    /// When.
    pub at: i64,
    /// The how manyth of the script, from 0.
    pub n: usize,
    /// What everybody shares.
    pub world: &'a mut World,
    /// The script's own chance.
    pub rng: &'a mut Rng,
}

impl<F: FnMut(&mut Turn) -> Vec<Request> + Send> Script<F> {
    /// A script whose requests come at these times.
    pub fn new(mut times: Vec<i64>, rng: Rng, make: F) -> Self {
        times.sort_unstable();
        Script { times, made: 0, rng, make }
    }
}

impl<F: FnMut(&mut Turn) -> Vec<Request> + Send> Actor for Script<F> {
    fn due(&self) -> Option<i64> {
        self.times.get(self.made).copied()
    }

    fn next(&mut self, now: i64, _heard: &[Feedback], world: &mut World) -> Vec<Request> {
        let mut turn = Turn { at: now, n: self.made, world, rng: &mut self.rng };
        self.made += 1;
        (self.make)(&mut turn)
    }
}

impl Origin {
    /// A client without a token at that address.
    pub fn new(address: Address, client: u8) -> Self {
        Origin { address, client, token: None, forwarded_for: None }
    }
}

impl Request {
    /// The same request, as part of an attack.
    pub fn campaign(self, campaign: &'static str) -> Self {
        Request { campaign: Some(campaign), ..self }
    }

    /// The same request, confirmed with that probability after some twenty seconds.
    pub fn confirmed(mut self, probability: f64, rng: &mut Rng) -> Self {
        if let Ask::Start { if_sent, .. } = &mut self.ask
            && rng.chance(probability)
        {
            let after = rng.log_normal(20_000.0, 0.6).clamp(4_000.0, 590_000.0) as u64;
            *if_sent = IfSent { confirm_after_ms: Some(after), wrong_checks: 0, delivered: Some(true) };
        }
        self
    }

    /// The same request, for a number that was or was not verified before the trace.
    pub fn known(mut self, before: bool) -> Self {
        if let Ask::Start { known, .. } = &mut self.ask {
            *known = before;
        }
        self
    }

    /// The same request of somebody who passes a challenge with that probability.
    pub fn passing(mut self, probability: f64, rng: &mut Rng) -> Self {
        if let Ask::Start { passes, .. } = &mut self.ask {
            *passes = rng.chance(probability);
        }
        self
    }
}

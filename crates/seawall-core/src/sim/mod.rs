//! The traffic simulator: a seeded population, attacks and hard cases in virtual time. The same scenario, seed
//! and parameters give the same trace; nothing here reads a clock or draws chance that it was not given.
//!
//! The population is an assumption, not a measurement (there is no public data of codes and confirmations):
//! 27 countries with their own clocks, operators and confirmation rates; people who retry, come back, share
//! addresses, travel and sit behind VPNs. Numbers lie in real operators' ranges and addresses in real networks.
//!
//! [`scenarios`] lists what can be simulated. [`Simulation`] is an iterator over lines of a trace; who wants an
//! attacker that adapts tells it what became of its requests ([`Simulation::tell`]).

mod actor;
mod addresses;
mod agenda;
mod arrivals;
mod attacks;
mod clients;
mod conditions;
mod countries;
mod customers;
mod events;
mod land;
mod numbers;
mod people;
mod request;
mod rng;
mod scenario;
mod simulation;
mod tables;
mod world;

pub use actor::{Actor, Fate, Feedback, Script, Turn};
pub use addresses::Address;
pub use attacks::proxies::Proxies;
pub use countries::{COUNTRIES, CountryRow, LAUNCH};
pub use land::{Land, Operator};
pub use request::{Ask, Origin, Request};
pub use rng::Rng;
pub use scenario::{Kind, Scenario, UnknownScenario, scenarios};
pub use simulation::Simulation;
pub use world::World;

use crate::time::Timestamp;

/// A second, milliseconds.
pub const SECOND: i64 = 1_000;
/// A minute, milliseconds.
pub const MINUTE: i64 = 60 * SECOND;
/// An hour, milliseconds.
pub const HOUR: i64 = 60 * MINUTE;
/// A day, milliseconds.
pub const DAY: i64 = 24 * HOUR;
/// When the warm-up ends and the test begins: 2026-01-12T00:00:00Z, a Monday. With the usual seven days of
/// warm-up a trace begins on 2026-01-05.
pub const TEST_FROM: i64 = 1_768_176_000_000;
/// Whose users the population are.
pub const SUBACCOUNT: &str = "acme_hq";
/// The second tenant, in the scenario that has one.
pub const SECOND_SUBACCOUNT: &str = "acme_shop";

/// How large a simulation is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Params {
    /// Days before [`TEST_FROM`].
    pub warmup_days: u32,
    /// Days from [`TEST_FROM`] on. Attacks that are made for two days are squeezed into fewer.
    pub test_days: u32,
    /// Legitimate requests of an average day.
    pub per_day: u32,
    /// How many requests attacks and events make, as a factor.
    pub attack_scale: f64,
}

impl Params {
    /// When the trace begins, when its test begins, and when it ends.
    pub fn times(&self) -> [Timestamp; 3] {
        let (warmup, test) = (i64::from(self.warmup_days) * DAY, i64::from(self.test_days) * DAY);
        [TEST_FROM - warmup, TEST_FROM, TEST_FROM + test].map(Timestamp::from_millis)
    }

    /// The size at which scenarios are compared.
    pub const FULL: Params = Params { warmup_days: 7, test_days: 2, per_day: 8_000, attack_scale: 1.0 };
}

impl Default for Params {
    fn default() -> Self {
        Self::FULL
    }
}

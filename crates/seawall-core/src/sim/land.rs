//! A country of the population with its operators, as one seed makes it.

use super::addresses::Address;
use super::countries::CountryRow;
use super::numbers::Numbers;
use super::rng::{Rng, Weights};
use super::tables::{Network, Plan};
use crate::country::Country;

/// A country.
#[derive(Clone, Debug)]
pub struct Land {
    /// Its row in the table.
    pub row: &'static CountryRow,
    /// Its code.
    pub country: Country,
    /// How many of its people confirm, before what operator, client and hour make of it.
    pub confirms: f64,
    /// Its operators, the largest first.
    pub operators: Vec<Operator>,
    shares: Weights,
    /// Networks of homes, IPv4.
    homes: Vec<Network>,
    /// Networks of homes and phones, IPv6.
    six: Vec<Network>,
    offices: Vec<Address>,
}

/// An operator.
#[derive(Clone, Debug)]
pub struct Operator {
    /// Its name.
    pub name: &'static str,
    /// What it makes of the probability to confirm, about 1.
    pub confirms: f64,
    /// Its numbers.
    pub numbers: Numbers,
    /// The public addresses that its customers share.
    pub gateway: Vec<Address>,
}

impl Land {
    /// The country as a seed makes it, from the tables.
    pub fn new(
        row: &'static CountryRow,
        plans: &[Plan],
        networks: &[Network],
        rng: &mut Rng,
    ) -> Option<Self> {
        let country = Country::parse(row.iso)?;
        let here = |six: bool| {
            let found =
                networks.iter().filter(move |n| n.country == country && !n.hosting && n.is_v6() == six);
            found.copied().collect::<Vec<_>>()
        };
        let (homes, six) = (here(false), here(true));
        let operators: Vec<Operator> = plans
            .iter()
            .filter(|plan| plan.country == country)
            .map(|plan| Operator::new(plan, &homes, rng))
            .collect();
        let offices = 4 + (row.weight * 3.0) as usize;
        Some(Land {
            row,
            country,
            confirms: (row.confirms + rng.normal(0.0, 0.015)).clamp(0.6, 0.95),
            shares: Weights::new((0..operators.len()).map(|rank| 1.0 / (1.5 + rank as f64))),
            offices: (0..offices).filter_map(|_| Some(rng.pick(&homes)?.address(rng))).collect(),
            operators,
            homes,
            six,
        })
    }

    /// Some customer's operator, as an index into `operators`.
    pub fn operator(&self, rng: &mut Rng) -> usize {
        self.shares.pick(rng)
    }

    /// The operator whose prefix a number has; the first one if none has.
    pub fn operator_of(&self, number: u64) -> usize {
        self.operators.iter().position(|operator| operator.numbers.holds(number)).unwrap_or(0)
    }

    /// Some subscriber's number and operator.
    pub fn subscriber(&self, rng: &mut Rng) -> (u64, usize) {
        let operator = self.operator(rng);
        (self.operators.get(operator).map_or(0, |o| o.numbers.subscriber(rng)), operator)
    }

    /// The first number of some block of `10^digits` numbers, popular or not.
    pub fn block(&self, rng: &mut Rng, digits: u32) -> u64 {
        rng.pick(&self.operators).map_or(0, |operator| operator.numbers.block(rng, digits))
    }

    /// Somebody's home, IPv4.
    pub fn home(&self, rng: &mut Rng) -> Option<Address> {
        rng.pick(&self.homes).map(|network| network.address(rng))
    }

    /// Somebody's home or phone, IPv6.
    pub fn home_six(&self, rng: &mut Rng) -> Option<Address> {
        rng.pick(&self.six).map(|network| network.address(rng))
    }

    /// An address that the customers of an operator share.
    pub fn gateway(&self, operator: usize, rng: &mut Rng) -> Option<Address> {
        self.operators.get(operator).and_then(|operator| rng.pick(&operator.gateway)).copied()
    }

    /// Some office's address.
    pub fn office(&self, rng: &mut Rng) -> Option<Address> {
        rng.pick(&self.offices).copied()
    }
}

impl Operator {
    fn new(plan: &Plan, homes: &[Network], rng: &mut Rng) -> Self {
        let own = homes.iter().find(|network| network.asn == plan.asn).or(homes.first());
        let count = 3 + u8::try_from(rng.below(13)).unwrap_or(0);
        Operator {
            name: plan.operator,
            confirms: rng.normal(1.0, 0.04),
            numbers: Numbers::new(plan, rng),
            gateway: own.map(|network| network.pool(rng, count)).unwrap_or_default(),
        }
    }
}

//! Mobile numbers of an operator: every number belongs to a stem, and some parts of a stem are much more used
//! than others.

use super::rng::{Rng, Weights};
use super::tables::Plan;

/// Sub-blocks of a stem.
const PARTS: u64 = 100;
/// How unequal their popularity is (sigma of its logarithm).
const CLUSTERING: f64 = 1.2;

/// An operator's stem with the popularity of its hundred sub-blocks.
#[derive(Clone, Debug)]
struct Stem {
    first: u64,
    popularity: Weights,
}

/// The numbers of one operator.
#[derive(Clone, Debug)]
pub struct Numbers {
    stems: Vec<Stem>,
    /// Numbers of a stem.
    size: u64,
}

impl Numbers {
    /// An operator's numbers, clustered by chance.
    pub fn new(plan: &Plan, rng: &mut Rng) -> Self {
        let size = 10u64.saturating_pow(plan.rest);
        let stem = |stem: &u64, rng: &mut Rng| Stem {
            first: stem.saturating_mul(size),
            popularity: Weights::new((0..PARTS).map(|_| rng.log_normal(1.0, CLUSTERING))),
        };
        Numbers { stems: plan.stems.iter().map(|digits| stem(digits, rng)).collect(), size }
    }

    /// Some subscriber's number.
    pub fn subscriber(&self, rng: &mut Rng) -> u64 {
        let Some(stem) = rng.pick(&self.stems) else { return 0 };
        let part = self.size / PARTS;
        stem.first + stem.popularity.pick(rng) as u64 * part + rng.below(part)
    }

    /// The first number of some block of `10^digits` numbers, popular or not. A stem that is smaller is its own
    /// block.
    pub fn block(&self, rng: &mut Rng, digits: u32) -> u64 {
        let block = 10u64.saturating_pow(digits).min(self.size).max(1);
        let first = rng.pick(&self.stems).map_or(0, |stem| stem.first);
        first + rng.below(self.size / block) * block
    }

    /// Whether a number is one of these.
    pub fn holds(&self, number: u64) -> bool {
        self.stems.iter().any(|stem| (stem.first..stem.first + self.size).contains(&number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::msisdn::{Msisdn, NumberKind};
    use crate::sim::tables;

    #[test]
    fn every_number_is_a_mobile_number_of_its_country() {
        let mut rng = Rng::new(1, "numbers");
        for plan in tables::plans() {
            let numbers = Numbers::new(&plan, &mut rng);
            for at in 0..400 {
                let number = match at % 2 {
                    0 => numbers.subscriber(&mut rng),
                    _ => numbers.block(&mut rng, 4) + rng.below(10_000.min(numbers.size)),
                };
                let parsed = Msisdn::parse(&format!("+{number}"), None).unwrap();
                let what = format!("{} {} {number}", plan.country, plan.operator);
                assert!(parsed.valid && parsed.kind == NumberKind::Mobile, "{what} {parsed:?}");
                assert_eq!(parsed.country, plan.country, "{what}");
                assert!(numbers.holds(number), "{what}");
            }
        }
    }

    #[test]
    fn numbers_are_clustered() {
        let mut rng = Rng::new(1, "numbers");
        let plan = tables::plans().into_iter().find(|plan| plan.country.as_str() == "UZ").unwrap();
        let numbers = Numbers::new(&plan, &mut rng);
        let mut parts = std::collections::HashMap::new();
        for _ in 0..10_000 {
            *parts.entry(numbers.subscriber(&mut rng) / 100_000).or_insert(0) += 1;
        }
        let fair = 10_000 / (100 * plan.stems.len());
        assert!(parts.values().any(|count| *count > 5 * fair), "{fair} {parts:?}");
    }
}

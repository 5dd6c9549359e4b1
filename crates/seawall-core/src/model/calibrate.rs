//! From a sum of trees to a probability that can be held against money: Platt's logistic map, or isotonic steps.
//! Either keeps the order of requests.

use serde::{Deserialize, Serialize};

use crate::detect::math::{exp, ln};

/// The map.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Calibration {
    /// `1 / (1 + e^-(slope · margin + offset))`.
    Platt {
        /// Not negative, so that the order stays.
        slope: f64,
        /// Log-odds at a margin of zero.
        offset: f64,
    },
    /// Steps, joined by straight lines; flat beyond the ends.
    Isotonic {
        /// Margins, rising, with the probability at each, not falling.
        points: Vec<(f64, f64)>,
    },
}

impl Default for Calibration {
    /// The margin is taken for log-odds.
    fn default() -> Self {
        Calibration::Platt { slope: 1.0, offset: 0.0 }
    }
}

/// A label with what it counts: the margin that a model gave, whether it was bad, and its weight.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Told {
    /// The model's sum.
    pub margin: f64,
    /// Whether it belonged to a campaign.
    pub bad: bool,
    /// How much it counts.
    pub weight: f64,
}

/// Steps of Newton's method; it has converged long before.
const STEPS: usize = 50;
/// Times that a step is halved.
const HALVES: i32 = 30;
/// Points of an isotonic map, at most.
const MOST_POINTS: usize = 200;

impl Calibration {
    /// The probability for a margin.
    pub fn probability(&self, margin: f64) -> f64 {
        let probability = match self {
            Calibration::Platt { slope, offset } => 1.0 / (1.0 + exp(-(slope * margin + offset))),
            Calibration::Isotonic { points } => between(points, margin),
        };
        if probability.is_finite() { probability.clamp(0.0, 1.0) } else { 0.0 }
    }

    /// What is wrong with it, if anything is.
    pub fn problem(&self) -> Option<&'static str> {
        match self {
            Calibration::Platt { slope, offset } => {
                let fits = slope.is_finite() && offset.is_finite() && *slope >= 0.0;
                (!fits).then_some("slope and offset have to be numbers, the slope not below 0")
            }
            Calibration::Isotonic { points } => {
                let numbers = points.iter().all(|(m, p)| m.is_finite() && (0.0..=1.0).contains(p));
                let rising = points.is_sorted_by(|a, b| a.0 < b.0 && a.1 <= b.1);
                let fits = !points.is_empty() && points.len() <= MOST_POINTS && numbers && rising;
                (!fits).then_some(
                    "has to have 1 to 200 points with rising margins and probabilities that do not fall",
                )
            }
        }
    }

    /// Fits Platt's map: the likeliest one, with targets moved a little towards the middle so that few labels
    /// cannot make it certain (J. Platt, "Probabilistic outputs for support vector machines", 1999).
    pub fn platt(told: &[Told]) -> Self {
        let count = |bad: bool| told.iter().filter(|t| t.bad == bad).map(|t| t.weight).sum::<f64>();
        let (good, bad) = (count(false), count(true));
        let target = |t: &Told| if t.bad { (bad + 1.0) / (bad + 2.0) } else { 1.0 / (good + 2.0) };
        let mut at = [0.0, ln((bad + 1.0) / (good + 1.0))];
        for _ in 0..STEPS {
            let (mut g, mut h) = ([0.0; 2], [1e-9, 0.0, 1e-9]);
            for t in told {
                let p = 1.0 / (1.0 + exp(-(at[0] * t.margin + at[1])));
                let (error, curve) = (t.weight * (p - target(t)), t.weight * p * (1.0 - p));
                g = [g[0] + error * t.margin, g[1] + error];
                h = [h[0] + curve * t.margin * t.margin, h[1] + curve * t.margin, h[2] + curve];
            }
            let determinant = h[0] * h[2] - h[1] * h[1];
            let step = [(h[2] * g[0] - h[1] * g[1]) / determinant, (h[0] * g[1] - h[1] * g[0]) / determinant];
            let cost =
                |at: [f64; 2]| told.iter().map(|t| t.weight * surprise(at, t.margin, target(t))).sum::<f64>();
            let next = shortened(at, step, cost);
            if determinant.abs() < 1e-12 || next == at {
                break;
            }
            at = next;
        }
        let [slope, offset] = at;
        Calibration::Platt { slope: slope.max(0.0), offset }
    }

    /// Fits isotonic steps: neighbours that would fall are pooled until none does.
    pub fn isotonic(told: &[Told]) -> Self {
        let mut sorted = told.to_vec();
        sorted.sort_by(|a, b| a.margin.total_cmp(&b.margin));
        // Margins, bad weight and all weight of each pool.
        let mut pools: Vec<[f64; 3]> = Vec::new();
        for t in sorted {
            let bad = if t.bad { t.weight } else { 0.0 };
            pools.push([t.margin * t.weight, bad, t.weight]);
            while let [.., before, last] = pools.as_mut_slice()
                && (before[1] * last[2] >= last[1] * before[2] || before[0] * last[2] >= last[0] * before[2])
            {
                before.iter_mut().zip(*last).for_each(|(sum, more)| *sum += more);
                pools.pop();
            }
        }
        let points = pools.iter().filter(|p| p[2] > 0.0).map(|p| (p[0] / p[2], p[1] / p[2])).collect();
        Calibration::Isotonic { points: thinned(points) }
    }
}

/// How unlikely a label is: the logistic loss, written so that it does not overflow.
fn surprise(at: [f64; 2], margin: f64, target: f64) -> f64 {
    let z = at[0] * margin + at[1];
    z.max(0.0) + ln(1.0 + exp(-z.abs())) - target * z
}

/// As much of a step of Newton's method as makes the labels likelier: far from the solution a whole one can
/// overshoot. The place itself when none does.
fn shortened(at: [f64; 2], step: [f64; 2], cost: impl Fn([f64; 2]) -> f64) -> [f64; 2] {
    let now = cost(at);
    let halves = (0..HALVES).map(|n| 0.5f64.powi(n));
    let tried = halves.map(|share| [at[0] - share * step[0], at[1] - share * step[1]]);
    tried.into_iter().find(|next| cost(*next) < now - 1e-12).unwrap_or(at)
}

/// At most as many points as are allowed, evenly chosen, the ends among them.
fn thinned(points: Vec<(f64, f64)>) -> Vec<(f64, f64)> {
    let all = points.len();
    if all <= MOST_POINTS {
        return points;
    }
    let chosen = (0..MOST_POINTS).map(|n| n * (all - 1) / (MOST_POINTS - 1));
    chosen.filter_map(|at| points.get(at).copied()).collect()
}

fn between(points: &[(f64, f64)], margin: f64) -> f64 {
    let after = points.partition_point(|(at, _)| *at <= margin);
    let before = after.checked_sub(1).and_then(|at| points.get(at));
    match (before, points.get(after)) {
        (Some(a), Some(b)) => a.1 + (b.1 - a.1) * (margin - a.0) / (b.0 - a.0),
        (Some(only), None) | (None, Some(only)) => only.1,
        (None, None) => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn told() -> impl Strategy<Value = Vec<Told>> {
        let one = (-40i8..40, any::<u8>(), 1u8..3).prop_map(|(m, chance, weight)| {
            let margin = f64::from(m) / 10.0;
            let bad = f64::from(chance) / 256.0 < 1.0 / (1.0 + (-margin * 1.7).exp());
            Told { margin, bad, weight: f64::from(weight) / 2.0 }
        });
        prop::collection::vec(one, 20..300)
    }

    proptest! {
        #[test]
        fn maps_keep_the_order(told in told(), a in -6.0f64..6.0, b in -6.0f64..6.0) {
            for map in [Calibration::platt(&told), Calibration::isotonic(&told)] {
                prop_assert_eq!(map.problem(), None, "{:?}", map);
                let (low, high) = (map.probability(a.min(b)), map.probability(a.max(b)));
                prop_assert!(low <= high && (0.0..=1.0).contains(&low) && (0.0..=1.0).contains(&high));
            }
        }

        #[test]
        fn what_platt_says_on_average_is_what_was_told(told in told()) {
            let map = Calibration::platt(&told);
            let all: f64 = told.iter().map(|t| t.weight).sum();
            let said: f64 = told.iter().map(|t| t.weight * map.probability(t.margin)).sum();
            let bad: f64 = told.iter().filter(|t| t.bad).map(|t| t.weight).sum();
            // The targets are moved towards the middle by at most one label of each kind.
            let falls = matches!(map, Calibration::Platt { slope: 0.0, .. });
            prop_assert!((said - bad).abs() <= 2.5 || falls, "{said} {bad} of {all}");
        }
    }

    #[test]
    fn a_known_law_is_found() {
        let law = |margin: f64| 1.0 / (1.0 + (-(0.8 * margin - 1.5)).exp());
        let told: Vec<Told> = (-60..60)
            .flat_map(|m| {
                let margin = f64::from(m) / 10.0;
                [(true, law(margin)), (false, 1.0 - law(margin))].map(|(bad, weight)| Told {
                    margin,
                    bad,
                    weight: 100.0 * weight,
                })
            })
            .collect();
        let Calibration::Platt { slope, offset } = Calibration::platt(&told) else { panic!() };
        assert!((slope - 0.8).abs() < 0.01 && (offset + 1.5).abs() < 0.01, "{slope} {offset}");
        let steps = Calibration::isotonic(&told);
        for margin in [-3.0, 0.0, 2.0, 4.0] {
            assert!((steps.probability(margin) - law(margin)).abs() < 0.01);
        }
    }

    #[test]
    fn labels_that_are_far_apart_are_told_apart() {
        let of = |bad: bool, n: u32| {
            let margin = if bad { 3.0 } else { -5.0 } + f64::from(n % 7) * 0.4;
            Told { margin, bad, weight: if bad { 0.5 } else { 1.0 } }
        };
        let told: Vec<Told> = (0..1800).map(|n| of(n % 12 == 0, n)).collect();
        let map = Calibration::platt(&told);
        assert!(map.probability(-4.0) < 0.01 && map.probability(4.0) > 0.95, "{map:?}");
    }

    #[test]
    fn maps_that_fall_are_refused() {
        let isotonic = |points| Calibration::Isotonic { points }.problem().is_some();
        assert!(isotonic(vec![]) && isotonic(vec![(0.0, 0.5), (1.0, 0.4)]) && isotonic(vec![(0.0, 1.5)]));
        assert!(!isotonic(vec![(0.0, 0.5), (1.0, 0.5)]));
        assert!(Calibration::Platt { slope: -1.0, offset: 0.0 }.problem().is_some());
    }
}

//! How good a model is, on requests that it was not trained on: later ones, and of campaigns only such whose attack
//! began later, too.

use serde::{Deserialize, Serialize};

use super::compare::{Comparison, Tally};
use crate::time::Timestamp;

/// A labelled request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// When.
    pub at: Timestamp,
    /// Whether it belonged to a campaign, and to which attack.
    pub attack: Option<usize>,
    /// How much its label counts.
    pub weight: f32,
    /// What the message cost, in micro-units.
    pub price: i64,
    /// Whether the engine stopped it, or would have.
    pub engine_stops: bool,
    /// What the engine thought of it.
    pub engine_probability: f32,
    /// From which probability on a model stops it, by the operator's dial.
    pub threshold: f32,
    /// What a model may look at, in the order of [`super::Feature::ALL`]; absent: not known.
    pub values: Vec<Option<f32>>,
}

/// Bad requests that training and evaluation need at least, each.
pub const FEWEST_BAD: [usize; 2] = [40, 15];
/// Good ones.
pub const FEWEST_GOOD: [usize; 2] = [200, 100];
/// The share of bad requests to train on.
const TRAIN: f64 = 0.7;

/// Samples parted in time: a model is trained on the first and tried on the second.
#[derive(Clone, Debug)]
pub struct Split<'s> {
    /// Where.
    pub at: Timestamp,
    /// Before it.
    pub train: Vec<&'s Sample>,
    /// From it on, of attacks that began from it on.
    pub test: Vec<&'s Sample>,
    /// Bad requests from it on of attacks that had begun before: neither trained on nor tried.
    pub same_attack: usize,
}

/// Why there cannot be a model yet.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TooFew {
    /// Few labels of a kind.
    #[error("{found} labelled requests of {kind} are too few; {needed} are needed")]
    Labels {
        /// Of whom.
        kind: &'static str,
        /// How many there are.
        found: usize,
        /// How many there have to be.
        needed: usize,
    },
    /// One attack only.
    #[error(
        "all {bad} bad requests belong to {attacks} attack(s), and no moment leaves at least {train} of them before it \
         and {test} of attacks that began later: a model has to be tried on attacks that it was not trained on"
    )]
    Attacks {
        /// Bad requests.
        bad: usize,
        /// Attacks.
        attacks: usize,
        /// Needed before.
        train: usize,
        /// Needed after.
        test: usize,
    },
}

/// Parts samples, which are in order of time, at the beginning of an attack.
pub fn split(samples: &[Sample]) -> Result<Split<'_>, TooFew> {
    let (bad, good) = (count(samples.iter(), true), count(samples.iter(), false));
    enough("campaigns", bad, FEWEST_BAD)?;
    enough("real users", good, FEWEST_GOOD)?;
    let begun = beginnings(samples);
    let fits = begun.iter().filter_map(|(_, at)| parted(samples, &begun, *at)).filter(|s| {
        let counts = |kind: bool| [count(s.train.iter().copied(), kind), count(s.test.iter().copied(), kind)];
        let reaches =
            |found: [usize; 2], fewest: [usize; 2]| found.iter().zip(fewest).all(|(f, few)| *f >= few);
        reaches(counts(true), FEWEST_BAD) && reaches(counts(false), FEWEST_GOOD)
    });
    let share = |s: &Split<'_>| float(count(s.train.iter().copied(), true)) / float(bad);
    let nearest = fits.min_by(|a, b| (share(a) - TRAIN).abs().total_cmp(&(share(b) - TRAIN).abs()));
    let [train, test] = FEWEST_BAD;
    nearest.ok_or(TooFew::Attacks { bad, attacks: begun.len(), train, test })
}

fn enough(kind: &'static str, found: usize, fewest: [usize; 2]) -> Result<(), TooFew> {
    let needed = fewest.iter().sum();
    if found < needed { Err(TooFew::Labels { kind, found, needed }) } else { Ok(()) }
}

fn count<'s>(samples: impl Iterator<Item = &'s Sample>, bad: bool) -> usize {
    samples.filter(|sample| sample.attack.is_some() == bad).count()
}

/// When each attack began.
fn beginnings(samples: &[Sample]) -> Vec<(usize, Timestamp)> {
    let mut begun: Vec<(usize, Timestamp)> = Vec::new();
    for sample in samples {
        if let Some(attack) = sample.attack.filter(|attack| begun.iter().all(|(known, _)| known != attack)) {
            begun.push((attack, sample.at));
        }
    }
    begun
}

fn parted<'s>(samples: &'s [Sample], begun: &[(usize, Timestamp)], at: Timestamp) -> Option<Split<'s>> {
    let place = samples.partition_point(|sample| sample.at < at);
    let (before, after) = samples.split_at_checked(place)?;
    let began_before = |attack: usize| begun.iter().any(|(known, begun)| *known == attack && *begun < at);
    let (same, test): (Vec<_>, Vec<_>) = after.iter().partition(|s| s.attack.is_some_and(began_before));
    Some(Split { at, train: before.iter().collect(), test, same_attack: same.len() })
}

/// Which of three parts a sample of the training set belongs to: a model of the two others calibrates it. Attacks
/// are kept whole where there are enough of them.
pub fn fold(train: &[&Sample], at: usize) -> usize {
    let attack = train.get(at).and_then(|sample| sample.attack);
    let several = || train.iter().filter_map(|s| s.attack).any(|other| Some(other) != attack);
    match attack {
        Some(attack) if several() => attack_number(train, attack) % 3,
        _ => at % 3,
    }
}

/// How many attacks of the training set began before this one.
fn attack_number(train: &[&Sample], attack: usize) -> usize {
    let mut earlier: Vec<usize> =
        train.iter().filter_map(|s| s.attack).filter(|other| *other < attack).collect();
    earlier.sort_unstable();
    earlier.dedup();
    earlier.len()
}

/// One probability of a reliability table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reliability {
    /// From this probability on, in percent.
    pub from: u8,
    /// Requests.
    pub requests: usize,
    /// What the model said on average.
    pub said: f64,
    /// What came true.
    pub came_true: f64,
}

/// How good a model is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Requests of real users in the test set.
    pub good: usize,
    /// Requests of campaigns in the test set.
    pub bad: usize,
    /// Attacks in the test set; none of them is in the training set.
    pub attacks: usize,
    /// Probability that a bad request gets more than a good one: the model's.
    pub auc: f64,
    /// The same of the engine.
    pub engine_auc: f64,
    /// What the model says against what came true, by tenths.
    pub reliability: Vec<Reliability>,
    /// Money and users at the engine's and the model's points of operation.
    pub points: Comparison,
    /// The model where it stops as few real users as the engine: from which probability on, and what it does.
    pub at_engines_false_blocks: (f64, Tally),
}

/// Evaluates: the probability that a model gives each sample.
pub fn evaluate(test: &[&Sample], probabilities: &[f64]) -> Evaluation {
    let all: Vec<(&Sample, f64)> = test.iter().copied().zip(probabilities.iter().copied()).collect();
    let mut points = Comparison::default();
    for (sample, p) in &all {
        let stops = *p >= f64::from(sample.threshold);
        points.count(sample.engine_stops, stops, sample.attack.is_some(), sample.price, 1);
    }
    let mut attacks: Vec<usize> = test.iter().filter_map(|sample| sample.attack).collect();
    attacks.sort_unstable();
    attacks.dedup();
    let scores = |score: &dyn Fn(&Sample, f64) -> f64| {
        all.iter().map(|(sample, p)| (score(sample, *p), sample.attack.is_some())).collect::<Vec<_>>()
    };
    Evaluation {
        good: count(test.iter().copied(), false),
        bad: count(test.iter().copied(), true),
        attacks: attacks.len(),
        auc: auc(scores(&|_, p| p)),
        engine_auc: auc(scores(&|sample, _| f64::from(sample.engine_probability))),
        reliability: reliability(&all),
        points,
        at_engines_false_blocks: at_false_blocks(&all, points.engine.false_blocks),
    }
}

/// The probability that a bad one scores above a good one, ties counted half (Mann and Whitney's U).
pub fn auc(mut scores: Vec<(f64, bool)>) -> f64 {
    scores.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut below, mut wins, mut bads) = (0.0, 0.0, 0.0);
    for tied in scores.chunk_by(|a, b| a.0 == b.0) {
        let bad = float(tied.iter().filter(|(_, bad)| *bad).count());
        let good = float(tied.len()) - bad;
        wins += bad * (below + good / 2.0);
        below += good;
        bads += bad;
    }
    if bads > 0.0 && below > 0.0 { wins / (bads * below) } else { 0.5 }
}

fn reliability(all: &[(&Sample, f64)]) -> Vec<Reliability> {
    (0u8..10)
        .filter_map(|tenth| {
            let (from, to) = (f64::from(tenth) / 10.0, f64::from(tenth + 1) / 10.0);
            let within: Vec<_> = all.iter().filter(|(_, p)| *p >= from && (*p < to || tenth == 9)).collect();
            let weight = |s: &Sample| f64::from(s.weight);
            let sum: f64 = within.iter().map(|(s, _)| weight(s)).sum();
            let said: f64 = within.iter().map(|(s, p)| weight(s) * p).sum();
            let bad: f64 = within.iter().filter(|(s, _)| s.attack.is_some()).map(|(s, _)| weight(s)).sum();
            let shown = |x: f64| if sum > 0.0 { x / sum } else { 0.0 };
            (!within.is_empty()).then(|| Reliability {
                from: tenth * 10,
                requests: within.len(),
                said: shown(said),
                came_true: shown(bad),
            })
        })
        .collect()
}

/// The lowest threshold at which no more real users are stopped than are allowed.
fn at_false_blocks(all: &[(&Sample, f64)], allowed: u64) -> (f64, Tally) {
    let mut good: Vec<f64> = all.iter().filter(|(s, _)| s.attack.is_none()).map(|(_, p)| *p).collect();
    good.sort_by(|a, b| b.total_cmp(a));
    // Above the first good request that may not be stopped.
    let spared = usize::try_from(allowed).ok().and_then(|allowed| good.get(allowed)).copied();
    let from = all.iter().map(|(_, p)| *p).filter(|p| spared.is_none_or(|spared| *p > spared));
    let from = from.fold(f64::INFINITY, f64::min).min(1.0);
    let mut tally = Tally::default();
    for (sample, p) in all {
        let stops = *p >= from && spared.is_none_or(|spared| *p > spared);
        tally.count(stops, sample.attack.is_some(), sample.price, 1);
    }
    (from, tally)
}

fn float(n: usize) -> f64 {
    u32::try_from(n).map_or(f64::MAX, f64::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(minute: i64, attack: Option<usize>) -> Sample {
        Sample {
            at: Timestamp::from_millis(minute * 60_000),
            attack,
            weight: 1.0,
            price: 100_000,
            engine_stops: false,
            engine_probability: 0.0,
            threshold: 0.8,
            values: Vec::new(),
        }
    }

    /// Three attacks, the second of which goes on while the third begins.
    fn samples() -> Vec<Sample> {
        let mut all: Vec<Sample> = (0..1000).map(|n| sample(n, None)).collect();
        all.extend((0..30).map(|n| sample(100 + n, Some(0))));
        all.extend((0..60).map(|n| sample(300 + 5 * n, Some(30))));
        all.extend((0..40).map(|n| sample(500 + n, Some(90))));
        all.sort_by_key(|s| s.at);
        all
    }

    #[test]
    fn a_model_is_tried_on_later_attacks_only() {
        let all = samples();
        let split = split(&all).unwrap();
        assert_eq!(split.at, Timestamp::from_millis(500 * 60_000));
        assert!(split.train.iter().all(|s| s.at < split.at) && split.test.iter().all(|s| s.at >= split.at));
        assert!(split.test.iter().all(|s| s.attack.is_none_or(|attack| attack == 90)));
        assert_eq!((split.same_attack, split.test.len()), (20, 540));
    }

    #[test]
    fn too_few_labels_are_told() {
        let few: Vec<Sample> = (0..1000).map(|n| sample(n, (n < 20).then_some(0))).collect();
        assert_eq!(
            split(&few).unwrap_err().to_string(),
            "20 labelled requests of campaigns are too few; 55 are needed"
        );
        let one: Vec<Sample> = (0..1000).map(|n| sample(n, (n % 5 == 0).then_some(0))).collect();
        assert!(split(&one).unwrap_err().to_string().contains("tried on attacks"));
    }

    #[test]
    fn folds_keep_attacks_whole() {
        let all = samples();
        let train: Vec<&Sample> = all.iter().collect();
        let of = |attack: usize| {
            let mut folds: Vec<usize> = (0..train.len())
                .filter(|at| train[*at].attack == Some(attack))
                .map(|at| fold(&train, at))
                .collect();
            folds.dedup();
            folds
        };
        assert_eq!((of(0), of(30), of(90)), (vec![0], vec![1], vec![2]));
        assert_eq!([0, 1, 2].map(|at| fold(&train, at)), [0, 1, 2], "good ones are spread");
    }

    #[test]
    fn auc_counts_pairs() {
        let scores = vec![(0.1, false), (0.4, true), (0.35, false), (0.8, true), (0.8, false)];
        assert!((auc(scores) - 4.5 / 6.0).abs() < 1e-12);
        assert!((auc(vec![(0.1, true)]) - 0.5).abs() < 1e-12);
    }

    #[test]
    fn points_of_operation_are_counted_in_money_and_users() {
        let mut all: Vec<Sample> = (0..10).map(|n| sample(n, (n >= 6).then_some(6))).collect();
        for (stops, sample) in [true, false, false, false].iter().zip(&mut all[6..]) {
            sample.engine_stops = *stops;
        }
        let test: Vec<&Sample> = all.iter().collect();
        let p = [0.1, 0.1, 0.1, 0.2, 0.3, 0.5, 0.4, 0.6, 0.85, 0.95];
        let found = evaluate(&test, &p);
        assert_eq!((found.good, found.bad, found.attacks), (6, 4, 1));
        assert_eq!(
            (found.points.engine.leaked, found.points.model.leaked, found.points.both.leaked),
            (3, 2, 1)
        );
        let (from, tally) = found.at_engines_false_blocks;
        assert!((from - 0.6).abs() < 1e-12, "the good request at 0.5 is spared");
        assert_eq!((tally.leaked, tally.leaked_micros, tally.false_blocks), (1, 100_000, 0));
        let top = found.reliability.last().unwrap();
        assert_eq!((top.from, top.requests), (90, 1));
        assert!((top.came_true - 1.0).abs() < 1e-12 && (top.said - 0.95).abs() < 1e-12);
    }
}

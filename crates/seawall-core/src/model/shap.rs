//! Why a sum of trees is what it is: Shapley values, exact for trees whose splits tell how much of the training
//! data went to each side (S. Lundberg et al., "From local explanations to global understanding with explainable
//! AI for trees", 2020, algorithm 2). The contributions of all features add up to the sum minus its average.

use super::tree::{DEEPEST, Ensemble, Node, Tree};

/// One feature on the way to a leaf: which, the share of the training data that went on at its splits, whether
/// this row does, and the weight of the subsets of features so far by their size.
#[derive(Clone, Copy, Debug, Default)]
struct Step {
    feature: Option<usize>,
    zero: f64,
    one: f64,
    weight: f64,
}

/// What each feature contributes to the sum for a row; as many as the row has values.
pub fn contributions(sum: &Ensemble, row: &[f32]) -> Vec<f64> {
    let mut walk = Walk { tree: &Tree::default(), row, all: vec![0.0; sum.features()] };
    for tree in &sum.trees {
        let mut one = Walk { tree, row, all: std::mem::take(&mut walk.all) };
        one.go(0, Vec::with_capacity(DEEPEST + 2), Step { feature: None, zero: 1.0, one: 1.0, weight: 0.0 });
        walk.all = one.all;
    }
    walk.all
}

struct Walk<'a> {
    tree: &'a Tree,
    row: &'a [f32],
    all: Vec<f64>,
}

impl Walk<'_> {
    fn go(&mut self, at: usize, mut way: Vec<Step>, step: Step) {
        extend(&mut way, step);
        let node = self.tree.node(at);
        match node {
            Node::Leaf(value) => self.leaf(&way, f64::from(value)),
            Node::Split { feature, left, right, .. } if way.len() <= DEEPEST + 1 => {
                let before = way.iter().position(|s| s.feature == Some(feature));
                let earlier = before.map_or((1.0, 1.0), |index| unwind(&mut way, index));
                let share = self.tree.left_share(left, right);
                let goes_left = node.goes_left(self.row);
                for (child, share, taken) in [(left, share, goes_left), (right, 1.0 - share, !goes_left)] {
                    let one = if taken { earlier.1 } else { 0.0 };
                    let step = Step { feature: Some(feature), zero: earlier.0 * share, one, weight: 0.0 };
                    self.go(child, way.clone(), step);
                }
            }
            Node::Split { .. } => {}
        }
    }

    fn leaf(&mut self, way: &[Step], value: f64) {
        for (index, step) in way.iter().enumerate() {
            if let Some(sum) = step.feature.and_then(|feature| self.all.get_mut(feature)) {
                *sum += unwound(way, index) * (step.one - step.zero) * value;
            }
        }
    }
}

/// A count as a float.
fn float(n: usize) -> f64 {
    u32::try_from(n).map_or(f64::MAX, f64::from)
}

/// One more feature on the way: subsets with and without it.
fn extend(way: &mut Vec<Step>, step: Step) {
    let length = way.len();
    way.push(Step { weight: if length == 0 { 1.0 } else { 0.0 }, ..step });
    for index in (0..length).rev() {
        let weight = way.get(index).map_or(0.0, |s| s.weight);
        if let Some(next) = way.get_mut(index + 1) {
            next.weight += step.one * weight * float(index + 1) / float(length + 1);
        }
        if let Some(this) = way.get_mut(index) {
            this.weight = step.zero * weight * float(length - index) / float(length + 1);
        }
    }
}

/// Takes a feature off the way again; gives its shares.
fn unwind(way: &mut Vec<Step>, index: usize) -> (f64, f64) {
    let last = way.len().saturating_sub(1);
    let Step { zero, one, .. } = way.get(index).copied().unwrap_or_default();
    let mut next = way.last().map_or(0.0, |s| s.weight);
    for at in (0..last).rev() {
        let Some(step) = way.get_mut(at) else { continue };
        if one > 0.0 {
            let weight = step.weight;
            step.weight = next * float(last + 1) / (float(at + 1) * one);
            next = weight - step.weight * zero * float(last - at) / float(last + 1);
        } else if zero > 0.0 {
            step.weight = step.weight * float(last + 1) / (zero * float(last - at));
        }
    }
    for at in index..last {
        let Some(following) = way.get(at + 1).copied() else { continue };
        if let Some(step) = way.get_mut(at) {
            (step.feature, step.zero, step.one) = (following.feature, following.zero, following.one);
        }
    }
    way.pop();
    (zero, one)
}

/// The sum of weights that taking a feature off would leave.
fn unwound(way: &[Step], index: usize) -> f64 {
    let last = way.len().saturating_sub(1);
    let Step { zero, one, .. } = way.get(index).copied().unwrap_or_default();
    let (mut next, mut total) = (way.last().map_or(0.0, |s| s.weight), 0.0);
    for (at, step) in way.iter().enumerate().take(last).rev() {
        if one > 0.0 {
            let weight = next * float(last + 1) / (float(at + 1) * one);
            total += weight;
            next = step.weight - weight * zero * float(last - at) / float(last + 1);
        } else if zero > 0.0 {
            total += step.weight * float(last + 1) / (zero * float(last - at));
        }
    }
    total
}

#[cfg(test)]
mod tests {
    use super::super::tree::tests::{any_row, any_tree};
    use super::*;
    use proptest::prelude::*;

    /// What the tree would say if it knew only some features: the definition, exponential in their number.
    fn knowing(tree: &Tree, at: usize, row: &[f32], known: u32) -> f64 {
        match tree.node(at) {
            Node::Leaf(value) => f64::from(value),
            node @ Node::Split { feature, left, right, .. } => {
                let share = if known >> feature & 1 == 1 {
                    f64::from(u8::from(node.goes_left(row)))
                } else {
                    tree.left_share(left, right)
                };
                share * knowing(tree, left, row, known) + (1.0 - share) * knowing(tree, right, row, known)
            }
        }
    }

    /// Shapley's formula over all subsets.
    fn by_definition(tree: &Tree, row: &[f32], feature: usize) -> f64 {
        let factorial = |n: u32| (1..=n).map(f64::from).product::<f64>();
        let without = (0u32..16).filter(|set| set >> feature & 1 == 0);
        without
            .map(|set| {
                let size = set.count_ones();
                let weight = factorial(size) * factorial(3 - size) / factorial(4);
                weight * (knowing(tree, 0, row, set | 1 << feature) - knowing(tree, 0, row, set))
            })
            .sum()
    }

    proptest! {
        #[test]
        fn contributions_add_up_to_the_sum_minus_its_average(
            trees in prop::collection::vec(any_tree(), 1..5), row in any_row()) {
            let sum = Ensemble::new(trees, 0.3, 4);
            let all: f64 = contributions(&sum, &row).iter().sum();
            prop_assert!((all - (f64::from(sum.margin(&row)) - sum.average())).abs() < 1e-4);
        }

        #[test]
        fn they_are_shapley_values(tree in any_tree(), row in any_row()) {
            let sum = Ensemble::new(vec![tree.clone()], 0.0, 4);
            for (feature, found) in contributions(&sum, &row).into_iter().enumerate() {
                let meant = by_definition(&tree, &row, feature);
                prop_assert!((found - meant).abs() < 1e-6, "feature {feature}: {found} where {meant}");
            }
        }
    }
}

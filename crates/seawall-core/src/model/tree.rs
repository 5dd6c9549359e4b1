//! Trees as arrays, and their sum. A split sends what is below its threshold to the left, what is missing to the
//! side that it says, and all else to the right; comparisons are those of 32-bit floats, as they were in training.

/// One tree. Node 0 is its root; every array has an entry for each node.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tree {
    /// Which feature a node splits by.
    pub(super) feature: Vec<u32>,
    /// Where it splits; the value of a leaf.
    pub(super) threshold: Vec<f32>,
    /// Its children; 0 for a leaf: no child is the root.
    pub(super) left: Vec<u32>,
    /// See `left`.
    pub(super) right: Vec<u32>,
    /// Whether a missing value goes to the left.
    pub(super) missing_left: Vec<bool>,
    /// How much of the training data came here.
    pub(super) cover: Vec<f32>,
}

/// A node of a tree.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Node {
    /// The end: what it adds to the sum.
    Leaf(f32),
    /// A question.
    Split { feature: usize, threshold: f32, left: usize, right: usize, missing_left: bool },
}

impl Tree {
    /// A node; what does not exist is a leaf that adds nothing.
    pub(super) fn node(&self, at: usize) -> Node {
        let threshold = self.threshold.get(at).copied().unwrap_or(0.0);
        let child = |side: &[u32]| side.get(at).map_or(0, |child| usize::try_from(*child).unwrap_or(0));
        let (left, right) = (child(&self.left), child(&self.right));
        if left == 0 || right == 0 {
            return Node::Leaf(threshold);
        }
        let feature = self.feature.get(at).map_or(0, |f| usize::try_from(*f).unwrap_or(0));
        let missing_left = self.missing_left.get(at).copied().unwrap_or(false);
        Node::Split { feature, threshold, left, right, missing_left }
    }

    /// The share of a split's training data that went to the left, 0 to 1.
    pub(super) fn left_share(&self, left: usize, right: usize) -> f64 {
        let cover = |at: usize| self.cover.get(at).map_or(0.0, |c| f64::from(c.max(0.0)));
        let (left, all) = (cover(left), cover(left) + cover(right));
        if all > 0.0 { left / all } else { 0.5 }
    }

    /// What it adds for these values.
    pub fn value(&self, row: &[f32]) -> f32 {
        let mut at = 0;
        // A tree that was checked has no way that is longer than it has nodes.
        for _ in 0..=self.threshold.len() {
            match self.node(at) {
                Node::Leaf(value) => return value,
                split @ Node::Split { left, right, .. } => {
                    at = if split.goes_left(row) { left } else { right }
                }
            }
        }
        0.0
    }

    /// What it adds on average over its training data.
    pub(super) fn expected(&self, at: usize, depth: usize) -> f64 {
        match self.node(at) {
            Node::Leaf(value) => f64::from(value),
            Node::Split { left, right, .. } if depth < DEEPEST => {
                let share = self.left_share(left, right);
                share * self.expected(left, depth + 1) + (1.0 - share) * self.expected(right, depth + 1)
            }
            Node::Split { .. } => 0.0,
        }
    }

    /// The longest way from its root to a leaf, in splits; `None` when a node is reached twice or is missing.
    pub(super) fn depth(&self) -> Option<usize> {
        let mut seen = vec![false; self.threshold.len()];
        let (mut deepest, mut open) = (0, vec![(0usize, 0usize)]);
        while let Some((at, depth)) = open.pop() {
            let mark = seen.get_mut(at)?;
            if std::mem::replace(mark, true) {
                return None;
            }
            deepest = deepest.max(depth);
            if let Node::Split { left, right, .. } = self.node(at) {
                open.extend([(left, depth + 1), (right, depth + 1)]);
            }
        }
        Some(deepest)
    }
}

/// Splits from the root to a leaf, at most.
pub(super) const DEEPEST: usize = 16;

impl Node {
    /// To which side a split sends these values.
    pub(super) fn goes_left(self, row: &[f32]) -> bool {
        let Node::Split { feature, threshold, missing_left, .. } = self else { return false };
        let value = row.get(feature).copied().unwrap_or(f32::NAN);
        if value.is_nan() { missing_left } else { value < threshold }
    }
}

/// A sum of trees.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ensemble {
    /// The trees.
    pub(super) trees: Vec<Tree>,
    /// What the sum begins with: the log-odds of the training data.
    pub(super) start: f32,
    /// Values that a row has.
    pub(super) features: usize,
    /// What the sum is on average over the training data.
    pub(super) average: f64,
}

impl Ensemble {
    /// Puts trees together.
    pub(super) fn new(trees: Vec<Tree>, start: f32, features: usize) -> Self {
        let average = f64::from(start) + trees.iter().map(|tree| tree.expected(0, 0)).sum::<f64>();
        Ensemble { trees, start, features, average }
    }

    /// The sum for these values, as log-odds before calibration. Added up as 32-bit floats in the order of the
    /// trees, as in training.
    pub fn margin(&self, row: &[f32]) -> f32 {
        self.trees.iter().fold(self.start, |sum, tree| sum + tree.value(row))
    }

    /// What the sum is on average over the training data; contributions say how a row differs from it.
    pub fn average(&self) -> f64 {
        self.average
    }

    /// How many trees there are.
    pub fn trees(&self) -> usize {
        self.trees.len()
    }

    /// How many values a row has.
    pub fn features(&self) -> usize {
        self.features
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Trees of up to three splits deep over four features.
    pub fn any_tree() -> impl Strategy<Value = Tree> {
        let node = (0u32..4, -2i8..3, any::<bool>(), 1u8..50, any::<bool>());
        prop::collection::vec(node, 15).prop_map(|nodes| {
            let mut tree = Tree::default();
            for (at, (feature, threshold, missing_left, cover, leaf)) in nodes.into_iter().enumerate() {
                let at = u32::try_from(at).unwrap();
                let inner = at < 7 && !(leaf && at > 0);
                tree.feature.push(feature);
                tree.threshold.push(f32::from(threshold) * if inner { 1.0 } else { 0.37 });
                tree.left.push(if inner { 2 * at + 1 } else { 0 });
                tree.right.push(if inner { 2 * at + 2 } else { 0 });
                tree.missing_left.push(missing_left);
                tree.cover.push(f32::from(cover));
            }
            tree
        })
    }

    /// Rows for them, with missing values.
    pub fn any_row() -> impl Strategy<Value = Vec<f32>> {
        prop::collection::vec(prop_oneof![Just(f32::NAN), (-30i8..30).prop_map(|v| f32::from(v) / 10.0)], 4)
    }

    #[test]
    fn a_split_asks_below_and_knows_where_missing_values_go() {
        let tree = Tree {
            feature: vec![1, 0, 0],
            threshold: vec![2.0, -1.0, 1.0],
            left: vec![1, 0, 0],
            right: vec![2, 0, 0],
            missing_left: vec![true, false, false],
            cover: vec![4.0, 3.0, 1.0],
        };
        let values = [1.9f32, 2.0, f32::NAN].map(|v| tree.value(&[0.0, v]));
        assert_eq!(values, [-1.0, 1.0, -1.0]);
        let sum = Ensemble::new(vec![tree.clone(), tree], 0.25, 2);
        assert!((sum.margin(&[0.0, 5.0]) - 2.25).abs() < 1e-6);
        assert!((sum.average() - (0.25 - 1.0)).abs() < 1e-9, "three quarters went left, twice");
    }

    #[test]
    fn a_tree_that_goes_in_circles_has_no_depth() {
        let mut tree = Tree { threshold: vec![0.0; 3], ..Tree::default() };
        tree.left = vec![1, 0, 0];
        tree.right = vec![2, 0, 0];
        assert_eq!(tree.depth(), Some(1));
        tree.left = vec![1, 1, 0];
        tree.right = vec![2, 2, 0];
        assert_eq!(tree.depth(), None);
        tree.right = vec![7, 0, 0];
        tree.left = vec![1, 0, 0];
        assert_eq!(tree.depth(), None);
        assert!(tree.value(&[0.0]).is_finite());
    }
}

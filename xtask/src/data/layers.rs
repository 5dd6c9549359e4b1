//! Layers of ranges over one another, read as one row of facts from point to point.

/// Ranges that do not overlap, in order, each with what it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layer<T> {
    /// First and last key, both inside.
    ranges: Vec<(u64, u64, T)>,
}

impl<T: Copy> Layer<T> {
    /// Sorts ranges. Of two that overlap, the first keeps what both claim.
    pub fn new(mut ranges: Vec<(u64, u64, T)>) -> Self {
        ranges.sort_by_key(|(from, to, _)| (*from, *to));
        let mut kept: Vec<(u64, u64, T)> = Vec::with_capacity(ranges.len());
        for (from, to, says) in ranges {
            let free = kept.last().map_or(Some(0), |last| last.1.checked_add(1));
            if let Some(free) = free.filter(|free| *free <= to) {
                kept.push((from.max(free), to, says));
            }
        }
        Layer { ranges: kept }
    }

    /// What the layer says of a key.
    pub fn at(&self, key: u64) -> Option<T> {
        let after = self.ranges.partition_point(|(from, _, _)| *from <= key);
        let (_, to, says) = self.ranges.get(after.checked_sub(1)?)?;
        (key <= *to).then_some(*says)
    }

    /// The ranges.
    pub fn ranges(&self) -> &[(u64, u64, T)] {
        &self.ranges
    }

    /// Where it may begin to say something else.
    pub fn points(&self) -> impl Iterator<Item = u64> {
        self.ranges.iter().flat_map(|(from, to, _)| [Some(*from), to.checked_add(1)]).flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_two_keeps_what_both_claim() {
        let layer = Layer::new(vec![(20, 30, 'c'), (0, 9, 'a'), (5, 14, 'b'), (6, 7, 'x'), (30, 30, 'y')]);
        assert_eq!(layer.ranges(), [(0, 9, 'a'), (10, 14, 'b'), (20, 30, 'c')]);
        let said: Vec<_> = [0, 9, 10, 14, 15, 19, 20, 30, 31].map(|key| layer.at(key)).to_vec();
        let (a, b, c) = (Some('a'), Some('b'), Some('c'));
        assert_eq!(said, [a, a, b, b, None, None, c, c, None]);
        assert_eq!(layer.points().collect::<Vec<_>>(), [0, 10, 10, 15, 20, 31]);
        assert_eq!(Layer::new(vec![(0, u64::MAX, 'a'), (1, 2, 'b')]).ranges().len(), 1);
    }
}

//! Median and worst over seeds.

/// The middle of some figures and the worst of them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    pub median: f64,
    pub worst: f64,
}

impl Spread {
    /// Of figures of which more is worse; `None` without figures.
    pub fn of(figures: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut all: Vec<f64> = figures.into_iter().collect();
        all.sort_by(f64::total_cmp);
        let (low, high) = (all.get(all.len().saturating_sub(1) / 2)?, all.get(all.len() / 2)?);
        Some(Spread { median: (low + high) / 2.0, worst: *all.last()? })
    }

    /// `0.3 (0.5)` with so many decimals; one figure where both are the same.
    pub fn show(self, decimals: usize) -> String {
        let (median, worst) = (format!("{:.decimals$}", self.median), format!("{:.decimals$}", self.worst));
        if median == worst { median } else { format!("{median} ({worst})") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_and_the_worst() {
        assert_eq!(Spread::of([3.0, 1.0, 2.0]).unwrap(), Spread { median: 2.0, worst: 3.0 });
        assert_eq!(Spread::of([1.0, 2.0, 4.0, 9.0]).unwrap().median, 3.0);
        assert_eq!(Spread::of([]), None);
        assert_eq!(Spread { median: 0.5, worst: 0.75 }.show(2), "0.50 (0.75)");
        assert_eq!(Spread { median: 2.0, worst: 2.0 }.show(0), "2");
    }
}

//! The factor of each baseline that turns away as many real users of the hard negatives as the engine does.

use super::defence::{Defence, FACTORS, Kind, Setting};
use super::score::{Outcome, percent};

/// What was found.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tuned {
    /// Percent of real users of the hard negatives whom the engine turns away.
    pub ours: f64,
    /// Percent by baseline and factor, the factor as configured included.
    pub rates: Vec<(Kind, f64, f64)>,
}

impl Tuned {
    /// From runs of the hard negatives against everything that is tried.
    pub fn of(outcomes: &[Outcome]) -> Self {
        let rate = |defence: &dyn Fn(Defence) -> bool| {
            let fitting = outcomes.iter().filter(|o| defence(o.defence) && judged_by_all(o));
            let (away, all) = fitting.fold((0, 0), |(a, n), o| (a + o.turned_away(), n + o.summary.legit.n));
            percent(away, all)
        };
        let ours = rate(&|defence| defence == Defence::Engine);
        let factors = || std::iter::once(1.0).chain(FACTORS);
        let mut rates: Vec<(Kind, f64, f64)> = Kind::ALL
            .into_iter()
            .flat_map(|kind| factors().map(move |factor| (kind, factor)))
            .map(|(kind, factor)| {
                let same = |d: Defence| matches!(d, Defence::Baseline(k, f, _) if k == kind && f.to_bits() == factor.to_bits());
                (kind, factor, rate(&same))
            })
            .collect();
        rates.sort_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
        Tuned { ours, rates }
    }

    /// The strictest factor that turns away no more than the engine does; the loosest where none does.
    pub fn factor(&self, kind: Kind) -> Option<(f64, f64)> {
        let own = || self.rates.iter().filter(|(k, _, _)| *k == kind);
        let fits = own().find(|(_, _, rate)| *rate <= self.ours);
        fits.or_else(|| own().next_back()).map(|(_, factor, rate)| (*factor, *rate))
    }

    /// The tuned baseline.
    pub fn of_kind(&self, kind: Kind) -> Option<Defence> {
        self.factor(kind).map(|(factor, _)| Defence::Baseline(kind, factor, Setting::Tried))
    }

    /// Whether a baseline that was tried was chosen.
    pub fn chose(&self, defence: Defence) -> bool {
        Kind::ALL.into_iter().any(|kind| self.of_kind(kind) == Some(defence))
    }
}

/// Baselines do not look at messages that are no codes, so those prove nothing.
fn judged_by_all(outcome: &Outcome) -> bool {
    outcome.scenario != "hn_known_campaign"
}

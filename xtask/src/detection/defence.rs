//! The defences that are compared.

use super::tuned::Tuned;

/// One defence.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Defence {
    /// The engine of `serve`, as a new installation has it.
    Engine,
    /// A baseline whose volume thresholds are multiplied by a factor.
    Baseline(Kind, f64, Setting),
}

/// Why a baseline has its factor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Setting {
    /// As usually configured: factor 1.
    Usual,
    /// One of the factors that are tried.
    Tried,
}

/// The baselines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// Limits per address and per number.
    Limits,
    /// The same, and a daily cap for each country.
    Caps,
    /// The same limits, and velocity with conversion by prefix, operator and country.
    Prefix,
}

impl Kind {
    pub const ALL: [Kind; 3] = [Kind::Limits, Kind::Caps, Kind::Prefix];

    /// Its short name.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Limits => "B0",
            Kind::Caps => "B1",
            Kind::Prefix => "B2",
        }
    }
}

/// Factors that are tried.
pub(crate) const FACTORS: [f64; 6] = [2.0, 3.0, 5.0, 10.0, 25.0, 60.0];

impl Defence {
    /// Everything that hard negatives are run against, to find the factor of each baseline.
    pub fn ladder() -> Vec<Defence> {
        let tried = |kind| FACTORS.map(|factor| Defence::Baseline(kind, factor, Setting::Tried));
        Self::usual().into_iter().chain(Kind::ALL.into_iter().flat_map(tried)).collect()
    }

    /// Everything that attacks are run against.
    pub fn field(tuned: &Tuned) -> Vec<Defence> {
        Self::usual()
            .into_iter()
            .chain(Kind::ALL.into_iter().filter_map(|kind| tuned.of_kind(kind)))
            .collect()
    }

    fn usual() -> Vec<Defence> {
        let usual = Kind::ALL.map(|kind| Defence::Baseline(kind, 1.0, Setting::Usual));
        std::iter::once(Defence::Engine).chain(usual).collect()
    }

    /// Whether it is one that was tried.
    pub fn is_ladder(self) -> bool {
        matches!(self, Defence::Baseline(_, _, Setting::Tried))
    }

    /// The engine first, then baselines as configured, then tuned.
    pub fn order(self) -> (u8, Option<Kind>) {
        match self {
            Defence::Engine => (0, None),
            Defence::Baseline(kind, _, Setting::Usual) => (1, Some(kind)),
            Defence::Baseline(kind, _, Setting::Tried) => (2, Some(kind)),
        }
    }

    /// Whether it looks at messages that are no codes: the baselines do not.
    pub fn judges_messages(self) -> bool {
        self == Defence::Engine
    }
}

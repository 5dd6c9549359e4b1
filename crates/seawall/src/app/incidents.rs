//! Incidents: what detection stops, grouped into attacks that a person can read, judge and act on.
//!
//! [`fold`] groups them, [`tend`] does what time does (opening, ending, telling, suspending), [`view`] shows
//! them, [`suggest`] says what could be done, [`judge`] is the operator's word.

pub mod fold;
pub mod incident;
pub mod judge;
pub mod suggest;
pub mod tend;
pub mod top;
pub mod view;

use std::time::Duration;

use seawall_core::limit::Mode;
use seawall_core::time::span;
use serde::{Deserialize, Serialize};

/// What is done about incidents by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct IncidentSettings {
    /// Without a stopped request for so long, an incident is over.
    #[serde(with = "span")]
    pub quiet_after: Duration,
    /// Suspensions that are made without being asked for.
    pub auto_suspend: AutoSuspend,
}

/// Suspensions that are made without being asked for: of number ranges and single addresses only, always with
/// an end, and never of a range in which somebody confirmed a code within a day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AutoSuspend {
    /// `off`, `shadow` (the suspensions only show whom they would stop) or `enforce`.
    pub mode: Mode,
    /// How many requests of a range or an address have to have been stopped.
    pub after: u32,
    /// For how long it is suspended.
    #[serde(rename = "for", with = "span")]
    pub lasts: Duration,
}

impl Default for AutoSuspend {
    fn default() -> Self {
        AutoSuspend { mode: Mode::Off, after: 50, lasts: Duration::from_secs(6 * 3600) }
    }
}

impl Default for IncidentSettings {
    fn default() -> Self {
        IncidentSettings { quiet_after: fold::QUIET, auto_suspend: AutoSuspend::default() }
    }
}

/// An incident's id, `inc_` and its number.
pub fn id(serial: u64) -> String {
    format!("inc_{serial:06}")
}

/// The number in an id.
pub fn serial(id: &str) -> Option<u64> {
    id.strip_prefix("inc_").filter(|rest| rest.len() >= 6).and_then(|rest| rest.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_read_back() {
        for n in [1, 999_999, 1_000_000, 12_345_678] {
            assert_eq!(serial(&id(n)), Some(n));
        }
        assert_eq!((serial("inc_1"), serial("1"), serial("inc_x00000")), (None, None, None));
    }
}

//! Numbers change hands. One that was confirmed long ago, or that a lookup calls given to another owner, has to be
//! confirmed again; what is not confirmed in time is no longer known.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// A twelfth of a year.
const MONTH: Duration = Duration::from_secs(365 * 86_400 / 12);

/// Why a number has to be confirmed again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Because {
    /// It was confirmed long ago.
    Age,
    /// A lookup says that it was given to another owner since.
    Reassigned,
}

/// The newest instant of a confirmation that is due after so many months.
pub fn due_before(now: Timestamp, months: u8) -> Timestamp {
    now.minus(MONTH * u32::from(months))
}

/// Whether a number was given to another owner after it was last confirmed.
pub fn changed_hands(last_confirmed: Timestamp, reassigned: Option<Timestamp>) -> bool {
    reassigned.is_some_and(|at| at > last_confirmed)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);

    #[test]
    fn months_are_twelfths_of_a_year() {
        let now = Timestamp::from_millis(1_700_000_000_000);
        assert_eq!(due_before(now, 12), now.minus(DAY * 365));
        assert!(due_before(now, 3) < now.minus(DAY * 91) && due_before(now, 3) > now.minus(DAY * 92));
    }

    #[test]
    fn only_a_later_owner_counts() {
        let at = |days: u32| Timestamp::from_millis(0).plus(DAY * days);
        assert!(changed_hands(at(10), Some(at(11))));
        assert!(!changed_hands(at(10), Some(at(9))) && !changed_hands(at(10), None));
    }
}

//! One guess on each of a million verifications: every number's own budget holds, and only the sum shows it.
//! Addresses, networks and number ranges have limits that count wrong codes; of a whole subaccount nothing is
//! refused, because its users would be locked out with the attacker. It raises an alarm.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use seawall_core::time::Timestamp;
use serde_json::json;

use super::alarms::{Alarm, Alarms};

/// Wrong codes of one subaccount in an hour below which nothing is said.
pub const LEAST_WRONG: u32 = 100;
/// More than this share of the checks of an hour has to be wrong, in percent. People mistype one in twenty.
pub const WRONG_SHARE: u32 = 60;
const HOUR: Duration = Duration::from_secs(3600);

/// Checks and wrong codes by subaccount and minute, for an hour. A restart begins anew.
#[derive(Default)]
pub struct CheckAlarm(Mutex<HashMap<String, VecDeque<Minute>>>);

#[derive(Clone, Copy)]
struct Minute {
    minute: i64,
    checks: u32,
    wrong: u32,
}

impl CheckAlarm {
    /// Counts a code that was looked at; gives the checks and wrong codes of the hour when they are alarming.
    fn note(&self, subaccount: &str, wrong: bool, now: Timestamp) -> Option<(u32, u32)> {
        let minute = now.as_secs() / 60;
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !all.contains_key(subaccount) {
            all.insert(subaccount.to_owned(), VecDeque::new());
        }
        let minutes = all.get_mut(subaccount)?;
        while minutes.front().is_some_and(|m| m.minute + 60 <= minute) {
            minutes.pop_front();
        }
        match minutes.back_mut().filter(|m| m.minute == minute) {
            Some(m) => (m.checks, m.wrong) = (m.checks + 1, m.wrong + u32::from(wrong)),
            None => minutes.push_back(Minute { minute, checks: 1, wrong: u32::from(wrong) }),
        }
        if !wrong {
            return None;
        }
        let sum = |of: fn(&Minute) -> u32| minutes.iter().map(of).fold(0u32, u32::saturating_add);
        let (checks, wrong) = (sum(|m| m.checks), sum(|m| m.wrong));
        let alarming =
            wrong >= LEAST_WRONG && u64::from(wrong) * 100 > u64::from(checks) * u64::from(WRONG_SHARE);
        alarming.then_some((checks, wrong))
    }

    /// Counts a code that was looked at, and raises the alarm when too many are wrong.
    pub fn looked_at(&self, alarms: &Alarms, subaccount: &str, wrong: bool, now: Timestamp) {
        let Some((checks, wrong)) = self.note(subaccount, wrong, now) else { return };
        let until = now.plus(HOUR);
        alarms.raise(
            Alarm {
                action: "checks.spraying",
                target: subaccount.to_owned(),
                step: 0,
                subaccount: Some(subaccount.to_owned()),
                detail: json!({"checks": checks, "wrong": wrong, "window": "1h", "until": until}),
                description: format!(
                    "{wrong} of {checks} codes presented to {subaccount} in an hour were wrong"
                ),
                until,
            },
            now,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> Timestamp {
        Timestamp::from_millis(1_767_600_000_000).plus(Duration::from_secs(secs))
    }

    #[test]
    fn people_who_mistype_raise_no_alarm_and_guessers_do() {
        let (people, guessers) = (CheckAlarm::default(), CheckAlarm::default());
        for n in 0..5000u64 {
            assert_eq!(people.note("a", n % 20 == 0, at(n / 2)), None);
        }
        let alarming: Vec<u64> = (0..200).filter(|&n| guessers.note("a", true, at(n)).is_some()).collect();
        assert_eq!(alarming.first(), Some(&99));
        assert_eq!(guessers.note("b", true, at(200)), None, "each subaccount for itself");
        assert_eq!(guessers.note("a", true, at(4000)), None, "an hour later it is over");
    }
}

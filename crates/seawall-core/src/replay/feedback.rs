//! What follows on a message that was sent, in the order in which it comes due: by time, then by the name of
//! the request.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::msisdn::Msisdn;
use crate::time::Timestamp;
use crate::trace::IfSent;

/// A receipt comes so long after sending (milliseconds); the trace does not say.
const RECEIPT_AFTER: i64 = 5_000;
/// Wrong codes of somebody who never has the right one come at this pace (milliseconds).
const WRONG_EVERY: i64 = 20_000;
/// More wrong codes are as good as these.
const MOST_WRONG: u32 = 100;
/// A confirmation that comes later is as good as none: ten years, in milliseconds.
const LATEST: i64 = 3650 * 86_400_000;

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum What {
    /// A receipt says that the message did not arrive. One that says that it did confirms nothing: nobody looks.
    Failed,
    /// A wrong code.
    WrongCheck,
    /// The right code.
    Confirmed,
}

/// Which message it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Follows {
    /// The engine's name of the message.
    pub id: u64,
    /// The recipient.
    pub to: Msisdn,
    /// The subaccount, hashed.
    pub sub: u64,
    /// The address that asked for it, hashed.
    pub ip: Option<u64>,
}

/// Feedback on one message.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Feedback {
    pub due: i64,
    /// The request's name; equal times go by it.
    pub name: Box<str>,
    pub what: What,
    pub follows: Follows,
}

/// Everything that lies ahead.
#[derive(Debug, Default)]
pub(super) struct Ahead(BinaryHeap<Reverse<Feedback>>);

impl Ahead {
    /// What follows on a message sent at `at`.
    pub fn plan(&mut self, at: Timestamp, name: &str, follows: Follows, after: IfSent) {
        let at = at.as_millis();
        let mut push = |due: i64, what| {
            self.0.push(Reverse(Feedback { due, name: name.into(), what, follows }));
        };
        if after.delivered == Some(false) {
            push(at + RECEIPT_AFTER, What::Failed);
        }
        let right = after.confirm_after_ms.map(|ms| i64::try_from(ms).unwrap_or(LATEST).min(LATEST));
        let wrong = i64::from(after.wrong_checks.min(MOST_WRONG));
        for n in 1..=wrong {
            let pause = right.map_or(n * WRONG_EVERY, |right| right * n / (wrong + 1));
            push(at + pause, What::WrongCheck);
        }
        if let Some(right) = right {
            push(at + right, What::Confirmed);
        }
    }

    /// The next thing that is due by `now`.
    pub fn due(&mut self, now: Timestamp) -> Option<Feedback> {
        let next = self.0.peek().filter(|Reverse(next)| next.due <= now.as_millis());
        next.is_some().then(|| self.0.pop().map(|Reverse(feedback)| feedback)).flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn about(id: u64) -> Follows {
        Follows { id, to: Msisdn::from_e164("+6591234567").unwrap(), sub: 1, ip: None }
    }

    #[test]
    fn nothing_overflows() {
        let mut ahead = Ahead::default();
        let after =
            IfSent { confirm_after_ms: Some(u64::MAX), wrong_checks: u32::MAX, delivered: Some(false) };
        ahead.plan(Timestamp::MAX, "a", about(1), after);
        assert_eq!(ahead.0.len(), 102);
    }

    #[test]
    fn feedback_comes_by_time_and_then_by_name() {
        let mut ahead = Ahead::default();
        let at = Timestamp::from_millis(1000);
        let after = IfSent { confirm_after_ms: Some(9000), wrong_checks: 2, delivered: None };
        ahead.plan(at, "b", about(1), after);
        ahead.plan(at, "a", about(2), IfSent { wrong_checks: 0, ..after });
        let mut seen = Vec::new();
        while let Some(f) = ahead.due(Timestamp::from_millis(20_000)) {
            seen.push((f.due, f.name.to_string(), f.what));
        }
        let expected = [
            (4000, "b", What::WrongCheck),
            (7000, "b", What::WrongCheck),
            (10_000, "a", What::Confirmed),
            (10_000, "b", What::Confirmed),
        ];
        assert_eq!(seen, expected.map(|(due, name, what)| (due, name.to_owned(), what)));
        assert!(ahead.due(Timestamp::MAX).is_none());
    }
}

//! What became of a masked call, and the summary of a session.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Party;
use crate::time::Timestamp;

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallResult {
    /// The two spoke.
    Completed,
    /// Nobody answered.
    NoAnswer,
    /// The other party was busy or declined.
    Busy,
    /// The caller hung up before an answer.
    Canceled,
    /// The network could not carry it.
    Failed,
    /// The gateway did not let it through.
    Refused,
}

impl CallResult {
    /// All of them, in the order of [`CallResult::as_u8`].
    pub const ALL: [CallResult; 6] =
        [Self::Completed, Self::NoAnswer, Self::Busy, Self::Canceled, Self::Failed, Self::Refused];

    /// The wire word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::NoAnswer => "no_answer",
            Self::Busy => "busy",
            Self::Canceled => "canceled",
            Self::Failed => "failed",
            Self::Refused => "refused",
        }
    }

    /// From the wire word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|result| result.as_str() == word)
    }

    /// A small number for storage; stable for ever.
    pub fn as_u8(self) -> u8 {
        match self {
            Self::Completed => 0,
            Self::NoAnswer => 1,
            Self::Busy => 2,
            Self::Canceled => 3,
            Self::Failed => 4,
            Self::Refused => 5,
        }
    }

    /// Back from [`CallResult::as_u8`].
    pub fn from_u8(value: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|result| result.as_u8() == value)
    }

    /// By the final SIP status of a call that nobody answered (RFC 3261, section 21).
    pub fn of_sip(code: u16) -> Self {
        match code {
            200..=299 => Self::Completed,
            486 | 600 | 603 => Self::Busy,
            408 | 480 => Self::NoAnswer,
            487 => Self::Canceled,
            _ => Self::Failed,
        }
    }
}

/// The life of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    /// Who called; `None` when no session knew the caller.
    pub from: Option<Party>,
    /// When it came.
    pub began_at: Timestamp,
    /// When it was answered.
    pub answered_at: Option<Timestamp>,
    /// When it ended, and how.
    pub ended: Option<(Timestamp, CallResult)>,
}

/// What a network says of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The other phone rings.
    Ringing,
    /// It was answered.
    Answered,
    /// It ended; without a result, by whether it had been answered.
    Ended(Option<CallResult>),
}

impl Call {
    /// A call that comes.
    pub fn begun(from: Option<Party>, at: Timestamp) -> Self {
        Call { from, began_at: at, answered_at: None, ended: None }
    }

    /// Takes what the network says. False when it changes nothing: it was known, or comes after the end.
    pub fn note(&mut self, progress: Progress, at: Timestamp) -> bool {
        match progress {
            _ if self.ended.is_some() => false,
            Progress::Ringing => false,
            Progress::Answered => {
                let first = self.answered_at.is_none();
                self.answered_at = self.answered_at.or(Some(at));
                first
            }
            Progress::Ended(result) => {
                let result = match (self.answered_at, result) {
                    (Some(_), _) => CallResult::Completed,
                    // A call that was not seen to be answered and is said to be complete was answered unseen.
                    (None, Some(result)) => result,
                    (None, None) => CallResult::Canceled,
                };
                self.ended = Some((at, result));
                true
            }
        }
    }

    /// How it ended.
    pub fn result(&self) -> Option<CallResult> {
        self.ended.map(|(_, result)| result)
    }

    /// How long the two spoke.
    pub fn spoken(&self) -> Duration {
        match (self.answered_at, self.ended) {
            (Some(answered), Some((ended, _))) => ended.since(answered),
            _ => Duration::ZERO,
        }
    }
}

/// What went through a session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// Calls that came.
    pub calls: u32,
    /// Calls in which the two spoke.
    pub answered: u32,
    /// How long they spoke in all, in seconds, each call rounded up.
    pub seconds: u64,
    /// When the first call came.
    pub first_at: Option<Timestamp>,
    /// When the last one came.
    pub last_at: Option<Timestamp>,
    /// How the last one that is over ended.
    pub last_result: Option<CallResult>,
}

impl Summary {
    /// Adds up calls, in any order.
    pub fn of<'a>(calls: impl IntoIterator<Item = &'a Call>) -> Self {
        let (mut sum, mut newest) = (Summary::default(), None);
        for call in calls {
            sum.calls = sum.calls.saturating_add(1);
            sum.answered = sum.answered.saturating_add(u32::from(call.answered_at.is_some()));
            let spoken = call.spoken();
            sum.seconds =
                sum.seconds.saturating_add(spoken.as_millis().div_ceil(1000).try_into().unwrap_or(0));
            sum.first_at = Some(sum.first_at.map_or(call.began_at, |at| at.min(call.began_at)));
            sum.last_at = Some(sum.last_at.map_or(call.began_at, |at| at.max(call.began_at)));
            if let Some((at, result)) = call.ended
                && newest.is_none_or(|before| before <= at)
            {
                (newest, sum.last_result) = (Some(at), Some(result));
            }
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millis(ms)
    }

    #[test]
    fn a_call_is_answered_once_and_ends_once() {
        let mut call = Call::begun(Some(Party::A), at(0));
        assert!(!call.note(Progress::Ringing, at(1)));
        assert!(call.note(Progress::Answered, at(1_000)));
        assert!(!call.note(Progress::Answered, at(2_000)));
        assert!(call.note(Progress::Ended(Some(CallResult::Busy)), at(3_500)));
        assert!(!call.note(Progress::Ended(None), at(9_000)));
        assert_eq!(
            (call.result(), call.spoken()),
            (Some(CallResult::Completed), Duration::from_millis(2_500))
        );
    }

    #[test]
    fn what_was_not_answered_keeps_its_reason() {
        for (code, result) in [
            (486, CallResult::Busy),
            (480, CallResult::NoAnswer),
            (487, CallResult::Canceled),
            (503, CallResult::Failed),
            (404, CallResult::Failed),
        ] {
            let mut call = Call::begun(None, at(0));
            call.note(Progress::Ended(Some(CallResult::of_sip(code))), at(10));
            assert_eq!(call.result(), Some(result));
            assert_eq!(CallResult::from_u8(result.as_u8()), Some(result));
            assert_eq!(CallResult::parse(result.as_str()), Some(result));
        }
    }

    proptest! {
        #[test]
        fn a_summary_does_not_depend_on_the_order(
            calls in prop::collection::vec((0i64..100, prop::option::of(0i64..100), 100i64..200), 0..20)
        ) {
            let calls: Vec<Call> = calls.into_iter().enumerate().map(|(n, (began, answered, ended))| {
                let mut call = Call::begun(Some(Party::B), at(began));
                if let Some(after) = answered { call.note(Progress::Answered, at(began + after)); }
                // No two end at once.
                call.note(Progress::Ended(Some(CallResult::NoAnswer)), at(ended * 100 + i64::try_from(n).unwrap()));
                call
            }).collect();
            let sum = Summary::of(&calls);
            prop_assert_eq!(sum, Summary::of(calls.iter().rev()));
            prop_assert_eq!(usize::try_from(sum.calls).unwrap(), calls.len());
            prop_assert!(sum.answered <= sum.calls);
        }
    }
}

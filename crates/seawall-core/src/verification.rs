//! The life of a verification: pending → verified, failed, expired or canceled; each of the last four is final.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::message::Channel;
use crate::time::Timestamp;

/// Where a verification stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VerificationState {
    /// A code is out and may be presented.
    Pending,
    /// The right code was presented in time.
    Verified,
    /// Too many wrong codes.
    Failed,
    /// Time ran out.
    Expired,
    /// Taken back by the caller.
    Canceled,
}

impl VerificationState {
    /// Every state.
    pub const ALL: [VerificationState; 5] =
        [Self::Pending, Self::Verified, Self::Failed, Self::Expired, Self::Canceled];

    /// A small number for storage; stable for ever.
    pub fn as_u8(self) -> u8 {
        match self {
            Self::Pending => 0,
            Self::Verified => 1,
            Self::Failed => 2,
            Self::Expired => 3,
            Self::Canceled => 4,
        }
    }

    /// Back from [`VerificationState::as_u8`].
    pub fn from_u8(value: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.as_u8() == value)
    }

    /// The wire word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Verified => "verified",
            Self::Failed => "failed",
            Self::Expired => "expired",
            Self::Canceled => "canceled",
        }
    }
}

/// What a verification is, apart from whom it concerns.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lifecycle {
    /// Where it stands; an expired one may still say `Pending` until someone looks, see [`Lifecycle::at`].
    pub state: VerificationState,
    /// Grows whenever a new code replaces the old one.
    pub generation: u32,
    /// Wrong codes presented to this verification.
    pub failed_checks: u8,
    /// Messages sent for it.
    pub sends: u16,
    /// When it was begun.
    pub created_at: Timestamp,
    /// When the last message was sent.
    pub sent_at: Timestamp,
    /// From then on no code is accepted.
    pub expires_at: Timestamp,
    /// How long a code is valid from each send.
    pub ttl: Duration,
    /// Not sent again before this much has passed since the last send.
    pub resend_interval: Duration,
    /// From when it may be sent again: the end of its interval, or of the number's back-off if that is later.
    pub retry_at: Timestamp,
    /// Wrong codes until it fails.
    pub max_checks: u8,
    /// Over which channel the last message went.
    pub channel: Channel,
    /// When it was verified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified_at: Option<Timestamp>,
}

/// What became of one presented code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checked {
    /// The code was right: verified now.
    Right,
    /// The code was wrong; it was counted.
    Wrong,
    /// The verification was final already; nothing was looked at.
    Final,
    /// The number's failure budget is used up; nothing was looked at.
    Exhausted {
        /// When a code may be presented again; `None` while only a success can help.
        retry_at: Option<Timestamp>,
    },
}

impl Lifecycle {
    /// Begins with its first send.
    pub fn begin(
        now: Timestamp,
        ttl: Duration,
        resend_interval: Duration,
        max_checks: u8,
        channel: Channel,
    ) -> Self {
        Lifecycle {
            state: VerificationState::Pending,
            generation: 0,
            failed_checks: 0,
            sends: 1,
            created_at: now,
            sent_at: now,
            expires_at: now.plus(ttl),
            ttl,
            resend_interval,
            retry_at: now.plus(resend_interval),
            max_checks,
            channel,
            verified_at: None,
        }
    }

    /// Where it stands at `now`: a pending one is expired once its time is over, to the millisecond.
    pub fn at(&self, now: Timestamp) -> VerificationState {
        if self.state == VerificationState::Pending && now >= self.expires_at {
            VerificationState::Expired
        } else {
            self.state
        }
    }

    /// From when it may be sent again.
    pub fn resend_at(&self) -> Timestamp {
        self.sent_at.plus(self.resend_interval)
    }

    /// The message is sent again. `reset` replaces the code and forgives the wrong ones of this verification
    /// (never those of the number); otherwise the same code stays and its validity is extended.
    pub fn resend(
        &mut self,
        now: Timestamp,
        ttl: Duration,
        resend_interval: Duration,
        channel: Channel,
        reset: bool,
    ) {
        if reset {
            self.generation = self.generation.saturating_add(1);
            self.failed_checks = 0;
        }
        self.sends = self.sends.saturating_add(1);
        self.sent_at = now;
        self.ttl = ttl;
        self.resend_interval = resend_interval;
        self.expires_at = now.plus(ttl);
        self.retry_at = now.plus(resend_interval);
        self.channel = channel;
    }

    /// A code is presented. `right`: whether it equals the current one.
    pub fn present(
        &mut self,
        right: bool,
        budget: &mut FailureBudget,
        code_length: u8,
        now: Timestamp,
    ) -> Checked {
        self.state = self.at(now);
        if self.state != VerificationState::Pending {
            return Checked::Final;
        }
        if let Err(retry_at) = budget.permits(code_length, now) {
            return Checked::Exhausted { retry_at };
        }
        if right {
            self.state = VerificationState::Verified;
            self.verified_at = Some(now);
            budget.succeed();
            return Checked::Right;
        }
        budget.fail(now);
        self.failed_checks = self.failed_checks.saturating_add(1);
        if self.failed_checks >= self.max_checks {
            self.state = VerificationState::Failed;
        }
        Checked::Wrong
    }

    /// Approved by hand, without a code. False when it was final already. It is verified, but nothing was
    /// confirmed: the number's failures and its being known stay as they were.
    pub fn approve(&mut self, now: Timestamp) -> bool {
        self.state = self.at(now);
        let open = self.state == VerificationState::Pending;
        if open {
            self.state = VerificationState::Verified;
            self.verified_at = Some(now);
        }
        open
    }

    /// Taken back by the caller. False when it was final already.
    pub fn cancel(&mut self, now: Timestamp) -> bool {
        self.state = self.at(now);
        let open = self.state == VerificationState::Pending;
        if open {
            self.state = VerificationState::Canceled;
        }
        open
    }
}

/// Wrong codes in one hour after which a number's codes are not looked at.
pub const FAILURES_PER_HOUR: usize = 10;
/// Wrong codes since the last success, for codes of fewer than six characters.
pub const FAILURES_SINCE_SUCCESS_SHORT: u32 = 20;
/// Wrong codes since the last success, for longer codes (NIST SP 800-63B allows 100).
pub const FAILURES_SINCE_SUCCESS: u32 = 100;
const HOUR: Duration = Duration::from_secs(3600);

/// The wrong codes presented for one number, over all its verifications. A new code does not reset it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailureBudget {
    /// The newest wrong codes, oldest first; at most [`FAILURES_PER_HOUR`].
    pub recent: Vec<Timestamp>,
    /// Wrong codes since the last right one.
    pub since_success: u32,
}

impl FailureBudget {
    /// Whether a code may be looked at. `Err` holds when it may again, if time alone helps.
    pub fn permits(&self, code_length: u8, now: Timestamp) -> Result<(), Option<Timestamp>> {
        let lifetime = if code_length < 6 { FAILURES_SINCE_SUCCESS_SHORT } else { FAILURES_SINCE_SUCCESS };
        if self.since_success >= lifetime {
            return Err(None);
        }
        let live: Vec<Timestamp> = self.recent.iter().copied().filter(|t| t.plus(HOUR) > now).collect();
        match live.first() {
            Some(oldest) if live.len() >= FAILURES_PER_HOUR => Err(Some(oldest.plus(HOUR))),
            _ => Ok(()),
        }
    }

    fn fail(&mut self, now: Timestamp) {
        self.since_success = self.since_success.saturating_add(1);
        self.recent.push(now);
        let excess = self.recent.len().saturating_sub(FAILURES_PER_HOUR);
        self.recent.drain(..excess);
    }

    fn succeed(&mut self) {
        self.since_success = 0;
        self.recent.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_millis(secs * 1000)
    }

    fn begin() -> Lifecycle {
        Lifecycle::begin(at(0), Duration::from_secs(300), Duration::from_secs(10), 5, Channel::Sms)
    }

    #[test]
    fn the_fifth_wrong_code_fails_it_for_good() {
        let (mut v, mut budget) = (begin(), FailureBudget::default());
        for _ in 0..5 {
            assert_eq!(v.present(false, &mut budget, 6, at(1)), Checked::Wrong);
        }
        assert_eq!(v.state, VerificationState::Failed);
        assert_eq!(v.present(true, &mut budget, 6, at(2)), Checked::Final);
        assert_eq!(budget.since_success, 5, "what was not looked at is not counted");
    }

    #[test]
    fn it_expires_to_the_millisecond() {
        let mut v = begin();
        assert_eq!(v.at(Timestamp::from_millis(299_999)), VerificationState::Pending);
        assert_eq!(v.at(at(300)), VerificationState::Expired);
        assert_eq!(v.present(true, &mut FailureBudget::default(), 6, at(300)), Checked::Final);
    }

    #[test]
    fn a_new_code_does_not_reset_the_numbers_budget() {
        let mut budget = FailureBudget::default();
        for round in 0..2 {
            let mut v = begin();
            for _ in 0..5 {
                assert_eq!(v.present(false, &mut budget, 6, at(round)), Checked::Wrong);
            }
        }
        let mut v = begin();
        assert_eq!(v.present(true, &mut budget, 6, at(10)), Checked::Exhausted { retry_at: Some(at(3600)) });
        assert_eq!(v.present(true, &mut budget, 6, at(10)), Checked::Exhausted { retry_at: Some(at(3600)) });
        v.expires_at = at(9999);
        assert_eq!(v.present(true, &mut budget, 6, at(3600)), Checked::Right);
        assert_eq!(budget, FailureBudget::default());
    }

    #[test]
    fn short_codes_have_twenty_wrong_tries_between_successes() {
        let (mut budget, mut wrong, mut now) = (FailureBudget::default(), 0, 0);
        for _ in 0..100 {
            now += 4000;
            let mut v = Lifecycle::begin(at(now), Duration::from_secs(300), Duration::ZERO, 5, Channel::Sms);
            wrong += u32::from(v.present(false, &mut budget, 4, at(now)) == Checked::Wrong);
        }
        assert_eq!(wrong, FAILURES_SINCE_SUCCESS_SHORT);
    }

    proptest! {
        /// Whatever is presented in whatever order: at most one success, never more than `max_checks` looked at.
        #[test]
        fn at_most_max_checks_are_evaluated(tries in prop::collection::vec((any::<bool>(), 0i64..400), 1..40)) {
            let (mut v, mut budget) = (begin(), FailureBudget::default());
            let mut sorted = tries;
            sorted.sort_by_key(|t| t.1);
            let results: Vec<Checked> =
                sorted.iter().map(|(right, secs)| v.present(*right, &mut budget, 6, at(*secs))).collect();
            prop_assert!(results.iter().filter(|r| **r == Checked::Wrong).count() <= 5);
            prop_assert!(results.iter().filter(|r| **r == Checked::Right).count() <= 1);
        }

        #[test]
        fn a_resend_keeps_the_code_unless_reset(reset: bool) {
            let mut v = begin();
            v.failed_checks = 3;
            v.resend(at(60), Duration::from_secs(300), Duration::from_secs(10), Channel::Call, reset);
            prop_assert_eq!(v.generation, u32::from(reset));
            prop_assert_eq!(v.failed_checks, if reset { 0 } else { 3 });
            prop_assert_eq!(v.expires_at, at(360));
        }
    }
}

//! Number masking: two parties reach each other through a virtual number, and neither sees the other's.
//!
//! The pair of who calls and which virtual number was called is the key: it names at most one session, for both
//! parties. Reading order: this file (a session), [`select`] (which virtual number a session gets), [`call`] (what
//! became of a call, and the summary of a session), [`health`] (virtual numbers that fail), [`relay`] (texts).

pub mod call;
pub mod health;
pub mod relay;
pub mod select;

use serde::{Deserialize, Serialize};

use crate::msisdn::Msisdn;
use crate::time::Timestamp;

/// One of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Party {
    /// The first: of a one-way session the one who may call.
    A,
    /// The second.
    B,
}

impl Party {
    /// The other one.
    pub fn other(self) -> Party {
        match self {
            Party::A => Party::B,
            Party::B => Party::A,
        }
    }

    /// The wire word.
    pub fn as_str(self) -> &'static str {
        match self {
            Party::A => "a",
            Party::B => "b",
        }
    }
}

/// Who may begin a call or write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Both.
    #[default]
    TwoWay,
    /// Only A.
    OneWay,
}

impl Direction {
    /// The wire word.
    pub fn as_str(self) -> &'static str {
        match self {
            Direction::TwoWay => "two_way",
            Direction::OneWay => "one_way",
        }
    }
}

/// Where a session stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SessionState {
    /// Calls and texts go through.
    Open,
    /// It was ended.
    Closed,
    /// Its time is over.
    Expired,
}

impl SessionState {
    /// The wire word.
    pub fn as_str(self) -> &'static str {
        match self {
            SessionState::Open => "open",
            SessionState::Closed => "closed",
            SessionState::Expired => "expired",
        }
    }
}

/// Why a call or a text does not go through, before anything is decided about its destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Refusal {
    /// No session has this caller and this virtual number.
    NoSession,
    /// The session is over.
    Ended,
    /// The session is one-way, and this is B.
    OneWay,
    /// The screening said no.
    Refused,
}

impl Refusal {
    /// The wire word.
    pub fn as_str(self) -> &'static str {
        match self {
            Refusal::NoSession => "no-session",
            Refusal::Ended => "ended",
            Refusal::OneWay => "one-way",
            Refusal::Refused => "refused",
        }
    }

    /// What SIP calls it: the number is not in service, gone, or the call is forbidden.
    pub fn sip_code(self) -> u16 {
        match self {
            Refusal::NoSession => 404,
            Refusal::Ended => 410,
            Refusal::OneWay | Refusal::Refused => 403,
        }
    }
}

/// Two parties and the virtual number between them.
#[derive(Clone, PartialEq, Eq)]
pub struct Session {
    /// The first party.
    pub a: Msisdn,
    /// The second party.
    pub b: Msisdn,
    /// What each sees of the other.
    pub mask: Msisdn,
    /// Who may begin.
    pub direction: Direction,
    /// From then on nothing goes through; `None`: until it is ended.
    pub expires_at: Option<Timestamp>,
    /// When it was ended before its time.
    pub closed_at: Option<Timestamp>,
}

/// Without the numbers.
impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("direction", &self.direction).finish_non_exhaustive()
    }
}

/// Where what a party says goes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct FarEnd {
    /// Who speaks.
    pub from: Party,
    /// The other party's number: for the network that carries the call, and for nobody else.
    pub to: Msisdn,
    /// What the other party sees as the caller.
    pub shown: Msisdn,
}

impl Session {
    /// Where it stands at `now`.
    pub fn state_at(&self, now: Timestamp) -> SessionState {
        match (self.closed_at, self.expires_at) {
            (Some(closed), Some(expires)) if expires < closed => SessionState::Expired,
            (Some(_), _) => SessionState::Closed,
            (None, Some(expires)) if expires <= now => SessionState::Expired,
            (None, _) => SessionState::Open,
        }
    }

    /// When it ended, if it has by `now`.
    pub fn ended_at(&self, now: Timestamp) -> Option<Timestamp> {
        match self.state_at(now) {
            SessionState::Open => None,
            SessionState::Closed => self.closed_at,
            SessionState::Expired => self.expires_at,
        }
    }

    /// Which party a number is.
    pub fn party(&self, number: Msisdn) -> Option<Party> {
        match number {
            number if number == self.a => Some(Party::A),
            number if number == self.b => Some(Party::B),
            _ => None,
        }
    }

    /// A party's number.
    pub fn number(&self, party: Party) -> Msisdn {
        match party {
            Party::A => self.a,
            Party::B => self.b,
        }
    }

    /// Where a call or a text of a number goes, or why nowhere.
    pub fn far_end(&self, caller: Msisdn, now: Timestamp) -> Result<FarEnd, Refusal> {
        let from = self.party(caller).ok_or(Refusal::NoSession)?;
        if self.state_at(now) != SessionState::Open {
            return Err(Refusal::Ended);
        }
        if from == Party::B && self.direction == Direction::OneWay {
            return Err(Refusal::OneWay);
        }
        Ok(FarEnd { from, to: self.number(from.other()), shown: self.mask })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn number(n: u64) -> Msisdn {
        Msisdn::from_u64(6_590_000_000 + n).unwrap()
    }

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millis(ms)
    }

    fn session(direction: Direction) -> Session {
        Session { a: number(1), b: number(2), mask: number(9), direction, expires_at: None, closed_at: None }
    }

    #[test]
    fn each_party_reaches_the_other_and_sees_the_mask() {
        let both = session(Direction::TwoWay);
        let end = both.far_end(number(1), at(0)).ok().unwrap();
        assert!((end.from, end.to, end.shown) == (Party::A, number(2), number(9)));
        let end = both.far_end(number(2), at(0)).ok().unwrap();
        assert!((end.from, end.to, end.shown) == (Party::B, number(1), number(9)));
        assert!(both.far_end(number(3), at(0)).err() == Some(Refusal::NoSession));
    }

    #[test]
    fn one_way_refuses_b_and_nobody_calls_after_the_end() {
        let mut one = session(Direction::OneWay);
        assert!(one.far_end(number(1), at(0)).is_ok());
        assert!(one.far_end(number(2), at(0)).err() == Some(Refusal::OneWay));
        one.expires_at = Some(at(10));
        assert!(one.far_end(number(1), at(9)).is_ok());
        assert!(one.far_end(number(1), at(10)).err() == Some(Refusal::Ended));
        assert_eq!((one.state_at(at(10)), one.ended_at(at(99))), (SessionState::Expired, Some(at(10))));
        one.closed_at = Some(at(5));
        assert_eq!((one.state_at(at(99)), one.ended_at(at(99))), (SessionState::Closed, Some(at(5))));
        one.closed_at = Some(at(11));
        assert_eq!(one.state_at(at(99)), SessionState::Expired, "what was over cannot be ended");
    }

    #[test]
    fn numbers_are_not_printed() {
        let text = format!("{:?}", session(Direction::TwoWay));
        assert!(!text.contains("6590000"), "{text}");
    }

    proptest! {
        #[test]
        fn nobody_is_shown_a_party(caller in 1u64..5, one_way: bool, expires in 0i64..20, now in 0i64..20) {
            let direction = if one_way { Direction::OneWay } else { Direction::TwoWay };
            let session = Session { expires_at: Some(at(expires)), ..session(direction) };
            if let Ok(end) = session.far_end(number(caller), at(now)) {
                prop_assert!(end.shown == session.mask);
                prop_assert!(end.to != number(caller) && session.party(end.to) == Some(end.from.other()));
                prop_assert!(now < expires);
            }
        }
    }
}

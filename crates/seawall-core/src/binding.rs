//! A new number for a user: it counts once it was proved to be theirs, and the number that they had before agrees. A user
//! who lost that one waits instead, and the old number is told. Nobody can write that a number is bound.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// A proof counts so long; both have to count at once.
pub const PROOF: Duration = Duration::from_secs(30 * 60);
/// How long one is open, from its beginning or from the end of what it waits for.
pub const OPEN: Duration = Duration::from_secs(24 * 3600);

/// Which of the two numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// The one that is to be bound.
    New,
    /// The one that the user had before.
    Old,
}

/// Where one stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Proofs are missing.
    Pending,
    /// The number is the user's.
    Bound,
    /// Taken back: by the app, by a later one of the same user, or by one of the numbers.
    Canceled,
    /// The proofs did not come in time.
    Expired,
}

impl State {
    /// The wire word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Bound => "bound",
            Self::Canceled => "canceled",
            Self::Expired => "expired",
        }
    }
}

/// What the old number has to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Old {
    /// Nothing: the user had none.
    Nothing,
    /// It has to be proved.
    Needed,
    /// Its proof would prove nothing: it has another owner since. Only waiting helps.
    Gone,
    /// It was proved.
    Proved(Timestamp),
    /// The user lost it: nothing before this instant.
    Lost(Timestamp),
}

/// What is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Missing {
    /// A code to the new number.
    NewProof,
    /// A code to the old one.
    OldProof,
    /// Nothing but waiting helps, and then a code to the new number.
    Wait(Timestamp),
}

/// Why a step was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It has ended.
    Ended(State),
    /// There is no old number, or it counts for nothing.
    NoOld,
    /// The new number comes first: the old one is not asked for whoever has neither.
    NewFirst,
    /// The operator set no waiting time, so nothing stands in for the old number.
    NoAlternative,
}

/// A new number on its way to a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Binding {
    /// Where it stands; see [`Binding::at`].
    pub state: State,
    /// When the new number was proved last.
    pub new_proved: Option<Timestamp>,
    /// What the old number has to say.
    pub old: Old,
    /// Nothing before this instant: one of the numbers changed hands or its card lately.
    pub held_until: Option<Timestamp>,
    /// Not bound by then: never.
    pub ends_at: Timestamp,
}

impl Binding {
    /// Begins one.
    pub fn begin(now: Timestamp, old: Old) -> Self {
        let ends_at = now.plus(OPEN);
        Binding { state: State::Pending, new_proved: None, old, held_until: None, ends_at }
    }

    /// Where it stands at an instant.
    pub fn at(&self, now: Timestamp) -> State {
        match self.state {
            State::Pending if now >= self.ends_at => State::Expired,
            state => state,
        }
    }

    /// Holds it until an instant, or longer if it is held longer.
    pub fn hold(&mut self, until: Timestamp) {
        self.held_until = self.held_until.max(Some(until));
        self.ends_at = self.ends_at.max(until.plus(OPEN));
    }

    /// What is missing; empty when nothing is.
    pub fn missing(&self, now: Timestamp) -> Vec<Missing> {
        let waits = self.waits_until().filter(|until| *until > now);
        let mut missing: Vec<Missing> = waits.map(Missing::Wait).into_iter().collect();
        // What was proved while it had to wait proves nothing of the time after.
        let counts =
            |at: Timestamp| at.plus(PROOF) > now && self.waits_until().is_none_or(|until| at >= until);
        if !self.new_proved.is_some_and(counts) {
            missing.push(Missing::NewProof);
        }
        let agreed = match self.old {
            Old::Nothing | Old::Lost(_) => true,
            Old::Needed | Old::Gone => false,
            Old::Proved(at) => counts(at),
        };
        if !agreed {
            missing.push(Missing::OldProof);
        }
        missing
    }

    fn waits_until(&self) -> Option<Timestamp> {
        match self.old {
            Old::Lost(until) => self.held_until.max(Some(until)),
            _ => self.held_until,
        }
    }

    fn open(&self, now: Timestamp) -> Result<(), Refused> {
        match self.at(now) {
            State::Pending => Ok(()),
            state => Err(Refused::Ended(state)),
        }
    }

    /// Whether a code may go to one of the numbers now.
    pub fn may_ask(&self, side: Side, now: Timestamp) -> Result<(), Refused> {
        self.open(now)?;
        match (side, self.old) {
            (Side::New, _) => Ok(()),
            (Side::Old, Old::Needed | Old::Proved(_)) => {
                let proved = self.new_proved.is_some_and(|at| at.plus(PROOF) > now);
                if proved { Ok(()) } else { Err(Refused::NewFirst) }
            }
            (Side::Old, Old::Nothing | Old::Gone | Old::Lost(_)) => Err(Refused::NoOld),
        }
    }

    /// A code to one of the numbers was right. Binds when nothing is missing any more.
    pub fn prove(&mut self, side: Side, now: Timestamp) -> Result<(), Refused> {
        self.open(now)?;
        match (side, self.old) {
            (Side::New, _) => self.new_proved = Some(now),
            (Side::Old, Old::Needed | Old::Proved(_)) => self.old = Old::Proved(now),
            (Side::Old, Old::Nothing | Old::Gone | Old::Lost(_)) => return Err(Refused::NoOld),
        }
        if self.missing(now).is_empty() {
            self.state = State::Bound;
        }
        Ok(())
    }

    /// The user lost the old number: after `delay`, the new one alone is enough. `None`: the operator allows none. Asking
    /// again neither shortens nor prolongs the wait.
    pub fn lose(&mut self, now: Timestamp, delay: Option<Duration>) -> Result<(), Refused> {
        self.open(now)?;
        match self.old {
            Old::Lost(_) => return Ok(()),
            Old::Nothing => return Err(Refused::NoOld),
            Old::Needed | Old::Gone | Old::Proved(_) => {}
        }
        // Whoever has neither number cannot begin what is told to the old one.
        if self.new_proved.is_none_or(|at| at.plus(PROOF) <= now) {
            return Err(Refused::NewFirst);
        }
        let until = now.plus(delay.ok_or(Refused::NoAlternative)?);
        self.old = Old::Lost(until);
        self.ends_at = self.ends_at.max(until.plus(OPEN));
        Ok(())
    }

    /// Takes it back.
    pub fn cancel(&mut self, now: Timestamp) -> Result<(), Refused> {
        self.open(now)?;
        self.state = State::Canceled;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_millis(secs * 1000)
    }

    const HOUR: i64 = 3600;

    #[test]
    fn a_first_number_needs_its_own_proof_alone() {
        let mut one = Binding::begin(at(0), Old::Nothing);
        assert_eq!(one.missing(at(1)), [Missing::NewProof]);
        assert_eq!(one.prove(Side::Old, at(1)), Err(Refused::NoOld));
        one.prove(Side::New, at(2)).unwrap();
        assert_eq!(one.state, State::Bound);
        assert_eq!(one.prove(Side::New, at(3)), Err(Refused::Ended(State::Bound)));
        assert_eq!(one.cancel(at(3)), Err(Refused::Ended(State::Bound)));
    }

    #[test]
    fn a_change_needs_both_at_once_the_new_one_first() {
        let mut one = Binding::begin(at(0), Old::Needed);
        assert_eq!(one.may_ask(Side::Old, at(1)), Err(Refused::NewFirst));
        one.prove(Side::New, at(10)).unwrap();
        assert_eq!((one.state, one.missing(at(11))), (State::Pending, vec![Missing::OldProof]));
        one.may_ask(Side::Old, at(11)).unwrap();
        // Too late: the first proof does not count any more.
        one.prove(Side::Old, at(10 + 1800)).unwrap();
        assert_eq!(one.missing(at(1811)), [Missing::NewProof]);
        one.prove(Side::New, at(1820)).unwrap();
        assert_eq!(one.state, State::Bound);
        let never = Binding::begin(at(0), Old::Needed);
        assert_eq!(never.at(at(24 * HOUR)), State::Expired);
    }

    #[test]
    fn a_lost_number_is_waited_for_and_the_new_one_proved_again() {
        let delay = Some(Duration::from_secs(72 * 3600));
        let mut one = Binding::begin(at(0), Old::Needed);
        assert_eq!(one.lose(at(1), delay), Err(Refused::NewFirst));
        one.prove(Side::New, at(5)).unwrap();
        assert_eq!(one.lose(at(6), None), Err(Refused::NoAlternative));
        one.lose(at(10), delay).unwrap();
        one.lose(at(99), delay).unwrap();
        let until = at(10 + 72 * HOUR);
        assert_eq!(one.missing(at(20)), [Missing::Wait(until), Missing::NewProof]);
        one.prove(Side::New, at(72 * HOUR)).unwrap();
        assert_eq!(one.missing(until), [Missing::NewProof], "it was proved before the wait was over");
        one.prove(Side::New, until).unwrap();
        assert_eq!(one.state, State::Bound);
    }

    #[test]
    fn what_changed_hands_is_held() {
        let mut one = Binding::begin(at(0), Old::Nothing);
        one.hold(at(100 * HOUR));
        one.hold(at(50 * HOUR));
        one.prove(Side::New, at(1)).unwrap();
        assert_eq!(one.state, State::Pending);
        one.prove(Side::New, at(100 * HOUR)).unwrap();
        assert_eq!(one.state, State::Bound);
        let mut gone = Binding::begin(at(0), Old::Gone);
        gone.prove(Side::New, at(1)).unwrap();
        assert_eq!(gone.prove(Side::Old, at(2)), Err(Refused::NoOld));
        assert_eq!(gone.may_ask(Side::Old, at(2)), Err(Refused::NoOld));
        gone.lose(at(3), Some(Duration::from_secs(60))).unwrap();
        gone.prove(Side::New, at(63)).unwrap();
        assert_eq!(gone.state, State::Bound);
    }

    proptest! {
        /// Whatever is tried in whatever order: nothing is bound without what it needs.
        #[test]
        fn nothing_is_bound_without_its_proofs(
            old in 0..3usize,
            held in prop::option::of(0..100_000i64),
            steps in prop::collection::vec((0..5u8, 0..20_000i64), 0..30),
        ) {
            let old = [Old::Nothing, Old::Needed, Old::Gone][old];
            let mut one = Binding::begin(at(0), old);
            held.into_iter().for_each(|until| one.hold(at(until)));
            let (mut now, mut new, mut proved, mut lost) = (0, None, None, None);
            for (step, later) in steps {
                now += later;
                let was = one.at(at(now));
                let done = match step {
                    0 => one.prove(Side::New, at(now)).map(|()| new = Some(now)),
                    1 => one.prove(Side::Old, at(now)).map(|()| proved = Some(now)),
                    2 => one.lose(at(now), Some(Duration::from_secs(50_000))).map(|()| lost = lost.or(Some(now + 50_000))),
                    3 => one.cancel(at(now)),
                    _ => one.lose(at(now), None),
                };
                prop_assert!(done.is_err() || was == State::Pending);
                if one.state == State::Bound && was == State::Pending {
                    let fresh = |at: Option<i64>| at.is_some_and(|at| now - at < 1800 && held.is_none_or(|h| at >= h));
                    prop_assert!(fresh(new) && held.is_none_or(|h| now >= h));
                    let agreed = old == Old::Nothing
                        || lost.is_some_and(|until| now >= until && new >= Some(until))
                        || lost.is_none() && old == Old::Needed && fresh(proved);
                    prop_assert!(agreed);
                }
            }
        }
    }
}

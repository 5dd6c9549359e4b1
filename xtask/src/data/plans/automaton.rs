//! The smallest automaton for all calling codes. Numbers end after at most fifteen digits, so it has no loops: states
//! are made from their ends to their beginnings, and two that say and lead to the same are one.

use std::collections::{BTreeSet, HashMap};

use super::pattern::At;
use super::region::Code;
use super::write::State;

/// Digits of the shortest and the longest number, calling code included: what the gateway takes.
const LENGTHS: std::ops::RangeInclusive<usize> = 7..=15;

/// States by what they say and lead to.
#[derive(Default)]
pub struct Automaton {
    states: Vec<State>,
    known: HashMap<State, u32>,
    codes: Vec<(String, u32)>,
}

/// States of a calling code by where its patterns stand after so many digits.
type Seen = HashMap<(BTreeSet<At>, usize), u32>;

impl Automaton {
    /// Adds the numbers of a calling code.
    pub fn add(&mut self, code: i32, plan: &Code) -> Result<(), String> {
        self.intern(State::default())?;
        let first = self.state(plan, plan.begin(), 0, &mut Seen::new())?;
        self.codes.push((code.to_string(), first));
        Ok(())
    }

    fn state(
        &mut self,
        plan: &Code,
        at: &BTreeSet<At>,
        length: usize,
        seen: &mut Seen,
    ) -> Result<u32, String> {
        let total = plan.digits() + length;
        if at.is_empty() || total > *LENGTHS.end() {
            return Ok(0);
        }
        if let Some(known) = seen.get(&(at.clone(), length)) {
            return Ok(*known);
        }
        let mut state = State::default();
        if LENGTHS.contains(&total) {
            state.class = plan.class(at, length);
        }
        for (digit, next) in (0..).zip(&mut state.next) {
            *next = self.state(plan, &plan.step(at, digit), length + 1, seen)?;
        }
        let found = self.intern(state)?;
        seen.insert((at.clone(), length), found);
        Ok(found)
    }

    fn intern(&mut self, state: State) -> Result<u32, String> {
        if let Some(known) = self.known.get(&state) {
            return Ok(*known);
        }
        let next = u32::try_from(self.states.len()).map_err(|_| "too many states")?;
        self.states.push(state.clone());
        self.known.insert(state, next);
        Ok(next)
    }

    /// All states: the first leads nowhere, in the last a number begins.
    pub fn finish(mut self) -> Result<Vec<State>, String> {
        let codes = std::mem::take(&mut self.codes);
        let first = self.codes(&codes, "")?;
        let last = u32::try_from(self.states.len()).map_err(|_| "too many states")?.checked_sub(1);
        if Some(first) == last { Ok(self.states) } else { Err("there is no calling code".to_owned()) }
    }

    /// The state behind the first digits of calling codes. No code is the beginning of another.
    fn codes(&mut self, codes: &[(String, u32)], begun: &str) -> Result<u32, String> {
        if let Some((_, first)) = codes.iter().find(|(code, _)| code == begun) {
            return Ok(*first);
        }
        if !codes.iter().any(|(code, _)| code.starts_with(begun)) {
            return Ok(0);
        }
        let mut state = State::default();
        for (digit, next) in (0..).zip(&mut state.next) {
            *next = self.codes(codes, &format!("{begun}{digit}"))?;
        }
        self.intern(state)
    }
}

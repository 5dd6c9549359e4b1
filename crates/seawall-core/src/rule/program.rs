//! A condition as it is evaluated: a small typed tree. Nothing is parsed, allocated or looked up by name while
//! a request is decided, and nothing can fail: what a request does not have makes the comparison false.

use std::cmp::Ordering;

use regex::Regex;

use super::attribute::Attribute;
use super::compare::{Addresses, Op};
use super::error::RuleError;
use super::seen::{Seen, Value};
use crate::client_ip::ClientIp;
use crate::request::Operation;

/// An attribute's place in [`Program::attributes`].
pub(super) type Slot = u8;

/// Attributes that one rule may look at: a bit each in [`Outcome::missing`].
pub(super) const MAX_ATTRIBUTES: usize = 64;

/// What is true or false.
#[derive(Clone, Debug)]
pub(super) enum Test {
    Const(bool),
    And(Box<[Test]>),
    Or(Box<[Test]>),
    Not(Box<Test>),
    If(Box<[Test; 3]>),
    /// A flag; false when it is missing.
    Flag(Slot),
    /// Two of them alike; false when a flag is missing.
    Alike {
        sides: Box<[Test; 2]>,
        equal: bool,
    },
    Numbers {
        op: Op,
        sides: Box<[Num; 2]>,
    },
    Strings {
        op: Op,
        sides: Box<[Str; 2]>,
    },
    NumberIn {
        number: Num,
        of: Box<[Num]>,
    },
    StringIn {
        string: Str,
        of: Box<[Box<str>]>,
    },
    /// An address among addresses and networks.
    Address {
        of: Slot,
        nets: Addresses,
        within: bool,
    },
    /// Two addresses of the request.
    SameAddress {
        of: [Slot; 2],
        equal: bool,
    },
    StartsWith(Str, Str),
    EndsWith(Str, Str),
    Contains(Str, Str),
    Matches(Str, Box<Regex>),
    /// A text in a list of the request.
    Listed {
        string: Str,
        list: Slot,
    },
    /// Some text in a list of the request for which the test is true.
    Exists {
        list: Slot,
        test: Box<Test>,
    },
    Has(Slot),
}

/// A number.
#[derive(Clone, Debug)]
pub(super) enum Num {
    Int(i64),
    Double(f64),
    Attribute(Slot),
    Negative(Box<Num>),
    Calc {
        op: Calc,
        sides: Box<[Num; 2]>,
    },
    /// How many characters a text has.
    Length(Str),
    /// How many texts a list has.
    Count(Slot),
    ToInt(Box<Num>),
    ToDouble(Box<Num>),
    If(Box<(Test, Num, Num)>),
}

/// What is done with two numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Calc {
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
}

/// A text.
#[derive(Clone, Debug)]
pub(super) enum Str {
    Literal(Box<str>),
    Attribute(Slot),
    /// What `exists` looks at.
    Element,
    If(Box<(Test, Str, Str)>),
}

/// A number while it is evaluated.
#[derive(Clone, Copy, Debug)]
pub(super) enum Number {
    Int(i64),
    Double(f64),
}

/// A checked condition.
#[derive(Clone, Debug)]
pub struct Program {
    pub(super) root: Test,
    pub(super) attributes: Box<[Attribute]>,
    pub(super) lists: Box<[(Box<str>, RuleError)]>,
    pub(super) any_operation: bool,
}

/// What a condition came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Whether it holds.
    pub matched: bool,
    /// Which attributes were looked at and missing: a bit for each of [`Program::attributes`].
    pub missing: u64,
}

impl Program {
    /// Evaluates the condition.
    pub fn run(&self, seen: &Seen<'_>) -> Outcome {
        let mut run = Run { attributes: &self.attributes, seen, missing: 0, element: None };
        let matched = run.test(&self.root);
        Outcome { matched, missing: run.missing }
    }

    /// Whether requests of this kind are meant: sends always, others when the operation is looked at.
    pub fn covers(&self, operation: Operation) -> bool {
        operation.sends() || self.any_operation
    }

    /// Every attribute that it may look at.
    pub fn attributes(&self) -> &[Attribute] {
        &self.attributes
    }

    /// The lists that it names, and what to say where there is no such list.
    pub fn lists(&self) -> &[(Box<str>, RuleError)] {
        &self.lists
    }

    /// The attributes of the bits of [`Outcome::missing`].
    pub fn named(&self, missing: u64) -> impl Iterator<Item = &Attribute> {
        let set =
            move |at: usize| u32::try_from(at).is_ok_and(|at| missing.checked_shr(at).unwrap_or(0) & 1 == 1);
        self.attributes.iter().enumerate().filter(move |(at, _)| set(*at)).map(|(_, attribute)| attribute)
    }
}

struct Run<'p, 's, 'a> {
    attributes: &'p [Attribute],
    seen: &'s Seen<'a>,
    missing: u64,
    element: Option<&'s str>,
}

impl<'p: 's, 's, 'a> Run<'p, 's, 'a> {
    fn value(&mut self, slot: Slot) -> Value<'s> {
        let found = self.attributes.get(usize::from(slot)).map_or(Value::Missing, |a| self.seen.get(a));
        if matches!(found, Value::Missing) {
            self.missing |= 1u64.checked_shl(slot.into()).unwrap_or(0);
        }
        found
    }

    fn test(&mut self, test: &'p Test) -> bool {
        match test {
            Test::Const(value) => *value,
            Test::And(all) => all.iter().all(|one| self.test(one)),
            Test::Or(any) => any.iter().any(|one| self.test(one)),
            Test::Not(of) => !self.test(of),
            Test::If(parts) => {
                let [condition, yes, no] = &**parts;
                if self.test(condition) { self.test(yes) } else { self.test(no) }
            }
            Test::Flag(slot) => matches!(self.value(*slot), Value::Bool(true)),
            Test::Alike { sides, equal } => self.alike(sides, *equal),
            Test::Numbers { op, sides } => self.numbers(*op, sides),
            Test::Strings { op, sides } => self.strings(*op, sides),
            Test::NumberIn { number, of } => self.number_in(number, of),
            Test::StringIn { string, of } => {
                self.string(string).is_some_and(|s| of.binary_search_by(|one| (**one).cmp(s)).is_ok())
            }
            Test::Address { of, nets, within } => {
                self.address(*of).is_some_and(|ip| nets.contain(ip) == *within)
            }
            Test::SameAddress { of: [a, b], equal } => {
                self.address(*a).zip(self.address(*b)).is_some_and(|(a, b)| (a == b) == *equal)
            }
            Test::StartsWith(s, part) => self.pair(s, part).is_some_and(|(s, part)| s.starts_with(part)),
            Test::EndsWith(s, part) => self.pair(s, part).is_some_and(|(s, part)| s.ends_with(part)),
            Test::Contains(s, part) => self.pair(s, part).is_some_and(|(s, part)| s.contains(part)),
            Test::Matches(string, pattern) => self.string(string).is_some_and(|s| pattern.is_match(s)),
            Test::Listed { string, list } => self.listed(string, *list),
            Test::Exists { list, test } => self.exists(*list, test),
            Test::Has(slot) => self.has(*slot),
        }
    }

    /// Looking whether something is there does not count as missing it.
    fn has(&mut self, slot: Slot) -> bool {
        let attribute = self.attributes.get(usize::from(slot));
        attribute.is_some_and(|attribute| !matches!(self.seen.get(attribute), Value::Missing))
    }

    fn alike(&mut self, [a, b]: &'p [Test; 2], equal: bool) -> bool {
        let mut side = |test: &'p Test| match test {
            Test::Flag(slot) => match self.value(*slot) {
                Value::Bool(flag) => Some(flag),
                _ => None,
            },
            other => Some(self.test(other)),
        };
        let (a, b) = (side(a), side(b));
        a.zip(b).is_some_and(|(a, b)| (a == b) == equal)
    }

    fn numbers(&mut self, op: Op, [a, b]: &'p [Num; 2]) -> bool {
        let (a, b) = (self.number(a), self.number(b));
        a.zip(b).is_some_and(|(a, b)| op.holds(a.compare(b)))
    }

    /// Both, so that each that is missing is counted.
    fn pair(&mut self, a: &'p Str, b: &'p Str) -> Option<(&'s str, &'s str)> {
        let (a, b) = (self.string(a), self.string(b));
        a.zip(b)
    }

    fn strings(&mut self, op: Op, [a, b]: &'p [Str; 2]) -> bool {
        self.pair(a, b).is_some_and(|(a, b)| match op {
            Op::Equal => a == b,
            Op::Unequal => a != b,
            op => op.holds(Some(a.cmp(b))),
        })
    }

    fn number_in(&mut self, number: &'p Num, of: &'p [Num]) -> bool {
        let Some(number) = self.number(number) else { return false };
        let equal = |run: &mut Self, one| {
            run.number(one).is_some_and(|one| number.compare(one) == Some(Ordering::Equal))
        };
        of.iter().any(|one| equal(self, one))
    }

    fn listed(&mut self, string: &'p Str, list: Slot) -> bool {
        let string = self.string(string);
        let list = self.value(list);
        string.is_some_and(|string| (0..list.len().unwrap_or(0)).any(|at| list.item(at) == Some(string)))
    }

    fn exists(&mut self, list: Slot, test: &'p Test) -> bool {
        let list = self.value(list);
        let found = (0..list.len().unwrap_or(0)).any(|at| {
            self.element = list.item(at);
            self.test(test)
        });
        self.element = None;
        found
    }

    fn address(&mut self, slot: Slot) -> Option<ClientIp> {
        match self.value(slot) {
            Value::Ip(ip) => Some(ip),
            _ => None,
        }
    }

    fn string(&mut self, string: &'p Str) -> Option<&'s str> {
        match string {
            Str::Literal(text) => Some(text),
            Str::Attribute(slot) => match self.value(*slot) {
                Value::Str(text) => Some(text),
                _ => None,
            },
            Str::Element => self.element,
            Str::If(parts) => {
                let (condition, yes, no) = &**parts;
                if self.test(condition) { self.string(yes) } else { self.string(no) }
            }
        }
    }

    fn number(&mut self, number: &'p Num) -> Option<Number> {
        match number {
            Num::Int(int) => Some(Number::Int(*int)),
            Num::Double(double) => Some(Number::Double(*double)),
            Num::Attribute(slot) => match self.value(*slot) {
                Value::Int(int) => Some(Number::Int(int)),
                Value::Double(double) => Some(Number::Double(double)),
                _ => None,
            },
            Num::Negative(of) => self.number(of)?.negative(),
            Num::Calc { op, sides: of } => {
                let [a, b] = &**of;
                let (a, b) = (self.number(a), self.number(b));
                op.of(a?, b?)
            }
            Num::Length(string) => {
                let length = self.string(string)?.chars().count();
                Some(Number::Int(i64::try_from(length).unwrap_or(i64::MAX)))
            }
            Num::Count(slot) => {
                let count = self.value(*slot).len()?;
                Some(Number::Int(i64::try_from(count).unwrap_or(i64::MAX)))
            }
            Num::ToInt(of) => self.number(of)?.to_int(),
            Num::ToDouble(of) => Some(Number::Double(self.number(of)?.to_double())),
            Num::If(parts) => {
                let (condition, yes, no) = &**parts;
                if self.test(condition) { self.number(yes) } else { self.number(no) }
            }
        }
    }
}

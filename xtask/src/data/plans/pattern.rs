//! Patterns as automata that may stand in many states at once. Only what numbering plans use is understood:
//! digits, classes of them, groups, alternatives and bounded or unbounded repetition.

use std::collections::BTreeSet;

use regex_syntax::hir::{Class, Hir, HirKind, Look};

/// Where a node stands among all.
pub type At = usize;

#[derive(Clone, Debug)]
enum Node {
    /// One of these digits (a bit each), then on.
    Digit(u16, At),
    /// On at all of these without a digit.
    Split(Vec<At>),
    /// What to say when one gets here.
    Say(u32),
}

/// Nodes of all patterns that are followed together.
#[derive(Debug, Default)]
pub struct Patterns(Vec<Node>);

impl Patterns {
    /// Adds a pattern as the library keeps it, `^(?:…)$`: whoever gets through it hears `say`. Returns where it begins.
    pub fn add(&mut self, text: &str, say: u32) -> Result<At, String> {
        let inner = text.strip_prefix("^(?:").and_then(|text| text.strip_suffix(")$"));
        let inner = inner.ok_or_else(|| format!("the pattern {text} is not ^(?:…)$"))?;
        let hir = regex_syntax::parse(inner).map_err(|error| error.to_string())?;
        let end = self.node(Node::Say(say));
        self.before(&hir, end).map_err(|what| format!("the pattern {text} has {what}"))
    }

    /// A node that says `say` as soon as one gets there.
    pub fn mark(&mut self, say: u32) -> At {
        self.node(Node::Say(say))
    }

    fn node(&mut self, node: Node) -> At {
        self.0.push(node);
        self.0.len() - 1
    }

    /// The nodes of a part of a pattern that go on at `then`; where they begin.
    fn before(&mut self, hir: &Hir, then: At) -> Result<At, String> {
        Ok(match hir.kind() {
            HirKind::Empty => then,
            // In a plan, `$` stands where a prefix has to be all there is. Reading on instead finds more of them,
            // and a number with a prefix found is left to the library.
            HirKind::Look(Look::Start | Look::End) => then,
            HirKind::Literal(text) => {
                let digits = text.0.iter().rev();
                digits.fold(then, |then, byte| self.node(Node::Digit(bit(*byte), then)))
            }
            HirKind::Class(class) => {
                let digits = digits_of(class);
                self.node(Node::Digit(digits, then))
            }
            HirKind::Capture(group) => self.before(&group.sub, then)?,
            HirKind::Concat(parts) => {
                parts.iter().rev().try_fold(then, |then, part| self.before(part, then))?
            }
            HirKind::Alternation(parts) => {
                let begins: Result<Vec<At>, String> =
                    parts.iter().map(|part| self.before(part, then)).collect();
                self.node(Node::Split(begins?))
            }
            HirKind::Repetition(repeated) => {
                let Some(most) = repeated.max else { return Err("unbounded repetition".to_owned()) };
                let mut begin = then;
                for _ in repeated.min..most {
                    let inner = self.before(&repeated.sub, begin)?;
                    begin = self.node(Node::Split(vec![inner, then]));
                }
                (0..repeated.min).try_fold(begin, |begin, _| self.before(&repeated.sub, begin))?
            }
            other => return Err(format!("{other:?}, which is not understood")),
        })
    }

    /// Adds a node, and where one gets from it without a digit.
    pub fn enter(&self, at: At, into: &mut BTreeSet<At>) {
        match self.0.get(at) {
            Some(Node::Split(all)) => all.iter().for_each(|next| self.enter(*next, into)),
            Some(_) => {
                into.insert(at);
            }
            None => {}
        }
    }

    /// Where a digit leads from these nodes.
    pub fn step(&self, from: &BTreeSet<At>, digit: u8) -> BTreeSet<At> {
        let mut found = BTreeSet::new();
        for at in from {
            if let Some(Node::Digit(digits, then)) = self.0.get(*at)
                && digits & (1 << digit) != 0
            {
                self.enter(*then, &mut found);
            }
        }
        found
    }

    /// What this node says.
    pub fn says(&self, at: At) -> Option<u32> {
        match self.0.get(at) {
            Some(Node::Say(say)) => Some(*say),
            _ => None,
        }
    }

    /// What these nodes say.
    pub fn said(&self, at: &BTreeSet<At>) -> BTreeSet<u32> {
        at.iter().filter_map(|at| self.says(*at)).collect()
    }
}

fn bit(byte: u8) -> u16 {
    if byte.is_ascii_digit() { 1 << (byte - b'0') } else { 0 }
}

fn digits_of(class: &Class) -> u16 {
    let holds = |byte: u8| match class {
        Class::Unicode(all) => {
            all.iter().any(|range| (range.start()..=range.end()).contains(&char::from(byte)))
        }
        Class::Bytes(all) => all.iter().any(|range| (range.start()..=range.end()).contains(&byte)),
    };
    (b'0'..=b'9').filter(|byte| holds(*byte)).map(bit).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fits(pattern: &str, digits: &str) -> bool {
        let mut patterns = Patterns::default();
        let mut at = BTreeSet::new();
        let begin = patterns.add(&format!("^(?:{pattern})$"), 7).unwrap();
        patterns.enter(begin, &mut at);
        for byte in digits.bytes() {
            at = patterns.step(&at, byte - b'0');
        }
        patterns.said(&at).contains(&7)
    }

    #[test]
    fn patterns_of_plans_are_followed() {
        for (pattern, yes, no) in [
            (r"(?:[01589]\d|[2-467])\d{4}", &["001234", "512345", "21234"][..], &["61", "9123", "2123"][..]),
            (r"1(?:2|33)?4{2,3}", &["144", "1244", "133444"], &["14", "134", "14444"]),
            (r"0?(?:(11|2[3-5])15)?", &["", "0", "01115", "2415"], &["15", "011", "2615"]),
        ] {
            for digits in yes {
                assert!(fits(pattern, digits), "{pattern} {digits}");
            }
            for digits in no {
                assert!(!fits(pattern, digits), "{pattern} {digits}");
            }
        }
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for pattern in ["^(?:1*)$", "12", "^(?:(1)$", r"^(?:1\b2)$"] {
            assert!(Patterns::default().add(pattern, 0).is_err(), "{pattern}");
        }
    }
}

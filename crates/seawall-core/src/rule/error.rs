//! What is wrong with a rule, and where.

use std::fmt;

/// Why a condition cannot be a rule's: what is wrong, which character it is about, and what would be right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleError {
    /// What is wrong.
    pub what: String,
    /// What would be right, when that can be said.
    pub hint: Option<String>,
    /// From 1.
    pub line: u32,
    /// From 1, in characters.
    pub column: u32,
}

impl RuleError {
    /// About the character at a byte of the source.
    pub(super) fn at(source: &str, byte: usize, what: impl Into<String>) -> Self {
        let before = source.get(..byte).unwrap_or(source);
        let (line, last) = before
            .rsplit_once('\n')
            .map_or((1, before), |(above, last)| (above.matches('\n').count() + 2, last));
        let small = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let column = small(last.chars().count() + 1);
        RuleError { what: what.into(), hint: None, line: small(line), column }
    }

    /// Says what would be right.
    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// One sentence without a full stop, such as: unknown attribute `number.contry` at column 5; did you mean
/// `number.country`?
impl fmt::Display for RuleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        match self.line {
            1 => write!(f, " at column {}", self.column)?,
            line => write!(f, " at line {line}, column {}", self.column)?,
        }
        self.hint.iter().try_for_each(|hint| write!(f, "; {hint}"))
    }
}

impl std::error::Error for RuleError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_lines_and_characters() {
        let place = |byte| {
            let error = RuleError::at("é == 1 &&\n  ü", byte, "no");
            (error.line, error.column)
        };
        let found = [place(0), place(3), place(11), place(13), place(99)];
        assert_eq!(found, [(1, 1), (1, 3), (2, 1), (2, 3), (2, 4)]);
    }

    #[test]
    fn a_sentence_names_the_place_once() {
        let error = RuleError::at("a && b", 5, "unknown attribute `b`").hint("did you mean `c`?");
        assert_eq!(error.to_string(), "unknown attribute `b` at column 6; did you mean `c`?");
    }
}

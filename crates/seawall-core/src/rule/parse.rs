//! From text to a syntax tree, with the `cel` crate. Its grammar is trusted, its appetite is not: the text's
//! length and nesting are bounded before it sees them.

use std::panic::{AssertUnwindSafe, catch_unwind};

use cel::common::ast::{Expr, SourceInfo, operators};
use cel::{Env, IdedExpr, ParseErrors};

use super::error::RuleError;

/// Characters of a condition, at most.
pub const MAX_SOURCE: usize = 4_000;
/// Brackets, conditionals and signs within each other, at most.
const MAX_NESTING: usize = 32;

/// A syntax tree and where its nodes stand.
pub(super) struct Parsed<'s> {
    /// The tree.
    pub(super) root: IdedExpr,
    places: SourceInfo,
    source: &'s str,
}

/// Parses a condition.
pub(super) fn parse(source: &str) -> Result<Parsed<'_>, RuleError> {
    bounded(source)?;
    // No macros: what is allowed of them is checked as the calls that they look like.
    let parser = Env::default().with_optional_support(false).parser();
    // A parser of others must not take the gateway down with it, whatever it is given.
    let parsed = catch_unwind(AssertUnwindSafe(|| parser.parse_with_source_info(source)));
    match parsed {
        Ok(Ok((root, places))) => Ok(Parsed { root, places, source }),
        Ok(Err(errors)) => Err(first(source, &errors)),
        Err(_) => Err(RuleError::at(source, 0, "the condition cannot be read").hint("write it differently")),
    }
}

fn bounded(source: &str) -> Result<(), RuleError> {
    if source.trim().is_empty() {
        let hint = "write a condition such as `number.country == \"UZ\"`, or `true`";
        return Err(RuleError::at(source, 0, "the condition is empty").hint(hint));
    }
    if let Some((at, _)) = source.char_indices().nth(MAX_SOURCE) {
        let what = format!("the condition is longer than {MAX_SOURCE} characters");
        return Err(RuleError::at(source, at, what).hint("shorten it, or make two rules of it"));
    }
    match too_deep(source) {
        Some(at) => {
            let what = format!("the condition is nested deeper than {MAX_NESTING} levels");
            Err(RuleError::at(source, at, what).hint("flatten it, or make two rules of it"))
        }
        None => Ok(()),
    }
}

/// Where nesting is too deep. Brackets within texts count too, which only errs on the safe side of a bound
/// that no sensible rule comes near; conditionals and runs of signs nest without brackets.
fn too_deep(source: &str) -> Option<usize> {
    let (mut depth, mut conditionals, mut signs) = (0_usize, 0_usize, 0_usize);
    for (at, byte) in source.bytes().enumerate() {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            b'?' => conditionals += 1,
            _ => {}
        }
        signs = if matches!(byte, b'!' | b'-') { signs + 1 } else { 0 };
        if depth > MAX_NESTING || conditionals > MAX_NESTING || signs > MAX_NESTING {
            return Some(at);
        }
    }
    None
}

/// The first error, in our words: the parser lists every token that could have stood there.
fn first(source: &str, errors: &ParseErrors) -> RuleError {
    let Some(error) = errors.errors.first() else {
        return RuleError::at(source, 0, "the condition cannot be read");
    };
    let byte = byte_of(source, error.pos);
    let rest = source.get(byte..).unwrap_or_default();
    let message = error.msg.as_str();
    let here = |what: String| RuleError::at(source, byte, what);
    if message.contains("limit") {
        return here("the condition is nested too deeply".to_owned())
            .hint("flatten it, or make two rules of it");
    }
    if rest.trim().is_empty() {
        return here("the condition ends too early".to_owned());
    }
    if rest.starts_with(['"', '\'']) && message.contains("token recognition") {
        return here("the text that begins here is not closed".to_owned());
    }
    if let Some(known) =
        ["invalid int", "invalid uint", "invalid double", "invalid string", "reserved identifier"]
            .iter()
            .find(|known| message.contains(**known))
    {
        let what = if *known == "reserved identifier" { "a reserved word" } else { known };
        return here(format!("{what}: `{}`", word(rest)));
    }
    here(format!("unexpected `{}`", word(rest)))
}

/// The token that a text begins with, shortened.
fn word(text: &str) -> String {
    let alike = |c: &char| c.is_alphanumeric() || *c == '_';
    let word: String = text.chars().take_while(alike).take(32).collect();
    if word.is_empty() { text.chars().take(1).collect() } else { word }
}

/// The byte of a line and column, both from 1, in characters.
fn byte_of(source: &str, (line, column): (isize, isize)) -> usize {
    let above = usize::try_from(line - 1).unwrap_or(0);
    let lines: Vec<&str> = source.split_inclusive('\n').collect();
    let start: usize = lines.iter().take(above).map(|line| line.len()).sum();
    let within = lines.get(above).copied().unwrap_or_default();
    let wanted = usize::try_from(column - 1).unwrap_or(0);
    start + within.char_indices().nth(wanted).map_or(within.len(), |(at, _)| at)
}

impl Parsed<'_> {
    /// An error about a node.
    pub(super) fn error(&self, node: &IdedExpr, what: impl Into<String>) -> RuleError {
        RuleError::at(self.source, self.start(node), what)
    }

    /// Where a node begins: a path at its first word, a call at its function's name, an operation at its sign.
    fn start(&self, node: &IdedExpr) -> usize {
        let own = self.places.offset_for(node.id).map_or(0, |(start, _)| usize::try_from(start).unwrap_or(0));
        match &node.expr {
            Expr::Select(select) => self.start(&select.operand),
            Expr::Call(call) if call.func_name == operators::INDEX => {
                call.args.first().map_or(own, |of| self.start(of))
            }
            // The parser's place of a call is its bracket; names of operators do not begin with a letter.
            Expr::Call(call) if call.func_name.starts_with(|c: char| c.is_ascii_alphabetic()) => {
                let before = self.source.get(..own).unwrap_or_default().trim_end();
                before.strip_suffix(call.func_name.as_str()).map_or(own, str::len)
            }
            _ => own,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(source: &str) -> String {
        parse(source).map(|_| ()).unwrap_err().to_string()
    }

    #[test]
    fn errors_point_at_the_character() {
        for (source, said) in [
            (
                "",
                "the condition is empty at column 1; write a condition such as `number.country == \"UZ\"`, or `true`",
            ),
            ("number.country ==", "the condition ends too early at column 18"),
            ("number.country = \"UZ\"", "unexpected `=` at column 16"),
            ("a b", "unexpected `b` at column 3"),
            ("\"é\" == number.é", "unexpected `é` at column 15"),
            ("a == \"open", "the text that begins here is not closed at column 6"),
            ("a &&\n  (b || )", "unexpected `)` at line 2, column 9"),
            ("a > 99999999999999999999", "invalid int: `99999999999999999999` at column 5"),
            ("for == 1", "a reserved word: `for` at column 1"),
        ] {
            assert_eq!(error(source), said, "{source}");
        }
    }

    #[test]
    fn length_and_nesting_are_bounded() {
        assert!(error(&"x".repeat(MAX_SOURCE + 1)).contains("longer than 4000 characters at column 4001"));
        for (open, close) in [("(", ")"), ("[", "]"), ("!", ""), ("-", ""), ("true ? 1 : ", "2")] {
            let deep = format!("{}true{}", open.repeat(40), close.repeat(40));
            assert!(error(&deep).contains("nested deeper than 32 levels"), "{deep}");
        }
        assert!(parse(&format!("{}true{}", "(".repeat(30), ")".repeat(30))).is_ok());
    }
}

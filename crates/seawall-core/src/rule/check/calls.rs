//! Functions.

use cel::IdedExpr;
use cel::common::ast::{CallExpr, Expr};
use regex::{Regex, RegexBuilder};

use super::super::attribute::{Attribute, Kind, Plain};
use super::super::compare::Addresses;
use super::super::program::{Num, Str, Test};
use super::super::suggest::nearest;
use super::{Checked, Checker, Domain, Number, Typed, spelled};
use crate::rule::error::RuleError;

/// Patterns of a condition, at most.
const MAX_PATTERNS: usize = 8;
/// Bytes of a pattern, at most.
const MAX_PATTERN: usize = 500;
/// Bytes that a compiled pattern, and its cache, may take.
const MAX_COMPILED: usize = 256 * 1024;

/// Every function: its name, how it is called, and what it means.
pub(in crate::rule) const FUNCTIONS: &[(&str, &str, &str)] = &[
    ("has", "has(client.user)", "Whether the request has the attribute."),
    ("size", "size(message.url_hosts) > 2", "How many characters a string has, or how many strings a list."),
    (
        "in_list",
        "in_list(\"vip\")",
        "Whether an entry of the list names a part of the request; also `lists.contains(\"vip\")`.",
    ),
    (
        "ip_in",
        "ip_in(client.ip, \"198.51.100.0/24\")",
        "Whether an address lies in a network, or in one of several: `ip_in(client.ip, [\"10.0.0.0/8\", \"2001:db8::/32\"])`.",
    ),
    (
        "double",
        "double(velocity.ip.confirmations_1h) / double(velocity.ip.sends_1h) < 0.1",
        "A number with a fraction.",
    ),
    ("int", "int(evidence.probability * 10.0) == 9", "A whole number, towards zero."),
    ("startsWith", "number.range.startsWith(\"+99893\")", "Whether a string begins so."),
    ("endsWith", "message.source.endsWith(\"Bank\")", "Whether a string ends so."),
    (
        "contains",
        "client.user_agent.contains(\"curl\")",
        "Whether a string has this part, or `lists` this list.",
    ),
    (
        "matches",
        "client.user_agent.matches(\"(?i)curl|python\")",
        "Whether a pattern (RE2) fits somewhere in a string. At most 8 patterns a rule.",
    ),
    (
        "exists",
        "message.url_hosts.exists(h, h.endsWith(\".top\"))",
        "Whether the condition holds for one string of a list.",
    ),
];

impl Checker<'_, '_> {
    /// A function that is called.
    pub(super) fn function(&mut self, node: &IdedExpr, call: &CallExpr) -> Checked<Typed> {
        let test = |test: Checked<Test>| test.map(Typed::Test);
        match (call.func_name.as_str(), call.target.as_deref(), call.args.as_slice()) {
            ("has", None, [of]) => test(self.has(of)),
            ("size", None, [of]) | ("size", Some(of), []) => self.size(of),
            ("in_list", None, [name]) => test(self.in_list(name)),
            ("ip_in", None, [ip, within]) => test(self.ip_in(ip, within)),
            ("double", None, [of]) => {
                let (number, _) = self.number(of, "double")?;
                Ok(Typed::Num(Num::ToDouble(Box::new(number)), Number::Double))
            }
            ("int", None, [of]) => {
                let (number, _) = self.number(of, "int")?;
                Ok(Typed::Num(Num::ToInt(Box::new(number)), Number::Int))
            }
            (name @ ("startsWith" | "endsWith" | "contains"), Some(of), [part]) => {
                test(self.part(name, of, part))
            }
            ("matches", Some(of), [pattern]) => test(self.matches(of, pattern)),
            ("exists", Some(of), [element, condition]) => test(self.exists(of, element, condition)),
            (name, ..) => Err(self.unusual(node, name)),
        }
    }

    fn unusual(&self, node: &IdedExpr, name: &str) -> RuleError {
        if let Some((_, usage, _)) = FUNCTIONS.iter().find(|(known, ..)| *known == name) {
            return self
                .error(node, format!("`{name}` is called differently"))
                .hint(format!("write `{usage}`"));
        }
        let short: String = name.chars().take(40).collect();
        let error = self.error(node, format!("there is no function `{short}` in rules"));
        match nearest(name, FUNCTIONS.iter().map(|(known, ..)| (*known).to_owned())) {
            Some(known) => error.hint(format!("did you mean `{known}`?")),
            None => {
                let known: Vec<&str> = FUNCTIONS.iter().map(|(known, ..)| *known).collect();
                error.hint(format!("there are {}", known.join(", ")))
            }
        }
    }

    fn has(&mut self, of: &IdedExpr) -> Checked<Test> {
        let attribute = self.attribute(of)?;
        Ok(Test::Has(self.slot(of, attribute)?))
    }

    fn size(&mut self, of: &IdedExpr) -> Checked<Typed> {
        let size = match self.expression(of)? {
            Typed::Str(string, _) => Num::Length(string),
            Typed::List(slot, _) => Num::Count(slot),
            other => {
                let what =
                    format!("`size` takes a string or a list, and {} is {}", spelled(of), other.name());
                return Err(self.error(of, what));
            }
        };
        Ok(Typed::Num(size, Number::Int))
    }

    fn in_list(&mut self, name: &IdedExpr) -> Checked<Test> {
        let string = Str::Literal(self.text(name)?.into());
        self.possible(name, Domain::Lists, &string)?;
        let list = self.slot(name, Attribute::Plain(Plain::Lists))?;
        Ok(Test::Listed { string, list })
    }

    fn ip_in(&mut self, ip: &IdedExpr, within: &IdedExpr) -> Checked<Test> {
        let Typed::Address(of, Kind::Ip) = self.expression(ip)? else {
            let what = format!("`ip_in` takes `client.ip` or `caller.ip` first, not {}", spelled(ip));
            return Err(self.error(ip, what));
        };
        let elements = match &within.expr {
            Expr::List(list) if !list.elements.is_empty() => list.elements.as_slice(),
            _ => std::slice::from_ref(within),
        };
        let nets: Checked<Vec<_>> = elements.iter().map(|one| self.net(one, &self.text(one)?)).collect();
        Ok(Test::Address { of, nets: Addresses(nets?.into()), within: true })
    }

    fn part(&mut self, name: &str, of: &IdedExpr, part: &IdedExpr) -> Checked<Test> {
        let whole = match self.expression(of)? {
            Typed::List(list, domain) if name == "contains" => {
                let string = self.string(part, name)?.0;
                self.possible(part, domain, &string)?;
                return Ok(Test::Listed { string, list });
            }
            other => self.as_string(of, name, other)?.0,
        };
        let part = self.string(part, name)?.0;
        Ok(match name {
            "startsWith" => Test::StartsWith(whole, part),
            "endsWith" => Test::EndsWith(whole, part),
            _ => Test::Contains(whole, part),
        })
    }

    fn matches(&mut self, of: &IdedExpr, pattern: &IdedExpr) -> Checked<Test> {
        let string = self.string(of, "matches")?.0;
        let text = self.text(pattern)?;
        self.patterns += 1;
        if self.patterns > MAX_PATTERNS {
            let what = format!("the condition has more than {MAX_PATTERNS} patterns");
            return Err(self.error(pattern, what).hint("join them with `|`"));
        }
        Ok(Test::Matches(string, Box::new(self.pattern(pattern, &text)?)))
    }

    fn pattern(&self, node: &IdedExpr, text: &str) -> Checked<Regex> {
        if text.len() > MAX_PATTERN {
            return Err(self.error(node, format!("the pattern is longer than {MAX_PATTERN} bytes")));
        }
        let built = RegexBuilder::new(text)
            .size_limit(MAX_COMPILED)
            .dfa_size_limit(MAX_COMPILED)
            .nest_limit(50)
            .build();
        built.map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => {
                let hint = "repeat less, and use `[0-9a-z]` instead of `\\w`";
                self.error(node, "the pattern is too large once it is compiled").hint(hint)
            }
            other => {
                // The last line says what is wrong; those above draw the pattern.
                let said = other.to_string();
                let why = said.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
                self.error(node, format!("the pattern cannot be read: {why}"))
            }
        })
    }

    fn exists(&mut self, of: &IdedExpr, element: &IdedExpr, condition: &IdedExpr) -> Checked<Test> {
        let Typed::List(list, _) = self.expression(of)? else {
            let hint = "such as `message.url_hosts.exists(h, h.endsWith(\".top\"))`";
            return Err(self.error(of, format!("`exists` takes a list, not {}", spelled(of))).hint(hint));
        };
        let Expr::Ident(name) = &element.expr else {
            return Err(self
                .error(element, "`exists` takes a name for the element first")
                .hint("such as `h`"));
        };
        if self.element.is_some() {
            return Err(self.error(of, "an `exists` cannot stand within another"));
        }
        if Attribute::paths().any(|path| path.split('.').next() == Some(name)) {
            return Err(self
                .error(element, format!("`{name}` already names attributes"))
                .hint("use another name, such as `h`"));
        }
        self.element = Some(name.clone());
        let test = self.test(condition);
        self.element = None;
        Ok(Test::Exists { list, test: Box::new(test?) })
    }
}

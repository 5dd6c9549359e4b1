//! From a syntax tree to a [`Program`]: every name is known, every comparison has a meaning, and the cost of an
//! evaluation is bounded. What passes here cannot fail later.

mod calls;
mod paths;
mod relations;

pub(super) use calls::FUNCTIONS;

use cel::IdedExpr;
use cel::common::ast::{CallExpr, Expr, LiteralValue, operators};

use super::attribute::{Attribute, Kind, Plain};
use super::compare::Op;
use super::error::RuleError;
use super::parse::{Parsed, parse};
use super::program::{Calc, MAX_ATTRIBUTES, Num, Program, Slot, Str, Test};

/// Nodes of a condition, at most; elements of lists apart.
const MAX_NODES: usize = 250;

/// Parses and checks a condition.
pub fn compile(source: &str) -> Result<Program, RuleError> {
    let parsed = parse(source)?;
    let mut checker = Checker {
        parsed: &parsed,
        attributes: Vec::new(),
        lists: Vec::new(),
        nodes: 0,
        patterns: 0,
        element: None,
    };
    let root = checker.test(&parsed.root)?;
    let any_operation = checker.attributes.contains(&Attribute::Plain(Plain::RequestOperation));
    Ok(Program { root, attributes: checker.attributes.into(), lists: checker.lists.into(), any_operation })
}

struct Checker<'p, 's> {
    parsed: &'p Parsed<'s>,
    attributes: Vec<Attribute>,
    lists: Vec<(Box<str>, RuleError)>,
    nodes: usize,
    patterns: usize,
    /// The name of what `exists` looks at.
    element: Option<String>,
}

/// A checked expression.
enum Typed {
    Test(Test),
    Num(Num, Number),
    Str(Str, Domain),
    /// The address or the network of an attribute.
    Address(Slot, Kind),
    /// The list of an attribute, and what may be in it.
    List(Slot, Domain),
}

/// Of which type a number is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Number {
    Int,
    Double,
}

/// Which texts an attribute may hold.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Domain {
    Any,
    Literal,
    Words(&'static [&'static str]),
    Country,
    Lists,
}

impl Typed {
    fn name(&self) -> &'static str {
        match self {
            Typed::Test(_) => "a bool",
            Typed::Num(_, Number::Int) => "an int",
            Typed::Num(_, Number::Double) => "a double",
            Typed::Str(..) => "a string",
            Typed::Address(_, Kind::Network) => "a network",
            Typed::Address(..) => "an ip",
            Typed::List(..) => "a list",
        }
    }
}

type Checked<T> = Result<T, RuleError>;

impl Checker<'_, '_> {
    fn error(&self, node: &IdedExpr, what: impl Into<String>) -> RuleError {
        self.parsed.error(node, what)
    }

    /// What has to be true or false.
    fn test(&mut self, node: &IdedExpr) -> Checked<Test> {
        match self.expression(node)? {
            Typed::Test(test) => Ok(test),
            other => {
                let what = format!("{} is {}, where true or false is needed", spelled(node), other.name());
                Err(self.error(node, what).hint("compare it with something"))
            }
        }
    }

    fn string(&mut self, node: &IdedExpr, of: &str) -> Checked<(Str, Domain)> {
        let typed = self.expression(node)?;
        self.as_string(node, of, typed)
    }

    fn as_string(&self, node: &IdedExpr, of: &str, typed: Typed) -> Checked<(Str, Domain)> {
        match typed {
            Typed::Str(string, domain) => Ok((string, domain)),
            Typed::Address(..) => {
                let what = format!("`{of}` takes a string, and {} is an address", spelled(node));
                Err(self.error(node, what).hint("use `==`, `in` or `ip_in(client.ip, \"198.51.100.0/24\")`"))
            }
            other => {
                let what = format!("`{of}` takes a string, and {} is {}", spelled(node), other.name());
                Err(self.error(node, what))
            }
        }
    }

    fn number(&mut self, node: &IdedExpr, of: &str) -> Checked<(Num, Number)> {
        match self.expression(node)? {
            Typed::Num(number, kind) => Ok((number, kind)),
            other => {
                Err(self
                    .error(node, format!("`{of}` takes a number, and {} is {}", spelled(node), other.name())))
            }
        }
    }

    fn expression(&mut self, node: &IdedExpr) -> Checked<Typed> {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            let what = format!("the condition has more than {MAX_NODES} parts");
            return Err(self.error(node, what).hint("make two rules of it, or put values on a list"));
        }
        match &node.expr {
            Expr::Literal(literal) => self.literal(node, literal),
            Expr::Ident(_) | Expr::Select(_) => self.path(node),
            Expr::Call(call) => self.call(node, call),
            Expr::List(_) => {
                Err(self.error(node, "a list stands where none can").hint("lists stand to the right of `in`"))
            }
            _ => Err(self.error(node, "maps, messages and macros are not available in rules")),
        }
    }

    fn literal(&self, node: &IdedExpr, literal: &LiteralValue) -> Checked<Typed> {
        match literal {
            LiteralValue::Boolean(value) => Ok(Typed::Test(Test::Const(**value))),
            LiteralValue::Int(value) => Ok(Typed::Num(Num::Int(**value), Number::Int)),
            LiteralValue::UInt(value) => {
                let int = i64::try_from(**value).map_err(|_| self.error(node, "this number is too large"))?;
                Ok(Typed::Num(Num::Int(int), Number::Int))
            }
            LiteralValue::Double(value) => Ok(Typed::Num(Num::Double(**value), Number::Double)),
            LiteralValue::String(text) => Ok(Typed::Str(Str::Literal((**text).into()), Domain::Literal)),
            LiteralValue::Null => Err(self
                .error(node, "there is no null here")
                .hint("use `has(…)` to ask whether something is there")),
            LiteralValue::Bytes(_) => {
                Err(self.error(node, "there are no bytes here").hint("leave the `b` out"))
            }
        }
    }

    fn call(&mut self, node: &IdedExpr, call: &CallExpr) -> Checked<Typed> {
        match (call.func_name.as_str(), call.args.as_slice()) {
            (operators::LOGICAL_AND, [a, b]) => self.both(a, b, true),
            (operators::LOGICAL_OR, [a, b]) => self.both(a, b, false),
            (operators::LOGICAL_NOT, [of]) => Ok(Typed::Test(Test::Not(Box::new(self.test(of)?)))),
            (operators::CONDITIONAL, [condition, yes, no]) => self.conditional(node, condition, yes, no),
            (operators::NEGATE, [of]) => {
                let (number, kind) = self.number(of, "-")?;
                Ok(Typed::Num(Num::Negative(Box::new(number)), kind))
            }
            (operators::INDEX, [_, _]) => self.path(node),
            (operators::IN, [what, within]) => self.membership(node, what, within).map(Typed::Test),
            (name, [a, b]) if call.target.is_none() => match (relation(name), calculation(name)) {
                (Some((op, sign)), _) => self.relation(node, op, sign, a, b).map(Typed::Test),
                (_, Some((op, sign))) => self.calculation(node, op, sign, a, b),
                _ => self.function(node, call),
            },
            _ => self.function(node, call),
        }
    }

    /// `&&` and `||`, nested ones of the same kind in one list.
    fn both(&mut self, a: &IdedExpr, b: &IdedExpr, and: bool) -> Checked<Typed> {
        let mut all = Vec::new();
        for side in [a, b] {
            match (self.test(side)?, and) {
                (Test::And(within), true) | (Test::Or(within), false) => all.extend(within),
                (other, _) => all.push(other),
            }
        }
        Ok(Typed::Test(if and { Test::And(all.into()) } else { Test::Or(all.into()) }))
    }

    fn conditional(
        &mut self,
        node: &IdedExpr,
        condition: &IdedExpr,
        yes: &IdedExpr,
        no: &IdedExpr,
    ) -> Checked<Typed> {
        let condition = self.test(condition)?;
        match (self.expression(yes)?, self.expression(no)?) {
            (Typed::Test(yes), Typed::Test(no)) => Ok(Typed::Test(Test::If(Box::new([condition, yes, no])))),
            (Typed::Num(yes, a), Typed::Num(no, b)) if a == b => {
                Ok(Typed::Num(Num::If(Box::new((condition, yes, no))), a))
            }
            (Typed::Str(yes, _), Typed::Str(no, _)) => {
                Ok(Typed::Str(Str::If(Box::new((condition, yes, no))), Domain::Any))
            }
            (a, b) => {
                let what = format!(
                    "both outcomes of `?` have to be of one type, and these are {} and {}",
                    a.name(),
                    b.name()
                );
                Err(self.error(node, what))
            }
        }
    }

    fn calculation(
        &mut self,
        node: &IdedExpr,
        op: Calc,
        sign: &str,
        a: &IdedExpr,
        b: &IdedExpr,
    ) -> Checked<Typed> {
        let ((left, a), (right, b)) = (self.number(a, sign)?, self.number(b, sign)?);
        if a != b {
            let what = format!("`{sign}` takes two ints or two doubles");
            return Err(self.error(node, what).hint("convert the int with `double(…)`"));
        }
        if op == Calc::Modulo && a == Number::Double {
            return Err(self.error(node, "`%` takes two ints").hint("convert doubles with `int(…)`"));
        }
        Ok(Typed::Num(Num::Calc { op, sides: Box::new([left, right]) }, a))
    }

    /// The place of an attribute among those that the rule looks at.
    fn slot(&mut self, node: &IdedExpr, attribute: Attribute) -> Checked<Slot> {
        let at =
            self.attributes.iter().position(|known| *known == attribute).unwrap_or(self.attributes.len());
        if at >= MAX_ATTRIBUTES {
            let what = format!("the condition looks at more than {MAX_ATTRIBUTES} attributes");
            return Err(self.error(node, what).hint("make two rules of it"));
        }
        if at == self.attributes.len() {
            self.attributes.push(attribute);
        }
        Slot::try_from(at).map_err(|_| self.error(node, "too many attributes"))
    }
}

fn relation(name: &str) -> Option<(Op, &'static str)> {
    Some(match name {
        operators::EQUALS => (Op::Equal, "=="),
        operators::NOT_EQUALS => (Op::Unequal, "!="),
        operators::LESS => (Op::Less, "<"),
        operators::LESS_EQUALS => (Op::AtMost, "<="),
        operators::GREATER => (Op::Greater, ">"),
        operators::GREATER_EQUALS => (Op::AtLeast, ">="),
        _ => return None,
    })
}

fn calculation(name: &str) -> Option<(Calc, &'static str)> {
    Some(match name {
        operators::ADD => (Calc::Add, "+"),
        operators::SUBSTRACT => (Calc::Subtract, "-"),
        operators::MULTIPLY => (Calc::Multiply, "*"),
        operators::DIVIDE => (Calc::Divide, "/"),
        operators::MODULO => (Calc::Modulo, "%"),
        _ => return None,
    })
}

/// How a node is named in a message: as it was written, or by what it is.
fn spelled(node: &IdedExpr) -> String {
    match &node.expr {
        Expr::Literal(LiteralValue::String(text)) => {
            let short: String = text.chars().take(40).collect();
            format!("`\"{short}\"`")
        }
        Expr::Literal(LiteralValue::Int(int)) => format!("`{}`", **int),
        Expr::Literal(LiteralValue::Double(double)) => format!("`{}`", **double),
        Expr::Literal(LiteralValue::Boolean(value)) => format!("`{}`", **value),
        Expr::Call(call) if call.func_name.starts_with(|c: char| c.is_ascii_alphabetic()) => {
            format!("`{}(…)`", call.func_name)
        }
        _ => paths::path_of(node).map_or_else(|| "this".to_owned(), |path| format!("`{path}`")),
    }
}

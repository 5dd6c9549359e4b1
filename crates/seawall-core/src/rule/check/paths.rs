//! Names of attributes.

use cel::IdedExpr;
use cel::common::ast::{Expr, LiteralValue, operators};

use super::super::attribute::{Attribute, HEADERS, Kind, LIMIT_KEYS, Plain};
use super::super::program::{Num, Str, Test};
use super::super::suggest::nearest;
use super::{Checked, Checker, Domain, Number, Typed};
use crate::rule::error::RuleError;

/// Longest name of a header or a limit key.
const MAX_NAME: usize = 64;

/// A name such as `number.country`.
pub(super) fn path_of(node: &IdedExpr) -> Option<String> {
    match &node.expr {
        Expr::Ident(name) => Some(name.clone()),
        Expr::Select(select) => path_of(&select.operand).map(|of| format!("{of}.{}", select.field)),
        _ => None,
    }
}

impl Checker<'_, '_> {
    /// An attribute as a value, or the element that `exists` looks at.
    pub(super) fn path(&mut self, node: &IdedExpr) -> Checked<Typed> {
        if let Expr::Ident(name) = &node.expr
            && self.element.as_ref() == Some(name)
        {
            return Ok(Typed::Str(Str::Element, Domain::Any));
        }
        let attribute = self.attribute(node)?;
        let lists = attribute == Attribute::Plain(Plain::Lists);
        let kind = attribute.kind();
        let slot = self.slot(node, attribute)?;
        Ok(match kind {
            Kind::Bool => Typed::Test(Test::Flag(slot)),
            Kind::Int => Typed::Num(Num::Attribute(slot), Number::Int),
            Kind::Double => Typed::Num(Num::Attribute(slot), Number::Double),
            Kind::String => Typed::Str(Str::Attribute(slot), Domain::Any),
            Kind::Words(words) => Typed::Str(Str::Attribute(slot), Domain::Words(words)),
            Kind::Country => Typed::Str(Str::Attribute(slot), Domain::Country),
            Kind::Ip | Kind::Network => Typed::Address(slot, kind),
            Kind::Strings => Typed::List(slot, if lists { Domain::Lists } else { Domain::Any }),
        })
    }

    /// The attribute that a path, or a path with `["…"]`, names.
    pub(super) fn attribute(&self, node: &IdedExpr) -> Checked<Attribute> {
        if let Expr::Call(call) = &node.expr
            && call.func_name == operators::INDEX
            && let [of, index] = call.args.as_slice()
        {
            return self.looked_up(of, index);
        }
        let Some(path) = path_of(node) else {
            return Err(self
                .error(node, "this is no attribute")
                .hint("only attributes have parts, such as `number.country`"));
        };
        Attribute::parse(&path).ok_or_else(|| self.unknown(node, &path))
    }

    fn looked_up(&self, of: &IdedExpr, index: &IdedExpr) -> Checked<Attribute> {
        let make: fn(Box<str>) -> Attribute = match path_of(of).as_deref() {
            Some(HEADERS) => Attribute::Header,
            Some(LIMIT_KEYS) => Attribute::LimitKey,
            _ => {
                let what = "only `client.headers` and `limit_keys` are looked into with `[\"…\"]`";
                return Err(self.error(of, what));
            }
        };
        match &index.expr {
            Expr::Literal(LiteralValue::String(name)) if !name.is_empty() && name.len() <= MAX_NAME => {
                Ok(make(
                    if path_of(of).as_deref() == Some(HEADERS) {
                        name.to_ascii_lowercase()
                    } else {
                        name.to_string()
                    }
                    .into(),
                ))
            }
            _ => {
                let what = format!("the name in `[…]` has to be a text of 1 to {MAX_NAME} bytes");
                Err(self.error(index, what).hint("such as `client.headers[\"accept-language\"]`"))
            }
        }
    }

    fn unknown(&self, node: &IdedExpr, path: &str) -> RuleError {
        let inside = format!("{path}.");
        if path == HEADERS || path == LIMIT_KEYS {
            return self
                .error(node, format!("`{path}` holds several texts"))
                .hint(format!("say which: `{path}[\"name\"]`"));
        }
        if let Some(one) = Attribute::paths().find(|known| known.starts_with(&inside)) {
            return self
                .error(node, format!("`{path}` is a group of attributes"))
                .hint(format!("name one, such as `{one}`"));
        }
        let error = self.error(node, format!("unknown attribute `{}`", short(path)));
        match nearest(path, Attribute::paths()) {
            Some(known) => error.hint(format!("did you mean `{known}`?")),
            None => error.hint("docs/attributes lists them all"),
        }
    }
}

fn short(path: &str) -> String {
    path.chars().take(80).collect()
}

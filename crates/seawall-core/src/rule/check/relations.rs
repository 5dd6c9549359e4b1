//! Comparisons and `in`: which types go together, and which values can ever be equal.

use std::net::IpAddr;

use cel::IdedExpr;
use cel::common::ast::Expr;
use ipnet::IpNet;

use super::super::attribute::Kind;
use super::super::compare::{Addresses, Op};
use super::super::program::{Num, Slot, Str, Test};
use super::super::suggest::nearest;
use super::{Checked, Checker, Domain, Typed, spelled};
use crate::country::Country;
use crate::rule::error::RuleError;

impl Checker<'_, '_> {
    /// `==`, `!=`, `<`, `<=`, `>` and `>=`.
    pub(super) fn relation(
        &mut self,
        node: &IdedExpr,
        op: Op,
        sign: &str,
        a: &IdedExpr,
        b: &IdedExpr,
    ) -> Checked<Test> {
        let equality = matches!(op, Op::Equal | Op::Unequal);
        let equal = op == Op::Equal;
        match (self.expression(a)?, self.expression(b)?) {
            (Typed::Num(left, _), Typed::Num(right, _)) => {
                Ok(Test::Numbers { op, sides: Box::new([left, right]) })
            }
            (Typed::Str(left, of), Typed::Str(right, within)) => {
                if equality {
                    self.possible(b, of, &right)?;
                    self.possible(a, within, &left)?;
                }
                Ok(Test::Strings { op, sides: Box::new([left, right]) })
            }
            (Typed::Test(left), Typed::Test(right)) if equality => {
                Ok(Test::Alike { sides: Box::new([left, right]), equal })
            }
            (Typed::Address(of, kind), Typed::Str(text, _)) if equality => {
                self.located(b, of, kind, &text, equal)
            }
            (Typed::Str(text, _), Typed::Address(of, kind)) if equality => {
                self.located(a, of, kind, &text, equal)
            }
            (Typed::Address(left, Kind::Ip), Typed::Address(right, Kind::Ip)) if equality => {
                Ok(Test::SameAddress { of: [left, right], equal })
            }
            (left, right) => Err(self.mismatch(node, sign, (a, &left), (b, &right))),
        }
    }

    fn mismatch(
        &self,
        node: &IdedExpr,
        sign: &str,
        a: (&IdedExpr, &Typed),
        b: (&IdedExpr, &Typed),
    ) -> RuleError {
        let ((a, left), (b, right)) = (a, b);
        let what = format!(
            "`{sign}` cannot compare {} ({}) with {} ({})",
            spelled(a),
            left.name(),
            spelled(b),
            right.name()
        );
        let error = self.error(node, what);
        match (left, right) {
            (Typed::List(..), Typed::Str(..)) | (Typed::Str(..), Typed::List(..)) => {
                error.hint("ask whether it is in the list, such as `\"a.example\" in message.url_hosts`")
            }
            (Typed::Address(..), _) | (_, Typed::Address(..)) => {
                error.hint("write the address as a text, or use `ip_in(client.ip, \"198.51.100.0/24\")`")
            }
            _ => error,
        }
    }

    fn located(&self, node: &IdedExpr, of: Slot, kind: Kind, text: &Str, within: bool) -> Checked<Test> {
        let Str::Literal(text) = text else {
            return Err(self.error(node, "an address is compared with a text in quotes"));
        };
        let nets = Addresses([self.place(node, kind, text)?].into());
        Ok(Test::Address { of, nets, within })
    }

    /// An address, or a network of the size that `client.network` has.
    fn place(&self, node: &IdedExpr, kind: Kind, text: &str) -> Checked<IpNet> {
        let net = self.net(node, text)?;
        let whole = net.prefix_len() == net.max_prefix_len();
        let usual = net.prefix_len() == if net.max_prefix_len() == 32 { 24 } else { 48 };
        match kind {
            Kind::Network if usual => Ok(net),
            Kind::Network => {
                let what = format!("`{text}` is not an IPv4 /24 or an IPv6 /48, as client networks are");
                Err(self.error(node, what).hint(format!("use `ip_in(client.ip, \"{text}\")`")))
            }
            _ if whole => Ok(net),
            _ => {
                let what = format!("`{text}` is a network, not an address");
                Err(self.error(node, what).hint(format!("use `ip_in(client.ip, \"{text}\")`")))
            }
        }
    }

    /// An address or a network.
    pub(super) fn net(&self, node: &IdedExpr, text: &str) -> Checked<IpNet> {
        let net = text.parse::<IpNet>().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from));
        let shown: String = text.chars().take(50).collect();
        let wrong = || {
            let what = format!("`{shown}` is neither an address nor a network");
            self.error(node, what).hint("write `198.51.100.7`, `198.51.100.0/24` or `2001:db8::/32`")
        };
        net.map(|net| net.trunc()).ok_or_else(wrong)
    }

    /// Refuses a comparison with a text that the attribute never has: it would be false for ever, unnoticed.
    pub(super) fn possible(&mut self, node: &IdedExpr, domain: Domain, text: &Str) -> Checked<()> {
        let Str::Literal(text) = text else { return Ok(()) };
        let shown: String = text.chars().take(40).collect();
        match domain {
            Domain::Words(words) if !words.contains(&&**text) => {
                let error = self.error(node, format!("`{shown}` is never a value here"));
                let all = || words.iter().map(|word| (*word).to_owned());
                Err(match nearest(text, all()) {
                    Some(word) => error.hint(format!("did you mean `{word}`?")),
                    None => error.hint(format!("use one of {}", words.join(", "))),
                })
            }
            Domain::Country if Country::parse(text).is_none_or(|country| country.as_str() != &**text) => {
                let what = format!("`{shown}` is not a country in capitals, such as `UZ`");
                Err(self.error(node, what).hint("use ISO 3166-1 alpha-2"))
            }
            Domain::Lists => {
                let error = self.error(node, format!("there is no list `{shown}`"));
                self.lists
                    .push((text.clone(), error.hint("make it under /admin/v1/lists, or correct its name")));
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// `what in within`.
    pub(super) fn membership(
        &mut self,
        node: &IdedExpr,
        what: &IdedExpr,
        within: &IdedExpr,
    ) -> Checked<Test> {
        if let Expr::List(list) = &within.expr {
            if list.elements.is_empty() {
                return Err(self
                    .error(within, "the list is empty, so nothing is in it")
                    .hint("put values into it"));
            }
            return match self.expression(what)? {
                Typed::Str(string, domain) => self.string_in(string, domain, &list.elements),
                Typed::Num(number, _) => self.number_in(number, &list.elements),
                Typed::Address(of, kind) => {
                    let nets: Checked<Vec<IpNet>> =
                        list.elements.iter().map(|one| self.place(one, kind, &self.text(one)?)).collect();
                    Ok(Test::Address { of, nets: Addresses(nets?.into()), within: true })
                }
                other => Err(self.error(
                    what,
                    format!(
                        "`in` looks for a string, a number or an address, and {} is {}",
                        spelled(what),
                        other.name()
                    ),
                )),
            };
        }
        match (self.expression(what)?, self.expression(within)?) {
            (Typed::Str(string, _), Typed::List(list, domain)) => {
                self.possible(what, domain, &string)?;
                Ok(Test::Listed { string, list })
            }
            (left, right) => {
                let what = format!("`in` cannot look for {} in {}", left.name(), right.name());
                Err(self
                    .error(node, what)
                    .hint("write `number.country in [\"UZ\", \"TJ\"]` or `\"vip\" in lists`"))
            }
        }
    }

    fn string_in(&mut self, string: Str, domain: Domain, elements: &[IdedExpr]) -> Checked<Test> {
        let mut of = Vec::with_capacity(elements.len());
        for element in elements {
            let text = Str::Literal(self.text(element)?.into());
            self.possible(element, domain, &text)?;
            if let Str::Literal(text) = text {
                of.push(text);
            }
        }
        of.sort_unstable();
        of.dedup();
        Ok(Test::StringIn { string, of: of.into() })
    }

    fn number_in(&mut self, number: Num, elements: &[IdedExpr]) -> Checked<Test> {
        let of: Checked<Vec<Num>> = elements.iter().map(|one| self.plain_number(one)).collect();
        Ok(Test::NumberIn { number, of: of?.into() })
    }

    fn plain_number(&self, node: &IdedExpr) -> Checked<Num> {
        let typed = match &node.expr {
            Expr::Literal(literal) => self.literal(node, literal)?,
            _ => return Err(self.error(node, "the list of an `in` holds plain values only")),
        };
        match typed {
            Typed::Num(number, _) => Ok(number),
            other => Err(self
                .error(node, format!("the list is of numbers, and {} is {}", spelled(node), other.name()))),
        }
    }

    /// A text that is written out.
    pub(super) fn text(&self, node: &IdedExpr) -> Checked<String> {
        let typed = match &node.expr {
            Expr::Literal(literal) => self.literal(node, literal)?,
            _ => return Err(self.error(node, "a text in quotes is needed here")),
        };
        match typed {
            Typed::Str(Str::Literal(text), _) => Ok(text.into()),
            other => Err(self.error(
                node,
                format!("a text in quotes is needed here, and {} is {}", spelled(node), other.name()),
            )),
        }
    }
}

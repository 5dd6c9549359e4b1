//! The arithmetic of conditions, total: what has no answer (a division by zero, an overflow) is missing.

use std::cmp::Ordering;

use ipnet::IpNet;

use super::program::{Calc, Number};
use crate::client_ip::ClientIp;

/// How two values are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Op {
    Equal,
    Unequal,
    Less,
    AtMost,
    Greater,
    AtLeast,
}

impl Op {
    /// Whether it holds for values in this order; `None`: for values without an order.
    pub(super) fn holds(self, order: Option<Ordering>) -> bool {
        let Some(order) = order else { return self == Op::Unequal };
        match self {
            Op::Equal => order.is_eq(),
            Op::Unequal => order.is_ne(),
            Op::Less => order.is_lt(),
            Op::AtMost => order.is_le(),
            Op::Greater => order.is_gt(),
            Op::AtLeast => order.is_ge(),
        }
    }
}

/// Integers up to here are exact as `f64`, both ways.
const EXACT: f64 = 9_007_199_254_740_992.0;

impl Number {
    /// The order of two numbers, exact also between integers and doubles.
    pub(super) fn compare(self, other: Number) -> Option<Ordering> {
        match (self, other) {
            (Number::Int(a), Number::Int(b)) => Some(a.cmp(&b)),
            (Number::Double(a), Number::Double(b)) => a.partial_cmp(&b),
            (Number::Int(a), Number::Double(b)) => mixed(a, b),
            (Number::Double(a), Number::Int(b)) => mixed(b, a).map(Ordering::reverse),
        }
    }

    pub(super) fn negative(self) -> Option<Number> {
        match self {
            Number::Int(int) => int.checked_neg().map(Number::Int),
            Number::Double(double) => Some(Number::Double(-double)),
        }
    }

    #[allow(clippy::cast_precision_loss, reason = "what a double is")]
    pub(super) fn to_double(self) -> f64 {
        match self {
            Number::Int(int) => int as f64,
            Number::Double(double) => double,
        }
    }

    /// Towards zero.
    #[allow(clippy::cast_possible_truncation, reason = "the range was looked at")]
    pub(super) fn to_int(self) -> Option<Number> {
        match self {
            Number::Int(int) => Some(Number::Int(int)),
            Number::Double(double) => (double.abs() <= EXACT).then_some(Number::Int(double as i64)),
        }
    }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "the range was looked at")]
fn mixed(int: i64, double: f64) -> Option<Ordering> {
    if double.is_nan() {
        return None;
    }
    if double.abs() > EXACT {
        return (int as f64).partial_cmp(&double);
    }
    let whole = double.trunc();
    Some(int.cmp(&(whole as i64)).then_with(|| whole.partial_cmp(&double).unwrap_or(Ordering::Equal)))
}

impl Calc {
    /// The result, when there is one.
    pub(super) fn of(self, a: Number, b: Number) -> Option<Number> {
        if let (Number::Int(a), Number::Int(b)) = (a, b) {
            let result = match self {
                Calc::Add => a.checked_add(b),
                Calc::Subtract => a.checked_sub(b),
                Calc::Multiply => a.checked_mul(b),
                Calc::Divide => a.checked_div(b),
                Calc::Modulo => a.checked_rem(b),
            };
            return result.map(Number::Int);
        }
        let (a, b) = (a.to_double(), b.to_double());
        let result = match self {
            Calc::Add => a + b,
            Calc::Subtract => a - b,
            Calc::Multiply => a * b,
            Calc::Divide => a / b,
            Calc::Modulo => a % b,
        };
        result.is_finite().then_some(Number::Double(result))
    }
}

/// Addresses and networks to compare with.
#[derive(Clone, Debug)]
pub(super) struct Addresses(pub(super) Box<[IpNet]>);

impl Addresses {
    pub(super) fn contain(&self, ip: ClientIp) -> bool {
        self.0.iter().any(|net| net.contains(&ip.ip()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn mixed_comparison_is_that_of_real_numbers(int in -1_000_000_000i64..1_000_000_000, tenths in -20i64..20) {
            let double = Number::Double(int as f64 + tenths as f64 / 10.0);
            let order = Number::Int(int).compare(double);
            prop_assert_eq!(order, Some(0.cmp(&tenths)));
            prop_assert_eq!(double.compare(Number::Int(int)), order.map(Ordering::reverse));
        }

        #[test]
        fn arithmetic_never_panics(a in any::<i64>(), b in any::<i64>(), x in any::<f64>()) {
            for op in [Calc::Add, Calc::Subtract, Calc::Multiply, Calc::Divide, Calc::Modulo] {
                let _ = op.of(Number::Int(a), Number::Int(b));
                if let Some(Number::Double(result)) = op.of(Number::Int(a), Number::Double(x)) {
                    prop_assert!(result.is_finite());
                }
            }
            let _ = Number::Double(x).to_int();
            let _ = Number::Int(a).compare(Number::Double(x));
        }
    }

    #[test]
    fn what_has_no_answer_is_missing() {
        let (int, double) = (Number::Int, Number::Double);
        assert!(Calc::Divide.of(int(1), int(0)).is_none());
        assert!(Calc::Modulo.of(int(1), int(0)).is_none());
        assert!(Calc::Divide.of(double(1.0), double(0.0)).is_none());
        assert!(Calc::Add.of(int(i64::MAX), int(1)).is_none());
        assert!(int(i64::MIN).negative().is_none());
        assert!(double(1e300).to_int().is_none());
    }

    #[test]
    fn what_has_no_order_is_only_unequal() {
        assert!(Op::Unequal.holds(None));
        assert!(![Op::Equal, Op::Less, Op::AtMost, Op::Greater, Op::AtLeast].iter().any(|op| op.holds(None)));
    }
}

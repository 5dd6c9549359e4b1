//! Logarithms, exponentials and two laws of probability, the same bits on every machine.
//!
//! The platform's `ln` and `exp` differ between C libraries in the last digit; evidence that is folded on
//! several nodes, or replayed years later, must not. Only `+ - * /` of IEEE 754 are used here, and those are
//! exact everywhere. Relative errors stay below 1e-10, far under what any threshold can tell.

use std::f64::consts::{LN_2, LOG2_E, SQRT_2};

const MANTISSA: u64 = (1 << 52) - 1;
const ONE: u64 = 1023 << 52;

/// Natural logarithm; anything not above zero counts as the smallest normal number.
#[inline]
pub(crate) const fn ln(x: f64) -> f64 {
    let bits = x.max(f64::MIN_POSITIVE).to_bits();
    let mut exponent = f64_of((bits >> 52).cast_signed() - 1023);
    let mut m = f64::from_bits((bits & MANTISSA) | ONE);
    if m > SQRT_2 {
        m *= 0.5;
        exponent += 1.0;
    }
    // ln m = 2 atanh((m-1)/(m+1)), a series that converges fast around 1.
    let s = (m - 1.0) / (m + 1.0);
    let q = s * s;
    let tail = 1.0 / 13.0 + q * (1.0 / 15.0);
    let series =
        1.0 / 3.0 + q * (1.0 / 5.0 + q * (1.0 / 7.0 + q * (1.0 / 9.0 + q * (1.0 / 11.0 + q * tail))));
    exponent * LN_2 + 2.0 * s * (1.0 + q * series)
}

/// `e^x`, flat outside of ±700.
#[inline]
pub(crate) fn exp(x: f64) -> f64 {
    exp2(x.clamp(-700.0, 700.0) * LOG2_E)
}

/// `2^x`, flat outside of ±1020.
#[allow(clippy::cast_possible_truncation, reason = "between -1020 and 1020")]
#[inline]
pub(crate) const fn exp2(x: f64) -> f64 {
    let x = x.clamp(-1020.0, 1020.0);
    let whole = (x + if x < 0.0 { -0.5 } else { 0.5 }) as i64;
    let f = (x - f64_of(whole)) * LN_2;
    let power = f64::from_bits((whole + 1023).cast_unsigned() << 52);
    let high = 1.0 / 5040.0 + f * (1.0 / 40_320.0 + f * (1.0 / 362_880.0 + f * (1.0 / 3_628_800.0)));
    let low = 1.0 / 6.0 + f * (1.0 / 24.0 + f * (1.0 / 120.0 + f * (1.0 / 720.0 + f * high)));
    power * (1.0 + f * (1.0 + f * (0.5 + f * low)))
}

/// Integers below 2^52 are exact.
#[allow(clippy::cast_precision_loss, reason = "small numbers")]
const fn f64_of(n: i64) -> f64 {
    n as f64
}

/// The logistic function.
pub(crate) fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + exp(-x.clamp(-40.0, 40.0)))
}

/// The inverse of [`sigmoid`].
pub(crate) fn logit(p: f64) -> f64 {
    ln(p / (1.0 - p))
}

/// `ln Γ(x)` for x above zero.
pub(crate) fn ln_gamma(x: f64) -> f64 {
    // Stirling's series is good from 8 on; below, Γ(x) = Γ(x+1) / x.
    let (mut x, mut product) = (x.max(1e-9), 1.0);
    while x < 8.0 {
        product *= x;
        x += 1.0;
    }
    let i = 1.0 / x;
    let q = i * i;
    let series = i * (1.0 / 12.0 - q * (1.0 / 360.0 - q * (1.0 / 1260.0 - q / 1680.0)));
    (x - 0.5) * ln(x) - x + 0.918_938_533_204_672_8 + series - ln(product)
}

/// `-ln` of the probability of seeing exactly `m` under the negative binomial law of shape `r` and mean
/// `mean` (a Poisson law whose rate itself is gamma-distributed).
pub(crate) fn surprise(m: f64, r: f64, mean: f64) -> f64 {
    let all = r + mean;
    ln_gamma(r) + ln_gamma(m + 1.0) - ln_gamma(m + r) - r * ln(r / all) - m * ln(mean / all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn close(a: f64, b: f64) -> bool {
        (a - b).abs() <= 1e-9 * (1.0 + b.abs())
    }

    proptest! {
        #[test]
        fn as_the_platform_to_nine_digits(x in 1e-12f64..1e12, y in -30f64..30.0) {
            prop_assert!(close(ln(x), x.ln()), "ln {x}: {} {}", ln(x), x.ln());
            prop_assert!(close(exp(y), y.exp()), "exp {y}");
            prop_assert!(close(exp2(y), y.exp2()), "exp2 {y}");
        }
    }

    #[test]
    fn the_gamma_function_has_its_known_values() {
        // Γ(5) = 24, Γ(1/2) = √π, ln Γ(100) from Abramowitz and Stegun.
        assert!(close(ln_gamma(5.0), 24f64.ln()));
        assert!(close(ln_gamma(0.5), std::f64::consts::PI.sqrt().ln()));
        assert!(close(ln_gamma(100.0), 359.134_205_369_575_4));
    }

    #[test]
    fn the_negative_binomial_law_sums_to_one() {
        for (r, mean) in [(0.35, 0.02), (3.0, 7.5), (400.0, 3.0)] {
            let all: f64 = (0..2000).map(|m| (-surprise(f64::from(m), r, mean)).exp()).sum();
            assert!((all - 1.0).abs() < 1e-6, "{r} {mean}: {all}");
        }
    }

    #[test]
    fn edges_are_finite() {
        for x in [0.0, -1.0, f64::MIN_POSITIVE, f64::MAX] {
            assert!(ln(x).is_finite() && exp(x).is_finite() && exp2(x).is_finite() && sigmoid(x).is_finite());
        }
    }
}

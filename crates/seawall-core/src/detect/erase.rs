//! What evidence knows of one number is forgotten. What it taught about its range stays: that is a count.

use super::booking::within;
use super::engine::Engine;
use super::evidence::KeyKind;
use super::keys::{OPEN_DIGITS, block, hash};
use crate::msisdn::Msisdn;

impl Engine {
    /// Forgets what was asked of and confirmed by a number: its row, its place among the numbers of its blocks, and
    /// whose the messages are that are still waited for. Those count on for its blocks.
    pub fn forget_number(&mut self, number: Msisdn) {
        let digits = number.as_u64();
        let key = hash(KeyKind::Number, &digits.to_le_bytes());
        self.numbers.forget(key);
        self.outstanding.forget_number(key);
        for (kind, open) in OPEN_DIGITS {
            if let Some(seen) = self.spreads.find_mut(block(kind, digits, open).hash) {
                seen.forget(within(digits, kind));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::engine::{Bounds, Engine};
    use super::super::example::{ask, code};
    use super::super::tuning::Tuning;
    use super::*;

    #[test]
    fn nothing_of_a_number_is_left_in_the_bytes() {
        let mut engine = Engine::new(Tuning::default(), Bounds::default());
        for n in 0..20 {
            ask(&mut engine, 100 + n, code(7 * n, Some("203.0.113.7"), i64::try_from(n).unwrap()));
        }
        let number = code(7 * 5, None, 0).msisdn;
        let key = hash(KeyKind::Number, &number.as_u64().to_le_bytes());
        let bytes = postcard::to_allocvec(&key).unwrap();
        let names = |engine: &Engine| engine.snapshot().windows(bytes.len()).any(|window| window == bytes);
        let held = |engine: &Engine| {
            let block = block(KeyKind::Block10k, number.as_u64(), 4);
            engine.spreads.find(block.hash).unwrap().held()
        };
        assert!(names(&engine) && held(&engine) == 20);
        engine.forget_number(number);
        assert!(!names(&engine) && held(&engine) == 19 && engine.size().numbers == 19);
        // Who asks again is new, and messages that waited end as they would have.
        ask(&mut engine, 200, code(7 * 5, Some("203.0.113.7"), 30));
        assert!(names(&engine));
        engine.forget_number(number);
        engine.pass(code(0, None, 20 * 86_400).at);
        assert_eq!(engine.size().outstanding, 0);
    }
}

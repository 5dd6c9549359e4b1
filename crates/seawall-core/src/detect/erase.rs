//! What evidence knows of one number is forgotten. What it taught about its range stays: that is a count.

use super::engine::Engine;
use super::evidence::KeyKind;
use super::keys::hash;
use super::rows::NumberRow;
use crate::msisdn::Msisdn;

impl Engine {
    /// Forgets what was asked of and confirmed by a number.
    pub fn forget_number(&mut self, number: Msisdn) {
        let key = hash(KeyKind::Number, &number.as_u64().to_le_bytes());
        if let Some(row) = self.numbers.find_mut(key) {
            *row = NumberRow { key, ..NumberRow::default() };
        }
    }
}

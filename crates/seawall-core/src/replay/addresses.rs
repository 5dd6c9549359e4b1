//! What happened at end users' addresses, in virtual time: a shared one earns room, see [`crate::address`].

use hashbrown::HashMap;

use crate::address::{AddressHistory, Numbers};
use crate::time::Timestamp;

/// Hours between two looks for addresses that are over.
const SWEEP_EVERY: u32 = 24;

/// Addresses by their hashed /32 or /64.
#[derive(Debug, Default)]
pub(super) struct Addresses {
    known: HashMap<u64, Numbers>,
    swept: u32,
}

/// Hours since the epoch.
fn hour(at: Timestamp) -> u32 {
    u32::try_from(at.as_secs() / 3600).unwrap_or(u32::MAX / 4)
}

impl Addresses {
    pub fn history(&self, ip: u64, now: Timestamp) -> AddressHistory {
        self.known.get(&ip).map(|numbers| numbers.history(hour(now))).unwrap_or_default()
    }

    /// A code went to a number from there, or the number confirmed one.
    pub fn note(&mut self, ip: u64, number: u64, confirmed: bool, at: Timestamp) {
        let hour = hour(at);
        if self.swept + SWEEP_EVERY <= hour {
            self.swept = hour;
            self.known.retain(|_, numbers| numbers.forgotten_at() > hour);
        }
        match self.known.get_mut(&ip) {
            Some(numbers) if numbers.forgotten_at() > hour => numbers.note(number, hour, confirmed),
            _ => {
                self.known.insert(ip, Numbers::new(number, hour, confirmed));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn an_address_is_remembered_for_a_week() {
        let mut addresses = Addresses::default();
        let at = Timestamp::from_millis(1_767_600_000_000);
        addresses.note(1, 10, false, at);
        addresses.note(1, 10, true, at);
        addresses.note(1, 11, false, at);
        assert_eq!(addresses.history(1, at), AddressHistory { numbers: 2, confirmed: 1 });
        let later = at.plus(Duration::from_secs(8 * 86_400));
        assert_eq!(addresses.history(1, later), AddressHistory::default());
        addresses.note(2, 10, false, later);
        assert_eq!(addresses.known.len(), 1, "what is over is dropped");
    }
}

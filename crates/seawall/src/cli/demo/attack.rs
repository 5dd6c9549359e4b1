//! The attack: one block of consecutive numbers is made to receive codes that nobody will ever type in. The
//! fraudster is paid for every message that arrives there.

use std::net::Ipv4Addr;

use seawall_core::msisdn::Msisdn;

use super::chance::Chance;

/// Messages that the fraudster asks for.
const ATTEMPTS: u32 = 2000;
/// When it begins: 14:00, milliseconds into the day.
const BEGINS: i64 = 14 * 3_600_000;
/// From one attempt to the next, on average, milliseconds.
const PAUSE: u64 = 3_000;
/// Addresses that it comes from, in turns. They are set aside for examples (RFC 5737).
const ADDRESSES: u8 = 12;
/// The numbers: this and four digits, counted up.
pub const BLOCK: &str = "+99893412";
/// Where they are.
pub const COUNTRY: &str = "UZ";

/// One request of the attack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Milliseconds into the day.
    pub at: i64,
    /// Whom it makes receive a code.
    pub to: Msisdn,
    /// Where it seems to come from.
    pub ip: Ipv4Addr,
}

/// The whole attack, in order.
pub fn sequence(seed: u64) -> Vec<Attempt> {
    let mut chance = Chance::new(seed ^ 0xa77a_c4ed);
    let mut at = BEGINS;
    let first = u32::try_from(chance.below(5000)).unwrap_or(0);
    let attempt = |nth: u32| {
        at += i64::try_from(chance.below(PAUSE * 2)).unwrap_or(0);
        let to = Msisdn::from_e164(&format!("{BLOCK}{:04}", first + nth))?;
        let host = u8::try_from(chance.below(u64::from(ADDRESSES))).unwrap_or(0);
        Some(Attempt { at, to, ip: Ipv4Addr::new(198, 51, 100, 10 + host) })
    };
    (0..ATTEMPTS).filter_map(attempt).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_consecutive_and_times_in_order() {
        let attempts = sequence(3);
        assert_eq!(attempts.len(), ATTEMPTS as usize);
        for two in attempts.windows(2) {
            assert_eq!(two[1].to.as_u64(), two[0].to.as_u64() + 1);
            assert!(two[1].at >= two[0].at);
        }
        assert!(attempts.iter().all(|attempt| attempt.at < super::super::population::DAY));
    }
}

//! Numbers as they were read lately. People ask again, and nothing in a replay takes longer than reading a number
//! by the plans of all countries.

use crate::intel::{NumberFacts, number};
use crate::msisdn::{Msisdn, MsisdnError, ParsedNumber};

/// Numbers remembered, a power of two; one that falls into the place of another takes it.
const PLACES: usize = 1 << 16;

/// A number and what the tables say of it, by the digits that it was written with.
#[derive(Clone, Debug)]
struct Known {
    digits: u64,
    number: ParsedNumber,
    facts: NumberFacts,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Numbers(Vec<Option<Known>>);

impl Numbers {
    /// Reads a number; one in another form than `+` and digits is read anew each time.
    pub fn read(&mut self, text: &str) -> Result<ParsedNumber, MsisdnError> {
        let Some(digits) = Msisdn::from_e164(text).map(Msisdn::as_u64) else {
            return Msisdn::parse(text, None);
        };
        if let Some(known) = self.known(digits) {
            return Ok(known.number);
        }
        let number = Msisdn::parse(text, None)?;
        if self.0.is_empty() {
            self.0.resize(PLACES, None);
        }
        if let Some(place) = self.0.get_mut(place(digits)) {
            *place = Some(Known { digits, number, facts: number::facts(&number) });
        }
        Ok(number)
    }

    /// What the tables say of a number.
    pub fn facts(&self, number: &ParsedNumber) -> NumberFacts {
        let known = self.known(number.msisdn.as_u64()).filter(|known| known.number == *number);
        known.map_or_else(|| number::facts(number), |known| known.facts.clone())
    }

    fn known(&self, digits: u64) -> Option<&Known> {
        self.0.get(place(digits))?.as_ref().filter(|known| known.digits == digits)
    }
}

fn place(digits: u64) -> usize {
    let mixed = digits.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 48;
    usize::try_from(mixed).unwrap_or(0) % PLACES
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_the_same_whether_it_was_read_before() {
        let mut numbers = Numbers::default();
        for text in ["+6591234567", "+442079460018", "+390612345678", "+6591234567", "+65 9123 4567", "+0659"]
        {
            let read = numbers.read(text);
            assert_eq!(read, Msisdn::parse(text, None), "{text}");
            assert_eq!(numbers.read(text), read, "{text}");
            if let Ok(number) = read {
                assert_eq!(numbers.facts(&number), number::facts(&number), "{text}");
            }
        }
        assert_eq!(numbers.0.iter().flatten().count(), 3);
    }
}

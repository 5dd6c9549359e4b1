//! Money: integer micro-units of a currency.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An ISO 4217 code: three capital letters.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Currency([u8; 3]);

impl Currency {
    /// Of an account that names none.
    pub const USD: Self = Self(*b"USD");

    /// Reads a code; small letters count as capitals.
    pub fn parse(text: &str) -> Option<Self> {
        let letters: [u8; 3] = text.as_bytes().try_into().ok()?;
        letters.iter().all(u8::is_ascii_alphabetic).then(|| Currency(letters.map(|l| l.to_ascii_uppercase())))
    }

    /// The code.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    fn index(self) -> u64 {
        self.0.iter().fold(0, |index, letter| index * 26 + u64::from(letter.saturating_sub(b'A')))
    }

    fn from_index(index: u64) -> Option<Self> {
        let letter = |n: u64| u8::try_from(n % 26).ok().map(|n| b'A' + n);
        (index < 26 * 26 * 26).then_some(())?;
        Some(Currency([letter(index / 676)?, letter(index / 26)?, letter(index)?]))
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Currency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        let wrong = || format!("`{text}` is not a currency: three letters of ISO 4217, such as USD");
        Currency::parse(&text).ok_or_else(|| serde::de::Error::custom(wrong()))
    }
}

/// What one message costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cost {
    /// Micro-units.
    pub micros: u64,
    /// Of which currency.
    pub currency: Currency,
}

/// Bits of a packed cost that hold the amount: half a billion units of a currency for one message.
const AMOUNT_BITS: u32 = 49;

impl Cost {
    /// Eight bytes for storage; an amount beyond 2^49 micro-units is kept as that much.
    pub fn pack(self) -> u64 {
        self.currency.index() << AMOUNT_BITS | self.micros.min((1 << AMOUNT_BITS) - 1)
    }

    /// Back from [`Cost::pack`].
    pub fn unpack(packed: u64) -> Option<Self> {
        let currency = Currency::from_index(packed >> AMOUNT_BITS)?;
        Some(Cost { micros: packed & ((1 << AMOUNT_BITS) - 1), currency })
    }
}

/// An amount for people: `12.5 USD`.
pub fn shown(micros: u64, currency: Currency) -> String {
    let (whole, rest) = (micros / 1_000_000, micros % 1_000_000);
    let digits = format!("{rest:06}");
    match digits.trim_end_matches('0') {
        "" => format!("{whole} {currency}"),
        decimals => format!("{whole}.{decimals} {currency}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn currencies_are_three_letters() {
        assert_eq!(Currency::parse("eur").map(|c| c.to_string()).as_deref(), Some("EUR"));
        for text in ["", "EU", "EURO", "E1R", "ÄBC"] {
            assert!(Currency::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn amounts_are_shown_without_idle_zeros() {
        let usd = Currency::parse("USD").unwrap();
        for (micros, text) in
            [(0, "0 USD"), (12_500_000, "12.5 USD"), (31_200, "0.0312 USD"), (1, "0.000001 USD")]
        {
            assert_eq!(shown(micros, usd), text);
        }
    }

    proptest! {
        #[test]
        fn a_cost_survives_storage(micros in 0u64..1 << 49, letters in "[A-Z]{3}") {
            let cost = Cost { micros, currency: Currency::parse(&letters).unwrap() };
            prop_assert_eq!(Cost::unpack(cost.pack()), Some(cost));
        }

        #[test]
        fn junk_is_no_panic(packed: u64) {
            let _ = Cost::unpack(packed);
        }
    }
}

//! List prices: what a message to a country costs about, where an operator of the gateway has entered none.
//!
//! They come from a published list of 40 routes (`data/prices.csv`, CC-BY-4.0). Nobody is billed by them:
//! detection weighs what an attack would cost, and needs the order of magnitude.

use crate::country::Country;

/// List prices in micro-dollars by the letters of a country; zero where none is listed.
static PRICES: [[u32; LETTERS]; LETTERS] = prices(include_bytes!("../../../../data/prices.csv"));
const LETTERS: usize = 26;

/// What a message to an unlisted country is taken to cost, in micro-dollars. Above every listed price: lists
/// hold what is sold most, and the others are dearer; too high a guess makes detection careful, not blind.
pub const UNLISTED_MICROS: i64 = 100_000;

/// The list price of one message to a country, in micro-dollars. `None` when it is not listed.
pub fn list_price_micros(country: Country) -> Option<i64> {
    let [row, column] = country.letters().map(|letter| usize::from(letter.wrapping_sub(b'A')));
    let price = *PRICES.get(row)?.get(column)?;
    (price > 0).then_some(price.into())
}

/// Rows of a country, a price and a currency, behind a header.
#[allow(clippy::indexing_slicing, reason = "evaluated by the compiler")]
const fn prices(mut csv: &[u8]) -> [[u32; LETTERS]; LETTERS] {
    let mut all = [[0; LETTERS]; LETTERS];
    while let [first, rest @ ..] = csv {
        csv = rest;
        if let (b'\n', [row @ b'A'..=b'Z', column @ b'A'..=b'Z', b',', digits @ ..]) = (*first, rest) {
            all[(*row - b'A') as usize][(*column - b'A') as usize] = leading_number(digits);
        }
    }
    all
}

const fn leading_number(mut text: &[u8]) -> u32 {
    let mut value = 0;
    while let [digit @ b'0'..=b'9', rest @ ..] = text {
        value = value * 10 + (*digit - b'0') as u32;
        text = rest;
    }
    value
}

/// What a message costs about whose price nobody entered, in micro-units.
pub fn likely_price(country: Country, segments: u8) -> i64 {
    list_price_micros(country).unwrap_or(UNLISTED_MICROS).saturating_mul(segments.max(1).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn listed_prices_are_found() {
        let price = |text| list_price_micros(Country::parse(text).unwrap());
        assert_eq!((price("SG"), price("US"), price("DE")), (Some(30_000), Some(8_000), Some(85_000)));
        assert_eq!((price("UZ"), list_price_micros(Country::GLOBAL)), (None, None));
    }

    #[test]
    fn every_row_is_a_price_below_the_unlisted_one_and_nothing_else_is_listed() {
        let text = include_str!("../../../../data/prices.csv");
        assert_eq!(text.lines().next(), Some("country,amount,currency"));
        let mut rows = BTreeMap::new();
        for row in text.lines().skip(1) {
            let [country, amount, "USD"] = row.split(',').collect::<Vec<_>>()[..] else { panic!("{row}") };
            let price: i64 = amount.parse().unwrap();
            assert!(price > 0 && price < UNLISTED_MICROS, "{row}");
            rows.insert(country, price);
        }
        assert_eq!(rows.len(), 40);
        for [a, b] in (b'A'..=b'Z').flat_map(|a| (b'A'..=b'Z').map(move |b| [a, b])) {
            let country = Country::from_letters([a, b]).unwrap();
            assert_eq!(list_price_micros(country), rows.get(country.as_str()).copied(), "{country}");
        }
    }
}

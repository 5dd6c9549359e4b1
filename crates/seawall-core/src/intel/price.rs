//! List prices: what a message to a country costs about, where an operator of the gateway has entered none.
//!
//! They come from a published list of 40 routes (`data/prices.csv`, CC-BY-4.0). Nobody is billed by them:
//! detection weighs what an attack would cost, and needs the order of magnitude.

use crate::country::Country;

static PRICES: &str = include_str!("../../../../data/prices.csv");

/// What a message to an unlisted country is taken to cost, in micro-dollars. Above every listed price: lists
/// hold what is sold most, and the others are dearer; too high a guess makes detection careful, not blind.
pub const UNLISTED_MICROS: i64 = 100_000;

/// The list price of one message to a country, in micro-dollars. `None` when it is not listed.
pub fn list_price_micros(country: Country) -> Option<i64> {
    let mut rows = PRICES.lines().skip(1);
    let rest = rows.find_map(|row| row.strip_prefix(country.as_str())?.strip_prefix(','))?;
    rest.split(',').next()?.parse().ok()
}

/// What a message costs about whose price nobody entered, in micro-units.
pub fn likely_price(country: Country, segments: u8) -> i64 {
    list_price_micros(country).unwrap_or(UNLISTED_MICROS).saturating_mul(segments.max(1).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listed_prices_are_found() {
        let price = |text| list_price_micros(Country::parse(text).unwrap());
        assert_eq!((price("SG"), price("US"), price("DE")), (Some(30_000), Some(8_000), Some(85_000)));
        assert_eq!((price("UZ"), list_price_micros(Country::GLOBAL)), (None, None));
    }

    #[test]
    fn every_row_is_a_price_below_the_unlisted_one() {
        assert_eq!(PRICES.lines().next(), Some("country,amount,currency"));
        assert_eq!(PRICES.lines().count(), 41);
        for row in PRICES.lines().skip(1) {
            let country = Country::parse(&row[..2]).unwrap();
            let price = list_price_micros(country).unwrap();
            assert!(price > 0 && price < UNLISTED_MICROS, "{row}");
            assert!(row.ends_with(",USD"), "{row}");
        }
    }
}

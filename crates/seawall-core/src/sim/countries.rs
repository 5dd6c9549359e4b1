//! The countries of the population. Weights, confirmation rates and clocks are plausible assumptions; prices are
//! round figures near public list prices.

/// One country.
#[derive(Clone, Copy, Debug)]
pub struct CountryRow {
    /// ISO 3166-1 alpha-2.
    pub iso: &'static str,
    /// Its share of legitimate requests, in percent of all but the launch country.
    pub weight: f64,
    /// Its clock in winter, minutes ahead of UTC.
    pub utc_minutes: i64,
    /// Whether its clock changes in summer.
    pub summer_time: bool,
    /// List price of an SMS, millionths of a US dollar.
    pub price_micros: u64,
    /// How many of its people confirm, before what operator and client make of it.
    pub confirms: f64,
}

const fn row(
    iso: &'static str,
    weight: f64,
    utc_minutes: i64,
    summer_time: bool,
    price_micros: u64,
    confirms: f64,
) -> CountryRow {
    CountryRow { iso, weight, utc_minutes, summer_time, price_micros, confirms }
}

/// Where nobody is a user until a scenario launches the product there.
pub const LAUNCH: &str = "KE";

/// All countries, the launch country last.
#[rustfmt::skip] // one country a line reads as the table that it is
pub static COUNTRIES: &[CountryRow] = &[
    row("IN", 15.0, 330, false,  60_000, 0.82),
    row("ID", 12.0, 420, false,  45_000, 0.80),
    row("BR", 10.0, -180, false, 20_000, 0.84),
    row("GB", 10.0,   0, true,   45_000, 0.90),
    row("DE",  7.0,  60, true,   80_000, 0.90),
    row("FR",  5.0,  60, true,   60_000, 0.89),
    row("TR",  4.5, 180, false,  20_000, 0.84),
    row("ES",  3.0,  60, true,   50_000, 0.88),
    row("IT",  3.0,  60, true,   55_000, 0.88),
    row("PH",  3.0, 480, false,  50_000, 0.77),
    row("PK",  3.0, 300, false,  45_000, 0.68),
    row("NG",  3.0,  60, false,  60_000, 0.70),
    row("EG",  3.0, 120, false,  57_000, 0.76),
    row("VN",  3.0, 420, false,  45_000, 0.80),
    row("TH",  3.0, 420, false,  20_000, 0.84),
    row("BD",  2.5, 360, false,  50_000, 0.70),
    row("MY",  2.5, 480, false,  35_000, 0.85),
    row("ZA",  2.5, 120, false,  25_000, 0.84),
    row("PL",  2.0,  60, true,   32_000, 0.89),
    row("SA",  2.0, 180, false,  50_000, 0.84),
    row("AE",  2.0, 240, false,  45_000, 0.84),
    row("SG",  2.0, 480, false,  30_000, 0.90),
    row("LK",  0.7, 330, false,  80_000, 0.75),
    row("UZ",  0.6, 300, false, 141_100, 0.74),
    row("DZ",  0.6,  60, false, 170_000, 0.70),
    row("TN",  0.5,  60, false,  90_000, 0.74),
    row("AZ",  0.4, 240, false, 140_000, 0.76),
    row(LAUNCH, 0.0, 180, false, 35_000, 0.76),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_27_countries_and_one_to_launch() {
        assert_eq!(COUNTRIES.len(), 28);
        assert_eq!(COUNTRIES.iter().filter(|row| row.weight == 0.0).count(), 1);
        assert!(COUNTRIES.iter().all(|row| (0.68..=0.90).contains(&row.confirms)));
    }
}

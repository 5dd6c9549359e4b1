//! What is known of countries: time zones, number portability, list prices.

use std::collections::{BTreeMap, BTreeSet};

use seawall_core::intel::table;
use seawall_core::intel::{prefix, strings};

use super::numbers::PREFIXES;
use super::read::From;
use super::{File, file};

pub fn zones(from: &From) -> Result<Vec<File>, String> {
    let mut sets: BTreeMap<String, u32> = BTreeMap::new();
    let mut prefixes: BTreeMap<u64, u32> = BTreeMap::new();
    let rows = from.csv("time/prefix_zones.csv", true)?;
    let wrong = |row: &Vec<String>| format!("prefix_zones: {row:?}");
    for row in &rows {
        let [_, zones] = row.as_slice() else { return Err(wrong(row)) };
        sets.insert(zones.clone(), 0);
    }
    sets.values_mut().zip(0..).for_each(|(at, index)| *at = index);
    for row in &rows {
        let [digits, zones] = row.as_slice() else { return Err(wrong(row)) };
        let at = sets.get(zones).copied().unwrap_or_default();
        prefixes.insert(digits.parse().map_err(|_| wrong(row))?, at);
    }
    let prefixes = table::write(PREFIXES, &prefix::entries(&prefixes)).ok_or("prefixes do not fit")?;
    let sets: Vec<&String> = sets.keys().collect();
    let lines: BTreeSet<String> =
        from.csv("time/zones.csv", true)?.iter().map(|row| row.join("\t")).collect();
    Ok(vec![
        file("zone_prefixes.bin", prefixes),
        file("zone_sets.bin", strings::write(16, &sets).ok_or("zones do not fit")?),
        file("zones.tsv", lines_of(lines)),
    ])
}

pub fn portable(from: &From) -> Result<Vec<File>, String> {
    let rows = from.csv("numbers/portable.csv", true)?;
    let countries: BTreeSet<String> = rows.into_iter().flatten().collect();
    Ok(vec![file("portable.txt", lines_of(countries))])
}

/// Prices in the form that the admin API takes: whole micro-units.
pub fn prices(from: &From) -> Result<Vec<File>, String> {
    let mut lines = vec!["country,amount,currency".to_owned()];
    let mut prices: BTreeMap<String, i64> = BTreeMap::new();
    for row in from.csv("telecom/smsroute_sms_price_40_routes.csv", true)? {
        let [_, country, dollars, ..] = row.as_slice() else { return Err(format!("prices: {row:?}")) };
        let micros = micros(dollars).ok_or_else(|| format!("prices: {row:?}"))?;
        prices.insert(country.clone(), micros);
    }
    lines.extend(prices.iter().map(|(country, micros)| format!("{country},{micros},USD")));
    Ok(vec![file("prices.csv", lines_of(lines))])
}

/// `0.035` is 35000, exactly.
fn micros(dollars: &str) -> Option<i64> {
    let (whole, part) = dollars.split_once('.').unwrap_or((dollars, ""));
    let part = format!("{part:0<6}");
    (part.len() == 6).then_some(())?;
    whole.parse::<i64>().ok()?.checked_mul(1_000_000)?.checked_add(part.parse().ok()?)
}

fn lines_of(lines: impl IntoIterator<Item = String>) -> Vec<u8> {
    lines.into_iter().map(|line| line + "\n").collect::<String>().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_are_exact() {
        assert_eq!(
            ["0.035", "1", "0.1411", "12.000001", "0.0000001", "x"].map(micros),
            [Some(35_000), Some(1_000_000), Some(141_100), Some(12_000_001), None, None]
        );
    }
}

//! Numbers: who a range was given to, and which numbers anyone can read the messages of.

use std::collections::{BTreeMap, BTreeSet};

use seawall_core::intel::table::{self, Shape};
use seawall_core::intel::{prefix, strings};
use seawall_core::msisdn::Msisdn;
use serde_json::{Map, Value};

use super::codes::Networks;
use super::read::From;
use super::{File, file};

/// A number that no public site has shown for so many years has probably gone to a new, honest owner.
const FRESH_YEARS: i32 = 3;
/// Random digits behind a prefix until one makes a valid number.
const TRIES: u64 = 400;

pub fn operators(from: &From) -> Result<Vec<File>, String> {
    let networks = Networks::read(from)?;
    let mut index: BTreeMap<String, u32> = BTreeMap::new();
    let mut prefixes: BTreeMap<u64, u32> = BTreeMap::new();
    let mut owners: Vec<String> = Vec::new();
    let (mut coded, mut all) = (0, 0);
    for row in from.csv("numbers/libphonenumber_carrier_prefixes.csv", true)? {
        let [digits, name] = row.as_slice() else { return Err(format!("operators: {row:?}")) };
        let digits: u64 = digits.parse().map_err(|_| format!("operators: {row:?}"))?;
        let code = country_of(digits).and_then(|country| networks.find(&country, name));
        let code_text = code.map(|(code, how)| format!("\t{code}\t{how:?}")).unwrap_or_default();
        coded += usize::from(code.is_some());
        all += 1;
        let next = u32::try_from(owners.len()).map_err(|e| e.to_string())?;
        let owner = format!("{name}{code_text}");
        let at = *index.entry(owner.clone()).or_insert_with(|| {
            owners.push(owner);
            next
        });
        prefixes.insert(digits, at);
    }
    println!("operators: {} names and codes, {coded} of {all} prefixes with a code", owners.len());
    let prefixes = table::write(PREFIXES, &prefix::entries(&prefixes)).ok_or("prefixes do not fit")?;
    let owners = strings::write(4, &owners).ok_or("operators do not fit")?;
    Ok(vec![file("operator_prefixes.bin", prefixes), file("operators.bin", owners)])
}

/// How tables of prefixes are written: small blocks, as they are asked for each message.
pub const PREFIXES: Shape = Shape { round_keys: false, values: true, block: 4 };

/// The country of a prefix: that of the first valid number found behind it. The same each time.
fn country_of(digits: u64) -> Option<String> {
    let mut random = digits | 1;
    for attempt in 0..TRIES {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let length = *[11, 12, 10, 13, 9, 14, 8].get(usize::try_from(attempt % 7).ok()?)?;
        let text = format!("{digits}{:09}", (random >> 20) % 1_000_000_000);
        let number = Msisdn::parse(&format!("+{}", text.get(..length)?), None);
        if let Some(number) = number.ok().filter(|number| number.valid) {
            return Some(number.country.to_string());
        }
    }
    None
}

pub fn disposable(from: &From) -> Result<Vec<File>, String> {
    let active = from.words("numbers/castle_disposable_top1000.txt")?;
    let name = "numbers/ip1_disposable_numbers.json.gz";
    let seen: Map<String, Value> =
        serde_json::from_str(&from.text(name)?).map_err(|error| format!("{name}: {error}"))?;
    let dates = || seen.values().filter_map(Value::as_str);
    let newest = dates().max().ok_or("no disposable number has a date")?;
    let (year, day) = newest.split_once('-').ok_or("a date has no year")?;
    let since = format!("{}-{day}", year.parse::<i32>().map_err(|e| e.to_string())? - FRESH_YEARS);
    let fresh = seen.iter().filter(|(_, date)| date.as_str().is_some_and(|date| *date >= *since));
    let numbers = fresh.map(|(number, _)| number.as_str()).chain(active.iter().map(String::as_str));
    let numbers: BTreeSet<u64> = numbers.filter_map(parsed).collect();
    println!("disposable: {} numbers, seen since {since} or listed as active", numbers.len());
    let entries: Vec<_> = numbers.into_iter().map(|number| (number, 0)).collect();
    let shape = Shape { round_keys: false, values: false, block: 8 };
    Ok(vec![file("disposable.bin", table::write(shape, &entries).ok_or("numbers do not fit")?)])
}

fn parsed(number: &str) -> Option<u64> {
    let number = number.trim_start_matches('+');
    Msisdn::from_e164(&format!("+{number}")).map(Msisdn::as_u64)
}

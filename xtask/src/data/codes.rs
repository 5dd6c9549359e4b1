//! From an operator's name to its network code, where the name leads to one operator.

use std::collections::{BTreeMap, BTreeSet};

use seawall_core::intel::{CodeMatch, OperatorCode};
use serde_json::Value;

use super::read::From;

/// Words that say what kind of company it is, not which.
const KINDS: &str = "ltd limited llc inc plc gmbh sa sas srl spa ag co kg ab as oy bv nv pty pvt pte corp \
    corporation company telecom telecommunications telecomunicaciones communications communication mobile mobil \
    movil cellular wireless group holding holdings de the of international telekom telecoms comunicaciones \
    networks network gsm pcs jsc ojsc pjsc cjsc ooo zao pao doo dd ad a s";

/// A network.
struct Network {
    code: OperatorCode,
    operational: bool,
    /// Spellings of brand and operator, as letters and digits alone.
    exact: BTreeSet<String>,
    /// The same as words, without the country's name and the kind of company.
    loose: BTreeSet<Vec<String>>,
    /// Which operator it is, to tell whether two networks are one operator's.
    owner: Vec<String>,
}

/// A country's networks, and the words of its English name.
#[derive(Default)]
struct Country {
    name: BTreeSet<String>,
    networks: Vec<Network>,
}

/// The networks of each country.
pub struct Networks(BTreeMap<String, Country>);

impl Networks {
    pub fn read(from: &From) -> Result<Self, String> {
        let name = "telecom/mcc-mnc-list.json";
        let list: Vec<Value> =
            serde_json::from_str(&from.text(name)?).map_err(|error| format!("{name}: {error}"))?;
        let mut all: BTreeMap<String, Country> = BTreeMap::new();
        for entry in list.iter().filter(|entry| text(entry, "type") == "National") {
            let countries =
                text(entry, "countryCode").split(['/', ',']).filter_map(|code| code.trim().get(..2));
            for country in countries.collect::<BTreeSet<_>>() {
                let known = all.entry(country.to_owned()).or_default();
                known.name.extend(split(text(entry, "countryName")));
                known.networks.extend(network(entry));
            }
        }
        all.values_mut().for_each(|country| country.networks.sort_by_key(|network| network.code));
        Ok(Networks(all))
    }

    /// The code of the operator of this name in a country.
    pub fn find(&self, country: &str, name: &str) -> Option<(OperatorCode, CodeMatch)> {
        let Country { name: country, networks } = self.0.get(country)?;
        let (plain, loose) = (letters(name), words(name, country));
        let same: Vec<&Network> = networks.iter().filter(|network| network.exact.contains(&plain)).collect();
        if let Some(code) = first(&same) {
            return Some((code, if same.len() == 1 { CodeMatch::Only } else { CodeMatch::First }));
        }
        let alike: Vec<&Network> = networks.iter().filter(|network| network.loose.contains(&loose)).collect();
        let owners: BTreeSet<_> = alike.iter().map(|network| &network.owner).collect();
        let code = first(&alike).filter(|_| owners.len() == 1 && !loose.is_empty())?;
        Some((code, CodeMatch::Alike))
    }
}

/// The first network in operation, else the first.
fn first(networks: &[&Network]) -> Option<OperatorCode> {
    let running = networks.iter().find(|network| network.operational);
    running.or_else(|| networks.first()).map(|network| network.code)
}

fn network(entry: &Value) -> Option<Network> {
    let status = text(entry, "status");
    let code = OperatorCode::parse(&format!("{}{}", text(entry, "mcc"), text(entry, "mnc")))?;
    let (brand, operator) = (text(entry, "brand"), text(entry, "operator"));
    let country: BTreeSet<String> = split(text(entry, "countryName")).into_iter().collect();
    let spellings: Vec<String> = [brand, operator].into_iter().flat_map(spellings).collect();
    let owner = if brand.is_empty() { operator } else { brand };
    (status != "Not operational").then(|| Network {
        code,
        operational: status == "Operational",
        exact: spellings.iter().map(|text| letters(text)).filter(|text| !text.is_empty()).collect(),
        loose: spellings.iter().map(|text| words(text, &country)).filter(|words| !words.is_empty()).collect(),
        owner: words(owner, &country),
    })
}

fn text<'a>(entry: &'a Value, field: &str) -> &'a str {
    entry.get(field).and_then(Value::as_str).unwrap_or_default()
}

/// A name as it stands, its parts divided by `/`, and both without what is in brackets.
fn spellings(name: &str) -> Vec<String> {
    let unbracketed = name.split('(').next().unwrap_or(name).to_owned();
    let parts = name.split('/').chain(unbracketed.split('/')).map(str::to_owned);
    parts.chain([name.to_owned(), unbracketed.clone()]).collect()
}

fn words(name: &str, without: &BTreeSet<String>) -> Vec<String> {
    let said = |word: &String| !without.contains(word) && !KINDS.split_whitespace().any(|kind| kind == word);
    split(name).into_iter().filter(said).collect()
}

fn split(name: &str) -> Vec<String> {
    let plain: String = name.chars().flat_map(plain).collect();
    plain
        .split(|c: char| !c.is_ascii_alphanumeric() && c != '&' && c != '+')
        .filter(|w| !w.is_empty())
        .map(str::to_owned)
        .collect()
}

/// Letters with marks as those without.
const PLAIN: &[(&str, &str)] = &[
    ("àáâãäåāăą", "a"),
    ("æ", "ae"),
    ("çćč", "c"),
    ("ďđð", "d"),
    ("èéêëēėęě", "e"),
    ("ğ", "g"),
    ("ìíîïīı", "i"),
    ("ł", "l"),
    ("ñńň", "n"),
    ("òóôõöøōő", "o"),
    ("ř", "r"),
    ("śšşș", "s"),
    ("ß", "ss"),
    ("ťțţ", "t"),
    ("þ", "th"),
    ("ùúûüūůű", "u"),
    ("ýÿ", "y"),
    ("źžż", "z"),
];

fn plain(c: char) -> Vec<char> {
    let lower = |c: char| {
        PLAIN.iter().find(|(marked, _)| marked.contains(c)).map(|(_, plain)| plain.chars().collect())
    };
    c.to_lowercase().flat_map(|c| lower(c).unwrap_or_else(|| vec![c])).collect()
}

fn letters(name: &str) -> String {
    name.chars().flat_map(plain).filter(char::is_ascii_alphanumeric).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn country(name: &str, networks: &[(&str, &str, &str, &str)]) -> Networks {
        let entry = |(mnc, brand, operator, status): &(&str, &str, &str, &str)| {
            serde_json::json!({"mcc": "999", "mnc": mnc, "brand": brand, "operator": operator, "status": status,
                "countryName": name})
        };
        let networks = networks.iter().filter_map(|row| network(&entry(row))).collect();
        Networks(BTreeMap::from([(
            "XX".to_owned(),
            Country { name: split(name).into_iter().collect(), networks },
        )]))
    }

    #[test]
    fn a_name_leads_to_one_operator_or_to_none() {
        let networks = country(
            "Utopia",
            &[
                ("01", "Vodafone", "Vodafone D2 GmbH", "Not operational"),
                ("02", "Vodafone", "Vodafone D2 GmbH", "Unknown"),
                ("03", "Vodafone", "Vodafone D2 GmbH", "Operational"),
                ("04", "Síminn", "Utopia Telecom Ltd", "Operational"),
                ("05", "Red / Blue", "Colour Networks (Utopia) Inc", "Operational"),
                ("06", "One", "Twins Ltd", "Operational"),
                ("07", "Two", "Twins Ltd", "Operational"),
            ],
        );
        let code = |text| OperatorCode::parse(text).unwrap();
        for (name, want) in [
            ("Vodafone", Some(("99903", CodeMatch::First))),
            ("Siminn", Some(("99904", CodeMatch::Only))),
            ("Siminn Utopia", Some(("99904", CodeMatch::Alike))),
            ("Blue", Some(("99905", CodeMatch::Only))),
            ("Colour Networks", Some(("99905", CodeMatch::Only))),
            ("Colour Telecom S.A.", Some(("99905", CodeMatch::Alike))),
            ("Twins", None),
            ("Utopia Telecom", None),
            ("Telecom", None),
            ("O2", None),
            ("", None),
        ] {
            let want = want.map(|(digits, how)| (code(digits), how));
            assert_eq!(networks.find("XX", name), want, "{name}");
        }
        assert_eq!(networks.find("YY", "Vodafone"), None);
    }
}

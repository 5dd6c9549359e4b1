//! Which continent a country lies on, for policies that name a continent.
//!
//! The assignment is the usual one of ISO 3166-1 countries to continents (as in GeoNames); where a country
//! spans two, one is chosen and [`Continent`] says so.

use crate::country::Country;

use super::Continent;

const AFRICA: &str = "AO BF BI BJ BW CD CF CG CI CM CV DJ DZ EG EH ER ET GA GH GM GN GQ GW KE KM LR LS LY MA MG \
    ML MR MU MW MZ NA NE NG RE RW SC SD SH SL SN SO SS ST SZ TD TG TN TZ UG YT ZA ZM ZW AC TA";
const ANTARCTICA: &str = "AQ BV GS HM TF";
const ASIA: &str = "AE AF AM AZ BD BH BN BT CC CN CX CY GE HK ID IL IN IO IQ IR JO JP KG KH KP KR KW KZ LA LB LK \
    MM MN MO MV MY NP OM PH PK PS QA SA SG SY TH TJ TM TR TW UZ VN YE";
const EUROPE: &str = "AD AL AT AX BA BE BG BY CH CZ DE DK EE ES FI FO FR GB GG GI GR HR HU IE IM IS IT JE LI LT \
    LU LV MC MD ME MK MT NL NO PL PT RO RS RU SE SI SJ SK SM UA VA XK";
const NORTH_AMERICA: &str = "AG AI AW BB BL BM BQ BS BZ CA CR CU CW DM DO GD GL GP GT HN HT JM KN KY LC MF MQ MS \
    MX NI PA PM PR SV SX TC TT US VC VG VI";
const OCEANIA: &str = "AS AU CK FJ FM GU KI MH MP NC NF NR NU NZ PF PG PN PW SB TK TL TO TV UM VU WF WS";
const SOUTH_AMERICA: &str = "AR BO BR CL CO EC FK GF GY PE PY SR UY VE";

const CONTINENTS: [(Continent, &str); 7] = [
    (Continent::Africa, AFRICA),
    (Continent::Antarctica, ANTARCTICA),
    (Continent::Asia, ASIA),
    (Continent::Europe, EUROPE),
    (Continent::NorthAmerica, NORTH_AMERICA),
    (Continent::Oceania, OCEANIA),
    (Continent::SouthAmerica, SOUTH_AMERICA),
];

impl Continent {
    /// Every continent.
    pub const ALL: [Continent; 7] = [
        Continent::Africa,
        Continent::Antarctica,
        Continent::Asia,
        Continent::Europe,
        Continent::NorthAmerica,
        Continent::Oceania,
        Continent::SouthAmerica,
    ];

    /// Reads [`Continent::as_str`].
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|continent| continent.as_str() == text)
    }

    /// Its countries.
    pub fn countries(self) -> impl Iterator<Item = Country> {
        let listed = CONTINENTS.iter().filter(move |(continent, _)| *continent == self);
        listed.flat_map(|(_, countries)| countries.split(' ')).filter_map(Country::parse)
    }
}

impl Country {
    /// The continent of a country. `None` for global services and for letters that are no country.
    pub fn continent(self) -> Option<Continent> {
        CONTINENTS.iter().find(|(_, countries)| lists(countries, self)).map(|(continent, _)| *continent)
    }
}

/// Whether a text of country codes, one character between them, has this one.
fn lists(countries: &str, country: Country) -> bool {
    let letters = country.as_str().as_bytes();
    countries
        .as_bytes()
        .chunks(3)
        .any(|code| matches!((code, letters), ([a, b, ..], [c, d]) if a == c && b == d))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn a_country_lies_on_one_continent() {
        let all: Vec<Country> = Continent::ALL.into_iter().flat_map(Continent::countries).collect();
        assert_eq!(all.len(), all.iter().collect::<BTreeSet<_>>().len());
        // ISO 3166-1 has 249; Kosovo, Ascension and Tristan da Cunha have calling codes besides.
        assert_eq!(all.len(), 252);
        for (country, want) in [
            ("SG", Continent::Asia),
            ("TR", Continent::Asia),
            ("RU", Continent::Europe),
            ("PA", Continent::NorthAmerica),
            ("CO", Continent::SouthAmerica),
            ("AU", Continent::Oceania),
            ("EG", Continent::Africa),
        ] {
            assert_eq!(Country::parse(country).unwrap().continent(), Some(want), "{country}");
        }
        assert_eq!(Country::GLOBAL.continent(), None);
        assert_eq!(Country::parse("QQ").unwrap().continent(), None);
    }

    #[test]
    fn every_country_with_numbers_or_addresses_has_one() {
        let addresses = include_str!("../../tests/data/addresses.tsv").lines();
        let numbers = include_str!("../../tests/data/numbers.tsv").lines();
        let fields =
            addresses.map(|row| row.split('\t').nth(1)).chain(numbers.map(|row| row.split('\t').nth(5)));
        let countries: BTreeSet<Country> = fields.flatten().filter_map(Country::parse).collect();
        assert!(countries.len() > 150, "{}", countries.len());
        for country in countries {
            assert!(country.continent().is_some(), "{country}");
        }
        for continent in Continent::ALL {
            assert_eq!(Continent::parse(continent.as_str()), Some(continent));
        }
    }
}

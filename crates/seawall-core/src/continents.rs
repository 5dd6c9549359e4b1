//! On which continent a country lies.

use crate::country::Country;
use crate::intel::Continent;

/// ISO 3166-1 codes by continent, as the United Nations' M49 groups them but for what [`Continent`] says of
/// the Middle East, Cyprus, Turkey and Russia.
const CONTINENTS: [(Continent, &str); 7] = [
    (
        Continent::Africa,
        "AC AO BF BI BJ BW CD CF CG CI CM CV DJ DZ EG EH ER ET GA GH GM GN GQ GW IO KE KM LR LS LY MA MG ML MR \
         MU MW MZ NA NE NG RE RW SC SD SH SL SN SO SS ST SZ TA TD TF TG TN TZ UG YT ZA ZM ZW",
    ),
    (Continent::Antarctica, "AQ BV GS HM"),
    (
        Continent::Asia,
        "AE AF AM AZ BD BH BN BT CN CY GE HK ID IL IN IQ IR JO JP KG KH KP KR KW KZ LA LB LK MM MN MO MV MY NP \
         OM PH PK PS QA SA SG SY TH TJ TL TM TR TW UZ VN YE",
    ),
    (
        Continent::Europe,
        "AD AL AT AX BA BE BG BY CH CZ DE DK EE ES FI FO FR GB GG GI GR HR HU IE IM IS IT JE LI LT LU LV MC MD \
         ME MK MT NL NO PL PT RO RS RU SE SI SJ SK SM UA VA XK",
    ),
    (
        Continent::NorthAmerica,
        "AG AI AW BB BL BM BQ BS BZ CA CR CU CW DM DO GD GL GP GT HN HT JM KN KY LC MF MQ MS MX NI PA PM PR SV \
         SX TC TT US VC VG VI",
    ),
    (
        Continent::Oceania,
        "AS AU CC CK CX FJ FM GU KI MH MP NC NF NR NU NZ PF PG PN PW SB TK TO TV UM VU WF WS",
    ),
    (Continent::SouthAmerica, "AR BO BR CL CO EC FK GF GY PE PY SR UY VE"),
];

impl Continent {
    /// The continent of a country; `None` for what lies on none, such as satellite networks.
    pub fn of(country: Country) -> Option<Self> {
        // Two letters and a space each.
        let code = country.as_str().as_bytes();
        let lies = |codes: &str| codes.as_bytes().chunks(3).any(|one| one.starts_with(code));
        CONTINENTS.iter().find(|(_, codes)| lies(codes)).map(|(continent, _)| *continent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_country_lies_on_one_continent() {
        let all: Vec<&str> =
            CONTINENTS.iter().flat_map(|(_, codes)| codes.split_ascii_whitespace()).collect();
        assert!(all.iter().all(|code| Country::parse(code).is_some_and(|c| c.as_str() == *code)));
        assert_eq!(all.iter().collect::<HashSet<_>>().len(), all.len(), "a country stands twice");
        assert_eq!(all.len(), 252, "249 countries of ISO 3166-1, and AC, TA and XK");
        let of = |code: &str| Continent::of(Country::parse(code).unwrap());
        assert_eq!(
            (of("RU"), of("TR"), of("CY")),
            (Some(Continent::Europe), Some(Continent::Asia), Some(Continent::Asia))
        );
        assert_eq!(
            (of("EG"), of("US"), of("BR")),
            (Some(Continent::Africa), Some(Continent::NorthAmerica), Some(Continent::SouthAmerica))
        );
        assert_eq!(Continent::of(Country::GLOBAL), None);
    }
}

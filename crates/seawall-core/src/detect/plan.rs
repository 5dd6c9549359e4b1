//! How many mobile numbers a country's plan has: over so many blocks honest numbers could spread.
//!
//! Counted from the patterns of mobile numbers in Google's libphonenumber 9.0.43 (Apache-2.0), in tens of
//! thousands. Only the order of magnitude matters, so plans with
//! numbers of many lengths are cut at half a million blocks.

use crate::country::Country;

/// Blocks of ten thousand numbers in the mobile plan of a country; a middling plan where none is known.
pub(super) fn blocks_of_10k(country: Country) -> u32 {
    let found = PLANS.binary_search_by(|(code, _)| (*code).cmp(country.as_str()));
    found.ok().and_then(|at| PLANS.get(at)).map_or(10_000, |&(_, blocks)| blocks)
}

/// Country, and mobile numbers in tens of thousands.
#[rustfmt::skip]
const PLANS: &[(&str, u32)] = &[
    ("AC", 4), ("AD", 130), ("AE", 7000), ("AF", 10_000), ("AG", 42), ("AI", 14), ("AL", 2600),
    ("AM", 1600), ("AO", 8000), ("AR", 28_480), ("AS", 12), ("AT", 500_000), ("AU", 9090), ("AW", 76),
    ("AX", 111_110), ("AZ", 10_001), ("BA", 1710), ("BB", 119), ("BD", 126_000), ("BE", 5000), ("BF", 3900),
    ("BG", 4240), ("BH", 1032), ("BI", 1700), ("BJ", 4500), ("BL", 119), ("BM", 470), ("BN", 202),
    ("BO", 2100), ("BQ", 19), ("BR", 500_000), ("BS", 111), ("BT", 400), ("BW", 832), ("BY", 3300),
    ("BZ", 70), ("CA", 44_800), ("CC", 9090), ("CD", 15_010), ("CF", 700), ("CG", 4100), ("CH", 9000),
    ("CI", 30_000), ("CK", 3), ("CL", 42_016), ("CM", 6500), ("CN", 500_000), ("CO", 25_077), ("CR", 1801),
    ("CU", 1300), ("CV", 170), ("CW", 102), ("CX", 9090), ("CY", 510), ("CZ", 5310), ("DE", 223_300),
    ("DJ", 100), ("DK", 6630), ("DM", 26), ("DO", 2400), ("DZ", 14_900), ("EC", 3630), ("EE", 1503),
    ("EG", 40_000), ("EH", 16_400), ("ER", 103), ("ES", 15_001), ("ET", 15_900), ("FI", 111_110),
    ("FJ", 420), ("FK", 2), ("FM", 65), ("FO", 30), ("FR", 16_200), ("GA", 1860), ("GB", 79_140),
    ("GD", 33), ("GE", 2856), ("GF", 63), ("GG", 220), ("GH", 14_100), ("GI", 514), ("GL", 30),
    ("GM", 1371), ("GN", 6000), ("GP", 119), ("GQ", 1100), ("GR", 24_000), ("GT", 3050), ("GU", 197),
    ("GW", 1400), ("GY", 177), ("HK", 2973), ("HN", 4000), ("HR", 6427), ("HT", 2300), ("HU", 5000),
    ("ID", 500_000), ("IE", 6100), ("IL", 7274), ("IM", 292), ("IN", 339_450), ("IO", 10), ("IQ", 70_000),
    ("IR", 37_000), ("IS", 457), ("IT", 108_000), ("JE", 430), ("JM", 585), ("JO", 3800), ("JP", 36_000),
    ("KE", 14_500), ("KG", 11_601), ("KH", 12_940), ("KI", 1089), ("KM", 200), ("KN", 22), ("KP", 3000),
    ("KR", 76_087), ("KW", 1291), ("KY", 51), ("KZ", 19_000), ("LA", 6200), ("LB", 570), ("LC", 40),
    ("LI", 2212), ("LK", 7500), ("LR", 2730), ("LS", 2000), ("LT", 1000), ("LU", 1500), ("LV", 991),
    ("LY", 6000), ("MA", 16_400), ("MC", 21_290), ("MD", 1510), ("ME", 470), ("MF", 119), ("MG", 8000),
    ("MH", 8), ("MK", 814), ("ML", 3912), ("MM", 30_662), ("MN", 2360), ("MO", 481), ("MP", 37),
    ("MQ", 204), ("MR", 2700), ("MS", 12), ("MT", 408), ("MU", 619), ("MV", 202), ("MW", 8100),
    ("MX", 449_000), ("MY", 24_429), ("MZ", 8000), ("NA", 5000), ("NC", 39), ("NE", 2500), ("NF", 3),
    ("NG", 63_100), ("NI", 1900), ("NL", 16_000), ("NO", 1599), ("NP", 18_000), ("NR", 111), ("NU", 1),
    ("NZ", 67_210), ("OM", 1791), ("PA", 1008), ("PE", 10_000), ("PF", 300), ("PG", 1600), ("PH", 94_000),
    ("PK", 61_000), ("PL", 13_240), ("PM", 88), ("PR", 1600), ("PS", 2000), ("PT", 4069), ("PW", 49),
    ("PY", 2210), ("QA", 4000), ("RE", 167), ("RO", 8510), ("RS", 20_900), ("RU", 99_982), ("RW", 5000),
    ("SA", 8990), ("SB", 269), ("SC", 60), ("SD", 10_000), ("SE", 6000), ("SG", 1890), ("SH", 3),
    ("SI", 1134), ("SJ", 1599), ("SK", 3490), ("SL", 2200), ("SM", 200), ("SN", 6200), ("SO", 29_020),
    ("SR", 190), ("SS", 7000), ("ST", 30), ("SV", 3000), ("SX", 26), ("SY", 8000), ("SZ", 500), ("TC", 117),
    ("TD", 2600), ("TG", 1400), ("TH", 27_190), ("TJ", 48_500), ("TK", 33), ("TL", 700), ("TM", 1200),
    ("TN", 4003), ("TO", 188), ("TR", 50_411), ("TT", 307), ("TV", 21), ("TW", 9000), ("TZ", 19_000),
    ("UA", 20_100), ("UG", 8820), ("US", 287_100), ("UY", 900), ("UZ", 17_937), ("VA", 98_000), ("VC", 28),
    ("VE", 9000), ("VG", 37), ("VI", 58), ("VN", 37_940), ("VU", 280), ("WF", 3), ("WS", 10_120),
    ("XK", 700), ("YE", 5000), ("YT", 60), ("ZA", 25_965), ("ZM", 13_000), ("ZW", 5200),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_has_the_known_sizes() {
        assert!(PLANS.is_sorted_by_key(|(code, _)| *code));
        let blocks = |code: &str| blocks_of_10k(Country::parse(code).unwrap());
        // Uzbekistan: nine digits behind some eighteen two-digit mobile prefixes.
        assert!((10_000..30_000).contains(&blocks("UZ")), "{}", blocks("UZ"));
        assert!((1_000..3_000).contains(&blocks("SG")), "{}", blocks("SG"));
        assert_eq!(blocks("ZZ"), 10_000);
    }
}

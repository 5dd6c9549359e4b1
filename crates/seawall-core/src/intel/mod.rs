//! Number and address intelligence: what the tracked tables say of a number or an address before any
//! provider is asked. The types stand here; each table has a file of its own.

mod continent;
pub mod ip;
pub mod local_time;
pub mod number;
mod operator_code;
pub mod portability;
pub mod prefix;
pub mod price;
pub mod strings;
pub mod table;
mod zone_rule;

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::country::Country;

pub use operator_code::OperatorCode;

/// What is known of an IP address. Nothing known is all empty: an address that no table holds is not
/// suspicious for that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct IpFacts {
    /// The country that the address is registered or announced in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub country: Option<Country>,
    /// The autonomous system that announces it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asn: Option<u32>,
    /// A data centre: servers rather than people. Never set together with `relay`.
    pub hosting: bool,
    /// An exit of a VPN provider. Never set together with `relay`.
    pub vpn: bool,
    /// An exit of a privacy relay that real users sit behind, many to an address (Apple Private Relay).
    pub relay: bool,
    /// A Tor exit. Known only with an operator's own file.
    pub tor: bool,
    /// A public or residential proxy. Known only with an operator's own file.
    pub proxy: bool,
}

/// What is known of a number beyond its form.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct NumberFacts {
    /// The operator that the number's range was first given to, as Google's library names it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operator: Option<Cow<'static, str>>,
    /// That operator's network code, where its name leads to one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mccmnc: Option<OperatorCode>,
    /// How `mccmnc` was found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mccmnc_match: Option<CodeMatch>,
    /// Whether numbers of this country can be taken to another operator, so that `operator` may be past.
    pub portable: bool,
    /// A number of a public receive-SMS site.
    pub disposable: bool,
}

/// How sure the way from an operator's name to its network code is, the surest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CodeMatch {
    /// The same name, and that operator has this one code.
    Only,
    /// The same name, and that operator has several codes, of which this is the first.
    First,
    /// A name that differs in form (a country's name, a legal form), and one operator that it can mean.
    Alike,
}

/// A continent, for policies that name one instead of its countries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Continent {
    /// Africa.
    Africa,
    /// Antarctica.
    Antarctica,
    /// Asia, with the Middle East and Cyprus.
    Asia,
    /// Europe, with Russia and without Turkey.
    Europe,
    /// North and Central America and the Caribbean.
    NorthAmerica,
    /// Oceania.
    Oceania,
    /// South America.
    SouthAmerica,
}

impl Continent {
    /// The word that policies and replies use, such as `south_america`.
    pub fn as_str(self) -> &'static str {
        match self {
            Continent::Africa => "africa",
            Continent::Antarctica => "antarctica",
            Continent::Asia => "asia",
            Continent::Europe => "europe",
            Continent::NorthAmerica => "north_america",
            Continent::Oceania => "oceania",
            Continent::SouthAmerica => "south_america",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_keep_their_shape() {
        let ip =
            IpFacts { country: Country::parse("SG"), asn: Some(13335), relay: true, ..IpFacts::default() };
        let json = serde_json::to_string(&ip).unwrap();
        assert_eq!(
            json,
            r#"{"country":"SG","asn":13335,"hosting":false,"vpn":false,"relay":true,"tor":false,"proxy":false}"#
        );
        assert_eq!(serde_json::from_str::<IpFacts>(&json).unwrap(), ip);
        assert_eq!(serde_json::from_str::<IpFacts>("{}").unwrap(), IpFacts::default());
        let number = NumberFacts {
            operator: Some("Singtel".into()),
            mccmnc: OperatorCode::parse("52501"),
            mccmnc_match: Some(CodeMatch::First),
            portable: true,
            disposable: false,
        };
        let json = serde_json::to_string(&number).unwrap();
        assert_eq!(
            json,
            r#"{"operator":"Singtel","mccmnc":"52501","mccmnc_match":"first","portable":true,"disposable":false}"#
        );
        assert_eq!(serde_json::from_str::<NumberFacts>(&json).unwrap(), number);
    }

    #[test]
    fn a_continent_reads_as_it_is_written() {
        for continent in [Continent::NorthAmerica, Continent::Asia, Continent::SouthAmerica] {
            assert_eq!(serde_json::to_value(continent).unwrap(), continent.as_str());
        }
    }
}

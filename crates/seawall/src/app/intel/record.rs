//! What a record of each kind of file holds. Makers differ: MaxMind and DB-IP nest and use numbers and
//! switches, IPinfo and ip-location-db are flat and use text.

use seawall_core::country::Country;
use seawall_core::intel::IpFacts;
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// A kind of record.
pub(super) trait Record: DeserializeOwned {
    /// What a file of this kind has to hold, for the error when it does not.
    const HOLDS: &'static str;

    /// Whether this record holds it.
    fn tells(&self) -> bool;
}

/// Where an address is.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Located {
    country: Option<Place>,
    country_code: Option<String>,
    registered_country: Option<Place>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Place {
    Text(String),
    Record { iso_code: Option<String> },
}

impl Place {
    fn country(&self) -> Option<Country> {
        match self {
            Place::Text(text) => Country::parse(text),
            Place::Record { iso_code } => Country::parse(iso_code.as_ref()?),
        }
    }
}

impl Located {
    /// The country: where the address is used, else where it is registered.
    pub fn country(&self) -> Option<Country> {
        let used = self.country.as_ref().and_then(Place::country);
        let code = || self.country_code.as_deref().and_then(Country::parse);
        used.or_else(code).or_else(|| self.registered_country.as_ref()?.country())
    }
}

impl Record for Located {
    const HOLDS: &'static str = "a country";

    fn tells(&self) -> bool {
        self.country().is_some()
    }
}

/// Who announces an address.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Asn {
    autonomous_system_number: Option<u32>,
    asn: Option<AsnText>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum AsnText {
    Number(u32),
    Text(String),
}

impl Asn {
    /// The AS number.
    pub fn number(&self) -> Option<u32> {
        let flat = || match self.asn.as_ref()? {
            AsnText::Number(number) => Some(*number),
            AsnText::Text(text) => text.trim_start_matches("AS").parse().ok(),
        };
        self.autonomous_system_number.or_else(flat).filter(|number| *number != 0)
    }
}

impl Record for Asn {
    const HOLDS: &'static str = "an AS number";

    fn tells(&self) -> bool {
        self.number().is_some()
    }
}

/// What kind of place hides who uses an address.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Anonymous {
    #[serde(alias = "hosting")]
    is_hosting_provider: Flag,
    #[serde(alias = "vpn")]
    is_anonymous_vpn: Flag,
    #[serde(alias = "tor")]
    is_tor_exit_node: Flag,
    #[serde(alias = "proxy")]
    is_public_proxy: Flag,
    is_residential_proxy: Flag,
    relay: Flag,
}

#[derive(Default, Deserialize)]
#[serde(untagged)]
enum Flag {
    Switch(bool),
    Text(String),
    #[default]
    Absent,
}

impl Flag {
    fn is_set(&self) -> bool {
        match self {
            Flag::Switch(set) => *set,
            Flag::Text(text) => text == "true",
            Flag::Absent => false,
        }
    }
}

impl Anonymous {
    /// Puts what this record says into the facts, and takes out what it does not say. A relay stays one: no
    /// file of this kind is known to list them all, and real users sit behind them.
    pub fn replace(&self, facts: &mut IpFacts) {
        facts.relay |= self.relay.is_set();
        facts.hosting = !facts.relay && self.is_hosting_provider.is_set();
        facts.vpn = !facts.relay && self.is_anonymous_vpn.is_set();
        facts.tor = self.is_tor_exit_node.is_set();
        facts.proxy = self.is_public_proxy.is_set() || self.is_residential_proxy.is_set();
    }
}

impl Record for Anonymous {
    const HOLDS: &'static str = "a hosting provider, VPN, proxy, Tor exit or relay";

    fn tells(&self) -> bool {
        let mut facts = IpFacts::default();
        self.replace(&mut facts);
        facts != IpFacts::default()
    }
}

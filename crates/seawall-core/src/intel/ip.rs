//! What the tracked tables say of an address.
//!
//! IPv4 addresses and the upper halves of IPv6 addresses (a /64 is one customer) are the keys of two sorted
//! tables; the value is a row of [`ROWS`], of which row 0 knows nothing. Reading costs a binary search and
//! half a block; nothing is loaded before.

use std::net::IpAddr;

use crate::client_ip::ClientIp;
use crate::country::Country;

use super::IpFacts;
use super::strings::Strings;
use super::table::Table;

static IP4: &[u8] = include_bytes!("../../../../data/ip4.bin");
static IP6: &[u8] = include_bytes!("../../../../data/ip6.bin");
static ROWS: &[u8] = include_bytes!("../../../../data/ip_rows.bin");
static ASNS: &[u8] = include_bytes!("../../../../data/asn.bin");
static ASN_NAMES: &[u8] = include_bytes!("../../../../data/asn_names.bin");

/// Bytes of a row: the AS number (three, the lowest first; zero is none), the country (two letters or zeros),
/// and flags.
pub const ROW: usize = 6;
const HOSTING: u8 = 1;
const VPN: u8 = 2;
const RELAY: u8 = 4;

/// What the tracked tables know of an address: all empty for private, reserved and unknown ones.
pub fn facts(ip: ClientIp) -> IpFacts {
    let (table, key) = match ip.ip() {
        IpAddr::V4(ip) => (IP4, u64::from(ip.to_bits())),
        IpAddr::V6(ip) => (IP6, upper_half(ip.to_bits())),
    };
    let found = Table::new(table).and_then(|table| table.floor(key));
    found.and_then(|(_, index)| row(index)).unwrap_or_default()
}

/// Who runs an autonomous system.
pub fn organisation(asn: u32) -> Option<&'static str> {
    Strings::new(ASN_NAMES)?.get(Table::new(ASNS)?.get(u64::from(asn))?)
}

/// The /64 that an IPv6 address lies in.
pub fn upper_half(bits: u128) -> u64 {
    u64::try_from(bits >> 64).unwrap_or(u64::MAX)
}

fn row(index: u32) -> Option<IpFacts> {
    let at = usize::try_from(index).ok()?.checked_mul(ROW)?;
    let (row, _) = ROWS.get(at..)?.split_first_chunk()?;
    Some(decode(*row))
}

fn decode([a0, a1, a2, c0, c1, flags]: [u8; ROW]) -> IpFacts {
    let asn = u32::from_le_bytes([a0, a1, a2, 0]);
    IpFacts {
        country: std::str::from_utf8(&[c0, c1]).ok().and_then(Country::parse),
        asn: (asn != 0).then_some(asn),
        hosting: flags & HOSTING != 0,
        vpn: flags & VPN != 0,
        relay: flags & RELAY != 0,
        ..IpFacts::default()
    }
}

/// A row of these facts. `None` if the AS number does not fit.
pub fn encode(facts: &IpFacts) -> Option<[u8; ROW]> {
    let [a0, a1, a2, a3] = facts.asn.unwrap_or(0).to_le_bytes();
    let letters = facts.country.map(|country| country.as_str().to_owned()).unwrap_or_default();
    let (c0, c1) = match letters.as_bytes() {
        [c0, c1] => (*c0, *c1),
        _ => (0, 0),
    };
    let flags = [(facts.hosting, HOSTING), (facts.vpn, VPN), (facts.relay, RELAY)];
    let flags = flags.iter().filter(|(set, _)| *set).fold(0, |flags, (_, bit)| flags | bit);
    (a3 == 0).then_some([a0, a1, a2, c0, c1, flags])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> IpFacts {
        facts(ClientIp::parse(text).unwrap())
    }

    #[test]
    fn addresses_are_what_the_sources_say() {
        let (mut rows, mut marked) = (0, 0);
        let table = include_str!("../../tests/data/addresses.tsv").lines();
        for row in table.filter(|row| !row.starts_with('#')) {
            let [ip, country, asn, marks] = row.split('\t').collect::<Vec<_>>()[..] else { panic!("{row}") };
            let want = IpFacts {
                country: Country::parse(country),
                asn: asn.parse().ok(),
                hosting: marks.contains('h'),
                vpn: marks.contains('v'),
                relay: marks.contains('r'),
                ..IpFacts::default()
            };
            assert_eq!(of(ip), want, "{row}");
            rows += 1;
            marked += usize::from(!marks.is_empty());
        }
        assert!(rows >= 450 && marked >= 150, "{rows} rows, {marked} marked");
    }

    #[test]
    fn a_mapped_address_is_the_address() {
        assert_eq!(of("::ffff:8.8.8.8"), of("8.8.8.8"));
        assert!(of("8.8.8.8").asn.is_some());
        // Who translates for a client is not the client.
        assert_eq!(of("64:ff9b::808:808").asn, None);
    }

    #[test]
    fn nobodys_addresses_are_unknown() {
        for text in [
            "10.1.2.3",
            "127.0.0.1",
            "192.168.1.1",
            "100.64.0.1",
            "0.0.0.0",
            "255.255.255.255",
            "::",
            "::1",
            "fe80::1",
            "fc00::1",
            "2001:db8::1",
            "ff02::1",
            "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
        ] {
            assert_eq!(of(text), IpFacts::default(), "{text}");
        }
    }

    #[test]
    fn every_row_of_both_tables_can_be_read() {
        for (bytes, entries) in [(IP4, 500_000), (IP6, 250_000)] {
            let table = Table::new(bytes).unwrap();
            assert!(table.len() > entries, "{}", table.len());
            assert_eq!(table.iter().count(), table.len());
            for (key, index) in table.iter() {
                let facts = row(index).unwrap_or_else(|| panic!("{key}: no row {index}"));
                assert!(!(facts.relay && (facts.hosting || facts.vpn)), "{facts:?}");
                assert_eq!(encode(&facts).unwrap(), ROWS[index as usize * ROW..][..ROW]);
            }
        }
        assert_eq!(row(0), Some(IpFacts::default()));
        assert_eq!(row(u32::MAX), None);
    }

    #[test]
    fn autonomous_systems_have_names() {
        assert_eq!(organisation(13335), Some("Cloudflare, Inc."));
        assert_eq!((organisation(0), organisation(u32::MAX)), (None, None));
        let (asns, names) = (Table::new(ASNS).unwrap(), Strings::new(ASN_NAMES).unwrap());
        assert!(asns.len() > 80_000, "{}", asns.len());
        assert!(asns.iter().all(|(_, name)| names.get(name).is_some_and(|name| !name.is_empty())));
    }

    #[test]
    fn mobile_operators_on_one_list_alone_are_no_data_centres() {
        // AS 36873 (Airtel) and AS 29465 (MTN) are on one of two lists of hosting companies.
        assert_eq!((of("105.112.1.1").asn, of("105.112.1.1").hosting), (Some(36873), false));
    }

    #[test]
    fn an_as_number_that_does_not_fit_is_refused() {
        assert_eq!(encode(&IpFacts { asn: Some(1 << 24), ..IpFacts::default() }), None);
    }
}

//! Addresses: country, autonomous system, and what kind of place it is.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;

use ipnet::IpNet;
use maxminddb::Reader;
use seawall_core::country::Country;
use seawall_core::intel::IpFacts;
use seawall_core::intel::ip::{encode, upper_half};
use seawall_core::intel::strings;
use seawall_core::intel::table::{self, Shape};

use super::layers::Layer;
use super::read::{From, words};
use super::{File, file};

/// The exits' list knows IPv4 alone.
const RELAY_NETWORKS: &str = include_str!("../../../data/relay_networks.txt");

/// Networks that belong to nobody (RFC 6890) or to whoever translates (Teredo, 6to4); a source that has a
/// country for one of them is wrong. Of IPv6, only 2000::/3 is given out at all.
const NOBODYS: &str = "0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 \
    192.0.2.0/24 192.168.0.0/16 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 224.0.0.0/3 ::/3 2001::/23 \
    2001:db8::/32 2002::/16 3fff::/20 4000::/2 8000::/1";

/// An autonomous system is a relay's own when at least one in so many of its IPv4 addresses is a relay's exit.
const RELAYS_OWN: u64 = 4;

/// Greater numbers are for private use (RFC 6996) or unassigned, and announced by mistake.
const PRIVATE_ASN: u32 = 1 << 24;

/// All that is known of one address family.
struct Family {
    asn: Layer<u32>,
    country: Layer<Country>,
    hosting: Layer<()>,
    vpn: Layer<()>,
    relay: Layer<()>,
    nobodys: Layer<()>,
}

/// What is known of autonomous systems as wholes.
struct Systems {
    /// Both lists call them hosting. One list alone is not enough: each names mobile operators.
    hosting: BTreeSet<u32>,
    /// They announce exits of the relay.
    relaying: BTreeSet<u32>,
    /// The relay's own: what is not listed as an exit is at least no data centre.
    relays_own: BTreeSet<u32>,
}

pub fn build(from: &From) -> Result<Vec<File>, String> {
    let names = names(from)?;
    let (four, six) = (family(from, 4)?, family(from, 6)?);
    let systems = systems(from, &four)?;
    let (four, six) = (rows(&four, &systems), rows(&six, &systems));
    let order = by_use(four.iter().chain(&six));
    let table = |rows: &[(u64, IpFacts)]| {
        let entries: Vec<_> =
            rows.iter().map(|(key, facts)| (*key, order.get(facts).copied().unwrap_or(0))).collect();
        table::write(Shape { round_keys: true, values: true, block: 16 }, &entries)
            .ok_or("addresses do not fit")
    };
    let mut by_index: Vec<_> = order.iter().map(|(facts, index)| (*index, *facts)).collect();
    by_index.sort_by_key(|(index, _)| *index);
    let packed: Option<Vec<_>> = by_index.iter().map(|(_, facts)| encode(facts)).collect();
    let (asns, asn_names) = organisations(&names)?;
    Ok(vec![
        file("ip4.bin", table(&four)?),
        file("ip6.bin", table(&six)?),
        file("ip_rows.bin", packed.ok_or("an AS number has more than 24 bits")?.concat()),
        file("asn.bin", asns),
        file("asn_names.bin", asn_names),
    ])
}

fn family(from: &From, version: u8) -> Result<Family, String> {
    let layer = |words: &[String]| -> Result<Layer<()>, String> {
        Ok(Layer::new(nets(words, version)?.into_iter().map(|(from, to)| (from, to, ())).collect()))
    };
    let nets = |name: &str| layer(&from.words(name)?);
    let nobodys: Vec<String> = NOBODYS.split(' ').map(str::to_owned).collect();
    let mut asn = Vec::new();
    for row in from.csv(&format!("ip/asn-ipv{version}.csv.gz"), false)? {
        let [first, last, number, _] = row.as_slice() else { return Err(format!("asn: {row:?}")) };
        let number = number.parse().map_err(|_| format!("asn: {row:?}"))?;
        if number < PRIVATE_ASN {
            asn.push((key(first)?, key(last)?, number));
        }
    }
    Ok(Family {
        asn: Layer::new(asn),
        country: countries(from, version)?,
        hosting: nets(&format!("ip/x4bnet_datacenter_ipv{version}.txt"))?,
        vpn: nets(&format!("ip/x4bnet_vpn_ipv{version}.txt"))?,
        relay: match version {
            4 => nets("ip/apple_private_relay_from_x4bnet.txt")?,
            _ => layer(&words(RELAY_NETWORKS))?,
        },
        nobodys: layer(&nobodys)?,
    })
}

fn countries(from: &From, version: u8) -> Result<Layer<Country>, String> {
    let name = format!("ip/geo-whois-asn-country-ipv{version}.mmdb");
    let reader = Reader::from_source(from.bytes(&name)?).map_err(|error| format!("{name}: {error}"))?;
    let wrong = |error: maxminddb::MaxMindDbError| format!("{name}: {error}");
    let everything = if version == 4 { "0.0.0.0/0" } else { "::/0" }.parse().map_err(|_| "no network")?;
    let mut ranges = Vec::new();
    for found in reader.within(everything, Default::default()).map_err(wrong)? {
        let found = found.map_err(wrong)?;
        let record: Option<BTreeMap<String, String>> = found.decode().map_err(wrong)?;
        let country = record.and_then(|record| Country::parse(record.get("country_code")?));
        if let Some(country) = country {
            let net = found.network().map_err(wrong)?.to_string();
            ranges.extend(nets(&[net], version)?.into_iter().map(|(from, to)| (from, to, country)));
        }
    }
    Ok(Layer::new(ranges))
}

/// The ranges of those networks that are of this version.
fn nets(texts: &[String], version: u8) -> Result<Vec<(u64, u64)>, String> {
    let mut ranges = Vec::new();
    for text in texts {
        let net: IpNet = text.parse().map_err(|_| format!("{text} is no network"))?;
        if matches!(net, IpNet::V4(_)) == (version == 4) {
            ranges.push((bits(net.network()), bits(net.broadcast())));
        }
    }
    Ok(ranges)
}

fn key(text: &str) -> Result<u64, String> {
    text.parse().map(bits).map_err(|_| format!("{text} is no address"))
}

fn bits(ip: IpAddr) -> u64 {
    match ip {
        IpAddr::V4(ip) => u64::from(ip.to_bits()),
        IpAddr::V6(ip) => upper_half(ip.to_bits()),
    }
}

fn systems(from: &From, four: &Family) -> Result<Systems, String> {
    let number = |word: &str| word.trim_start_matches("AS").parse::<u32>().ok();
    let one: BTreeSet<u32> =
        from.words("ip/x4bnet_datacenter_asn.txt")?.iter().filter_map(|w| number(w)).collect();
    let rows = from.csv("ip/bad_asn_list.csv", true)?;
    let other: BTreeSet<u32> = rows.iter().filter_map(|row| number(row.first()?)).collect();
    let mut sizes: BTreeMap<u32, u64> = BTreeMap::new();
    for (from, to, asn) in four.asn.ranges() {
        *sizes.entry(*asn).or_default() += to - from + 1;
    }
    let mut exits: BTreeMap<u32, u64> = BTreeMap::new();
    for (from, to, ()) in four.relay.ranges() {
        if let Some(asn) = four.asn.at(*from) {
            *exits.entry(asn).or_default() += to - from + 1;
        }
    }
    let own = |(asn, exits): (&u32, &u64)| (exits * RELAYS_OWN >= *sizes.get(asn)?).then_some(*asn);
    Ok(Systems {
        hosting: one.intersection(&other).copied().collect(),
        relays_own: exits.iter().filter_map(own).collect(),
        relaying: exits.into_keys().collect(),
    })
}

/// The facts from point to point, each where they change.
fn rows(family: &Family, systems: &Systems) -> Vec<(u64, IpFacts)> {
    let Family { asn, country, hosting, vpn, relay, nobodys } = family;
    let points = asn.points().chain(country.points()).chain(hosting.points()).chain(vpn.points());
    let points: BTreeSet<u64> = points.chain(relay.points()).chain(nobodys.points()).collect();
    let mut rows: Vec<(u64, IpFacts)> = Vec::new();
    for point in points {
        let facts = facts(family, systems, point);
        if rows.last().map(|row| row.1) != Some(facts) {
            rows.push((point, facts));
        }
    }
    rows
}

fn facts(family: &Family, systems: &Systems, key: u64) -> IpFacts {
    if family.nobodys.at(key).is_some() {
        return IpFacts::default();
    }
    let asn = family.asn.at(key);
    let own = asn.is_some_and(|asn| systems.relays_own.contains(&asn));
    let relay = family.relay.at(key).is_some();
    let by_asn = asn.is_some_and(|asn| systems.hosting.contains(&asn) && !systems.relaying.contains(&asn));
    IpFacts {
        // An exit is registered where the relay is, not where its user is.
        country: family.country.at(key).filter(|_| !relay),
        asn,
        hosting: !relay && !own && (by_asn || family.hosting.at(key).is_some()),
        vpn: !relay && family.vpn.at(key).is_some(),
        relay,
        ..IpFacts::default()
    }
}

/// An index for each row, the most used the smallest. Row 0 knows nothing.
fn by_use<'a>(rows: impl Iterator<Item = &'a (u64, IpFacts)>) -> HashMap<IpFacts, u32> {
    let mut uses: HashMap<IpFacts, u32> = HashMap::new();
    rows.for_each(|(_, facts)| *uses.entry(*facts).or_default() += 1);
    uses.remove(&IpFacts::default());
    let mut order: Vec<_> = uses.into_iter().collect();
    order.sort_by_key(|(facts, uses)| (u32::MAX - uses, facts.country, facts.asn, encode(facts)));
    let known = order.into_iter().map(|(facts, _)| facts);
    std::iter::once(IpFacts::default()).chain(known).zip(0..).collect()
}

/// The name of each autonomous system: the one that most of its ranges have.
fn names(from: &From) -> Result<BTreeMap<u32, String>, String> {
    let mut counted: BTreeMap<u32, BTreeMap<String, u32>> = BTreeMap::new();
    for version in [4, 6] {
        for row in from.csv(&format!("ip/asn-ipv{version}.csv.gz"), false)? {
            if let [_, _, asn, name] = row.as_slice() {
                let asn = asn.parse().map_err(|_| format!("asn: {row:?}"))?;
                if asn >= PRIVATE_ASN {
                    continue;
                }
                *counted.entry(asn).or_default().entry(name.clone()).or_default() += 1;
            }
        }
    }
    let most =
        |names: BTreeMap<String, u32>| names.into_iter().max_by_key(|(_, uses)| *uses).map(|(name, _)| name);
    Ok(counted.into_iter().filter_map(|(asn, names)| Some((asn, most(names)?))).collect())
}

fn organisations(names: &BTreeMap<u32, String>) -> Result<(Vec<u8>, Vec<u8>), String> {
    let mut uses: BTreeMap<&String, usize> = BTreeMap::new();
    names.values().for_each(|name| *uses.entry(name).or_default() += 1);
    let mut distinct: Vec<_> = uses.into_iter().collect();
    distinct.sort_by_key(|(name, uses)| (usize::MAX - uses, *name));
    let distinct: Vec<&String> = distinct.into_iter().map(|(name, _)| name).collect();
    let index: HashMap<&String, u32> = distinct.iter().copied().zip(0..).collect();
    let entries: Vec<_> =
        names.iter().filter_map(|(asn, name)| Some((u64::from(*asn), *index.get(name)?))).collect();
    let table = table::write(Shape { round_keys: false, values: true, block: 32 }, &entries);
    table.zip(strings::write(16, &distinct)).ok_or_else(|| "organisations do not fit".to_owned())
}

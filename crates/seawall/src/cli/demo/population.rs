//! People: who comes when, from where, and what they do with the code they receive. A seed repeats the day.

use std::net::Ipv4Addr;

use seawall_core::client_ip::ClientIp;
use seawall_core::country::Country;
use seawall_core::intel::ip;
use seawall_core::msisdn::Msisdn;

use super::attack;
use super::chance::Chance;

/// A day, milliseconds.
pub const DAY: i64 = 86_400_000;
/// People on that day.
const PEOPLE: usize = 1100;
/// People among them whose numbers lie in the very block that the attack uses: whoever stops it by the block
/// alone hurts some of them, and the demo shows how many.
const NEIGHBOURS: usize = 8;
/// Addresses behind which a country's carriers hide most of their customers.
const SHARED_ADDRESSES: u64 = 12;
/// Random addresses tried until one lies in a country; the smallest of ours has one in some ten thousand.
const TRIES: u32 = 200_000;

/// Where people come from.
pub struct Land {
    /// ISO 3166-1 alpha-2.
    pub iso: &'static str,
    /// What an SMS costs, micro-USD. Round figures near list prices.
    pub price: i64,
    weight: u64,
    utc_offset: i64,
    stems: &'static [&'static str],
    digits: u32,
    octet: u8,
}

const fn land(
    iso: &'static str,
    price: i64,
    weight: u64,
    utc_offset: i64,
    stems: &'static [&'static str],
    digits: u32,
    octet: u8,
) -> Land {
    Land { iso, price, weight, utc_offset, stems, digits, octet }
}

/// The countries of the demo.
#[rustfmt::skip] // one country a line reads as the table that it is
pub static LANDS: &[Land] = &[
    land("ID", 310_000, 25, 7, &["+62811", "+62812", "+62813", "+62852"], 8, 103),
    land("IN",  60_000, 20, 5, &["+9198", "+9199", "+9190"],              8, 117),
    land("BR",  20_000, 15, -3, &["+55119", "+55219", "+55319"],          8, 177),
    land("PH", 190_000, 12, 8, &["+63917", "+63918", "+63927"],           7, 112),
    land("UZ", 141_000, 10, 5, &["+99890", "+99891", "+99893", "+99894"], 7, 84),
    land("GB",  45_000,  8, 0, &["+447400", "+447520", "+447700"],        6, 81),
    land("DE",  80_000,  6, 1, &["+49170", "+49171", "+49172"],           7, 91),
    land("SG",  46_000,  4, 8, &["+6591", "+6592", "+6596"],              6, 116),
];

/// What a person does after asking for a code. Times in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conduct {
    /// Types the code in, perhaps wrongly at first.
    Confirms { after: i64, mistypes: bool },
    /// Asks again first, some sooner than they may.
    AsksAgain { after: i64, then: i64 },
    /// Is never heard of again.
    Leaves,
}

/// One person's visit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Visit {
    /// Milliseconds into the day.
    pub at: i64,
    /// Their number.
    pub to: Msisdn,
    /// Their country.
    pub iso: &'static str,
    /// Their address.
    pub ip: Ipv4Addr,
    /// What they do.
    pub conduct: Conduct,
}

/// Everybody who comes on the day, in order.
pub fn day(seed: u64) -> Vec<Visit> {
    let mut chance = Chance::new(seed);
    let mut visits: Vec<Visit> = (NEIGHBOURS..PEOPLE).filter_map(|_| visit(&mut chance)).collect();
    visits.extend((0..NEIGHBOURS).filter_map(|_| neighbour(&mut chance)));
    visits.sort_by_key(|visit| visit.at);
    visits
}

fn visit(chance: &mut Chance) -> Option<Visit> {
    let land = choose(chance)?;
    let to = number(chance, land)?;
    Some(visit_of(chance, land, to))
}

fn visit_of(chance: &mut Chance, land: &Land, to: Msisdn) -> Visit {
    Visit { at: hour(chance, land), to, iso: land.iso, ip: address(chance, land), conduct: conduct(chance) }
}

fn neighbour(chance: &mut Chance) -> Option<Visit> {
    let land = LANDS.iter().find(|land| land.iso == attack::COUNTRY)?;
    let to = Msisdn::from_e164(&format!("{}{:04}", attack::BLOCK, chance.below(10_000)))?;
    Some(visit_of(chance, land, to))
}

fn choose(chance: &mut Chance) -> Option<&'static Land> {
    let all: u64 = LANDS.iter().map(|land| land.weight).sum();
    let mut place = chance.below(all);
    LANDS.iter().find(|land| {
        let here = place < land.weight;
        place = place.saturating_sub(land.weight);
        here
    })
}

/// A number that its country's plan knows.
fn number(chance: &mut Chance, land: &Land) -> Option<Msisdn> {
    (0..100).find_map(|_| {
        let stem = land.stems.get(usize::try_from(chance.below(land.stems.len() as u64)).ok()?)?;
        let rest = chance.below(10u64.pow(land.digits));
        let text = format!("{stem}{rest:0width$}", width = land.digits as usize);
        Msisdn::parse(&text, None).ok().filter(|parsed| parsed.valid).map(|parsed| parsed.msisdn)
    })
}

/// Few come at four in the morning, most in the early evening, by the clock where they live.
fn hour(chance: &mut Chance, land: &Land) -> i64 {
    for _ in 0..64 {
        let at = i64::try_from(chance.below(DAY.unsigned_abs())).unwrap_or(0);
        let local = (at + land.utc_offset * 3_600_000).rem_euclid(DAY);
        let turn = (local as f64 / DAY as f64 - 4.0 / 24.0) * std::f64::consts::TAU;
        if chance.unit() < 0.12 + 0.88 * (1.0 - turn.cos()) / 2.0 {
            return at;
        }
    }
    DAY / 2
}

/// More than half of all phones share an address with many others.
fn address(chance: &mut Chance, land: &Land) -> Ipv4Addr {
    if chance.percent(55) {
        let host = chance.below(SHARED_ADDRESSES);
        return at_home(&mut Chance::new(u64::from(land.octet) * 1000 + host), land);
    }
    at_home(chance, land)
}

/// An address that the tables know as a home or a phone of the country: from elsewhere, or from a data centre,
/// people would look like what they are not.
fn at_home(chance: &mut Chance, land: &Land) -> Ipv4Addr {
    let country = Country::parse(land.iso);
    let drawn = |_| {
        let [a, b, c, d, ..] = chance.next().to_le_bytes();
        Ipv4Addr::new(a, b, c, d.clamp(1, 254))
    };
    let fits = |ip: &Ipv4Addr| {
        let known = ip::facts(ClientIp::from_ip((*ip).into()));
        known.country == country && !known.hosting && !known.vpn
    };
    (0..TRIES).map(drawn).find(fits).unwrap_or(Ipv4Addr::new(land.octet, 10, 0, 1))
}

fn conduct(chance: &mut Chance) -> Conduct {
    let delay = chance.log_normal(24_000.0, 0.8).clamp(5_000, 240_000);
    match chance.below(100) {
        0..14 => Conduct::Leaves,
        14..26 => {
            let after = 9_000 + i64::try_from(chance.below(60_000)).unwrap_or(0);
            Conduct::AsksAgain { after, then: delay }
        }
        _ => Conduct::Confirms { after: delay, mistypes: chance.percent(8) },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_the_day() {
        assert_eq!(day(1), day(1));
        assert_ne!(day(1), day(2));
    }

    #[test]
    fn everybody_has_a_number_and_every_country_sends_someone() {
        let visits = day(7);
        assert_eq!(visits.len(), PEOPLE);
        assert!(visits.windows(2).all(|two| two[0].at <= two[1].at));
        for land in LANDS {
            assert!(visits.iter().any(|visit| visit.iso == land.iso), "{}", land.iso);
        }
    }
}

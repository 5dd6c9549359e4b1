//! The two embedded tables: mobile plans and networks. Where they come from stands at the head of each.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::country::Country;

const PLANS: &str = include_str!("data/plans.tsv");
const NETWORKS: &str = include_str!("data/networks.tsv");

/// An operator's numbers.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The country.
    pub country: Country,
    /// The operator's name, as libphonenumber spells it.
    pub operator: &'static str,
    /// The autonomous system that its phones appear from.
    pub asn: u32,
    /// Digits after the stem.
    pub rest: u32,
    /// Leading digits, calling code included.
    pub stems: Vec<u64>,
}

/// A network that is announced on the internet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    /// The country that its addresses are in.
    pub country: Country,
    /// Whether machines, not people, live there.
    pub hosting: bool,
    /// The autonomous system that announces it.
    pub asn: u32,
    /// Its addresses.
    pub net: IpNet,
}

/// All operators' numbers.
pub fn plans() -> Vec<Plan> {
    rows(PLANS).filter_map(plan).collect()
}

/// All networks.
pub fn networks() -> Vec<Network> {
    rows(NETWORKS).filter_map(network).collect()
}

impl Network {
    /// Whether it holds IPv6 addresses.
    pub fn is_v6(&self) -> bool {
        matches!(self.net.addr(), IpAddr::V6(_))
    }
}

fn rows(table: &'static str) -> impl Iterator<Item = &'static str> {
    table.lines().filter(|line| !line.starts_with('#'))
}

fn plan(line: &'static str) -> Option<Plan> {
    let mut cells = line.split('\t');
    Some(Plan {
        country: Country::parse(cells.next()?)?,
        operator: cells.next()?,
        asn: cells.next()?.parse().ok()?,
        rest: cells.next()?.parse().ok()?,
        stems: cells.next()?.split(' ').map(str::parse).collect::<Result<_, _>>().ok()?,
    })
}

fn network(line: &'static str) -> Option<Network> {
    let mut cells = line.split('\t');
    Some(Network {
        country: Country::parse(cells.next()?)?,
        hosting: cells.next()? == "hosting",
        asn: cells.next()?.parse().ok()?,
        net: cells.next()?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::countries::COUNTRIES;

    #[test]
    fn every_row_is_read() {
        assert_eq!(plans().len(), rows(PLANS).count());
        assert_eq!(networks().len(), rows(NETWORKS).count());
    }

    #[test]
    fn every_country_has_numbers_and_both_kinds_of_addresses() {
        let (plans, networks) = (plans(), networks());
        for row in COUNTRIES {
            let here = |network: &&Network| network.country.as_str() == row.iso && !network.hosting;
            assert!(plans.iter().any(|plan| plan.country.as_str() == row.iso), "{}", row.iso);
            assert!(networks.iter().filter(here).any(|network| !network.is_v6()), "{}", row.iso);
            assert!(networks.iter().filter(here).any(Network::is_v6), "{}", row.iso);
        }
        assert!(networks.iter().filter(|network| network.hosting).count() > 60);
    }
}

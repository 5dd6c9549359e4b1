//! Where clients come from: shared addresses of mobile operators, offices, homes, hosting and VPN networks. All
//! of them lie in networks that are really announced in their country.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use super::rng::Rng;
use super::tables::Network;
use crate::country::Country;

/// An address and what an IP database would say of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address {
    /// The address.
    pub ip: IpAddr,
    /// Its autonomous system.
    pub asn: u32,
    /// Its country.
    pub country: Country,
    /// Whether it belongs to a hosting or VPN network.
    pub hosting: bool,
}

impl Network {
    /// Some address in it. Of IPv6, some /64 with some interface in it.
    pub fn address(&self, rng: &mut Rng) -> Address {
        let ip = match self.net {
            IpNet::V4(net) => {
                let host = rng.below(1 << (32 - u32::from(net.prefix_len()))) as u32;
                let tail = u32::try_from(rng.below(253)).unwrap_or(0) + 1;
                IpAddr::V4(Ipv4Addr::from((u32::from(net.network()) | host) & 0xffff_ff00 | tail))
            }
            IpNet::V6(net) => {
                let wide = u128::from(rng.bits()) << 64 | u128::from(rng.bits());
                IpAddr::V6(Ipv6Addr::from(u128::from(net.network()) | wide & (u128::MAX >> net.prefix_len())))
            }
        };
        self.holding(ip)
    }

    /// An address that is taken to be in this network.
    pub fn holding(&self, ip: IpAddr) -> Address {
        Address { ip, asn: self.asn, country: self.country, hosting: self.hosting }
    }

    /// `count` addresses next to each other, as a gateway of an operator has them.
    pub fn pool(&self, rng: &mut Rng, count: u8) -> Vec<Address> {
        let IpAddr::V4(first) = self.address(rng).ip else { return Vec::new() };
        let [a, b, c, d] = first.octets();
        let start = d.min(254u8.saturating_sub(count));
        (0..count).map(|n| self.holding(Ipv4Addr::new(a, b, c, start.saturating_add(n)).into())).collect()
    }
}

impl Address {
    /// Another interface in the same IPv6 /64: privacy addresses change by the day. IPv4 stays as it is.
    pub fn another_interface(self, rng: &mut Rng) -> Self {
        self.another_below(rng, 64)
    }

    /// Another address with the same leading bits, in IPv6. IPv4 stays as it is.
    pub fn another_below(self, rng: &mut Rng, bits: u32) -> Self {
        let IpAddr::V6(ip) = self.ip else { return self };
        let (mask, wide) =
            (u128::MAX >> bits.min(127), u128::from(rng.bits()) << 64 | u128::from(rng.bits()));
        Address { ip: Ipv6Addr::from(u128::from(ip) & !mask | wide & mask).into(), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::tables;

    #[test]
    fn addresses_lie_in_their_network() {
        let mut rng = Rng::new(1, "addresses");
        for network in tables::networks() {
            for _ in 0..20 {
                let address = network.address(&mut rng);
                assert!(network.net.contains(&address.ip), "{network:?} {address:?}");
                let near = address.another_below(&mut rng, 48);
                assert!(network.net.prefix_len() > 48 || network.net.contains(&near.ip), "{near:?}");
            }
            for address in network.pool(&mut rng, 15) {
                assert!(network.net.contains(&address.ip), "{network:?} {address:?}");
            }
        }
    }

    #[test]
    fn another_interface_keeps_the_64() {
        let mut rng = Rng::new(1, "addresses");
        let six = tables::networks().into_iter().find(Network::is_v6).unwrap().address(&mut rng);
        let (IpAddr::V6(a), IpAddr::V6(b)) = (six.ip, six.another_interface(&mut rng).ip) else { panic!() };
        assert_eq!(u128::from(a) >> 64, u128::from(b) >> 64);
        assert_ne!(a, b);
    }
}

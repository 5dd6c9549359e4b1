//! From the parts of a request to what is said of them: one table a kind of part, all of them exact.
//!
//! Ranges and networks are found by the lengths that are in use: a number has at most 15 beginnings and an
//! address 129 prefixes, of which few lengths ever occur, and each costs one look into a table. Every
//! network and every range that covers the value counts, not only the longest.

use std::net::IpAddr;

use ipnet::IpNet;

use super::NumberRange;
use super::part::{Part, Subject, folded};
use super::shards::Shards;
use crate::country::Country;
use crate::intel::OperatorCode;

/// What is said of parts of requests. Copying it is cheap.
#[derive(Clone)]
pub struct Matcher<T> {
    numbers: Shards<u64, T>,
    hashes: Shards<u64, T>,
    ranges: Shards<u64, T>,
    range_lengths: Lengths,
    v4: Shards<(u8, u32), T>,
    v4_lengths: Lengths,
    v6: Shards<(u8, u128), T>,
    v6_lengths: Lengths,
    asns: Shards<u32, T>,
    countries: Shards<Country, T>,
    ip_countries: Shards<Country, T>,
    senders: Shards<Box<str>, T>,
    users: Shards<Box<str>, T>,
    devices: Shards<Box<str>, T>,
    operators: Shards<OperatorCode, T>,
}

impl<T> Default for Matcher<T> {
    fn default() -> Self {
        Matcher {
            numbers: Shards::default(),
            hashes: Shards::default(),
            ranges: Shards::default(),
            range_lengths: Lengths::default(),
            v4: Shards::default(),
            v4_lengths: Lengths::default(),
            v6: Shards::default(),
            v6_lengths: Lengths::default(),
            asns: Shards::default(),
            countries: Shards::default(),
            ip_countries: Shards::default(),
            senders: Shards::default(),
            users: Shards::default(),
            devices: Shards::default(),
            operators: Shards::default(),
        }
    }
}

/// Lengths in use, with how often.
#[derive(Clone, Default)]
struct Lengths(Vec<(u8, usize)>);

impl Lengths {
    fn add(&mut self, length: u8) {
        match self.0.iter_mut().find(|(l, _)| *l == length) {
            Some((_, count)) => *count += 1,
            None => self.0.push((length, 1)),
        }
    }

    fn remove(&mut self, length: u8) {
        self.0.iter_mut().filter(|(l, _)| *l == length).for_each(|(_, count)| *count -= 1);
        self.0.retain(|(_, count)| *count > 0);
    }

    fn iter(&self) -> impl Iterator<Item = u8> {
        self.0.iter().map(|(length, _)| *length)
    }
}

/// The first bits of an IPv4 address.
fn v4_key(bits: u32, length: u8) -> (u8, u32) {
    (length, bits & u32::MAX.checked_shl(32_u32.saturating_sub(u32::from(length))).unwrap_or(0))
}

/// The first bits of an IPv6 address.
fn v6_key(bits: u128, length: u8) -> (u8, u128) {
    (length, bits & u128::MAX.checked_shl(128_u32.saturating_sub(u32::from(length))).unwrap_or(0))
}

impl<T: Clone> Matcher<T> {
    /// Says something of a part.
    pub fn insert(&mut self, part: &Part, said: T) {
        match part {
            Part::Msisdn(number) => self.numbers.insert(number.as_u64(), said),
            Part::Hash(hash) => self.hashes.insert(*hash, said),
            Part::NumberRange(range) => {
                self.range_lengths.add(range.len());
                self.ranges.insert(range.as_u64(), said);
            }
            Part::Ip(IpNet::V4(net)) => {
                self.v4_lengths.add(net.prefix_len());
                self.v4.insert(v4_key(net.network().to_bits(), net.prefix_len()), said);
            }
            Part::Ip(IpNet::V6(net)) => {
                self.v6_lengths.add(net.prefix_len());
                self.v6.insert(v6_key(net.network().to_bits(), net.prefix_len()), said);
            }
            Part::Asn(asn) => self.asns.insert(*asn, said),
            Part::Country(country) => self.countries.insert(*country, said),
            Part::IpCountry(country) => self.ip_countries.insert(*country, said),
            Part::SenderId(id) => self.senders.insert(folded(id.as_str()).into(), said),
            Part::User(name) => self.users.insert(name.clone(), said),
            Part::Device(name) => self.devices.insert(name.clone(), said),
            Part::Operator(code) => self.operators.insert(*code, said),
        }
    }

    /// Takes back one thing that was said of a part; false when it was not said.
    pub fn remove(&mut self, part: &Part, is_it: impl Fn(&T) -> bool) -> bool {
        match part {
            Part::Msisdn(number) => self.numbers.remove(&number.as_u64(), is_it),
            Part::Hash(hash) => self.hashes.remove(hash, is_it),
            Part::NumberRange(range) => {
                let gone = self.ranges.remove(&range.as_u64(), is_it);
                if gone {
                    self.range_lengths.remove(range.len());
                }
                gone
            }
            Part::Ip(IpNet::V4(net)) => {
                let gone = self.v4.remove(&v4_key(net.network().to_bits(), net.prefix_len()), is_it);
                if gone {
                    self.v4_lengths.remove(net.prefix_len());
                }
                gone
            }
            Part::Ip(IpNet::V6(net)) => {
                let gone = self.v6.remove(&v6_key(net.network().to_bits(), net.prefix_len()), is_it);
                if gone {
                    self.v6_lengths.remove(net.prefix_len());
                }
                gone
            }
            Part::Asn(asn) => self.asns.remove(asn, is_it),
            Part::Country(country) => self.countries.remove(country, is_it),
            Part::IpCountry(country) => self.ip_countries.remove(country, is_it),
            Part::SenderId(id) => self.senders.remove(&folded(id.as_str()).into(), is_it),
            Part::User(name) => self.users.remove(name, is_it),
            Part::Device(name) => self.devices.remove(name, is_it),
            Part::Operator(code) => self.operators.remove(code, is_it),
        }
    }

    /// What is said of exactly this part.
    pub fn of(&self, part: &Part, see: &mut dyn FnMut(&T)) {
        match part {
            Part::Msisdn(number) => self.numbers.get(&number.as_u64()).for_each(see),
            Part::Hash(hash) => self.hashes.get(hash).for_each(see),
            Part::NumberRange(range) => self.ranges.get(&range.as_u64()).for_each(see),
            Part::Ip(IpNet::V4(net)) => {
                self.v4.get(&v4_key(net.network().to_bits(), net.prefix_len())).for_each(see);
            }
            Part::Ip(IpNet::V6(net)) => {
                self.v6.get(&v6_key(net.network().to_bits(), net.prefix_len())).for_each(see);
            }
            Part::Asn(asn) => self.asns.get(asn).for_each(see),
            Part::Country(country) => self.countries.get(country).for_each(see),
            Part::IpCountry(country) => self.ip_countries.get(country).for_each(see),
            Part::SenderId(id) => self.senders.get(folded(id.as_str()).as_str()).for_each(see),
            Part::User(name) => self.users.get(&**name).for_each(see),
            Part::Device(name) => self.devices.get(&**name).for_each(see),
            Part::Operator(code) => self.operators.get(code).for_each(see),
        }
    }

    /// Forgets whatever is not to be kept.
    pub fn retain(&mut self, keep: impl Fn(&T) -> bool) {
        let keep = &keep;
        self.numbers.retain(|_, t| keep(t));
        self.hashes.retain(|_, t| keep(t));
        self.asns.retain(|_, t| keep(t));
        self.countries.retain(|_, t| keep(t));
        self.ip_countries.retain(|_, t| keep(t));
        self.senders.retain(|_, t| keep(t));
        self.users.retain(|_, t| keep(t));
        self.devices.retain(|_, t| keep(t));
        self.operators.retain(|_, t| keep(t));
        self.ranges.retain(|_, t| keep(t));
        self.v4.retain(|_, t| keep(t));
        self.v6.retain(|_, t| keep(t));
        // A length that is no longer in use costs a look that finds nothing; counting anew would cost more.
    }

    /// Names of users and devices that hold these digits. Looks at all of them.
    pub fn names_with(&self, digits: &str, see: &mut dyn FnMut(Part, &T)) {
        let holds = |name: &str| {
            let own = name.bytes().filter(u8::is_ascii_digit).map(char::from);
            name.len() >= digits.len() && own.collect::<String>().contains(digits)
        };
        for (name, said) in self.users.iter().filter(|(name, _)| holds(name)) {
            see(Part::User(name.clone()), said);
        }
        for (name, said) in self.devices.iter().filter(|(name, _)| holds(name)) {
            see(Part::Device(name.clone()), said);
        }
    }

    /// Everything that is said of any part of a request, in no defined order.
    pub fn each(&self, subject: &Subject<'_>, see: &mut dyn FnMut(&T)) {
        self.numbers.get(&subject.to.as_u64()).for_each(&mut *see);
        if !self.hashes.is_empty() {
            subject.hashes.iter().flatten().for_each(|hash| self.hashes.get(hash).for_each(&mut *see));
        }
        if !self.ranges.is_empty() {
            for range in self.range_lengths.iter().filter_map(|l| NumberRange::of(subject.to, l)) {
                self.ranges.get(&range.as_u64()).for_each(&mut *see);
            }
        }
        self.countries.get(&subject.country).for_each(&mut *see);
        if let Some(ip) = subject.ip {
            self.each_net(ip.ip(), see);
        }
        subject.asn.iter().for_each(|asn| self.asns.get(asn).for_each(&mut *see));
        subject.ip_country.iter().for_each(|c| self.ip_countries.get(c).for_each(&mut *see));
        subject.operator.iter().for_each(|code| self.operators.get(code).for_each(&mut *see));
        subject.user.iter().for_each(|user| self.users.get(*user).for_each(&mut *see));
        subject.device.iter().for_each(|device| self.devices.get(*device).for_each(&mut *see));
        if let Some(sender) = subject.sender.filter(|_| !self.senders.is_empty()) {
            self.senders.get(folded(sender).as_str()).for_each(&mut *see);
        }
    }

    fn each_net(&self, ip: IpAddr, see: &mut dyn FnMut(&T)) {
        match ip {
            IpAddr::V4(ip) if !self.v4.is_empty() => {
                let bits = ip.to_bits();
                self.v4_lengths.iter().for_each(|l| self.v4.get(&v4_key(bits, l)).for_each(&mut *see));
            }
            IpAddr::V6(ip) if !self.v6.is_empty() => {
                let bits = ip.to_bits();
                self.v6_lengths.iter().for_each(|l| self.v6.get(&v6_key(bits, l)).for_each(&mut *see));
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client_ip::ClientIp;
    use crate::list::ListKind;
    use crate::msisdn::Msisdn;
    use proptest::prelude::*;

    fn subject(to: u64, ip: &str) -> Subject<'static> {
        Subject {
            to: Msisdn::from_u64(to).unwrap(),
            hashes: [None; 4],
            country: Country::parse("SG").unwrap(),
            operator: None,
            ip: ClientIp::parse(ip),
            asn: None,
            ip_country: None,
            sender: None,
            user: None,
            device: None,
        }
    }

    fn said<T: Clone + Ord>(matcher: &Matcher<T>, subject: &Subject<'_>) -> Vec<T> {
        let mut found = Vec::new();
        matcher.each(subject, &mut |t| found.push(t.clone()));
        found.sort();
        found
    }

    #[test]
    fn every_range_and_network_that_covers_a_value_counts() {
        let mut matcher = Matcher::default();
        for (kind, text) in [
            (ListKind::NumberRange, "+6"),
            (ListKind::NumberRange, "+659"),
            (ListKind::NumberRange, "+6591234567"),
            (ListKind::NumberRange, "+658"),
            (ListKind::Ip, "0.0.0.0/0"),
            (ListKind::Ip, "203.0.113.0/24"),
            (ListKind::Ip, "203.0.113.9"),
            (ListKind::Ip, "203.0.114.0/24"),
            (ListKind::Ip, "::/0"),
            (ListKind::Ip, "2001:db8::/32"),
            (ListKind::Ip, "2001:db8::1"),
        ] {
            matcher.insert(&Part::parse(kind, text).unwrap(), text);
        }
        let four = ["+6", "+659", "+6591234567", "0.0.0.0/0", "203.0.113.0/24", "203.0.113.9"];
        assert_eq!(said(&matcher, &subject(6_591_234_567, "203.0.113.9")), four);
        assert_eq!(
            said(&matcher, &subject(998_931_234_567, "2001:db8::1")),
            ["2001:db8::/32", "2001:db8::1", "::/0"]
        );
        let net = Part::parse(ListKind::Ip, "203.0.113.0/24").unwrap();
        assert!(matcher.remove(&net, |t| *t == "203.0.113.0/24") && !matcher.remove(&net, |_| true));
        assert_eq!(said(&matcher, &subject(6_591_234_567, "203.0.113.9")).len(), 5);
        matcher.retain(|t| *t == "+6");
        assert_eq!(said(&matcher, &subject(6_591_234_567, "203.0.113.9")), ["+6"]);
    }

    #[test]
    fn every_kind_of_part_is_found() {
        let mut matcher = Matcher::default();
        for (kind, text) in [
            (ListKind::Msisdn, "+6591234567"),
            (ListKind::Msisdn, "hash:0000000000000007"),
            (ListKind::Asn, "64496"),
            (ListKind::Country, "SG"),
            (ListKind::IpCountry, "DE"),
            (ListKind::SenderId, "Acme"),
            (ListKind::User, "u1"),
            (ListKind::Device, "d1"),
        ] {
            matcher.insert(&Part::parse(kind, text).unwrap(), text);
        }
        matcher.insert(&Part::operator("52501").unwrap(), "52501");
        let mut all = subject(6_591_234_567, "203.0.113.9");
        assert_eq!(said(&matcher, &all), ["+6591234567", "SG"]);
        all = Subject {
            hashes: [Some(7), None, None, None],
            operator: OperatorCode::parse("52501"),
            asn: Some(64_496),
            ip_country: Country::parse("DE"),
            sender: Some("ACME"),
            user: Some("u1"),
            device: Some("d1"),
            ..all
        };
        assert_eq!(said(&matcher, &all).len(), 9);
        // A user's name is compared as it is, and a device is no user.
        let other = Subject { user: Some("U1"), device: Some("u1"), ..all };
        assert_eq!(said(&matcher, &other).len(), 7);
    }

    proptest! {
        #[test]
        fn networks_match_as_arithmetic_says(nets in prop::collection::vec((any::<u32>(), 0u8..33), 1..20),
                                             ip: u32, near: bool) {
            let mut matcher = Matcher::default();
            let nets: Vec<ipnet::Ipv4Net> =
                nets.into_iter().map(|(bits, l)| ipnet::Ipv4Net::new(bits.into(), l).unwrap().trunc()).collect();
            for (at, net) in nets.iter().enumerate() {
                matcher.insert(&Part::Ip(IpNet::V4(*net)), at);
            }
            let ip = std::net::Ipv4Addr::from_bits(if near { nets[0].network().to_bits() | (ip & 0xff) } else { ip });
            let wanted: Vec<usize> = (0..nets.len()).filter(|at| nets[*at].contains(&ip)).collect();
            prop_assert_eq!(said(&matcher, &subject(6_591_234_567, &ip.to_string())), wanted);
        }
    }
}

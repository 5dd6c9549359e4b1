//! Whose address a request comes from, when proxies stand in between.
//!
//! Only the part of a forwarding header that our own proxies wrote can be believed, and they write at its
//! right end. So we walk right to left and stop at the first address that is not ours, or at the first thing
//! that is not an address. What lies further left was written by the client and is never looked at.

use std::borrow::Cow;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Nobody has this many proxies; a longer chain is an attack or a loop.
const MAX_HOPS: usize = 32;
/// No honest element is this long. The bound keeps the cost of a 64 KiB header small.
const MAX_ELEMENT_BYTES: usize = 512;
/// The prefix of IPv4-mapped IPv6 addresses, `::ffff:0:0/96`.
const MAPPED_PREFIX: u8 = 96;

/// One address, canonical: an IPv4-mapped IPv6 address is the IPv4 address. There are no zones.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientIp(IpAddr);

/// The one header that is believed, and only from a trusted proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ForwardHeader {
    /// `X-Forwarded-For`: a list of addresses.
    XForwardedFor,
    /// `Forwarded` (RFC 7239): a list with parameters, of which `for` counts.
    Forwarded,
    /// A header of this name that holds one address, such as `cf-connecting-ip`.
    Single(String),
}

/// The networks that our own proxies live in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedProxies(Vec<IpNet>);

/// Why a list of trusted proxies is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TrustError {
    /// Everybody would be a trusted proxy and could claim any address.
    #[error("{0} trusts every address, so that any client can claim any IP; list your proxies' own networks")]
    Everyone(IpNet),
}

/// How sure we are of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Confidence {
    /// The header was in order, or there was nothing to believe.
    High,
    /// The header was not in order: the address is that of the last proxy we could follow.
    Low,
}

/// The answer to "who is this?".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// The address that limits, lists and the audit trail use.
    pub ip: ClientIp,
    /// How sure we are of it.
    pub confidence: Confidence,
    /// Someone who is no trusted proxy sent the header. Worth counting, not worth believing.
    pub ignored_headers: bool,
}

impl ClientIp {
    /// Reads exactly one address: no port, no brackets, no zone, no octal or shortened IPv4.
    pub fn parse(text: &str) -> Option<Self> {
        text.parse().ok().map(Self::from_ip)
    }

    /// Folds IPv4-mapped IPv6 by its bits, however it was spelt. NAT64 and 6to4 addresses stay IPv6: who
    /// translates for a client is not the client.
    pub fn from_ip(ip: IpAddr) -> Self {
        ClientIp(ip.to_canonical())
    }

    /// The address.
    pub fn ip(self) -> IpAddr {
        self.0
    }

    /// The key of the network around it: an IPv4 /24 or an IPv6 /48.
    pub fn network_bytes(self) -> [u8; 17] {
        self.wide_bucket_bytes().unwrap_or_else(|| {
            let mut bytes = self.bucket_bytes();
            // The prefix length, then four octets: the last one goes.
            if let Some(last) = bytes.get_mut(4) {
                *last = 0;
            }
            bytes
        })
    }

    /// The network around it as it is shown: `203.0.113.0/24`, of IPv6 the /48.
    pub fn network(self) -> String {
        match self.0 {
            IpAddr::V4(ip) => {
                let [a, b, c, _] = ip.octets();
                format!("{a}.{b}.{c}.0/24")
            }
            IpAddr::V6(ip) => {
                let [a, b, c, ..] = ip.segments();
                format!("{a:x}:{b:x}:{c:x}::/48")
            }
        }
    }

    /// The key of this client's limit: an IPv4 address, or an IPv6 /64, which is what one customer gets.
    /// The first byte is the prefix length, so no two kinds of key are ever equal.
    pub fn bucket_bytes(self) -> [u8; 17] {
        match self.0 {
            IpAddr::V4(ip) => key(32, &ip.octets()),
            IpAddr::V6(ip) => key(64, &masked(ip, 64)),
        }
    }

    /// The key of the wider limit on IPv6, a /48: its owner has 65,536 networks of /64 to rotate through.
    pub fn wide_bucket_bytes(self) -> Option<[u8; 17]> {
        match self.0 {
            IpAddr::V4(_) => None,
            IpAddr::V6(ip) => Some(key(48, &masked(ip, 48))),
        }
    }

    /// Whether this can be the address of someone's device, for `clientIp` in a request body. Private and
    /// documentation addresses can: customers' sandboxes, tests and internal users have them. The
    /// unspecified address, multicast and broadcast cannot.
    pub fn is_plausible_client(self) -> bool {
        let broadcast = self.0 == IpAddr::V4(Ipv4Addr::BROADCAST);
        !(self.0.is_unspecified() || self.0.is_multicast() || broadcast)
    }
}

fn masked(ip: Ipv6Addr, prefix: u32) -> [u8; 16] {
    let mask = u128::MAX.checked_shl(128_u32.saturating_sub(prefix)).unwrap_or(0);
    (ip.to_bits() & mask).to_be_bytes()
}

fn key(prefix: u8, octets: &[u8]) -> [u8; 17] {
    let mut out = [0; 17];
    for (place, byte) in out.iter_mut().zip(std::iter::once(&prefix).chain(octets)) {
        *place = *byte;
    }
    out
}

impl fmt::Display for ClientIp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for ClientIp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl Serialize for ClientIp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for ClientIp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        ClientIp::parse(&text)
            .ok_or_else(|| serde::de::Error::custom("not an IP address; send one address, without a port"))
    }
}

impl ForwardHeader {
    /// The header that is configured by this name, in any case.
    pub fn from_name(name: &str) -> Self {
        match name.to_ascii_lowercase() {
            name if name == "x-forwarded-for" => ForwardHeader::XForwardedFor,
            name if name == "forwarded" => ForwardHeader::Forwarded,
            name => ForwardHeader::Single(name),
        }
    }

    /// The header's name in lower case.
    pub fn name(&self) -> &str {
        match self {
            ForwardHeader::XForwardedFor => "x-forwarded-for",
            ForwardHeader::Forwarded => "forwarded",
            ForwardHeader::Single(name) => name,
        }
    }
}

impl TrustedProxies {
    /// Normalises the networks: host bits are cleared, and networks of IPv4-mapped addresses become IPv4.
    /// A network of everybody is refused unless `allow_any`.
    pub fn new(nets: Vec<IpNet>, allow_any: bool) -> Result<Self, TrustError> {
        let nets: Vec<IpNet> = nets.into_iter().map(normalised).collect();
        match nets.iter().find(|net| net.prefix_len() == 0) {
            Some(everyone) if !allow_any => Err(TrustError::Everyone(*everyone)),
            _ => Ok(TrustedProxies(nets)),
        }
    }

    /// The networks as they are used; they differ from those given where these were normalised.
    pub fn nets(&self) -> &[IpNet] {
        &self.0
    }

    /// Whether an address is one of our proxies'.
    pub fn contains(&self, ip: ClientIp) -> bool {
        self.0.iter().any(|net| net.contains(&ip.ip()))
    }
}

fn normalised(net: IpNet) -> IpNet {
    let net = net.trunc();
    let prefix = net.prefix_len().checked_sub(MAPPED_PREFIX);
    match (net.addr().to_canonical(), prefix) {
        (IpAddr::V4(ip), Some(prefix)) => Ipv4Net::new(ip, prefix).map_or(net, IpNet::V4),
        _ => net,
    }
}

/// Finds the client behind our proxies.
///
/// `peer` is who is connected to us, `values` are the occurrences of `header` in the order in which they
/// arrived. Nothing is allocated, and the work is bounded whatever the header's size.
pub fn resolve<'a>(
    peer: IpAddr,
    trust: &TrustedProxies,
    header: &ForwardHeader,
    mut values: impl DoubleEndedIterator<Item = &'a [u8]>,
) -> Resolved {
    let peer = ClientIp::from_ip(peer);
    if !trust.contains(peer) {
        return Resolved { ip: peer, confidence: Confidence::High, ignored_headers: values.next().is_some() };
    }
    let (ip, confidence) = match header {
        ForwardHeader::XForwardedFor => walk(peer, trust, elements(values, Quotes::Plain).map(plain_node)),
        ForwardHeader::Forwarded => walk(peer, trust, elements(values, Quotes::Aware).map(forwarded_node)),
        ForwardHeader::Single(_) => single(peer, values),
    };
    Resolved { ip, confidence, ignored_headers: false }
}

/// Follows the chain from its right end. A hop that cannot be read ends it: never skip, never guess.
fn walk(
    peer: ClientIp,
    trust: &TrustedProxies,
    hops: impl Iterator<Item = Option<ClientIp>>,
) -> (ClientIp, Confidence) {
    let mut last_good = peer;
    for (index, hop) in hops.enumerate() {
        match hop {
            Some(ip) if index < MAX_HOPS && trust.contains(ip) => last_good = ip,
            Some(ip) if index < MAX_HOPS => return (ip, Confidence::High),
            _ => return (last_good, Confidence::Low),
        }
    }
    (last_good, Confidence::High)
}

/// One value that is one address. Our proxy always sets it, so that a missing one is suspicious, too.
fn single<'a>(peer: ClientIp, mut values: impl Iterator<Item = &'a [u8]>) -> (ClientIp, Confidence) {
    match (values.next().and_then(text).and_then(ClientIp::parse), values.next()) {
        (Some(ip), None) => (ip, Confidence::High),
        _ => (peer, Confidence::Low),
    }
}

/// Whether commas inside quotes divide.
#[derive(Clone, Copy, PartialEq)]
enum Quotes {
    Plain,
    Aware,
}

/// The elements of all occurrences from right to left, without space around them; `None` for one that is
/// longer than any we would read.
fn elements<'a>(
    values: impl DoubleEndedIterator<Item = &'a [u8]>,
    quotes: Quotes,
) -> impl Iterator<Item = Option<&'a str>> {
    values.rev().flat_map(move |value| {
        let mut rest = Some(value);
        std::iter::from_fn(move || {
            let value = rest.take()?;
            let Some((left, element)) = last_element(value, quotes) else {
                return Some(None);
            };
            rest = left;
            Some(text(element))
        })
    })
}

/// Cuts the last element off. Reading backwards, a quote outside quotes closes a string and the next one
/// that is not escaped opens it, so that nothing further left can change where this element begins, as long
/// as our proxy closes the quotes that it opens.
fn last_element(value: &[u8], quotes: Quotes) -> Option<(Option<&[u8]>, &[u8])> {
    let mut quoted = false;
    for (length, byte) in value.iter().rev().take(MAX_ELEMENT_BYTES + 1).enumerate() {
        let at = value.len().checked_sub(length.checked_add(1)?)?;
        match byte {
            b'"' if quotes == Quotes::Aware => quoted ^= !quoted || !escaped(value.get(..at)?),
            b',' if !quoted => return Some((value.get(..at), value.get(at.checked_add(1)?..)?)),
            _ => {}
        }
    }
    (!quoted && value.len() <= MAX_ELEMENT_BYTES).then_some((None, value))
}

/// Whether what follows `before` is escaped: an odd number of backslashes precedes it.
fn escaped(before: &[u8]) -> bool {
    before.iter().rev().take(MAX_ELEMENT_BYTES).take_while(|byte| **byte == b'\\').count() % 2 == 1
}

/// Header text without the white space that HTTP allows around it (space and tab, nothing else).
fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok().map(|text| text.trim_matches([' ', '\t']))
}

/// An element of `X-Forwarded-For`.
fn plain_node(element: Option<&str>) -> Option<ClientIp> {
    node(element?)
}

/// An element of `Forwarded`: pairs divided by `;`, exactly one of them `for`.
fn forwarded_node(element: Option<&str>) -> Option<ClientIp> {
    let mut rest = element?;
    let mut found = None;
    loop {
        let (name, value, tail) = pair(rest)?;
        if name.eq_ignore_ascii_case("for") && found.replace(node(value)?).is_some() {
            return None;
        }
        match tail.strip_prefix(';') {
            Some(next) => rest = next,
            None => return if tail.is_empty() { found } else { None },
        }
    }
}

/// The first `name=value` of a text, and what follows it. The value is a token, or a string in quotes, which
/// is returned as it stands: a node that needs escapes is no address.
fn pair(text: &str) -> Option<(&str, &str, &str)> {
    let (name, rest) = text.split_once('=')?;
    let (value, tail) = match rest.strip_prefix('"') {
        Some(string) => {
            string_end(string).and_then(|end| Some((string.get(..end)?, string.get(end + 1..)?)))?
        }
        None => rest
            .split_at_checked(rest.find(';').unwrap_or(rest.len()))
            .filter(|(value, _)| is_token(value))?,
    };
    is_token(name).then_some((name, value, tail))
}

/// Where a string in quotes ends: at the first quote that no backslash escapes.
fn string_end(string: &str) -> Option<usize> {
    let mut escaped = false;
    string.bytes().position(|byte| {
        let end = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        end
    })
}

/// The characters of an HTTP token (RFC 9110).
fn is_token(text: &str) -> bool {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(known)
}

/// An address as proxies write it: `v4`, `v4:port`, `v6`, `[v6]` or `[v6]:port`.
fn node(text: &str) -> Option<ClientIp> {
    if let Some(inner) = text.strip_prefix('[') {
        let (address, tail) = inner.split_once(']')?;
        let ended = tail.is_empty() || tail.strip_prefix(':').is_some_and(is_port);
        return address.parse::<Ipv6Addr>().ok().filter(|_| ended).map(|ip| ClientIp::from_ip(ip.into()));
    }
    ClientIp::parse(text).or_else(|| {
        let (address, port) = text.split_once(':')?;
        address.parse::<Ipv4Addr>().ok().filter(|_| is_port(port)).map(|ip| ClientIp::from_ip(ip.into()))
    })
}

fn is_port(text: &str) -> bool {
    let digits = (1..=5).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    digits && text.parse::<u16>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    const PEER: &str = "10.0.0.1";

    fn trust() -> TrustedProxies {
        let nets = ["10.0.0.0/8", "2001:db8:ffff::/48"].map(|net| net.parse().unwrap());
        TrustedProxies::new(nets.to_vec(), false).unwrap()
    }

    fn ask(peer: &str, header: &ForwardHeader, values: &[&[u8]]) -> Resolved {
        resolve(peer.parse().unwrap(), &trust(), header, values.iter().copied())
    }

    fn check(vector: &str, header: &ForwardHeader, values: &[&str], want: &str, confidence: Confidence) {
        let bytes: Vec<&[u8]> = values.iter().map(|value| value.as_bytes()).collect();
        let got = ask(PEER, header, &bytes);
        assert_eq!(
            (got.ip.to_string().as_str(), got.confidence),
            (want, confidence),
            "vector {vector}: {values:?}"
        );
    }

    #[test]
    fn x_forwarded_for_vectors() {
        use Confidence::{High, Low};
        let many = |count| vec!["10.0.0.9"; count].join(",");
        let (hops32, hops33) = (many(32), many(33));
        let far = format!("203.0.113.9,{}", many(31));
        let blanks = ",".repeat(10_000);
        let long = "a".repeat(65_536);
        #[rustfmt::skip]
        let table: &[(&str, &[&str], &str, Confidence)] = &[
            ("1", &[], PEER, High),
            ("2", &["203.0.113.9"], "203.0.113.9", High),
            ("3", &["1.1.1.1, 203.0.113.9"], "203.0.113.9", High),
            ("4", &["203.0.113.9, 10.0.0.7"], "203.0.113.9", High),
            ("6", &["1.1.1.1", "203.0.113.9"], "203.0.113.9", High),
            ("7", &["1.1.1.1, 203.0.113.9", "10.0.0.7, 10.0.0.8"], "203.0.113.9", High),
            ("8", &["203.0.113.9,10.0.0.7,"], PEER, Low),
            ("8 empty", &[""], PEER, Low),
            ("8 empty line", &["203.0.113.9", ""], PEER, Low),
            ("9", &[",,203.0.113.9"], "203.0.113.9", High),
            ("10", &["203.0.113.9, , 10.0.0.7"], "10.0.0.7", Low),
            ("11", &["unknown"], PEER, Low),
            ("11", &["_hidden"], PEER, Low),
            ("11", &["\"_SEVKISEK\""], PEER, Low),
            ("11", &["203.0.113.9, unknown, 10.0.0.7"], "10.0.0.7", Low),
            ("12", &["203.0.113.9:4711"], "203.0.113.9", High),
            ("12 bad port", &["203.0.113.9:"], PEER, Low),
            ("12 bad port", &["203.0.113.9:65536"], PEER, Low),
            ("12 bad port", &["203.0.113.9:+80"], PEER, Low),
            ("12 bad port", &["203.0.113.9:80:80"], PEER, Low),
            ("13", &["[2001:db8::1]:4711"], "2001:db8::1", High),
            ("13", &["[2001:db8::1]"], "2001:db8::1", High),
            ("13", &["2001:db8::1"], "2001:db8::1", High),
            ("13 bad", &["[2001:db8::1"], PEER, Low),
            ("13 bad", &["[2001:db8::1]4711"], PEER, Low),
            ("13 bad", &["[203.0.113.9]"], PEER, Low),
            ("14", &["2001:db8::1:4711"], "2001:db8::1:4711", High),
            ("15", &["::ffff:203.0.113.9"], "203.0.113.9", High),
            ("15", &["::ffff:cb00:7109"], "203.0.113.9", High),
            ("15", &["[::ffff:cb00:7109]:80"], "203.0.113.9", High),
            ("16", &["203.0.113.9, ::ffff:10.0.0.7"], "203.0.113.9", High),
            ("16", &["::ffff:10.0.0.7"], "10.0.0.7", High),
            ("17", &["2001:db8:1:2::203.0.113.9"], "2001:db8:1:2::cb00:7109", High),
            ("18", &["64:ff9b::203.0.113.9"], "64:ff9b::cb00:7109", High),
            ("18", &["2002:cb00:7109::1"], "2002:cb00:7109::1", High),
            ("19", &["fe80::1%eth0"], PEER, Low),
            ("19", &["[fe80::1%1]:80"], PEER, Low),
            ("20", &["127.0.0.1"], "127.0.0.1", High),
            ("21", &["10.1.2.3, 203.0.113.9"], "203.0.113.9", High),
            ("21", &["10.1.2.3"], "10.1.2.3", High),
            ("22", &["0177.0.0.1"], PEER, Low),
            ("22", &["127.1"], PEER, Low),
            ("22", &["2130706433"], PEER, Low),
            ("22", &["0x7f.1"], PEER, Low),
            ("22", &["203.0.113.09"], PEER, Low),
            ("23", &["203.0.113.9%0d%0aX: y"], PEER, Low),
            ("23", &["203.0.113.9\r\nX: y"], PEER, Low),
            ("23", &["203.0.113.9\0"], PEER, Low),
            ("23", &["203.0.113\t.9"], PEER, Low),
            ("23", &["203.0.113.9\u{a0}"], PEER, Low),
            ("23", &["２０３.0.113.9"], PEER, Low),
            ("24", &["\t203.0.113.9 \t"], "203.0.113.9", High),
            ("24", &["\u{2003}203.0.113.9"], PEER, Low),
            ("25", &[&blanks], PEER, Low),
            ("25", &[&long], PEER, Low),
            ("26", &[&hops33], "10.0.0.9", Low),
            ("26 at the bound", &[&hops32], "10.0.0.9", High),
            ("26 at the bound", &[&far], "203.0.113.9", High),
        ];
        for (vector, values, want, confidence) in table {
            check(vector, &ForwardHeader::XForwardedFor, values, want, *confidence);
        }
    }

    #[test]
    fn forwarded_vectors() {
        use Confidence::{High, Low};
        let rfc = "for=192.0.2.60;proto=http;by=203.0.113.43, for=\"[2001:db8::1]:80\"";
        #[rustfmt::skip]
        let table: &[(&str, &[&str], &str, Confidence)] = &[
            ("30", &[rfc], "2001:db8::1", High),
            ("30", &["for=192.0.2.60;proto=http;by=203.0.113.43"], "192.0.2.60", High),
            ("30 port", &["for=\"192.0.2.60:80\""], "192.0.2.60", High),
            ("30 trusted hop", &["for=192.0.2.60, for=\"[2001:db8:ffff::7]\";by=_x"], "192.0.2.60", High),
            ("30 comma in quotes", &["for=192.0.2.60;host=\"a, for=6.6.6.6\""], "192.0.2.60", High),
            ("30 escape in quotes", &["for=192.0.2.60;host=\"a\\\", for=6.6.6.6\""], "192.0.2.60", High),
            ("30 backslash", &["for=6.6.6.6;host=\"a\\\\\", for=192.0.2.60;x=\"\\\\\""], "192.0.2.60", High),
            ("31", &["for=\"203.0.113.9\\\"\", for=x"], PEER, Low),
            ("31 escape", &["for=\"203.0.113.9\\\"\""], PEER, Low),
            ("31 open quote", &["for=\"203.0.113.9"], PEER, Low),
            ("31 open quote left", &["for=\", for=203.0.113.9"], "203.0.113.9", High),
            ("31 twice", &["for=203.0.113.9;for=203.0.113.9"], PEER, Low),
            ("31 missing", &["proto=http"], PEER, Low),
            ("31 empty", &["for="], PEER, Low),
            ("31 empty", &[""], PEER, Low),
            ("31 no pair", &["203.0.113.9"], PEER, Low),
            ("31 after quote", &["for=\"203.0.113.9\"x"], PEER, Low),
            ("31 not a token", &["for=203.0.113.9:80"], PEER, Low),
            ("31 not a token", &["for=[2001:db8::1]"], PEER, Low),
            ("32", &["FOR=203.0.113.9"], "203.0.113.9", High),
            ("32", &["  For=203.0.113.9\t"], "203.0.113.9", High),
            ("32 bad space", &["for=203.0.113.9 ;proto=http"], PEER, Low),
            ("32 bad space", &["for=203.0.113.9; proto=http"], PEER, Low),
            ("32 bad space", &["for= 203.0.113.9"], PEER, Low),
            ("11", &["for=unknown"], PEER, Low),
            ("11", &["for=\"_SEVKISEK\""], PEER, Low),
        ];
        for (vector, values, want, confidence) in table {
            check(vector, &ForwardHeader::Forwarded, values, want, *confidence);
        }
    }

    #[test]
    fn single_address_vectors() {
        use Confidence::{High, Low};
        let header = ForwardHeader::from_name("CF-Connecting-IP");
        assert_eq!(header.name(), "cf-connecting-ip");
        #[rustfmt::skip]
        let table: &[(&str, &[&str], &str, Confidence)] = &[
            ("29", &["203.0.113.9"], "203.0.113.9", High),
            ("29", &[" 2001:db8::1\t"], "2001:db8::1", High),
            ("29 missing", &[], PEER, Low),
            ("29 twice", &["203.0.113.9", "203.0.113.9"], PEER, Low),
            ("29 list", &["1.1.1.1, 203.0.113.9"], PEER, Low),
            ("29 port", &["203.0.113.9:80"], PEER, Low),
            ("29 empty", &[""], PEER, Low),
        ];
        for (vector, values, want, confidence) in table {
            check(vector, &header, values, want, *confidence);
        }
    }

    #[test]
    fn vector_5_strangers_are_not_believed() {
        let got = ask("198.51.100.5", &ForwardHeader::XForwardedFor, &[b"203.0.113.9"]);
        assert_eq!(got.ip, ClientIp::parse("198.51.100.5").unwrap());
        assert_eq!((got.confidence, got.ignored_headers), (Confidence::High, true));
        assert!(!ask("198.51.100.5", &ForwardHeader::XForwardedFor, &[]).ignored_headers);
        assert!(!ask(PEER, &ForwardHeader::XForwardedFor, &[b"203.0.113.9"]).ignored_headers);
        assert_eq!(ask("::ffff:10.0.0.1", &ForwardHeader::XForwardedFor, &[]).ip.to_string(), PEER);
    }

    #[test]
    fn vector_34_trusting_everyone_is_refused() {
        for net in ["0.0.0.0/0", "::/0", "::ffff:0:0/96", "10.0.0.1/0"] {
            let nets: Vec<IpNet> = vec![net.parse().unwrap()];
            assert!(
                matches!(TrustedProxies::new(nets.clone(), false), Err(TrustError::Everyone(_))),
                "{net}"
            );
            assert!(TrustedProxies::new(nets, true).is_ok(), "{net}");
        }
    }

    #[test]
    fn vector_35_networks_are_normalised() {
        let given = ["10.0.0.1/8", "::ffff:10.0.0.0/104", "2001:db8::1/32"].map(|net| net.parse().unwrap());
        let trust = TrustedProxies::new(given.to_vec(), false).unwrap();
        let nets: Vec<String> = trust.nets().iter().map(ToString::to_string).collect();
        assert_eq!(nets, ["10.0.0.0/8", "10.0.0.0/8", "2001:db8::/32"]);
    }

    #[test]
    fn vectors_38_and_39_buckets() {
        let ip = |text: &str| ClientIp::parse(text).unwrap();
        assert_eq!(ip("2001:db8:1:2::1").bucket_bytes(), ip("2001:db8:1:2:ffff::9").bucket_bytes());
        assert_ne!(ip("2001:db8:1:2::1").bucket_bytes(), ip("2001:db8:1:3::1").bucket_bytes());
        assert_eq!(ip("2001:db8:1:2::1").wide_bucket_bytes(), ip("2001:db8:1:3::1").wide_bucket_bytes());
        assert_ne!(ip("2001:db8:1::").wide_bucket_bytes(), Some(ip("2001:db8:1::").bucket_bytes()));
        assert_eq!(ip("::ffff:203.0.113.9").bucket_bytes(), ip("203.0.113.9").bucket_bytes());
        assert_eq!(ip("203.0.113.9").bucket_bytes()[..6], [32, 203, 0, 113, 9, 0]);
        assert_eq!(ip("203.0.113.9").wide_bucket_bytes(), None);
    }

    #[test]
    fn body_addresses() {
        for (text, plausible) in [
            ("203.0.113.9", true),
            ("2001:db8::1", true),
            ("10.1.2.3", true),
            ("127.0.0.1", true),
            ("0.0.0.0", false),
            ("::", false),
            ("::ffff:0.0.0.0", false),
            ("224.0.0.1", false),
            ("ff02::1", false),
            ("255.255.255.255", false),
        ] {
            assert_eq!(ClientIp::parse(text).unwrap().is_plausible_client(), plausible, "{text}");
        }
        for text in
            ["", " 203.0.113.9", "203.0.113.9:80", "[::1]", "fe80::1%1", "203.0.113.9/32", "localhost"]
        {
            assert_eq!(ClientIp::parse(text), None, "{text}");
        }
        let ip: ClientIp = serde_json::from_str("\"::ffff:cb00:7109\"").unwrap();
        assert_eq!(serde_json::to_string(&ip).unwrap(), "\"203.0.113.9\"");
        assert!(serde_json::from_str::<ClientIp>("\"nobody\"").is_err());
    }

    /// An element of a chain as someone may write it, good or bad, for either list header.
    fn element() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            "(for=)?(10\\.0\\.0\\.[1-9]|203\\.0\\.113\\.9|\"?\\[2001:db8::1\\]\"?|unknown|)"
                .prop_map(Vec::from),
            "[ \t\"\\\\,;=a-f0-9.:]{0,12}".prop_map(Vec::from),
            vec(any::<u8>(), 0..8),
        ]
    }

    proptest! {
        #[test]
        fn nothing_in_front_moves_an_untrusted_last_element(junk in vec(any::<u8>(), 0..200)) {
            let plain = [&b"6.6.6.6,"[..], &junk, b",203.0.113.9"].concat();
            let want = (ClientIp::parse("203.0.113.9").unwrap(), Confidence::High);
            let got = ask(PEER, &ForwardHeader::XForwardedFor, &[&plain]);
            prop_assert_eq!((got.ip, got.confidence), want);
            let pairs = [&b"for=6.6.6.6,"[..], &junk, b",for=203.0.113.9"].concat();
            let got = ask(PEER, &ForwardHeader::Forwarded, &[&pairs]);
            prop_assert_eq!((got.ip, got.confidence), want);
            let quoted = [&b"for=6.6.6.6,"[..], &junk, b",for=\"[2001:db8::1]:80\""].concat();
            let got = ask(PEER, &ForwardHeader::Forwarded, &[&quoted]);
            prop_assert_eq!(got.ip.to_string(), "2001:db8::1");
        }

        /// Whatever chain our proxies wrote: unless it is trusted to its left end, what stands further left
        /// (in the same line or in one before) does not count.
        #[test]
        fn nothing_in_front_moves_a_chain_that_has_ended(
            chain in vec(element(), 1..5),
            junk in vec(any::<u8>(), 0..80),
        ) {
            let chain = chain.join(&b","[..]);
            for header in [ForwardHeader::XForwardedFor, ForwardHeader::Forwarded] {
                let before = ask(PEER, &header, &[&chain]);
                let open = before.confidence == Confidence::High && trust().contains(before.ip);
                if open {
                    continue;
                }
                prop_assert_eq!(ask(PEER, &header, &[&junk, &chain]), before);
                // A proxy that leaves a quote open joins its element to what is left of it.
                if header == ForwardHeader::XForwardedFor || !chain.contains(&b'"') {
                    prop_assert_eq!(ask(PEER, &header, &[&[&junk[..], b",", &chain[..]].concat()]), before);
                }
            }
        }

        #[test]
        fn never_panics(values in vec(vec(any::<u8>(), 0..100), 0..4), pieces in vec(element(), 0..6)) {
            let joined = pieces.join(&b","[..]);
            let mut all: Vec<&[u8]> = values.iter().map(Vec::as_slice).collect();
            all.push(&joined);
            for name in ["x-forwarded-for", "forwarded", "x-real-ip"] {
                let _ = ask(PEER, &ForwardHeader::from_name(name), &all);
            }
        }
    }
}

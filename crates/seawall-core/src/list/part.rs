//! The parts of a request that lists and suspensions name, each in its one canonical form.

use std::net::IpAddr;

use ipnet::IpNet;

use super::{ListKind, NumberRange};
use crate::blind::BlindIndex;
use crate::client_ip::ClientIp;
use crate::country::Country;
use crate::intel::{IpFacts, NumberFacts, OperatorCode};
use crate::msisdn::{Msisdn, MsisdnError};
use crate::request::Request;
use crate::sender_id::{SenderId, SenderIdError};

/// Longest name of a user or a device.
const MAX_NAME: usize = 256;
/// The prefix of IPv4-mapped IPv6 addresses, `::ffff:0:0/96`.
const MAPPED_PREFIX: u8 = 96;

/// How the keyed hash of an erased value begins, 16 hexadecimal digits before its end.
const HASH: &str = "hash:";
/// What keyed hashes are of.
const SENDER: u8 = b'S';
const USER: u8 = b'U';
const DEVICE: u8 = b'D';

/// A value that an entry or a suspension names.
#[derive(Clone, PartialEq, Eq)]
pub enum Part {
    /// A number.
    Msisdn(Msisdn),
    /// A value that was erased because it names a person's number: its keyed hash ([`Part::hashed`]) is all that is left.
    Hash(u64),
    /// Numbers that begin alike.
    NumberRange(NumberRange),
    /// The end user's address or network: truncated, IPv4-mapped IPv6 folded.
    Ip(IpNet),
    /// The autonomous system of the end user's address.
    Asn(u32),
    /// The recipient's country.
    Country(Country),
    /// The country of the end user's address.
    IpCountry(Country),
    /// A sender ID; upper and lower case are alike, and so is a number with and without `+`.
    SenderId(SenderId),
    /// The app's user.
    User(Box<str>),
    /// The app's fingerprint of a device.
    Device(Box<str>),
    /// The operator that the number's range was given to.
    Operator(OperatorCode),
}

/// Why a text is not a value of a kind. No message repeats the value: it may be a person's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PartError {
    /// No number.
    #[error(transparent)]
    Msisdn(#[from] MsisdnError),
    /// No range.
    #[error("a number range is its first digits in E.164, 1 to 15 of them, such as \"+99893412\"")]
    NumberRange,
    /// No address.
    #[error("this is no address or network; use one such as \"203.0.113.7\" or \"2001:db8::/32\"")]
    Ip,
    /// No autonomous system.
    #[error("an autonomous system is its number, such as \"13335\" or \"AS13335\"")]
    Asn,
    /// No country.
    #[error("a country is two letters by ISO 3166-1, such as \"SG\"")]
    Country,
    /// No sender ID.
    #[error(transparent)]
    SenderId(#[from] SenderIdError),
    /// No name.
    #[error("this has to be 1 to 256 characters in one line")]
    Name,
    /// No operator.
    #[error("an operator is its MCC and MNC together, such as \"52501\"")]
    Operator,
}

impl Part {
    /// Reads a value in any usual spelling.
    pub fn parse(kind: ListKind, text: &str) -> Result<Self, PartError> {
        if let Some(hash) = kind.may_name_a_number().then(|| erased_hash(text)).flatten() {
            return Ok(Part::Hash(hash));
        }
        match kind {
            ListKind::Msisdn => Ok(Part::Msisdn(Msisdn::parse(text, None)?.msisdn)),
            ListKind::NumberRange => {
                NumberRange::parse(text).map(Part::NumberRange).ok_or(PartError::NumberRange)
            }
            ListKind::Ip => network(text.trim()).map(Part::Ip).ok_or(PartError::Ip),
            ListKind::Asn => asn(text.trim()).map(Part::Asn).ok_or(PartError::Asn),
            ListKind::Country => Ok(Part::Country(country(text)?)),
            ListKind::IpCountry => Ok(Part::IpCountry(country(text)?)),
            ListKind::SenderId => Ok(Part::SenderId(SenderId::parse(text.trim())?)),
            ListKind::User => name(text).map(Part::User),
            ListKind::Device => name(text).map(Part::Device),
        }
    }

    /// Reads an operator, which suspensions name and lists do not.
    pub fn operator(text: &str) -> Result<Self, PartError> {
        OperatorCode::parse(text.trim()).map(Part::Operator).ok_or(PartError::Operator)
    }

    /// The canonical text. May be personal data.
    pub fn text(&self) -> String {
        match self {
            Part::Msisdn(number) => number.to_e164(),
            Part::Hash(hash) => format!("{HASH}{hash:016x}"),
            Part::NumberRange(range) => range.to_string(),
            Part::Ip(net) => network_text(*net),
            Part::Asn(asn) => asn.to_string(),
            Part::Country(country) | Part::IpCountry(country) => country.to_string(),
            Part::SenderId(id) => id.to_string(),
            Part::User(name) | Part::Device(name) => name.to_string(),
            Part::Operator(code) => code.to_string(),
        }
    }

    /// What stands for it once it is erased, if it may name a person's number.
    pub fn hashed(&self, blind: &BlindIndex) -> Option<Part> {
        let digits = |number: Msisdn| Some(blind.msisdn(number));
        let hash = match self {
            Part::Msisdn(number) => digits(*number),
            // As a range it held one number.
            Part::NumberRange(range) => Msisdn::from_u64(range.as_u64()).and_then(digits),
            Part::SenderId(id) => Some(blind.text(SENDER, &folded(id.as_str()))),
            Part::User(name) => Some(blind.text(USER, name)),
            Part::Device(name) => Some(blind.text(DEVICE, name)),
            _ => None,
        };
        hash.map(Part::Hash)
    }

    /// The text by which two spellings of the same value are told to be one.
    pub fn key(&self) -> String {
        match self {
            Part::SenderId(id) => folded(id.as_str()),
            other => other.text(),
        }
    }

    /// The canonical text without a full number: fit for logs.
    pub fn masked(&self) -> String {
        match self {
            Part::Msisdn(number) => number.masked(),
            Part::NumberRange(range) => range.masked(),
            Part::SenderId(id) if id.is_numeric() => {
                NumberRange::parse(id.as_str()).map_or_else(|| id.to_string(), NumberRange::masked)
            }
            // Apps like to name their users by number or address.
            Part::User(_) | Part::Device(_) => "(hidden)".to_owned(),
            other => other.text(),
        }
    }
}

impl std::fmt::Debug for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.masked())
    }
}

/// A sender ID as it is compared.
pub(super) fn folded(sender: &str) -> String {
    sender.strip_prefix('+').unwrap_or(sender).to_ascii_lowercase()
}

fn erased_hash(text: &str) -> Option<u64> {
    let digits = text.trim().strip_prefix(HASH)?;
    let whole = digits.len() == 16 && digits.bytes().all(|b| b.is_ascii_hexdigit());
    whole.then(|| u64::from_str_radix(digits, 16).ok()).flatten()
}

fn network(text: &str) -> Option<IpNet> {
    let net = match text.parse::<IpNet>() {
        Ok(net) => net,
        Err(_) => IpNet::from(text.parse::<IpAddr>().ok()?),
    };
    let net = net.trunc();
    // The network of mapped addresses is the network that they map.
    match (net.addr().to_canonical(), net.prefix_len().checked_sub(MAPPED_PREFIX)) {
        (IpAddr::V4(ip), Some(prefix)) if net.addr().is_ipv6() => {
            ipnet::Ipv4Net::new(ip, prefix).ok().map(IpNet::V4)
        }
        _ => Some(net),
    }
}

/// A single address is written without its prefix length.
fn network_text(net: IpNet) -> String {
    if net.prefix_len() == net.max_prefix_len() { net.addr().to_string() } else { net.to_string() }
}

fn asn(text: &str) -> Option<u32> {
    let digits = match text.get(..2) {
        Some(prefix) if prefix.eq_ignore_ascii_case("as") => text.get(2..)?,
        _ => text,
    };
    let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| digits.parse().ok()).flatten()
}

fn country(text: &str) -> Result<Country, PartError> {
    Country::parse(text.trim()).ok_or(PartError::Country)
}

fn name(text: &str) -> Result<Box<str>, PartError> {
    let fits = !text.trim().is_empty() && text.chars().nth(MAX_NAME).is_none();
    if fits && !text.chars().any(char::is_control) { Ok(text.into()) } else { Err(PartError::Name) }
}

/// What entries of erased values are found by: of the recipient, the sender ID, the user and the device.
pub type Hashes = [Option<u64>; 4];

/// What a request offers to be named.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// The recipient.
    pub to: Msisdn,
    /// Keyed hashes, for entries of values that were erased.
    pub hashes: Hashes,
    /// The recipient's country.
    pub country: Country,
    /// The operator that the recipient's range was given to.
    pub operator: Option<OperatorCode>,
    /// The end user's address.
    pub ip: Option<ClientIp>,
    /// The autonomous system of that address.
    pub asn: Option<u32>,
    /// The country of that address.
    pub ip_country: Option<Country>,
    /// The sender ID.
    pub sender: Option<&'a str>,
    /// The app's user.
    pub user: Option<&'a str>,
    /// The app's fingerprint of the device.
    pub device: Option<&'a str>,
}

impl<'a> Subject<'a> {
    /// The same with what entries of erased values are found by.
    pub fn hashed(mut self, blind: &BlindIndex) -> Self {
        self.hashes = [
            Some(blind.msisdn(self.to)),
            self.sender.map(|sender| blind.text(SENDER, &folded(sender))),
            self.user.map(|user| blind.text(USER, user)),
            self.device.map(|device| blind.text(DEVICE, device)),
        ];
        self
    }

    /// From a request and what tables say of its address and number.
    pub fn of(request: &'a Request, ip: Option<&IpFacts>, number: Option<&NumberFacts>) -> Self {
        Subject {
            to: request.to,
            hashes: Hashes::default(),
            country: request.country,
            operator: number.and_then(|facts| facts.mccmnc),
            ip: request.client.ip,
            asn: ip.and_then(|facts| facts.asn),
            ip_country: ip.and_then(|facts| facts.country),
            sender: request.message.source.as_deref(),
            user: request.client.user.as_deref(),
            device: request.client.fingerprint.as_deref(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(kind: ListKind, text: &str) -> String {
        Part::parse(kind, text).map_or_else(|e| e.to_string(), |part| part.text())
    }

    #[test]
    fn every_spelling_has_one_form() {
        for (kind, spelled, canonical) in [
            (ListKind::Msisdn, "+65 9123-4567", "+6591234567"),
            (ListKind::Msisdn, "006591234567", "+6591234567"),
            (ListKind::Msisdn, "6591234567", "+6591234567"),
            (ListKind::Msisdn, " hash:00FF0123456789ab", "hash:00ff0123456789ab"),
            (ListKind::NumberRange, "998 93 412", "+99893412"),
            (ListKind::Ip, "203.0.113.77/24", "203.0.113.0/24"),
            (ListKind::Ip, "203.0.113.7/32", "203.0.113.7"),
            (ListKind::Ip, "::ffff:203.0.113.7", "203.0.113.7"),
            (ListKind::Ip, "::ffff:203.0.113.9/120", "203.0.113.0/24"),
            (ListKind::Ip, "2001:DB8:0::1/32", "2001:db8::/32"),
            (ListKind::Asn, "AS13335", "13335"),
            (ListKind::Asn, " 013335", "13335"),
            (ListKind::Country, "sg", "SG"),
            (ListKind::SenderId, "Acme", "Acme"),
            (ListKind::User, "user:1", "user:1"),
        ] {
            assert_eq!(text(kind, spelled), canonical, "{spelled}");
        }
        let sender = |text: &str| Part::parse(ListKind::SenderId, text).unwrap().key();
        assert_eq!(sender("ACME"), sender("acme"));
        assert_eq!(sender("+6591234567"), sender("6591234567"));
    }

    #[test]
    fn what_is_no_value_is_refused_without_repeating_it() {
        for (kind, wrong) in [
            (ListKind::Msisdn, "hello"),
            (ListKind::Msisdn, ""),
            (ListKind::Msisdn, "hash:0123"),
            (ListKind::NumberRange, "+0"),
            (ListKind::Ip, "203.0.113.7:80"),
            (ListKind::Ip, "203.0.113.0/33"),
            (ListKind::Ip, "fe80::1%eth0"),
            (ListKind::Asn, "AS"),
            (ListKind::Asn, "4294967296"),
            (ListKind::Asn, "-1"),
            (ListKind::Country, "Singapore"),
            (ListKind::SenderId, "a name too long"),
            (ListKind::User, "  "),
            (ListKind::Device, "a\nb"),
        ] {
            let error = Part::parse(kind, wrong).unwrap_err().to_string();
            assert!(wrong.len() < 3 || !error.contains(wrong), "{error}");
        }
        assert!(Part::operator("5250").is_err() && Part::operator("52501").is_ok());
    }

    #[test]
    fn logs_see_no_number() {
        let masked = |kind, text| Part::parse(kind, text).unwrap().masked();
        assert_eq!(masked(ListKind::Msisdn, "+6591234567"), "+659123xxxx");
        assert_eq!(masked(ListKind::SenderId, "+6591234567"), "+659123xxxx");
        assert_eq!(masked(ListKind::SenderId, "Acme"), "Acme");
        assert_eq!(masked(ListKind::User, "+6591234567"), "(hidden)");
        assert_eq!(format!("{:?}", Part::parse(ListKind::Msisdn, "+6591234567").unwrap()), "+659123xxxx");
    }

    proptest! {
        #[test]
        fn a_canonical_text_reads_as_itself(text in ".{0,30}", which in 0usize..9) {
            let kind = ListKind::ALL[which];
            if let Ok(part) = Part::parse(kind, &text) {
                prop_assert_eq!(Part::parse(kind, &part.text()), Ok(part));
            }
        }
    }
}

//! What is known of addresses and numbers: the tracked tables, and over them the operator's own files (addresses in
//! MaxMind's format, ported numbers as CSV), which are read again when they change.

mod file;
mod ported;
mod record;
mod source;
#[cfg(test)]
mod testing;

use std::collections::BTreeMap;

use seawall_core::client_ip::ClientIp;
use seawall_core::facts::Facts;
use seawall_core::intel::portability::{Carrier, Portability};
use seawall_core::intel::{IpFacts, NumberFacts, ip, number};
use seawall_core::msisdn::ParsedNumber;
use seawall_core::request::Request;

use crate::config::IntelFiles;
use file::{File, Watched};
use record::{Anonymous, Asn, Located};
use seawall_core::time::Timestamp;
use source::Source;

/// The tables and files in force.
#[derive(Default)]
pub struct Intel {
    country: Option<Source<Located>>,
    asn: Option<Source<Asn>>,
    anonymous: Option<Source<Anonymous>>,
    ported: Option<File<Portability>>,
}

/// What the operator's file of ported numbers says of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ported {
    /// Whether it left its first operator, where that is known.
    pub ported: Option<bool>,
    /// Who carries it.
    pub carrier: Carrier,
    /// Since when, if the file says.
    pub since: Option<Timestamp>,
    /// Whether the file has a row for it alone.
    pub own: bool,
}

impl Intel {
    /// Reads the configured files. A file that is named and cannot be used refuses the start: what it would
    /// have stopped would pass unseen.
    pub fn open(files: &IntelFiles) -> Result<Self, String> {
        Ok(Intel {
            country: files
                .country
                .clone()
                .map(|path| Source::open("intel.country_mmdb", path))
                .transpose()?,
            asn: files.asn.clone().map(|path| Source::open("intel.asn_mmdb", path)).transpose()?,
            anonymous: files
                .anonymous
                .clone()
                .map(|path| Source::open("intel.anonymous_mmdb", path))
                .transpose()?,
            ported: files
                .ported
                .clone()
                .map(|path| File::open(ported::KEY, path, ported::read))
                .transpose()?,
        })
    }

    /// What is known of an address. The word of an operator's file outranks the tables. Where the files have
    /// no country or AS number the tables' stay; of kinds of places the file knows all or nothing.
    pub fn ip(&self, address: ClientIp) -> IpFacts {
        let mut facts = ip::facts(address);
        if let Some(found) = self.country.as_ref().and_then(|file| file.find(address)) {
            facts.country = found.country().or(facts.country);
        }
        if let Some(found) = self.asn.as_ref().and_then(|file| file.find(address)) {
            facts.asn = found.number().or(facts.asn);
        }
        if let Some(file) = &self.anonymous {
            file.find(address).unwrap_or_default().replace(&mut facts);
        }
        facts
    }

    /// What is known of a request's number and of its end user's address.
    pub fn gather(&self, request: &Request, facts: &mut Facts) {
        let Request { to: msisdn, country, kind, valid, .. } = *request;
        facts.number = Some(self.number(&ParsedNumber { msisdn, country, kind, valid, veiled: false }));
        facts.ip = request.client.ip.map(|ip| self.ip(ip));
    }

    /// What is known of a number. The network that the operator's file of ported numbers names stands in the place of its
    /// first one.
    pub fn number(&self, number: &ParsedNumber) -> NumberFacts {
        let mut facts = number::facts(number);
        if let Some(file) = &self.ported
            && let Some(carried) = file.content().find(number.msisdn)
        {
            carried.replace(&mut facts);
        }
        facts
    }

    /// What that file says of a number.
    pub fn ported(&self, number: &ParsedNumber) -> Option<Ported> {
        let content = self.ported.as_ref()?.content();
        let carried = content.find(number.msisdn)?;
        Some(Ported {
            ported: carried.ported(number::operator(number).as_ref()),
            carrier: carried.carrier.clone(),
            since: carried.since,
            own: carried.own,
        })
    }

    /// Whether there are files to look after.
    pub fn has_files(&self) -> bool {
        self.files().next().is_some()
    }

    /// Reads files that have changed. Blocks on the disk.
    pub fn refresh(&self) {
        self.files().for_each(|file| file.refresh());
    }

    /// Each configured file by its key: `up`, or `outdated` when what lies on the disk cannot be used and an
    /// earlier content is in force.
    pub fn health(&self) -> BTreeMap<String, &'static str> {
        let word = |current: bool| if current { "up" } else { "outdated" };
        self.files().map(|file| (file.key().to_owned(), word(file.is_current()))).collect()
    }

    fn files(&self) -> impl Iterator<Item = &dyn Watched> {
        let country = self.country.iter().map(|source| &source.file as &dyn Watched);
        let asn = self.asn.iter().map(|source| &source.file as &dyn Watched);
        let anonymous = self.anonymous.iter().map(|source| &source.file as &dyn Watched);
        let ported = self.ported.iter().map(|file| file as &dyn Watched);
        country.chain(asn).chain(anonymous).chain(ported)
    }
}

#[cfg(test)]
mod tests {
    use super::testing::{Value, database};
    use super::*;
    use seawall_core::country::Country;
    use std::path::{Path, PathBuf};

    fn text(value: &str) -> Value {
        Value::Text(value.to_owned())
    }

    fn map(fields: &[(&str, Value)]) -> Value {
        Value::Map(fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect())
    }

    fn at(country: &str) -> Value {
        map(&[("country", map(&[("iso_code", text(country)), ("geoname_id", Value::Number(7))]))])
    }

    fn put(dir: &Path, name: &str, networks: &[(&str, Value)]) -> PathBuf {
        let path = dir.join(name);
        std::fs::write(&path, database(networks)).unwrap();
        path
    }

    fn of(intel: &Intel, address: &str) -> IpFacts {
        intel.ip(ClientIp::parse(address).unwrap())
    }

    fn country(intel: &Intel, address: &str) -> String {
        of(intel, address).country.map_or(String::new(), |country| country.to_string())
    }

    #[test]
    fn without_files_the_tables_speak() {
        let intel = Intel::open(&IntelFiles::default()).unwrap();
        assert_eq!(of(&intel, "8.8.8.8"), ip::facts(ClientIp::parse("8.8.8.8").unwrap()));
        assert!(!intel.has_files() && intel.health().is_empty());
    }

    #[test]
    fn an_operators_files_outrank_the_tables() {
        let dir = tempfile::tempdir().unwrap();
        let files = IntelFiles {
            country: Some(put(dir.path(), "c", &[("8.8.8.0/24", at("NZ")), ("2606:4700::/32", at("FR"))])),
            asn: Some(put(
                dir.path(),
                "a",
                &[("8.8.8.0/24", map(&[("autonomous_system_number", Value::Number(64496))]))],
            )),
            anonymous: Some(put(
                dir.path(),
                "x",
                &[
                    ("1.1.1.0/24", map(&[("is_tor_exit_node", Value::Flag(true))])),
                    ("9.9.9.0/24", map(&[("is_residential_proxy", Value::Flag(true))])),
                    ("104.28.28.0/24", map(&[("is_hosting_provider", Value::Flag(true))])),
                ],
            )),
            ported: None,
        };
        let intel = Intel::open(&files).unwrap();
        let google = of(&intel, "8.8.8.8");
        assert_eq!((google.country, google.asn), (Country::parse("NZ"), Some(64496)));
        assert!(ip::facts(ClientIp::parse("8.8.8.8").unwrap()).hosting, "the table says so");
        assert!(!google.hosting, "the file knows all that is anonymous, and not this");
        assert_eq!(of(&intel, "::ffff:8.8.8.8"), google);
        assert_eq!(country(&intel, "2606:4700::1"), "FR");
        assert_eq!(country(&intel, "1.1.1.1"), "AU", "the file has none: the table's stays");
        assert!(of(&intel, "1.1.1.1").tor && of(&intel, "9.9.9.9").proxy);
        let relay = of(&intel, "104.28.28.1");
        assert!(relay.relay && !relay.hosting, "real users sit behind a relay, whatever a file says");
    }

    #[test]
    fn other_makers_spell_otherwise() {
        let dir = tempfile::tempdir().unwrap();
        let files = IntelFiles {
            country: Some(put(
                dir.path(),
                "c",
                &[
                    ("192.0.2.0/25", map(&[("country", text("SG"))])),
                    ("192.0.2.128/25", map(&[("country", text("Singapore")), ("country_code", text("SG"))])),
                    ("198.51.100.0/24", map(&[("registered_country", map(&[("iso_code", text("DE"))]))])),
                ],
            )),
            asn: Some(put(dir.path(), "a", &[("192.0.2.0/24", map(&[("asn", text("AS64500"))]))])),
            anonymous: Some(put(
                dir.path(),
                "x",
                &[(
                    "192.0.2.0/24",
                    map(&[("vpn", text("true")), ("tor", text("")), ("hosting", Value::Flag(true))]),
                )],
            )),
            ported: None,
        };
        let intel = Intel::open(&files).unwrap();
        for (address, want) in [("192.0.2.1", "SG"), ("192.0.2.200", "SG"), ("198.51.100.1", "DE")] {
            assert_eq!(country(&intel, address), want, "{address}");
        }
        let facts = of(&intel, "192.0.2.1");
        assert_eq!((facts.asn, facts.vpn, facts.tor, facts.hosting), (Some(64500), true, false, true));
    }

    #[test]
    fn a_changed_file_is_read_and_a_bad_one_is_not_taken() {
        let dir = tempfile::tempdir().unwrap();
        let path = put(dir.path(), "c", &[("192.0.2.0/24", at("SG"))]);
        let intel =
            Intel::open(&IntelFiles { country: Some(path.clone()), ..IntelFiles::default() }).unwrap();
        let now = |intel: &Intel| {
            intel.refresh();
            (country(intel, "192.0.2.1"), intel.health()["intel.country_mmdb"])
        };
        assert_eq!(now(&intel), ("SG".to_owned(), "up"));
        put(dir.path(), "c", &[("192.0.2.0/24", at("MY")), ("198.51.100.0/24", at("MY"))]);
        assert_eq!(now(&intel), ("MY".to_owned(), "up"));

        let good = std::fs::read(&path).unwrap();
        let half = &good[..good.len() / 2];
        let other_kind =
            database(&[("192.0.2.0/24", map(&[("autonomous_system_number", Value::Number(1))]))]);
        let mut damaged = good.clone();
        damaged[..40].fill(0xff);
        for bad in [&b"not a database"[..], b"", half, &other_kind, &damaged] {
            std::fs::write(&path, bad).unwrap();
            assert_eq!(now(&intel), ("MY".to_owned(), "outdated"));
        }
        std::fs::remove_file(&path).unwrap();
        assert_eq!(now(&intel), ("MY".to_owned(), "outdated"));
        put(dir.path(), "c", &[("192.0.2.0/24", at("TH"))]);
        assert_eq!(now(&intel), ("TH".to_owned(), "up"));
    }

    #[test]
    fn ported_numbers_are_read_again_and_a_bad_file_is_told_by_its_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("mnp.csv");
        let files = IntelFiles { ported: Some(path.clone()), ..IntelFiles::default() };
        std::fs::write(&path, "number,mccmnc,operator\r\n+6591234567,52503,M1\r\n").unwrap();
        let intel = Intel::open(&files).unwrap();
        let parsed = seawall_core::msisdn::Msisdn::parse("+6591234567", None).unwrap();
        let now = || {
            intel.refresh();
            (intel.number(&parsed).operator.unwrap().into_owned(), intel.health()["intel.portability_csv"])
        };
        assert_eq!(now(), ("M1".to_owned(), "up"));
        assert_eq!(intel.ported(&parsed).and_then(|found| found.ported), Some(true));
        std::fs::write(&path, "number,mccmnc,operator\n+6591234567,52505,StarHub\n").unwrap();
        assert_eq!(now(), ("StarHub".to_owned(), "up"));
        std::fs::write(&path, "number,mccmnc,operator\n+6591234567,5250x,M1 again\n").unwrap();
        assert_eq!(now(), ("StarHub".to_owned(), "outdated"));
        let refused = Intel::open(&files).err().unwrap();
        assert!(
            refused.starts_with("intel.portability_csv: ") && refused.contains(": line 2: `mccmnc`"),
            "{refused}"
        );
        std::fs::write(&path, b"number,operator\n\xff").unwrap();
        assert!(Intel::open(&files).err().unwrap().ends_with("line 2: is not UTF-8"));
        let long = "number,operator\n".to_owned() + &"9".repeat(20_000);
        std::fs::write(&path, long).unwrap();
        assert!(Intel::open(&files).err().unwrap().ends_with("line 2: has more than 4096 bytes"));
    }

    #[test]
    fn a_bad_file_refuses_the_start() {
        let dir = tempfile::tempdir().unwrap();
        let open = |path: PathBuf| {
            Intel::open(&IntelFiles { asn: Some(path), ..IntelFiles::default() }).err().unwrap()
        };
        let missing = open(dir.path().join("nothing"));
        assert!(missing.starts_with("intel.asn_mmdb: ") && missing.contains("nothing"), "{missing}");
        let other = open(put(dir.path(), "c", &[("192.0.2.0/24", at("SG"))]));
        assert!(other.contains("no record has an AS number"), "{other}");
        std::fs::write(dir.path().join("junk"), "junk").unwrap();
        assert!(open(dir.path().join("junk")).contains("MaxMind"), "no maker named");
    }
}

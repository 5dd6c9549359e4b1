//! Signals that operators know: volume, share and conversion by country, operator, range, route, network,
//! autonomous system and subaccount, each against what is usual there. A fold over the stream that detection
//! folds, so a restart keeps it; bounded, so a flood of keys does not grow it.
//!
//! They are looked at and alerted on. They refuse nothing: a spike is as often a campaign as an attack.

pub mod alerts;
mod row;
pub mod view;

use std::fmt::{self, Write};

use seawall_core::detect::Asked;
use serde::{Deserialize, Serialize};

use super::detection::happened::Seen;
use super::detection::recent::{Map, Recent, Sent};
use row::Row;

/// Rows that are looked at when a dimension is full, and how many of them go.
const LOOKED_AT: usize = 64;
const GO: usize = 48;

/// By what signals are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dimension {
    /// Everything together.
    All,
    /// The recipient's country.
    Country,
    /// The recipient's operator.
    Operator,
    /// The recipient's block of ten thousand numbers.
    Range,
    /// The route that carries it.
    Route,
    /// The end user's network: IPv4 /24, IPv6 /48.
    Network,
    /// The end user's autonomous system.
    Asn,
    /// The subaccount.
    Subaccount,
}

impl Dimension {
    /// All of them, in the order in which a message counts its rows.
    pub const ALL: [Dimension; 8] = [
        Dimension::All,
        Dimension::Country,
        Dimension::Operator,
        Dimension::Range,
        Dimension::Route,
        Dimension::Network,
        Dimension::Asn,
        Dimension::Subaccount,
    ];

    /// The word in paths: `countries`.
    pub fn plural(self) -> &'static str {
        match self {
            Dimension::All => "all",
            Dimension::Country => "countries",
            Dimension::Operator => "operators",
            Dimension::Range => "ranges",
            Dimension::Route => "routes",
            Dimension::Network => "networks",
            Dimension::Asn => "asns",
            Dimension::Subaccount => "subaccounts",
        }
    }

    /// The word for one: `country`.
    pub fn word(self) -> &'static str {
        match self {
            Dimension::All => "all",
            Dimension::Country => "country",
            Dimension::Operator => "operator",
            Dimension::Range => "range",
            Dimension::Route => "route",
            Dimension::Network => "network",
            Dimension::Asn => "asn",
            Dimension::Subaccount => "subaccount",
        }
    }

    /// Keys remembered at most.
    fn most(self) -> usize {
        match self {
            Dimension::All => 1,
            Dimension::Country => 256,
            Dimension::Operator => 2_000,
            Dimension::Range | Dimension::Network => 20_000,
            Dimension::Route => 500,
            Dimension::Asn => 4_000,
            Dimension::Subaccount => 2_000,
        }
    }

    /// Whether the hours of the week are told apart. Narrow keys see too little for that.
    fn has_week(self) -> bool {
        !matches!(self, Dimension::Range | Dimension::Network)
    }
}

/// All rows.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Signals {
    rows: Map<u32, Row>,
    names: [Map<String, u32>; 8],
    /// The rows of each dimension, in any order.
    serials: [Vec<u32>; 8],
    serial: u32,
    /// The latest instant seen, in seconds.
    now: i64,
    /// Where a key is written to be looked up: most are known, and need no memory of their own.
    #[serde(skip)]
    key: String,
}

/// Writes the key of a request in a dimension; false where it has none.
fn write_key(dimension: Dimension, asked: &Asked, route: Option<&str>, key: &mut String) -> bool {
    let written = match dimension {
        Dimension::All => Ok(()),
        Dimension::Country => key.write_str(asked.country.as_str()),
        Dimension::Operator => match &asked.operator {
            Some(operator) => key.write_str(operator),
            None => write!(key, "unknown of {}", asked.country),
        },
        Dimension::Range => write!(key, "+{}", asked.msisdn.as_u64() / 10_000),
        Dimension::Route => route.ok_or(fmt::Error).and_then(|route| key.write_str(route)),
        Dimension::Network => asked.ip.ok_or(fmt::Error).and_then(|ip| key.write_str(&ip.network())),
        Dimension::Asn => asked.ip_facts.asn.ok_or(fmt::Error).and_then(|asn| write!(key, "AS{asn}")),
        Dimension::Subaccount => key.write_str(&asked.subaccount),
    };
    written.is_ok()
}

/// The hour of an instant in seconds, counted from the epoch.
fn hour(now: i64) -> u32 {
    u32::try_from(now.div_euclid(3600)).unwrap_or(0)
}

impl Signals {
    /// The current hour.
    fn hour(&self) -> u32 {
        hour(self.now)
    }

    /// Moves to `now` (seconds) and counts what has become ten minutes old.
    pub fn advance(&mut self, now: i64, recent: &mut Recent) {
        self.now = self.now.max(now);
        while let Some(sent) = recent.matured(self.now) {
            if sent.code {
                self.each(&sent, |row, hour| row.mature(hour, sent.confirmed, sent.genuine));
            }
        }
    }

    fn each(&mut self, sent: &Sent, mut count: impl FnMut(&mut Row, u32)) {
        let hour = hour(sent.at);
        for serial in sent.rows {
            if let Some(row) = self.rows.get_mut(&serial) {
                count(row, hour);
            }
        }
    }

    /// A request was made. `sent`: a message came of it. The answer says which rows count it.
    pub fn asked(&mut self, asked: &Asked, seen: Option<&Seen>, sent: bool) -> [u32; 8] {
        let hour = self.hour();
        let route = seen.and_then(|seen| seen.route.as_deref());
        let price = seen.and_then(|seen| seen.price).unwrap_or(0);
        let stopped = !sent;
        let attack = stopped && seen.is_some_and(|seen| seen.said.is_some());
        let mut rows = [0; 8];
        let mut key = std::mem::take(&mut self.key);
        for (dimension, place) in Dimension::ALL.into_iter().zip(&mut rows) {
            key.clear();
            if !write_key(dimension, asked, route, &mut key) {
                continue;
            }
            *place = self.enter(dimension, &key, asked.country.as_str());
            if let Some(row) = self.rows.get_mut(place) {
                row.count(hour, sent, price, attack);
            }
        }
        self.key = key;
        rows
    }

    /// A message was confirmed.
    pub fn confirmed(&mut self, sent: &Sent) {
        let late = Recent::is_mature(sent, self.now);
        self.each(sent, |row, hour| row.confirm(hour, late, sent.genuine));
    }

    /// A message was not sent after all.
    pub fn unsent(&mut self, sent: &Sent) {
        self.each(sent, |row, hour| row.unsend(hour, sent.price));
    }

    fn enter(&mut self, dimension: Dimension, key: &str, country: &str) -> u32 {
        let Some(names) = self.names.get_mut(dimension as usize) else { return 0 };
        if let Some(serial) = names.get(key) {
            return *serial;
        }
        if names.len() >= dimension.most() {
            self.make_room(dimension);
        }
        self.serial = self.serial.wrapping_add(1).max(1);
        let (serial, hour) = (self.serial, self.hour());
        let of = matches!(dimension, Dimension::Operator | Dimension::Range).then(|| country.to_owned());
        self.rows.insert(serial, Row::new(dimension, key.to_owned(), of, hour));
        if let Some(names) = self.names.get_mut(dimension as usize) {
            names.insert(key.to_owned(), serial);
        }
        if let Some(serials) = self.serials.get_mut(dimension as usize) {
            serials.push(serial);
        }
        serial
    }

    /// Looks at rows here and there. Those that were idle longest go, and of those the ones that saw least. So a flood of
    /// keys that are seen once pushes out such keys, and what a new row costs does not depend on how many there are.
    fn make_room(&mut self, dimension: Dimension) {
        let places = (self.names.get_mut(dimension as usize), self.serials.get_mut(dimension as usize));
        let (Some(names), Some(serials)) = places else { return };
        let step = (serials.len() / LOOKED_AT).max(1);
        let first = usize::try_from(self.serial).unwrap_or_default() % step;
        let worth = |serial: &u32| (self.rows.get(serial).map_or((0, 0), Row::worth), *serial);
        let looked_at = serials.iter().enumerate().skip(first).step_by(step).take(LOOKED_AT);
        let mut looked_at: Vec<_> = looked_at.map(|(place, serial)| (worth(serial), place)).collect();
        looked_at.sort_unstable();
        let mut gone: Vec<usize> = looked_at.into_iter().take(GO).map(|(_, place)| place).collect();
        gone.sort_unstable();
        // From behind: the last one takes the place of one that goes.
        for place in gone.into_iter().rev() {
            if let Some(row) = self.rows.remove(&serials.swap_remove(place)) {
                names.remove(&row.key);
            }
        }
    }

    /// The rows of a dimension.
    fn of(&self, dimension: Dimension) -> impl Iterator<Item = &Row> {
        let names = self.names.get(dimension as usize);
        names.into_iter().flat_map(|names| names.values()).filter_map(|serial| self.rows.get(serial))
    }

    /// One row by its key.
    fn find(&self, dimension: Dimension, key: &str) -> Option<&Row> {
        self.rows.get(self.names.get(dimension as usize)?.get(key)?)
    }

    /// Whether somebody confirmed a code in a range (digits without the last four) within a day.
    pub fn confirms(&self, range: &str) -> bool {
        let hour = self.hour();
        self.find(Dimension::Range, range).is_some_and(|row| row.last(hour, 24).verified > 0)
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use seawall_core::client_ip::ClientIp;
    use seawall_core::msisdn::Msisdn;
    use seawall_core::request::{Operation, Request};
    use seawall_core::time::Timestamp;

    pub const START: i64 = 1_768_176_000;

    /// A request for a code to that number, at a time in seconds after [`START`].
    pub fn asked(to: &str, ip: &str, at: i64) -> Asked {
        let to = Msisdn::parse(to, None).unwrap();
        let caller = ClientIp::parse("198.51.100.1").unwrap();
        let mut request = Request::new(Operation::VerifyStart, "acme_hq", "key_1", &to, caller);
        request.client.ip = ClientIp::parse(ip);
        request.price = Some(100_000);
        let at = Timestamp::from_millis((START + at) * 1000);
        Asked::of(&request, None, None, seawall_core::facts::History::default(), at)
    }

    #[test]
    fn rows_are_bounded_and_the_busy_ones_stay() {
        let mut signals = Signals::default();
        let mut recent = Recent::default();
        for n in 0..30_000i64 {
            signals.advance(START + n, &mut recent);
            let ip = format!("84.{}.{}.9", 1 + n / 256 % 200, n % 256);
            signals.asked(&asked("+998934123456", &ip, n), None, true);
        }
        assert!(signals.of(Dimension::Network).count() <= Dimension::Network.most());
        assert_eq!(signals.of(Dimension::Country).count(), 1);
        let asked = signals.find(Dimension::Range, "+99893412").map(|row| row.last(signals.hour(), 24).asked);
        assert_eq!(asked, Some(30_000));
        assert_eq!(signals.names.iter().map(Map::len).sum::<usize>(), signals.rows.len());
        assert_eq!(signals.serials.iter().map(Vec::len).sum::<usize>(), signals.rows.len());
    }

    #[test]
    fn what_saw_much_outlives_a_flood_of_keys_that_are_seen_once() {
        let mut signals = Signals::default();
        let network = |n: usize| format!("84.{}.{}.9", 1 + n / 256, n % 256);
        for n in 0..3000 {
            signals.asked(&asked("+998934123456", &network(n % 300), 0), None, true);
        }
        for n in 300..60_000 {
            signals.asked(&asked("+998934123456", &network(n), 0), None, true);
        }
        let mut busy: Vec<_> =
            signals.of(Dimension::Network).map(|row| row.last(signals.hour(), 1).asked).collect();
        busy.sort_unstable();
        assert!(busy.len() <= Dimension::Network.most() && busy.len() > Dimension::Network.most() - GO);
        assert_eq!(busy.iter().filter(|asked| **asked == 10).count(), 300);
    }
}

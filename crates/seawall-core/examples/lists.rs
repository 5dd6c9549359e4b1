//! What lists cost a request: `cargo run --release -p seawall-core --example lists`.
//!
//! Ten thousand entries over all kinds, then requests that meet none and requests that meet three of them;
//! and what one more entry costs.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a measurement, not the product")]

use std::hint::black_box;
use std::time::Instant;

use seawall_core::client_ip::ClientIp;
use seawall_core::country::Country;
use seawall_core::id::Id;
use seawall_core::intel::{IpFacts, NumberFacts, OperatorCode};
use seawall_core::list::{List, ListEffect, ListIndex, ListKind, Part, Subject};
use seawall_core::msisdn::Msisdn;
use seawall_core::request::{Operation, Request};
use seawall_core::time::Timestamp;

/// Requests of one stretch, and stretches: the fastest is the one that nothing else disturbed.
const ROUNDS: u32 = 20_000;
const STRETCHES: u32 = 50;

/// The n-th value of a kind; ranges and networks in eight lengths each.
fn value(kind: ListKind, n: u32) -> String {
    let letters = |n: u32| [b'A' + u8::try_from(n / 26 % 26).unwrap(), b'A' + u8::try_from(n % 26).unwrap()];
    let code = |n: u32| String::from_utf8(letters(n).to_vec()).unwrap();
    match kind {
        ListKind::Msisdn => format!("+658{:07}", n),
        ListKind::NumberRange => format!("+44{}", 10_u64.pow(2 + n % 8) + u64::from(n)),
        ListKind::Ip if n.is_multiple_of(2) => format!("10.{}.{}.0/{}", n / 250 % 250, n % 250, 17 + n % 16),
        ListKind::Ip => format!("2001:db8:{n:x}::/{}", 33 + n % 32),
        ListKind::Asn => (64_000 + n).to_string(),
        ListKind::Country | ListKind::IpCountry => code(n),
        ListKind::SenderId => format!("Shop{n}"),
        ListKind::User | ListKind::Device => format!("name-{n}"),
    }
}

fn index(entries: u32) -> ListIndex {
    let mut index = ListIndex::default();
    let kinds = ListKind::ALL;
    let list = |kind: ListKind, effect: ListEffect| List {
        id: format!("{}-{}", effect.as_str(), kind.as_str()),
        name: format!("{}-{}", effect.as_str(), kind.as_str()),
        kind,
        effect,
    };
    let effects = [ListEffect::Allow, ListEffect::Deny];
    index.define(effects.into_iter().flat_map(|effect| kinds.map(|kind| list(kind, effect))));
    let mut made = 0;
    for n in 0.. {
        for kind in kinds {
            let few = matches!(kind, ListKind::Country | ListKind::IpCountry) && n >= 200;
            let part = Part::parse(kind, &value(kind, n)).unwrap();
            let list = format!("deny-{}", kind.as_str());
            if !few && index.find(&list, &part).is_none() && made < entries {
                index.add(&list, &part, Id::new(i64::from(made), 1), None);
                made += 1;
            }
        }
        if made >= entries {
            return index;
        }
    }
    index
}

fn request(to: &str, ip: &str, sender: &str) -> Request {
    let caller = ClientIp::parse("198.51.100.1").unwrap();
    let to = Msisdn::parse(to, None).unwrap();
    let mut request = Request::new(Operation::SmsSend, "acme_hq", "key_1", &to, caller);
    request.client.ip = ClientIp::parse(ip);
    request.client.user = Some("nobody".to_owned());
    request.client.fingerprint = Some("nothing".to_owned());
    request.message.source = Some(sender.to_owned());
    request
}

fn measure(name: &str, index: &ListIndex, request: &Request) {
    let ip = IpFacts { asn: Some(13_335), country: Country::parse("ZW"), ..IpFacts::default() };
    let number = NumberFacts { mccmnc: OperatorCode::parse("52501"), ..NumberFacts::default() };
    let now = Timestamp::from_millis(1_700_000_000_000);
    let hits = index.hits(&Subject::of(request, Some(&ip), Some(&number)), now).len();
    let stretch = |_| {
        let begun = Instant::now();
        for _ in 0..ROUNDS {
            let subject = Subject::of(black_box(request), Some(&ip), Some(&number));
            black_box(index.hits(&subject, now));
        }
        begun.elapsed() / ROUNDS
    };
    let each = (0..STRETCHES).map(stretch).min().unwrap_or_default();
    println!("{name:40} {hits} hits {:8} ns a request", each.as_nanos());
}

fn main() {
    for entries in [0, 10_000, 100_000] {
        let index = index(entries);
        println!("{} entries", index.entries());
        measure("an IPv4 client", &index, &request("+6591234567", "203.0.113.9", "Acme"));
        measure("an IPv6 client", &index, &request("+6591234567", "2a00:1450::1", "Acme"));
        measure("an IPv4 client that is known", &index, &request("+6580000001", "10.0.2.1", "Shop1"));
        let part = Part::parse(ListKind::Msisdn, "+6591234567").unwrap();
        let (begun, rounds) = (Instant::now(), 1000);
        for _ in 0..rounds {
            let mut next = index.clone();
            next.add("deny-msisdn", &part, Id::new(1, 1), None);
            black_box(next);
        }
        println!("{:40} {:8} µs", "one more entry, in a copy", (begun.elapsed() / rounds).as_micros());
    }
}

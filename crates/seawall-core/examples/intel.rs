//! What a look-up in the tracked tables costs: `cargo run --release -p seawall-core --example intel`. With a file of addresses
//! or numbers, a line each, it prints what is known of them.

#![allow(clippy::disallowed_methods, reason = "a stop-watch is what this is")]

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Instant;

use seawall_core::client_ip::ClientIp;
use seawall_core::intel::{ip, local_time, number};
use seawall_core::msisdn::{Msisdn, ParsedNumber};
use seawall_core::time::Timestamp;

/// Look-ups a figure.
const COUNT: usize = 1_000_000;

/// Look-ups between two glances at the clock. The median over these is shown: a busy machine interrupts some.
const CHUNK: usize = 2000;

/// A generator as simple as they come; the figures need no better.
fn random(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    *seed ^ (*seed >> 29)
}

fn measure<T, R>(what: &str, asked: &[T], look_up: impl Fn(&T) -> R) {
    let first = Instant::now();
    asked.iter().take(1).for_each(|one| drop(black_box(look_up(one))));
    let first = first.elapsed();
    let chunks = asked.chunks(CHUNK).map(|chunk| {
        let start = Instant::now();
        chunk.iter().for_each(|one| drop(black_box(look_up(one))));
        start.elapsed().as_nanos() / chunk.len() as u128
    });
    let mut each: Vec<u128> = chunks.collect();
    each.sort_unstable();
    let each = each.get(each.len() / 2).copied().unwrap_or_default();
    println!("{what:22} {each:6} ns   (the first {} ns)", first.as_nanos());
}

fn numbers(seed: &mut u64) -> Vec<ParsedNumber> {
    let prefixes =
        ["+659", "+1212", "+49151", "+447", "+9198", "+5511", "+6281", "+23480", "+7912", "+86138"];
    let one = |seed: &mut u64| {
        let prefix = prefixes.get(random(seed) as usize % prefixes.len())?;
        let text = format!("{prefix}{:011}", random(seed) % 100_000_000_000);
        let number = Msisdn::parse(text.get(..text.len().min(13))?, None).ok()?;
        number.valid.then_some(number)
    };
    (0..20_000).filter_map(|_| one(seed)).collect::<Vec<_>>().repeat(20)
}

fn show(line: &str) {
    match (ClientIp::parse(line), Msisdn::parse(line, None)) {
        (Some(address), _) => println!("{line}\t{:?}", ip::facts(address)),
        (None, Ok(parsed)) => println!("{line}\t{:?}", number::facts(&parsed)),
        (None, Err(error)) => println!("{line}\t{error}"),
    }
}

fn main() {
    if let Some(text) = std::env::args().nth(1).and_then(|file| std::fs::read_to_string(file).ok()) {
        return text.lines().for_each(show);
    }
    let mut seed = 7;
    let four: Vec<ClientIp> =
        (0..COUNT).map(|_| ClientIp::from_ip(IpAddr::V4(Ipv4Addr::from(random(&mut seed) as u32)))).collect();
    let six: Vec<ClientIp> = (0..COUNT)
        .map(|_| {
            let top = 0x2400_0000_0000_0000 | (random(&mut seed) & 0x0fff_ffff_ffff_ffff);
            ClientIp::from_ip(IpAddr::V6(Ipv6Addr::from(u128::from(top) << 64)))
        })
        .collect();
    measure("IPv4 address", &four, |ip| ip::facts(*ip));
    measure("IPv6 address", &six, |ip| ip::facts(*ip));
    let asked = numbers(&mut seed);
    println!("{} numbers", asked.len());
    measure("operator", &asked, number::operator);
    measure("disposable", &asked, |number| number::disposable(number.msisdn));
    measure("facts of a number", &asked, number::facts);
    let now = Timestamp::from_millis(1_795_000_000_000);
    measure("local time", &asked, |number| local_time::offsets(number, now));
}

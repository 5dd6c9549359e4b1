//! How many numbers a second are read and described offline, on one core:
//! `cargo run --release -p seawall-core --example lookup`. With a file of numbers, a line each, it prints what is known of them.

#![allow(clippy::disallowed_methods, reason = "a stop-watch is what this is")]

use std::hint::black_box;
use std::time::Instant;

use seawall_core::country::Country;
use seawall_core::intel::{local_time, number};
use seawall_core::lookup;
use seawall_core::msisdn::{Msisdn, ParsedNumber};

/// Rounds over the sample.
const ROUNDS: usize = 20;

type Row = (&'static str, Option<Country>);

fn sample() -> Vec<Row> {
    let rows = include_str!("../tests/data/reference.tsv").lines().skip(1);
    let fields = rows.filter_map(|row| row.split_once('\t'));
    fields.map(|(input, rest)| (input, rest.split('\t').next().and_then(Country::parse))).collect()
}

/// Nanoseconds that this thread has been on a core, so that what others do on the machine does not count; where
/// Linux does not tell, those that have passed.
fn on_core(start: Instant) -> u128 {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let spent = told.and_then(|text| text.split(' ').next()?.parse().ok());
    spent.unwrap_or_else(|| start.elapsed().as_nanos())
}

/// What each of `all` costs, in nanoseconds, over all rounds but the first, which compiles patterns.
fn measure<T>(what: &str, all: &[T], work: impl Fn(&T)) -> u128 {
    let start = Instant::now();
    all.iter().for_each(&work);
    let begun = on_core(start);
    (0..ROUNDS).for_each(|_| all.iter().for_each(&work));
    let each = (on_core(start) - begun) / (ROUNDS * all.len()).max(1) as u128;
    println!("{what:10} {each:7} ns   {:9} a second and core", 1_000_000_000 / each.max(1));
    each
}

fn main() {
    if let Some(text) = std::env::args().nth(1).and_then(|file| std::fs::read_to_string(file).ok()) {
        return text.lines().for_each(|line| match lookup::read(line, None) {
            Ok(found) => println!("{line}\t{found:?}"),
            Err(error) => println!("{line}\t{error}"),
        });
    }
    let asked = sample();
    println!("{} numbers of all countries and types, {ROUNDS} rounds, CPU time of one thread", asked.len());
    measure("lookup", &asked, |(input, home): &Row| {
        let _ = black_box(lookup::read(input, *home));
    });
    let read = |(input, home): &Row| Msisdn::parse(input, *home).ok();
    let parsed: Vec<ParsedNumber> = asked.iter().filter_map(read).collect();
    measure("parse", &asked, |row: &Row| {
        let _ = black_box(read(row));
    });
    measure("national", &parsed, |number| drop(black_box(number.msisdn.national())));
    measure("zones", &parsed, |number| drop(black_box(local_time::zones(number))));
    measure("tables", &parsed, |one| drop(black_box(number::facts(one))));
}

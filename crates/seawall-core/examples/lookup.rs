//! How many numbers a second are read and described offline, on one core:
//! `cargo run --release -p seawall-core --example lookup`. With a file of numbers, a line each, it prints what is known of them.

#![allow(clippy::disallowed_methods, reason = "a stop-watch is what this is")]

use std::hint::black_box;
use std::time::Instant;

use seawall_core::country::Country;
use seawall_core::lookup;

/// Rounds over the sample; the best of them is shown, because a busy machine interrupts some.
const ROUNDS: usize = 40;

fn sample() -> Vec<(&'static str, Option<Country>)> {
    let rows = include_str!("../tests/data/reference.tsv").lines().skip(1);
    let fields = rows.filter_map(|row| row.split_once('\t'));
    fields.map(|(input, rest)| (input, rest.split('\t').next().and_then(Country::parse))).collect()
}

fn main() {
    if let Some(text) = std::env::args().nth(1).and_then(|file| std::fs::read_to_string(file).ok()) {
        return text.lines().for_each(|line| match lookup::read(line, None) {
            Ok(found) => println!("{line}\t{found:?}"),
            Err(error) => println!("{line}\t{error}"),
        });
    }
    let asked = sample();
    let round = || {
        let start = Instant::now();
        asked.iter().for_each(|(input, home)| drop(black_box(lookup::read(input, *home))));
        asked.len() as f64 / start.elapsed().as_secs_f64()
    };
    let mut rates: Vec<f64> = (0..ROUNDS).map(|_| round()).collect();
    rates.sort_by(f64::total_cmp);
    let at = |share: usize| rates.get(rates.len() * share / 100).copied().unwrap_or_default();
    println!("{} numbers of all countries and types, {ROUNDS} rounds, one core", asked.len());
    println!("numbers/s: median {:.0}, best {:.0}, worst {:.0}", at(50), at(99), at(0));
}

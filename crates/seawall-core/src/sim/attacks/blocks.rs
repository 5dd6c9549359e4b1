//! Pumping of number ranges: the attacker earns on certain blocks, and sends there.

use super::proxies::Proxies;
use super::{BLOCK, Ranges};
use crate::sim::clients;
use crate::sim::request::{Ask, Origin};
use crate::sim::scenario::Setup;
use crate::trace::IfSent;

/// Where `multi_country` sends to.
const MANY: [&str; 15] =
    ["ID", "PH", "PK", "NG", "EG", "VN", "BD", "LK", "UZ", "DZ", "TN", "AZ", "ZA", "MY", "TH"];

/// Sequential numbers from few machines that do not hide.
pub fn seq_block(setup: &mut Setup) {
    let land = setup.world.land_of("AZ");
    let room = BLOCK.saturating_sub(setup.count(4_000) as u64).max(1);
    let first = setup.blocks("AZ", 1).first().copied().unwrap_or(0) + setup.rng.below(room);
    let machines = Proxies::hosting(setup.world, 2, 20, &mut setup.rng);
    let times = setup.times(4_000, 10.0, 3.0);
    setup.attack(times, move |turn| {
        let from = Origin::new(machines.any(turn.rng)?, clients::bot(0));
        let to = first + turn.n as u64 % BLOCK;
        Some(turn.world.attempt(turn.at, land, to, from, turn.rng).passing(0.03, turn.rng))
    });
}

/// Numbers of one block in any order, each once.
pub fn random_in_prefix(setup: &mut Setup) {
    let ranges = setup.ranges("UZ", 1, 150);
    let mut order: Vec<u64> = (0..BLOCK).collect();
    setup.rng.shuffle(&mut order);
    let times = setup.times(3_000, 9.5, 5.0);
    setup.attack(times, move |turn| {
        let to = ranges.blocks.first()? + order.get(turn.n % order.len())?;
        let from = Origin::new(ranges.proxies.any(turn.rng)?, turn.world.clients.any(turn.rng));
        Some(turn.world.attempt(turn.at, ranges.land, to, from, turn.rng))
    });
}

/// Many blocks of one country.
pub fn multi_range(setup: &mut Setup) {
    let (times, ranges) = (setup.times(4_000, 9.0, 5.5), setup.ranges("DZ", 40, 300));
    setup.pump(times, ranges, 0.0);
}

/// Few blocks of each of many countries, each from its own addresses.
pub fn multi_country(setup: &mut Setup) {
    let ranges: Vec<Ranges> = MANY.iter().map(|iso| setup.ranges(iso, 5, 40)).collect();
    let times = setup.times(5_000, 8.0, 12.0);
    setup.attack(times, move |turn| {
        let country = turn.rng.pick(&ranges)?;
        country.request(turn.at, turn.world, turn.rng)
    });
}

/// Residential proxies in a country that has many real users.
pub fn resproxy_top_country(setup: &mut Setup) {
    let (times, ranges) = (setup.times(3_000, 9.0, 7.0), setup.ranges("ID", 8, 600));
    setup.pump(times, ranges, 0.0);
}

/// Rented machines that do not hide.
pub fn datacentre(setup: &mut Setup) {
    let mut ranges = setup.ranges("BD", 5, 0);
    ranges.proxies = Proxies::hosting(setup.world, 4, 80, &mut setup.rng);
    let times = setup.times(3_000, 9.0, 9.0);
    setup.attack(times, move |turn| {
        let client = clients::bot(1 + u8::from(turn.rng.chance(0.5)));
        let request = ranges.request_from(turn.at, client, turn.world, turn.rng)?;
        Some(request.passing(0.05, turn.rng))
    });
}

/// A tenth is confirmed, so that the rate looks poor rather than dead.
pub fn partial_10(setup: &mut Setup) {
    partial(setup, 0.10);
}

/// Three tenths are confirmed.
pub fn partial_30(setup: &mut Setup) {
    partial(setup, 0.30);
}

/// Six tenths are confirmed, where 68 of 100 people confirm.
pub fn partial_60(setup: &mut Setup) {
    partial(setup, 0.60);
}

/// As many are confirmed as people confirm, or more.
pub fn partial_90(setup: &mut Setup) {
    let confirmed = setup.rng.between(0.85, 0.95);
    partial(setup, confirmed);
}

fn partial(setup: &mut Setup, confirmed: f64) {
    let (times, ranges) = (setup.times(3_000, 9.0, 8.0), setup.ranges("PK", 8, 400));
    setup.pump(times, ranges, confirmed);
}

/// Every receipt says delivered, and nobody confirms.
pub fn forged_dlr(setup: &mut Setup) {
    let (times, ranges) = (setup.times(3_000, 9.0, 8.0), setup.ranges("NG", 8, 400));
    setup.attack(times, move |turn| {
        let mut request = ranges.request(turn.at, turn.world, turn.rng)?;
        if let Ask::Start { if_sent, .. } = &mut request.ask {
            *if_sent = IfSent { confirm_after_ms: None, wrong_checks: 0, delivered: Some(true) };
        }
        Some(request)
    });
}

/// One block after the other: each gets fifty messages, then its neighbour.
pub fn neighbouring_ranges(setup: &mut Setup) {
    let land = setup.world.land_of("UZ");
    let first = setup.world.lands.get(land).map_or(0, |land| land.block(&mut setup.rng, 6));
    let proxies = setup.proxies("UZ", 300);
    let times = setup.times(3_000, 9.0, 8.0);
    setup.attack(times, move |turn| {
        let block = first + turn.n as u64 / 50 % 100 * BLOCK;
        let (to, client) = (block + turn.rng.below(BLOCK), turn.world.clients.any(turn.rng));
        let from = Origin::new(proxies.any(turn.rng)?, client);
        Some(turn.world.attempt(turn.at, land, to, from, turn.rng))
    });
}

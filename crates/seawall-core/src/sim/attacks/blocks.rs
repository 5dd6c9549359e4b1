//! Pumping of number ranges: the attacker earns on certain blocks, and sends there.

use super::proxies::Proxies;
use crate::sim::clients;
use crate::sim::request::Origin;
use crate::sim::scenario::Setup;

/// Numbers of a block.
const BLOCK: u64 = 10_000;

/// Sequential numbers from few machines that do not hide.
pub fn seq_block(setup: &mut Setup) {
    let land = setup.world.land_of("AZ");
    let count = setup.count(4_000) as u64;
    let block = block(setup, land);
    let first = block + setup.rng.below(BLOCK.saturating_sub(count).max(1));
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
    let land = setup.world.land_of("UZ");
    let block = block(setup, land);
    let mut order: Vec<u64> = (0..BLOCK).collect();
    setup.rng.shuffle(&mut order);
    let proxies = Proxies::residential(setup.world, land, 150, &mut setup.rng);
    let times = setup.times(3_000, 9.5, 5.0);
    setup.attack(times, move |turn| {
        let to = block + order.get(turn.n % order.len())?;
        let from = Origin::new(proxies.any(turn.rng)?, turn.world.clients.any(turn.rng));
        Some(turn.world.attempt(turn.at, land, to, from, turn.rng))
    });
}

/// Of the messages to eight blocks of PK, 30 % are confirmed.
pub fn partial_30(setup: &mut Setup) {
    partial(setup, 0.30);
}

fn partial(setup: &mut Setup, share: f64) {
    let times = setup.times(3_000, 9.0, 8.0);
    let proxies = setup.proxies("PK", 400);
    setup.blocks("PK", 8, times, proxies, share);
}

/// Some block of ten thousand numbers of a country.
fn block(setup: &mut Setup, land: usize) -> u64 {
    setup.world.lands.get(land).map_or(0, |land| land.block(&mut setup.rng, 4))
}

impl Setup<'_> {
    /// Residential proxies of a country.
    pub fn proxies(&mut self, iso: &str, count: usize) -> Proxies {
        Proxies::residential(self.world, self.world.land_of(iso), count, &mut self.rng)
    }

    /// Any numbers of some blocks of a country, with the clients that people use; a share of them is confirmed.
    pub fn blocks(&mut self, iso: &str, blocks: usize, times: Vec<i64>, proxies: Proxies, confirmed: f64) {
        let land = self.world.land_of(iso);
        let ranges: Vec<u64> = (0..blocks).map(|_| block(self, land)).collect();
        self.attack(times, move |turn| {
            let to = turn.rng.pick(&ranges)? + turn.rng.below(BLOCK);
            let from = Origin::new(proxies.any(turn.rng)?, turn.world.clients.any(turn.rng));
            let request = turn.world.attempt(turn.at, land, to, from, turn.rng);
            Some(request.confirmed(confirmed, turn.rng))
        });
    }
}

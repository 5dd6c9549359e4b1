//! The attacks. Each is a function that sets its scenario up; what they share is here.

pub mod accounts;
pub mod adaptive;
pub mod blocks;
pub mod guessing;
pub mod hidden;
pub mod proxies;
pub mod scatter;
pub mod sender;
pub mod spoofing;
pub mod timing;

use self::proxies::Proxies;
use super::request::{Origin, Request};
use super::rng::Rng;
use super::scenario::Setup;
use super::world::World;

/// Numbers of the blocks that attackers are given.
pub const BLOCK: u64 = 10_000;

/// Some blocks of a country, with the pool of addresses that they are pumped from.
#[derive(Clone, Debug)]
pub struct Ranges {
    /// Index of the country.
    pub land: usize,
    /// First numbers.
    pub blocks: Vec<u64>,
    /// Addresses.
    pub proxies: Proxies,
}

impl Ranges {
    /// A request for any number of any of the blocks, with a client that people use.
    pub fn request(&self, at: i64, world: &mut World, rng: &mut Rng) -> Option<Request> {
        let client = world.clients.any(rng);
        self.request_from(at, client, world, rng)
    }

    /// The same with that client.
    pub fn request_from(&self, at: i64, client: u8, world: &mut World, rng: &mut Rng) -> Option<Request> {
        let to = rng.pick(&self.blocks)? + rng.below(BLOCK);
        let from = Origin::new(self.proxies.any(rng)?, client);
        Some(world.attempt(at, self.land, to, from, rng))
    }
}

impl Setup<'_> {
    /// Some blocks of a country.
    pub fn blocks(&mut self, iso: &str, count: usize) -> Vec<u64> {
        let land = self.world.land_of(iso);
        let Some(land) = self.world.lands.get(land) else { return Vec::new() };
        (0..count).map(|_| land.block(&mut self.rng, 4)).collect()
    }

    /// Residential proxies of a country.
    pub fn proxies(&mut self, iso: &str, count: usize) -> Proxies {
        Proxies::residential(self.world, self.world.land_of(iso), count, &mut self.rng)
    }

    /// Some blocks of a country, pumped through residential proxies of that country.
    pub fn ranges(&mut self, iso: &str, blocks: usize, proxies: usize) -> Ranges {
        let (blocks, proxies) = (self.blocks(iso, blocks), self.proxies(iso, proxies));
        Ranges { land: self.world.land_of(iso), blocks, proxies }
    }

    /// Pumps ranges at given times; a share of the messages is confirmed.
    pub fn pump(&mut self, times: Vec<i64>, ranges: Ranges, confirmed: f64) {
        self.attack(times, move |turn| {
            let request = ranges.request(turn.at, turn.world, turn.rng)?;
            Some(request.confirmed(confirmed, turn.rng))
        });
    }
}

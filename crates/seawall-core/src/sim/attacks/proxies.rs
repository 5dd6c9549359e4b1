//! Where attacks come from.

use crate::sim::addresses::Address;
use crate::sim::rng::Rng;
use crate::sim::world::World;

/// A pool of addresses, some of which are used more often than others.
#[derive(Clone, Debug)]
pub struct Proxies(Vec<Address>);

impl Proxies {
    /// Residential proxies of a country: homes, phones behind an operator's shared addresses, and IPv6.
    pub fn residential(world: &World, land: usize, count: usize, rng: &mut Rng) -> Self {
        let Some(land) = world.lands.get(land) else { return Proxies(Vec::new()) };
        let one = |rng: &mut Rng| match rng.below(100) {
            0..55 => land.home(rng),
            55..85 => land.gateway(land.operator(rng), rng),
            _ => land.home_six(rng),
        };
        Proxies((0..count).filter_map(|_| one(rng)).collect())
    }

    /// Rented machines, a few networks of them.
    pub fn hosting(world: &World, networks: usize, count: usize, rng: &mut Rng) -> Self {
        let chosen: Vec<_> = (0..networks).filter_map(|_| rng.pick(&world.hosting)).collect();
        Proxies((0..count).filter_map(|_| rng.pick(&chosen).map(|network| network.address(rng))).collect())
    }

    /// Some address of the pool; the first ones more often.
    pub fn any(&self, rng: &mut Rng) -> Option<Address> {
        let place = rng.unit().powf(1.5) * self.0.len() as f64;
        self.0.get(place as usize).copied()
    }
}

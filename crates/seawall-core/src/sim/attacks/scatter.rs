//! Pumping without ranges: an aggregator inflates traffic to a whole country, and looks like its people.

use crate::sim::request::Origin;
use crate::sim::scenario::Setup;

/// Numbers spread over all of PH as its people's numbers are, from its homes and phones, with its clients.
pub fn scatter_country(setup: &mut Setup) {
    scatter(setup, 0.0);
}

/// The same, three tenths confirmed.
pub fn scatter_partial30(setup: &mut Setup) {
    scatter(setup, 0.30);
}

fn scatter(setup: &mut Setup, confirmed: f64) {
    let land = setup.world.land_of("PH");
    let proxies = setup.proxies("PH", 600);
    let times = setup.times(2_500, 9.0, 9.0);
    setup.attack(times, move |turn| {
        let (to, _) = turn.world.lands.get(land)?.subscriber(turn.rng);
        let from = Origin::new(proxies.any(turn.rng)?, turn.world.clients.any(turn.rng));
        Some(turn.world.attempt(turn.at, land, to, from, turn.rng).confirmed(confirmed, turn.rng))
    });
}

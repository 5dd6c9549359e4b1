//! Attacks that hide where they come from.

use std::net::{IpAddr, Ipv4Addr};

use super::BLOCK;
use crate::sim::addresses::Address;
use crate::sim::request::Origin;
use crate::sim::rng::Rng;
use crate::sim::scenario::Setup;

/// Five real addresses, each request with another forged one in the forwarding header.
pub fn xff_spoof(setup: &mut Setup) {
    let ranges = setup.ranges("VN", 6, 5);
    let times = setup.times(2_500, 9.0, 6.0);
    setup.attack(times, move |turn| {
        let mut request = ranges.request(turn.at, turn.world, turn.rng)?.passing(0.30, turn.rng);
        let forged = forged(turn.rng);
        request.from.iter_mut().for_each(|from| from.forwarded_for = Some(forged));
        Some(request)
    });
}

/// Some public address.
fn forged(rng: &mut Rng) -> IpAddr {
    let [_, b, c, d, ..] = rng.bits().to_le_bytes();
    let first = [31, 45, 62, 81, 93, 103, 117, 151, 177, 190, 202, 213];
    let a = rng.pick(&first).copied().unwrap_or(31);
    Ipv4Addr::new(a, b, c, d.clamp(1, 254)).into()
}

/// Half of the requests change their interface within one /64, half change the /64 within one /48.
pub fn ipv6_rotation(setup: &mut Setup) {
    let ranges = setup.ranges("TH", 40, 0);
    let Some(land) = setup.world.lands.get(ranges.land) else { return };
    let (Some(one), Some(other)) = (land.home_six(&mut setup.rng), land.home_six(&mut setup.rng)) else {
        return;
    };
    let times = setup.times(3_000, 9.0, 8.0);
    setup.attack(times, move |turn| {
        let rotated = match turn.n % 2 {
            0 => one.another_interface(turn.rng),
            _ => other.another_below(turn.rng, 48),
        };
        let client = turn.world.clients.any(turn.rng);
        let to = turn.rng.pick(&ranges.blocks)? + turn.rng.below(BLOCK);
        let from = Origin::new(rotated, client);
        Some(turn.world.attempt(turn.at, ranges.land, to, from, turn.rng))
    });
}

/// An account farm: every account has a number of its own, spread over four countries, and another VPN address.
/// Lists know six of ten of these addresses; one of ten numbers is confirmed.
pub fn vpn_accounts(setup: &mut Setup) {
    let lands = ["GB", "DE", "FR", "ES"].map(|iso| setup.world.land_of(iso));
    let times = setup.times(2_000, 8.0, 12.0);
    setup.attack(times, move |turn| {
        let land = *turn.rng.pick(&lands)?;
        let (to, _) = turn.world.lands.get(land)?.subscriber(turn.rng);
        let vpn = turn.world.hosting(turn.rng)?;
        let address = Address { hosting: turn.rng.chance(0.6), ..vpn };
        let from = Origin::new(address, turn.world.clients.any(turn.rng));
        Some(turn.world.attempt(turn.at, land, to, from, turn.rng).confirmed(0.1, turn.rng))
    });
}

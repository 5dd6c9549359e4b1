//! Attacks on people rather than on money: their numbers are real, and so are the messages that they get.

use super::proxies::Proxies;
use crate::sim::clients;
use crate::sim::request::{Ask, Origin, Request};
use crate::sim::scenario::Setup;
use crate::trace::IfSent;

/// Three hundred codes for one person.
pub fn bomb_single(setup: &mut Setup) {
    let times = setup.times(300, 11.0, 6.0);
    bomb(setup, 1, times);
}

/// Thirty people, sixty codes each.
pub fn bomb_list(setup: &mut Setup) {
    let times = setup.times(1_800, 9.0, 7.5);
    bomb(setup, 30, times);
}

fn bomb(setup: &mut Setup, people: usize, times: Vec<i64>) {
    let land = setup.world.land_of("GB");
    let Some(gb) = setup.world.lands.get(land) else { return };
    let victims: Vec<u64> = (0..people).map(|_| gb.subscriber(&mut setup.rng).0).collect();
    let proxies = setup.proxies("GB", 120);
    setup.attack(times, move |turn| {
        let to = *victims.get(turn.n % victims.len())?;
        let from = Origin::new(proxies.any(turn.rng)?, turn.world.clients.any(turn.rng));
        Some(arrives(turn.world.attempt(turn.at, land, to, from, turn.rng), 0))
    });
}

/// Codes for fifty people, five guesses at each, by a script.
pub fn otp_bruteforce(setup: &mut Setup) {
    let land = setup.world.land_of("BR");
    let Some(br) = setup.world.lands.get(land) else { return };
    let victims: Vec<u64> = (0..50).map(|_| br.subscriber(&mut setup.rng).0).collect();
    let proxies = setup.proxies("BR", 60);
    let times = setup.times(2_000, 8.0, 10.0);
    setup.attack(times, move |turn| {
        let to = *turn.rng.pick(&victims)?;
        let from = Origin::new(proxies.any(turn.rng)?, clients::bot(4));
        Some(arrives(turn.world.attempt(turn.at, land, to, from, turn.rng), 5))
    });
}

/// Stolen passwords are tried: codes for the numbers of real customers, from their own countries, with three
/// clients of which two are common.
pub fn cred_stuffing(setup: &mut Setup) {
    let pools = setup.pools(60);
    let times = setup.times(3_000, 9.0, 8.5);
    setup.attack(times, move |turn| {
        let (land, victim) = turn.world.any_customer(turn.rng)?;
        let client = *turn.rng.pick(&[3, 7, clients::bot(5)])?;
        let from = Origin::new(pools.get(land)?.any(turn.rng)?, client);
        let request = turn.world.attempt(turn.at, land, victim.number, from, turn.rng);
        Some(arrives(request, 0).known(victim.known))
    });
}

impl Setup<'_> {
    /// Residential proxies of every country.
    pub fn pools(&mut self, each: usize) -> Vec<Proxies> {
        let lands = 0..self.world.lands.len();
        lands.map(|land| Proxies::residential(self.world, land, each, &mut self.rng)).collect()
    }
}

/// A real phone receives it; wrong codes come back.
pub fn arrives(mut request: Request, wrong_checks: u32) -> Request {
    if let Ask::Start { if_sent, .. } = &mut request.ask {
        *if_sent = IfSent { confirm_after_ms: None, wrong_checks, delivered: Some(true) };
    }
    request
}

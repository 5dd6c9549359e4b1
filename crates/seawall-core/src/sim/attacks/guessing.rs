//! Guessing at codes: the checks are lines of their own, with the clients that make them.

use super::proxies::Proxies;
use crate::sim::actor::Turn;
use crate::sim::clients;
use crate::sim::request::{Ask, Origin, Request};
use crate::sim::scenario::Setup;
use crate::sim::{SECOND, SUBACCOUNT};

/// A hundred customers, three codes each, five guesses at each code, from changing addresses.
pub fn otp_guessing(setup: &mut Setup) {
    let land = setup.world.land_of("IN");
    let Some(india) = setup.world.lands.get(land) else { return };
    let victims: Vec<u64> = (0..100).map(|_| india.subscriber(&mut setup.rng).0).collect();
    let proxies = setup.proxies("IN", 40);
    let times = setup.times(300, 8.0, 10.0);
    setup.assault(times, move |turn| {
        let to = *victims.get(turn.n % victims.len())?;
        let client = turn.world.clients.any(turn.rng);
        guessed(turn, land, to, &proxies, client, 5)
    });
}

/// Two and a half thousand customers, one code each and two guesses at it, with three clients.
pub fn check_stuffing(setup: &mut Setup) {
    let pools = setup.pools(60);
    let times = setup.times(2_500, 9.0, 8.5);
    setup.assault(times, move |turn| {
        let (land, victim) = turn.world.any_customer(turn.rng)?;
        let client = *turn.rng.pick(&[0, 2, clients::bot(4)])?;
        guessed(turn, land, victim.number, pools.get(land)?, client, 2)
    });
}

impl Setup<'_> {
    /// Several requests at each time, all of the attack.
    fn assault(
        &mut self,
        times: Vec<i64>,
        mut make: impl FnMut(&mut Turn) -> Option<Vec<Request>> + Send + 'static,
    ) {
        let campaign = self.campaign;
        self.act(times, move |turn| {
            Some(make(turn)?.into_iter().map(|request| request.campaign(campaign)).collect())
        });
    }
}

/// A code is asked for, and wrong ones follow, each from another address of the pool.
fn guessed(
    turn: &mut Turn,
    land: usize,
    to: u64,
    proxies: &Proxies,
    client: u8,
    guesses: u32,
) -> Option<Vec<Request>> {
    let from = Origin::new(proxies.any(turn.rng)?, client);
    let start = turn.world.attempt(turn.at, land, to, from, turn.rng);
    let (of, mut at) = (start.id, turn.at);
    let mut requests = vec![start];
    for _ in 0..guesses {
        at += 2 * SECOND + turn.rng.exponential(6_000.0) as i64;
        let from = Some(Origin::new(proxies.any(turn.rng)?, client));
        let (id, ask) = (turn.world.next_id(), Ask::Check { of, correct: false });
        requests.push(Request { at, id, subaccount: SUBACCOUNT, from, ask, campaign: None, event: None });
    }
    Some(requests)
}

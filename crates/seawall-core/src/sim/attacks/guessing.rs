//! Guessing at codes: the checks are lines of their own, with the clients that make them.

use super::accounts::arrives;
use super::proxies::Proxies;
use crate::sim::actor::Turn;
use crate::sim::clients;
use crate::sim::customers::Customer;
use crate::sim::request::{Ask, Origin, Request};
use crate::sim::scenario::Setup;
use crate::sim::{SECOND, SUBACCOUNT};

/// A hundred customers, three codes each, five guesses at each code, from changing addresses.
pub fn otp_guessing(setup: &mut Setup) {
    let land = setup.world.land_of("IN");
    let proxies = setup.proxies("IN", 40);
    let times = setup.times(300, 8.0, 10.0);
    let mut victims: Vec<Customer> = Vec::new();
    setup.assault(times, move |turn| {
        if victims.len() < 100 {
            victims.extend(turn.world.customers.any(land, turn.rng).map(|(_, customer)| customer));
        }
        let victim = *victims.get(turn.n % victims.len().max(1))?;
        let client = turn.world.clients.any(turn.rng);
        guessed(turn, land, victim, &proxies, client, 5)
    });
}

/// Two and a half thousand customers, one code each and two guesses at it, with three clients.
pub fn check_stuffing(setup: &mut Setup) {
    let pools = setup.pools(60);
    let times = setup.times(2_500, 9.0, 8.5);
    setup.assault(times, move |turn| {
        let (land, victim) = turn.world.any_customer(turn.rng)?;
        let client = *turn.rng.pick(&[4, 9, clients::bot(4)])?;
        guessed(turn, land, victim, pools.get(land)?, client, 2)
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
    victim: Customer,
    proxies: &Proxies,
    client: u8,
    guesses: u32,
) -> Option<Vec<Request>> {
    let from = Origin::new(proxies.any(turn.rng)?, client);
    let start =
        arrives(turn.world.attempt(turn.at, land, victim.number, from, turn.rng), 0).known(victim.known);
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

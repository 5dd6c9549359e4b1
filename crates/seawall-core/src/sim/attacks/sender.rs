//! Messages that an app's server sends: its everyday notices, its campaigns, and what a thief sends with its key.

use crate::sim::actor::Turn;
use crate::sim::addresses::Address;
use crate::sim::request::{Ask, Request};
use crate::sim::scenario::Setup;
use crate::sim::{DAY, HOUR, SUBACCOUNT};

/// Everyday notices a day.
const NOTICES: usize = 1_500;

/// A stolen key: five thousand texts with links to hosts never seen before, to numbers never seen before, from a
/// network never seen before.
pub fn hijacked_sender(setup: &mut Setup) {
    notices(setup);
    let Some(thief) = setup.world.hosting(&mut setup.rng) else { return };
    let times = setup.times(5_000, 21.0, 2.0);
    setup.attack(times, move |turn| {
        let land = turn.world.any_land(turn.rng);
        let (to, _) = turn.world.lands.get(land)?.subscriber(turn.rng);
        let text = bait(turn);
        message(turn, land, to, false, text, thief)
    });
}

/// A campaign of a known sender to a hundred thousand of its customers, with the link that it always uses.
pub fn known_campaign(setup: &mut Setup) {
    let server = notices(setup);
    let times = setup.times(100_000, 12.0, 4.0);
    setup.act(times, move |turn| {
        let land = turn.world.any_land(turn.rng);
        let (to, _) = turn.world.lands.get(land)?.subscriber(turn.rng);
        let text = "Acme: 20% off everything until Sunday. https://acme.example/sale Reply STOP to opt out";
        let request = message(turn, land, to, true, text.to_owned(), server?)?;
        Some(vec![Request { event: Some("campaign"), ..request }])
    });
}

/// Orders and the like, all through the trace. Gives the server that they come from.
fn notices(setup: &mut Setup) -> Option<Address> {
    let server = setup.world.hosting.iter().find(|network| network.country.as_str() == "SG").copied();
    let server = server.map(|network| network.address(&mut setup.rng))?;
    let (start, end) = (setup.world.start(), setup.world.end());
    let share = f64::from(setup.world.params.per_day) / 8_000.0;
    let count = NOTICES as f64 * share * (end - start) as f64 / DAY as f64;
    // The first customers have to be there.
    let (first, last) = ((start + HOUR) as f64, end as f64);
    let times = (0..count as usize).map(|_| setup.rng.between(first, last) as i64).collect();
    setup.act(times, move |turn| {
        let (land, customer) = turn.world.any_customer(turn.rng)?;
        let text = notice(turn);
        Some(vec![message(turn, land, customer.number, customer.known, text, server)?])
    });
    Some(server)
}

fn message(
    turn: &mut Turn,
    land: usize,
    to: u64,
    known: bool,
    text: String,
    caller: Address,
) -> Option<Request> {
    let price_micros = turn.world.lands.get(land)?.row.price_micros;
    let ask = Ask::Send { to, known, price_micros, text, caller };
    let id = turn.world.next_id();
    Some(Request { at: turn.at, id, subaccount: SUBACCOUNT, from: None, ask, campaign: None, event: None })
}

/// What the app usually writes.
fn notice(turn: &mut Turn) -> String {
    let order = 100_000 + turn.rng.below(900_000);
    match turn.rng.below(4) {
        0 => format!("Acme: order {order} is on its way. Track it: https://acme.example/t/{order:x}"),
        1 => format!("Acme: order {order} was delivered. Thank you!"),
        2 => format!("Acme: your booking {order} is confirmed. Details: https://acme.example/b/{order:x}"),
        _ => format!("Acme: we refunded order {order}. It may take 5 days to arrive."),
    }
}

/// What the thief writes.
fn bait(turn: &mut Turn) -> String {
    let code = turn.rng.below(0xff_ffff);
    match turn.rng.below(3) {
        0 => {
            format!("Your parcel is held at customs. Pay the fee today: https://parcel-fee.example/{code:x}")
        }
        1 => {
            format!("Unusual sign-in to your bank account. Secure it now: http://secure-login.test/{code:x}")
        }
        _ => {
            format!("You were chosen! Claim your prize before midnight: https://win-a-phone.example/{code:x}")
        }
    }
}

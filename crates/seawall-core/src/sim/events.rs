//! Legitimate events that look like attacks.

use super::MINUTE;
use super::conditions::{Launch, Outage, Share, Surge};
use super::request::Origin;
use super::scenario::Setup;

/// Eight times the traffic everywhere for four hours.
pub fn flash_crowd(setup: &mut Setup) {
    let during = setup.during(12.0, 4.0);
    setup.conditions.surges.push(Surge { during, land: None, times: 8.0 });
}

/// The product is launched in a country where nobody used it.
pub fn new_country(setup: &mut Setup) {
    setup.conditions.launch = Some(Launch { from: setup.hour(6.0), weight: 6.0 });
}

/// Four of six operators of GB deliver three of ten messages for four hours, and people try again.
pub fn route_outage(setup: &mut Setup) {
    let (during, land) = (setup.during(12.0, 4.0), setup.world.land_of("GB"));
    setup.conditions.outages.push(Outage { during, land, operators: 4, factor: 0.3 });
}

/// Four hundred students sign up behind one address in an hour and a half.
pub fn campus_nat(setup: &mut Setup) {
    let land = setup.world.land_of("MY");
    let gate = setup.world.lands.get(land).and_then(|land| land.home(&mut setup.rng));
    let times = setup.times(400, 2.0, 1.5);
    setup.act(times, move |turn| {
        let (to, _) = turn.world.lands.get(land)?.subscriber(turn.rng);
        let from = Origin::new(gate?, turn.world.clients.any(turn.rng));
        turn.world.signs_up(turn.at, land, to, from, "campus", turn.rng)
    });
}

/// A company enrols two hundred phones with consecutive numbers from its office.
pub fn enterprise_block(setup: &mut Setup) {
    let land = setup.world.land_of("DE");
    let Some(de) = setup.world.lands.get(land) else { return };
    let first = de.block(&mut setup.rng, 4) + setup.rng.below(9_000);
    let office = de.office(&mut setup.rng);
    let times = setup.times(200, 8.0, 3.0);
    setup.act(times, move |turn| {
        let from = Origin::new(office?, u8::try_from(turn.rng.below(3)).unwrap_or(0));
        turn.world.signs_up(turn.at, land, first + turn.n as u64, from, "enterprise", turn.rng)
    });
}

/// Six of ten people move to a new client.
pub fn app_release(setup: &mut Setup) {
    setup.conditions.release = Some(Share { during: setup.during(6.0, 42.0), share: 0.6 });
}

/// Twenty-five times the traffic of a dear country for six hours.
pub fn spike_costly(setup: &mut Setup) {
    let (during, land) = (setup.during(10.0, 6.0), Some(setup.world.land_of("DZ")));
    setup.conditions.surges.push(Surge { during, land, times: 25.0 });
}

/// A third of all numbers was ported, so that the prefix names the wrong operator; then two operators of GB fail.
pub fn number_porting(setup: &mut Setup) {
    setup.conditions.ported = 0.35;
    let (during, land) = (setup.during(12.0, 4.0), setup.world.land_of("GB"));
    setup.conditions.outages.push(Outage { during, land, operators: 2, factor: 0.3 });
}

/// Holidays: a quarter of all users is abroad.
pub fn roaming(setup: &mut Setup) {
    setup.conditions.roaming = Some(Share { during: setup.during(0.0, 48.0), share: 0.25 });
}

/// Countries with summer time put their clocks forward in the first night.
pub fn summer_time(setup: &mut Setup) {
    setup.conditions.summer_time = Some(setup.hour(1.0));
}

/// The app's servers have clocks that are wrong by up to two minutes, and report confirmations with them.
pub fn clock_skew(setup: &mut Setup) {
    setup.conditions.clock_skew = Some((setup.during(0.0, 48.0), 2 * MINUTE));
}

/// From one moment on the app reports only seven of ten confirmations.
pub fn feedback_breaks(setup: &mut Setup) {
    setup.conditions.feedback = Some(Share { during: setup.during(6.0, 42.0), share: 0.7 });
}

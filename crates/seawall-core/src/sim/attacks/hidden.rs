//! Pumping within something that explains more traffic or fewer confirmations.

use super::blocks;
use crate::sim::SECOND_SUBACCOUNT;
use crate::sim::conditions::{During, Launch, Share, Surge, Tenant};
use crate::sim::scenario::Setup;

/// Nine hundred messages within a campaign that brings eight times the usual traffic of BR.
pub fn mixed_campaign(setup: &mut Setup) {
    let (during, land) = (setup.during(10.0, 6.0), Some(setup.world.land_of("BR")));
    setup.conditions.surges.push(Surge { during, land, times: 8.0 });
    let (times, ranges) = (setup.times(900, 10.5, 5.0), setup.ranges("BR", 10, 200));
    setup.pump(times, ranges, 0.0);
}

/// The product is launched in a country, and pumped there from the second hour.
pub fn launch_attack(setup: &mut Setup) {
    setup.conditions.launch = Some(Launch { from: setup.hour(6.0), weight: 6.0 });
    let (times, ranges) = (setup.times(2_000, 8.0, 10.0), setup.ranges(crate::sim::LAUNCH, 12, 250));
    setup.pump(times, ranges, 0.0);
}

/// Two subaccounts, one of which confirms poorly by nature; that one is pumped.
pub fn two_tenants(setup: &mut Setup) {
    setup.conditions.second_tenant = Some(Tenant { share: 0.35, confirms: 0.6 });
    let (times, ranges) = (setup.times(2_500, 9.0, 8.0), setup.ranges("VN", 8, 300));
    setup.attack(times, move |turn| {
        let mut request = ranges.request(turn.at, turn.world, turn.rng)?;
        request.subaccount = SECOND_SUBACCOUNT;
        Some(request)
    });
}

/// The app reports only seven of ten confirmations, now and always; a large country is pumped.
pub fn lost_feedback(setup: &mut Setup) {
    let during = During { from: i64::MIN, until: i64::MAX };
    setup.conditions.feedback = Some(Share { during, share: 0.7 });
    blocks::resproxy_top_country(setup);
}

/// A million requests a day, with two attacks among them.
pub fn scale_1m(setup: &mut Setup) {
    blocks::multi_range(setup);
    blocks::resproxy_top_country(setup);
}

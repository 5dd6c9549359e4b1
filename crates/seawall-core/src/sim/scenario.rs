//! The list of scenarios, and what each is built from.

use super::actor::{Actor, Script, Turn};
use super::attacks::{accounts, adaptive, blocks, guessing, hidden, scatter, sender, spoofing, timing};
use super::conditions::{Conditions, During};
use super::events;
use super::request::Request;
use super::rng::Rng;
use super::world::World;
use super::{DAY, HOUR, Params, TEST_FROM};
use crate::rule::suggest::nearest;

/// What a scenario is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An attack in quiet traffic.
    Attack,
    /// No attack, but what looks like one.
    HardNegative,
    /// An attack within what looks like one.
    Mixed,
}

/// One scenario.
#[derive(Clone, Copy)]
pub struct Scenario {
    /// Its name, also of its campaign.
    pub name: &'static str,
    /// What it is for.
    pub kind: Kind,
    /// What happens, in a sentence.
    pub what: &'static str,
    /// The size that it is meant to have.
    pub params: Params,
    pub(super) build: fn(&mut Setup),
}

/// There is no such scenario.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no scenario `{name}`; `seawall simulate --list` names them{nearest}")]
pub struct UnknownScenario {
    name: String,
    nearest: String,
}

/// What a scenario is built with.
pub struct Setup<'a> {
    /// What everybody shares.
    pub world: &'a mut World,
    /// The scenario's own chance.
    pub rng: Rng,
    /// What becomes unusual.
    pub conditions: Conditions,
    /// Who acts.
    pub actors: Vec<Box<dyn Actor>>,
    /// What the attack is called.
    pub campaign: &'static str,
    /// How much later than in its own scenario it happens, milliseconds.
    pub later: i64,
}

const fn row(name: &'static str, kind: Kind, what: &'static str, build: fn(&mut Setup)) -> Scenario {
    Scenario { name, kind, what, params: Params::FULL, build }
}

use Kind::{Attack, HardNegative, Mixed};

#[rustfmt::skip] // one scenario a line reads as the table that it is
static SCENARIOS: &[Scenario] = &[
    row("seq_block", Attack, "4,000 sequential numbers of one block of AZ, from 20 hosting addresses, one bot client", blocks::seq_block),
    row("random_in_prefix", Attack, "3,000 numbers of one block of 10,000 in UZ, through residential proxies", blocks::random_in_prefix),
    row("multi_range", Attack, "4,000 messages to 40 blocks of DZ", blocks::multi_range),
    row("multi_country", Attack, "5,000 messages to 5 blocks each of 15 countries, with the clients and addresses of people there", blocks::multi_country),
    row("resproxy_top_country", Attack, "3,000 messages to 8 blocks of ID, a country with many users, through residential proxies", blocks::resproxy_top_country),
    row("datacentre", Attack, "3,000 messages to 5 blocks of BD, from hosting addresses", blocks::datacentre),
    row("low_and_slow", Attack, "440 messages in 44 hours to 20 blocks of EG", timing::low_and_slow),
    row("partial_10", Attack, "3,000 messages to 8 blocks of PK, 10 % of them confirmed", blocks::partial_10),
    row("partial_30", Attack, "3,000 messages to 8 blocks of PK, 30 % of them confirmed", blocks::partial_30),
    row("partial_60", Attack, "3,000 messages to 8 blocks of PK, 60 % of them confirmed, where 68 % is normal", blocks::partial_60),
    row("slow_ramp", Attack, "3,000 messages to 10 blocks of NG, from 2 to hundreds an hour in 44 hours", timing::slow_ramp),
    row("weekend_night", Attack, "2,500 messages to 10 blocks of TN between 02:00 and 06:00 UTC", timing::weekend_night),
    row("test_then_burst", Attack, "3 confirmed tests in each of 5 ranges of LK, 12 quiet hours, 3,000 messages in one hour", timing::test_then_burst),
    row("bomb_single", Attack, "300 codes to one person", accounts::bomb_single),
    row("bomb_list", Attack, "60 codes to each of 30 people", accounts::bomb_list),
    row("otp_bruteforce", Attack, "2,000 codes to 50 people, 5 wrong checks each", accounts::otp_bruteforce),
    row("cred_stuffing", Attack, "3,000 codes to real customers, residential proxies, three clients of which two are common", accounts::cred_stuffing),
    row("xff_spoof", Attack, "2,500 messages to 6 blocks of VN from 5 addresses that forge their forwarding header", spoofing::xff_spoof),
    row("mixed_campaign", Mixed, "900 messages to 10 blocks of BR within a campaign that brings 8 times the usual traffic", hidden::mixed_campaign),
    row("scatter_country", Attack, "2,500 messages spread over all of PH, everything mimicked", scatter::scatter_country),
    row("scatter_partial30", Attack, "2,500 messages spread over all of PH, everything mimicked, 30 % of them confirmed", scatter::scatter_partial30),
    row("partial_90", Attack, "3,000 messages to 8 blocks of PK, 85 to 95 % of them confirmed", blocks::partial_90),
    row("forged_dlr", Attack, "3,000 messages to 8 blocks of NG, all receipts say delivered, none is confirmed", blocks::forged_dlr),
    row("neighbouring_ranges", Attack, "50 messages to a block of UZ, then 50 to its neighbour, 3,000 in all", blocks::neighbouring_ranges),
    row("adaptive", Attack, "leaves a range at its first stop, returns after 24 hours, copies the clients of the moment; 3,000 messages", adaptive::adaptive),
    row("poisoned_warmup", Attack, "400 messages to 8 blocks of EG in the warm-up, 95 % confirmed, then 3,000 unconfirmed", timing::poisoned_warmup),
    Scenario { params: Params { warmup_days: 0, ..Params::FULL }, ..row("day_zero", Attack, "3,000 messages to 10 blocks of UZ from the first hour on, without any warm-up", timing::day_zero) },
    row("ipv6_rotation", Attack, "3,000 messages to 40 blocks of TH, rotating within one IPv6 /64 and one /48", spoofing::ipv6_rotation),
    row("vpn_accounts", Attack, "2,000 accounts with a number and a VPN address each, over four countries, 10 % confirmed", spoofing::vpn_accounts),
    row("otp_guessing", Attack, "300 codes to 100 people, each followed by 5 wrong checks from changing addresses", guessing::otp_guessing),
    row("check_stuffing", Attack, "2,500 codes to real customers, each followed by 2 wrong checks, three clients", guessing::check_stuffing),
    row("launch_attack", Mixed, "2,000 messages to 12 blocks of a country where the product is just launched", hidden::launch_attack),
    row("two_tenants", Mixed, "2,500 messages to 8 blocks of VN, for the one of two subaccounts that confirms poorly by nature", hidden::two_tenants),
    row("lost_feedback", Mixed, "resproxy_top_country while only 70 % of confirmations are ever reported", hidden::lost_feedback),
    Scenario { params: Params { warmup_days: 1, test_days: 1, per_day: 1_000_000, ..Params::FULL }, ..row("scale_1m", Mixed, "a million requests a day, multi_range and resproxy_top_country among them", hidden::scale_1m) },
    row("hijacked_sender", Attack, "5,000 texts with links to new hosts, to unknown numbers, from a new network, with a stolen key", sender::hijacked_sender),
    row("hn_quiet", HardNegative, "nothing happens", |_| {}),
    row("hn_flash_crowd", HardNegative, "8 times the traffic for 4 hours", events::flash_crowd),
    row("hn_new_country", HardNegative, "launch in a country never seen before", events::new_country),
    row("hn_route_outage", HardNegative, "4 of 6 operators of GB fall to 0.3 of their confirmations for 4 hours, people retry", events::route_outage),
    row("hn_campus_nat", HardNegative, "400 sign-ups behind one address in 90 minutes", events::campus_nat),
    row("hn_enterprise_block", HardNegative, "200 consecutive numbers from one office address", events::enterprise_block),
    row("hn_app_release", HardNegative, "60 % of the traffic moves to a new client", events::app_release),
    row("hn_spike_costly", HardNegative, "25 times the traffic of DZ for 6 hours", events::spike_costly),
    row("hn_number_porting", HardNegative, "a third of the numbers is ported, and two operators of GB fail for 4 hours", events::number_porting),
    row("hn_roaming", HardNegative, "a quarter of all users is in another country than their number", events::roaming),
    row("hn_dst_shift", HardNegative, "countries with summer time put their clocks forward", events::summer_time),
    row("hn_clock_skew", HardNegative, "confirmations are reported with clocks that are wrong by up to 2 minutes", events::clock_skew),
    row("hn_lost_feedback", HardNegative, "from one moment on only 70 % of confirmations are reported", events::feedback_breaks),
    row("hn_known_campaign", HardNegative, "a known sender writes to 100,000 of its customers", sender::known_campaign),
];

/// Everything that can be simulated.
pub fn scenarios() -> &'static [Scenario] {
    SCENARIOS
}

/// A scenario by its name; `quiet` is short for `hn_quiet`.
pub(super) fn find(name: &str) -> Result<&'static Scenario, UnknownScenario> {
    let full = if name == "quiet" { "hn_quiet" } else { name };
    SCENARIOS.iter().find(|scenario| scenario.name == full).ok_or_else(|| {
        let names = || SCENARIOS.iter().map(|scenario| scenario.name.to_owned());
        let part = || names().find(|known| name.len() > 2 && known.contains(name));
        let near = nearest(name, names()).or_else(part);
        let nearest = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
        UnknownScenario { name: name.chars().take(40).collect(), nearest }
    })
}

impl<'a> Setup<'a> {
    pub(super) fn new(world: &'a mut World, seed: u64, campaign: &'static str) -> Self {
        let (rng, conditions) = (Rng::new(seed, campaign), Conditions::default());
        Setup { world, rng, conditions, actors: Vec::new(), campaign, later: 0 }
    }

    /// How many requests a full number becomes at this size.
    pub fn count(&self, full: usize) -> usize {
        ((full as f64 * self.world.params.attack_scale).round() as usize).max(1)
    }

    /// A time of the test, in hours from its begin; a test of less than two days is quicker.
    pub fn hour(&self, hours: f64) -> i64 {
        let span = f64::from(self.world.params.test_days) * DAY as f64;
        let hour = (span / 48.0).min(HOUR as f64);
        TEST_FROM + (hours * hour) as i64 + self.later
    }

    /// Some hours of the test.
    pub fn during(&self, from: f64, hours: f64) -> During {
        During { from: self.hour(from), until: self.hour(from + hours) }
    }

    /// So many times, evenly likely over some hours of the test.
    pub fn times(&mut self, full: usize, from: f64, hours: f64) -> Vec<i64> {
        let (first, last) = (self.hour(from) as f64, self.hour(from + hours) as f64);
        (0..self.count(full)).map(|_| self.rng.between(first, last) as i64).collect()
    }

    /// Requests at given times that belong to the attack.
    pub fn attack(
        &mut self,
        times: Vec<i64>,
        mut make: impl FnMut(&mut Turn) -> Option<Request> + Send + 'static,
    ) {
        let campaign = self.campaign;
        self.act(times, move |turn| Some(vec![make(turn)?.campaign(campaign)]));
    }

    /// Requests at given times.
    pub fn act(
        &mut self,
        times: Vec<i64>,
        mut make: impl FnMut(&mut Turn) -> Option<Vec<Request>> + Send + 'static,
    ) {
        let rng = Rng::new(self.rng.bits(), "script");
        self.actors.push(Box::new(Script::new(times, rng, move |turn| make(turn).unwrap_or_default())));
    }
}

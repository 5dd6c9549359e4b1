//! Legitimate users: who they are, where they come from, what they do with the code, and how often they try.

use super::addresses::Address;
use super::clients::NEXT_RELEASE;
use super::conditions::{Conditions, Share};
use super::customers::{Access, Customer};
use super::request::{Ask, Origin, Request};
use super::rng::{Rng, mix};
use super::world::World;
use super::{HOUR, SECOND_SUBACCOUNT, SUBACCOUNT};
use crate::trace::IfSent;

/// People who come back.
const RETURNING: f64 = 0.40;
/// Those of them who still have the device.
const SAME_DEVICE: f64 = 0.75;
/// People who are in another country than their number, usually.
const ABROAD: f64 = 0.03;
/// Those who come back from another address than the last time.
const MOVED: f64 = 0.15;
/// Median and sigma of the time to confirm, milliseconds, and the longest time that counts.
const CONFIRM: (f64, f64, f64) = (24_000.0, 0.8, 590_000.0);
/// Messages that stay unconfirmed because they did not arrive.
const LOST: f64 = 0.25;
/// People who pass a challenge.
const PASS: f64 = 0.95;
/// Of those who confirmed before, so many fewer fail.
const TRUSTED_FAILS: f64 = 0.5;

/// Somebody asks for a code, perhaps several times.
#[derive(Clone, Copy, Debug)]
pub struct Visit {
    /// Index of the country.
    pub land: usize,
    /// Who.
    pub person: Customer,
    /// Their place among the customers, if they come back.
    pub place: Option<usize>,
    /// Their client, now.
    pub from: Origin,
    /// What they belong to, if it has a name.
    pub event: Option<&'static str>,
    /// Whose user they are.
    pub subaccount: &'static str,
}

/// Somebody was verified.
#[derive(Clone, Copy, Debug)]
pub struct Joined {
    /// When.
    pub at: i64,
    /// Index of the country.
    pub land: usize,
    /// Who, with the token that their device has now.
    pub customer: Customer,
    /// Their place among the customers, if they have one.
    pub place: Option<usize>,
}

impl World {
    /// Fills the list of customers with those from before the trace.
    pub fn settle(&mut self, rng: &mut Rng) {
        let new = self.params.warmup_days == 0;
        for _ in 0..self.params.per_day * 3 / 4 {
            let land = self.any_land(rng);
            if let Some(customer) = self.newcomer(land, ABROAD, rng) {
                // Without a warm-up the gateway is new: the app has customers, but none was verified here.
                let (known, token) = if new { (false, None) } else { (true, customer.token) };
                self.customers.add(land, Customer { known, token, ..customer }, rng);
            }
        }
    }

    /// Somebody whom nobody knows yet.
    fn newcomer(&self, land: usize, abroad: f64, rng: &mut Rng) -> Option<Customer> {
        let (number, operator) = self.lands.get(land)?.subscriber(rng);
        let client = self.clients.any(rng);
        let access = self.access(land, operator, abroad, rng)?;
        Some(Customer { number, operator, client, access, token: Some(rng.bits()), known: false })
    }

    /// 3 % sit behind a VPN, and so many are abroad.
    fn access(&self, land: usize, operator: usize, abroad: f64, rng: &mut Rng) -> Option<Access> {
        if rng.chance(0.03) {
            return self.hosting(rng).map(Access::Fixed);
        }
        if rng.chance(abroad) {
            return self.abroad(rng).map(Access::Fixed);
        }
        self.home_access(land, operator, rng)
    }

    /// Some address in some other country.
    fn abroad(&self, rng: &mut Rng) -> Option<Address> {
        let there = self.any_land(rng);
        let land = self.lands.get(there)?;
        match self.home_access(there, land.operator(rng), rng)? {
            Access::Gateway { operator } => land.gateway(operator, rng),
            Access::Six(address) | Access::Fixed(address) => Some(address),
        }
    }

    /// 7 % sit in offices, 55 % behind their operator's shared addresses, the rest at home. Some phones and half of
    /// the homes have IPv6 as well, and prefer it.
    fn home_access(&self, land: usize, operator: usize, rng: &mut Rng) -> Option<Access> {
        let here = self.lands.get(land)?;
        let (place, six) = (rng.unit(), rng.unit());
        let six =
            |share: f64, rng: &mut Rng| (six < share).then(|| here.home_six(rng)).flatten().map(Access::Six);
        match place {
            0.0..0.07 => here.office(rng).map(Access::Fixed),
            0.07..0.62 => six(0.15, rng).or(Some(Access::Gateway { operator })),
            _ => six(0.5, rng).or_else(|| here.home(rng).map(Access::Fixed)),
        }
    }

    /// Somebody comes.
    pub fn visit(&mut self, at: i64, land: usize, conditions: &Conditions, rng: &mut Rng) -> Option<Visit> {
        let abroad = Share::at(conditions.roaming, at, ABROAD);
        let returning = rng.chance(RETURNING).then(|| self.customers.any(land, rng)).flatten();
        let (place, mut person) = match returning {
            Some((place, customer)) => (Some(place), customer),
            None => (None, self.newcomer(land, abroad, rng)?),
        };
        let same_device = place.is_some() && person.token.is_some() && rng.chance(SAME_DEVICE);
        if place.is_some() && !same_device {
            person.client = self.clients.any(rng);
            person.token = Some(rng.bits());
        }
        if place.is_some() && rng.chance(abroad - ABROAD) {
            person.access = Access::Fixed(self.abroad(rng)?);
        } else if place.is_some() && rng.chance(MOVED) {
            person.access = self.access(land, person.operator, abroad, rng)?;
        }
        if conditions.release.is_some_and(|r| r.during.holds(at) && rng.chance(r.share)) {
            person.client = NEXT_RELEASE;
        }
        if place.is_none() && rng.chance(conditions.ported) {
            person.operator = self.lands.get(land)?.operator(rng);
        }
        let from = self.origin(land, &person, same_device, rng)?;
        let second = conditions.second_tenant.is_some_and(|tenant| rng.chance(tenant.share));
        let subaccount = if second { SECOND_SUBACCOUNT } else { SUBACCOUNT };
        Some(Visit { land, person, place, from, event: None, subaccount })
    }

    /// Somebody new signs up in an event that is nothing but busy: all their requests.
    pub fn signs_up(
        &mut self,
        at: i64,
        land: usize,
        number: u64,
        from: Origin,
        event: &'static str,
        rng: &mut Rng,
    ) -> Option<Vec<Request>> {
        let operator = self.lands.get(land)?.operator_of(number);
        let access = Access::Fixed(from.address);
        let person = Customer { number, operator, client: from.client, access, token: None, known: false };
        let visit = Visit { land, person, place: None, from, event: Some(event), subaccount: SUBACCOUNT };
        Some(self.tries(at, &visit, &Conditions::default(), rng).0)
    }

    fn origin(&self, land: usize, person: &Customer, same_device: bool, rng: &mut Rng) -> Option<Origin> {
        let address = match person.access {
            Access::Gateway { operator } => self.lands.get(land)?.gateway(operator, rng)?,
            Access::Six(six) => six.another_interface(rng),
            Access::Fixed(address) => address,
        };
        let token = person.token.filter(|_| same_device);
        Some(Origin { address, client: person.client, token, forwarded_for: None })
    }

    /// All requests of a visit, the first at `at`, and how it ends if somebody is verified.
    pub fn tries(
        &mut self,
        mut at: i64,
        visit: &Visit,
        conditions: &Conditions,
        rng: &mut Rng,
    ) -> (Vec<Request>, Option<Joined>) {
        let mut requests = Vec::with_capacity(1);
        for last in [false, false, true] {
            let if_sent = self.outcome(at, visit, conditions, rng);
            let reported = reported(at, if_sent, conditions, rng);
            requests.push(self.asking(at, visit, reported, rng));
            if let Some(after) = if_sent.confirm_after_ms {
                let Visit { land, person: customer, place, .. } = *visit;
                let joined = Joined { at: at.saturating_add_unsigned(after), land, customer, place };
                // What the gateway never hears of earns no device token.
                return (requests, reported.confirm_after_ms.map(|_| joined));
            }
            if last || rng.chance(0.5) {
                break;
            }
            at += 35_000 + rng.exponential(45_000.0) as i64;
        }
        (requests, None)
    }

    fn asking(&mut self, at: i64, visit: &Visit, if_sent: IfSent, rng: &mut Rng) -> Request {
        let price_micros = self.lands.get(visit.land).map_or(0, |land| land.row.price_micros);
        let (to, known) = (visit.person.number, visit.person.known);
        Request {
            at,
            id: self.next_id(),
            subaccount: visit.subaccount,
            from: Some(visit.from),
            ask: Ask::Start { to, known, price_micros, if_sent, passes: rng.chance(PASS) },
            campaign: None,
            event: visit.event,
        }
    }

    /// Whether, when and after how many wrong codes the person confirms.
    fn outcome(&self, at: i64, visit: &Visit, conditions: &Conditions, rng: &mut Rng) -> IfSent {
        let route = conditions.route(visit.land, visit.person.operator, at);
        let arrives = rng.chance(route);
        if arrives && rng.chance(self.probability(at, visit, conditions)) {
            let after = rng.log_normal(CONFIRM.0, CONFIRM.1).clamp(3_000.0, CONFIRM.2);
            let wrong_checks = if rng.chance(0.06) { 1 + u32::from(rng.chance(0.15)) } else { 0 };
            return IfSent { confirm_after_ms: Some(after as u64), wrong_checks, delivered: Some(true) };
        }
        let delivered = Some(arrives && !rng.chance(LOST));
        IfSent { confirm_after_ms: None, wrong_checks: u32::from(rng.chance(0.04)), delivered }
    }

    /// Country × operator × client × the hour's chance.
    fn probability(&self, at: i64, visit: &Visit, conditions: &Conditions) -> f64 {
        let Some(land) = self.lands.get(visit.land) else { return 0.0 };
        let operator = land.operators.get(visit.person.operator).map_or(1.0, |operator| operator.confirms);
        let client = self.clients.confirms(visit.from.client);
        let hour = hourly(land.confirms.to_bits(), at.div_euclid(HOUR).unsigned_abs());
        let tenant = conditions.second_tenant.filter(|_| visit.subaccount == SECOND_SUBACCOUNT);
        let base = land.confirms * operator * client * hour * tenant.map_or(1.0, |tenant| tenant.confirms);
        let base = base.clamp(0.02, 0.98);
        if visit.from.token.is_some() { 1.0 - (1.0 - base) * TRUSTED_FAILS } else { base }
    }
}

/// What the gateway hears of it: some confirmations get lost on the way, and the app's clock may be wrong.
fn reported(at: i64, mut if_sent: IfSent, conditions: &Conditions, rng: &mut Rng) -> IfSent {
    if conditions.feedback.is_some() && !rng.chance(Share::at(conditions.feedback, at, 1.0)) {
        if_sent.confirm_after_ms = None;
    }
    if let Some((_, skew)) = conditions.clock_skew.filter(|(during, _)| during.holds(at)) {
        let wrong = rng.between(-(skew as f64), skew as f64) as i64;
        if_sent.confirm_after_ms = if_sent.confirm_after_ms.map(|after| after.saturating_add_signed(wrong));
    }
    if_sent
}

/// A country's good and bad hours: a normal deviation of 3.5 %, the same whoever asks.
fn hourly(land: u64, hour: u64) -> f64 {
    Rng::new(mix(land ^ hour), "hour").normal(1.0, 0.035)
}

//! What people and attackers share: countries, clients, networks, customers, and the numbering of requests.

use super::addresses::Address;
use super::clients::Clients;
use super::countries::COUNTRIES;
use super::customers::{Customer, Customers};
use super::land::Land;
use super::request::{Ask, Origin, Request};
use super::rng::{Rng, Weights};
use super::tables::{self, Network};
use super::{Params, SUBACCOUNT, TEST_FROM};
use crate::trace::IfSent;

/// Clients of the latest legitimate requests that are remembered.
const LIVE: usize = 256;

/// What people and attackers share.
#[derive(Clone, Debug)]
pub struct World {
    /// The countries of [`COUNTRIES`], in that order.
    pub lands: Vec<Land>,
    /// Clients that people use.
    pub clients: Clients,
    /// Who comes back.
    pub customers: Customers,
    /// Hosting and VPN networks, IPv4.
    pub hosting: Vec<Network>,
    /// How large everything is.
    pub params: Params,
    weights: Weights,
    /// What legitimate users show on the live page, as somebody who watches it would see: country and client.
    live: Vec<(usize, u8)>,
    seen: usize,
    ids: u64,
}

impl World {
    /// The world of one seed.
    pub fn new(seed: u64, params: Params) -> Self {
        let mut rng = Rng::new(seed, "world");
        let (plans, networks) = (tables::plans(), tables::networks());
        let lands: Vec<Land> =
            COUNTRIES.iter().filter_map(|row| Land::new(row, &plans, &networks, &mut rng)).collect();
        World {
            clients: Clients::new(&mut rng),
            customers: Customers::new(lands.len(), (params.per_day as usize * 4).clamp(1_000, 400_000)),
            hosting: networks.into_iter().filter(|n| n.hosting && !n.is_v6()).collect(),
            weights: Weights::new(lands.iter().map(|land| land.row.weight)),
            lands,
            params,
            live: Vec::with_capacity(LIVE),
            seen: 0,
            ids: 0,
        }
    }

    /// The index of a country.
    pub fn land_of(&self, iso: &str) -> usize {
        self.lands.iter().position(|land| land.row.iso == iso).unwrap_or(0)
    }

    /// Some country, by its share of the traffic.
    pub fn any_land(&self, rng: &mut Rng) -> usize {
        self.weights.pick(rng)
    }

    /// Some customer and their country, by the countries' shares of the traffic.
    pub fn any_customer(&self, rng: &mut Rng) -> Option<(usize, Customer)> {
        // A small country may have none yet.
        (0..100).find_map(|_| {
            let land = self.any_land(rng);
            self.customers.any(land, rng).map(|(_, customer)| (land, customer))
        })
    }

    /// An address in some hosting or VPN network.
    pub fn hosting(&self, rng: &mut Rng) -> Option<Address> {
        rng.pick(&self.hosting).map(|network| network.address(rng))
    }

    /// A name for the next request.
    pub fn next_id(&mut self) -> u64 {
        self.ids += 1;
        self.ids
    }

    /// When the warm-up begins.
    pub fn start(&self) -> i64 {
        TEST_FROM - i64::from(self.params.warmup_days) * super::DAY
    }

    /// When the trace ends.
    pub fn end(&self) -> i64 {
        TEST_FROM + i64::from(self.params.test_days) * super::DAY
    }

    /// A legitimate request was seen on the live page.
    pub(super) fn watch(&mut self, land: usize, client: u8) {
        if self.live.len() < LIVE {
            self.live.push((land, client));
        } else {
            self.live.iter_mut().skip(self.seen % LIVE).take(1).for_each(|place| *place = (land, client));
        }
        self.seen = self.seen.wrapping_add(1);
    }

    /// A client that legitimate users of the country have just used, or else any.
    pub fn live_client(&self, land: usize, rng: &mut Rng) -> u8 {
        let here: Vec<u8> = self.live.iter().filter(|seen| seen.0 == land).map(|seen| seen.1).collect();
        rng.pick(&here).copied().unwrap_or_else(|| self.clients.any(rng))
    }

    /// A request for a code that nobody will ever confirm; a challenge is passed in 85 of 100 cases.
    pub fn attempt(&mut self, at: i64, land: usize, to: u64, from: Origin, rng: &mut Rng) -> Request {
        let price_micros = self.lands.get(land).map_or(0, |land| land.row.price_micros);
        // Aggregators report what suits them.
        let delivered = Some(rng.chance(0.6));
        let if_sent = IfSent { confirm_after_ms: None, wrong_checks: 0, delivered };
        Request {
            at,
            id: self.next_id(),
            subaccount: SUBACCOUNT,
            from: Some(from),
            ask: Ask::Start { to, known: false, price_micros, if_sent, passes: rng.chance(0.85) },
            campaign: None,
            event: None,
        }
    }
}

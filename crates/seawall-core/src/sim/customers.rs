//! Customers: people whose number was verified, before the trace or in it, and who come back.

use super::addresses::Address;
use super::rng::Rng;

/// How somebody reaches the internet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Through an operator's shared addresses, another one each time.
    Gateway {
        /// Index of the operator.
        operator: usize,
    },
    /// From one IPv6 /64, with another interface each time.
    Six(Address),
    /// From one address.
    Fixed(Address),
}

/// One customer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Customer {
    /// The number.
    pub number: u64,
    /// Index of the operator that serves it.
    pub operator: usize,
    /// Which client, see [`super::clients`].
    pub client: u8,
    /// How it reaches the internet.
    pub access: Access,
    /// The token that its device holds, or will hold once it is verified.
    pub token: Option<u64>,
    /// It was verified before the trace began.
    pub known: bool,
}

/// The customers of all countries. When there are too many, new ones take the places of others.
#[derive(Clone, Debug)]
pub struct Customers {
    lands: Vec<Vec<Customer>>,
    capacity: usize,
    count: usize,
}

impl Customers {
    /// None yet; at most `capacity` are remembered.
    pub fn new(lands: usize, capacity: usize) -> Self {
        Customers { lands: vec![Vec::new(); lands], capacity, count: 0 }
    }

    /// Some customer of a country, with its place.
    pub fn any(&self, land: usize, rng: &mut Rng) -> Option<(usize, Customer)> {
        let here = self.lands.get(land)?;
        let place = rng.index(here.len());
        here.get(place).map(|customer| (place, *customer))
    }

    /// Adds a customer.
    pub fn add(&mut self, land: usize, customer: Customer, rng: &mut Rng) {
        let Some(here) = self.lands.get_mut(land) else { return };
        if self.count < self.capacity || here.is_empty() {
            self.count += 1;
            here.push(customer);
        } else {
            let place = rng.index(here.len());
            here.iter_mut().skip(place).take(1).for_each(|old| *old = customer);
        }
    }

    /// The customer in that place was verified on another device.
    pub fn renew(&mut self, land: usize, place: usize, customer: Customer) {
        let old = self.lands.get_mut(land).and_then(|here| here.get_mut(place));
        if let Some(old) = old.filter(|old| old.number == customer.number) {
            *old = customer;
        }
    }
}

//! What is unusual about the legitimate traffic of a scenario, and when. Times are milliseconds since the epoch.

/// A span of time, its end not included.
#[derive(Clone, Copy, Debug)]
pub struct During {
    /// Its beginning.
    pub from: i64,
    /// Its end.
    pub until: i64,
}

/// Everything unusual.
#[derive(Clone, Debug, Default)]
pub struct Conditions {
    /// More requests than usual.
    pub surges: Vec<Surge>,
    /// The launch country gets users.
    pub launch: Option<Launch>,
    /// Messages that do not arrive.
    pub outages: Vec<Outage>,
    /// People move to the app's next release.
    pub release: Option<Share>,
    /// More people than usual are abroad.
    pub roaming: Option<Share>,
    /// Only this share of confirmations is reported to the gateway.
    pub feedback: Option<Share>,
    /// Confirmations are reported with clocks that are wrong by up to so many milliseconds.
    pub clock_skew: Option<(During, i64)>,
    /// Countries with summer time put their clocks forward.
    pub summer_time: Option<i64>,
    /// This share of numbers is served by another operator than their prefix says.
    pub ported: f64,
    /// A second subaccount has a share of the traffic.
    pub second_tenant: Option<Tenant>,
}

/// More requests than usual.
#[derive(Clone, Copy, Debug)]
pub struct Surge {
    /// When.
    pub during: During,
    /// Where; `None`: everywhere.
    pub land: Option<usize>,
    /// How many times as many.
    pub times: f64,
}

/// The launch country gets users.
#[derive(Clone, Copy, Debug)]
pub struct Launch {
    /// From when on.
    pub from: i64,
    /// Its weight beside the others, in percent.
    pub weight: f64,
}

/// Messages to some operators do not arrive.
#[derive(Clone, Debug)]
pub struct Outage {
    /// When.
    pub during: During,
    /// Where.
    pub land: usize,
    /// The first so many operators of the country.
    pub operators: usize,
    /// What remains of the probability to confirm.
    pub factor: f64,
}

/// A share of people or events, during some time.
#[derive(Clone, Copy, Debug)]
pub struct Share {
    /// When.
    pub during: During,
    /// 0 to 1.
    pub share: f64,
}

/// A second subaccount.
#[derive(Clone, Copy, Debug)]
pub struct Tenant {
    /// Its share of the traffic.
    pub share: f64,
    /// What it makes of the probability to confirm.
    pub confirms: f64,
}

impl During {
    /// Whether it is that time.
    pub fn holds(&self, at: i64) -> bool {
        (self.from..self.until).contains(&at)
    }
}

impl Share {
    /// The share at that time, or what it usually is.
    pub fn at(share: Option<Self>, at: i64, usual: f64) -> f64 {
        share.filter(|share| share.during.holds(at)).map_or(usual, |share| share.share)
    }
}

impl Conditions {
    /// How many times as many requests as usual come from there.
    pub fn volume(&self, land: usize, at: i64) -> f64 {
        let here = |surge: &&Surge| surge.during.holds(at) && surge.land.is_none_or(|only| only == land);
        self.surges.iter().filter(here).map(|surge| surge.times).product()
    }

    /// What remains of the probability to confirm on that operator.
    pub fn route(&self, land: usize, operator: usize, at: i64) -> f64 {
        let hit = |o: &&Outage| o.land == land && operator < o.operators && o.during.holds(at);
        self.outages.iter().filter(hit).map(|outage| outage.factor).product()
    }
}

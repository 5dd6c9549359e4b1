//! `cargo xtask scale [--decisions N]`: what so many decisions a second would need, worked out from what one costs, and
//! checked by a simulation of the queues and of the placing of accounts. The figures that it starts from are those of
//! `docs/scale.md`, which says how they were measured.
//!
//! A cell is an installation: nodes, one PostgreSQL, one Redis whose windows lie in one slot. It is as large as the
//! first of three allows: Redis, which runs a script at a time; PostgreSQL; and the stream of evidence, which every
//! node of a cell folds whole. More than a cell carries goes to more cells, each with accounts of its own.

mod simulation;

/// Requests that share a trip while all of a bench's connections are busy: what one costs was measured alone and then.
const MEASURED: f64 = 25.0;
/// Most that share one.
const MOST: f64 = 256.0;

/// CPU in microseconds of one request among those that are asked and charged in one trip.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    /// Its own.
    pub own: f64,
    /// Of the trip, however many it is for.
    pub trip: f64,
}

impl Cost {
    /// From what one costs alone, and among [`MEASURED`].
    fn of(alone: f64, together: f64) -> Self {
        let trip = (alone - together) / (1.0 - 1.0 / MEASURED);
        Cost { own: alone - trip, trip }
    }

    /// What one costs among so many.
    fn among(self, group: f64) -> f64 {
        self.own + self.trip / group
    }
}

/// What things cost, and how full they may be.
#[derive(Clone, Copy, Debug)]
pub struct Costs {
    /// Of a node: for a decision that sends nothing, and for a durable send with its delivery.
    pub node: [Cost; 2],
    /// The same of Redis.
    pub redis: [Cost; 2],
    /// The same of PostgreSQL.
    pub postgres: [Cost; 2],
    /// Microseconds that a trip to Redis and back takes, beside what is done there.
    pub round: f64,
    /// CPU of each node for an event that it reads from the stream and folds.
    pub fold: f64,
    /// How many of a hundred decisions become a send.
    pub sends_percent: f64,
    /// Share of a core that may be busy: beyond it, waiting grows fast.
    pub busy: f64,
    /// Share of one core of each node that the stream may take.
    pub folding: f64,
    /// Nodes of a cell at the least, so that one may fail.
    pub least_nodes: f64,
    /// Cores of a node, and of PostgreSQL's machine.
    pub node_cores: f64,
    /// See `node_cores`.
    pub postgres_cores: f64,
    /// Bytes on the network: a request and its answer, a script, a durable send, an event of the stream.
    pub bytes: [f64; 4],
    /// Dollars a month for a core with its memory.
    pub core_month: f64,
}

impl Default for Costs {
    fn default() -> Self {
        Costs {
            node: [Cost::of(280.0, 50.0), Cost::of(850.0, 165.0)],
            redis: [Cost::of(95.0, 29.0), Cost::of(160.0, 38.0)],
            postgres: [Cost::of(165.0, 10.0), Cost::of(900.0, 75.0)],
            round: 300.0,
            fold: 6.0,
            sends_percent: 5.0,
            busy: 0.6,
            folding: 0.5,
            least_nodes: 2.0,
            node_cores: 8.0,
            postgres_cores: 32.0,
            bytes: [900.0, 600.0, 4_000.0, 250.0],
            core_month: 25.0,
        }
    }
}

const MILLION: f64 = 1e6;

impl Costs {
    fn sends(&self) -> f64 {
        self.sends_percent / 100.0
    }

    /// Events for each decision: what became of it, and a confirmation for most sends.
    fn events(&self) -> f64 {
        1.0 + self.sends()
    }

    /// What a decision costs on average, of these two.
    fn mean(&self, [decision, send]: [Cost; 2]) -> Cost {
        let mean = |decision: f64, send: f64| decision * (1.0 - self.sends()) + send * self.sends();
        Cost { own: mean(decision.own, send.own), trip: mean(decision.trip, send.trip) }
    }

    /// How many share a trip of a node that decides so many a second. It has one under way at a time: whatever comes
    /// meanwhile goes with the next.
    pub fn group(&self, per_second: f64) -> f64 {
        let (each, redis) = (per_second / MILLION, self.mean(self.redis));
        let left = 1.0 - each * redis.own;
        if left <= 0.0 { MOST } else { (each * (self.round + redis.trip) / left).clamp(1.0, MOST) }
    }

    /// Decisions a second that each of Redis, PostgreSQL and the stream allows a cell whose trips carry so many.
    fn bounds(&self, group: f64) -> [(&'static str, f64); 3] {
        let allowed =
            |cores: f64, cost: [Cost; 2]| self.busy * cores * MILLION / self.mean(cost).among(group);
        [
            ("Redis", allowed(1.0, self.redis)),
            ("PostgreSQL", allowed(self.postgres_cores, self.postgres)),
            ("stream of evidence", self.folding * MILLION / (self.events() * self.fold)),
        ]
    }

    /// Nodes for so many decisions a second in a cell, and how many share their trips. Fewer on a node share more.
    fn nodes(&self, each: f64) -> (f64, f64) {
        // Every node folds what all of its cell do, whatever it decides itself.
        let folding = each * self.events() * self.fold / MILLION;
        let (mut nodes, mut group) = (self.least_nodes, 1.0);
        for _ in 0..20 {
            group = self.group(each / nodes);
            let work = each * self.mean(self.node).among(group) / MILLION;
            nodes = (work / (self.busy * self.node_cores - folding)).ceil().max(self.least_nodes);
        }
        (nodes, group)
    }

    /// What a cell carries, and what bounds it.
    pub fn cell(&self) -> (&'static str, f64) {
        let first = |a: (&'static str, f64), b: (&'static str, f64)| if b.1 < a.1 { b } else { a };
        let (mut bound, mut group) = (("nothing", 0.0), 1.0);
        // The fuller a cell, the more go together, and the more it carries: up to a point.
        for _ in 0..50 {
            bound = self.bounds(group).into_iter().reduce(first).unwrap_or(bound);
            group = self.nodes(bound.1).1;
        }
        bound
    }
}

/// What a rate needs.
#[derive(Clone, Copy, Debug)]
pub struct Need {
    /// Installations.
    pub cells: f64,
    /// Decisions a second of each.
    pub each: f64,
    /// Nodes of each.
    pub nodes: f64,
    /// Requests that share a trip.
    pub group: f64,
    /// Cores of everything.
    pub cores: f64,
    /// Megabits a second into and out of the nodes of all cells.
    pub megabits: f64,
    /// Dollars a month.
    pub dollars: f64,
}

/// What so many decisions a second need.
pub fn need(rate: f64, costs: &Costs) -> Need {
    let (_, most) = costs.cell();
    let cells = (rate / most).ceil().max(1.0);
    let each = rate / cells;
    let (nodes, group) = costs.nodes(each);
    let postgres = each * costs.mean(costs.postgres).among(group) / MILLION / costs.busy;
    let cores = cells * (nodes * costs.node_cores + postgres.ceil() + 2.0);
    let [request, script, send, event] = costs.bytes;
    let bytes = request + script + costs.sends() * send + costs.events() * event * (nodes + 1.0);
    Need {
        cells,
        each,
        nodes,
        group,
        cores,
        megabits: rate * bytes * 8.0 / MILLION,
        dollars: cores * costs.core_month,
    }
}

/// Prints it, and what the simulation says of it.
pub fn run(arguments: &[String]) -> Result<(), String> {
    let rate = match arguments {
        [] => MILLION,
        [name, value] if name == "--decisions" => {
            value.parse().map_err(|_| format!("--decisions needs a number, not {value}"))?
        }
        _ => return Err("only --decisions N is known".to_owned()),
    };
    let costs = Costs::default();
    println!("{costs:#?}\n");
    let need = need(rate, &costs);
    for (what, most) in costs.bounds(need.group) {
        println!("{what} allows a cell {most:.0} decisions/s");
    }
    println!(
        "\n{rate:.0} decisions/s: {:.0} cells of {:.0}/s with {:.0} nodes of {:.0} cores each, {:.1} requests a trip; \
         {:.0} cores in all; {:.1} Gbit/s; ${:.0} a month",
        need.cells,
        need.each,
        need.nodes,
        costs.node_cores,
        need.group,
        need.cores,
        need.megabits / 1000.0,
        need.dollars
    );
    let trips = simulation::trips(need.each, need.nodes, &costs, 1);
    println!(
        "simulated: {:.1} requests a trip, Redis {:.0} % busy; a request waits {:.0} us in the middle, {:.0} us at p99",
        trips.group,
        trips.busy * 100.0,
        trips.median,
        trips.p99
    );
    let fullest = simulation::fullest(rate, need.cells, 10_000, 1);
    println!(
        "simulated: of 10,000 accounts, sizes by Zipf, cut by country and range, the fullest cell has {fullest:.2} of its share"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_that_is_as_full_as_it_may_be_does_not_make_requests_wait() {
        let costs = Costs::default();
        let need = need(MILLION, &costs);
        let trips = simulation::trips(need.each, need.nodes, &costs, 7);
        assert!(trips.p99 < 5.0 * (costs.round + costs.mean(costs.redis).among(1.0)), "{trips:?}");
        assert!(trips.busy < costs.busy + 0.05, "{trips:?}");
        assert!((trips.group / need.group - 1.0).abs() < 0.35, "{trips:?}, {need:?}");
        // More than Redis can do at all: the simulation sees what the model forbids.
        let over = 1.5 * MILLION / costs.mean(costs.redis).own;
        let over = simulation::trips(over, need.nodes, &costs, 7);
        assert!(over.p99 > 100.0 * trips.p99, "{over:?}");
    }

    #[test]
    fn accounts_fit_into_cells_because_the_largest_are_parted() {
        let costs = Costs::default();
        let need = need(MILLION, &costs);
        let fullest = simulation::fullest(MILLION, need.cells, 10_000, 7);
        // What a cell may carry leaves room for that: it is at most `busy` full.
        assert!(fullest < 1.0 / costs.busy, "{fullest}");
    }

    #[test]
    fn twice_the_rate_needs_about_twice_the_cells_and_no_larger_ones() {
        let costs = Costs::default();
        let (one, two) = (need(MILLION, &costs), need(2.0 * MILLION, &costs));
        assert!(two.cells >= 2.0 * one.cells - 1.0 && two.cells <= 2.0 * one.cells);
        assert!(one.each <= costs.cell().1 && two.each <= costs.cell().1);
        let small = need(100.0, &costs);
        assert!(small.cells == 1.0 && small.nodes == 2.0);
    }

    #[test]
    fn the_first_bound_is_the_cell() {
        let nothing = [Cost { own: 1e-9, trip: 1e-9 }; 2];
        let costs = Costs { fold: 1e-9, postgres: nothing, ..Costs::default() };
        assert_eq!(costs.cell().0, "Redis");
        let costs = Costs { fold: 1e9, ..Costs::default() };
        assert_eq!(costs.cell().0, "stream of evidence");
    }
}

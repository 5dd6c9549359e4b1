//! What the engine itself costs: time of `assess` and of `observe` for what follows, and memory.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use seawall_core::client_ip::ClientIp;
use seawall_core::detect::{Asked, Bounds, Engine, Event, Tuning};
use seawall_core::facts::History;
use seawall_core::intel::{IpFacts, number};
use seawall_core::msisdn::{Msisdn, ParsedNumber};
use seawall_core::request::{Operation, Request};
use seawall_core::sim::{Fate, Simulation};
use seawall_core::time::Timestamp;
use seawall_core::trace::{IfSent, Line, Op};

/// What is more likely a campaign than this is not sent.
const STOPPED_FROM: f32 = 0.5;

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Due(Reverse<(i64, u64)>);

/// Requests made ahead, so that the simulation's own time is not counted.
const BATCH: usize = 20_000;

struct Bench {
    engine: Engine,
    ahead: BinaryHeap<Due>,
    /// CPU seconds of each batch.
    batches: Vec<f64>,
    requests: usize,
}

/// Runs a scenario and says what a request costs.
pub fn measure(name: &str, seed: u64, most: usize) {
    let mut simulation = Simulation::new(name, seed).expect("a listed scenario");
    let engine = Engine::new(Tuning::default(), Bounds::default());
    let mut bench = Bench { engine, ahead: BinaryHeap::new(), batches: Vec::new(), requests: 0 };
    let mut batch = Vec::with_capacity(BATCH);
    while let Some(request) = simulation.next_request() {
        let id = request.id;
        let line = request.into_line();
        simulation.tell(id, Fate::Sent);
        batch.extend(asked(&line).map(|(asked, follows)| (id + 1, Box::new(asked), follows)));
        if batch.len() == BATCH {
            bench.run(&mut batch);
        }
        if bench.requests >= most {
            break;
        }
    }
    bench.report(name, seed);
}

/// Seconds that this thread has run; what others take on a busy machine is not counted.
fn cpu_seconds() -> f64 {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
    told.split_whitespace().next().and_then(|ns| ns.parse::<f64>().ok()).expect("nanoseconds") / 1e9
}

impl Bench {
    fn run(&mut self, batch: &mut Vec<(u64, Box<Asked>, IfSent)>) {
        self.requests += batch.len();
        let begun = cpu_seconds();
        for (id, asked, follows) in batch.drain(..) {
            self.feedback(asked.at);
            self.one(id, asked, follows);
        }
        self.batches.push(cpu_seconds() - begun);
    }

    fn one(&mut self, id: u64, asked: Box<Asked>, follows: IfSent) {
        let at = asked.at.as_millis();
        let evidence = self.engine.assess(&asked);
        let (probability, explained) = (evidence.probability, evidence.explained);
        let sent = probability < STOPPED_FROM;
        let event =
            if sent { Event::Sent { id, asked, probability, explained } } else { Event::Refused { asked } };
        self.engine.observe(&event);
        if let (true, Some(after)) = (sent, follows.confirm_after_ms) {
            self.ahead.push(Due(Reverse((at + i64::try_from(after).unwrap_or(0), id))));
        }
    }

    fn feedback(&mut self, now: Timestamp) {
        while self.ahead.peek().is_some_and(|Due(next)| next.0.0 <= now.as_millis()) {
            let Some(Due(Reverse((at, id)))) = self.ahead.pop() else { return };
            self.engine.observe(&Event::Confirmed { id, at: Timestamp::from_millis(at) });
        }
    }

    fn report(&mut self, name: &str, seed: u64) {
        let mean = self.batches.iter().sum::<f64>() * 1e6 / self.requests.max(1) as f64;
        self.batches.sort_by(f64::total_cmp);
        let at = |share: f64| {
            let place = (self.batches.len() as f64 * share) as usize;
            self.batches.get(place).copied().unwrap_or(0.0) * 1e6 / BATCH as f64
        };
        println!(
            "{name} seed {seed}: {} requests; assess + record + feedback take {mean:.2} us of CPU a request (batches of {BATCH}: quickest {:.2}, median {:.2}, slowest {:.2})",
            self.requests,
            at(0.0),
            at(0.5),
            at(0.999)
        );
        let megabytes = |bytes: usize| bytes as f64 / 1e6;
        let (state, snapshot) = (self.engine.bytes(), self.engine.snapshot().len());
        println!(
            "state {:.1} MB, snapshot {:.1} MB: {:?}",
            megabytes(state),
            megabytes(snapshot),
            self.engine.size()
        );
    }
}

/// The line as detection sees it; checks of codes are left out.
fn asked(line: &Line<'_>) -> Option<(Asked, IfSent)> {
    let (to, operation, known, price, follows) = match &line.op {
        Op::VerifyStart(s) => (&s.to, Operation::VerifyStart, s.known_number, s.price_micros, s.if_sent),
        Op::SmsSend(s) => {
            (&s.to, Operation::SmsSend, s.known_number, s.price_micros, s.if_sent.unwrap_or_default())
        }
        Op::VerifyCheck(_) => return None,
    };
    let number = Msisdn::parse(to, None).ok()?;
    let caller = ClientIp::from_ip(std::net::Ipv4Addr::LOCALHOST.into());
    let mut request =
        Request::new(operation, line.subaccount.as_deref().unwrap_or("default"), "key", &number, caller);
    request.client.ip = line.client.ip.as_deref().and_then(ClientIp::parse);
    request.client.user_agent = line.client.user_agent.as_deref().map(str::to_owned);
    request.client.fingerprint = line.client.fingerprint.as_deref().map(str::to_owned);
    request.price = price.and_then(|p| i64::try_from(p).ok());
    let client = &line.client;
    let ip = IpFacts {
        asn: client.asn,
        country: client.country,
        hosting: client.hosting.unwrap_or(false),
        ..IpFacts::default()
    };
    let trusted = known && line.client.device_token.is_some();
    let past = History { known, trusted, last_confirmed_at: None };
    let parsed = ParsedNumber {
        msisdn: request.to,
        country: request.country,
        kind: request.kind,
        valid: request.valid,
        veiled: false,
    };
    Some((Asked::of(&request, Some(ip), Some(&number::facts(&parsed)), past, line.t), follows))
}

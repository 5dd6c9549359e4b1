//! Three real gateways without a listener: started over the links, killed, started again.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use seawall::app::entities::{Settings, collection};
use seawall::app::snapshot::{RunningProvider, Snapshot};
use seawall::app::who::Caller;
use seawall::app::{App, init, intel};
use seawall::clock::Clock;
use seawall::config::Config;
use seawall::ids::IdSource;
use seawall::serve::{Inside, assemble};
use seawall_connect::Echoed;
use seawall_core::client_ip::ClientIp;
use seawall_core::detect::dial::DetectionPolicy;
use seawall_core::id::Id;
use seawall_core::limit::Mode;
use seawall_core::policy::BackOff;
use seawall_store::records::{AuditEntry, Document};
use seawall_store::{Directory, Store};
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};

use super::counters::Shared;
use super::link::Link;
use super::oracle::{BUDGET, BUDGET_WINDOW, QUOTA, WINDOW};
use super::provider::Provider;
use super::world::{World, finish};

/// A gateway that runs.
#[derive(Clone)]
pub struct Running {
    pub app: Arc<App>,
    pub caller: Caller,
}

type Echoes = Arc<Mutex<Vec<(usize, mpsc::Sender<Echoed>)>>>;

/// All nodes.
pub struct Cluster {
    pub world: Arc<World>,
    running: Mutex<Vec<Option<Running>>>,
    /// Nobody is ever asked to stop: a node that ends is killed.
    stop: watch::Sender<bool>,
    pub echoes: Echoes,
    config: Config,
}

/// The subaccounts.
pub const OURS: &str = "acme_hq";
pub const THEIRS: &str = "acme_shop";

pub fn document(world: &World, collection: &str, id: &str, body: Value) {
    let at = world.time();
    let document = Document {
        collection: collection.to_owned(),
        id: id.to_owned(),
        name: None,
        body,
        revision: 1,
        created_at: at,
        updated_at: at,
    };
    finish(world.store.create(document, audit(world, id))).unwrap();
}

/// An entry of the audit log. A target that is not empty is one of a kind.
pub fn audit(world: &World, target: &str) -> AuditEntry {
    AuditEntry {
        at: world.time(),
        actor: "simulation".to_owned(),
        action: "x".to_owned(),
        target: target.to_owned(),
        detail: Value::Null,
        ip: None,
    }
}

/// An installation with one limit and one budget.
fn set_up(world: &World) {
    let (db, vault) = (world.store.clone(), world.vault.clone());
    let counters = Arc::new(seawall_store::memory::MemoryCounters::default());
    let store = Store { directory: db.clone(), ledger: db, counters, vault };
    let ids = IdSource::new(0, &store);
    finish(init::init(&store, &ids, world.time(), "acme", Some(OURS))).unwrap();
    for old in finish(world.store.documents(collection::LIMITS)).unwrap() {
        finish(world.store.delete(collection::LIMITS, &old.id, audit(world, &old.id))).unwrap();
    }
    let mut second = finish(world.store.documents(collection::SUBACCOUNTS)).unwrap().remove(0).body;
    second["id"] = json!(THEIRS);
    document(world, collection::SUBACCOUNTS, THEIRS, second);
    let limit = json!({"id": "lim_1", "name": "few", "per": "msisdn", "quota": QUOTA,
        "applies_to": ["verify.start", "sms.send", "sms.batch"], "window": format!("{}s", WINDOW / 1000)});
    document(world, collection::LIMITS, "lim_1", limit);
    let budget = json!({"id": "bud_1", "country": "GB", "unit": "messages", "amount": BUDGET,
        "window": format!("{}s", BUDGET_WINDOW / 1000)});
    document(world, collection::BUDGETS, "bud_1", budget);
    let off = finish(world.store.documents(collection::SETTINGS)).unwrap().remove(0);
    let settings = Settings {
        detection: DetectionPolicy { mode: Mode::Off, ..DetectionPolicy::default() },
        verification_backoff: BackOff { mode: Mode::Off, ..BackOff::default() },
        ..Settings::default()
    };
    let body = serde_json::to_value(settings).unwrap();
    finish(world.store.replace(Document { body, ..off }, audit(world, "settings"))).unwrap();
}

impl Cluster {
    pub fn new(world: Arc<World>, config: Config) -> Arc<Self> {
        set_up(&world);
        let running = Mutex::new(vec![None, None, None]);
        Arc::new(Cluster { world, running, stop: watch::channel(false).0, echoes: Arc::default(), config })
    }

    /// A node that runs, by chance.
    pub fn any(&self) -> Option<(usize, Running)> {
        let running = self.running.lock().unwrap();
        let up: Vec<_> =
            running.iter().enumerate().filter_map(|(at, one)| Some((at, one.clone()?))).collect();
        drop(running);
        self.world.draw(|rng| rng.pick(&up).cloned())
    }

    /// Everything that a node does stops, wherever it stood.
    pub fn kill(&self, node: usize) {
        let mut nodes = self.world.nodes();
        (nodes[node].up, nodes[node].life) = (false, nodes[node].life + 1);
        drop(nodes);
        self.running.lock().unwrap()[node] = None;
        self.echoes.lock().unwrap().retain(|(of, _)| *of != node);
        self.world.tell(|| format!("node {node} is killed"));
    }

    /// Starts a node, and tries again until its stores answer.
    pub async fn boot(&self, node: usize) {
        let (lease, now) = (self.world.lease(), self.world.elapsed());
        let life = {
            let nodes = self.world.nodes();
            if nodes[node].up {
                return;
            }
            nodes[node].life
        };
        let number = u16::try_from(lease % 1024).unwrap();
        let link = Link { world: self.world.clone(), node, life, number };
        for _ in 0..60 {
            match self.try_boot(&link).await {
                Ok((running, inside)) => {
                    let mut nodes = self.world.nodes();
                    if nodes[node].life != life || nodes[node].up {
                        return;
                    }
                    let former = nodes[node].lease.replace(lease);
                    (nodes[node].up, nodes[node].seen) = (true, now);
                    drop(nodes);
                    if let Some(former) = former {
                        self.bury(former);
                    }
                    self.echoes.lock().unwrap().push((node, running.app.echoes.clone()));
                    inside.begin(&running.app, &self.stop.subscribe());
                    self.running.lock().unwrap()[node] = Some(running);
                    self.world.tell(|| format!("node {node} is up"));
                    return;
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(500)).await,
            }
        }
    }

    /// The former lease of a node that came back before the others missed it: it is told apart by its place in a list
    /// of those that are gone.
    fn bury(&self, former: u64) {
        let at = self.world.elapsed() - 60_000;
        let mut nodes = self.world.nodes();
        nodes.push(super::world::Node { lease: Some(former), seen: at, ..super::world::Node::default() });
    }

    async fn try_boot(&self, link: &Link) -> Result<(Running, Inside), String> {
        let world = &self.world;
        let db = Arc::new(link.clone());
        let counters = Arc::new(Shared::new(link.clone()));
        let store = Store { directory: db.clone(), ledger: db, counters, vault: world.vault.clone() };
        let newest = store.ledger.newest_row().await.map_err(|e| e.to_string())?;
        // Clocks differ by some tenths of a second.
        let skew = Duration::from_millis(world.below(300));
        let time = if world.below(2) == 0 { world.time().plus(skew) } else { world.time().minus(skew) };
        let floor = Id::new(newest, 0).at();
        let clock =
            if world.alone { Clock::simulated(world.time(), floor) } else { Clock::start_at(time, floor) };
        let clock = Arc::new(clock);
        store.ledger.recover(clock.now()).await.map_err(|e| e.to_string())?;
        let intel = intel::Intel::open(&self.config.intel)?;
        let (app, inside) = assemble(self.config.clone(), store, clock, intel, newest).await?;
        link.alive().await;
        let own: Snapshot =
            Arc::into_inner(app.snapshot.swap(Arc::default())).ok_or("the snapshot is in use")?;
        let provider = Arc::new(Provider { link: link.clone(), echoes: self.echoes.clone() });
        let replaced = |running: RunningProvider| RunningProvider { connector: provider.clone(), ..running };
        let providers = own.providers.into_iter().map(|(name, one)| (name, replaced(one))).collect();
        let key = own.keys.values().next().cloned().ok_or("no key")?;
        app.snapshot.store(Arc::new(Snapshot { providers, ..own }));
        let ip = ClientIp::from_ip(std::net::Ipv4Addr::LOCALHOST.into());
        Ok((Running { app, caller: Caller { key, ip } }, inside))
    }
}

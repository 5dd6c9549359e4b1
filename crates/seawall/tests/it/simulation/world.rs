//! What three nodes share, the faults that happen to it, and what was seen of it.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::pin::pin;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use seawall_core::id::Id;
use seawall_core::message::MessageState;
use seawall_core::sim::Rng;
use seawall_core::time::Timestamp;
use seawall_store::memory::MemoryCounters;
use seawall_store::sqlite::SqliteStore;
use seawall_store::vault::Vault;
use seawall_store::{Ledger, StoreError};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::oracle::Oracle;

/// Within this a store has answered, or the caller is told that it did not.
pub const SOON: Duration = Duration::from_millis(1_800);
/// How long a lease lasts, and how long it has to be seen to have run out.
const LEASE: i64 = 3_900;

/// A mistake that somebody could make; each has to be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    /// Windows are looked at in one trip and charged in another.
    ChargeNotAtomic,
    /// What a dead node was submitting is submitted again.
    ResendUnknown,
    /// Windows that were lost count as empty instead of being refilled.
    RefillForgotten,
    /// An acceptance is acknowledged before it is durable.
    AcknowledgedEarly,
    /// A message whose caller was told that it failed goes out all the same.
    RefusedIsSent,
    /// A claim whose answer was lost leaves its messages with nobody.
    ClaimForgotten,
    /// The last lock on a verification is missing: a code is looked at as often as somebody asks.
    ChecksUncounted,
    /// A number goes into the log.
    NumberLogged,
    /// A text is kept where it can be read.
    TextKept,
    /// A change is made and not noted in the audit log.
    AuditForgotten,
    /// The time is what the machine's clock says.
    ClockBelieved,
}

/// How bad it gets.
#[derive(Clone, Debug)]
pub struct Weather {
    /// Chance that a call does not arrive.
    pub lost: f64,
    /// Chance that its answer does not arrive.
    pub unanswered: f64,
    /// Chance that it takes seconds.
    pub slow: f64,
    /// Whether providers may be out of reach, or ask to be left alone.
    pub unwilling: bool,
}

/// One node as the others see it.
#[derive(Clone, Debug, Default)]
pub struct Node {
    /// Which of its lives this is; links of an earlier one are dead.
    pub life: u64,
    /// It runs.
    pub up: bool,
    /// It does not reach the ledger.
    pub cut_off: bool,
    /// It does not reach the counters.
    pub without_counters: bool,
    /// The lease under which it submits; `None` once it is taken away.
    pub lease: Option<u64>,
    /// When it was last seen by the ledger.
    pub seen: i64,
}

/// The windows that nodes share.
pub struct Windows {
    /// The real code of windows.
    pub table: Arc<MemoryCounters>,
    /// They hold everything that they should.
    pub whole: bool,
    /// Grows with each loss.
    pub epoch: u64,
    /// Who refills them: node and life.
    pub filling: Option<(usize, u64)>,
}

/// Everything that nodes share.
pub struct World {
    /// The real ledger and directory.
    pub store: Arc<SqliteStore>,
    /// Its keys.
    pub vault: Arc<Vault>,
    /// The counters.
    pub windows: Mutex<Windows>,
    /// Told when windows are lost.
    pub lost: Notify,
    /// The nodes.
    pub nodes: Mutex<Vec<Node>>,
    /// Which lease is submitting which message.
    pub owners: Mutex<BTreeMap<Id, u64>>,
    /// What was seen, and what must hold.
    pub oracle: Mutex<Oracle>,
    /// How bad it gets; nothing at the end.
    pub weather: Mutex<Weather>,
    /// The newest batch of the stream of evidence.
    pub evidence: AtomicU64,
    /// A planted mistake.
    pub bug: Option<Bug>,
    /// There is one node, which goes by its machine's clock.
    pub alone: bool,
    rng: Mutex<Rng>,
    begun: Instant,
    leases: Mutex<u64>,
}

/// The start of simulated time.
const EPOCH: i64 = 1_767_607_200_000;

/// What happens to one call.
pub struct Fate {
    /// How long it takes to arrive.
    pub there: Duration,
    /// It does not.
    pub lost: bool,
    /// How long the answer takes.
    pub back: Duration,
    /// It is lost.
    pub unanswered: bool,
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap()
}

impl World {
    pub fn new(seed: u64, bug: Option<Bug>, alone: bool) -> Arc<Self> {
        let vault = Arc::new(Vault::from_keys(&[(1, [7; 32])]).unwrap());
        let mut rng = Rng::new(seed, "world");
        let share = |rng: &mut Rng| [0.0, 0.005, 0.03, 0.1][rng.index(4)];
        let weather = Weather {
            lost: share(&mut rng),
            unanswered: share(&mut rng),
            slow: share(&mut rng) / 2.0,
            unwilling: true,
        };
        let table = Arc::new(MemoryCounters::default());
        Arc::new(World {
            store: Arc::new(SqliteStore::open_in_memory(vault.clone()).unwrap()),
            vault,
            windows: Mutex::new(Windows { table, whole: false, epoch: 0, filling: None }),
            lost: Notify::new(),
            nodes: Mutex::new(vec![Node::default(); 3]),
            owners: Mutex::default(),
            oracle: Mutex::new(Oracle::new(seed)),
            weather: Mutex::new(weather),
            evidence: AtomicU64::new(0),
            bug,
            alone,
            rng: Mutex::new(rng),
            begun: Instant::now(),
            leases: Mutex::new(0),
        })
    }

    /// The counters' clock, which all nodes follow.
    pub fn time(&self) -> Timestamp {
        Timestamp::from_millis(EPOCH + self.elapsed())
    }

    /// Simulated milliseconds since the start.
    pub fn elapsed(&self) -> i64 {
        i64::try_from(self.begun.elapsed().as_millis()).unwrap()
    }

    pub fn windows(&self) -> MutexGuard<'_, Windows> {
        held(&self.windows)
    }

    pub fn nodes(&self) -> MutexGuard<'_, Vec<Node>> {
        held(&self.nodes)
    }

    pub fn owners(&self) -> MutexGuard<'_, BTreeMap<Id, u64>> {
        held(&self.owners)
    }

    pub fn oracle(&self) -> MutexGuard<'_, Oracle> {
        held(&self.oracle)
    }

    /// Draws chance.
    pub fn draw<T>(&self, draw: impl FnOnce(&mut Rng) -> T) -> T {
        draw(&mut held(&self.rng))
    }

    pub fn below(&self, end: u64) -> u64 {
        self.draw(|rng| rng.below(end))
    }

    pub fn is(&self, bug: Bug) -> bool {
        self.bug == Some(bug)
    }

    /// Notes what happens.
    pub fn tell(&self, what: impl FnOnce() -> String) {
        let at = self.elapsed();
        self.oracle().trace(at, what());
    }

    pub fn fate(&self) -> Fate {
        let weather = held(&self.weather).clone();
        self.draw(|rng| {
            let slow = rng.chance(weather.slow);
            let there = if slow { rng.below(3_000) } else { 1 + rng.below(8) };
            let (lost, unanswered) = (rng.chance(weather.lost), rng.chance(weather.unanswered));
            let back = 1 + rng.below(8);
            Fate { there: Duration::from_millis(there), lost, back: Duration::from_millis(back), unanswered }
        })
    }

    /// Whether a provider may refuse to be reached.
    pub fn is_unwilling(&self) -> bool {
        held(&self.weather).unwilling
    }

    /// The end of all faults.
    pub fn calm(&self) {
        *held(&self.weather) = Weather { lost: 0.0, unanswered: 0.0, slow: 0.0, unwilling: false };
        for node in self.nodes().iter_mut() {
            (node.cut_off, node.without_counters) = (false, false);
        }
    }

    /// A new lease.
    pub fn lease(&self) -> u64 {
        let mut leases = held(&self.leases);
        *leases += 1;
        *leases
    }

    /// The windows are gone, as after FLUSHALL or a fail-over.
    pub fn flush(&self) {
        let mut windows = self.windows();
        windows.table = Arc::new(MemoryCounters::default());
        windows.whole = self.is(Bug::RefillForgotten);
        windows.epoch += 1;
        windows.filling = None;
        drop(windows);
        self.tell(|| "the windows are lost".to_owned());
        self.lost.notify_waiters();
    }

    /// Leases whose node was not seen for long enough; they are gone from now on.
    pub fn take_gone(&self, except: usize) -> BTreeSet<u64> {
        let now = self.elapsed();
        let mut gone = BTreeSet::new();
        for (at, node) in self.nodes().iter_mut().enumerate() {
            let reachable = node.up && !node.cut_off;
            if at != except && !reachable && now - node.seen > LEASE {
                gone.extend(node.lease.take());
            } else if reachable {
                node.seen = now;
            }
        }
        gone
    }

    /// Something is on its way or will be.
    pub fn waits(&self) -> bool {
        let waits = [MessageState::Scheduled, MessageState::Queued, MessageState::Submitting];
        let census = finish(self.store.census(None)).unwrap();
        waits.iter().any(|state| census.get(state.as_str()).is_some_and(|count| *count > 0))
    }

    /// What must hold after every change: nothing that was accepted is in no state.
    pub fn step(&self) {
        let census = finish(self.store.census(None)).unwrap();
        let at = self.elapsed();
        self.oracle().conserved(at, census.values().sum());
    }
}

pub fn unavailable(why: &str) -> StoreError {
    StoreError::Unavailable(why.to_owned())
}

struct Thread(std::thread::Thread);

impl Wake for Thread {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Runs something of the real store to its end, here and now: simulated time stands still meanwhile, and nothing
/// else happens.
pub fn finish<T>(work: impl Future<Output = T>) -> T {
    let waker = Waker::from(Arc::new(Thread(std::thread::current())));
    let mut work = pin!(tokio::task::unconstrained(work));
    loop {
        match work.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(done) => return done,
            Poll::Pending => std::thread::park(),
        }
    }
}

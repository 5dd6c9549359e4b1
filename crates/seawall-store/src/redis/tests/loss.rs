//! The server is flushed, killed, stopped, out of memory: a limit admits no more than its quota, and counters are
//! back by themselves.

use std::sync::atomic::{AtomicBool, Ordering};

use super::*;

/// After a loss, what was charged before is in the ledger by then: answers come within half a second.
const SETTLE: Duration = Duration::from_millis(1_000);
const PATIENCE: Duration = Duration::from_millis(500);
const QUOTA: u32 = 500;

/// What nodes have in common beside the server: what was sent.
type Ledger = Arc<Mutex<Vec<(Charge, Timestamp)>>>;

/// Nodes under load, refilling when they have to.
struct Load {
    ledger: Ledger,
    nodes: Vec<Arc<RedisCounters>>,
    stop: Arc<AtomicBool>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

fn wall() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap())
}

async fn refill(node: &RedisCounters, ledger: &Ledger) -> Result<()> {
    if node.refills(SETTLE).await? {
        let sent = ledger.lock().unwrap().clone();
        for (charge, at) in sent {
            node.fill(&charge, at, wall())?;
        }
    }
    node.filled().await
}

/// Sends one after the other, a different number each time, all of one account.
async fn send(node: Arc<RedisCounters>, ledger: Ledger, stop: Arc<AtomicBool>, first: u64) {
    let mut n = 0;
    while !stop.load(Ordering::Relaxed) {
        n += 1;
        let charges = [limit(1, QUOTA, 600_000), limit(first + n, 1, 600_000)];
        let now = wall();
        match node.charge(&charges, 1, now).await {
            Ok(charged) if !charged.refused() => {
                ledger.lock().unwrap().extend(charges.into_iter().map(|charge| (charge, now)));
                // Not all at once, so that faults fall in between.
                tokio::time::sleep(Duration::from_millis(first % 97 + 300)).await;
            }
            Ok(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            Err(error) => {
                assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    }
}

impl Load {
    async fn start(server: &Server) -> Self {
        let mut load =
            Load { ledger: Arc::default(), nodes: Vec::new(), stop: Arc::default(), tasks: Vec::new() };
        for n in 0..3u64 {
            let node = ready(server, |options| options.patience = PATIENCE).await;
            let (watched, ledger) = (node.clone(), load.ledger.clone());
            load.tasks.push(tokio::spawn(async move {
                loop {
                    watched.lost().await;
                    if let Err(error) = refill(&watched, &ledger).await {
                        eprintln!("not refilled: {error}");
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                }
            }));
            for m in 0..64 {
                let first = (n * 64 + m + 1) << 32;
                load.tasks.push(tokio::spawn(send(
                    node.clone(),
                    load.ledger.clone(),
                    load.stop.clone(),
                    first,
                )));
            }
            load.nodes.push(node);
        }
        load
    }

    fn sent(&self) -> usize {
        self.ledger.lock().unwrap().iter().filter(|(charge, _)| charge.key == 1).count()
    }

    /// Waits until the limit is used up, and makes sure that it stays so.
    async fn ends_at_the_quota(self) {
        let begun = Instant::now();
        while self.sent() < QUOTA as usize && begun.elapsed() < Duration::from_secs(30) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        tokio::time::sleep(Duration::from_millis(700)).await;
        assert_eq!(self.sent(), QUOTA as usize);
        self.stop.store(true, Ordering::Relaxed);
        self.tasks.iter().for_each(tokio::task::JoinHandle::abort);
    }

    async fn half(&self) {
        while self.sent() < QUOTA as usize / 2 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn flushed_under_load_the_limit_still_admits_exactly_its_quota() {
    let Some(server) = Server::start().await else { return };
    let load = Load::start(&server).await;
    load.half().await;
    for _ in 0..3 {
        server.call(&["FLUSHALL"]).await;
        tokio::time::sleep(Duration::from_millis(1_500)).await;
    }
    load.ends_at_the_quota().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_under_load_the_limit_still_admits_exactly_its_quota() {
    // With an old picture of itself on disk, which it comes back with.
    let Some(mut server) = Server::start().await else { return };
    let load = Load::start(&server).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    server.call(&["SAVE"]).await;
    load.half().await;
    server.kill();
    tokio::time::sleep(Duration::from_millis(300)).await;
    server.again().await;
    load.ends_at_the_quota().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stopped_for_two_seconds_it_costs_requests_nothing_and_is_back_by_itself() {
    let Some(server) = Server::start().await else { return };
    let load = Load::start(&server).await;
    load.half().await;
    server.signal("STOP");
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    let begun = Instant::now();
    for n in 0..1_000 {
        assert!(load.nodes[0].charge(&[limit(n, 1, 60_000)], 1, wall()).await.is_err());
    }
    let each = begun.elapsed() / 1_000;
    assert!(each < PATIENCE / 10, "{each:?} a request while the server is stopped");
    let before = load.sent();
    tokio::time::sleep(Duration::from_millis(800)).await;
    server.signal("CONT");
    let begun = Instant::now();
    for node in &load.nodes {
        up(node).await;
    }
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    assert!(load.sent() >= before);
    // What was asked when it stopped may have been charged after its request was refused: rather too strict.
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(load.sent() <= QUOTA as usize);
    load.tasks.iter().for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test(flavor = "multi_thread")]
async fn out_of_memory_it_refuses_and_forgets_nothing() {
    let Some(server) = Server::with(&["--maxmemory", "4mb", "--maxmemory-policy", "noeviction"]).await else {
        return;
    };
    let node = ready(&server, |_| {}).await;
    let full = limit(1, 1, 600_000);
    node.charge(std::slice::from_ref(&full), 1, wall()).await.unwrap();
    let mut refused = None;
    for n in 0..200_000u64 {
        if let Err(error) =
            node.charge(&[limit(n << 20 | 7, 1, 600_000), limit(2, 1_000_000, 600_000)], 1, wall()).await
        {
            refused = Some((n, error));
            break;
        }
    }
    let (admitted, error) = refused.expect("4 MB hold 200,000 windows");
    assert!(error.to_string().contains("OOM"), "{error}");
    server.call(&["CONFIG", "SET", "maxmemory", "0"]).await;
    up(&node).await;
    let held = node.held(&[full, limit(2, 1_000_000, 600_000)], wall()).await.unwrap();
    assert_eq!((held[0].0, held[1].0), (1, admitted), "all or nothing, also here");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_evicting_server_and_a_replica_are_refused_with_a_reason() {
    let Some(server) = Server::with(&["--maxmemory-policy", "allkeys-lru"]).await else { return };
    let refused = async |server: &Server| {
        RedisCounters::connect(Options::new(server.target(), 7)).await.err().unwrap().to_string()
    };
    let error = refused(&server).await;
    assert!(error.contains("allkeys-lru") && error.contains("noeviction"), "{error}");
    server.call(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]).await;
    let node = ready(&server, |_| {}).await;
    server.call(&["CONFIG", "SET", "maxmemory-policy", "volatile-ttl"]).await;
    let mut state = node.shared.state.subscribe();
    let down = state.wait_for(|state| matches!(state, State::Down(why) if why.contains("volatile-ttl")));
    tokio::time::timeout(Duration::from_secs(10), down).await.unwrap().unwrap();
    assert!(node.charge(&[limit(1, 1, 60_000)], 1, at(0)).await.is_err(), "also when it is set later");
    let replica = Server::with(&["--replicaof", "127.0.0.1", "1"]).await.unwrap();
    assert!(refused(&replica).await.contains("replica") || refused(&replica).await.contains("slave"));
    let nobody = Target::parse("redis://127.0.0.1:1").unwrap();
    let error = RedisCounters::connect(Options::new(nobody, 7)).await.err().unwrap().to_string();
    assert!(error.contains("127.0.0.1:1"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_sent_without_being_charged_makes_the_windows_be_refilled() {
    let Some(server) = Server::start().await else { return };
    let node = ready(&server, |_| {}).await;
    node.charge(&[limit(1, 3, 60_000)], 1, wall()).await.unwrap();
    node.bypassed();
    tokio::time::timeout(Duration::from_secs(5), node.lost()).await.unwrap();
    assert!(node.charge(&[limit(1, 3, 60_000)], 1, wall()).await.is_err());
    assert!(node.refills(Duration::ZERO).await.unwrap());
    for ago in [1, 2] {
        node.fill(&limit(1, 3, 60_000), wall().minus(Duration::from_secs(ago)), wall()).unwrap();
    }
    node.filled().await.unwrap();
    up(&node).await;
    assert_eq!(node.held(&[limit(1, 3, 60_000)], wall()).await.unwrap()[0].0, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_charged_before_a_loss_learns_that_the_windows_are_others_now() {
    let Some(server) = Server::start().await else { return };
    let (node, other) = (ready(&server, |_| {}).await, ready(&server, |_| {}).await);
    let filling = node.filling();
    node.charge(&[limit(1, 3, 60_000)], 1, wall()).await.unwrap();
    assert!(node.still(filling).await.unwrap());
    server.call(&["FLUSHALL"]).await;
    assert!(!node.still(filling).await.unwrap_or(false), "nobody has noticed yet");
    // Another node refills them; to this one they look whole again.
    tokio::time::timeout(Duration::from_secs(20), other.lost()).await.unwrap();
    whole(&other).await;
    let begun = Instant::now();
    while !node.still(node.filling()).await.unwrap_or(false) {
        assert!(begun.elapsed() < Duration::from_secs(20), "it does not find the windows again");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(!node.still(filling).await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_charged_before_a_loss_is_not_taken_back_from_who_was_refilled() {
    let Some(server) = Server::start().await else { return };
    let node = ready(&server, |options| options.callers_time = true).await;
    let (mine, before, at) = ([limit(1, 3, 60_000)], node.filling(), wall());
    node.charge(&mine, 1, at).await.unwrap();
    server.call(&["FLUSHALL"]).await;
    tokio::time::timeout(Duration::from_secs(20), node.lost()).await.unwrap();
    assert!(node.refills(Duration::ZERO).await.unwrap());
    // Somebody else sent in the same millisecond.
    node.fill(&mine[0], at, wall()).unwrap();
    node.filled().await.unwrap();
    up(&node).await;
    node.refund(&mine, 1, at, Some(before)).await.unwrap();
    assert_eq!(node.held(&mine, wall()).await.unwrap()[0].0, 1, "that one counts");
    node.refund(&mine, 1, at, Some(node.filling())).await.unwrap();
    assert_eq!(node.held(&mine, wall()).await.unwrap()[0].0, 0);
}

//! A Cluster of six, and a primary that sentinels name: counters find the server, also after it failed over.

use super::server::free_port;
use super::*;

/// What a test waits for, at most half a minute.
async fn until(what: &str, mut done: impl AsyncFnMut() -> bool) {
    for _ in 0..300 {
        if done().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{what}: not within 30 s");
}

/// Eight servers on a busy machine take their time.
fn slowly(target: Target) -> Options {
    Options { patience: Duration::from_secs(5), ..Options::new(target, 7) }
}

async fn text(server: &Server, words: &[&str]) -> String {
    match server.call(words).await {
        redis::Value::BulkString(bytes) => String::from_utf8(bytes).unwrap(),
        redis::Value::VerbatimString { text, .. } => text,
        other => format!("{other:?}"),
    }
}

async fn cluster() -> Option<Vec<Server>> {
    let mut servers = Vec::new();
    for _ in 0..6 {
        let bus = free_port().to_string();
        let settings = ["--cluster-enabled", "yes", "--cluster-port", &bus, "--cluster-node-timeout", "1000"];
        servers.push((Server::with(&settings).await?, bus));
    }
    for (n, (server, _)) in servers.iter().enumerate() {
        let (first, bus) = (servers[0].0.port.to_string(), &servers[0].1);
        server.call(&["CLUSTER", "MEET", "127.0.0.1", &first, bus]).await;
        if n < 3 {
            let ends = [0, 5461, 10_923, 16_384];
            let (from, to) = (ends[n].to_string(), (ends[n + 1] - 1).to_string());
            server.call(&["CLUSTER", "ADDSLOTSRANGE", &from, &to]).await;
        }
    }
    let servers: Vec<Server> = servers.into_iter().map(|(server, _)| server).collect();
    until("six nodes know each other", async || {
        let mut known = 0;
        for server in &servers {
            known += usize::from(text(server, &["CLUSTER", "INFO"]).await.contains("cluster_known_nodes:6"));
        }
        known == 6
    })
    .await;
    for n in 0..3 {
        let id = text(&servers[n], &["CLUSTER", "MYID"]).await;
        servers[n + 3].call(&["CLUSTER", "REPLICATE", &id]).await;
    }
    until("the Cluster is whole, with replicas", async || {
        let mut whole = 0;
        for server in &servers {
            whole += usize::from(text(server, &["CLUSTER", "INFO"]).await.contains("cluster_state:ok"));
        }
        for server in &servers[3..] {
            whole +=
                usize::from(text(server, &["INFO", "replication"]).await.contains("master_link_status:up"));
        }
        whole == 9
    })
    .await;
    Some(servers)
}

/// Charges until the limit is full; gives how often that went.
async fn use_up(node: &RedisCounters, charge: &Charge) -> u32 {
    let mut admitted = 0;
    while !node.charge(std::slice::from_ref(charge), 1, at(0)).await.unwrap().refused() {
        admitted += 1;
    }
    admitted
}

/// After a fail-over: the windows are refilled with what was sent, and go on.
async fn goes_on(node: &RedisCounters, charge: &Charge, sent: u32) {
    tokio::time::timeout(Duration::from_secs(30), node.lost()).await.unwrap();
    assert!(node.refills(Duration::from_millis(100)).await.unwrap());
    for _ in 0..sent {
        node.fill(charge, node.time().unwrap().minus(Duration::from_secs(3)), at(0)).unwrap();
    }
    node.filled().await.unwrap();
    up(node).await;
    assert_eq!(node.held(std::slice::from_ref(charge), at(0)).await.unwrap()[0].0, u64::from(sent));
    assert_eq!(
        use_up(node, &Charge { rule: Rule::window_of(sent + 4, Duration::from_secs(600)), ..charge.clone() })
            .await,
        4
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_cluster_all_windows_lie_in_one_shard_and_survive_its_fail_over() {
    let Some(mut servers) = cluster().await else { return };
    let ports: Vec<String> = servers.iter().map(|server| format!("127.0.0.1:{}", server.port)).collect();
    let target = Target::parse(&format!("redis+cluster://{}", ports.join(","))).unwrap();
    let node = Arc::new(RedisCounters::connect(slowly(target)).await.unwrap());
    whole(&node).await;
    let charge = limit(1, 20, 600_000);
    assert_eq!(use_up(&node, &charge).await, 20);
    let mut holder = None;
    for (n, server) in servers[..3].iter().enumerate() {
        if server.call(&["DBSIZE"]).await != redis::Value::Int(0) {
            assert!(holder.is_none(), "keys in two shards");
            holder = Some(n);
        }
    }
    servers[holder.unwrap()].kill();
    goes_on(&node, &charge, 20).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sentinels_name_the_primary_also_after_a_fail_over() {
    let Some(mut primary) = Server::start().await else { return };
    let port = primary.port.to_string();
    let replica = Server::with(&["--replicaof", "127.0.0.1", &port]).await.unwrap();
    until("the replica is in step", async || {
        text(&replica, &["INFO", "replication"]).await.contains("master_link_status:up")
    })
    .await;
    let sentinel = Server::sentinel(primary.port).await.unwrap();
    let url = format!("redis+sentinel://127.0.0.1:{}/main", sentinel.port);
    let node = Arc::new(RedisCounters::connect(slowly(Target::parse(&url).unwrap())).await.unwrap());
    whole(&node).await;
    let charge = limit(1, 20, 600_000);
    assert_eq!(use_up(&node, &charge).await, 20);
    until("the sentinel knows the replica", async || {
        text(&sentinel, &["INFO", "sentinel"]).await.contains("slaves=1")
    })
    .await;
    primary.kill();
    goes_on(&node, &charge, 20).await;
}

//! The way to the server: found, checked, and cut at the first sign of trouble, so that a server that does not
//! answer costs requests nothing.

use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, RedisError, Value};
use seawall_core::time::Timestamp;
use tokio::sync::{Notify, watch};

use super::Options;
use super::names::{Names, Target, letters};
use super::news::News;
use super::scripts::Script;
use super::wire::By;
use crate::{Result, StoreError};

/// Keys that wait to be cleared at most; more are left to run out.
const MOST_CLEARED_LATER: usize = 100_000;
/// A node's clock may run this much behind the server's: what is filled from the ledger counts so much longer.
const BEHIND: Duration = Duration::from_secs(1);

/// How it stands with the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// It does not answer, or may not be used; why.
    Down(String),
    /// It answers, and the windows are gone.
    Gone,
    /// Windows can be charged.
    Up,
}

/// A connection to a server that was checked.
#[derive(Clone)]
pub(super) struct Connected {
    pub(super) connection: MultiplexedConnection,
    /// Another one after each start of the server.
    pub(super) run: String,
}

impl Connected {
    /// The epoch in a mark, if it was filled on this run of the server.
    pub(super) fn epoch<'a>(&self, mark: &'a [u8]) -> Option<&'a str> {
        let (epoch, run) = std::str::from_utf8(mark).ok()?.split_once(':')?;
        (run == self.run).then_some(epoch)
    }
}

/// Windows that can be charged.
pub(super) struct Link {
    pub(super) connection: MultiplexedConnection,
    /// What the key of the mark holds while these windows are in force.
    pub(super) mark: Vec<u8>,
    prefix: Vec<u8>,
}

impl Link {
    pub(super) fn new(connected: &Connected, names: &Names, epoch: &str) -> Self {
        Link {
            connection: connected.connection.clone(),
            mark: format!("{epoch}:{}", connected.run).into_bytes(),
            prefix: format!("{}{epoch}", names.base).into_bytes(),
        }
    }

    /// Tells this filling of the windows from others, in this process.
    pub(super) fn filling(&self) -> u64 {
        let mut hasher = std::hash::DefaultHasher::new();
        self.mark.hash(&mut hasher);
        hasher.finish()
    }

    pub(super) fn key(&self, key: u64) -> Vec<u8> {
        let mut name = Vec::with_capacity(self.prefix.len() + 8);
        name.extend_from_slice(&self.prefix);
        name.extend(key.to_be_bytes());
        name
    }
}

/// What requests and the tender share.
pub(super) struct Shared {
    pub(super) options: Options,
    pub(super) names: Names,
    /// This node, to tell it from others.
    pub(super) node: String,
    pub(super) state: watch::Sender<State>,
    pub(super) connected: ArcSwapOption<Connected>,
    pub(super) link: ArcSwapOption<Link>,
    /// Wakes the tender.
    pub(super) trouble: Notify,
    /// The epoch that this node is filling.
    pub(super) filling: Mutex<Option<String>>,
    pub(super) news: News,
    /// The server's time, and when it was read.
    read_time: Mutex<Option<(Timestamp, Instant)>>,
    clear_later: Mutex<Vec<u64>>,
    pub(super) nodes: AtomicU32,
    pub(super) bypassed: AtomicBool,
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub(super) fn new(options: Options) -> Self {
        Shared {
            names: Names::new(options.installation),
            options,
            node: random(8),
            state: watch::Sender::new(State::Down("not connected yet".to_owned())),
            connected: ArcSwapOption::empty(),
            link: ArcSwapOption::empty(),
            trouble: Notify::new(),
            filling: Mutex::default(),
            news: News::default(),
            read_time: Mutex::default(),
            clear_later: Mutex::default(),
            nodes: AtomicU32::new(1),
            bypassed: AtomicBool::new(false),
        }
    }

    /// The way, or why there is none: at once.
    pub(super) fn link(&self) -> Result<Arc<Link>> {
        self.link.load_full().ok_or_else(|| {
            StoreError::Unavailable(match &*self.state.borrow() {
                State::Down(why) => format!("Redis: {why}"),
                State::Gone | State::Up => "Redis: the windows are being refilled".to_owned(),
            })
        })
    }

    pub(super) fn go_to(&self, state: State) {
        self.state.send_if_modified(|old| {
            let changed = *old != state;
            if changed {
                tell(&state);
                *old = state;
            }
            changed
        });
    }

    /// Runs a script on windows in force.
    pub(super) async fn run(
        &self,
        link: &Arc<Link>,
        script: &Script,
        keys: impl Iterator<Item = Vec<u8>>,
        arguments: &[&[u8]],
    ) -> Result<Vec<u8>> {
        let keys: Vec<Vec<u8>> = std::iter::once(self.names.mark.clone()).chain(keys).collect();
        let arguments: Vec<&[u8]> =
            std::iter::once(link.mark.as_slice()).chain(arguments.iter().copied()).collect();
        match script.run(&mut link.connection.clone(), &keys, &arguments).await {
            Ok(Value::BulkString(bytes)) => Ok(bytes),
            Ok(Value::Nil) => {
                self.cut(link, State::Gone);
                Err(StoreError::Unavailable("Redis lost the windows; they are refilled".to_owned()))
            }
            Ok(_) => Ok(Vec::new()),
            Err(error) => {
                let why = reason(&error);
                self.cut(link, State::Down(why.clone()));
                Err(StoreError::Unavailable(format!("Redis: {why}")))
            }
        }
    }

    /// Whether what was charged this way counts: it is still in force, and the answer came in time. Who refills the
    /// windows waits for as long as somebody may still send because of an answer.
    pub(super) fn stands(&self, link: &Arc<Link>, begun: Instant) -> Result<()> {
        let current = self.link.load();
        let same = current.as_ref().is_some_and(|current| Arc::ptr_eq(current, link));
        if same && begun.elapsed() <= self.options.patience { Ok(()) } else { Err(late()) }
    }

    /// Nobody goes this way any more; the tender looks for another.
    pub(super) fn cut(&self, link: &Arc<Link>, state: State) {
        let current = self.link.load_full();
        if current.is_some_and(|current| Arc::ptr_eq(&current, link)) {
            self.link.store(None);
            // Gone is for the tender to say: perhaps another node has refilled the windows already.
            if matches!(state, State::Down(_)) {
                self.go_to(state);
            }
            self.trouble.notify_one();
        }
    }

    pub(super) async fn clear(&self, keys: &[u64]) -> Result<()> {
        if keys.is_empty() {
            return Ok(());
        }
        let link = self.link()?;
        for keys in keys.chunks(1000) {
            let mut pipe = redis::pipe();
            let unlink = pipe.cmd("UNLINK");
            keys.iter().for_each(|key| {
                unlink.arg(link.key(*key));
            });
            let freed: Vec<u8> = keys.iter().flat_map(|key| key.to_be_bytes()).collect();
            super::news::add(&mut pipe, &self.names.news, "freed", &freed);
            let count = pipe.len();
            let sent = link.connection.clone().send_packed_commands(&pipe, 0, count).await;
            let sent = sent.and_then(|all| all.into_iter().try_for_each(|one| one.extract_error().map(drop)));
            if let Err(error) = sent {
                let why = reason(&error);
                self.cut(&link, State::Down(why.clone()));
                return Err(StoreError::Unavailable(format!("Redis: {why}")));
            }
        }
        Ok(())
    }

    pub(super) fn clear_later(&self, keys: &[u64]) {
        let mut later = lock(&self.clear_later);
        let room = MOST_CLEARED_LATER.saturating_sub(later.len());
        later.extend(keys.iter().take(room));
    }

    pub(super) fn take_cleared(&self) -> Vec<u64> {
        std::mem::take(&mut *lock(&self.clear_later))
    }

    /// The time that a script goes by: empty for the server's own.
    pub(super) fn time_argument(&self, now: Timestamp) -> String {
        if self.options.callers_time { now.as_millis().to_string() } else { String::new() }
    }

    /// The same for a charge, which is not made when nobody waits for it any more.
    pub(super) fn by(&self, now: Timestamp) -> By {
        match self.time() {
            _ if self.options.callers_time => By::Caller(now),
            Some(time) => By::ServerUntil(time.plus(self.options.patience)),
            None => By::Server,
        }
    }

    pub(super) fn read_time(&self, time: Timestamp) {
        *lock(&self.read_time) = Some((time, Instant::now()));
    }

    /// The server's time.
    pub(super) fn time(&self) -> Option<Timestamp> {
        let read = *lock(&self.read_time);
        read.map(|(time, read)| time.plus(read.elapsed()))
    }

    /// When a past charge counts from, and what time it is there. Never in the future, and rather too long than
    /// too short.
    pub(super) fn filled_at(&self, at: Timestamp, now: Timestamp) -> (Timestamp, Timestamp) {
        match self.time().filter(|_| !self.options.callers_time) {
            Some(now) => (at.plus(BEHIND).min(now), now),
            None => (at, now),
        }
    }

    pub(super) fn nodes(&self) -> u32 {
        self.nodes.load(Ordering::Relaxed)
    }

    pub(super) fn bypassed(&self) {
        self.bypassed.store(true, Ordering::Relaxed);
    }

    pub(super) fn filling(&self) -> std::sync::MutexGuard<'_, Option<String>> {
        lock(&self.filling)
    }
}

/// What somebody no longer waits for was not charged.
pub(super) fn late() -> StoreError {
    StoreError::Unavailable("Redis answered too late".to_owned())
}

fn tell(state: &State) {
    match state {
        State::Down(why) => tracing::error!(why, "Redis is lost; limits do not count there"),
        State::Gone => tracing::warn!("the windows in Redis are gone and have to be refilled"),
        State::Up => tracing::info!("the windows in Redis are whole"),
    }
}

/// Letters that nobody else has.
pub(super) fn random(count: u32) -> String {
    let mut bytes = [0u8; 8];
    let _ = ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), &mut bytes);
    letters(u64::from_le_bytes(bytes), count)
}

/// What went wrong, for people.
pub(super) fn reason(error: &RedisError) -> String {
    if error.is_timeout() { "no answer in time".to_owned() } else { error.to_string() }
}

/// Finding a server may take longer than asking it: no request waits for it.
const FIND: Duration = Duration::from_secs(2);

async fn open(info: &ConnectionInfo) -> std::result::Result<MultiplexedConnection, String> {
    let config =
        AsyncConnectionConfig::new().set_connection_timeout(Some(FIND)).set_response_timeout(Some(FIND));
    let at = |error: &RedisError| format!("{}: {}", info.addr(), reason(error));
    let client = Client::open(info.clone()).map_err(|error| at(&error))?;
    client.get_multiplexed_async_connection_with_config(&config).await.map_err(|error| at(&error))
}

/// Finds the server and checks it.
pub(super) async fn connect(options: &Options, names: &Names) -> std::result::Result<Connected, String> {
    let info = match &options.target {
        Target::Single(info) => (**info).clone(),
        Target::Cluster(nodes) | Target::Sentinel { sentinels: nodes, .. } => {
            ask_around(nodes, options, names).await?
        }
    };
    let mut connection = open(&info).await?;
    let run = check(&mut connection).await.map_err(|why| format!("{}: {why}", info.addr()))?;
    connection.set_response_timeout(options.patience);
    Ok(Connected { connection, run })
}

/// The server that one of these nodes names; else what the last of them said.
async fn ask_around(
    nodes: &[ConnectionInfo],
    options: &Options,
    names: &Names,
) -> std::result::Result<ConnectionInfo, String> {
    let mut why = "no address".to_owned();
    for node in nodes {
        let named = match &options.target {
            Target::Sentinel { name, primary, .. } => sentinel(node, name, primary).await,
            Target::Cluster(_) | Target::Single(_) => cluster(node, names).await,
        };
        match named {
            Ok(info) => return Ok(info),
            Err(error) => why = error,
        }
    }
    Err(why)
}

/// The node of a Cluster that holds our slot.
async fn cluster(node: &ConnectionInfo, names: &Names) -> std::result::Result<ConnectionInfo, String> {
    let mut connection = open(node).await?;
    let slot: i64 = redis::cmd("CLUSTER")
        .arg("KEYSLOT")
        .arg(&names.mark)
        .query_async(&mut connection)
        .await
        .map_err(said)?;
    let ranges: Vec<Vec<Value>> =
        redis::cmd("CLUSTER").arg("SLOTS").query_async(&mut connection).await.map_err(said)?;
    for range in ranges {
        let [Value::Int(low), Value::Int(high), Value::Array(primary), ..] = range.as_slice() else {
            continue;
        };
        if (*low..=*high).contains(&slot)
            && let [host, Value::Int(port), ..] = primary.as_slice()
        {
            let host = match host {
                Value::BulkString(host) => String::from_utf8_lossy(host).into_owned(),
                _ => String::new(),
            };
            return elsewhere(node, &host, *port);
        }
    }
    Err(format!("{}: no node of the Cluster holds slot {slot}", node.addr()))
}

async fn sentinel(
    node: &ConnectionInfo,
    name: &str,
    primary: &ConnectionInfo,
) -> std::result::Result<ConnectionInfo, String> {
    let mut connection = open(node).await?;
    let found: Option<(String, i64)> = redis::cmd("SENTINEL")
        .arg("GET-MASTER-ADDR-BY-NAME")
        .arg(name)
        .query_async(&mut connection)
        .await
        .map_err(said)?;
    let (host, port) = found.ok_or_else(|| format!("{}: no primary is called `{name}`", node.addr()))?;
    elsewhere(primary, &host, port)
}

fn said(error: RedisError) -> String {
    reason(&error)
}

/// The same credentials at another address; without a host, at the same one.
fn elsewhere(info: &ConnectionInfo, host: &str, port: i64) -> std::result::Result<ConnectionInfo, String> {
    let port = u16::try_from(port).map_err(|_| format!("port {port} of {host}"))?;
    let named = |old: &str| if host.is_empty() { old.to_owned() } else { host.to_owned() };
    let addr = match info.addr() {
        ConnectionAddr::TcpTls { host: old, insecure, tls_params, .. } => ConnectionAddr::TcpTls {
            host: named(old),
            port,
            insecure: *insecure,
            tls_params: tls_params.clone(),
        },
        ConnectionAddr::Tcp(old, _) => ConnectionAddr::Tcp(named(old), port),
        _ => ConnectionAddr::Tcp(named("127.0.0.1"), port),
    };
    Ok(info.clone().set_addr(addr))
}

/// What time it is there.
pub(super) async fn time(connected: &Connected) -> std::result::Result<Timestamp, String> {
    let mut connection = connected.connection.clone();
    let (seconds, micros): (i64, i64) =
        redis::cmd("TIME").query_async(&mut connection).await.map_err(said)?;
    Ok(Timestamp::from_millis(seconds * 1000 + micros / 1000))
}

/// Whether counters may live there; gives which run of the server it is.
pub(super) async fn check(connection: &mut MultiplexedConnection) -> std::result::Result<String, String> {
    let info: String = redis::cmd("INFO").query_async(connection).await.map_err(said)?;
    let read = |name: &str| {
        let mut lines = info.lines().filter_map(|line| line.split_once(':'));
        lines.find(|(key, _)| *key == name).map(|(_, value)| value.trim())
    };
    match read("role") {
        Some("master") => {}
        role => return Err(format!("it is a {}, not the primary", role.unwrap_or("server without a role"))),
    }
    match read("maxmemory_policy") {
        Some("noeviction") | None => {}
        Some(policy) => {
            return Err(format!(
                "its maxmemory-policy is `{policy}`, which would forget limits when memory runs short; set it to \
                 `noeviction`"
            ));
        }
    }
    let version = read("redis_version").unwrap_or("0");
    let mut numbers = version.split('.').map(|part| part.parse::<u32>().unwrap_or(0));
    if (numbers.next(), numbers.next()) < (Some(6), Some(2)) {
        return Err(format!("it is version {version}; 6.2 or newer is needed"));
    }
    read("run_id").map(str::to_owned).ok_or_else(|| "its INFO has no run_id".to_owned())
}

//! Boot in one straight line: store, clock, app, jobs, listener; and back down the same way.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use seawall_connect::Echoed;
use seawall_core::id::Id;
use seawall_store::memory::MemoryCounters;
use seawall_store::postgres::{PostgresStore, Sharing};
use seawall_store::redis::{self, RedisCounters};
use seawall_store::sqlite;
use seawall_store::vault::{KEY_FILE, Vault};
use seawall_store::{Changes, Store, StoreError};
use tokio::net::TcpListener;
use tokio::sync::{Mutex, Notify, mpsc, watch};
use tokio::task::JoinHandle;

use crate::app::outbox::{Arrivals, Outbox};
use crate::app::snapshot::Snapshot;
use crate::app::{
    App, alarms, check_alarm, detection, hits, idempotency, init, intel, lists, models, recorder, reload,
    who, without_counters,
};
use crate::clock::Clock;
use crate::config::Config;
use crate::ids::IdSource;
use crate::{http, jobs};

pub use crate::app::init::Initialised;

/// Receipts and inbound messages that wait; a full queue holds providers back.
const ECHOES: usize = 4096;
/// How long requests and messages under way may take to end.
const DRAIN: Duration = Duration::from_secs(30);

/// A gateway that is running.
pub struct Running {
    /// Where it listens.
    pub addr: SocketAddr,
    /// The gateway itself.
    pub app: Arc<App>,
    /// Set when this start made the installation.
    pub initialised: Option<Initialised>,
    stop: watch::Sender<bool>,
    stop_jobs: watch::Sender<bool>,
    listener: JoinHandle<()>,
    jobs: Vec<JoinHandle<()>>,
}

impl Running {
    /// Ends requests, then jobs, then closes the store.
    pub async fn stop(self) {
        self.app.draining.store(true, Ordering::Relaxed);
        let _ = self.stop.send(true);
        let _ = tokio::time::timeout(DRAIN, self.listener).await;
        // Only now: requests that were under way may still have accepted messages.
        let _ = self.stop_jobs.send(true);
        for job in self.jobs {
            let _ = tokio::time::timeout(DRAIN, job).await;
        }
        for running in self.app.snapshot.load().providers.values() {
            running.connector.close().await;
        }
        self.app.store.ledger.close().await;
    }
}

/// The keys of a configuration. The key file is made if there is neither key nor database yet.
pub(crate) fn vault(config: &Config, may_create: bool) -> Result<Vault, StoreError> {
    let dir = config.data_dir();
    match &config.keys {
        Some(source) => {
            source.names()?;
            Ok(Vault::new(source.clone()))
        }
        None => Vault::open(dir, may_create && !dir.join(sqlite::DATABASE_FILE).exists()),
    }
}

/// Whether something was set up here before.
fn holds_installation(config: &Config) -> bool {
    let dir = config.data_dir();
    let elsewhere = config.keys.is_some() && config.store.postgres.is_some();
    elsewhere || dir.join(KEY_FILE).exists() || dir.join(sqlite::DATABASE_FILE).exists()
}

/// Opens the stores of a configuration. `may_create`: an empty directory becomes an installation.
pub async fn open_store(config: &Config, may_create: bool) -> Result<Store, StoreError> {
    let dir = config.data_dir();
    if may_create {
        std::fs::create_dir_all(dir)
            .map_err(|e| StoreError::Unavailable(format!("cannot make {}: {e}", dir.display())))?;
    } else if !holds_installation(config) {
        let say = format!("{} holds no installation; `seawall init` makes one", dir.display());
        return Err(StoreError::Unavailable(say));
    }
    let vault = Arc::new(vault(config, may_create)?);
    let counters = Arc::new(MemoryCounters::default());
    let Some(url) = &config.store.postgres else {
        let db = Arc::new(sqlite::SqliteStore::open(dir, vault.clone())?);
        return Ok(Store { directory: db.clone(), ledger: db, counters, vault });
    };
    // What is counted in memory no other node would know.
    let sharing = if config.counters.redis.is_some() { Sharing::Shared } else { Sharing::Alone };
    let db = Arc::new(PostgresStore::open(url, vault.clone(), sharing).await?);
    Ok(Store { directory: db.clone(), ledger: db, counters, vault })
}

/// Brings the store to this version's schema, without starting anything; says what was done.
pub async fn migrate(config: &Config) -> Result<String, StoreError> {
    let Some(url) = &config.store.postgres else {
        open_store(config, false).await?.ledger.close().await;
        return Ok("the embedded store has this version's schema".to_owned());
    };
    let vault = Arc::new(vault(config, false)?);
    let (from, to) = PostgresStore::migrate(url, vault).await?;
    Ok(if from == to {
        format!("PostgreSQL has schema {to} already")
    } else {
        format!("PostgreSQL: schema {from} to {to}")
    })
}

/// Takes everything from the embedded store of the data directory to PostgreSQL; rows by table.
pub async fn import(config: &Config) -> Result<Vec<(&'static str, u64)>, StoreError> {
    let Some(url) = &config.store.postgres else {
        return Err(StoreError::Unavailable("store.url names no PostgreSQL".to_owned()));
    };
    let vault = Arc::new(vault(config, false)?);
    seawall_store::import::import(config.data_dir(), url, vault).await
}

/// Opens the stores to serve from them: with counters that nodes share, where these are configured.
async fn open(config: &Config) -> Result<Store, StoreError> {
    let mut store = open_store(config, true).await?;
    if let Some(target) = config.counters.redis.clone() {
        let mut options = redis::Options::new(target, store.vault.index().text(b'n', "counters"));
        // The sandbox clock moves limits too.
        options.callers_time = config.sandbox.clock;
        store.counters = Arc::new(RedisCounters::connect(options).await?);
    }
    Ok(store)
}

/// The time of the counters that nodes share, else of this machine; never below the ledger's newest entry.
fn clock(store: &Store, newest: i64) -> Clock {
    let floor = Id::new(newest, 0).at();
    store.counters.time().map_or_else(|| Clock::start(floor), |time| Clock::start_at(time, floor))
}

/// Makes an installation: first account, subaccount, key and admin token.
pub async fn init(config: &Config, account: &str, subaccount: Option<&str>) -> Result<Initialised, String> {
    let store = open_store(config, true).await.map_err(|e| e.to_string())?;
    let _installing = store.directory.installing().await.map_err(|e| e.to_string())?;
    let done = init_store(&store, account, subaccount).await;
    store.ledger.close().await;
    done
}

async fn init_store(store: &Store, account: &str, subaccount: Option<&str>) -> Result<Initialised, String> {
    let newest = store.ledger.newest_row().await.map_err(|e| e.to_string())?;
    let clock = Clock::start(Id::new(newest, 0).at());
    let ids = IdSource::new(newest, store);
    init::init(store, &ids, clock.now(), account, subaccount).await.map_err(|e| e.to_string())
}

/// A store without an account is made an installation.
async fn init_if_empty(store: &Store) -> Result<Option<Initialised>, String> {
    // Where nodes share a database, the first one does, and the others wait for it.
    let _installing = store.directory.installing().await.map_err(|e| e.to_string())?;
    match store.directory.documents(crate::app::entities::collection::ACCOUNT).await {
        Ok(found) if found.is_empty() => Ok(Some(init_store(store, "default", None).await?)),
        Ok(_) => Ok(None),
        Err(e) => Err(e.to_string()),
    }
}

/// Starts everything and returns once requests are answered.
pub async fn start(config: Config) -> Result<Running, String> {
    start_with(config, |_| Ok(())).await
}

/// The same; the first key of a new installation is kept before anybody is served.
async fn start_with(
    config: Config,
    keep: impl FnOnce(&Initialised) -> Result<(), String>,
) -> Result<Running, String> {
    let intel = intel::Intel::open(&config.intel)?;
    let store = open(&config).await.map_err(|e| e.to_string())?;
    let initialised = init_if_empty(&store).await?;
    initialised.as_ref().map_or(Ok(()), keep)?;
    let newest = store.ledger.newest_row().await.map_err(|e| e.to_string())?;
    let clock = Arc::new(clock(&store, newest));
    let recovery = store.ledger.recover(clock.now()).await.map_err(|e| e.to_string())?;
    tracing::info!(unknown = recovery.unknown, waiting = recovery.waiting, "recovered");
    let listener = bind(config.server.listen).await?;
    let addr = listener.local_addr().map_err(|e| e.to_string())?;
    let (app, inside) = assemble(config, store, clock, intel, newest).await?;
    let (stop, stopped) = watch::channel(false);
    let (stop_jobs, jobs_stopped) = watch::channel(false);
    let jobs = inside.begin(&app, &jobs_stopped);
    let metrics = match app.config.metrics.listen {
        Some(listen) => Some(bind(listen).await?),
        None => None,
    };
    let door = serve_doors(app.clone(), listener, metrics, stopped);
    Ok(Running { addr, app, initialised, stop, stop_jobs, listener: tokio::spawn(door), jobs })
}

/// Where channels end that the parts of a gateway talk through.
pub struct Inside {
    arrivals: Arrivals,
    echoed: mpsc::Receiver<Echoed>,
    changes: watch::Receiver<Changes>,
}

impl Inside {
    /// Begins what goes on behind the requests, until `stopped`.
    pub fn begin(self, app: &Arc<App>, stopped: &watch::Receiver<bool>) -> Vec<JoinHandle<()>> {
        let (app, stopped) = (|| app.clone(), || stopped.clone());
        vec![
            tokio::spawn(jobs::outbox::run(app(), self.arrivals, stopped())),
            tokio::spawn(jobs::echo::run(app(), self.echoed, stopped())),
            tokio::spawn(jobs::hooks::run(app(), stopped())),
            tokio::spawn(jobs::intel::run(app(), stopped())),
            tokio::spawn(jobs::counters::run(app(), stopped())),
            tokio::spawn(jobs::follow::run(app(), self.changes, stopped())),
            tokio::spawn(jobs::evidence::run(app(), stopped())),
            tokio::spawn(jobs::contacts::run(app(), stopped())),
            tokio::spawn(jobs::cleanings::run(app(), stopped())),
            tokio::spawn(jobs::housekeeping::run(app(), stopped())),
        ]
    }
}

/// Puts a gateway together over its stores, whatever they are, and brings back what it knew; nothing goes on yet.
/// `newest`: the ledger's newest row.
pub async fn assemble(
    config: Config,
    store: Store,
    clock: Arc<Clock>,
    intel: intel::Intel,
    newest: i64,
) -> Result<(Arc<App>, Inside), String> {
    let detection = detection::restore(&store, config.data_dir()).await.map_err(|e| e.to_string())?;
    let changes = store.directory.changes();
    let (echoes, echoed) = mpsc::channel(ECHOES);
    let (outbox, arrivals) = Outbox::new();
    let app = Arc::new(App {
        ids: IdSource::new(newest, &store),
        room: crate::app::room::Room::new(config.limits.max_requests),
        store,
        clock,
        snapshot: ArcSwap::from_pointee(Snapshot::default()),
        recorder: recorder::Recorder::default(),
        detection,
        velocities: crate::app::velocities::Velocity::default(),
        models: models::Models::default(),
        grants: crate::app::grants::Grants::default(),
        intel,
        enumeration: crate::app::enumeration::Watch::default(),
        cleanings: crate::app::cleaning::Cleanings::default(),
        asker: crate::app::masking::ask_app::Asker::default(),
        sandbox_lookup: Arc::default(),
        lists: lists::Lists::default(),
        hits: hits::HitCounts::default(),
        outbox,
        hook_work: Notify::new(),
        resealing: crate::app::keys::Progress::default(),
        erasures: Notify::new(),
        contact_jobs: Notify::new(),
        contact_turn: Mutex::new(()),
        under_way: idempotency::UnderWay::default(),
        alarms: alarms::Alarms::default(),
        check_alarm: check_alarm::CheckAlarm::default(),
        key_uses: who::KeyUses::default(),
        late: crate::app::late::Late::default(),
        without_counters: without_counters::Without::default(),
        metrics: Arc::default(),
        echoes,
        reload_lock: Mutex::new(()),
        draining: AtomicBool::new(false),
        config,
    });
    models::load(&app.store, &app.models).await.map_err(|e| e.to_string())?;
    reload::reload(&app).await?;
    lists::load(&app).await.map_err(|e| e.to_string())?;
    reload::refill(&app).await.map_err(|e| e.to_string())?;
    crate::app::grants::restore(&app).await.map_err(|e| e.to_string())?;
    alarms::load(&app).await.map_err(|e| e.to_string())?;
    Ok((app, Inside { arrivals, echoed, changes }))
}

async fn bind(listen: SocketAddr) -> Result<TcpListener, String> {
    TcpListener::bind(listen).await.map_err(|e| format!("cannot listen on {listen}: {e}"))
}

/// The APIs, and the metrics where they have a listener of their own.
async fn serve_doors(
    app: Arc<App>,
    listener: TcpListener,
    metrics: Option<TcpListener>,
    stopped: watch::Receiver<bool>,
) {
    let until = |mut stopped: watch::Receiver<bool>| async move {
        let _ = stopped.wait_for(|stop| *stop).await;
    };
    let apis = http::door::serve(listener, http::router(app.clone()), &app.config, until(stopped.clone()));
    let numbers = async {
        match metrics {
            Some(own) => {
                http::door::serve(own, http::metrics::alone(app.clone()), &app.config, until(stopped)).await
            }
            None => Ok(()),
        }
    };
    let (apis, numbers) = tokio::join!(apis, numbers);
    for error in [apis, numbers].into_iter().filter_map(Result::err) {
        tracing::error!(error, "a listener ended");
    }
}

/// Serves until SIGTERM or SIGINT, then drains.
pub async fn run(config: Config) -> Result<(), String> {
    let dir = config.data_dir().to_path_buf();
    let secure = config.tls.is_some();
    let file = dir.join("first-key.json");
    let running = start_with(config, |first| keep_first_key(&file, first)).await?;
    let base = format!("{}://{}", if secure { "https" } else { "http" }, running.addr);
    if let Some(first) = &running.initialised {
        greet(&base, first, &file);
    }
    tracing::info!(listen = %running.addr, "ready");
    wait_for_signal().await;
    tracing::info!("draining");
    running.stop().await;
    Ok(())
}

/// The first key and the admin token, readable by the owner only.
fn keep_first_key(path: &Path, first: &Initialised) -> Result<(), String> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let text = serde_json::to_string_pretty(first).map_err(|e| e.to_string())?;
    let failed = |e: std::io::Error| format!("cannot write {}: {e}", path.display());
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .map_err(failed)?;
    writeln!(file, "{text}").map_err(failed)
}

fn greet(base: &str, first: &Initialised, file: &Path) {
    let file = file.display();
    let sub = &first.subaccount_id;
    eprintln!(
        "A new installation. Its API key and admin token are in {file}\n\
         (read them, keep them elsewhere, delete the file).\n\n\
         Send a first code to the sandbox phone:\n\n\
         \x20 KEY=$(sed -n 's/.*\"api_key\": \"\\(.*\\)\".*/\\1/p' {file})\n\
         \x20 curl {base}/api/v2/subaccounts/{sub}/sessions -H \"Authorization: Bearer $KEY\" \\\n\
         \x20   -H 'Content-Type: application/json' -d '{{\"destination\": \"+6591234567\"}}'\n\n\
         and read it:\n\n\
         \x20 TOKEN=$(sed -n 's/.*\"admin_token\": \"\\(.*\\)\".*/\\1/p' {file})\n\
         \x20 curl -H \"Authorization: Bearer $TOKEN\" '{base}/admin/v1/sandbox/messages?to=%2B6591234567'\n"
    );
}

/// Waits for SIGTERM or SIGINT.
pub async fn wait_for_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let interrupt = tokio::signal::ctrl_c();
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => {
            tokio::select! {
                _ = interrupt => {}
                _ = terminate.recv() => {}
            }
        }
        Err(_) => {
            let _ = interrupt.await;
        }
    }
}

//! Accepting connections, and letting them end.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use seawall_core::client_ip::{ClientIp, TrustedProxies};
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, timeout};

use super::caps::{Caps, Full, Place};
use super::connection::{self, Connection};
use super::pulse::Patience;
use super::tls::Tls;
use crate::config::{Config, ConnectionLimits, Peers};

/// How long requests under way may take to end after a shutdown was asked for.
const DRAIN: Duration = Duration::from_secs(30);
/// Files that are kept free for the store, providers and webhooks.
const RESERVED_FILES: usize = 512;
/// Patience for headers while it is crowded.
const CROWDED_HEADER_TIMEOUT: Duration = Duration::from_secs(2);
/// Complaints about closed connections are summed up over this time.
const COMPLAINT_EVERY: Duration = Duration::from_secs(10);

/// Serves until `shutdown` is done and connections have ended, for at most 30 seconds more. Fails only when
/// the certificate cannot be used.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    config: &Config,
    shutdown: impl Future<Output = ()>,
) -> Result<(), String> {
    let tls = config.tls.as_ref().map(Tls::load).transpose()?.map(Arc::new);
    let _reloading = tls.clone().map(|tls| AbortOnDrop(tokio::spawn(reload_on_hangup(tls))));
    let (draining, ended) = (watch::channel(false).0, mpsc::channel::<Infallible>(1));
    let (alive, mut all_ended) = ended;
    let mut gate = Gate::new(config, router, tls, draining.subscribe(), alive);
    let mut shutdown = pin!(shutdown);
    loop {
        tokio::select! {
            biased;
            () = &mut shutdown => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => gate.take(stream, peer),
                Err(error) => back_off(&error).await,
            },
        }
    }
    drop(listener);
    draining.send_replace(true);
    let open = gate.caps.open();
    drop(gate);
    if timeout(DRAIN, all_ended.recv()).await.is_err() {
        tracing::warn!(open, "connections were still open after 30 s and are cut");
    }
    Ok(())
}

/// What every connection is given.
struct Gate {
    caps: Arc<Caps>,
    router: Router,
    tls: Option<Arc<Tls>>,
    limits: ConnectionLimits,
    /// Nobody but these and loopback; `None`: anyone.
    only: Option<TrustedProxies>,
    draining: watch::Receiver<bool>,
    alive: mpsc::Sender<Infallible>,
    complaints: Complaints,
}

impl Gate {
    fn new(
        config: &Config,
        router: Router,
        tls: Option<Arc<Tls>>,
        draining: watch::Receiver<bool>,
        alive: mpsc::Sender<Infallible>,
    ) -> Self {
        let proxies = &config.server.trusted_proxies;
        let total = affordable(config.limits.max_connections);
        Gate {
            caps: Caps::new(total, config.limits.max_connections_per_address, proxies.clone()),
            router,
            tls,
            limits: config.limits,
            only: (config.server.peers == Peers::ProxiesOnly).then(|| proxies.clone()),
            draining,
            alive,
            complaints: Complaints::default(),
        }
    }

    /// Lets a connection in or drops it, without ever waiting.
    fn take(&mut self, stream: TcpStream, peer: SocketAddr) {
        let client = ClientIp::from_ip(peer.ip());
        let known = |proxies: &TrustedProxies| client.ip().is_loopback() || proxies.contains(client);
        if self.only.as_ref().is_some_and(|proxies| !known(proxies)) {
            return self.complaints.note("unencrypted and neither from loopback nor from a trusted proxy");
        }
        match self.caps.enter(peer.ip()) {
            Ok(place) => self.spawn(stream, peer, place),
            Err(Full::Total) => self.complaints.note("limits.max_connections is reached"),
            Err(Full::Address) => self.complaints.note("limits.max_connections_per_address is reached"),
        }
    }

    fn spawn(&self, stream: TcpStream, peer: SocketAddr, place: Place) {
        let header = match self.caps.is_crowded() {
            true => self.limits.header_timeout.min(CROWDED_HEADER_TIMEOUT),
            false => self.limits.header_timeout,
        };
        let patience =
            Patience { header, request: self.limits.request_timeout, idle: self.limits.idle_timeout };
        let connection = Connection {
            peer,
            accepted: Instant::now(),
            router: self.router.clone(),
            patience,
            draining: self.draining.clone(),
        };
        let acceptor = self.tls.as_ref().map(|tls| tls.acceptor());
        let alive = self.alive.clone();
        tokio::spawn(async move {
            connection::run(connection, stream, acceptor).await;
            drop((place, alive));
        });
    }
}

/// Raises the limit of open files as far as it goes and says how many connections that is good for.
fn affordable(wanted: usize) -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    let files = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    };
    let files = files.and_then(|n| usize::try_from(n).ok()).unwrap_or(usize::MAX);
    let total = wanted.min(files.saturating_sub(RESERVED_FILES).max(files / 2));
    if total < wanted {
        tracing::warn!(
            wanted,
            total,
            "limits.max_connections is lowered to the limit of open files; raise ulimit -n"
        );
    }
    total
}

/// Waits a moment when there are no more files or memory, so that the loop does not spin; goes on at once
/// when a client left before it was accepted.
async fn back_off(error: &io::Error) {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    if !matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset) {
        tracing::warn!(%error, "cannot accept connections; trying again");
        sleep(Duration::from_millis(50)).await;
    }
}

async fn reload_on_hangup(tls: Arc<Tls>) {
    let Ok(mut hangups) = signal(SignalKind::hangup()) else {
        return;
    };
    while hangups.recv().await.is_some() {
        match tls.reload() {
            Ok(()) => tracing::info!("the certificate was read again"),
            Err(error) => tracing::error!(%error, "the certificate stays as it was"),
        }
    }
}

struct AbortOnDrop(tokio::task::JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Logs closed connections now and then: an attack must not fill the log as well.
#[derive(Default)]
struct Complaints {
    last: Option<Instant>,
    since: u64,
}

impl Complaints {
    fn note(&mut self, why: &'static str) {
        self.since = self.since.saturating_add(1);
        if self.last.is_none_or(|last| last.elapsed() >= COMPLAINT_EVERY) {
            tracing::warn!(why, closed = self.since, "connections are closed at once");
            *self = Complaints { last: Some(Instant::now()), since: 0 };
        }
    }
}

//! What `cargo xtask bench` holds the gateway against: the least that answers the same JSON.
//!
//!     floor  ADDR          a bare axum endpoint
//!     bound  ADDR FILE     the same, plus one unindexed SQLite row a request, durable before the answer

use std::net::SocketAddr;
use std::path::Path as FilePath;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use rusqlite::Connection;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

/// Rows of one transaction at most, as in the gateway's own writer.
const GROUP: usize = 512;
/// Bytes of a row, about what a ledger row of such a request would hold at the very least.
const ROW: usize = 230;

/// A row that waits, and where its commit is told.
type Waiting = (Vec<u8>, oneshot::Sender<()>);

#[derive(Clone)]
struct Floor {
    writer: Option<SyncSender<Waiting>>,
}

#[derive(Deserialize)]
struct Client {
    ip: String,
}

#[derive(Deserialize)]
struct DecisionAsk {
    to: String,
    purpose: String,
    client: Client,
}

#[derive(Serialize)]
struct DecisionAnswer {
    id: String,
    verdict: &'static str,
    risk: f32,
    reasons: [u8; 0],
    mode: &'static str,
}

#[derive(Deserialize)]
struct SessionAsk {
    destination: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SessionAnswer {
    session_id: &'static str,
    verify_uri: String,
    destination: String,
    status: &'static str,
    attempt: u8,
    expires_at: &'static str,
    retry_after: &'static str,
}

async fn decide(
    State(floor): State<Floor>,
    Json(ask): Json<DecisionAsk>,
) -> Result<Json<DecisionAnswer>, StatusCode> {
    let id = format!("dec_{:0>26}", ask.to.len() + ask.purpose.len() + ask.client.ip.len());
    floor.keep(&ask.to).await?;
    Ok(Json(DecisionAnswer { id, verdict: "allow", risk: 0.0, reasons: [], mode: "enforce" }))
}

async fn start(
    State(floor): State<Floor>,
    Path(subaccount): Path<String>,
    Json(ask): Json<SessionAsk>,
) -> Result<Json<SessionAnswer>, StatusCode> {
    floor.keep(&ask.destination).await?;
    let session_id = "0123456789abcdef0123456789abcdef";
    Ok(Json(SessionAnswer {
        session_id,
        verify_uri: format!("/api/v2/subaccounts/{subaccount}/sessions/{session_id}"),
        destination: ask.destination,
        status: "WAITING",
        attempt: 0,
        expires_at: "2026-01-05T10:05:00.00Z",
        retry_after: "2026-01-05T10:00:10.00Z",
    }))
}

impl Floor {
    /// Returns once the row is on disk.
    async fn keep(&self, text: &str) -> Result<(), StatusCode> {
        let Some(writer) = &self.writer else { return Ok(()) };
        let mut row = vec![b'x'; ROW];
        row.splice(..0, text.bytes());
        let (told, committed) = oneshot::channel();
        writer.try_send((row, told)).map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?;
        committed.await.map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)
    }
}

fn open(file: &FilePath) -> rusqlite::Result<Connection> {
    let connection = Connection::open(file)?;
    connection.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE rows (id INTEGER PRIMARY KEY, row BLOB);",
    )?;
    Ok(connection)
}

/// Everything that waits becomes one transaction.
fn write(connection: &Connection, waiting: &Receiver<Waiting>) -> rusqlite::Result<()> {
    let mut insert = connection.prepare("INSERT INTO rows (row) VALUES (?1)")?;
    while let Ok(first) = waiting.recv() {
        let mut told = Vec::with_capacity(GROUP);
        connection.execute_batch("BEGIN IMMEDIATE")?;
        for (row, sender) in std::iter::once(first).chain(waiting.try_iter().take(GROUP)) {
            insert.execute([row])?;
            told.push(sender);
        }
        connection.execute_batch("COMMIT")?;
        for sender in told {
            let _ = sender.send(());
        }
    }
    Ok(())
}

fn writer(file: &FilePath) -> rusqlite::Result<SyncSender<Waiting>> {
    let connection = open(file)?;
    let (sender, receiver) = sync_channel(4096);
    std::thread::spawn(move || {
        if let Err(error) = write(&connection, &receiver) {
            eprintln!("the writer ended: {error}");
        }
    });
    Ok(sender)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let kind = arguments.next().unwrap_or_default();
    let listen: SocketAddr = arguments.next().ok_or("floor|bound ADDR [FILE]")?.parse()?;
    let writer = match (kind.as_str(), arguments.next()) {
        ("floor", None) => None,
        ("bound", Some(file)) => Some(writer(FilePath::new(&file))?),
        _ => return Err("floor ADDR, or bound ADDR FILE".into()),
    };
    let router = Router::new()
        .route("/v1/decisions", post(decide))
        .route("/api/v2/subaccounts/{subaccount}/sessions", post(start))
        .with_state(Floor { writer });
    axum::serve(TcpListener::bind(listen).await?, router).await?;
    Ok(())
}

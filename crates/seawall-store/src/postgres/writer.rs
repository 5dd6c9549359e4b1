//! Group commit: acceptances that wait are written together, by a few writers with a connection each. The number
//! of statements of a group does not depend on its size.
//!
//! Who waits gives up after a while. What was committed all the same is marked as failed before it is sent: nobody sets
//! it on its way, or it is taken out of the queue. That is done as well when the answer to a commit was lost.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::time::Instant;

use super::accept::{self, Unwanted, Written};
use super::conn::{Db, SOON};
use super::fault::is_about_data;
use crate::sealed::acceptance::Sealed;
use crate::{Result, StoreError};

/// Groups that are written at the same time.
const WRITERS: usize = 4;
/// Acceptances of a group.
const GROUP: usize = 256;
/// Acceptances that may wait; whoever brings one more waits to hand it over.
const ROOM: usize = 4096;

/// An acceptance, until when its answer is of use, and where it is awaited.
struct Job {
    sealed: Sealed,
    until: Instant,
    waits: oneshot::Sender<Result<()>>,
}

/// The way to the writers.
pub(super) struct Writer(mpsc::Sender<Job>);

impl Writer {
    /// Starts them.
    pub(super) fn start(db: &Arc<Db>) -> Self {
        let (bring, brought) = mpsc::channel(ROOM);
        let brought = Arc::new(Mutex::new(brought));
        for _ in 0..WRITERS {
            db.keep(tokio::spawn(run(db.clone(), brought.clone())));
        }
        Writer(bring)
    }

    /// Brings an acceptance, and waits until it is durable.
    pub(super) async fn accept(&self, sealed: Sealed) -> Result<()> {
        let (waits, answer) = oneshot::channel();
        let until = Instant::now() + SOON;
        let late = || StoreError::Unavailable("PostgreSQL did not take a message in time".to_owned());
        let closed = || StoreError::Unavailable("the store is closed".to_owned());
        let brought = tokio::time::timeout_at(until, self.0.send(Job { sealed, until, waits })).await;
        brought.map_err(|_| late())?.map_err(|_| closed())?;
        tokio::time::timeout_at(until, answer).await.map_err(|_| late())?.map_err(|_| closed())?
    }
}

async fn run(db: Arc<Db>, brought: Arc<Mutex<mpsc::Receiver<Job>>>) {
    loop {
        let mut jobs = Vec::new();
        if brought.lock().await.recv_many(&mut jobs, GROUP).await == 0 {
            return;
        }
        // Nobody waits for these any more, and nothing of them was begun.
        jobs.retain(|job| !job.waits.is_closed());
        group(&db, jobs).await;
    }
}

async fn group(db: &Arc<Db>, jobs: Vec<Job>) {
    let Some(until) = jobs.iter().map(|job| job.until).min() else { return };
    let (all, waits): (Vec<Sealed>, Vec<_>) = jobs.into_iter().map(|job| (job.sealed, job.waits)).unzip();
    let alone = all.len() == 1;
    match accept::write(db, &all, until).await {
        Err(error) if is_about_data(&error) && !alone => {
            // One of them cannot be written; the others need not suffer for it.
            for (sealed, waits) in all.into_iter().zip(waits) {
                let written = accept::write(db, std::slice::from_ref(&sealed), Instant::now() + SOON).await;
                answer(db, std::slice::from_ref(&sealed), vec![waits], written);
            }
        }
        written => answer(db, &all, waits, written),
    }
}

fn answer(db: &Arc<Db>, all: &[Sealed], waits: Vec<oneshot::Sender<Result<()>>>, written: Result<Written>) {
    match written {
        Ok(Written::Done(fits)) => {
            let mut unwanted = Unwanted::default();
            for ((sealed, waits), fits) in all.iter().zip(waits).zip(fits) {
                let result = if fits { Ok(()) } else { Err(StoreError::Conflict) };
                if waits.send(result).is_err() && fits {
                    unwanted.add(sealed);
                }
            }
            disown(db, None, unwanted);
        }
        Ok(Written::Unknown(transaction)) => {
            let why = "the connection was lost while a message was committed";
            waits
                .into_iter()
                .for_each(|waits| drop(waits.send(Err(StoreError::Unavailable(why.to_owned())))));
            let mut unwanted = Unwanted::default();
            all.iter().for_each(|sealed| unwanted.add(sealed));
            disown(db, Some(transaction), unwanted);
        }
        Err(error) => {
            let why = error.to_string();
            let why = why.strip_prefix("the store is unavailable: ").unwrap_or(&why);
            waits
                .into_iter()
                .for_each(|waits| drop(waits.send(Err(StoreError::Unavailable(why.to_owned())))));
        }
    }
}

/// Marks messages that nobody sends as failed, once it is known whether they are there.
fn disown(db: &Arc<Db>, transaction: Option<String>, unwanted: Unwanted) {
    if unwanted.is_empty() {
        return;
    }
    let db = db.clone();
    tokio::spawn(async move {
        while !db.is_closed() {
            match accept::fail(&db, transaction.as_deref(), &unwanted).await {
                Ok(true) => return,
                Ok(false) => {}
                Err(error) => {
                    tracing::warn!(%error, "messages without an owner could not be marked; trying again")
                }
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    });
}

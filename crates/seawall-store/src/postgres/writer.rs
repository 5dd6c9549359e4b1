//! Group commit: acceptances that wait are written together, by a few writers with a connection each. The number
//! of statements of a group does not depend on its size.
//!
//! Who waits gives up after a while. What was committed all the same is marked as failed before it is sent: nobody sets
//! it on its way, or it is taken out of the queue. That is done as well when the answer to a commit was lost.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::accept::{self, Unwanted, Written};
use super::conn::{Db, SOON};
use super::fault::is_about_data;
use crate::line::{Brought, Job, Line, failed};
use crate::sealed::acceptance::Sealed;
use crate::{Result, StoreError};

/// Groups that are written at the same time: while one waits for the disk, another gathers and is written.
const WRITERS: usize = 2;
/// Acceptances of a group.
const GROUP: usize = 256;

/// The way to the writers.
pub(super) struct Writer(Line<Sealed, ()>);

impl Writer {
    /// Starts them.
    pub(super) fn start(db: &Arc<Db>) -> Self {
        let (line, brought) = Line::new("PostgreSQL", SOON, GROUP);
        for _ in 0..WRITERS {
            db.keep(tokio::spawn(run(db.clone(), brought.clone())));
        }
        Writer(line)
    }

    /// Brings an acceptance, and waits until it is durable.
    pub(super) async fn accept(&self, sealed: Sealed) -> Result<()> {
        self.0.bring(sealed).await
    }
}

async fn run(db: Arc<Db>, brought: Arc<Brought<Sealed, ()>>) {
    while let Some((jobs, until)) = brought.group().await {
        group(&db, jobs, until).await;
    }
}

async fn group(db: &Arc<Db>, jobs: Vec<Job<Sealed, ()>>, until: Instant) {
    let (all, waits): (Vec<Sealed>, Vec<_>) = jobs.into_iter().map(|job| (job.what, job.waits)).unzip();
    let alone = all.len() == 1;
    match accept::write(db, &all, until).await {
        Err(error) if is_about_data(&error) && !alone => {
            // One of them cannot be written; the others need not suffer for it.
            for (sealed, waits) in all.into_iter().zip(waits) {
                let written = accept::write(db, std::slice::from_ref(&sealed), until).await;
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
            failed(waits, &StoreError::Unavailable(why.to_owned()));
            let mut unwanted = Unwanted::default();
            all.iter().for_each(|sealed| unwanted.add(sealed));
            disown(db, Some(transaction), unwanted);
        }
        Err(error) => failed(waits, &error),
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

//! Export jobs: documents of the directory that say what to export. What they export is read from the
//! ledger when it is downloaded, so no second copy of it lies anywhere.

use std::collections::HashSet;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

use seawall_core::country::Country;
use seawall_core::msisdn::Msisdn;
use seawall_core::time::Timestamp;
use seawall_store::StoreError;
use seawall_store::records::{Document, MessageFilter, Page};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::voice_export_csv;
use crate::app::App;
use crate::app::audit::Actor;
use crate::app::entities::collection::EXPORTS;
use crate::app::who::hex;

/// Jobs that one subaccount may have.
pub(super) const AT_MOST: usize = 100;
/// How long a finished export can be downloaded.
const KEPT: Duration = Duration::from_secs(30 * 24 * 3600);
/// Jobs that are worked on at a time.
static WORKERS: Semaphore = Semaphore::const_new(2);
/// Jobs that somebody works on; those of an earlier process are begun anew when they are asked for.
static UNDER_WAY: LazyLock<Mutex<HashSet<String>>> = LazyLock::new(Mutex::default);

/// How far a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum JobStatus {
    Queued,
    Running,
    Succeeded,
    Failed,
    Empty,
}

impl JobStatus {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Empty => "empty",
        }
    }
}

/// A job.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Job {
    pub id: String,
    pub subaccount: String,
    pub status: JobStatus,
    pub from: Timestamp,
    pub to: Timestamp,
    /// E.164.
    pub phone: Option<String>,
    pub countries: Vec<Country>,
    /// 0: all.
    pub limit: u64,
    /// The unguessable part of the download's path.
    pub token: String,
    pub expires: Timestamp,
    /// Calls, not messages.
    #[serde(default)]
    pub voice: bool,
}

impl Job {
    pub fn filter(&self) -> MessageFilter {
        MessageFilter {
            subaccount: Some(self.subaccount.clone()),
            to: self.phone.as_deref().and_then(Msisdn::from_e164),
            countries: self.countries.clone(),
            from: Some(self.from),
            to_time: Some(self.to),
            ..MessageFilter::default()
        }
    }
}

/// 64 hexadecimal digits that nobody can guess.
pub(super) fn random_name(app: &App) -> Result<String, StoreError> {
    let mut bytes = [0u8; 32];
    app.store.vault.random(&mut bytes)?;
    Ok(hex(&bytes))
}

/// Stores a new job and begins it. False if the subaccount has as many as it may.
pub(super) async fn begin(app: &Arc<App>, actor: &Actor, job: Job) -> Result<bool, StoreError> {
    let now = app.now();
    let mut ours = 0;
    for (document, old) in all(app).await? {
        if old.expires <= now {
            app.store
                .directory
                .delete(EXPORTS, &document.id, audit(&Actor::system(), now, "expire", &old))
                .await?;
        } else {
            ours += usize::from(old.subaccount == job.subaccount);
        }
    }
    if ours >= AT_MOST {
        return Ok(false);
    }
    let body = serde_json::to_value(&job).map_err(|e| StoreError::Corrupt(e.to_string()))?;
    let (id, revision) = (job.id.clone(), 1);
    let document = Document {
        collection: EXPORTS.to_owned(),
        id,
        name: None,
        body,
        revision,
        created_at: now,
        updated_at: now,
    };
    app.store.directory.create(document, audit(actor, now, "create", &job)).await?;
    work(app.clone(), job.id);
    Ok(true)
}

fn audit(actor: &Actor, now: Timestamp, action: &str, job: &Job) -> seawall_store::records::AuditEntry {
    let detail = json!({"subaccount_id": job.subaccount, "from": job.from, "to": job.to});
    actor.entry(now, &format!("{EXPORTS}.{action}"), job.id.get(..8).unwrap_or_default(), detail)
}

async fn all(app: &App) -> Result<Vec<(Document, Job)>, StoreError> {
    let read = |document: Document| {
        let job = serde_json::from_value(document.body.clone());
        job.map(|job| (document, job)).map_err(|e| StoreError::Corrupt(e.to_string()))
    };
    app.store.directory.documents(EXPORTS).await?.into_iter().map(read).collect()
}

/// A job of a subaccount that can still be used, by what it `is`.
pub(super) async fn find(
    app: &App,
    subaccount: &str,
    is: impl Fn(&Job) -> bool,
) -> Result<Option<(Document, Job)>, StoreError> {
    let now = app.now();
    let ours = |job: &Job| job.subaccount == subaccount && job.expires > now && is(job);
    Ok(all(app).await?.into_iter().find(|(_, job)| ours(job)))
}

/// Ends a job and its download.
pub(super) async fn delete(app: &App, actor: &Actor, job: &Job) -> Result<bool, StoreError> {
    app.store.directory.delete(EXPORTS, &job.id, audit(actor, app.now(), "delete", job)).await
}

/// Works on a job unless somebody does already.
pub(super) fn work(app: Arc<App>, id: String) {
    let under_way = || UNDER_WAY.lock().unwrap_or_else(PoisonError::into_inner);
    if !under_way().insert(id.clone()) {
        return;
    }
    tokio::spawn(async move {
        let _turn = WORKERS.acquire().await;
        if let Err(error) = prepare(&app, &id).await {
            tracing::error!(%error, "an export could not be prepared");
        }
        UNDER_WAY.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
    });
}

async fn is_empty(app: &Arc<App>, job: &Job) -> Result<bool, StoreError> {
    if job.voice {
        return voice_export_csv::is_empty(app.clone(), job).await;
    }
    Ok(app.store.ledger.messages(job.filter(), Page { before: None, limit: 1 }).await?.is_empty())
}

async fn prepare(app: &Arc<App>, id: &str) -> Result<(), StoreError> {
    advance(app, id, JobStatus::Running).await?;
    let Some((_, job)) = all(app).await?.into_iter().find(|(_, job)| job.id == id) else {
        return Ok(());
    };
    let found = is_empty(app, &job).await;
    let status = match &found {
        Ok(true) => JobStatus::Empty,
        Ok(_) => JobStatus::Succeeded,
        Err(_) => JobStatus::Failed,
    };
    advance(app, id, status).await?;
    found.map(|_| ())
}

/// Writes how far a job is. One that was deleted in the meantime stays deleted.
async fn advance(app: &App, id: &str, status: JobStatus) -> Result<(), StoreError> {
    let Some((mut document, mut job)) = all(app).await?.into_iter().find(|(_, job)| job.id == id) else {
        return Ok(());
    };
    let now = app.now();
    job.status = status;
    job.expires = expiry(now);
    document.body = serde_json::to_value(&job).unwrap_or(Value::Null);
    document.updated_at = now;
    match app.store.directory.replace(document, audit(&Actor::system(), now, status.as_str(), &job)).await {
        Ok(_) | Err(StoreError::Conflict) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Until when a job that advances now is kept.
pub(super) fn expiry(now: Timestamp) -> Timestamp {
    now.plus(KEPT)
}

//! Work on many contacts at once: begun by a request, done behind it in steps ([`work`]), gone on with after a restart.
//! A job is a note; what an upload brought are notes about its numbers, so that an erasure finds them there, too.

mod parts;
pub mod work;

use std::time::Duration;

use seawall_core::id::Id;
use seawall_core::msisdn::Msisdn;
use seawall_core::time::Timestamp;
use seawall_store::StoreError;
use seawall_store::notes::Note;
use seawall_store::records::Page;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::super::App;
use super::super::audit::Actor;
use super::Body;

/// Kind of the notes that are jobs.
const KIND: &str = "contact-batch";
/// How long a job is shown.
const KEPT: Duration = Duration::from_secs(30 * 24 * 3600);
/// Jobs that may be under way or wait.
pub const MOST_OPEN: usize = 20;
/// Jobs that are shown.
const SHOWN: usize = 1000;
/// Rows of an upload that are written at a time.
const CHUNK: usize = 1000;

/// How far a job is, in 8x8's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Status {
    /// Its rows are still being written; it becomes `queued` with the last of them.
    Receiving,
    /// Waits.
    Queued,
    /// Is worked on.
    InProgress,
    /// What it needs is gone.
    Failed,
    /// Done.
    Completed,
    /// Not done in time.
    Timeout,
}

impl Status {
    /// As it is shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Receiving | Self::Queued => "queued",
            Self::InProgress => "inProgress",
            Self::Failed => "failed",
            Self::Completed => "completed",
            Self::Timeout => "timeout",
        }
    }

    /// Whether it is still to be done.
    pub fn is_open(self) -> bool {
        matches!(self, Self::Receiving | Self::Queued | Self::InProgress)
    }
}

/// What is to be done, and how far it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "type")]
pub enum Task {
    /// Make or merge what was uploaded.
    CreateContacts(Upload),
    /// Delete these.
    DeleteContacts {
        /// What is left of them; `None`: all that are older than the job.
        ids: Option<Vec<u64>>,
    },
    /// Put the contacts of a group into another.
    CopyContacts(Between),
    /// The same, and take them out of the first.
    MoveContacts(Between),
    /// Delete groups.
    DeleteGroups {
        /// What is left of them.
        ids: Vec<u64>,
        /// Their contacts, too.
        contacts: bool,
    },
}

impl Task {
    /// 8x8's word for it.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::CreateContacts(_) => "createContacts",
            Self::DeleteContacts { .. } => "deleteContacts",
            Self::CopyContacts(_) => "copyContacts",
            Self::MoveContacts(_) => "moveContacts",
            Self::DeleteGroups { .. } => "deleteGroups",
        }
    }
}

/// An uploaded table.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Upload {
    /// As the caller named it.
    pub file_name: Option<String>,
    /// Whether it was a workbook; else it was CSV.
    #[serde(default)]
    pub workbook: bool,
    /// Rows below the header.
    pub total_rows: usize,
    /// Rows that were left out.
    pub error_rows: usize,
    /// Rows whose number stood in the table before.
    pub duplicated_rows: usize,
    /// Contacts that were made.
    pub inserted_rows: usize,
    /// Contacts that were there and got what is new.
    pub merged_rows: usize,
    /// Groups that every row goes into.
    pub contact_groups: usize,
    /// The first rows that were left out, with what is wrong with them.
    pub errors: Vec<(usize, String)>,
}

/// From one group into another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Between {
    /// Whose contacts.
    pub from: u64,
    /// Where to.
    pub to: u64,
    /// Contacts from this row on were looked at.
    pub before: Option<i64>,
}

/// What is kept of a job. Sealed.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Kept {
    status: Status,
    actor: String,
    task: Task,
}

/// A job.
#[derive(Clone, Debug)]
pub struct Job {
    /// Also says when it was begun.
    pub id: Id,
    /// How far it is.
    pub status: Status,
    /// Who began it.
    pub actor: String,
    /// What it does.
    pub task: Task,
}

/// A row of an upload, understood.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Its number, if it has one.
    pub msisdn: Option<Msisdn>,
    /// Everything else.
    pub body: Body,
}

/// Kind of the notes that are rows of a job.
fn rows_of(job: Id) -> String {
    format!("contact-row-{}", job.to_hex())
}

fn read(note: &Note) -> Result<Job, StoreError> {
    let Kept { status, actor, task } = serde_json::from_str(&note.body)?;
    Ok(Job { id: note.id, status, actor, task })
}

async fn save(app: &App, job: &Job) -> Result<(), StoreError> {
    let kept = Kept { status: job.status, actor: job.actor.clone(), task: job.task.clone() };
    let note = Note {
        id: job.id,
        kind: KIND.to_owned(),
        number: Msisdn::ERASED,
        scope: job.id.to_hex(),
        when: job.id.at().plus(KEPT),
        body: serde_json::to_string(&kept)?,
    };
    app.store.directory.keep_notes(vec![note]).await.map(drop)
}

/// Jobs, newest first.
pub async fn list(app: &App) -> Result<Vec<Job>, StoreError> {
    let notes = app.store.directory.notes(KIND, Page { before: None, limit: SHOWN }).await?;
    notes.iter().map(read).collect()
}

/// One job.
pub async fn get(app: &App, id: Id) -> Result<Option<Job>, StoreError> {
    app.store.directory.note(KIND, id).await?.as_ref().map(read).transpose()
}

/// Begins a job; `None` when too many wait. Once this has returned, it will be done.
pub async fn begin(app: &App, actor: &Actor, task: Task, rows: Vec<Row>) -> Result<Option<Job>, StoreError> {
    if list(app).await?.iter().filter(|job| job.status.is_open()).count() >= MOST_OPEN {
        return Ok(None);
    }
    let now = app.now();
    let mut job = Job { id: app.ids.next(now)?, status: Status::Receiving, actor: actor.name.clone(), task };
    save(app, &job).await?;
    let detail = json!({"type": job.task.as_str(), "rows": rows.len()});
    let audit = actor.entry(now, "contacts.batch", &job.id.to_uuid(), detail);
    app.store.directory.note_audit(audit).await?;
    for chunk in rows.chunks(CHUNK) {
        let notes = chunk.iter().map(|row| noted(app, &job, row, now)).collect::<Result<_, _>>()?;
        app.store.directory.keep_notes(notes).await?;
    }
    job.status = Status::Queued;
    save(app, &job).await?;
    app.contact_jobs.notify_one();
    Ok(Some(job))
}

fn noted(app: &App, job: &Job, row: &Row, now: Timestamp) -> Result<Note, StoreError> {
    // A row without a number becomes a contact under its own id: done twice, it is still one.
    let id = super::new(app, row.msisdn, Body::default())?.id;
    Ok(Note {
        id,
        kind: rows_of(job.id),
        number: row.msisdn.unwrap_or(Msisdn::ERASED),
        // Rows without a number are told apart by their ids.
        scope: if row.msisdn.is_some() { String::new() } else { id.to_hex() },
        when: now,
        body: serde_json::to_string(&row.body)?,
    })
}

//! Cleaning a user base: a table of numbers in any spelling is read, what is known of each is told free of charge together
//! with what asking providers about the rest would cost at most; once that is confirmed, they are asked.
//!
//! A cleaning is kept for a day, sealed; any node tells how it stands, and the one that leads works on it. What was answered is
//! written row by row, and what providers said is kept as for any lookup, so whoever goes on with it pays for nothing twice.

mod ask;
mod kept;
mod known;
mod report;
mod rows;
mod tend;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use seawall_connect::lookup::Depth;
use seawall_core::id::{Id, IdKind};
use seawall_core::msisdn::Msisdn;
use seawall_core::time::Timestamp;
use seawall_store::records::Page;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::Notify;

use super::audit::Actor;
use super::collections::Wrong;
use super::who::Caller;
use super::{App, lookup};
pub use kept::{Head, Kept, ROWS, delete, find};
pub use report::{Form, chunk, opening};
use rows::Row;
pub use rows::Table;
pub use tend::tend;

/// Cleanings at a time.
const MOST: usize = 16;
/// Of one subaccount.
const MOST_OF_ONE: usize = 4;
/// How long one is kept.
pub const KEPT: Duration = Duration::from_secs(24 * 3600);

/// How far a cleaning is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// What is known is being read.
    Reading,
    /// Providers would be asked; the cost is told and not confirmed.
    Quoted,
    /// They are being asked.
    Running,
    /// Some were not asked: `problem` says why. It may be confirmed again.
    Stopped,
    /// Everything is known that can be.
    Done,
}

impl Status {
    /// As the API says it.
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Reading => "reading",
            Status::Quoted => "quoted",
            Status::Running => "running",
            Status::Stopped => "stopped",
            Status::Done => "done",
        }
    }
}

/// One cleaning that is worked on here.
pub struct Cleaning {
    /// `cln_…`
    id: Id,
    subaccount: String,
    depth: Option<Depth>,
    kept: tokio::sync::Mutex<Kept>,
    work: Mutex<Work>,
}

/// What changes while it goes on.
struct Work {
    status: Status,
    rows: Vec<Row>,
    /// Rows that were read.
    read: usize,
    /// The dearest provider's price of one answer, when it was quoted.
    price: i64,
    /// What was confirmed.
    most: i64,
    spent: i64,
    /// Of questions under way.
    reserved: i64,
    /// Answers that came in here.
    answers: usize,
    waits_until: Option<Timestamp>,
    problem: Option<String>,
    /// Somebody else works on it, or nobody shall.
    left: bool,
}

/// What became of the rows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Rows of the table.
    pub rows: usize,
    /// Rows that were read.
    pub read: usize,
    /// Rows by what became of them.
    pub by_verdict: BTreeMap<String, usize>,
    /// Numbers that were taken to another operator.
    pub ported: usize,
    /// Numbers about which a provider is still to be asked.
    pub to_ask: usize,
}

/// How a table is read, and what is asked for.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// How much is asked for.
    pub depth: Option<Depth>,
    /// Two letters, for numbers in national form in rows that name no country.
    pub country: Option<String>,
    /// The column with the numbers, when it is called otherwise.
    pub column: Option<String>,
}

/// Cleanings that this node works on, by id.
#[derive(Default)]
pub struct Cleanings {
    all: Mutex<HashMap<Id, Arc<Cleaning>>>,
    /// There is something to do.
    pub wake: Notify,
}

impl Cleanings {
    fn all(&self) -> MutexGuard<'_, HashMap<Id, Arc<Cleaning>>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, cleaning: Arc<Cleaning>) {
        self.all().insert(cleaning.id, cleaning);
    }

    fn has(&self, id: Id) -> bool {
        self.all().contains_key(&id)
    }

    /// Works no longer on one.
    fn leave(&self, id: Id) {
        if let Some(cleaning) = self.all().remove(&id) {
            cleaning.work().left = true;
        }
    }

    /// Forgets a number in all of them.
    pub fn forget(&self, number: Msisdn) {
        let all: Vec<Arc<Cleaning>> = self.all().values().cloned().collect();
        all.iter().for_each(|cleaning| cleaning.work().rows.iter_mut().for_each(|row| row.forget(number)));
    }
}

impl Cleaning {
    fn new(kept: Kept, work: Work) -> Self {
        Cleaning {
            id: kept.id,
            subaccount: kept.head.subaccount.clone(),
            depth: kept.head.depth,
            kept: tokio::sync::Mutex::new(kept),
            work: Mutex::new(work),
        }
    }

    fn work(&self) -> MutexGuard<'_, Work> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_left(&self) -> bool {
        self.work().left
    }
}

/// Refuses more than are kept at a time.
async fn room(app: &App, subaccount: &str, now: Timestamp) -> Result<(), Wrong> {
    let notes = app.store.directory.notes(kept::KIND, Page { before: None, limit: 2 * MOST }).await?;
    let (mut all, mut own) = (0, 0);
    for note in notes.into_iter().filter(|note| note.when > now) {
        all += 1;
        own += usize::from(Kept::read(note)?.head.subaccount == subaccount);
    }
    if all < MOST && own < MOST_OF_ONE {
        return Ok(());
    }
    Err(Wrong::InUse(format!(
        "{own} cleanings of this subaccount and {all} of all are kept, and {MOST_OF_ONE} and {MOST} are the most; delete one"
    )))
}

/// Keeps a table; the node that leads begins to look at what is known of its numbers.
pub async fn begin(app: &App, subaccount: &str, table: Table, options: Options) -> Result<Kept, Wrong> {
    let now = app.now();
    let depth = options.depth;
    // Numbers by the thousand take their time; the threads that answer requests do not spend it.
    let read = tokio::task::spawn_blocking(move || rows::read(&table, &options));
    let mut rows = read.await.map_err(|_| Wrong::Busy)??;
    room(app, subaccount, now).await?;
    let id = app.ids.next(now)?;
    // Notes are read newest first; the first row is to come first.
    for row in rows.iter_mut().rev() {
        row.id = app.ids.next(now)?;
    }
    let key = |row: Option<&Row>| row.map_or(0, |row| row.id.row());
    let head = Head {
        subaccount: subaccount.to_owned(),
        depth,
        currency: lookup::currency(app),
        status: Status::Reading,
        received: false,
        counts: rows::counts(&rows, 0, rows.len()),
        price: 0,
        most: 0,
        spent: 0,
        waits_until: None,
        problem: None,
        confirmed_by: None,
        between: (key(rows.first()), key(rows.last())),
    };
    let mut kept = Kept::new(id, head.clone())?;
    app.store.directory.keep_notes(vec![kept.note.clone()]).await?;
    for chunk in rows.chunks(kept::CHUNK) {
        let notes = chunk.iter().map(|row| row.note(id)).collect::<Result<_, _>>()?;
        app.store.directory.keep_notes(notes).await?;
    }
    if !kept.replace(app, Head { received: true, ..head }).await? {
        return Err(Wrong::InUse("it was deleted while it came in".to_owned()));
    }
    app.cleanings.wake.notify_one();
    Ok(kept)
}

/// Begins to ask, if what it may cost is no more than what the caller agreed to.
pub async fn confirm(app: &App, caller: &Caller, mut kept: Kept, cost_at_most: i64) -> Result<Kept, Wrong> {
    let mut head = kept.head.clone();
    head.price = head.depth.map_or(0, |depth| lookup::dearest(app, depth));
    let (asks, cost) = (head.counts.to_ask, head.cost_at_most());
    if !matches!(head.status, Status::Quoted | Status::Stopped) {
        let say = format!("a cleaning that is {} cannot be confirmed", head.status.as_str());
        return Err(Wrong::InUse(say));
    }
    if cost > cost_at_most {
        let say = format!("is too little: asking about {asks} numbers costs up to {cost} micro-units");
        return Err(Wrong::field("cost_at_most", say));
    }
    let actor = Actor { name: caller.key.id.clone(), ip: Some(caller.ip.to_string()) };
    let detail = json!({"numbers": asks, "cost_at_most": cost_at_most, "subaccount_id": head.subaccount});
    let entry = actor.entry(app.now(), "cleanings.confirm", &kept.id.show(IdKind::Cleaning), detail);
    app.store.directory.note_audit(entry).await?;
    (head.status, head.problem) = (Status::Running, None);
    head.most = head.spent.saturating_add(cost_at_most);
    head.confirmed_by = Some((caller.key.id.clone(), caller.ip.to_string()));
    if !kept.replace(app, head).await? {
        return Err(Wrong::InUse("it changed just now; look at it again".to_owned()));
    }
    app.cleanings.wake.notify_one();
    Ok(kept)
}

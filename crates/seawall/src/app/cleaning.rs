//! Cleaning a user base: a table of numbers in any spelling is read, what is known of each is told free of charge together
//! with what asking providers about the rest would cost at most; once that is confirmed, they are asked.
//!
//! A cleaning lives in the memory of the node that took it, bounded, for a day. What providers answered is kept as for any
//! lookup, so that after a restart the same table costs only what is still unknown.

mod ask;
mod known;
mod report;
mod rows;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use seawall_connect::lookup::Depth;
use seawall_core::id::{Id, IdKind};
use seawall_core::money::Currency;
use seawall_core::msisdn::Msisdn;
use seawall_core::time::Timestamp;
use serde_json::json;

use super::audit::Actor;
use super::collections::Wrong;
use super::who::Caller;
use super::{App, lookup};
pub use report::{Form, chunk, opening};
use rows::Row;
pub use rows::{MOST_ROWS, Table};

/// Cleanings at a time.
const MOST: usize = 16;
/// Of one subaccount.
const MOST_OF_ONE: usize = 4;
/// How long one is kept.
pub const KEPT: Duration = Duration::from_secs(24 * 3600);

/// How far a cleaning is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

/// One cleaning.
pub struct Cleaning {
    /// `cln_…`
    pub id: Id,
    /// Whose.
    pub subaccount: String,
    /// How much is asked for; `None`: only what is known here.
    pub depth: Option<Depth>,
    /// In what it is paid.
    pub currency: Currency,
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
    waits_until: Option<Timestamp>,
    problem: Option<String>,
    deleted: bool,
}

/// How a cleaning stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Rows of the table.
    pub rows: usize,
    /// Rows that were read.
    pub read: usize,
    /// Rows by what became of them.
    pub by_verdict: Vec<(&'static str, usize)>,
    /// Numbers that were taken to another operator.
    pub ported: usize,
    /// Numbers about which a provider is still to be asked.
    pub to_ask: usize,
}

/// How a cleaning stands, with money.
#[derive(Clone, Debug)]
pub struct Standing {
    /// How far.
    pub status: Status,
    /// Of what.
    pub counts: Counts,
    /// What asking about the rest costs at most, in micro-units.
    pub cost_at_most: i64,
    /// What was spent.
    pub spent: i64,
    /// A limit keeps it waiting until then.
    pub waits_until: Option<Timestamp>,
    /// Why it stopped.
    pub problem: Option<String>,
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

/// Cleanings by id.
#[derive(Default)]
pub struct Cleanings(Mutex<HashMap<Id, Arc<Cleaning>>>);

impl Cleanings {
    fn all(&self) -> MutexGuard<'_, HashMap<Id, Arc<Cleaning>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, cleaning: Arc<Cleaning>, now: Timestamp) -> Result<(), Wrong> {
        let mut all = self.all();
        all.retain(|id, old| id.at().plus(KEPT) > now || old.work().status == Status::Running);
        let own = all.values().filter(|other| other.subaccount == cleaning.subaccount).count();
        if all.len() >= MOST || own >= MOST_OF_ONE {
            let say = format!(
                "{own} cleanings of this subaccount and {} of all are kept, and {MOST_OF_ONE} and {MOST} are the most; \
                 delete one",
                all.len()
            );
            return Err(Wrong::InUse(say));
        }
        all.insert(cleaning.id, cleaning);
        Ok(())
    }

    /// One of them.
    pub fn find(&self, id: Id) -> Option<Arc<Cleaning>> {
        self.all().get(&id).cloned()
    }

    /// Ends and forgets one.
    pub fn delete(&self, id: Id) {
        if let Some(cleaning) = self.all().remove(&id) {
            cleaning.work().deleted = true;
        }
    }

    /// Forgets a number in all of them.
    pub fn forget(&self, number: Msisdn) {
        let all: Vec<Arc<Cleaning>> = self.all().values().cloned().collect();
        all.iter().for_each(|cleaning| cleaning.work().rows.iter_mut().for_each(|row| row.forget(number)));
    }
}

impl Cleaning {
    fn work(&self) -> MutexGuard<'_, Work> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How it stands.
    pub fn standing(&self) -> Standing {
        let work = self.work();
        let counts = rows::counts(&work.rows, work.read);
        let to_ask = i64::try_from(counts.to_ask).unwrap_or(i64::MAX);
        Standing {
            status: work.status,
            cost_at_most: work.price.saturating_mul(to_ask),
            spent: work.spent,
            waits_until: work.waits_until,
            problem: work.problem.clone(),
            counts,
        }
    }

    fn is_deleted(&self) -> bool {
        self.work().deleted
    }
}

/// Reads a table and begins to look at what is known of its numbers.
pub async fn begin(
    app: &Arc<App>,
    subaccount: &str,
    table: Table,
    options: Options,
) -> Result<Arc<Cleaning>, Wrong> {
    let now = app.now();
    let depth = options.depth;
    // Numbers by the thousand take their time; the threads that answer requests do not spend it.
    let read = tokio::task::spawn_blocking(move || rows::read(&table, &options));
    let rows = read.await.map_err(|_| Wrong::Busy)??;
    let work = Work {
        status: Status::Reading,
        rows,
        read: 0,
        price: 0,
        most: 0,
        spent: 0,
        reserved: 0,
        waits_until: None,
        problem: None,
        deleted: false,
    };
    let cleaning = Arc::new(Cleaning {
        id: app.ids.next(now)?,
        subaccount: subaccount.to_owned(),
        depth,
        currency: lookup::currency(app),
        work: Mutex::new(work),
    });
    app.cleanings.add(cleaning.clone(), now)?;
    tokio::spawn(known::read(app.clone(), cleaning.clone()));
    Ok(cleaning)
}

/// Begins to ask, if what it may cost is no more than what the caller agreed to.
pub async fn confirm(
    app: &Arc<App>,
    caller: &Caller,
    cleaning: &Arc<Cleaning>,
    cost_at_most: i64,
) -> Result<(), Wrong> {
    let price = cleaning.depth.map_or(0, |depth| lookup::dearest(app, depth));
    let asks = {
        let mut work = cleaning.work();
        work.price = price;
        let asks = work.rows.iter().filter(|row| row.asks()).count();
        let cost = price.saturating_mul(i64::try_from(asks).unwrap_or(i64::MAX));
        if !matches!(work.status, Status::Quoted | Status::Stopped) {
            let say = format!("a cleaning that is {} cannot be confirmed", work.status.as_str());
            return Err(Wrong::InUse(say));
        }
        if cost > cost_at_most {
            let say = format!("is too little: asking about {asks} numbers costs up to {cost} micro-units");
            return Err(Wrong::field("cost_at_most", say));
        }
        (work.status, work.problem) = (Status::Running, None);
        work.most = work.spent.saturating_add(cost_at_most);
        asks
    };
    let actor = Actor { name: caller.key.id.clone(), ip: Some(caller.ip.to_string()) };
    let detail = json!({"numbers": asks, "cost_at_most": cost_at_most, "subaccount_id": cleaning.subaccount});
    let entry = actor.entry(app.now(), "cleanings.confirm", &cleaning.id.show(IdKind::Cleaning), detail);
    if let Err(error) = app.store.directory.note_audit(entry).await {
        cleaning.work().status = Status::Quoted;
        return Err(error.into());
    }
    tokio::spawn(ask::run(app.clone(), caller.clone(), cleaning.clone()));
    Ok(())
}

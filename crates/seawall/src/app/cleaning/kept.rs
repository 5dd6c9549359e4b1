//! A cleaning as it is kept, sealed: a note that says how it stands, and a note for each row, about its number, so that an
//! erasure finds it there. Any node reads it; the one that leads works on it.

use std::sync::Arc;

use seawall_connect::lookup::Depth;
use seawall_core::client_ip::ClientIp;
use seawall_core::id::Id;
use seawall_core::money::Currency;
use seawall_core::msisdn::Msisdn;
use seawall_core::time::Timestamp;
use seawall_store::StoreError;
use seawall_store::notes::Note;
use seawall_store::records::Page;
use serde::{Deserialize, Serialize};

use super::rows::{Row, counts};
use super::{Cleaning, Counts, KEPT, Status};
use crate::app::App;
use crate::app::who::Caller;

/// Kind of the notes that say how a cleaning stands.
pub(super) const KIND: &str = "cleaning";
/// Kind of the notes that are rows.
pub const ROWS: &str = "cleaning-row";
/// Rows that are written or read at a time.
pub(super) const CHUNK: usize = 1000;

/// How a cleaning stands.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Head {
    /// Whose.
    pub subaccount: String,
    /// How much is asked for; `None`: only what is known here.
    pub depth: Option<Depth>,
    /// In what it is paid.
    pub currency: Currency,
    /// How far.
    pub status: Status,
    /// Whether all rows are written.
    pub received: bool,
    /// Of what.
    pub counts: Counts,
    /// The dearest provider's price of one answer, when it was quoted, in micro-units.
    pub price: i64,
    /// What was confirmed, with what was spent before.
    pub most: i64,
    /// What was spent.
    pub spent: i64,
    /// A limit keeps it waiting until then.
    pub waits_until: Option<Timestamp>,
    /// Why it stopped.
    pub problem: Option<String>,
    /// The key that confirmed it, and from where.
    pub confirmed_by: Option<(String, String)>,
    /// The newest and the oldest row key of its rows.
    pub between: (i64, i64),
}

impl Head {
    /// What asking about the rest costs at most, in micro-units.
    pub fn cost_at_most(&self) -> i64 {
        self.price.saturating_mul(i64::try_from(self.counts.to_ask).unwrap_or(i64::MAX))
    }

    /// Whoever confirmed it, as long as the key is known.
    pub(super) fn caller(&self, app: &App) -> Option<Caller> {
        let (key, ip) = self.confirmed_by.as_ref()?;
        let snapshot = app.snapshot.load();
        let key: Arc<_> = snapshot.keys.values().find(|known| known.id == *key)?.clone();
        Some(Caller { key, ip: ClientIp::parse(ip)? })
    }
}

/// A cleaning as it was read.
#[derive(Clone)]
pub struct Kept {
    /// `cln_…`
    pub id: Id,
    /// How it stands.
    pub head: Head,
    pub(super) note: Note,
}

impl Kept {
    pub(super) fn new(id: Id, head: Head) -> Result<Self, StoreError> {
        let note = Note {
            id,
            kind: KIND.to_owned(),
            number: Msisdn::ERASED,
            scope: id.to_hex(),
            when: id.at().plus(KEPT),
            body: serde_json::to_string(&head)?,
        };
        Ok(Kept { id, head, note })
    }

    pub(super) fn read(note: Note) -> Result<Self, StoreError> {
        Ok(Kept { id: note.id, head: serde_json::from_str(&note.body)?, note })
    }

    /// Writes how it stands, if nobody else did meanwhile.
    pub(super) async fn replace(&mut self, app: &App, head: Head) -> Result<bool, StoreError> {
        let after = Kept::new(self.id, head)?;
        let swapped = app.store.directory.swap_note(self.note.clone(), after.note.clone()).await?;
        if swapped {
            *self = after;
        }
        Ok(swapped)
    }

    /// Rows below a place in their order, and where the next ones begin. Those of erased numbers are gone.
    pub(super) async fn rows(
        &self,
        app: &App,
        before: Option<i64>,
    ) -> Result<(Vec<Row>, Option<i64>), StoreError> {
        let (newest, oldest) = self.head.between;
        let page = Page { before: Some(before.unwrap_or(newest.saturating_add(1))), limit: CHUNK };
        let notes = app.store.directory.notes(ROWS, page).await?;
        let last = notes.last().map(|note| note.id.row());
        let next = last.filter(|last| notes.len() == CHUNK && *last > oldest);
        let own = self.id.to_hex();
        let mine = notes.iter().filter(|note| note.id.row() >= oldest && note.scope.starts_with(&own));
        Ok((mine.map(Row::read).collect::<Result<_, _>>()?, next))
    }

    /// Forgets its rows.
    pub(super) async fn drop_rows(&self, app: &App) -> Result<(), StoreError> {
        let mut before = None;
        loop {
            let (rows, next) = self.rows(app, before).await?;
            app.store.directory.drop_notes(ROWS, rows.iter().map(|row| row.id).collect()).await?;
            match next {
                Some(next) => before = Some(next),
                None => return Ok(()),
            }
        }
    }
}

/// One of them.
pub async fn find(app: &App, id: Id) -> Result<Option<Kept>, StoreError> {
    app.store.directory.note(KIND, id).await?.map(Kept::read).transpose()
}

/// Ends and forgets one. Its rows go first: what is left is found by who asks again, or a day later.
pub async fn delete(app: &App, kept: &Kept) -> Result<(), StoreError> {
    app.cleanings.leave(kept.id);
    kept.drop_rows(app).await?;
    app.store.directory.drop_note(KIND, kept.id).await.map(drop)
}

impl Cleaning {
    /// How it stands, as far as it is; what is still under way is not called ended.
    fn head(&self, before: &Head, ended: bool) -> Head {
        let work = self.work();
        // Counting looks at every row: of a large table not with each answer, but a thousand times in all.
        let counts = match work.status {
            Status::Running if !work.answers.is_multiple_of(work.rows.len() / 1000 + 1) => {
                before.counts.clone()
            }
            _ => counts(&work.rows, work.read, before.counts.rows),
        };
        let status = match work.status {
            Status::Stopped | Status::Done if !ended => before.status,
            status => status,
        };
        Head {
            status,
            counts,
            price: work.price,
            spent: work.spent,
            waits_until: work.waits_until,
            problem: work.problem.clone().filter(|_| ended),
            ..before.clone()
        }
    }

    /// Writes how it stands. Who finds that another did, or that it is gone, leaves it alone from then on.
    pub(super) async fn save(&self, app: &App, ended: bool) {
        let mut kept = self.kept.lock().await;
        let head = self.head(&kept.head, ended);
        match kept.replace(app, head).await {
            Ok(true) => {}
            Ok(false) => self.work().left = true,
            Err(error) => self.give_up(&error),
        }
    }

    /// Writes rows, except those that were forgotten meanwhile. An erasure waits until they are written, and finds them.
    pub(super) async fn save_rows(&self, app: &App, from: usize, to: usize) {
        let _turn = app.contact_turn.lock().await;
        let notes: Result<Vec<Note>, StoreError> = {
            let work = self.work();
            let rows = work.rows.get(from..to.min(work.rows.len())).unwrap_or_default();
            rows.iter().filter(|row| row.known.is_some()).map(|row| row.note(self.id)).collect()
        };
        let written = match notes {
            Ok(notes) if notes.is_empty() || self.is_left() => return,
            Ok(notes) => app.store.directory.keep_notes(notes).await.map(drop),
            Err(error) => Err(error),
        };
        if let Err(error) = written {
            self.give_up(&error);
        }
    }

    /// Leaves it to whoever reads it anew, which the one that leads does in a moment.
    pub(super) fn give_up(&self, error: &StoreError) {
        tracing::warn!(%error, "a cleaning is gone on with later");
        self.work().left = true;
    }
}

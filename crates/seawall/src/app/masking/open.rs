//! A masking session is opened: two parties get a virtual number that neither has with anybody else.

use std::collections::BTreeMap;
use std::sync::Arc;

use seawall_core::masking::select::{Unfit, rotated};
use seawall_core::masking::{Direction, Session};
use seawall_core::msisdn::Msisdn;
use seawall_core::time::Timestamp;
use seawall_store::StoreError;
use seawall_store::masking::{KeepAnswer, MaskRecord};

use super::super::App;
use super::super::idempotency::Wish;
use super::health;
use super::inventory::NumberPool;

/// Virtual numbers whose health is looked at before one is chosen; a large pool is not gone through as a whole.
const LOOKED_AT: usize = 64;

/// A session as it is wished; well-formed already.
#[derive(Clone, Debug)]
pub struct OpenMask {
    /// Whose, already entered.
    pub subaccount: String,
    /// From which pool; absent: from the only one.
    pub pool: Option<String>,
    /// The first party.
    pub a: Msisdn,
    /// The second.
    pub b: Msisdn,
    /// Whether either came encrypted, so that no answer shows them.
    pub veiled: bool,
    /// Who may begin.
    pub direction: Direction,
    /// Until when; absent: until it is ended.
    pub expires_at: Option<Timestamp>,
    /// Whether calls are recorded; absent: as the pool says.
    pub record: Option<bool>,
    /// The app's name for it.
    pub reference: Option<String>,
    /// What the app wants to find in it.
    pub metadata: BTreeMap<String, String>,
}

/// Why there is no session.
#[derive(Debug)]
pub enum NotOpened {
    /// The parties or the pool do not allow it; the pool's name.
    Unfit(Unfit, String),
    /// No such pool, or several: the names of those that there are.
    Pool(Vec<String>),
    /// The request was under way somewhere else, and is done now: asked again, it gets its answer.
    UnderWay,
    /// The store does not answer.
    Store(StoreError),
}

impl From<StoreError> for NotOpened {
    fn from(error: StoreError) -> Self {
        NotOpened::Store(error)
    }
}

/// Opens one. With a wish its answer is kept in the same step.
pub async fn open(app: &App, ask: OpenMask, wish: Option<Wish<MaskRecord>>) -> Result<MaskRecord, NotOpened> {
    let pool = chosen(app, &ask)?;
    let unfit = |why| NotOpened::Unfit(why, pool.name.clone());
    if ask.a == ask.b {
        return Err(unfit(Unfit::SameParty));
    }
    let candidates = {
        let masking = &app.snapshot.load().masking;
        if masking.numbers.contains_key(&ask.a) || masking.numbers.contains_key(&ask.b) {
            return Err(unfit(Unfit::Circle));
        }
        masking.candidates(&pool.name)
    };
    let now = app.now();
    let id = app.ids.next(now)?;
    let record = MaskRecord {
        id,
        subaccount: ask.subaccount,
        pool: pool.name.clone(),
        session: Session {
            a: ask.a,
            b: ask.b,
            mask: Msisdn::ERASED,
            direction: ask.direction,
            expires_at: ask.expires_at,
            closed_at: None,
        },
        hold: pool.reuse_after,
        record: ask.record.unwrap_or(pool.record),
        reference: ask.reference,
        metadata: ask.metadata,
        messages: 0,
        veiled: ask.veiled,
        over: false,
        revision: 0,
    };
    let answer = wish.map(|wish| kept(wish, now));
    let mut rest = rotated(&candidates, id.tail());
    while !rest.is_empty() {
        let later = rest.split_off(rest.len().min(LOOKED_AT));
        let working = health::working(app, rest).await?;
        match app.store.directory.open_mask(record.clone(), working, now, answer.clone()).await {
            Ok(Some(opened)) => return Ok(opened),
            Ok(None) => rest = later,
            Err(StoreError::Conflict) if answer.is_some() => return Err(NotOpened::UnderWay),
            Err(error) => return Err(error.into()),
        }
    }
    Err(unfit(Unfit::Exhausted))
}

/// Holds the wish's key for as long as the store may need it.
fn kept(wish: Wish<MaskRecord>, now: Timestamp) -> KeepAnswer {
    KeepAnswer { key: wish.key().to_owned(), render: Arc::new(move |record| wish.answer(record, now)) }
}

fn chosen(app: &App, ask: &OpenMask) -> Result<Arc<NumberPool>, NotOpened> {
    let snapshot = app.snapshot.load();
    let pools = snapshot.masking.pools_for(&ask.subaccount);
    let found = match (&ask.pool, pools.as_slice()) {
        (Some(name), all) => all.iter().find(|pool| pool.name == *name || pool.id == *name),
        (None, [only]) => Some(only),
        (None, _) => None,
    };
    let names = || NotOpened::Pool(pools.iter().map(|pool| pool.name.clone()).collect());
    found.map(|pool| (*pool).clone()).ok_or_else(names)
}

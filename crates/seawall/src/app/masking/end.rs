//! Sessions are changed and end: by the app, by their time, or because a number is erased.

use seawall_core::masking::SessionState;
use seawall_core::msisdn::Msisdn;
use seawall_core::time::Timestamp;
use seawall_store::StoreError;
use seawall_store::masking::{MaskFilter, MaskRecord};
use seawall_store::records::Page;

use super::super::App;
use super::{TRIES, tell};

/// Sessions that one step of the housekeeping ends.
const STEP: usize = 500;

/// Changes a session that is open, and tries again when someone else did, too. `None`: it is over.
pub async fn change(
    app: &App,
    mut record: MaskRecord,
    change: impl Fn(&mut MaskRecord, Timestamp),
) -> Result<Option<MaskRecord>, StoreError> {
    for _ in 0..TRIES {
        let now = app.now();
        if record.session.state_at(now) != SessionState::Open {
            return Ok(None);
        }
        let (id, mut changed) = (record.id, record);
        change(&mut changed, now);
        match app.store.directory.change_mask(changed).await {
            Err(StoreError::Conflict) => {}
            done => return done.map(Some),
        }
        let Some(newer) = app.store.directory.mask(id).await? else { return Ok(None) };
        record = newer;
    }
    Err(StoreError::Conflict)
}

/// Ends a session now. False when it was over.
pub async fn close(app: &App, record: MaskRecord) -> Result<bool, StoreError> {
    let ended = change(app, record, |record, now| {
        record.session.closed_at = Some(now);
        record.over = true;
    });
    let Some(ended) = ended.await? else { return Ok(false) };
    tell::session_ended(app, &ended).await?;
    Ok(true)
}

/// Notes the end of sessions whose time is over, and tells.
pub async fn expire(app: &App) -> Result<usize, StoreError> {
    let due = app.store.directory.masks_due(app.now(), STEP).await?;
    let count = due.len();
    for mut record in due {
        record.over = true;
        match app.store.directory.change_mask(record).await {
            Ok(ended) => tell::session_ended(app, &ended).await?,
            // Another node was faster, or it was extended.
            Err(StoreError::Conflict) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(count)
}

/// Ends every session of a number that is to be erased.
pub async fn of_number(app: &App, number: Msisdn) -> Result<(), StoreError> {
    let open = MaskFilter { party: Some(number), open: Some(true), ..MaskFilter::default() };
    loop {
        let found = app.store.directory.masks(open.clone(), Page { before: None, limit: STEP }).await?;
        if found.is_empty() {
            return Ok(());
        }
        for record in found {
            if !close(app, record.clone()).await? {
                // Its time is over and nobody noted it yet.
                let noted = MaskRecord { over: true, ..record };
                match app.store.directory.change_mask(noted).await {
                    Ok(_) | Err(StoreError::Conflict) => {}
                    Err(error) => return Err(error),
                }
            }
        }
    }
}

//! What is known of each number before anybody is asked, and whether somebody has to be.

use seawall_core::consent::{Category, covering};
use seawall_core::lookup::format;
use seawall_core::msisdn::ParsedNumber;
use seawall_store::StoreError;

use super::kept::CHUNK;
use super::rows::{Known, Row, has_phone};
use super::{Cleaning, Status};
use crate::app::App;
use crate::app::lookup::{self, LookUp};

/// Reads what is known of every row of which that was not read before.
pub(super) async fn read(app: &App, cleaning: &Cleaning) {
    let rows = cleaning.work().rows.len();
    for from in (0..rows).step_by(CHUNK) {
        for at in from..rows.min(from + CHUNK) {
            if let Err(error) = row(app, cleaning, at).await {
                return cleaning.give_up(&error);
            }
        }
        cleaning.save_rows(app, from, from + CHUNK).await;
        cleaning.work().read = rows.min(from + CHUNK);
        if cleaning.is_left() || !app.store.ledger.leads() {
            return;
        }
        if from + CHUNK < rows {
            cleaning.save(app, false).await;
        }
    }
    {
        let price = cleaning.depth.map_or(0, |depth| lookup::dearest(app, depth));
        let mut work = cleaning.work();
        work.price = price;
        work.status = if work.rows.iter().any(|row| row.asks()) { Status::Quoted } else { Status::Done };
    }
    let table = cleaning.kept.lock().await.head.counts.rows;
    cleaning.work().read = table;
    cleaning.save(app, true).await;
}

async fn row(app: &App, cleaning: &Cleaning, at: usize) -> Result<(), StoreError> {
    let wanted = |row: &Row| row.wanted().filter(|_| row.known.is_none());
    let Some(number) = cleaning.work().rows.get(at).and_then(wanted) else { return Ok(()) };
    let known = known(app, cleaning, number).await?;
    if let Some(row) = cleaning.work().rows.get_mut(at).filter(|row| row.wanted().is_some()) {
        row.known = Some(Box::new(known));
    }
    Ok(())
}

async fn known(app: &App, cleaning: &Cleaning, number: ParsedNumber) -> Result<Known, StoreError> {
    let ask = LookUp { depth: cleaning.depth, ..LookUp::free(&cleaning.subaccount, number) };
    let scopes = app.store.directory.opted_out(number.msisdn).await?;
    let opted_out =
        covering(scopes, &cleaning.subaccount, Category::Transactional, None, app.now()).is_some();
    let format = format(number);
    let (state, answered) = lookup::known(app, &ask).await?;
    // Nobody is paid to tell what changes nothing.
    let asks = !answered && !opted_out && !format.disposable && has_phone(number.kind);
    let reassigned = lookup::is_reassigned(app, &ask, &state).await?;
    Ok(Known {
        opted_out,
        disposable: format.disposable,
        ported: state.ported.or(format.ported()),
        reachable: state.reachable,
        reassigned,
        operator: lookup::carrier(&format, &state),
        problem: None,
        cost: 0,
        asks,
    })
}

//! What is known of each number before anybody is asked, and whether somebody has to be.

use std::sync::Arc;

use seawall_core::consent::{Category, covering};
use seawall_core::lookup::format;
use seawall_core::msisdn::ParsedNumber;
use seawall_store::StoreError;

use super::rows::{Known, has_phone};
use super::{Cleaning, Status};
use crate::app::App;
use crate::app::lookup::{self, LookUp};

/// Reads what is known of every row.
pub(super) async fn read(app: Arc<App>, cleaning: Arc<Cleaning>) {
    let rows = cleaning.work().rows.len();
    for at in 0..rows {
        let wanted = {
            let mut work = cleaning.work();
            work.read = at;
            if work.deleted {
                return;
            }
            work.rows.get(at).and_then(|row| row.wanted())
        };
        let Some(number) = wanted else { continue };
        match known(&app, &cleaning, number).await {
            Ok(known) => {
                if let Some(row) = cleaning.work().rows.get_mut(at).filter(|row| row.wanted().is_some()) {
                    row.known = Some(Box::new(known));
                }
            }
            Err(error) => {
                tracing::error!(%error, "a cleaning could not be read");
                let mut work = cleaning.work();
                work.status = Status::Stopped;
                work.problem =
                    Some("the store does not answer; delete it and send the table again".to_owned());
                return;
            }
        }
    }
    let price = cleaning.depth.map_or(0, |depth| lookup::dearest(&app, depth));
    let mut work = cleaning.work();
    (work.read, work.price) = (rows, price);
    let asks = work.rows.iter().any(|row| row.asks());
    work.status = if asks { Status::Quoted } else { Status::Done };
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

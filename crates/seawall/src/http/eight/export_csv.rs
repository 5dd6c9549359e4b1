//! Messages as CSV, read from the ledger page by page while they are sent.

use std::sync::Arc;

use axum::body::Bytes;
use futures_util::{Stream, stream};
use seawall_core::id::Id;
use seawall_store::StoreError;
use seawall_store::records::{MessageFilter, MessageRecord, Page};
use tokio::sync::SemaphorePermit;

use super::export_jobs::Job;
use super::sms_manage::status;
use crate::app::{App, hooks};

/// Messages in memory at a time.
pub(super) const PAGE: usize = 500;
/// 8x8's columns, in its order.
const HEADER: &str = "umid,subaccountid,direction,country,operator,mcc,mnc,status_value,status_details,\
status_errorcode,status_errormessage,status_timestamp,msisdn,source,encoding,createdat,smscount,\
price_currency,price_persms,price_total,clientmessageid,clientbatchid,batchid,body\r\n";

struct Reader {
    app: Arc<App>,
    filter: MessageFilter,
    before: Option<i64>,
    left: usize,
    begun: bool,
    _turn: SemaphorePermit<'static>,
}

/// The file, newest message first.
pub(super) fn file(
    app: Arc<App>,
    job: &Job,
    turn: SemaphorePermit<'static>,
) -> impl Stream<Item = Result<Bytes, StoreError>> + Send + use<> {
    let left = if job.limit == 0 { usize::MAX } else { usize::try_from(job.limit).unwrap_or(usize::MAX) };
    let reader = Reader { app, filter: job.filter(), before: None, left, begun: false, _turn: turn };
    stream::try_unfold(reader, |mut reader| async move {
        if !reader.begun {
            reader.begun = true;
            return Ok(Some((Bytes::from_static(HEADER.as_bytes()), reader)));
        }
        let limit = PAGE.min(reader.left);
        if limit == 0 {
            return Ok(None);
        }
        let page = Page { before: reader.before, limit };
        let records = reader.app.store.ledger.messages(reader.filter.clone(), page).await?;
        let Some(last) = records.last() else {
            return Ok(None);
        };
        reader.before = Some(last.id.row());
        reader.left = reader.left.saturating_sub(records.len());
        let lines: String = records.iter().map(line).collect();
        Ok(Some((Bytes::from(lines), reader)))
    })
}

fn line(record: &MessageRecord) -> String {
    let status = status(record);
    let price = record.price.as_ref();
    let amount = |micros: i64| hooks::money(micros).to_string();
    let fields = [
        record.id.to_uuid(),
        record.subaccount.clone(),
        "1".to_owned(),
        record.country.to_string(),
        String::new(),
        String::new(),
        String::new(),
        status.state.to_owned(),
        status.detail.unwrap_or_default().to_owned(),
        status.error_code.map(|c| c.to_string()).unwrap_or_default(),
        status.error_message.unwrap_or_default(),
        status.timestamp,
        // Without `+`, which a spreadsheet would take for the start of a formula.
        record.to.masked_or(record.details.veiled).trim_start_matches('+').to_owned(),
        record.details.source.clone().unwrap_or_default(),
        hooks::encoding(record.encoding).to_owned(),
        record.id.at().to_rfc3339(),
        record.segments.to_string(),
        price.map(|p| p.currency.clone()).unwrap_or_default(),
        price.map(|p| amount(p.per_segment)).unwrap_or_default(),
        price.map(|p| amount(p.total)).unwrap_or_default(),
        record.details.client_message_id.clone().unwrap_or_default(),
        record.details.client_batch_id.clone().unwrap_or_default(),
        record.batch.map(Id::to_uuid).unwrap_or_default(),
        "**MASKED**".to_owned(),
    ];
    fields.map(|field| cell(&field)).join(",") + "\r\n"
}

/// A cell that no spreadsheet runs: what begins like a formula begins with an apostrophe instead, and what
/// has a separator, a quote or a line end is quoted.
pub(super) fn cell(text: &str) -> String {
    // Some readers drop leading quotes and spaces before they look.
    let bare = text.trim_start_matches(|c: char| c == '"' || c.is_whitespace());
    let formula = bare.starts_with(['=', '+', '-', '@', '|', '%']) || text.starts_with(['\t', '\r', '\n']);
    let safe = if formula { format!("'{text}") } else { text.to_owned() };
    if safe.contains([',', '"', '\n', '\r', ';', '\t']) || safe.starts_with(' ') {
        format!("\"{}\"", safe.replace('"', "\"\""))
    } else {
        safe
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn cells_are_quoted_and_never_run() {
        for (text, want) in [
            ("plain", "plain"),
            ("a,b", "\"a,b\""),
            ("say \"hi\"", "\"say \"\"hi\"\"\""),
            ("=1+1", "'=1+1"),
            ("+6591234567", "'+6591234567"),
            ("-1", "'-1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            (" =1", "' =1"),
            ("\t=1", "\"'\t=1\""),
            ("=cmd|' /C calc'!A0,x", "\"'=cmd|' /C calc'!A0,x\""),
        ] {
            assert_eq!(cell(text), want, "{text:?}");
        }
        assert_eq!(HEADER.trim_end().split(',').count(), 24);
    }

    proptest! {
        #[test]
        fn no_cell_begins_like_a_formula(text in ".{0,30}") {
            let shown = cell(&text);
            let inner = shown.trim_start_matches('"').trim_start();
            prop_assert!(!inner.starts_with(['=', '+', '-', '@']), "{shown}");
        }
    }
}

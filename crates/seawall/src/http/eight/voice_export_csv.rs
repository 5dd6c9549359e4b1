//! Calls as CSV in 8x8's columns: each leg of a masked call, and each call that was made to say something. Read page by
//! page while they are sent.

use std::sync::Arc;

use axum::body::Bytes;
use futures_util::{Stream, stream};
use seawall_core::callflow;
use seawall_core::id::Id;
use seawall_core::masking::call::CallResult;
use seawall_core::message::{Channel, MessageState};
use seawall_core::msisdn::Msisdn;
use seawall_core::time::Timestamp;
use seawall_store::StoreError;
use seawall_store::masking::{CallFilter, CallRecord};
use seawall_store::records::{Content, MessageRecord, Page};
use tokio::sync::SemaphorePermit;

use super::export_csv::{PAGE, cell};
use super::export_jobs::Job;
use crate::app::masking::tell::country;
use crate::app::{App, hooks};

/// 8x8's columns, in its order.
const HEADER: &str = "SessionId,CallId,AccountId,SubAccountId,Direction,SourceCountryCode,SourceCountry,SourceOperator,\
SourceMCC,SourceMNC,SourceEndpoint,DestinationCountryCode,DestinationCountry,DestinationOperator,DestinationMCC,\
DestinationMNC,DestinationEndpoint,InitiatedAt,ConnectedAt,DisconnectedAt,DurationInSec,Product,BillingUnit,\
BillingIncrement,BillableDurationInSec,UnitPrice,UnitPriceCurrency,TotalPriceOfCall,CallType,SipStatus,SessionStatus,\
CallStatus,TTSLength,MOS,Content\r\n";

/// Where the file is.
enum Place {
    Header,
    /// Masked calls before this row.
    Masked(Option<i64>),
    /// Calls that were made, before this row.
    Made(Option<i64>),
    End,
}

struct Reader {
    app: Arc<App>,
    job: Job,
    account: String,
    left: usize,
    place: Place,
    _turn: Option<SemaphorePermit<'static>>,
}

/// The file: masked calls first, then those that were made, each newest first.
pub(super) fn file(
    app: Arc<App>,
    job: &Job,
    turn: SemaphorePermit<'static>,
) -> impl Stream<Item = Result<Bytes, StoreError>> + Send + use<> {
    stream::try_unfold(reader(app, job, Some(turn)), |mut reader| async move {
        if matches!(reader.place, Place::Header) {
            reader.place = Place::Masked(None);
            return Ok(Some((Bytes::from_static(HEADER.as_bytes()), reader)));
        }
        let text = reader.next().await?;
        Ok(text.map(|text| (Bytes::from(text), reader)))
    })
}

fn reader(app: Arc<App>, job: &Job, turn: Option<SemaphorePermit<'static>>) -> Reader {
    let left = if job.limit == 0 { usize::MAX } else { usize::try_from(job.limit).unwrap_or(usize::MAX) };
    let account = app.snapshot.load().account.as_ref().map_or_else(String::new, |a| a.name.clone());
    Reader { app, job: job.clone(), account, left, place: Place::Header, _turn: turn }
}

/// Whether there is anything to export.
pub(super) async fn is_empty(app: Arc<App>, job: &Job) -> Result<bool, StoreError> {
    let mut reader = Reader { place: Place::Masked(None), ..reader(app, job, None) };
    while let Some(text) = reader.next().await? {
        if !text.is_empty() {
            return Ok(false);
        }
    }
    Ok(true)
}

impl Reader {
    /// The next lines, perhaps none; `None` at the end.
    async fn next(&mut self) -> Result<Option<String>, StoreError> {
        match self.place {
            _ if self.left == 0 => Ok(None),
            Place::Header | Place::Masked(None) => self.masked(Id::first_row(self.job.to)).await.map(Some),
            Place::Masked(Some(before)) => self.masked(before).await.map(Some),
            Place::Made(before) => self.made(before).await.map(Some),
            Place::End => Ok(None),
        }
    }

    async fn masked(&mut self, before: i64) -> Result<String, StoreError> {
        let filter = CallFilter { subaccount: Some(self.job.subaccount.clone()), ..CallFilter::default() };
        let page = Page { before: Some(before), limit: PAGE };
        let found = self.app.store.directory.calls(filter, page).await?;
        let wanted = |call: &&CallRecord| call.id.at() >= self.job.from;
        let all: Vec<&CallRecord> = found.iter().take_while(wanted).take(self.left).collect();
        self.place = match found.last().filter(|_| all.len() == found.len()) {
            Some(last) => Place::Masked(Some(last.id.row())),
            None => Place::Made(None),
        };
        let text = all.iter().map(|call| legs(&self.account, call)).collect();
        self.left -= all.len();
        Ok(text)
    }

    async fn made(&mut self, before: Option<i64>) -> Result<String, StoreError> {
        let page = Page { before, limit: PAGE };
        let found = self.app.store.ledger.messages(self.job.filter(), page).await?;
        self.place = found.last().map_or(Place::End, |last| Place::Made(Some(last.id.row())));
        let calls = found.iter().filter(|message| message.channel == Channel::Call).take(self.left);
        let lines: Vec<String> = calls.map(|message| spoken(&self.account, message)).collect();
        self.left -= lines.len();
        Ok(lines.concat())
    }
}

/// What a line says that differs from call to call.
#[derive(Default)]
struct Line {
    session: String,
    call: String,
    subaccount: String,
    direction: &'static str,
    source: Option<Msisdn>,
    destination: Option<Msisdn>,
    /// The number that is ours, and need not be masked.
    own: Option<Msisdn>,
    began: Option<Timestamp>,
    answered: Option<Timestamp>,
    ended: Option<Timestamp>,
    seconds: Option<u64>,
    product: &'static str,
    price: Option<(String, String)>,
    sip: Option<u16>,
    status: &'static str,
    said: Option<usize>,
}

impl Line {
    fn written(self, account: &str) -> String {
        let number = |n: Option<Msisdn>| n.map(|n| if self.own == Some(n) { n.digits() } else { n.masked() });
        // Without `+`, which a spreadsheet would take for the start of a formula.
        let bare = |n| number(n).unwrap_or_default().trim_start_matches('+').to_owned();
        let code =
            |n: Option<Msisdn>| n.and_then(Msisdn::calling_code).map_or_else(String::new, |c| c.to_string());
        let land = |n: Option<Msisdn>| n.and_then(country).unwrap_or_default();
        let time = |t: Option<Timestamp>| t.map(|t| t.to_rfc3339()).unwrap_or_default();
        let text = |n: Option<u64>| n.map(|n| n.to_string()).unwrap_or_default();
        let (total, currency) = self.price.clone().unwrap_or_default();
        let none = String::new;
        let fields = [
            self.session.clone(),
            self.call.clone(),
            account.to_owned(),
            self.subaccount.clone(),
            self.direction.to_owned(),
            code(self.source),
            land(self.source),
            none(),
            none(),
            none(),
            bare(self.source),
            code(self.destination),
            land(self.destination),
            none(),
            none(),
            none(),
            bare(self.destination),
            time(self.began),
            time(self.answered),
            time(self.ended),
            text(self.seconds),
            self.product.to_owned(),
            none(),
            none(),
            none(),
            none(),
            currency,
            total,
            "PSTN".to_owned(),
            text(self.sip.map(u64::from)),
            self.status.to_owned(),
            self.status.to_owned(),
            text(self.said.and_then(|said| u64::try_from(said).ok())),
            none(),
            none(),
        ];
        fields.map(|field| cell(&field)).join(",") + "\r\n"
    }
}

/// A masked call: the leg that came, and the one that went on.
fn legs(account: &str, call: &CallRecord) -> String {
    let (status, sip) = match call.call.result() {
        Some(CallResult::Completed) => ("COMPLETED", 200),
        Some(CallResult::NoAnswer) => ("NO_ANSWER", 480),
        Some(CallResult::Busy) => ("BUSY", 486),
        Some(CallResult::Canceled) => ("CANCELED", 487),
        Some(CallResult::Refused) => ("FAILED", 403),
        Some(CallResult::Failed) | None => ("FAILED", 503),
    };
    let leg = |direction: &'static str, source, destination| {
        let line = Line {
            session: call.id.to_uuid(),
            call: crate::app::masking::tell::leg_id(call, direction),
            subaccount: call.subaccount.clone(),
            direction: if direction == "INBOUND" { "inbound" } else { "outbound" },
            source: Some(source),
            destination: Some(destination),
            own: Some(call.mask),
            began: Some(call.call.began_at),
            answered: call.call.answered_at,
            ended: call.call.ended.map(|(at, _)| at),
            seconds: Some(call.call.spoken().as_secs()),
            product: "Number Masking",
            // Of a call that is under way nothing is known yet.
            sip: call.call.result().map(|_| sip),
            status: if call.call.result().is_some() { status } else { "" },
            ..Line::default()
        };
        line.written(account)
    };
    let came = leg("INBOUND", call.from, call.mask);
    let went = call.to.map(|to| leg("OUTBOUND", call.mask, to)).unwrap_or_default();
    came + &went
}

/// A call that was made to say something. When it was answered only its carrier knows.
fn spoken(account: &str, message: &MessageRecord) -> String {
    let over = message.state.is_final().then_some(message.progress.changed_at).flatten();
    let source = message.details.source.as_deref().map(|s| format!("+{}", s.trim_start_matches('+')));
    let source = source.as_deref().and_then(Msisdn::from_e164);
    let said = match &message.content {
        Some(Content::Text { text }) => Some(text.chars().count()),
        Some(Content::Flow { steps }) => Some(callflow::said(steps).chars().count()),
        Some(Content::Code { .. }) | None => None,
    };
    let line = Line {
        session: message.id.to_uuid(),
        call: message.id.to_uuid(),
        subaccount: message.subaccount.clone(),
        direction: "outbound",
        source,
        destination: Some(message.to),
        own: source,
        began: Some(message.id.at()),
        ended: over,
        product: "Voice Messaging",
        price: message.price.as_ref().map(|p| (hooks::money(p.total).to_string(), p.currency.clone())),
        status: match message.state {
            MessageState::Delivered => "COMPLETED",
            MessageState::Canceled => "CANCELED",
            MessageState::Failed | MessageState::Expired => "FAILED",
            _ => "",
        },
        said,
        ..Line::default()
    };
    line.written(account)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_8x8s_columns() {
        let own = Msisdn::from_e164("+6531580001");
        let party = Msisdn::from_e164("+6591234567");
        let line =
            Line { source: party, destination: own, own, status: "BUSY", sip: Some(486), ..Line::default() };
        let written = line.written("acme, Ltd");
        assert_eq!(HEADER.trim_end().split(',').count(), 35);
        assert!(written.contains("\"acme, Ltd\"") && written.contains(",6531580001,"), "{written}");
        assert!(!written.contains("4567"), "a party's number is not shown whole: {written}");
        assert_eq!(written.replace("\"acme, Ltd\"", "acme").trim_end().split(',').count(), 35);
    }
}

//! A decision without a send: what would be done with this request?

use seawall_core::consent::Category;
use seawall_core::message::Channel;
use seawall_core::msisdn::ParsedNumber;
use seawall_core::request::{Client, Operation, Request, Terms};

use super::screen::{Screened, screen};
use super::send_messages::price;
use super::who::Caller;
use super::{App, Refusal};

/// What a caller asks about.
#[derive(Clone, Debug)]
pub struct DecideOnly {
    /// The subaccount, already entered.
    pub subaccount: String,
    /// What would be done.
    pub operation: Operation,
    /// To whom.
    pub to: ParsedNumber,
    /// Which kind of message; codes are codes.
    pub category: Category,
    /// Over which channel.
    pub channel: Channel,
    /// In how many segments.
    pub segments: u8,
    /// The end user.
    pub client: Client,
    /// Under which terms.
    pub terms: Terms,
    /// What for.
    pub purpose: Option<String>,
    /// Charge nothing.
    pub dry_run: bool,
}

/// Decides and records. Without `dry_run` an allow is charged, as the send that the caller makes itself.
pub async fn decide_only(app: &App, caller: &Caller, ask: DecideOnly) -> Result<Box<Screened>, Refusal> {
    let now = app.now();
    let price = price(app, ask.to.country, ask.segments).map(|p| p.total);
    let usual = Request::new(ask.operation, ask.subaccount, &caller.key.id, &ask.to, caller.ip);
    let is_message = matches!(ask.operation, Operation::SmsSend | Operation::SmsBatch);
    let request = Request {
        category: if is_message { ask.category } else { usual.category },
        channel: ask.channel,
        client: ask.client,
        purpose: ask.purpose,
        terms: ask.terms,
        segments: ask.segments,
        price,
        dry_run: ask.dry_run,
        ..usual
    };
    let screened = screen(app, request, now).await?;
    app.recorder.record(&screened);
    if screened.allowed() && !screened.request.dry_run {
        app.grants.give(screened.id, screened.request.segments, &screened.dimensions, now);
        screened.note_allow(app);
    }
    Ok(screened)
}

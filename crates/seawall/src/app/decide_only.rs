//! A decision without a send: what would be done with this request?

use seawall_core::client_ip::ClientIp;
use seawall_core::message::Channel;
use seawall_core::msisdn::ParsedNumber;
use seawall_core::request::{Operation, Request};

use super::screen::{Screened, screen};
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
    /// Over which channel.
    pub channel: Channel,
    /// In how many segments.
    pub segments: u8,
    /// The end user's address.
    pub client_ip: Option<ClientIp>,
    /// The app's user.
    pub user: Option<String>,
    /// The app's device fingerprint.
    pub fingerprint: Option<String>,
    /// What for.
    pub purpose: Option<String>,
    /// Charge nothing.
    pub dry_run: bool,
}

/// Decides and records. Without `dry_run` an allow is charged, as the send that the caller makes itself.
pub async fn decide_only(app: &App, caller: &Caller, ask: DecideOnly) -> Result<Box<Screened>, Refusal> {
    let now = app.now();
    let request = Request {
        operation: ask.operation,
        subaccount: ask.subaccount,
        key: caller.key.id.clone(),
        to: ask.to.msisdn,
        country: ask.to.country,
        kind: ask.to.kind,
        valid: ask.to.valid,
        channel: ask.channel,
        client_ip: ask.client_ip,
        caller_ip: caller.ip,
        user: ask.user,
        fingerprint: ask.fingerprint,
        purpose: ask.purpose,
        segments: ask.segments,
        dry_run: ask.dry_run,
    };
    let screened = screen(app, request, now).await?;
    let mut record = screened.record();
    // Nothing was sent by us, whatever the verdict.
    record.body.message_id = None;
    app.recorder.record(record);
    Ok(screened)
}

//! Room 3 for messages: every field of a message, alone or in a batch, checked. In a batch, what a message
//! leaves out comes from the template.

use std::time::Duration;

use seawall_core::client_ip::ClientIp;
use seawall_core::country::Country;
use seawall_core::msisdn::{Msisdn, ParsedNumber};
use seawall_core::request::{Client, Terms};
use seawall_core::segments::{EncodingChoice, SegmentError, segment};
use seawall_core::time::Timestamp;
use seawall_store::records::Details;

use super::fields::{Bad, Fields};
use super::numbers;
use super::session_request::NOT_A_NUMBER;
use crate::app::entities::Subaccount;
use crate::app::send_messages::SendMessage;
use crate::app::{App, number_keys, texts};
use crate::jobs::egress::Rules;

/// Messages are scheduled at most so far ahead.
const AHEAD: Duration = Duration::from_secs(7 * 24 * 3600);
/// A time of sending may lie so far in the past: clocks differ.
const BEHIND: Duration = Duration::from_secs(60);

/// What goes for every message of a request.
#[derive(Clone, Copy)]
pub(super) struct Around<'a> {
    pub app: &'a App,
    pub subaccount: &'a Subaccount,
    pub rules: Rules,
    pub now: Timestamp,
    /// The end user, but for the address, which may differ from message to message.
    pub client: &'a Client,
    /// Under which terms.
    pub terms: &'a Terms,
}

/// What a batch says once for all its messages.
#[derive(Clone, Default)]
pub(super) struct Shared {
    pub text: Option<String>,
    pub source: Option<String>,
    pub encoding: Option<EncodingChoice>,
    pub scheduled: Option<Timestamp>,
    pub expiry: Option<Timestamp>,
    pub callback_url: Option<String>,
    pub client_ip: Option<ClientIp>,
    pub client_batch_id: Option<String>,
}

/// Reads a message.
pub(super) fn read(around: Around<'_>, fields: &Fields<'_>, shared: &Shared) -> Result<SendMessage, Bad> {
    let choice = match fields.get("encoding") {
        Some(_) => fields.encoding()?,
        None => shared.encoding.unwrap_or_default(),
    };
    let to = number(around.app, fields.text("destination")?.unwrap_or_default(), fields.country()?)?;
    let details = Details { veiled: to.veiled, ..details(around, fields, shared)? };
    let due = fields.time("scheduled", 1011)?.or(shared.scheduled);
    let expires_at = fields.time("expiry", 1006)?.or(shared.expiry);
    check_times(due, expires_at, around.now)?;
    let client_ip = fields.client_ip()?.or(shared.client_ip);
    let text = fields.text("text")?.or(shared.text.as_deref());
    message(
        around,
        to,
        text,
        choice,
        details,
        (due, expires_at),
        Client { ip: client_ip, ..around.client.clone() },
    )
}

/// A message of a batch that has only destinations: everything else is shared.
pub(super) fn shared_to(around: Around<'_>, destination: &str, shared: &Shared) -> Result<SendMessage, Bad> {
    let to = number(around.app, destination, None)?;
    let details = Details {
        veiled: to.veiled,
        source: shared.source.clone().or_else(|| around.subaccount.default_source.clone()),
        client_batch_id: shared.client_batch_id.clone(),
        callback_url: shared.callback_url.clone(),
        ..Details::default()
    };
    check_times(shared.scheduled, shared.expiry, around.now)?;
    let choice = shared.encoding.unwrap_or_default();
    let times = (shared.scheduled, shared.expiry);
    let client = Client { ip: shared.client_ip, ..around.client.clone() };
    message(around, to, shared.text.as_deref(), choice, details, times, client)
}

fn message(
    around: Around<'_>,
    to: ParsedNumber,
    text: Option<&str>,
    choice: EncodingChoice,
    details: Details,
    (due, expires_at): (Option<Timestamp>, Option<Timestamp>),
    client: Client,
) -> Result<SendMessage, Bad> {
    let text = texts::as_sent(&around.subaccount.policy.text, choice, text.unwrap_or_default().to_owned());
    let sized = segment(&text, choice).map_err(|error| unfit(&error))?;
    Ok(SendMessage {
        steps: Vec::new(),
        to,
        text,
        sized,
        details,
        due,
        expires_at,
        client,
        terms: around.terms.clone(),
        purpose: None,
    })
}

fn details(around: Around<'_>, fields: &Fields<'_>, shared: &Shared) -> Result<Details, Bad> {
    const TRACK: [(&str, bool); 2] = [("None", false), ("Outcome", true)];
    let source = fields.source()?.or_else(|| shared.source.clone());
    Ok(Details {
        source: source.or_else(|| around.subaccount.default_source.clone()),
        client_message_id: fields.label("clientMessageId", 350, 3009)?,
        client_batch_id: shared.client_batch_id.clone(),
        callback_url: fields.url("dlrCallbackUrl", around.rules)?.or_else(|| shared.callback_url.clone()),
        voice: None,
        track: fields.choice("track", &TRACK, 1000)?.unwrap_or(false),
        category: None,
        veiled: false,
    })
}

/// Stricter than for codes: digits with an optional `+`, as 8x8's pattern says; national with a country.
fn number(app: &App, text: &str, country: Option<Country>) -> Result<ParsedNumber, Bad> {
    number_keys::read_with(app, text, |text| written(text, country))
}

fn written(text: &str, country: Option<Country>) -> Result<ParsedNumber, Bad> {
    let digits = text.strip_prefix('+').unwrap_or(text);
    let least = if country.is_some() { 3 } else { 7 };
    let plain = (least..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    let international = country.is_some() || !digits.starts_with('0');
    let bad = || Bad::value(1002, NOT_A_NUMBER);
    let read = if plain && international { numbers::written(text, country).ok() } else { None };
    read.filter(|number| possible(number.msisdn)).ok_or_else(bad)
}

/// 8x8's documentation rejects `+1123456789`. Plans of most countries grow, but a North American number
/// has had ten digits, and an area code from 200 up, for as long as there are area codes.
fn possible(msisdn: Msisdn) -> bool {
    let digits = msisdn.digits();
    match digits.strip_prefix('1') {
        Some(national) => national.len() == 10 && !national.starts_with(['0', '1']),
        None => true,
    }
}

/// The documented words of each text problem.
fn unfit(error: &SegmentError) -> Bad {
    match error {
        SegmentError::Empty => Bad::value(1004, "Text value is missing"),
        SegmentError::TooLong { .. } => Bad::value(1004, "Invalid Text value. Reached max allowed limit"),
        // Names the one character that does not fit, never the text.
        SegmentError::NotGsm7 { .. } => Bad::value(1003, format!("Invalid encoding: {error}")),
    }
}

fn check_times(due: Option<Timestamp>, expires_at: Option<Timestamp>, now: Timestamp) -> Result<(), Bad> {
    if due.is_some_and(|due| due < now.minus(BEHIND)) {
        return Err(Bad::value(1011, "Invalid schedule time: it is over"));
    }
    if due.is_some_and(|due| due > now.plus(AHEAD)) {
        return Err(Bad::value(1011, "Invalid schedule time: more than 7 days ahead"));
    }
    match expires_at {
        Some(end) if end <= now.max(due.unwrap_or(now)) => {
            Err(Bad::value(1006, "Expiry time already reached"))
        }
        _ => Ok(()),
    }
}

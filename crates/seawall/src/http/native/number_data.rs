//! What is kept about a number, told to whom it belongs.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use seawall_core::callflow;
use seawall_core::id::IdKind;
use seawall_core::masking::Party;
use seawall_core::msisdn::Msisdn;
use seawall_core::time::Timestamp;
use seawall_store::masking::{CallRecord, MaskRecord};
use seawall_store::notes::Note;
use seawall_store::records::{Content, MessageRecord};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::answers::Refused;
use super::caller::Known;
use super::erasures::whole_account;
use super::message_view::MessageView;
use super::numbers;
use super::views::{DecisionView, VerificationView};
use crate::app::audit::Actor;
use crate::app::cleaning::ROWS;
use crate::app::consent::kind;
use crate::app::number_data::{self, Found, Place};
use crate::app::{App, Refusal};
use crate::http::admin::page::{self, PageQuery, size};
use crate::http::extract::{Path, Query};

/// The name of the list, for its cursors.
const LIST: &str = "number-data";

/// A record about the number.
#[derive(Serialize, ToSchema)]
pub struct NumberRecord {
    /// `verification`, `message`, `decision`, `masking_session`, `masked_call`, or a kind of note: `consent`, `opt-in`,
    /// `review`, `confirmed`, `due`, `ends`, `contact`.
    pub kind: String,
    /// Its id.
    pub id: String,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// What it says. A code is never shown; of others' numbers only the beginning.
    #[schema(value_type = Object)]
    pub content: Value,
}

/// What is kept in one place each.
#[derive(Serialize, ToSchema)]
pub struct NumberAbout {
    /// When a code was first confirmed.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub first_confirmed_at: Option<Timestamp>,
    /// When a code was last confirmed.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_confirmed_at: Option<Timestamp>,
    /// How far each opt-out reaches; an empty object reaches everywhere.
    #[schema(value_type = Vec<Object>)]
    pub opt_outs: Vec<Value>,
    /// Entries of lists that name it.
    #[schema(value_type = Vec<Object>)]
    pub list_entries: Vec<Value>,
    /// What lookup providers said of it, and what the operator corrected.
    #[schema(value_type = Vec<Object>)]
    pub lookups: Vec<Value>,
    /// Test numbers, virtual numbers and rules that an operator set up with it.
    #[schema(value_type = Vec<Object>)]
    pub settings: Vec<Value>,
    /// What is kept beside this: as what, and why it cannot be listed.
    pub not_listed: Vec<NotListed>,
}

/// Something that is kept and cannot be listed by number.
#[derive(Serialize, ToSchema)]
pub struct NotListed {
    /// What it is.
    #[schema(value_type = String)]
    pub what: &'static str,
    /// As what it is kept.
    #[schema(value_type = String)]
    pub kept_as: &'static str,
    /// Until when.
    #[schema(value_type = String)]
    pub until: &'static str,
}

/// Everything that is kept about a number.
#[derive(Serialize, ToSchema)]
pub struct NumberData {
    /// The number, E.164.
    pub number: String,
    /// As of when.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// In the first page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub about: Option<NumberAbout>,
    /// Records, kind by kind, each newest first.
    pub data: Vec<NumberRecord>,
    /// Where the next page begins; `null` at the end.
    pub next_cursor: Option<String>,
}

const NOT_LISTED: [NotListed; 5] = [
    NotListed { what: "send times and charges of limits", kept_as: "keyed hash", until: "their windows end" },
    NotListed { what: "wrong codes in a row", kept_as: "keyed hash and count", until: "their windows end" },
    NotListed {
        what: "what detection learned: requests and confirmations of the number, and of its range",
        kept_as: "hash and counts; the stream of the last minutes sealed",
        until: "it decays, or the number is erased",
    },
    NotListed {
        what: "answers kept under idempotency keys, and webhooks that wait",
        kept_as: "sealed copies of what is listed here",
        until: "a day, or their delivery",
    },
    NotListed {
        what: "backups, and an erasure that was asked for",
        kept_as: "sealed, and keyed hash",
        until: "an operator deletes the backup",
    },
];

async fn about(app: &App, number: Msisdn) -> Result<NumberAbout, Refused> {
    let about = number_data::about(app, number).await?;
    Ok(NumberAbout {
        first_confirmed_at: about.confirmed.map(|known| known.first_at),
        last_confirmed_at: about.confirmed.map(|known| known.last_at),
        opt_outs: about.opt_outs,
        list_entries: about.entries,
        lookups: about.lookups,
        settings: about.settings,
        not_listed: NOT_LISTED.into(),
    })
}

fn shown(found: Found, number: Msisdn, now: Timestamp) -> Result<NumberRecord, Refused> {
    let id = found.id();
    let (kind, id_kind, content) = match found {
        Found::Verification(one) => {
            ("verification".to_owned(), IdKind::Verification, json!(VerificationView::new(&one, now)))
        }
        Found::Message(one) => ("message".to_owned(), IdKind::Message, message(*one)),
        Found::Decision(one) => ("decision".to_owned(), IdKind::Decision, json!(DecisionView::from(*one))),
        Found::Session(one) => ("masking_session".to_owned(), IdKind::Mask, session(&one, number)),
        Found::Call(one) => ("masked_call".to_owned(), IdKind::Call, call(&one, number)),
        Found::Note(one) => (one.kind.clone(), of_note(&one.kind), note(&one)?),
    };
    Ok(NumberRecord { kind, id: id.show(id_kind), at: id.at(), content })
}

fn of_note(kind: &str) -> IdKind {
    match kind {
        kind::REVIEW => IdKind::Review,
        kind::DUE | kind::CONFIRMED => IdKind::Reconfirmation,
        ROWS => IdKind::Cleaning,
        _ => IdKind::Consent,
    }
}

/// With its text, unless that is a code's.
fn message(record: MessageRecord) -> Value {
    let text = match &record.content {
        Some(Content::Text { text }) => Some(text.clone()),
        Some(Content::Flow { steps }) => Some(callflow::heard(steps)),
        _ => None,
    };
    let client_batch_id = record.details.client_batch_id.clone();
    let mut shown = json!(MessageView::from(record));
    if let Value::Object(fields) = &mut shown {
        fields.insert("text".to_owned(), json!(text));
        fields.insert("client_batch_id".to_owned(), json!(client_batch_id));
    }
    shown
}

/// The other party is somebody else: only the beginning of its number is shown.
fn session(record: &MaskRecord, number: Msisdn) -> Value {
    let session = &record.session;
    let (you, other) = match session.party(number) {
        Some(Party::B) => ("b", session.a),
        _ => ("a", session.b),
    };
    json!({"subaccount_id": record.subaccount, "pool": record.pool, "number": session.mask.to_e164(), "you": you,
        "other": other.masked(), "record": record.record, "reference": record.reference, "metadata": record.metadata,
        "messages": record.messages, "expires_at": session.expires_at, "ended_at": session.closed_at})
}

fn call(record: &CallRecord, number: Msisdn) -> Value {
    let from_you = record.from == number;
    let other = if from_you { record.to } else { Some(record.from) };
    json!({"subaccount_id": record.subaccount, "number": record.mask.to_e164(), "you": if from_you { "caller" } else { "callee" },
        "other": other.map(Msisdn::masked), "via": record.via, "result": record.call.result().map(|r| r.as_str()),
        "recordings": record.recordings.len()})
}

fn note(note: &Note) -> Result<Value, Refused> {
    let body = match note.body.as_str() {
        "" => Value::Null,
        text => serde_json::from_str(text).map_err(seawall_store::StoreError::from)?,
    };
    Ok(json!({"scope": note.scope, "when": note.when, "body": body}))
}

/// Everything that is kept about a number: codes, messages with their texts, decisions, masking, opt-ins with their
/// proof, contacts, opt-outs, entries of lists, lookups. In pages; what is only a hash is named in the first one.
#[utoipa::path(
    get,
    path = "/v1/numbers/{msisdn}/data",
    operation_id = "exportNumber",
    tag = "numbers",
    params(
        ("msisdn" = String, Path, description = "In international form, `+` written `%2B` or left out"),
        PageQuery
    ),
    responses((status = 200, description = "A page of it.", body = NumberData)),
    security(("api_key" = []))
)]
pub async fn export(
    State(app): State<Arc<App>>,
    Known(caller): Known,
    Path(msisdn): Path<String>,
    Query(query): Query<PageQuery>,
) -> Result<Json<NumberData>, Refused> {
    whole_account(&app, &caller).await?;
    let number = numbers::number(&msisdn, None)?.msisdn;
    let limit = size(query.limit)?;
    // A cursor is of one number: with another it is not ours.
    let list = format!("{LIST} {:016x}", app.store.vault.index().msisdn(number));
    let place = page::place(&app, &list, query.cursor.as_deref())?;
    let place = place.map(|text| Place::parse(&text).ok_or(Refusal::NotFound)).transpose()?;
    let about = match place {
        None => {
            let actor = Actor { name: caller.key.id.clone(), ip: Some(caller.ip.to_string()) };
            number_data::note(&app, &actor, number).await?;
            Some(about(&app, number).await?)
        }
        Some(_) => None,
    };
    let now = app.now();
    let (found, next) = number_data::page(&app, number, place.unwrap_or_default(), limit).await?;
    let data = found.into_iter().map(|one| shown(one, number, now)).collect::<Result<_, _>>()?;
    let next_cursor = next.map(|next| page::cursor(&app, &list, &next.text()));
    Ok(Json(NumberData { number: number.to_e164(), at: now, about, data, next_cursor }))
}

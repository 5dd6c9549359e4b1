//! Decisions and verifications as the native API shows them.

use seawall_core::id::IdKind;
use seawall_core::msisdn::veil::veil;
use seawall_core::reason::{Reason, veil_reasons};
use seawall_core::time::Timestamp;
use seawall_core::verification::VerificationState;
use seawall_store::records::{DecisionBody, DecisionRecord, VerificationRecord};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// One reason with its evidence. The codes are a closed list.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes `Reason`, which the core knows without its documentation")]
pub struct ReasonView {
    /// Kebab-case.
    #[schema(example = "limit-exceeded")]
    code: String,
    /// One sentence with the values.
    detail: String,
    /// What was measured.
    value: Option<u64>,
    /// What it was held against.
    limit: Option<u64>,
    /// Over which time.
    #[schema(example = "30m")]
    window: Option<String>,
    /// Name of the limit, country, or other thing that it is about.
    key: Option<String>,
    /// `shadow`: recorded, without effect.
    #[schema(example = "enforce")]
    mode: String,
    /// An allow entry outranks it.
    overruled: Option<bool>,
}

/// A decision that was asked for.
#[derive(Debug, Serialize, ToSchema)]
pub struct DecisionAnswer {
    /// `dec_…`
    pub id: String,
    /// `allow`, `challenge`, `alternative`, `throttle` or `block`.
    #[schema(value_type = String, example = "allow")]
    pub verdict: &'static str,
    /// 0 to 100.
    pub risk: u8,
    /// Why it is not simply allowed, and what was only recorded.
    #[schema(value_type = Vec<ReasonView>)]
    pub reasons: Vec<Reason>,
    /// Seconds until a throttled request would fit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u64>,
    /// `enforce`: an allow was charged as a send. `dry_run`: nothing was.
    #[schema(value_type = String, example = "enforce")]
    pub mode: &'static str,
}

/// A decision as it was recorded.
#[derive(Debug, Serialize, ToSchema)]
pub struct DecisionView {
    /// `dec_…`
    pub id: String,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// `verify.start`, `sms.send`, …
    #[schema(value_type = String)]
    pub operation: &'static str,
    /// Whose.
    pub subaccount_id: String,
    /// Which key asked.
    pub key_id: String,
    /// The recipient, masked.
    pub to: String,
    /// Where the request came from.
    pub caller_ip: String,
    /// The end user's address.
    pub client_ip: Option<String>,
    /// `allow`, …
    #[schema(value_type = String)]
    pub verdict: &'static str,
    /// Whether the verdict had its effect.
    pub enforced: bool,
    /// 0 to 100.
    pub risk: u8,
    /// All reasons.
    #[schema(value_type = Vec<ReasonView>)]
    pub reasons: Vec<Reason>,
    /// What was known.
    #[schema(value_type = Object)]
    pub facts: Value,
    /// Which policy decided.
    pub policy_version: u64,
    /// Whether it was only asked, not done.
    pub dry_run: bool,
    /// When a throttled request would fit.
    #[schema(value_type = Option<String>, format = DateTime)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_at: Option<Timestamp>,
    /// `msg_…`, when it was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message_id: Option<String>,
    /// `ver_…`, when it belongs to a verification.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verification_id: Option<String>,
    /// For an aggregate of refusals: how many it stands for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
}

impl From<DecisionRecord> for DecisionView {
    fn from(record: DecisionRecord) -> Self {
        let DecisionRecord { id, body } = record;
        let (body, facts) = veiled(body);
        DecisionView {
            id: id.show(IdKind::Decision),
            at: id.at(),
            to: body.to(),
            operation: body.operation.as_str(),
            subaccount_id: body.subaccount_id,
            key_id: body.key_id,
            caller_ip: body.caller_ip.to_string(),
            client_ip: body.client_ip.map(|ip| ip.to_string()),
            verdict: body.verdict.as_str(),
            enforced: body.enforced,
            risk: body.risk,
            reasons: body.reasons,
            facts,
            policy_version: body.policy_version,
            dry_run: body.dry_run,
            retry_at: body.retry_at,
            message_id: body.sent.then(|| id.show(IdKind::Message)),
            verification_id: body.verification.map(|id| id.show(IdKind::Verification)),
            count: body.count,
        }
    }
}

/// What is known, without the range of a recipient that came encrypted.
fn veiled(mut body: DecisionBody) -> (DecisionBody, Value) {
    let mut facts = body.facts.value();
    if body.veiled {
        let digits = body.block.to_string();
        veil_reasons(&mut body.reasons, &digits);
        veil_texts(&mut facts, &digits);
    }
    (body, facts)
}

fn veil_texts(value: &mut Value, digits: &str) {
    match value {
        Value::String(text) => *text = veil(digits, text),
        Value::Array(all) => all.iter_mut().for_each(|one| veil_texts(one, digits)),
        Value::Object(fields) => fields.values_mut().for_each(|one| veil_texts(one, digits)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// A verification. Its code is never shown.
#[derive(Debug, Serialize, ToSchema)]
pub struct VerificationView {
    /// `ver_…`
    pub id: String,
    /// `pending`, `verified`, `failed`, `expired` or `canceled`.
    #[schema(value_type = String, example = "pending")]
    pub status: &'static str,
    /// The number, E.164.
    pub to: String,
    /// `sms` or `call`: how the last message went.
    #[schema(value_type = String, example = "sms")]
    pub channel: &'static str,
    /// What it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub purpose: Option<String>,
    /// Whose.
    pub subaccount_id: String,
    /// When it was begun.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// From then on no code is accepted.
    #[schema(value_type = String, format = DateTime)]
    pub expires_at: Timestamp,
    /// When it was verified.
    #[schema(value_type = Option<String>, format = DateTime)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verified_at: Option<Timestamp>,
    /// From when it may be asked for again; only in the answer to the request that sent it.
    #[schema(value_type = Option<String>, format = DateTime)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after_at: Option<Timestamp>,
    /// Wrong codes until it fails.
    pub attempts_left: u8,
    /// The decision that allowed the newest message.
    pub decision_id: String,
    /// The newest message.
    pub message_id: String,
}

/// Wrong codes until a verification fails.
pub fn attempts_left(record: &VerificationRecord) -> u8 {
    record.lifecycle.max_checks.saturating_sub(record.lifecycle.failed_checks)
}

impl VerificationView {
    /// As it stands at `now`.
    pub fn new(record: &VerificationRecord, now: Timestamp) -> Self {
        let life = &record.lifecycle;
        let pending = life.at(now) == VerificationState::Pending;
        VerificationView {
            id: record.id.show(IdKind::Verification),
            status: life.at(now).as_str(),
            to: record.to.shown(record.veiled),
            channel: life.channel.as_str(),
            purpose: record.purpose.clone(),
            subaccount_id: record.subaccount.clone(),
            created_at: life.created_at,
            expires_at: life.expires_at,
            verified_at: life.verified_at,
            retry_after_at: pending.then_some(life.retry_at),
            attempts_left: attempts_left(record),
            decision_id: record.message.show(IdKind::Decision),
            message_id: record.message.show(IdKind::Message),
        }
    }
}

/// What became of a code.
#[derive(Debug, Serialize, ToSchema)]
pub struct CheckView {
    /// `verified`: the code was right. `pending`: it was wrong. `failed`: it was wrong once too often.
    #[schema(value_type = String, example = "verified")]
    pub status: &'static str,
    /// Wrong codes until the verification fails.
    pub attempts_left: u8,
    /// With a right code: to be kept on the device, and sent as `client.device_token` with later requests.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "dt_AQAAAZ…")]
    pub device_token: Option<String>,
}

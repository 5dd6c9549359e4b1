//! Records to write.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use seawall_core::client_ip::ClientIp;
use seawall_core::code::{CodeShape, CodeType};
use seawall_core::country::Country;
use seawall_core::decision::Verdict;
use seawall_core::id::Id;
use seawall_core::limit::Dimensions;
use seawall_core::message::{Channel, MessageState};
use seawall_core::msisdn::Msisdn;
use seawall_core::reason::{Reason, ReasonCode};
use seawall_core::request::Operation;
use seawall_core::segments::Encoding;
use seawall_core::time::Timestamp;
use seawall_core::verification::Lifecycle;
use serde_json::json;

use crate::records::{
    Acceptance, Change, Content, DecisionBody, Details, Json, MessageRecord, Price, Progress,
    VerificationRecord, VerificationWrite,
};
use crate::{Result, StoreError};

/// A time so many milliseconds after a fixed one.
pub fn at(ms: i64) -> Timestamp {
    Timestamp::from_millis(1_767_000_000_000 + ms)
}

/// An id of that time, different from all others.
pub fn id(ms: i64) -> Id {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let next = NEXT.fetch_add(1, Ordering::Relaxed);
    Id::new(
        Id::first_row(at(ms)) + (next % (1 << 20)).cast_signed(),
        next.wrapping_mul(0x9e37_79b9_7f4a_7c15),
    )
}

/// The n-th number.
pub fn msisdn(n: u64) -> Result<Msisdn> {
    Msisdn::from_u64(6_580_000_000 + n).ok_or_else(|| StoreError::Corrupt("no number".to_owned()))
}

/// A decision as the service records it.
pub fn decision(verdict: Verdict, reason: Option<ReasonCode>) -> Result<DecisionBody> {
    Ok(DecisionBody {
        operation: Operation::VerifyStart,
        subaccount_id: "main".to_owned(),
        key_id: "key_01K9ZZZZZZZZZZZZZZZZZZZZZZ".to_owned(),
        block: 658_000,
        to_hash: 0,
        caller_ip: ip("192.0.2.1")?,
        client_ip: Some(ip("2001:db8::7")?),
        verdict,
        enforced: true,
        risk: 7,
        reasons: reason.map(|code| Reason::new(code, "words").about("thing")).into_iter().collect(),
        facts: Json::of(&json!({
            "opt_out": {"known": false}, "resend_after": {"known": null}, "limits": {"known": []},
            "number": {"country": "SG", "type": "mobile", "valid": true}, "segments": 1, "channel": "sms",
            "client": {"confidence": "high", "user": null}, "policy": {"mode": "enforce", "limits": 7}
        })),
        policy_version: 12,
        dry_run: false,
        retry_at: None,
        sent: verdict == Verdict::Allow,
        verification: None,
        count: None,
        veiled: false,
    })
}

/// An address.
pub fn ip(text: &str) -> Result<ClientIp> {
    ClientIp::parse(text).ok_or_else(|| StoreError::Corrupt("no address".to_owned()))
}

/// A queued message of subaccount `main` to the n-th number.
pub fn message(ms: i64, n: u64, text: &str) -> Result<MessageRecord> {
    let country = Country::parse("SG").ok_or_else(|| StoreError::Corrupt("no country".to_owned()))?;
    Ok(MessageRecord {
        id: id(ms),
        subaccount: "main".to_owned(),
        to: msisdn(n)?,
        country,
        state: MessageState::Queued,
        channel: Channel::Sms,
        verification: None,
        batch: None,
        due: None,
        expires_at: None,
        encoding: Encoding::Gsm7,
        segments: 1,
        content: Some(Content::Text { text: text.to_owned() }),
        details: Details { source: Some("Seawall".to_owned()), ..Details::default() },
        price: Some(Price { per_segment: 31_200, total: 31_200, currency: "EUR".to_owned() }),
        progress: Progress::default(),
        dimensions: Dimensions {
            op: 2,
            range: n / 10_000,
            ip: Some(7),
            caller: 8,
            key: 9,
            ..Dimensions::default()
        },
        decision: Some(Box::new(decision(Verdict::Allow, None)?)),
    })
}

/// A pending verification of the n-th number, valid for five minutes, and its message.
pub fn verification(ms: i64, n: u64) -> Result<(VerificationRecord, MessageRecord)> {
    let mut message = message(ms, n, "")?;
    let life = Lifecycle::begin(at(ms), Duration::from_secs(300), Duration::from_secs(10), 5, Channel::Sms);
    let shape =
        CodeShape::new(CodeType::Numeric, 6).map_err(|_| StoreError::Corrupt("no shape".to_owned()))?;
    let verification = VerificationRecord {
        id: Id::new(message.id.row(), id(ms).tail()),
        subaccount: "main".to_owned(),
        to: message.to,
        lifecycle: life,
        shape,
        key_id: 1,
        given_code: None,
        callback_url: None,
        message: message.id,
        revision: 1,
        purpose: Some("login".to_owned()),
        bind: None,
        veiled: false,
    };
    message.verification = Some(verification.id);
    message.expires_at = Some(verification.lifecycle.expires_at);
    let template = "Your {brand} code is {code}".to_owned();
    let brand = Some("Shop".to_owned());
    message.content = Some(Content::Code { template, brand, generation: 0, shape, key_id: 1, given: false });
    Ok((verification, message))
}

/// What accepts a new verification.
pub fn acceptance(verification: VerificationRecord, message: MessageRecord) -> Acceptance {
    let verification = Some(VerificationWrite::Begin(verification));
    Acceptance { messages: vec![message], verification, idempotent: None }
}

/// A change of state and nothing else.
pub fn change(id: Id, state: MessageState, ms: i64) -> Change {
    Change {
        id,
        state: Some(state),
        attempt: None,
        error: None,
        outcome: None,
        at: at(ms),
        hooks: Vec::new(),
        again: None,
    }
}

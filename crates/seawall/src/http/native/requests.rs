//! What callers send, as they spell it. Meaning is given to it in [`super::read`].

use std::collections::BTreeMap;

use serde::Deserialize;
use utoipa::ToSchema;

use super::words::{ChannelWord, CodeTypeWord, EncodingWord, OperationWord, RiskCheckWord};

/// Who stands behind a request: the app's user, not the app's server.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Client {
    /// The end user's address, without a port. It limits; it never authorises.
    #[schema(example = "203.0.113.7", max_length = 45)]
    pub ip: Option<String>,
    /// The end user's browser or app.
    #[schema(max_length = 1024)]
    pub user_agent: Option<String>,
    /// A token issued after an earlier verification on the same device.
    #[schema(max_length = 1024)]
    pub device_token: Option<String>,
    /// The app's own fingerprint of the device.
    #[schema(max_length = 256)]
    pub fingerprint: Option<String>,
    /// The app's name for its user.
    #[schema(max_length = 256)]
    pub user_id: Option<String>,
    /// The TLS fingerprint (JA4) of the end user's client, as the app's proxy saw it.
    #[schema(max_length = 128)]
    pub ja4: Option<String>,
    /// Other headers of the end user's request that operator rules look at; at most 16, names in lower case.
    pub headers: Option<std::collections::BTreeMap<String, String>>,
}

/// What would be done with this request?
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DecisionRequest {
    /// The recipient in international form, or encrypted (`/docs/encrypted`).
    #[schema(example = "+6591234567", max_length = 1024)]
    pub to: String,
    /// What it is for; `message` asks about a message, anything else about a code.
    #[schema(example = "login", max_length = 64)]
    pub purpose: String,
    /// Who stands behind it.
    #[serde(default)]
    pub client: Client,
    /// How it would travel.
    #[serde(default)]
    pub channel: ChannelWord,
    /// The text, for its cost. It is not kept.
    pub text: Option<String>,
    /// Anything of the caller's own. It is not kept.
    #[schema(value_type = Option<Object>)]
    pub metadata: Option<serde_json::Map<String, serde_json::Value>>,
    /// Charge nothing: only look.
    #[serde(default)]
    pub dry_run: bool,
    /// Which subaccount; may be left out when the key has only one.
    pub subaccount_id: Option<String>,
    /// Of a message: which kind it is, for opt-outs, opt-ins and sending windows; the subaccount's own when absent.
    pub category: Option<super::words::CategoryWord>,
    /// What would be done, when `purpose` does not say.
    pub operation: Option<OperationWord>,
    /// Not above this price for the whole message, in micro-units.
    #[schema(example = 250_000, minimum = 0)]
    pub max_price: Option<i64>,
    /// Values for limits per `custom` key, by the key's name: at most 8.
    #[schema(value_type = Option<Object>, example = json!({"order_id": "A-17"}))]
    pub limit_keys: Option<BTreeMap<String, String>>,
    /// `off` sends without operator rules and detection, for keys and plans with the right `risk_check_off`.
    pub risk_check: Option<RiskCheckWord>,
}

/// Send a one-time code, or send it again while one is out.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct VerificationRequest {
    /// The number to verify, written out or encrypted (`/docs/encrypted`).
    #[schema(example = "+6591234567", max_length = 1024)]
    pub to: String,
    /// ISO 3166-1 alpha-2, for a number in national form.
    #[schema(example = "SG", max_length = 2)]
    pub country: Option<String>,
    /// How the code travels.
    #[serde(default)]
    pub channel: ChannelWord,
    /// What it is for, in the caller's words.
    #[schema(example = "login", max_length = 64)]
    pub purpose: Option<String>,
    /// Who stands behind it.
    #[serde(default)]
    pub client: Client,
    /// Fills `{brand}` in the text.
    #[schema(example = "Acme", max_length = 64)]
    pub brand: Option<String>,
    /// BCP 47: chooses among saved templates.
    #[schema(example = "en-SG", max_length = 35)]
    pub locale: Option<String>,
    /// Characters of the code; 6 when absent.
    #[schema(minimum = 4, maximum = 10)]
    pub code_length: Option<u8>,
    /// What the code is made of.
    #[serde(default)]
    pub code_type: CodeTypeWord,
    /// How long the code is valid, from `10s` to `24h`.
    #[schema(example = "300s")]
    pub ttl: Option<String>,
    /// Not sent again before, from `10s` to `2h`; `10s` when absent.
    #[schema(example = "10s")]
    pub resend_interval: Option<String>,
    /// The text, with `{code}` and perhaps `{brand}`.
    #[schema(example = "{brand}: Your verification code is {code}", max_length = 1600)]
    pub template: Option<String>,
    /// Name of a saved template instead.
    #[schema(max_length = 64)]
    pub template_key: Option<String>,
    /// Sender ID.
    #[schema(example = "Acme", max_length = 16)]
    pub source: Option<String>,
    /// Which subaccount; may be left out when the key has only one.
    pub subaccount_id: Option<String>,
    /// Where events of this verification go.
    #[schema(example = "https://app.example.com/hooks/seawall", max_length = 2048)]
    pub callback_url: Option<String>,
    /// Who may fill the code in by itself.
    pub app: Option<BoundAppRequest>,
    /// The payment that the code confirms. It is shown in the message and has to be repeated at the check.
    pub bind: Option<PaymentRequest>,
    /// An allow of `POST /v1/decisions` that this redeems: it was charged when it was given and is not charged again.
    /// Once, within ten minutes, for the same number.
    #[schema(example = "dec_01ARZ3NDEKTSV4RRFFQ69G5FAV")]
    pub decision_id: Option<String>,
    /// Add a line that warns not to share the code, in the language of `locale`.
    #[serde(default)]
    pub do_not_share: bool,
    /// Not above this price for the whole message, in micro-units.
    #[schema(example = 250_000, minimum = 0)]
    pub max_price: Option<i64>,
    /// Values for limits per `custom` key, by the key's name: at most 8.
    #[schema(value_type = Option<Object>, example = json!({"order_id": "A-17"}))]
    pub limit_keys: Option<BTreeMap<String, String>>,
    /// `off` sends without operator rules and detection, for keys and plans with the right `risk_check_off`.
    pub risk_check: Option<RiskCheckWord>,
}

/// Who may fill the code in by itself: a site or an Android app.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BoundAppRequest {
    /// The domain of a site: the message ends with `@domain #code`, and browsers fill it in there only.
    #[schema(example = "acme.com", max_length = 253)]
    pub domain: Option<String>,
    /// The hash of an Android app, eleven characters: the message ends with it.
    #[schema(example = "FA+9qCX9VSu", max_length = 11)]
    pub android_hash: Option<String>,
}

/// A payment that a code confirms.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PaymentRequest {
    /// With at most three decimals.
    #[schema(example = "12.50", pattern = "^[0-9]{1,12}([.][0-9]{1,3})?$")]
    pub amount: String,
    /// ISO 4217.
    #[schema(example = "EUR", pattern = "^[A-Z]{3}$")]
    pub currency: String,
    /// Who is paid.
    #[schema(example = "Acme Ltd", max_length = 64)]
    pub payee: String,
}

/// A code that a user typed.
#[derive(Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CheckRequest {
    /// What was typed; spaces around it and dashes do not count.
    #[schema(example = "123456", max_length = 64)]
    pub code: String,
    /// The payment that the code was sent for, if it was sent for one. Another one is refused, and the code not
    /// looked at.
    pub bind: Option<PaymentRequest>,
    /// Who typed it.
    #[serde(default)]
    pub client: Client,
}

/// Why a verification is approved by hand.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ApproveRequest {
    /// For the audit log.
    #[schema(example = "passport seen at the counter, ticket 4711", min_length = 1, max_length = 500)]
    pub note: String,
}

/// Send a message.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MessageRequest {
    /// To whom; a number, written out or encrypted (`/docs/encrypted`).
    #[schema(example = "+6591234567", max_length = 1024)]
    pub to: String,
    /// ISO 3166-1 alpha-2, for a number in national form.
    #[schema(example = "SG", max_length = 2)]
    pub country: Option<String>,
    /// What.
    #[schema(example = "Your parcel arrives today.")]
    pub text: String,
    /// How the text is encoded.
    pub encoding: Option<EncodingWord>,
    /// Sender ID.
    #[schema(example = "Acme", max_length = 16)]
    pub source: Option<String>,
    /// Who stands behind it.
    pub client: Option<Client>,
    /// What it is for, in the caller's words.
    #[schema(max_length = 64)]
    pub purpose: Option<String>,
    /// What kind of message it is, for opt-outs, opt-ins and sending windows; the subaccount's own when absent.
    pub category: Option<super::words::CategoryWord>,
    /// Send later: RFC 3339, at most 30 days ahead.
    #[schema(example = "2030-01-05T10:00:00Z")]
    pub scheduled_at: Option<String>,
    /// Not sent from then on: RFC 3339.
    #[schema(example = "2030-01-05T12:00:00Z")]
    pub expires_at: Option<String>,
    /// Where its receipts go.
    #[schema(max_length = 2048)]
    pub callback_url: Option<String>,
    /// The caller's own id.
    #[schema(max_length = 255)]
    pub client_message_id: Option<String>,
    /// Which subaccount; may be left out when the key has only one.
    pub subaccount_id: Option<String>,
    /// Not above this price for the whole message, in micro-units.
    #[schema(example = 250_000, minimum = 0)]
    pub max_price: Option<i64>,
    /// Values for limits per `custom` key, by the key's name: at most 8.
    #[schema(value_type = Option<Object>, example = json!({"order_id": "A-17"}))]
    pub limit_keys: Option<BTreeMap<String, String>>,
    /// `off` sends without operator rules and detection, for keys and plans with the right `risk_check_off`.
    pub risk_check: Option<RiskCheckWord>,
    /// An allow of `POST /v1/decisions` that this redeems: it was charged when it was given and is not charged again.
    /// Once, within ten minutes, for the same number.
    #[schema(example = "dec_01ARZ3NDEKTSV4RRFFQ69G5FAV")]
    pub decision_id: Option<String>,
}

/// One message of a batch, or what all of them share.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BatchMessage {
    /// To whom. Not among the defaults.
    #[schema(example = "+6591234567", max_length = 1024)]
    pub to: Option<String>,
    /// ISO 3166-1 alpha-2, for a number in national form.
    #[schema(max_length = 2)]
    pub country: Option<String>,
    /// What.
    pub text: Option<String>,
    /// How the text is encoded.
    pub encoding: Option<EncodingWord>,
    /// Sender ID.
    #[schema(max_length = 16)]
    pub source: Option<String>,
    /// Who stands behind it.
    pub client: Option<Client>,
    /// What it is for.
    #[schema(max_length = 64)]
    pub purpose: Option<String>,
    /// What kind of message it is.
    pub category: Option<super::words::CategoryWord>,
    /// Send later: RFC 3339.
    pub scheduled_at: Option<String>,
    /// Not sent from then on: RFC 3339.
    pub expires_at: Option<String>,
    /// Where its receipts go.
    #[schema(max_length = 2048)]
    pub callback_url: Option<String>,
    /// The caller's own id.
    #[schema(max_length = 255)]
    pub client_message_id: Option<String>,
    /// Not above this price for the whole message, in micro-units.
    #[schema(example = 250_000, minimum = 0)]
    pub max_price: Option<i64>,
    /// Values for limits per `custom` key, by the key's name: at most 8.
    #[schema(value_type = Option<Object>, example = json!({"order_id": "A-17"}))]
    pub limit_keys: Option<BTreeMap<String, String>>,
    /// `off` sends without operator rules and detection, for keys and plans with the right `risk_check_off`.
    pub risk_check: Option<RiskCheckWord>,
}

/// Send many messages; one that is refused does not refuse the others.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BatchRequest {
    /// The messages.
    #[schema(min_items = 1, max_items = 10000)]
    pub messages: Vec<BatchMessage>,
    /// What messages have that do not say otherwise.
    #[serde(default)]
    pub defaults: BatchMessage,
    /// Which subaccount; may be left out when the key has only one.
    pub subaccount_id: Option<String>,
    /// The caller's own id of the batch.
    #[schema(max_length = 255)]
    pub client_batch_id: Option<String>,
}

impl BatchMessage {
    /// The message with what it leaves out taken from the defaults.
    pub fn over(self, defaults: &BatchMessage) -> MessageRequest {
        let or = |own: Option<String>, other: &Option<String>| own.or_else(|| other.clone());
        MessageRequest {
            to: self.to.unwrap_or_default(),
            country: or(self.country, &defaults.country),
            text: or(self.text, &defaults.text).unwrap_or_default(),
            encoding: self.encoding.or(defaults.encoding),
            source: or(self.source, &defaults.source),
            client: self.client.or_else(|| defaults.client.clone()),
            purpose: or(self.purpose, &defaults.purpose),
            category: self.category.or(defaults.category),
            scheduled_at: or(self.scheduled_at, &defaults.scheduled_at),
            expires_at: or(self.expires_at, &defaults.expires_at),
            callback_url: or(self.callback_url, &defaults.callback_url),
            client_message_id: self.client_message_id,
            max_price: self.max_price.or(defaults.max_price),
            limit_keys: self.limit_keys.or_else(|| defaults.limit_keys.clone()),
            risk_check: self.risk_check.or(defaults.risk_check),
            subaccount_id: None,
            decision_id: None,
        }
    }
}

/// What became of a decision.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OutcomeRequest {
    /// What became of it.
    pub result: super::words::OutcomeWord,
    /// What it cost, in micro-units. It is checked and not kept.
    #[schema(minimum = 0)]
    pub cost: Option<i64>,
    /// When, if not now; not ahead.
    #[schema(format = DateTime)]
    pub at: Option<String>,
}

/// What became of the newest allow for a number.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NumberOutcomeRequest {
    /// The number.
    #[schema(example = "+6591234567", max_length = 1024)]
    pub to: String,
    /// Not older than this, `1s` to `24h`.
    #[schema(example = "10m")]
    pub within: String,
    /// What became of it.
    pub result: super::words::OutcomeWord,
    /// Which subaccount; may be left out when the key has only one.
    pub subaccount_id: Option<String>,
}

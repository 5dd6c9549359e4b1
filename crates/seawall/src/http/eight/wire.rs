//! The shapes of this dialect, as `/openapi.json` shows them. Requests are read field by field
//! ([`super::fields`]), so their types exist for the description alone.
#![allow(dead_code, reason = "request types are read by the OpenAPI derive only")]

use serde::Serialize;
use utoipa::ToSchema;

/// `POST …/sessions`
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[schema(as = EightVerifyRequest)]
pub(super) struct VerifyRequest {
    /// The number to verify; national with `country`. Spaces, brackets and dashes are ignored.
    #[schema(example = "+6591234567")]
    destination: String,
    /// ISO 3166-1 alpha-2.
    #[schema(max_length = 2)]
    country: Option<String>,
    /// `sms` or `call`; the others of 8x8 are not offered here.
    channel: Option<Channel>,
    /// Fills `{brand}`.
    #[schema(max_length = 30)]
    brand: Option<String>,
    #[schema(minimum = 3, maximum = 10, default = 4)]
    code_length: Option<u8>,
    /// Seconds.
    #[schema(minimum = 30, maximum = 7200, default = 300)]
    code_validity: Option<u16>,
    code_type: Option<CodeTypeWord>,
    /// Text with `{code}` and `{brand}`.
    template: Option<String>,
    /// Name of a saved template.
    template_key: Option<String>,
    /// BCP 47, of a call or of a saved template.
    language: Option<String>,
    /// A new code even if one is out.
    reset_session: Option<bool>,
    /// Seconds.
    #[schema(minimum = 10, maximum = 7200, default = 10)]
    resending_interval: Option<u16>,
    /// Told how each presented code fared.
    #[schema(format = "uri")]
    callback_url: Option<String>,
    sms: Option<SmsOptions>,
    call: Option<CallOptions>,
    /// The end user's address; `clientIP` is an alias.
    client_ip: Option<String>,
}

#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[schema(as = EightChannel)]
enum Channel {
    Sms,
    Call,
    Whatsapp,
    Viber,
    Sma,
}

#[derive(ToSchema)]
#[schema(rename_all = "SCREAMING_SNAKE_CASE")]
#[schema(as = EightCodeTypeWord)]
enum CodeTypeWord {
    Numeric,
    NumericWithDash,
    Alphanumeric,
    AlphanumericCapitals,
    AlphanumericEasy,
}

#[derive(ToSchema)]
#[schema(rename_all = "UPPERCASE")]
#[schema(as = EightEncodingWord)]
pub(super) enum EncodingWord {
    Auto,
    Gsm7,
    Ucs2,
}

#[derive(ToSchema)]
#[schema(as = EightSmsOptions)]
struct SmsOptions {
    /// Sender ID.
    #[schema(max_length = 16)]
    source: Option<String>,
    encoding: Option<EncodingWord>,
}

#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[schema(as = EightCallOptions)]
struct CallOptions {
    /// Caller ID.
    source: Option<String>,
    #[schema(minimum = 0.5, maximum = 2.0, default = 0.8)]
    speed: Option<f64>,
    #[schema(minimum = 1, maximum = 3, default = 2)]
    repetition: Option<u8>,
    #[schema(max_length = 50)]
    voice_profile: Option<String>,
}

/// A verification session.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[schema(as = EightSession)]
pub(super) struct Session {
    session_id: String,
    verify_uri: String,
    destination: String,
    status: SessionStatus,
    /// Wrong codes.
    #[schema(minimum = 0, maximum = 255)]
    attempt: u8,
    #[schema(format = DateTime)]
    expires_at: String,
    #[schema(format = DateTime)]
    retry_after: String,
}

#[derive(ToSchema)]
#[schema(rename_all = "UPPERCASE")]
#[schema(as = EightSessionStatus)]
enum SessionStatus {
    Waiting,
    Verified,
    Failed,
    Expired,
}

/// `POST …/messages`
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[schema(as = EightSmsRequest)]
pub(super) struct SmsRequest {
    #[schema(example = "+6591234567")]
    destination: String,
    #[schema(max_length = 2)]
    country: Option<String>,
    /// A name of up to 11 characters or a number of up to 16.
    #[schema(max_length = 16)]
    source: Option<String>,
    /// At most ten parts.
    text: String,
    encoding: Option<EncodingWord>,
    #[schema(max_length = 350)]
    client_message_id: Option<String>,
    /// At most seven days ahead.
    #[schema(format = DateTime)]
    scheduled: Option<String>,
    #[schema(format = DateTime)]
    expiry: Option<String>,
    #[schema(format = "uri")]
    dlr_callback_url: Option<String>,
    /// The end user's address; `clientIP` is an alias.
    client_ip: Option<String>,
    track: Option<Track>,
}

#[derive(ToSchema)]
#[schema(as = EightTrack)]
enum Track {
    None,
    Outcome,
}

/// What became of one message.
#[derive(Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = EightSmsResponse)]
pub(super) struct SmsResponse {
    #[schema(format = "uuid")]
    pub umid: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_message_id: Option<String>,
    /// Digits without `+`; of a rejected message as it was given.
    pub destination: String,
    #[schema(value_type = EncodingWord)]
    pub encoding: &'static str,
    pub status: SmsStatus,
}

#[derive(Clone, Serialize, ToSchema)]
#[schema(as = EightSmsStatus)]
pub(super) struct SmsStatus {
    #[schema(value_type = StatusWord)]
    pub code: &'static str,
    pub description: String,
}

#[derive(ToSchema)]
#[schema(rename_all = "UPPERCASE")]
#[schema(as = EightStatusWord)]
enum StatusWord {
    Queued,
    Rejected,
}

/// `POST …/messages/batch`: `messages`, or `destinations` with a `template` that has a text.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[schema(as = EightBatchRequest)]
pub(super) struct BatchRequest {
    #[schema(min_items = 1, max_items = 10000)]
    messages: Option<Vec<BatchMessage>>,
    #[schema(min_items = 1, max_items = 10000)]
    destinations: Option<Vec<String>>,
    template: Option<BatchTemplate>,
    #[schema(max_length = 20)]
    client_batch_id: Option<String>,
    include_messages_in_response: Option<bool>,
    client_ip: Option<String>,
}

/// Like a single message; what it leaves out comes from the template.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[schema(as = EightBatchMessage)]
struct BatchMessage {
    destination: Option<String>,
    country: Option<String>,
    source: Option<String>,
    text: Option<String>,
    encoding: Option<EncodingWord>,
    client_message_id: Option<String>,
    scheduled: Option<String>,
    expiry: Option<String>,
    dlr_callback_url: Option<String>,
    client_ip: Option<String>,
    track: Option<Track>,
}

#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[schema(as = EightBatchTemplate)]
struct BatchTemplate {
    source: Option<String>,
    text: Option<String>,
    encoding: Option<EncodingWord>,
    scheduled: Option<String>,
    expiry: Option<String>,
    dlr_callback_url: Option<String>,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = EightBatchResponse)]
pub(super) struct BatchResponse {
    #[schema(format = "uuid")]
    pub batch_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_batch_id: Option<String>,
    pub accepted_count: usize,
    pub rejected_count: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub messages: Option<Vec<SmsResponse>>,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = EightCanceled)]
pub(super) struct Canceled {
    pub cancelled_count: usize,
}

/// `POST …/feedback`
#[derive(ToSchema)]
#[schema(as = EightFeedback)]
pub(super) struct Feedback {
    outcome: OutcomeWord,
    #[schema(format = DateTime)]
    timestamp: Option<String>,
}

#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
#[schema(as = EightOutcomeWord)]
enum OutcomeWord {
    Success,
    Failure,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = EightMessageDetails)]
pub(super) struct MessageDetails {
    #[schema(format = "uuid")]
    pub umid: String,
    pub sub_account_id: String,
    pub direction: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
    pub status: MessageStatus,
    /// Its last four digits are `xxxx`.
    pub msisdn: String,
    pub source: String,
    /// Always `**MASKED**`.
    pub body: &'static str,
    pub encoding: &'static str,
    #[schema(format = DateTime)]
    pub created_at: String,
    pub sms_count: u8,
    pub price: MessagePrice,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_message_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_batch_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch_id: Option<String>,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = EightMessageStatus)]
pub(super) struct MessageStatus {
    pub state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_code: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_message: Option<String>,
    #[schema(format = DateTime)]
    pub timestamp: String,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = EightMessagePrice)]
pub(super) struct MessagePrice {
    pub total: f64,
    pub per_sms: f64,
    pub currency: String,
}

/// `POST …/exports`: all optional.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[schema(as = EightExportRequest)]
pub(super) struct ExportRequest {
    /// From then on; seven days ago when absent. A date or a date and time.
    from: Option<String>,
    /// Until then; a date alone means all of that day. Now when absent.
    to: Option<String>,
    phone_number: Option<String>,
    #[schema(max_items = 250)]
    countries: Option<Vec<String>>,
    /// Rows at most; 0: all.
    #[schema(minimum = 0)]
    limit: Option<u64>,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = EightExportStarted)]
pub(super) struct ExportStarted {
    pub job_id: String,
}

#[derive(Serialize, ToSchema)]
#[schema(as = EightExportStatus)]
pub(super) struct ExportStatus {
    #[schema(example = "succeeded")]
    pub status: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    pub expires: Option<String>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = EightBalance)]
pub(super) struct Balance {
    pub balance: f64,
    pub currency: String,
}

/// A webhook. In answers, `httpAuthorization` and `oauth.clientSecret` read `***`.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[schema(as = EightWebhookConfig)]
pub(super) struct WebhookConfig {
    /// A subaccount, or `*` for all that have none of their own.
    sub_account_id: String,
    #[schema(format = "uri")]
    url: String,
    http_authorization: Option<String>,
    #[schema(default = true)]
    enabled: Option<bool>,
    oauth: Option<WebhookOauth>,
    /// Of the older form; accepted and without effect.
    r#type: Option<String>,
}

#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[schema(as = EightWebhookOauth)]
struct WebhookOauth {
    #[schema(format = "uri")]
    url: String,
    client_id: String,
    client_secret: String,
    /// `header` or `body`.
    credentials_location: String,
    scope: Option<String>,
}

#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[schema(as = EightWebhookName)]
pub(super) struct WebhookName {
    sub_account_id: String,
    r#type: Option<String>,
}

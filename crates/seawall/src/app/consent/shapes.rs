//! The JSON of what is decided about consent, for the API description only.

use utoipa::ToSchema;

use super::settings::{Answers, StopScope};

/// STOP, START, HELP, double opt-in and "not me".
#[derive(ToSchema)]
#[schema(as = ConsentSettings)]
pub struct ConsentShape {
    /// How far a STOP reaches.
    pub stop_scope: Option<StopScope>,
    /// What is answered.
    pub answers: Option<Answers>,
    /// What a double opt-in asks when the request has no text of its own.
    #[schema(max_length = 480)]
    pub question: Option<String>,
    /// How long a double opt-in waits for its YES, `1m` to `7d`.
    #[schema(pattern = "^[0-9]+(ms|s|m|h|d)$", example = "24h")]
    pub question_valid: Option<String>,
    /// How long a number gets no codes after it said that it did not ask for one, `1h` to `7d`.
    #[schema(pattern = "^[0-9]+(ms|s|m|h|d)$", example = "24h")]
    pub not_me: Option<String>,
    /// How long answers wait for a person, `1d` to `365d`.
    #[schema(pattern = "^[0-9]+(ms|s|m|h|d)$", example = "90d")]
    pub reviews_kept: Option<String>,
    /// Which numbers have to be confirmed again, and how.
    pub reconfirm: Option<ReconfirmShape>,
    /// How users change their numbers.
    pub bindings: Option<BindingShape>,
}

/// How users change their numbers.
#[derive(ToSchema)]
#[schema(as = BindingSettings)]
#[serde(deny_unknown_fields)]
pub struct BindingShape {
    /// How long a user waits who lost the old number, `1h` to `30d`; null: without the old number nothing is changed.
    #[schema(pattern = "^[0-9]+(ms|s|m|h|d)$", example = "72h")]
    pub lost_delay: Option<String>,
    /// So long after a number got another SIM card or owner, it is not bound and proves nothing, `1h` to `30d`.
    #[schema(pattern = "^[0-9]+(ms|s|m|h|d)$", example = "7d")]
    pub hold: Option<String>,
    /// What the new number gets; with `{code}`.
    #[schema(max_length = 480)]
    pub new_text: Option<String>,
    /// What the old number gets; with `{code}`.
    #[schema(max_length = 480)]
    pub old_text: Option<String>,
    /// What the old number is told when it is said to be lost.
    #[schema(max_length = 480)]
    pub notice: Option<String>,
}

/// Numbers that were confirmed long ago, or that a lookup says have another owner.
#[derive(ToSchema)]
#[schema(as = ReconfirmSettings)]
#[serde(deny_unknown_fields)]
pub struct ReconfirmShape {
    /// Due after so many months: 3, 6 or 12; null: only when a lookup says that the number has another owner.
    #[schema(example = 6)]
    pub months: Option<u8>,
    /// How long a number that is due is still known, `1d` to `90d`.
    #[schema(pattern = "^[0-9]+(ms|s|m|h|d)$", example = "14d")]
    pub grace: Option<String>,
    /// Ask a number by SMS as soon as it is due.
    pub ask: Option<bool>,
    /// What it is asked.
    #[schema(max_length = 480)]
    pub question: Option<String>,
}

/// What a subaccount asks numbers for.
#[derive(ToSchema)]
#[schema(as = ConsentPolicy)]
#[serde(deny_unknown_fields)]
pub struct ConsentPolicyShape {
    /// Of which category messages are that do not say so: `transactional` or `marketing`.
    #[schema(example = "transactional")]
    pub default_category: Option<String>,
    /// Advertising goes only to numbers with an opt-in.
    pub marketing_needs_opt_in: Option<bool>,
}

//! What `/v1/bindings` takes and shows, and why it refuses.

use axum::http::StatusCode;
use seawall_core::binding::{Missing, Refused as Step, Side};
use seawall_core::id::IdKind;
use seawall_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::answers::{self, Refused};
use super::requests::Client;
use super::views::CheckView;
use crate::app::bindings::{NotBound, Shown, Stored};
use crate::http::problem::Problem;

/// A number for a user.
#[derive(Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BindingRequest {
    /// Your own name for the user.
    #[schema(max_length = 256, example = "user-4711")]
    pub user: String,
    /// The new number, E.164, or national with `country`.
    #[schema(example = "+6591234567")]
    pub to: String,
    /// Two letters by ISO 3166-1, for national numbers.
    pub country: Option<String>,
    /// The number that the user has, E.164. Only needed for users whose number was never bound here; where it was, naming
    /// another one is refused.
    #[schema(example = "+6598765432")]
    pub old: Option<String>,
    /// Which subaccount; may be left out when the key has only one.
    pub subaccount_id: Option<String>,
    /// The end user.
    #[serde(default)]
    pub client: Client,
}

/// One of the two numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Number {
    /// The one that is to be bound.
    New,
    /// The one that the user had before.
    Old,
}

impl From<Number> for Side {
    fn from(number: Number) -> Self {
        match number {
            Number::New => Side::New,
            Number::Old => Side::Old,
        }
    }
}

/// To which number a code goes.
#[derive(Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BindingSend {
    /// `new` or `old`.
    pub number: Number,
    /// The end user.
    #[serde(default)]
    pub client: Client,
}

/// A code that one of the numbers got.
#[derive(Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BindingCheck {
    /// `new` or `old`.
    pub number: Number,
    /// What was typed.
    #[schema(example = "123456", max_length = 64)]
    pub code: String,
    /// Who typed it.
    #[serde(default)]
    pub client: Client,
}

/// What is missing until the number is bound.
#[derive(Debug, Default, Serialize, ToSchema)]
pub struct MissingView {
    /// A code to the new number.
    pub new: bool,
    /// A code to the old number.
    pub old: bool,
    /// Nothing is bound before this instant, and codes that were right before it do not count.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub wait_until: Option<Timestamp>,
}

/// A number on its way to a user.
#[derive(Debug, Serialize, ToSchema)]
pub struct BindingView {
    /// `bnd_…`
    pub id: String,
    /// For which subaccount.
    pub subaccount_id: String,
    /// Your own name for the user.
    pub user: String,
    /// The new number, E.164.
    pub to: String,
    /// `pending`, `bound`, `canceled` or `expired`. Only right codes make it `bound`.
    #[schema(value_type = String, example = "pending")]
    pub status: &'static str,
    /// What is missing.
    pub missing: MissingView,
    /// Not bound by then: never.
    #[schema(value_type = String, format = DateTime)]
    pub expires_at: Timestamp,
    /// Why it was canceled: `app`, `replaced` or `not-me`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub because: Option<String>,
}

impl BindingView {
    /// As it stands at an instant.
    pub(super) fn of(one: &Stored, now: Timestamp) -> Self {
        let Shown { id, subaccount, user, to, state, missing, ends_at, because } = one.shown(now);
        let wait = missing.iter().find_map(|m| match m {
            Missing::Wait(until) => Some(*until),
            _ => None,
        });
        BindingView {
            id: id.show(IdKind::Binding),
            subaccount_id: subaccount,
            user,
            to: to.to_e164(),
            status: state.as_str(),
            missing: MissingView {
                new: missing.contains(&Missing::NewProof),
                old: missing.contains(&Missing::OldProof),
                wait_until: wait,
            },
            expires_at: ends_at,
            because,
        }
    }
}

/// What became of a code, and of the binding.
#[derive(Debug, Serialize, ToSchema)]
pub struct BindingChecked {
    /// What became of the code.
    pub check: CheckView,
    /// The binding after it.
    pub binding: BindingView,
}

/// A user's number and what is on its way.
#[derive(Debug, Serialize, ToSchema)]
pub struct UserNumbers {
    /// The number that the user has by what was bound here, E.164.
    pub number: Option<String>,
    /// Since when.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub since: Option<Timestamp>,
    /// Bindings of the user, newest first; gone a day after their end.
    pub bindings: Vec<BindingView>,
}

/// Whose.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct UserQuery {
    /// Your own name for the user.
    pub user: String,
    /// Which subaccount; may be left out when the key has only one.
    pub subaccount_id: Option<String>,
}

/// Why a step was not taken, in words.
pub(super) fn refused(why: NotBound, now: Timestamp) -> Refused {
    let conflict = |code, detail: &str| Problem::new(StatusCode::CONFLICT, code, detail.to_owned()).into();
    match why {
        NotBound::Refusal(refusal) => refusal.into(),
        NotBound::Already => conflict("binding-same-number", "The user has this number already."),
        NotBound::OtherNumber => {
            conflict("binding-other-number", "The user has another number than `old` says; leave `old` out.")
        }
        NotBound::TooOften(again) => {
            let detail = "Too many attempts to change this number lately; try again later.";
            Problem::new(StatusCode::TOO_MANY_REQUESTS, "binding-too-often", detail)
                .retry_after(answers::wait(again, now))
                .into()
        }
        NotBound::Step(Step::Ended(state)) => {
            let detail = format!("The binding has ended: it is {}. Begin a new one.", state.as_str());
            Problem::new(StatusCode::CONFLICT, "binding-ended", detail)
                .with("binding_status", state.as_str())
                .into()
        }
        NotBound::Step(Step::NoOld) => conflict(
            "binding-no-old-number",
            "No code of the old number counts here: there is none, it was erased, it is lost, or it has another owner.",
        ),
        NotBound::Step(Step::NewFirst) => conflict(
            "binding-new-first",
            "The new number comes first: confirm its code, then go on within 30 minutes.",
        ),
        NotBound::Step(Step::NoAlternative) => conflict(
            "binding-needs-old-number",
            "Without the old number nothing is changed here; an operator may set consent.bindings.lost_delay.",
        ),
    }
}

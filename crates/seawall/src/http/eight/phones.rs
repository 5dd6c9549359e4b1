//! Number lookup: `format`, `operator` and `live`. A provider that fails is no error of the request: the answer
//! is 200, and its `status` says what went wrong.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use seawall_connect::lookup::{Depth, LookupFailure, Network};
use seawall_core::country::Country;
use seawall_core::msisdn::{Msisdn, NumberKind};
use seawall_core::reason::ReasonCode;
use serde::Serialize;
use utoipa::ToSchema;

use super::call::{Entered, enter};
use super::error::{Answer, Refusals, Refused, refusal};
use crate::app::entities::Scope;
use crate::app::lookup::{LookUp, LookedUp, carrier, look_up, original};
use crate::app::who::Caller;
use crate::app::{App, Refusal};
use crate::http::door::RequestId;
use crate::http::native::whole;

/// An operator, as 8x8 writes it.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = EightOperator)]
pub(super) struct Operator {
    /// Its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    operator_name: Option<String>,
    /// Mobile country code.
    #[serde(skip_serializing_if = "Option::is_none")]
    mcc: Option<String>,
    /// Mobile network code.
    #[serde(skip_serializing_if = "Option::is_none")]
    mnc: Option<String>,
    /// Two letters.
    #[serde(skip_serializing_if = "Option::is_none")]
    country: Option<String>,
}

/// How the lookup went.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = EightLookupStatus)]
pub(super) struct Status {
    /// `ok` or `error`.
    #[schema(value_type = String)]
    state: &'static str,
    /// When.
    timestamp: String,
    /// 8x8's number for what went wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    error_code: Option<u16>,
    /// In words.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    error_message: Option<&'static str>,
}

/// What is known of a number. What is unknown is left out.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = EightLookup)]
pub(super) struct Lookup {
    request_id: String,
    /// E.164 with `+`.
    phone_number: String,
    /// As people there write it.
    phone_number_national: String,
    /// `Mobile`, `FixedLine`, …
    #[schema(value_type = String)]
    phone_type: &'static str,
    /// Two letters.
    country: String,
    /// Whether its phone is in a foreign network.
    #[serde(skip_serializing_if = "Option::is_none")]
    roaming: Option<bool>,
    /// Whether its phone is on.
    #[serde(skip_serializing_if = "Option::is_none")]
    presence: Option<bool>,
    /// Whether it was taken to another operator.
    #[serde(skip_serializing_if = "Option::is_none")]
    ported: Option<bool>,
    status: Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    original_operator: Option<Operator>,
    #[serde(skip_serializing_if = "Option::is_none")]
    current_operator: Option<Operator>,
    #[serde(skip_serializing_if = "Option::is_none")]
    roaming_operator: Option<Operator>,
}

/// Looks a number up.
#[utoipa::path(
    get,
    path = "/api/v1/subaccounts/{subAccountId}/phones/{phoneNumber}",
    tag = "8x8 Number Lookup",
    operation_id = "eight_lookup",
    params(
        ("subAccountId" = String, Path),
        ("phoneNumber" = String, Path, description = "International, or national with `country`"),
        ("country" = Option<String>, Query, min_length = 2, max_length = 2),
        ("type" = Option<String>, Query, description = "`format` (default), `operator` or `live`")
    ),
    responses((status = 200, body = Lookup), Refusals),
    security(("api_key" = []))
)]
pub(super) async fn look(State(app): State<Arc<App>>, request: Request) -> Response {
    find(app, request).await.into_response()
}

async fn find(app: Arc<App>, request: Request) -> Answer<Response> {
    let Entered { call, subaccount } = enter(&app, request, Scope::Lookup).await?;
    let depth = match call.query("type")?.as_deref() {
        None | Some("format") => None,
        Some("operator") => Some(Depth::Operator),
        Some("live") => Some(Depth::Live),
        Some(_) => return Err(Refused::bad(1000, "Invalid type: format, operator or live is needed")),
    };
    let wrong = || Refused::bad(1000, "Invalid country: two letters by ISO 3166-1 are needed");
    let country = call.query("country")?.map(|text| Country::parse(&text).ok_or_else(wrong)).transpose()?;
    let number = Msisdn::parse(call.param("phoneNumber"), country)
        .map_err(|error| Refused::bad(1002, format!("Invalid MSISDN format: {error}")))?;
    let ask = LookUp { depth, ..LookUp::free(&subaccount.id, number) };
    let found = whole(async move { within_budget(&app, &call.caller, ask).await }).await.map_err(refusal)?;
    Ok(axum::Json(shown(&found, depth)).into_response())
}

/// A budget without room is told as 8x8 tells an empty account: the number's digits, and that error beside them.
async fn within_budget(app: &App, caller: &Caller, ask: LookUp) -> Result<LookedUp, Refusal> {
    match look_up(app, caller, ask.clone()).await {
        Err(Refusal::Decided(screened)) if is_budget(screened.leading_reason()) => {
            let found = look_up(app, caller, LookUp { depth: None, ..ask }).await?;
            Ok(LookedUp { failure: Some(LookupFailure::Balance), ..found })
        }
        answer => answer,
    }
}

fn is_budget(leading: Option<ReasonCode>) -> bool {
    matches!(leading, Some(ReasonCode::BudgetExceeded | ReasonCode::BudgetUnpriced))
}

fn shown(found: &LookedUp, depth: Option<Depth>) -> Lookup {
    let (format, state) = (&found.format, &found.state);
    // What a deeper lookup found out before is not given away by a shallower one.
    let of = |needed: Depth| depth.is_some_and(|depth| depth >= needed);
    let (operator, live) = (of(Depth::Operator), of(Depth::Live));
    let (original, current) = (original(format, state), carrier(format, state));
    Lookup {
        request_id: RequestId::current().map_or_else(|| found.screened.id.to_uuid(), |id| id.uuid()),
        phone_number: format.number.msisdn.to_e164(),
        phone_number_national: format.national.clone(),
        phone_type: phone_type(format.number.kind),
        country: format.number.country.to_string(),
        roaming: state.roaming.filter(|_| live),
        presence: state.reachable.filter(|_| live),
        ported: state.ported.or(format.ported()).filter(|_| operator),
        status: Status {
            state: if found.failure.is_some() { "error" } else { "ok" },
            timestamp: found.screened.at.to_rfc3339(),
            error_code: found.failure.map(|failure| failure.code()),
            error_message: found.failure.map(|failure| failure.message()),
        },
        original_operator: original.filter(|_| operator).map(of_network),
        current_operator: current.filter(|_| operator).map(of_network),
        roaming_operator: state.roaming_operator.clone().filter(|_| live).map(of_network),
    }
}

fn of_network(network: Network) -> Operator {
    let Network { name, mcc, mnc, country } = network;
    Operator { operator_name: name, mcc, mnc, country }
}

fn phone_type(kind: NumberKind) -> &'static str {
    match kind {
        NumberKind::FixedLine => "FixedLine",
        NumberKind::Mobile => "Mobile",
        NumberKind::FixedLineOrMobile => "FixedLineOrMobile",
        NumberKind::TollFree => "TollFree",
        NumberKind::PremiumRate => "PremiumRate",
        NumberKind::SharedCost => "SharedCost",
        NumberKind::Voip => "VoIP",
        NumberKind::PersonalNumber => "PersonalNumber",
        NumberKind::Pager => "Pager",
        NumberKind::Uan => "UAN",
        NumberKind::Voicemail => "Voicemail",
        NumberKind::Unknown => "Unknown",
    }
}

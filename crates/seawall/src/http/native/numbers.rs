//! `/v1/numbers`: what is known of a number.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use seawall_connect::lookup::{Depth, Network};
use seawall_core::id::IdKind;
use seawall_core::lookup::RiskReason;
use seawall_core::money::Currency;
use seawall_core::msisdn::ParsedNumber;
use seawall_core::msisdn::veil::veil;
use seawall_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::answers::Refused;
use super::caller::{Known, Posted, enter_chosen};
use super::{read, whole};
use crate::app::entities::Scope;
use crate::app::lookup::{LookUp, LookedUp, carrier, look_up, original};
use crate::app::{App, Refusal};
use crate::http::extract::{Path, Query};
use crate::http::problem::Problem;

/// Numbers of one batch.
const BATCH: usize = 1000;

/// How much is asked for.
#[derive(Clone, Copy, Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum LookupType {
    /// What is known here: digits, tables, corrections, and what providers said before. Free of charge.
    #[default]
    Format,
    /// Also which operator carries the number.
    Operator,
    /// Also what its phone does right now.
    Live,
}

impl LookupType {
    /// How deep that is.
    pub fn depth(self) -> Option<Depth> {
        match self {
            LookupType::Format => None,
            LookupType::Operator => Some(Depth::Operator),
            LookupType::Live => Some(Depth::Live),
        }
    }
}

/// How a number is looked up.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields, default)]
pub struct LookupQuery {
    /// Two letters by ISO 3166-1, for a number in national form.
    pub country: Option<String>,
    /// How much is asked for; `format` when absent.
    #[serde(rename = "type")]
    #[param(inline)]
    pub kind: LookupType,
    /// Which subaccount; needed by a key for several.
    pub subaccount_id: Option<String>,
}

/// An operator's network.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = LookupOperator)]
pub struct OperatorView {
    /// Its name.
    pub name: Option<String>,
    /// Mobile country code.
    #[schema(example = "525")]
    pub mcc: Option<String>,
    /// Mobile network code.
    #[schema(example = "01")]
    pub mnc: Option<String>,
    /// Its country.
    #[schema(example = "SG")]
    pub country: Option<String>,
}

impl From<Network> for OperatorView {
    fn from(network: Network) -> Self {
        OperatorView { name: network.name, mcc: network.mcc, mnc: network.mnc, country: network.country }
    }
}

/// How risky a number is.
#[derive(Debug, Serialize, ToSchema)]
pub struct LookupRisk {
    /// 0 to 100: what its range has been doing, the lists, and what its digits say.
    pub score: u8,
    /// What it consists of: `{code, detail, score}`, the greatest part first.
    #[schema(value_type = Vec<Object>)]
    pub reasons: Vec<RiskReason>,
}

/// Why a provider said nothing.
#[derive(Debug, Serialize, ToSchema)]
pub struct LookupError {
    /// Such as `timeout`.
    #[schema(value_type = String)]
    pub code: &'static str,
    /// In words.
    #[schema(value_type = String)]
    pub detail: &'static str,
}

/// What is known of a number. What nobody knows is `null`.
#[derive(Debug, Serialize, ToSchema)]
pub struct NumberView {
    /// E.164.
    #[schema(example = "+6591234567")]
    pub number: String,
    /// As people there write it; `null` if it came encrypted.
    #[schema(example = "9123 4567")]
    pub national: Option<String>,
    /// Whether it is in its country's plan.
    pub valid: bool,
    /// `mobile`, `fixed_line`, …
    #[schema(value_type = String, example = "mobile")]
    pub r#type: &'static str,
    /// Two letters; `001` for numbers of no country.
    #[schema(example = "SG")]
    pub country: String,
    /// IANA names of the zones that it may be in.
    pub time_zones: Vec<String>,
    /// The operator that carries it, as far as is known: the first one of its range until somebody says otherwise.
    pub operator: Option<OperatorView>,
    /// The operator that its range was first given to.
    pub original_operator: Option<OperatorView>,
    /// Whether it was taken to another operator.
    pub ported: Option<bool>,
    /// Whether its phone is in a foreign network.
    pub roaming: Option<bool>,
    /// That network.
    pub roaming_operator: Option<OperatorView>,
    /// Whether its phone can be reached.
    pub reachable: Option<bool>,
    /// When its SIM card was last replaced.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub sim_swapped_at: Option<Timestamp>,
    /// When it was last given to another owner.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub reassigned_at: Option<Timestamp>,
    /// Whether its calls are forwarded.
    pub call_forwarding: Option<bool>,
    /// A number of a public receive-SMS site.
    pub disposable: bool,
    /// How risky it is.
    pub risk: LookupRisk,
    /// Whether it opted out of this subaccount's messages.
    pub opted_out: bool,
    /// When this subaccount last confirmed it.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_confirmed_at: Option<Timestamp>,
    /// When a provider said what is known beyond the digits.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub asked_at: Option<Timestamp>,
    /// Why a provider that was asked now said nothing.
    pub error: Option<LookupError>,
    /// What asking cost, in micro-units; 0 when nobody was asked, or nobody answered.
    pub cost: i64,
    /// The account's currency.
    #[schema(value_type = String, example = "USD")]
    pub currency: Currency,
    /// The decision that allowed the lookup, `dec_…`.
    pub decision_id: String,
}

/// Reasons may name the range of a number.
fn told(mut reasons: Vec<RiskReason>, number: &ParsedNumber) -> Vec<RiskReason> {
    if number.veiled {
        let digits = number.msisdn.digits();
        reasons.iter_mut().for_each(|reason| reason.detail = veil(&digits, &reason.detail));
    }
    reasons
}

impl From<LookedUp> for NumberView {
    fn from(found: LookedUp) -> Self {
        let LookedUp { format, state, risk, .. } = found;
        let veiled = format.number.veiled;
        let (original, operator) = (original(&format, &state), carrier(&format, &state));
        NumberView {
            number: format.number.msisdn.shown(veiled),
            ported: state.ported.or(format.ported()),
            national: (!veiled).then_some(format.national),
            valid: format.number.valid,
            r#type: format.number.kind.as_str(),
            country: format.number.country.to_string(),
            time_zones: format.time_zones.iter().map(|zone| (*zone).to_owned()).collect(),
            operator: operator.map(OperatorView::from),
            original_operator: original.map(OperatorView::from),
            roaming: state.roaming,
            roaming_operator: state.roaming_operator.map(OperatorView::from),
            reachable: state.reachable,
            sim_swapped_at: state.sim_swapped_at,
            reassigned_at: state.reassigned_at,
            call_forwarding: state.call_forwarding,
            disposable: format.disposable,
            risk: LookupRisk { score: risk.score, reasons: told(risk.reasons, &format.number) },
            opted_out: found.opted_out,
            last_confirmed_at: found.last_confirmed_at,
            asked_at: found.asked_at,
            error: found
                .failure
                .map(|failure| LookupError { code: failure.as_str(), detail: failure.message() }),
            cost: found.cost,
            currency: found.currency,
            decision_id: found.screened.id.show(IdKind::Decision),
        }
    }
}

/// A number in a path.
pub fn number(text: &str, country: Option<&str>) -> Result<ParsedNumber, Refusal> {
    read::written_out("msisdn", text, country)
}

/// Look a number up. Unknown numbers and those that only other subaccounts used answer alike.
#[utoipa::path(
    get,
    path = "/v1/numbers/{msisdn}",
    operation_id = "lookUpNumber",
    tag = "numbers",
    params(("msisdn" = String, Path, description = "In international form, `+` written `%2B` or left out"), LookupQuery),
    responses((status = 200, description = "What is known.", body = NumberView)),
    security(("api_key" = []))
)]
pub async fn get(
    State(app): State<Arc<App>>,
    Known(caller): Known,
    Path(msisdn): Path<String>,
    Query(query): Query<LookupQuery>,
) -> Result<Json<NumberView>, Refused> {
    let named = query.subaccount_id.as_deref();
    let subaccount = enter_chosen(&app, &caller, named, Scope::Lookup, app.now()).await?;
    let number = number(&msisdn, query.country.as_deref())?;
    let ask = LookUp { depth: query.kind.depth(), ..LookUp::free(&subaccount.id, number) };
    let found = whole(async move { look_up(&app, &caller, ask).await }).await?;
    Ok(Json(found.into()))
}

/// Many numbers at once.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LookupBatch {
    /// 1 to 1,000, in any usual spelling.
    #[schema(min_items = 1, max_items = 1000)]
    pub numbers: Vec<String>,
    /// For numbers in national form.
    pub country: Option<String>,
    /// How much is asked for; `format` when absent.
    #[serde(default, rename = "type")]
    pub kind: LookupType,
    /// Which subaccount; needed by a key for several.
    pub subaccount_id: Option<String>,
}

/// Why a number of a batch was not looked up.
#[derive(Serialize, ToSchema)]
pub struct LookupProblem {
    /// As a single lookup would be refused.
    #[schema(example = "invalid-request")]
    pub code: String,
    /// What was wrong and what to do.
    pub detail: String,
}

impl From<Problem> for LookupProblem {
    fn from(problem: Problem) -> Self {
        LookupProblem { code: problem.code().to_owned(), detail: problem.detail().to_owned() }
    }
}

/// What became of one of many numbers.
#[derive(Serialize, ToSchema)]
pub struct LookupRow {
    /// Its place in the request, from 0.
    pub position: usize,
    /// What is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub found: Option<NumberView>,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<LookupProblem>,
}

/// What became of many numbers.
#[derive(Serialize, ToSchema)]
pub struct LookupRows {
    /// One for each, in order. Once the caller has to wait, the rest are refused alike.
    pub data: Vec<LookupRow>,
}

/// Look up to 1,000 numbers up. Each counts for the limits; what is wrong with one does not hold the others back.
#[utoipa::path(
    post,
    path = "/v1/numbers/batch",
    operation_id = "lookUpNumbers",
    tag = "numbers",
    request_body = LookupBatch,
    responses((status = 200, description = "One row for each number, in order.", body = LookupRows)),
    security(("api_key" = []))
)]
pub async fn batch(
    State(app): State<Arc<App>>,
    Known(caller): Known,
    posted: Posted<LookupBatch>,
) -> Result<Json<LookupRows>, Refused> {
    let asked = posted.value;
    if !(1..=BATCH).contains(&asked.numbers.len()) {
        return Err(read::invalid("numbers", format!("`numbers` has 1 to {BATCH} numbers")).into());
    }
    let named = asked.subaccount_id.as_deref();
    let subaccount = enter_chosen(&app, &caller, named, Scope::Lookup, app.now()).await?;
    let mut data = Vec::with_capacity(asked.numbers.len());
    for (position, text) in asked.numbers.iter().enumerate() {
        let found = match read::number(&app, "msisdn", text, asked.country.as_deref()) {
            Ok(number) => {
                let ask = LookUp { depth: asked.kind.depth(), ..LookUp::free(&subaccount.id, number) };
                let (app, caller) = (app.clone(), caller.clone());
                whole(async move { look_up(&app, &caller, ask).await }).await
            }
            Err(refusal) => Err(refusal),
        };
        data.push(match found {
            Ok(found) => LookupRow { position, found: Some(found.into()), problem: None },
            Err(Refusal::Unavailable(error)) => return Err(Refusal::Unavailable(error).into()),
            Err(refusal) => {
                LookupRow { position, found: None, problem: Some(Refused::from(refusal).0.into()) }
            }
        });
    }
    Ok(Json(LookupRows { data }))
}

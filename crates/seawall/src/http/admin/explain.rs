//! `/admin/v1/explain`: what would be done with a request, check by check, and what would change it.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use seawall_core::client_ip::ClientIp;
use seawall_core::id::IdKind;
use seawall_core::msisdn::Msisdn;
use seawall_core::request::{Client, Operation, Request};
use seawall_core::segments::{EncodingChoice, segment};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::auth::Admin;
use crate::app::explain::{Explained, explain as test};
use crate::app::number_history::NumberHistory;
use crate::app::send_messages::price;
use crate::app::{App, texts};
use crate::http::door::CallerIp;
use crate::http::extract::{announced, body, parse};
use crate::http::native::answers::Refused;
use crate::http::native::read;
use crate::http::native::views::DecisionView;
use crate::http::native::words::{ChannelWord, OperationWord};
use crate::http::problem::Problem;

/// The request to be explained.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ExplainRequest {
    /// The recipient in international form.
    #[schema(example = "+6591234567", max_length = 64)]
    pub to: String,
    /// Which subaccount; the first one when absent.
    pub subaccount_id: Option<String>,
    /// What would be done; a code is sent when absent.
    pub operation: Option<OperationWord>,
    /// How it would travel.
    #[serde(default)]
    pub channel: ChannelWord,
    /// Who stands behind it.
    #[serde(default)]
    pub client: crate::http::native::requests::Client,
    /// What for.
    #[schema(max_length = 64)]
    pub purpose: Option<String>,
    /// The text of a message.
    #[schema(max_length = 1600)]
    pub text: Option<String>,
    /// Sender ID.
    #[schema(max_length = 16)]
    pub source: Option<String>,
}

/// The request explained. Nothing was sent, charged, recorded or learned.
#[derive(Serialize, ToSchema)]
pub struct ExplainView {
    /// As it would be decided now.
    pub decision: DecisionView,
    /// Every check in order: `{check, result: pass|counts|shadow, reasons}`.
    #[schema(value_type = Vec<Object>)]
    pub checks: Value,
    /// Every limit and budget that counts such a request, full or not.
    #[schema(value_type = Vec<Object>)]
    pub limits: Value,
    /// Single changes that would lead to a milder verdict: `{change, detail, verdict}`.
    #[schema(value_type = Vec<Object>)]
    pub would_change: Value,
    /// The number's own history.
    pub history: NumberHistory,
    /// What detection holds about the request's keys: `{kind, key, trials, confirmed, expected, suspicion, alarm,
    /// …}`. From the alarm on an attack is more likely than not.
    #[schema(value_type = Vec<Object>)]
    pub keys: Value,
}

impl From<Explained> for ExplainView {
    fn from(explained: Explained) -> Self {
        let json = |value: serde_json::Result<Value>| value.unwrap_or_default();
        ExplainView {
            checks: json(serde_json::to_value(&explained.checks)),
            limits: json(serde_json::to_value(&explained.limits)),
            would_change: json(serde_json::to_value(&explained.would_change)),
            keys: json(serde_json::to_value(&explained.keys)),
            history: explained.history,
            decision: DecisionView::from(explained.screened.record()),
        }
    }
}

/// Explain a request: every check with value, threshold and result, and what would change it.
#[utoipa::path(
    post,
    path = "/admin/v1/explain",
    operation_id = "explain",
    tag = "history",
    request_body = ExplainRequest,
    responses((status = 200, description = "Nothing was sent, charged, recorded or learned.", body = ExplainView)),
    security(("admin_token" = []))
)]
pub async fn explain(
    State(app): State<Arc<App>>,
    _admin: Admin,
    request: axum::extract::Request,
) -> Result<Json<ExplainView>, Refused> {
    announced(request.headers())?;
    let nobody = ClientIp::from_ip(std::net::Ipv4Addr::UNSPECIFIED.into());
    let caller = request.extensions().get::<CallerIp>().map_or(nobody, |caller| caller.0);
    let bytes = body(request, &app).await?;
    let asked = request_of(&app, parse(&bytes)?, caller)?;
    Ok(Json(test(&app, asked, app.now()).await.map_err(crate::app::Refusal::from)?.into()))
}

fn request_of(app: &App, asked: ExplainRequest, caller: ClientIp) -> Result<Request, Refused> {
    let snapshot = app.snapshot.load();
    let first = || snapshot.subaccounts.keys().min().cloned();
    let subaccount = asked.subaccount_id.or_else(first).unwrap_or_default();
    if !snapshot.subaccounts.contains_key(&subaccount) {
        let detail = "`subaccount_id` names no subaccount; GET /admin/v1/subaccounts lists them.";
        return Err(Problem::field("subaccount_id", detail).into());
    }
    let to = Msisdn::parse(&asked.to, None).map_err(|e| read::invalid("to", e.to_string()))?;
    let operation = asked.operation.map_or(Operation::VerifyStart, Operation::from);
    let text = asked.text.unwrap_or_default();
    let sized = match text.is_empty() {
        true => 1,
        false => {
            let sized = segment(&text, EncodingChoice::Auto);
            sized.map_err(|e| read::invalid("text", e.to_string()))?.segments
        }
    };
    let client: Client = read::client(asked.client)?;
    Ok(Request {
        channel: asked.channel.into(),
        client,
        purpose: asked.purpose,
        message: match operation {
            // A code's text is one of ours unless the caller gives one, so there is nothing to look at.
            Operation::VerifyStart => seawall_core::request::MessageTraits {
                source: asked.source,
                template: Some("(default)".to_owned()),
                ..seawall_core::request::MessageTraits::default()
            },
            _ => texts::of_message(&snapshot, &subaccount, &text, asked.source.as_deref()),
        },
        segments: sized,
        price: price(app, to.country, sized).map(|p| p.total),
        ..Request::new(operation, subaccount, IdKind::Key.prefix(), &to, caller)
    })
}

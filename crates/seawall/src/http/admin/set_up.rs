//! The collections of what is set up.

use std::sync::Arc;

use axum::extract::State;
use serde_json::{Map, Value};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::auth::Admin;
use super::rest::collection;
use crate::app::App;
use crate::app::collections::api_keys::{self as keys, ApiKeyView, RotateInput};
use crate::http::extract::{Path, announced, body, parse};
use crate::http::native::answers::Refused;
use crate::http::native::whole;

#[rustfmt::skip] // one collection a line reads as the table that it is
mod tables {
    use super::collection;
    collection!(subaccounts, Subaccounts, SubaccountInput, SubaccountView, "subaccounts", "Subaccounts", "Subaccount");
    collection!(api_keys, ApiKeys, ApiKeyInput, ApiKeyView, "api-keys", "ApiKeys", "ApiKey");
    collection!(ip_allowlist, IpAllowlist, AllowedInput, AllowedView, "ip-allowlist", "IpAllowlist", "IpAllowlistEntry");
    collection!(limits, Limits, LimitInput, LimitView, "limits", "Limits", "Limit");
    collection!(lists, Lists, ListInput, ListView, "lists", "Lists", "List");
    collection!(rules, Rules, RuleInput, RuleView, "rules", "Rules", "Rule");
    collection!(providers, Providers, ProviderInput, ProviderView, "providers", "Providers", "Provider");
    collection!(routes, Routes, RouteInput, RouteView, "routes", "Routes", "Route");
    collection!(prices, Prices, PriceInput, PriceView, "prices", "Prices", "Price");
    collection!(webhooks, Webhooks, WebhookInput, WebhookView, "webhooks", "Webhooks", "Webhook");
    collection!(voice_webhooks, VoiceWebhooks, VoiceWebhookInput, VoiceWebhookView, "voice-webhooks", "VoiceWebhooks", "VoiceWebhook");
    collection!(number_pools, NumberPools, NumberPoolInput, NumberPoolView, "number-pools", "NumberPools", "NumberPool");
    collection!(virtual_numbers, VirtualNumbers, VirtualNumberInput, VirtualNumberView, "virtual-numbers", "VirtualNumbers", "VirtualNumber");
    collection!(budgets, Budgets, BudgetInput, BudgetView, "budgets", "Budgets", "Budget");
    collection!(plans, Plans, PlanInput, PlanView, "plans", "Plans", "Plan");
    collection!(test_numbers, TestNumbers, TestNumberInput, TestNumberView, "test-numbers", "TestNumbers", "TestNumber");
    collection!(templates, Templates, TemplateInput, TemplateView, "templates", "Templates", "Template");
}

use tables::{
    api_keys, budgets, ip_allowlist, limits, lists, number_pools, plans, prices, providers, routes as ways,
    rules, subaccounts, templates, test_numbers, virtual_numbers, voice_webhooks, webhooks,
};

/// Their routes.
pub fn router() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::default()
        .routes(routes!(subaccounts::create, subaccounts::list))
        .routes(routes!(subaccounts::get, subaccounts::patch, subaccounts::delete))
        .routes(routes!(api_keys::create, api_keys::list))
        .routes(routes!(api_keys::get, api_keys::patch, api_keys::delete))
        .routes(routes!(rotate))
        .routes(routes!(ip_allowlist::create, ip_allowlist::list))
        .routes(routes!(ip_allowlist::get, ip_allowlist::patch, ip_allowlist::delete))
        .routes(routes!(limits::create, limits::list))
        .routes(routes!(limits::get, limits::patch, limits::delete))
        .routes(routes!(lists::create, lists::list))
        .routes(routes!(lists::get, lists::patch, lists::delete))
        .routes(routes!(rules::create, rules::list))
        .routes(routes!(rules::get, rules::patch, rules::delete))
        .routes(routes!(providers::create, providers::list))
        .routes(routes!(providers::get, providers::patch, providers::delete))
        .routes(routes!(ways::create, ways::list))
        .routes(routes!(ways::get, ways::patch, ways::delete))
        .routes(routes!(prices::create, prices::list))
        .routes(routes!(prices::get, prices::patch, prices::delete))
        .routes(routes!(webhooks::create, webhooks::list))
        .routes(routes!(webhooks::get, webhooks::patch, webhooks::delete))
        .routes(routes!(voice_webhooks::create, voice_webhooks::list))
        .routes(routes!(voice_webhooks::get, voice_webhooks::patch, voice_webhooks::delete))
        .routes(routes!(number_pools::create, number_pools::list))
        .routes(routes!(number_pools::get, number_pools::patch, number_pools::delete))
        .routes(routes!(virtual_numbers::create, virtual_numbers::list))
        .routes(routes!(virtual_numbers::get, virtual_numbers::patch, virtual_numbers::delete))
        .routes(routes!(budgets::create, budgets::list))
        .routes(routes!(budgets::get, budgets::patch, budgets::delete))
        .routes(routes!(plans::create, plans::list))
        .routes(routes!(plans::get, plans::patch, plans::delete))
        .routes(routes!(templates::create, templates::list))
        .routes(routes!(templates::get, templates::patch, templates::delete))
        .routes(routes!(test_numbers::create, test_numbers::list))
        .routes(routes!(test_numbers::get, test_numbers::patch, test_numbers::delete))
}

/// Give a key a new secret. The old one stays valid for the overlap.
#[utoipa::path(
    post,
    path = "/admin/v1/api-keys/{id}/rotate",
    operation_id = "rotateApiKey",
    tag = "set-up",
    params(("id" = String, Path, description = "Its id or its unique name.")),
    request_body = Option<RotateInput>,
    responses((status = 200, description = "With the new secret, which is not shown again.", body = ApiKeyView)),
    security(("admin_token" = []))
)]
async fn rotate(
    State(app): State<Arc<App>>,
    admin: Admin,
    Path(id): Path<String>,
    request: axum::extract::Request,
) -> Result<axum::Json<ApiKeyView>, Refused> {
    let body = match optional(request).await? {
        Value::Null => Value::Object(Map::new()),
        given => given,
    };
    let work = async move { keys::rotate(&app, &admin.actor, &id, body).await };
    Ok(axum::Json(whole(work).await?))
}

/// No body at all means the usual overlap.
async fn optional(request: axum::extract::Request) -> Result<Value, Refused> {
    let announced = announced(request.headers());
    let bytes = body(request, &()).await?;
    if bytes.is_empty() {
        return Ok(Value::Null);
    }
    announced?;
    Ok(parse(&bytes)?)
}

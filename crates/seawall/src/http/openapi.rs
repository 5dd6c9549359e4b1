//! `/openapi.json`: what is served, described from the same routes that serve it.

use axum::body::Bytes;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::IntoResponse;
use axum::{Extension, Router, http::HeaderValue};
use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// An error (RFC 9457). There may be more fields beside these.
#[derive(ToSchema)]
#[schema(as = Problem)]
#[expect(dead_code, reason = "describes `Problem`, which writes itself")]
pub struct ProblemBody {
    /// Where the code is explained.
    #[schema(example = "/docs/problems#limit-exceeded")]
    r#type: String,
    /// The same for every problem of one code.
    title: String,
    /// The status of the answer.
    status: u16,
    /// What was wrong and what to do.
    detail: String,
    /// This very occurrence.
    instance: Option<String>,
    /// Kebab-case; for refusals the code of the leading reason.
    #[schema(example = "limit-exceeded")]
    code: String,
    /// Also in the header `X-Request-Id`.
    request_id: Option<String>,
    /// Which field was wrong.
    field: Option<String>,
    /// The decision that refused; also in the header `Seawall-Decision-Id`.
    decision_id: Option<String>,
    /// Why it refused.
    #[schema(value_type = Option<Vec<Object>>)]
    reasons: Option<Vec<Value>>,
    /// Seconds; also in the header `Retry-After`.
    retry_after: Option<u64>,
}

/// The document, made once.
#[derive(Clone)]
struct Document(Bytes);

/// The route of the document itself, which describes all others and itself.
pub fn served<S: Clone + Send + Sync + 'static>(api: &mut OpenApi) -> Router<S> {
    let (route, own) = OpenApiRouter::default().routes(routes!(document)).split_for_parts();
    api.merge(own);
    let bytes = Bytes::from(serde_json::to_vec(&describe(api)).unwrap_or_default());
    route.layer(Extension(Document(bytes)))
}

/// This document.
#[utoipa::path(
    get,
    path = "/openapi.json",
    operation_id = "getOpenapi",
    tag = "operation",
    responses((status = 200, description = "OpenAPI 3.1.", body = Object))
)]
async fn document(Extension(Document(bytes)): Extension<Document>) -> impl IntoResponse {
    let json = HeaderValue::from_static("application/json");
    ([(CONTENT_TYPE, json), (CACHE_CONTROL, HeaderValue::from_static("no-cache"))], bytes)
}

/// The whole document, as JSON.
pub fn describe(routes: &OpenApi) -> Value {
    let mut document = serde_json::to_value(routes).unwrap_or_default();
    merge(&mut document, frame());
    if let Some(paths) = document.get_mut("paths").and_then(Value::as_object_mut) {
        for (path, item) in paths {
            let operations = item.as_object_mut().into_iter().flat_map(|item| item.values_mut());
            operations.for_each(|operation| say_errors(path, operation));
        }
    }
    document
}

/// What is said once for all routes.
fn frame() -> Value {
    let bearer = |what: &str| json!({"type": "http", "scheme": "bearer", "description": what});
    json!({
        "info": {
            "title": "Seawall",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "A self-hosted SMS verification gateway that explains every decision.",
            "description": "Times are RFC 3339 in UTC, numbers E.164 with `+`, amounts integer micro-units. \
                Errors of the native and the admin API are problems (RFC 9457); every refusal carries \
                `Seawall-Decision-Id`, every throttle an honest `Retry-After`.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": [
            {"name": "decisions", "description": "Would it be sent, and why not?"},
            {"name": "verifications", "description": "One-time codes."},
            {"name": "bindings", "description": "New numbers of users, and the consent of the number before."},
            {"name": "messages", "description": "Texts."},
            {"name": "operation", "description": "Health, metrics, this document."},
        ],
        "components": {
            "securitySchemes": {
                "api_key": bearer("An API key, `sw_live_…` or `sw_test_…`."),
                "twilio": {
                    "type": "http",
                    "scheme": "basic",
                    "description": "User name: `AC` and the account's 32 hexadecimal digits, or the key's id. Password: the API key.",
                },
                "admin_token": bearer("The admin token of `seawall init`, or an API key with an admin scope."),
            },
            "schemas": {"EightError": eight_error(), "TwilioError": super::twilio::error_schema()},
        },
    })
}

fn eight_error() -> Value {
    json!({
        "type": "object",
        "description": "An error as 8x8 spells it.",
        "required": ["code", "message"],
        "properties": {
            "code": {"type": "integer"},
            "message": {"type": "string"},
            "errorId": {"type": "string"},
            "timestamp": {"type": "string"},
        },
    })
}

/// What every operation may answer beside its own answers.
fn say_errors(path: &str, operation: &mut Value) {
    let (media, schema) = match path {
        path if path.starts_with("/api/") => ("application/json", "#/components/schemas/EightError"),
        path if path.starts_with("/v2/") => ("application/json", "#/components/schemas/TwilioError"),
        _ => ("application/problem+json", "#/components/schemas/Problem"),
    };
    let Some(responses) = operation.get_mut("responses").and_then(Value::as_object_mut) else { return };
    let any = json!({"description": "An error.", "content": {media: {"schema": {"$ref": schema}}}});
    responses.entry("default").or_insert(any);
}

/// Adds what is not there; the frame outranks what utoipa guessed.
fn merge(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from,
    }
}

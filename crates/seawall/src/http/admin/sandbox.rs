//! `/admin/v1/sandbox`: the phone that gets what the sandbox provider "sends", and the clock of tests.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use seawall_connect::{Echo, Inbound, Kind, Secret};
use seawall_core::id::IdKind;
use seawall_core::time::{Timestamp, span};
use seawall_store::records::Page;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::auth::Admin;
use super::page::{List, row, rows, size};
use crate::app::App;
use crate::app::collections::opt_outs::number;
use crate::app::phone::{self, Received};
use crate::http::callbacks;
use crate::http::extract::{Json, Query};
use crate::http::native::answers::Refused;
use crate::http::problem::Problem;

const LIST: &str = "sandbox/messages";
/// How far the clock may be moved at once.
const FARTHEST: Duration = Duration::from_secs(3660 * 86_400);

/// Which messages of the phone.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct PhoneQuery {
    /// Only those to this number, E.164 with `+` (written `%2B` in a URL).
    pub to: Option<String>,
    /// Entries at most, 1 to 200; 50 when absent.
    #[param(minimum = 1, maximum = 200)]
    pub limit: Option<usize>,
    /// `next_cursor` of the page before.
    pub cursor: Option<String>,
}

/// What the phone received.
#[derive(Serialize, ToSchema)]
pub struct ReceivedView {
    /// The number, E.164.
    pub to: String,
    /// From whom.
    pub from: Option<String>,
    /// What it says, the code of a verification included.
    pub text: String,
    /// `sms` or `call`.
    #[schema(value_type = String, example = "sms")]
    pub channel: &'static str,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// `msg_…`
    pub message_id: String,
}

/// What the phone answers.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AnswerInput {
    /// The phone's number, E.164 with `+`.
    #[schema(example = "+6591234567")]
    pub from: String,
    /// To which of our numbers or sender IDs.
    #[schema(min_length = 1, max_length = 21)]
    pub to: String,
    /// What it says.
    #[schema(min_length = 1, max_length = 1600)]
    pub text: String,
}

/// Moves the clock.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ClockInput {
    /// To this time. It cannot run backwards.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub now: Option<String>,
    /// By this much, such as `"30m"`.
    #[schema(pattern = "^[0-9]+(ms|s|m|h|d)$")]
    pub advance: Option<String>,
}

/// What the clock says.
#[derive(Serialize, ToSchema)]
pub struct ClockView {
    /// The gateway's time.
    #[schema(value_type = String, format = DateTime)]
    pub now: Timestamp,
}

fn received_view(message: Received) -> ReceivedView {
    ReceivedView {
        to: message.to.to_e164(),
        from: message.from,
        text: message.text,
        channel: message.channel.as_str(),
        at: message.at,
        message_id: message.id.show(IdKind::Message),
    }
}

/// What the sandbox phone received, newest first. With `to`, what was accepted a moment ago is waited for, a quarter of a
/// second at most.
#[utoipa::path(
    get,
    path = "/admin/v1/sandbox/messages",
    operation_id = "listSandboxMessages",
    tag = "sandbox",
    params(PhoneQuery),
    responses((status = 200, description = "A page.", body = List<ReceivedView>)),
    security(("admin_token" = []))
)]
pub async fn received(
    State(app): State<Arc<App>>,
    _admin: Admin,
    Query(query): Query<PhoneQuery>,
) -> Result<axum::Json<List<ReceivedView>>, Refused> {
    let limit = size(query.limit)?;
    let before = row(&app, LIST, query.cursor.as_deref())?;
    let to = query.to.map(|text| number("to", &text)).transpose()?;
    let found = phone::received(&app, to, Page { before, limit: limit + 1 }).await?;
    Ok(axum::Json(rows(&app, LIST, found, limit, |m| m.id.row(), received_view)))
}

/// The sandbox phone answers: an inbound message.
#[utoipa::path(
    post,
    path = "/admin/v1/sandbox/messages",
    operation_id = "answerFromSandbox",
    tag = "sandbox",
    request_body = AnswerInput,
    responses((status = 201, description = "It was taken in.", body = AnswerInput)),
    security(("admin_token" = []))
)]
pub async fn answered(
    State(app): State<Arc<App>>,
    _admin: Admin,
    Json(answer): Json<AnswerInput>,
) -> Result<(StatusCode, axum::Json<AnswerInput>), Refused> {
    let from = number("from", &answer.from)?;
    for (field, text, most) in [("to", &answer.to, 21), ("text", &answer.text, 1600)] {
        if text.is_empty() || text.chars().count() > most {
            return Err(Problem::field(field, format!("`{field}` must have 1 to {most} characters.")).into());
        }
    }
    let inbound = Inbound {
        from: Secret::new(from.to_e164()),
        to: answer.to.clone(),
        text: Secret::new(answer.text.clone()),
    };
    callbacks::put(&app, &sandbox_name(&app), vec![Echo::Inbound(inbound)]).await?;
    Ok((StatusCode::CREATED, axum::Json(answer)))
}

/// The name that the sandbox's provider goes by.
fn sandbox_name(app: &App) -> String {
    let snapshot = app.snapshot.load();
    let found = snapshot.providers.values().find(|running| running.provider.kind == Kind::Sandbox);
    found.map_or_else(|| "sandbox".to_owned(), |running| running.provider.name.clone())
}

/// Move every time that the gateway reads. Only when it was started with `sandbox.clock = true`.
#[utoipa::path(
    put,
    path = "/admin/v1/sandbox/clock",
    operation_id = "moveSandboxClock",
    tag = "sandbox",
    request_body = ClockInput,
    responses((status = 200, description = "What the clock says now.", body = ClockView)),
    security(("admin_token" = []))
)]
pub async fn clock(
    State(app): State<Arc<App>>,
    admin: Admin,
    Json(input): Json<ClockInput>,
) -> Result<axum::Json<ClockView>, Refused> {
    if !app.config.sandbox.clock {
        let detail =
            "The clock cannot be moved: start the gateway with sandbox.clock = true. For tests only.";
        return Err(Problem::new(StatusCode::FORBIDDEN, "sandbox-clock-off", detail).into());
    }
    let by = advance(&input, app.now())?;
    app.clock.advance(by);
    tracing::warn!(by = span::format(by), actor = admin.actor.name, "the sandbox clock was moved");
    Ok(axum::Json(ClockView { now: app.now() }))
}

fn advance(input: &ClockInput, now: Timestamp) -> Result<Duration, Problem> {
    let by = match (&input.now, &input.advance) {
        (Some(to), None) => {
            let detail = "`now` is not an RFC 3339 time such as 2026-01-05T10:00:00Z.";
            let to = Timestamp::parse(to).ok_or_else(|| Problem::field("now", detail))?;
            if to < now {
                let detail =
                    format!("`now` is before {now}, and time cannot run backwards; give a later time.");
                return Err(Problem::field("now", detail));
            }
            to.since(now)
        }
        (None, Some(by)) => span::parse(by).ok_or_else(|| {
            Problem::field("advance", "`advance` is not a duration such as \"30m\" (ms, s, m, h, d).")
        })?,
        _ => return Err(Problem::field("now", "Give either `now` or `advance`.")),
    };
    if by > FARTHEST {
        return Err(Problem::field("advance", "The clock can be moved by ten years at most."));
    }
    Ok(by)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_goes_forward_only() {
        let now = Timestamp::parse("2026-01-05T10:00:00Z").unwrap();
        let input = |to: Option<&str>, by: Option<&str>| ClockInput {
            now: to.map(str::to_owned),
            advance: by.map(str::to_owned),
        };
        assert_eq!(advance(&input(Some("2026-01-05T10:30:00Z"), None), now), Ok(Duration::from_secs(1800)));
        assert_eq!(advance(&input(None, Some("30m")), now), Ok(Duration::from_secs(1800)));
        for (to, by) in [
            (Some("2026-01-05T09:59:59Z"), None),
            (Some("tomorrow"), None),
            (None, Some("9999999d")),
            (None, None),
            (Some("2026-01-05T10:30:00Z"), Some("30m")),
        ] {
            assert!(advance(&input(to, by), now).is_err());
        }
    }
}

//! Room 8 of Twilio's dialect: the one place where a refusal becomes its body. What a refusal says in headers stays.

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::app::Refusal;
use crate::app::who::Stranger;
use crate::http::native::answers::{refused, turned_away};
use crate::http::problem::Problem;

/// A request that is not done.
#[derive(Debug)]
pub(super) struct Refused(Problem);

impl From<Problem> for Refused {
    fn from(problem: Problem) -> Self {
        Refused(problem)
    }
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Refused(refused(refusal))
    }
}

impl From<Stranger> for Refused {
    fn from(stranger: Stranger) -> Self {
        Refused(match stranger {
            Stranger::NoKey => {
                let detail = "Send the account SID (AC…) or the id of an API key as user name and the API key as password.";
                Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", detail)
            }
            other => turned_away(other),
        })
    }
}

/// Twilio's number for a problem.
fn number(problem: &Problem) -> u32 {
    match (problem.status(), problem.is_decided()) {
        (StatusCode::UNAUTHORIZED, _) | (StatusCode::FORBIDDEN, false) => 20003,
        (StatusCode::FORBIDDEN, true) => 60410,
        (StatusCode::NOT_FOUND, _) => 20404,
        (StatusCode::TOO_MANY_REQUESTS, _) => 20429,
        (status, _) if status.is_server_error() => 20503,
        _ => 20001,
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let body = json!({
            "code": number(&self.0),
            "message": self.0.detail(),
            "more_info": self.0.more(),
            "status": self.0.status().as_u16(),
        });
        let mut response = self.0.into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if response.status() == StatusCode::UNAUTHORIZED {
            let challenge = HeaderValue::from_static("Basic realm=\"seawall\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        *response.body_mut() = Body::from(body.to_string());
        response
    }
}

/// The error's description in the API document.
pub fn schema() -> Value {
    json!({
        "type": "object",
        "description": "An error as Twilio spells it.",
        "required": ["code", "message", "more_info", "status"],
        "properties": {
            "code": {"type": "integer", "examples": [20404]},
            "message": {"type": "string"},
            "more_info": {"type": "string", "description": "Where it is explained."},
            "status": {"type": "integer", "examples": [404]},
        },
    })
}

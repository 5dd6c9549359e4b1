//! Error bodies of 8x8's voice products.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::http::door::RequestId;

/// An error in the voice products' words.
pub(super) struct VoiceRefused {
    status: StatusCode,
    code: &'static str,
    message: String,
}

impl VoiceRefused {
    /// 404.
    pub fn missing(message: impl Into<String>) -> Self {
        VoiceRefused { status: StatusCode::NOT_FOUND, code: "1300", message: message.into() }
    }

    /// 422: a field does not fit.
    pub fn invalid(message: impl Into<String>) -> Self {
        VoiceRefused { status: StatusCode::UNPROCESSABLE_ENTITY, code: "1001", message: message.into() }
    }
}

/// 500: nobody who knows answers.
pub(super) fn unreachable(message: &str) -> VoiceRefused {
    VoiceRefused { status: StatusCode::INTERNAL_SERVER_ERROR, code: "2000", message: message.to_owned() }
}

/// 422: it is not done here.
pub(super) fn unsupported(message: &str) -> VoiceRefused {
    VoiceRefused { code: "2001", ..VoiceRefused::invalid(message) }
}

impl IntoResponse for VoiceRefused {
    fn into_response(self) -> Response {
        let id = RequestId::current();
        let body = json!({
            "errorId": id.as_ref().map(RequestId::uuid),
            "statusCode": self.code,
            "statusMessage": self.message,
            "timestamp": id.map(|id| id.arrived_at().to_string()),
        });
        (self.status, Json(body)).into_response()
    }
}

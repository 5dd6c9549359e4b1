//! What a request has to be before anything else looks at it. Two programs that read the same bytes
//! differently are how checks are walked around: a key that is given twice, a path that is encoded twice, a
//! body whose length is said twice. So what could be read in two ways is refused, never put right.
//!
//! [`head`] stands at the door, before any handler. [`json`] and [`query`] stand before the dialects' parsers.

mod head;
mod json;
mod media;
mod path;
mod query;

use axum::http::StatusCode;

use super::problem::Problem;
use crate::app::unfit::without_digits;

pub use head::head;
pub use json::{MAX_DEPTH, NotAccepted, check as json};
pub use media::{is_json, is_utf8};
pub use query::{Repeats, query};

/// The code of requests after which the connection ends.
pub const AMBIGUOUS: &str = "ambiguous-framing";

/// Why a request is refused, for every dialect. Values are never repeated: they may hold numbers and codes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// 400 or 415.
    pub status: StatusCode,
    /// The code of the native and the admin API.
    pub code: &'static str,
    /// The header or parameter that it is about.
    pub field: Option<String>,
    /// What is wrong and what to do, in whole sentences.
    pub detail: String,
}

impl Fault {
    fn bad(code: &'static str, detail: impl Into<String>) -> Self {
        Fault { status: StatusCode::BAD_REQUEST, code, field: None, detail: detail.into() }
    }

    fn unsupported(detail: impl Into<String>) -> Self {
        let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        Fault { status, ..Self::bad("unsupported-media-type", detail) }
    }

    fn about(self, field: impl Into<String>) -> Self {
        Fault { field: Some(field.into()), ..self }
    }
}

impl From<Fault> for Problem {
    fn from(fault: Fault) -> Self {
        let problem = Problem::new(fault.status, fault.code, fault.detail);
        match fault.field {
            Some(field) => problem.with("field", field),
            None => problem,
        }
    }
}

/// The names of a caller, shown again: short and without control characters.
fn shown(name: &str) -> String {
    const AT_MOST: usize = 64;
    let safe = |c: char| if c.is_control() { '?' } else { c };
    let mut shown: String = without_digits(name).chars().take(AT_MOST).map(safe).collect();
    if name.chars().nth(AT_MOST).is_some() {
        shown.push('…');
    }
    shown
}

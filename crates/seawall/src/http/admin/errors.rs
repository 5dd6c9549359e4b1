//! Room 8 of the admin API: why a change was not made, as a problem (RFC 9457).

use std::time::Duration;

use axum::http::StatusCode;

use crate::app::Refusal;
use crate::app::collections::Wrong;
use crate::http::native::answers::{Refused, refused};
use crate::http::problem::Problem;

const SECOND: Duration = Duration::from_secs(1);

impl From<Wrong> for Refused {
    fn from(wrong: Wrong) -> Self {
        Refused(problem(wrong))
    }
}

fn problem(wrong: Wrong) -> Problem {
    let conflict = |code: &'static str, detail: String| Problem::new(StatusCode::CONFLICT, code, detail);
    match wrong {
        Wrong::Field { field, problem } => {
            Problem::field(&field, format!("The field `{field}` does not fit: {problem}."))
        }
        Wrong::Expression { field, problem, line, column } => {
            let problem = Problem::field(field, sentence(problem)).with("line", line).with("column", column);
            problem.with("documentation", "/docs/attributes")
        }
        Wrong::Missing(detail) => Problem::new(StatusCode::NOT_FOUND, "not-found", sentence(detail)),
        Wrong::Taken(name) => conflict(
            "name-taken",
            format!("`{name}` exists already; choose another name, or change that one."),
        ),
        Wrong::Present(detail) => conflict("entry-exists", sentence(detail)),
        Wrong::InUse(detail) => conflict("in-use", sentence(detail)),
        Wrong::Busy => {
            let detail = "Someone else changes the same thing at the same time; try again.";
            conflict("changed-meanwhile", detail.to_owned()).retry_after(SECOND)
        }
        Wrong::NotInForce(why) => {
            let detail =
                format!("The change is stored, but not in force: {why}. Mend that, or take the change back.");
            Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "not-in-force", detail)
        }
        Wrong::Store(error) => refused(Refusal::Unavailable(error)),
    }
}

fn sentence(text: String) -> String {
    let mut letters = text.chars();
    let first: String = letters.next().into_iter().flat_map(char::to_uppercase).collect();
    let rest = letters.as_str();
    let stop = if rest.ends_with('?') { "" } else { "." };
    format!("{first}{rest}{stop}")
}

/// 404 for one thing of the history.
pub fn missing(what: &str) -> Refused {
    Refused(problem(Wrong::Missing(format!(
        "there is no such {what}; check the id, or whether its retention is over"
    ))))
}

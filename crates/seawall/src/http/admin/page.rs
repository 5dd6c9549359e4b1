//! Lists: bounded pages and cursors that nobody can make up.

use axum::http::StatusCode;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::app::App;
use crate::app::unfit::without_digits;
use crate::http::native::answers::Refused;
use crate::http::problem::Problem;

/// Entries of a page when the request does not say.
const USUAL: usize = 50;
/// Entries of a page at most.
const MOST: usize = 200;

/// A stretch of a list.
#[derive(Serialize, ToSchema)]
pub struct List<T> {
    /// The entries.
    pub data: Vec<T>,
    /// Where the next page begins; `null` at the end.
    pub next_cursor: Option<String>,
}

/// Which page.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct PageQuery {
    /// Entries at most, 1 to 200; 50 when absent.
    #[param(minimum = 1, maximum = 200)]
    pub limit: Option<usize>,
    /// `next_cursor` of the page before.
    pub cursor: Option<String>,
}

/// How many entries.
pub fn size(limit: Option<usize>) -> Result<usize, Refused> {
    match limit {
        None => Ok(USUAL),
        Some(limit) if (1..=MOST).contains(&limit) => Ok(limit),
        Some(limit) => {
            let detail = without_digits(&format!("`limit` is {limit}; use 1 to {MOST}."));
            Err(Problem::field("limit", detail).into())
        }
    }
}

/// A cursor into a list: what it stands for and a keyed hash over it.
pub fn cursor(app: &App, list: &str, place: &str) -> String {
    let mut bytes = seal(app, list, place).to_vec();
    bytes.extend_from_slice(place.as_bytes());
    URL_SAFE_NO_PAD.encode(bytes)
}

fn seal(app: &App, list: &str, place: &str) -> [u8; 8] {
    app.store.vault.index().text(b'p', &format!("{list} {place}")).to_le_bytes()
}

/// What a cursor stands for, if it is one of ours and of this list.
pub fn place(app: &App, list: &str, cursor: Option<&str>) -> Result<Option<String>, Refused> {
    let Some(cursor) = cursor else { return Ok(None) };
    let forged = || -> Refused {
        let detail =
            "`cursor` is not one that this list gave; use next_cursor of the page before, or leave it out.";
        Problem::new(StatusCode::BAD_REQUEST, "invalid-cursor", detail).with("field", "cursor").into()
    };
    let bytes = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| forged())?;
    let (sealed, place) = bytes.split_at_checked(8).ok_or_else(forged)?;
    let place = std::str::from_utf8(place).map_err(|_| forged())?;
    if seal(app, list, place) != sealed {
        return Err(forged());
    }
    Ok(Some(place.to_owned()))
}

/// A cursor into what happened: the row that the next page begins below.
pub fn row(app: &App, list: &str, cursor: Option<&str>) -> Result<Option<i64>, Refused> {
    Ok(place(app, list, cursor)?.and_then(|row| row.parse().ok()))
}

/// A page of one entry more than it shows: the list, with a cursor if there was one more.
pub fn rows<R, T>(
    app: &App,
    list: &str,
    mut found: Vec<R>,
    limit: usize,
    row: impl Fn(&R) -> i64,
    show: impl Fn(R) -> T,
) -> List<T> {
    let more = found.len() > limit;
    found.truncate(limit);
    let next_cursor = found.last().filter(|_| more).map(|last| cursor(app, list, &row(last).to_string()));
    List { data: found.into_iter().map(show).collect(), next_cursor }
}

//! A list as a table, read page by page while it is sent.

use std::sync::Arc;

use futures_util::{Stream, stream};
use seawall_core::list::List;
use seawall_store::StoreError;
use seawall_store::records::Page;

use super::super::App;
use super::super::collections::Wrong;
use super::csv::cell;
use super::entries::{EntryView, NEVER, views};

/// Entries in memory at a time.
const PAGE: usize = 1000;
/// The first row.
pub const HEADER: &str = "id,value,note,expires_at,author,created_at,hits,last_hit_at\r\n";

struct Reader {
    app: Arc<App>,
    list: List,
    before: Option<i64>,
}

/// The table, newest entry first. What has expired is left out, so that the table can be imported again.
pub fn table(app: Arc<App>, list: List) -> impl Stream<Item = Result<String, StoreError>> + Send + use<> {
    let begin = stream::once(async { Ok(HEADER.to_owned()) });
    let rest = stream::try_unfold(Reader { app, list, before: None }, |mut reader| async move {
        let page = Page { before: reader.before, limit: PAGE };
        let entries = reader.app.store.directory.entries(Some(&reader.list.id), page).await?;
        let Some(last) = entries.last() else { return Ok(None) };
        reader.before = Some(last.id.row());
        let views = views(&reader.app, &reader.list, &entries).await.map_err(unavailable)?;
        let lines = views.iter().filter(|entry| !entry.expired).map(line);
        Ok(Some((lines.collect::<String>(), reader)))
    });
    stream::StreamExt::chain(begin, rest)
}

fn unavailable(wrong: Wrong) -> StoreError {
    match wrong {
        Wrong::Store(error) => error,
        other => StoreError::Unavailable(format!("{other:?}")),
    }
}

fn line(entry: &EntryView) -> String {
    let fields = [
        entry.id.clone(),
        entry.value.clone(),
        entry.note.clone().unwrap_or_default(),
        entry.expires_at.map_or_else(|| NEVER.to_owned(), |end| end.to_string()),
        entry.author.clone(),
        entry.created_at.to_string(),
        entry.hits.to_string(),
        entry.last_hit_at.map(|at| at.to_string()).unwrap_or_default(),
    ];
    fields.map(|field| cell(&field)).join(",") + "\r\n"
}

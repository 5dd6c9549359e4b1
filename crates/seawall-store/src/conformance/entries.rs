//! Entries of lists, and counts.

use std::sync::Arc;

use super::directory::audit;
use super::fixtures::{at, id};
use crate::lists::{EntryBody, Hits, ListEntry};
use crate::records::Page;
use crate::{Directory, Result};

const ALL: Page = Page { before: None, limit: 10_000 };

fn entry(list: &str, ms: i64, value: &str) -> ListEntry {
    let body = EntryBody {
        value: value.to_owned(),
        note: Some("seen in May".to_owned()),
        author: "admin-token".to_owned(),
        expires_at: Some(at(ms + 1000)),
    };
    ListEntry { id: id(ms), list: list.to_owned(), body }
}

fn many(list: &str, ms: i64, count: usize) -> Vec<ListEntry> {
    (0..count).map(|n| entry(list, ms, &n.to_string())).collect()
}

async fn values(directory: &Arc<dyn Directory>, list: &str) -> Result<Vec<String>> {
    let all = directory.entries(Some(list), ALL).await?;
    Ok(all.into_iter().map(|entry| entry.body.value).collect())
}

pub(super) async fn entries_are_added_changed_and_removed(directory: &Arc<dyn Directory>) -> Result<()> {
    let (a, b) = (entry("lst_a", 1, "+6591234567"), entry("lst_b", 2, "SG"));
    directory.add_entry(a.clone(), audit(1)).await?;
    directory.add_entry(b.clone(), audit(2)).await?;
    assert_eq!(directory.entry("lst_a", a.id).await?.as_ref(), Some(&a));
    assert_eq!(directory.entry("lst_b", a.id).await?, None, "of another list");
    assert_eq!(directory.entries(None, ALL).await?, [b.clone(), a.clone()]);
    let changed =
        ListEntry { body: EntryBody { note: None, expires_at: None, ..a.body.clone() }, ..a.clone() };
    assert!(directory.change_entry(changed.clone(), audit(3)).await?);
    assert_eq!(directory.entry("lst_a", a.id).await?, Some(changed));
    let elsewhere = ListEntry { list: "lst_b".to_owned(), ..a.clone() };
    assert!(!directory.change_entry(elsewhere, audit(4)).await?);
    assert!(!directory.remove_entry("lst_b", a.id, audit(4)).await?);
    assert!(directory.remove_entry("lst_a", a.id, audit(5)).await?);
    assert!(!directory.remove_entry("lst_a", a.id, audit(6)).await?);
    assert_eq!(directory.entries(None, ALL).await?, [b]);
    assert_eq!(directory.audit_log(ALL).await?.len(), 4, "what changed nothing is not logged");
    Ok(())
}

pub(super) async fn imports_add_or_replace_as_a_whole(directory: &Arc<dyn Directory>) -> Result<()> {
    directory.add_entry(entry("lst_a", 1, "one"), audit(1)).await?;
    directory.add_entry(entry("lst_b", 1, "other"), audit(1)).await?;
    directory.import_entries("lst_a", false, many("lst_a", 2, 1200), audit(2)).await?;
    let all = directory.entries(Some("lst_a"), ALL).await?;
    assert_eq!(all.len(), 1201);
    assert!(all.is_sorted_by(|a, b| a.id > b.id));
    let rest = Page { before: all.get(1000).map(|entry| entry.id.row()), limit: 500 };
    assert_eq!(directory.entries(Some("lst_a"), rest).await?, all.get(1001..).unwrap_or_default());
    assert!(directory.import_entries("lst_a", false, many("lst_b", 3, 1), audit(3)).await.is_err());
    directory.import_entries("lst_a", true, vec![entry("lst_a", 4, "new")], audit(4)).await?;
    directory.add_entry(entry("lst_a", 5, "newer"), audit(5)).await?;
    assert_eq!(values(directory, "lst_a").await?, ["newer", "new"]);
    directory.import_entries("lst_a", true, Vec::new(), audit(6)).await?;
    assert!(values(directory, "lst_a").await?.is_empty());
    assert_eq!(values(directory, "lst_b").await?, ["other"]);
    Ok(())
}

pub(super) async fn what_is_gone_is_swept(directory: &Arc<dyn Directory>) -> Result<()> {
    directory.import_entries("lst_a", false, many("lst_a", 1, 1200), audit(1)).await?;
    let kept = entry("lst_b", 2, "kept");
    directory.add_entry(kept.clone(), audit(2)).await?;
    let gone = directory.entries(Some("lst_a"), Page { before: None, limit: 1 }).await?;
    let id_of = |entry: &ListEntry| entry.id.show(seawall_core::id::IdKind::Entry);
    let hit = |id: String| Hits { id, hits: 1, enforced: 1, last: at(3) };
    let ids: Vec<String> = gone.iter().chain([&kept]).map(id_of).collect();
    directory.note_hits(ids.into_iter().map(hit).collect()).await?;
    let live = vec!["lst_b".to_owned()];
    let mut steps = 0;
    while directory.sweep_entries(live.clone()).await? {
        steps += 1;
        assert!(steps < 20, "it ends");
    }
    assert!(steps >= 3, "in bounded steps, not {steps}");
    assert_eq!(directory.entries(None, ALL).await?, std::slice::from_ref(&kept));
    assert_eq!(directory.hits("ent_", "ent_~").await?, [hit(id_of(&kept))]);
    Ok(())
}

pub(super) async fn hits_add_up(directory: &Arc<dyn Directory>) -> Result<()> {
    let hits = |id: &str, hits, enforced, ms| Hits { id: id.to_owned(), hits, enforced, last: at(ms) };
    directory.note_hits(vec![hits("sus_1", 2, 1, 5), hits("ent_1", 1, 1, 5)]).await?;
    directory.note_hits(vec![hits("sus_1", 3, 0, 4), hits("ent_2", 1, 1, 9)]).await?;
    assert_eq!(directory.hits("sus_", "sus_~").await?, [hits("sus_1", 5, 1, 5)]);
    assert_eq!(directory.hits("ent_1", "ent_2").await?.len(), 2);
    assert_eq!(directory.hits("ent_2", "ent_2").await?, [hits("ent_2", 1, 1, 9)]);
    assert!(directory.hits("rule_", "rule_~").await?.is_empty());
    let entry = entry("lst_a", 6, "x");
    let id = entry.id.show(seawall_core::id::IdKind::Entry);
    directory.add_entry(entry.clone(), audit(6)).await?;
    directory.note_hits(vec![hits(&id, 1, 1, 7)]).await?;
    directory.remove_entry("lst_a", entry.id, audit(8)).await?;
    assert!(directory.hits(&id, &id).await?.is_empty(), "a count goes with its entry");
    Ok(())
}

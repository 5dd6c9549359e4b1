//! Notes about numbers.

use std::sync::Arc;

use seawall_core::msisdn::Msisdn;

use super::Backend;
use super::fixtures::{at, id, msisdn};
use crate::notes::Note;
use crate::records::{Cursor, Erasing, Page};
use crate::{Directory, Result};

fn note(ms: i64, number: Msisdn, scope: &str, when: i64) -> Note {
    let (kind, scope, body) = ("consent".to_owned(), scope.to_owned(), format!("{{\"n\":{ms}}}"));
    Note { id: id(ms), kind, number, scope, when: at(when), body }
}

pub(super) async fn notes_are_found_by_number_kind_and_instant(directory: &Arc<dyn Directory>) -> Result<()> {
    let (one, two) = (msisdn(1)?, msisdn(2)?);
    let all = vec![note(1, one, "a", 30), note(2, one, "b", 10), note(3, two, "a", 20)];
    assert_eq!(directory.keep_notes(all.clone()).await?, all);
    let other = Note { kind: "contact".to_owned(), ..note(4, one, "a", 5) };
    directory.keep_notes(vec![other.clone()]).await?;
    assert_eq!(directory.notes_of("consent", one).await?, all.get(..2).unwrap_or_default());
    let again = directory.keep_notes(vec![note(9, one, "a", 40)]).await?;
    let (first, replaced) = (all.first().map(|n| n.id), again.first().cloned());
    assert_eq!(replaced.as_ref().map(|n| n.id), first, "it keeps its id");
    let newest = directory.notes("consent", Page { before: None, limit: 2 }).await?;
    assert_eq!(newest.iter().map(|n| n.scope.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    let before = newest.last().map(|n| n.id.row());
    let rest = directory.notes("consent", Page { before, limit: 9 }).await?;
    assert_eq!(rest.into_iter().next(), replaced);
    let due = directory.notes_until("consent", at(30), 9).await?;
    assert_eq!(due.iter().map(|n| n.when).collect::<Vec<_>>(), [at(10), at(20)]);
    assert_eq!(directory.notes_until("consent", at(30), 1).await?.len(), 1);
    assert_eq!(directory.note("consent", other.id).await?, None, "of another kind");
    assert_eq!(directory.note("contact", other.id).await?, Some(other.clone()));
    assert!(
        directory.drop_note("contact", other.id).await? && !directory.drop_note("contact", other.id).await?
    );
    Ok(())
}

pub(super) async fn a_note_is_swapped_once(directory: &Arc<dyn Directory>) -> Result<()> {
    let first = note(1, msisdn(1)?, "a", 30);
    directory.keep_notes(vec![first.clone()]).await?;
    let changed = |body: &str, when| Note { body: body.to_owned(), when: at(when), ..first.clone() };
    // Ten see the same and change it: one of them does.
    let tries = (0..10).map(|n| directory.swap_note(first.clone(), changed(&format!("{{\"t\":{n}}}"), 40)));
    let mut done = 0;
    for swapped in futures_util::future::join_all(tries).await {
        done += usize::from(swapped?);
    }
    assert_eq!(done, 1);
    let there = directory.note("consent", first.id).await?;
    assert_eq!(there.as_ref().map(|n| (n.when, n.id)), Some((at(40), first.id)));
    let other = note(2, msisdn(2)?, "b", 50);
    assert!(!directory.swap_note(other.clone(), other.clone()).await?, "there is none");
    directory.keep_notes(vec![other.clone()]).await?;
    assert_eq!(directory.drop_notes("contact", vec![first.id, other.id]).await?, 0, "of another kind");
    assert_eq!(directory.drop_notes("consent", vec![first.id, other.id, first.id]).await?, 2);
    assert!(directory.notes("consent", Page { before: None, limit: 9 }).await?.is_empty());
    Ok(())
}

pub(super) async fn an_erased_number_has_no_notes(backend: &Backend) -> Result<()> {
    let (one, two) = (msisdn(1)?, msisdn(2)?);
    backend.directory.keep_notes(vec![note(1, one, "a", 1), note(2, two, "a", 1)]).await?;
    let mut erasing = Erasing::default();
    while erasing.cursor != Cursor::Done {
        erasing = backend.ledger.erase_step(one, erasing).await?;
    }
    assert_eq!(erasing.erased.notes, 1);
    assert!(backend.directory.notes_of("consent", one).await?.is_empty());
    assert_eq!(backend.directory.notes_of("consent", two).await?.len(), 1);
    Ok(())
}

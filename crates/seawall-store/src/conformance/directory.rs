//! What is set up.

use std::sync::Arc;

use seawall_core::consent::{Category, OptOutScope, covering};
use serde_json::json;

use super::fixtures::{at, id, msisdn};
use crate::records::{AuditEntry, Document, OptOut, Page};
use crate::{Directory, Result, StoreError};

const ALL: Page = Page { before: None, limit: 100 };

pub(super) fn document(id: &str, name: Option<&str>) -> Document {
    Document {
        collection: "limits".to_owned(),
        id: id.to_owned(),
        name: name.map(str::to_owned),
        body: json!({"quota": 10}),
        revision: 1,
        created_at: at(1),
        updated_at: at(1),
    }
}

pub(super) fn audit(ms: i64) -> AuditEntry {
    AuditEntry {
        at: at(ms),
        actor: "admin".to_owned(),
        action: "limits.create".to_owned(),
        target: "a".to_owned(),
        detail: json!({}),
        ip: Some("192.0.2.1".to_owned()),
    }
}

pub(super) async fn documents_are_unique_and_versioned(directory: &Arc<dyn Directory>) -> Result<()> {
    let begin = directory.version().await?;
    let first = directory.create(document("a", Some("one")), audit(1)).await?;
    assert!(first > begin);
    let taken = directory.create(document("b", Some("one")), audit(2)).await;
    assert!(matches!(taken, Err(StoreError::Duplicate(name)) if name == "one"));
    assert!(matches!(directory.create(document("a", None), audit(2)).await, Err(StoreError::Duplicate(_))));
    directory.create(document("b", None), audit(2)).await?;
    directory.create(document("c", None), audit(2)).await?;
    let elsewhere = Document { collection: "keys".to_owned(), ..document("a", Some("one")) };
    directory.create(elsewhere, audit(2)).await?;
    let changed = Document { body: json!({"quota": 11}), ..document("a", Some("one")) };
    let second = directory.replace(changed.clone(), audit(3)).await?;
    assert!(second > first);
    assert!(
        matches!(directory.replace(changed, audit(4)).await, Err(StoreError::Conflict)),
        "revision 2 now"
    );
    let renamed = document("b", Some("one"));
    assert!(matches!(directory.replace(renamed, audit(4)).await, Err(StoreError::Duplicate(_))));
    assert!(matches!(directory.replace(document("z", None), audit(4)).await, Err(StoreError::Conflict)));
    let all = directory.documents("limits").await?;
    assert_eq!(all.iter().map(|d| d.id.as_str()).collect::<Vec<_>>(), ["a", "b", "c"]);
    assert_eq!(all.first().map(|d| (d.revision, d.body.clone())), Some((2, json!({"quota": 11}))));
    assert!(directory.delete("limits", "a", audit(5)).await?);
    assert!(!directory.delete("limits", "a", audit(6)).await?);
    assert!(directory.version().await? > second);
    assert_eq!(directory.audit_log(ALL).await?.len(), 6, "what changed nothing is not logged");
    Ok(())
}

pub(super) async fn opt_outs_hold_for_one_or_all(directory: &Arc<dyn Directory>) -> Result<()> {
    let entry = |n: u64, subaccount: Option<&str>| -> Result<OptOut> {
        let (scope, source) = (OptOutScope::of(subaccount), "stop".to_owned());
        Ok(OptOut {
            id: id(1),
            msisdn: msisdn(n)?,
            scope,
            source,
            note: Some("by phone".to_owned()),
            at: at(1),
        })
    };
    let first = directory.add_opt_out(entry(1, Some("main"))?, audit(1)).await?;
    assert_eq!(directory.add_opt_out(entry(1, Some("main"))?, audit(2)).await?, first, "it was there");
    directory.add_opt_out(entry(1, Some("other"))?, audit(2)).await?;
    directory.add_opt_out(entry(2, None)?, audit(3)).await?;
    let out = async |n: u64, sub: &str| {
        let scopes = directory.opted_out(msisdn(n)?).await?;
        Ok::<_, StoreError>(covering(scopes, sub, Category::Marketing, Some("SHOP"), at(50)).is_some())
    };
    assert!(out(1, "main").await? && out(1, "other").await? && !out(1, "third").await?);
    assert!(out(2, "main").await? && !out(3, "main").await?);
    let all = directory.opt_outs(ALL).await?;
    assert_eq!(all.len(), 3);
    assert!(all.is_sorted_by(|a, b| a.id > b.id) && all.contains(&first));
    assert_eq!(
        directory.remove_opt_out(msisdn(1)?, Some(&OptOutScope::of(Some("main"))), audit(4)).await?,
        1
    );
    assert!(!out(1, "main").await? && out(1, "other").await?);
    assert_eq!(
        directory.remove_opt_out(msisdn(2)?, Some(&OptOutScope::of(Some("main"))), audit(5)).await?,
        0
    );
    assert_eq!(directory.remove_opt_out(msisdn(2)?, None, audit(5)).await?, 1);
    assert!(!out(2, "main").await?);
    let ads =
        OptOutScope { category: Some(Category::Marketing), until: Some(at(10)), ..OptOutScope::default() };
    let ends = directory.add_opt_out(OptOut { scope: ads.clone(), ..entry(4, None)? }, audit(6)).await?;
    assert!(!out(4, "main").await?, "it ended");
    let later = OptOutScope { until: Some(at(99)), ..ads.clone() };
    let longer = directory.add_opt_out(OptOut { scope: later, ..entry(4, None)? }, audit(7)).await?;
    assert_eq!((longer.id, longer.scope.until), (ends.id, Some(at(99))));
    assert!(out(4, "main").await?);
    let sender = OptOutScope { sender: Some("Shop".to_owned()), ..OptOutScope::of(Some("main")) };
    directory.add_opt_out(OptOut { scope: sender.clone(), ..entry(5, None)? }, audit(8)).await?;
    assert!(out(5, "main").await? && !out(5, "other").await?);
    assert_eq!(directory.remove_opt_out(msisdn(5)?, Some(&OptOutScope::default()), audit(9)).await?, 0);
    assert_eq!(directory.remove_opt_out(msisdn(5)?, Some(&sender), audit(9)).await?, 1);
    assert!(directory.opted_out(msisdn(5)?).await?.is_empty());
    Ok(())
}

pub(super) async fn the_audit_log_and_key_uses_are_kept(directory: &Arc<dyn Directory>) -> Result<()> {
    for i in 0..5 {
        directory.create(document(&i.to_string(), None), audit(i)).await?;
    }
    let log = directory.audit_log(Page { before: None, limit: 2 }).await?;
    assert_eq!(log, [audit(4), audit(3)]);
    let before = Some(seawall_core::id::Id::first_row(at(3)));
    assert_eq!(directory.audit_log(Page { before, limit: 9 }).await?, [audit(2), audit(1), audit(0)]);
    let chain = directory.audit_chain(None).await?;
    assert_eq!((chain.broken, chain.entries, chain.unlinked, chain.since), (None, 5, 0, Some(at(0))));
    directory.note_audit(audit(9)).await?;
    let later = directory.audit_chain(chain.head).await?;
    assert_eq!((later.broken, later.entries, later.noted), (None, 6, Some(true)));
    let used = |key: &str, ms| (key.to_owned(), at(ms), "192.0.2.1".to_owned());
    directory.touch_keys(vec![used("key_1", 5), used("key_2", 6)]).await?;
    directory.touch_keys(vec![used("key_1", 4), used("key_2", 7)]).await?;
    assert_eq!(directory.key_uses().await?, [used("key_1", 5), used("key_2", 7)]);
    Ok(())
}

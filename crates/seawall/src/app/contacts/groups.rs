//! Groups of contacts.

use seawall_core::consent::OptOutScope;
use seawall_core::time::Timestamp;
use seawall_store::StoreError;
use seawall_store::records::Document;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::super::App;
use super::super::audit::Actor;

/// Collection of the directory.
const COLLECTION: &str = "contact-groups";
/// The group whose members are opted out of all subaccounts.
pub const BLACKLIST: &str = "Blacklist";

/// A group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// Grows with every group.
    pub id: u64,
    /// Unique.
    pub name: String,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Whether its members are opted out.
    pub is_blacklist: bool,
    /// When it was made.
    pub created_at: Timestamp,
}

impl Group {
    /// The opt-out that its members have, if it is a blacklist: by its mark, or by its name.
    pub fn scope(&self) -> Option<OptOutScope> {
        let of = self.name.strip_prefix("Blacklist:").map(str::trim).filter(|name| !name.is_empty());
        let blacklist = self.is_blacklist || of.is_some() || self.name == BLACKLIST;
        blacklist.then(|| OptOutScope::of(of))
    }
}

fn read(document: &Document) -> Result<Group, StoreError> {
    Ok(serde_json::from_value(document.body.clone())?)
}

/// All groups, oldest first.
pub async fn all(app: &App) -> Result<Vec<Group>, StoreError> {
    app.store.directory.documents(COLLECTION).await?.iter().map(read).collect()
}

/// One.
pub async fn get(app: &App, id: u64) -> Result<Option<Group>, StoreError> {
    Ok(all(app).await?.into_iter().find(|group| group.id == id))
}

/// Makes one; [`StoreError::Duplicate`] if the name is taken.
pub async fn create(
    app: &App,
    actor: &Actor,
    name: &str,
    description: Option<String>,
    is_blacklist: bool,
) -> Result<Group, StoreError> {
    let now = app.now();
    loop {
        let newest = all(app).await?.iter().map(|group| group.id).max().unwrap_or(1000);
        let group = Group {
            id: newest + 1,
            name: name.to_owned(),
            description: description.clone(),
            is_blacklist,
            created_at: now,
        };
        let audit = actor.entry(now, "contact-groups.create", &group.id.to_string(), json!({"name": name}));
        match app.store.directory.create(document(&group, 1), audit).await {
            // Somebody made one at the same time and has the id.
            Err(StoreError::Duplicate(taken)) if taken != name => {}
            Err(error) => return Err(error),
            Ok(_) => return Ok(group),
        }
    }
}

fn document(group: &Group, revision: u64) -> Document {
    Document {
        collection: COLLECTION.to_owned(),
        id: group.id.to_string(),
        name: Some(group.name.clone()),
        body: serde_json::to_value(group).unwrap_or_default(),
        revision,
        created_at: group.created_at,
        updated_at: group.created_at,
    }
}

/// Changes one, with its effect on opt-outs.
pub async fn change(app: &App, actor: &Actor, before: &Group, after: &Group) -> Result<(), StoreError> {
    let now = app.now();
    let stored = app.store.directory.documents(COLLECTION).await?;
    let id = before.id.to_string();
    let revision = stored.iter().find(|d| d.id == id).map(|d| d.revision).ok_or(StoreError::Conflict)?;
    let audit = actor.entry(now, "contact-groups.update", &id, json!({"name": after.name}));
    app.store.directory.replace(Document { updated_at: now, ..document(after, revision) }, audit).await?;
    super::regroup(app, actor, Some(before), Some(after)).await
}

/// Deletes one; its contacts stay, and are no longer opted out by it.
pub async fn delete(app: &App, actor: &Actor, group: &Group) -> Result<(), StoreError> {
    super::regroup(app, actor, Some(group), None).await?;
    let id = group.id.to_string();
    let audit = actor.entry(app.now(), "contact-groups.delete", &id, json!({}));
    app.store.directory.delete(COLLECTION, &id, audit).await?;
    Ok(())
}

/// The group `Blacklist`, made when it is needed.
pub async fn blacklist(app: &App, actor: &Actor) -> Result<Group, StoreError> {
    let there = |all: Vec<Group>| all.into_iter().find(|group| group.name == BLACKLIST);
    if let Some(group) = there(all(app).await?) {
        return Ok(group);
    }
    match create(app, actor, BLACKLIST, None, true).await {
        Err(StoreError::Duplicate(_)) => there(all(app).await?).ok_or(StoreError::Conflict),
        made => made,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_marks_make_a_blacklist() {
        let group = |name: &str, is_blacklist| Group {
            id: 1,
            name: name.to_owned(),
            description: None,
            is_blacklist,
            created_at: Timestamp::from_millis(0),
        };
        assert_eq!(group("Friends", false).scope(), None);
        assert_eq!(group("Friends", true).scope(), Some(OptOutScope::default()));
        assert_eq!(group("Blacklist", false).scope(), Some(OptOutScope::default()));
        assert_eq!(group("Blacklist:acme_hq", true).scope(), Some(OptOutScope::of(Some("acme_hq"))));
    }
}

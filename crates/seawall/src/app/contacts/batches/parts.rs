//! One step of each kind of job.

use seawall_core::msisdn::Msisdn;
use seawall_store::StoreError;
use seawall_store::notes::Note;
use seawall_store::records::Page;

use super::super::super::App;
use super::super::super::audit::Actor;
use super::super::groups::{self, Group};
use super::super::{Body, Contact, KIND, by_msisdn, change, get, new, note, numbered, read, scopes};
use super::{Between, Job, Task, rows_of};

/// Contacts of one step.
const STEP: usize = 500;

/// What a step leaves.
pub(super) enum Left {
    /// More to do.
    Some,
    /// Nothing.
    Nothing,
    /// What it needs is gone.
    Impossible,
}

/// Does one step and writes into the job how far it is.
pub(super) async fn step(app: &App, actor: &Actor, job: &mut Job) -> Result<Left, StoreError> {
    let groups = groups::all(app).await?;
    let around = Around { app, actor, groups: &groups };
    let id = job.id;
    match &mut job.task {
        Task::CreateContacts(upload) => {
            let (made, merged) = create(&around, &rows_of(id)).await?;
            upload.inserted_rows += made;
            upload.merged_rows += merged;
            Ok(if made + merged == 0 { Left::Nothing } else { Left::Some })
        }
        Task::DeleteContacts { ids: Some(ids) } => {
            let mut found = Vec::new();
            for number in ids.drain(..ids.len().min(STEP)) {
                found.extend(get(app, number).await?);
            }
            let left = if ids.is_empty() { Left::Nothing } else { Left::Some };
            delete(&around, &found).await.map(|()| left)
        }
        Task::DeleteContacts { ids: None } => {
            let found = page(app, Some(id.row())).await?;
            delete(&around, &found).await?;
            Ok(if found.is_empty() { Left::Nothing } else { Left::Some })
        }
        Task::CopyContacts(between) => regroup(&around, between, false).await,
        Task::MoveContacts(between) => regroup(&around, between, true).await,
        Task::DeleteGroups { ids, contacts } => {
            let Some(group) = ids.last().and_then(|id| groups.iter().find(|group| group.id == *id)) else {
                return Ok(if ids.pop().is_some() { Left::Some } else { Left::Nothing });
            };
            if *contacts {
                let (members, _) = super::super::list(app, |one| one.body.groups.contains(&group.id)).await?;
                delete(&around, &members).await?;
            }
            groups::delete(app, actor, group).await?;
            ids.pop();
            Ok(Left::Some)
        }
    }
}

/// What every step needs.
struct Around<'a> {
    app: &'a App,
    actor: &'a Actor,
    groups: &'a [Group],
}

impl Around<'_> {
    /// Contacts that changed take effect on opt-outs.
    async fn take_effect(
        &self,
        msisdn: Option<Msisdn>,
        before: &Body,
        after: &Body,
    ) -> Result<(), StoreError> {
        let (before, after) = (scopes(self.groups, before), scopes(self.groups, after));
        change(self.app, self.actor, msisdn, &before, &after).await
    }
}

async fn page(app: &App, before: Option<i64>) -> Result<Vec<Contact>, StoreError> {
    let notes = app.store.directory.notes(KIND, Page { before, limit: STEP }).await?;
    notes.iter().map(read).collect()
}

/// Takes rows of an upload. Returns how many were made and how many were there.
async fn create(around: &Around<'_>, kind: &str) -> Result<(usize, usize), StoreError> {
    let directory = &around.app.store.directory;
    let rows = directory.notes(kind, Page { before: None, limit: STEP }).await?;
    let (mut notes, mut kept, mut merged) = (Vec::new(), Vec::new(), 0);
    for row in &rows {
        let (before, contact) = contact(around.app, row).await?;
        merged += usize::from(before.is_some());
        notes.push(note(&contact)?);
        kept.push((before.unwrap_or_default(), contact));
    }
    // Opt-outs first: a contact of a blacklist is never there without.
    for (before, contact) in &kept {
        around.take_effect(contact.msisdn, before, &contact.body).await?;
    }
    directory.keep_notes(notes).await?;
    directory.drop_notes(kind, rows.iter().map(|row| row.id).collect()).await?;
    Ok((rows.len() - merged, merged))
}

/// A row as the contact that it makes, and what that one said before.
async fn contact(app: &App, row: &Note) -> Result<(Option<Body>, Contact), StoreError> {
    let body: Body = serde_json::from_str(&row.body)?;
    let msisdn = Some(row.number).filter(|number| *number != Msisdn::ERASED);
    let there = match msisdn {
        Some(msisdn) => by_msisdn(app, msisdn).await?,
        None => get(app, numbered(row.id, None, Body::default()).number).await?,
    };
    match there {
        Some(there) => {
            let contact = Contact { body: there.body.merged(body), ..there.clone() };
            Ok((Some(there.body), contact))
        }
        None if msisdn.is_none() => Ok((None, numbered(row.id, None, body))),
        None => Ok((None, new(app, msisdn, body)?)),
    }
}

async fn delete(around: &Around<'_>, found: &[Contact]) -> Result<(), StoreError> {
    let ids = found.iter().map(|contact| contact.id).collect();
    around.app.store.directory.drop_notes(KIND, ids).await?;
    for contact in found {
        around.take_effect(contact.msisdn, &contact.body, &Body::default()).await?;
    }
    Ok(())
}

/// Looks at a page of contacts, and puts those of one group into another.
async fn regroup(around: &Around<'_>, between: &mut Between, moved: bool) -> Result<Left, StoreError> {
    if !around.groups.iter().any(|group| group.id == between.to) {
        return Ok(Left::Impossible);
    }
    let found = page(around.app, between.before).await?;
    let Some(last) = found.last().map(|contact| contact.id.row()) else { return Ok(Left::Nothing) };
    let mut notes = Vec::new();
    for contact in found.iter().filter(|contact| contact.body.groups.contains(&between.from)) {
        let mut after = contact.clone();
        after.body.groups.retain(|id| *id != between.to && !(moved && *id == between.from));
        after.body.groups.push(between.to);
        around.take_effect(contact.msisdn, &contact.body, &after.body).await?;
        notes.push(note(&after)?);
    }
    around.app.store.directory.keep_notes(notes).await?;
    between.before = Some(last);
    Ok(Left::Some)
}

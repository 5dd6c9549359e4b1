//! Contacts and groups as 8x8 has them. A contact is a note about its number; groups are documents. A group that is a
//! blacklist is our opt-outs: `Blacklist:NAME` those of the subaccount NAME, any other those of all subaccounts.

pub mod batches;
pub mod groups;

use std::collections::BTreeMap;

use seawall_core::consent::OptOutScope;
use seawall_core::id::{Id, IdKind, SEQUENCE_BITS};
use seawall_core::msisdn::Msisdn;
use seawall_core::time::Timestamp;
use seawall_store::StoreError;
use seawall_store::notes::Note;
use seawall_store::records::{OptOut, Page};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::App;
use super::audit::Actor;
use groups::Group;

/// Kind of the notes.
pub(super) const KIND: &str = "contact";
/// Contacts read at a time.
const PAGE: usize = 1000;
/// Contacts that a list goes through at most.
const MOST: usize = 200_000;

/// What is kept of a contact. Sealed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Body {
    /// Given name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_name: Option<String>,
    /// Family name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_name: Option<String>,
    /// The caller's own id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
    /// ISO 3166-1 alpha-2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
    /// Addresses other than the number, by 8x8's names.
    pub addresses: BTreeMap<String, String>,
    /// Whatever the caller wants to keep.
    pub custom_attributes: BTreeMap<String, Value>,
    /// Ids of its groups.
    pub groups: Vec<u64>,
    /// Whether its number came encrypted, so that no answer shows it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub veiled: bool,
}

impl Body {
    /// This with what is new: that wins, and groups add up.
    pub fn merged(&self, new: Self) -> Self {
        let mut merged = self.clone();
        merged.first_name = new.first_name.or(merged.first_name);
        merged.last_name = new.last_name.or(merged.last_name);
        merged.external_id = new.external_id.or(merged.external_id);
        merged.country = new.country.or(merged.country);
        merged.addresses.extend(new.addresses);
        merged.custom_attributes.extend(new.custom_attributes);
        merged.groups.extend(new.groups);
        merged.groups.sort_unstable();
        merged.groups.dedup();
        merged.veiled |= new.veiled;
        merged
    }
}

/// A contact.
#[derive(Clone, Debug, PartialEq)]
pub struct Contact {
    /// Its id as a number that every language can hold.
    pub number: u64,
    /// Its phone.
    pub msisdn: Option<Msisdn>,
    /// When it was made.
    pub at: Timestamp,
    /// What is kept.
    pub body: Body,
    /// The id of its note.
    pub id: Id,
}

/// Bits of an id within one millisecond.
const WITHIN: u32 = 12;
/// Milliseconds that are not counted: ids stay below 2^53.
const SINCE: i64 = 1_600_000_000_000;

fn number_of(id: Id) -> u64 {
    let sequence = id.row() & ((1 << WITHIN) - 1);
    (((id.at().as_millis() - SINCE) << WITHIN) | sequence).cast_unsigned()
}

fn row_of(number: u64) -> Option<i64> {
    let number = i64::try_from(number).ok().filter(|n| *n < 1 << 53)?;
    Some((((number >> WITHIN) + SINCE) << SEQUENCE_BITS) | (number & ((1 << WITHIN) - 1)))
}

fn read(note: &Note) -> Result<Contact, StoreError> {
    let msisdn = Some(note.number).filter(|number| *number != Msisdn::ERASED);
    let body = serde_json::from_str(&note.body)?;
    Ok(Contact { number: number_of(note.id), msisdn, at: note.id.at(), body, id: note.id })
}

fn note(contact: &Contact) -> Result<Note, StoreError> {
    // One contact a number; contacts without one are told apart by their ids.
    let scope = if contact.msisdn.is_some() { String::new() } else { contact.number.to_string() };
    Ok(Note {
        id: contact.id,
        kind: KIND.to_owned(),
        number: contact.msisdn.unwrap_or(Msisdn::ERASED),
        scope,
        when: contact.at,
        body: serde_json::to_string(&contact.body)?,
    })
}

/// One contact.
pub async fn get(app: &App, number: u64) -> Result<Option<Contact>, StoreError> {
    let Some(row) = row_of(number) else { return Ok(None) };
    let page = Page { before: Some(row.saturating_add(1)), limit: 1 };
    let found = app.store.directory.notes(KIND, page).await?;
    found.first().filter(|note| note.id.row() == row).map(read).transpose()
}

/// The contact of a number.
pub async fn by_msisdn(app: &App, msisdn: Msisdn) -> Result<Option<Contact>, StoreError> {
    app.store.directory.notes_of(KIND, msisdn).await?.first().map(read).transpose()
}

/// All contacts that fit, newest first, and how many there are.
pub async fn list(app: &App, fits: impl Fn(&Contact) -> bool) -> Result<(Vec<Contact>, usize), StoreError> {
    let (mut found, mut total, mut before) = (Vec::new(), 0, None);
    while total < MOST {
        let page = app.store.directory.notes(KIND, Page { before, limit: PAGE }).await?;
        for note in &page {
            found.push(read(note)?);
        }
        total += page.len();
        match page.last() {
            Some(last) if page.len() == PAGE => before = Some(last.id.row()),
            _ => break,
        }
    }
    found.retain(|contact| fits(contact));
    Ok((found, total))
}

/// A new contact, not kept yet.
pub fn new(app: &App, msisdn: Option<Msisdn>, body: Body) -> Result<Contact, StoreError> {
    loop {
        let id = app.ids.next(app.now())?;
        // More ids of one millisecond than the number has room for: take another.
        if row_of(number_of(id)) == Some(id.row()) {
            return Ok(numbered(id, msisdn, body));
        }
    }
}

/// A contact under an id that [`new`] gave to it, or to a row that becomes one.
fn numbered(id: Id, msisdn: Option<Msisdn>, body: Body) -> Contact {
    Contact { number: number_of(id), msisdn, at: id.at(), body, id }
}

/// Keeps a contact; what it newly belongs to, or no longer does, takes effect on its number's opt-outs at once.
pub async fn keep(
    app: &App,
    actor: &Actor,
    before: Option<&Contact>,
    contact: &Contact,
) -> Result<Contact, StoreError> {
    let moved = before.filter(|before| before.msisdn != contact.msisdn);
    if let Some(before) = moved {
        app.store.directory.drop_note(KIND, before.id).await?;
    }
    let kept = app.store.directory.keep_notes(vec![note(contact)?]).await?;
    let groups = groups::all(app).await?;
    if let Some(before) = moved {
        change(app, actor, before.msisdn, &scopes(&groups, &before.body), &[]).await?;
    }
    let old =
        before.filter(|_| moved.is_none()).map(|before| scopes(&groups, &before.body)).unwrap_or_default();
    change(app, actor, contact.msisdn, &old, &scopes(&groups, &contact.body)).await?;
    let audit = actor.entry(app.now(), "contacts.keep", &contact.number.to_string(), json!({}));
    app.store.directory.note_audit(audit).await?;
    kept.first().map(read).transpose().map(|kept| kept.unwrap_or_else(|| contact.clone()))
}

/// Deletes a contact, and the opt-outs that its groups stand for.
pub async fn delete(app: &App, actor: &Actor, contact: &Contact) -> Result<(), StoreError> {
    let groups = groups::all(app).await?;
    app.store.directory.drop_note(KIND, contact.id).await?;
    change(app, actor, contact.msisdn, &scopes(&groups, &contact.body), &[]).await?;
    let audit = actor.entry(app.now(), "contacts.delete", &contact.number.to_string(), json!({}));
    app.store.directory.note_audit(audit).await
}

/// The opt-outs that a contact's groups stand for.
fn scopes(groups: &[Group], body: &Body) -> Vec<OptOutScope> {
    let mine = groups.iter().filter(|group| body.groups.contains(&group.id));
    let mut scopes: Vec<OptOutScope> = mine.filter_map(Group::scope).collect();
    scopes.dedup();
    scopes
}

async fn change(
    app: &App,
    actor: &Actor,
    msisdn: Option<Msisdn>,
    before: &[OptOutScope],
    after: &[OptOutScope],
) -> Result<(), StoreError> {
    let Some(msisdn) = msisdn else { return Ok(()) };
    let at = app.now();
    for scope in before.iter().filter(|scope| !after.contains(scope)) {
        let audit = actor.entry(at, "opt-outs.delete", &msisdn.masked(), json!({"by": "blacklist"}));
        app.store.directory.remove_opt_out(msisdn, Some(scope), audit).await?;
    }
    for scope in after.iter().filter(|scope| !before.contains(scope)) {
        let id = app.ids.next(at)?;
        let (scope, source) = (scope.clone(), "blacklist".to_owned());
        let audit = actor.entry(at, "opt-outs.create", &id.show(IdKind::OptOut), json!({"by": "blacklist"}));
        let entry = OptOut { id, msisdn, scope, source, note: None, at };
        app.store.directory.add_opt_out(entry, audit).await?;
        super::consent::opt_in::withdraw_all(app, msisdn, "blacklisted").await?;
    }
    Ok(())
}

/// Takes a group's effect on the numbers of its contacts: it became a blacklist, or is none any more, or is gone.
pub async fn regroup(
    app: &App,
    actor: &Actor,
    before: Option<&Group>,
    after: Option<&Group>,
) -> Result<(), StoreError> {
    let scope = |group: Option<&Group>| group.and_then(Group::scope).into_iter().collect::<Vec<_>>();
    let Some(id) = before.or(after).map(|group| group.id) else { return Ok(()) };
    let (old, new) = (scope(before), scope(after));
    if old == new && after.is_some() {
        return Ok(());
    }
    let (members, _) = list(app, |contact| contact.body.groups.contains(&id)).await?;
    for member in members {
        change(app, actor, member.msisdn, &old, &new).await?;
        if after.is_none() {
            let mut left = member.clone();
            left.body.groups.retain(|group| *group != id);
            app.store.directory.keep_notes(vec![note(&left)?]).await?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_a_number_that_every_language_can_hold() {
        for (ms, sequence) in [(1_795_000_000_000i64, 0), (1_795_000_000_001, 7), (2_500_000_000_000, 4095)] {
            let id = Id::new(Id::first_row(Timestamp::from_millis(ms)) + sequence, 9);
            let number = number_of(id);
            assert!(number < 1 << 53, "{number}");
            assert_eq!(row_of(number), Some(id.row()));
        }
        assert_eq!(row_of(1 << 53), None);
    }
}

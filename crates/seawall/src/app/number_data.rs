//! Everything that is kept about a number, for the person who asks what it is: kind by kind, newest first, in pages.

use seawall_core::id::{Id, IdKind};
use seawall_core::list::Part;
use seawall_core::msisdn::Msisdn;
use seawall_store::masking::{CallFilter, CallRecord, MaskFilter, MaskRecord};
use seawall_store::notes::Note;
use seawall_store::records::{
    DecisionFilter, DecisionRecord, Looked, MessageFilter, MessageRecord, Page, VerificationFilter,
    VerificationRecord,
};
use seawall_store::{Result, StoreError};
use serde_json::{Value, json};

use super::audit::Actor;
use super::consent::kind;
use super::entities::collection;
use super::{App, contacts, lists, recorder};

/// Kinds of records, in the order in which they are shown.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Verification,
    Message,
    Decision,
    Session,
    Call,
    Note(&'static str),
}

const KINDS: [Kind; 13] = [
    Kind::Verification,
    Kind::Message,
    Kind::Decision,
    Kind::Session,
    Kind::Call,
    Kind::Note(kind::CONSENT),
    Kind::Note(kind::ASKED),
    Kind::Note(kind::REVIEW),
    Kind::Note(kind::CONFIRMED),
    Kind::Note(kind::DUE),
    Kind::Note(kind::ENDS),
    Kind::Note(contacts::KIND),
    Kind::Note(super::cleaning::ROWS),
];

/// One record.
pub enum Found {
    /// A code that was asked for.
    Verification(Box<VerificationRecord>),
    /// A message.
    Message(Box<MessageRecord>),
    /// A decision.
    Decision(Box<DecisionRecord>),
    /// A masking session that the number is a party of.
    Session(Box<MaskRecord>),
    /// A masked call from or to the number.
    Call(Box<CallRecord>),
    /// An opt-in, a contact, an answer.
    Note(Note),
}

impl Found {
    /// Its id.
    pub fn id(&self) -> Id {
        match self {
            Found::Verification(one) => one.id,
            Found::Message(one) => one.id,
            Found::Decision(one) => one.id,
            Found::Session(one) => one.id,
            Found::Call(one) => one.id,
            Found::Note(one) => one.id,
        }
    }
}

/// Where a page begins: which kind, and below which row of it.
#[derive(Clone, Copy, Default)]
pub struct Place {
    kind: usize,
    before: Option<i64>,
}

impl Place {
    /// As a cursor holds it.
    pub fn text(self) -> String {
        self.before.map_or_else(|| self.kind.to_string(), |row| format!("{} {row}", self.kind))
    }

    /// Back from [`Place::text`].
    pub fn parse(text: &str) -> Option<Self> {
        let (kind, before) = text.split_once(' ').map_or((text, None), |(kind, row)| (kind, Some(row)));
        let before = before.map(str::parse).transpose().ok()?;
        kind.parse().ok().map(|kind| Place { kind, before })
    }
}

/// The next records, and where the ones after them begin.
pub async fn page(
    app: &App,
    number: Msisdn,
    mut place: Place,
    limit: usize,
) -> Result<(Vec<Found>, Option<Place>)> {
    recorder::settled(app).await;
    let mut all = Vec::new();
    while let Some(kind) = KINDS.get(place.kind) {
        let left = limit - all.len();
        let mut some = of_kind(app, number, *kind, Page { before: place.before, limit: left + 1 }).await?;
        let more = some.len() > left;
        some.truncate(left);
        if let Some(last) = some.last() {
            place.before = Some(last.id().row());
        }
        all.append(&mut some);
        if more {
            return Ok((all, Some(place)));
        }
        place = Place { kind: place.kind + 1, before: None };
    }
    Ok((all, None))
}

async fn of_kind(app: &App, number: Msisdn, kind: Kind, page: Page) -> Result<Vec<Found>> {
    let (ledger, directory) = (&app.store.ledger, &app.store.directory);
    Ok(match kind {
        Kind::Verification => {
            let filter = VerificationFilter { to: Some(number), ..VerificationFilter::default() };
            let found = ledger.verifications(filter, page).await?;
            found.into_iter().map(|one| Found::Verification(Box::new(one))).collect()
        }
        Kind::Message => {
            let filter = MessageFilter { to: Some(number), ..MessageFilter::default() };
            let found = ledger.messages(filter, page).await?;
            found.into_iter().map(|one| Found::Message(Box::new(one))).collect()
        }
        Kind::Decision => {
            let filter = DecisionFilter { to: Some(number), ..DecisionFilter::default() };
            let found = ledger.decisions(filter, page).await?;
            found.into_iter().map(|one| Found::Decision(Box::new(one))).collect()
        }
        Kind::Session => {
            let filter = MaskFilter { party: Some(number), ..MaskFilter::default() };
            let found = directory.masks(filter, page).await?;
            found.into_iter().map(|one| Found::Session(Box::new(one))).collect()
        }
        Kind::Call => {
            let filter = CallFilter { party: Some(number), ..CallFilter::default() };
            let found = directory.calls(filter, page).await?;
            found.into_iter().map(|one| Found::Call(Box::new(one))).collect()
        }
        Kind::Note(kind) => {
            let mut found = directory.notes_of(kind, number).await?;
            found.retain(|note| page.before.is_none_or(|before| note.id.row() < before));
            found.reverse();
            found.truncate(page.limit);
            found.into_iter().map(Found::Note).collect()
        }
    })
}

/// What is kept in one place each: shown with the first page.
pub struct About {
    /// When codes were confirmed, first and last.
    pub confirmed: Option<seawall_store::records::KnownNumber>,
    /// How far each opt-out reaches.
    pub opt_outs: Vec<Value>,
    /// Entries of lists.
    pub entries: Vec<Value>,
    /// What lookups said, by subaccount.
    pub lookups: Vec<Value>,
    /// Test numbers, virtual numbers and rules that an operator set up with it.
    pub settings: Vec<Value>,
}

/// See [`About`].
pub async fn about(app: &App, number: Msisdn) -> Result<About> {
    let opt_outs = app.store.directory.opted_out(number).await?;
    Ok(About {
        confirmed: app.store.ledger.known_number(number).await?,
        opt_outs: opt_outs.iter().map(serde_json::to_value).collect::<std::result::Result<_, _>>()?,
        entries: entries(app, number).await?,
        lookups: lookups(app, number).await?,
        settings: settings(app, number).await?,
    })
}

async fn entries(app: &App, number: Msisdn) -> Result<Vec<Value>> {
    let mut shown = Vec::new();
    for (list, id) in lists::entries::of_number(app, number) {
        if let Some(entry) = app.store.directory.entry(&list.id, id).await? {
            shown.push(
                json!({"list": list.name, "entry": id.show(IdKind::Entry), "effect": list.effect.as_str(),
                "note": entry.body.note, "expires_at": entry.body.expires_at, "made_at": id.at()}),
            );
        }
    }
    // What an earlier erasure left.
    let (index, hash) = (app.lists.index(), Part::Hash(app.store.vault.index().msisdn(number)));
    for list in index.lists() {
        if let Some(id) = index.find(&list.id, &hash) {
            shown.push(
                json!({"list": list.name, "entry": id.show(IdKind::Entry), "effect": list.effect.as_str(),
                "as": "keyed hash", "made_at": id.at()}),
            );
        }
    }
    Ok(shown)
}

async fn lookups(app: &App, number: Msisdn) -> Result<Vec<Value>> {
    let mut subaccounts: Vec<String> = app.snapshot.load().subaccounts.keys().cloned().collect();
    subaccounts.sort();
    let mut shown = Vec::new();
    for subaccount in subaccounts.iter().map(String::as_str).chain([""]) {
        let Some(looked) = app.store.ledger.looked(number, subaccount).await? else { continue };
        let read = |text: String| serde_json::from_str(&text).unwrap_or(Value::String(text));
        let told = |told: Option<(_, String)>| told.map(|(at, text)| json!({"at": at, "facts": read(text)}));
        let Looked { operator, live, corrected } = looked;
        shown.push(json!({"subaccount_id": (!subaccount.is_empty()).then_some(subaccount), "operator": told(operator),
            "live": told(live), "corrected": corrected.map(read)}));
    }
    Ok(shown)
}

/// Test numbers, virtual numbers and rules that an operator set up with a number.
pub async fn settings(app: &App, number: Msisdn) -> Result<Vec<Value>> {
    let digits = number.digits();
    let mut found = Vec::new();
    for of in [collection::TEST_NUMBERS, collection::VIRTUAL_NUMBERS, collection::RULES] {
        let all = app.store.directory.documents(of).await?;
        let names = all.iter().filter(|one| one.body.to_string().contains(&digits));
        found.extend(names.map(|one| json!({"collection": of, "id": one.id})));
    }
    Ok(found)
}

/// Writes down who asked.
pub async fn note(app: &App, actor: &Actor, number: Msisdn) -> std::result::Result<(), StoreError> {
    let detail = json!({"number": number.masked()});
    app.store.directory.note_audit(actor.entry(app.now(), "numbers.export", &number.masked(), detail)).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_reads_back() {
        for place in [Place::default(), Place { kind: 7, before: Some(-3) }] {
            let back = Place::parse(&place.text()).unwrap();
            assert_eq!((back.kind, back.before), (place.kind, place.before));
        }
        assert!(Place::parse("x").is_none() && Place::parse("1 y").is_none());
    }
}

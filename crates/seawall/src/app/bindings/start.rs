//! A new number is begun with, and codes go to it and to the old one.

use std::time::Duration;

use seawall_connect::lookup::NumberState;
use seawall_core::binding::{Binding, Old, Refused, Side};
use seawall_core::code::{CodeShape, CodeType};
use seawall_core::id::{Id, IdKind};
use seawall_core::message::Channel;
use seawall_core::msisdn::{Msisdn, ParsedNumber};
use seawall_core::request::{Client, Terms};
use seawall_core::segments::EncodingChoice;
use seawall_core::text::code::CodeLines;
use seawall_core::time::Timestamp;
use seawall_store::StoreError;
use seawall_store::notes::Note;
use seawall_store::records::Page;
use serde_json::json;

use super::super::audit::Actor;
use super::super::start_verification::{StartVerification, start_verification};
use super::super::who::Caller;
use super::super::{App, Refusal, lookup};
use super::check::catch_up;
use super::{
    KIND, Kept, NotBound, OLD, STEP, Stored, audit, bound, cancel, change, due, get, hashed, of_user,
};

/// What counts as lately.
pub(super) const LATELY: Duration = Duration::from_secs(24 * 3600);
/// Bindings that a user may begin lately, and that may name one old number.
const MOST_BEGUN: usize = 5;
const MOST_OF_OLD: usize = 3;
/// Codes that the old number gets for one binding.
const MOST_CODES: u8 = 3;
/// Notes about old numbers are kept so long at most; every binding has ended by then.
const OLD_KEPT: Duration = Duration::from_secs(90 * 24 * 3600);
/// How long a code is good.
const VALID: Duration = Duration::from_secs(600);
const RESEND: Duration = Duration::from_secs(30);
const LENGTH: u8 = 6;

/// What a caller asks for.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The subaccount, already entered.
    pub subaccount: String,
    /// The app's own name for the user.
    pub user: String,
    /// The new number.
    pub to: ParsedNumber,
    /// The number that the user has by what the app knows; what is known here counts more.
    pub old: Option<ParsedNumber>,
    /// The end user.
    pub client: Client,
}

/// Begins a binding, and sends a code to the new number. What the same user had open is taken back.
pub async fn begin(app: &App, caller: &Caller, wanted: Wanted) -> Result<Stored, NotBound> {
    let now = app.now();
    let actor = Actor { name: caller.key.id.clone(), ip: Some(caller.ip.to_string()) };
    catch_up(app, &actor, &wanted.subaccount, &wanted.user).await?;
    let had = bound(app, &wanted.subaccount, &wanted.user).await?;
    let (old, since) = match (had, wanted.old) {
        (Some((number, _)), _) if number == wanted.to.msisdn => return Err(NotBound::Already),
        (Some((number, _)), Some(named)) if number != named.msisdn => return Err(NotBound::OtherNumber),
        (Some((number, since)), _) => (Some(number), Some(since)),
        (None, named) => (named.map(|named| named.msisdn), None),
    };
    if old == Some(wanted.to.msisdn) {
        return Err(NotBound::Already);
    }
    let hash = hashed(app, &wanted.subaccount, &wanted.user);
    room(app, &hash, old, now).await?;
    let binding = judged(app, caller, &wanted, old, since, now).await?;
    for earlier in super::of(app, &wanted.subaccount, &wanted.user).await? {
        match cancel(app, &actor, earlier.note.id, "replaced").await {
            Ok(_) | Err(NotBound::Step(Refused::Ended(_)) | NotBound::Refusal(Refusal::NotFound)) => {}
            Err(why) => return Err(why),
        }
    }
    let id = keep(app, &wanted, binding, old, &hash).await?;
    let one = get(app, id).await?.ok_or(StoreError::Conflict)?;
    let detail = json!({"to": wanted.to.msisdn.masked(), "old": old.map(Msisdn::masked)});
    audit(app, &actor, "bindings.create", &one, detail).await?;
    send(app, caller, id, Side::New, wanted.client).await
}

/// Nobody is flooded by beginning again and again.
async fn room(app: &App, hash: &str, old: Option<Msisdn>, now: Timestamp) -> Result<(), NotBound> {
    let directory = &app.store.directory;
    let begun = directory.notes(&of_user(hash), Page { before: None, limit: STEP }).await?;
    let mut full = full(&begun, MOST_BEGUN, now);
    if let Some(old) = old {
        full = full.max(self::full(&directory.notes_of(OLD, old).await?, MOST_OF_OLD, now));
    }
    full.map_or(Ok(()), |again| Err(NotBound::TooOften(again)))
}

/// When there is room again, if there is none: `most` of these were made lately.
fn full(notes: &[Note], most: usize, now: Timestamp) -> Option<Timestamp> {
    let mut ends: Vec<Timestamp> =
        notes.iter().map(|n| n.id.at().plus(LATELY)).filter(|end| *end > now).collect();
    ends.sort();
    ends.len().checked_sub(most).and_then(|first| ends.get(first).copied())
}

/// How it begins, by what a lookup says of both numbers.
async fn judged(
    app: &App,
    caller: &Caller,
    wanted: &Wanted,
    old: Option<Msisdn>,
    since: Option<Timestamp>,
    now: Timestamp,
) -> Result<Binding, NotBound> {
    let hold = app.snapshot.load().settings.consent.bindings.hold;
    let state = async |number: ParsedNumber| -> Result<NumberState, StoreError> {
        lookup::state(app, caller, &wanted.subaccount, number).await
    };
    let new = state(wanted.to).await?;
    let mut binding = Binding::begin(now, Old::Nothing);
    let mut signs = vec![new.sim_swapped_at, new.reassigned_at];
    if let Some(old) = old {
        let parsed = Msisdn::parse(&old.to_e164(), None).map_err(|_| Refusal::NotFound)?;
        let said = state(parsed).await?;
        // Without a number that is known here, any other owner since the last days may be a stranger.
        let since = since.unwrap_or_else(|| now.minus(hold));
        let gone = said.reassigned_at.is_some_and(|at| at > since);
        binding = Binding::begin(now, if gone { Old::Gone } else { Old::Needed });
        signs.push(said.sim_swapped_at);
    }
    for until in signs.into_iter().flatten().map(|at| at.plus(hold)).filter(|until| *until > now) {
        binding.hold(until);
    }
    Ok(binding)
}

async fn keep(
    app: &App,
    wanted: &Wanted,
    binding: Binding,
    old: Option<Msisdn>,
    hash: &str,
) -> Result<Id, NotBound> {
    let now = app.now();
    let (id, listed, old_id) = (app.ids.next(now)?, app.ids.next(now)?, app.ids.next(now)?);
    let kept = Kept {
        subaccount: wanted.subaccount.clone(),
        user: wanted.user.clone(),
        binding,
        old: old.map(|_| old_id.to_hex()),
        new_code: None,
        old_code: None,
        old_codes: 0,
        because: None,
        written: false,
    };
    let (number, scope) = (wanted.to.msisdn, id.to_hex());
    let body = serde_json::to_string(&kept).map_err(StoreError::from)?;
    let note = |id: Id, kind: &str, number, when, body: String| Note {
        id,
        kind: kind.to_owned(),
        number,
        scope: scope.clone(),
        when,
        body,
    };
    let mut notes = vec![
        note(id, KIND, number, due(&kept), body),
        note(listed, &of_user(hash), number, due(&kept), String::new()),
    ];
    notes.extend(old.map(|old| note(old_id, OLD, old, now.plus(OLD_KEPT), String::new())));
    app.store.directory.keep_notes(notes).await?;
    Ok(id)
}

/// Sends a code to one of the numbers, or sends it again.
pub async fn send(
    app: &App,
    caller: &Caller,
    id: Id,
    side: Side,
    client: Client,
) -> Result<Stored, NotBound> {
    let now = app.now();
    // Counted before it is sent: asking at once many times sends no more.
    let ((), one) = change(app, id, |kept| {
        kept.binding.may_ask(side, now)?;
        if side == Side::Old {
            kept.old_codes += 1;
            if kept.old_codes > MOST_CODES {
                return Err(NotBound::TooOften(kept.binding.ends_at));
            }
        }
        Ok(())
    })
    .await?;
    let number = match side {
        Side::New => Some(one.note.number),
        Side::Old => one.old_number(app).await?,
    };
    let number = number.ok_or(Refused::NoOld)?;
    let ask = asked(app, &one, number, side, client)?;
    let started = Box::pin(start_verification(app, caller, ask, None)).await;
    if started.is_err() && side == Side::Old {
        // Nothing was sent; nothing is counted.
        let back = change(app, id, |kept| {
            kept.old_codes = kept.old_codes.saturating_sub(1);
            Ok(())
        });
        let _ = back.await;
    }
    let verification = started?.verification.id.to_hex();
    let ((), one) = change(app, id, |kept| {
        match side {
            Side::New => kept.new_code = Some(verification.clone()),
            Side::Old => kept.old_code = Some(verification.clone()),
        }
        Ok(())
    })
    .await?;
    Ok(one)
}

/// What the code is bound to: a code of another binding, or of a sign-in, proves nothing here, and this one proves nothing
/// there.
pub(super) fn bind_of(id: Id, side: Side) -> String {
    let side = if side == Side::New { "new" } else { "old" };
    format!("{}/{side}", id.show(IdKind::Binding))
}

fn asked(
    app: &App,
    one: &Stored,
    number: Msisdn,
    side: Side,
    client: Client,
) -> Result<StartVerification, Refusal> {
    let snapshot = app.snapshot.load();
    let settings = &snapshot.settings.consent.bindings;
    let template = if side == Side::New { &settings.new_text } else { &settings.old_text };
    let length = LENGTH.max(app.config.verification.min_code_length);
    let invalid = |problem: String| Refusal::Invalid { field: "to", problem };
    Ok(StartVerification {
        subaccount: one.kept.subaccount.clone(),
        to: Msisdn::parse(&number.to_e164(), None).map_err(|e| invalid(e.to_string()))?,
        channel: Channel::Sms,
        shape: CodeShape::new(CodeType::Numeric, length).map_err(|e| invalid(e.to_string()))?,
        free_length: true,
        given_code: None,
        ttl: VALID,
        resend_interval: RESEND,
        reset: false,
        template: template.clone(),
        lines: CodeLines::default(),
        brand: None,
        source: snapshot.subaccounts.get(&one.kept.subaccount).and_then(|s| s.default_source.clone()),
        encoding: EncodingChoice::Auto,
        voice: None,
        callback_url: None,
        client,
        terms: Terms::default(),
        purpose: Some("binding".to_owned()),
        binding: Some(bind_of(one.note.id, side)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_room_again_when_the_oldest_is_no_longer_lately() {
        let hour = 3_600_000;
        let note = |hours: i64| Note {
            id: Id::new(Id::first_row(Timestamp::from_millis(hours * hour)), 1),
            kind: KIND.to_owned(),
            number: Msisdn::ERASED,
            scope: String::new(),
            when: Timestamp::from_millis(0),
            body: String::new(),
        };
        let (notes, now) = ([note(30), note(32), note(1)], Timestamp::from_millis(40 * hour));
        assert_eq!(full(&notes, 3, now), None);
        assert_eq!(full(&notes, 2, now), Some(Timestamp::from_millis(54 * hour)));
        assert_eq!(full(&notes, 2, Timestamp::from_millis(55 * hour)), None);
    }
}

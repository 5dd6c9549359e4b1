//! Codes of both numbers are presented, or the old number is said to be lost.

use seawall_core::binding::{Old, Refused, Side, State};
use seawall_core::consent::Category;
use seawall_core::id::{Id, IdKind};
use seawall_core::verification::Checked;
use seawall_store::StoreError;
use seawall_store::notes::Note;
use seawall_store::records::Page;
use serde_json::json;

use super::super::audit::Actor;
use super::super::check_code::{CodeChecked, Presented, check_code};
use super::super::consent::say;
use super::super::who::Caller;
use super::super::{App, Refusal};
use super::start::bind_of;
use super::{Bound, NotBound, STEP, Stored, audit, change, get, hashed, number_of, tell};

/// Presents a code that one of the numbers got. What became of the code, and the binding after it.
pub async fn check(
    app: &App,
    caller: &Caller,
    id: Id,
    side: Side,
    presented: Presented,
) -> Result<(CodeChecked, Stored), NotBound> {
    let one = get(app, id).await?.ok_or(Refusal::NotFound)?;
    let now = app.now();
    if one.kept.binding.at(now) != State::Pending {
        let actor = Actor { name: caller.key.id.clone(), ip: Some(caller.ip.to_string()) };
        catch_up(app, &actor, &one.kept.subaccount, &one.kept.user).await?;
        return Err(Refused::Ended(one.kept.binding.at(now)).into());
    }
    let code = match side {
        Side::New => &one.kept.new_code,
        Side::Old => &one.kept.old_code,
    };
    let code = code.as_deref().and_then(Id::parse_hex);
    let code = code.ok_or(if side == Side::Old { Refused::NewFirst } else { Refused::NoOld })?;
    let presented = Presented { bind: Some(bind_of(id, side)), ..presented };
    let checked = check_code(app, caller, &one.kept.subaccount, code, presented).await?;
    if checked.checked != Checked::Right {
        return Ok((checked, one));
    }
    let at = checked.at;
    let (state, one) = change(app, id, |kept| {
        kept.binding.prove(side, at)?;
        Ok(kept.binding.state)
    })
    .await?;
    let actor = Actor { name: caller.key.id.clone(), ip: Some(caller.ip.to_string()) };
    audit(app, &actor, "bindings.prove", &one, json!({"number": side})).await?;
    if state == State::Bound {
        finish(app, &actor, &one).await?;
    }
    Ok((checked, one))
}

/// A crash may have come between the last code and the number: what is bound by the user's last bound binding is then
/// written now.
pub(super) async fn catch_up(app: &App, actor: &Actor, subaccount: &str, user: &str) -> Result<(), NotBound> {
    let all = super::of(app, subaccount, user).await?;
    let last = all.iter().filter(|one| one.kept.binding.state == State::Bound).max_by_key(|one| one.note.id);
    // What was written once is not written again: its number may be erased since.
    let Some(last) = last.filter(|one| !one.kept.written) else { return Ok(()) };
    finish(app, actor, last).await
}

/// The number is the user's from now on, and no other is.
async fn finish(app: &App, actor: &Actor, one: &Stored) -> Result<(), NotBound> {
    let (now, directory) = (app.now(), &app.store.directory);
    let kind = number_of(&hashed(app, &one.kept.subaccount, &one.kept.user));
    let bound = Bound {
        subaccount: one.kept.subaccount.clone(),
        user: one.kept.user.clone(),
        binding: one.note.id.show(IdKind::Binding),
    };
    let note = Note {
        id: app.ids.next(now)?,
        kind: kind.clone(),
        number: one.note.number,
        scope: String::new(),
        when: now,
        body: serde_json::to_string(&bound).map_err(StoreError::from)?,
    };
    directory.keep_notes(vec![note]).await?;
    let all = directory.notes(&kind, Page { before: None, limit: STEP }).await?;
    let others = all.iter().filter(|note| note.number != one.note.number).map(|note| note.id).collect();
    directory.drop_notes(&kind, others).await?;
    change(app, one.note.id, |kept| {
        kept.written = true;
        Ok(())
    })
    .await?;
    audit(app, actor, "bindings.bound", one, json!({"to": one.note.number.masked()})).await?;
    Ok(tell(app, one, "number_bound", json!({})).await?)
}

/// The user says that the old number is lost: it is told, and after the operator's waiting time the new number alone is
/// enough. A number that has another owner is told nothing.
pub async fn lose(app: &App, caller: &Caller, id: Id) -> Result<Stored, NotBound> {
    let (now, delay) = (app.now(), app.snapshot.load().settings.consent.bindings.lost_delay);
    let (before, one) = change(app, id, |kept| {
        let before = kept.binding.old;
        kept.binding.lose(now, delay)?;
        Ok(before)
    })
    .await?;
    if matches!(before, Old::Lost(_)) {
        return Ok(one);
    }
    let told = match one.old_number(app).await? {
        Some(old) if before != Old::Gone => {
            let text = app.snapshot.load().settings.consent.bindings.notice.clone();
            let sub = &one.kept.subaccount;
            let said = say::say(app, sub, old, &text, None, Category::Transactional, "binding");
            // Boxed: sending is large. One that is refused (an opt-out, a budget) holds nobody up; the log knows.
            Box::pin(said)
                .await
                .inspect_err(|refusal| tracing::warn!(?refusal, "an old number was not told"))
                .is_ok()
        }
        _ => false,
    };
    let actor = Actor { name: caller.key.id.clone(), ip: Some(caller.ip.to_string()) };
    audit(app, &actor, "bindings.lost", &one, json!({"told": told})).await?;
    tell(app, &one, "old_number_lost", json!({"told": told})).await?;
    Ok(one)
}

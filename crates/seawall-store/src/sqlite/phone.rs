//! What the sandbox phone received: the newest few thousand.

use rusqlite::params;
use seawall_core::id::Id;
use seawall_core::message::Channel;
use seawall_core::msisdn::Msisdn;
use seawall_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::codec::{damaged, number_hash};
use super::db::View;
use super::messages::Conditions;
use super::writer::Turn;
use crate::Result;
use crate::records::{Page, PhoneMessage};
use crate::vault::{Place, Vault};

/// How many messages the phone holds.
pub(super) const PHONE_HOLDS: usize = 10_000;
const PLACE: [u8; 2] = *b"ph";

#[derive(Serialize, Deserialize)]
struct Body {
    n: u64,
    f: Option<String>,
    t: String,
    h: Channel,
    a: i64,
}

/// A received message ready to be written.
pub(super) struct SealedPhone {
    id: Id,
    number: i64,
    body: Vec<u8>,
}

/// Seals a received message.
pub(super) fn seal(vault: &Vault, message: PhoneMessage) -> Result<SealedPhone> {
    let (id, number) = (message.id, number_hash(vault, message.to));
    let (n, a) = (message.to.as_u64(), message.at.as_millis());
    let body = Body {
        n,
        f: message.from,
        t: message.text,
        h: message.channel,
        a,
    };
    Ok(SealedPhone {
        id,
        number,
        body: vault.seal(Place::new(PLACE, id.row()), &serde_json::to_vec(&body)?)?,
    })
}

/// Writes a received message; the oldest one makes room for it.
pub(super) fn receive(turn: &mut Turn<'_>, message: &SealedPhone) -> Result<()> {
    let conn = turn.view.conn;
    let sql = "INSERT OR IGNORE INTO phone (row, tail, number, body) VALUES (?1, ?2, ?3, ?4)";
    let tail = message.id.tail().cast_signed();
    let new =
        conn.prepare_cached(sql)?
            .execute(params![message.id.row(), tail, message.number, message.body])?;
    let held = turn.hot().phone + new;
    let gone = if held > PHONE_HOLDS {
        conn.prepare_cached("DELETE FROM phone WHERE row = (SELECT min(row) FROM phone)")?
            .execute([])?
    } else {
        0
    };
    let before = std::mem::replace(&mut turn.hot().phone, held.saturating_sub(gone));
    turn.on_rollback(move |hot| hot.phone = before);
    Ok(())
}

/// What was received, newest first.
pub(super) fn list(view: View<'_>, to: Option<Msisdn>, page: Page) -> Result<Vec<PhoneMessage>> {
    let mut conditions = Conditions::default();
    conditions.rows("row", page.before, None, None);
    if let Some(to) = to {
        conditions.and("number =", number_hash(view.vault(), to));
    }
    let mut found = Vec::new();
    conditions.select(view, "row, tail, body FROM phone", "row", page.limit, &mut |r| {
        let row: i64 = r.get(0)?;
        let plain = view
            .vault()
            .open_sealed(Place::new(PLACE, row), &r.get::<_, Vec<u8>>(2)?)?;
        let body: Body = serde_json::from_slice(&plain)?;
        found.push(PhoneMessage {
            id: Id::new(row, r.get::<_, i64>(1)?.cast_unsigned()),
            to: Msisdn::from_u64(body.n).ok_or_else(|| damaged("a number"))?,
            from: body.f,
            text: body.t,
            channel: body.h,
            at: Timestamp::from_millis(body.a),
        });
        Ok(())
    })?;
    Ok(found)
}

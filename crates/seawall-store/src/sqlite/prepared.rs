//! The statements that every message runs, prepared once: looking a statement up by its text costs as much
//! as binding its values.

use rusqlite::{Connection, Statement, params};

use super::codec::{self, SealedMessage};
use super::hot::Way;

/// What the writer keeps at hand.
pub(super) trait Prepared {
    /// Writes a new message.
    fn insert_message(&mut self, sub: i64, message: &SealedMessage) -> rusqlite::Result<()>;

    /// Writes how a message travels; returns how many rows were changed.
    fn change_message(&mut self, row: i64, way: &Way) -> rusqlite::Result<usize>;
}

/// The statements of one connection.
pub(super) struct Statements<'c> {
    conn: &'c Connection,
    begin: Option<Statement<'c>>,
    commit: Option<Statement<'c>>,
    insert: Option<Statement<'c>>,
    change: Option<Statement<'c>>,
}

impl<'c> Statements<'c> {
    /// Of a connection; each is prepared when it is needed first.
    pub(super) fn new(conn: &'c Connection) -> Self {
        Statements { conn, begin: None, commit: None, insert: None, change: None }
    }

    /// Begins a transaction that writes.
    pub(super) fn begin(&mut self) -> rusqlite::Result<()> {
        ready(self.conn, &mut self.begin, "BEGIN IMMEDIATE")?.execute([]).map(drop)
    }

    /// Commits it.
    pub(super) fn commit(&mut self) -> rusqlite::Result<()> {
        ready(self.conn, &mut self.commit, "COMMIT")?.execute([]).map(drop)
    }
}

fn ready<'s, 'c>(
    conn: &'c Connection,
    place: &'s mut Option<Statement<'c>>,
    sql: &str,
) -> rusqlite::Result<&'s mut Statement<'c>> {
    match place {
        Some(statement) => Ok(statement),
        None => Ok(place.insert(conn.prepare(sql)?)),
    }
}

const INSERT: &str = "INSERT INTO messages (row, tail, sub, number, block, country, state, due, expires, \
     verification, batch, marks, dims, progress, body, text) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)";
const CHANGE: &str = "UPDATE messages SET state = ?2, due = ?3, progress = ?4 WHERE row = ?1";

impl Prepared for Statements<'_> {
    fn insert_message(&mut self, sub: i64, m: &SealedMessage) -> rusqlite::Result<()> {
        let values = params![
            m.id.row(),
            m.id.tail().cast_signed(),
            sub,
            m.number,
            m.block,
            m.country,
            m.state.as_u8(),
            m.due,
            m.expires,
            m.verification,
            m.batch,
            m.marks,
            m.dims,
            m.progress,
            m.body,
            m.text,
        ];
        ready(self.conn, &mut self.insert, INSERT)?.execute(values).map(drop)
    }

    fn change_message(&mut self, row: i64, way: &Way) -> rusqlite::Result<usize> {
        let progress = codec::pack_progress(&way.progress);
        ready(self.conn, &mut self.change, CHANGE)?.execute(params![
            row,
            way.state.as_u8(),
            way.due,
            progress
        ])
    }
}

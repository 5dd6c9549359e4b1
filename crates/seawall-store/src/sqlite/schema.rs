//! The tables. A message costs one appended row, and so does a code: pages of it are written twice, when it
//! is accepted and when its outcome is known.
//!
//! - `messages` holds a message with everything about it. `progress` has room for a delivery, so that its
//!   outcome is written over in place: a row that grew would split its page.
//! - A verification stands in the row of its first message until it changes; `verifications` holds what
//!   changed, under the same row key, and verifications with a code given by the caller, which is erased.
//! - An index by keyed hash would dirty a random page for every message. `numbers` is written a few thousand
//!   messages at a time; until then memory knows them, and a start reads on from `meta.unindexed_from`.
//! - The index of providers' references leads with a `bucket`, a stretch of time, for the same reason.
//! - Waiting messages and webhook deliveries need no index: they are known in memory and found again at
//!   start, by reading on from `meta.settled_below` and from `scheduled`; so are open verifications, from `meta.open_from`.

/// Marks the file as ours: `Swal`.
pub(super) const APPLICATION_ID: i64 = 0x5377_616c;

/// One step from each schema to the next; the file's `user_version` counts the steps taken.
pub(super) const MIGRATIONS: &[&str] =
    &[FIRST, KNOWN_NUMBERS, EVIDENCE, LISTS, ALLOWS, LOOKUPS, NOTES, MASKING, DATA_KEYS];

const FIRST: &str = "
CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE subaccounts (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE messages (
  row INTEGER PRIMARY KEY,
  tail INTEGER NOT NULL,
  sub INTEGER NOT NULL,
  number INTEGER NOT NULL,
  block INTEGER NOT NULL,
  country INTEGER NOT NULL,
  state INTEGER NOT NULL,
  due INTEGER,
  expires INTEGER,
  verification INTEGER,
  batch INTEGER,
  marks INTEGER NOT NULL,
  dims BLOB NOT NULL,
  progress BLOB NOT NULL,
  body BLOB NOT NULL,
  text BLOB
);
CREATE INDEX messages_batch ON messages (batch) WHERE batch IS NOT NULL;
CREATE TABLE scheduled (row INTEGER PRIMARY KEY);
CREATE TABLE numbers (id INTEGER PRIMARY KEY, high INTEGER NOT NULL, body BLOB NOT NULL);
CREATE TABLE verifications (
  row INTEGER PRIMARY KEY,
  sub INTEGER NOT NULL,
  number INTEGER NOT NULL,
  state INTEGER NOT NULL,
  expires INTEGER NOT NULL,
  verified INTEGER,
  given_until INTEGER,
  revision INTEGER NOT NULL,
  body BLOB NOT NULL
);
CREATE INDEX verifications_given ON verifications (given_until) WHERE given_until IS NOT NULL;
CREATE TABLE failure_budgets (number INTEGER PRIMARY KEY, body TEXT NOT NULL);
CREATE TABLE decision_batches (first INTEGER PRIMARY KEY, last INTEGER NOT NULL, body BLOB NOT NULL);
CREATE TABLE checkpoints (row INTEGER PRIMARY KEY, body BLOB NOT NULL);
CREATE TABLE idempotency (
  bucket INTEGER NOT NULL, hash INTEGER NOT NULL, body BLOB NOT NULL, PRIMARY KEY (bucket, hash)
) WITHOUT ROWID;
CREATE TABLE provider_refs (
  bucket INTEGER NOT NULL, hash INTEGER NOT NULL, row INTEGER NOT NULL, PRIMARY KEY (bucket, hash)
) WITHOUT ROWID;
CREATE TABLE hooks (
  row INTEGER PRIMARY KEY, tail INTEGER NOT NULL, due INTEGER NOT NULL, tries INTEGER NOT NULL, body BLOB NOT NULL
);
CREATE TABLE documents (
  seq INTEGER PRIMARY KEY,
  collection TEXT NOT NULL,
  id TEXT NOT NULL,
  name TEXT,
  revision INTEGER NOT NULL,
  created INTEGER NOT NULL,
  updated INTEGER NOT NULL,
  body BLOB NOT NULL,
  UNIQUE (collection, id),
  UNIQUE (collection, name)
);
CREATE TABLE opt_outs (row INTEGER PRIMARY KEY, tail INTEGER NOT NULL, number INTEGER NOT NULL, sub TEXT, body BLOB NOT NULL);
CREATE INDEX opt_outs_number ON opt_outs (number);
CREATE TABLE audit (row INTEGER PRIMARY KEY, body BLOB NOT NULL);
CREATE TABLE key_uses (key TEXT PRIMARY KEY, at INTEGER NOT NULL, ip BLOB NOT NULL) WITHOUT ROWID;
";

/// Numbers that were verified: by keyed hash, for ever, whatever becomes of the verifications.
const KNOWN_NUMBERS: &str = "
CREATE TABLE known_numbers (number INTEGER PRIMARY KEY, first INTEGER NOT NULL, last INTEGER NOT NULL);
INSERT INTO known_numbers SELECT number, min(verified), max(verified) FROM verifications
  WHERE verified IS NOT NULL GROUP BY number;
";

/// What detection folds, until a snapshot holds it.
const EVIDENCE: &str = "CREATE TABLE evidence (seq INTEGER PRIMARY KEY AUTOINCREMENT, body BLOB NOT NULL);";

/// Entries of lists, in batches that count once they name a list; and how often things were met.
const LISTS: &str = "
CREATE TABLE list_batches (batch INTEGER PRIMARY KEY AUTOINCREMENT, list TEXT);
CREATE INDEX list_batches_list ON list_batches (list);
CREATE TABLE list_entries (row INTEGER PRIMARY KEY, tail INTEGER NOT NULL, batch INTEGER NOT NULL, body BLOB NOT NULL);
CREATE INDEX list_entries_batch ON list_entries (batch);
CREATE TABLE hits (id TEXT PRIMARY KEY, hits INTEGER NOT NULL, enforced INTEGER NOT NULL, last INTEGER NOT NULL) WITHOUT ROWID;
";

/// Allows that were given without a send, a batch a row.
const ALLOWS: &str = "CREATE TABLE allows (row INTEGER PRIMARY KEY, body BLOB NOT NULL);";

/// What is known of numbers from lookups, and what is being erased.
const LOOKUPS: &str = "
CREATE TABLE lookups (
  number INTEGER NOT NULL, sub TEXT NOT NULL, at INTEGER NOT NULL, body BLOB NOT NULL, PRIMARY KEY (number, sub)
) WITHOUT ROWID;
CREATE INDEX lookups_at ON lookups (at);
CREATE TABLE erasures (row INTEGER PRIMARY KEY, tail INTEGER NOT NULL, done INTEGER NOT NULL, body BLOB NOT NULL);
CREATE INDEX erasures_open ON erasures (row) WHERE done = 0;
";

/// What is kept about numbers beside messages; and opt-outs that more than a subaccount narrows.
const NOTES: &str = "
CREATE TABLE notes (
  row INTEGER PRIMARY KEY, tail INTEGER NOT NULL, kind TEXT NOT NULL, number INTEGER NOT NULL, scope TEXT NOT NULL,
  at INTEGER NOT NULL, body BLOB NOT NULL
);
CREATE UNIQUE INDEX notes_number ON notes (number, kind, scope);
CREATE INDEX notes_kind ON notes (kind);
CREATE INDEX notes_at ON notes (kind, at);
ALTER TABLE opt_outs ADD COLUMN narrow INTEGER NOT NULL DEFAULT 0;
";

/// Masking. A pair of caller and virtual number names one session: its primary key says so.
const MASKING: &str = "
CREATE TABLE mask_sessions (
  row INTEGER PRIMARY KEY, tail INTEGER NOT NULL, sub TEXT NOT NULL, a INTEGER NOT NULL, b INTEGER NOT NULL,
  ends INTEGER NOT NULL, over INTEGER NOT NULL, revision INTEGER NOT NULL, body BLOB NOT NULL
);
CREATE INDEX mask_sessions_a ON mask_sessions (a);
CREATE INDEX mask_sessions_b ON mask_sessions (b);
CREATE INDEX mask_sessions_ends ON mask_sessions (over, ends);
CREATE TABLE mask_pairs (
  mask INTEGER NOT NULL, caller INTEGER NOT NULL, session INTEGER NOT NULL, free INTEGER NOT NULL,
  PRIMARY KEY (mask, caller)
);
CREATE INDEX mask_pairs_caller ON mask_pairs (caller);
CREATE INDEX mask_pairs_session ON mask_pairs (session);
CREATE INDEX mask_pairs_free ON mask_pairs (free);
CREATE TABLE mask_calls (
  row INTEGER PRIMARY KEY, tail INTEGER NOT NULL, sub TEXT NOT NULL, session INTEGER, mask INTEGER NOT NULL,
  caller INTEGER NOT NULL, callee INTEGER, reference INTEGER NOT NULL UNIQUE, result INTEGER, revision INTEGER NOT NULL,
  body BLOB NOT NULL
);
CREATE INDEX mask_calls_session ON mask_calls (session);
CREATE INDEX mask_calls_mask ON mask_calls (mask, row);
CREATE INDEX mask_calls_caller ON mask_calls (caller);
CREATE INDEX mask_calls_callee ON mask_calls (callee);
";

/// Keys that seal, each wrapped by a key that is not here.
const DATA_KEYS: &str = "
CREATE TABLE data_keys (id INTEGER PRIMARY KEY, state INTEGER NOT NULL, made INTEGER NOT NULL, wrapped BLOB NOT NULL);
";

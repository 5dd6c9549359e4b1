//! The tables. A message costs two appended rows and one entry in an index whose hot part stays small.
//!
//! - `messages` holds what changes and what lists filter by; it is small because SQLite rewrites the whole row
//!   on every update. `bodies` holds what never changes.
//! - Indexes by keyed hash would dirty a random page for every message. They lead with a `bucket` instead: a
//!   stretch of a few thousand messages in order of time, so that inserts stay within a few pages, and a
//!   look-up asks one bucket after the other, newest first.
//! - Waiting messages and webhook deliveries need no index: they are known in memory and found again at
//!   start by reading on from `meta.settled_below`.

/// Marks the file as ours: `Swal`.
pub(super) const APPLICATION_ID: i64 = 0x5377_616c;

/// One step from each schema to the next; the file's `user_version` counts the steps taken.
pub(super) const MIGRATIONS: &[&str] = &[FIRST, KNOWN_NUMBERS, EVIDENCE, LISTS];

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
  bucket INTEGER NOT NULL,
  state INTEGER NOT NULL,
  changed INTEGER,
  due INTEGER,
  expires INTEGER,
  verification INTEGER,
  batch INTEGER,
  marks INTEGER NOT NULL,
  dims BLOB NOT NULL,
  progress TEXT
);
CREATE INDEX messages_number ON messages (bucket, number);
CREATE INDEX messages_batch ON messages (batch) WHERE batch IS NOT NULL;
CREATE INDEX messages_scheduled ON messages (due) WHERE state = 1;
CREATE TABLE bodies (row INTEGER PRIMARY KEY, body BLOB NOT NULL, text BLOB);
CREATE TABLE verifications (
  row INTEGER PRIMARY KEY,
  tail INTEGER NOT NULL,
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

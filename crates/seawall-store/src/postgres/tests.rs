use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{join_all, try_join3};
use seawall_core::message::MessageState;
use tokio::runtime::Handle;
use tokio::time::Instant;

use super::*;
use crate::conformance::server::{Server, own_server, server};
use crate::conformance::{self, Backend, acceptance, at, change, message, verification};
use crate::keys::DataKeys;
use crate::records::{Acceptance, AuditEntry, Document};
use crate::{Directory, Ledger, StoreError};

fn vault() -> Arc<Vault> {
    Arc::new(Vault::from_keys(&[(1, [3; 32])]).unwrap())
}

/// The server, unless these tests are skipped.
async fn here() -> Option<&'static Server> {
    let server = server().await.unwrap();
    if server.is_none() {
        eprintln!("SKIPPED: PostgreSQL (set SEAWALL_TEST_POSTGRES to the directory of its programs)");
    }
    server
}

fn backend(url: &str) -> Backend {
    let open = PostgresStore::open(url, vault(), Sharing::Alone);
    let store = tokio::task::block_in_place(|| Handle::current().block_on(open)).unwrap();
    let store = Arc::new(store);
    Backend { directory: store.clone(), ledger: store }
}

async fn refused(url: &str, vault: Arc<Vault>) -> String {
    PostgresStore::open(url, vault, Sharing::Alone).await.err().unwrap().to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn it_keeps_every_promise() {
    let Some(server) = here().await else { return };
    let fresh = || tokio::task::block_in_place(|| Handle::current().block_on(server.database())).unwrap();
    conformance::run(|| backend(&fresh())).await.unwrap();
    let same = fresh();
    conformance::run_persistent(|| backend(&same)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_thousand_masks_at_once_never_collide() {
    let Some(server) = here().await else { return };
    let store = backend(&server.database().await.unwrap());
    conformance::allocations_never_collide(&store, 1_000, 40, 40).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_would_not_keep_its_word_is_refused() {
    let Some(server) = here().await else { return };
    let url = server.database().await.unwrap();
    PostgresStore::open(&url, vault(), Sharing::Alone).await.unwrap().close().await;
    let other = Arc::new(Vault::from_keys(&[(1, [4; 32])]).unwrap());
    assert!(refused(&url, other).await.contains("does not belong to this database"));
    let database = url.split(['/', '?']).nth(3).unwrap().to_owned();
    for (setting, words) in [
        ("synchronous_commit = off", "synchronous_commit = off"),
        ("default_transaction_read_only = on", "read-only"),
    ] {
        let (name, _) = setting.split_once(' ').unwrap();
        server.admin(&format!("ALTER DATABASE {database} SET {setting}")).await.unwrap();
        let error = refused(&url, vault()).await;
        assert!(error.contains(words), "{error}");
        server.admin(&format!("ALTER DATABASE {database} RESET {name}")).await.unwrap();
    }
    Server::run(&url, "UPDATE meta SET value = 99 WHERE name = 'schema'").await.unwrap();
    assert!(refused(&url, vault()).await.contains("schema 99"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_node_that_counts_for_itself_is_refused() {
    let Some(server) = here().await else { return };
    let url = server.database().await.unwrap();
    let first = PostgresStore::open(&url, vault(), Sharing::Alone).await.unwrap();
    assert!(refused(&url, vault()).await.contains("another seawall uses this database"));
    first.close().await;
    drop(first);
    PostgresStore::open(&url, vault(), Sharing::Alone).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nodes_share_the_work_and_take_over_from_one_that_is_gone() {
    let Some(server) = here().await else { return };
    let url = server.database().await.unwrap();
    let node = || PostgresStore::open(&url, vault(), Sharing::Shared);
    let (one, two) = (Arc::new(node().await.unwrap()), Arc::new(node().await.unwrap()));
    assert_ne!(one.node(), two.node());
    let all = (0..400).map(|i| message(i, 1, "x")).collect::<crate::Result<Vec<_>>>().unwrap();
    one.accept(Acceptance { messages: all, ..Acceptance::default() }).await.unwrap();
    let claims = |store: &Arc<PostgresStore>| {
        let store = store.clone();
        tokio::spawn(async move {
            let mut mine = Vec::new();
            while mine.len() < 150 {
                mine.extend(store.claim(at(1000), 7).await.unwrap().into_iter().map(|m| m.id));
            }
            mine
        })
    };
    let (a, b) = (claims(&one), claims(&two));
    let (a, b) = (a.await.unwrap(), b.await.unwrap());
    assert!(a.iter().all(|id| !b.contains(id)), "claimed twice");
    // A restart of the second marks what was its own, and only that.
    assert_eq!(two.recover(at(1500)).await.unwrap().unknown, b.len());
    assert_eq!(two.message(None, a[0]).await.unwrap().unwrap().state, MessageState::Submitting);
    // The first is gone without a word.
    one.db.close();
    let begun = Instant::now();
    let mut gone = Vec::new();
    while gone.is_empty() && begun.elapsed() < Duration::from_secs(30) {
        tokio::time::sleep(Duration::from_millis(500)).await;
        gone = two.recover_gone(at(2000)).await.unwrap();
    }
    assert_eq!(gone.len(), a.len());
    assert_eq!(two.message(None, a[0]).await.unwrap().unwrap().state, MessageState::Unknown);
    assert_eq!(two.claim(at(3000), 999).await.unwrap().len(), 400 - a.len() - b.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_went_back_to_the_queue_and_was_claimed_anew_stays_claimed() {
    let Some(server) = here().await else { return };
    let url = server.database().await.unwrap();
    let store = PostgresStore::open(&url, vault(), Sharing::Shared).await.unwrap();
    let waits = message(1, 1, "x").unwrap();
    let key = waits.id.row();
    store.accept(Acceptance { messages: vec![waits], ..Acceptance::default() }).await.unwrap();
    let back =
        || travel::put_back(&store.db, store.db.node.lease(), at(10).as_millis(), std::slice::from_ref(&key));
    assert_eq!(store.claim(at(10), 9).await.unwrap().len(), 1);
    assert_eq!(back().await.unwrap(), 1);
    assert_eq!(store.claim(at(11), 9).await.unwrap().len(), 1);
    // The answer was lost and it is told again, while this node is sending.
    assert_eq!(back().await.unwrap(), 0);
    assert!(store.claim(at(12), 9).await.unwrap().is_empty(), "it is not sent twice");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_one_node_sets_up_the_others_hear_of() {
    let Some(server) = here().await else { return };
    let url = server.database().await.unwrap();
    let one = PostgresStore::open(&url, vault(), Sharing::Shared).await.unwrap();
    let two = PostgresStore::open(&url, vault(), Sharing::Shared).await.unwrap();
    let mut changes = two.changes();
    let document = Document {
        collection: "limits".to_owned(),
        id: "a".to_owned(),
        name: None,
        body: serde_json::json!({}),
        revision: 1,
        created_at: at(1),
        updated_at: at(1),
    };
    let audit = AuditEntry {
        at: at(1),
        actor: "admin".to_owned(),
        action: "limits.create".to_owned(),
        target: "a".to_owned(),
        detail: serde_json::json!({}),
        ip: None,
    };
    let begun = Instant::now();
    let version = one.create(document, audit).await.unwrap();
    changes.wait_for(|now| now.version == version).await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(10), "by a notification: {:?}", begun.elapsed());
    assert_eq!(two.version().await.unwrap(), version);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_at_once_are_committed_together() {
    let Some(server) = here().await else { return };
    let url = server.database().await.unwrap();
    let store = Arc::new(PostgresStore::open(&url, vault(), Sharing::Alone).await.unwrap());
    let accept = |n: i64| {
        let store = store.clone();
        tokio::spawn(async move {
            let (v, m) = verification(n, n.unsigned_abs() % 500).unwrap();
            store.accept(acceptance(v, m)).await
        })
    };
    let all: Vec<_> = (0..1000).map(accept).collect();
    let (mut done, mut conflicts) = (0, 0);
    for one in all {
        match one.await.unwrap() {
            Ok(()) => done += 1,
            Err(StoreError::Conflict) => conflicts += 1,
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!((done, conflicts), (500, 500), "one open verification of each number");
    assert_eq!(store.census(None).await.unwrap().values().sum::<u64>(), 500);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_table_is_read_whole_while_it_grows() {
    let Some(server) = here().await else { return };
    let url = server.database().await.unwrap();
    let store = Arc::new(PostgresStore::open(&url, vault(), Sharing::Alone).await.unwrap());
    // Statements are planned while their tables are empty, and asked again as these grow: about many at a time.
    for round in 0..25 {
        let one = async |n: i64| {
            let (v, m) = verification(n, n.unsigned_abs()).unwrap();
            let (id, to, sub) = (m.id, m.to, m.subaccount.clone());
            store.accept(acceptance(v, m)).await.unwrap();
            let (open, scopes, known) =
                (store.open_verification(&sub, to, at(n)), store.opted_out(to), store.known_number(to));
            assert!(try_join3(open, scopes, known).await.unwrap().0.is_some());
            id
        };
        let sent = join_all((0..40).map(|n| one(round * 40 + n))).await;
        assert_eq!(store.claim(at(round * 40 + 40), 100).await.unwrap().len(), 40);
        let sent = sent.into_iter().map(|id| change(id, MessageState::Sent, round * 40 + 40)).collect();
        assert_eq!(store.settle(sent).await.unwrap().len(), 40);
    }
    store.close().await;
    drop(store);
    // The server counts what a connection read when that ends.
    let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap();
    let task = tokio::spawn(connection);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let sql = "SELECT relname::text, seq_tup_read FROM pg_stat_user_tables WHERE seq_tup_read > 2000";
    let read: Vec<(String, i64)> =
        client.query(sql, &[]).await.unwrap().iter().map(|row| (row.get(0), row.get(1))).collect();
    assert_eq!(read, []);
    let sql = "SELECT sum(idx_tup_fetch)::bigint FROM pg_stat_user_tables";
    let by_index: i64 = client.query_one(sql, &[]).await.unwrap().get(0);
    assert!(by_index > 1_000, "{by_index}: the server has not counted yet");
    drop(client);
    let _ = task.await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_key_of_another_node_fails_alone() {
    let Some(server) = here().await else { return };
    let url = server.database().await.unwrap();
    let store = Arc::new(PostgresStore::open(&url, vault(), Sharing::Alone).await.unwrap());
    let taken = message(1, 1, "x").unwrap();
    let accept = |m: crate::records::MessageRecord| {
        let store = store.clone();
        tokio::spawn(
            async move { store.accept(Acceptance { messages: vec![m], ..Acceptance::default() }).await },
        )
    };
    accept(taken.clone()).await.unwrap().unwrap();
    let mut all: Vec<_> = (0..50).map(|i| accept(message(i, 1, "y").unwrap())).collect();
    all.push(accept(taken));
    let mut failed = 0;
    for one in all {
        failed += usize::from(one.await.unwrap().is_err());
    }
    assert_eq!(failed, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn while_the_server_hangs_requests_know_soon_and_nothing_is_left_behind() {
    let Some(server) = own_server().await.unwrap() else { return };
    let url = server.database().await.unwrap();
    let store = Arc::new(PostgresStore::open(&url, vault(), Sharing::Alone).await.unwrap());
    let accept = |ms: i64| {
        let store = store.clone();
        let mut express = message(ms, 1, "x").unwrap();
        express.state = MessageState::Submitting;
        async move { store.accept(Acceptance { messages: vec![express], ..Acceptance::default() }).await }
    };
    accept(1).await.unwrap();
    server.pause(true).unwrap();
    for ms in 2..4 {
        let begun = Instant::now();
        assert!(matches!(accept(ms).await, Err(StoreError::Unavailable(_))));
        assert!(matches!(store.ping().await, Err(StoreError::Unavailable(_))));
        assert!(begun.elapsed() < Duration::from_secs(12), "two waits: {:?}", begun.elapsed());
    }
    server.pause(false).unwrap();
    let begun = Instant::now();
    while accept(9).await.is_err() {
        assert!(begun.elapsed() < Duration::from_secs(30), "it does not resume");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // What was refused was not taken, or is marked as never sent.
    let begun = Instant::now();
    while store.census(None).await.unwrap().get("submitting") != Some(&2) {
        assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", store.census(None).await);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_node_leads_and_another_takes_over_when_it_is_gone() {
    let Some(server) = here().await else { return };
    let url = server.database().await.unwrap();
    let node = || PostgresStore::open(&url, vault(), Sharing::Shared);
    let mut nodes = vec![node().await.unwrap(), node().await.unwrap(), node().await.unwrap()];
    while !nodes.is_empty() {
        let begun = Instant::now();
        while !nodes.iter().any(Ledger::leads) {
            assert!(begun.elapsed() < Duration::from_secs(30), "nobody leads");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let leading: Vec<usize> = (0..nodes.len()).filter(|n| nodes[*n].leads()).collect();
        assert_eq!(leading.len(), 1, "one of {}", nodes.len());
        // It ends without a word.
        nodes.remove(leading[0]).db.close();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_of_evidence_is_kept_in_parts_and_never_replaced_by_an_older_one() {
    let Some(server) = here().await else { return };
    let url = server.database().await.unwrap();
    let store = PostgresStore::open(&url, vault(), Sharing::Shared).await.unwrap();
    assert_eq!(store.snapshot().await.unwrap(), None);
    for batch in 1..10u8 {
        store.append_evidence(vec![batch]).await.unwrap();
    }
    assert!(matches!(store.keep_snapshot(10, b"another's".to_vec()).await, Err(StoreError::Conflict)));
    let large: Vec<u8> = (0..9_000_000u32).map(|n| (n % 251) as u8).collect();
    store.keep_snapshot(7, large.clone()).await.unwrap();
    store.keep_snapshot(6, b"older".to_vec()).await.unwrap();
    let (folded, kept) = store.snapshot().await.unwrap().unwrap();
    assert!(folded == 7 && kept == large, "as it was written");
    store.keep_snapshot(9, b"newer".to_vec()).await.unwrap();
    assert_eq!(store.snapshot().await.unwrap(), Some((9, b"newer".to_vec())));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_is_appended_once_and_what_is_forgotten_is_known() {
    let Some(server) = here().await else { return };
    let url = server.database().await.unwrap();
    let store = PostgresStore::open(&url, vault(), Sharing::Shared).await.unwrap();
    let first = store.append_evidence(b"first".to_vec()).await.unwrap();
    assert_eq!(store.append_evidence(b"first".to_vec()).await.unwrap(), first);
    let second = store.append_evidence(b"second".to_vec()).await.unwrap();
    assert_eq!(store.evidence_after(0).await.unwrap().len(), 2);
    assert_eq!(store.evidence_forgotten().await.unwrap(), 0);
    store.forget_evidence(first).await.unwrap();
    assert_eq!(store.evidence_forgotten().await.unwrap(), first);
    assert_eq!(store.evidence_after(0).await.unwrap(), [(second, b"second".to_vec())]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_claim_is_given_once_until_its_time_is_over() {
    let Some(server) = here().await else { return };
    let url = server.database().await.unwrap();
    let store = Arc::new(PostgresStore::open(&url, vault(), Sharing::Shared).await.unwrap());
    let claim = |now, until| {
        let store = store.clone();
        tokio::spawn(async move { store.claim_once(5, at(now), at(until)).await.unwrap() })
    };
    for (now, until) in [(0, 10), (10, 20)] {
        let mut given = 0;
        for one in (0..8).map(|_| claim(now, until)).collect::<Vec<_>>() {
            given += u32::from(one.await.unwrap());
        }
        assert_eq!(given, 1);
    }
    assert!(!claim(19, 30).await.unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_an_old_data_key_sealed_is_sealed_again() {
    let Some(server) = here().await else { return };
    let url = server.database().await.unwrap();
    let (one, two) = ((1, [3; 32]), (2, [4; 32]));
    let now = |work| tokio::task::block_in_place(|| Handle::current().block_on(work));
    let open = async |keys: &[(u8, [u8; 32])]| {
        let vault = Arc::new(Vault::from_parts(&[3; 32], keys).unwrap());
        Arc::new(PostgresStore::open(&url, vault, Sharing::Alone).await.unwrap())
    };
    let first = std::sync::atomic::AtomicBool::new(true);
    let again = || {
        let store = now(Box::pin(async {
            if first.swap(false, std::sync::atomic::Ordering::Relaxed) {
                return open(&[one]).await;
            }
            let both = open(&[one, two]).await;
            let before = both.sealed_before().await.unwrap();
            assert!(before >= 15, "{before}");
            let mut at = crate::keys::Resealing::default();
            while !at.finished {
                at = both.reseal(at).await.unwrap();
            }
            assert_eq!((at.done, both.sealed_before().await.unwrap()), (before, 0));
            both.close().await;
            drop(both);
            // The old key is gone: nothing may name it.
            open(&[two]).await
        }));
        Backend { directory: store.clone(), ledger: store }
    };
    conformance::run_persistent(again).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_column_of_bytes_is_sealed_or_known_not_to_be() {
    let Some(server) = here().await else { return };
    let url = server.database().await.unwrap();
    PostgresStore::open(&url, vault(), Sharing::Alone).await.unwrap().close().await;
    let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap();
    let task = tokio::spawn(connection);
    // Partitions have the columns of their table.
    let sql = "SELECT c.relname, a.attname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid \
         WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition \
         AND a.attnum > 0 AND NOT a.attisdropped AND a.atttypid = 'bytea'::regtype";
    let rows = client.query(sql, &[]).await.unwrap();
    // Keyed hashes, states, and names of subaccounts; wrapped keys.
    let plain = [
        ("messages", "dims"),
        ("messages", "progress"),
        ("checkpoints", "body"),
        ("allows", "body"),
        ("data_keys", "wrapped"),
    ];
    for row in &rows {
        let named = (row.get::<_, &str>(0), row.get::<_, &str>(1));
        let sealed = crate::tables::POSTGRES.iter().any(|c| (c.table, c.column) == named);
        assert!(sealed != plain.contains(&named), "{named:?}");
    }
    assert_eq!(rows.len(), crate::tables::POSTGRES.len() + plain.len());
    for table in ["mask_sessions", "mask_calls"] {
        assert!(crate::tables::POSTGRES.iter().any(|c| c.table == table), "{table}");
    }
    drop(client);
    let _ = task.await;
}

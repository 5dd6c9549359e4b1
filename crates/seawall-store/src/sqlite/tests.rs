use std::path::Path;
use std::sync::Arc;

use seawall_core::consent::OptOutScope;
use seawall_core::message::MessageState;

use super::*;
use crate::conformance::{self, Backend, acceptance, at, change, id, message, verification};
use crate::keys::DataKeys;
use crate::records::{Acceptance, Attempt, HookDelivery, Idempotent, OptOut};
use crate::{Directory, Ledger, StoreError};

fn backend(store: SqliteStore) -> Backend {
    let store = Arc::new(store);
    Backend { directory: store.clone(), ledger: store }
}

fn vault() -> Arc<Vault> {
    Arc::new(Vault::from_keys(&[(1, [3; 32])]).unwrap())
}

fn error(dir: &Path, vault: Arc<Vault>) -> StoreError {
    SqliteStore::open(dir, vault).err().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn memory_keeps_every_promise() {
    conformance::run(|| backend(SqliteStore::open_in_memory(vault()).unwrap())).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_directory_keeps_every_promise() {
    let root = tempfile::tempdir().unwrap();
    let next = std::sync::atomic::AtomicU32::new(0);
    let open = || {
        let n = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        backend(SqliteStore::open(&root.path().join(n.to_string()), vault()).unwrap())
    };
    conformance::run(open).await.unwrap();
    let same = root.path().join("same");
    conformance::run_persistent(|| backend(SqliteStore::open(&same, vault()).unwrap())).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn ten_thousand_masks_at_once_never_collide() {
    let dir = tempfile::tempdir().unwrap();
    let store = backend(SqliteStore::open(dir.path(), vault()).unwrap());
    conformance::allocations_never_collide(&store, 10_000, 400, 40).await.unwrap();
}

#[tokio::test]
async fn only_one_process_may_use_a_directory() {
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(dir.path(), vault()).unwrap();
    assert!(matches!(error(dir.path(), vault()), StoreError::Locked));
    store.close().await;
    SqliteStore::open(dir.path(), vault()).unwrap();
}

#[tokio::test]
async fn what_waits_is_found_again_however_many_came_after_it() {
    let dir = tempfile::tempdir().unwrap();
    let open = || SqliteStore::open(dir.path(), vault()).unwrap();
    let some = |messages| Acceptance { messages, ..Acceptance::default() };
    let mut scheduled = message(1, 1, "x").unwrap();
    (scheduled.state, scheduled.due) = (MessageState::Scheduled, Some(at(500)));
    // Begun before all others, accepted last.
    let (slow, (code, first)) = (message(2, 2, "x").unwrap(), verification(2, 3).unwrap());
    let (slow_id, code_id) = (slow.id, code.id);
    let store = open();
    store.accept(some(vec![scheduled])).await.unwrap();
    for n in 0..6u64 {
        let many = (0..1000).map(|m| message(100, 10 + 1000 * n + m, "x").unwrap());
        store.accept(some(many.collect())).await.unwrap();
        let claimed = store.claim(at(200), 1000).await.unwrap();
        let sent = claimed.iter().map(|m| change(m.id, MessageState::Delivered, 201)).collect();
        assert_eq!(store.settle(sent).await.unwrap().len(), 1000);
    }
    store.accept(some(vec![slow])).await.unwrap();
    store.accept(acceptance(code, first)).await.unwrap();
    assert_eq!(store.queued().await.unwrap(), 2);
    store.close().await;
    drop(store);

    let store = open();
    assert_eq!(store.queued().await.unwrap(), 2);
    let number = conformance::msisdn(3).unwrap();
    let pending = store.open_verification("main", number, at(300)).await.unwrap();
    assert_eq!(pending.map(|v| v.id), Some(code_id));
    let claimed = store.claim(at(600), 10).await.unwrap();
    assert_eq!((claimed.len(), claimed.iter().any(|m| m.id == slow_id)), (3, true));
    store.close().await;
    drop(store);

    let recovered = open().recover(at(700)).await.unwrap();
    assert_eq!((recovered.unknown, recovered.waiting), (3, 0), "the scheduled one, too");
}

#[tokio::test]
async fn a_key_file_of_another_installation_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    SqliteStore::open(dir.path(), vault()).unwrap().close().await;
    let other = Arc::new(Vault::from_keys(&[(1, [4; 32])]).unwrap());
    assert!(error(dir.path(), other).to_string().contains("does not belong"));
    let rotated = Arc::new(Vault::from_keys(&[(1, [3; 32]), (2, [4; 32])]).unwrap());
    SqliteStore::open(dir.path(), rotated).unwrap();
}

#[tokio::test]
async fn a_newer_schema_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    SqliteStore::open(dir.path(), vault()).unwrap().close().await;
    let conn = rusqlite::Connection::open(dir.path().join(DATABASE_FILE)).unwrap();
    conn.execute_batch("PRAGMA user_version = 99").unwrap();
    drop(conn);
    assert!(
        matches!(error(dir.path(), vault()), StoreError::Newer { found: 99, known } if known == i64::try_from(super::schema::MIGRATIONS.len()).unwrap())
    );
}

#[test]
fn what_is_no_database_of_ours_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(DATABASE_FILE);
    let garbage = vec![b'x'; 10_000];
    std::fs::write(&path, &garbage).unwrap();
    assert!(matches!(error(dir.path(), vault()), StoreError::Corrupt(why) if why.contains("left as it is")));
    assert_eq!(std::fs::read(&path).unwrap(), garbage);
    std::fs::remove_file(&path).unwrap();
    rusqlite::Connection::open(&path).unwrap().execute_batch("CREATE TABLE other (x)").unwrap();
    let before = std::fs::read(&path).unwrap();
    assert!(
        matches!(error(dir.path(), vault()), StoreError::Corrupt(why) if why.contains("another program"))
    );
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

fn noted_opt_out(msisdn: seawall_core::msisdn::Msisdn) -> OptOut {
    let (source, note) = ("stop".to_owned(), Some("zanzibar".to_owned()));
    OptOut { id: id(6), msisdn, scope: OptOutScope::default(), source, note, at: at(6) }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_number_text_or_code_is_in_any_file() {
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(dir.path(), vault()).unwrap();
    let (mut v, mut m) = verification(1, 4_242).unwrap();
    v.given_code = Some("735190".to_owned());
    v.callback_url = Some("https://hook.example/s3cret".to_owned());
    m.details.client_message_id = Some("theirs-1".to_owned());
    let mut accepted = acceptance(v.clone(), m.clone());
    let body = "answer to 6580004242".to_owned();
    let key = "main POST key-123".to_owned();
    accepted.idempotent = Some(Idempotent { key, fingerprint: 1, status: 200, body, at: at(1) });
    store.accept(accepted).await.unwrap();
    let text = message(2, 4_242, "zanzibar").unwrap();
    store.accept(Acceptance { messages: vec![text], ..Acceptance::default() }).await.unwrap();
    store.claim(at(3), 9).await.unwrap();
    let mut sent = change(m.id, MessageState::Sent, 4);
    let (provider, outcome) = ("p".to_owned(), "accepted".to_owned());
    sent.attempt =
        Some(Attempt { provider, at: at(4), outcome, reference: Some("r-1".to_owned()), detail: None });
    sent.hooks = vec![HookDelivery {
        id: id(4),
        url: "https://hook.example/s3cret".to_owned(),
        webhook: None,
        subaccount: "main".to_owned(),
        body: "{\"to\":\"6580004242\"}".to_owned(),
        tries: 0,
        due: at(4),
    }];
    store.settle(vec![sent]).await.unwrap();
    let opt_out = noted_opt_out(m.to);
    let audit = crate::records::AuditEntry {
        at: at(6),
        actor: "a".to_owned(),
        action: "b".to_owned(),
        target: "c".to_owned(),
        detail: serde_json::json!({"note": "zanzibar"}),
        ip: Some("203.0.113.99".to_owned()),
    };
    store.add_opt_out(opt_out, audit).await.unwrap();
    store.touch_keys(vec![("key_1".to_owned(), at(6), "203.0.113.99".to_owned())]).await.unwrap();
    let number = m.to.as_u64();
    let needles: Vec<Vec<u8>> =
        ["6580004242", "zanzibar", "735190", "s3cret", "203.0.113.99", "198.51.100.7", "key-123"]
            .iter()
            .map(|s| s.as_bytes().to_vec())
            .chain([number.to_le_bytes()[..5].to_vec(), number.to_be_bytes()[3..].to_vec()])
            .collect();
    let mut seen = 0;
    for close in [false, true] {
        if close {
            store.close().await;
        }
        seen += without(dir.path(), &needles);
    }
    assert!(seen > 100_000);
}

/// Bytes in the files of a directory; none of the needles is among them.
fn without(dir: &std::path::Path, needles: &[Vec<u8>]) -> usize {
    let mut seen = 0;
    for file in std::fs::read_dir(dir).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        seen += bytes.len();
        for needle in needles {
            let found = bytes.windows(needle.len()).any(|w| w == needle);
            assert!(!found, "{:?}", String::from_utf8_lossy(needle));
        }
    }
    seen
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_whole_and_recovers() {
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(SqliteStore::open(dir.path(), vault()).unwrap());
    let pages = |n: &str| {
        let sql = format!("PRAGMA max_page_count = {n}");
        let store = store.clone();
        async move {
            store.db.write(0, move |turn| Ok(turn.view.conn.query_row(&sql, [], |_| Ok(()))?)).await.unwrap();
        }
    };
    pages("70").await;
    let (mut accepted, mut refused) = (Vec::new(), Vec::new());
    for i in 0..300 {
        let (v, m) = verification(i, i as u64).unwrap();
        match store.accept(acceptance(v.clone(), m.clone())).await {
            Ok(()) => accepted.push((v, m)),
            Err(StoreError::Unavailable(_)) => refused.push((v, m)),
            Err(other) => panic!("{other}"),
        }
    }
    assert!(accepted.len() > 20 && refused.len() > 20, "{} {}", accepted.len(), refused.len());
    for (v, m) in &accepted {
        assert!(store.message(None, m.id).await.unwrap().is_some());
        assert!(store.verification(None, v.id).await.unwrap().is_some());
    }
    for (v, m) in &refused {
        assert!(store.message(None, m.id).await.unwrap().is_none());
        assert!(store.verification(None, v.id).await.unwrap().is_none());
        assert!(store.open_verification("main", v.to, at(400)).await.unwrap().is_none());
    }
    pages("1000000").await;
    store.ping().await.unwrap();
    for (v, m) in refused {
        store.accept(acceptance(v, m)).await.unwrap();
    }
    assert_eq!(store.claim(at(1000), 1000).await.unwrap().len(), 300);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_fails_half_way_takes_its_group_back() {
    let store = SqliteStore::open_in_memory(vault()).unwrap();
    let m = message(1, 1, "x").unwrap();
    let accept = |m| store.accept(Acceptance { messages: vec![m], ..Acceptance::default() });
    accept(m.clone()).await.unwrap();
    let twice =
        Acceptance { messages: vec![message(2, 1, "y").unwrap(), m.clone()], ..Acceptance::default() };
    assert!(matches!(store.accept(twice).await, Err(StoreError::Unavailable(_))));
    assert_eq!(store.census(None).await.unwrap().values().sum::<u64>(), 1);
    let panics = store.db.write(1, |turn| -> Result<()> {
        turn.hot().subs.insert(99, "never");
        turn.on_rollback(|hot| hot.subs.remove(99));
        panic!("a bug")
    });
    assert!(panics.await.is_err());
    accept(message(3, 1, "z").unwrap()).await.unwrap();
    assert!(store.db.shared.hot().subs.id("never").is_none());
}

#[tokio::test]
async fn a_broken_store_writes_no_more() {
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(dir.path(), vault()).unwrap();
    store.ping().await.unwrap();
    store.db.shared.mark_broken();
    assert!(matches!(store.ping().await, Err(StoreError::Unavailable(_))));
    assert!(store.version().await.is_ok(), "what is stored can still be read");
}

/// Everything that is sealed, in small steps.
async fn reseal_all(store: &dyn Ledger) -> u64 {
    let mut at = crate::keys::Resealing::default();
    while !at.finished {
        at = store.reseal(at).await.unwrap();
    }
    at.done
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_old_data_key_sealed_is_sealed_again() {
    let dir = tempfile::tempdir().unwrap();
    let (one, two) = ((1, [3; 32]), (2, [4; 32]));
    let open = |keys: &[(u8, [u8; 32])]| {
        SqliteStore::open(dir.path(), Arc::new(Vault::from_parts(&[3; 32], keys).unwrap())).unwrap()
    };
    let first = std::sync::atomic::AtomicBool::new(true);
    let again = || {
        if first.swap(false, std::sync::atomic::Ordering::Relaxed) {
            return backend(open(&[one]));
        }
        let work = async {
            let both = open(&[one, two]);
            let before = both.sealed_before().await.unwrap();
            assert!(before >= 15, "{before}");
            assert_eq!(reseal_all(&both).await, before);
            assert_eq!((both.sealed_before().await.unwrap(), reseal_all(&both).await), (0, 0));
            both.close().await;
        };
        tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(work));
        // The old key is gone: nothing may name it.
        backend(open(&[two]))
    };
    conformance::run_persistent(again).await.unwrap();
}

#[tokio::test]
async fn every_column_of_bytes_is_sealed_or_known_not_to_be() {
    let dir = tempfile::tempdir().unwrap();
    SqliteStore::open(dir.path(), vault()).unwrap().close().await;
    let conn = rusqlite::Connection::open(dir.path().join(DATABASE_FILE)).unwrap();
    let sql = "SELECT t.name, c.name FROM sqlite_schema t, pragma_table_info(t.name) c
               WHERE t.type = 'table' AND c.type IN ('BLOB', '') AND t.name NOT LIKE 'sqlite_%'";
    let mut select = conn.prepare(sql).unwrap();
    let columns = select.query_map([], |r| Ok((r.get::<_, String>(0)?, r.get::<_, String>(1)?))).unwrap();
    // Keyed hashes, states, and names of subaccounts; wrapped keys.
    let plain = [
        ("messages", "dims"),
        ("messages", "progress"),
        ("numbers", "body"),
        ("checkpoints", "body"),
        ("allows", "body"),
        ("data_keys", "wrapped"),
    ];
    let mut seen = 0;
    for named in columns {
        let (table, column) = named.unwrap();
        let named = (table.as_str(), column.as_str());
        let sealed = crate::tables::SQLITE.iter().any(|c| (c.table, c.column) == named);
        assert!(sealed || plain.contains(&named), "{named:?}");
        seen += 1;
    }
    assert_eq!(seen, crate::tables::SQLITE.len() + plain.len());
}

//! The audit log is a chain: whole whatever nodes write it at once, whatever retention takes, and broken by whoever changes
//! it in the database.

use futures_util::future::join_all;
use seawall_store::conformance::server::Server;
use serde_json::{Value, json};

use crate::cluster::Shared;
use crate::common::{Gateway, seawall};

async fn look(gateway: &Gateway) -> Value {
    gateway.admin("GET", "/admin/v1/audit/verify", None).await.expect(200)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_is_verified_from_a_shell_and_a_head_is_found_again() {
    let gateway = Gateway::new().await;
    let (said, _, code) = seawall(&gateway, &["audit", "verify"]).await;
    assert_eq!(code, Some(0), "{said}");
    let first = look(&gateway).await;
    assert_eq!(
        (&first["status"], &first["unlinked"], &first["broken"]),
        (&json!("whole"), &json!(0), &Value::Null)
    );
    let head = first["head"].as_str().unwrap();
    assert!(said.contains(head), "{said}");
    let gone = gateway.api("DELETE", "/v1/numbers/%2B6591234567/data", None).await;
    assert_eq!(gone.status, 202);
    let later = look(&gateway).await;
    assert!(
        later["entries"].as_u64() > first["entries"].as_u64() && later["head"] != first["head"],
        "{later}"
    );
    let noted = seawall(&gateway, &["audit", "verify", "--head", head]).await;
    assert_eq!(noted.2, Some(0), "{}", noted.1);
    let (_, why, code) = seawall(&gateway, &["audit", "verify", "--head", &"00".repeat(32)]).await;
    assert!(code == Some(1) && why.contains("not in the log"), "{why}");
    let wrong = gateway.admin("GET", "/admin/v1/audit/verify?head=1", None).await;
    assert_eq!((wrong.status, &wrong.json()["field"]), (400, &json!("head")));
    // Two years later retention has taken all of it; what comes goes on behind.
    gateway.advance("17520h").await;
    let now = gateway.running.app.now();
    while gateway.running.app.store.ledger.prune(now, &gateway.running.app.config.retention).await.unwrap() {}
    let note = json!({"msisdn": "+6591234567"});
    gateway.admin("POST", "/admin/v1/opt-outs", Some(note)).await.expect(201);
    let last = look(&gateway).await;
    assert!(last["status"] == "whole" && last["entries"].as_u64().unwrap() < 5, "{last}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_write_one_chain_and_who_changes_it_in_the_database_is_noticed() {
    let Some(shared) = Shared::new().await else { return };
    let nodes = shared.nodes(3).await;
    let out = async |n: usize| {
        let body = json!({"msisdn": format!("+65912345{n:02}")});
        nodes[n % 3].admin("POST", "/admin/v1/opt-outs", Some(body)).await.expect(201);
    };
    join_all((0..30).map(out)).await;
    let whole = look(&nodes[2]).await;
    assert_eq!((&whole["status"], &whole["unlinked"]), (&json!("whole"), &json!(0)), "{whole}");
    assert!(whole["entries"].as_u64().unwrap() > 30);
    let middle = "(SELECT key FROM audit ORDER BY key OFFSET 12 LIMIT 1)";
    Server::run(&shared.database, &format!("DELETE FROM audit WHERE key = {middle}")).await.unwrap();
    out(31).await;
    let broken = look(&nodes[0]).await;
    assert_eq!(broken["status"], "broken");
    assert!(broken["broken"].as_str().unwrap().contains("does not follow the one before it"), "{broken}");
    let (_, why, code) = seawall(&nodes[0], &["audit", "verify"]).await;
    assert!(code == Some(1) && why.contains("is missing"), "{why}");
}

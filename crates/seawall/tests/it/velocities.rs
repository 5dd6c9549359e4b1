//! Rules on velocities: how often lately, without the request itself, also after a restart.

use serde_json::{Value, json};

use crate::common::Gateway;

async fn rule(gateway: &Gateway, name: &str, when: &str, mode: &str) {
    let body = json!({"name": name, "action": "block", "when": when, "mode": mode});
    gateway.admin("POST", "/admin/v1/rules", Some(body)).await.expect(201);
}

/// Sends to the n-th number for a user; the status of the answer.
async fn send(gateway: &Gateway, n: usize, user: &str) -> u16 {
    let client = json!({"user_id": user, "ip": "198.51.100.7", "fingerprint": format!("fp-{user}")});
    let body = json!({"to": format!("+6591234{n:03}"), "text": "hello", "client": client});
    gateway.api("POST", "/v1/messages", Some(body)).await.status
}

async fn begin(gateway: &Gateway, n: usize, user: &str) -> (u16, Value, String) {
    let to = format!("+6591235{n:03}");
    let body = json!({"to": to, "client": {"user_id": user}});
    let answer = gateway.api("POST", "/v1/verifications", Some(body)).await;
    (answer.status, answer.json(), to)
}

/// A code is asked for and confirmed.
async fn confirm(gateway: &Gateway, n: usize, user: &str) {
    let (status, begun, to) = begin(gateway, n, user).await;
    assert_eq!(status, 201, "{begun}");
    let code = gateway.code(&to, 1).await;
    let path = format!("/v1/verifications/{}/check", begun["id"].as_str().unwrap());
    assert_eq!(
        gateway.api("POST", &path, Some(json!({"code": code}))).await.expect(200)["status"],
        "verified"
    );
}

async fn newest(gateway: &Gateway) -> Value {
    let list = gateway.admin("GET", "/admin/v1/decisions?limit=1", None).await.expect(200);
    let path = format!("/admin/v1/decisions/{}", list["data"][0]["id"].as_str().unwrap());
    gateway.admin("GET", &path, None).await.expect(200)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_velocity_blocks_at_the_right_request_also_after_a_restart() {
    let gateway = Gateway::without_detection().await;
    // What happened before the rule came is read back from the ledger.
    assert_eq!(send(&gateway, 0, "ann").await, 201);
    rule(&gateway, "eager", "velocity.user.sends_1h >= 3", "enforce").await;
    for n in 1..3 {
        assert_eq!(send(&gateway, n, "ann").await, 201, "{n}");
    }
    assert_eq!(send(&gateway, 3, "ann").await, 403, "three were sent before it");
    let refused = newest(&gateway).await;
    assert_eq!(refused["reasons"][0]["key"], "eager");
    // Requests, sends and distinct numbers, over ten minutes, an hour and a day.
    assert_eq!(refused["facts"]["velocity"]["user"], json!([3, 3, 3, 3, 3, 3, 3, 3, 3]), "{refused}");
    assert_eq!(send(&gateway, 4, "bob").await, 201, "somebody else");
    let of_bob = newest(&gateway).await["facts"]["velocity"].clone();
    assert_eq!(of_bob["user"], json!([]), "nothing before, itself excluded");
    assert_eq!(of_bob["ip"], json!([4, 4, 4, 3, 3, 3, 4, 4, 4]), "the refused one was no send");
    assert_eq!(of_bob["network"], of_bob["ip"]);

    let gateway = gateway.restart().await;
    assert_eq!(send(&gateway, 5, "ann").await, 403, "a restart forgives nobody");
    assert_eq!(newest(&gateway).await["facts"]["velocity"]["user"], json!([4, 4, 4, 3, 3, 3, 4, 4, 4]));
    for n in 6..8 {
        assert_eq!(send(&gateway, n, "bob").await, 201, "{n}");
    }
    assert_eq!(send(&gateway, 8, "bob").await, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn confirmations_count_and_are_read_back() {
    let gateway = Gateway::without_detection().await;
    rule(
        &gateway,
        "doubtful",
        "velocity.user.sends_1h >= 2 && velocity.user.confirmations_1h < 2",
        "enforce",
    )
    .await;
    confirm(&gateway, 0, "ann").await;
    confirm(&gateway, 1, "ann").await;
    assert_eq!(begin(&gateway, 2, "ann").await.0, 201, "she confirms what she asks for");
    for n in 3..5 {
        assert_eq!(begin(&gateway, n, "mallory").await.0, 201);
    }
    assert_eq!(begin(&gateway, 5, "mallory").await.0, 403);
    let gateway = gateway.restart().await;
    assert_eq!(begin(&gateway, 6, "ann").await.0, 201);
    assert_eq!(
        newest(&gateway).await["facts"]["velocity"]["user"],
        json!([3, 3, 3, 3, 3, 3, 3, 3, 3, 2, 2, 2])
    );
    assert_eq!(begin(&gateway, 7, "mallory").await.0, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_at_once_each_sees_those_before_it() {
    let gateway = Gateway::without_detection().await;
    rule(&gateway, "burst", "velocity.fingerprint.requests_10m >= 5", "enforce").await;
    let all = futures_util::future::join_all((0..40).map(|n| send(&gateway, n, "ann"))).await;
    assert_eq!(all.iter().filter(|status| **status == 201).count(), 5, "{all:?}");
    // Asking is not counted.
    let dry =
        json!({"to": "+6591234567", "purpose": "message", "dry_run": true, "client": {"fingerprint": "x"}});
    for _ in 0..7 {
        let asked = gateway.api("POST", "/v1/decisions", Some(dry.clone())).await.expect(200);
        assert_eq!(asked["verdict"], "allow");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_back_test_sees_the_velocities_of_the_time() {
    let gateway = Gateway::without_detection().await;
    assert_eq!(send(&gateway, 0, "ann").await, 201);
    let draft = "velocity.user.distinct_numbers_1h >= 2";
    rule(&gateway, "draft", draft, "shadow").await;
    for n in 1..5 {
        assert_eq!(send(&gateway, n, "ann").await, 201);
    }
    let body = json!({"when": draft, "name": "draft"});
    let told = gateway.admin("POST", "/admin/v1/rules/backtest", Some(body)).await.expect(200);
    assert_eq!((&told["requests"], &told["matched"]), (&json!(5), &json!(3)), "{told}");
    assert_eq!(told["not_recorded"], json!({"velocity.user.distinct_numbers_1h": 1}));
    let note = told["sampled_note"].as_str().unwrap();
    assert!(note.contains("save the rule in shadow"), "{note}");
}

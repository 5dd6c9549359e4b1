//! A user gets a new number: proved by a code, with the number before agreeing, or after a wait that it is told of.

use serde_json::{Value, json};

use crate::common::Gateway;

const NEW: &str = "+6591230001";
const OLD: &str = "+6591230002";
const OTHER: &str = "+6591230003";

async fn begin(gateway: &Gateway, body: Value, status: u16) -> Value {
    gateway.api("POST", "/v1/bindings", Some(body)).await.expect(status)
}

fn path(binding: &Value, step: &str) -> String {
    format!("/v1/bindings/{}{step}", binding["id"].as_str().unwrap())
}

async fn send(gateway: &Gateway, binding: &Value, number: &str, status: u16) -> Value {
    gateway.api("POST", &path(binding, "/send"), Some(json!({"number": number}))).await.expect(status)
}

/// Presents the code that a number got last, its `count`th message.
async fn prove(gateway: &Gateway, binding: &Value, side: &str, number: &str, count: usize) -> Value {
    let code = gateway.code(number, count).await;
    let body = json!({"number": side, "code": code});
    gateway.api("POST", &path(binding, "/check"), Some(body)).await.expect(200)["binding"].clone()
}

async fn number_of(gateway: &Gateway, user: &str) -> Value {
    gateway.api("GET", &format!("/v1/bindings?user={user}"), None).await.expect(200)["number"].clone()
}

/// Gives a user their first number.
async fn first(gateway: &Gateway, user: &str, number: &str) {
    let binding = begin(gateway, json!({"user": user, "to": number}), 201).await;
    let bound = prove(gateway, &binding, "new", number, 1).await;
    assert_eq!(bound["status"], "bound", "{bound}");
}

async fn allow_lost(gateway: &Gateway) {
    let settings = json!({"consent": {"bindings": {"lost_delay": "72h"}}});
    gateway.admin("PATCH", "/admin/v1/settings", Some(settings)).await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_needs_a_code_to_each_number_and_nothing_else_will_do() {
    let gateway = Gateway::without_detection().await;
    first(&gateway, "u1", OLD).await;
    assert_eq!(number_of(&gateway, "u1").await, OLD);
    begin(&gateway, json!({"user": "u1", "to": OLD}), 409).await;
    begin(&gateway, json!({"user": "u1", "to": NEW, "old": OTHER}), 409).await;
    // What is proved cannot be written.
    for field in ["verified", "status", "state", "new_proved"] {
        begin(&gateway, json!({"user": "u1", "to": NEW, field: "bound"}), 400).await;
    }
    let binding = begin(&gateway, json!({"user": "u1", "to": NEW}), 201).await;
    assert_eq!(binding["missing"], json!({"new": true, "old": true}));
    for method in ["PATCH", "PUT"] {
        let written = gateway.api(method, &path(&binding, ""), Some(json!({"status": "bound"}))).await;
        assert_eq!(written.status, 405);
    }
    // The old number hears nothing of whoever has not got the new one.
    send(&gateway, &binding, "old", 409).await;
    let wrong = json!({"number": "new", "code": "000000"});
    let wrong = gateway.api("POST", &path(&binding, "/check"), Some(wrong)).await.expect(200);
    assert_eq!(
        (&wrong["check"]["status"], &wrong["binding"]["missing"]["new"]),
        (&json!("pending"), &json!(true))
    );
    // Nor does the code count as a verification, nor an approval as a proof.
    let seen = gateway.admin("GET", "/admin/v1/verifications", None).await.expect(200);
    let id = seen["data"][0]["id"].as_str().unwrap();
    let code = gateway.code(NEW, 1).await;
    let check =
        gateway.api("POST", &format!("/v1/verifications/{id}/check"), Some(json!({"code": code}))).await;
    assert_eq!(check.status, 400, "{}", check.text);
    let half = prove(&gateway, &binding, "new", NEW, 1).await;
    assert_eq!((&half["status"], &half["missing"]), (&json!("pending"), &json!({"new": false, "old": true})));
    assert_eq!(number_of(&gateway, "u1").await, OLD);
    send(&gateway, &binding, "old", 200).await;
    let told = gateway.phone(OLD, 2).await[0]["text"].as_str().unwrap().to_owned();
    assert!(told.contains("MOVE your account"), "{told}");
    let bound = prove(&gateway, &binding, "old", OLD, 2).await;
    assert_eq!((&bound["status"], number_of(&gateway, "u1").await), (&json!("bound"), json!(NEW)));
    // It has ended; nothing is changed any more.
    send(&gateway, &binding, "new", 409).await;
    gateway.api("DELETE", &path(&binding, ""), None).await.expect(409);
    let log = gateway.admin("GET", "/admin/v1/audit?limit=50", None).await.expect(200).to_string();
    for what in ["bindings.create", "bindings.prove", "bindings.bound"] {
        assert!(log.contains(what), "{what}");
    }
    assert!(!log.contains(NEW) && !log.contains(OLD), "masked");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approval_by_hand_proves_nothing() {
    let gateway = Gateway::without_detection().await;
    let key = json!({"name": "hand", "scopes": ["verify", "approve"]});
    let key = gateway.admin("POST", "/admin/v1/api-keys", Some(key)).await.expect(201);
    let binding = begin(&gateway, json!({"user": "u1", "to": NEW, "old": OLD}), 201).await;
    let code = gateway.code(NEW, 1).await;
    let seen = gateway.admin("GET", "/admin/v1/verifications", None).await.expect(200);
    let id = seen["data"][0]["id"].as_str().unwrap();
    let approve = format!("/v1/verifications/{id}/approve");
    let body = json!({"note": "called them"}).to_string();
    let json_body = [("content-type", "application/json")];
    gateway.raw("POST", &approve, key["key"].as_str(), Some(&body), &json_body).await.expect(200);
    let now = gateway.api("GET", &path(&binding, ""), None).await.expect(200);
    assert_eq!((&now["status"], &now["missing"]["new"]), (&json!("pending"), &json!(true)));
    // The code is used up; a new one is needed.
    let late = json!({"number": "new", "code": code});
    assert_eq!(gateway.api("POST", &path(&binding, "/check"), Some(late)).await.status, 409);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_number_is_told_and_waited_for_and_can_object() {
    let gateway = Gateway::without_detection().await;
    first(&gateway, "u1", OLD).await;
    let binding = begin(&gateway, json!({"user": "u1", "to": NEW}), 201).await;
    let lost = |binding: &Value| path(binding, "/lost");
    assert_eq!(gateway.api("POST", &lost(&binding), None).await.status, 409, "the new one comes first");
    prove(&gateway, &binding, "new", NEW, 1).await;
    let refused = gateway.api("POST", &lost(&binding), None).await;
    assert_eq!((refused.status, refused.json()["code"].clone()), (409, json!("binding-needs-old-number")));
    allow_lost(&gateway).await;
    let waits = gateway.api("POST", &lost(&binding), None).await.expect(200);
    assert!(waits["missing"]["wait_until"].is_string(), "{waits}");
    let told = gateway.phone(OLD, 2).await[0]["text"].as_str().unwrap().to_owned();
    assert!(told.contains("reply NOT ME"), "{told}");
    // Once more: nobody is told twice, and the wait stays as it is.
    assert_eq!(gateway.api("POST", &lost(&binding), None).await.expect(200)["missing"], waits["missing"]);
    gateway.advance("71h").await;
    send(&gateway, &binding, "new", 200).await;
    let early = prove(&gateway, &binding, "new", NEW, 2).await;
    assert_eq!(early["status"], "pending");
    // The owner of the old number objects.
    let objection = json!({"from": OLD, "to": "Seawall", "text": "NOT ME"});
    gateway.admin("POST", "/admin/v1/sandbox/messages", Some(objection)).await;
    let mut now = Value::Null;
    for _ in 0..50 {
        now = gateway.api("GET", &path(&binding, ""), None).await.expect(200);
        if now["status"] == "canceled" {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    assert_eq!((&now["status"], &now["because"]), (&json!("canceled"), &json!("not-me")));
    gateway.advance("2h").await;
    send(&gateway, &binding, "new", 409).await;
    assert_eq!(number_of(&gateway, "u1").await, OLD);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_the_wait_a_new_code_to_the_new_number_is_enough() {
    let gateway = Gateway::without_detection().await;
    first(&gateway, "u1", OLD).await;
    allow_lost(&gateway).await;
    let binding = begin(&gateway, json!({"user": "u1", "to": NEW}), 201).await;
    prove(&gateway, &binding, "new", NEW, 1).await;
    gateway.api("POST", &path(&binding, "/lost"), None).await.expect(200);
    gateway.advance("73h").await;
    assert_eq!(number_of(&gateway, "u1").await, OLD, "waiting alone changes nothing");
    send(&gateway, &binding, "new", 200).await;
    assert_eq!(prove(&gateway, &binding, "new", NEW, 2).await["status"], "bound");
    assert_eq!(number_of(&gateway, "u1").await, NEW);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_flooded() {
    let gateway = Gateway::without_detection().await;
    let ask = |user: &str| json!({"user": user, "to": NEW, "old": OLD});
    let binding = begin(&gateway, ask("u1"), 201).await;
    prove(&gateway, &binding, "new", NEW, 1).await;
    // Three codes at most, however many ask at once.
    gateway.advance("40s").await;
    let again = path(&binding, "/send");
    let tries = (0..8).map(|_| gateway.api("POST", &again, Some(json!({"number": "old"}))));
    let answers = futures_util::future::join_all(tries).await;
    assert!(answers.iter().filter(|answer| answer.status == 200).count() <= 3);
    // Who changes users and new numbers does not reach one old number for ever.
    for n in 0..2 {
        let body = json!({"user": format!("v{n}"), "to": format!("+659123{:04}", 100 + n), "old": OLD});
        begin(&gateway, body, 201).await;
    }
    let body = json!({"user": "v9", "to": "+6591230199", "old": OLD});
    let full = gateway.api("POST", "/v1/bindings", Some(body.clone())).await;
    assert_eq!((full.status, full.json()["code"].clone()), (429, json!("binding-too-often")));
    assert!(full.headers.contains_key("retry-after"));
    gateway.advance("25h").await;
    begin(&gateway, body, 201).await;
    // A user's earlier binding ends with the next one.
    let earlier = begin(&gateway, json!({"user": "w", "to": "+6591230201"}), 201).await;
    begin(&gateway, json!({"user": "w", "to": "+6591230202"}), 201).await;
    let now = gateway.api("GET", &path(&earlier, ""), None).await.expect(200);
    assert_eq!((&now["status"], &now["because"]), (&json!("canceled"), &json!("replaced")));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_lookup_knows_delays_or_refuses() {
    let gateway = Gateway::without_detection().await;
    let tell =
        async |facts: Value| gateway.admin("POST", "/admin/v1/sandbox/lookup", Some(facts)).await.expect(201);
    let now = gateway.running.app.now();
    let ago = |days: u64| now.minus(std::time::Duration::from_secs(days * 86_400)).to_rfc3339();
    // The SIM card of the old number was swapped two days ago: whoever reads its messages may have done so.
    tell(json!({"msisdn": OLD, "sim_swapped_at": ago(2)})).await;
    let held = begin(&gateway, json!({"user": "u1", "to": NEW, "old": OLD}), 201).await;
    assert!(held["missing"]["wait_until"].is_string(), "{held}");
    prove(&gateway, &held, "new", NEW, 1).await;
    send(&gateway, &held, "old", 200).await;
    assert_eq!(prove(&gateway, &held, "old", OLD, 1).await["status"], "pending");
    // Weeks ago does not matter.
    tell(json!({"msisdn": OTHER, "sim_swapped_at": ago(30)})).await;
    let free = begin(&gateway, json!({"user": "u2", "to": "+6591230004", "old": OTHER}), 201).await;
    assert!(free["missing"].get("wait_until").is_none(), "{free}");
    // The old number has another owner: it gets no code, and is told nothing.
    let gone = "+6591230005";
    tell(json!({"msisdn": gone, "reassigned_at": ago(1)})).await;
    let binding = begin(&gateway, json!({"user": "u3", "to": "+6591230006", "old": gone}), 201).await;
    prove(&gateway, &binding, "new", "+6591230006", 1).await;
    send(&gateway, &binding, "old", 409).await;
    allow_lost(&gateway).await;
    gateway.api("POST", &path(&binding, "/lost"), None).await.expect(200);
    let none = gateway.admin("GET", "/admin/v1/sandbox/messages?to=%2B6591230005", None).await.expect(200);
    assert_eq!(none["data"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erasure_reaches_both_numbers_and_others_see_nothing() {
    let gateway = Gateway::without_detection().await;
    let binding = begin(&gateway, json!({"user": "u1", "to": NEW, "old": OLD}), 201).await;
    prove(&gateway, &binding, "new", NEW, 1).await;
    gateway.api("DELETE", "/v1/numbers/6591230002/data", None).await.expect(202);
    let again = gateway.api("POST", &path(&binding, "/send"), Some(json!({"number": "old"}))).await;
    assert_eq!((again.status, again.json()["code"].clone()), (409, json!("binding-no-old-number")));
    // A key of another subaccount does not see it.
    gateway.admin("POST", "/admin/v1/subaccounts", Some(json!({"id": "other_sub"}))).await.expect(201);
    let key = json!({"name": "other", "subaccounts": ["other_sub"]});
    let key = gateway.admin("POST", "/admin/v1/api-keys", Some(key)).await.expect(201);
    let seen = gateway.raw("GET", &path(&binding, ""), key["key"].as_str(), None, &[]).await;
    assert!([403, 404].contains(&seen.status), "{}", seen.status);
    gateway.api("DELETE", "/v1/numbers/6591230001/data", None).await.expect(202);
    for _ in 0..50 {
        if gateway.api("GET", &path(&binding, ""), None).await.status == 404 {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("the binding of an erased number is still there");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_that_a_crash_left_unwritten_is_written_when_somebody_asks_again() {
    let gateway = Gateway::without_detection().await;
    let binding = begin(&gateway, json!({"user": "u1", "to": NEW}), 201).await;
    prove(&gateway, &binding, "new", NEW, 1).await;
    assert_eq!(number_of(&gateway, "u1").await, NEW);
    // As it stands between the last code and the number.
    let crash = async || {
        let store = &gateway.running.app.store;
        let user = format!("{}\0u1", gateway.sub());
        let kind = format!("bound-{:016x}", store.vault.index().text(b'u', &user));
        let page = seawall_store::records::Page { before: None, limit: 9 };
        let bound = store.directory.notes(&kind, page).await.unwrap();
        store.directory.drop_notes(&kind, bound.iter().map(|note| note.id).collect()).await.unwrap();
        let number = seawall_core::msisdn::Msisdn::from_e164(NEW).unwrap();
        let before = store.directory.notes_of("binding", number).await.unwrap().remove(0);
        let mut after = before.clone();
        after.body = after.body.replace("\"written\":true", "\"written\":false");
        assert!(store.directory.swap_note(before, after).await.unwrap() && bound.len() == 1);
    };
    crash().await;
    assert!(number_of(&gateway, "u1").await.is_null());
    let again = json!({"number": "new", "code": "123456"});
    let ended = gateway.api("POST", &path(&binding, "/check"), Some(again)).await.expect(409);
    assert_eq!(ended["code"], "binding-ended");
    assert_eq!(number_of(&gateway, "u1").await, NEW);
    crash().await;
    begin(&gateway, json!({"user": "u1", "to": NEW}), 409).await;
    assert_eq!(number_of(&gateway, "u1").await, NEW);
    // What was written and erased since does not come back.
    gateway.api("DELETE", "/v1/numbers/%2B6591230001/data", None).await.expect(202);
    for _ in 0..200 {
        if number_of(&gateway, "u1").await.is_null() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(25)).await;
    }
    begin(&gateway, json!({"user": "u1", "to": OTHER}), 201).await;
    assert!(number_of(&gateway, "u1").await.is_null());
}

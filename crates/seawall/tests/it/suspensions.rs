//! `/admin/v1/suspensions`: what they block, how they end, and what is left of them.

use std::time::Duration;

use serde_json::{Value, json};
use wiremock::matchers::method;
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::common::{Answer, Gateway};

const TO: &str = "+998934123456";

/// A gateway whose detection says nothing of the many messages to one number.
async fn quiet() -> Gateway {
    let gateway = Gateway::new().await;
    let off = json!({"detection": {"mode": "off"}});
    gateway.admin("PATCH", "/admin/v1/settings", Some(off)).await.expect(200);
    gateway
}

async fn send(gateway: &Gateway) -> Answer {
    let body = json!({"to": TO, "text": "hi", "client": {"ip": "203.0.113.9"}});
    gateway.api("POST", "/v1/messages", Some(body)).await
}

fn ahead(gateway: &Gateway, seconds: u64) -> String {
    gateway.running.app.now().plus(Duration::from_secs(seconds)).to_rfc3339()
}

async fn suspend(gateway: &Gateway, scope: Value, more: Value) -> Value {
    let mut body = json!({"scope": scope, "expires_at": ahead(gateway, 3600), "reason": "pumping"});
    for (field, value) in more.as_object().unwrap() {
        body[field] = value.clone();
    }
    gateway.admin("POST", "/admin/v1/suspensions", Some(body)).await.expect(201)
}

fn path(made: &Value) -> String {
    format!("/admin/v1/suspensions/{}", made["id"].as_str().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspension_blocks_until_it_expires_or_is_lifted() {
    let gateway = quiet().await;
    for scope in [
        json!({"country": "uz"}),
        json!({"number_range": "998 93 412"}),
        json!({"ip": "203.0.113.0/24"}),
        json!({"operator": "43405"}),
    ] {
        assert_eq!(send(&gateway).await.status, 201);
        let made = suspend(&gateway, scope.clone(), json!({})).await;
        assert_eq!(
            (&made["state"], &made["mode"], &made["author"]),
            (&json!("active"), &json!("enforce"), &json!("admin-token"))
        );
        let refused = send(&gateway).await.expect(403);
        assert_eq!((&refused["code"], &refused["reasons"][0]["key"]), (&json!("suspended"), &made["id"]));
        gateway.admin("DELETE", &format!("{}?note=over%20now", path(&made)), None).await.expect(204);
        assert_eq!(send(&gateway).await.status, 201, "lifted: {scope}");
        let shown = gateway.admin("GET", &path(&made), None).await.expect(200);
        assert_eq!((&shown["state"], &shown["blocked"]), (&json!("lifted"), &json!(1)));
        assert_eq!(
            (&shown["lifted"]["note"], &shown["lifted"]["by"]),
            (&json!("over now"), &json!("admin-token"))
        );
    }
    let made = suspend(&gateway, json!({"country": "UZ"}), json!({})).await;
    assert_eq!(send(&gateway).await.status, 403);
    gateway.advance("61m").await;
    assert_eq!(send(&gateway).await.status, 201, "expired");
    let shown = gateway.admin("GET", &path(&made), None).await.expect(200);
    assert_eq!(
        (&shown["state"], &shown["blocked"], &shown["lifted"]),
        (&json!("expired"), &json!(1), &Value::Null)
    );
    // What has ended is history.
    let patch = json!({"expires_at": ahead(&gateway, 60)});
    assert_eq!(gateway.admin("PATCH", &path(&made), Some(patch)).await.expect(409)["code"], "in-use");
    gateway.admin("POST", &format!("{}/lift", path(&made)), Some(json!({}))).await.expect(409);
    let all = gateway.admin("GET", "/admin/v1/suspensions", None).await.expect(200);
    let states: Vec<&str> =
        all["data"].as_array().unwrap().iter().map(|s| s["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["expired", "lifted", "lifted", "lifted", "lifted"], "newest first");
    let lifted = gateway.admin("GET", "/admin/v1/suspensions?state=lifted&limit=2", None).await.expect(200);
    let cursor = lifted["next_cursor"].as_str().unwrap();
    let rest = format!("/admin/v1/suspensions?state=lifted&limit=2&cursor={cursor}");
    let rest = gateway.admin("GET", &rest, None).await.expect(200);
    assert_eq!((lifted["data"].as_array().unwrap().len(), rest["data"].as_array().unwrap().len()), (2, 2));
    // Counts and states are there after a restart.
    let gateway = gateway.restart().await;
    let shown = gateway.admin("GET", &path(&made), None).await.expect(200);
    assert_eq!((&shown["state"], &shown["blocked"]), (&json!("expired"), &json!(1)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspension_is_prolonged_moved_to_shadow_and_for_one_subaccount() {
    let gateway = quiet().await;
    gateway.admin("POST", "/admin/v1/subaccounts", Some(json!({"id": "shop"}))).await.expect(201);
    let made = suspend(&gateway, json!({"country": "UZ"}), json!({"subaccount_id": "shop"})).await;
    let from = async |subaccount: &str| {
        let body = json!({"to": TO, "text": "hi", "subaccount_id": subaccount});
        gateway.api("POST", "/v1/messages", Some(body)).await.status
    };
    assert_eq!((from("shop").await, from(gateway.sub()).await), (403, 201));
    let later = json!({"expires_at": ahead(&gateway, 7200), "reason": "still pumping"});
    let changed = gateway.admin("PATCH", &path(&made), Some(later)).await.expect(200);
    assert_eq!(changed["reason"], "still pumping");
    gateway.advance("90m").await;
    assert_eq!(from("shop").await, 403);
    gateway.admin("PATCH", &path(&made), Some(json!({"mode": "shadow"}))).await.expect(200);
    assert_eq!(from("shop").await, 201);
    let shown = gateway.admin("GET", &path(&made), None).await.expect(200);
    assert_eq!((&shown["blocked"], &shown["hits"]), (&json!(2), &json!(3)));
    for (patch, field) in [
        (json!({"scope": {"country": null, "asn": "1"}}), "scope"),
        (json!({"subaccount_id": null}), "subaccount_id"),
        (json!({"mode": "off"}), "mode"),
        (json!({"reason": ""}), "reason"),
        (json!({"expires_at": ahead(&gateway, 91 * 86_400)}), "expires_at"),
    ] {
        let refused = gateway.admin("PATCH", &path(&made), Some(patch.clone())).await.expect(400);
        assert_eq!(refused["field"], field, "{patch}");
    }
    // History does not hold a subaccount.
    gateway.admin("DELETE", "/admin/v1/subaccounts/shop", None).await.expect(204);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_suspension_is_named() {
    let gateway = quiet().await;
    let good = json!({"scope": {"country": "UZ"}, "expires_at": ahead(&gateway, 60), "reason": "x"});
    for (change, field) in [
        (json!({"scope": {}}), "scope"),
        (json!({"scope": {"country": "UZ", "asn": "1"}}), "scope"),
        (json!({"scope": {"continent": "asia"}}), "scope"),
        (json!({"scope": {"country": "Uzbekistan"}}), "scope.country"),
        (json!({"scope": {"operator": "4340"}}), "scope.operator"),
        (json!({"scope": {"number_range": TO}}), "scope.number_range"),
        (json!({"scope": "UZ"}), "scope"),
        (json!({"expires_at": null}), "expires_at"),
        (json!({"expires_at": "2020-01-01T00:00:00Z"}), "expires_at"),
        (json!({"expires_at": ahead(&gateway, 90 * 86_400 + 60)}), "expires_at"),
        (json!({"reason": null}), "reason"),
        (json!({"reason": " "}), "reason"),
        (json!({"subaccount_id": "nobody"}), "subaccount_id"),
        (json!({"mode": "off"}), "mode"),
        (json!({"until": "x"}), "until"),
    ] {
        let mut body = good.clone();
        for (name, value) in change.as_object().unwrap() {
            match value {
                Value::Null => drop(body.as_object_mut().unwrap().remove(name)),
                value => body[name] = value.clone(),
            }
        }
        let refused = gateway.admin("POST", "/admin/v1/suspensions", Some(body)).await.expect(400);
        assert_eq!(refused["field"], field, "{change}: {refused}");
        assert!(!refused.to_string().contains("34123456"), "{refused}");
    }
    let lift = gateway.admin("POST", "/admin/v1/suspensions/sus_x/lift", None).await;
    assert_eq!(lift.expect(404)["code"], "not-found");
    assert_eq!(send(&gateway).await.status, 201);
}

#[tokio::test(flavor = "multi_thread")]
async fn eight_says_rejected_99_and_sends_a_receipt() {
    let gateway = quiet().await;
    let server = MockServer::start().await;
    Mock::given(method("POST")).respond_with(ResponseTemplate::new(200)).mount(&server).await;
    let hooks = format!("/api/v1/accounts/{}/webhooks", gateway.first.account_id);
    let hook = json!([{"subAccountId": "*", "url": server.uri()}]);
    gateway.api("POST", &hooks, Some(hook)).await.expect(200);
    let made = suspend(&gateway, json!({"country": "UZ"}), json!({})).await;
    let messages = format!("/api/v1/subaccounts/{}/messages", gateway.sub());
    let sent =
        gateway.api("POST", &messages, Some(json!({"destination": TO, "text": "x"}))).await.expect(200);
    assert_eq!(sent["status"]["code"], "REJECTED");
    let mut receipts = Vec::new();
    for _ in 0..400 {
        receipts = server.received_requests().await.unwrap();
        if !receipts.is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    let receipt: Value = serde_json::from_slice(&receipts[0].body).unwrap();
    let (status, umid) = (&receipt["payload"]["status"], &receipt["payload"]["umid"]);
    assert_eq!(
        (&status["state"], &status["errorCode"], umid),
        (&json!("rejected"), &json!(99), &sent["umid"])
    );
    let sessions = format!("/api/v2/subaccounts/{}/sessions", gateway.sub());
    let session = gateway.api("POST", &sessions, Some(json!({"destination": TO}))).await.expect(403);
    assert_eq!(session["code"], 1201);
    assert_eq!(gateway.admin("GET", &path(&made), None).await.expect(200)["blocked"], 2);
    // An allow entry lifts a suspension; it still counts as met.
    let entry = json!({"value": TO, "expires_at": "never"});
    gateway.admin("POST", "/admin/v1/lists/allow-msisdn/entries", Some(entry)).await.expect(201);
    assert_eq!(send(&gateway).await.status, 201);
    let shown = gateway.admin("GET", &path(&made), None).await.expect(200);
    assert_eq!((&shown["blocked"], &shown["hits"]), (&json!(2), &json!(3)));
}

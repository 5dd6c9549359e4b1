//! Number masking: sessions, calls and texts through a virtual number, natively.

use std::time::Duration;

use serde_json::{Value, json};
use wiremock::matchers::method;
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

use crate::common::{Answer, Gateway};

pub const A: &str = "+6591234567";
pub const B: &str = "+6598765432";

/// A gateway with a pool of so many virtual numbers.
pub async fn gateway(numbers: usize) -> Gateway {
    gateway_with(numbers, &[]).await
}

pub async fn gateway_with(numbers: usize, settings: &[(&str, &str)]) -> Gateway {
    let gateway = Gateway::with(settings).await;
    gateway.admin("POST", "/admin/v1/number-pools", Some(json!({"name": "rides"}))).await.expect(201);
    for n in 0..numbers {
        let number = json!({"msisdn": format!("+6531580{n:03}"), "pool": "rides"});
        gateway.admin("POST", "/admin/v1/virtual-numbers", Some(number)).await.expect(201);
    }
    gateway
}

pub async fn open(gateway: &Gateway, more: Value) -> Answer {
    let mut body = json!({"a": A, "b": B});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    gateway.api("POST", "/v1/masking/sessions", Some(body)).await
}

async fn call(gateway: &Gateway, id: &str, from: &str, to: &str) -> Value {
    let body = json!({"call_id": id, "from": from, "to": to});
    gateway.api("POST", "/v1/masking/calls/route", Some(body)).await.expect(200)
}

async fn note(gateway: &Gateway, body: Value) {
    gateway.api("POST", "/v1/masking/calls/events", Some(body)).await.expect(204);
}

/// A receiver for the app's webhook.
pub async fn listen(gateway: &Gateway) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(method("POST")).respond_with(ResponseTemplate::new(200)).mount(&server).await;
    gateway.admin("POST", "/admin/v1/webhooks", Some(json!({"url": server.uri()}))).await.expect(201);
    server
}

/// Waits for an event, and gives its payload.
pub async fn event(server: &MockServer, kind: &str) -> Value {
    for _ in 0..400 {
        let all: Vec<Request> = server.received_requests().await.unwrap();
        let bodies = all.iter().map(|request| serde_json::from_slice::<Value>(&request.body).unwrap());
        if let Some(found) = bodies.into_iter().find(|body| body["eventType"] == kind) {
            return found["payload"].clone();
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("no {kind} came");
}

async fn until(mut holds: impl AsyncFnMut() -> bool) {
    for _ in 0..400 {
        if holds().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("it never became so");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_parties_reach_each_other_and_nobody_else() {
    let gateway = gateway(2).await;
    let app = listen(&gateway).await;
    let wish = json!({"expires_in": "2h", "reference": "ride 7", "metadata": {"car": "12"}});
    let session = open(&gateway, wish).await.expect(201);
    assert_eq!((&session["status"], &session["direction"]), (&json!("open"), &json!("two_way")));
    let (id, mask) = (session["id"].as_str().unwrap(), session["number"].as_str().unwrap());
    let there = call(&gateway, "c1", A, mask).await;
    assert_eq!(
        (&there["action"], &there["to"], &there["caller_id"]),
        (&json!("connect"), &json!(B), &json!(mask))
    );
    let back = call(&gateway, "c2", "6598765432", mask).await;
    assert_eq!((&back["to"], &back["caller_id"]), (&json!(A), &json!(mask)));
    assert_eq!(call(&gateway, "c1", A, mask).await, there, "asked again, the answer is the same");
    let stranger = call(&gateway, "c3", "+6590000001", mask).await;
    assert_eq!((&stranger["action"], &stranger["reason"]), (&json!("refuse"), &json!("no-session")));
    assert_eq!((&stranger["code"], stranger["say"].is_string()), (&json!(404), true));
    assert_eq!(call(&gateway, "c4", "anonymous", mask).await["code"], 404);
    assert_eq!(call(&gateway, "c5", A, "+6531589999").await["code"], 404, "not ours");
    note(&gateway, json!({"call_id": "c1", "event": "ringing"})).await;
    note(&gateway, json!({"call_id": "c1", "event": "answered"})).await;
    gateway.advance("90s").await;
    note(&gateway, json!({"call_id": "c1", "event": "ended"})).await;
    note(&gateway, json!({"call_id": "c2", "event": "ended", "code": 486})).await;
    let path = format!("/v1/masking/sessions/{id}");
    let shown = gateway.api("GET", &path, None).await.expect(200);
    assert_eq!((&shown["summary"]["calls"], &shown["summary"]["answered"]), (&json!(2), &json!(1)));
    assert!(shown["summary"]["seconds"].as_u64().unwrap() >= 90, "{shown}");
    let calls = gateway.api("GET", &format!("{path}/calls"), None).await.expect(200);
    assert_eq!((&calls["data"][0]["result"], &calls["data"][0]["from"]), (&json!("busy"), &json!("b")));
    assert_eq!(calls["data"][1]["result"], "completed");
    let told = event(&app, "call_ended").await;
    assert_eq!(told["sessionId"], id);
    gateway.api("DELETE", &path, None).await.expect(204);
    gateway.api("DELETE", &path, None).await.expect(204);
    let over = call(&gateway, "c6", A, mask).await;
    assert_eq!((&over["reason"], &over["code"]), (&json!("ended"), &json!(410)));
    let told = event(&app, "session_ended").await;
    assert_eq!((&told["status"], &told["summary"]["calls"]), (&json!("closed"), &json!(2)));
    let patch = json!({"expires_in": "1h"});
    assert_eq!(gateway.api("PATCH", &path, Some(patch)).await.expect(409)["code"], "session-over");
    // The same two get the other number at once, and this one when nobody can mistake it any more.
    let other = open(&gateway, json!({})).await.expect(201);
    assert_ne!(other["number"], mask);
    let full = open(&gateway, json!({})).await.expect(409);
    assert_eq!((&full["code"], &full["pool"]), (&json!("pool-exhausted"), &json!("rides")));
    gateway.advance("25h").await;
    assert_eq!(open(&gateway, json!({})).await.expect(201)["number"], mask);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_ends_by_itself_and_may_be_one_way() {
    let gateway = gateway(1).await;
    let app = listen(&gateway).await;
    let session = open(&gateway, json!({"expires_in": "10m", "direction": "one_way", "record": true}))
        .await
        .expect(201);
    let (id, mask) = (session["id"].as_str().unwrap(), session["number"].as_str().unwrap());
    let there = call(&gateway, "c1", A, mask).await;
    assert_eq!((&there["record"], &there["say"]), (&json!(true), &json!("This call is recorded.")));
    let back = call(&gateway, "c2", B, mask).await;
    assert_eq!((&back["reason"], &back["code"]), (&json!("one-way"), &json!(403)));
    let path = format!("/v1/masking/sessions/{id}");
    let change = json!({"direction": "two_way", "expires_in": "20m", "record": false});
    let changed = gateway.api("PATCH", &path, Some(change)).await.expect(200);
    assert_eq!((&changed["direction"], &changed["record"]), (&json!("two_way"), &json!(false)));
    assert_eq!(call(&gateway, "c3", B, mask).await["action"], "connect");
    gateway.advance("15m").await;
    assert_eq!(call(&gateway, "c4", B, mask).await["action"], "connect", "it was extended");
    gateway.advance("6m").await;
    assert_eq!(call(&gateway, "c5", B, mask).await["reason"], "ended");
    assert_eq!(event(&app, "session_ended").await["status"], "expired");
    let open = gateway.api("GET", "/v1/masking/sessions?open=true", None).await.expect(200);
    assert_eq!(open["data"], json!([]));
    let path = "/v1/masking/sessions?party=%2B6591234567";
    assert_eq!(gateway.api("GET", path, None).await.expect(200)["data"][0]["status"], "expired");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_fit_is_said() {
    let gateway = gateway(1).await;
    for (more, field) in [
        (json!({"b": A}), "b"),
        (json!({"a": "12"}), "a"),
        (json!({"a": "+6531580000"}), "a"),
        (json!({"pool": "other"}), "pool"),
        (json!({"expires_in": "999d"}), "expires_in"),
        (json!({"expires_at": "2020-01-01T00:00:00Z"}), "expires_at"),
        (json!({"expires_in": "1h", "expires_at": "2099-01-01T00:00:00Z"}), "expires_at"),
        (json!({"metadata": {"": "x"}}), "metadata"),
        (json!({"subaccount_id": "other"}), ""),
        (json!({"colour": "red"}), "colour"),
    ] {
        let answer = open(&gateway, more.clone()).await;
        assert!(answer.status >= 400 && answer.status < 500, "{more}: {}", answer.text);
        if !field.is_empty() {
            assert_eq!(answer.json()["field"], field, "{more}");
        }
    }
    for (body, status) in [
        (json!({"call_id": "", "from": A, "to": B}), 400),
        (json!({"call_id": "a b", "from": A, "to": B}), 400),
        (json!({"from": A, "to": B}), 400),
    ] {
        gateway.api("POST", "/v1/masking/calls/route", Some(body)).await.expect(status);
    }
    let unknown = json!({"call_id": "never asked", "event": "ended"});
    gateway.api("POST", "/v1/masking/calls/events", Some(unknown)).await.expect(400);
    let unknown = json!({"call_id": "never-asked", "event": "ended"});
    gateway.api("POST", "/v1/masking/calls/events", Some(unknown)).await.expect(404);
    gateway.api("GET", "/v1/masking/sessions/mask_00000000000000000000000000", None).await.expect(404);
    let twice = json!({"msisdn": "+6531580000", "pool": "rides"});
    gateway.admin("POST", "/admin/v1/virtual-numbers", Some(twice)).await.expect(409);
    gateway.admin("DELETE", "/admin/v1/number-pools/rides", None).await.expect(409);
}

#[tokio::test(flavor = "multi_thread")]
async fn scopes_and_subaccounts_are_borders() {
    let gateway = gateway(1).await;
    let key = async |scopes: Value| {
        let body = json!({"name": scopes.to_string(), "scopes": scopes});
        gateway.admin("POST", "/admin/v1/api-keys", Some(body)).await.expect(201)["key"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let (masking, voice) = (key(json!(["masking"])).await, key(json!(["voice"])).await);
    let wish = json!({"a": A, "b": B}).to_string();
    let post = async |path: &str, token: &str, body: &str| {
        gateway.raw("POST", path, Some(token), Some(body), &[]).await
    };
    let sessions = "/v1/masking/sessions";
    assert_eq!(post(sessions, &voice, &wish).await.expect(403)["code"], "scope-missing");
    let session = post(sessions, &masking, &wish).await.expect(201);
    let ask = json!({"call_id": "c", "from": A, "to": session["number"]}).to_string();
    let route = "/v1/masking/calls/route";
    assert_eq!(post(route, &masking, &ask).await.expect(403)["code"], "scope-missing");
    assert_eq!(post(route, &voice, &ask).await.expect(200)["action"], "connect");
    gateway.raw("POST", route, None, Some(&ask), &[]).await.expect(401);
    gateway.admin("POST", "/admin/v1/subaccounts", Some(json!({"id": "other"}))).await.expect(201);
    let body = json!({"name": "foreign", "subaccounts": ["other"]});
    let foreign = gateway.admin("POST", "/admin/v1/api-keys", Some(body)).await.expect(201);
    let foreign = foreign["key"].as_str().unwrap();
    let path = format!("{sessions}/{}", session["id"].as_str().unwrap());
    gateway.raw("GET", &path, Some(foreign), None, &[]).await.expect(404);
    post(route, foreign, &ask).await.expect(404);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_call_is_a_decision() {
    let gateway = gateway(1).await;
    let session = open(&gateway, json!({})).await.expect(201);
    let mask = session["number"].as_str().unwrap();
    let refused = async |id: &str, reason: &str| {
        let answer = call(&gateway, id, A, mask).await;
        assert_eq!((&answer["reason"], &answer["code"]), (&json!("refused"), &json!(403)), "{answer}");
        let decision = answer["decision_id"].as_str().unwrap().to_owned();
        let mut shown = Answer { status: 0, headers: Default::default(), text: String::new() };
        until(async || {
            shown = gateway.admin("GET", &format!("/admin/v1/decisions/{decision}"), None).await;
            shown.status == 200
        })
        .await;
        let shown = shown.json();
        assert_eq!(
            (&shown["operation"], &shown["reasons"][0]["code"]),
            (&json!("voice.call"), &json!(reason)),
            "{shown}"
        );
    };
    let entry = json!({"value": B});
    let denied = gateway.admin("POST", "/admin/v1/lists/deny-msisdn/entries", Some(entry)).await.expect(201);
    refused("c1", "deny-entry").await;
    let path = format!("/admin/v1/lists/deny-msisdn/entries/{}", denied["id"].as_str().unwrap());
    gateway.admin("DELETE", &path, None).await.expect(204);
    let limit = json!({"name": "two calls", "per": "msisdn", "applies_to": ["voice.call"], "quota": 2, "window": "30m"});
    gateway.admin("POST", "/admin/v1/limits", Some(limit)).await.expect(201);
    assert_eq!(call(&gateway, "c2", A, mask).await["action"], "connect");
    assert_eq!(call(&gateway, "c2", A, mask).await["action"], "connect", "asked again, not charged again");
    assert_eq!(call(&gateway, "c3", A, mask).await["action"], "connect");
    refused("c4", "limit-exceeded").await;
    assert_eq!(call(&gateway, "c5", B, mask).await["action"], "connect", "of the other number");
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let gateway = gateway.restart().await;
    assert_eq!(call(&gateway, "c6", A, mask).await["reason"], "refused", "a restart forgives nobody");
    gateway.advance("31m").await;
    let path = format!("/admin/v1/subaccounts/{}", gateway.sub());
    let off = json!({"country_policy": {"countries": {"SG": "off"}}});
    gateway.admin("PATCH", &path, Some(off)).await.expect(200);
    assert_eq!(call(&gateway, "c7", A, mask).await["reason"], "refused");
}

async fn write(gateway: &Gateway, from: &str, to: &str, text: &str) {
    let body = json!({"from": from, "to": to, "text": text});
    gateway.admin("POST", "/admin/v1/sandbox/messages", Some(body)).await.expect(201);
}

#[tokio::test(flavor = "multi_thread")]
async fn texts_go_through_from_the_mask() {
    let gateway = gateway(1).await;
    let app = listen(&gateway).await;
    let session = open(&gateway, json!({})).await.expect(201);
    let mask = session["number"].as_str().unwrap();
    write(&gateway, A, mask, "I stop at the corner, call 9123 4567 or +65-9123-4567").await;
    let got = gateway.phone(B, 1).await;
    assert_eq!(got[0]["text"], "I stop at the corner, call [hidden] or [hidden]");
    assert_eq!(got[0]["from"], mask);
    write(&gateway, B, mask, "Coming").await;
    assert_eq!(gateway.phone(A, 1).await[0]["text"], "Coming");
    assert_eq!(event(&app, "message_relayed").await["sessionId"], session["id"]);
    write(&gateway, "+6590000001", mask, "who is there?").await;
    // A lone STOP is an opt-out: nothing more goes to that number, and the other one does not get it.
    write(&gateway, B, mask, "STOP").await;
    until(async || {
        let path = "/admin/v1/opt-outs?msisdn=%2B6598765432";
        !gateway.admin("GET", path, None).await.expect(200)["data"].as_array().unwrap().is_empty()
    })
    .await;
    write(&gateway, A, mask, "Hello?").await;
    let told = event(&app, "message_refused").await;
    assert_eq!((&told["refusal"], &told["from"]), (&json!("refused"), &json!("a")));
    assert_eq!(gateway.phone(B, 1).await.len(), 1);
    assert_eq!(gateway.phone(A, 1).await.len(), 1, "nobody else's text, and no STOP");
    let shown =
        gateway.api("GET", &format!("/v1/masking/sessions/{}", session["id"].as_str().unwrap()), None).await;
    assert_eq!(shown.expect(200)["messages"], 2);
    let keep = json!({"text_numbers": "keep"});
    gateway.admin("PATCH", "/admin/v1/number-pools/rides", Some(keep)).await.expect(200);
    write(&gateway, B, mask, "I am on 98765432").await;
    assert_eq!(gateway.phone(A, 2).await[0]["text"], "I am on 98765432");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_that_fails_is_left_out_and_comes_back() {
    let gateway = gateway(2).await;
    let app = listen(&gateway).await;
    let session = open(&gateway, json!({})).await.expect(201);
    let bad = session["number"].as_str().unwrap();
    for n in 0..5 {
        let id = format!("bad-{n}");
        call(&gateway, &id, A, bad).await;
        note(&gateway, json!({"call_id": id, "event": "ended", "code": 503})).await;
    }
    let told = event(&app, "number_health_changed").await;
    assert_eq!((&told["number"], &told["health"]["failing"]), (&json!(bad), &json!(true)));
    let listed = gateway.admin("GET", "/admin/v1/virtual-numbers", None).await.expect(200);
    let shown = listed["data"].as_array().unwrap().iter().find(|n| n["msisdn"] == bad).unwrap();
    assert_eq!((&shown["health"]["failing"], &shown["health"]["failed"]), (&json!(true), &json!(5)));
    for n in 0..6 {
        let body = json!({"a": format!("+659000000{n}"), "b": format!("+659000010{n}")});
        let other = gateway.api("POST", "/v1/masking/sessions", Some(body)).await.expect(201);
        assert_ne!(other["number"], bad);
    }
    gateway.advance("16m").await;
    let mut seen = std::collections::HashSet::new();
    for n in 0..20 {
        let body = json!({"a": format!("+65900002{n:02}"), "b": format!("+65900003{n:02}")});
        let other = gateway.api("POST", "/v1/masking/sessions", Some(body)).await.expect(201);
        seen.insert(other["number"].as_str().unwrap().to_owned());
    }
    assert!(seen.contains(bad), "it gets another chance");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erased_number_has_no_sessions() {
    let gateway = gateway(2).await;
    let session = open(&gateway, json!({})).await.expect(201);
    let mask = session["number"].as_str().unwrap();
    call(&gateway, "c1", A, mask).await;
    let done = gateway.api("DELETE", "/v1/numbers/6591234567/data", None).await;
    assert!(done.status < 300, "{}", done.text);
    let path = "/v1/masking/sessions";
    until(async || gateway.api("GET", path, None).await.expect(200)["data"] == json!([])).await;
    assert_eq!(call(&gateway, "c2", A, mask).await["reason"], "no-session");
    assert_eq!(call(&gateway, "c3", B, mask).await["reason"], "no-session");
    // For B the number stays held: it leads to nobody else for a day.
    let other = json!({"a": "+6590000001", "b": B});
    assert_ne!(gateway.api("POST", path, Some(other)).await.expect(201)["number"], mask);
    let key = &gateway.first.api_key;
    let raw = gateway.raw("GET", path, Some(key), None, &[]).await;
    assert!(!raw.text.contains("91234567"));
}

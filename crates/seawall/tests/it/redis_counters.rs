//! Limits that count in Redis: as exact as in memory, refilled from the ledger after a loss, and without Redis
//! what the operator chose.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use seawall::serve::start;
use serde_json::{Value, json};

use crate::common::{Gateway, config};
use crate::redis_server::Redis;

const TO: &str = "+6591234567";
/// Windows go by the server's clock, as they do outside of tests.
const REAL_TIME: (&str, &str) = ("SEAWALL_SANDBOX__CLOCK", "false");

async fn gateway(redis: &Redis, more: &[(&str, &str)]) -> Gateway {
    let url = redis.url();
    let settings: Vec<_> =
        [("SEAWALL_COUNTERS__URL", url.as_str()), REAL_TIME].iter().chain(more).copied().collect();
    let gateway = Gateway::with(&settings).await;
    let listed = gateway.admin("GET", "/admin/v1/limits", None).await.expect(200);
    for limit in listed["data"].as_array().unwrap() {
        let path = format!("/admin/v1/limits/{}", limit["id"].as_str().unwrap());
        gateway.admin("DELETE", &path, None).await.expect(204);
    }
    let settings = json!({"verification_backoff": {"mode": "off"}, "detection": {"mode": "off"}});
    gateway.admin("PATCH", "/admin/v1/settings", Some(settings)).await.expect(200);
    gateway
}

async fn limit(gateway: &Gateway, per: &str, quota: u32, counts: &str) {
    let body = json!({"name": format!("{quota} per {per}"), "per": per, "applies_to": ["sms.send"], "quota": quota,
        "window": "30m", "counts": counts});
    gateway.admin("POST", "/admin/v1/limits", Some(body)).await.expect(201);
}

async fn send(gateway: &Gateway, to: &str) -> (u16, Value) {
    let answer = gateway.api("POST", "/v1/messages", Some(json!({"to": to, "text": "hi"}))).await;
    (answer.status, answer.json())
}

async fn sent_of(gateway: &Gateway, count: usize) -> usize {
    let all = join_all((0..count).map(|_| send(gateway, TO))).await;
    all.iter().filter(|(status, _)| *status == 201).count()
}

/// Sends until the answer is this; gives it.
async fn until(gateway: &Gateway, status: u16) -> Value {
    let begun = Instant::now();
    loop {
        let (got, body) = send(gateway, TO).await;
        if got == status {
            return body;
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "not {status} but {got}: {body}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_and_budgets_are_exact_and_a_restart_forgives_nobody() {
    let Some(redis) = Redis::start() else { return };
    let mut gateway = gateway(&redis, &[]).await;
    limit(&gateway, "msisdn", 10, "sends").await;
    let budget = json!({"unit": "messages", "amount": 15, "window": "day"});
    let budget = gateway.admin("POST", "/admin/v1/budgets", Some(budget)).await.expect(201);
    assert_eq!(sent_of(&gateway, 100).await, 10);
    let (status, body) = send(&gateway, TO).await;
    assert_eq!((status, &body["reasons"][0]["limit"]), (429, &json!(10)), "{body}");
    let others = join_all((0..40).map(|n| send(&gateway, ["+6591234568", "+6591234569"][n % 2]))).await;
    assert_eq!(others.iter().filter(|(status, _)| *status == 201).count(), 5);
    // Windows that are whole are taken as they are; those that are gone are refilled at the start.
    for flush in [false, true] {
        let Gateway { running, first, http, dir, .. } = gateway;
        running.stop().await;
        if flush {
            redis.call("FLUSHALL");
        }
        let url = redis.url();
        let running = start(config(dir.path(), &[("SEAWALL_COUNTERS__URL", &url), REAL_TIME])).await.unwrap();
        let base = format!("http://{}", running.addr);
        let again = Gateway { running, first, base, http, dir };
        let (limited, body) = send(&again, TO).await;
        assert!(limited == 403 && body["reasons"].as_array().unwrap().len() == 2, "{flush} {body}");
        assert_eq!(send(&again, "+6591234568").await.0, 403);
        let path = format!("/admin/v1/budgets/{}", budget["id"].as_str().unwrap());
        let shown = again.admin("GET", &path, None).await.expect(200);
        assert_eq!(shown["spent"].as_u64().unwrap() + shown["reserved"].as_u64().unwrap(), 15);
        if flush {
            return;
        }
        gateway = again;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn flushed_while_it_runs_nothing_is_sent_until_the_windows_are_refilled() {
    let Some(redis) = Redis::start() else { return };
    let gateway = gateway(&redis, &[]).await;
    limit(&gateway, "msisdn", 10, "sends").await;
    limit(&gateway, "subaccount", 1_000, "requests").await;
    assert_eq!(sent_of(&gateway, 4).await, 4);
    for _ in 0..2 {
        redis.call("FLUSHALL");
        let (status, body) = send(&gateway, TO).await;
        assert_eq!((status, &body["code"]), (503, &json!("store-unavailable")), "{body}");
        assert_eq!(gateway.http.get(format!("{}/readyz", gateway.base)).send().await.unwrap().status(), 503);
        until(&gateway, 201).await;
    }
    assert_eq!(sent_of(&gateway, 20).await, 4, "two more were sent to see that it goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_redis_nothing_is_sent_unless_the_operator_chose_so() {
    let Some(redis) = Redis::start() else { return };
    let closed = gateway(&redis, &[]).await;
    limit(&closed, "msisdn", 3, "sends").await;
    let allow =
        [("SEAWALL_COUNTERS__ON_LOSS", "allow"), ("SEAWALL_COUNTERS__ALLOW_ON_LOSS", "msisdn,subaccount")];
    let open = gateway(&redis, &allow).await;
    limit(&open, "msisdn", 3, "sends").await;
    assert_eq!((sent_of(&closed, 2).await, sent_of(&open, 2).await), (2, 2));
    redis.signal("STOP");
    let begun = Instant::now();
    assert_eq!(sent_of(&closed, 20).await, 0);
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
    // In memory of its own it counts from nothing: at most one quota more.
    assert_eq!(sent_of(&open, 20).await, 3);
    assert_eq!(send(&open, TO).await.0, 429);
    // A limit of another class, and money, never do without.
    limit_while_lost(&open).await;
    redis.signal("CONT");
    until(&closed, 201).await;
    let refused = until(&open, 429).await;
    assert_eq!(refused["reasons"][0]["limit"], 3, "what was sent without Redis counts: {refused}");
    assert_eq!(sent_of(&closed, 5).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_and_started_empty_it_admits_exactly_what_was_left_and_codes_and_opt_outs_hold() {
    let Some(mut redis) = Redis::start() else { return };
    let gateway = gateway(&redis, &[]).await;
    limit(&gateway, "msisdn", 10, "sends").await;
    let budget = json!({"unit": "messages", "amount": 15, "window": "day"});
    gateway.admin("POST", "/admin/v1/budgets", Some(budget)).await.expect(201);
    let out = json!({"msisdn": "+6598765432"});
    gateway.admin("POST", "/admin/v1/opt-outs", Some(out)).await.expect(201);
    let begun =
        gateway.api("POST", "/v1/verifications", Some(json!({"to": "+6590000001"}))).await.expect(201);
    let code = gateway.code("+6590000001", 1).await;
    assert_eq!(sent_of(&gateway, 4).await, 4);
    let (held, during) = tokio::join!(
        tokio::task::spawn_blocking(move || {
            redis.die(Duration::from_millis(1_500));
            redis
        }),
        async {
            tokio::time::sleep(Duration::from_millis(300)).await;
            let path = format!("/v1/verifications/{}/check", begun["id"].as_str().unwrap());
            let checked = gateway.api("POST", &path, Some(json!({"code": code}))).await;
            (sent_of(&gateway, 20).await, send(&gateway, "+6598765432").await.0, checked)
        }
    );
    let (_redis, (sent, opted_out, checked)) = (held.unwrap(), during);
    assert_eq!((sent, opted_out == 201), (0, false), "nothing goes while it is gone");
    let right = checked.status == 200 && checked.json()["status"] == "verified";
    assert!(right || checked.status == 503, "{}", checked.text);
    until(&gateway, 201).await;
    assert_eq!(sent_of(&gateway, 40).await, 5, "four and one went before");
    let others = join_all((0..40).map(|n| send(&gateway, ["+6591234568", "+6591234569"][n % 2]))).await;
    let others = others.iter().filter(|(status, _)| *status == 201).count();
    assert_eq!(others, 4, "of a budget of 15 the code and ten messages are gone");
    assert_ne!(send(&gateway, "+6598765432").await.0, 201, "the opt-out holds");
}

/// What is set up does not change while its windows cannot be filled.
async fn limit_while_lost(gateway: &Gateway) {
    let body =
        json!({"name": "late", "per": "country", "applies_to": ["sms.send"], "quota": 1, "window": "30m"});
    let answer = gateway.admin("POST", "/admin/v1/limits", Some(body)).await;
    assert!(answer.status >= 500, "{}", answer.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn money_and_wrong_codes_never_do_without_redis() {
    let Some(redis) = Redis::start() else { return };
    let gateway = gateway(&redis, &[("SEAWALL_COUNTERS__ON_LOSS", "allow")]).await;
    let budget = json!({"unit": "messages", "amount": 15, "window": "day"});
    gateway.admin("POST", "/admin/v1/budgets", Some(budget)).await.expect(201);
    assert_eq!(send(&gateway, TO).await.0, 201);
    redis.signal("STOP");
    let (status, body) = send(&gateway, TO).await;
    assert_eq!((status, &body["code"]), (503, &json!("store-unavailable")), "{body}");
    redis.signal("CONT");
    until(&gateway, 201).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_evicts_is_refused_at_start() {
    let Some(redis) = Redis::start() else { return };
    redis.call("CONFIG SET maxmemory-policy allkeys-lru");
    let dir = tempfile::tempdir().unwrap();
    let url = redis.url();
    let error = start(config(dir.path(), &[("SEAWALL_COUNTERS__URL", &url)])).await.err().unwrap();
    assert!(error.contains("allkeys-lru") && error.contains("noeviction"), "{error}");
}

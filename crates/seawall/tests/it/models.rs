//! Trained models: added, compared with the engine over what became of requests, enforced when better. The model is
//! one that XGBoost 3.2 trained on two hundred lines of made-up traffic: it dislikes unknown numbers that are asked
//! for from data centres.

use futures_util::{StreamExt, stream};
use serde_json::{Value, json};

use crate::common::Gateway;

const MODEL: &str = include_str!("../data/xgboost_model.json");

fn features() -> Value {
    json!({"datacentre": "client.hosting", "returning": "number.known", "confirmed_in_block": "block.confirmed"})
}

fn model() -> Value {
    serde_json::from_str(MODEL).unwrap()
}

/// A gateway whose engine decides nothing, so that whatever is sent shows what it was.
async fn watching() -> Gateway {
    let gateway = Gateway::new().await;
    let limits = gateway.admin("GET", "/admin/v1/limits?limit=200", None).await.expect(200);
    for limit in limits["data"].as_array().unwrap() {
        let path = format!("/admin/v1/limits/{}", limit["id"].as_str().unwrap());
        gateway.admin("DELETE", &path, None).await.expect(204);
    }
    detection(&gateway, "shadow").await;
    for (country, amount) in [("UZ", 141_100), ("SG", 31_200)] {
        let price = json!({"country": country, "amount": amount, "currency": "USD"});
        gateway.admin("POST", "/admin/v1/prices", Some(price)).await.expect(201);
    }
    gateway
}

async fn detection(gateway: &Gateway, mode: &str) {
    let settings = json!({"detection": {"mode": mode}, "verification_backoff": {"mode": "off"}});
    gateway.admin("PATCH", "/admin/v1/settings", Some(settings)).await.expect(200);
}

/// Real users, each of whom confirms; an hour or so of them for every five hundred.
async fn users(gateway: &Gateway, from: usize, count: usize) {
    for begin in (from..from + count).step_by(25) {
        let all = begin..(begin + 25).min(from + count);
        stream::iter(all).for_each_concurrent(5, |n| confirm(gateway, n)).await;
        gateway.advance("150s").await;
    }
}

async fn confirm(gateway: &Gateway, n: usize) {
    let to = format!("+659{:03}{:04}", 100 + (n * 37) % 800, (n * 7919) % 10_000);
    let client = json!({"ip": format!("{}.{}.9", ["116.86", "116.87", "116.88", "119.74", "219.74"][n % 5], n % 250), "user_agent": format!("app {}", n % 20)});
    let begun = gateway.api("POST", "/v1/verifications", Some(json!({"to": to, "client": client}))).await;
    let begun = begun.expect(201);
    let code = gateway.code(&to, 1).await;
    let path = format!("/v1/verifications/{}/check", begun["id"].as_str().unwrap());
    gateway.api("POST", &path, Some(json!({"code": code}))).await.expect(200);
}

/// One message of a campaign into a block, from a data centre.
async fn attack(gateway: &Gateway, block: usize, n: usize) -> crate::common::Answer {
    let client = json!({"ip": format!("34.{}.{}.{}", 8 + n % 8, block % 250, n % 250), "user_agent": "bot"});
    let to = format!("+9989341{block}{:04}", 1000 + n * 3);
    gateway.api("POST", "/v1/verifications", Some(json!({"to": to, "client": client}))).await
}

async fn campaign(gateway: &Gateway, block: usize, count: usize) {
    for n in 0..count {
        attack(gateway, block, n).await.expect(201);
        gateway.advance("5s").await;
    }
}

async fn add(gateway: &Gateway, name: &str, more: Value) -> crate::common::Answer {
    let mut body = json!({"name": name, "model": model(), "features": features()});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    gateway.admin("POST", "/admin/v1/models", Some(body)).await
}

async fn enforce(gateway: &Gateway, name: &str) -> crate::common::Answer {
    gateway.admin("PATCH", &format!("/admin/v1/models/{name}"), Some(json!({"state": "enforce"}))).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_decides_once_it_has_proved_better() {
    let gateway = watching().await;
    let added = add(&gateway, "fraud", json!({})).await.expect(201);
    assert_eq!((&added["state"], &added["trees"]), (&json!("shadow"), &json!(10)));
    // The same trees, sure of everything: it would stop everybody.
    let sure = json!({"calibration": {"kind": "platt", "slope": 0.001, "offset": 9.0}});
    add(&gateway, "sure", sure).await.expect(201);
    let refused = enforce(&gateway, "fraud").await.expect(409);
    assert!(refused["detail"].as_str().unwrap().contains("0 requests since it was added"), "{refused}");

    users(&gateway, 0, 470).await;
    campaign(&gateway, 2, 45).await;
    let last = attack(&gateway, 2, 46).await.expect(201);
    let path = format!("/admin/v1/decisions/{}", last["decision_id"].as_str().unwrap());
    let decision = gateway.admin("GET", &path, None).await.expect(200);
    let reason = |decision: &Value| -> Value {
        let all = decision["reasons"].as_array().unwrap().clone();
        let found = all.into_iter().find(|r| r["code"] == "campaign-model" && r["key"] == "fraud");
        found.unwrap_or_else(|| panic!("{decision}"))
    };
    let shadowed = reason(&decision);
    assert_eq!((&shadowed["mode"], &decision["verdict"]), (&json!("shadow"), &json!("allow")));
    let detail = shadowed["detail"].as_str().unwrap();
    assert!(detail.starts_with("model fraud: 0.9") && detail.contains("data centre yes +"), "{detail}");
    gateway.advance("15m").await;

    let shown = gateway.admin("GET", "/admin/v1/models/fraud", None).await.expect(200);
    let ways = &shown["comparison"];
    assert_eq!((&ways["good"], &ways["bad"]), (&json!(470), &json!(46)), "{shown}");
    let (engine, fraud) = (&ways["engine"], &ways["model"]);
    assert_eq!((&fraud["leaked"], &fraud["false_blocks"]), (&json!(0), &json!(0)), "{shown}");
    let leaked = engine["leaked"].as_i64().unwrap();
    assert!(leaked > 0, "the first message of an attack tells nothing: {shown}");
    assert_eq!(engine["leaked_micros"], leaked * 141_100);
    let refused = enforce(&gateway, "sure").await.expect(409);
    let detail = refused["detail"].as_str().unwrap();
    assert!(detail.contains("no more real users") && detail.contains("470 real users"), "{detail}");

    let enforced = enforce(&gateway, "fraud").await.expect(200);
    assert_eq!((&enforced["state"], &enforced["objection"]), (&json!("enforce"), &json!(null)));
    let audit = gateway.admin("GET", "/admin/v1/audit?limit=20", None).await.expect(200);
    // What the gateway itself did meanwhile, such as opening an incident, stands there, too.
    let entry =
        audit["data"].as_array().unwrap().iter().find(|entry| entry["action"] == "models.update").unwrap();
    assert_eq!(entry["detail"]["state"], "enforce");
    assert_eq!(entry["detail"]["comparison"]["model"]["leaked"], 0);

    // It is as strict as detection is set to be: in shadow it still changes nothing, also after a restart.
    attack(&gateway, 7, 0).await.expect(201);
    let gateway = gateway.restart().await;
    detection(&gateway, "enforce").await;
    let stopped = attack(&gateway, 7, 1).await.expect(403);
    assert_eq!(reason(&stopped)["mode"], "enforce", "{stopped}");
    let alone = json!({"to": "+4915112345678", "client": {"ip": "34.9.200.7", "user_agent": "other"}});
    let alone = gateway.api("POST", "/v1/verifications", Some(alone)).await.expect(403);
    assert_eq!(alone["code"], "campaign-model", "where the engine knows nothing yet: {alone}");
    confirm(&gateway, 9_001).await;
    let back = json!({"state": "shadow"});
    gateway.admin("PATCH", "/admin/v1/models/fraud", Some(back)).await.expect(200);
    let other = json!({"to": "+4915112345679", "client": {"ip": "34.9.201.7", "user_agent": "other"}});
    gateway.api("POST", "/v1/verifications", Some(other)).await.expect(201);
    gateway.admin("DELETE", "/admin/v1/models/fraud", None).await.expect(204);
    gateway.admin("GET", "/admin/v1/models/fraud", None).await.expect(404);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_asked_is_refused_and_changes_nothing() {
    let gateway = Gateway::new().await;
    let problem =
        async |name: &str, more: Value| add(&gateway, name, more).await.expect(400)["detail"].to_string();
    let unmapped = problem("a", json!({"features": {}})).await;
    assert!(unmapped.contains("`datacentre` is not one that is recorded"), "{unmapped}");
    let mut elsewhere = features();
    elsewhere["returning"] = json!("number.country");
    assert!(problem("a", json!({"features": elsewhere})).await.contains("number.country"));
    assert!(problem("a b", json!({})).await.contains("name"));
    assert!(problem("a", json!({"model": {"trees": []}})).await.contains("XGBoost"));
    let mut several = model();
    several["learner"]["objective"]["name"] = json!("multi:softprob");
    assert!(problem("a", json!({"model": several})).await.contains("multi:softprob"));
    let falling = json!({"calibration": {"kind": "platt", "slope": -1.0, "offset": 0.0}});
    assert!(problem("a", falling).await.contains("slope"));
    assert_eq!(gateway.admin("GET", "/admin/v1/models", None).await.expect(200)["data"], json!([]));
    add(&gateway, "a", json!({})).await.expect(201);
    add(&gateway, "a", json!({})).await.expect(409);
    gateway.admin("PATCH", "/admin/v1/models/a", Some(json!({"mode": "enforce"}))).await.expect(400);
    gateway.admin("GET", "/admin/v1/models/b", None).await.expect(404);
}

/// The command line against the running gateway: what it printed, and with which exit code it ended.
async fn seawall(gateway: &Gateway, words: &[&str]) -> (String, String, Option<i32>) {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_seawall"));
    command
        .args(words)
        .env("SEAWALL_URL", &gateway.base)
        .env("SEAWALL_ADMIN_TOKEN", &gateway.first.admin_token);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr), output.status.code())
}

#[tokio::test(flavor = "multi_thread")]
async fn models_are_kept_from_a_shell() {
    let gateway = Gateway::new().await;
    let file = |name: &str| gateway.dir.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(file("fraud.json"), MODEL).unwrap();
    std::fs::write(file("map.json"), features().to_string()).unwrap();
    let (model, map) = (file("fraud.json"), file("map.json"));
    let (said, error, code) = seawall(&gateway, &["model", "import", &model, "--features", &map]).await;
    assert_eq!(
        (said.as_str(), code),
        ("Model fraud is added, in shadow: it changes nothing yet.\n", Some(0)),
        "{error}"
    );
    let (said, _, _) = seawall(&gateway, &["model", "show", "fraud"]).await;
    assert!(said.contains("It may not decide: 0 requests since it was added"), "{said}");
    let (_, error, code) = seawall(&gateway, &["model", "enforce", "fraud"]).await;
    assert!(code == Some(1) && error.contains("has not proved better"), "{error}");
    assert!(seawall(&gateway, &["model", "list"]).await.0.contains("fraud  shadow"));
    assert!(seawall(&gateway, &["model", "features"]).await.0.contains("client.hosting"));
    let (said, _, _) = seawall(&gateway, &["model", "samples", "--since", "1d"]).await;
    assert_eq!(serde_json::from_str::<Value>(&said).unwrap()["samples"], json!([]));
    assert_eq!(seawall(&gateway, &["model", "delete", "fraud"]).await.2, Some(0));
    let (_, error, code) = seawall(&gateway, &["train", "--out", &file("new.json")]).await;
    let why = if cfg!(feature = "train") { "are too few" } else { "cannot train models" };
    assert!(code == Some(1) && error.contains(why), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn samples_have_outcomes_and_nobody_s_number() {
    let gateway = watching().await;
    users(&gateway, 0, 30).await;
    campaign(&gateway, 2, 30).await;
    let forgotten = json!({"to": "+6598761234", "client": {"ip": "119.74.7.9"}});
    gateway.api("POST", "/v1/verifications", Some(forgotten)).await.expect(201);
    gateway.advance("15m").await;
    let fresh = json!({"to": "+6598765432", "client": {"ip": "119.74.8.9"}});
    gateway.api("POST", "/v1/verifications", Some(fresh)).await.expect(201);
    gateway
        .api("POST", "/v1/messages", Some(json!({"to": "+6598765432", "text": "hello"})))
        .await
        .expect(201);
    let got = gateway.admin("POST", "/admin/v1/models/samples", Some(json!({"since": "1d"}))).await;
    assert!(!got.text.contains("998934") && !got.text.contains("34.8."), "no numbers, no addresses");
    let got = got.expect(200);
    let samples = got["samples"].as_array().unwrap();
    let (good, bad): (Vec<_>, Vec<_>) = samples.iter().partition(|s| s["attack"].is_null());
    assert_eq!((good.len(), bad.len()), (30, 30), "{}", got["excluded"]);
    assert!(bad.iter().all(|s| s["attack"] == bad[0]["attack"] && s["weight"] == 0.5), "one attack, softly");
    assert_eq!(got["excluded"], json!({"unconfirmed": 1, "too_young": 1, "no_code": 1}));
    let hosting = got["features"].as_array().unwrap().iter().position(|f| f == "client.hosting").unwrap();
    assert!(
        bad.iter().all(|s| s["values"][hosting] == 1.0) && good.iter().all(|s| s["values"][hosting] == 0.0)
    );
    let times: Vec<&str> = samples.iter().map(|s| s["at"].as_str().unwrap()).collect();
    assert!(times.is_sorted());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operators_word_on_an_incident_is_a_label() {
    let gateway = watching().await;
    users(&gateway, 0, 30).await;
    campaign(&gateway, 2, 30).await;
    gateway.advance("15m").await;
    let bad = async || {
        let got = gateway.admin("POST", "/admin/v1/models/samples", Some(json!({"since": "1d"}))).await;
        let samples = got.expect(200)["samples"].as_array().unwrap().clone();
        samples.into_iter().filter(|s| !s["attack"].is_null()).collect::<Vec<_>>()
    };
    assert!(bad().await.iter().all(|s| s["weight"] == 0.5), "an alarm alone is a soft label");
    let incidents = gateway.admin("GET", "/admin/v1/incidents", None).await.expect(200);
    let path = format!("/admin/v1/incidents/{}", incidents["data"][0]["id"].as_str().unwrap());
    let judge = async |status: &str| {
        gateway.admin("PATCH", &path, Some(json!({"status": status}))).await.expect(200);
    };
    judge("closed").await;
    let ruled = bad().await.iter().filter(|s| s["weight"] == 1.0).count();
    assert!(ruled >= 20, "{ruled} of 30 are known to be an attack");
    judge("false_alarm").await;
    let left = bad().await.len();
    assert!(left + ruled <= 30, "{left} are still taken for an attack");
}

/// From traffic to a model in shadow, with the command line alone.
#[cfg(feature = "train")]
#[tokio::test(flavor = "multi_thread")]
async fn a_model_is_trained_on_what_happened() {
    let gateway = watching().await;
    for (round, block) in [2, 5, 7].into_iter().enumerate() {
        users(&gateway, round * 200, 150).await;
        campaign(&gateway, block, 35).await;
        gateway.advance("30h").await;
    }
    users(&gateway, 900, 120).await;
    gateway.advance("15m").await;
    let out = gateway.dir.path().join("own.json").to_str().unwrap().to_owned();
    let (said, error, code) = seawall(&gateway, &["train", "--since", "30d", "--out", &out, "--json"]).await;
    assert_eq!(code, Some(0), "{error}");
    let report: Value = serde_json::from_str(&said).unwrap();
    assert_eq!((&report["train"]["bad"], &report["test"]["bad"]), (&json!(70), &json!(35)), "{report}");
    assert!(report["evaluation"]["auc"].as_f64().unwrap() > 0.95, "{report}");
    assert!(std::fs::read_to_string(format!("{out}.report.json")).unwrap().contains("reliability"));
    let (_, error, code) = seawall(&gateway, &["train", "--out", &out]).await;
    assert!(code == Some(2) && error.contains("exists already"), "{error}");
    let (said, error, _) = seawall(&gateway, &["model", "import", &out]).await;
    assert_eq!(said, "Model own is added, in shadow: it changes nothing yet.\n", "{error}");
    let shown = gateway.admin("GET", "/admin/v1/models/own", None).await.expect(200);
    assert_eq!((&shown["report"], &shown["state"]), (&report, &json!("shadow")));
    let asked = attack(&gateway, 9, 1).await.expect(201);
    let path = format!("/admin/v1/decisions/{}", asked["decision_id"].as_str().unwrap());
    let decision = gateway.admin("GET", &path, None).await.expect(200);
    assert_eq!(decision["facts"]["models"][0]["model"], "own", "{decision}");
}

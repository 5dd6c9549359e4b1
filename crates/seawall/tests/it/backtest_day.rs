//! A rule drafted, back-tested on a day of traffic, put in shadow, then enforced on the same traffic again, all
//! through the API: the prediction is the outcome, request by request.

use std::collections::{BTreeSet, HashMap};
use std::sync::Mutex;
use std::time::Duration;

use seawall_core::sim::{Params, Simulation, TEST_FROM};
use seawall_core::time::Timestamp;
use seawall_core::trace::Op;
use serde_json::{Value, json};

use crate::common::Gateway;

/// What is known of a request without its past.
const HOSTED: &str = "number.country == \"AZ\" && client.hosting && request.operation == \"verify.start\"";
/// What depends on the past, and not on verdicts: requests and distinct numbers count whatever is decided.
const RANGE: &str = "velocity.range.distinct_numbers_1h >= 4 && velocity.range.requests_10m >= 2";
/// Longer than any window, and whole cells of velocities.
const APART: Duration = Duration::from_secs(3 * 86_400);
/// Of so many requests that are confirmed in the simulation, one is.
const CONFIRMED: usize = 100;

/// One request of the day.
struct Asked {
    /// Since midnight.
    at: Duration,
    to: String,
    ip: Option<String>,
    fingerprint: Option<String>,
    confirms: bool,
}

/// What became of it.
#[derive(PartialEq, Debug)]
struct Fate {
    status: u16,
    decision: String,
}

/// People and, among them, an attack on one range of AZ from hosting addresses.
fn day() -> Vec<Asked> {
    let params = Params { warmup_days: 0, test_days: 1, per_day: 2_400, attack_scale: 0.12 };
    let lines = Simulation::sized("seq_block", 7, params).unwrap();
    let asked = lines.filter_map(|line| {
        let Op::VerifyStart(start) = &line.op else { return None };
        let text =
            |text: &Option<seawall_core::trace::Text<'_>>| text.as_ref().map(|text| text.0.to_string());
        Some(Asked {
            // Half past a second, so that the milliseconds of a round do not move it to another one.
            at: Duration::from_millis(((line.t.as_millis() - TEST_FROM) / 1000 * 1000 + 500).unsigned_abs()),
            to: start.to.0.0.to_string(),
            ip: text(&line.client.ip),
            fingerprint: text(&line.client.fingerprint),
            confirms: start.if_sent.confirm_after_ms.is_some(),
        })
    });
    asked.collect()
}

struct Round<'a> {
    gateway: &'a Gateway,
    path: String,
    midnight: Timestamp,
    /// How many messages each number got so far, in all rounds.
    got: &'a Mutex<HashMap<String, usize>>,
}

impl Round<'_> {
    async fn at(&self, since: Duration) {
        let (now, to) = (self.gateway.running.app.now(), self.midnight.plus(since));
        if to > now {
            let body = json!({"now": to.to_rfc3339()});
            self.gateway.admin("PUT", "/admin/v1/sandbox/clock", Some(body)).await.expect(200);
        }
    }

    async fn of(&self, day: &[Asked]) -> Vec<Fate> {
        let (mut fates, mut promising) = (Vec::with_capacity(day.len()), 0);
        for asked in day {
            self.at(asked.at).await;
            let body = json!({"destination": asked.to, "clientIp": asked.ip});
            let print: Vec<_> =
                asked.fingerprint.iter().map(|p| ("seawall-fingerprint", p.as_str())).collect();
            let answer = self.gateway.api_with("POST", &self.path, Some(body), &print).await;
            promising += usize::from(asked.confirms);
            if answer.status == 200 {
                *self.got.lock().unwrap().entry(asked.to.clone()).or_default() += 1;
            }
            if answer.status == 200 && asked.confirms && promising.is_multiple_of(CONFIRMED) {
                self.confirm(&asked.to, &answer.json()).await;
            }
            let decision = answer.headers["seawall-decision-id"].clone();
            fates.push(Fate { status: answer.status, decision });
        }
        fates
    }

    async fn confirm(&self, to: &str, session: &Value) {
        let got = self.got.lock().unwrap()[to];
        let code = self.gateway.code(to, got).await;
        let path = format!("{}/{}?code={code}", self.path, session["sessionId"].as_str().unwrap());
        assert_eq!(self.gateway.api("GET", &path, None).await.expect(200)["status"], "VERIFIED");
    }

    /// The day's back-test, and which of its requests a draft matches.
    async fn backtest(&self, fates: &[Fate], when: &str, name: &str) -> (Value, BTreeSet<usize>) {
        let span = json!([self.midnight.to_rfc3339(), self.midnight.plus(APART / 3).to_rfc3339()]);
        let draft = json!({"action": "block", "when": when, "name": name, "from": span[0], "to": span[1]});
        let report =
            self.gateway.admin("POST", "/admin/v1/rules/backtest", Some(draft.clone())).await.expect(200);
        let token = Some(self.gateway.first.admin_token.as_str());
        let (path, csv) = ("/admin/v1/rules/backtest", [("accept", "text/csv")]);
        let file = self.gateway.raw("POST", path, token, Some(&draft.to_string()), &csv).await.text;
        let ids: BTreeSet<&str> = file.lines().skip(1).filter_map(|line| line.split(',').next()).collect();
        let matches = fates.iter().enumerate().filter(|(_, fate)| ids.contains(fate.decision.as_str()));
        let matches: BTreeSet<usize> = matches.map(|(n, _)| n).collect();
        assert_eq!(matches.len(), ids.len(), "every match is a request of the day");
        (report, matches)
    }
}

async fn shadow(gateway: &Gateway, name: &str, when: &str) {
    let rule = json!({"name": name, "action": "block", "when": when, "mode": "shadow"});
    gateway.admin("POST", "/admin/v1/rules", Some(rule)).await.expect(201);
}

fn statuses(fates: &[Fate]) -> Vec<u16> {
    fates.iter().map(|fate| fate.status).collect()
}

async fn prices(gateway: &Gateway) {
    for country in seawall_core::sim::COUNTRIES {
        let price = json!({"country": country.iso, "amount": 50_000, "currency": "USD"});
        gateway.admin("POST", "/admin/v1/prices", Some(price)).await.expect(201);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_of_traffic_is_decided_as_its_back_test_said() {
    let gateway = Gateway::without_detection().await;
    prices(&gateway).await;
    let day = day();
    assert!(day.len() > 2_500, "{}", day.len());
    let path = format!("/api/v2/subaccounts/{}/sessions", gateway.sub());
    let now = gateway.running.app.now().as_millis();
    let first = Timestamp::from_millis((now / 86_400_000 + 1) * 86_400_000);
    let got = Mutex::default();
    let round =
        |n: u32| Round { gateway: &gateway, path: path.clone(), midnight: first.plus(APART * n), got: &got };

    // Drafted and tested on a day that was decided without it.
    let (one, two, three) = (round(0), round(1), round(2));
    let plain = one.of(&day).await;
    let (told, hosted) = one.backtest(&plain, HOSTED, "hosted").await;
    assert_eq!((&told["requests"], &told["matched"]), (&json!(day.len()), &json!(hosted.len())), "{told}");
    assert_eq!((&told["sampled_note"], &told["self_dependent"]), (&json!(null), &json!([])));
    assert!(hosted.len() > 300 && told["already_stopped_by_others"] == 0, "{told}");
    let (unsaid, _) = one.backtest(&plain, RANGE, "range").await;
    assert!(unsaid["sampled_note"].as_str().unwrap().contains("save the rule in shadow"), "{unsaid}");

    // In shadow it changes nothing, and matches what was said; what nobody had recorded now is.
    shadow(&gateway, "hosted", HOSTED).await;
    shadow(&gateway, "range", RANGE).await;
    let shadowed = two.of(&day).await;
    assert_eq!(statuses(&shadowed), statuses(&plain));
    let (again, same) = two.backtest(&shadowed, HOSTED, "hosted").await;
    assert_eq!(same, hosted);
    for figure in ["requests", "matched", "would_have_blocked", "changed", "later_verified", "avoided"] {
        assert_eq!(again[figure], told[figure], "{figure}");
    }
    let (told, range) = two.backtest(&shadowed, RANGE, "range").await;
    assert_eq!((&told["sampled_note"], &told["matched"]), (&json!(null), &json!(range.len())), "{told}");
    assert!(range.len() > 100 && range != hosted, "{} {}", range.len(), hosted.len());
    let seen = gateway.admin("GET", "/admin/v1/rules/range", None).await.expect(200);
    assert_eq!((&seen["matched"], &seen["enforced"]), (&json!(range.len()), &json!(0)));

    // Enforced, exactly those are refused, and nobody else is decided differently.
    let (both, _) = two.backtest(&shadowed, &format!("({HOSTED}) || ({RANGE})"), "hosted").await;
    for name in ["hosted", "range"] {
        let path = format!("/admin/v1/rules/{name}");
        gateway.admin("PATCH", &path, Some(json!({"mode": "enforce"}))).await.expect(200);
    }
    let enforced = three.of(&day).await;
    let meant: BTreeSet<usize> = hosted.union(&range).copied().collect();
    for (n, (after, before)) in enforced.iter().zip(&plain).enumerate() {
        let expected = if meant.contains(&n) { 403 } else { before.status };
        assert_eq!(after.status, expected, "request {n} of {}", day.len());
    }
    let sent = |fates: &[Fate]| fates.iter().filter(|fate| fate.status == 200).count();
    let stopped = sent(&plain) - sent(&enforced);
    assert_eq!(both["avoided"]["amount"], 50_000 * stopped, "what it avoided is what was not sent: {both}");
    let seen = gateway.admin("GET", "/admin/v1/rules/range", None).await.expect(200);
    assert_eq!(seen["enforced"], range.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draft_over_what_it_would_have_moved_says_so() {
    let gateway = Gateway::without_detection().await;
    let body = json!({"destination": "+6591234567", "text": "x"});
    let path = format!("/api/v1/subaccounts/{}/messages", gateway.sub());
    gateway.api("POST", &path, Some(body)).await.expect(200);
    let draft = json!({"when": "velocity.ip.sends_1h > 3 && !number.known && velocity.ip.requests_1h > 3"});
    let told = gateway.admin("POST", "/admin/v1/rules/backtest", Some(draft)).await.expect(200);
    assert_eq!(told["self_dependent"], json!(["velocity.ip.sends_1h", "number.known"]), "{told}");
    let note = told["sampled_note"].as_str().unwrap();
    assert!(note.contains("would have changed if the rule had been in force"), "{note}");
}

//! A user base is cleaned: what is known is told first, with the cost of the rest; nobody is asked before that is confirmed.

use std::time::Duration;

use serde_json::{Value, json};
use wiremock::matchers::{method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::common::Gateway;

const COST: i64 = 4000;

/// One of each kind.
const TABLE: &str = "name,phone,country\n\
    A,+65 9123 4567,\n\
    B,91234567,SG\n\
    C,not a number,\n\
    D,+33753707041,\n\
    E,+65 9123 0001,\n\
    F,+65 9123 0002,\n\
    G,+65 9123 0003,\n\
    H,=cmd|' /C calc'!A0,\n\
    I,+65 6123 4567,\n\
    J,+65 9123 0004,\n";

async fn send(gateway: &Gateway, query: &str, table: &str) -> (u16, Value) {
    let url = format!("{}/v1/numbers/cleanings{query}", gateway.base);
    let request =
        gateway.http.post(url).bearer_auth(&gateway.first.api_key).header("content-type", "text/csv");
    let answer = request.body(table.to_owned()).send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

/// Waits until a cleaning has one of these statuses.
async fn reached(gateway: &Gateway, id: &str, statuses: &[&str]) -> Value {
    for _ in 0..600 {
        let view = gateway.api("GET", &format!("/v1/numbers/cleanings/{id}"), None).await.expect(200);
        if statuses.contains(&view["status"].as_str().unwrap()) {
            return view;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{id} reached none of {statuses:?}");
}

async fn begun(gateway: &Gateway, query: &str, table: &str) -> String {
    let (status, view) = send(gateway, query, table).await;
    assert_eq!(status, 202, "{view}");
    view["id"].as_str().unwrap().to_owned()
}

async fn rows(gateway: &Gateway, id: &str) -> Vec<Value> {
    let path = format!("/v1/numbers/cleanings/{id}/result?format=json");
    gateway.api("GET", &path, None).await.expect(200)["data"].as_array().unwrap().clone()
}

async fn csv(gateway: &Gateway, id: &str) -> String {
    let url = format!("{}/v1/numbers/cleanings/{id}/result", gateway.base);
    let answer = gateway.http.get(url).bearer_auth(&gateway.first.api_key).send().await.unwrap();
    assert_eq!(answer.headers()["content-type"], "text/csv; charset=utf-8");
    answer.text().await.unwrap()
}

/// A provider that knows what each number is.
async fn provider(gateway: &Gateway) -> MockServer {
    let server = MockServer::start().await;
    let says = [
        ("/6591234567", json!({"ported": true, "net": "M1", "on": true})),
        ("/6591230001", json!({"on": false})),
        ("/6591230002", json!({"on": true, "owner": "2026-01-05T00:00:00Z"})),
        ("/6591230004", json!({"status": 5})),
    ];
    for (at, body) in says {
        let answer = ResponseTemplate::new(200).set_body_json(body);
        Mock::given(method("GET")).and(path(at)).respond_with(answer).mount(&server).await;
    }
    let settings = json!({
        "url": format!("{}/{{to_digits}}", server.uri()), "cost_micros": COST, "timeout_seconds": 2,
        "facts": {"ported": "/ported", "operator": "/net", "reachable": "/on", "reassigned_at": "/owner"},
        "errors": {"pointer": "/status", "values": {"5": "sim-offline"}},
    });
    let provider = json!({"name": "hlr", "kind": "http_lookup", "settings": settings});
    gateway.admin("POST", "/admin/v1/providers", Some(provider)).await.expect(201);
    server
}

async fn confirm(gateway: &Gateway, id: &str, most: i64) -> crate::common::Answer {
    let body = json!({"cost_at_most": most});
    gateway.api("POST", &format!("/v1/numbers/cleanings/{id}/confirm"), Some(body)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cost_is_told_first_and_each_number_gets_its_word() {
    let gateway = Gateway::new().await;
    let server = provider(&gateway).await;
    let out = json!({"msisdn": "+6591230003"});
    gateway.admin("POST", "/admin/v1/opt-outs", Some(out)).await.expect(201);
    let id = begun(&gateway, "?type=live", TABLE).await;
    let quote = reached(&gateway, &id, &["quoted"]).await;
    assert_eq!((&quote["rows"], &quote["to_ask"], &quote["spent"]), (&json!(10), &json!(4), &json!(0)));
    assert_eq!((&quote["cost_at_most"], &quote["currency"]), (&json!(4 * COST), &json!("USD")));
    assert_eq!((&quote["verdicts"]["invalid"], &quote["verdicts"]["duplicate"]), (&json!(2), &json!(1)));
    assert!(server.received_requests().await.unwrap().is_empty(), "nobody is asked before");
    let little = confirm(&gateway, &id, 4 * COST - 1).await.expect(400);
    assert_eq!(little["field"], "cost_at_most");
    confirm(&gateway, &id, 4 * COST).await.expect(202);
    let done = reached(&gateway, &id, &["done", "stopped"]).await;
    assert_eq!(
        (&done["status"], &done["spent"], &done["to_ask"]),
        (&json!("done"), &json!(4 * COST), &json!(0)),
        "{done}"
    );
    assert_eq!(done["ported"], 1);
    let rows = rows(&gateway, &id).await;
    let words: Vec<&str> = rows.iter().map(|row| row["verdict"].as_str().unwrap()).collect();
    assert_eq!(
        words,
        [
            "ok",
            "duplicate",
            "invalid",
            "disposable",
            "unreachable",
            "reassigned",
            "opted_out",
            "invalid",
            "ok",
            "unreachable"
        ]
    );
    assert_eq!(
        (&rows[0]["number"], &rows[0]["ported"], &rows[0]["operator"]),
        (&json!("+6591234567"), &json!(true), &json!("M1"))
    );
    assert_eq!((&rows[1]["duplicate_of"], &rows[0]["cost"]), (&json!(2), &json!(COST)));
    confirm(&gateway, &id, 0).await.expect(409);

    let text = csv(&gateway, &id).await;
    assert_eq!(text.lines().count(), 11);
    assert!(text.contains("'=cmd|") && text.contains(",'+6591234567,ok,SG,mobile,M1,"), "{text}");
    for cell in text.lines().skip(1).flat_map(|line| line.split(',')) {
        assert!(!cell.trim_matches('"').starts_with(['=', '+', '-', '@']), "{cell}");
    }
    // What was answered is kept: the same table costs nothing now.
    let again = begun(&gateway, "?type=operator", TABLE).await;
    let quote = reached(&gateway, &again, &["quoted", "done"]).await;
    assert_eq!(quote["to_ask"], 1, "of the phone that was off nothing is kept: {quote}");
    gateway.api("DELETE", &format!("/v1/numbers/cleanings/{id}"), None).await.expect(204);
    gateway.api("GET", &format!("/v1/numbers/cleanings/{id}"), None).await.expect(404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_budget_stops_it_and_a_limit_lets_it_wait() {
    let gateway = Gateway::new().await;
    let server = provider(&gateway).await;
    let budget = json!({"name": "small", "amount": 2 * COST, "currency": "USD", "window": "24h"});
    let budget = gateway.admin("POST", "/admin/v1/budgets", Some(budget)).await.expect(201);
    let id = begun(&gateway, "?type=live", TABLE).await;
    reached(&gateway, &id, &["quoted"]).await;
    confirm(&gateway, &id, 100 * COST).await.expect(202);
    let stopped = reached(&gateway, &id, &["done", "stopped"]).await;
    assert_eq!(stopped["status"], "stopped");
    assert!(stopped["problem"].as_str().unwrap().contains("budget \"small\""), "{stopped}");
    tokio::time::sleep(Duration::from_millis(300)).await;
    let stopped = reached(&gateway, &id, &["stopped"]).await;
    assert_eq!(stopped["spent"], 2 * COST);
    let path = format!("/admin/v1/budgets/{}", budget["id"].as_str().unwrap());
    gateway.admin("DELETE", &path, None).await.expect(204);
    let limit = json!({"name": "few", "per": "api_key", "applies_to": ["lookup"], "quota": 1, "window": "1h", "counts": "requests"});
    gateway.admin("POST", "/admin/v1/limits", Some(limit)).await.expect(201);
    confirm(&gateway, &id, 100 * COST).await.expect(202);
    let mut waits = Value::Null;
    for _ in 0..100 {
        waits = reached(&gateway, &id, &["running", "done"]).await;
        if !waits["waits_until"].is_null() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(waits["waits_until"].is_string(), "{waits}");
    for _ in 0..4 {
        gateway.advance("61m").await;
        tokio::time::sleep(Duration::from_millis(1200)).await;
    }
    let done = reached(&gateway, &id, &["done"]).await;
    assert_eq!(done["spent"], 4 * COST, "{done}");
    assert_eq!(
        server.received_requests().await.unwrap().len(),
        5,
        "one that it does not know, and is not paid for"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_does_not_fit_is_refused_and_others_see_nothing_of_one_that_does() {
    let gateway = Gateway::new().await;
    for (query, table, field) in [
        ("", "a,b\n1,2\n", "(body)"),
        ("?column=c", "a,b\n1,2\n", "column"),
        ("?country=Singapore", "phone\n1\n", "country"),
        ("", "phone\n\"1\n", "(body)"),
    ] {
        let (status, body) = send(&gateway, query, table).await;
        assert_eq!((status, &body["field"]), (400, &json!(field)), "{body}");
    }
    let json = gateway.api("POST", "/v1/numbers/cleanings", Some(json!({}))).await;
    assert_eq!(json.status, 415);
    let id = begun(&gateway, "", "phone\n+6591234321\n").await;
    let done = reached(&gateway, &id, &["done"]).await;
    assert_eq!((&done["verdicts"]["ok"], &done["cost_at_most"]), (&json!(1), &json!(0)));
    let erased = gateway.api("DELETE", "/v1/numbers/6591234321/data", None).await.expect(202);
    for _ in 0..100 {
        if !csv(&gateway, &id).await.contains("6591234321") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(!csv(&gateway, &id).await.contains("6591234321"), "{erased}");
    gateway.admin("POST", "/admin/v1/subaccounts", Some(json!({"id": "other"}))).await.expect(201);
    let key = json!({"name": "other", "subaccounts": ["other"], "scopes": ["lookup"]});
    let key = gateway.admin("POST", "/admin/v1/api-keys", Some(key)).await.expect(201);
    let url = format!("{}/v1/numbers/cleanings/{id}", gateway.base);
    let other = gateway.http.get(url).bearer_auth(key["key"].as_str().unwrap()).send().await.unwrap();
    assert_eq!(other.status(), 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_thousand_rows_are_read() {
    let gateway = Gateway::new().await;
    let mut table = "phone\n".to_owned();
    for n in 0..100_000 {
        table.push_str(&format!("+65 9{:03} {:04}\n", n / 10_000 + 100, n % 10_000));
    }
    let begun_at = std::time::Instant::now();
    let id = begun(&gateway, "", &table).await;
    let done = reached(&gateway, &id, &["done"]).await;
    println!("100,000 rows in {:?}", begun_at.elapsed());
    assert_eq!((&done["rows"], &done["read"]), (&json!(100_000), &json!(100_000)));
    assert_eq!(csv(&gateway, &id).await.lines().count(), 100_001);
    let (status, body) = send(&gateway, "", &(table + "+6591234567\n")).await;
    assert_eq!((status, &body["field"]), (400, &json!("(body)")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workbook_is_cleaned_like_a_table() {
    const WORKBOOK: &str = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";
    let gateway = Gateway::new().await;
    let send = async |media: &str, file: &[u8]| {
        let url = format!("{}/v1/numbers/cleanings?column=phone%20number", gateway.base);
        let request =
            gateway.http.post(url).bearer_auth(&gateway.first.api_key).header("content-type", media);
        let answer = request.body(file.to_vec()).send().await.unwrap();
        (answer.status().as_u16(), answer.json::<Value>().await.unwrap())
    };
    let file = include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/openpyxl.xlsx"));
    let (status, begun) = send(WORKBOOK, file).await;
    assert_eq!(status, 202, "{begun}");
    let id = begun["id"].as_str().unwrap();
    reached(&gateway, id, &["quoted", "done"]).await;
    let rows = rows(&gateway, id).await;
    let shown: Vec<(u64, &str)> =
        rows.iter().map(|row| (row["row"].as_u64().unwrap(), row["verdict"].as_str().unwrap())).collect();
    assert_eq!(shown, [(2, "ok"), (3, "ok"), (5, "ok"), (6, "invalid")], "{rows:?}");
    for (media, file, status) in [
        (WORKBOOK, &b"phone number\n+6591234567\n"[..], 400),
        (WORKBOOK, &file[..2_000], 400),
        ("text/csv", &file[..], 400),
        ("application/vnd.ms-excel", &file[..], 415),
    ] {
        let (got, problem) = send(media, file).await;
        assert_eq!(got, status, "{problem}");
    }
}

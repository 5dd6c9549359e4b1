//! Many contacts at once in the 8x8 dialect, against 8x8's schemas: uploads, deletions, and groups copied and moved.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Value, json};

use crate::common::{Answer, Gateway};
use crate::eight_oas::{Run, run};

const CONTACTS: &str = "/api/v1/accounts/{accountId}/contacts";
const GROUPS: &str = "/api/v1/accounts/{accountId}/groups";
const BATCHES: &str = "/api/v1/accounts/{accountId}/batches";

async fn upload(gateway: &Gateway, file: &str, fields: &[(&str, &str)]) -> Answer {
    let mut body = String::new();
    for (name, value) in fields {
        write!(body, "--bnd\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n").unwrap();
    }
    write!(
        body,
        "--bnd\r\nContent-Disposition: form-data; name=\"file\"; filename=\"C:\\lists\\mine.csv\"\r\n\
         Content-Type: text/csv\r\n\r\n{file}\r\n--bnd--\r\n"
    )
    .unwrap();
    let path = format!("/api/v1/accounts/{}/contacts/batches/createContacts", gateway.first.account_id);
    let form = [("content-type", "multipart/form-data; boundary=bnd")];
    gateway.raw("POST", &path, Some(&gateway.first.api_key), Some(&body), &form).await
}

async fn uploaded(run: &Run, file: &str, fields: &[(&str, &str)], status: u16) -> Value {
    let answer = upload(&run.gateway, file, fields).await;
    run.check(&format!("POST {CONTACTS}/batches/createContacts"), &answer, status);
    answer.json()
}

/// Waits until a batch is done.
async fn done(run: &Run, batch: &Value) -> Value {
    let ids = [("{batchId}", batch["id"].as_str().unwrap())];
    for _ in 0..400 {
        let now = run.call(&format!("GET {BATCHES}/{{batchId}}"), &ids, "", None, 200).await;
        if now["status"] != "queued" && now["status"] != "inProgress" {
            return now;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{batch} is never done");
}

async fn begun(run: &Run, operation: &str, query: &str, body: Option<Value>, status: u16) -> Value {
    run.call(operation, &[], query, body, status).await
}

async fn group(run: &Run, name: &str) -> u64 {
    let made = run.call(&format!("POST {GROUPS}"), &[], "", Some(json!({"name": name})), 201).await;
    made["id"].as_u64().unwrap()
}

async fn members(run: &Run, query: &str) -> Value {
    run.call(&format!("GET {CONTACTS}"), &[], query, None, 200).await["totalFiltered"].clone()
}

async fn message(run: &Run, to: &str) -> u16 {
    run.gateway.api("POST", "/v1/messages", Some(json!({"to": to, "text": "x"}))).await.status
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_becomes_contacts_and_a_blacklist_of_them_is_in_force() {
    let run = run().await;
    let quiet = group(&run, "Blacklist").await;
    let old = json!({"firstName": "Old", "addresses": {"msisdn": "+6591110001"}});
    run.call(&format!("POST {CONTACTS}"), &[], "", Some(old), 201).await;
    assert_eq!(message(&run, "+6591110002").await, 201);
    let file = "phone number;Last name;tier\r\n'+6591110001;Tan;gold\r\n+6591110002;Lim;\r\n12;Bad;\r\n6591110002;;silver\r\n";
    let batch = uploaded(&run, file, &[("groups", &quiet.to_string())], 202).await;
    assert_eq!((&batch["fileName"], &batch["type"]), (&json!("mine.csv"), &json!("createContacts")));
    let over = done(&run, &batch).await;
    let counts =
        ["totalRows", "errorRows", "duplicatedRows", "insertedRows", "mergedRows"].map(|n| over[n].as_u64());
    assert_eq!((over["status"].as_str(), counts), (Some("completed"), [4, 1, 1, 1, 1].map(Some)));
    assert_eq!(over["errors"][0]["row"], 4);
    assert_eq!(message(&run, "+6591110002").await, 403, "the blacklist is in force");
    let merged = run.call(&format!("GET {CONTACTS}"), &[], "?query=tan", None, 200).await["items"][0].clone();
    assert_eq!(
        (&merged["firstName"], &merged["customAttributes"]["tier"]),
        (&json!("Old"), &json!("gold")),
        "{merged}"
    );
    let plain = [("fileHasHeader", "false"), ("fileColumns", "msisdn,firstName")];
    done(&run, &uploaded(&run, "+6591110003,Ann\n", &plain, 202).await).await;
    assert_eq!(members(&run, "?query=ann").await, 1);
    // What is no table, says so and changes nothing.
    uploaded(&run, "name\nx\n", &[], 400).await;
    uploaded(&run, "msisdn\n+6591110004\n", &[("groups", "7")], 400).await;
    uploaded(&run, "+6591110004\n", &[("fileHasHeader", "false")], 400).await;
    uploaded(&run, "PK\u{3}\u{4}", &[], 400).await;
    let path = format!("POST {CONTACTS}/batches/createContacts");
    begun(&run, &path, "", Some(json!({"file": {}})), 415).await;
    assert_eq!(members(&run, "").await, 3);
    // With the contact goes what its group stood for.
    let gone = json!({"msisdns": ["6591110002", "+6599999999"]});
    let batch = begun(&run, &format!("POST {CONTACTS}/batches/deleteContacts"), "", Some(gone), 202).await;
    assert_eq!(done(&run, &batch).await["status"], "completed");
    assert_eq!((members(&run, "").await, message(&run, "+6591110002").await), (json!(2), 201));
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_are_copied_moved_and_deleted_with_their_contacts() {
    let run = run().await;
    let (a, b, c) = (group(&run, "A").await, group(&run, "B").await, group(&run, "C").await);
    let mut file = "msisdn\n".to_owned();
    (0..700).for_each(|n| writeln!(file, "+659111{n:04}").unwrap());
    done(&run, &uploaded(&run, &file, &[("groups", &a.to_string())], 202).await).await;
    let of = async |id: u64| members(&run, &format!("?limit=1&groupId={id}")).await;
    assert_eq!((of(a).await, of(b).await), (json!(700), json!(0)));
    let copy = format!("POST {GROUPS}/batches/copyContacts");
    done(&run, &begun(&run, &copy, &format!("?from={a}&to={b}"), None, 202).await).await;
    assert_eq!((of(a).await, of(b).await), (json!(700), json!(700)));
    let relocate = format!("POST {GROUPS}/batches/moveContacts");
    done(&run, &begun(&run, &relocate, &format!("?from={b}&to={c}"), None, 202).await).await;
    assert_eq!((of(b).await, of(c).await), (json!(0), json!(700)));
    for query in ["", "?from=1&to=2", &format!("?from={a}&to={a}")] {
        begun(&run, &copy, query, None, 400).await;
        begun(&run, &relocate, query, None, 400).await;
    }
    let drop = format!("POST {GROUPS}/batches/deleteGroups");
    for body in [
        json!({"ids": [a]}),
        json!({"ids": [], "deleteContacts": true}),
        json!({"ids": [7], "deleteContacts": true}),
    ] {
        begun(&run, &drop, "", Some(body), 400).await;
    }
    let alone = json!({"ids": [a], "deleteContacts": false});
    done(&run, &begun(&run, &drop, "", Some(alone), 202).await).await;
    assert_eq!((of(c).await, members(&run, "?limit=1").await), (json!(700), json!(700)));
    let whole = json!({"ids": [c], "deleteContacts": true});
    done(&run, &begun(&run, &drop, "", Some(whole), 202).await).await;
    assert_eq!(members(&run, "?limit=1").await, 0);
    let unwanted = format!("POST {CONTACTS}/batches/deleteContacts");
    for body in
        [json!({}), json!({"all": true, "ids": [1]}), json!({"ids": ["x"]}), json!({"msisdns": ["12"]})]
    {
        begun(&run, &unwanted, "", Some(body), 400).await;
    }
    done(&run, &uploaded(&run, &file, &[], 202).await).await;
    done(&run, &begun(&run, &unwanted, "", Some(json!({"all": true})), 202).await).await;
    assert_eq!(members(&run, "?limit=1").await, 0);
    let listed = run.call(&format!("GET {BATCHES}"), &[], "?type=createContacts", None, 200).await;
    assert_eq!((&listed["totalFiltered"], &listed["totalCount"]), (&json!(2), &json!(7)));
    run.call(&format!("GET {BATCHES}"), &[], "?type=other", None, 400).await;
    run.call(&format!("GET {BATCHES}/{{batchId}}"), &[("{batchId}", "x")], "", None, 404).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_goes_on_after_a_restart_and_an_erasure_reaches_into_it() {
    let gateway = Gateway::new().await;
    let mut file = "msisdn\n".to_owned();
    (0..3000).for_each(|n| writeln!(file, "+659222{n:04}").unwrap());
    let batch = upload(&gateway, &file, &[]).await.expect(202);
    let gateway = gateway.restart().await;
    gateway.api("DELETE", "/v1/numbers/6592220007/data", None).await.expect(202);
    let account = format!("/api/v1/accounts/{}", gateway.first.account_id);
    for _ in 0..400 {
        let now =
            gateway.api("GET", &format!("{account}/batches/{}", batch["id"].as_str().unwrap()), None).await;
        if now.expect(200)["status"] == "completed" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let found = gateway.api("GET", &format!("{account}/contacts?limit=1"), None).await.expect(200);
    assert_eq!(found["totalCount"], 2999, "all but the erased one");
    let erased = gateway.api("GET", &format!("{account}/contacts?query=6592220007"), None).await.expect(200);
    assert_eq!(erased["totalFiltered"], 0);
}

/// A form with a file of whatever bytes.
async fn upload_bytes(gateway: &Gateway, name: &str, file: &[u8]) -> Answer {
    let head = format!(
        "--bnd\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\nContent-Type: text/plain\r\n\r\n"
    );
    let body = [head.as_bytes(), file, b"\r\n--bnd--\r\n"].concat();
    let path = format!("/api/v1/accounts/{}/contacts/batches/createContacts", gateway.first.account_id);
    let request = gateway.http.post(format!("{}{path}", gateway.base)).bearer_auth(&gateway.first.api_key);
    let answer =
        request.header("content-type", "multipart/form-data; boundary=bnd").body(body).send().await.unwrap();
    let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
    let headers = headers.iter().map(|(k, v)| (k.to_string(), v.to_str().unwrap().to_owned())).collect();
    Answer { status, headers, text: answer.text().await.unwrap() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workbook_becomes_contacts() {
    let run = run().await;
    let file = include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/openpyxl.xlsx"));
    let begun = upload_bytes(&run.gateway, "people.xlsx", file).await;
    run.check(&format!("POST {CONTACTS}/batches/createContacts"), &begun, 202);
    let over = done(&run, &begun.json()).await;
    let counts = ["totalRows", "errorRows", "duplicatedRows", "insertedRows"].map(|n| over[n].as_u64());
    assert_eq!((over["status"].as_str(), counts), (Some("completed"), [4, 1, 0, 3].map(Some)), "{over}");
    assert_eq!((&over["fileType"], &over["fileName"]), (&json!("xls"), &json!("people.xlsx")));
    assert_eq!(over["errors"][0]["row"], 6, "the row of the sheet, empty ones counted");
    let found = run.call(&format!("GET {CONTACTS}"), &[], "?query=6591230001", None, 200).await;
    let one = &found["items"][0];
    assert_eq!(
        (&one["firstName"], &one["customAttributes"]["tier"]),
        (&json!("Ann & Bo <x>"), &json!("gold"))
    );
    let national = run.call(&format!("GET {CONTACTS}"), &[], "?query=6591230003", None, 200).await;
    assert_eq!(national["items"][0]["firstName"], "Chloé");
    let encrypted = [0xd0, 0xcf, 0x11, 0xe0, 0xa1, 0xb1, 0x1a, 0xe1, 0, 0];
    let sheet = file.windows(24).position(|name| name == b"xl/worksheets/sheet1.xml").unwrap();
    let mut spoilt = file.to_vec();
    spoilt[sheet + 60] ^= 1;
    for (wrong, code) in [
        (&encrypted[..], 3010),
        (&spoilt, 3010),
        (&file[..file.len() - 30], 3010),
        (b"PK\x03\x04", 3010),
        (b"\xff\xfe", 1003),
    ] {
        let refused = upload_bytes(&run.gateway, "people.csv", wrong).await;
        run.check(&format!("POST {CONTACTS}/batches/createContacts"), &refused, 400);
        assert_eq!(refused.json()["code"], code, "{}", refused.text);
    }
}

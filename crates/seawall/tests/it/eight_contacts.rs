//! Contacts, groups and the blacklist of the 8x8 dialect, against 8x8's schemas; a blacklist is our opt-outs.

use serde_json::{Value, json};

use crate::eight_oas::{Run, run};

const CONTACTS: &str = "/api/v1/accounts/{accountId}/contacts";
const GROUPS: &str = "/api/v1/accounts/{accountId}/groups";
const TO: &str = "+6591234567";

async fn status(run: &Run) -> u16 {
    run.gateway.api("POST", "/v1/messages", Some(json!({"to": TO, "text": "x"}))).await.status
}

async fn contact(run: &Run, body: Value, status: u16) -> Value {
    run.call(&format!("POST {CONTACTS}"), &[], "", Some(body), status).await
}

async fn group(run: &Run, body: Value, status: u16) -> Value {
    run.call(&format!("POST {GROUPS}"), &[], "", Some(body), status).await
}

#[tokio::test(flavor = "multi_thread")]
async fn contacts_are_made_merged_changed_and_deleted() {
    let run = run().await;
    let friends = group(&run, json!({"name": "Friends", "description": "All of them"}), 201).await;
    group(&run, json!({"name": "Friends"}), 409).await;
    group(&run, json!({"name": ""}), 400).await;
    let body = json!({"firstName": "Jo", "country": "SG", "groups": [{"id": friends["id"]}],
        "addresses": {"msisdn": "6591234567"}, "customAttributes": {"company": "Acme"}});
    let made = contact(&run, body, 201).await;
    assert_eq!(
        (&made["addresses"]["msisdn"], &made["groups"][0]["contacts"]),
        (&json!("6591234567"), &json!(1))
    );
    let national = json!({"lastName": "Lim", "country": "SG", "addresses": {"msisdn": "91234567", "email": "jo@acme.com"}});
    let merged = contact(&run, national, 200).await;
    assert_eq!(
        (&merged["id"], &merged["firstName"], &merged["lastName"]),
        (&made["id"], &json!("Jo"), &json!("Lim"))
    );
    contact(&run, json!({"addresses": {}}), 400).await;
    contact(&run, json!({"addresses": {"msisdn": "12"}}), 400).await;
    contact(&run, json!({"addresses": {"msisdn": TO}, "groups": [{"id": 7}]}), 400).await;
    contact(&run, json!({"addresses": {"lineId": "l-1"}}), 201).await;
    let id = made["id"].to_string();
    let ids = [("{contactId}", id.as_str())];
    let (get, patch) = (format!("GET {CONTACTS}/{{contactId}}"), format!("PATCH {CONTACTS}/{{contactId}}"));
    run.call(&get, &ids, "", None, 200).await;
    run.call(&get, &[("{contactId}", "17")], "", None, 404).await;
    let operations = json!([
        {"op": "replace", "path": "/firstName", "value": "Joe"},
        {"op": "add", "path": "/addresses/lineId", "value": "line"},
        {"op": "remove", "path": "/customAttributes/company"}
    ]);
    let changed = run.call(&patch, &ids, "", Some(operations), 200).await;
    assert_eq!((&changed["firstName"], &changed["addresses"]["lineId"]), (&json!("Joe"), &json!("line")));
    run.call(&patch, &ids, "", Some(json!([{"op": "remove", "path": "/nothing"}])), 400).await;
    let list = format!("GET {CONTACTS}");
    for (query, count) in [("", 2), ("?query=joe", 1), ("?country=sg", 1), ("?query=zzz", 0), ("?limit=1", 1)]
    {
        let page = run.call(&list, &[], query, None, 200).await;
        assert_eq!(page["items"].as_array().unwrap().len(), count, "{query}");
        assert_eq!(page["totalCount"], 2);
    }
    let of_group = run.call(&list, &[], &format!("?groupId={}", friends["id"]), None, 200).await;
    assert_eq!(of_group["totalFiltered"], 1);
    run.call(&list, &[], "?limit=501", None, 400).await;
    run.call(&format!("DELETE {CONTACTS}/{{contactId}}"), &ids, "", None, 204).await;
    run.call(&get, &ids, "", None, 404).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blacklist_is_in_force_at_once_for_all_or_one_subaccount() {
    let run = run().await;
    let (post, put) =
        (format!("POST {CONTACTS}/blacklist/{{msisdn}}"), format!("POST {GROUPS}/{{groupId}}/contacts"));
    run.call(&post, &[("{msisdn}", "12")], "", None, 400).await;
    assert_eq!(status(&run).await, 201);
    run.call(&post, &[("{msisdn}", "%2B6591234567")], "", None, 200).await;
    assert_eq!(status(&run).await, 403);
    let groups = run.call(&format!("GET {GROUPS}"), &[], "?name=black", None, 200).await;
    let blacklist = &groups["items"][0];
    assert_eq!(
        (&blacklist["name"], &blacklist["isBlacklist"], &blacklist["contacts"]),
        (&json!("Blacklist"), &json!(true), &json!(1))
    );
    let listed = run.call(&format!("GET {CONTACTS}"), &[], "", None, 200).await;
    let member = listed["items"][0]["id"].clone();
    let (id, contacts) = (blacklist["id"].to_string(), json!({"contacts": [member]}));
    let take = format!("DELETE {GROUPS}/{{groupId}}/contacts");
    run.call(&take, &[("{groupId}", &id)], "", Some(contacts.clone()), 200).await;
    assert_eq!(status(&run).await, 201, "off the list");
    // Groups by name: another subaccount's stops nothing here, ours does.
    let other = group(&run, json!({"name": "Blacklist:other_sub"}), 201).await["id"].to_string();
    run.call(&put, &[("{groupId}", &other)], "", Some(contacts.clone()), 201).await;
    assert_eq!(status(&run).await, 201);
    let name = format!("Blacklist:{}", run.gateway.sub());
    let own = group(&run, json!({"name": name}), 201).await["id"].to_string();
    run.call(&put, &[("{groupId}", &own)], "", Some(contacts.clone()), 201).await;
    assert_eq!(status(&run).await, 403);
    run.call(&put, &[("{groupId}", "99")], "", Some(contacts.clone()), 404).await;
    run.call(&format!("DELETE {GROUPS}/{{groupId}}"), &[("{groupId}", &own)], "", None, 204).await;
    assert_eq!(status(&run).await, 201, "the group is gone");
    // A group becomes a blacklist, as 8x8's example spells it.
    let plain = group(&run, json!({"name": "Quiet"}), 201).await["id"].to_string();
    let ids = [("{groupId}", plain.as_str())];
    run.call(&put, &ids, "", Some(contacts), 201).await;
    let patch = format!("PATCH {GROUPS}/{{groupId}}");
    let mark = json!([{"op": "replace", "path": "/isblacklist", "value": "true"}]);
    assert_eq!(run.call(&patch, &ids, "", Some(mark), 200).await["isBlacklist"], true);
    assert_eq!(status(&run).await, 403);
    run.call(&patch, &ids, "", Some(json!([{"op": "replace", "path": "/name", "value": "Blacklist"}])), 409)
        .await;
    run.call(&format!("GET {GROUPS}/{{groupId}}"), &ids, "", None, 200).await;
    run.call(&format!("GET {GROUPS}/{{groupId}}"), &[("{groupId}", "99")], "", None, 404).await;
    let numbers = listed["items"][0]["id"].to_string();
    run.call(&format!("DELETE {CONTACTS}/{{contactId}}"), &[("{contactId}", &numbers)], "", None, 204).await;
    assert_eq!(status(&run).await, 201, "with the contact goes what its groups stood for");
}

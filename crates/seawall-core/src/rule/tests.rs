//! What conditions mean, and what is said of those that mean nothing.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::client_ip::ClientIp;
use crate::detect::{Evidence, Family, KeyKind, Signal};
use crate::facts::{Fact, Facts, History};
use crate::intel::{IpFacts, NumberFacts, OperatorCode};
use crate::list::{ListEffect, ListHit, ListKind};
use crate::lookup::LineFacts;
use crate::msisdn::Msisdn;
use crate::request::{Operation, Request};
use crate::velocity::{Metric, Span, Tallies, Velocities, VelocityKey};

/// 2026-11-21T17:30:00Z, a Saturday.
fn now() -> Timestamp {
    Timestamp::parse("2026-11-21T17:30:00Z").unwrap()
}

fn signal(family: Family) -> Signal {
    Signal {
        family,
        kind: KeyKind::Block10k,
        key: "99893412x".to_owned(),
        probability: 0.9,
        seen: 9.0,
        expected: 1.0,
        detail: String::new(),
    }
}

/// A request that has everything.
fn full() -> (Request, Facts) {
    let to = Msisdn::parse("+998934121234", None).unwrap();
    let caller = ClientIp::parse("192.0.2.7").unwrap();
    let mut ask = Request::new(Operation::SmsSend, "acme_hq", "key_1", &to, caller);
    let text = |text: &str| Some(text.to_owned());
    ask.client.ip = ClientIp::parse("198.51.100.9");
    (ask.client.user, ask.client.fingerprint, ask.client.ja4) =
        (text("u1"), text("fp12"), text("t13d1516h2"));
    ask.client.user_agent = text("Python-requests/2.31");
    ask.client.headers = BTreeMap::from([("accept-language".to_owned(), "de-DE".to_owned())]);
    ask.terms.limit_keys = BTreeMap::from([("campaign".to_owned(), "spring".to_owned())]);
    (ask.purpose, ask.price, ask.segments) = (text("signup"), Some(141_100), 2);
    ask.message.source = text("Acme");
    ask.message.template = text("parcel");
    ask.message.url_hosts = vec!["go.acme.com".to_owned(), "evil.top".to_owned()];
    ask.message.unicode = true;
    let mut ip = Tallies::default();
    ip.set(Metric::DistinctNumbers, Span::Hour, 40);
    ip.set(Metric::Sends, Span::Hour, 50);
    ip.set(Metric::Confirmations, Span::Hour, 2);
    let mut velocities = Velocities::default();
    velocities.set(VelocityKey::Ip, ip);
    let hit = |list: &str| ListHit {
        list: list.to_owned(),
        kind: ListKind::Msisdn,
        effect: ListEffect::Named,
        entry: "ent_1".to_owned(),
    };
    let facts = Facts {
        lists: Fact::Known(vec![hit("vip"), hit("beta")]),
        history: Fact::Known(History {
            known: true,
            trusted: false,
            last_confirmed_at: Timestamp::parse("2026-11-21T12:31:00Z"),
        }),
        ip: Some(IpFacts {
            country: crate::country::Country::parse("DE"),
            asn: Some(16_509),
            hosting: true,
            ..IpFacts::default()
        }),
        number: Some(NumberFacts {
            operator: Some("Beeline".into()),
            mccmnc: OperatorCode::parse("43404"),
            portable: true,
            ..NumberFacts::default()
        }),
        line: Some(LineFacts {
            ported: Some(true),
            roaming: Some(true),
            reachable: Some(false),
            call_forwarding: Some(true),
            sim_swapped_at: Timestamp::parse("2026-11-20T12:31:00Z"),
            reassigned_at: Timestamp::parse("2026-11-20T12:31:00Z"),
            cost: Some(4000),
        }),
        evidence: Fact::Known(Evidence {
            probability: 0.876,
            signals: vec![signal(Family::Outcome), signal(Family::Concentration)],
            ..Evidence::default()
        }),
        velocities: Fact::Known(velocities),
        ..Facts::default()
    };
    (ask, facts)
}

/// A request that has only what it must.
fn bare() -> (Request, Facts) {
    let to = Msisdn::parse("+998934121234", None).unwrap();
    let caller = ClientIp::parse("192.0.2.7").unwrap();
    (Request::new(Operation::SmsSend, "acme_hq", "key_1", &to, caller), Facts::default())
}

fn run(source: &str, (request, facts): &(Request, Facts)) -> (bool, Vec<String>) {
    let program = compile(source).unwrap_or_else(|e| panic!("{source}: {e}"));
    let outcome = program.run(&Seen::live(request, facts, now()));
    (outcome.matched, program.named(outcome.missing).map(Attribute::name).collect())
}

#[test]
fn conditions_hold_when_they_should() {
    for source in [
        "true",
        r#"number.country == "UZ" && number.continent == "asia""#,
        r#"number.country in ["TJ", "UZ"] && !(number.country in ["SG"])"#,
        r#"number.range == "+99893412" && number.range.startsWith("+99893")"#,
        r#"number.operator == "Beeline" && number.mccmnc == "43404" && number.portable && !number.disposable"#,
        "number.known && !number.trusted && number.last_confirmed_hours == 4",
        "number.local_hour == 22",
        r#"request.operation == "sms.send" && request.channel != "call""#,
        "request.price > 141099 && request.price < 141100.5 && request.segments == 2",
        "request.hour == 17 && request.weekday == 6 && !request.dry_run",
        r#"client.ip == "198.51.100.9" && client.ip != caller.ip && caller.ip in ["192.0.2.7", "192.0.2.8"]"#,
        r#"ip_in(client.ip, "198.51.100.0/24") && ip_in(client.ip, ["10.0.0.0/8", "198.51.0.0/16"])"#,
        r#"client.network == "198.51.100.0/24" && client.network != "203.0.113.0/24""#,
        r#"client.network in ["198.51.100.0/24"] && client.country != number.country"#,
        "client.asn in [1, 16509] && client.hosting && client.vpn == false && client.hosting != client.tor",
        r#"client.headers["Accept-Language"].startsWith("de") && limit_keys["campaign"] == "spring""#,
        r#"client.user_agent.matches("(?i)python|curl") && client.user_agent.contains("requests")"#,
        r#"message.url_hosts.exists(h, h.endsWith(".top")) && size(message.url_hosts) == 2"#,
        r#""evil.top" in message.url_hosts && !("a.top" in message.url_hosts) && message.unicode"#,
        "velocity.ip.distinct_numbers_1h >= 40 && velocity.ip.requests_24h == 0",
        "double(velocity.ip.confirmations_1h) / double(velocity.ip.sends_1h) < 0.05",
        "velocity.ip.sends_1h * 2 - 1 == 99 && velocity.ip.sends_1h % 7 == 1 && velocity.ip.sends_1h / 4 == 12",
        r#"evidence.risk == 88 && evidence.probability > 0.87 && "outcome" in evidence.families"#,
        r#"in_list("vip") && lists.contains("beta") && "vip" in lists && !in_list("x")"#,
        r#"has(client.user) && size(client.user) == 2 && client.user.size() < 3"#,
        r#"(number.known ? 10 : 20) == 10 && (number.known ? "a" : "b") == "a""#,
        "int(evidence.probability * 100.0) == 87 && -request.segments == -2 && 0x10 == 16 && 2u == 2",
        r#"message.template == "parcel" && message.source.endsWith("me")"#,
        "1 == 1.0 && 1 < 1.5",
    ] {
        assert_eq!(run(source, &full()), (true, vec![]), "{source}");
    }
}

#[test]
fn what_is_missing_makes_a_comparison_false_and_is_counted() {
    let missing = |source: &str| run(source, &bare());
    let one = |name: &str| vec![name.to_owned()];
    for (source, name) in [
        ("client.asn == 1", "client.asn"),
        ("client.asn != 1", "client.asn"),
        ("client.hosting", "client.hosting"),
        ("client.hosting == false", "client.hosting"),
        ("client.country == number.country", "client.country"),
        (r#"client.user_agent.matches(".*")"#, "client.user_agent"),
        (r#"ip_in(client.ip, "0.0.0.0/0")"#, "client.ip"),
        ("velocity.user.sends_1h >= 0", "velocity.user.sends_1h"),
        ("velocity.user.sends_1h + 1 > 0", "velocity.user.sends_1h"),
        (r#"client.headers["x"] == "1""#, "client.headers[\"x\"]"),
        (r#"in_list("vip")"#, "lists"),
        ("evidence.families.exists(f, true)", "evidence.families"),
        ("size(client.user) >= 0", "client.user"),
        ("request.price in [1, 2]", "request.price"),
    ] {
        assert_eq!(missing(source), (false, one(name)), "{source}");
    }
    assert_eq!(missing("!client.hosting"), (true, one("client.hosting")));
    assert_eq!(missing("!has(client.user)"), (true, vec![]), "asking is not missing");
    assert!(missing("client.asn == client.asn || true").0);
    assert_eq!(missing("false && client.asn == 1"), (false, vec![]), "what is not looked at is not missing");
    assert!(!missing("1 / 0 == 1 || 1 % 0 != 1").0, "what has no answer is missing");
    assert_eq!(missing("client.asn == 1 && client.vpn").1, one("client.asn"));
}

/// What is wrong, and what is said of it.
const ERRORS: &[(&str, &str)] = &[
    ("123 > number.contry", "unknown attribute `number.contry` at column 7; did you mean `number.country`?"),
    ("number == 1", "`number` is a group of attributes at column 1; name one, such as `number.country`"),
    (
        "velocity.ip == 1",
        "`velocity.ip` is a group of attributes at column 1; name one, such as `velocity.ip.requests_10m`",
    ),
    ("banana == 1", "unknown attribute `banana` at column 1; docs/attributes lists them all"),
    (
        "client.headers == \"x\"",
        "`client.headers` holds several texts at column 1; say which: `client.headers[\"name\"]`",
    ),
    ("number.country == 1", "`==` cannot compare `number.country` (a string) with `1` (an int) at column 16"),
    (
        "number.country == \"uz\"",
        "`uz` is not a country in capitals, such as `UZ` at column 19; use ISO 3166-1 alpha-2",
    ),
    ("number.type == \"moble\"", "`moble` is never a value here at column 16; did you mean `mobile`?"),
    (
        "number.country",
        "`number.country` is a string, where true or false is needed at column 1; compare it with something",
    ),
    (
        "request.price + 1.5 > 2.0",
        "`+` takes two ints or two doubles at column 15; convert the int with `double(…)`",
    ),
    (
        "client.ip == \"10.0.0.0/8\"",
        "`10.0.0.0/8` is a network, not an address at column 14; use `ip_in(client.ip, \"10.0.0.0/8\")`",
    ),
    (
        "client.network == \"10.0.0.0/8\"",
        "`10.0.0.0/8` is not an IPv4 /24 or an IPv6 /48, as client networks are at column 19; use `ip_in(client.ip, \"10.0.0.0/8\")`",
    ),
    (
        "ip_in(client.ip, \"10.0.0\")",
        "`10.0.0` is neither an address nor a network at column 18; write `198.51.100.7`, `198.51.100.0/24` or `2001:db8::/32`",
    ),
    (
        "client.ip.startsWith(\"10.\")",
        "`startsWith` takes a string, and `client.ip` is an address at column 1; use `==`, `in` or `ip_in(client.ip, \"198.51.100.0/24\")`",
    ),
    (
        "client.user.startWith(\"a\")",
        "there is no function `startWith` in rules at column 13; did you mean `startsWith`?",
    ),
    (
        "message.url_hosts.all(h, true)",
        "there is no function `all` in rules at column 19; there are has, size, in_list, ip_in, double, int, startsWith, endsWith, contains, matches, exists",
    ),
    ("has(1)", "this is no attribute at column 5; only attributes have parts, such as `number.country`"),
    ("client.user.matches(\"(\")", "the pattern cannot be read: unclosed group at column 21"),
    ("number.country in []", "the list is empty, so nothing is in it at column 19; put values into it"),
    (
        "client.user == null",
        "there is no null here at column 16; use `has(…)` to ask whether something is there",
    ),
    (
        "true &&\n  number.contry == 1",
        "unknown attribute `number.contry` at line 2, column 3; did you mean `number.country`?",
    ),
    (
        "message.url_hosts.exists(client, true)",
        "`client` already names attributes at column 26; use another name, such as `h`",
    ),
    (
        "message.url_hosts[0] == \"a\"",
        "only `client.headers` and `limit_keys` are looked into with `[\"…\"]` at column 1",
    ),
    ("{\"a\": 1} == 1", "maps, messages and macros are not available in rules at column 1"),
];

#[test]
fn errors_say_what_is_wrong_where_and_what_would_be_right() {
    for (source, said) in ERRORS {
        let error = compile(source).map(|_| ()).unwrap_err().to_string();
        assert_eq!(error, *said, "{source}");
    }
}

#[test]
fn the_cost_is_bounded() {
    let many = |part: &str, with: &str, times: usize| vec![part; times].join(with);
    let refused = |source: &str| compile(source).map(|_| ()).unwrap_err().what;
    assert!(refused(&many("client.asn > 1", " && ", 100)).contains("more than 250 parts"));
    let headers: Vec<String> = (0..65).map(|n| format!("has(client.headers[\"h{n}\"])")).collect();
    assert!(refused(&headers.join("||")).contains("more than 64 attributes"));
    assert!(refused(&many("client.user.matches(\"a\")", "||", 9)).contains("more than 8 patterns"));
    assert!(refused(r#"client.user.matches("(\\w{50}){50}")"#).contains("too large"));
    assert!(
        refused(r#"message.url_hosts.exists(a, message.url_hosts.exists(b, true))"#)
            .contains("within another")
    );
    assert!(compile(&format!("client.asn in [{}]", many("1", ",", 1000))).is_ok(), "values are cheap");
}

#[test]
fn lists_that_rules_name_are_known() {
    let program =
        compile(r#"number.known && in_list("vip") || "beta" in lists || lists.contains("x")"#).unwrap();
    let named: Vec<_> = program.lists().iter().map(|(name, error)| (&**name, error.column)).collect();
    assert_eq!(named, [("vip", 25), ("beta", 35), ("x", 69)]);
}

#[test]
fn every_example_of_the_reference_is_a_condition() {
    for (_, example, _) in check::FUNCTIONS {
        compile(example).unwrap_or_else(|e| panic!("{example}: {e}"));
    }
    for plain in Plain::ALL {
        let program = compile(plain.example()).unwrap_or_else(|e| panic!("{}: {e}", plain.example()));
        assert!(program.attributes().contains(&Attribute::Plain(*plain)), "{}", plain.name());
    }
}

/// What is written with a decision and read back is what was seen.
#[test]
fn a_record_shows_what_was_seen() {
    for (request, facts) in [full(), bare()] {
        let live = Seen::live(&request, &facts, now());
        let json = serde_json::to_string(&live.facts).unwrap();
        assert!(!json.contains("121234"), "no number stands in it: {json}");
        let read = Seen { facts: serde_json::from_str(&json).unwrap(), ..live.clone() };
        let mut all: Vec<Attribute> = Attribute::all().collect();
        all.push(Attribute::Header("accept-language".into()));
        all.push(Attribute::LimitKey("campaign".into()));
        for attribute in &all {
            let shown = |seen: &Seen<'_>| match seen.get(attribute) {
                Value::Names(names) => names.iter().collect::<Vec<_>>().join(","),
                Value::Families(families) => {
                    (0..families.len()).filter_map(|at| families.family(at)).collect()
                }
                other => format!("{other:?}"),
            };
            assert_eq!(shown(&live), shown(&read), "{}", attribute.name());
        }
        assert_eq!(serde_json::to_string(&read.facts).unwrap(), json);
    }
}

#[test]
fn a_plain_request_is_recorded_in_few_bytes() {
    let (request, facts) = bare();
    let json = serde_json::to_string(&Seen::live(&request, &facts, now()).facts).unwrap();
    assert_eq!(json, r#"{"country":"UZ","number_type":"mobile","channel":"sms","segments":1}"#);
}

/// Pieces that conditions are made of, so that many random ones come close to meaning something.
fn soup() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "number.country",
        "client.ip",
        "velocity.ip.sends_1h",
        "message.url_hosts",
        "lists",
        "evidence.risk",
        "client.headers",
        "[\"x\"]",
        "limit_keys",
        "true",
        "null",
        "1",
        "-1",
        "2.5",
        "9u",
        "\"UZ\"",
        "'a'",
        "b'a'",
        "==",
        "!=",
        "<",
        ">=",
        "&&",
        "||",
        "!",
        "-",
        "+",
        "*",
        "/",
        "%",
        "in",
        "?",
        ":",
        ".",
        ",",
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        "has(",
        "size(",
        "in_list(\"a\")",
        "ip_in(client.ip, \"10.0.0.0/8\")",
        ".exists(h, ",
        ".startsWith(\"a\")",
        ".matches(\"a+\")",
        "\"",
        "\\",
        "é",
        "\u{0}",
        "//",
        "\n",
        "`",
        "@",
        "int(",
        "double(",
    ]);
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.join(" "))
}

proptest! {
    #[test]
    fn any_text_is_refused_or_evaluated(source in prop_oneof![soup(), ".{0,200}", "[(!\\-?:\\[{a-z \"]{0,300}"]) {
        match compile(&source) {
            Ok(program) => {
                for (request, facts) in [full(), bare()] {
                    program.run(&Seen::live(&request, &facts, now()));
                }
            }
            Err(error) => {
                prop_assert!(error.line >= 1 && error.column >= 1);
                let line = source.split('\n').nth(error.line as usize - 1).unwrap_or_default();
                prop_assert!(error.column as usize <= line.chars().count() + 1, "{error} beyond {line:?}");
            }
        }
    }
}

#[test]
fn the_longest_chains_fit_on_a_small_stack() {
    for part in
        ["a.", "1+", "1<", "!a==", "[1]", ".b()", "a in ", "true||", "has(a)&&", "''", ")", "\\", "{a:b}."]
    {
        let chain: String = part.chars().cycle().take(MAX_SOURCE - 1).collect();
        for source in [
            format!("{chain}1"),
            format!("a{chain}"),
            chain.trim_end_matches(['.', '+', '<', '=']).to_owned(),
        ] {
            assert!(compile(&source).is_err(), "{part}");
        }
    }
}

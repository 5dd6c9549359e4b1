//! The targets: inputs to grow from, and what holds for every input.

use std::cell::RefCell;
use std::net::IpAddr;
use std::sync::Arc;

use seawall::app::App;
use seawall::app::secrets::{SecretKind, checksum_ok, new_secret};
use seawall::config::{Config, Overrides};
use seawall::http::admin::page;
use seawall::http::extract::parse;
use seawall::http::native::requests::{
    BatchRequest, CheckRequest, DecisionRequest, MessageRequest, OutcomeRequest, VerificationRequest,
};
use seawall::http::strict::{Repeats, query};
use seawall_connect::fuzzing;
use seawall_core::client_ip::{Confidence, ForwardHeader, TrustedProxies, resolve};
use seawall_core::consent;
use seawall_core::country::Country;
use seawall_core::id::{Id, IdKind};
use seawall_core::msisdn::Msisdn;
use seawall_core::rule::{MAX_SOURCE, compile};
use seawall_core::segments::{EncodingChoice, gsm7_decode, gsm7_encode, segment, split};
use seawall_core::time::Timestamp;
use seawall_core::trace::Line;
use seawall_store::vault::Vault;

/// A target.
pub struct Known {
    pub name: &'static str,
    pub seeds: Vec<Vec<u8>>,
    pub words: Vec<&'static [u8]>,
    pub check: super::Check,
}

fn known(
    name: &'static str,
    seeds: &[&[u8]],
    words: &[&'static [u8]],
    check: impl Fn(&[u8]) -> Result<u64, String> + 'static,
) -> Known {
    let seeds = seeds.iter().map(|seed| seed.to_vec()).collect();
    Known { name, seeds, words: words.to_vec(), check: Box::new(check) }
}

fn require(holds: bool, what: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(what()) }
}

fn utf8(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A kind for a text such as an error: what it says without the values in it.
fn kind_of(text: &str) -> u64 {
    let letters = text.bytes().filter(u8::is_ascii_alphabetic).take(24);
    letters.fold(7, |kind, byte| kind * 31 % 1_000_003 + u64::from(byte))
}

pub fn all() -> Vec<Known> {
    vec![
        client_address(),
        numbers(),
        known(
            "smpp-pdu",
            &[&pdu(4), &pdu(5)],
            &[&[0, 0, 0, 16], &[0x80, 0, 0, 4], &[4, 36, 0, 1]],
            fuzzing::smpp_pdu,
        ),
        receipts(),
        callbacks(),
        texts(),
        known(
            "templates",
            &[b"{\"to\": \"{to}\", \"text\": \"{text}\"}", b"{secret:a}{from}{id}{{text}}"],
            &[b"{to}", b"{text}", b"{from}", b"{id}", b"{secret:", b"{env:X}", b"{file:/x}", b"}", b"{"],
            fuzzing::template,
        ),
        json_bodies(),
        forms(),
        tokens(),
        super::encrypted::numbers(),
        cursors(),
        rules(),
        traces(),
        opt_outs(),
    ]
}

/// What stands left of what our proxies wrote changes nothing.
fn client_address() -> Known {
    let nets = ["10.0.0.0/8", "fd00::/8"].map(|net| net.parse().unwrap()).to_vec();
    let trust = TrustedProxies::new(nets, false).unwrap();
    let peer: IpAddr = "10.0.0.1".parse().unwrap();
    let headers = [
        ForwardHeader::XForwardedFor,
        ForwardHeader::Forwarded,
        ForwardHeader::Single("x-real-ip".to_owned()),
    ];
    let check = move |bytes: &[u8]| {
        let (first, rest) = bytes.split_first().unwrap_or((&0, &[]));
        let header = &headers[usize::from(*first) % 3];
        let values: Vec<&[u8]> = rest.split(|byte| *byte == b'\n').collect();
        let found = resolve(peer, &trust, header, values.iter().copied());
        if *header == ForwardHeader::XForwardedFor {
            let last = values.last().copied().unwrap_or_default();
            let own = [last, b", 203.0.113.9"].concat();
            let more = [&values[..values.len() - 1], &[&own[..]]].concat();
            let ours = resolve(peer, &trust, header, more.into_iter());
            let expected: IpAddr = "203.0.113.9".parse().unwrap();
            require(ours.ip.ip() == expected, || "what a client wrote outweighs our proxy".to_owned())?;
        }
        let trusted = trust.contains(found.ip);
        Ok(u64::from(*first) % 3 * 10
            + u64::from(found.confidence == Confidence::High) * 2
            + u64::from(trusted))
    };
    known(
        "client-address",
        &[
            b"\x00203.0.113.7, 10.0.0.2",
            b"\x01for=\"[2001:db8::1]:80\";proto=https, for=10.1.1.1",
            b"\x02198.51.100.4",
            b"\x00::ffff:1.2.3.4\n10.0.0.9",
        ],
        &[
            b"10.0.0.2",
            b"fd00::1",
            b"for=",
            b"unknown",
            b"_x",
            b"\"",
            b"[::1]",
            b":443",
            b"%eth0",
            b",",
            b"127.1",
        ],
        check,
    )
}

/// A number that was read reads the same when it is written.
fn numbers() -> Known {
    let check = |bytes: &[u8]| {
        let (first, rest) = bytes.split_first().unwrap_or((&0, &[]));
        let country = [None, Country::parse("SG"), Country::parse("UZ")][usize::from(*first) % 3];
        let text = utf8(rest);
        Ok(match Msisdn::parse(&text, country) {
            Ok(number) => {
                let written = number.msisdn.to_e164();
                require(written.len() <= 16, || "longer than E.164".to_owned())?;
                let again =
                    Msisdn::parse(&written, None).map_err(|e| format!("{written} is not read again: {e}"))?;
                require(again.msisdn == number.msisdn, || format!("{written} reads differently"))?;
                let masked = number.msisdn.masked();
                require(!masked.contains(&number.msisdn.digits()), || "not masked".to_owned())?;
                written.len() as u64 + 20 * u64::from(number.valid)
            }
            Err(error) => 1_000 + kind_of(&error.to_string()),
        })
    };
    known(
        "numbers",
        &[b"\x00+6591234567", b"\x0191234567", b"\x02+998 (93) 412-34-56", b"\x00tel:+44-20-7946-0018;ext=3"],
        &[
            b";phone-context=",
            b"tel:",
            b"+dwPAA;phone-context=AA",
            b"00",
            b"+",
            "٣٤".as_bytes(),
            b"ext",
            b"(",
        ],
        check,
    )
}

/// A deliver_sm with a receipt.
fn pdu(command: u8) -> Vec<u8> {
    let body = deliver(
        b"id:7 sub:001 dlvrd:001 submit date:2601051000 done date:2601051001 stat:DELIVRD err:000 text:x",
    );
    let length = u32::try_from(body.len() + 16).unwrap().to_be_bytes();
    [&length[..], &[0, 0, 0, command], &[0; 4], &[0, 0, 0, 1], &body].concat()
}

fn deliver(text: &[u8]) -> Vec<u8> {
    let fields: [&[u8]; 5] = [
        b"\0",
        b"\x01\x016591234567\0",
        b"\x05\0Seawall\0",
        b"\x04\0\0\0\0\x01\0\0\0",
        &[u8::try_from(text.len()).unwrap()],
    ];
    [&fields.concat()[..], text].concat()
}

fn receipts() -> Known {
    let classic = deliver(b"id:0A3F stat:UNDELIV err:011 done date:260105100000 text:Hello");
    let odd = deliver(b"ID: 99 Stat:EXPIRED sub:001");
    let seeds = [[&[1u8][..], &classic].concat(), [&[2u8][..], &odd].concat()];
    known(
        "receipts",
        &[&seeds[0], &seeds[1]],
        &[
            b"id:",
            b"stat:",
            b"DELIVRD",
            b"err:",
            b"done date:",
            b"text:",
            &[0, 0x1e, 0, 3, b'7', b'7', 0],
            &[4, 39, 0, 1, 2],
        ],
        fuzzing::receipt,
    )
}

fn callbacks() -> Known {
    let provider = fuzzing::provider().unwrap();
    known(
        "callbacks",
        &[
            b"\x00{\"id\": \"7\", \"status\": \"ok\"}",
            b"\x01id=7&status=bad",
            b"\x00[{\"id\": 7, \"status\": \"ok\"}]",
        ],
        &[b"\"id\"", b"\"status\"", b"null", b"%00", b"%E2%82", b"&id=", b"[", b"{}", b"1e400"],
        move |bytes| fuzzing::callback(provider.as_ref(), bytes),
    )
}

/// Parts of a text are the text, each fits, and what GSM 7 can write it can read.
fn texts() -> Known {
    let check = |bytes: &[u8]| {
        let text = utf8(bytes);
        if let Some(septets) = gsm7_encode(&text) {
            require(gsm7_decode(&septets) == text, || "GSM 7 reads what it did not write".to_owned())?;
        }
        let _ = gsm7_decode(bytes);
        let mut kind = 0;
        for choice in [EncodingChoice::Auto, EncodingChoice::Gsm7, EncodingChoice::Ucs2] {
            let Ok(sized) = segment(&text, choice) else { continue };
            let parts = split(&text, sized.encoding);
            require(parts.concat() == text, || "parts are not the text".to_owned())?;
            let many = usize::from(sized.segments);
            require(parts.len().max(1) == many.max(1), || format!("{} parts, {many} segments", parts.len()))?;
            kind = kind * 64 + many as u64 % 64;
        }
        Ok(kind)
    };
    known(
        "gsm7-ucs2",
        &[b"Your code is 482913", "Grüße aus Köln {}[]~€".as_bytes(), "你好 😀👩‍👩‍👧".as_bytes()],
        &[
            "€".as_bytes(),
            "😀".as_bytes(),
            b"[",
            b"\x1b",
            "é".as_bytes(),
            "\u{200d}".as_bytes(),
            &[b'x'; 150],
        ],
        check,
    )
}

fn json_bodies() -> Known {
    fn read<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> u64 {
        match parse::<T>(bytes) {
            Ok(_) => 1,
            Err(problem) => 2 + kind_of(&format!("{problem:?}")),
        }
    }
    let check = |bytes: &[u8]| {
        let (first, body) = bytes.split_first().unwrap_or((&0, &[]));
        let which = usize::from(*first) % 6;
        let readers: [fn(&[u8]) -> u64; 6] = [
            read::<VerificationRequest>,
            read::<MessageRequest>,
            read::<BatchRequest>,
            read::<CheckRequest>,
            read::<DecisionRequest>,
            read::<OutcomeRequest>,
        ];
        let kind = readers[which](body);
        require(kind != 1 || std::str::from_utf8(body).is_ok(), || "not UTF-8, and read".to_owned())?;
        Ok(which as u64 * 2_000_000 + kind)
    };
    known(
        "json-bodies",
        &[
            b"\x00{\"to\": \"+6591234567\", \"client\": {\"ip\": \"203.0.113.7\"}, \"ttl\": \"5m\", \"code_length\": 6}",
            b"\x01{\"to\": \"+6591234567\", \"text\": \"hi\", \"scheduled_at\": \"2026-01-05T10:00:00Z\"}",
            b"\x02{\"messages\": [{\"to\": \"+6591234567\"}], \"defaults\": {\"text\": \"x\"}}",
            b"\x03{\"code\": \"123456\"}",
            b"\x04{\"to\": \"+6591234567\", \"purpose\": \"login\", \"dry_run\": true}",
            b"\x05{\"result\": \"delivered\", \"cost\": 40000}",
        ],
        &[b"\"to\":", b"\"to\": 1,", b"null", b"\\u0000", b"\\ud800", b"[[[[[[[[", b"{\"a\":", b"1e400", b"true", b"\"metadata\": {}"],
        check,
    )
}

fn forms() -> Known {
    let check = |bytes: &[u8]| {
        let text = utf8(bytes);
        let kinds = [Repeats::Refused, Repeats::Ignored].map(|repeats| match query(&text, repeats) {
            Ok(()) => 0,
            Err(fault) => 1 + kind_of(&format!("{fault:?}")) % 1000,
        });
        require(kinds[0] != 0 || kinds[1] == 0, || "repeats refused is looser than allowed".to_owned())?;
        Ok(kinds[0] * 2000 + kinds[1])
    };
    known(
        "forms",
        &[b"to=%2B6591234567&channel=sms", b"a=1&a=2&b=%F0%9F%98%80", b"limit=200&cursor=abc"],
        &[b"%", b"%00", b"%zz", b"%C3", b"&", b"=", b"+", b"a=1&a=1", b"%2525"],
        check,
    )
}

/// Nothing but what was given out passes, and ids read as they are written.
fn tokens() -> Known {
    let vault = Vault::from_keys(&[(1, [3; 32])]).unwrap();
    let (key, admin) =
        (new_secret(SecretKind::Live, &vault).unwrap(), new_secret(SecretKind::Admin, &vault).unwrap());
    let to = Msisdn::parse("+6591234567", None).unwrap().msisdn;
    let at = Timestamp::from_millis(1_767_607_200_000);
    let token = vault.device_token(to, at).unwrap();
    let seeds = [
        key.clone(),
        admin.clone(),
        token.clone(),
        Id::new(77, 5).show(IdKind::Message),
        Id::new(9, 9).to_uuid(),
    ];
    let check = move |bytes: &[u8]| {
        let text = utf8(bytes);
        let genuine = text == key || text == admin;
        // 36 bits of checksum: none is hit by chance.
        require(genuine || !checksum_ok(&text), || "a made-up key has a right checksum".to_owned())?;
        require(text == token || !vault.trusts_device(&text, to, at), || {
            "a made-up device is trusted".to_owned()
        })?;
        let id = Id::parse(IdKind::Message, &text);
        let again = id.and_then(|id| Id::parse(IdKind::Message, &id.show(IdKind::Message)));
        require(id == again, || "an id reads differently".to_owned())?;
        let hex = Id::parse_hex(&text);
        require(hex == hex.and_then(|id| Id::parse_hex(&id.to_hex())), || {
            "an id reads differently".to_owned()
        })?;
        Ok(u64::from(genuine)
            + 2 * u64::from(id.is_some())
            + 4 * u64::from(hex.is_some())
            + 8 * (text.len() as u64 / 8))
    };
    let seeds: Vec<&[u8]> = seeds.iter().map(String::as_bytes).collect();
    known("tokens", &seeds, &[b"sw_live_", b"sw_admin_", b"msg_", b"_", b"0", b"-", b"="], check)
}

/// A gateway that was put together over a store in memory.
fn app() -> Arc<App> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let flags = Overrides {
        data_dir: Some(std::env::temp_dir().join("seawall-fuzz-has-no-files")),
        listen: Some("127.0.0.1:0".to_owned()),
    };
    let config = Config::load(None, std::iter::empty(), flags).unwrap();
    runtime.block_on(async {
        let vault = Arc::new(Vault::from_keys(&[(1, [3; 32])]).unwrap());
        let db = Arc::new(seawall_store::sqlite::SqliteStore::open_in_memory(vault.clone()).unwrap());
        let counters = Arc::new(seawall_store::memory::MemoryCounters::default());
        let store = seawall_store::Store { directory: db.clone(), ledger: db, counters, vault };
        let clock = Arc::new(seawall::clock::Clock::start(Timestamp::from_millis(0)));
        let intel = seawall::app::intel::Intel::open(&config.intel).unwrap();
        seawall::serve::assemble(config, store, clock, intel, 0).await.unwrap().0
    })
}

/// Nothing but a cursor that a list gave is one, and of no other list.
fn cursors() -> Known {
    let app = app();
    let given = page::cursor(&app, "messages", "12345");
    let seed = given.clone();
    let check = move |bytes: &[u8]| {
        let text = utf8(bytes);
        let found = page::place(&app, "messages", Some(&text)).is_ok();
        // Other spellings of the same bytes do no harm.
        let same = text.trim_end_matches('=') == given;
        require(!found || same, || format!("{text} is taken for a cursor"))?;
        let elsewhere = page::place(&app, "decisions", Some(&text)).is_ok();
        require(!elsewhere, || "a cursor of another list is taken".to_owned())?;
        Ok(u64::from(found))
    };
    known("cursors", &[seed.as_bytes(), b"MTIzNDU"], &[b"A", b"==", b"-", b"_", b"MTIz"], check)
}

/// A rule is compiled in bounded work or refused with a place in its source.
fn rules() -> Known {
    let check = |bytes: &[u8]| {
        let text = utf8(bytes);
        Ok(match compile(&text) {
            Ok(program) => {
                require(text.len() <= MAX_SOURCE, || "longer than a rule may be".to_owned())?;
                1 + program.attributes().len() as u64
            }
            Err(error) => {
                let lines = u32::try_from(text.lines().count() + 1).unwrap_or(u32::MAX);
                require(error.line <= lines, || format!("an error in line {} of {lines}", error.line))?;
                100 + kind_of(&error.what)
            }
        })
    };
    known(
        "rules",
        &[
            b"country == \"UZ\" && velocity.number.sent.h1 > 3",
            b"ip.asn in [14061, 16509] || number.type == \"voip\"",
            b"!known_number && risk > 0.5 && (operator == \"52501\")",
        ],
        &[
            b"&&",
            b"||",
            b"in [",
            b"(",
            b")",
            b"==",
            b"\"",
            b"true",
            b"matches",
            b".all(x, x",
            b"size(",
            b"1u",
            b"0x",
            b"?",
            b"!",
        ],
        check,
    )
}

/// A line of a trace that is read is written so that it reads the same.
fn traces() -> Known {
    let check = |bytes: &[u8]| {
        let text = utf8(bytes);
        let Ok(line) = serde_json::from_str::<Line<'_>>(&text) else { return Ok(0) };
        let written = serde_json::to_string(&line).map_err(|e| e.to_string())?;
        let again: Line<'_> = serde_json::from_str(&written).map_err(|e| format!("{e}: {written}"))?;
        let twice = serde_json::to_string(&again).map_err(|e| e.to_string())?;
        require(written == twice, || format!("{written}\n{twice}"))?;
        Ok(1 + written.len() as u64 / 16)
    };
    known(
        "traces",
        &[
            br#"{"t":"2026-01-05T10:00:00.123Z","id":"r1","op":"verify.start","to":"+998931234567","subaccount":"acme_hq","client":{"ip":"84.54.71.9","user_agent":"x","fingerprint":"fp12","device_token":null,"asn":null,"country":null,"hosting":null},"known_number":false,"price_micros":141100,"if_sent":{"confirm_after_ms":24000,"wrong_checks":0,"delivered":true},"if_challenged":{"passes":true},"truth":{"attack":true,"campaign":"seq_block"}}"#,
            br#"{"t":"2026-01-05T10:00:01Z","id":"r2","op":"verify.check","of":"r1","correct":false}"#,
            br#"{"t":"2026-01-05T10:00:02Z","id":"r3","op":"sms.send","to":"+998931234567","subaccount":"a","text":"hi"}"#,
        ],
        &[b"null", b"\"op\":\"sms.send\"", b"\\u00e9", b"-1", b"1.5", b"\"client\":{}", b"\"t\":\"9999-12-31T23:59:59Z\""],
        check,
    )
}

/// The same text is understood the same, whatever surrounds it in space.
fn opt_outs() -> Known {
    let memory = RefCell::new(0u64);
    let check = move |bytes: &[u8]| {
        let text = utf8(bytes);
        let (one, two) = (consent::read(&text), consent::read(&format!("  {text} \n")));
        require(one.asks_to_stop() == two.asks_to_stop(), || "space changes what is meant".to_owned())?;
        *memory.borrow_mut() += 1;
        Ok(kind_of(&format!("{one:?}")))
    };
    known(
        "opt-outs",
        &[
            b"STOP",
            b"please don't text me any more",
            "停止".as_bytes(),
            b"Arr\xc3\xaatez de m'envoyer des messages",
            b"YES",
        ],
        &[
            b"stop",
            b"unsubscribe",
            b"not",
            b"never",
            "退订".as_bytes(),
            "\u{200b}".as_bytes(),
            b"!!!",
            b"START",
            b"HELP",
        ],
        check,
    )
}

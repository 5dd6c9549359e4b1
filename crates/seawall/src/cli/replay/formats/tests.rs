//! Small logs made by hand; the numbers are made up and valid for their plans.

use super::*;
use seawall_core::trace::Op;

const EIGHT: &str = "umid,subaccountid,direction,country,operator,mcc,mnc,status_value,status_details,status_errorcode,status_errormessage,status_timestamp,msisdn,source,encoding,createdat,smscount,price_currency,price_persms,price_total,clientmessageid,clientbatchid,batchid,body\n\
u2,acme_hq,1,SG,Singtel,525,01,delivered,delivered_to_recipient,,,2026-01-05T10:00:09Z,6591234567,Acme,GSM7,2026-01-05T10:00:05.500Z,1,USD,0.0350,0.0350,,,,\"Your code is ****, keep it\"\n\
u1,acme_hq,1,UZ,Beeline,434,04,undelivered,rejected_by_operator,15,Invalid,2026-01-05T10:00:03Z,+998901234567,Acme,GSM7,2026-01-05T10:00:00Z,1,EUR,0.14,0.14,,,,hi\n\
u3,acme_hq,0,SG,Singtel,525,01,ok,,,,2026-01-05T10:00:09Z,6591234568,Acme,GSM7,2026-01-05T10:01:00Z,1,USD,0,0,,,,STOP\n\
u4,acme_hq,1,PH,Globe,515,02,sent,,,,2026-01-05T10:00:09Z,+63922110xxxx,Acme,GSM7,2026-01-05T10:01:00Z,1,USD,0.1,0.1,,,,hi\n";

const MESSAGES: &str = "From,To,Body,Status,SentDate,ApiVersion,NumSegments,ErrorCode,AccountSid,Sid,Direction,Price,PriceUnit\n\
+12025550100,+447400123456,Your code,delivered,2026-01-05 10:00:00 UTC,2010-04-01,1,,AC1,SM1,outbound-api,-0.04000,USD\n\
+447400123456,+12025550100,STOP,received,2026-01-05 10:01:00 UTC,2010-04-01,1,,AC1,SM2,inbound,-0.00750,USD\n\
whatsapp:+12025550100,whatsapp:+447400123457,hi,delivered,2026-01-05 10:02:00 UTC,2010-04-01,1,,AC1,SM3,outbound-api,,\n";

const ATTEMPTS: &str = r#"{"attempts":[
{"sid":"VL2","service_sid":"VA1","verification_sid":"VE2","date_created":"2026-01-05T10:05:00Z","date_updated":"2026-01-05T10:05:00Z","conversion_status":"converted","channel":"sms","price":{"value":"0.05","currency":"usd"},"channel_data":{"to":"+6591234567","status":"approved","message_status":"delivered","country":"SG"}},
{"sid":"VL1","service_sid":"VA1","verification_sid":"VE1","date_created":"2026-01-05T10:00:00Z","date_updated":"2026-01-05T10:00:24Z","conversion_status":"converted","channel":"sms","price":{"value":"0.05","currency":"usd"},"channel_data":{"to":"+6591234567"}},
{"sid":"VL3","service_sid":"VA1","verification_sid":"VE3","date_created":"2026-01-05T10:06:00Z","date_updated":"2026-01-05T10:16:00Z","conversion_status":"unconverted","channel":"sms","price":null,"channel_data":{"to":"+998901234567"}},
{"sid":"VL4","service_sid":"VA1","verification_sid":"VE4","date_created":"2026-01-05T10:06:00Z","conversion_status":"unconverted","channel":"call","channel_data":{"to":"+998901234567"}}
],"meta":{"page":0}}"#;

fn of(text: &str) -> Imported {
    import(text, told(text.as_bytes())).unwrap_or_else(|wrong| panic!("{wrong}"))
}

fn ids(imported: &Imported) -> Vec<&str> {
    imported.lines.iter().map(|line| &*line.id).collect()
}

#[test]
fn formats_are_told_by_their_content() {
    let trace = r#"{"t":"2026-01-05T10:00:00Z","id":"r1","op":"verify.check","of":"r0","correct":true}"#;
    for (text, format) in [
        (EIGHT, Format::EightCsv),
        (MESSAGES, Format::TwilioMessagesCsv),
        (ATTEMPTS, Format::TwilioVerifyJson),
        (r#"[{"umid":"a"}]"#, Format::EightJson),
        (r#"{"messages":[{"sid":"SM1","num_segments":"1"}]}"#, Format::TwilioMessagesJson),
        (trace, Format::Trace),
        ("hello", Format::Trace),
        ("", Format::Trace),
    ] {
        assert_eq!(told(text.as_bytes()), format, "{text}");
    }
}

#[test]
fn an_export_of_8x8_keeps_what_it_knows_and_no_more() {
    let imported = of(EIGHT);
    assert_eq!(ids(&imported), ["u1", "u2"], "ordered by time; inbound and masked ones are passed over");
    let Op::SmsSend(second) = &imported.lines[1].op else { panic!() };
    assert_eq!((&*second.to as &str, second.price_micros), ("+6591234567", Some(35_000)));
    let after = second.if_sent.unwrap();
    assert_eq!((after.delivered, after.confirm_after_ms), (Some(true), None));
    let Op::SmsSend(first) = &imported.lines[0].op else { panic!() };
    assert_eq!((first.price_micros, first.if_sent.unwrap().delivered), (None, Some(false)));
    assert!(imported.lines.iter().all(|line| line.client.ip.is_none() && line.truth.is_none()));
    let notes = imported.notes.join("\n");
    for part in [
        "client addresses",
        "which codes were confirmed",
        "1 inbound, 1 numbers with hidden",
        "1 messages have a price in another",
    ] {
        assert!(notes.contains(part), "{part}: {notes}");
    }
}

#[test]
fn message_details_of_8x8_are_the_same_in_json() {
    let text = r#"{"umid":"u1","subAccountId":"acme_hq","direction":"outbound","country":"SG","status":{"state":"delivered","timestamp":"2026-01-05T10:00:09Z"},"msisdn":"+6591234567","source":"Acme","body":"hi","createdAt":"2026-01-05T10:00:05Z","smsCount":1,"price":{"total":0.035,"perSms":0.035,"currency":"USD"}}"#;
    let imported = of(text);
    let Op::SmsSend(sms) = &imported.lines[0].op else { panic!() };
    assert_eq!((sms.price_micros, sms.if_sent.unwrap().delivered), (Some(35_000), Some(true)));
}

#[test]
fn a_message_log_of_twilio_is_read() {
    let imported = of(MESSAGES);
    assert_eq!(ids(&imported), ["SM1"]);
    let Op::SmsSend(sms) = &imported.lines[0].op else { panic!() };
    assert_eq!(sms.price_micros, Some(40_000));
    let api = r#"{"messages":[{"sid":"SM1","to":"+447400123456","from":"+12025550100","body":"x","status":"delivered","direction":"outbound-api","date_created":"Mon, 05 Jan 2026 10:00:00 +0000","num_segments":"1","price":"-0.04000","price_unit":"USD","account_sid":"AC1"}]}"#;
    let listed = of(api);
    assert_eq!((listed.lines[0].t, &listed.lines[0].id), (imported.lines[0].t, &imported.lines[0].id));
}

#[test]
fn attempts_of_verify_say_what_was_confirmed() {
    let imported = of(ATTEMPTS);
    assert_eq!(ids(&imported), ["VL1", "VL2", "VL3"]);
    let after = |at: usize| {
        let Op::VerifyStart(start) = &imported.lines[at].op else { panic!() };
        start.if_sent.confirm_after_ms
    };
    assert_eq!((after(0), after(1), after(2)), (Some(24_000), Some(ASSUMED), None));
    let notes = imported.notes.join("\n");
    assert!(notes.contains("1 confirmations have no time") && notes.contains("1 other channels"), "{notes}");
    assert!(!notes.contains("which codes were confirmed"), "{notes}");
}

#[test]
fn what_is_wrong_is_named_with_line_and_column() {
    let wrong = |text: &str, format| match import(text, format) {
        Err(wrong) => wrong.to_string(),
        Ok(_) => panic!("it was read"),
    };
    let text = EIGHT.replace("2026-01-05T10:00:05.500Z", "yesterday");
    let expected = "line 2, column 16 (`createdat`): `yesterday` is no time such as 2026-01-05T10:00:00Z";
    assert_eq!(wrong(&text, Format::EightCsv), expected);
    let text = MESSAGES.replace("-0.04000", "4 cents");
    assert_eq!(
        wrong(&text, Format::TwilioMessagesCsv),
        "line 2, column 12 (`price`): `4 cents` is no amount such as 0.0075"
    );
    let text = ATTEMPTS.replacen("\"converted\"", "\"maybe\"", 1);
    assert_eq!(
        wrong(&text, Format::TwilioVerifyJson),
        "record 1 (`conversionstatus`): `maybe` is neither converted nor unconverted"
    );
    let text = EIGHT.replace("umid", "id");
    assert_eq!(wrong(&text, Format::EightCsv), "line 1: has no column `umid`; is it another format?");
    let text = EIGHT.replace("u2,acme", ",acme");
    assert_eq!(wrong(&text, Format::EightCsv), "line 2: `umid` is missing or empty");
    let masked = EIGHT.replace("6591234567", "659123xxxx").replace("+998901234567", "99890123xxxx");
    assert!(wrong(&masked, Format::EightCsv).contains("ask the provider for an export with full numbers"));
}

use twilio::ASSUMED;

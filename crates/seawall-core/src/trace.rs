//! A trace: recorded or simulated requests, one JSON object a line, ordered by time. What `simulate` writes and
//! `replay` reads.
//!
//! Reading borrows from the line where JSON allows it. Required are `t`, `id` and `op`; `to` and `if_sent` of a
//! `verify.start`, `to` and `text` of an `sms.send`, `of` and `correct` of a `verify.check`. Fields that nobody
//! knows are passed over, so that a trace may carry more than we read.

mod text;
mod wire;

pub use text::{Text, To};

use serde::{Deserialize, Serialize};

use crate::country::Country;
use crate::time::Timestamp;

/// One request of a trace.
#[derive(Clone, Debug, PartialEq)]
pub struct Line<'a> {
    /// When it arrived.
    pub t: Timestamp,
    /// Its name, unique in the trace.
    pub id: Text<'a>,
    /// Whose request it is; without it, the only subaccount's.
    pub subaccount: Option<Text<'a>>,
    /// The end user's client. Empty for an `sms.send` that an app's own server made of its own accord.
    pub client: Client<'a>,
    /// Who called the gateway, where the trace knows: the app's server.
    pub caller: Option<Caller<'a>>,
    /// What is asked for.
    pub op: Op<'a>,
    /// What only the summary may know.
    pub truth: Option<Truth<'a>>,
}

/// What is asked for.
#[derive(Clone, Debug, PartialEq)]
pub enum Op<'a> {
    /// A code for a number.
    VerifyStart(Start<'a>),
    /// A code presented.
    VerifyCheck(Check<'a>),
    /// A message.
    SmsSend(Sms<'a>),
}

/// `verify.start`
#[derive(Clone, Debug, PartialEq)]
pub struct Start<'a> {
    /// The number, as the request spelled it.
    pub to: To<'a>,
    /// The number had been verified before the trace began.
    pub known_number: bool,
    /// What the message would cost, millionths of a US dollar.
    pub price_micros: Option<u64>,
    /// What follows if the message is sent.
    pub if_sent: IfSent,
    /// What follows if a challenge is set.
    pub if_challenged: Option<IfChallenged>,
}

/// `verify.check`
#[derive(Clone, Debug, PartialEq)]
pub struct Check<'a> {
    /// The `id` of the `verify.start` that it answers.
    pub of: Text<'a>,
    /// Whether the code is right.
    pub correct: bool,
}

/// `sms.send`
#[derive(Clone, Debug, PartialEq)]
pub struct Sms<'a> {
    /// The number, as the request spelled it.
    pub to: To<'a>,
    /// The text.
    pub text: Text<'a>,
    /// The number had been verified, or written to, before the trace began.
    pub known_number: bool,
    /// What the message would cost, millionths of a US dollar.
    pub price_micros: Option<u64>,
    /// What follows if the message is sent.
    pub if_sent: Option<IfSent>,
    /// What follows if a challenge is set.
    pub if_challenged: Option<IfChallenged>,
}

/// What the end user's client showed of itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Client<'a> {
    /// Its address.
    #[serde(borrow)]
    pub ip: Option<Text<'a>>,
    /// What it calls itself.
    #[serde(borrow)]
    pub user_agent: Option<Text<'a>>,
    /// What else is known of the device, condensed.
    #[serde(borrow)]
    pub fingerprint: Option<Text<'a>>,
    /// The token that it holds of an earlier verification.
    #[serde(borrow)]
    pub device_token: Option<Text<'a>>,
    /// The autonomous system of the address; stands in for the IP data.
    pub asn: Option<u32>,
    /// The country of the address; stands in for the IP data.
    pub country: Option<Country>,
    /// Whether the address belongs to a hosting or VPN network; stands in for the IP data.
    pub hosting: Option<bool>,
    /// The left-most address of a forwarding header, which the client may have forged. Nothing should trust it.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub forwarded_for: Option<Text<'a>>,
}

/// The app's server that called the gateway.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Caller<'a> {
    /// Its address.
    #[serde(borrow)]
    pub ip: Option<Text<'a>>,
    /// Its autonomous system.
    pub asn: Option<u32>,
    /// Its country.
    pub country: Option<Country>,
}

/// What follows if the message is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IfSent {
    /// Milliseconds from the request to the right code; `None`: never.
    pub confirm_after_ms: Option<u64>,
    /// Wrong codes before that.
    #[serde(default)]
    pub wrong_checks: u32,
    /// What the receipt says; `None`: no receipt.
    #[serde(default)]
    pub delivered: Option<bool>,
}

/// What follows if a challenge is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IfChallenged {
    /// It is solved, and the request goes on.
    pub passes: bool,
}

/// What a deciding reader must not look at.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Truth<'a> {
    /// The request belongs to an attack.
    pub attack: bool,
    /// Which attack.
    #[serde(borrow, default)]
    pub campaign: Option<Text<'a>>,
    /// Which legitimate event (a launch, a campus) the request belongs to.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub event: Option<Text<'a>>,
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;

    const START: &str = r#"{"t":"2026-01-05T10:00:00.123Z","id":"r1","op":"verify.start","to":"+998931234567","subaccount":"acme_hq","client":{"ip":"84.54.71.9","user_agent":"a \"b\"","fingerprint":"fp12","device_token":null,"asn":null,"country":"UZ","hosting":null},"known_number":false,"price_micros":141100,"if_sent":{"confirm_after_ms":24000,"wrong_checks":0,"delivered":true},"if_challenged":{"passes":true},"truth":{"attack":true,"campaign":"seq_block"}}"#;

    #[test]
    fn a_line_is_written_as_it_was_read() {
        let line: Line = serde_json::from_str(START).unwrap();
        assert_eq!(serde_json::to_string(&line).unwrap(), START);
        for text in [
            r#"{"t":"2026-01-05T10:00:00.000Z","id":"r2","op":"verify.check","of":"r1","correct":false}"#,
            r#"{"t":"2026-01-05T10:00:00.000Z","id":"r3","op":"sms.send","to":"+6591234567","text":"hi","known_number":true}"#,
        ] {
            let line: Line = serde_json::from_str(text).unwrap();
            assert_eq!(serde_json::to_string(&line).unwrap(), text);
        }
    }

    #[test]
    fn text_is_borrowed_unless_it_is_escaped() {
        let line: Line = serde_json::from_str(START).unwrap();
        let client = &line.client;
        assert!(matches!(client.ip.as_ref().unwrap().0, Cow::Borrowed("84.54.71.9")));
        assert!(matches!(client.user_agent.as_ref().unwrap().0, Cow::Owned(_)));
    }

    #[test]
    fn truth_may_be_absent_and_unknown_fields_are_passed_over() {
        let text = START.replace(r#","truth":{"attack":true,"campaign":"seq_block"}"#, r#","more":[1]"#);
        let line: Line = serde_json::from_str(&text).unwrap();
        assert_eq!(line.truth, None);
    }

    #[test]
    fn what_is_missing_or_wrong_is_named() {
        for (from, to, error) in [
            (r#""to":"+998931234567","#, "", "missing field `to`"),
            (r#""id":"r1","#, "", "missing field `id`"),
            ("if_sent", "if_set", "missing field `if_sent`"),
            ("2026-01-05T10:00:00.123Z", "yesterday", "`yesterday` is not an RFC 3339 time"),
            ("verify.start", "verify.stop", "unknown variant `verify.stop`"),
            ("verify.start", "verify.check", "missing field `of`"),
            ("141100", "-1", "invalid value"),
        ] {
            let text = START.replace(from, to);
            let failed = serde_json::from_str::<Line>(&text).unwrap_err().to_string();
            assert!(failed.contains(error), "{failed}");
        }
    }

    #[test]
    fn a_number_is_not_shown_in_full() {
        let line: Line = serde_json::from_str(START).unwrap();
        let shown = format!("{line:?}");
        assert!(shown.contains("+99893123xxxx") && !shown.contains("998931234567"), "{shown}");
    }
}

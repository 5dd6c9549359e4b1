//! A line as it is written: one flat object, because a tagged one would have to be held in between.

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Caller, Check, Client, IfChallenged, IfSent, Line, Op, Sms, Start, Text, To, Truth};
use crate::time::Timestamp;

/// The name of an operation.
#[derive(Clone, Copy, Serialize, Deserialize)]
enum OpName {
    #[serde(rename = "verify.start")]
    VerifyStart,
    #[serde(rename = "verify.check")]
    VerifyCheck,
    #[serde(rename = "sms.send")]
    SmsSend,
}

/// A line as it is written.
#[derive(Serialize, Deserialize)]
struct Wire<'a> {
    #[serde(deserialize_with = "time")]
    t: Timestamp,
    #[serde(borrow)]
    id: Text<'a>,
    op: OpName,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    to: Option<Text<'a>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    of: Option<Text<'a>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    correct: Option<bool>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    text: Option<Text<'a>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    subaccount: Option<Text<'a>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    client: Option<Client<'a>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    caller: Option<Caller<'a>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    known_number: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    price_micros: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    if_sent: Option<IfSent>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    if_challenged: Option<IfChallenged>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    truth: Option<Truth<'a>>,
}

impl<'de: 'a, 'a> Deserialize<'de> for Line<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut wire = Wire::deserialize(deserializer)?;
        let op = wire.operation().map_err(Error::missing_field)?;
        Ok(Line {
            t: wire.t,
            id: wire.id,
            subaccount: wire.subaccount,
            client: wire.client.unwrap_or_default(),
            caller: wire.caller,
            op,
            truth: wire.truth,
        })
    }
}

impl<'a> Wire<'a> {
    /// The operation and what it needs, or the field that is missing.
    fn operation(&mut self) -> Result<Op<'a>, &'static str> {
        match self.op {
            OpName::VerifyStart => self.start().map(Op::VerifyStart),
            OpName::VerifyCheck => self.check().map(Op::VerifyCheck),
            OpName::SmsSend => self.send().map(Op::SmsSend),
        }
    }

    fn start(&mut self) -> Result<Start<'a>, &'static str> {
        Ok(Start {
            to: To(self.to.take().ok_or("to")?),
            known_number: self.known_number.unwrap_or(false),
            price_micros: self.price_micros,
            if_sent: self.if_sent.ok_or("if_sent")?,
            if_challenged: self.if_challenged,
        })
    }

    fn check(&mut self) -> Result<Check<'a>, &'static str> {
        Ok(Check { of: self.of.take().ok_or("of")?, correct: self.correct.ok_or("correct")? })
    }

    fn send(&mut self) -> Result<Sms<'a>, &'static str> {
        Ok(Sms {
            to: To(self.to.take().ok_or("to")?),
            text: self.text.take().ok_or("text")?,
            known_number: self.known_number.unwrap_or(false),
            price_micros: self.price_micros,
            if_sent: self.if_sent,
        })
    }
}

impl Serialize for Line<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let line = self.clone();
        let wire = Wire {
            t: line.t,
            id: line.id,
            op: OpName::VerifyStart,
            to: None,
            of: None,
            correct: None,
            text: None,
            subaccount: line.subaccount,
            client: (line.client != Client::default()).then_some(line.client),
            caller: line.caller,
            known_number: None,
            price_micros: None,
            if_sent: None,
            if_challenged: None,
            truth: line.truth,
        };
        wire.with(line.op).serialize(serializer)
    }
}

impl<'a> Wire<'a> {
    fn with(self, op: Op<'a>) -> Self {
        match op {
            Op::VerifyStart(start) => Wire {
                op: OpName::VerifyStart,
                to: Some(start.to.0),
                known_number: Some(start.known_number),
                price_micros: start.price_micros,
                if_sent: Some(start.if_sent),
                if_challenged: start.if_challenged,
                ..self
            },
            Op::VerifyCheck(check) => {
                Wire { op: OpName::VerifyCheck, of: Some(check.of), correct: Some(check.correct), ..self }
            }
            Op::SmsSend(send) => Wire {
                op: OpName::SmsSend,
                to: Some(send.to.0),
                text: Some(send.text),
                known_number: Some(send.known_number),
                price_micros: send.price_micros,
                if_sent: send.if_sent,
                ..self
            },
        }
    }
}

fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
    let text = Text::deserialize(deserializer)?;
    Timestamp::parse(&text).ok_or_else(|| {
        D::Error::custom(format!("`{}` is not an RFC 3339 time such as 2026-01-05T10:00:00.123Z", text.0))
    })
}

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

/// What is read, all of it optional that some operation does not have.
#[derive(Deserialize)]
struct Wire<'a> {
    #[serde(deserialize_with = "time")]
    t: Timestamp,
    #[serde(borrow)]
    id: Text<'a>,
    op: OpName,
    #[serde(borrow, default)]
    to: Option<Text<'a>>,
    #[serde(borrow, default)]
    of: Option<Text<'a>>,
    #[serde(default)]
    correct: Option<bool>,
    #[serde(borrow, default)]
    text: Option<Text<'a>>,
    #[serde(borrow, default)]
    subaccount: Option<Text<'a>>,
    #[serde(borrow, default)]
    client: Option<Client<'a>>,
    #[serde(borrow, default)]
    caller: Option<Caller<'a>>,
    #[serde(default)]
    known_number: Option<bool>,
    #[serde(default)]
    price_micros: Option<u64>,
    #[serde(default)]
    if_sent: Option<IfSent>,
    #[serde(default)]
    if_challenged: Option<IfChallenged>,
    #[serde(borrow, default)]
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
            if_challenged: self.if_challenged,
        })
    }
}

/// What is written, by reference.
#[derive(Serialize)]
struct Out<'a> {
    t: Timestamp,
    id: &'a Text<'a>,
    op: OpName,
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<&'a Text<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    of: Option<&'a Text<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    correct: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a Text<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subaccount: Option<&'a Text<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client: Option<&'a Client<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    caller: Option<&'a Caller<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    known_number: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    price_micros: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    if_sent: Option<IfSent>,
    #[serde(skip_serializing_if = "Option::is_none")]
    if_challenged: Option<IfChallenged>,
    #[serde(skip_serializing_if = "Option::is_none")]
    truth: Option<&'a Truth<'a>>,
}

impl Serialize for Line<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let out = Out {
            t: self.t,
            id: &self.id,
            op: OpName::VerifyStart,
            to: None,
            of: None,
            correct: None,
            text: None,
            subaccount: self.subaccount.as_ref(),
            client: (self.client != Client::default()).then_some(&self.client),
            caller: self.caller.as_ref(),
            known_number: None,
            price_micros: None,
            if_sent: None,
            if_challenged: None,
            truth: self.truth.as_ref(),
        };
        out.with(&self.op).serialize(serializer)
    }
}

impl<'a> Out<'a> {
    fn with(self, op: &'a Op<'a>) -> Self {
        match op {
            Op::VerifyStart(start) => Out {
                to: Some(&start.to.0),
                known_number: Some(start.known_number),
                price_micros: start.price_micros,
                if_sent: Some(start.if_sent),
                if_challenged: start.if_challenged,
                ..self
            },
            Op::VerifyCheck(check) => {
                Out { op: OpName::VerifyCheck, of: Some(&check.of), correct: Some(check.correct), ..self }
            }
            Op::SmsSend(sms) => Out {
                op: OpName::SmsSend,
                to: Some(&sms.to.0),
                text: Some(&sms.text),
                known_number: Some(sms.known_number),
                price_micros: sms.price_micros,
                if_sent: sms.if_sent,
                if_challenged: sms.if_challenged,
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

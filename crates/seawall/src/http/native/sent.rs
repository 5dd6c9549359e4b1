//! The answers to requests that send messages.

use seawall_core::id::{Id, IdKind};
use seawall_core::reason::Reason;
use seawall_core::segments::{EncodingChoice, Segmentation, gsm7_encode, segment};
use seawall_core::time::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::message_view::{PriceView, encoding};
use super::views::ReasonView;
use super::{answers, read};
use crate::app::send_messages::{SendMessage, Sent, price};
use crate::app::{App, Refusal};
use crate::http::problem::Problem;

/// A message that was accepted: it is on disk.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct MessageAccepted {
    /// `msg_…`
    pub id: String,
    /// The same id as a UUID, as the 8x8-compatible API spells it.
    pub umid: String,
    /// `queued` or `scheduled`.
    #[schema(value_type = String, example = "queued")]
    pub state: &'static str,
    /// The recipient, E.164.
    pub to: String,
    /// How many messages it is on the air.
    pub segments: u8,
    /// `gsm7` or `ucs2`.
    #[schema(value_type = String, example = "gsm7")]
    pub encoding: &'static str,
    /// What it costs, when a price is known.
    #[schema(inline = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price: Option<PriceView>,
    /// The decision that allowed it.
    pub decision_id: String,
    /// The caller's own id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_message_id: Option<String>,
    /// Something that costs money and need not be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warning: Option<String>,
}

/// A message of a batch that was not accepted.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct MessageRejected {
    /// Why.
    pub error: MessageError,
}

/// Why a message of a batch was not accepted.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct MessageError {
    /// A reason's code, or `invalid-request`.
    pub code: String,
    /// What was wrong and what to do.
    pub detail: String,
    /// Which field was wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// The decision that refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decision_id: Option<String>,
    /// Why it refused.
    #[schema(value_type = Vec<ReasonView>)]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<Reason>,
    /// Seconds until it would fit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u64>,
}

/// One message of a batch, in the order of the request.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub enum BatchEntry {
    /// Accepted.
    Accepted(MessageAccepted),
    /// Not.
    Rejected(MessageRejected),
}

/// What became of a batch.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct BatchAnswer {
    /// `bat_…`
    pub batch_id: String,
    /// How many were accepted.
    pub accepted: usize,
    /// How many were not.
    pub rejected: usize,
    /// Each of them.
    pub messages: Vec<BatchEntry>,
}

/// What an answer says beside the decision; known before it.
#[derive(Clone, Debug)]
pub struct Prepared {
    sized: Segmentation,
    price: Option<PriceView>,
    due: Option<Timestamp>,
    client_message_id: Option<String>,
    warning: Option<String>,
}

impl Prepared {
    /// Takes from a message what its answer will say.
    pub fn new(app: &App, ask: &SendMessage) -> Self {
        Prepared {
            sized: ask.sized,
            price: price(app, ask.to.country, ask.sized.segments).as_ref().map(PriceView::from),
            due: ask.due,
            client_message_id: ask.details.client_message_id.clone(),
            warning: warning(&ask.text, ask.sized),
        }
    }

    /// The answer, once it is accepted.
    pub fn accepted(&self, sent: &Sent) -> MessageAccepted {
        let Sent { screened } = sent;
        let later = self.due.is_some_and(|due| due > screened.at);
        MessageAccepted {
            id: screened.id.show(IdKind::Message),
            umid: screened.id.to_uuid(),
            state: if later { "scheduled" } else { "queued" },
            to: screened.request.to.shown(screened.request.veiled),
            segments: self.sized.segments,
            encoding: encoding(self.sized.encoding),
            price: self.price.clone(),
            decision_id: screened.id.show(IdKind::Decision),
            client_message_id: self.client_message_id.clone(),
            warning: self.warning.clone(),
        }
    }

    /// The entry of a batch, accepted or not.
    pub fn entry(&self, sent: &Sent) -> BatchEntry {
        if sent.screened.allowed() {
            return BatchEntry::Accepted(self.accepted(sent));
        }
        let problem = answers::decided(&sent.screened);
        let error = MessageError {
            decision_id: Some(sent.screened.id.show(IdKind::Decision)),
            reasons: sent.screened.told_reasons(),
            retry_after: sent
                .screened
                .decision
                .retry_at
                .map(|at| answers::seconds(answers::wait(at, sent.screened.at))),
            ..said(&problem)
        };
        BatchEntry::Rejected(MessageRejected { error })
    }
}

fn said(problem: &Problem) -> MessageError {
    MessageError {
        code: problem.code().to_owned(),
        detail: problem.detail().to_owned(),
        field: None,
        decision_id: None,
        reasons: Vec::new(),
        retry_after: None,
    }
}

/// The entry of a message that could not be understood.
pub fn misunderstood(refusal: Refusal) -> BatchEntry {
    let field = match &refusal {
        Refusal::Invalid { field, .. } => Some((*field).to_owned()),
        _ => None,
    };
    let error = MessageError { field, ..said(&answers::refused(refusal)) };
    BatchEntry::Rejected(MessageRejected { error })
}

impl BatchAnswer {
    /// Counts the entries.
    pub fn new(batch: Id, messages: Vec<BatchEntry>) -> Self {
        let accepted = messages.iter().filter(|entry| matches!(entry, BatchEntry::Accepted(_))).count();
        let rejected = messages.len().saturating_sub(accepted);
        BatchAnswer { batch_id: batch.show(IdKind::Batch), accepted, rejected, messages }
    }
}

/// A single kind of stray character, such as a typographic apostrophe, more than doubles what a text costs.
fn warning(text: &str, sized: Segmentation) -> Option<String> {
    let stray = sized.offender?;
    let other = |c: char| c != stray && gsm7_encode(c.encode_utf8(&mut [0; 4])).is_none();
    if text.chars().any(other) {
        return None;
    }
    let plain = text.replace(stray, "'");
    let without = segment(&plain, EncodingChoice::Auto).ok()?.segments;
    let code = u32::from(stray);
    let cost = format!("UCS-2 in {} segment(s); without it: {without}", sized.segments);
    Some(format!("The character {stray:?} (U+{code:04X}) is not in GSM-7, so that the text goes as {cost}."))
}

/// The text, measured.
pub fn sized(text: &str, choice: EncodingChoice) -> Result<Segmentation, Refusal> {
    segment(text, choice).map_err(|error| read::invalid("text", error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn warned(text: &str) -> Option<String> {
        warning(text, segment(text, EncodingChoice::Auto).unwrap())
    }

    #[test]
    fn one_stray_character_is_named_with_its_cost() {
        let text = format!("It\u{2019}s here. {}", "x".repeat(100));
        let said = "The character '\u{2019}' (U+2019) is not in GSM-7, so that the text goes as UCS-2 in \
                    2 segment(s); without it: 1.";
        assert_eq!(warned(&text).as_deref(), Some(said));
        assert_eq!(warned("It's here."), None);
        assert_eq!(warned("Ваш код"), None, "a text in another script is no mistake");
    }
}

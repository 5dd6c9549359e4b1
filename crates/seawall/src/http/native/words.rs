//! The closed lists of words that requests choose from.

use seawall_core::code::CodeType;
use seawall_core::consent::Category;
use seawall_core::message::Channel;
use seawall_core::request::Operation;
use seawall_core::segments::EncodingChoice;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::app::outcome::Outcome;

/// How a code travels.
#[derive(Clone, Copy, Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ChannelWord {
    /// A text message.
    #[default]
    Sms,
    /// A voice call that speaks the code.
    Call,
}

impl From<ChannelWord> for Channel {
    fn from(word: ChannelWord) -> Self {
        match word {
            ChannelWord::Sms => Channel::Sms,
            ChannelWord::Call => Channel::Call,
        }
    }
}

/// What kind of message it is.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CategoryWord {
    /// A one-time code of the caller's own.
    Code,
    /// About something that the recipient did.
    Transactional,
    /// Advertising.
    Marketing,
}

impl From<CategoryWord> for Category {
    fn from(word: CategoryWord) -> Self {
        match word {
            CategoryWord::Code => Category::Code,
            CategoryWord::Transactional => Category::Transactional,
            CategoryWord::Marketing => Category::Marketing,
        }
    }
}

/// What a decision is asked about.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
pub enum OperationWord {
    /// A one-time code.
    #[serde(rename = "verify.start")]
    VerifyStart,
    /// A message.
    #[serde(rename = "sms.send")]
    SmsSend,
    /// A message of a batch.
    #[serde(rename = "sms.batch")]
    SmsBatch,
}

impl From<OperationWord> for Operation {
    fn from(word: OperationWord) -> Self {
        match word {
            OperationWord::VerifyStart => Operation::VerifyStart,
            OperationWord::SmsSend => Operation::SmsSend,
            OperationWord::SmsBatch => Operation::SmsBatch,
        }
    }
}

/// What a code is made of.
#[derive(Clone, Copy, Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CodeTypeWord {
    /// Digits.
    #[default]
    Numeric,
    /// Digits with a dash in the middle, which counts in the length.
    NumericWithDash,
    /// Digits, capitals and small letters; case matters.
    Alphanumeric,
    /// Digits and capitals.
    AlphanumericCapitals,
    /// Digits and capitals that are not easily taken for a digit.
    AlphanumericEasy,
}

impl From<CodeTypeWord> for CodeType {
    fn from(word: CodeTypeWord) -> Self {
        match word {
            CodeTypeWord::Numeric => CodeType::Numeric,
            CodeTypeWord::NumericWithDash => CodeType::NumericWithDash,
            CodeTypeWord::Alphanumeric => CodeType::Alphanumeric,
            CodeTypeWord::AlphanumericCapitals => CodeType::AlphanumericCapitals,
            CodeTypeWord::AlphanumericEasy => CodeType::AlphanumericEasy,
        }
    }
}

/// How a text is encoded on the air.
#[derive(Clone, Copy, Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum EncodingWord {
    /// GSM-7 if the text allows it, UCS-2 otherwise.
    #[default]
    Auto,
    /// GSM-7, or a refusal.
    Gsm7,
    /// UCS-2 always.
    Ucs2,
}

impl From<EncodingWord> for EncodingChoice {
    fn from(word: EncodingWord) -> Self {
        match word {
            EncodingWord::Auto => EncodingChoice::Auto,
            EncodingWord::Gsm7 => EncodingChoice::Gsm7,
            EncodingWord::Ucs2 => EncodingChoice::Ucs2,
        }
    }
}

/// Whether operator rules and detection are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RiskCheckWord {
    /// They are.
    On,
    /// They are not; the decision says so.
    Off,
}

/// What became of a decision.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum OutcomeWord {
    /// It was sent.
    Sent,
    /// It arrived, as the provider says.
    Delivered,
    /// It did not arrive.
    Failed,
    /// The user proved to have received it.
    Verified,
    /// The user gave up.
    Abandoned,
}

impl From<OutcomeWord> for Outcome {
    fn from(word: OutcomeWord) -> Self {
        match word {
            OutcomeWord::Sent => Outcome::Sent,
            OutcomeWord::Delivered => Outcome::Delivered,
            OutcomeWord::Failed => Outcome::Failed,
            OutcomeWord::Verified => Outcome::Verified,
            OutcomeWord::Abandoned => Outcome::Abandoned,
        }
    }
}

//! Room 3 for verifications: every field of `POST …/sessions`, checked.

use std::time::Duration;

use seawall_core::code::{CodeShape, CodeType};
use seawall_core::message::Channel;
use seawall_core::msisdn::ParsedNumber;
use seawall_core::request::{Client, Terms};
use seawall_core::segments::EncodingChoice;
use seawall_core::text::code::CodeLines;
use seawall_store::records::VoiceWish;
use serde_json::Value;

use super::error::{Answer, Refused};
use super::fields::{Bad, Fields};
use super::numbers;
use crate::app::App;
use crate::app::entities::{Subaccount, Template, TemplateKind};
use crate::app::start_verification::StartVerification;
use crate::jobs::egress;

/// Languages that 8x8's voices speak; case matters, as there.
pub(super) const LANGUAGES: [&str; 48] = [
    "ar-EG", "ar-SA", "bg-BG", "ca-ES", "cs-CZ", "da-DK", "de-AT", "de-CH", "de-DE", "el-GR", "en-AU",
    "en-CA", "en-GB", "en-IE", "en-IN", "en-US", "es-ES", "es-MX", "fi-FI", "fr-CA", "fr-CH", "fr-FR",
    "he-IL", "hi-IN", "hr-HR", "hu-HU", "id-ID", "it-IT", "ja-JP", "ko-KR", "ms-MY", "nb-NO", "nl-NL",
    "pl-PL", "pt-BR", "pt-PT", "ro-RO", "ru-RU", "sk-SK", "sl-SI", "sv-SE", "ta-IN", "th-TH", "tr-TR",
    "vi-VN", "zh-CN", "zh-HK", "zh-TW",
];
const DEFAULT_TEXT: &str = "Your verification code is {code}";
const DEFAULT_TEXT_WITH_BRAND: &str = "{brand}: Your verification code is {code}";
/// A longer template cannot fit into ten parts.
const TEMPLATE_AT_MOST: usize = 1600;
const CODE_TYPES: [(&str, CodeType); 5] = [
    ("NUMERIC", CodeType::Numeric),
    ("NUMERIC_WITH_DASH", CodeType::NumericWithDash),
    ("ALPHANUMERIC", CodeType::Alphanumeric),
    ("ALPHANUMERIC_CAPITALS", CodeType::AlphanumericCapitals),
    ("ALPHANUMERIC_EASY", CodeType::AlphanumericEasy),
];

/// 8x8's words for a number that is none.
pub(super) const NOT_A_NUMBER: &str = "Invalid MSISDN format (not E.164 international number)";

/// Reads a request. Nothing is looked up but saved templates.
pub(super) fn read(app: &App, subaccount: &Subaccount, body: &Value) -> Answer<StartVerification> {
    let fields = Fields::of(body, "")?;
    let rules = egress::Rules::of(&app.config);
    let channel = channel(&fields)?;
    let brand = fields.label("brand", 30, 1010)?;
    let language = language(&fields)?;
    let call = call(&fields, language)?;
    let (sms_source, encoding) = sms(&fields)?;
    let source = if channel == Channel::Call { call.source } else { sms_source };
    let ttl = fields.whole("codeValidity", 30, 7200)?.map(Duration::from_secs);
    Ok(StartVerification {
        subaccount: subaccount.id.clone(),
        to: destination(app, &fields)?,
        channel,
        shape: shape(app, &fields)?,
        free_length: fields.whole("codeLength", 3, 10)?.is_none(),
        given_code: None,
        ttl: ttl.unwrap_or(app.config.verification.default_ttl),
        resend_interval: Duration::from_secs(fields.whole("resendingInterval", 10, 7200)?.unwrap_or(10)),
        reset: fields.flag("resetSession")?.unwrap_or(false),
        lines: CodeLines::default(),
        template: template(app, subaccount, &fields, channel, language, brand.is_some())?,
        brand,
        source: source.or_else(|| subaccount.default_source.clone()),
        encoding: if channel == Channel::Call { EncodingChoice::Auto } else { encoding },
        voice: (channel == Channel::Call).then_some(call.voice),
        callback_url: fields.url("callbackUrl", rules)?,
        client: Client { ip: fields.client_ip()?, ..Client::default() },
        terms: Terms::default(),
        purpose: None,
        binding: None,
    })
}

/// The number in any usual spelling.
fn destination(app: &App, fields: &Fields<'_>) -> Result<ParsedNumber, Bad> {
    let text = fields.text("destination")?.unwrap_or_default();
    let country = fields.country()?;
    numbers::read(app, text, country).map_err(Bad::from)
}

fn channel(fields: &Fields<'_>) -> Answer<Channel> {
    const WORDS: [(&str, Option<Channel>); 5] = [
        ("sms", Some(Channel::Sms)),
        ("call", Some(Channel::Call)),
        ("whatsapp", None),
        ("viber", None),
        ("sma", None),
    ];
    match fields.choice("channel", &WORDS, 1000)? {
        Some(None) => {
            Err(Refused::bad(2003, "Unsupported product: only the channels sms and call are offered here"))
        }
        Some(Some(channel)) => Ok(channel),
        None => Ok(Channel::Sms),
    }
}

/// Length and type go together. The default length is four, or the least that is allowed here.
fn shape(app: &App, fields: &Fields<'_>) -> Result<CodeShape, Bad> {
    let least = app.config.verification.min_code_length;
    let kind = fields.choice("codeType", &CODE_TYPES, 1000)?.unwrap_or_default();
    let length = fields.whole("codeLength", 3, 10)?.and_then(|n| u8::try_from(n).ok());
    let length = length.unwrap_or(least.max(4));
    if length < least {
        let message = format!("Invalid codeLength: at least {least} characters are required here");
        return Err(Bad::value(1010, message));
    }
    CodeShape::new(kind, length).map_err(|error| Bad::value(1010, format!("Invalid codeLength: {error}")))
}

fn language(fields: &Fields<'_>) -> Result<Option<&'static str>, Bad> {
    let Some(text) = fields.text("language")? else {
        return Ok(None);
    };
    let known = LANGUAGES.iter().find(|l| **l == text).copied();
    let bad = || Bad::value(1000, "Invalid language: a tag such as en-US is needed; case matters");
    known.map(Some).ok_or_else(bad)
}

fn sms(fields: &Fields<'_>) -> Result<(Option<String>, EncodingChoice), Bad> {
    match fields.object("sms", "sms.")? {
        Some(sms) => Ok((sms.source()?, sms.encoding()?)),
        None => Ok((None, EncodingChoice::Auto)),
    }
}

struct Call {
    source: Option<String>,
    voice: VoiceWish,
}

fn call(fields: &Fields<'_>, language: Option<&str>) -> Result<Call, Bad> {
    let mut voice = VoiceWish {
        language: language.unwrap_or("en-US").to_owned(),
        profile: None,
        speed: 0.8,
        repetition: 2,
    };
    let Some(call) = fields.object("call", "call.")? else {
        return Ok(Call { source: None, voice });
    };
    voice.profile = call.label("voiceProfile", 50, 1010)?;
    voice.speed = call.number("speed", 0.5, 2.0)?.unwrap_or(voice.speed);
    let repetition = call.whole("repetition", 1, 3)?.and_then(|n| u8::try_from(n).ok());
    voice.repetition = repetition.unwrap_or(voice.repetition);
    Ok(Call { source: call.source()?, voice })
}

/// The text: given, saved under a key, saved as the default, or 8x8's.
fn template(
    app: &App,
    subaccount: &Subaccount,
    fields: &Fields<'_>,
    channel: Channel,
    language: Option<&str>,
    branded: bool,
) -> Result<String, Bad> {
    let given = fields.short("template", TEMPLATE_AT_MOST, 1007)?;
    let key = fields.text("templateKey")?;
    let snapshot = app.snapshot.load();
    let fits = |t: &&Template| {
        t.kind == TemplateKind::Code
            && t.subaccount_id.as_deref().is_none_or(|s| s == subaccount.id)
            && t.channel.is_none_or(|c| c == channel)
            && t.language.as_deref().is_none_or(|l| Some(l) == language)
    };
    let best = |wanted: &dyn Fn(&Template) -> bool| {
        let candidates = snapshot.templates.iter().filter(fits).filter(|t| wanted(t));
        candidates.max_by_key(|t| specificity(t)).map(|t| t.text.clone())
    };
    match (given, key) {
        (Some(_), Some(_)) => {
            Err(Bad::value(1007, "Invalid template: template and templateKey contradict each other"))
        }
        (Some(text), None) => Ok(text.to_owned()),
        (None, Some(key)) => best(&|t| t.name == key).ok_or_else(|| {
            Bad::value(1007, "Invalid templateKey: no saved template has this key, channel and language")
        }),
        (None, None) => {
            let builtin = if branded { DEFAULT_TEXT_WITH_BRAND } else { DEFAULT_TEXT };
            Ok(best(&|t| t.default).unwrap_or_else(|| builtin.to_owned()))
        }
    }
}

/// A template made for this very subaccount, language and channel goes before a general one.
fn specificity(t: &Template) -> (bool, bool, bool) {
    (t.subaccount_id.is_some(), t.language.is_some(), t.channel.is_some())
}

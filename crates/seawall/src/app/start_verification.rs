//! A one-time code is sent, or sent again.

use std::time::Duration;

use seawall_core::code::{Code, CodeShape};
use seawall_core::id::Id;
use seawall_core::limit::Mode;
use seawall_core::message::{Channel, MessageState};
use seawall_core::msisdn::ParsedNumber;
use seawall_core::request::{Client, Operation, Request, Terms};
use seawall_core::segments::{EncodingChoice, Segmentation, segment};
use seawall_core::text::code::{CodeLines, Payment};
use seawall_core::verification::Lifecycle;
use seawall_store::StoreError;
use seawall_store::records::{
    Acceptance, Content, Details, MessageRecord, Progress, VerificationRecord, VerificationWrite, VoiceWish,
};

use super::consent::link;
use super::grants::claim;
use super::idempotency::Wish;
use super::in_time::in_time;
use super::screen::{Screened, screen};
use super::send_messages::price;
use super::who::Caller;
use super::{App, Refusal, texts};

/// Characters of a code while codes are guessed at.
const LONGER: u8 = 8;

/// What a caller asks for.
#[derive(Clone, Debug)]
pub struct StartVerification {
    /// The subaccount, already entered.
    pub subaccount: String,
    /// Whom to verify.
    pub to: ParsedNumber,
    /// SMS or call.
    pub channel: Channel,
    /// What the code looks like.
    pub shape: CodeShape,
    /// The caller left the length to us: it grows while codes are guessed at.
    pub free_length: bool,
    /// A code given by the caller instead.
    pub given_code: Option<Code>,
    /// How long the code is valid.
    pub ttl: Duration,
    /// Not sent again before.
    pub resend_interval: Duration,
    /// A new code even if one is out.
    pub reset: bool,
    /// Text with `{code}` and `{brand}`.
    pub template: String,
    /// What is added to it.
    pub lines: CodeLines,
    /// What fills `{brand}`.
    pub brand: Option<String>,
    /// Sender ID.
    pub source: Option<String>,
    /// How to encode.
    pub encoding: EncodingChoice,
    /// How a call speaks.
    pub voice: Option<VoiceWish>,
    /// Where events go.
    pub callback_url: Option<String>,
    /// The end user.
    pub client: Client,
    /// Under which terms.
    pub terms: Terms,
    /// What for.
    pub purpose: Option<String>,
    /// The binding that the code is for: it proves nothing elsewhere.
    pub binding: Option<String>,
}

/// What was begun, or went on.
#[derive(Debug)]
pub struct Started {
    /// The verification.
    pub verification: VerificationRecord,
    /// The decision, and the message of the same id.
    pub screened: Box<Screened>,
}

/// Screens, records durably, and leaves the sending to the outbox.
pub async fn start_verification(
    app: &App,
    caller: &Caller,
    mut ask: StartVerification,
    wish: Option<Wish<Started>>,
) -> Result<Started, Refusal> {
    if let Some(code) = app.snapshot.load().test_code(ask.to.msisdn, app.now()) {
        ask.given_code = Code::given(code).ok();
    }
    let sized = fits(app, &ask)?;
    if ask.terms.redeems.is_some() {
        claim(app, &request(app, caller, &ask, &sized))?;
    }
    // The number's open verification may change between gathering and recording; then gather again.
    for _ in 0..4 {
        match attempt(app, caller, &ask, &sized, wish.as_ref()).await {
            Err(Refusal::Unavailable(StoreError::Conflict)) => {}
            other => return other,
        }
    }
    Err(Refusal::Unavailable(StoreError::Conflict))
}

async fn attempt(
    app: &App,
    caller: &Caller,
    ask: &StartVerification,
    sized: &Segmentation,
    wish: Option<&Wish<Started>>,
) -> Result<Started, Refusal> {
    let now = app.now();
    let screened = screen(app, request(app, caller, ask, sized), now).await?;
    if !screened.allowed() {
        app.recorder.record(&screened);
        return Err(Refusal::Decided(screened));
    }
    let mut verification = match &screened.open {
        Some(open) => resent(app, open.clone(), ask, &screened),
        None => begun(app, ask, sized, &screened)?,
    };
    if let Some(at) = screened.next_back_off(app, now).await {
        verification.lifecycle.retry_at = verification.lifecycle.retry_at.max(at);
    }
    let write = match &screened.open {
        Some(_) => VerificationWrite::Update(verification.clone()),
        None => VerificationWrite::Begin(verification.clone()),
    };
    let mut message = Box::new(message(app, ask, sized, &verification, &screened));
    let place = app.outbox.board(&mut message);
    let kept = MessageRecord {
        decision: Some(Box::new(screened.body(Some(verification.id)))),
        ..(*message).clone()
    };
    let started = Started { verification, screened };
    let idempotent = wish.map(|wish| wish.answer(&started, now));
    let acceptance = Acceptance { messages: vec![kept], verification: Some(write), idempotent };
    in_time(app, std::iter::once(&*started.screened)).await?;
    if let Err(error) = app.store.ledger.accept(acceptance).await {
        // Without a place of its own it waits its turn, and may be sent before the store knows that nobody wants it.
        if place.is_some() || !matches!(error, StoreError::Unavailable(_)) {
            started.screened.undo(app).await;
        }
        return Err(error.into());
    }
    app.metrics.moved(message.state);
    app.outbox.depart(message, place);
    Ok(started)
}

fn request(app: &App, caller: &Caller, ask: &StartVerification, sized: &Segmentation) -> Request {
    Request {
        channel: ask.channel,
        client: ask.client.clone(),
        purpose: ask.purpose.clone(),
        message: texts::of_code(&app.snapshot.load(), &ask.subaccount, &ask.template, ask.source.as_deref()),
        terms: ask.terms.clone(),
        segments: sized.segments,
        price: price(app, ask.to.country, sized.segments).map(|p| p.total),
        ..Request::new(Operation::VerifyStart, &ask.subaccount, &caller.key.id, &ask.to, caller.ip)
    }
}

/// Bounds that the set-up decides, and the size of the text with a code as long as the real one.
fn fits(app: &App, ask: &StartVerification) -> Result<Segmentation, Refusal> {
    let least = app.config.verification.min_code_length;
    if ask.shape.length() < least {
        let problem = format!(
            "a code of {} characters is shorter than the {least} that are required here",
            ask.shape.length()
        );
        return Err(Refusal::Invalid { field: "code_length", problem });
    }
    let sample = "0".repeat(usize::from(ask.shape.length()));
    let template = ask.lines.compose(&ask.template);
    let text = filled(app, &template, &sample, ask.brand.as_deref(), NOBODY)
        .map_err(|problem| Refusal::Invalid { field: "template", problem })?;
    segment(&text, ask.encoding).map_err(|e| Refusal::Invalid { field: "template", problem: e.to_string() })
}

/// Stands in for a message in a text that is only measured: every link is as long.
const NOBODY: Id = Id::from_bytes([0; 16]);

/// Fills a template for a message.
pub fn filled(
    app: &App,
    template: &str,
    code: &str,
    brand: Option<&str>,
    message: Id,
) -> Result<String, String> {
    let text = template.replace("{brand}", brand.unwrap_or_default()).replace("{code}", code);
    if !text.contains(link::PLACEHOLDER) {
        return Ok(text);
    }
    let fix = "`{not_me}` needs the address where this gateway is reached; set server.public_url";
    Ok(text.replace(link::PLACEHOLDER, &link::of(app, message).ok_or(fix)?))
}

/// The code's shape: as asked for, or longer while codes are guessed at, where that costs no further segment.
fn shape(app: &App, ask: &StartVerification, sized: &Segmentation, screened: &Screened) -> CodeShape {
    let guessed = screened.facts.evidence.known().is_some_and(|evidence| evidence.longer_code);
    let enforced = app.snapshot.load().policy.detection.mode == Mode::Enforce;
    if !guessed || !enforced || !ask.free_length || ask.shape.length() >= LONGER {
        return ask.shape;
    }
    let fits = |shape: &CodeShape| {
        let (template, sample) = (ask.lines.compose(&ask.template), "0".repeat(usize::from(shape.length())));
        let text = filled(app, &template, &sample, ask.brand.as_deref(), NOBODY).unwrap_or_default();
        segment(&text, ask.encoding).is_ok_and(|longer| longer.segments == sized.segments)
    };
    CodeShape::new(ask.shape.kind(), LONGER).ok().filter(fits).unwrap_or(ask.shape)
}

fn begun(
    app: &App,
    ask: &StartVerification,
    sized: &Segmentation,
    screened: &Screened,
) -> Result<VerificationRecord, Refusal> {
    let checks = app.config.verification.max_checks;
    Ok(VerificationRecord {
        id: app.ids.beside(screened.id)?,
        subaccount: ask.subaccount.clone(),
        to: ask.to.msisdn,
        lifecycle: Lifecycle::begin(screened.at, ask.ttl, ask.resend_interval, checks, screened.channel()),
        shape: shape(app, ask, sized, screened),
        key_id: app.store.vault.key_id(),
        given_code: ask.given_code.as_ref().map(|code| code.reveal().to_owned()),
        callback_url: ask.callback_url.clone(),
        message: screened.id,
        revision: 1,
        purpose: ask.purpose.clone(),
        bind: bound(ask),
        veiled: ask.to.veiled,
    })
}

fn bound(ask: &StartVerification) -> Option<String> {
    ask.binding.clone().or_else(|| ask.lines.payment.as_ref().map(Payment::canonical))
}

fn resent(
    app: &App,
    mut open: VerificationRecord,
    ask: &StartVerification,
    screened: &Screened,
) -> VerificationRecord {
    // A code that was sent for one payment must not confirm another.
    let reset = ask.reset || open.bind != bound(ask);
    open.lifecycle.resend(screened.at, ask.ttl, ask.resend_interval, screened.channel(), reset);
    if reset {
        open.bind = bound(ask);
        open.shape = ask.shape;
        open.key_id = app.store.vault.key_id();
        open.given_code = ask.given_code.as_ref().map(|code| code.reveal().to_owned());
    }
    if ask.callback_url.is_some() {
        open.callback_url.clone_from(&ask.callback_url);
    }
    open.message = screened.id;
    // Whoever carried the first request may carry this one.
    open.veiled |= ask.to.veiled;
    open
}

fn message(
    app: &App,
    ask: &StartVerification,
    sized: &Segmentation,
    verification: &VerificationRecord,
    screened: &Screened,
) -> MessageRecord {
    MessageRecord {
        id: screened.id,
        subaccount: ask.subaccount.clone(),
        to: ask.to.msisdn,
        country: ask.to.country,
        state: MessageState::Queued,
        channel: screened.channel(),
        verification: Some(verification.id),
        batch: None,
        due: None,
        expires_at: Some(verification.lifecycle.expires_at),
        encoding: sized.encoding,
        segments: sized.segments,
        content: Some(Content::Code {
            template: ask.lines.compose(&ask.template),
            brand: ask.brand.clone(),
            generation: verification.lifecycle.generation,
            shape: verification.shape,
            key_id: verification.key_id,
            given: verification.given_code.is_some(),
        }),
        details: Details {
            source: ask.source.clone(),
            callback_url: ask.callback_url.clone(),
            voice: ask.voice.clone(),
            veiled: verification.veiled,
            ..Details::default()
        },
        price: price(app, ask.to.country, sized.segments),
        progress: Progress::default(),
        dimensions: screened.dimensions.clone(),
        decision: None,
    }
}

//! Messages are sent, one or many at once, now or later.

use futures_util::{StreamExt, stream};
use seawall_core::callflow::Step;
use seawall_core::consent::Category;
use seawall_core::country::Country;
use seawall_core::id::Id;
use seawall_core::message::{Channel, MessageState};
use seawall_core::msisdn::ParsedNumber;
use seawall_core::request::{Client, Operation, Request, Terms};
use seawall_core::segments::Segmentation;
use seawall_core::time::Timestamp;
use seawall_store::StoreError;
use seawall_store::records::{Acceptance, Content, Details, MessageRecord, Price, Progress};

use super::grants::claim;
use super::idempotency::Wish;
use super::in_time::{in_time, undo};
use super::screen::{Screened, screen};
use super::who::Caller;
use super::{App, Refusal, texts};

/// One message that a caller asks for; well-formed already.
#[derive(Clone, Debug)]
pub struct SendMessage {
    /// To whom.
    pub to: ParsedNumber,
    /// What.
    pub text: String,
    /// What happens in a call, when that is more than the text; then the text is what is said.
    pub steps: Vec<Step>,
    /// Its size.
    pub sized: Segmentation,
    /// Sender ID and the caller's own ids.
    pub details: Details,
    /// Later, not now.
    pub due: Option<Timestamp>,
    /// Not after.
    pub expires_at: Option<Timestamp>,
    /// The end user.
    pub client: Client,
    /// Under which terms.
    pub terms: Terms,
    /// What for.
    pub purpose: Option<String>,
}

/// What became of one message.
#[derive(Debug)]
pub struct Sent {
    /// Its decision; `allowed()` says whether it was accepted. The message's id is the decision's.
    pub screened: Box<Screened>,
}

/// Messages of a batch that are screened at a time: a store on another machine answers them together.
const ABREAST: usize = 64;

/// Screens each message, and makes all that are allowed durable in one transaction. A refused one does not
/// refuse the others.
pub async fn send_messages(
    app: &App,
    caller: &Caller,
    subaccount: &str,
    asks: Vec<SendMessage>,
    batch: Option<Id>,
    wish: Option<Wish<Vec<Sent>>>,
) -> Result<Vec<Sent>, Refusal> {
    let now = app.now();
    let operation = if batch.is_some() { Operation::SmsBatch } else { Operation::SmsSend };
    let mut sent = Vec::with_capacity(asks.len());
    let mut messages = Vec::with_capacity(asks.len());
    let mut express = None;
    let own = app.snapshot.load().subaccounts.get(subaccount).map(|s| s.policy.consent.default_category);
    let mut requests = Vec::with_capacity(asks.len());
    for mut ask in asks {
        ask.details.category = ask.details.category.or(own);
        let request = request(app, caller, subaccount, operation, &ask);
        claim(app, &request)?;
        requests.push((ask, request));
    }
    for (ask, screened) in screen_all(app, requests).await? {
        if screened.allowed() {
            let mut message = message(app, subaccount, ask, batch, &screened);
            // A batch waits its turn in the ledger, so that it cannot hold up codes.
            if batch.is_none() && message.state == MessageState::Queued && express.is_none() {
                express = app.outbox.board(&mut message).map(|place| (Box::new(message.clone()), place));
            }
            messages.push(MessageRecord { decision: Some(Box::new(screened.body(None))), ..message });
        } else {
            app.recorder.record(&screened);
        }
        sent.push(Sent { screened });
    }
    if messages.is_empty() {
        return Ok(sent);
    }
    in_time(app, sent.iter().map(|one| &*one.screened)).await?;
    // By reference: the wish holds its key until the answer is stored, or the same request could pass twice.
    let states: Vec<MessageState> = messages.iter().map(|m| m.state).collect();
    let idempotent = wish.as_ref().map(|wish| wish.answer(&sent, now));
    if let Err(error) = app.store.ledger.accept(Acceptance { messages, verification: None, idempotent }).await
    {
        // What waits its turn may be sent before the store knows that nobody waits for it any more.
        let waits = states.iter().any(|state| *state != MessageState::Submitting);
        if !(waits && matches!(error, StoreError::Unavailable(_))) {
            undo(app, sent.iter().map(|one| &*one.screened)).await;
        }
        return Err(error.into());
    }
    states.into_iter().for_each(|state| app.metrics.moved(state));
    match express {
        Some((message, place)) => app.outbox.depart(message, Some(place)),
        None => app.outbox.work.notify_one(),
    }
    Ok(sent)
}

/// Screens some abreast, in their order. If one cannot be screened, none was.
async fn screen_all(
    app: &App,
    requests: Vec<(SendMessage, Request)>,
) -> Result<Vec<(SendMessage, Box<Screened>)>, Refusal> {
    let screens = requests.into_iter().map(|(ask, request)| async move {
        // Of many, each is decided at its own instant.
        (ask, screen(app, request, app.now()).await)
    });
    let all: Vec<_> = stream::iter(screens).buffered(ABREAST).collect().await;
    let (mut screened, mut failed) = (Vec::with_capacity(all.len()), None);
    for (ask, one) in all {
        match one {
            Ok(one) => screened.push((ask, one)),
            Err(error) => failed = Some(error),
        }
    }
    let Some(error) = failed else { return Ok(screened) };
    undo(app, screened.iter().map(|(_, one)| &**one)).await;
    Err(error.into())
}

fn request(app: &App, caller: &Caller, subaccount: &str, operation: Operation, ask: &SendMessage) -> Request {
    Request {
        category: ask.details.category.unwrap_or(Category::Transactional),
        client: ask.client.clone(),
        purpose: ask.purpose.clone(),
        message: texts::of_message(
            &app.snapshot.load(),
            subaccount,
            &ask.text,
            ask.details.source.as_deref(),
        ),
        terms: ask.terms.clone(),
        channel: channel(&ask.details),
        due: ask.due,
        segments: ask.sized.segments,
        price: price(app, ask.to.country, ask.sized.segments).map(|p| p.total),
        ..Request::new(operation, subaccount, &caller.key.id, &ask.to, caller.ip)
    }
}

/// What says how it is spoken is spoken.
fn channel(details: &Details) -> Channel {
    if details.voice.is_some() { Channel::Call } else { Channel::Sms }
}

fn message(
    app: &App,
    subaccount: &str,
    ask: SendMessage,
    batch: Option<Id>,
    screened: &Screened,
) -> MessageRecord {
    MessageRecord {
        id: screened.id,
        subaccount: subaccount.to_owned(),
        to: ask.to.msisdn,
        country: ask.to.country,
        state: if ask.due.is_some_and(|due| due > screened.at) {
            MessageState::Scheduled
        } else {
            MessageState::Queued
        },
        channel: channel(&ask.details),
        verification: None,
        batch,
        due: ask.due.filter(|due| *due > screened.at),
        expires_at: ask.expires_at,
        encoding: ask.sized.encoding,
        segments: ask.sized.segments,
        content: Some(match ask.steps.is_empty() {
            true => Content::Text { text: ask.text },
            false => Content::Flow { steps: ask.steps },
        }),
        details: ask.details,
        price: price(app, ask.to.country, ask.sized.segments),
        progress: Progress::default(),
        dimensions: screened.dimensions.clone(),
        decision: None,
    }
}

/// What a message of so many segments costs, when a price is known.
pub fn price(app: &App, country: Country, segments: u8) -> Option<Price> {
    let snapshot = app.snapshot.load();
    snapshot.price(country).map(|entry| Price {
        per_segment: entry.amount,
        total: entry.amount.saturating_mul(i64::from(segments)),
        currency: entry.currency.clone(),
    })
}

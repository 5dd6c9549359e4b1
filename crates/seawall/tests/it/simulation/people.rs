//! Those who use the gateways: apps that send and try again, users who type codes, people who want no more messages.

use std::sync::Arc;
use std::time::Duration;

use seawall::app::Refusal;
use seawall::app::check_code::{Presented, check_code};
use seawall::app::idempotency::{self, Found};
use seawall::app::send_messages::{SendMessage, Sent, send_messages};
use seawall::app::start_verification::{StartVerification, Started, start_verification};
use seawall_connect::{Echo, Inbound, Secret};
use seawall_core::code::{CodeShape, CodeType};
use seawall_core::consent::OptOutScope;
use seawall_core::id::{Id, IdKind};
use seawall_core::message::Channel;
use seawall_core::msisdn::{Msisdn, ParsedNumber};
use seawall_core::request::{Client, Terms};
use seawall_core::segments::{EncodingChoice, segment};
use seawall_core::text::code::CodeLines;
use seawall_store::Directory;
use seawall_store::records::{Details, OptOut};
use tokio::time::{sleep, timeout};

use super::Busy;
use super::node::{Cluster, OURS, Running, THEIRS, audit};
use super::provider::hand_on;
use super::world::finish;

/// How long a caller waits for an answer.
const PATIENCE: Duration = Duration::from_secs(8);

/// A number of the simulated world: some British, which the budget counts.
pub fn number(which: u64) -> ParsedNumber {
    let text = match which {
        0..4 => format!("+4477009001{which:02}"),
        _ => format!("+65912345{which:02}"),
    };
    Msisdn::parse(&text, None).unwrap()
}

/// What came of asking: messages and, of a code, its verification.
#[derive(Clone, Debug)]
struct Done {
    messages: Vec<Id>,
    verification: Option<Id>,
}

impl Done {
    fn render(&self) -> String {
        let ids = self.messages.iter().map(|id| id.show(IdKind::Message));
        let verification = self.verification.map(|id| id.show(IdKind::Verification)).unwrap_or_default();
        std::iter::once(verification).chain(ids).collect::<Vec<_>>().join(" ")
    }

    fn read(text: &str) -> Self {
        let mut words = text.split(' ');
        let verification = words.next().and_then(|word| Id::parse(IdKind::Verification, word));
        let messages = words.filter_map(|word| Id::parse(IdKind::Message, word)).collect();
        Done { messages, verification }
    }

    fn started(started: &Started) -> Self {
        Done { messages: vec![started.screened.id], verification: Some(started.verification.id) }
    }

    fn sent(sent: &[Sent]) -> Self {
        let accepted = sent.iter().filter(|one| one.screened.allowed());
        Done { messages: accepted.map(|one| one.screened.id).collect(), verification: None }
    }
}

async fn start(node: &Running, key: &str, to: &ParsedNumber) -> Result<Done, Refusal> {
    let render = Box::new(|started: &Started| (201, Done::started(started).render()));
    let body = to.msisdn.digits();
    let wish = match idempotency::begin(&node.app, "verify", key, body.as_bytes(), render).await? {
        Found::Replay(kept) => return Ok(Done::read(&kept.body)),
        Found::New(wish) => wish,
    };
    let ask = StartVerification {
        subaccount: OURS.to_owned(),
        to: *to,
        channel: Channel::Sms,
        shape: CodeShape::new(CodeType::Numeric, 6).unwrap(),
        free_length: false,
        given_code: None,
        ttl: Duration::from_secs(30),
        resend_interval: Duration::from_secs(2),
        reset: false,
        template: "{code} is your code".to_owned(),
        lines: CodeLines::default(),
        brand: None,
        source: None,
        encoding: EncodingChoice::Auto,
        voice: None,
        callback_url: None,
        client: Client::default(),
        terms: Terms::default(),
        purpose: None,
        binding: None,
    };
    Ok(Done::started(&start_verification(&node.app, &node.caller, ask, Some(wish)).await?))
}

async fn send(node: &Running, key: &str, to: &[ParsedNumber]) -> Result<Done, Refusal> {
    let render = Box::new(|sent: &Vec<Sent>| (201, Done::sent(sent).render()));
    let body: Vec<String> = to.iter().map(|to| to.msisdn.digits()).collect();
    let wish = match idempotency::begin(&node.app, "send", key, body.join(" ").as_bytes(), render).await? {
        Found::Replay(kept) => return Ok(Done::read(&kept.body)),
        Found::New(wish) => wish,
    };
    let text = "Parcel 7 arrives today.".to_owned();
    let one = |to: &ParsedNumber| SendMessage {
        steps: Vec::new(),
        to: *to,
        sized: segment(&text, EncodingChoice::Auto).unwrap(),
        text: text.clone(),
        details: Details::default(),
        due: None,
        expires_at: None,
        client: Client::default(),
        terms: Terms::default(),
        purpose: None,
    };
    let batch = match to.len() {
        1 => None,
        _ => Some(node.app.ids.next(node.app.now())?),
    };
    let asks = to.iter().map(one).collect();
    Ok(Done::sent(&send_messages(&node.app, &node.caller, OURS, asks, batch, Some(wish)).await?))
}

/// An app asks, and asks again under the same key when it got no answer, wherever somebody answers.
async fn insist(cluster: &Arc<Cluster>, key: &str, to: &[ParsedNumber], code: bool) -> Option<Done> {
    let world = &cluster.world;
    for _ in 0..4 {
        let Some((at, node)) = cluster.any() else {
            sleep(Duration::from_millis(700)).await;
            continue;
        };
        let (own, all) = (key.to_owned(), to.to_vec());
        let call = tokio::spawn(async move {
            if code { start(&node, &own, &all[0]).await } else { send(&node, &own, &all).await }
        });
        match timeout(PATIENCE, call).await {
            Ok(Ok(Ok(done))) => {
                let elapsed = world.elapsed();
                world.tell(|| format!("{key} is acknowledged by node {at}"));
                for id in &done.messages {
                    let key = format!("{key} {}", done.messages.len());
                    world.oracle().acked.insert(*id);
                    if done.messages.len() == 1 {
                        world.oracle().acknowledged(elapsed, &key, *id);
                    }
                }
                return Some(done);
            }
            Ok(Ok(Err(Refusal::Unavailable(_) | Refusal::UnderWay))) => {}
            Ok(Ok(Err(_))) => return None,
            Ok(Err(panicked)) => panic!("{panicked}"),
            Err(_) => {}
        }
        sleep(Duration::from_millis(100 + world.below(400))).await;
    }
    None
}

/// A code is asked for and typed: right, wrong, by several at once, too late.
pub async fn verify(cluster: Arc<Cluster>, key: String, which: u64, busy: Busy) {
    let to = number(which);
    let Some(done) = insist(&cluster, &key, std::slice::from_ref(&to), true).await else { return };
    let Some(verification) = done.verification else { return };
    let world = cluster.world.clone();
    let tries = world.below(9);
    for _ in 0..tries {
        let (cluster, message) = (cluster.clone(), done.messages[0]);
        let busy = busy.clone();
        let (after, right) = world.draw(|rng| (rng.log_normal(3_000.0, 1.2), rng.chance(0.35)));
        tokio::spawn(async move {
            sleep(Duration::from_millis(after.min(45_000.0) as u64)).await;
            type_code(&cluster, verification, message, right).await;
            drop(busy);
        });
    }
}

async fn type_code(cluster: &Cluster, verification: Id, message: Id, right: bool) {
    let world = &cluster.world;
    let Some((_, node)) = cluster.any() else { return };
    let received = world.oracle().texts.get(&message).cloned();
    let code = match received.filter(|_| right) {
        Some(text) => text.split(' ').next().unwrap_or_default().to_owned(),
        // Of a million codes this is none: letters.
        None => "wrong!".to_owned(),
    };
    // A tenant that is not the owner learns nothing and changes nothing.
    if world.below(8) == 0 {
        let presented = Presented { code: code.clone(), ..Presented::default() };
        let foreign = check_code(&node.app, &node.caller, THEIRS, verification, presented);
        if let Ok(Ok(_)) = timeout(PATIENCE, foreign).await {
            let at = world.elapsed();
            world.oracle().require(false, at, || "I9: another subaccount checked a code".to_owned());
        }
    }
    let presented = Presented { code, ..Presented::default() };
    let _ = timeout(PATIENCE, check_code(&node.app, &node.caller, OURS, verification, presented)).await;
}

/// A message, or some at once.
pub async fn message(cluster: Arc<Cluster>, key: String, which: Vec<u64>) {
    let to: Vec<ParsedNumber> = which.into_iter().map(number).collect();
    insist(&cluster, &key, &to, false).await;
}

/// Somebody answers STOP to a message, by way of a provider.
pub async fn answer_stop(cluster: Arc<Cluster>, which: u64) {
    let (world, msisdn) = (&cluster.world, number(which).msisdn);
    let inbound =
        Inbound { from: Secret::new(msisdn.to_e164()), to: "Seawall".to_owned(), text: Secret::new("STOP") };
    if hand_on(world, &cluster.echoes, Echo::Inbound(inbound)).await {
        let at = world.elapsed();
        world.tell(|| format!("{which} answered STOP"));
        let known = finish(world.store.opted_out(msisdn)).unwrap();
        let kept = !known.is_empty();
        world.oracle().require(kept, at, || format!("I8: the STOP of {which} was taken and is nowhere"));
        world.oracle().opted_out.entry(msisdn.as_u64()).or_insert(at);
    }
}

/// Somebody wants no more messages.
pub async fn stop(cluster: Arc<Cluster>, which: u64) {
    let (world, to) = (&cluster.world, number(which));
    let Some((_, node)) = cluster.any() else { return };
    let Ok(id) = node.app.ids.next(node.app.now()) else { return };
    let entry = OptOut {
        id,
        msisdn: to.msisdn,
        scope: OptOutScope::default(),
        source: "stop".to_owned(),
        note: None,
        at: node.app.now(),
    };
    let target = id.show(IdKind::OptOut);
    let audit = audit(world, &target);
    let asked = timeout(PATIENCE, node.app.store.directory.add_opt_out(entry, audit)).await;
    if let Ok(Ok(made)) = asked {
        let at = world.elapsed();
        world.tell(|| format!("{which} opted out"));
        // Who opted out before changes nothing.
        if made.id == id {
            world.oracle().audited.insert(target);
        }
        world.oracle().opted_out.entry(to.msisdn.as_u64()).or_insert(at);
    }
}

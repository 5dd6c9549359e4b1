//! A call comes for a virtual number: is there a session, may it go through, and to whom? Every call is a decision.

use std::net::Ipv4Addr;

use seawall_core::client_ip::ClientIp;
use seawall_core::id::Id;
use seawall_core::masking::Refusal as Unanswered;
use seawall_core::masking::call::{Call, CallResult, Progress};
use seawall_core::masking::{FarEnd, Party};
use seawall_core::message::Channel;
use seawall_core::msisdn::Msisdn;
use seawall_core::request::{Operation, Request};
use seawall_store::masking::{CallRecord, MaskRecord};

use super::super::consent::say::OWN_KEY;
use super::super::entities::Scope;
use super::super::screen::{Screened, screen};
use super::super::send_messages::price;
use super::super::who::{Caller, Stranger, enter};
use super::super::{App, Refusal};
use super::inventory::Announcements;
use super::{ask_app, tell};

/// A call as a network tells it.
#[derive(Clone)]
pub struct Incoming<'a> {
    /// Who asks; `None`: a network that signs its questions.
    pub caller: Option<&'a Caller>,
    /// Over which network: `sip`, `8x8`, `twilio`.
    pub via: &'static str,
    /// Its name for the call.
    pub reference: String,
    /// Who calls; `None` when the number is withheld or makes no sense.
    pub from: Option<Msisdn>,
    /// Which number was called.
    pub to: Option<Msisdn>,
}

/// What the network is to do.
pub enum Answer {
    /// Put it through.
    Connect {
        /// The gateway's name for the call.
        call: Id,
        /// Whom to call. Only the network may know.
        to: Msisdn,
        /// What to show as the caller.
        shown: Msisdn,
        /// Whether to record it.
        record: bool,
        /// What to say before, and in which language.
        say: Option<(String, String)>,
    },
    /// Say why not, and end it.
    Refuse {
        /// The gateway's name for the call, if it was recorded.
        call: Option<Id>,
        /// Why.
        why: Unanswered,
        /// What the caller hears, and in which language.
        say: (String, String),
        /// The decision, if it was one.
        decision: Option<Id>,
    },
}

/// Why a question about a call is not answered.
#[derive(Debug)]
pub enum NotAnswered {
    /// Whoever asks may not.
    Stranger(Stranger),
    /// Something failed.
    Refused(Refusal),
}

impl<E: Into<Refusal>> From<E> for NotAnswered {
    fn from(error: E) -> Self {
        NotAnswered::Refused(error.into())
    }
}

/// Answers for a call.
pub async fn route(app: &App, call: Incoming<'_>) -> Result<Answer, NotAnswered> {
    let (announcements, known) = set_up(app, call.to);
    let (Some(from), Some(to), true) = (call.from, call.to, known) else {
        return Ok(turned_away(&announcements, None, Unanswered::NoSession, None));
    };
    if let Some(before) = app.store.directory.call_named(call.via, &call.reference).await? {
        check(app, &call, &before.subaccount).await?;
        return Ok(again(app, &before, &announcements).await?);
    }
    let Some(mask) = app.store.directory.mask_of(from, to).await? else {
        return without_session(app, &call, from, to, &announcements).await;
    };
    check(app, &call, &mask.subaccount).await?;
    let asked =
        Asked { from, mask: to, subaccount: mask.subaccount.clone(), session: Some(&mask), incoming: &call };
    match mask.session.far_end(from, app.now()) {
        Err(why) => refuse(app, asked, mask.session.party(from), why, None, &announcements).await,
        Ok(end) => connect(app, asked, end, mask.record, &announcements).await,
    }
}

/// What is said for a virtual number, and whether it is one that calls go through.
fn set_up(app: &App, to: Option<Msisdn>) -> (Announcements, bool) {
    let masking = &app.snapshot.load().masking;
    let number = to.and_then(|to| masking.numbers.get(&to));
    let pool = number.and_then(|number| masking.pool_of(number));
    (
        pool.map(|pool| pool.announcements.clone()).unwrap_or_default(),
        number.is_some_and(|number| number.voice),
    )
}

async fn check(app: &App, call: &Incoming<'_>, subaccount: &str) -> Result<(), NotAnswered> {
    let Some(caller) = call.caller else { return Ok(()) };
    enter(app, caller, subaccount, Scope::Voice, app.now()).await.map(drop).map_err(NotAnswered::Stranger)
}

/// What is known of a call that is being asked about.
pub(super) struct Asked<'a> {
    from: Msisdn,
    mask: Msisdn,
    subaccount: String,
    session: Option<&'a MaskRecord>,
    incoming: &'a Incoming<'a>,
}

/// No session: an app that keeps the pairing itself is asked, as 8x8 does.
async fn without_session(
    app: &App,
    call: &Incoming<'_>,
    from: Msisdn,
    to: Msisdn,
    announcements: &Announcements,
) -> Result<Answer, NotAnswered> {
    let owner = {
        let masking = &app.snapshot.load().masking;
        let pool = masking.numbers.get(&to).and_then(|number| masking.pool_of(number));
        pool.and_then(|pool| pool.subaccount_id.clone())
    };
    let Some(subaccount) = owner else {
        return Ok(turned_away(announcements, None, Unanswered::NoSession, None));
    };
    check(app, call, &subaccount).await?;
    let asked = Asked { from, mask: to, subaccount: subaccount.clone(), session: None, incoming: call };
    match ask_app::ask(app, &subaccount, from, to, &call.reference).await {
        Some(ask_app::Said::Connect { to: callee, record }) if callee != from && callee != to => {
            let end = FarEnd { from: Party::A, to: callee, shown: to };
            connect(app, asked, end, record, announcements).await
        }
        Some(ask_app::Said::Say { text, language }) => {
            let said = Announcements { no_session: text, language, ..announcements.clone() };
            refuse(app, asked, None, Unanswered::NoSession, None, &said).await
        }
        _ => refuse(app, asked, None, Unanswered::NoSession, None, announcements).await,
    }
}

/// Decides about the destination, and records the call before the network learns of it.
async fn connect(
    app: &App,
    asked: Asked<'_>,
    end: FarEnd,
    record: bool,
    announcements: &Announcements,
) -> Result<Answer, NotAnswered> {
    let screened = decided(app, &asked, end.to).await?;
    app.recorder.record(&screened);
    if !screened.allowed() {
        let (party, decision) = (Some(end.from), Some(screened.id));
        return refuse(app, asked, party, Unanswered::Refused, decision, announcements).await;
    }
    let mut call = asked.record(app, Some(end.from))?;
    call.to = Some(end.to);
    call.decision = Some(screened.id);
    let id = call.id;
    let kept = match app.store.directory.keep_call(call).await {
        Ok(kept) => kept,
        Err(error) => {
            screened.undo(app).await;
            return Err(error.into());
        }
    };
    if kept.id != id {
        // The same question at the same time.
        screened.undo(app).await;
        return Ok(again(app, &kept, announcements).await?);
    }
    screened.note_allow(app);
    tell::call_changed(app, &kept).await?;
    Ok(through(&kept, end, record, announcements))
}

fn through(kept: &CallRecord, end: FarEnd, record: bool, announcements: &Announcements) -> Answer {
    let say = Some(announcements.recording.clone()).filter(|text| record && !text.is_empty());
    Answer::Connect {
        call: kept.id,
        to: end.to,
        shown: end.shown,
        record,
        say: say.map(|text| (text, announcements.language.clone())),
    }
}

/// The screening that everything goes through: country policy, deny lists, opt-outs, limits, budgets, rules.
async fn decided(app: &App, asked: &Asked<'_>, to: Msisdn) -> Result<Box<Screened>, Refusal> {
    let parsed = Msisdn::parse(&to.to_e164(), None).map_err(|_| Refusal::NotFound)?;
    let key = asked.incoming.caller.map_or(OWN_KEY, |caller| caller.key.id.as_str());
    let ip = asked.incoming.caller.map_or(ClientIp::from_ip(Ipv4Addr::LOCALHOST.into()), |caller| caller.ip);
    let request = Request {
        channel: Channel::Call,
        purpose: Some("masking".to_owned()),
        price: price(app, parsed.country, 1).map(|p| p.total),
        ..Request::new(Operation::VoiceCall, asked.subaccount.clone(), key, &parsed, ip)
    };
    Ok(screen(app, request, app.now()).await?)
}

impl Asked<'_> {
    fn record(&self, app: &App, party: Option<Party>) -> Result<CallRecord, Refusal> {
        let now = app.now();
        Ok(CallRecord {
            id: app.ids.next(now)?,
            session: self.session.map(|session| session.id),
            subaccount: self.subaccount.clone(),
            from: self.from,
            to: None,
            mask: self.mask,
            via: self.incoming.via.to_owned(),
            reference: self.incoming.reference.clone(),
            call: Call::begun(party, now),
            refusal: None,
            decision: None,
            recordings: Vec::new(),
            revision: 0,
        })
    }
}

/// A call that does not go through is recorded, too.
async fn refuse(
    app: &App,
    asked: Asked<'_>,
    party: Option<Party>,
    why: Unanswered,
    decision: Option<Id>,
    announcements: &Announcements,
) -> Result<Answer, NotAnswered> {
    let mut call = asked.record(app, party)?;
    call.refusal = Some(why);
    call.decision = decision;
    call.call.note(Progress::Ended(Some(CallResult::Refused)), call.call.began_at);
    let kept = app.store.directory.keep_call(call).await?;
    tell::call_changed(app, &kept).await?;
    Ok(turned_away(announcements, Some(kept.id), kept.refusal.unwrap_or(why), kept.decision))
}

fn turned_away(
    announcements: &Announcements,
    call: Option<Id>,
    why: Unanswered,
    decision: Option<Id>,
) -> Answer {
    let say = (announcements.of(why).to_owned(), announcements.language.clone());
    Answer::Refuse { call, why, say, decision }
}

/// A network asked before: it gets the same answer, and nothing is charged again.
async fn again(app: &App, call: &CallRecord, announcements: &Announcements) -> Result<Answer, Refusal> {
    let over = call.refusal.or(call.call.ended.map(|_| Unanswered::Ended));
    let session = match call.session {
        Some(id) => app.store.directory.mask(id).await?,
        None => None,
    };
    match (over, call.to, call.call.from) {
        (None, Some(to), Some(from)) => {
            let record = session.is_some_and(|session| session.record);
            Ok(through(call, FarEnd { from, to, shown: call.mask }, record, announcements))
        }
        (why, ..) => {
            Ok(turned_away(announcements, Some(call.id), why.unwrap_or(Unanswered::Ended), call.decision))
        }
    }
}

//! The gateway itself writes to a number: answers and questions. They are screened like any other message.

use std::net::Ipv4Addr;
use std::sync::Arc;

use seawall_core::client_ip::ClientIp;
use seawall_core::consent::Category;
use seawall_core::id::Id;
use seawall_core::msisdn::{Msisdn, ParsedNumber};
use seawall_core::request::{Client, Terms};
use seawall_core::segments::{EncodingChoice, segment};
use seawall_store::records::Details;

use super::super::entities::ApiKey;
use super::super::send_messages::{SendMessage, send_messages};
use super::super::who::Caller;
use super::super::{App, Refusal};

/// The key that decisions about such messages name.
pub const OWN_KEY: &str = "gateway";

/// Whom it writes to.
pub struct Addressee {
    /// The number.
    pub number: Msisdn,
    /// Whether the app named it encrypted, so that what is told of the message must not show it.
    pub veiled: bool,
}

impl From<Msisdn> for Addressee {
    fn from(number: Msisdn) -> Self {
        Addressee { number, veiled: false }
    }
}

/// Sends a text of the gateway's own, or one that it passes on. Gives the message's id; a refusal has its decision.
pub async fn say(
    app: &App,
    subaccount: &str,
    to: impl Into<Addressee>,
    text: &str,
    source: Option<String>,
    category: Category,
    purpose: &str,
) -> Result<Id, Refusal> {
    let Addressee { number, veiled } = to.into();
    let parsed = Msisdn::parse(&number.to_e164(), None).map_err(|_| Refusal::NotFound)?;
    let to = ParsedNumber { veiled, ..parsed };
    let sized = segment(text, EncodingChoice::Auto)
        .map_err(|e| Refusal::Invalid { field: "text", problem: e.to_string() })?;
    let default_source =
        || app.snapshot.load().subaccounts.get(subaccount).and_then(|s| s.default_source.clone());
    let source = source.or_else(default_source);
    let details = Details { source, category: Some(category), veiled, ..Details::default() };
    let ask = SendMessage {
        steps: Vec::new(),
        to,
        text: text.to_owned(),
        sized,
        details,
        due: None,
        expires_at: None,
        client: Client::default(),
        terms: Terms::default(),
        purpose: Some(purpose.to_owned()),
    };
    let sent = send_messages(app, &itself(app), subaccount, vec![ask], None, None).await?;
    let one = sent.into_iter().next().ok_or(Refusal::NotFound)?;
    if one.screened.allowed() { Ok(one.screened.id) } else { Err(Refusal::Decided(one.screened)) }
}

fn itself(app: &App) -> Caller {
    let key = ApiKey {
        id: OWN_KEY.to_owned(),
        name: OWN_KEY.to_owned(),
        subaccounts: None,
        scopes: None,
        plan: None,
        ip_allowlist: Vec::new(),
        expires_at: None,
        enabled: true,
        last6: String::new(),
        hash: String::new(),
        previous: None,
        created_at: app.now(),
    };
    Caller { key: Arc::new(key), ip: ClientIp::from_ip(Ipv4Addr::LOCALHOST.into()) }
}

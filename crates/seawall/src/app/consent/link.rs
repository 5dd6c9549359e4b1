//! The link in a code's text with which its recipient says "not me". It names the message and carries a mark that only
//! this gateway can make; who sees it learns nothing of the number. It is good for one thing, for a day.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use seawall_core::consent::Category;
use seawall_core::id::Id;
use seawall_core::limit::Charge;
use seawall_core::time::Timestamp;
use seawall_store::StoreError;
use seawall_store::records::MessageRecord;
use seawall_store::vault::Vault;

use super::super::App;
use super::super::audit::Actor;
use super::not_me;

/// What stands in a template where the link goes.
pub const PLACEHOLDER: &str = "{not_me}";
/// From the message on.
const VALID: Duration = Duration::from_secs(24 * 3600);
const PURPOSE: &str = "not-me";
/// Looks and clicks of one address in a minute; a page of a stranger is guessed at in vain, and not often.
const QUOTA: u32 = 20;

/// The link for a message, if the gateway knows where it is reached from outside.
pub fn of(app: &App, message: Id) -> Option<String> {
    let base = app.config.server.public_url.as_deref()?;
    Some(format!("{base}/n/{}", token(&app.store.vault, message)))
}

/// 32 characters: the id of the message and the mark.
fn token(vault: &Vault, message: Id) -> String {
    let id = message.as_bytes();
    BASE64.encode([&id[..], &vault.mark(PURPOSE, &id)].concat())
}

fn read(vault: &Vault, token: &str) -> Option<Id> {
    let bytes = BASE64.decode(token).ok()?;
    let (id, mark) = bytes.split_first_chunk::<16>()?;
    vault.is_marked(PURPOSE, id, mark).then(|| Id::from_bytes(*id))
}

/// What a link leads to.
pub enum Led {
    /// The recipient may say so now.
    Open(Box<MessageRecord>),
    /// It was said already, and is in force.
    Said,
    /// Nobody made this link, its time is over, or the message was erased. They are not told apart.
    Nowhere,
}

/// Counts a look; the instant from which on the next one is welcome, when there were too many.
pub async fn charge(
    app: &App,
    ip: seawall_core::client_ip::ClientIp,
) -> Result<Option<Timestamp>, StoreError> {
    let index = app.store.vault.index();
    let key = index.counter(index.text(b'8', "not-me links"), index.client(ip));
    let charge = Charge::rate(key, QUOTA, Duration::from_secs(60));
    let full = app.store.counters.charge(&[charge], 1, app.now()).await?;
    Ok(full.exceeded.iter().map(|full| full.retry_at).max())
}

/// Follows a link. Changes nothing: programs that preview links follow them, too.
pub async fn follow(app: &App, token: &str) -> Result<Led, StoreError> {
    let now = app.now();
    let Some(id) = read(&app.store.vault, token) else { return Ok(Led::Nowhere) };
    if id.at().plus(VALID) <= now {
        return Ok(Led::Nowhere);
    }
    let found = app.store.ledger.message(None, id).await?;
    let known = found.filter(|m| m.verification.is_some() && m.to != seawall_core::msisdn::Msisdn::ERASED);
    let Some(message) = known else { return Ok(Led::Nowhere) };
    let scopes = app.store.directory.opted_out(message.to).await?;
    let said = scopes
        .iter()
        .any(|scope| scope.category == Some(Category::Code) && scope.until.is_some_and(|until| now < until));
    Ok(if said { Led::Said } else { Led::Open(Box::new(message)) })
}

/// The recipient pressed the button. Once: a second press finds it said.
pub async fn say(app: &App, token: &str, ip: seawall_core::client_ip::ClientIp) -> Result<bool, StoreError> {
    let message = match follow(app, token).await? {
        Led::Open(message) => message,
        Led::Said => return Ok(true),
        Led::Nowhere => return Ok(false),
    };
    let actor = Actor { name: "link".to_owned(), ip: Some(ip.to_string()) };
    not_me::note(app, message.to, Some(&message.subaccount), "link", &actor).await?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_made_here_is_read() {
        let vault = Vault::from_keys(&[(1, [7; 32])]).unwrap();
        let id = Id::new(4711, 42);
        let made = token(&vault, id);
        assert_eq!((made.len(), read(&vault, &made)), (32, Some(id)));
        let other = Vault::from_keys(&[(1, [8; 32])]).unwrap();
        assert_eq!(read(&other, &made), None);
        for at in 0..made.len() {
            let mut changed = made.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            assert_eq!(read(&vault, std::str::from_utf8(&changed).unwrap()), None, "{at}");
        }
        assert_eq!(read(&vault, ""), None);
    }
}

//! Webhooks: where receipts and inbound messages go.

use seawall_core::id::IdKind;
use seawall_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::super::App;
use super::super::entities::{Webhook, WebhookOauth, collection};
use super::super::secrets::new_webhook_secret;
use super::around::Around;
use super::mask::MASK;
use super::{Collection, Wrong};
use crate::jobs::egress::{self, Rules};

/// A webhook as it is wished.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WebhookInput {
    /// A subaccount, or `*` (also when absent) for all that have none of their own.
    pub subaccount_id: Option<String>,
    /// Where to.
    pub url: String,
    /// Value of the `Authorization` header. `"***"` keeps what is stored.
    #[schema(min_length = 1, max_length = 4096)]
    pub authorization: Option<String>,
    /// OAuth 2 client credentials instead.
    pub oauth: Option<OauthInput>,
    /// Whether it is used; true when absent.
    pub enabled: Option<bool>,
}

/// OAuth 2 client credentials.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OauthInput {
    /// Token endpoint.
    pub url: String,
    /// Client id.
    pub client_id: String,
    /// Client secret; shown as `"***"`, which keeps what is stored.
    pub client_secret: String,
    /// `header` or `body`; `header` when absent.
    #[schema(pattern = "^(header|body)$")]
    pub credentials_location: Option<String>,
    /// Scope to ask for.
    pub scope: Option<String>,
}

/// A webhook as it is shown.
#[derive(Serialize, ToSchema)]
pub struct WebhookView {
    /// `whk_…`
    pub id: String,
    /// A subaccount, or `*` for all.
    pub subaccount_id: String,
    /// Where to.
    pub url: String,
    /// `"***"` when there is one.
    pub authorization: Option<String>,
    /// OAuth 2 client credentials, the secret masked.
    pub oauth: Option<OauthInput>,
    /// The signing secret: in the answer that made it, and never again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
    /// Whether it is used.
    pub enabled: bool,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
}

/// The collection.
pub struct Webhooks;

/// A URL that deliveries may go to. What its name resolves to is checked again at each delivery.
pub(super) fn check_url(app: &App, field: &str, text: &str) -> Result<(), Wrong> {
    egress::check_url(text, Rules::of(&app.config))
        .map(|_| ())
        .map_err(|problem| Wrong::field(field, problem))
}

fn apply(app: &App, hook: &mut Webhook, input: WebhookInput, around: &Around) -> Result<(), Wrong> {
    let subaccount = input.subaccount_id.unwrap_or_else(|| "*".to_owned());
    if subaccount != "*" {
        around.check_subaccount("subaccount_id", Some(&subaccount))?;
    }
    check_url(app, "url", &input.url)?;
    let authorization = authorization(input.authorization, hook.authorization.as_deref())?;
    if authorization.is_some() && input.oauth.is_some() {
        return Err(Wrong::field("oauth", "cannot be given together with `authorization`; keep one of them"));
    }
    let stored = hook.oauth.as_ref().map(|o| o.client_secret.as_str());
    let oauth = input.oauth.map(|oauth| checked_oauth(app, oauth, stored)).transpose()?;
    hook.subaccount_id = subaccount;
    hook.url = input.url;
    hook.authorization = authorization;
    hook.oauth = oauth;
    hook.enabled = input.enabled.unwrap_or(true);
    Ok(())
}

/// What stands in the header `Authorization` of deliveries.
pub(super) fn authorization(given: Option<String>, stored: Option<&str>) -> Result<Option<String>, Wrong> {
    let value = kept("authorization", given, stored)?;
    let fits =
        |value: &String| (1..=4096).contains(&value.len()) && value.bytes().all(|b| (32..127).contains(&b));
    if !value.as_ref().is_none_or(fits) {
        return Err(Wrong::field("authorization", "must be 1 to 4096 printable ASCII characters"));
    }
    Ok(value)
}

/// The stored secret where the mask came back.
fn kept(field: &str, given: Option<String>, stored: Option<&str>) -> Result<Option<String>, Wrong> {
    match (given, stored) {
        (Some(given), Some(stored)) if given == MASK => Ok(Some(stored.to_owned())),
        (Some(given), None) if given == MASK => {
            Err(Wrong::field(field, format!("\"{MASK}\" keeps a secret that is stored; there is none yet")))
        }
        (given, _) => Ok(given),
    }
}

fn checked_oauth(app: &App, oauth: OauthInput, stored: Option<&str>) -> Result<WebhookOauth, Wrong> {
    check_url(app, "oauth.url", &oauth.url)?;
    let location = oauth.credentials_location.unwrap_or_else(|| "header".to_owned());
    if !["header", "body"].contains(&location.as_str()) {
        return Err(Wrong::field("oauth.credentials_location", "must be \"header\" or \"body\""));
    }
    for (field, value) in
        [("oauth.client_id", &oauth.client_id), ("oauth.client_secret", &oauth.client_secret)]
    {
        if value.is_empty() || value.len() > 4096 {
            return Err(Wrong::field(field, "must be 1 to 4096 characters"));
        }
    }
    let secret = kept("oauth.client_secret", Some(oauth.client_secret), stored)?.unwrap_or_default();
    Ok(WebhookOauth {
        url: oauth.url,
        client_id: oauth.client_id,
        client_secret: secret,
        credentials_location: location,
        scope: oauth.scope,
    })
}

fn oauth_input(oauth: &WebhookOauth, secret: &str) -> OauthInput {
    OauthInput {
        url: oauth.url.clone(),
        client_id: oauth.client_id.clone(),
        client_secret: secret.to_owned(),
        credentials_location: Some(oauth.credentials_location.clone()),
        scope: oauth.scope.clone(),
    }
}

impl Collection for Webhooks {
    const NAME: &'static str = collection::WEBHOOKS;
    type Input = WebhookInput;
    type Entity = Webhook;
    type View = WebhookView;

    fn make(app: &App, input: WebhookInput, around: &Around) -> Result<(Webhook, Option<String>), Wrong> {
        let secret = new_webhook_secret(&app.store.vault)?;
        let mut hook = Webhook {
            id: app.ids.next(around.now)?.show(IdKind::Webhook),
            subaccount_id: String::new(),
            url: String::new(),
            authorization: None,
            oauth: None,
            secrets: vec![secret.clone()],
            enabled: true,
            created_at: around.now,
        };
        apply(app, &mut hook, input, around)?;
        Ok((hook, Some(secret)))
    }

    fn input(entity: &Webhook) -> WebhookInput {
        WebhookInput {
            subaccount_id: Some(entity.subaccount_id.clone()),
            url: entity.url.clone(),
            authorization: entity.authorization.clone(),
            oauth: entity.oauth.as_ref().map(|oauth| oauth_input(oauth, &oauth.client_secret)),
            enabled: Some(entity.enabled),
        }
    }

    fn change(app: &App, entity: &mut Webhook, input: WebhookInput, around: &Around) -> Result<(), Wrong> {
        apply(app, entity, input, around)
    }

    fn view(entity: &Webhook, _around: &Around, once: Option<String>) -> WebhookView {
        WebhookView {
            id: entity.id.clone(),
            subaccount_id: entity.subaccount_id.clone(),
            url: entity.url.clone(),
            authorization: entity.authorization.as_ref().map(|_| MASK.to_owned()),
            oauth: entity.oauth.as_ref().map(|oauth| oauth_input(oauth, MASK)),
            secret: once,
            enabled: entity.enabled,
            created_at: entity.created_at,
        }
    }

    fn id(entity: &Webhook) -> String {
        entity.id.clone()
    }

    /// One webhook a subaccount; paths take the subaccount in place of the id.
    fn unique(entity: &Webhook) -> Option<String> {
        Some(entity.subaccount_id.clone())
    }
}

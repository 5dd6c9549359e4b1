//! Webhooks of voice events in 8x8's words: one for each kind and subaccount.

use seawall_core::id::IdKind;
use seawall_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::super::App;
use super::super::entities::{Webhook, collection};
use super::super::masking::inventory::{VoiceEvent, VoiceWebhook};
use super::super::secrets::new_webhook_secret;
use super::around::Around;
use super::mask::MASK;
use super::webhooks::{authorization, check_url};
use super::{Collection, Wrong};

/// A voice webhook as it is wished.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct VoiceWebhookInput {
    /// Whose.
    pub subaccount_id: String,
    /// Which kind of event.
    pub event: VoiceEvent,
    /// Where to.
    pub url: String,
    /// Value of the `Authorization` header. `"***"` keeps what is stored.
    #[schema(min_length = 1, max_length = 4096)]
    pub authorization: Option<String>,
    /// Whether it is used; true when absent.
    pub enabled: Option<bool>,
}

/// A voice webhook as it is shown.
#[derive(Serialize, ToSchema)]
#[schema(as = VoiceWebhook)]
pub struct VoiceWebhookView {
    /// `whk_…`
    pub id: String,
    /// Whose.
    pub subaccount_id: String,
    /// Which kind of event.
    pub event: VoiceEvent,
    /// Where to.
    pub url: String,
    /// `"***"` when there is one.
    pub authorization: Option<String>,
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
pub struct VoiceWebhooks;

fn apply(
    app: &App,
    voice: &mut VoiceWebhook,
    input: VoiceWebhookInput,
    around: &Around,
) -> Result<(), Wrong> {
    around.check_subaccount("subaccount_id", Some(&input.subaccount_id))?;
    check_url(app, "url", &input.url)?;
    let authorization = authorization(input.authorization, voice.hook.authorization.as_deref())?;
    voice.event = input.event;
    voice.hook.subaccount_id = input.subaccount_id;
    voice.hook.url = input.url;
    voice.hook.authorization = authorization;
    voice.hook.enabled = input.enabled.unwrap_or(true);
    Ok(())
}

impl Collection for VoiceWebhooks {
    const NAME: &'static str = collection::VOICE_WEBHOOKS;
    type Input = VoiceWebhookInput;
    type Entity = VoiceWebhook;
    type View = VoiceWebhookView;

    fn make(
        app: &App,
        input: VoiceWebhookInput,
        around: &Around,
    ) -> Result<(VoiceWebhook, Option<String>), Wrong> {
        let secret = new_webhook_secret(&app.store.vault)?;
        let hook = Webhook {
            id: app.ids.next(around.now)?.show(IdKind::Webhook),
            subaccount_id: String::new(),
            url: String::new(),
            authorization: None,
            oauth: None,
            secrets: vec![secret.clone()],
            enabled: true,
            created_at: around.now,
        };
        let mut voice = VoiceWebhook { event: input.event, hook };
        apply(app, &mut voice, input, around)?;
        Ok((voice, Some(secret)))
    }

    fn input(entity: &VoiceWebhook) -> VoiceWebhookInput {
        VoiceWebhookInput {
            subaccount_id: entity.hook.subaccount_id.clone(),
            event: entity.event,
            url: entity.hook.url.clone(),
            authorization: entity.hook.authorization.clone(),
            enabled: Some(entity.hook.enabled),
        }
    }

    fn change(
        app: &App,
        entity: &mut VoiceWebhook,
        input: VoiceWebhookInput,
        around: &Around,
    ) -> Result<(), Wrong> {
        apply(app, entity, input, around)
    }

    fn view(entity: &VoiceWebhook, _around: &Around, once: Option<String>) -> VoiceWebhookView {
        VoiceWebhookView {
            id: entity.hook.id.clone(),
            subaccount_id: entity.hook.subaccount_id.clone(),
            event: entity.event,
            url: entity.hook.url.clone(),
            authorization: entity.hook.authorization.as_ref().map(|_| MASK.to_owned()),
            secret: once,
            enabled: entity.hook.enabled,
            created_at: entity.hook.created_at,
        }
    }

    fn id(entity: &VoiceWebhook) -> String {
        entity.hook.id.clone()
    }

    fn unique(entity: &VoiceWebhook) -> Option<String> {
        Some(format!("{}/{}", entity.hook.subaccount_id, entity.event.as_str()))
    }
}

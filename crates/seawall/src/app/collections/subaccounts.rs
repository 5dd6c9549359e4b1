//! Subaccounts.

use std::ops::RangeInclusive;
use std::time::Duration;

use seawall_core::consent::Category;
use seawall_core::message::Channel;
use seawall_core::msisdn::NumberKind;
use seawall_core::policy::{
    ConsentPolicy, CountryPolicy, MaxPrice, SendingWindow, SubaccountPolicy, TextPolicy, UrlPolicy,
};
use seawall_core::sender_id::SenderId;
use seawall_core::time::{Timestamp, span};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::super::App;
use super::super::consent::shapes::ConsentPolicyShape;
use super::super::entities::{Subaccount, collection};
use super::around::Around;
use super::shapes::{CountryPolicyShape, MaxPriceShape, SendingWindowShape, TextPolicyShape};
use super::{Collection, Wrong};

/// What an id may look like, in words.
pub const SUBACCOUNT_RULE: &str = "3 to 50 letters, digits, `-`, `.`, `_` or `&` are needed";
/// Products that can be switched on.
const PRODUCTS: [&str; 6] = ["verify", "sms", "lookup", "masking", "voice", "contacts"];

/// For how long repetitions may be taken for one request: an hour is remembered in any case.
const DEDUP_WINDOWS: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(3600);

/// Whether an id has the form that paths and 8x8's clients rely on.
pub fn well_formed(id: &str) -> bool {
    (3..=50).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._&".contains(&b))
}

/// A subaccount as it is wished.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SubaccountInput {
    /// The id in paths; cannot be changed.
    #[schema(pattern = "^[A-Za-z0-9._&-]{3,50}$")]
    pub id: String,
    /// For people; unique.
    #[schema(min_length = 1, max_length = 100)]
    pub name: Option<String>,
    /// Name of its plan.
    #[schema(min_length = 1, max_length = 100)]
    pub plan: Option<String>,
    /// Products it may use: `verify`, `sms`, `lookup`, `masking`, `voice`, `contacts`; absent: all.
    pub products: Option<Vec<String>>,
    /// Sender ID used when a request names none.
    pub default_source: Option<String>,
    /// Within so long, `1s` to `1h`, an identical 8x8 request without an idempotency key gets the first one's
    /// answer; absent: each is a request of its own.
    #[schema(pattern = "^[0-9]+(ms|s|m|h|d)$", example = "30s")]
    pub dedup_window: Option<String>,
    /// Where it sends.
    #[schema(value_type = Option<CountryPolicyShape>)]
    pub country_policy: Option<CountryPolicy>,
    /// Refuse sends without the end user's address.
    pub require_client_ip: Option<bool>,
    /// Number types it does not send to, such as `premium_rate`.
    #[schema(value_type = Option<Vec<String>>)]
    pub refused_number_types: Option<Vec<NumberKind>>,
    /// Refuse numbers of public receive-SMS sites; else they are recorded in shadow.
    pub refuse_disposable: Option<bool>,
    /// What a message may cost.
    #[schema(value_type = Option<MaxPriceShape>)]
    pub max_price: Option<MaxPrice>,
    /// Send codes also to numbers that opted out of messages.
    pub codes_despite_opt_out: Option<bool>,
    /// Channels (`sms`, `call`) that take over, in this order, when a code should not go over the one asked for.
    #[schema(value_type = Option<Vec<String>>)]
    pub workflow: Option<Vec<Channel>>,
    /// What its texts have to look like.
    #[schema(value_type = Option<TextPolicyShape>)]
    pub text: Option<TextPolicy>,
    /// What it asks numbers for.
    #[schema(value_type = Option<ConsentPolicyShape>)]
    pub consent: Option<ConsentPolicy>,
    /// Hours of the recipient's day in which messages other than codes go out.
    #[schema(value_type = Option<SendingWindowShape>)]
    pub sending_window: Option<SendingWindow>,
}

/// A subaccount as it is shown.
#[derive(Serialize, ToSchema)]
pub struct SubaccountView {
    /// The id in paths.
    pub id: String,
    /// For people.
    pub name: Option<String>,
    /// Name of its plan.
    pub plan: Option<String>,
    /// Products it may use; `null`: all.
    pub products: Option<Vec<String>>,
    /// Sender ID used when a request names none.
    pub default_source: Option<String>,
    /// Within so long an identical 8x8 request without an idempotency key gets the first one's answer.
    pub dedup_window: Option<String>,
    /// Where it sends.
    #[schema(value_type = CountryPolicyShape)]
    pub country_policy: CountryPolicy,
    /// Refuse sends without the end user's address.
    pub require_client_ip: bool,
    /// Number types it does not send to.
    #[schema(value_type = Vec<String>)]
    pub refused_number_types: Vec<NumberKind>,
    /// Refuse numbers of public receive-SMS sites; else they are recorded in shadow.
    pub refuse_disposable: bool,
    /// What a message may cost.
    #[schema(value_type = MaxPriceShape)]
    pub max_price: MaxPrice,
    /// Send codes also to numbers that opted out of messages.
    pub codes_despite_opt_out: bool,
    /// Channels that take over, in this order, when a code should not go over the one asked for.
    #[schema(value_type = Vec<String>)]
    pub workflow: Vec<Channel>,
    /// What its texts have to look like.
    #[schema(value_type = TextPolicyShape)]
    pub text: TextPolicy,
    /// What it asks numbers for.
    #[schema(value_type = ConsentPolicyShape)]
    pub consent: ConsentPolicy,
    /// Hours of the recipient's day in which messages other than codes go out.
    #[schema(value_type = Option<SendingWindowShape>)]
    pub sending_window: Option<SendingWindow>,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
}

/// The collection.
pub struct Subaccounts;

fn check(input: &SubaccountInput) -> Result<(), Wrong> {
    if !well_formed(&input.id) {
        return Err(Wrong::field("id", format!("`{}` cannot be an id: {SUBACCOUNT_RULE}", short(&input.id))));
    }
    label("name", input.name.as_deref())?;
    check_products("products", input.products.as_deref())?;
    check_hosts(input.text.as_ref())?;
    check_price(input.max_price.as_ref())?;
    check_consent(input)?;
    match input.default_source.as_deref().map(SenderId::parse) {
        Some(Err(problem)) => Err(Wrong::field("default_source", problem.to_string())),
        _ => Ok(()),
    }
}

/// Products are known ones.
pub(super) fn check_products(field: &str, products: Option<&[String]>) -> Result<(), Wrong> {
    match products.into_iter().flatten().find(|product| !PRODUCTS.contains(&product.as_str())) {
        None => Ok(()),
        Some(product) => {
            let known = PRODUCTS.join(", ");
            Err(Wrong::field(field, format!("`{}` is no product; there are {known}", short(product))))
        }
    }
}

/// Hosts as they are compared: in lower case, without scheme, port or path.
fn check_hosts(text: Option<&TextPolicy>) -> Result<(), Wrong> {
    let Some(UrlPolicy::Listed(hosts)) = text.map(|t| &t.urls) else { return Ok(()) };
    let fine = |host: &String| {
        (1..=253).contains(&host.len())
            && *host == host.to_lowercase()
            && host.chars().all(|c| c.is_alphanumeric() || c == '-' || c == '.')
    };
    match hosts.iter().find(|host| !fine(host)) {
        _ if hosts.len() > 1000 => Err(Wrong::field("text.urls.listed", "has more than 1000 hosts")),
        None => Ok(()),
        Some(host) => Err(Wrong::field(
            "text.urls.listed",
            format!(
                "`{}` is no host; write it in lower case without scheme and path, such as acme.com",
                short(host)
            ),
        )),
    }
}

/// Messages of a caller are transactional or advertising; only these can wait for an hour.
fn check_consent(input: &SubaccountInput) -> Result<(), Wrong> {
    let fits = |category: &Category| matches!(category, Category::Transactional | Category::Marketing);
    let wrong = |field| Err(Wrong::field(field, "must be `transactional` or `marketing`"));
    if input.consent.is_some_and(|consent| !fits(&consent.default_category)) {
        return wrong("consent.default_category");
    }
    match input.sending_window.iter().flat_map(|w| &w.categories).find(|category| !fits(category)) {
        Some(_) => wrong("sending_window.categories"),
        None => Ok(()),
    }
}

/// A price is not negative.
fn check_price(most: Option<&MaxPrice>) -> Result<(), Wrong> {
    let Some(most) = most else { return Ok(()) };
    let named =
        most.countries.iter().map(|(country, price)| (format!("max_price.countries.{country}"), *price));
    let all = most.default.map(|price| ("max_price.default".to_owned(), price)).into_iter().chain(named);
    match all.into_iter().find(|(_, price)| *price < 0) {
        Some((field, price)) => {
            Err(Wrong::field(field, format!("{price} is no price; use micro-units from 0 up")))
        }
        None => Ok(()),
    }
}

/// A text for people: not empty, one line, not long.
pub(super) fn label(field: &str, text: Option<&str>) -> Result<(), Wrong> {
    match text {
        Some(text)
            if text.trim().is_empty() || text.chars().count() > 100 || text.chars().any(char::is_control) =>
        {
            Err(Wrong::field(field, "must be 1 to 100 characters in one line"))
        }
        _ => Ok(()),
    }
}

/// As much of a value as an error repeats.
pub(super) fn short(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(60).collect()
}

fn policy(input: &SubaccountInput) -> SubaccountPolicy {
    let standard = SubaccountPolicy::default();
    SubaccountPolicy {
        country_policy: input.country_policy.clone().unwrap_or_default(),
        require_client_ip: input.require_client_ip.unwrap_or_default(),
        refused_number_types: input.refused_number_types.clone().unwrap_or(standard.refused_number_types),
        refuse_disposable: input.refuse_disposable.unwrap_or_default(),
        max_price: input.max_price.clone().unwrap_or_default(),
        codes_despite_opt_out: input.codes_despite_opt_out.unwrap_or_default(),
        workflow: input.workflow.clone().unwrap_or_default(),
        text: input.text.clone().unwrap_or_default(),
        consent: input.consent.unwrap_or_default(),
        sending_window: input.sending_window.clone(),
        challenges: standard.challenges,
    }
}

fn dedup_window(text: Option<&str>) -> Result<Option<Duration>, Wrong> {
    let Some(text) = text else { return Ok(None) };
    let fits = span::parse(text).filter(|window| DEDUP_WINDOWS.contains(window));
    let say = || format!("`{}` is not a duration from \"1s\" to \"1h\", such as \"30s\"", short(text));
    fits.map(Some).ok_or_else(|| Wrong::field("dedup_window", say()))
}

fn build(input: SubaccountInput, created_at: Timestamp) -> Result<Subaccount, Wrong> {
    check(&input)?;
    Ok(Subaccount {
        policy: policy(&input),
        dedup_window: dedup_window(input.dedup_window.as_deref())?,
        id: input.id,
        name: input.name,
        plan: input.plan,
        products: input.products,
        default_source: input.default_source,
        created_at,
    })
}

impl Collection for Subaccounts {
    const NAME: &'static str = collection::SUBACCOUNTS;
    type Input = SubaccountInput;
    type Entity = Subaccount;
    type View = SubaccountView;

    fn make(
        _app: &App,
        input: SubaccountInput,
        around: &Around,
    ) -> Result<(Subaccount, Option<String>), Wrong> {
        around.check_plan("plan", input.plan.as_deref())?;
        Ok((build(input, around.now)?, None))
    }

    fn input(entity: &Subaccount) -> SubaccountInput {
        let policy = entity.policy.clone();
        SubaccountInput {
            id: entity.id.clone(),
            name: entity.name.clone(),
            plan: entity.plan.clone(),
            products: entity.products.clone(),
            default_source: entity.default_source.clone(),
            dedup_window: entity.dedup_window.map(span::format),
            country_policy: Some(policy.country_policy),
            require_client_ip: Some(policy.require_client_ip),
            refused_number_types: Some(policy.refused_number_types),
            refuse_disposable: Some(policy.refuse_disposable),
            max_price: Some(policy.max_price),
            codes_despite_opt_out: Some(policy.codes_despite_opt_out),
            workflow: Some(policy.workflow),
            text: Some(policy.text),
            consent: Some(policy.consent),
            sending_window: policy.sending_window,
        }
    }

    fn change(
        _app: &App,
        entity: &mut Subaccount,
        input: SubaccountInput,
        around: &Around,
    ) -> Result<(), Wrong> {
        if input.plan != entity.plan {
            around.check_plan("plan", input.plan.as_deref())?;
        }
        if input.id != entity.id {
            return Err(Wrong::field("id", "cannot be changed; make a new subaccount"));
        }
        *entity = build(input, entity.created_at)?;
        Ok(())
    }

    fn view(entity: &Subaccount, _around: &Around, _once: Option<String>) -> SubaccountView {
        let policy = entity.policy.clone();
        SubaccountView {
            id: entity.id.clone(),
            name: entity.name.clone(),
            plan: entity.plan.clone(),
            products: entity.products.clone(),
            default_source: entity.default_source.clone(),
            dedup_window: entity.dedup_window.map(span::format),
            country_policy: policy.country_policy,
            require_client_ip: policy.require_client_ip,
            refused_number_types: policy.refused_number_types,
            refuse_disposable: policy.refuse_disposable,
            max_price: policy.max_price,
            codes_despite_opt_out: policy.codes_despite_opt_out,
            workflow: policy.workflow,
            text: policy.text,
            consent: policy.consent,
            sending_window: policy.sending_window,
            created_at: entity.created_at,
        }
    }

    fn id(entity: &Subaccount) -> String {
        entity.id.clone()
    }

    fn unique(entity: &Subaccount) -> Option<String> {
        entity.name.clone()
    }

    fn may_delete(entity: &Subaccount, around: &Around) -> Result<(), Wrong> {
        let users = around.users_of_subaccount(&entity.id);
        match users.first() {
            None => Ok(()),
            Some(first) => Err(Wrong::InUse(format!(
                "subaccount `{}` is named by {first} and {} more; change or delete these first",
                entity.id,
                users.len() - 1
            ))),
        }
    }
}

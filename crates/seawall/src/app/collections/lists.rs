//! Lists, without their entries: these are in [`crate::app::lists`].

use seawall_core::id::IdKind;
use seawall_core::list::{List, ListEffect, ListKind};
use seawall_core::time::Timestamp;
use seawall_store::records::Document;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::super::App;
use super::super::entities::collection;
use super::around::Around;
use super::shapes::{ListEffectShape, ListKindShape};
use super::subaccounts::{label, short};
use super::{Collection, Wrong};

/// A list as it is stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StoredList {
    /// `lst_…`
    pub id: String,
    /// Unique.
    pub name: String,
    /// What its entries name.
    pub kind: ListKind,
    /// What they do.
    pub effect: ListEffect,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Every installation has it.
    #[serde(default)]
    pub built_in: bool,
    /// When it was made.
    pub created_at: Timestamp,
}

impl StoredList {
    /// As the index takes it.
    pub fn into_index(self) -> List {
        List { id: self.id, name: self.name, kind: self.kind, effect: self.effect }
    }
}

/// One to allow and one to deny for every kind. They are nowhere stored, so that they cannot be missing.
pub fn built_in() -> Vec<Document> {
    let effects = [ListEffect::Allow, ListEffect::Deny];
    let all = effects.into_iter().flat_map(|effect| ListKind::ALL.map(|kind| (effect, kind)));
    all.map(|(effect, kind)| document(effect, kind)).collect()
}

fn document(effect: ListEffect, kind: ListKind) -> Document {
    let name = format!("{}-{}", effect.as_str(), kind.as_str());
    let list = StoredList {
        id: format!("lst_builtin-{name}"),
        name,
        kind,
        effect,
        description: None,
        built_in: true,
        created_at: Timestamp::default(),
    };
    Document {
        collection: collection::LISTS.to_owned(),
        id: list.id.clone(),
        name: Some(list.name.clone()),
        body: serde_json::to_value(&list).unwrap_or_default(),
        revision: 1,
        created_at: list.created_at,
        updated_at: list.created_at,
    }
}

/// A list as it is wished.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ListInput {
    /// Unique: letters, digits, `-`, `.` and `_`.
    #[schema(pattern = "^[A-Za-z0-9._-]{1,64}$", example = "staff")]
    pub name: String,
    /// What its entries name; cannot be changed.
    #[schema(value_type = ListKindShape)]
    pub kind: ListKind,
    /// What they do; `named` when absent.
    #[schema(value_type = Option<ListEffectShape>)]
    pub effect: Option<ListEffect>,
    /// For people.
    #[schema(min_length = 1, max_length = 100)]
    pub description: Option<String>,
}

/// A list as it is shown.
#[derive(Serialize, ToSchema)]
pub struct ListView {
    /// `lst_…`
    pub id: String,
    /// Unique.
    pub name: String,
    /// What its entries name.
    #[schema(value_type = ListKindShape)]
    pub kind: ListKind,
    /// What they do.
    #[schema(value_type = ListEffectShape)]
    pub effect: ListEffect,
    /// For people.
    pub description: Option<String>,
    /// Every installation has it; it can neither be changed nor deleted, its entries can.
    pub built_in: bool,
    /// How many entries it has, expired ones included.
    pub entries: usize,
    /// Names of the rules that mention it.
    pub used_by: Vec<String>,
    /// When it was made; `null` for a built-in list.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub created_at: Option<Timestamp>,
}

/// The collection.
pub struct Lists;

fn check_name(name: &str) -> Result<(), Wrong> {
    let plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b));
    if (1..=64).contains(&name.len()) && plain && !name.starts_with("lst_") {
        return Ok(());
    }
    let fix = "1 to 64 letters, digits, `-`, `.` or `_` are needed, and it does not begin with `lst_`";
    Err(Wrong::field("name", format!("`{}` cannot be a name: {fix}", short(name))))
}

/// Rules that mention a list in their text, by name.
fn users(around: &Around, name: &str) -> Vec<String> {
    let mentioned = [format!("\"{name}\""), format!("'{name}'")];
    let mentions = |text: &str| mentioned.iter().any(|m| text.contains(m.as_str()));
    let uses = |rule: &&Document| rule.body.get("when").and_then(Value::as_str).is_some_and(mentions);
    let rules = around.documents(collection::RULES).iter().filter(uses);
    rules.map(|rule| rule.name.clone().unwrap_or_else(|| rule.id.clone())).collect()
}

fn unused(list: &StoredList, around: &Around, change: &str) -> Result<(), Wrong> {
    let users = users(around, &list.name);
    if users.is_empty() {
        return Ok(());
    }
    let (name, rules) = (&list.name, users.join("`, `"));
    Err(Wrong::InUse(format!(
        "list `{name}` cannot be {change}: rules mention it (`{rules}`); change them first"
    )))
}

/// An allow list has no entry whose end nobody thought of.
fn may_allow(list: &StoredList, around: &Around) -> Result<(), Wrong> {
    match around.lists.size(&list.id).unending {
        0 => Ok(()),
        unending => Err(Wrong::InUse(format!(
            "list `{}` cannot become an allow list: {unending} of its entries have no expiry; give them one, or make \
             a new list",
            list.name
        ))),
    }
}

impl Collection for Lists {
    const NAME: &'static str = collection::LISTS;
    type Input = ListInput;
    type Entity = StoredList;
    type View = ListView;

    fn make(app: &App, input: ListInput, around: &Around) -> Result<(StoredList, Option<String>), Wrong> {
        check_name(&input.name)?;
        label("description", input.description.as_deref())?;
        // Built-in lists are nowhere stored, so that the store cannot know their names.
        if around.find(Self::NAME, &input.name).is_ok() {
            return Err(Wrong::Taken(input.name));
        }
        let list = StoredList {
            id: app.ids.next(around.now)?.show(IdKind::List),
            name: input.name,
            kind: input.kind,
            effect: input.effect.unwrap_or_default(),
            description: input.description,
            built_in: false,
            created_at: around.now,
        };
        Ok((list, None))
    }

    fn input(entity: &StoredList) -> ListInput {
        ListInput {
            name: entity.name.clone(),
            kind: entity.kind,
            effect: Some(entity.effect),
            description: entity.description.clone(),
        }
    }

    fn change(_app: &App, entity: &mut StoredList, input: ListInput, around: &Around) -> Result<(), Wrong> {
        if entity.built_in {
            return Err(Wrong::InUse(format!(
                "list `{}` is built in: its entries can be changed, it cannot",
                entity.name
            )));
        }
        check_name(&input.name)?;
        label("description", input.description.as_deref())?;
        if input.kind != entity.kind {
            return Err(Wrong::field("kind", "cannot be changed; make a new list"));
        }
        if input.name != entity.name {
            unused(entity, around, "renamed")?;
            if around.find(Self::NAME, &input.name).is_ok() {
                return Err(Wrong::Taken(input.name));
            }
        }
        let effect = input.effect.unwrap_or_default();
        if effect == ListEffect::Allow && entity.effect != ListEffect::Allow {
            may_allow(entity, around)?;
        }
        (entity.name, entity.effect, entity.description) = (input.name, effect, input.description);
        Ok(())
    }

    fn view(entity: &StoredList, around: &Around, _once: Option<String>) -> ListView {
        ListView {
            id: entity.id.clone(),
            name: entity.name.clone(),
            kind: entity.kind,
            effect: entity.effect,
            description: entity.description.clone(),
            built_in: entity.built_in,
            entries: around.lists.size(&entity.id).entries,
            used_by: users(around, &entity.name),
            created_at: (!entity.built_in).then_some(entity.created_at),
        }
    }

    fn id(entity: &StoredList) -> String {
        entity.id.clone()
    }

    fn unique(entity: &StoredList) -> Option<String> {
        Some(entity.name.clone())
    }

    fn may_delete(entity: &StoredList, around: &Around) -> Result<(), Wrong> {
        if entity.built_in {
            return Err(Wrong::InUse(format!(
                "list `{}` is built in; delete its entries instead",
                entity.name
            )));
        }
        unused(entity, around, "deleted")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_one_of_each_kind_to_allow_and_one_to_deny() {
        let names: Vec<String> = built_in().into_iter().filter_map(|d| d.name).collect();
        assert_eq!(names.len(), 2 * ListKind::ALL.len());
        assert!(names.contains(&"deny-msisdn".to_owned()) && names.contains(&"allow-ip".to_owned()));
    }

    #[test]
    fn names_go_into_paths() {
        assert!(check_name("vip.2026_a-b").is_ok());
        for name in ["", "a/b", "lst_1", "ä", &"x".repeat(65)] {
            assert!(check_name(name).is_err(), "{name}");
        }
    }
}

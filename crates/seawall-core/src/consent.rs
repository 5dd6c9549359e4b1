//! What a number wants and does not want: categories of messages, and how far an opt-out reaches.

mod clauses;
pub mod concepts;
pub mod fold;
pub mod free_text;
mod keywords;
pub mod reconfirm;
mod spelling;

use serde::{Deserialize, Serialize};

pub use keywords::{Intent, keyword};

use crate::time::Timestamp;

/// What kind of message it is, as laws on consent tell them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Category {
    /// A one-time code.
    Code,
    /// About something that the recipient did: an order, an appointment.
    Transactional,
    /// Advertising.
    Marketing,
    /// An answer of the gateway to what the recipient just wrote: no opt-out stops it. Callers cannot ask for it.
    Answer,
}

impl Category {
    /// Every category that a caller can ask for.
    pub const ALL: [Category; 3] = [Self::Code, Self::Transactional, Self::Marketing];

    /// The wire word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Code => "code",
            Self::Transactional => "transactional",
            Self::Marketing => "marketing",
            Self::Answer => "answer",
        }
    }

    /// Back from [`Category::as_str`].
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|category| category.as_str() == word)
    }
}

/// How far an opt-out reaches. What is absent is not restricted: an empty scope is everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct OptOutScope {
    /// Messages of this subaccount only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subaccount: Option<String>,
    /// Messages of this category only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub category: Option<Category>,
    /// Messages under this sender ID only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sender: Option<String>,
    /// Without effect from then on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

impl OptOutScope {
    /// Messages of one subaccount, or of all.
    pub fn of(subaccount: Option<&str>) -> Self {
        OptOutScope { subaccount: subaccount.map(str::to_owned), ..OptOutScope::default() }
    }

    /// Whether both reach as far, however long: adding one anew sets only its end.
    pub fn reaches_as(&self, other: &Self) -> bool {
        (&self.subaccount, self.category, &self.sender) == (&other.subaccount, other.category, &other.sender)
    }

    /// Whether more than the subaccount narrows it.
    pub fn is_narrow(&self) -> bool {
        self.category.is_some() || self.sender.is_some() || self.until.is_some()
    }

    /// Whether it stops a message of a subaccount and category under a sender ID.
    pub fn covers(&self, subaccount: &str, category: Category, sender: Option<&str>, now: Timestamp) -> bool {
        category != Category::Answer
            && self.until.is_none_or(|until| now < until)
            && self.subaccount.as_deref().is_none_or(|own| own == subaccount)
            && self.category.is_none_or(|own| own == category)
            && self.sender.as_deref().is_none_or(|own| sender.is_some_and(|s| s.eq_ignore_ascii_case(own)))
    }
}

/// The opt-out that stops a message, if one does: the one that names its category before others, because
/// nothing exempts from that.
pub fn covering(
    scopes: Vec<OptOutScope>,
    subaccount: &str,
    category: Category,
    sender: Option<&str>,
    now: Timestamp,
) -> Option<OptOutScope> {
    let covering = scopes.into_iter().filter(|scope| scope.covers(subaccount, category, sender, now));
    covering.max_by_key(|scope| scope.category.is_some())
}

/// How a text was understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Manner {
    /// It is a keyword.
    Keyword,
    /// It says so in other words.
    FreeText,
    /// It may say so: a person has to look.
    Unsure,
}

/// What an inbound text asks for, and why that is thought.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// What.
    pub intent: Intent,
    /// How it was understood.
    pub manner: Manner,
    /// Of a keyword: its language.
    pub language: Option<&'static str>,
    /// Of free text: how likely it asks for no more messages, from 0 to 1.
    pub probability: f32,
    /// Of free text: the words that it rests on.
    pub because: Vec<String>,
}

/// What a text asks for, if anything.
#[derive(Clone, Debug, PartialEq)]
pub struct Understood(pub Option<Reading>);

impl Understood {
    /// Whether it is an opt-out, without a doubt.
    pub fn asks_to_stop(&self) -> bool {
        self.0.as_ref().is_some_and(|r| r.intent == Intent::Stop && r.manner != Manner::Unsure)
    }
}

/// Reads an inbound text: a keyword first, then free text.
pub fn read(text: &str) -> Understood {
    if let Some((intent, language)) = keyword(text) {
        let language = Some(language);
        return Understood(Some(Reading {
            intent,
            manner: Manner::Keyword,
            language,
            probability: 1.0,
            because: Vec::new(),
        }));
    }
    let likely = free_text::read(text);
    let manner = if likely.probability >= free_text::SURE {
        Manner::FreeText
    } else if likely.probability >= free_text::UNSURE || keywords::begins_with_stop(&fold::words(text)) {
        Manner::Unsure
    } else {
        return Understood(None);
    };
    let (probability, because) = (likely.probability, likely.because);
    Understood(Some(Reading { intent: Intent::Stop, manner, language: None, probability, because }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_millis(secs * 1000)
    }

    #[test]
    fn a_scope_stops_what_it_names_and_nothing_else() {
        let all = OptOutScope::default();
        assert!(all.covers("a", Category::Code, None, at(0)));
        let one = OptOutScope::of(Some("a"));
        assert!(one.covers("a", Category::Marketing, Some("X"), at(0)));
        assert!(!one.covers("b", Category::Marketing, Some("X"), at(0)));
        let ads = OptOutScope { category: Some(Category::Marketing), ..all.clone() };
        assert!(
            ads.covers("a", Category::Marketing, None, at(0))
                && !ads.covers("a", Category::Code, None, at(0))
        );
        let sender = OptOutScope { sender: Some("Shop".to_owned()), ..all.clone() };
        assert!(sender.covers("a", Category::Code, Some("SHOP"), at(0)));
        assert!(!sender.covers("a", Category::Code, None, at(0)) && sender.is_narrow() && !one.is_narrow());
        let soon = OptOutScope { until: Some(at(10)), ..all.clone() };
        assert!(
            soon.covers("a", Category::Code, None, at(9)) && !soon.covers("a", Category::Code, None, at(10))
        );
        assert!(soon.reaches_as(&all) && !one.reaches_as(&all));
    }

    #[test]
    fn the_scope_that_names_the_category_is_the_one_that_is_told() {
        let narrow = OptOutScope { category: Some(Category::Code), ..OptOutScope::default() };
        for scopes in
            [vec![narrow.clone(), OptOutScope::default()], vec![OptOutScope::default(), narrow.clone()]]
        {
            assert_eq!(covering(scopes, "a", Category::Code, None, at(0)), Some(narrow.clone()));
        }
        assert_eq!(covering(vec![narrow], "a", Category::Marketing, None, at(0)), None);
    }
}

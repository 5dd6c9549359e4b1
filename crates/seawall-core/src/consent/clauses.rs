//! What a clause says is to be done or not: which actions it names, which of them it negates, and about what. "Don't stop" and
//! "stop, don't send" have the same words; they differ in what the negation belongs to.

use std::fmt::Write;

use super::concepts::Concept;

/// What can be done, or not be wanted.
const ACTIONS: [Concept; 22] = [
    "STOP", "SEND", "BOTHER", "RIGHT", "HATE", "CALL", "GET", "WANT", "REMOVE", "UNSUB", "CANCEL", "ALONE",
    "KEEP", "SUBS", "LIKE", "MISS", "REPORT", "BACK", "TELL", "STAY", "WAS", "NEED",
];
/// What something can be about.
const MATTERS: [Concept; 19] = [
    "MSG", "AD", "THIS", "EMAIL", "NUM", "LIST", "ORDER", "CODE", "PLACE", "ARRIVE", "CHANGE", "X", "HE",
    "OTHER", "WRONG", "ENOUGH", "ACC", "OLD", "HERE",
];
/// Matters that are none of the messages of a sender.
const FOREIGN: [Concept; 7] = ["ORDER", "CODE", "PLACE", "ARRIVE", "CHANGE", "X", "HE"];
/// So many concepts behind it a negation still reaches.
const REACH: usize = 3;

/// An action or a matter, and whether it is negated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Part {
    pub concept: Concept,
    pub negated: bool,
}

/// What one clause says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Clause {
    pub actions: Vec<Part>,
    pub matters: Vec<Part>,
    /// Whether it asks.
    asks: bool,
    /// Whether it asks why.
    wonders: bool,
    /// Whether the writer speaks of what he does: "I stopped".
    mine: bool,
    conditional: bool,
}

/// What a clause comes to by rules; a hint among others, the weights decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sense {
    /// No more messages.
    Refuses,
    /// Go on, or come back.
    Keeps,
    /// About something else.
    Foreign,
    /// None of these.
    Open,
}

impl Sense {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Refuses => "refuses",
            Self::Keeps => "keeps",
            Self::Foreign => "foreign",
            Self::Open => "open",
        }
    }
}

impl Clause {
    /// Understands the concepts of a clause, in their order.
    pub fn of(meant: &[Concept]) -> Self {
        let mut clause = Clause::default();
        // What a negation still reaches, and where the last negated action stood.
        let (mut reaches, mut negated_at): (usize, Option<usize>) = (0, None);
        for (at, concept) in meant.iter().copied().enumerate() {
            match concept {
                // "Bisa gak berhenti?", "не могли бы вы …": politeness, no negation.
                "NEG" if beside(meant, at, "MAY") => {}
                // The second half of "ne … pas", "no … nada".
                "NEG" if negated_at.is_some_and(|last| at - last <= 2) => negated_at = None,
                "NEG" => reaches = REACH,
                "WHY" | "Q" => {
                    clause.asks = true;
                    clause.wonders |= concept == "WHY";
                }
                "IF" => clause.conditional = true,
                "I" => clause.mine = true,
                _ if ACTIONS.contains(&concept) => {
                    let negated = std::mem::take(&mut reaches) > 0;
                    negated_at = negated.then_some(at);
                    clause.actions.push(Part { concept, negated });
                }
                _ if MATTERS.contains(&concept) => {
                    clause.matters.push(Part { concept, negated: reaches > 0 });
                    reaches = reaches.saturating_sub(1);
                }
                _ => {}
            }
        }
        // German negates behind the action: "schreibt mir nicht mehr".
        let open = reaches > 0 && !clause.matters.iter().any(|matter| matter.negated);
        if let Some(last) = clause.actions.last_mut().filter(|_| open) {
            last.negated = true;
        }
        clause
    }

    fn has(&self, concept: Concept) -> bool {
        self.matters.iter().any(|matter| matter.concept == concept)
    }

    fn does(&self, concept: Concept, negated: bool) -> bool {
        self.actions.contains(&Part { concept, negated })
    }

    fn is_foreign(&self) -> bool {
        self.matters.iter().any(|matter| FOREIGN.contains(&matter.concept))
    }

    /// Whether somebody shall write, and nothing in it says otherwise: "text me here".
    fn asks_for_messages(&self) -> bool {
        self.does("SEND", false)
            && self
                .actions
                .iter()
                .all(|part| !part.negated && ["SEND", "WANT", "GET"].contains(&part.concept))
            && self.matters.iter().all(|part| !part.negated)
            && (self.has("HERE") || self.has("TIME") || self.has("THIS"))
    }

    /// What it comes to.
    pub fn sense(&self) -> Sense {
        let contact = ["MSG", "AD", "THIS"].iter().any(|c| self.has(c)) || self.does("SEND", false);
        let target = contact || self.has("NUM") || self.has("LIST") || self.does("SUBS", false);
        if ["STOP", "UNSUB", "REMOVE", "CANCEL", "MISS"].iter().any(|c| self.does(c, true))
            || ["KEEP", "BACK", "STAY", "TELL"]
                .iter()
                .any(|c| self.does(c, false) && !self.does("NEED", true))
            || self.wonders && ["GET", "TELL", "SEND"].iter().any(|c| self.does(c, true))
            || self.asks_for_messages()
        {
            return Sense::Keeps;
        }
        if self.is_foreign() {
            return Sense::Foreign;
        }
        let stops = self.does("STOP", false) && (contact || !self.mine);
        let bothers =
            self.does("BOTHER", true) || self.does("SEND", true) || self.does("CALL", true) && contact;
        let wants = ["WANT", "GET", "LIKE", "TELL"].iter().any(|c| self.does(c, true))
            && (contact || self.does("GET", false))
            || self.does("NEED", true)
                && ["SEND", "TELL", "BOTHER", "CALL"].iter().any(|c| self.does(c, false))
            || self.does("TELL", true);
        let without = self.matters.iter().any(|m| m.negated && ["MSG", "AD"].contains(&m.concept));
        let leaves = ["REMOVE", "UNSUB", "CANCEL"].iter().any(|c| self.does(c, false)) && target;
        match stops || bothers || wants || without || leaves || self.does("ALONE", false) {
            true => Sense::Refuses,
            false => Sense::Open,
        }
    }

    /// All that it says, in one word.
    pub fn signature(&self) -> String {
        let (mut actions, mut matters) = (self.actions.clone(), self.matters.clone());
        for parts in [&mut actions, &mut matters] {
            parts.sort();
            parts.dedup();
        }
        let mut word = String::new();
        for part in actions.iter().chain(&matters) {
            let _ = write!(word, "{}{} ", if part.negated { "!" } else { "" }, part.concept);
        }
        word + self.manner()
    }

    /// Whether it asks, supposes, or speaks of the writer.
    pub fn manner(&self) -> &'static str {
        match self {
            Self { wonders: true, .. } => "why",
            Self { asks: true, .. } => "?",
            Self { conditional: true, .. } => "if",
            Self { mine: true, .. } => "i",
            _ => "-",
        }
    }
}

/// Whether a concept stands right before or behind a place.
fn beside(meant: &[Concept], at: usize, concept: Concept) -> bool {
    let before = at.checked_sub(1).and_then(|at| meant.get(at));
    [before, meant.get(at + 1)].contains(&Some(&concept))
}

#[cfg(test)]
mod tests {
    use super::super::{concepts, fold};
    use super::*;

    fn sense(text: &str) -> Sense {
        Clause::of(&concepts::concepts(&fold::words(text))).sense()
    }

    #[test]
    fn a_negation_belongs_to_one_action() {
        for text in [
            "don't stop sending me messages",
            "no dejen de mandarme mensajes",
            "ne cessez pas de m'envoyer des messages",
            "не прекращайте присылать сообщения",
            "请不要停止发短信",
        ] {
            assert_eq!(sense(text), Sense::Keeps, "{text}");
        }
        for text in [
            "don't send me messages",
            "ne m'envoyez plus rien",
            "schreibt mir nicht mehr",
            "non mandatemi niente",
            "jangan kirim pesan lagi",
            "لا ترسلوا رسائل",
            "不要再发了",
        ] {
            assert_eq!(sense(text), Sense::Refuses, "{text}");
        }
    }

    #[test]
    fn what_is_about_something_else_is_told_apart() {
        assert_eq!(sense("please cancel my appointment"), Sense::Foreign);
        assert_eq!(sense("quiero cancelar mi cita"), Sense::Foreign);
        assert_eq!(sense("good morning"), Sense::Open);
    }
}

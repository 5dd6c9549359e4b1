//! What the engine remembers of a request's narrow keys when nothing about them is suspicious: how much usually
//! goes there and how much of it is confirmed. It decides nothing; a trained model looks at it, and it is recorded
//! with the decision, so that a model can be trained on what was known at the time.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::booking::low_bits;
use super::engine::Engine;
use super::keys::{Key, Keys};

/// One of the figures. Its place in the record is its number, stable for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Figure {
    /// Codes sent to the block of ten thousand numbers; half-life a week, as all that is not said to be of lately.
    BlockTrials,
    /// Codes confirmed there.
    BlockConfirmed,
    /// Codes sent there lately: half-life 3 hours, since suspicion was last at zero.
    BlockLately,
    /// Codes confirmed there lately.
    BlockLatelyConfirmed,
    /// Codes sent for the network of the end user's address.
    NetworkTrials,
    /// Codes confirmed from there.
    NetworkConfirmed,
    /// Codes sent for it lately.
    NetworkLately,
    /// Codes confirmed from there lately.
    NetworkLatelyConfirmed,
    /// Codes sent for the end user's address.
    AddressTrials,
    /// Codes confirmed from there.
    AddressConfirmed,
    /// Codes sent for it lately.
    AddressLately,
    /// Codes confirmed from there lately.
    AddressLatelyConfirmed,
    /// Requests for the number within a day, this one included.
    NumberAsks,
    /// Codes to the number that nobody confirmed.
    NumberUnconfirmed,
    /// Changes of network between those requests.
    NumberChanges,
}

const FIGURES: usize = Figure::NumberChanges as usize + 1;

/// All figures, rounded to whole numbers, so that a record says exactly what a model saw.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Background([u32; FIGURES]);

impl Background {
    /// One figure.
    pub fn get(&self, figure: Figure) -> u32 {
        self.0.get(figure as usize).copied().unwrap_or_default()
    }

    /// Sets a figure.
    pub fn set(&mut self, figure: Figure, value: u32) {
        if let Some(place) = self.0.get_mut(figure as usize) {
            *place = value;
        }
    }

    /// Whether nothing is remembered.
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|n| *n == 0)
    }
}

/// A list without the zeros at its end: this is written with every send.
impl Serialize for Background {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let used = self.0.iter().rposition(|n| *n != 0).map_or(0, |last| last + 1);
        serializer.collect_seq(self.0.iter().take(used))
    }
}

impl<'de> Deserialize<'de> for Background {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut all = Background::default();
        let read = Vec::<u32>::deserialize(deserializer)?;
        all.0.iter_mut().zip(read).for_each(|(place, value)| *place = value);
        Ok(all)
    }
}

impl Engine {
    /// What is remembered of the keys of a request.
    pub(super) fn background(&self, keys: &Keys) -> Background {
        use Figure::{
            AddressConfirmed, AddressLately, AddressLatelyConfirmed, AddressTrials, BlockConfirmed,
            BlockLately, BlockLatelyConfirmed, BlockTrials, NetworkConfirmed, NetworkLately,
            NetworkLatelyConfirmed, NetworkTrials, NumberAsks, NumberChanges, NumberUnconfirmed,
        };
        let mut all = Background::default();
        let [block, ..] = keys.blocks;
        let places = [
            (Some(block), [BlockTrials, BlockConfirmed, BlockLately, BlockLatelyConfirmed]),
            (keys.network, [NetworkTrials, NetworkConfirmed, NetworkLately, NetworkLatelyConfirmed]),
            (keys.ip, [AddressTrials, AddressConfirmed, AddressLately, AddressLatelyConfirmed]),
        ];
        for (key, figures) in places {
            let past = key.map_or([0; 4], |key| self.past(key));
            figures.into_iter().zip(past).for_each(|(figure, value)| all.set(figure, value));
        }
        if let Some(row) = self.numbers.find(keys.number) {
            let standing = row.standing(self.seconds(), keys.network.map_or(0, |n| low_bits(n.hash)));
            all.set(NumberAsks, u32::from(standing.asks));
            all.set(NumberUnconfirmed, u32::from(standing.unconfirmed));
            all.set(NumberChanges, u32::from(standing.changes));
        }
        all
    }

    /// Trials and confirmations of a key: of its baseline, and of lately.
    fn past(&self, key: Key) -> [u32; 4] {
        let Some(row) = self.keys.find(key.hash) else { return [0; 4] };
        let view = row.view(self.seconds());
        let base = [f64::from(row.base_trials), f64::from(row.base_confirmed)];
        [base[0], base[1], view.trials, view.confirmed].map(whole)
    }
}

/// The nearest whole number.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "saturates, which is what is wanted"
)]
fn whole(value: f64) -> u32 {
    value.max(0.0).round() as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_holds_figures_by_their_place_and_no_zeros_at_the_end() {
        let mut all = Background::default();
        assert_eq!(serde_json::to_string(&all).unwrap(), "[]");
        all.set(Figure::BlockConfirmed, 7);
        assert_eq!(serde_json::to_string(&all).unwrap(), "[0,7]");
        let back: Background = serde_json::from_str("[0,7,0,0,3]").unwrap();
        assert_eq!((back.get(Figure::BlockConfirmed), back.get(Figure::NetworkTrials)), (7, 3));
        assert!(!back.is_empty());
    }
}

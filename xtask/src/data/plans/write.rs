//! The automaton in the form that `seawall_core::msisdn::plans` reads.

use std::collections::HashMap;

use seawall_core::msisdn::plans::{CLASS, Class, KINDS, MAGIC, SHAPE};

/// A state of the automaton.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct State {
    /// What a number that ends here is.
    pub class: Option<Class>,
    /// The index of the state that each digit leads to. State 0 leads nowhere.
    pub next: [u32; 10],
}

/// Writes an automaton that begins in the last of its states. `None` if there is too much of it.
pub fn write(states: &[State]) -> Option<Vec<u8>> {
    let (mut places, mut at) = (Vec::new(), 0);
    for state in states {
        places.push(u16::try_from(at + 1).ok()?);
        at += 2 + targets(state).len();
    }
    let mut out = Out::default();
    states.iter().try_for_each(|state| out.state(state, &places))?;
    let mut bytes = MAGIC.to_vec();
    for count in [out.classes.len(), out.shapes.len(), usize::from(*places.last()?), 0] {
        bytes.extend(u16::try_from(count).ok()?.to_le_bytes());
    }
    bytes.extend(in_order(out.classes).into_iter().flatten());
    bytes.extend(in_order(out.shapes).into_iter().flatten());
    bytes.extend(out.words.into_iter().flat_map(u16::to_le_bytes));
    Some(bytes)
}

/// The different states that a state leads to, in the order of their first digits.
fn targets(state: &State) -> Vec<u32> {
    let mut found = Vec::new();
    for next in state.next {
        if !found.contains(&next) {
            found.push(next);
        }
    }
    found
}

#[derive(Default)]
struct Out {
    classes: HashMap<[u8; CLASS], u16>,
    shapes: HashMap<[u8; SHAPE], u16>,
    words: Vec<u16>,
}

impl Out {
    fn state(&mut self, state: &State, places: &[u16]) -> Option<()> {
        let class = match state.class {
            Some(class) => index(&mut self.classes, class_bytes(class)?)?.checked_add(1)?,
            None => 0,
        };
        let targets = targets(state);
        let mut shape = [0; SHAPE];
        for (byte, next) in shape.iter_mut().zip(state.next) {
            *byte = u8::try_from(targets.iter().position(|target| *target == next)? + 1).ok()?;
        }
        self.words.extend([class, index(&mut self.shapes, shape)?]);
        for target in targets {
            self.words.push(*places.get(usize::try_from(target).ok()?)?);
        }
        Some(())
    }
}

fn class_bytes((country, kind): Class) -> Option<[u8; CLASS]> {
    let [first, second] = *country.as_str().as_bytes().first_chunk()?;
    let kind = KINDS.iter().position(|known| *known == kind)?;
    Some([first, second, u8::try_from(kind).ok()?, 0])
}

fn index<K: std::hash::Hash + Eq>(known: &mut HashMap<K, u16>, key: K) -> Option<u16> {
    let next = u16::try_from(known.len()).ok()?;
    Some(*known.entry(key).or_insert(next))
}

fn in_order<K>(known: HashMap<K, u16>) -> Vec<K> {
    let mut all: Vec<(K, u16)> = known.into_iter().collect();
    all.sort_unstable_by_key(|(_, index)| *index);
    all.into_iter().map(|(key, _)| key).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use seawall_core::country::Country;
    use seawall_core::msisdn::NumberKind;
    use seawall_core::msisdn::plans::Plans;

    #[test]
    fn what_is_written_is_read() {
        let class = |country: &str, kind| Some((Country::parse(country).unwrap(), kind));
        let [sg, us] = [class("SG", NumberKind::Mobile), class("US", NumberKind::Voicemail)];
        // 1, 2 and 95 end in Singapore, 9 in the United States; 0 goes on to nothing.
        let states = [
            State::default(),
            State { class: sg, next: [0; 10] },
            State { class: us, next: [0, 0, 0, 0, 0, 1, 0, 0, 0, 0] },
            State { class: None, next: [0, 1, 1, 0, 0, 0, 0, 0, 0, 2] },
        ];
        let bytes = write(&states).unwrap();
        let plans = Plans::new(&bytes).unwrap();
        for (digits, want) in [("1", sg), ("2", sg), ("9", us), ("95", sg)] {
            assert_eq!(
                plans.find(digits.as_bytes()),
                want.map(|class| (digits.parse().unwrap(), class)),
                "{digits}"
            );
        }
        for digits in ["", "0", "3", "11", "96", "955"] {
            assert_eq!(plans.find(digits.as_bytes()), None, "{digits}");
        }
        assert_eq!(write(&[]), None);
    }
}

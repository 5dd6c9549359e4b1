//! Logistic regression by stochastic gradient descent: the same examples give the same bytes.

use seawall_core::consent::free_text;

/// Passes over the examples.
const PASSES: usize = 40;
/// Of every hundred features, so many are left out at each step, so that no single word is relied on.
const LEFT_OUT: u64 = 30;
/// Of every hundred steps, so many see only what the words mean, so that no language has to be learnt by itself.
const MEANING_ALONE: u64 = 30;
/// How strongly weights are drawn to nothing.
const DECAY: f32 = 3e-6;
/// How far the first steps go.
const STEP: f32 = 0.5;

/// A phrase to learn from.
pub struct Example {
    /// What is written.
    pub text: String,
    /// Whether it asks for no more messages.
    pub stop: bool,
    /// How much it counts.
    pub weight: f32,
}

/// A generator of numbers that only have to be spread and repeatable.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides.max(1)
    }
}

/// Weights as they are stored, see [`free_text::weigh`].
pub fn weights(examples: &[Example]) -> Vec<u8> {
    let of =
        |e: &Example| free_text::features(&e.text).into_iter().map(|f| (f.bucket, f.is_literal)).collect();
    let features: Vec<Vec<(usize, bool)>> = examples.iter().map(of).collect();
    let mut weights = vec![0f32; free_text::BUCKETS];
    let mut squares = vec![1e-2f32; free_text::BUCKETS];
    let (mut bias, mut dice) = (0f32, Dice(7));
    let mut order: Vec<usize> = (0..examples.len()).collect();
    for _ in 0..PASSES {
        for at in (1..order.len()).rev() {
            let other = usize::try_from(dice.roll(at as u64 + 1)).unwrap_or(0);
            order.swap(at, other);
        }
        for &at in &order {
            let (Some(example), Some(all)) = (examples.get(at), features.get(at)) else { continue };
            let alone = dice.roll(100) < MEANING_ALONE;
            let wanted = all.iter().filter(|(_, is_literal)| !(alone && *is_literal));
            let kept: Vec<usize> =
                wanted.map(|(bucket, _)| *bucket).filter(|_| dice.roll(100) >= LEFT_OUT).collect();
            let norm = free_text::norm(kept.len());
            let weight = |f: usize| weights.get(f).copied().unwrap_or_default();
            let score = bias + norm * kept.iter().map(|&f| weight(f)).sum::<f32>();
            let wrong = f32::from(u8::from(example.stop)) - 1.0 / (1.0 + (-score).exp());
            bias += 0.002 * wrong * example.weight;
            for f in kept {
                let (Some(weight), Some(square)) = (weights.get_mut(f), squares.get_mut(f)) else { continue };
                let slope = wrong * norm * example.weight - DECAY * *weight;
                *square += slope * slope;
                *weight += STEP * slope / square.sqrt();
            }
        }
    }
    packed(&weights, bias)
}

fn packed(weights: &[f32], bias: f32) -> Vec<u8> {
    let most = weights.iter().fold(1e-6f32, |most, w| most.max(w.abs()));
    let scale = most / 127.0;
    let mut bytes: Vec<u8> =
        weights.iter().map(|w| (w / scale).round() as i8).map(i8::cast_unsigned).collect();
    bytes.extend(scale.to_le_bytes());
    bytes.extend(bias.to_le_bytes());
    bytes
}

//! Chance that a seed repeats: xoshiro256++, seeded through SplitMix64 (Blackman and Vigna, public domain).

/// A stream of chance. Streams of different names do not disturb each other: what an attack draws leaves the
/// population as it was.
#[derive(Clone, Debug)]
pub struct Rng {
    a: u64,
    b: u64,
    c: u64,
    d: u64,
}

impl Rng {
    /// The stream that belongs to a seed and a name.
    pub fn new(seed: u64, stream: &str) -> Self {
        let name = stream.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        let mut state = seed ^ mix(name);
        let mut next = || {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            mix(state)
        };
        Rng { a: next(), b: next(), c: next(), d: next() }
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        let result = self.a.wrapping_add(self.d).rotate_left(23).wrapping_add(self.a);
        let shifted = self.b << 17;
        self.c ^= self.a;
        self.d ^= self.b;
        self.b ^= self.c;
        self.a ^= self.d;
        self.c ^= shifted;
        self.d = self.d.rotate_left(45);
        result
    }

    /// Below `end`; zero if `end` is zero.
    pub fn below(&mut self, end: u64) -> u64 {
        let wide = u128::from(self.bits()) * u128::from(end);
        u64::try_from(wide >> 64).unwrap_or(0)
    }

    /// An index into something of that length.
    pub fn index(&mut self, length: usize) -> usize {
        usize::try_from(self.below(length as u64)).unwrap_or(0)
    }

    /// One of them; `None` of none.
    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        from.get(self.index(from.len()))
    }

    /// From 0 up to, without, 1.
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// True with that probability.
    pub fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// Between two values.
    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// The normal distribution (Box and Muller).
    pub fn normal(&mut self, mean: f64, deviation: f64) -> f64 {
        let (a, b) = (1.0 - self.unit(), self.unit());
        mean + deviation * (-2.0 * a.ln()).sqrt() * (std::f64::consts::TAU * b).cos()
    }

    /// The log-normal distribution, by its median.
    pub fn log_normal(&mut self, median: f64, sigma: f64) -> f64 {
        median * self.normal(0.0, sigma).exp()
    }

    /// The exponential distribution.
    pub fn exponential(&mut self, mean: f64) -> f64 {
        -mean * (1.0 - self.unit()).ln()
    }

    /// Puts them in any order.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for at in (1..items.len()).rev() {
            items.swap(at, self.index(at + 1));
        }
    }
}

/// The finaliser of SplitMix64: near values become far ones.
pub fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// How likely each of several things is.
#[derive(Clone, Debug)]
pub struct Weights(Vec<f64>);

impl Weights {
    /// From weights that need not sum to one.
    pub fn new(weights: impl IntoIterator<Item = f64>) -> Self {
        let running = weights.into_iter().scan(0.0, |sum, weight| {
            *sum += weight.max(0.0);
            Some(*sum)
        });
        Weights(running.collect())
    }

    /// The sum of all weights.
    pub fn total(&self) -> f64 {
        self.0.last().copied().unwrap_or(0.0)
    }

    /// The index of one of them.
    pub fn pick(&self, rng: &mut Rng) -> usize {
        let place = rng.unit() * self.total();
        self.0.partition_point(|sum| *sum <= place).min(self.0.len().saturating_sub(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_and_a_name_repeat_the_stream_and_no_other() {
        let draw = |seed, name| Rng::new(seed, name).bits();
        assert_eq!(draw(1, "people"), draw(1, "people"));
        assert_ne!(draw(1, "people"), draw(2, "people"));
        assert_ne!(draw(1, "people"), draw(1, "attack"));
    }

    #[test]
    fn distributions_have_their_means() {
        let mut rng = Rng::new(1, "means");
        let mut mean =
            |draw: fn(&mut Rng) -> f64| (0..20_000).map(|_| draw(&mut rng)).sum::<f64>() / 20_000.0;
        assert!((mean(Rng::unit) - 0.5).abs() < 0.01);
        assert!((mean(|rng| rng.normal(3.0, 2.0)) - 3.0).abs() < 0.06);
        assert!((mean(|rng| rng.exponential(45.0)) - 45.0).abs() < 1.5);
        assert!((mean(|rng| rng.below(10) as f64) - 4.5).abs() < 0.1);
    }

    #[test]
    fn weights_are_kept() {
        let (weights, mut rng) = (Weights::new([1.0, 0.0, 3.0]), Rng::new(1, "weights"));
        let mut seen = [0; 3];
        (0..4000).for_each(|_| seen[weights.pick(&mut rng)] += 1);
        assert_eq!(seen[1], 0);
        assert!((900..1100).contains(&seen[0]), "{seen:?}");
    }
}

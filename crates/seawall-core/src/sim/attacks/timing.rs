//! Pumping whose pace is the trick.

use crate::sim::scenario::Setup;
use crate::sim::{HOUR, TEST_FROM};

/// Ten an hour over twenty blocks, for two days.
pub fn low_and_slow(setup: &mut Setup) {
    let (times, ranges) = (setup.times(440, 2.0, 44.0), setup.ranges("EG", 20, 200));
    setup.pump(times, ranges, 0.0);
}

/// From two an hour to hundreds an hour, so that no hour is much worse than the one before.
pub fn slow_ramp(setup: &mut Setup) {
    /// The logarithm of how many times faster the end is than the beginning.
    const GROWTH: f64 = 5.0;
    let ranges = setup.ranges("NG", 10, 300);
    let (from, until) = (setup.hour(2.0), setup.hour(46.0));
    let count = setup.count(3_000);
    let mut when = || (setup.rng.unit() * (GROWTH.exp() - 1.0)).ln_1p() / GROWTH;
    let times = (0..count).map(|_| from + (when() * (until - from) as f64) as i64).collect();
    setup.pump(times, ranges, 0.0);
}

/// While nobody watches: 02:00 to 06:00.
pub fn weekend_night(setup: &mut Setup) {
    let (times, ranges) = (setup.times(2_500, 2.0, 4.0), setup.ranges("TN", 10, 200));
    setup.pump(times, ranges, 0.0);
}

/// Three confirmed tests in each range, half a day of quiet, then everything in an hour.
pub fn test_then_burst(setup: &mut Setup) {
    let ranges = setup.ranges("LK", 5, 250);
    for block in ranges.blocks.clone() {
        let mut tested = ranges.clone();
        tested.blocks = vec![block];
        let times = (0..3).map(|_| setup.rng.between(6.0, 7.0)).collect::<Vec<_>>();
        let times = times.into_iter().map(|hour| setup.hour(hour)).collect();
        setup.pump(times, tested, 1.0);
    }
    let times = setup.times(3_000, 19.0, 1.0);
    setup.pump(times, ranges, 0.0);
}

/// The first hours of a new installation: there is no history to compare with.
pub fn day_zero(setup: &mut Setup) {
    let (times, ranges) = (setup.times(3_000, 1.0, 5.0), setup.ranges("UZ", 10, 300));
    setup.pump(times, ranges, 0.0);
}

/// Confirmed messages during the warm-up buy the ranges a good name, which is then spent.
pub fn poisoned_warmup(setup: &mut Setup) {
    let ranges = setup.ranges("EG", 8, 300);
    let start = setup.world.start();
    let poison = setup.count(400);
    let (first, last) = (start + (TEST_FROM - start) / 7, TEST_FROM - HOUR);
    if first < last {
        let when = |setup: &mut Setup| setup.rng.between(first as f64, last as f64) as i64;
        let times = (0..poison).map(|_| when(setup)).collect();
        setup.pump(times, ranges.clone(), 0.95);
    }
    let times = setup.times(3_000, 9.0, 8.0);
    setup.pump(times, ranges, 0.0);
}

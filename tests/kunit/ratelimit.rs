// SPDX-License-Identifier: GPL-2.0

//! `RateLimit`, with the smallest and largest arguments.

use crate::targets::*;

#[kunit_tests(kprobes_ratelimit)]
mod tests {
    use super::*;

    #[test]
    fn bursts_and_intervals_of_any_size_are_limited() -> Result {
        for (interval_ms, burst, events, wanted) in [
            (60_000, 10, 25, 10),
            (1_000, u32::MAX, 1_000, 1_000),
            (1_000, 1 << 31, 1_000, 1_000),
            (u32::MAX, 1, 100, 1),
            (1 << 31, 3, 100, 3),
            (0, 1, 100, 100),
            (1_000, 0, 100, 0),
        ] {
            let limit = KBox::pin_init(RateLimit::new(interval_ms, burst), GFP_KERNEL)?;
            let passed = (0..events).filter(|_| limit.pass().is_some()).count();
            assert_eq!(passed, wanted);
            assert_eq!(limit.suppressed(), (events - passed) as u64);
        }
        Ok(())
    }
}

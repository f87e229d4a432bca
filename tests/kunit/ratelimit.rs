// SPDX-License-Identifier: GPL-2.0

//! `RateLimit`: what passes, with the smallest and largest arguments.

use kernel::prelude::*;
use kprobes::RateLimit;

/// Returns how many of `events` pass.
fn passed(interval_ms: u32, burst: u32, events: usize) -> Result<usize> {
    let limit = KBox::pin_init(RateLimit::new(interval_ms, burst), GFP_KERNEL)?;
    let passed = (0..events).filter(|_| limit.pass().is_some()).count();
    match limit.suppressed() == (events - passed) as u64 {
        true => Ok(passed),
        false => Err(EINVAL),
    }
}

#[kunit_tests(kprobes_ratelimit)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes() -> Result {
        assert_eq!(passed(60_000, 10, 25)?, 10);
        Ok(())
    }

    #[test]
    fn the_largest_burst() -> Result {
        assert_eq!(passed(1_000, u32::MAX, 1_000)?, 1_000);
        assert_eq!(passed(1_000, 1 << 31, 1_000)?, 1_000);
        Ok(())
    }

    #[test]
    fn the_longest_interval() -> Result {
        assert_eq!(passed(u32::MAX, 1, 100)?, 1);
        assert_eq!(passed(1 << 31, 3, 100)?, 3);
        Ok(())
    }

    #[test]
    fn none_of_either() -> Result {
        assert_eq!(passed(0, 1, 100)?, 100);
        assert_eq!(passed(1_000, 0, 100)?, 0);
        Ok(())
    }
}

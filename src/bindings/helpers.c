// SPDX-License-Identifier: GPL-2.0
/*
 * C that Rust cannot call because it is inline or a macro.
 */
#include "helper.h"

void kprobes_ratelimit_init(struct ratelimit_state *rs, int interval, int burst)
{
	ratelimit_state_init(rs, interval, burst);
	/* The kernel would tell what it suppressed in words of its own. */
	ratelimit_set_flags(rs, RATELIMIT_MSG_ON_RELEASE);
}

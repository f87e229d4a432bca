// SPDX-License-Identifier: GPL-2.0
/* Rate limiting. */
#include <linux/ratelimit.h>

#include "../bindings/helper.h"

void kprobes_ratelimit_init(struct ratelimit_state *rs, int interval, int burst)
{
	ratelimit_state_init(rs, interval, burst);
	/* Keeps ___ratelimit() from logging; the caller reports suppressed events. */
	ratelimit_set_flags(rs, RATELIMIT_MSG_ON_RELEASE);
}

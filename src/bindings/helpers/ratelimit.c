// SPDX-License-Identifier: GPL-2.0
/* A limit on lines, whose suppressed ones somebody else tells of. */
#include <linux/ratelimit.h>

#include "../helper.h"

void kprobes_ratelimit_init(struct ratelimit_state *rs, int interval, int burst)
{
	ratelimit_state_init(rs, interval, burst);
	/* The kernel would tell what it suppressed in words of its own. */
	ratelimit_set_flags(rs, RATELIMIT_MSG_ON_RELEASE);
}

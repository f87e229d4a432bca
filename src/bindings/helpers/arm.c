// SPDX-License-Identifier: GPL-2.0
/* Enabling and disabling what a registration has, for events. */
#include <linux/errno.h>
#include <linux/kprobes.h>

#include "../helper.h"

/* Enables or disables the probes of a registration: all of them, or none. */
int kprobes_arm_held(struct kprobes_registration *reg, bool on)
{
	struct kprobes_held *held = container_of(reg, struct kprobes_held, reg);
	/* A struct kretprobe begins with its kprobe. */
	struct kprobe **kps = held->count ? held->probes : (struct kprobe **)&held->probes;
	int i, ret = 0, n = held->count ?: 1, gone = 0;

	for (i = 0; i < n; i++) {
		if (!(READ_ONCE(kps[i]->flags) & KPROBE_FLAG_GONE)) {
			ret = on ? kprobes_enable(kps[i]) : disable_kprobe(kps[i]);
			if (!ret)
				continue;
		}
		/* One of a set may be gone with its module, also meanwhile. */
		if (!(READ_ONCE(kps[i]->flags) & KPROBE_FLAG_GONE))
			break;
		ret = 0;
		gone++;
	}
	if (on && gone == n)
		return -EINVAL;
	if (!ret)
		return 0;
	while (i--) {
		if (on)
			disable_kprobe(kps[i]);
		else
			kprobes_enable(kps[i]);
	}
	return ret;
}

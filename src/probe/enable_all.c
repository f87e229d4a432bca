// SPDX-License-Identifier: GPL-2.0
#include <linux/errno.h>
#include <linux/kprobes.h>

#include "../bindings/probe.h"

/*
 * Enables or disables registered kprobes, except those that are gone. If one fails, restores those
 * before it.
 */
int kprobes_enable_all(void *const *probes, unsigned int n, bool on)
{
	struct kprobe *const *kps = (struct kprobe *const *)probes;
	unsigned int i, gone = 0;
	int ret = 0;

	for (i = 0; i < n; i++) {
		if (!(READ_ONCE(kps[i]->flags) & KPROBE_FLAG_GONE)) {
			ret = on ? kprobes_enable(kps[i]) : disable_kprobe(kps[i]);
			if (!ret)
				continue;
		}
		/* The probed module may be unloaded concurrently. */
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

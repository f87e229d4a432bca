// SPDX-License-Identifier: GPL-2.0
/* Unregistering kprobes. */
#include <linux/kprobes.h>

#include "../helper.h"

void kprobes_leave_kprobes(struct kprobes_registration *reg, bool left)
{
	struct kprobes_held *held = container_of(reg, struct kprobes_held, reg);
	struct kprobe **kps = held->count ? held->probes : (struct kprobe **)&held->probes;
	int i, n = held->count ?: 1;

	if (left)
		kprobes_tell_left(kps[0]->addr, n);
	for (i = 0; i < n; i++)
		kprobes_disarm(kps[i]);
	/* RCU ignores a CPU that goes offline. The kernel frees some, the caller the rest. */
	kprobes_wait_for_cpus();
	unregister_kprobes(kps, n);
	kprobes_wait_for_cpus();
}

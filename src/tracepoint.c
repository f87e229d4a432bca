// SPDX-License-Identifier: GPL-2.0
/* A tracepoint's handler: it is added and removed. */
#include <linux/errno.h>
#include <linux/kprobes.h>
#include <linux/mutex.h>
#include <linux/tracepoint.h>

#include "bindings/probe.h"

/* The handler is added to the tracepoint, or removed from it. */
int __kprobes kprobes_tracepoint_enable(struct kprobes_tracepoint *tp, bool on)
{
	/* Serialises changes of `enabled` and of the tracepoint. */
	static DEFINE_MUTEX(lock);
	int ret = 0;

	/* At the module's end, the lock may not have been taken yet, see unregister_all(). */
	if (READ_ONCE(tp->enabled) == on)
		return 0;
	mutex_lock(&lock);
	if (tp->enabled != on)
		ret = on ? tracepoint_probe_register(tp->tracepoint, tp->hit, tp) :
			   tracepoint_probe_unregister(tp->tracepoint, tp->hit, tp);
	if (!ret)
		WRITE_ONCE(tp->enabled, on);
	mutex_unlock(&lock);
	return ret;
}

void __kprobes kprobes_tracepoint_wait(void)
{
	tracepoint_synchronize_unregister();
}

// SPDX-License-Identifier: GPL-2.0
/* A tracepoint's handler: it is added and removed. */
#include <linux/errno.h>
#include <linux/kprobes.h>
#include <linux/mutex.h>
#include <linux/string.h>
#include <linux/tracepoint.h>

#include "bindings/probe.h"

struct search {
	const char *name;
	struct tracepoint *found;
};

static void visit(struct tracepoint *tracepoint, void *data)
{
	struct search *search = data;

	if (!strcmp(tracepoint->name, search->name))
		search->found = tracepoint;
}

/* Returns the tracepoint of that name, NULL if there is none. */
struct tracepoint *kprobes_tracepoint_find(const char *name)
{
	struct search search = { .name = name };

	for_each_kernel_tracepoint(visit, &search);
	return search.found;
}

/* The handler is added to the tracepoint, or removed from it. */
int __kprobes kprobes_tracepoint_enable(struct kprobes_tracepoint *tp, bool on)
{
	/* Serialises changes of `enabled` and of the tracepoint. */
	static DEFINE_MUTEX(lock);
	int ret = 0;

	/* At the module's end, the lock may not have been taken yet, see unregister_all(). */
	if (READ_ONCE(tp->enabled) == on)
		return 0;
	guard(mutex)(&lock);
	if (tp->enabled != on)
		ret = on ? tracepoint_probe_register(tp->tracepoint, tp->hit, tp) :
			   tracepoint_probe_unregister(tp->tracepoint, tp->hit, tp);
	if (!ret)
		WRITE_ONCE(tp->enabled, on);
	return ret;
}

void __kprobes kprobes_tracepoint_wait(void)
{
	tracepoint_synchronize_unregister();
}

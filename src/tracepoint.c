// SPDX-License-Identifier: GPL-2.0
/* A tracepoint's handler: it is added and removed. */
#include <linux/errno.h>
#include <linux/kallsyms.h>
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

/* The size of a function, which is the last number that a symbol is printed with; 0 if unknown. */
static unsigned long size_of(void *function)
{
	char symbol[KSYM_SYMBOL_LEN];
	const char *size;

	sprint_symbol(symbol, (unsigned long)function);
	size = strrchr(symbol, '/');
	return size ? simple_strtoul(size + 1, NULL, 0) : 0;
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
	if (on && !tp->iterator_size)
		tp->iterator_size = size_of(tp->tracepoint->iterator);
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

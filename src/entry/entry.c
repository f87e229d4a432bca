// SPDX-License-Identifier: GPL-2.0
/*
 * The ftrace_ops of the module's entry probes, and the module notifier that marks them as gone.
 *
 * All entry probes share one ops: for a function that two ops trace, the kernel calls its list
 * function, which checks every ops in the system.
 */
#include <linux/errno.h>
#include <linux/ftrace.h>
#include <linux/kprobes.h>
#include <linux/limits.h>
#include <linux/list.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/notifier.h>
#include <linux/preempt.h>
#include <linux/printk.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/sort.h>
#include <linux/uaccess.h>

#include "../bindings/ftrace.h"
#include "../bindings/probe.h"

struct kprobes_entries kprobes_entries;

static DEFINE_MUTEX(lock);

void __kprobes kprobes_entry_lock(void)
{
	mutex_lock(&lock);
}

void __kprobes kprobes_entry_unlock(void)
{
	mutex_unlock(&lock);
}

/* The slow path of preempt_enable_notrace(): the count is 0 and a reschedule is due. */
void __kprobes kprobes_preempt_schedule(void)
{
	preempt_disable_notrace();
	preempt_enable_notrace();
}

#ifdef CONFIG_DYNAMIC_FTRACE_WITH_ARGS
/*
 * Without PERMANENT, kernel.ftrace_enabled = 0 would stop all hits on Linux 7.2. With it, either
 * that write or the registration of the ops fails with EBUSY.
 */
static struct ftrace_ops ops = {
	.flags = FTRACE_OPS_FL_PERMANENT,
};
static bool registered;

/* Returns whether ftrace has disabled itself after an error. Then any filter change fails. */
static bool __kprobes ftrace_is_disabled(void)
{
	return kprobes_function_entry(ftrace_is_disabled) == -ENODEV;
}

/*
 * Adds functions to the filter, and registers the ops if it is not registered. The ops is never
 * registered with an empty filter, which would match all functions.
 */
int kprobes_entry_attach(ftrace_func_t hit, unsigned long *ips, unsigned int n)
{
	int errno = ftrace_set_filter_ips(&ops, ips, n, 0, !registered);
	bool disabled;

	if (errno)
		return errno;
	if (!registered) {
		ops.func = hit;
		errno = register_ftrace_function(&ops);
		/*
		 * If the kernel fails to patch a function, it disables ftrace until the next boot
		 * and removes the ops from its list, but the functions that it has patched before
		 * still call the ops.
		 */
		registered = !errno || ops.flags & FTRACE_OPS_FL_ENABLED;
		if (!registered)
			ftrace_free_filter(&ops);
	}
	/*
	 * The filter change in which such an error happens returns 0. The check is unconditional
	 * because it takes a mutex, whose first use at module exit would be too late for lockdep.
	 */
	disabled = ftrace_is_disabled();
	return errno ?: disabled ? -ENODEV : 0;
}

/*
 * Returns the call target of functions that only this ops traces: its trampoline, or 0 without one.
 * With CALL_OPS, functions have a pointer to the ops instead.
 */
unsigned long kprobes_entry_callee(void)
{
	return IS_ENABLED(CONFIG_DYNAMIC_FTRACE_WITH_CALL_OPS) ? (unsigned long)&ops :
								 ops.trampoline;
}

/* Moves the addresses that ftrace still knows to the front, and returns their number. */
static unsigned int __kprobes keep_known(unsigned long *ips, unsigned int n)
{
	unsigned int i, kept = 0;

	for (i = 0; i < n; i++)
		if (!kprobes_function_missing(ips[i]))
			ips[kept++] = ips[i];
	return kept;
}

/*
 * Removes functions from the filter, or unregisters the ops if no probe is enabled. Returns whether
 * the kernel may still call the ops.
 *
 * A function stays in the filter if memory is short, if ftrace has disabled itself, or if ftrace no
 * longer knows the function. The callback finds no enabled probe for it.
 */
bool __kprobes kprobes_entry_detach(unsigned long *ips, unsigned int n)
{
	if (registered && !kprobes_entries.enabled) {
		/* Returns 0 even if ftrace disables itself in this call. */
		if (!unregister_ftrace_function(&ops) && !ftrace_is_disabled()) {
			ftrace_free_filter(&ops);
			registered = false;
		}
	} else if (registered) {
		int tries = KPROBES_ENTRY_TRIES;

		while (n && tries-- && ftrace_set_filter_ips(&ops, ips, n, 1, 0) == -EINVAL)
			n = keep_known(ips, n);
	}
	return registered;
}

/* The module's text must stay as long as ftrace may call it. */
static void __kprobes unregister_ops(void)
{
	if (!kprobes_entry_detach(NULL, 0))
		return;
	pr_emerg("%s: ftrace cannot unregister the entry probes; %s (pid %d) blocks until reboot\n",
		 THIS_MODULE->name, current->comm, task_pid_nr(current));
	kprobes_block_forever();
}

/* Finds the ftrace call of the function at whose entry kp is registered. */
int kprobes_entry_location(struct kprobe *kp, unsigned long *ip)
{
	unsigned long at = (unsigned long)kp->addr;
	int errno;

#ifdef CONFIG_KPROBES_ON_FTRACE
	errno = kp->flags & KPROBE_FLAG_FTRACE ? 0 : -EINVAL;
#else
	/* The ftrace call is the second or third instruction of a traceable function. */
	errno = kprobes_function_entry((void *)at);
	if (!errno)
		errno = kprobes_function_entry((void *)(at += MCOUNT_INSN_SIZE));
	if (errno == -EINVAL)
		errno = kprobes_function_entry((void *)(at += MCOUNT_INSN_SIZE));
#endif
	*ip = at;
	return errno;
}

/* Never registered: its filter is the set of matched functions. */
static struct ftrace_ops matched;

/* Adds the functions that match the pattern to the set. Clears the set beforehand if first. */
int kprobes_entry_match(char *pattern, int len, bool first)
{
	int errno = ftrace_set_filter(&matched, pattern, len, first);

	return errno == -EINVAL ? -ENOENT : errno;
}

/*
 * Returns whether ftrace may have run out of memory while it matched, and so have skipped functions
 * without an error. A small GFP_KERNEL allocation fails only by fault injection or in a task that
 * is being killed, see __alloc_pages_slowpath() in mm/page_alloc.c.
 */
bool kprobes_entry_may_have_missed(void)
{
	return IS_ENABLED(CONFIG_FAILSLAB) || fatal_signal_pending(current);
}

static int compare(const void *a, const void *b)
{
	return cmp_int(*(const unsigned long *)a, *(const unsigned long *)b);
}

/*
 * Stores the matched addresses in ascending order, unless ips is NULL, and returns their number.
 * Fails with EOPNOTSUPP if there is not enough room, or if the layout is not as expected.
 *
 * struct ftrace_hash is private, in kernel/trace/trace.h, and no exported function reads a filter.
 * So this uses reads that cannot fault, and checks the number of entries. kprobes_entry_attach()
 * has ftrace check the addresses.
 */
long kprobes_entry_matched(unsigned long *ips, unsigned long room)
{
	struct {
		unsigned long size_bits;
		struct hlist_head *buckets;
		unsigned long count;
	} hash;
	struct ftrace_func_entry entry;
	unsigned long i, n = 0;

	if (copy_from_kernel_nofault(&hash, matched.func_hash->filter_hash, sizeof(hash)) ||
	    hash.size_bits > 24 || hash.count > INT_MAX)
		return -EOPNOTSUPP;
	if (!ips)
		return hash.count;
	for (i = 0; i < 1UL << hash.size_bits; i++) {
		struct hlist_node *node;

		if (copy_from_kernel_nofault(&node, &hash.buckets[i].first, sizeof(node)))
			return -EOPNOTSUPP;
		for (; node; node = entry.hlist.next) {
			if (n == room || copy_from_kernel_nofault(&entry, node, sizeof(entry)))
				return -EOPNOTSUPP;
			ips[n++] = entry.ip;
		}
	}
	if (n != hash.count)
		return -EOPNOTSUPP;
	sort(ips, n, sizeof(*ips), compare, NULL);
	return n;
}

void kprobes_entry_unmatch(void)
{
	ftrace_free_filter(&matched);
}
#else
/* Without CONFIG_DYNAMIC_FTRACE_WITH_ARGS, no probe can be registered. */
int kprobes_entry_attach(ftrace_func_t hit, unsigned long *ips, unsigned int n)
{ return -EOPNOTSUPP; }
bool kprobes_entry_detach(unsigned long *ips, unsigned int n) { return false; }
unsigned long kprobes_entry_callee(void) { return 0; }
static void unregister_ops(void) { }
int kprobes_entry_location(struct kprobe *kp, unsigned long *ip) { return -EOPNOTSUPP; }
int kprobes_entry_match(char *pattern, int len, bool first) { return -EOPNOTSUPP; }
bool kprobes_entry_may_have_missed(void) { return false; }
long kprobes_entry_matched(unsigned long *ips, unsigned long room) { return -EOPNOTSUPP; }
void kprobes_entry_unmatch(void) { }
#endif

/*
 * After a function was unloaded, its address stays in the filter, and ftrace would call the ops for
 * the next function there. So a module notifier marks the probes as gone.
 */
static struct {
	struct kprobes_registration reg;
	struct notifier_block block;
	void (*gone)(const struct module *mod, bool init);
	bool registered;
} watch;

bool kprobes_entry_within(unsigned long ip, const struct module *mod, bool init)
{
	return init ? within_module_init(ip, mod) : within_module(ip, mod);
}

/*
 * Text that is being unloaded. Its functions match patterns until ftrace removes them, some time
 * after the notification. Old ranges stay until a new one overlaps them.
 */
struct text_range {
	struct list_head list;
	unsigned long start, end;
};

static LIST_HEAD(unloaded);

static void free_unloaded(struct text_range *range)
{
	list_del(&range->list);
	kfree(range);
}

static void add_unloaded(const struct module_memory *mem)
{
	struct text_range *range, *other, *next;

	if (!mem->size)
		return;
	range = kmalloc(sizeof(*range), GFP_KERNEL | __GFP_NOFAIL);
	range->start = (unsigned long)mem->base;
	range->end = range->start + mem->size;
	mutex_lock(&lock);
	/* Text that was at the same addresses has been freed, so forget its range. */
	list_for_each_entry_safe(other, next, &unloaded, list)
		if (other->start < range->end && range->start < other->end)
			free_unloaded(other);
	list_add(&range->list, &unloaded);
	mutex_unlock(&lock);
}

/*
 * Returns 1 if the matched function at ip is being unloaded, and 0 if not. The caller holds the
 * lock, so watch_call() of a later unload waits.
 *
 * For text that is being unloaded, register_kprobe() fails with ENOENT. Otherwise the range is old,
 * and ip may have been matched in it or in a module that is at the same addresses now. Then this
 * returns EAGAIN, and the caller matches again.
 */
int kprobes_entry_unloaded(unsigned long ip)
{
	struct kprobe kp = {
		/* Kprobes that do not use ftrace refuse the address of an ftrace call. */
		.addr = (void *)ip - (IS_ENABLED(CONFIG_KPROBES_ON_FTRACE) ? 0 : MCOUNT_INSN_SIZE),
		.flags = KPROBE_FLAG_DISABLED,
	};
	struct text_range *range;
	int errno;

	list_for_each_entry(range, &unloaded, list) {
		if (ip < range->start || ip >= range->end)
			continue;
		errno = register_kprobe(&kp);
		if (errno == -ENOENT)
			return 1;
		if (errno == -ENOMEM)
			return errno;
		if (!errno)
			unregister_kprobe(&kp);
		free_unloaded(range);
		return -EAGAIN;
	}
	return 0;
}

static int watch_call(struct notifier_block *block, unsigned long event, void *data)
{
	struct module *mod = data;

	if (event != MODULE_STATE_GOING && event != MODULE_STATE_LIVE)
		return NOTIFY_DONE;
	if (event == MODULE_STATE_GOING)
		add_unloaded(&mod->mem[MOD_TEXT]);
	add_unloaded(&mod->mem[MOD_INIT_TEXT]);
	/* Marks probes that are attached. kprobes_entry_unloaded() finds later matches. */
	watch.gone(mod, event == MODULE_STATE_LIVE);
	return NOTIFY_DONE;
}

/* Called at module exit, after all probes were unregistered: they were registered later. */
static void __kprobes unregister_watch(void **none, unsigned int count)
{
	struct text_range *range, *next;

	unregister_module_notifier(&watch.block);
	list_for_each_entry_safe(range, next, &unloaded, list)
		free_unloaded(range);
	unregister_ops();
}

/*
 * Registers the module notifier, with the first probe, until module exit. Fails with EDEADLK
 * inside a module notifier, where the registration would deadlock.
 */
int kprobes_entry_watch(void (*gone)(const struct module *mod, bool init))
{
	static DEFINE_MUTEX(once);
	int errno = 0;

	if (smp_load_acquire(&watch.registered))
		return 0;
	if (kprobes_in_chain())
		return -EDEADLK;
	mutex_lock(&once);
	if (!watch.registered) {
		watch.gone = gone;
		watch.block.notifier_call = watch_call;
		/* Runs before callbacks that check for probes that are gone, or attach probes. */
		watch.block.priority = INT_MAX;
		errno = register_module_notifier(&watch.block);
		if (!errno) {
			watch.reg.unregister = unregister_watch;
			kprobes_add_registration(&watch.reg);
			smp_store_release(&watch.registered, true);
		}
	}
	mutex_unlock(&once);
	return errno;
}

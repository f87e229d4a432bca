// SPDX-License-Identifier: GPL-2.0
/*
 * The ftrace_ops of the module's entry probes: its filter, its life, and what it has to be told
 * when a module leaves.
 *
 * There is one for all of them. Two at the same function make the kernel call its list function
 * there, which asks every ops in the system.
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

/* The cold half of preempt_enable_notrace(): the count is 0 and a reschedule is due. */
void __kprobes kprobes_preempt_schedule(void)
{
	preempt_disable_notrace();
	preempt_enable_notrace();
}

#ifdef CONFIG_DYNAMIC_FTRACE_WITH_ARGS
/*
 * PERMANENT, because kernel.ftrace_enabled = 0 would otherwise stop the hits without an error. With
 * PERMANENT, Linux 7.2 refuses the 0 while there are probes (EBUSY), and refuses probes while it is
 * 0. From Linux 7.3 on, it cannot be set to 0.
 */
static struct ftrace_ops ops = {
	.flags = FTRACE_OPS_FL_PERMANENT,
};
static bool registered;

/* Whether the kernel has disabled ftrace after an error: it refuses any question. */
static bool __kprobes is_dead(void)
{
	return kprobes_function_entry(is_dead) == -ENODEV;
}

/*
 * Adds to the filter. An empty filter means all functions: while there is none, the ops is not
 * registered.
 */
int kprobes_entry_attach(ftrace_func_t hit, unsigned long *ips, unsigned int n)
{
	int errno = ftrace_set_filter_ips(&ops, ips, n, 0, !registered);
	bool dead;

	if (errno)
		return errno;
	if (!registered) {
		ops.func = hit;
		errno = register_ftrace_function(&ops);
		/*
		 * If the kernel could not write to the text, it warns, disables ftrace for good,
		 * and takes the ops off its list at once: but the functions that it has written to
		 * call us, with or without a trampoline.
		 */
		registered = !errno || ops.flags & FTRACE_OPS_FL_ENABLED;
		if (!registered)
			ftrace_free_filter(&ops);
	}
	/*
	 * Where only the filter has changed, ftrace returns 0 also then. Ask in any case: the
	 * question takes a lock of this module's, which lockdep can register only before the module
	 * is freed, and the question at the module's end would be too late.
	 */
	dead = is_dead();
	return errno ?: dead ? -ENODEV : 0;
}

/*
 * Returns what must be called at a function for ftrace to call only us: the trampoline of our ops,
 * or the ops itself where functions have a pointer to it. 0 if there is none.
 */
unsigned long kprobes_entry_callee(void)
{
	return IS_ENABLED(CONFIG_DYNAMIC_FTRACE_WITH_CALL_OPS) ? (unsigned long)&ops :
								 ops.trampoline;
}

/* Moves the addresses that ftrace still knows to the front; returns how many these are. */
static unsigned int __kprobes keep_known(unsigned long *ips, unsigned int n)
{
	unsigned int i, kept = 0;

	for (i = 0; i < n; i++)
		if (!kprobes_function_missing(ips[i]))
			ips[kept++] = ips[i];
	return kept;
}

/*
 * Removes from the filter, or unregisters the ops if no probe is enabled any more. Returns whether
 * the ops is registered, or the kernel may call us though it is not.
 *
 * Either may fail: without memory a function stays in the filter, after an error of ftrace's
 * everything does. The table leads to no probe there. If that error comes while the ops is
 * unregistered, the kernel returns 0.
 *
 * One function that ftrace does not know any more makes it refuse all of them. That one stays: if
 * another function is loaded at its address, ftrace calls us, and the callback finds no probe.
 */
bool __kprobes kprobes_entry_detach(unsigned long *ips, unsigned int n)
{
	if (registered && !kprobes_entries.enabled) {
		if (!unregister_ftrace_function(&ops) && !is_dead()) {
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

/* The module's text must stay as long as ftrace may call into it. */
static void __kprobes unregister_for_good(void)
{
	if (!kprobes_entry_detach(NULL, 0))
		return;
	pr_emerg("%s: ftrace cannot unregister the entry probes; %s (pid %d) blocks until reboot\n",
		 THIS_MODULE->name, current->comm, task_pid_nr(current));
	kprobes_block_forever();
}

/* Where ftrace's call is in the function that kp, registered and disabled, is at the entry of. */
int kprobes_entry_location(struct kprobe *kp, unsigned long *ip)
{
	unsigned long at = (unsigned long)kp->addr;
	int errno;

#ifdef CONFIG_KPROBES_ON_FTRACE
	errno = kp->flags & KPROBE_FLAG_FTRACE ? 0 : -EINVAL;
#else
	/* The entry of a function that has one, then the instruction itself. */
	errno = kprobes_function_entry((void *)at);
	if (!errno)
		errno = kprobes_function_entry((void *)(at += MCOUNT_INSN_SIZE));
	if (errno == -EINVAL)
		errno = kprobes_function_entry((void *)(at += MCOUNT_INSN_SIZE));
#endif
	*ip = at;
	return errno;
}

/* Never registered: its filter is what a pattern matches. */
static struct ftrace_ops matched;

/* Adds the functions that the pattern matches; ENOENT if there are none. */
int kprobes_entry_match(char *pattern, int len, bool first)
{
	int errno = ftrace_set_filter(&matched, pattern, len, first);

	return errno == -EINVAL ? -ENOENT : errno;
}

/*
 * Whether ftrace may have run out of memory on the way: it reports that it has matched then, and
 * has not matched all. An allocation of a few bytes with GFP_KERNEL does not fail
 * (__alloc_pages_slowpath() in mm/page_alloc.c tries again), except where failures are injected and
 * in a task that is being killed.
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
 * Stores what was matched in ascending order, for which room has to suffice, or only counts that if
 * ips is NULL.
 *
 * No exported function answers that. The beginning of struct ftrace_hash is in
 * kernel/trace/trace.h, struct ftrace_func_entry in linux/ftrace.h. So this reads as one reads what
 * may not be there, believes only what adds up, and leaves it to ftrace to check the addresses, in
 * kprobes_entry_attach().
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
/* No probe can be registered, so there are none to detach. */
int kprobes_entry_attach(ftrace_func_t hit, unsigned long *ips, unsigned int n)
{ return -EOPNOTSUPP; }
bool kprobes_entry_detach(unsigned long *ips, unsigned int n) { return false; }
unsigned long kprobes_entry_callee(void) { return 0; }
static void unregister_for_good(void) { }
int kprobes_entry_location(struct kprobe *kp, unsigned long *ip) { return -EOPNOTSUPP; }
int kprobes_entry_match(char *pattern, int len, bool first) { return -EOPNOTSUPP; }
bool kprobes_entry_may_have_missed(void) { return false; }
long kprobes_entry_matched(unsigned long *ips, unsigned long room) { return -EOPNOTSUPP; }
void kprobes_entry_unmatch(void) { }
#endif

/*
 * ftrace keeps an address in a filter after the function there was unloaded, and would call us for
 * the next function there. So the library marks its probes as gone.
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
 * Text that is about to be freed. ftrace forgets its functions some time after the notification,
 * and until then they match a pattern. The ranges do not overlap, so there are not more of them
 * than modules fit into their part of the address space.
 */
struct text_range {
	struct list_head list;
	unsigned long start, end;
};

static LIST_HEAD(unloaded);

static void forget(struct text_range *range)
{
	list_del(&range->list);
	kfree(range);
}

static void remember(const struct module_memory *mem)
{
	struct text_range *range, *other, *next;

	if (!mem->size)
		return;
	range = kmalloc(sizeof(*range), GFP_KERNEL | __GFP_NOFAIL);
	range->start = (unsigned long)mem->base;
	range->end = range->start + mem->size;
	mutex_lock(&lock);
	/* What was there before was freed. */
	list_for_each_entry_safe(other, next, &unloaded, list)
		if (other->start < range->end && range->start < other->end)
			forget(other);
	list_add(&range->list, &unloaded);
	mutex_unlock(&lock);
}

/*
 * Returns 1 if a function that a pattern matched is being unloaded, 0 if not. To be called under
 * the lock, so that the notification of a later unload waits.
 *
 * Kprobes refuse that code with ENOENT. Otherwise another module has come to its addresses, or may
 * come. The function that was matched need not be of that module, so the error is EAGAIN then, and
 * the caller matches once more.
 */
int kprobes_entry_unloaded(unsigned long ip)
{
	struct kprobe kp = {
		/* Where kprobes do not use ftrace, they refuse its call. */
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
		forget(range);
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
		remember(&mod->mem[MOD_TEXT]);
	remember(&mod->mem[MOD_INIT_TEXT]);
	/* What matches from now on is found above, what has matched is marked here. */
	watch.gone(mod, event == MODULE_STATE_LIVE);
	return NOTIFY_DONE;
}

/* At the module's end, when all probes have left: they were entered later. */
static void __kprobes unregister_watch(void **none, unsigned int count)
{
	struct text_range *range, *next;

	unregister_module_notifier(&watch.block);
	list_for_each_entry_safe(range, next, &unloaded, list)
		forget(range);
	unregister_for_good();
}

/*
 * Begins to watch, with the first probe, until the module's end. Not where that would wait for
 * itself.
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
		/* Before those that ask whether a probe is gone, and attach others. */
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

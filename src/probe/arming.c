// SPDX-License-Identifier: GPL-2.0
/* Kprobes: enabling and unregistering them, and which one the kernel has at a place. */
#include <linux/cpu.h>
#include <linux/err.h>
#include <linux/kprobes.h>
#include <linux/module.h>
#include <linux/printk.h>
#include <linux/rculist.h>
#include <linux/sched.h>

#include "../bindings/probe.h"

/*
 * Returns the flags of the hashed probe at the place of a registered probe: the probe itself, or
 * the aggregate probe that has the probe on its list, because the probe shares the place or can be
 * optimised. Of that list, only the aggregate probe is hashed.
 */
u32 kprobes_place_flags(const struct kprobe *kp)
{
	const struct list_head *at, *next;
	u32 flags = READ_ONCE(kp->flags);

	/* Members that leave the list are freed only after a grace period. */
	rcu_read_lock();
	for (at = READ_ONCE(kp->list.next); at != &kp->list; at = next) {
		const struct kprobe *other = list_entry(at, struct kprobe, list);
		unsigned long pprev = (unsigned long)READ_ONCE(other->hlist.pprev);

		/* Where it is not hashed, this is NULL, or LIST_POISON2, which is not aligned. */
		if (pprev && IS_ALIGNED(pprev, sizeof(pprev))) {
			flags = READ_ONCE(other->flags);
			break;
		}
		/*
		 * The first member points at the new aggregate probe, which does not point back
		 * yet. Stop: the kernel may not continue before this function returns.
		 */
		next = READ_ONCE(at->next);
		if (next == at)
			break;
	}
	rcu_read_unlock();
	return flags;
}

/*
 * Enables a registered probe.
 *
 * While kprobes are disabled globally (kprobes/enabled in debugfs), enable_kprobe() returns 0, but
 * a place at which all probes are disabled stays disabled, also once kprobes are enabled globally.
 * Registering an enabled probe enables its place, so this registers another probe for a moment. If
 * kprobes are enabled meanwhile, register_kprobe() arms the place, and returns the error.
 */
int kprobes_enable(struct kprobe *kp)
{
	int ret = enable_kprobe(kp);

	if (!ret && unlikely(kprobes_place_flags(kp) & KPROBE_FLAG_DISABLED)) {
		struct kprobe another = { .addr = kp->addr };
		void *probe = &another;

		ret = register_kprobe(&another);
		if (!ret) {
			/* It shares the place, and is not disabled: this is only the flag. */
			ret = enable_kprobe(kp);
			kprobes_unregister(&probe, 1, false);
		} else {
			/* It may be half enabled. */
			disable_kprobe(kp);
		}
	}
	return ret;
}

/*
 * RCU ignores a CPU from rcutree_report_cpu_dead() to rcutree_report_cpu_starting(), and both ends
 * of that can be probed. The lock waits for a CPU that goes offline or comes online. It does not
 * wait for the last steps of a CPU after cpuhp_ap_report_dead(), such as hlt_play_dead().
 */
static void __kprobes wait_for_cpus(void)
{
	cpus_read_lock();
	cpus_read_unlock();
}

static void __kprobes noinline cannot_disarm(const struct kprobe *kp, int errno)
{
	pr_emerg("%s: cannot disarm %pS: %pe; pid %d blocks until reboot\n", THIS_MODULE->name,
		 kp->addr, ERR_PTR(errno), current->pid);
	kprobes_block_forever();
}

/*
 * Disables n probes, of which each begins with a struct kprobe, so that unregistering them cannot
 * fail, and unregisters them: kretprobes if returns.
 *
 * If the kernel cannot disarm a probe, it keeps using the struct, whose memory the caller would
 * free. So this reports it and blocks forever. It does not try again: each attempt of the kernel's
 * decrements its count of armed probes.
 */
void __kprobes kprobes_unregister(void **probes, unsigned int n, bool returns)
{
	void **probe = probes + n;
	int errno;

	while (probe > probes) {
		errno = disable_kprobe(*--probe);
		if (errno)
			cannot_disarm(*probe, errno);
	}
	/* RCU ignores a CPU that goes offline. The kernel frees some, the caller the rest. */
	wait_for_cpus();
	if (returns)
		unregister_kretprobes((struct kretprobe **)probes, n);
	else
		unregister_kprobes((struct kprobe **)probes, n);
	wait_for_cpus();
}

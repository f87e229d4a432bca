// SPDX-License-Identifier: GPL-2.0
/* Kprobes: enabling and unregistering them, and their mechanism. */
#include <linux/cpu.h>
#include <linux/err.h>
#include <linux/kprobes.h>
#include <linux/module.h>
#include <linux/printk.h>
#include <linux/rculist.h>
#include <linux/sched.h>

#include "../bindings/probe.h"

/*
 * Returns the flags of the probe that the kernel hashes for the address of kp, a registered probe.
 * This is kp, or, if kp shares its address or can be optimized, an aggregate probe. The aggregate
 * probe is on a list with the probes at the address.
 */
u32 kprobes_hashed_flags(const struct kprobe *kp)
{
	const struct list_head *at, *next;
	u32 flags = READ_ONCE(kp->flags);

	/* Probes that are removed from the list are freed only after a grace period. */
	rcu_read_lock();
	for (at = READ_ONCE(kp->list.next); at != &kp->list; at = next) {
		const struct kprobe *other = list_entry(at, struct kprobe, list);
		unsigned long pprev = (unsigned long)READ_ONCE(other->hlist.pprev);

		/* If it is not hashed, pprev is NULL or LIST_POISON2, which is unaligned. */
		if (pprev && IS_ALIGNED(pprev, sizeof(pprev))) {
			flags = READ_ONCE(other->flags);
			break;
		}
		/*
		 * A new aggregate probe still points at itself while the first probe already points
		 * at it. Do not spin: the task that links them may not run before this one.
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
 * leaves KPROBE_FLAG_DISABLED of the hashed probe set. Enabling kprobes globally would then not arm
 * it. register_kprobe() clears the flag, so this temporarily registers another probe there.
 */
int kprobes_enable(struct kprobe *kp)
{
	int ret = enable_kprobe(kp);

	if (!ret && unlikely(kprobes_hashed_flags(kp) & KPROBE_FLAG_DISABLED)) {
		struct kprobe another = { .addr = kp->addr };
		void *probe = &another;

		ret = register_kprobe(&another);
		if (!ret) {
			/* The hashed probe is enabled, so this only clears the flag of kp. */
			ret = enable_kprobe(kp);
			kprobes_unregister(&probe, 1, false);
		} else {
			/* enable_kprobe() may have cleared the flag of kp. */
			disable_kprobe(kp);
		}
	}
	return ret;
}

/*
 * RCU does not watch a CPU between rcutree_report_cpu_dead() and rcutree_report_cpu_starting(), but
 * code on both sides can be probed. The hotplug lock waits for a CPU that goes offline or comes
 * online, up to cpuhp_ap_report_dead(): later steps, such as hlt_play_dead(), are not covered.
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
 * Unregisters n kprobes, or kretprobes if returns is true. Disables them first, so that
 * unregistering cannot fail.
 *
 * If the kernel cannot disarm a probe, it keeps using the struct, whose memory the caller would
 * free. So this logs the error and blocks forever. A second attempt would do harm: each one
 * decrements the kernel's count of armed probes.
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
	/* Once before the kernel frees memory, and once before the caller does. */
	wait_for_cpus();
	if (returns)
		unregister_kretprobes((struct kretprobe **)probes, n);
	else
		unregister_kprobes((struct kprobe **)probes, n);
	wait_for_cpus();
}

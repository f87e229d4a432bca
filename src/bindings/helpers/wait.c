// SPDX-License-Identifier: GPL-2.0
/* Waits for handlers that run, also on a CPU that goes offline or comes online. */
#include <linux/cpu.h>
#include <linux/rcupdate.h>

#include "../helper.h"

/*
 * RCU ignores a CPU from rcutree_report_cpu_dead() to rcutree_report_cpu_starting(),
 * and both ends of that can be probed. The lock waits for a CPU that goes offline or
 * comes online. It does not wait for the last steps of a CPU after cpuhp_ap_report_dead(),
 * such as hlt_play_dead().
 */
void kprobes_wait_for_cpus(void)
{
	cpus_read_lock();
	cpus_read_unlock();
}

/*
 * Waits for the handlers that run, and for what they read, such as the table of entry
 * probes and the listeners of events. They have preemption disabled. Where functions can
 * be traced that RCU does not watch, the rude kind waits for those; elsewhere it does
 * nothing.
 */
void kprobes_wait(void)
{
	synchronize_rcu_tasks_rude();
	synchronize_rcu();
	kprobes_wait_for_cpus();
}

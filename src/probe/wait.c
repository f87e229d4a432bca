// SPDX-License-Identifier: GPL-2.0
#include <linux/cpu.h>
#include <linux/rcupdate.h>

#include "../bindings/probe.h"

/*
 * Waits for the handlers that run, and for what they read, such as the table of entry probes and
 * the listeners of events. They have preemption disabled. Where functions can be traced that RCU
 * does not watch, the rude kind waits for those; elsewhere it does nothing. The lock waits for CPUs
 * that go offline or come online, see wait_for_cpus() in arming.c.
 */
void kprobes_wait(void)
{
	synchronize_rcu_tasks_rude();
	synchronize_rcu();
	cpus_read_lock();
	cpus_read_unlock();
}

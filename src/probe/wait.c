// SPDX-License-Identifier: GPL-2.0
#include <linux/cpu.h>
#include <linux/kprobes.h>
#include <linux/rcupdate.h>

#include "../bindings/probe.h"

/*
 * Waits for handlers that read the table of entry probes or the listeners of events, for which
 * preemption is disabled. synchronize_rcu_tasks_rude() waits for those at functions that RCU does
 * not watch, if ftrace can trace such functions. For the hotplug lock, see arming.c.
 */
void __kprobes kprobes_wait(void)
{
	synchronize_rcu_tasks_rude();
	synchronize_rcu();
	cpus_read_lock();
	cpus_read_unlock();
}

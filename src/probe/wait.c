// SPDX-License-Identifier: GPL-2.0
#include <linux/cpu.h>
#include <linux/kprobes.h>
#include <linux/rcupdate.h>

#include "../bindings/probe.h"

/*
 * Waits for running handlers, which have preemption disabled. synchronize_rcu_tasks_rude() waits
 * for handlers where RCU does not watch, if the kernel lets ftrace trace such functions. The
 * hotplug lock waits for CPUs that go offline or come online, see wait_for_cpus() in arming.c.
 */
void __kprobes kprobes_wait(void)
{
	synchronize_rcu_tasks_rude();
	synchronize_rcu();
	cpus_read_lock();
	cpus_read_unlock();
}

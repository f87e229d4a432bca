/* SPDX-License-Identifier: GPL-2.0 */
/* The functions that the stress tests probe. Each counts its own calls, exactly. */

enum stress_count {
	STRESS_TARGET,
	STRESS_EXACT,
	STRESS_INNER,
	STRESS_IRQ,
	STRESS_SOFTIRQ,
	STRESS_SLEEP,
	STRESS_USER,
	STRESS_NMI,
	STRESS_COUNTS,
};

u64 stress_target(u64 value);
u64 stress_exact(u64 value);
u64 stress_inner(u64 value);
u64 stress_irq(u64 value);
u64 stress_softirq(u64 value);
long stress_sleep(unsigned int ms);
u64 stress_user(const char __user *string);
u64 stress_nmi(u64 value);

int stress_call(unsigned int which, unsigned long times);
u64 stress_count(unsigned int which);
void stress_timers(unsigned int on);

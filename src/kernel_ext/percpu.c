// SPDX-License-Identifier: GPL-2.0
/* Per-CPU counters. */
#include <linux/percpu.h>

#include "../bindings/helper.h"

/*
 * The cast is through an integer because, with CONFIG_USE_X86_SEG_SUPPORT, the compiler warns of
 * casts between address spaces.
 */
static u64 __percpu *percpu(void *count)
{
	return (u64 __percpu *)(unsigned long)count;
}

void *kprobes_alloc_percpu(size_t size, size_t align)
{
	return (__force void *)(__force unsigned long)__alloc_percpu(size, align);
}

void kprobes_free_percpu(void *counts)
{
	free_percpu(percpu(counts));
}

void kprobes_percpu_inc(void *count)
{
	this_cpu_inc(*percpu(count));
}

u64 kprobes_percpu_sum(void *count)
{
	u64 sum = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		sum += READ_ONCE(*per_cpu_ptr(percpu(count), cpu));
	return sum;
}

// SPDX-License-Identifier: GPL-2.0
/* Counters of which each CPU has its own. */
#include <linux/percpu.h>

#include "../helper.h"

void *kprobes_alloc_percpu(size_t size, size_t align)
{
	return (__force void *)__alloc_percpu(size, align);
}

void kprobes_free_percpu(void *counts)
{
	free_percpu((__force void __percpu *)counts);
}

void kprobes_percpu_inc(void *count)
{
	this_cpu_inc(*(u64 __force __percpu *)count);
}

u64 kprobes_percpu_sum(void *count)
{
	u64 sum = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		sum += READ_ONCE(*per_cpu_ptr((u64 __force __percpu *)count, cpu));
	return sum;
}

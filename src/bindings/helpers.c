// SPDX-License-Identifier: GPL-2.0
/*
 * C that Rust cannot call because it is inline or a macro, and one instruction.
 */
#include <linux/linkage.h>
#include <linux/objtool.h>
#include <linux/percpu.h>
#include <linux/rcupdate.h>
#include <linux/tracepoint.h>

#include "helper.h"

void kprobes_ratelimit_init(struct ratelimit_state *rs, int interval, int burst)
{
	ratelimit_state_init(rs, interval, burst);
	/* The kernel would tell what it suppressed in words of its own. */
	ratelimit_set_flags(rs, RATELIMIT_MSG_ON_RELEASE);
}

void kprobes_wait_for_tasks(void)
{
	synchronize_rcu_tasks();
}

void kprobes_tracepoint_synchronize_unregister(void)
{
	tracepoint_synchronize_unregister();
}

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

#ifdef CONFIG_X86_64
/* As just_return_func() in arch/x86/lib/error-inject.c, which is not exported. */
asm(".text\n"
    ".type kprobes_just_return, @function\n"
    ".globl kprobes_just_return\n" ASM_FUNC_ALIGN
    "kprobes_just_return:\n" ANNOTATE_NOENDBR "\n" ASM_RET "\n"
    ".size kprobes_just_return, .-kprobes_just_return\n");
#endif

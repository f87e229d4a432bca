// SPDX-License-Identifier: GPL-2.0
/* Unwinds the stack of the probed code, without locks. */
#include <linux/ftrace.h>
#include <linux/kallsyms.h>
#include <linux/kprobes.h>
#include <linux/module.h>
#include <linux/ptrace.h>
#include <linux/sched.h>
#include <linux/stacktrace.h>
#ifdef CONFIG_X86_64
#include <asm/unwind.h>
#endif

#include "../bindings/probe.h"

/* Returns true for the frames from a tracepoint to the handler: of the iterator or this module. */
static bool calls_handler(unsigned long addr, const struct kprobes_tracepoint *tp)
{
	unsigned long loop = (unsigned long)tp->tracepoint->iterator;

	return within_module(addr, THIS_MODULE) || addr - loop < tp->iterator_size;
}

#ifdef CONFIG_X86_64
/* Stores the return addresses from state on. */
static void save(struct unwind_state *state, unsigned long *to, unsigned int n)
{
	unsigned long addr;

	for (; n; n--, unwind_next_frame(state)) {
		addr = unwind_get_return_address(state);
		if (!addr)
			break;
		*to++ = addr;
	}
}

/*
 * Stores the return addresses of a hit at ip. regs->ip of a kprobe is ip + 1, which may be another
 * instruction, with another stack layout.
 */
static void save_from(unsigned long *to, unsigned int n, struct pt_regs *regs, unsigned long ip)
{
	struct unwind_state state;
	unsigned long saved = instruction_pointer(regs);

	instruction_pointer_set(regs, ip);
	__unwind_start(&state, current, regs, (unsigned long *)regs->sp);
	instruction_pointer_set(regs, saved);
	save(&state, to, n);
}

/* The same at the entry of a function, which has not set up its frame pointer yet. */
static void save_from_entry(unsigned long *to, unsigned int n, struct pt_regs *regs,
			    unsigned long ip)
{
#ifndef CONFIG_UNWINDER_ORC
	*to = READ_ONCE_NOCHECK(*(unsigned long *)regs->sp);
#ifdef CONFIG_RETHOOK
	const struct llist_node *node;

	/* Return probes of this call may have replaced it. The last one has the original. */
	for (node = current->rethooks.first; node; node = node->next) {
		const struct rethook_node *rh = container_of(node, struct rethook_node, llist);

		if (rh->frame != regs->sp)
			break;
		*to = rh->ret_addr;
	}
#endif
	to++;
	n--;
#endif
	save_from(to, n, regs, ip);
}

void kprobes_stack_probed(unsigned long *to, unsigned int n, struct pt_regs *regs,
			  const struct kprobe *kp, unsigned long ip)
{
	bool before = ip == (unsigned long)kp->addr;

	if (kp->flags & (before ? KPROBE_FLAG_ON_FUNC_ENTRY : KPROBE_FLAG_FTRACE))
		save_from_entry(to, n, regs, ip);
	else
		save_from(to, n, regs, ip);
}

void kprobes_stack_returned(unsigned long *to, unsigned int n, struct pt_regs *regs)
{
	*to = instruction_pointer(regs);
	save_from(to + 1, n - 1, regs, *to);
}

void kprobes_stack_entry(unsigned long *to, unsigned int n, struct ftrace_regs *fregs,
			 unsigned long ip)
{
	/* Unwinding from a function's entry needs only the registers that ftrace saves. */
	save_from_entry(to, n, &arch_ftrace_regs(fregs)->regs, ip);
}

void kprobes_stack_tracepoint(unsigned long *to, unsigned int n, unsigned long frame,
			      const struct kprobes_tracepoint *tp)
{
	struct unwind_state state;
	unsigned long addr;

	/* frame is in the frame of the callback, so unwinding starts at its caller. */
	__unwind_start(&state, current, NULL, (unsigned long *)frame);
	/* In an interrupt, one callback calls another. */
	while ((addr = unwind_get_return_address(&state)) && calls_handler(addr, tp))
		unwind_next_frame(&state);
	save(&state, to, n);
}
#else
/* An upper limit of the frames between a hit and this file. */
#define MAX_SKIP 48

/* Returns how many frames stack_trace_save() must skip in the calling function to start at addr. */
static __always_inline unsigned int above(unsigned long addr)
{
	unsigned long frames[MAX_SKIP];
	unsigned int i = 0, n = stack_trace_save(frames, MAX_SKIP, 0);

	while (i < n && frames[i] != addr)
		i++;
	return i;
}

/* barrier() prevents a tail call, which would drop a frame. */
static __always_inline void save_from(unsigned long *to, unsigned int n, unsigned int skip)
{
	stack_trace_save(to, n, skip);
	barrier();
}

#ifdef CONFIG_RISCV
#define caller(regs) ((regs)->ra)
/*
 * The assembly code that saves the registers at a call or a return has no frame. The return address
 * of the function that it calls is right below the registers.
 */
#define below(regs) (((unsigned long *)(regs))[-1])
#define hook(node) container_of(node, struct rethook_node, llist)

/* arch_rethook_trampoline() is not exported. */
static bool is_trampoline(unsigned long addr)
{
	static unsigned long known;
	char name[KSYM_SYMBOL_LEN];

	if (!READ_ONCE(known)) {
		sprint_symbol(name, addr);
		if (strstarts(name, "arch_rethook_trampoline+0x0/"))
			WRITE_ONCE(known, addr);
	}
	return addr == READ_ONCE(known);
}

/*
 * Replaces trampoline addresses with the original ones, which the kernel's unwinder does not do on
 * riscv64. The innermost call is first in the list; of the return probes of one call, the last has
 * the original address. Return probes of the call with this frame pointer are skipped.
 */
static noinline void restore(unsigned long *to, unsigned int n, unsigned long frame)
{
	const struct llist_node *node = current->rethooks.first;

	while (node && hook(node)->frame == frame)
		node = node->next;
	for (; node && n && *to; n--, to++) {
		if (!is_trampoline(*to))
			continue;
		frame = hook(node)->frame;
		for (; node && hook(node)->frame == frame; node = node->next)
			*to = hook(node)->ret_addr;
	}
}
#else
static void restore(unsigned long *to, unsigned int n, unsigned long frame)
{
}

/* Returns the return address of a function, at its entry. */
static unsigned long caller(const struct pt_regs *regs)
{
	unsigned long addr = procedure_link_pointer(regs);
#if defined(CONFIG_KRETPROBES) && !defined(CONFIG_KRETPROBE_ON_RETHOOK)
	const struct llist_node *node;

	/* Return probes of this call may have replaced it. The last one has the original. */
	for (node = current->kretprobe_instances.first; node; node = node->next) {
		const struct kretprobe_instance *ri =
			container_of(node, struct kretprobe_instance, llist);

		if (ri->fp != (void *)regs->regs[29])
			break;
		addr = (unsigned long)ri->ret_addr;
	}
#endif
	return addr;
}
#endif

/*
 * stack_trace_save() stores the probed address, then the return addresses of the frames. At its
 * entry, the function has no frame yet.
 */
noinline void kprobes_stack_probed(unsigned long *to, unsigned int n, struct pt_regs *regs,
				   const struct kprobe *kp, unsigned long ip)
{
	unsigned int first = !!(kp->flags & KPROBE_FLAG_ON_FUNC_ENTRY);

	if (first)
		*to = caller(regs);
	save_from(to + first, n - first, above(instruction_pointer(regs)) + 1);
	restore(to, n, 0);
}

noinline void kprobes_stack_returned(unsigned long *to, unsigned int n, struct pt_regs *regs)
{
#ifdef CONFIG_RISCV
	*to = instruction_pointer(regs);
	save_from(to + 1, n - 1, above(below(regs)) + 1);
	restore(to + 1, n - 1, regs->s0);
#else
	save_from(to, n, above(instruction_pointer(regs)));
#endif
}

noinline void kprobes_stack_entry(unsigned long *to, unsigned int n, struct ftrace_regs *fregs,
				  unsigned long ip)
{
#ifdef CONFIG_RISCV
	*to = caller(arch_ftrace_regs(fregs));
	save_from(to + 1, n - 1, above(below(fregs)) + 1);
	restore(to, n, 0);
#else
	save_from(to, n, above(ip + MCOUNT_INSN_SIZE) + 1);
#endif
}

noinline void kprobes_stack_tracepoint(unsigned long *to, unsigned int n, unsigned long frame,
				       const struct kprobes_tracepoint *tp)
{
	unsigned long frames[MAX_SKIP];
	/* frames[0] is in this function or, on riscv64, in stack_trace_save(). */
	unsigned int i = 1, all = stack_trace_save(frames, MAX_SKIP, 0);

	while (i < all && calls_handler(frames[i], tp))
		i++;
	save_from(to, n, i);
	restore(to, n, 0);
}
#endif

// SPDX-License-Identifier: GPL-2.0
/* The return addresses of the calls that are in progress at a hit, without locks. */
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

/* What is between a tracepoint and the handler: this module, and the tracepoint's loop. */
static bool calls_handler(unsigned long addr, const struct kprobes_tracepoint *tp)
{
	unsigned long loop = (unsigned long)tp->tracepoint->iterator;

	return within_module(addr, THIS_MODULE) || addr - loop < tp->iterator_size;
}

#ifdef CONFIG_X86_64
/* Stores the return addresses from the state on. */
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
 * Where the CPU is at `ip`, with these registers. In the registers, that is a byte further for a
 * kprobe, where another instruction may be, with another layout of the stack.
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

/* The same at the entry of a function, which has no frame pointer yet. */
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
	/* Those that ftrace has not saved are of no use at a function's entry. */
	save_from_entry(to, n, &arch_ftrace_regs(fregs)->regs, ip);
}

void kprobes_stack_tracepoint(unsigned long *to, unsigned int n, unsigned long frame,
			      const struct kprobes_tracepoint *tp)
{
	struct unwind_state state;
	unsigned long addr;

	/* The context is in the frame of the callback, so this begins at what has called that. */
	__unwind_start(&state, current, NULL, (unsigned long *)frame);
	/* In an interrupt, one callback calls the other. */
	while ((addr = unwind_get_return_address(&state)) && calls_handler(addr, tp))
		unwind_next_frame(&state);
	save(&state, to, n);
}
#else
/* More frames than the kernel has between a hit and this file. */
#define MACHINERY 48

/*
 * Returns how many frames are above this address in the stack of the function that this is inlined
 * into, which is what that function has stack_trace_save() skip.
 */
static __always_inline unsigned int above(unsigned long addr)
{
	unsigned long frames[MACHINERY];
	unsigned int i = 0, n = stack_trace_save(frames, MACHINERY, 0);

	while (i < n && frames[i] != addr)
		i++;
	return i;
}

/* Stores what is after that many. It is no tail call, which would have a frame less. */
static __always_inline void save_from(unsigned long *to, unsigned int n, unsigned int skip)
{
	stack_trace_save(to, n, skip);
	barrier();
}

#ifdef CONFIG_RISCV
#define caller(regs) ((regs)->ra)
/*
 * The kernel's assembly that saves the registers of a call or of a return makes no frame. What it
 * calls has its return address right below the registers.
 */
#define below(regs) (((unsigned long *)(regs))[-1])
#define hook(node) container_of(node, struct rethook_node, llist)

/* It is not exported. Its address does not change. */
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
 * The kernel's unwinder leaves the trampoline where return probes have replaced an address. The
 * innermost call is the first in the list; of the probes of one call, the last has the original.
 * The calls with this frame pointer are out of the question.
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

/* Returns where a function returns to, at its entry. */
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
 * The kernel has the address that was hit, then what the frames have. At its entry, the function
 * has made none.
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
	unsigned long frames[MACHINERY];
	/* The first is here or, on riscv64, in stack_trace_save(). */
	unsigned int i = 1, all = stack_trace_save(frames, MACHINERY, 0);

	while (i < all && calls_handler(frames[i], tp))
		i++;
	save_from(to, n, i);
	restore(to, n, 0);
}
#endif

// SPDX-License-Identifier: GPL-2.0
/*
 * Other tracers of a probed function, chosen by `kind`. `hits` counts the calls of the first three;
 * an entry probe must have as many hits.
 *
 * fprobe	an fprobe
 * patch	like a live patch: an ops that continues in another function
 * direct	like BPF's fentry: a trampoline that ftrace calls directly
 * post		a kprobe with a post handler at an entry that has a kprobe without: Linux 7.2 cannot
 *		disarm the latter afterwards
 * break	makes ftrace disable itself: overwrites ftrace's call in the function, which ftrace
 *		detects at its next write there. The function must not be called any more
 *
 * Mistakes in locking: `order` takes two locks in both orders, `key` takes an uninitialised lock,
 * `off` turns lockdep off without a line in the log.
 *
 * If both kprobes are in C, the kernel crashes. To reproduce that, in `make shell` after
 * `scripts/build -C bench` and `scripts/build -C tests/stress`:
 *
 *	insmod bench/bench_target.ko
 *	insmod bench/bench_c.ko kind=kprobe_counting
 *	insmod tests/stress/stress_tracers.ko kind=post symbol=bench_call
 *	rmmod stress_tracers
 *	rmmod bench_c
 *	cat /sys/kernel/debug/kprobes/list
 */
#include <linux/atomic.h>
#include <linux/debug_locks.h>
#include <linux/fprobe.h>
#include <linux/ftrace.h>
#include <linux/kprobes.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/spinlock.h>
#include <linux/vmalloc.h>
#ifdef CONFIG_X86_64
#include <asm/ibt.h>
#include <asm/nospec-branch.h>
#endif

static char symbol[KSYM_NAME_LEN];
module_param_string(symbol, symbol, sizeof(symbol), 0);
MODULE_PARM_DESC(symbol, "MODULE:FUNCTION; of a u64 that returns a u64, for patch");

static char *kind = "";
module_param(kind, charp, 0);

static long hits;
module_param(hits, long, 0400);

static __always_inline void hit(void)
{
	atomic_long_inc((atomic_long_t *)&hits);
}

static notrace int on_fprobe(struct fprobe *fp, unsigned long ip, unsigned long ret,
			     struct ftrace_regs *fregs, void *data)
{
	hit();
	return 0;
}

static struct fprobe fprobe = { .entry_handler = on_fprobe };

static notrace noinline u64 instead(u64 value)
{
	hit();
	return value;
}

static notrace void on_patch(unsigned long ip, unsigned long parent, struct ftrace_ops *ops,
			     struct ftrace_regs *fregs)
{
	ftrace_regs_set_instruction_pointer(fregs, (unsigned long)instead);
}

/* Like klp_patch_func(). */
static struct ftrace_ops patch = {
	.func = on_patch,
	.flags = FTRACE_OPS_FL_IPMODIFY | FTRACE_OPS_FL_PERMANENT,
};

#ifdef CONFIG_X86_64
void stress_tracers_direct(void);
notrace void stress_tracers_direct(void)
{
	hit();
}

void stress_tracers_trampoline(void *regs);
/* Like samples/ftrace/ftrace-direct.c. */
asm(
"	.pushsection	.text, \"ax\", @progbits\n"
"	.type		stress_tracers_trampoline, @function\n"
"	.globl		stress_tracers_trampoline\n"
"stress_tracers_trampoline:"
	ASM_ENDBR
"	pushq %rbp\n"
"	movq %rsp, %rbp\n"
	CALL_DEPTH_ACCOUNT
"	pushq %rdi\n"
"	call stress_tracers_direct\n"
"	popq %rdi\n"
"	leave\n"
	ASM_RET
"	.size		stress_tracers_trampoline, . - stress_tracers_trampoline\n"
"	.popsection\n"
);

static struct ftrace_ops direct;
#endif

static void after(struct kprobe *kp, struct pt_regs *regs, unsigned long flags)
{
}

static struct kprobe post = { .symbol_name = symbol, .post_handler = after };

static int break_at(void *at)
{
	/* The text's own mapping is read-only. */
	struct page *page = vmalloc_to_page(at);
	void *alias = page ? vmap(&page, 1, VM_MAP, PAGE_KERNEL) : NULL;

	if (!alias)
		return -ENOMEM;
	memset(alias + offset_in_page(at), 0x90, 5);
	vunmap(alias);
	return 0;
}

static DEFINE_MUTEX(one);
static DEFINE_MUTEX(other);

static void take(struct mutex *first, struct mutex *second)
{
	mutex_lock(first);
	mutex_lock(second);
	mutex_unlock(second);
	mutex_unlock(first);
}

static int __init tracers_init(void)
{
	struct kprobe probe = { .symbol_name = symbol, .flags = KPROBE_FLAG_DISABLED };
	unsigned long at;
	spinlock_t lock = {};
	int errno;

	if (!strcmp(kind, "order")) {
		take(&one, &other);
		take(&other, &one);
		return 0;
	}
	if (!strcmp(kind, "key")) {
		spin_lock(&lock);
		spin_unlock(&lock);
		return 0;
	}
	if (!strcmp(kind, "off")) {
		debug_locks = 0;
		return 0;
	}
	if (!strcmp(kind, "post"))
		return register_kprobe(&post);
	/* Only to look up the function. */
	errno = register_kprobe(&probe);
	if (errno)
		return errno;
	unregister_kprobe(&probe);
	at = (unsigned long)probe.addr;

	if (!strcmp(kind, "break"))
		return break_at(probe.addr);
	if (!strcmp(kind, "fprobe"))
		return register_fprobe_ips(&fprobe, &at, 1);
	if (!strcmp(kind, "patch"))
		return ftrace_set_filter_ip(&patch, at, 0, 0) ?: register_ftrace_function(&patch);
#ifdef CONFIG_X86_64
	if (!strcmp(kind, "direct"))
		return ftrace_set_filter_ip(&direct, at, 0, 0) ?:
		       register_ftrace_direct(&direct, (unsigned long)stress_tracers_trampoline);
#endif
	return -EOPNOTSUPP;
}
module_init(tracers_init);

static void __exit tracers_exit(void)
{
	if (!strcmp(kind, "fprobe")) {
		unregister_fprobe(&fprobe);
	} else if (!strcmp(kind, "patch")) {
		unregister_ftrace_function(&patch);
		ftrace_free_filter(&patch);
	} else if (!strcmp(kind, "post")) {
		unregister_kprobe(&post);
#ifdef CONFIG_X86_64
	} else if (!strcmp(kind, "direct")) {
		unregister_ftrace_direct(&direct, (unsigned long)stress_tracers_trampoline, true);
#endif
	}
}
module_exit(tracers_exit);

MODULE_DESCRIPTION("Other tracers of a probed function, and mistakes in locking");
MODULE_LICENSE("GPL");

// SPDX-License-Identifier: GPL-2.0
/*
 * The probes of the benchmark in C; `kind` chooses one. bench_rust.rs has the same
 * probes in Rust, with the same names.
 */
#include <linux/fprobe.h>
#include <linux/ftrace.h>
#include <linux/kprobes.h>
#include <linux/log2.h>
#include <linux/module.h>
#include <linux/percpu.h>
#include <linux/timekeeping.h>
#include <linux/tracepoint.h>
#include <linux/uaccess.h>

#include "bench_map.h"

static char *kind = "";
module_param(kind, charp, 0);
MODULE_PARM_DESC(kind, "the probe to register");

static uint inside;
module_param(inside, uint, 0);
MODULE_PARM_DESC(inside, "an offset in bench_inside");

static atomic64_t count;

static int empty(struct kprobe *p, struct pt_regs *regs)
{
	return 0;
}

static int counting(struct kprobe *p, struct pt_regs *regs)
{
	atomic64_inc(&count);
	return 0;
}

static DEFINE_PER_CPU(u64, counts);

static int counting_percpu(struct kprobe *p, struct pt_regs *regs)
{
	this_cpu_inc(counts);
	return 0;
}

static int by_pid(struct kprobe *p, struct pt_regs *regs)
{
	map_add(task_pid_nr(current), 1);
	return 0;
}

static void post(struct kprobe *p, struct pt_regs *regs, unsigned long flags)
{
}

static int if_7(struct kprobe *p, struct pt_regs *regs)
{
	if (regs->di == 7)
		atomic64_inc(&count);
	return 0;
}

static int if_42(struct kprobe *p, struct pt_regs *regs)
{
	if (regs->di == 42)
		atomic64_inc(&count);
	return 0;
}

static int string(struct kprobe *p, struct pt_regs *regs)
{
	char buf[16];

	if (!copy_from_user_nofault(buf, (const void __user *)regs->si, sizeof(buf)))
		atomic64_add(buf[0], &count);
	return 0;
}

static struct kprobe kp;

static int ret_empty(struct kretprobe_instance *ri, struct pt_regs *regs)
{
	return 0;
}

static int entry_data(struct kretprobe_instance *ri, struct pt_regs *regs)
{
	*(u64 *)ri->data = regs->di;
	return 0;
}

static int ret_data(struct kretprobe_instance *ri, struct pt_regs *regs)
{
	atomic64_add(*(u64 *)ri->data, &count);
	return 0;
}

static DEFINE_PER_CPU_ALIGNED(u64[40], buckets);

static int entry_time(struct kretprobe_instance *ri, struct pt_regs *regs)
{
	*(u64 *)ri->data = ktime_get_mono_fast_ns();
	return 0;
}

static int ret_time(struct kretprobe_instance *ri, struct pt_regs *regs)
{
	u64 ns = ktime_get_mono_fast_ns() - *(u64 *)ri->data;

	this_cpu_inc(buckets[min(ilog2(ns | 1), 39)]);
	return 0;
}

static struct kretprobe rp;

static void on_ftrace(unsigned long ip, unsigned long parent, struct ftrace_ops *ops,
		      struct ftrace_regs *fregs)
{
}

static struct ftrace_ops ops = { .func = on_ftrace };

static int on_fprobe(struct fprobe *fp, unsigned long ip, unsigned long ret,
		     struct ftrace_regs *fregs, void *data)
{
	return 0;
}

static struct fprobe fp = { .entry_handler = on_fprobe };

static void on_kmalloc(void *data, unsigned long site, const void *ptr)
{
	atomic64_inc(&count);
}

static struct tracepoint *tp;

static void find_kmalloc(struct tracepoint *one, void *data)
{
	if (!strcmp(one->name, "kmalloc"))
		tp = one;
}

static const struct {
	const char *name;
	const char *symbol;
	kprobe_pre_handler_t pre;
	kprobe_post_handler_t post;
	kretprobe_handler_t entry, ret;
	size_t data_size;
} kinds[] = {
	{ "kprobe_empty", "bench_call", empty },
	{ "kprobe_counting", "bench_call", counting },
	{ "kprobe_percpu", "bench_call", counting_percpu },
	{ "kprobe_by_pid", "bench_call", by_pid },
	{ "kprobe_post", "bench_call", counting, post },
	{ "kprobe_jump", "bench_inside", counting },
	{ "kprobe_int3", "bench_inside", counting, post },
	{ "condition_false", "bench_call", if_7 },
	{ "condition_true", "bench_call", if_42 },
	{ "user_string", "bench_call", string },
	{ "kretprobe_empty", "bench_call", .ret = ret_empty },
	{ "kretprobe_data", "bench_call", .entry = entry_data, .ret = ret_data, .data_size = 8 },
	{ "kretprobe_histogram", "bench_call", .entry = entry_time, .ret = ret_time,
	  .data_size = 8 },
	{ "ftrace_ops" }, { "fprobe" }, { "tracepoint" },
};

static int found = -1;

static int __init bench_init(void)
{
	for (found = ARRAY_SIZE(kinds) - 1; found >= 0; found--)
		if (!strcmp(kinds[found].name, kind))
			break;
	if (found < 0)
		return -EINVAL;
	if (kinds[found].pre == by_pid && map_create(1000))
		return -ENOMEM;

	if (kinds[found].ret) {
		rp.kp.symbol_name = kinds[found].symbol;
		rp.entry_handler = kinds[found].entry;
		rp.handler = kinds[found].ret;
		rp.data_size = kinds[found].data_size;
		return register_kretprobe(&rp);
	}
	if (kinds[found].symbol) {
		kp.symbol_name = kinds[found].symbol;
		if (!strcmp(kp.symbol_name, "bench_inside"))
			kp.offset = inside;
		kp.pre_handler = kinds[found].pre;
		kp.post_handler = kinds[found].post;
		return register_kprobe(&kp);
	}
	if (!strcmp(kind, "ftrace_ops")) {
		int ret = ftrace_set_filter(&ops, "bench_call", 10, 0);

		return ret ?: register_ftrace_function(&ops);
	}
	if (!strcmp(kind, "fprobe"))
		return register_fprobe(&fp, "bench_call", NULL);
	for_each_kernel_tracepoint(find_kmalloc, NULL);
	return tp ? tracepoint_probe_register(tp, on_kmalloc, NULL) : -ENOENT;
}
module_init(bench_init);

static void __exit bench_exit(void)
{
	if (kinds[found].ret) {
		unregister_kretprobe(&rp);
	} else if (kinds[found].symbol) {
		unregister_kprobe(&kp);
	} else if (!strcmp(kind, "ftrace_ops")) {
		unregister_ftrace_function(&ops);
	} else if (!strcmp(kind, "fprobe")) {
		unregister_fprobe(&fp);
	} else {
		tracepoint_probe_unregister(tp, on_kmalloc, NULL);
		tracepoint_synchronize_unregister();
	}
	map_destroy();
}
module_exit(bench_exit);

MODULE_DESCRIPTION("The probes of the benchmark in C");
MODULE_LICENSE("GPL");

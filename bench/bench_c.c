// SPDX-License-Identifier: GPL-2.0
/*
 * The probes of the benchmark in C; `kind` chooses one. bench_rust.rs has the same
 * probes in Rust, with the same names. `single` and `set` are `n` kprobes, one by one or as
 * a set; how long attaching and detaching them took is logged.
 */
#include <linux/ftrace.h>
#include <linux/kprobes.h>
#include <linux/ktime.h>
#include <linux/log2.h>
#include <linux/module.h>
#include <linux/percpu.h>
#include <linux/tracepoint.h>
#include <linux/uaccess.h>

#include "bench_map.h"

static char *kind = "";
module_param(kind, charp, 0);
MODULE_PARM_DESC(kind, "the probe to register");

static uint inside, n = 1;
module_param(inside, uint, 0);
MODULE_PARM_DESC(inside, "an offset in bench_inside");
module_param(n, uint, 0);
MODULE_PARM_DESC(n, "how many, up to 1000");

static atomic64_t count;
static DEFINE_PER_CPU(u64, counts);
static DEFINE_PER_CPU_ALIGNED(u64[40], buckets);

#define KPROBE(name, body)							\
	static int name(struct kprobe *p, struct pt_regs *regs)			\
	{									\
		body;								\
		return 0;							\
	}
#define KRETPROBE(name, body)							\
	static int name(struct kretprobe_instance *ri, struct pt_regs *regs)	\
	{									\
		u64 *data __maybe_unused = (u64 *)ri->data;			\
										\
		body;								\
		return 0;							\
	}

KPROBE(empty, (void)0)
KPROBE(counting, atomic64_inc(&count))
KPROBE(percpu, this_cpu_inc(counts))
KPROBE(by_pid, map_add(task_pid_nr(current), 1))
KPROBE(if_7, if (regs->di == 7) atomic64_inc(&count))
KPROBE(if_42, if (regs->di == 42) atomic64_inc(&count))
KPROBE(string, char buf[16];
	       if (!copy_from_user_nofault(buf, (const void __user *)regs->si, sizeof(buf)))
		       atomic64_add(buf[0], &count))

KRETPROBE(ret_empty, (void)0)
KRETPROBE(entry_data, *data = regs->di)
KRETPROBE(ret_data, atomic64_add(*data, &count))
KRETPROBE(entry_time, *data = ktime_get_mono_fast_ns())
KRETPROBE(ret_time, u64 ns = ktime_get_mono_fast_ns() - *data;
		    this_cpu_inc(buckets[min(ilog2(ns | 1), 39)]))

static void post(struct kprobe *p, struct pt_regs *regs, unsigned long flags)
{
}

static void on_ftrace(unsigned long ip, unsigned long parent, struct ftrace_ops *ops,
		      struct ftrace_regs *fregs)
{
}

static struct ftrace_ops ops = { .func = on_ftrace };

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

static struct kind {
	const char *name;
	struct kprobe kp;
	struct kretprobe rp;
} kinds[] = {
#define CALL(...) .kp = { .symbol_name = "bench_call", __VA_ARGS__ }
#define INSIDE(...) .kp = { .symbol_name = "bench_inside", __VA_ARGS__ }
#define RETURN(...) .rp = { .kp.symbol_name = "bench_call", __VA_ARGS__ }
	{ "kprobe_empty", CALL(.pre_handler = empty) },
	{ "kprobe_counting", CALL(.pre_handler = counting) },
	{ "kprobe_percpu", CALL(.pre_handler = percpu) },
	{ "kprobe_by_pid", CALL(.pre_handler = by_pid) },
	{ "kprobe_post", CALL(.pre_handler = counting, .post_handler = post) },
	{ "kprobe_jump", INSIDE(.pre_handler = counting) },
	{ "kprobe_int3", INSIDE(.pre_handler = counting, .post_handler = post) },
	{ "condition_false", CALL(.pre_handler = if_7) },
	{ "condition_true", CALL(.pre_handler = if_42) },
	{ "user_string", CALL(.pre_handler = string) },
	{ "kretprobe_empty", RETURN(.handler = ret_empty) },
	{ "kretprobe_data",
	  RETURN(.entry_handler = entry_data, .handler = ret_data, .data_size = 8) },
	{ "kretprobe_histogram",
	  RETURN(.entry_handler = entry_time, .handler = ret_time, .data_size = 8) },
	{ "ftrace_ops" }, { "tracepoint" }, { "single" }, { "set" },
}, *chosen;

static bool is(const char *name)
{
	return !strcmp(kind, name);
}

static struct many {
	struct kprobe kp;
	char name[16];
} many[1000];
static struct kprobe *kps[ARRAY_SIZE(many)];

static int __init register_many(void)
{
	u64 start;
	int i, ret = 0;

	for (i = 0; i < n; i++) {
		snprintf(many[i].name, sizeof(many[i].name), "bench_many_%03d", i);
		many[i].kp.symbol_name = many[i].name;
		many[i].kp.pre_handler = counting;
		kps[i] = &many[i].kp;
	}
	start = ktime_get_ns();
	if (is("set"))
		ret = register_kprobes(kps, n);
	for (i = 0; is("single") && i < n && !ret; i++)
		ret = register_kprobe(kps[i]);
	pr_info("attach %llu\n", ktime_get_ns() - start);
	pr_info("bytes %zu\n", sizeof(struct kprobe));
	return ret;
}

static void __exit unregister_many(void)
{
	u64 start = ktime_get_ns();
	int i;

	if (is("set"))
		unregister_kprobes(kps, n);
	for (i = 0; is("single") && i < n; i++)
		unregister_kprobe(kps[i]);
	pr_info("detach %llu\n", ktime_get_ns() - start);
}

static int __init bench_init(void)
{
	for (chosen = kinds; !is(chosen->name); chosen++)
		if (chosen == &kinds[ARRAY_SIZE(kinds) - 1])
			return -EINVAL;
	if (is("kprobe_by_pid") && map_create(1000))
		return -ENOMEM;
	if (chosen->rp.handler)
		return register_kretprobe(&chosen->rp);
	if (chosen->kp.symbol_name) {
		if (is("kprobe_jump") || is("kprobe_int3"))
			chosen->kp.offset = inside;
		return register_kprobe(&chosen->kp);
	}
	if (is("ftrace_ops"))
		return ftrace_set_filter(&ops, "bench_call", 10, 0) ?:
		       register_ftrace_function(&ops);
	if (!is("tracepoint"))
		return register_many();
	for_each_kernel_tracepoint(find_kmalloc, NULL);
	return tp ? tracepoint_probe_register(tp, on_kmalloc, NULL) : -ENOENT;
}
module_init(bench_init);

static void __exit bench_exit(void)
{
	if (chosen->rp.handler) {
		unregister_kretprobe(&chosen->rp);
	} else if (chosen->kp.symbol_name) {
		unregister_kprobe(&chosen->kp);
	} else if (is("ftrace_ops")) {
		unregister_ftrace_function(&ops);
	} else if (is("tracepoint")) {
		tracepoint_probe_unregister(tp, on_kmalloc, NULL);
		tracepoint_synchronize_unregister();
	} else {
		unregister_many();
	}
	map_destroy();
}
module_exit(bench_exit);

MODULE_DESCRIPTION("The probes of the benchmark in C");
MODULE_LICENSE("GPL");

// SPDX-License-Identifier: GPL-2.0
/*
 * The probes of the benchmark in C; `kind` chooses one. bench_rust.rs has the same probes in Rust,
 * with the same names. `single` and `set` register `n` kprobes, one by one or as a set, and log how
 * long attaching and detaching took. `pattern` selects the functions of entry probes; `inside` is
 * an offset in bench_inside.
 *
 * The entry probes give the guarantees of those in Rust: one ftrace_ops for all, a table from a
 * function to its list of probes that is read without a lock, preemption disabled, a bit per
 * context in the task as a guard, and exact misses for each probe.
 */
#include <linux/fprobe.h>
#include <linux/ftrace.h>
#include <linux/kprobes.h>
#include <linux/ktime.h>
#include <linux/log2.h>
#include <linux/module.h>
#include <linux/percpu.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/tracepoint.h>
#include <linux/uaccess.h>

#include "bench_map.h"
#define CREATE_TRACE_POINTS
#include "bench_event.h"

static char *kind = "", *pattern = "bench_call";
module_param(kind, charp, 0);
module_param(pattern, charp, 0);
static uint inside, n = 1;
module_param(inside, uint, 0);
module_param(n, uint, 0);

struct probe {
	void (*now)(unsigned long ip, unsigned long parent, struct probe *probe,
		    struct ftrace_regs *fregs, struct task_struct *task);
	struct probe *next;
	void *handler;
	atomic64_t missed;
	unsigned long ip;
};

static struct table {
	unsigned int mask;
	struct probe sentinel;
	struct {
		unsigned long ip;
		struct probe *first;
	} places[];
} *table;

/* As in src/bindings/helper.h. */
#define BIT_OF_TASK 23

static struct counters {
	atomic64_t count;
	u64 __percpu *counts;
} counters;

static notrace __always_inline unsigned int hash(unsigned long ip)
{
	return (u32)ip * 0x61c88647u;
}

static notrace __always_inline typeof(&table->places[0]) place(struct table *t, unsigned int at)
{
	return (void *)t->places + at;
}

#define PLACE sizeof(table->places[0])
/* The number of spare slots after the last bucket. */
#define SPARE 3

static notrace struct probe *find(unsigned long ip)
{
	struct table *t = READ_ONCE(table);
	unsigned int at = hash(ip) & t->mask;

	for (;; at = (at + PLACE) & t->mask) {
		unsigned long here = READ_ONCE(place(t, at)->ip);

		if (here == ip)
			return READ_ONCE(place(t, at)->first);
		if (!here)
			return &t->sentinel;
	}
}

static notrace noinline void missed(unsigned long ip)
{
	struct probe *probe;

	for (probe = find(ip); probe; probe = READ_ONCE(probe->next))
		atomic64_inc(&probe->missed);
	preempt_enable_notrace();
}

static notrace noinline void begin_further(unsigned long ip, unsigned long parent,
					   struct ftrace_regs *fregs, struct task_struct *task)
{
	struct probe *probe = find(ip);

	READ_ONCE(probe->now)(ip, parent, probe, fregs, task);
}

static notrace noinline void begin_nearby(unsigned long ip, unsigned long parent,
					  typeof(&table->places[0]) first,
					  struct ftrace_regs *fregs, struct task_struct *task)
{
	int n;

#pragma GCC unroll 3
	for (n = 1; n <= SPARE; n++) {
		if (likely(READ_ONCE(first[n].ip) == ip)) {
			struct probe *probe = READ_ONCE(first[n].first);

			READ_ONCE(probe->now)(ip, parent, probe, fregs, task);
			return;
		}
	}
	begin_further(ip, parent, fregs, task);
}

static notrace __always_inline void begin(unsigned long ip, unsigned long parent,
					  struct ftrace_regs *fregs, struct task_struct *task)
{
	struct table *t = READ_ONCE(table);
	unsigned int at = hash(ip) & t->mask;

	if (likely(READ_ONCE(place(t, at)->ip) == ip)) {
		struct probe *probe = READ_ONCE(place(t, at)->first);

		READ_ONCE(probe->now)(ip, parent, probe, fregs, task);
	} else {
		begin_nearby(ip, parent, place(t, at), fregs, task);
	}
}

static notrace noinline void in_interrupt_of(unsigned long ip, unsigned long parent,
					     struct ftrace_regs *fregs, struct task_struct *task)
{
	u32 *word = (u32 *)&task->trace_recursion;
	u32 bits = READ_ONCE(*word);
	u32 bit = 1u << (BIT_OF_TASK + interrupt_context_level());

	if (bits & bit) {
		missed(ip);
		return;
	}
	WRITE_ONCE(*word, bits | bit);
	barrier();
	begin(ip, parent, fregs, task);
	barrier();
	WRITE_ONCE(*word, bits);
}

static notrace void hit(unsigned long ip, unsigned long parent, struct ftrace_ops *ops,
			struct ftrace_regs *fregs)
{
	struct task_struct *task = current;
	u32 *word = (u32 *)&task->trace_recursion;

	preempt_disable_notrace();
	if (unlikely(preempt_count() & (NMI_MASK | HARDIRQ_MASK | SOFTIRQ_OFFSET))) {
		in_interrupt_of(ip, parent, fregs, task);
		return;
	}
	if (unlikely(*word & 1u << BIT_OF_TASK)) {
		missed(ip);
		return;
	}
	*word |= 1u << BIT_OF_TASK;
	barrier();
	begin(ip, parent, fregs, task);
}

static notrace __always_inline void end(struct task_struct *task)
{
	barrier();
	*(u32 *)&task->trace_recursion &= ~(1u << BIT_OF_TASK);
	preempt_enable_notrace();
}

static notrace void skip(unsigned long ip, unsigned long parent, struct probe *probe,
			 struct ftrace_regs *fregs, struct task_struct *task)
{
	struct probe *next = READ_ONCE(probe->next);

	if (next)
		READ_ONCE(next->now)(ip, parent, next, fregs, task);
	else
		end(task);
}

/* For the last probe of a function; the benchmark has one probe per function. */
#define ENTRY(name, body)								\
	static notrace void name(unsigned long ip, unsigned long parent,		\
				 struct probe *probe, struct ftrace_regs *fregs,	\
				 struct task_struct *task)				\
	{										\
		struct counters *c __maybe_unused = probe->handler;			\
											\
		body;									\
		end(task);								\
	}

/* strncpy_from_user_nofault() is not exported. */
#define TRACE_TEXT(value, at) do {							\
	char buf[32];									\
											\
	if (!copy_from_user_nofault(buf, (const void __user *)(at), sizeof(buf)))	\
		trace_text(value, buf, strnlen(buf, sizeof(buf)));			\
} while (0)

#define ARG(n) ftrace_regs_get_argument(fregs, n)

ENTRY(entry_empty, (void)0)
ENTRY(entry_counting, atomic64_inc(&c->count))
ENTRY(entry_percpu, this_cpu_inc(*c->counts))
ENTRY(entry_args, if (ARG(0) == 42 && ARG(1)) this_cpu_inc(*c->counts))
ENTRY(entry_by_pid, map_add(task_pid_nr(task), 1))
ENTRY(entry_by_key, map_add(ARG(0), 1))
ENTRY(event_entry, trace_value(ARG(0)))
ENTRY(event_entry_string, TRACE_TEXT(ARG(0), ARG(1)))

static struct ftrace_ops ops = { .func = hit, .flags = FTRACE_OPS_FL_PERMANENT };
static struct probe *probes;

static notrace int on_fprobe(struct fprobe *fp, unsigned long ip, unsigned long ret,
			     struct ftrace_regs *fregs, void *data)
{
	this_cpu_inc(*counters.counts);
	return 0;
}

static struct fprobe fprobe = { .entry_handler = on_fprobe };

/* The first members of the kernel's struct. */
struct ftrace_hash {
	unsigned long size_bits;
	struct hlist_head *buckets;
	unsigned long count;
};

/* Fills the table with the functions in the filter. */
static int fill(const struct ftrace_hash *functions, typeof(probes->now) now)
{
	unsigned long left = functions->count, size = max(roundup_pow_of_two(8 * left), 16);
	struct ftrace_func_entry *entry;
	unsigned int b;

	probes = kvcalloc(left, sizeof(*probes), GFP_KERNEL);
	table = kvzalloc(struct_size(table, places, size + SPARE), GFP_KERNEL);
	if (!probes || !table)
		return -ENOMEM;
	table->mask = (size - 1) * PLACE;
	table->sentinel.now = skip;
	for (b = 0; b < 1u << functions->size_bits; b++)
		hlist_for_each_entry(entry, &functions->buckets[b], hlist) {
			unsigned int at = hash(entry->ip) & table->mask;
			struct probe *probe = &probes[--left];

			while (place(table, at)->ip)
				at = (at + PLACE) & table->mask;
			*probe = (struct probe){
				.now = now, .handler = &counters, .ip = entry->ip,
			};
			place(table, at)->first = probe;
			place(table, at)->ip = entry->ip;
		}
	return 0;
}

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

KPROBE(event, trace_value(regs->di))
KPROBE(event_string, TRACE_TEXT(regs->di, regs->si))

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

static struct ftrace_ops bare_ops = { .func = on_ftrace };

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
	typeof(probes->now) entry;
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
	{ "event", CALL(.pre_handler = event) },
	{ "event_string", CALL(.pre_handler = event_string) },
#define ENTRY_OF(name) { #name, .entry = name }
	ENTRY_OF(entry_empty), ENTRY_OF(entry_counting), ENTRY_OF(entry_percpu),
	ENTRY_OF(entry_args), ENTRY_OF(entry_by_pid), ENTRY_OF(entry_by_key),
	ENTRY_OF(event_entry), ENTRY_OF(event_entry_string),
	{ "fprobe" }, { "ftrace_ops" }, { "tracepoint" }, { "single" }, { "set" },
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

static int __init attach(void)
{
	int i, ret = 0;

	if (chosen->entry)
		return ftrace_set_filter(&ops, pattern, strlen(pattern), 1) ?:
		       fill(ops.func_hash->filter_hash, chosen->entry) ?:
		       register_ftrace_function(&ops);
	if (chosen->rp.handler)
		return register_kretprobe(&chosen->rp);
	if (chosen->kp.symbol_name)
		return register_kprobe(&chosen->kp);
	if (is("fprobe"))
		return register_fprobe(&fprobe, pattern, NULL);
	if (is("ftrace_ops"))
		return ftrace_set_filter(&bare_ops, "bench_call", 10, 0) ?:
		       register_ftrace_function(&bare_ops);
	if (is("tracepoint"))
		return tracepoint_probe_register(tp, on_kmalloc, NULL);
	if (is("set"))
		return register_kprobes(kps, n);
	for (i = 0; i < n && !ret; i++)
		ret = register_kprobe(kps[i]);
	return ret;
}

static int __init bench_init(void)
{
	u64 start;
	int i, ret;

	for (chosen = kinds; !is(chosen->name); chosen++)
		if (chosen == &kinds[ARRAY_SIZE(kinds) - 1])
			return -EINVAL;
	if (is("kprobe_jump") || is("kprobe_int3"))
		chosen->kp.offset = inside;
	for_each_kernel_tracepoint(find_kmalloc, NULL);
	for (i = 0; i < n; i++) {
		snprintf(many[i].name, sizeof(many[i].name), "bench_many_%03d", i);
		many[i].kp.symbol_name = many[i].name;
		many[i].kp.pre_handler = counting;
		kps[i] = &many[i].kp;
	}
	counters.counts = alloc_percpu(u64);
	if (!counters.counts || (strstr(kind, "_by_") && map_create(100000)))
		return -ENOMEM;
	start = ktime_get_ns();
	ret = attach();
	pr_info("attach %llu\n", ktime_get_ns() - start);
	pr_info("bytes %zu\n", sizeof(struct kprobe));
	return ret;
}
module_init(bench_init);

static void __exit bench_exit(void)
{
	u64 start = ktime_get_ns();
	int i;

	if (chosen->entry) {
		WARN_ON(unregister_ftrace_function(&ops));
		synchronize_rcu();
		ftrace_free_filter(&ops);
		kvfree(table);
		kvfree(probes);
	} else if (chosen->rp.handler) {
		unregister_kretprobe(&chosen->rp);
	} else if (chosen->kp.symbol_name) {
		unregister_kprobe(&chosen->kp);
	} else if (is("fprobe")) {
		unregister_fprobe(&fprobe);
	} else if (is("ftrace_ops")) {
		unregister_ftrace_function(&bare_ops);
	} else if (is("tracepoint")) {
		tracepoint_probe_unregister(tp, on_kmalloc, NULL);
		tracepoint_synchronize_unregister();
	} else if (is("set")) {
		unregister_kprobes(kps, n);
	} else {
		for (i = 0; i < n; i++)
			unregister_kprobe(kps[i]);
	}
	pr_info("detach %llu\n", ktime_get_ns() - start);
	vfree(map);
	free_percpu(counters.counts);
}
module_exit(bench_exit);

MODULE_DESCRIPTION("The probes and trace events of the benchmark in C");
MODULE_LICENSE("GPL");

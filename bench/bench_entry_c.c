// SPDX-License-Identifier: GPL-2.0
/*
 * Entry probes in C with what those of bench_entry_rust.rs guarantee: one ftrace_ops
 * for all, a table from a function to a list of probes that is read without a lock,
 * preemption disabled, a bit of the task's for each context as a guard, and misses
 * counted for each probe. And fprobes, for comparison; and kprobes and entry probes that emit
 * the trace events of bench_event.h. `synth` emits the synthetic event bench_synth, which has
 * to be there.
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
#include <linux/trace_events.h>
#include <linux/uaccess.h>

#include "bench_map.h"
#define CREATE_TRACE_POINTS
#include "bench_event.h"

static char *kind = "";
module_param(kind, charp, 0);
MODULE_PARM_DESC(kind, "the handler");

static char *pattern = "bench_call";
module_param(pattern, charp, 0);
MODULE_PARM_DESC(pattern, "the functions");

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
	struct probe nobody;
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
/* How many free places follow the last one. */
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
			return &t->nobody;
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

/* For the last probe of a function; these are all. */
#define CALL(name, body)								\
	static notrace void name(unsigned long ip, unsigned long parent,		\
				 struct probe *probe, struct ftrace_regs *fregs,	\
				 struct task_struct *task)				\
	{										\
		struct counters *c = probe->handler;					\
											\
		body;									\
		end(task);								\
	}

CALL(empty, (void)c)
CALL(counting, atomic64_inc(&c->count))
CALL(percpu, this_cpu_inc(*c->counts))
CALL(by_pid, (void)c; map_add(task_pid_nr(task), 1))
CALL(by_argument, (void)c; map_add(ftrace_regs_get_argument(fregs, 0), 1))
CALL(args, if (ftrace_regs_get_argument(fregs, 0) == 42 && ftrace_regs_get_argument(fregs, 1))
	     this_cpu_inc(*c->counts))

/* strncpy_from_user_nofault() is not exported. */
#define TRACE_TEXT(value, at) do {							\
	char buf[32];									\
											\
	if (!copy_from_user_nofault(buf, (const void __user *)(at), sizeof(buf)))	\
		trace_text(value, buf, strnlen(buf, sizeof(buf)));			\
} while (0)

CALL(value, (void)c; trace_value(ftrace_regs_get_argument(fregs, 0)))
CALL(text, (void)c; TRACE_TEXT(ftrace_regs_get_argument(fregs, 0),
			       ftrace_regs_get_argument(fregs, 1)))

static int kprobe_value(struct kprobe *p, struct pt_regs *regs)
{
	trace_value(regs->di);
	return 0;
}

static int kprobe_text(struct kprobe *p, struct pt_regs *regs)
{
	TRACE_TEXT(regs->di, regs->si);
	return 0;
}

static struct trace_event_file *synth_file;

static int kprobe_synth(struct kprobe *p, struct pt_regs *regs)
{
	synth_event_trace(synth_file, 1, (u64)regs->di);
	return 0;
}

static struct kprobe kp = { .symbol_name = "bench_call" };

static struct ftrace_ops ops = { .func = hit, .flags = FTRACE_OPS_FL_PERMANENT };
static struct probe *probes;

static notrace int on_fprobe(struct fprobe *fp, unsigned long ip, unsigned long ret,
			     struct ftrace_regs *fregs, void *data)
{
	this_cpu_inc(*counters.counts);
	return 0;
}

static struct fprobe fp = { .entry_handler = on_fprobe };

/* The beginning of the kernel's own. */
struct ftrace_hash {
	unsigned long size_bits;
	struct hlist_head *buckets;
	unsigned long count;
};

/* The table for what is in the filter. */
static int fill(const struct ftrace_hash *functions, typeof(probes->now) now)
{
	unsigned long n = functions->count, size = max(roundup_pow_of_two(8 * n), 16);
	struct ftrace_func_entry *entry;
	unsigned int b;

	probes = kvcalloc(n, sizeof(*probes), GFP_KERNEL);
	table = kvzalloc(struct_size(table, places, size + SPARE), GFP_KERNEL);
	if (!probes || !table)
		return -ENOMEM;
	table->mask = (size - 1) * PLACE;
	table->nobody.now = skip;
	for (b = 0; b < 1u << functions->size_bits; b++)
		hlist_for_each_entry(entry, &functions->buckets[b], hlist) {
			unsigned int at = hash(entry->ip) & table->mask;
			struct probe *probe = &probes[--n];

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

static const struct {
	const char *name;
	typeof(probes->now) entry;
	kprobe_pre_handler_t pre;
} kinds[] = {
	{ "empty", empty }, { "counting", counting }, { "percpu", percpu }, { "args", args },
	{ "by_pid", by_pid }, { "by_argument", by_argument },
	{ "value_entry", value }, { "text_entry", text },
	{ "value", .pre = kprobe_value }, { "text", .pre = kprobe_text },
	{ "synth", .pre = kprobe_synth }, { "fprobe" },
}, *chosen = kinds;

static int __init bench_init(void)
{
	u64 start = ktime_get_ns();
	int ret;

	for (; strcmp(chosen->name, kind); chosen++)
		if (chosen == &kinds[ARRAY_SIZE(kinds) - 1])
			return -EINVAL;
	counters.counts = alloc_percpu(u64);
	if (!counters.counts || map_create(100000))
		return -ENOMEM;
	if (chosen->entry) {
		ret = ftrace_set_filter(&ops, pattern, strlen(pattern), 1) ?:
		      fill(ops.func_hash->filter_hash, chosen->entry) ?:
		      register_ftrace_function(&ops);
	} else if (chosen->pre) {
		if (chosen->pre == kprobe_synth)
			synth_file = trace_get_event_file(NULL, "synthetic", "bench_synth");
		if (IS_ERR(synth_file))
			return PTR_ERR(synth_file);
		kp.pre_handler = chosen->pre;
		ret = register_kprobe(&kp);
	} else {
		ret = register_fprobe(&fp, pattern, NULL);
	}
	pr_info("attach %llu\n", ktime_get_ns() - start);
	return ret;
}
module_init(bench_init);

static void __exit bench_exit(void)
{
	u64 start = ktime_get_ns();

	if (chosen->entry) {
		WARN_ON(unregister_ftrace_function(&ops));
		synchronize_rcu();
		ftrace_free_filter(&ops);
		kvfree(table);
		kvfree(probes);
	} else if (chosen->pre) {
		unregister_kprobe(&kp);
		if (synth_file)
			trace_put_event_file(synth_file);
	} else {
		unregister_fprobe(&fp);
	}
	pr_info("detach %llu\n", ktime_get_ns() - start);
	map_destroy();
	free_percpu(counters.counts);
}
module_exit(bench_exit);

MODULE_DESCRIPTION("The entry probes and trace events of the benchmark in C");
MODULE_LICENSE("GPL");

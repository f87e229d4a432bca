// SPDX-License-Identifier: GPL-2.0
/*
 * Attaches and detaches many kprobes in C, one by one or as a set, and logs how long
 * that took. bench_many_rust.rs does the same in Rust.
 */
#include <linux/kprobes.h>
#include <linux/ktime.h>
#include <linux/module.h>
#include <linux/slab.h>

static uint n = 1;
module_param(n, uint, 0);
MODULE_PARM_DESC(n, "how many, up to 1000");

static uint set;
module_param(set, uint, 0);
MODULE_PARM_DESC(set, "1: as a set");

static atomic64_t count;

static int counting(struct kprobe *p, struct pt_regs *regs)
{
	atomic64_inc(&count);
	return 0;
}

static struct probe {
	struct kprobe kp;
	char name[16];
} *probes;
static struct kprobe **kps;

static int __init bench_init(void)
{
	u64 start;
	int i, ret = 0;

	probes = kvcalloc(n, sizeof(*probes), GFP_KERNEL);
	kps = kvcalloc(n, sizeof(*kps), GFP_KERNEL);
	if (!probes || !kps)
		return -ENOMEM;
	for (i = 0; i < n; i++) {
		snprintf(probes[i].name, sizeof(probes[i].name), "bench_many_%03d", i);
		probes[i].kp.symbol_name = probes[i].name;
		probes[i].kp.pre_handler = counting;
		kps[i] = &probes[i].kp;
	}
	start = ktime_get_ns();
	if (set)
		ret = register_kprobes(kps, n);
	for (i = 0; !set && i < n && !ret; i++)
		ret = register_kprobe(kps[i]);
	pr_info("attach %llu\n", ktime_get_ns() - start);
	pr_info("bytes %zu\n", sizeof(struct kprobe));
	return ret;
}
module_init(bench_init);

static void __exit bench_exit(void)
{
	u64 start = ktime_get_ns();
	int i;

	if (set)
		unregister_kprobes(kps, n);
	for (i = 0; !set && i < n; i++)
		unregister_kprobe(kps[i]);
	pr_info("detach %llu\n", ktime_get_ns() - start);
	kvfree(kps);
	kvfree(probes);
}
module_exit(bench_exit);

MODULE_DESCRIPTION("Attaches many kprobes in C");
MODULE_LICENSE("GPL");

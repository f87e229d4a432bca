// SPDX-License-Identifier: GPL-2.0
/* The smallest module with a counting kprobe, for comparing sizes. */
#include <linux/kprobes.h>
#include <linux/module.h>

static atomic64_t count;

static int counting(struct kprobe *p, struct pt_regs *regs)
{
	atomic64_inc(&count);
	return 0;
}

static struct kprobe kp = {
	.symbol_name = "bench_call",
	.pre_handler = counting,
};

static int __init bench_init(void)
{
	return register_kprobe(&kp);
}
module_init(bench_init);

static void __exit bench_exit(void)
{
	unregister_kprobe(&kp);
}
module_exit(bench_exit);

MODULE_DESCRIPTION("The smallest module with a kprobe in C");
MODULE_LICENSE("GPL");

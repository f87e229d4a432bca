// SPDX-License-Identifier: GPL-2.0
/*
 * Makes Linux 7.2 unable to disarm the probe of another module: registers a probe
 * with a post handler at a function's entry where there is one without.
 *
 * If both are in C, the kernel crashes. To reproduce that, in `make shell` after
 * `scripts/build -C bench` and `scripts/build -C tests/stress`:
 *
 *	insmod bench/bench_target.ko
 *	insmod bench/bench_c.ko kind=kprobe_counting
 *	insmod tests/stress/stress_intruder.ko symbol=bench_call
 *	rmmod stress_intruder
 *	rmmod bench_c
 *	cat /sys/kernel/debug/kprobes/list
 */
#include <linux/kprobes.h>
#include <linux/module.h>

static char symbol[KSYM_NAME_LEN];
module_param_string(symbol, symbol, sizeof(symbol), 0);
MODULE_PARM_DESC(symbol, "the function");

static int pre(struct kprobe *kp, struct pt_regs *regs)
{
	return 0;
}

static void post(struct kprobe *kp, struct pt_regs *regs, unsigned long flags)
{
}

static struct kprobe probe = {
	.symbol_name = symbol,
	.pre_handler = pre,
	.post_handler = post,
};

static int __init intruder_init(void)
{
	return register_kprobe(&probe);
}
module_init(intruder_init);

static void __exit intruder_exit(void)
{
	unregister_kprobe(&probe);
}
module_exit(intruder_exit);

MODULE_DESCRIPTION("Breaks the probe of another module");
MODULE_AUTHOR("The rust_kprobe authors");
MODULE_LICENSE("GPL");

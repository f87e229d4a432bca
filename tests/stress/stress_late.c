// SPDX-License-Identifier: GPL-2.0
/*
 * Has stress_victim leave at the wrong moment. When all have been told that it leaves,
 * but ftrace still knows its functions, it is held, once: until somebody writes N to
 * `held`; or, with early=1, until somebody attaches to what was matched then, who waits
 * until ftrace has forgotten them.
 */
#include <linux/delay.h>
#include <linux/kprobes.h>
#include <linux/module.h>
#include <linux/sched.h>

static struct task_struct *leaving;
static struct module *victim;
static bool forgotten;

static bool held;
module_param(held, bool, 0600);
MODULE_PARM_DESC(held, "whether stress_victim is being unloaded, and waits");

static bool early;
module_param(early, bool, 0400);
MODULE_PARM_DESC(early, "whether who attaches to its functions is too late");

/* ftrace_set_filter_ips(ops, ips, count, remove, reset) */
static int attach(struct kprobe *p, struct pt_regs *regs)
{
	unsigned long *ips = (unsigned long *)regs_get_kernel_argument(regs, 1);
	unsigned int count = regs_get_kernel_argument(regs, 2);
	int ms = 10 * 1000;

	if (!early || !smp_load_acquire(&held))
		return 0;
	while (count && !within_module(ips[count - 1], victim))
		count--;
	if (!count)
		return 0;
	WRITE_ONCE(held, false);
	while (!READ_ONCE(forgotten) && ms--)
		mdelay(1);
	return 0;
}

/* ftrace waits for a grace period once it has forgotten them. */
static int forget(struct kprobe *p, struct pt_regs *regs)
{
	if (current == READ_ONCE(leaving) && !READ_ONCE(held))
		WRITE_ONCE(forgotten, true);
	return 0;
}

static struct kprobe attach_probe = {
	.symbol_name = "ftrace_set_filter_ips",
	.pre_handler = attach,
};
static struct kprobe forget_probe = {
	.symbol_name = "synchronize_rcu",
	.pre_handler = forget,
};

static int hold(struct notifier_block *block, unsigned long event, void *data)
{
	struct module *mod = data;
	int ms = 30 * 1000;

	if (event != MODULE_STATE_GOING || strcmp(mod->name, "stress_victim") ||
	    READ_ONCE(leaving))
		return NOTIFY_DONE;
	victim = mod;
	WRITE_ONCE(leaving, current);
	smp_store_release(&held, true);
	while (READ_ONCE(held) && ms--)
		msleep(1);
	return NOTIFY_DONE;
}

static struct notifier_block block = {
	.notifier_call = hold,
	/* After all others. */
	.priority = INT_MIN,
};

static int __init late_init(void)
{
	struct kprobe *probes[] = { &attach_probe, &forget_probe };
	int errno = register_kprobes(probes, ARRAY_SIZE(probes));

	if (errno)
		return errno;
	errno = register_module_notifier(&block);
	if (errno)
		unregister_kprobes(probes, ARRAY_SIZE(probes));
	return errno;
}
module_init(late_init);

static void __exit late_exit(void)
{
	struct kprobe *probes[] = { &attach_probe, &forget_probe };

	unregister_module_notifier(&block);
	unregister_kprobes(probes, ARRAY_SIZE(probes));
}
module_exit(late_exit);

MODULE_DESCRIPTION("Has a module leave while others attach to its functions");
MODULE_AUTHOR("The rust_kprobe authors");
MODULE_LICENSE("GPL");

// SPDX-License-Identifier: GPL-2.0
/*
 * A module that is unloaded while its function is probed. Its init and each write to its parameter
 * `call` call the function. Its init may fail.
 */
#include <linux/kprobes.h>
#include <linux/module.h>

#define CREATE_TRACE_POINTS
#include "stress_trace.h"

noinline u64 stress_victim(u64 value);
noinline u64 stress_victim(u64 value)
{
	int i;

	for (i = 0; i < 3; i++)
		value = (value ^ (value << 7)) * 0x9e3779b97f4a7c15ull + i;
	barrier();
	return value;
}

void stress_not_probed(void);
noinline void __kprobes stress_not_probed(void)
{
}

static unsigned int at_init;
module_param(at_init, uint, 0400);
MODULE_PARM_DESC(at_init, "how often the init calls the function");

static int error;
module_param(error, int, 0400);
MODULE_PARM_DESC(error, "with what the init fails");

/* Recursive, so that a return probe can miss calls. */
static noinline void call_often(unsigned int times)
{
	if (!times)
		return;
	trace_stress_passed(times);
	stress_victim(times);
	call_often(times - 1);
	barrier();
}

static int call(const char *text, const struct kernel_param *param)
{
	unsigned int times;
	int ret = kstrtouint(text, 0, &times);

	if (ret)
		return ret;
	call_often(times);
	return 0;
}

static const struct kernel_param_ops call_ops = { .set = call };
module_param_cb(call, &call_ops, NULL, 0200);

static int __init victim_init(void)
{
	call_often(at_init);
	return error;
}
module_init(victim_init);

static void __exit victim_exit(void)
{
}
module_exit(victim_exit);

MODULE_DESCRIPTION("A module that is unloaded while its function is probed");
MODULE_LICENSE("GPL");

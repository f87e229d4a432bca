// SPDX-License-Identifier: GPL-2.0
/*
 * A module that is unloaded while its function is probed. Writing N to its
 * parameter `call` calls the function N times.
 */
#include <linux/module.h>

noinline u64 stress_victim(u64 value);
noinline u64 stress_victim(u64 value)
{
	int i;

	for (i = 0; i < 3; i++)
		value = (value ^ (value << 7)) * 0x9e3779b97f4a7c15ull + i;
	barrier();
	return value;
}

static int call(const char *text, const struct kernel_param *param)
{
	unsigned int times;
	int ret = kstrtouint(text, 0, &times);

	if (ret)
		return ret;
	while (times--)
		stress_victim(times);
	return 0;
}

static const struct kernel_param_ops call_ops = { .set = call };
module_param_cb(call, &call_ops, NULL, 0200);

static int __init victim_init(void)
{
	return 0;
}
module_init(victim_init);

static void __exit victim_exit(void)
{
}
module_exit(victim_exit);

MODULE_DESCRIPTION("A module that is unloaded while its function is probed");
MODULE_LICENSE("GPL");

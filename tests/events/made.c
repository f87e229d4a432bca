// SPDX-License-Identifier: GPL-2.0
/*
 * What one writes to the parameters of events_made: "do" is for the Rust part, "call"
 * calls a function to probe: "VALUE COUNT TEXT".
 */
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/sched.h>
#include <linux/string.h>

int events_made_do(const char *words);
noinline u64 events_made_target(u64 value, const char *text);

noinline u64 events_made_target(u64 value, const char *text)
{
	asm volatile("" : : "r" (text));
	return value + 1;
}

static int call(const char *words, const struct kernel_param *kp)
{
	unsigned long long value;
	unsigned int count;
	char text[400];

	if (sscanf(words, "%llu %u %399s", &value, &count, text) != 3)
		return -EINVAL;
	while (count--) {
		events_made_target(value++, text);
		cond_resched();
	}
	return 0;
}

static int do_set(const char *words, const struct kernel_param *kp)
{
	return events_made_do(words);
}

static const struct kernel_param_ops call_ops = { .set = call };
static const struct kernel_param_ops do_ops = { .set = do_set };
module_param_cb(call, &call_ops, NULL, 0200);
module_param_cb(do, &do_ops, NULL, 0200);

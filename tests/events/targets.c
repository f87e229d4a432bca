// SPDX-License-Identifier: GPL-2.0
/*
 * Functions to probe. Writing to the module's parameter "call" calls them: "number FIRST COUNT",
 * "text TEXT", "bound N" or "entered FIRST COUNT".
 */
#include <linux/kernel.h>
#include <linux/kprobes.h>
#include <linux/moduleparam.h>
#include <linux/sched.h>
#include <linux/string.h>

noinline u64 events_number(u64 value);
noinline int events_text(const char *text, unsigned long length);
noinline int events_bound(int n);
noinline u64 events_entered(u64 value);
noinline u64 events_entered_too(u64 value);

noinline u64 events_number(u64 value)
{
	barrier();
	return value + 1;
}

noinline int events_text(const char *text, unsigned long length)
{
	barrier();
	return length ? (int)length : -ENODATA;
}

noinline int events_bound(int n)
{
	barrier();
	return -n;
}

noinline u64 events_entered(u64 value)
{
	barrier();
	return value + 2;
}

noinline u64 events_entered_too(u64 value)
{
	barrier();
	return value + 3;
}

static int call(const char *words, const struct kernel_param *kp)
{
	unsigned long long first, count;
	char text[512];
	int n;

	if (sscanf(words, "number %llu %llu", &first, &count) == 2) {
		while (count--) {
			events_number(first++);
			cond_resched();
		}
		return 0;
	}
	if (sscanf(words, "entered %llu %llu", &first, &count) == 2) {
		while (count--) {
			events_entered(first);
			events_entered_too(first++);
			cond_resched();
		}
		return 0;
	}
	if (sscanf(words, "bound %d", &n) == 1) {
		events_bound(n);
		return 0;
	}
	if (!strncmp(words, "text ", 5)) {
		strscpy(text, words + 5);
		n = strcspn(text, "\n");
		text[n] = 0;
		events_text(text, n);
		return 0;
	}
	return -EINVAL;
}

static const struct kernel_param_ops call_ops = { .set = call };
module_param_cb(call, &call_ops, NULL, 0200);

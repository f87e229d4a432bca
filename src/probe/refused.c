// SPDX-License-Identifier: GPL-2.0
#include <linux/errname.h>
#include <linux/kallsyms.h>
#include <linux/module.h>
#include <linux/printk.h>
#include <linux/ratelimit.h>

#include "../bindings/probe.h"

/*
 * Logs that a probe is refused: what (its name or its kind), the index of its target in a set or
 * -1, the symbol and the offset, or without a symbol the address, and why. Returns false if there
 * were too many such lines.
 */
bool kprobes_report_refused(const char *what, int index, const char *symbol, unsigned long at,
			    int errno, const char *why)
{
	static DEFINE_RATELIMIT_STATE(limit, 5 * HZ, 100);
	char place[KSYM_SYMBOL_LEN], of[24] = "";

	if (!___ratelimit(&limit, THIS_MODULE->name))
		return false;
	if (symbol)
		snprintf(place, sizeof(place), at ? "%s+%#lx" : "%s", symbol, at);
	else
		kprobes_print_symbol(place, at);
	if (index >= 0)
		snprintf(of, sizeof(of), " %d of a set", index);
	pr_err("%s: %s%s at %s: %s (%s)\n", THIS_MODULE->name, what, of, place, why,
	       errname(-errno) ?: "unknown");
	return true;
}

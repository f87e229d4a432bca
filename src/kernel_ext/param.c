// SPDX-License-Identifier: GPL-2.0
#include <linux/module.h>
#include <linux/printk.h>

#include "../bindings/helper.h"

void kprobes_param_too_long(const char *name, size_t max)
{
	pr_err("%s: %s: value exceeds %zu characters (ENOSPC)\n",
	       THIS_MODULE->name, name, max);
}

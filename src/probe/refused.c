// SPDX-License-Identifier: GPL-2.0
#include <linux/err.h>
#include <linux/module.h>
#include <linux/printk.h>

#include "../bindings/probe.h"

/* Reports which target of a set, or which pattern, was refused. */
void kprobes_report_refused(unsigned int index, int errno)
{
	pr_err("%s: target %u of a set is refused: %pe\n", THIS_MODULE->name, index,
	       ERR_PTR(errno));
}

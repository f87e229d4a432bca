// SPDX-License-Identifier: GPL-2.0
/*
 * Probes of the benchmark that emit trace events, in C; `kind` chooses one.
 * bench_event_rust.rs has the same in Rust.
 */
#include <linux/kprobes.h>
#include <linux/module.h>
#include <linux/uaccess.h>

#define CREATE_TRACE_POINTS
#include "bench_event.h"

static char *kind = "";
module_param(kind, charp, 0);
MODULE_PARM_DESC(kind, "the event that is emitted: value or text");

static int value(struct kprobe *p, struct pt_regs *regs)
{
	trace_value(regs->di);
	return 0;
}

/* strncpy_from_user_nofault() is not exported. */
static int text(struct kprobe *p, struct pt_regs *regs)
{
	char buf[32];

	if (!copy_from_user_nofault(buf, (const void __user *)regs->si, sizeof(buf)))
		trace_text(regs->di, buf, strnlen(buf, sizeof(buf)));
	return 0;
}

static struct kprobe kp = { .symbol_name = "bench_call" };

static int __init bench_init(void)
{
	kp.pre_handler = strcmp(kind, "text") ? value : text;
	return register_kprobe(&kp);
}
module_init(bench_init);

static void __exit bench_exit(void)
{
	unregister_kprobe(&kp);
}
module_exit(bench_exit);

MODULE_DESCRIPTION("Trace events of the benchmark in C");
MODULE_LICENSE("GPL");

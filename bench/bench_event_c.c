// SPDX-License-Identifier: GPL-2.0
/*
 * Probes of the benchmark that emit trace events, in C; `kind` chooses one.
 * bench_event_rust.rs has the same in Rust. `synth` emits the synthetic event
 * bench_synth, which has to be there.
 */
#include <linux/kprobes.h>
#include <linux/module.h>
#include <linux/trace_events.h>
#include <linux/uaccess.h>

#define CREATE_TRACE_POINTS
#include "bench_event.h"

static char *kind = "";
module_param(kind, charp, 0);
MODULE_PARM_DESC(kind, "the event that is emitted: value, text or synth");

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

static struct trace_event_file *synth_file;

static int synth(struct kprobe *p, struct pt_regs *regs)
{
#ifdef CONFIG_SYNTH_EVENTS
	synth_event_trace(synth_file, 1, (u64)regs->di);
#endif
	return 0;
}

static struct kprobe kp = { .symbol_name = "bench_call" };

static int __init bench_init(void)
{
	int ret;

	kp.pre_handler = strcmp(kind, "text") ? value : text;
	if (!strcmp(kind, "synth")) {
		synth_file = trace_get_event_file(NULL, "synthetic", "bench_synth");
		if (IS_ERR(synth_file))
			return PTR_ERR(synth_file);
		kp.pre_handler = synth;
	}
	ret = register_kprobe(&kp);
	if (ret && synth_file)
		trace_put_event_file(synth_file);
	return ret;
}
module_init(bench_init);

static void __exit bench_exit(void)
{
	unregister_kprobe(&kp);
	if (synth_file)
		trace_put_event_file(synth_file);
}
module_exit(bench_exit);

MODULE_DESCRIPTION("Trace events of the benchmark in C");
MODULE_LICENSE("GPL");

// SPDX-License-Identifier: GPL-2.0
/*
 * A trace event that cannot be enabled. A trigger on it must be refused, and leave nothing behind
 * (linux/0007).
 */
#include <linux/module.h>
#include <linux/trace_events.h>

static int refuse(struct trace_event_call *call, enum trace_reg type, void *data)
{
	return type == TRACE_REG_REGISTER ? -ENODEV : 0;
}

static struct trace_event_fields fields[] = {
	{
		.type = "int",
		.name = "value",
		.size = sizeof(int),
		.align = sizeof(int),
		.is_signed = 1,
		.filter_type = FILTER_OTHER,
	},
	{}
};

static struct trace_event_class class = {
	.system = "refused",
	.reg = refuse,
	.fields_array = fields,
	.fields = LIST_HEAD_INIT(class.fields),
	.raw_init = trace_event_raw_init,
};

static enum print_line_t print(struct trace_iterator *iter, int flags, struct trace_event *event)
{
	return TRACE_TYPE_HANDLED;
}

static struct trace_event_functions functions = {
	.trace = print,
};

static struct trace_event_call call = {
	.class = &class,
	.name = "refused",
	.event.funcs = &functions,
	.print_fmt = "\"%d\", REC->value",
};

static struct trace_event_call *refused __used __section("_ftrace_events") = &call;

static int __init refused_init(void)
{
	return 0;
}
module_init(refused_init);

static void __exit refused_exit(void)
{
}
module_exit(refused_exit);

MODULE_DESCRIPTION("A trace event that cannot be enabled");
MODULE_LICENSE("GPL");

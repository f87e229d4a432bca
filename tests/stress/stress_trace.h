/* SPDX-License-Identifier: GPL-2.0 */
/* The tracepoint of stress_victim, before each call of its function. */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM stress
#if !defined(STRESS_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define STRESS_TRACE_H
#include <linux/tracepoint.h>

TRACE_EVENT(stress_passed, TP_PROTO(unsigned int left), TP_ARGS(left),
	TP_STRUCT__entry(__field(unsigned int, left)), TP_fast_assign(__entry->left = left;),
	TP_printk("left=%u", __entry->left));

#endif
#define TRACE_INCLUDE_PATH .
#define TRACE_INCLUDE_FILE stress_trace
#include <trace/define_trace.h>

/* SPDX-License-Identifier: GPL-2.0 */
/* The trace events of the benchmark in C; bench_rust.rs has the same in Rust. */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM bench_c

#if !defined(BENCH_EVENT_H) || defined(TRACE_HEADER_MULTI_READ)
#define BENCH_EVENT_H

#include <linux/tracepoint.h>

TRACE_EVENT(value,
	TP_PROTO(u64 value),
	TP_ARGS(value),
	TP_STRUCT__entry(
		__field(u64, value)
	),
	TP_fast_assign(
		__entry->value = value;
	),
	TP_printk("value=%llu", __entry->value)
);

TRACE_EVENT(text,
	TP_PROTO(u64 value, const char *text, int length),
	TP_ARGS(value, text, length),
	TP_STRUCT__entry(
		__field(u64, value)
		__string_len(text, text, length)
	),
	TP_fast_assign(
		__entry->value = value;
		__assign_str(text);
	),
	TP_printk("value=%llu text=%s", __entry->value, __get_str(text))
);

#endif

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE bench_event
#include <trace/define_trace.h>

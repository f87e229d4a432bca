/* SPDX-License-Identifier: GPL-2.0 */
/* Trace events of the module. */
#include <linux/trace_events.h>
#include <linux/tracepoint.h>

struct kprobes_registration;

/* The instance of tracefs that has an event enabled. */
struct kprobes_listener {
	struct trace_event_file *file;
	struct kprobes_listener *next;
};

/* As struct trace_event_fields, whose bit-fields bindgen cannot set in a constant. */
struct kprobes_event_field {
	const char *type;
	const char *name;
	int size;
	int align;
	unsigned int is_signed;
	int filter_type;
	int len;
};

/* How the kernel prints a field. */
enum kprobes_event_kind {
	KPROBES_UNSIGNED,
	KPROBES_SIGNED,
	KPROBES_HEX,
	KPROBES_POINTER,
	KPROBES_SYMBOL,
	/* An array of char that need not end with a NUL. */
	KPROBES_CHARS,
	/* A string at the end of the record. */
	KPROBES_STRING,
	KPROBES_ARRAY,
};

struct kprobes_event_show {
	u8 kind;
	/* Of an element, if it is an array. */
	u8 size;
	u16 offset;
	u16 count;
};

/* A trace event of the module, which is a static. */
struct kprobes_event {
	struct trace_event_call call;
	/* Read by handlers. */
	struct kprobes_listener *listeners;
	bool perf;
	/* There are others than the first of the listeners. */
	bool more;
	/* Another event had its name when the kernel added it. */
	bool is_duplicate;
	/* The task that is adding it. */
	struct task_struct *adder;
	/* Listeners that were detached at the module's end, until they are freed. */
	struct kprobes_listener *detached;
	struct trace_event_class class;
	/* There for its name. TRACE_EVENT_FL_TRACEPOINT lets BPF programs be attached. */
	struct tracepoint tp;
	const char *name;
	const char *system;
	char *print_fmt;
	struct kprobes_event_field *fields;
	const struct kprobes_event_show *shows;
	/* What a record is printed as: 1 is followed by the number of a field, from 1. */
	const u8 *line;
	struct kprobes_binding *bindings;
};

/* A registration that is enabled while an event has a listener. */
struct kprobes_binding {
	struct kprobes_event *event;
	struct kprobes_registration *reg;
	/* Enables or disables it. */
	int (*arm)(void *const *probes, unsigned int count, bool on);
	/* It counts in reg->users. */
	bool wanted;
	struct kprobes_binding *next;
};

static const unsigned long KPROBES_FILE_FLAGS = offsetof(struct trace_event_file, flags);
static const unsigned long KPROBES_FILE_LOOK = EVENT_FILE_FL_TRIGGER_MODE |
	EVENT_FILE_FL_SOFT_DISABLED | EVENT_FILE_FL_PID_FILTER;
static const unsigned long KPROBES_FILE_COND = EVENT_FILE_FL_TRIGGER_COND;
static const int KPROBES_EVENT_FLAGS = TRACE_EVENT_FL_TRACEPOINT;

int kprobes_event_raw_init(struct trace_event_call *call);
int kprobes_event_bind(struct kprobes_binding *binding);
void kprobes_event_unbind(struct kprobes_binding *binding);
void *kprobes_event_perf(struct kprobes_event *event, size_t size, struct pt_regs **regs,
			 int *context);
void kprobes_event_perf_submit(struct kprobes_event *event, void *entry, size_t size,
			       struct pt_regs *regs, int context);
void kprobes_preempt_disable(void);
void kprobes_preempt_enable(void);

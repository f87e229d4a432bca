/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The input of bindgen. kprobes.mk lists the names that are kept.
 */
#include <linux/binfmts.h>
#include <linux/cred.h>
#include <linux/fdtable.h>
#include <linux/fs.h>
#include <linux/fs_struct.h>
#include <linux/ftrace.h>
#include <linux/kallsyms.h>
#include <linux/kprobes.h>
#include <linux/notifier.h>
#include <linux/preempt.h>
#include <linux/ratelimit.h>
#include <linux/rethook.h>
#include <linux/sched.h>
#include <linux/sprintf.h>
#include <linux/timekeeping.h>
#include <linux/trace_events.h>
#include <linux/trace_recursion.h>
#include <linux/tracepoint.h>
#include <linux/uaccess.h>

/* A macro that bindgen cannot evaluate. */
static const unsigned long KPROBES_KSYM_SYMBOL_LEN = KSYM_SYMBOL_LEN;
/* How often to ask ftrace again where modules come and go at that moment. */
static const unsigned int KPROBES_ENTRY_TRIES = 8;

/*
 * bindgen 0.73 loses an empty, aligned member (struct sched_statistics without
 * CONFIG_SCHEDSTATS), so the kernel crate's bindings misplace all fields of
 * task_struct after it. The compiler has the right offsets.
 */
static const unsigned long KPROBES_TASK_FLAGS = offsetof(struct task_struct, flags);
static const unsigned long KPROBES_TASK_PID = offsetof(struct task_struct, pid);
static const unsigned long KPROBES_TASK_TGID = offsetof(struct task_struct, tgid);
static const unsigned long KPROBES_TASK_COMM = offsetof(struct task_struct, comm);
static const unsigned long KPROBES_TASK_CRED = offsetof(struct task_struct, cred);
static const unsigned long KPROBES_TASK_MM = offsetof(struct task_struct, mm);
static const unsigned long KPROBES_TASK_FS = offsetof(struct task_struct, fs);
static const unsigned long KPROBES_TASK_FILES = offsetof(struct task_struct, files);
static const unsigned long KPROBES_CRED_EUID = offsetof(struct cred, euid);

/* The kernel crate's bindings lack some of these structs. */
static const unsigned long KPROBES_MM_ARG_START = offsetof(struct mm_struct, arg_start);
static const unsigned long KPROBES_MM_ARG_END = offsetof(struct mm_struct, arg_end);
static const unsigned long KPROBES_BPRM_FILENAME = offsetof(struct linux_binprm, filename);
static const unsigned long KPROBES_BPRM_INTERP = offsetof(struct linux_binprm, interp);
static const unsigned long KPROBES_BPRM_FILE = offsetof(struct linux_binprm, file);
static const unsigned long KPROBES_BPRM_ARGC = offsetof(struct linux_binprm, argc);
static const unsigned long KPROBES_FS_ROOT = offsetof(struct fs_struct, root.dentry);
static const unsigned long KPROBES_FS_PWD = offsetof(struct fs_struct, pwd.dentry);
static const unsigned long KPROBES_FILES_TABLE = offsetof(struct files_struct, fdt);
static const unsigned long KPROBES_TABLE_MAX = offsetof(struct fdtable, max_fds);
static const unsigned long KPROBES_TABLE_FILES = offsetof(struct fdtable, fd);
static const unsigned long KPROBES_FILENAME_NAME = offsetof(struct filename, name);
static const unsigned long KPROBES_FILE_DENTRY = offsetof(struct file, f_path.dentry);
static const unsigned long KPROBES_FILE_INODE = offsetof(struct file, f_inode);
static const unsigned long KPROBES_DENTRY_PARENT = offsetof(struct dentry, d_parent);
static const unsigned long KPROBES_DENTRY_NAME = offsetof(struct dentry, d_name.name);
static const unsigned long KPROBES_DENTRY_INODE = offsetof(struct dentry, d_inode);
static const unsigned long KPROBES_INODE_NUMBER = offsetof(struct inode, i_ino);
static const unsigned long KPROBES_INODE_SB = offsetof(struct inode, i_sb);
static const unsigned long KPROBES_SB_DEVICE = offsetof(struct super_block, s_dev);
static const unsigned int KPROBES_MINOR_BITS = MINORBITS;

/* An entry of the module's list of registrations. */
struct kprobes_registration {
	struct list_head list;
	/* Unregisters it and waits for its handlers; logs that if it was left. */
	void (*leave)(struct kprobes_registration *reg, bool left);
	/* How many events with listeners want it enabled. */
	unsigned int wanted;
	/* Whether its handler may sleep, and so make and drop others. */
	bool first;
};

/* The registration of kprobes or kretprobes. */
struct kprobes_held {
	struct kprobes_registration reg;
	/* The probe if count is 0, else an array of count pointers. */
	void *probes;
	unsigned int count;
};

/* A tracepoint's handler. */
struct kprobes_tracepoint {
	struct kprobes_registration reg;
	struct tracepoint *tracepoint;
	void (*hit)(struct kprobes_tracepoint *tp, unsigned long a, unsigned long b,
		    unsigned long c, unsigned long d, unsigned long e);
	/* Hits within a handler. */
	atomic_long_t missed;
	/* Not registered at the moment, because its events have no listener. */
	bool off;
};

/* A watch for modules that are unloaded. */
struct kprobes_watch {
	struct kprobes_registration reg;
	struct notifier_block block;
	void (*gone)(struct kprobes_watch *watch);
};

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
	int (*arm)(struct kprobes_registration *reg, bool on);
	/* It counts in reg->wanted. */
	bool wanted;
	struct kprobes_binding *next;
};

static const unsigned long KPROBES_FILE_FLAGS = offsetof(struct trace_event_file, flags);
static const unsigned long KPROBES_FILE_LOOK = EVENT_FILE_FL_TRIGGER_MODE |
	EVENT_FILE_FL_SOFT_DISABLED | EVENT_FILE_FL_PID_FILTER;
static const unsigned long KPROBES_FILE_COND = EVENT_FILE_FL_TRIGGER_COND;
static const int KPROBES_EVENT_FLAGS = TRACE_EVENT_FL_TRACEPOINT;

/*
 * Four bits of task_struct::trace_recursion, after those of the kernel: the
 * handler of a tracepoint is running in task, softirq, interrupt or NMI context.
 */
#define KPROBES_IN_TRACEPOINT_BIT 27
/*
 * Four more: the handler of an entry probe. The upper half of the word is no
 * use: the kernel's own guard clears it.
 */
#define KPROBES_IN_ENTRY_BIT 23
#ifdef CONFIG_TRACING
static_assert(TRACE_RECORD_RECURSION_BIT < KPROBES_IN_ENTRY_BIT);
static const unsigned long KPROBES_TASK_TRACE_RECURSION =
	offsetof(struct task_struct, trace_recursion);
#else
/* No handler is registered then. */
static const unsigned long KPROBES_TASK_TRACE_RECURSION = 0;
#endif

/* What interrupt_context_level() looks at. */
static const unsigned int KPROBES_NMI = NMI_MASK;
static const unsigned int KPROBES_HARDIRQ = NMI_MASK | HARDIRQ_MASK;
static const unsigned int KPROBES_SOFTIRQ = NMI_MASK | HARDIRQ_MASK | SOFTIRQ_OFFSET;
/* Where the current task says that it is in a system call of 32 bits. */
#ifdef CONFIG_X86_64
static const unsigned long KPROBES_TASK_COMPAT = offsetof(struct task_struct, thread_info.status);
static const unsigned int KPROBES_COMPAT = TS_COMPAT;
#else
static const unsigned long KPROBES_TASK_COMPAT = offsetof(struct task_struct, thread_info.flags);
static const unsigned int KPROBES_COMPAT = 1U << TIF_32BIT;
#endif
#ifdef CONFIG_ARM64
static const unsigned long KPROBES_TASK_PREEMPT_COUNT =
	offsetof(struct task_struct, thread_info.preempt.count);
#endif

struct module;

/* The module's entry probes. Its lock protects all but the reading of table. */
struct kprobes_entries {
	void *table;
	/* Those in the table, and those of them that are enabled. */
	unsigned long linked;
	unsigned long enabled;
};
extern struct kprobes_entries kprobes_entries;

/* Another one: the handler of a watch runs. */
#define KPROBES_IN_WATCH (1UL << 31)

/* helpers/ */
bool kprobes_in_watch(void);
int kprobes_entry_watch(void (*gone)(const struct module *mod, bool init));
bool kprobes_entry_within(unsigned long ip, const struct module *mod, bool init);
int kprobes_entry_unloaded(unsigned long ip);
void kprobes_entry_lock(void);
void kprobes_entry_unlock(void);
int kprobes_entry_attach(void (*hit)(unsigned long ip, unsigned long parent,
				     struct ftrace_ops *ops, struct ftrace_regs *fregs),
			 unsigned long *ips, unsigned int n);
unsigned long kprobes_entry_callee(void);
bool kprobes_entry_detach(unsigned long *ips, unsigned int n);
void kprobes_preempt_schedule(void);
int kprobes_entry_location(struct kprobe *kp, unsigned long *ip);
int kprobes_entry_match(char *pattern, int len, bool first);
long kprobes_entry_matched(unsigned long *ips, unsigned long room);
void kprobes_entry_unmatch(void);
void kprobes_enter(struct kprobes_registration *reg);
void kprobes_leave(struct kprobes_registration *reg);
void kprobes_leave_all(void);
bool kprobes_must_not_wait(void);
void kprobes_wait(void);
void kprobes_wait_for_cpus(void);
void kprobes_param_too_long(const char *name, size_t max);
bool kprobes_on_stack(const void *object);
int kprobes_read_kernel(void *to, unsigned long from, size_t len);
void kprobes_tell_left(const void *place, int n);
void kprobes_leave_kprobes(struct kprobes_registration *reg, bool left);
void kprobes_leave_override(struct kprobes_registration *reg, bool left);
void kprobes_leave_kretprobes(struct kprobes_registration *reg, bool left);
int kprobes_function_entry(void *addr);
bool kprobes_function_missing(unsigned long addr);
void kprobes_ratelimit_init(struct ratelimit_state *rs, int interval, int burst);
int kprobes_tracepoint_register(struct kprobes_tracepoint *tp);
void kprobes_leave_tracepoint(struct kprobes_registration *reg, bool left);
int kprobes_watch_register(struct kprobes_watch *watch);
void kprobes_drop_watch(struct kprobes_watch *watch);
void kprobes_leave_watch(struct kprobes_registration *reg, bool left);
void kprobes_just_return(void);
void kprobes_block_forever(void);
void kprobes_disarm(struct kprobe *kp);
int kprobes_enable(struct kprobe *kp);
u32 kprobes_place_flags(const struct kprobe *kp);
void *kprobes_alloc_percpu(size_t size, size_t align);
void kprobes_free_percpu(void *counts);
void kprobes_percpu_inc(void *count);
u64 kprobes_percpu_sum(void *count);
int kprobes_arm_held(struct kprobes_registration *reg, bool on);
int kprobes_arm_tracepoint(struct kprobes_registration *reg, bool on);
int kprobes_event_raw_init(struct trace_event_call *call);
int kprobes_event_bind(struct kprobes_binding *binding);
void kprobes_event_unbind(struct kprobes_binding *binding);
void *kprobes_event_perf(struct kprobes_event *event, size_t size, struct pt_regs **regs,
			 int *context);
void kprobes_event_perf_submit(struct kprobes_event *event, void *entry, size_t size,
			       struct pt_regs *regs, int context);
void kprobes_preempt_disable(void);
void kprobes_preempt_enable(void);

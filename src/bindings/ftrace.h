/* SPDX-License-Identifier: GPL-2.0 */
/* Entry probes. */
#include <linux/ftrace.h>

struct kprobe;
struct module;

/* Protected by kprobes_entry_lock(). The ftrace callback reads table without the lock. */
struct kprobes_entries {
	void *table;
	/* Number of probes in the table. */
	unsigned long linked;
	/* Number of enabled probes in the table. */
	unsigned long enabled;
};
extern struct kprobes_entries kprobes_entries;

#if defined(CONFIG_RISCV) && defined(CONFIG_DYNAMIC_FTRACE_WITH_ARGS)
static const unsigned long KPROBES_FREGS_ARGS = offsetof(struct __arch_ftrace_regs, args);
static const unsigned long KPROBES_FREGS_SP = offsetof(struct __arch_ftrace_regs, sp);
#elif defined(CONFIG_RISCV)
static const unsigned long KPROBES_FREGS_ARGS, KPROBES_FREGS_SP;
#endif

/* Retries of a filter change that ftrace refuses because a module is being (un)loaded. */
static const unsigned int KPROBES_ENTRY_TRIES = 8;

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
bool kprobes_entry_may_have_missed(void);
long kprobes_entry_matched(unsigned long *ips, unsigned long room);
void kprobes_entry_unmatch(void);

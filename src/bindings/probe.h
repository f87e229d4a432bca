/* SPDX-License-Identifier: GPL-2.0 */
/* Registered probes of all kinds. */
#include <linux/kprobes.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/notifier.h>
#include <linux/tracepoint.h>

/* A registration of one or several probes, on the list kprobes_registered. */
struct kprobes_registration {
	struct list_head list;
	/* Unregisters the probes and waits for their handlers. */
	void (*unregister)(void **probes, unsigned int count);
	/* Location of the first probe, for log lines: its address, or name if that is 0. */
	unsigned long address;
	const char *name;
	void **probes;
	/* The only element of probes outside of a set. A watch has its own address here. */
	void *single;
	unsigned int count;
	/* Number of events with listeners that keep the probes enabled. */
	unsigned int users;
};

extern struct list_head kprobes_registered;
extern struct mutex kprobes_registered_lock;

void kprobes_add_registration(struct kprobes_registration *reg);
void kprobes_remove_registration(struct kprobes_registration *reg);
bool kprobes_must_not_wait(void);
int kprobes_may_register(const void *object);
void kprobes_wait(void);
void kprobes_block_forever(void);
bool kprobes_report_refused(const char *what, int index, const char *symbol, unsigned long at,
			    int errno, const char *why);
void kprobes_hint(const char *symbol);
bool kprobes_module_is_missing(const char *symbol);

int kprobes_enable(struct kprobe *kp);
int kprobes_enable_all(void *const *probes, unsigned int n, bool on);
void kprobes_unregister(void **probes, unsigned int n, bool returns);
u32 kprobes_hashed_flags(const struct kprobe *kp);
int kprobes_function_entry(void *addr);
bool kprobes_function_missing(unsigned long addr);
void kprobes_just_return(void);
void kprobes_wait_for_overridden(void);

/* A probe at a tracepoint. */
struct kprobes_tracepoint {
	struct tracepoint *tracepoint;
	/* Name of the tracepoint, copied if the tracepoint is in a module. */
	const char *name;
	/* Module of the tracepoint, or NULL. */
	struct module *mod;
	/* On the list in_modules if mod is set. */
	struct list_head in_module;
	void (*hit)(struct kprobes_tracepoint *tp, unsigned long a, unsigned long b,
		    unsigned long c, unsigned long d, unsigned long e);
	atomic_long_t missed;
	/* Size of tracepoint->iterator, set when the probe is first enabled. */
	unsigned long iterator_size;
	bool enabled;
	/* The module of the tracepoint was unloaded. */
	bool gone;
};

void kprobes_tracepoint_watch(void);
bool kprobes_tracepoint_exists(const char *name, const char *module);
void kprobes_report_tracepoint(const char *what, int index, const char *name, int errno);
int kprobes_tracepoint_find(struct kprobes_tracepoint *tp, const char *name);
void kprobes_tracepoint_put(struct kprobes_tracepoint *tp);
int kprobes_tracepoint_enable(struct kprobes_tracepoint *tp, bool on);
void kprobes_tracepoint_wait(void);

/* Store up to n return addresses at a hit, the innermost first. The caller has zeroed to. */
struct ftrace_regs;
void kprobes_stack_probed(unsigned long *to, unsigned int n, struct pt_regs *regs,
			  const struct kprobe *kp, unsigned long ip);
void kprobes_stack_returned(unsigned long *to, unsigned int n, struct pt_regs *regs);
void kprobes_stack_entry(unsigned long *to, unsigned int n, struct ftrace_regs *fregs,
			 unsigned long ip);
void kprobes_stack_tracepoint(unsigned long *to, unsigned int n, unsigned long frame,
			      const struct kprobes_tracepoint *tp);

/* A handler that is called when a module is loaded or unloaded. */
struct kprobes_watch {
	struct kprobes_registration reg;
	struct notifier_block block;
	/* loaded: name of the module that is being loaded, NULL if a module is unloaded. */
	void (*call)(struct kprobes_watch *watch, const char *loaded);
};

bool kprobes_in_chain(void);
int kprobes_watch_register(struct kprobes_watch *watch);
void kprobes_drop_watch(struct kprobes_watch *watch);

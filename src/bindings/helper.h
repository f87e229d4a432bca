/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What bindgen reads. kprobes.mk says which names of it are kept.
 */
#include <linux/cred.h>
#include <linux/kallsyms.h>
#include <linux/kprobes.h>
#include <linux/ratelimit.h>
#include <linux/rethook.h>
#include <linux/sched.h>
#include <linux/sprintf.h>
#include <linux/timekeeping.h>
#include <linux/tracepoint.h>
#include <linux/uaccess.h>

/* Macros that bindgen does not see through. */
static const unsigned long KPROBES_KSYM_SYMBOL_LEN = KSYM_SYMBOL_LEN;

/*
 * Where bindgen up to 0.73 at least loses an empty member that is aligned
 * (struct sched_statistics without CONFIG_SCHEDSTATS), every field of
 * task_struct behind it is misplaced in the kernel crate's bindings. The
 * compiler knows better.
 */
static const unsigned long KPROBES_TASK_FLAGS = offsetof(struct task_struct, flags);
static const unsigned long KPROBES_TASK_PID = offsetof(struct task_struct, pid);
static const unsigned long KPROBES_TASK_TGID = offsetof(struct task_struct, tgid);
static const unsigned long KPROBES_TASK_COMM = offsetof(struct task_struct, comm);
static const unsigned long KPROBES_TASK_CRED = offsetof(struct task_struct, cred);
static const unsigned long KPROBES_CRED_EUID = offsetof(struct cred, euid);

/* helpers/ */
void kprobes_ratelimit_init(struct ratelimit_state *rs, int interval, int burst);
void kprobes_wait_for_tasks(void);
void kprobes_tracepoint_synchronize_unregister(void);
void kprobes_just_return(void);
void kprobes_disarm(struct kprobe *kp);
int kprobes_enable(struct kprobe *kp);
u32 kprobes_place_flags(const struct kprobe *kp);
void *kprobes_alloc_percpu(size_t size, size_t align);
void kprobes_free_percpu(void *counts);
void kprobes_percpu_inc(void *count);
u64 kprobes_percpu_sum(void *count);

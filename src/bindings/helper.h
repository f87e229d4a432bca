/* SPDX-License-Identifier: GPL-2.0 */
/* The input of bindgen. kprobes.mk has the allowlist. */
#include <linux/kallsyms.h>
#include <linux/random.h>
#include <linux/ratelimit.h>
#include <linux/rethook.h>
#include <linux/sort.h>
#include <linux/sprintf.h>
#include <linux/timekeeping.h>
#include <linux/trace_recursion.h>
#include <linux/uaccess.h>

#include "ftrace.h"
#include "probe.h"
#include "task.h"
#include "trace_event.h"

/* A macro that bindgen cannot evaluate. */
static const unsigned long KPROBES_KSYM_SYMBOL_LEN = KSYM_SYMBOL_LEN;

/* kernel_ext/ */
void kprobes_param_too_long(const char *name, size_t max);
long kprobes_read_kernel(void *to, const void *from, size_t len);
void kprobes_ratelimit_init(struct ratelimit_state *rs, int interval, int burst);
void *kprobes_alloc_percpu(size_t size, size_t align);
void kprobes_free_percpu(void *counts);
void kprobes_percpu_inc(void *count);
u64 kprobes_percpu_sum(void *count);

/* SPDX-License-Identifier: GPL-2.0 */
/* Offsets and constants by which Rust reads the current task and its files. */
#include <linux/binfmts.h>
#include <linux/cgroup-defs.h>
#include <linux/cred.h>
#include <linux/fdtable.h>
#include <linux/fs.h>
#include <linux/fs_struct.h>
#include <linux/kernfs.h>
#include <linux/pid.h>
#include <linux/pid_namespace.h>
#include <linux/preempt.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>

/*
 * The kernel crate's bindings have wrong offsets in task_struct: bindgen 0.73 drops an empty,
 * aligned member (struct sched_statistics without CONFIG_SCHEDSTATS).
 */
static const unsigned long KPROBES_TASK_FLAGS = offsetof(struct task_struct, flags);
static const unsigned long KPROBES_TASK_PID = offsetof(struct task_struct, pid);
static const unsigned long KPROBES_TASK_TGID = offsetof(struct task_struct, tgid);
static const unsigned long KPROBES_TASK_COMM = offsetof(struct task_struct, comm);
static const unsigned long KPROBES_TASK_CRED = offsetof(struct task_struct, cred);
static const unsigned long KPROBES_TASK_MM = offsetof(struct task_struct, mm);
static const unsigned long KPROBES_TASK_FS = offsetof(struct task_struct, fs);
static const unsigned long KPROBES_TASK_FILES = offsetof(struct task_struct, files);
static const unsigned long KPROBES_TASK_PARENT = offsetof(struct task_struct, real_parent);
static const unsigned long KPROBES_TASK_LEADER = offsetof(struct task_struct, group_leader);
static const unsigned long KPROBES_TASK_START = offsetof(struct task_struct, start_boottime);
static const unsigned long KPROBES_TASK_THREAD_PID = offsetof(struct task_struct, thread_pid);
static const unsigned long KPROBES_TASK_SIGNAL = offsetof(struct task_struct, signal);
static const unsigned long KPROBES_CRED_UID = offsetof(struct cred, uid);
static const unsigned long KPROBES_CRED_GID = offsetof(struct cred, gid);
static const unsigned long KPROBES_CRED_EUID = offsetof(struct cred, euid);

/* The kernel crate has no bindings for some of these structs. */
static const unsigned long KPROBES_MM_ARG_START = offsetof(struct mm_struct, arg_start);
static const unsigned long KPROBES_MM_ARG_END = offsetof(struct mm_struct, arg_end);
static const unsigned long KPROBES_MM_EXE_FILE = offsetof(struct mm_struct, exe_file);
static const unsigned long KPROBES_SIGNAL_TGID = offsetof(struct signal_struct, pids[PIDTYPE_TGID]);
static const unsigned long KPROBES_PID_LEVEL = offsetof(struct pid, level);
static const unsigned long KPROBES_PID_NUMBERS = offsetof(struct pid, numbers[0].nr);
static const unsigned long KPROBES_PID_NUMBER_SIZE = sizeof(struct upid);
static const unsigned int KPROBES_PID_MAX_LEVEL = MAX_PID_NS_LEVEL;
#ifdef CONFIG_CGROUPS
static const unsigned long KPROBES_TASK_CGROUPS = offsetof(struct task_struct, cgroups);
static const unsigned long KPROBES_CGROUPS_DEFAULT = offsetof(struct css_set, dfl_cgrp);
static const unsigned long KPROBES_CGROUP_NODE = offsetof(struct cgroup, kn);
static const unsigned long KPROBES_NODE_ID = offsetof(struct kernfs_node, id);
#endif
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

/*
 * Bits of task_struct::trace_recursion that the kernel does not use, four for each kind: a handler
 * runs in task, softirq, interrupt or NMI context. Only the lower 32 bits are usable:
 * trace_test_and_set_recursion() clears the others.
 */
#define KPROBES_IN_TRACEPOINT_BIT 27
#define KPROBES_IN_ENTRY_BIT 23
#ifdef CONFIG_TRACING
static_assert(TRACE_RECORD_RECURSION_BIT < KPROBES_IN_ENTRY_BIT);
static const unsigned long KPROBES_TASK_TRACE_RECURSION =
	offsetof(struct task_struct, trace_recursion);
#else
/* Not used: tracepoints and ftrace need CONFIG_TRACING. */
static const unsigned long KPROBES_TASK_TRACE_RECURSION = 0;
#endif

/* A handler of a struct kprobes_watch runs. */
#define KPROBES_IN_WATCH (1UL << 31)

/* The bits of preempt_count() that interrupt_context_level() tests. */
static const unsigned int KPROBES_NMI = NMI_MASK;
static const unsigned int KPROBES_HARDIRQ = NMI_MASK | HARDIRQ_MASK;
static const unsigned int KPROBES_SOFTIRQ = NMI_MASK | HARDIRQ_MASK | SOFTIRQ_OFFSET;
/* What a breakpoint adds to preempt_count(): all architectures but arm64 enter it as an NMI. */
static const unsigned int KPROBES_BREAKPOINT =
	IS_ENABLED(CONFIG_ARM64) ? 0 : NMI_OFFSET + HARDIRQ_OFFSET;
#ifdef CONFIG_PREEMPT_RT
static const unsigned long KPROBES_TASK_BH = offsetof(struct task_struct, softirq_disable_cnt);
#endif
/* The flag of a task in a 32-bit system call. */
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
#ifdef CONFIG_RISCV
static const unsigned long KPROBES_TASK_PREEMPT_COUNT =
	offsetof(struct task_struct, thread_info.preempt_count);
static const unsigned int KPROBES_NEED_RESCHED = _TIF_NEED_RESCHED;
#endif
#ifndef CONFIG_X86_64
static const unsigned long KPROBES_TASK_CPU = offsetof(struct task_struct, thread_info.cpu);
#endif

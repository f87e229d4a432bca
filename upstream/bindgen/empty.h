/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Like struct sched_statistics in task_struct without CONFIG_SCHEDSTATS. In C, `pid` is at 64.
 * To see where bindgen puts it:
 *
 *	bindgen empty.h >empty.rs && rustc --crate-type lib --emit metadata empty.rs
 */
struct __attribute__((aligned(64))) stats {
};

struct task {
	int on_cpu;
	struct stats stats;
	int pid;
};

// SPDX-License-Identifier: GPL-2.0
/* The return instruction at which an overridden function continues. */
#include <linux/kprobes.h>
#include <linux/linkage.h>
#include <linux/objtool.h>
#include <linux/rcupdate.h>

#include "../bindings/probe.h"

/* Waits for tasks that were preempted at the return instruction below. */
void __kprobes kprobes_wait_for_overridden(void)
{
	synchronize_rcu_tasks();
}

/* Like just_return_func() in arch/x86/lib/error-inject.c, which is not exported. */
asm(".text\n"
    ".type kprobes_just_return, @function\n"
    ".globl kprobes_just_return\n" ASM_FUNC_ALIGN
    "kprobes_just_return:\n" ANNOTATE_NOENDBR "\n" ASM_RET "\n"
    ".size kprobes_just_return, .-kprobes_just_return\n");

// SPDX-License-Identifier: GPL-2.0
/* The arguments of the insmod that loads this module. */
#include <linux/compat.h>
#include <linux/err.h>
#include <linux/module.h>
#include <linux/sched/task_stack.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <asm/syscall.h>

#include "../helper.h"

/* As parameq() in kernel/params.c. */
static bool same_name(const char *a, const char *b)
{
	for (; *a && *b; a++, b++)
		if (*a != *b && !((*a == '-' || *a == '_') && (*b == '-' || *b == '_')))
			return false;
	return *a == *b;
}

static bool known(const char *name)
{
	unsigned int i;

	/* load_module() itself takes these. */
	if (same_name(name, "dyndbg") || same_name(name, "async_probe"))
		return true;
	for (i = 0; i < THIS_MODULE->num_kp; i++)
		if (same_name(name, THIS_MODULE->kp[i].name))
			return true;
	return false;
}

/* The arguments, or NULL if the task is in no system call that loads a module. */
static char *arguments(void)
{
	struct pt_regs *regs = current_pt_regs();
	unsigned long args[6];
	unsigned int n;
	char *copy;

	if (in_compat_syscall())
		return NULL;
	switch (syscall_get_nr(current, regs)) {
	case __NR_finit_module:
		n = 1;
		break;
	case __NR_init_module:
		n = 2;
		break;
	default:
		return NULL;
	}
	syscall_get_arguments(current, regs, args);
	copy = strndup_user((const char __user *)args[n], PAGE_SIZE);
	return IS_ERR(copy) ? NULL : copy;
}

bool kprobes_unknown_param(char *name, size_t size)
{
	char *copy = arguments(), *rest = copy, *param, *value;
	bool found = false;

	if (!copy)
		return false;
	rest = skip_spaces(rest);
	while (*rest && !found) {
		rest = next_arg(rest, &param, &value);
		if (!value && !strcmp(param, "--"))
			break;
		found = !known(param);
	}
	if (found)
		strscpy(name, param, size);
	kfree(copy);
	return found;
}

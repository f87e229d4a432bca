// SPDX-License-Identifier: GPL-2.0
/* Why a target is refused, and what is meant by a symbol that is not there. */
#include <linux/errno.h>
#include <linux/kallsyms.h>
#include <linux/kprobes.h>
#include <linux/module.h>
#include <linux/printk.h>
#include <linux/string.h>

#include "bindings/probe.h"

#if defined(CONFIG_ARM64)
#define SYSTEM_CALL "__arm64_sys_"
#elif defined(CONFIG_RISCV)
#define SYSTEM_CALL "__riscv_sys_"
#else
#define SYSTEM_CALL "__x64_sys_"
#endif

/* What a symbol may be called. */
static const struct {
	/* The symbol, or NULL for any; the format of a name for it, and why. */
	const char *symbol, *format, *why;
} guesses[] = {
	/* It is the offset that is not there. */
	{ NULL, "%s" },
	{ NULL, SYSTEM_CALL "%s", "the system call's entry here" },
	{ "do_fork", "kernel_clone", "its name since Linux 5.10" },
	{ "sys_open", "do_sys_openat2", "which all forms of open() call" },
	{ NULL, "%s.isra.0", "the function as the compiler has changed it" },
	{ NULL, "%s.constprop.0", "the function as the compiler has changed it" },
	{ NULL, "%s.part.0", "the function as the compiler has changed it" },
	{ NULL, "%s.isra.0.constprop.0", "the function as the compiler has changed it" },
};

/* Returns the reason for an errno. That of EINVAL depends on the kind of the probe. */
const char *kprobes_reason(int errno, const char *invalid)
{
	switch (-errno) {
	case ENOENT:
		return "no such symbol";
	case EILSEQ:
		return "the offset is not the start of an instruction";
	case EINVAL:
		return invalid;
	case EEXIST:
		return "the function has another tracer";
	case EBUSY:
		return "kernel.ftrace_enabled is 0";
	case ENODEV:
		return "the kernel has disabled ftrace after an error";
	case EOPNOTSUPP:
		return "this kernel has no such probes";
	default:
		return "the kernel refused";
	}
}

/*
 * Logs what a symbol that is not there may stand for, or how to find it. A module cannot search the
 * kernel's symbols, but ask for one.
 */
void kprobes_hint(const char *symbol)
{
	const char *bare = strchr(symbol, ':') ? strchr(symbol, ':') + 1 : symbol;
	const char *call = strstr(symbol, "sys_");
	char name[KSYM_NAME_LEN];
	bool found = false;

	bare += strspn(bare, "_");
	for (int i = 0; i < ARRAY_SIZE(guesses); i++) {
		struct kprobe kp = { .symbol_name = name, .flags = KPROBE_FLAG_DISABLED };
		void *probe = &kp;

		if (guesses[i].symbol && strcmp(guesses[i].symbol, bare))
			continue;
		snprintf(name, sizeof(name), guesses[i].format,
			 i == 1 && call ? call + strlen("sys_") : symbol);
		if (register_kprobe(&kp))
			continue;
		kprobes_unregister(&probe, 1, false);
		if (!guesses[i].why)
			return;
		found = true;
		pr_err("%s: try %s, %s\n", THIS_MODULE->name, name, guesses[i].why);
	}
	/* A mistake is seldom in the first two thirds. */
	if (!found)
		pr_err("%s: to list similar symbols: grep -i %.*s /proc/kallsyms\n",
		       THIS_MODULE->name, (int)(strlen(bare) * 2 + 2) / 3, bare);
}

/* As kprobes_report_refused(), of a target whose refusal with EINVAL means `invalid`. */
bool kprobes_report_target(const char *what, int index, const char *symbol, unsigned long at,
			   int errno, const char *invalid)
{
	const char *why = kprobes_reason(errno, invalid);
	bool logged = kprobes_report_refused(what, index, symbol, at, errno, why);

	if (logged && symbol && errno == -ENOENT)
		kprobes_hint(symbol);
	return logged;
}

// SPDX-License-Identifier: GPL-2.0
#include <linux/errname.h>
#include <linux/kallsyms.h>
#include <linux/kprobes.h>
#include <linux/module.h>
#include <linux/printk.h>
#include <linux/ratelimit.h>
#include <linux/string.h>

#include "../bindings/probe.h"

/*
 * Logs that a probe is refused: its name or kind, the index in its set or -1, the symbol and the
 * offset or, without a symbol, the address, and why. Returns false after too many lines.
 */
bool kprobes_report_refused(const char *what, int index, const char *symbol, unsigned long at,
			    int errno, const char *why)
{
	static DEFINE_RATELIMIT_STATE(limit, 5 * HZ, 100);
	char place[KSYM_SYMBOL_LEN], of[24] = "";

	if (!___ratelimit(&limit, THIS_MODULE->name))
		return false;
	if (symbol)
		snprintf(place, sizeof(place), at ? "%s+%#lx" : "%s", symbol, at);
	else
		snprintf(place, sizeof(place), "%p", (void *)at);
	if (index >= 0)
		snprintf(of, sizeof(of), " %d of a set", index);
	pr_err("%s: %s%s at %s: %s (%s)\n", THIS_MODULE->name, what, of, place, why,
	       errname(-errno) ?: "unknown");
	return true;
}

/* What a symbol may be called. */
static const struct {
	/* The symbol, or NULL for any; the format of a name for it, and why. */
	const char *symbol, *format, *why;
} guesses[] = {
	/* It is the offset that is not there. */
	{ NULL, "%s" },
	{ NULL, IS_ENABLED(CONFIG_ARM64) ? "__arm64_sys_%s" : IS_ENABLED(CONFIG_RISCV) ?
	  "__riscv_sys_%s" : "__x64_sys_%s", "the system call's entry here" },
	{ "_do_fork", "kernel_clone", "its name since Linux 5.10" },
	{ "do_fork", "kernel_clone", "its name since Linux 5.10" },
	{ "sys_open", "do_sys_openat2", "which all forms of open() call" },
	{ NULL, "%s.isra.0", "the function as the compiler has changed it" },
	{ NULL, "%s.constprop.0", "the function as the compiler has changed it" },
	{ NULL, "%s.part.0", "the function as the compiler has changed it" },
	{ NULL, "%s.isra.0.constprop.0", "the function as the compiler has changed it" },
};

/*
 * Logs what a symbol that is not there may stand for, or how to find it. A module cannot search the
 * kernel's symbols, but ask for one.
 */
void kprobes_hint(const char *symbol)
{
	const char *call = strstr(symbol, "sys_");
	char name[KSYM_NAME_LEN];
	bool found = false;

	if (kprobes_must_not_wait())
		return;
	for (int i = 0; i < ARRAY_SIZE(guesses); i++) {
		struct kprobe kp = { .symbol_name = name, .flags = KPROBE_FLAG_DISABLED };
		void *probe = &kp;

		if (guesses[i].symbol && strcmp(guesses[i].symbol, symbol))
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
	if (found)
		return;
	/* A mistake is seldom in the first two thirds of a name. */
	if (strchr(symbol, ':'))
		symbol = strchr(symbol, ':') + 1;
	symbol += strspn(symbol, "_");
	pr_err("%s: to list similar names: grep -i %.*s /proc/kallsyms\n", THIS_MODULE->name,
	       (int)(strlen(symbol) * 2 + 2) / 3, symbol);
}

// SPDX-License-Identifier: GPL-2.0
#include <linux/err.h>
#include <linux/kobject.h>
#include <linux/module.h>
#include <linux/printk.h>

#include "../bindings/probe.h"

/* Reports which target of a set, or which pattern, was refused. */
void kprobes_report_refused(unsigned int index, int errno)
{
	pr_err("%s: target %u of a set is refused: %pe\n", THIS_MODULE->name, index,
	       ERR_PTR(errno));
}

void kprobes_report_named(const char *name, const char *why, int errno)
{
	pr_err("%s: no probe at %s, %s: %pe\n", THIS_MODULE->name, name, why, ERR_PTR(errno));
}

/*
 * Returns whether the module of MODULE:SYMBOL is not loaded, or is being unloaded. A loading module
 * is in sysfs only after its notifiers were called.
 */
bool kprobes_module_is_missing(const char *symbol)
{
	char name[MODULE_NAME_LEN];
	struct kobject *kobj;
	struct module *mod;
	bool missing;

	strscpy(name, symbol, min(sizeof(name), strcspn(symbol, ":") + 1));
	kobj = kset_find_obj(THIS_MODULE->mkobj.kobj.kset, name);
	/* The reference keeps the module's memory. What is built in has no module. */
	mod = kobj ? container_of(kobj, struct module_kobject, kobj)->mod : NULL;
	missing = !mod || READ_ONCE(mod->state) == MODULE_STATE_GOING;
	kobject_put(kobj);
	return missing;
}

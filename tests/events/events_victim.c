// SPDX-License-Identifier: GPL-2.0
/* A function that goes with its module. */
#include <linux/module.h>

noinline void events_victim_target(void);
noinline void events_victim_target(void)
{
	barrier();
}

static int __init events_victim_init(void)
{
	events_victim_target();
	return 0;
}

static void __exit events_victim_exit(void)
{
}

module_init(events_victim_init);
module_exit(events_victim_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Has a function to probe");

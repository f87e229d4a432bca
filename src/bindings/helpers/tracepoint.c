// SPDX-License-Identifier: GPL-2.0
/* The end of a tracepoint's handlers. */
#include <linux/tracepoint.h>

#include "../helper.h"

void kprobes_tracepoint_synchronize_unregister(void)
{
	tracepoint_synchronize_unregister();
}

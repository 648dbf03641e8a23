// SPDX-License-Identifier: GPL-2.0
/*
 * The driver's helpers, as Kbuild lets an object belong to one module only, and what only tests
 * call, from rust/kunit.rs.
 */
#include "../../rust/helpers.c"
#include "../../rust/line.c"

#include <kunit/device.h>
#include <linux/vmstat.h>

unsigned long alloclab_nr_free_pages(void)
{
	return global_zone_page_state(NR_FREE_PAGES);
}

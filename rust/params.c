// SPDX-License-Identifier: GPL-2.0
/*
 * The module's parameters. Read by rust/params.rs.
 *
 * In C, as old kernels, such as 6.18, have no parameters for Rust modules. Once no such kernel is
 * served, `params` of the macro `module!` replaces it.
 */
#include <linux/module.h>
#include <linux/moduleparam.h>

static bool button;
module_param(button, bool, 0444);
MODULE_PARM_DESC(button, "make a button without a line, pressed by its debugfs file (default: 0)");

static unsigned long preload_kmalloc;
module_param(preload_kmalloc, ulong, 0444);
MODULE_PARM_DESC(preload_kmalloc, "bytes to allocate by kmalloc from load to unload (default: 0)");

static unsigned long preload_vmalloc;
module_param(preload_vmalloc, ulong, 0444);
MODULE_PARM_DESC(preload_vmalloc, "bytes to allocate by vmalloc from load to unload (default: 0)");

bool alloclab_button(void)
{
	return button;
}

unsigned long alloclab_preload_kmalloc(void)
{
	return preload_kmalloc;
}

unsigned long alloclab_preload_vmalloc(void)
{
	return preload_vmalloc;
}

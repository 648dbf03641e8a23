// SPDX-License-Identifier: GPL-2.0
/*
 * The parameters of the module for USB devices. Read by rust/usb/params.rs. In C, as rust/params.c
 * says.
 */
#include <linux/module.h>
#include <linux/moduleparam.h>

static char *method = "cycle";
module_param(method, charp, 0444);
MODULE_PARM_DESC(method, "what each device gets at probe: cycle or a method (default: cycle)");

static char *size = "default";
module_param(size, charp, 0444);
MODULE_PARM_DESC(size, "how much: bytes, with K, M, G, or default, as each method has it (default: default)");

static char *gfp = "kernel";
module_param(gfp, charp, 0444);
MODULE_PARM_DESC(gfp, "with which flags, as in the file gfp (default: kernel)");

const char *alloclab_usb_method(void)
{
	return method;
}

const char *alloclab_usb_size(void)
{
	return size;
}

const char *alloclab_usb_gfp(void)
{
	return gfp;
}

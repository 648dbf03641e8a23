// SPDX-License-Identifier: GPL-2.0
/*
 * One-line functions for macros, inlines and symbols that the kernel's Rust bindings do not have,
 * in the manner of rust/helpers in the kernel. Each is called from exactly one file in rust/.
 */
#include <linux/dcache.h>
#include <linux/debugfs.h>
#include <linux/device.h>
#include <linux/irq.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/sprintf.h>

/* rust/address.rs */

int alloclab_format_hashed(char *buf, size_t size, const void *address)
{
	return scnprintf(buf, size, "%p", address);
}

int alloclab_format_restricted(char *buf, size_t size, const void *address)
{
	return scnprintf(buf, size, "%pK", address);
}

/* rust/bound.rs */

const char *alloclab_dev_name(const struct device *dev)
{
	return dev_name(dev);
}

/* rust/debugfs.rs */

struct dentry *alloclab_debugfs_create_dir(const char *name, struct dentry *parent)
{
	return debugfs_create_dir(name, parent);
}

struct dentry *alloclab_debugfs_create_file(const char *name, umode_t mode, struct dentry *parent,
					    void *data, const struct file_operations *fops)
{
	return debugfs_create_file(name, mode, parent, data, fops);
}

void alloclab_debugfs_remove(struct dentry *dentry)
{
	debugfs_remove(dentry);
}

struct dentry *alloclab_debugfs_lookup(const char *name, struct dentry *parent)
{
	return debugfs_lookup(name, parent);
}

void alloclab_dput(struct dentry *dentry)
{
	dput(dentry);
}

/* rust/interrupt.rs */

int alloclab_irq_is_nested(unsigned int irq)
{
	return irq_check_status_bit(irq, IRQ_NESTED_THREAD);
}

/* rust/limits.rs */

size_t alloclab_kmalloc_max_size(void)
{
	return KMALLOC_MAX_SIZE;
}

unsigned int alloclab_max_page_order(void)
{
	return MAX_PAGE_ORDER;
}

unsigned long alloclab_totalram_pages(void)
{
	return totalram_pages();
}

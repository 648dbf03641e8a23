// SPDX-License-Identifier: GPL-2.0
/*
 * Commits one crime against the kernel's memory rules when it is loaded, and then refuses to load.
 * The torture tests load it on the debug kernel, once each, to prove that each detector detects.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/delay.h>
#include <linux/dma-mapping.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/platform_device.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/vmalloc.h>

#define BYTES 100

static char *crime = "";
module_param(crime, charp, 0);
MODULE_PARM_DESC(crime, "which one");

static DEFINE_MUTEX(first);
static DEFINE_MUTEX(second);
static DEFINE_SPINLOCK(lock);

static int out_of_bounds(void)
{
	char *block = kmalloc(BYTES, GFP_KERNEL);

	if (!block)
		return -ENOMEM;
	OPTIMIZER_HIDE_VAR(block);
	block[BYTES] = 1;
	kfree(block);
	return 0;
}

static int use_after_free(void)
{
	char *block = kmalloc(BYTES, GFP_KERNEL);

	if (!block)
		return -ENOMEM;
	OPTIMIZER_HIDE_VAR(block);
	kfree(block);
	WRITE_ONCE(block[1], 1);
	return 0;
}

static int double_free(void)
{
	char *block = kmalloc(BYTES, GFP_KERNEL);

	if (!block)
		return -ENOMEM;
	OPTIMIZER_HIDE_VAR(block);
	kfree(block);
	kfree(block);
	return 0;
}

/* More than one: a stale copy of an address may hide one of them. */
static int leak_kmalloc(void)
{
	int i;

	for (i = 0; i < 8; i++) {
		if (!kmalloc(BYTES, GFP_KERNEL))
			return -ENOMEM;
	}
	return 0;
}

static int leak_vmalloc(void)
{
	int i;

	for (i = 0; i < 8; i++) {
		if (!vmalloc(BYTES))
			return -ENOMEM;
	}
	return 0;
}

static int sleep_in_atomic(void)
{
	spin_lock(&lock);
	usleep_range(1000, 2000);
	spin_unlock(&lock);
	return 0;
}

static int lock_inversion(void)
{
	mutex_lock(&first);
	mutex_lock(&second);
	mutex_unlock(&second);
	mutex_unlock(&first);

	mutex_lock(&second);
	mutex_lock(&first);
	mutex_unlock(&first);
	mutex_unlock(&second);
	return 0;
}

/* A free whose size is not that of the allocation. */
static int unmatched_dma_free(void)
{
	struct platform_device *dev = platform_device_register_simple("crime", -1, NULL, 0);
	dma_addr_t address;
	void *block;
	int ret;

	if (IS_ERR(dev))
		return PTR_ERR(dev);
	ret = dma_coerce_mask_and_coherent(&dev->dev, DMA_BIT_MASK(32));
	if (!ret) {
		block = dma_alloc_coherent(&dev->dev, 2 * PAGE_SIZE, &address, GFP_KERNEL);
		if (block)
			dma_free_coherent(&dev->dev, PAGE_SIZE, block, address);
		else
			ret = -ENOMEM;
	}
	platform_device_unregister(dev);
	return ret;
}

static const struct {
	const char *name;
	int (*commit)(void);
} crimes[] = {
	{ "out_of_bounds", out_of_bounds },
	{ "use_after_free", use_after_free },
	{ "double_free", double_free },
	{ "leak_kmalloc", leak_kmalloc },
	{ "leak_vmalloc", leak_vmalloc },
	{ "sleep_in_atomic", sleep_in_atomic },
	{ "lock_inversion", lock_inversion },
	{ "unmatched_dma_free", unmatched_dma_free },
};

static int __init alloclab_crime_init(void)
{
	unsigned int i;
	int ret;

	for (i = 0; i < ARRAY_SIZE(crimes); i++) {
		if (strcmp(crime, crimes[i].name))
			continue;
		ret = crimes[i].commit();
		if (ret)
			return ret;
		pr_info("committed %s\n", crime);
		/* There is nothing to stay for. */
		return -ECANCELED;
	}
	pr_err("crime: \"%s\" is not one of these\n", crime);
	return -EINVAL;
}
module_init(alloclab_crime_init);

MODULE_LICENSE("GPL");
MODULE_AUTHOR("The alloclab authors");
MODULE_DESCRIPTION("Commits a crime for a detector to detect, for alloclab's tests");

// SPDX-License-Identifier: GPL-2.0
/*
 * Commits one crime against the kernel's rules when it is loaded. The torture tests load it on the
 * debug kernel, once for each, to prove that each detector detects.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/delay.h>
#include <linux/dma-mapping.h>
#include <linux/jiffies.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/platform_device.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/vmalloc.h>

#define BYTES 100
/* Each longer than the limit that the tests set for it, and than the detector needs to look. */
#define ASLEEP_SECONDS 5
#define SOFT_LOCKUP_SECONDS 5
#define RCU_STALL_SECONDS 11

static char *crime = "";
module_param(crime, charp, 0);
MODULE_PARM_DESC(crime, "which one");

static DEFINE_MUTEX(first);
static DEFINE_MUTEX(second);
static DEFINE_SPINLOCK(lock);
static DEFINE_RAW_SPINLOCK(raw_lock);
static int number;

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
	/* usleep_range() does not sleep if the time is over before it could. */
	msleep(20);
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

/* On PREEMPT_RT the inner one may sleep. */
static int raw_lock_nesting(void)
{
	raw_spin_lock(&raw_lock);
	spin_lock(&lock);
	spin_unlock(&lock);
	raw_spin_unlock(&raw_lock);
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

static int shift_out_of_bounds(void)
{
	int by = 32;

	OPTIMIZER_HIDE_VAR(by);
	WRITE_ONCE(number, 1 << by);
	return 0;
}

/* Of a row only: what is read is inside the array. */
static int index_out_of_bounds(void)
{
	static int rows[2][4];
	int at = 4;

	OPTIMIZER_HIDE_VAR(at);
	WRITE_ONCE(number, rows[0][at]);
	return 0;
}

static int invalid_bool(void)
{
	u8 byte = 2;

	OPTIMIZER_HIDE_VAR(byte);
	WRITE_ONCE(number, *(bool *)&byte ? 1 : 0);
	return 0;
}

static int hung_task(void)
{
	schedule_timeout_uninterruptible(ASLEEP_SECONDS * HZ);
	return 0;
}

/* Interrupts come, and nothing else runs on this CPU. */
static void keep_cpu(int seconds)
{
	unsigned long end = jiffies + seconds * HZ;

	preempt_disable();
	while (time_before(jiffies, end))
		cpu_relax();
	preempt_enable();
}

static int soft_lockup(void)
{
	keep_cpu(SOFT_LOCKUP_SECONDS);
	return 0;
}

/* There is a grace period, which began after the limit was set, and it cannot end. */
static int rcu_stall(void)
{
	synchronize_rcu();
	start_poll_synchronize_rcu();
	keep_cpu(RCU_STALL_SECONDS);
	return 0;
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
	{ "raw_lock_nesting", raw_lock_nesting },
	{ "unmatched_dma_free", unmatched_dma_free },
	{ "shift_out_of_bounds", shift_out_of_bounds },
	{ "index_out_of_bounds", index_out_of_bounds },
	{ "invalid_bool", invalid_bool },
	{ "hung_task", hung_task },
	{ "soft_lockup", soft_lockup },
	{ "rcu_stall", rcu_stall },
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
		/* If it refused to load, busybox's insmod would try once more. */
		return 0;
	}
	pr_err("crime: \"%s\" is not one of these\n", crime);
	return -EINVAL;
}
module_init(alloclab_crime_init);

static void __exit alloclab_crime_exit(void)
{
}
module_exit(alloclab_crime_exit);

MODULE_LICENSE("GPL");
MODULE_AUTHOR("The alloclab authors");
MODULE_DESCRIPTION("Commits a crime for a detector to detect, for alloclab's tests");

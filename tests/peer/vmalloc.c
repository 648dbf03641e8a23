// SPDX-License-Identifier: GPL-2.0
/*
 * The vmalloc family, and kvmalloc, which is kmalloc first.
 */
#include <linux/bitops.h>
#include <linux/device.h>
#include <linux/gfp.h>
#include <linux/limits.h>
#include <linux/mm.h>
#include <linux/seq_file.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "peer.h"

/* Up to 6.18, vmalloc takes no flags that do not let it sleep. */
#ifdef PEER_KERNEL_7_0
#define NO_SLEEP (BIT(BASE_ATOMIC) | BIT(BASE_NOWAIT))
#else
#define NO_SLEEP 0
#endif
/* Up to 7.0, it honours the flags on retrying by half, or warns of them. */
#ifdef PEER_KERNEL_7_1
#define RETRY (BIT(MOD_NORETRY) | BIT(MOD_RETRY_MAYFAIL))
#else
#define RETRY 0
#endif

#define VMALLOC_BASES (BIT(BASE_KERNEL) | NO_SLEEP)
#define RAW_VMALLOC_BASES (VMALLOC_BASES | BIT(BASE_NOIO) | BIT(BASE_NOFS) | BIT(BASE_USER))
#define RAW_VMALLOC_MODIFIERS (BIT(MOD_ZERO) | BIT(MOD_NOWARN) | RETRY | BIT(MOD_NOFAIL) | \
			       BIT(MOD_HIGH) | BIT(MOD_ACCOUNT))

static int vmalloc_alloc(struct lab *lab, struct held *held)
{
	return got(held, __vmalloc(held->request.size, gfp_of(held)));
}

static int vzalloc_alloc(struct lab *lab, struct held *held)
{
	return got(held, __vmalloc(held->request.size, gfp_of(held) | __GFP_ZERO));
}

static void vmalloc_free(struct lab *lab, struct held *held)
{
	vfree(held->addr);
}

const struct method vmalloc_method = {
	.name = "vmalloc",
	.default_size = 4096,
	.largest = SIZE_MAX,
	.limit = "total RAM",
	.ram = true,
	.bases = VMALLOC_BASES,
	.modifiers = PLAIN_MODIFIERS,
	.sleeps = "the vmalloc family may sleep",
	.alloc = vmalloc_alloc,
	.free = vmalloc_free,
};

const struct method vzalloc_method = {
	.name = "vzalloc",
	.default_size = 4096,
	.largest = SIZE_MAX,
	.limit = "total RAM",
	.ram = true,
	.zeroes = ZEROES_ALWAYS,
	.bases = VMALLOC_BASES,
	.modifiers = PLAIN_MODIFIERS,
	.sleeps = "the vmalloc family may sleep",
	.alloc = vzalloc_alloc,
	.free = vmalloc_free,
};

/* In C the same call; it takes every flag. */
const struct method raw_vmalloc_method = {
	.name = "raw_vmalloc",
	.default_size = 4096,
	.largest = SIZE_MAX,
	.limit = "total RAM",
	.ram = true,
	.bases = RAW_VMALLOC_BASES,
	.modifiers = RAW_VMALLOC_MODIFIERS,
	.sleeps = "the vmalloc family may sleep",
	.alloc = vmalloc_alloc,
	.free = vmalloc_free,
};

static int kvmalloc_alloc(struct lab *lab, struct held *held)
{
	return got(held, kvmalloc(held->request.size, gfp_of(held)));
}

static void kvmalloc_free(struct lab *lab, struct held *held)
{
	kvfree(held->addr);
}

static const char *kvmalloc_got(const struct held *held)
{
	return is_vmalloc_addr(held->addr) ? "vmalloc" : "kmalloc";
}

static void kvmalloc_remarks(struct lab *lab, const struct held *held)
{
	if (lab_line(lab))
		dev_info(lab->dev, "kvmalloc: got %s memory\n", kvmalloc_got(held));
}

static void kvmalloc_details(struct seq_file *m, struct lab *lab, const struct held *held)
{
	seq_printf(m, "got: %s\n", kvmalloc_got(held));
}

const struct method kvmalloc_method = {
	.name = "kvmalloc",
	.default_size = SZ_256K,
	.largest = INT_MAX,
	.limit = "INT_MAX and total RAM",
	.ram = true,
	.bases = VMALLOC_BASES,
	.modifiers = PLAIN_MODIFIERS,
	.sleeps = "it may call vmalloc, which may sleep",
	.alloc = kvmalloc_alloc,
	.free = kvmalloc_free,
	.remarks = kvmalloc_remarks,
	.details = kvmalloc_details,
};

// SPDX-License-Identifier: GPL-2.0
/*
 * The slab allocator: kmalloc, krealloc, devm_kzalloc, a cache and a pool of our own.
 */
#include <linux/bitops.h>
#include <linux/device.h>
#include <linux/gfp.h>
#include <linux/mempool.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "peer.h"

#define OBJECT_BYTES 256
#define OBJECT_ALIGN 64
#define CONSTRUCTED 0xc5
#define ELEMENT_BYTES 1024
#define RESERVE 4
/* The size that krealloc starts with, in bytes. */
#define START_BYTES 64
/* The most that kmalloc looks for until there is any: slab debugging may make it two pages. */
#define NOFAIL_BYTES (PAGE_SIZE / 2)
/* What devres puts before a block, at most. */
#define HEADER_BYTES 128

static int kmalloc_alloc(struct lab *lab, struct held *held)
{
	return got(held, kmalloc(held->request.size, gfp_of(held)));
}

static int kzalloc_alloc(struct lab *lab, struct held *held)
{
	return got(held, kzalloc(held->request.size, gfp_of(held)));
}

static void kmalloc_free(struct lab *lab, struct held *held)
{
	kfree(held->addr);
}

static const char *raw_kmalloc_objection(const struct request *request)
{
	if (request->flags.modifiers & BIT(MOD_NOFAIL) && request->size > NOFAIL_BYTES)
		return "nofail is for at most half a page of kmalloc, which debugging may make two";
	return NULL;
}

const struct method kmalloc_method = {
	.name = "kmalloc",
	.default_size = 64,
	.largest = KMALLOC_MAX_SIZE,
	.limit = "KMALLOC_MAX_SIZE",
	.contiguous = true,
	.bases = PLAIN_BASES,
	.modifiers = PLAIN_MODIFIERS,
	.alloc = kmalloc_alloc,
	.free = kmalloc_free,
};

const struct method kzalloc_method = {
	.name = "kzalloc",
	.default_size = 64,
	.largest = KMALLOC_MAX_SIZE,
	.limit = "KMALLOC_MAX_SIZE",
	.contiguous = true,
	.zeroes = ZEROES_ALWAYS,
	.bases = PLAIN_BASES,
	.modifiers = PLAIN_MODIFIERS,
	.alloc = kzalloc_alloc,
	.free = kmalloc_free,
};

/* In C the same call; it takes every flag. */
const struct method raw_kmalloc_method = {
	.name = "raw_kmalloc",
	.default_size = 64,
	.largest = KMALLOC_MAX_SIZE,
	.limit = "KMALLOC_MAX_SIZE",
	.contiguous = true,
	.bases = SLAB_BASES,
	.modifiers = SLAB_MODIFIERS,
	.objection = raw_kmalloc_objection,
	.alloc = kmalloc_alloc,
	.free = kmalloc_free,
};

/* A byte that tells its place from its neighbours. */
static u8 pattern(size_t index)
{
	return index ^ (index >> 8) ^ 0x3c;
}

static void fill(u8 *block, size_t size)
{
	size_t i;

	for (i = 0; i < size; i++)
		block[i] = pattern(i);
}

static bool is_filled(const u8 *block, size_t size)
{
	size_t i;

	for (i = 0; i < size; i++)
		if (block[i] != pattern(i))
			return false;
	return true;
}

/* Doubles the block up to the size; a step that fails leaves it as it was. */
static int krealloc_alloc(struct lab *lab, struct held *held)
{
	size_t size = min_t(size_t, START_BYTES, held->request.size);
	u8 *block = kmalloc(size, gfp_of(held));
	size_t next;
	u8 *grown;
	int err;

	held->steps = 0;
	held->moves = 0;
	if (!block)
		return -ENOMEM;
	fill(block, size);

	for (; size < held->request.size; size = next) {
		next = min(2 * size, held->request.size);
		grown = krealloc(block, next, gfp_of(held));
		err = grown ? 0 : -ENOMEM;
		if (grown) {
			held->moves += grown != block;
			block = grown;
		}
		if (!is_filled(block, size))
			err = -EIO;
		if (err) {
			kfree(block);
			return err;
		}
		held->steps++;
		fill(block, next);
	}
	return got(held, block);
}

static void krealloc_remarks(struct lab *lab, const struct held *held)
{
	if (lab_line(lab))
		dev_info(lab->dev,
			 "krealloc: grew in %u steps and moved %u times, content kept\n",
			 held->steps, held->moves);
}

static void krealloc_details(struct seq_file *m, struct lab *lab, const struct held *held)
{
	seq_printf(m, "steps: %u\nmoves: %u\n", held->steps, held->moves);
}

const struct method krealloc_method = {
	.name = "krealloc",
	.default_size = 4096,
	.largest = KMALLOC_MAX_SIZE,
	.limit = "KMALLOC_MAX_SIZE",
	.contiguous = true,
	.bases = SLAB_BASES,
	.modifiers = SLAB_MODIFIERS & ~(BIT(MOD_ZERO) | BIT(MOD_NOFAIL)),
	.sleeps = "it writes and copies in many steps",
	.written = true,
	.alloc = krealloc_alloc,
	.free = kmalloc_free,
	.remarks = krealloc_remarks,
	.details = krealloc_details,
};

static int devm_alloc(struct lab *lab, struct held *held)
{
	return got(held, devm_kzalloc(lab->dev, held->request.size, gfp_of(held)));
}

static void devm_free(struct lab *lab, struct held *held)
{
	devm_kfree(lab->dev, held->addr);
}

static size_t devm_usable(const struct held *held)
{
	return held->request.size;
}

const struct method devm_method = {
	.name = "devm",
	.default_size = 64,
	.largest = KMALLOC_MAX_SIZE - HEADER_BYTES,
	.limit = "KMALLOC_MAX_SIZE less a header",
	.contiguous = true,
	.zeroes = ZEROES_ALWAYS,
	.bases = SLAB_BASES,
	.modifiers = SLAB_MODIFIERS & ~BIT(MOD_NOFAIL),
	.of_device = true,
	.alloc = devm_alloc,
	.free = devm_free,
	.usable = devm_usable,
};

/* Runs once for each object of a new slab. */
static void construct(void *object)
{
	memset(object, CONSTRUCTED, OBJECT_BYTES);
}

static void destroy_cache(void *cache)
{
	kmem_cache_destroy(cache);
}

/* The constructor keeps the cache from being merged with another. */
static int slab_setup(struct lab *lab)
{
	lab->cache_name = devm_kasprintf(lab->dev, GFP_KERNEL, DRIVER_NAME "-%s",
					 dev_name(lab->dev));
	if (!lab->cache_name)
		return -ENOMEM;
	lab->cache = kmem_cache_create(lab->cache_name, OBJECT_BYTES, OBJECT_ALIGN, 0, construct);
	if (!lab->cache)
		return -ENOMEM;
	return devm_add_action_or_reset(lab->dev, destroy_cache, lab->cache);
}

static int slab_alloc(struct lab *lab, struct held *held)
{
	return got(held, kmem_cache_alloc(lab->cache, gfp_of(held)));
}

static void slab_free(struct lab *lab, struct held *held)
{
	kmem_cache_free(lab->cache, held->addr);
}

static size_t slab_usable(const struct held *held)
{
	return OBJECT_BYTES;
}

static void slab_details(struct seq_file *m, struct lab *lab, const struct held *held)
{
	seq_printf(m, "cache: %s\nobject_size: %u\nobject_align: %u\n", lab->cache_name,
		   OBJECT_BYTES, OBJECT_ALIGN);
	seq_printf(m, "constructor: fills with %#04x\n", CONSTRUCTED);
}

const struct method slab_method = {
	.name = "slab",
	.default_size = 128,
	.largest = OBJECT_BYTES,
	.limit = "object size",
	.contiguous = true,
	.zeroes = ZEROES_NEVER,
	.bases = SLAB_BASES & ~BIT(BASE_DMA),
	.modifiers = SLAB_MODIFIERS & ~BIT(MOD_ZERO),
	.setup = slab_setup,
	.alloc = slab_alloc,
	.free = slab_free,
	.usable = slab_usable,
	.details = slab_details,
};

static void destroy_pool(void *pool)
{
	mempool_destroy(pool);
}

static int pool_setup(struct lab *lab)
{
	lab->pool = mempool_create_kmalloc_pool(RESERVE, ELEMENT_BYTES);
	if (!lab->pool)
		return -ENOMEM;
	return devm_add_action_or_reset(lab->dev, destroy_pool, lab->pool);
}

static int pool_alloc(struct lab *lab, struct held *held)
{
	return got(held, mempool_alloc(lab->pool, gfp_of(held)));
}

static void pool_free(struct lab *lab, struct held *held)
{
	mempool_free(held->addr, lab->pool);
}

static size_t pool_usable(const struct held *held)
{
	return ELEMENT_BYTES;
}

static void pool_details(struct seq_file *m, struct lab *lab, const struct held *held)
{
	seq_printf(m, "element_size: %u\nreserve: %d of %d\n", ELEMENT_BYTES,
		   READ_ONCE(lab->pool->curr_nr), RESERVE);
}

/* An element of the reserve is as it was left: it cannot be zeroed. */
const struct method mempool_method = {
	.name = "mempool",
	.default_size = 256,
	.largest = ELEMENT_BYTES,
	.limit = "element size",
	.contiguous = true,
	.bases = SLAB_BASES & ~(BIT(BASE_USER) | BIT(BASE_DMA)),
	.modifiers = BIT(MOD_NOWARN) | BIT(MOD_HIGH) | BIT(MOD_ACCOUNT),
	.setup = pool_setup,
	.alloc = pool_alloc,
	.free = pool_free,
	.usable = pool_usable,
	.details = pool_details,
};

// SPDX-License-Identifier: GPL-2.0
/*
 * The driver's helpers, as Kbuild lets an object belong to one module only; and one pair of
 * allocate and free by each method, as a C driver writes it. Called from rust/bench.rs.
 */
#include "../../rust/helpers.c"
#include "../../rust/line.c"

#include "count.h"

static struct kmem_cache *cache;
static mempool_t *pool;
static struct dma_pool *blocks;

void alloclab_count_begin(void)
{
	count_begin();
}

static void construct(void *object)
{
	memset(object, 0xc5, 256);
}

void alloclab_pairs_end(void)
{
	dma_pool_destroy(blocks);
	mempool_destroy(pool);
	kmem_cache_destroy(cache);
}

/* Makes what some pairs allocate from, as the driver has it. */
bool alloclab_pairs_begin(struct device *dev)
{
	cache = kmem_cache_create("alloclab-pairs", 256, 64, 0, construct);
	pool = mempool_create_kmalloc_pool(4, 1024);
	blocks = dma_pool_create("alloclab-pairs", dev, 256, 64, 4096);
	if (cache && pool && blocks)
		return true;
	alloclab_pairs_end();
	return false;
}

/* Counts one pair of expressions; what fails counts 0. */
#define PAIR(name, got, free)						\
u32 alloclab_pair_##name(struct device *dev, size_t size)		\
{									\
	u32 start = count();						\
	void *p = got;							\
									\
	if (!p)								\
		return 0;						\
	free;								\
	return count() - start;						\
}

#define ORDER get_order(size)

PAIR(kmalloc, kmalloc(size, GFP_KERNEL), kfree(p))
PAIR(kzalloc, kzalloc(size, GFP_KERNEL), kfree(p))
PAIR(vmalloc, __vmalloc(size, GFP_KERNEL), vfree(p))
PAIR(vzalloc, __vmalloc(size, GFP_KERNEL | __GFP_ZERO), vfree(p))
PAIR(kvmalloc, kvmalloc(size, GFP_KERNEL), kvfree(p))
PAIR(devm, devm_kmalloc(dev, size, GFP_KERNEL | __GFP_ZERO), devm_kfree(dev, p))
PAIR(page, alloc_page(GFP_KERNEL), __free_page(p))
PAIR(pages, (void *)__get_free_pages(GFP_KERNEL, ORDER), free_pages((unsigned long)p, ORDER))
PAIR(slab, kmem_cache_alloc(cache, GFP_KERNEL), kmem_cache_free(cache, p))
PAIR(mempool, mempool_alloc(pool, GFP_KERNEL), mempool_free(p, pool))

static dma_addr_t at;

PAIR(coherent, dma_alloc_coherent(dev, size, &at, GFP_KERNEL), dma_free_coherent(dev, size, p, at))
PAIR(dmapool, dma_pool_alloc(blocks, GFP_KERNEL, &at), dma_pool_free(blocks, p, at))

/* What counting itself costs here. */
u32 alloclab_pair_nothing(struct device *dev, size_t size)
{
	u32 start = count();

	return count() - start;
}

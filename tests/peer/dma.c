// SPDX-License-Identifier: GPL-2.0
/*
 * Coherent DMA memory: by the page, and small aligned blocks of a pool.
 */
#include <linux/device.h>
#include <linux/dma-mapping.h>
#include <linux/dmapool.h>
#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/seq_file.h>

#include "peer.h"

#define BLOCK_BYTES 256
#define BLOCK_ALIGN 64
#define BOUNDARY 4096

/*
 * For a device that is not coherent, what must not sleep comes from a small pool. The kernel warns
 * with a backtrace when that is used up: here it is an answer like any other.
 */
static gfp_t dma_gfp_of(const struct held *held)
{
	gfp_t gfp = gfp_of(held);

	return gfpflags_allow_blocking(gfp) ? gfp : gfp | __GFP_NOWARN;
}

static int coherent_alloc(struct lab *lab, struct held *held)
{
	return got(held, dma_alloc_coherent(lab->dev, held->request.size, &held->dma,
					    dma_gfp_of(held)));
}

static void coherent_free(struct lab *lab, struct held *held)
{
	dma_free_coherent(lab->dev, held->request.size, held->addr, held->dma);
}

static size_t coherent_usable(const struct held *held)
{
	return PAGE_ALIGN(held->request.size);
}

const struct method coherent_method = {
	.name = "coherent",
	.default_size = 1024,
	.largest = PAGE_SIZE << MAX_PAGE_ORDER,
	.limit = "MAX_PAGE_ORDER",
	.contiguous = true,
	.zeroes = ZEROES_ALWAYS,
	.bases = PLAIN_BASES,
	.modifiers = PLAIN_MODIFIERS,
	.dma = true,
	.alloc = coherent_alloc,
	.free = coherent_free,
	.usable = coherent_usable,
};

static int dma_pool_setup(struct lab *lab)
{
	lab->dma_pool = dmam_pool_create(DRIVER_NAME, lab->dev, BLOCK_BYTES, BLOCK_ALIGN, BOUNDARY);
	return lab->dma_pool ? 0 : -ENOMEM;
}

static int dma_pool_alloc_block(struct lab *lab, struct held *held)
{
	return got(held, dma_pool_alloc(lab->dma_pool, dma_gfp_of(held), &held->dma));
}

static void dma_pool_free_block(struct lab *lab, struct held *held)
{
	dma_pool_free(lab->dma_pool, held->addr, held->dma);
}

static size_t dma_pool_usable(const struct held *held)
{
	return BLOCK_BYTES;
}

static void dma_pool_details(struct seq_file *m, struct lab *lab, const struct held *held)
{
	seq_printf(m, "block_size: %u\nblock_align: %u\nboundary: %u\n", BLOCK_BYTES,
		   BLOCK_ALIGN, BOUNDARY);
}

const struct method dmapool_method = {
	.name = "dmapool",
	.default_size = 64,
	.largest = BLOCK_BYTES,
	.limit = "block size",
	.contiguous = true,
	.bases = PLAIN_BASES,
	.modifiers = PLAIN_MODIFIERS,
	.dma = true,
	.setup = dma_pool_setup,
	.alloc = dma_pool_alloc_block,
	.free = dma_pool_free_block,
	.usable = dma_pool_usable,
	.details = dma_pool_details,
};

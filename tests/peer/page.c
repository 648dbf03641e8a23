// SPDX-License-Identifier: GPL-2.0
/*
 * The page allocator: one page of any zone, and 2^order pages that follow each other.
 */
#include <linux/bitops.h>
#include <linux/gfp.h>
#include <linux/highmem.h>
#include <linux/mm.h>
#include <linux/seq_file.h>
#include <linux/string.h>

#include "peer.h"

/* What a page is filled with that was not zeroed. */
#define POISON 0x5a

/* A page of any zone: it is written through a temporary mapping. */
static int page_alloc(struct lab *lab, struct held *held)
{
	held->page = alloc_page(gfp_of(held));
	if (!held->page)
		return -ENOMEM;
	held->addr = kmap_local_page(held->page);
	if (!(held->request.flags.modifiers & BIT(MOD_ZERO)))
		memset(held->addr, POISON, held->request.size);
	kunmap_local(held->addr);
	return 0;
}

static void page_free(struct lab *lab, struct held *held)
{
	__free_page(held->page);
}

static size_t page_usable(const struct held *held)
{
	return PAGE_SIZE;
}

static void page_details(struct seq_file *m, struct lab *lab, const struct held *held)
{
	seq_puts(m, "mapping: kmap_local_page\n");
}

const struct method page_method = {
	.name = "page",
	.default_size = PAGE_SIZE,
	.largest = PAGE_SIZE,
	.limit = "PAGE_SIZE",
	.contiguous = true,
	.bases = ALL_BASES,
	.modifiers = ALL_MODIFIERS,
	.pages = PAGES_ONE,
	.written = true,
	.alloc = page_alloc,
	.free = page_free,
	.usable = page_usable,
	.details = page_details,
};

static int pages_alloc(struct lab *lab, struct held *held)
{
	return got(held, (void *)__get_free_pages(gfp_of(held), get_order(held->request.size)));
}

static void pages_free(struct lab *lab, struct held *held)
{
	free_pages((unsigned long)held->addr, get_order(held->request.size));
}

static size_t pages_usable(const struct held *held)
{
	return PAGE_SIZE << get_order(held->request.size);
}

static void pages_details(struct seq_file *m, struct lab *lab, const struct held *held)
{
	seq_printf(m, "order: %u\n", get_order(held->request.size));
}

/* Its pages need an address, which high memory does not have. */
const struct method pages_method = {
	.name = "pages",
	.default_size = 2 * PAGE_SIZE,
	.largest = PAGE_SIZE << MAX_PAGE_ORDER,
	.limit = "MAX_PAGE_ORDER",
	.contiguous = true,
	.bases = ALL_BASES & ~BIT(BASE_HIGHUSER),
	.modifiers = ALL_MODIFIERS,
	.alloc = pages_alloc,
	.free = pages_free,
	.usable = pages_usable,
	.details = pages_details,
};

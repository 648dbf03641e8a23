// SPDX-License-Identifier: GPL-2.0
/*
 * What was really got, and how it is shown. Nothing here is part of a press that is not shown.
 */
#include <linux/errno.h>
#include <linux/jump_label.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/security.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/string_helpers.h>

#include "peer.h"

/* After so many pages that are looked at, others may run: an allocation may be all of the RAM. */
#define PAGES_AT_ONCE 1024

/* Returns the size that was got, in bytes. */
size_t held_usable(const struct held *held)
{
	if (held->method->usable)
		return held->method->usable(held);
	return is_vmalloc_addr(held->addr) ? PAGE_ALIGN(held->request.size) : ksize(held->addr);
}

static unsigned long pfn_of(const void *addr)
{
	return is_vmalloc_or_module_addr(addr) ? vmalloc_to_pfn(addr) :
						 PHYS_PFN(virt_to_phys(addr));
}

/* Moves on to the next run of the usable bytes' pages; false after the last one. May sleep. */
bool held_next_run(const struct held *held, struct run *run)
{
	size_t offset = offset_in_page(held->addr);
	const void *start = held->addr - offset;
	size_t all, page;

	page = run->first + run->pages;
	if (held->method->pages == PAGES_ONE) {
		*run = (struct run) { .pages = 1, .pfn = page_to_pfn(held->page) };
		return !page;
	}
	if (held->method->pages == PAGES_ANYWHERE)
		return false;
	all = DIV_ROUND_UP(offset + held_usable(held), PAGE_SIZE);
	if (page >= all)
		return false;

	*run = (struct run) { .first = page, .pages = 1, .pfn = pfn_of(start + page * PAGE_SIZE) };
	if (!is_vmalloc_or_module_addr(start)) {
		/* In the linear mapping, what follows in one follows in the other. */
		run->pages = all - page;
		return true;
	}
	for (page++; page < all; page++, run->pages++) {
		if (page % PAGES_AT_ONCE == 0)
			cond_resched();
		if (pfn_of(start + page * PAGE_SIZE) != run->pfn + run->pages)
			break;
	}
	return true;
}

struct layout held_layout(const struct held *held)
{
	struct layout layout = { .node = NUMA_NO_NODE };
	struct run run = { };

	while (held_next_run(held, &run)) {
		if (!layout.runs && pfn_valid(run.pfn))
			layout.node = page_to_nid(pfn_to_page(run.pfn));
		layout.pages += run.pages;
		layout.runs++;
		layout.longest = max(layout.longest, run.pages);
	}
	return layout;
}

/* Returns whether the bytes that the driver has not written are zero. May sleep. */
static bool rest_is_zero(const struct held *held)
{
	size_t at, part;

	if (held->method->written)
		return true;
	for (at = 0; at < held->request.size; at += part) {
		part = min(held->request.size - at, PAGES_AT_ONCE * PAGE_SIZE);
		if (memchr_inv(held->addr + at, 0, part))
			return false;
		cond_resched();
	}
	return true;
}

/*
 * Says what zeroed the memory. A kernel that zeroes all memory spares some: an element of a pool's
 * reserve, or a slab that its debugging fills. So the bytes are looked at, too. May sleep.
 */
const char *held_zeroed(const struct held *held)
{
	if (held->method->zeroes == ZEROES_ALWAYS ||
	    held->request.flags.modifiers & BIT(MOD_ZERO))
		return "asked";
	if (held->method->zeroes == ZEROES_ASKED &&
	    (static_key_enabled(&init_on_alloc) || static_key_enabled(&init_on_free)) &&
	    rest_is_zero(held))
		return "kernel";
	return "no";
}

/* Whether not even root may learn where anything lies in memory. */
bool is_confidential(void)
{
	return security_locked_down(LOCKDOWN_DBG_READ_KERNEL);
}

dma_addr_t shown_dma(const struct held *held)
{
	return is_confidential() ? 0 : held->dma;
}

/* Returns the largest latency that the bucket counts. */
static u64 last_of(unsigned int bucket)
{
	unsigned int row = bucket >> SUB_BITS;
	unsigned int shift = row ? row - 1 : 0;
	u64 first = (u64)(bucket - (shift << SUB_BITS)) << shift;

	return first + (1ULL << shift) - 1;
}

/*
 * Returns the smallest latency that at least so many percent of all do not exceed, rounded up to
 * the end of its bucket, or to the maximum if that is less; 0 if there are none.
 */
u64 percentile(const struct histogram *histogram, unsigned int percent)
{
	u64 enough = max(histogram->count * percent, 1ULL);
	u64 seen = 0;
	unsigned int i;

	/* The last bucket has no end. */
	for (i = 0; i < NR_BUCKETS - 1; i++) {
		seen += histogram->buckets[i];
		if (seen * 100 >= enough)
			return min(last_of(i), histogram->max);
	}
	return histogram->max;
}

/* The name of an error, also on kernels that were configured to know none. */
const char *error_name(int err)
{
	switch (-err) {
	case E2BIG:
		return "E2BIG";
	case EAGAIN:
		return "EAGAIN";
	case EBUSY:
		return "EBUSY";
	case EEXIST:
		return "EEXIST";
	case EINVAL:
		return "EINVAL";
	case EIO:
		return "EIO";
	case ENODEV:
		return "ENODEV";
	case ENOENT:
		return "ENOENT";
	case ENOMEM:
		return "ENOMEM";
	case ENOSPC:
		return "ENOSPC";
	case ENXIO:
		return "ENXIO";
	case EPERM:
		return "EPERM";
	default:
		return "another error";
	}
}

/* Writes text so that it can be printed; returns the buffer. */
const char *escape(char *buf, size_t size, struct word text)
{
	int len = string_escape_mem(text.text, text.len, buf, size - 1,
				    ESCAPE_SPACE | ESCAPE_HEX | ESCAPE_NAP, NULL);

	buf[min_t(size_t, len, size - 1)] = '\0';
	return buf;
}

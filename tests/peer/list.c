// SPDX-License-Identifier: GPL-2.0
/*
 * A linked list of records of different allocators, and a buffer that needs no allocator.
 */
#include <linux/atomic.h>
#include <linux/bitops.h>
#include <linux/device.h>
#include <linux/gfp.h>
#include <linux/list.h>
#include <linux/math.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/vmalloc.h>

#include "peer.h"

#define BUFFER_BYTES 2048
#define MAX_RECORDS 1024
/* How many records the kernel log shows. */
#define SHOWN_RECORDS 16

/* As large as a record of the driver in Rust, so that a size makes as many records. */
struct record {
	struct list_head node;
	const char *name;
	size_t weight;
	bool is_vmalloc;
};

static void list_free(struct lab *lab, struct held *held)
{
	struct record *record, *next;

	list_for_each_entry_safe(record, next, &held->records, node) {
		if (record->is_vmalloc)
			vfree(record);
		else
			kfree(record);
	}
}

static struct record *new_record(size_t weight, gfp_t gfp)
{
	static const char * const names[] = {
		"kmalloc with KERNEL", "kmalloc with ATOMIC", "vmalloc",
	};
	const size_t size = sizeof(struct record);
	unsigned int kind = weight % ARRAY_SIZE(names);
	struct record *record;

	switch (kind) {
	case 0:
		record = kmalloc(size, gfp);
		break;
	case 1:
		record = kmalloc(size, GFP_ATOMIC | (gfp & ~GFP_KERNEL));
		break;
	default:
		record = __vmalloc(size, gfp);
		break;
	}
	if (!record)
		return NULL;
	record->name = names[kind];
	record->weight = weight;
	record->is_vmalloc = kind > 1;
	return record;
}

/* Built from the end: the first one is the heaviest. */
static int list_alloc(struct lab *lab, struct held *held)
{
	struct record *record;
	size_t weight;

	INIT_LIST_HEAD(&held->records);
	held->nr_records = DIV_ROUND_UP(held->request.size, sizeof(*record));
	for (weight = 0; weight < held->nr_records; weight++) {
		record = new_record(weight, gfp_of(held));
		if (!record) {
			list_free(lab, held);
			return -ENOMEM;
		}
		list_add(&record->node, &held->records);
	}
	return got(held, list_first_entry(&held->records, struct record, node));
}

static size_t list_usable(const struct held *held)
{
	return held->nr_records * sizeof(struct record);
}

static void list_remarks(struct lab *lab, const struct held *held)
{
	const struct record *record;
	unsigned int number = 0;

	list_for_each_entry(record, &held->records, node) {
		if (++number > SHOWN_RECORDS)
			break;
		if (lab_line(lab))
			dev_info(lab->dev, "list: record %u of %zu: %s, weight %zu, at %p\n",
				 number, held->nr_records, record->name, record->weight, record);
	}
}

static void list_details(struct seq_file *m, struct lab *lab, const struct held *held)
{
	seq_printf(m, "records: %zu\n", held->nr_records);
}

const struct method list_method = {
	.name = "list",
	.default_size = 3 * sizeof(struct record),
	.largest = MAX_RECORDS * sizeof(struct record),
	.limit = "1024 records",
	.zeroes = ZEROES_NEVER,
	.bases = BIT(BASE_KERNEL),
	.modifiers = BIT(MOD_NOWARN) | BIT(MOD_ACCOUNT),
	.sleeps = "some of its records are of vmalloc, which may sleep",
	.pages = PAGES_ANYWHERE,
	.alloc = list_alloc,
	.free = list_free,
	.usable = list_usable,
	.remarks = list_remarks,
	.details = list_details,
};

static u8 buffer[BUFFER_BYTES] __aligned(8);
static atomic_t buffer_taken;

static int static_alloc(struct lab *lab, struct held *held)
{
	if (atomic_xchg(&buffer_taken, 1))
		return -EBUSY;
	if (held->request.flags.modifiers & BIT(MOD_ZERO))
		memset(buffer, 0, held->request.size);
	return got(held, buffer);
}

static void static_free(struct lab *lab, struct held *held)
{
	atomic_set_release(&buffer_taken, 0);
}

static size_t static_usable(const struct held *held)
{
	return BUFFER_BYTES;
}

const struct method static_method = {
	.name = "static",
	.default_size = BUFFER_BYTES,
	.largest = BUFFER_BYTES,
	.limit = "buffer size",
	.zeroes = ZEROES_NEVER,
	.bases = PLAIN_BASES,
	.modifiers = PLAIN_MODIFIERS,
	.alloc = static_alloc,
	.free = static_free,
	.usable = static_usable,
};

// SPDX-License-Identifier: GPL-2.0
/*
 * The table of methods. A new one is a struct method in the file of its allocator, and a line here.
 */
#include "peer.h"

const struct method * const methods[NR_METHODS] = {
	&kmalloc_method,
	&kzalloc_method,
	&vmalloc_method,
	&coherent_method,
	&krealloc_method,
	&kvmalloc_method,
	&vzalloc_method,
	&raw_kmalloc_method,
	&raw_vmalloc_method,
	&devm_method,
	&page_method,
	&pages_method,
	&slab_method,
	&mempool_method,
	&dmapool_method,
	&static_method,
	&list_method,
};

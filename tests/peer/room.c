// SPDX-License-Identifier: GPL-2.0
/*
 * Room for allocations that may be as large as the memory is.
 */
#include <linux/atomic.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/vmstat.h>

#include "peer.h"

/* Of the memory that is available, this part is left to others. */
#define LEFT 4

/* What was promised to allocations that are not done, in bytes. */
static atomic64_t promised = ATOMIC64_INIT(0);

/*
 * Takes the room for so many bytes; where there is none, says for how many there is. Without it,
 * vmalloc has the OOM killer end process after process for a size that cannot be had.
 */
bool take_room(size_t size, size_t *most)
{
	u64 before = atomic64_fetch_add(size, &promised);
	/* What is set aside for contiguous memory is available to user space alone. */
	long pages = si_mem_available() - (long)global_zone_page_state(NR_FREE_CMA_PAGES);
	u64 room = (u64)max(pages, 0L) << PAGE_SHIFT;

	room -= room / LEFT;
	room = room > before ? room - before : 0;
	if (size <= room)
		return true;
	atomic64_sub(size, &promised);
	*most = room;
	return false;
}

void give_room(size_t size)
{
	atomic64_sub(size, &promised);
}

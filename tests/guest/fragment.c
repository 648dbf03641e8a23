// SPDX-License-Identifier: GPL-2.0
/*
 * fragment KIB: lock so much memory, give back every second page, say "ready" and
 * wait to be killed. What is locked need not be moved to make larger blocks.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE_BYTES	4096

#ifndef MADV_DONTNEED_LOCKED
#define MADV_DONTNEED_LOCKED	24
#endif

int main(int argc, char **argv)
{
	size_t bytes, at;
	char *memory;

	if (argc != 2)
		return 255;
	bytes = strtoul(argv[1], NULL, 10) * 1024;
	memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		return 1;
	madvise(memory, bytes, MADV_NOHUGEPAGE);
	if (mlock(memory, bytes))
		return 2;
	for (at = 0; at < bytes; at += 2 * PAGE_BYTES)
		madvise(memory + at, PAGE_BYTES, MADV_DONTNEED_LOCKED);

	if (write(STDOUT_FILENO, "ready\n", 6) != 6)
		return 3;
	for (;;)
		pause();
}

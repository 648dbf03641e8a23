// SPDX-License-Identifier: GPL-2.0
/*
 * load MODULE [PARAMETERS]: loads a module and prints how many instructions that took. The module
 * alloclab_bench must be loaded: it lets programs read the counter.
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

static unsigned int count(void)
{
	unsigned long value;

	__asm__ volatile("isb\n\tmrs %0, pmevcntr0_el0" : "=r"(value));
	return value;
}

int main(int argc, char **argv)
{
	unsigned int start, end;
	long ret;
	int file;

	if (argc < 2)
		return 2;
	file = open(argv[1], O_RDONLY | O_CLOEXEC);
	if (file < 0) {
		perror(argv[1]);
		return 1;
	}
	start = count();
	ret = syscall(SYS_finit_module, file, argc > 2 ? argv[2] : "", 0);
	end = count();
	if (ret) {
		perror(argv[1]);
		return 1;
	}
	printf("%u\n", end - start);
	return 0;
}

// SPDX-License-Identifier: GPL-2.0
/*
 * fragment KIB: lock so much memory, give back every second page, say "ready" and
 * wait to be killed. What is locked need not be moved to make larger blocks.
 *
 * For arm64, without a C library.
 */

#define PROT_READ_WRITE		3
#define MAP_PRIVATE_ANONYMOUS	0x22
#define MADV_NOHUGEPAGE		15
#define MADV_DONTNEED_LOCKED	24
#define PAGE_BYTES		4096

#define SYS_WRITE	64
#define SYS_EXIT	93
#define SYS_PPOLL	73
#define SYS_MMAP	222
#define SYS_MLOCK	228
#define SYS_MADVISE	233

static long syscall6(long number, long a, long b, long c, long d, long e, long f)
{
	register long x8 asm("x8") = number;
	register long x0 asm("x0") = a;
	register long x1 asm("x1") = b;
	register long x2 asm("x2") = c;
	register long x3 asm("x3") = d;
	register long x4 asm("x4") = e;
	register long x5 asm("x5") = f;

	asm volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
		     : "memory");
	return x0;
}

/* The stack at the start: argc, then the pointers of argv. */
void begin(long *stack)
{
	char **argv = (char **)(stack + 1);
	long bytes = 0;
	char *memory;
	long at;

	if (stack[0] != 2)
		syscall6(SYS_EXIT, 255, 0, 0, 0, 0, 0);
	for (const char *digit = argv[1]; *digit; digit++)
		bytes = bytes * 10 + (*digit - '0');
	bytes *= 1024;

	memory = (char *)syscall6(SYS_MMAP, 0, bytes, PROT_READ_WRITE, MAP_PRIVATE_ANONYMOUS,
				  -1, 0);
	if ((long)memory < 0)
		syscall6(SYS_EXIT, 1, 0, 0, 0, 0, 0);
	syscall6(SYS_MADVISE, (long)memory, bytes, MADV_NOHUGEPAGE, 0, 0, 0);
	if (syscall6(SYS_MLOCK, (long)memory, bytes, 0, 0, 0, 0))
		syscall6(SYS_EXIT, 2, 0, 0, 0, 0, 0);
	for (at = 0; at < bytes; at += 2 * PAGE_BYTES)
		syscall6(SYS_MADVISE, (long)memory + at, PAGE_BYTES, MADV_DONTNEED_LOCKED,
			 0, 0, 0);

	syscall6(SYS_WRITE, 1, (long)"ready\n", 6, 0, 0, 0);
	for (;;)
		syscall6(SYS_PPOLL, 0, 0, 0, 0, 0, 0);
}

asm(".globl _start\n_start:\n\tmov x0, sp\n\tb begin\n");

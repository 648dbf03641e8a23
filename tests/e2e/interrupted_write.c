// SPDX-License-Identifier: GPL-2.0
/*
 * interrupted_write FILE TEXT: write TEXT while a signal comes after 200 ms and
 * is handled; exit with the errno of write(), or with 0.
 *
 * busybox tries a write again after a signal, so that it cannot show EINTR.
 * For arm64, without a C library.
 */

#define AT_FDCWD	(-100)
#define O_WRONLY	1
#define SIGALRM		14
#define ITIMER_REAL	0
#define ALARM_US	200000

#define SYS_OPENAT	56
#define SYS_WRITE	64
#define SYS_EXIT	93
#define SYS_SETITIMER	103
#define SYS_SIGACTION	134

struct action {
	void (*handler)(int signal);
	unsigned long flags;
	void *restorer;
	unsigned long mask;
};

struct timer {
	long interval_s, interval_us, value_s, value_us;
};

static long syscall4(long number, long a, long b, long c, long d)
{
	register long x8 asm("x8") = number;
	register long x0 asm("x0") = a;
	register long x1 asm("x1") = b;
	register long x2 asm("x2") = c;
	register long x3 asm("x3") = d;

	asm volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3) : "memory");
	return x0;
}

static void ignore(int signal)
{
}

/* The stack at the start: argc, then the pointers of argv. */
void begin(long *stack)
{
	char **argv = (char **)(stack + 1);
	struct action action = { .handler = ignore };
	struct timer timer = { .value_us = ALARM_US };
	long length = 0;
	long file, ret;

	if (stack[0] != 3)
		syscall4(SYS_EXIT, 255, 0, 0, 0);
	while (argv[2][length])
		length++;

	file = syscall4(SYS_OPENAT, AT_FDCWD, (long)argv[1], O_WRONLY, 0);
	if (file < 0)
		syscall4(SYS_EXIT, -file, 0, 0, 0);
	syscall4(SYS_SIGACTION, SIGALRM, (long)&action, 0, sizeof(action.mask));
	syscall4(SYS_SETITIMER, ITIMER_REAL, (long)&timer, 0, 0);
	ret = syscall4(SYS_WRITE, file, (long)argv[2], length, 0);
	syscall4(SYS_EXIT, ret < 0 ? -ret : 0, 0, 0, 0);
}

asm(".globl _start\n_start:\n\tmov x0, sp\n\tb begin\n");

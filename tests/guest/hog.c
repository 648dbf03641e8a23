// SPDX-License-Identifier: GPL-2.0
/*
 * Takes all memory, again and again, while a monitor looks whether user space still runs.
 *
 * It goes on until it is told SIGTERM. Its children take memory and touch it: in every other second
 * until the OOM killer ends them, otherwise until little is left, and hold on to it. While those
 * that were killed give their memory back, the kernel must find another victim, or else it panics:
 * so there are several of them, and spares that only wait. The monitor, never a victim itself,
 * ticks and notes the longest gap between two ticks.
 */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define TAKERS 4
#define SPARES 16
#define CHILDREN (TAKERS + SPARES)
#define CHUNK_BYTES (256 << 10)
/* What a child that holds on leaves, and for how long. */
#define LEFT_KB 3072
#define HOLD_US 400000
#define TICK_US 10000

static atomic_int over;
static atomic_long longest_us, ticks;

static void die(const char *what)
{
	perror(what);
	exit(2);
}

static void on_term(int signal)
{
	over = signal;
}

static void score(const char *text)
{
	int fd = open("/proc/self/oom_score_adj", O_WRONLY);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		die("oom_score_adj");
	close(fd);
}

static long us_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void *monitor(void *unused)
{
	long last = us_now();

	while (!over) {
		long now, gap;

		usleep(TICK_US);
		now = us_now();
		gap = now - last;
		last = now;
		if (gap > longest_us)
			longest_us = gap;
		ticks++;
	}
	return unused;
}

static long free_kb(void)
{
	char text[512];
	int fd = open("/proc/meminfo", O_RDONLY);
	ssize_t len = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	const char *line;

	if (len <= 0)
		die("meminfo");
	close(fd);
	text[len] = 0;
	line = strstr(text, "MemFree:");
	return line ? atol(line + strlen("MemFree:")) : 0;
}

/* A child: takes all, or all but a little. */
static void take(void)
{
	score("1000");
	while (us_now() / 1000000 % 2 || free_kb() > LEFT_KB) {
		char *memory = mmap(NULL, CHUNK_BYTES, PROT_READ | PROT_WRITE,
				    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (memory == MAP_FAILED)
			break;
		memset(memory, 0x5a, CHUNK_BYTES);
	}
	usleep(HOLD_US);
	_exit(0);
}

/* A spare. */
static void wait_for_the_end(void)
{
	score("0");
	for (;;)
		pause();
}

int main(void)
{
	struct sigaction action = { .sa_handler = on_term };
	pid_t children[CHILDREN] = { 0 };
	long killed = 0, held = 0;
	pthread_t thread;

	score("-1000");
	if (mlockall(MCL_CURRENT | MCL_FUTURE) || sigaction(SIGTERM, &action, NULL) ||
	    pthread_create(&thread, NULL, monitor, NULL))
		die("monitor");

	while (!over) {
		for (int i = 0; i < CHILDREN; i++) {
			int status;

			if (children[i] > 0 && waitpid(children[i], &status, WNOHANG) > 0) {
				children[i] = 0;
				if (WIFSIGNALED(status))
					killed++;
				else
					held++;
			}
			if (children[i] <= 0) {
				children[i] = fork();
				if (!children[i] && i < TAKERS)
					take();
				if (!children[i])
					wait_for_the_end();
			}
		}
		usleep(TICK_US);
	}
	for (int i = 0; i < CHILDREN; i++) {
		if (children[i] > 0)
			kill(children[i], SIGKILL);
	}
	while (wait(NULL) > 0)
		;
	pthread_join(thread, NULL);
	printf("killed %ld held %ld ticks %ld longest_gap_us %ld\n", killed, held, ticks,
	       longest_us);
	return 0;
}

// SPDX-License-Identifier: GPL-2.0
/*
 * ticks idle PID
 * ticks MILLISECONDS STATS [PID]
 *
 * What a program and a button get while another button is stormed.
 *
 * The first gives a thread the lowest priority, so that the presses of its button wait. The second
 * gives the thread its real-time priority back, and keeps all other CPUs busy with what has a
 * higher one, so that the threads of all interrupts share CPU 0. There it says that it begins,
 * computes for so long, and watches the file `stats` of another button. It prints how many tenths
 * of a second there were, in how many of them it did not run, the longest time in which it did not,
 * its share of the CPU, how many presses of the other button were carried out, and a bound of how
 * long each waited: from when it was not there yet to when it was seen carried out.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* What the interrupt core gives its threads. */
#define IRQ_THREAD_PRIORITY	50
#define WATCH_NS		1000000LL
#define WINDOW_NS		100000000LL

static long long now_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static long long max(long long a, long long b)
{
	return a > b ? a : b;
}

static int set(const char *pid, int policy, int priority)
{
	struct sched_param param = { .sched_priority = priority };

	if (sched_setscheduler(atoi(pid), policy, &param)) {
		perror("sched_setscheduler");
		return 1;
	}
	return 0;
}

static int stay_on(int cpu)
{
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET(cpu, &cpus);
	if (sched_setaffinity(0, sizeof(cpus), &cpus)) {
		perror("sched_setaffinity");
		return 1;
	}
	return 0;
}

/* Keeps the CPU whose number is passed busy until the program ends. */
static void *occupy(void *cpu)
{
	if (stay_on((long)cpu) || set("0", SCHED_FIFO, IRQ_THREAD_PRIORITY + 10))
		exit(1);
	for (;;)
		;
	return NULL;
}

static unsigned long long value_of(const char *text, const char *key)
{
	const char *line = strstr(text, key);

	return line ? strtoull(line + strlen(key), NULL, 10) : 0;
}

/* Reads the counters: edges that were taken, presses that were carried out. */
static int watch(int file, unsigned long long *edges, unsigned long long *presses)
{
	char text[4096];
	ssize_t bytes = pread(file, text, sizeof(text) - 1, 0);

	if (bytes <= 0) {
		perror("stats");
		return 1;
	}
	text[bytes] = 0;
	*edges = value_of(text, "edges: ") - value_of(text, "bounces: ");
	*presses = value_of(text, "presses: ");
	return 0;
}

int main(int argc, char **argv)
{
	long long start, last, cpu, watched, waiting = 0, starved = 0, gap = 0, press = 0;
	unsigned long long edges, presses, known, before;
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	pthread_t thread;
	int file;

	if (argc == 3 && !strcmp(argv[1], "idle"))
		return set(argv[2], SCHED_IDLE, 0);
	if (argc < 3)
		return 1;

	/* First, or the CPU that this is on is one of those that are taken. */
	if (stay_on(0))
		return 1;
	while (--cpus > 0)
		if (pthread_create(&thread, NULL, occupy, (void *)cpus))
			return 1;
	file = open(argv[2], O_RDONLY);
	if (file < 0 || watch(file, &known, &before)) {
		perror(argv[2]);
		return 1;
	}
	presses = before;
	puts("begins");
	fflush(stdout);

	start = now_ns(CLOCK_MONOTONIC);
	cpu = now_ns(CLOCK_THREAD_CPUTIME_ID);
	last = start;
	watched = start;
	if (argc > 3 && set(argv[3], SCHED_FIFO, IRQ_THREAD_PRIORITY))
		return 1;

	while (last < start + atoll(argv[1]) * 1000000) {
		long long now = now_ns(CLOCK_MONOTONIC);

		/* Whole windows between the two times. */
		starved += max((now - start) / WINDOW_NS - (last - start) / WINDOW_NS - 1, 0);
		gap = max(gap, now - last);
		last = now;
		if (now - watched < WATCH_NS)
			continue;

		if (watch(file, &edges, &presses))
			return 1;
		if (edges > known && !waiting)
			waiting = watched;
		known = edges;
		if (waiting && presses == edges) {
			press = max(press, now - waiting);
			waiting = 0;
		}
		watched = now;
	}

	/* What still waits has waited until now. */
	if (waiting)
		press = max(press, last - waiting);
	cpu = now_ns(CLOCK_THREAD_CPUTIME_ID) - cpu;
	printf("windows=%lld starved=%lld gap_us=%lld share=%lld presses=%llu press_us=%lld\n",
	       (last - start) / WINDOW_NS, starved, gap / 1000, 100 * cpu / (last - start),
	       presses - before, press / 1000);
	return 0;
}

// SPDX-License-Identifier: GPL-2.0
/*
 * Many short bursts of edges, each looked at when it is over: a wake-up that is lost loses nothing
 * but time as long as edges go on coming, so that only the last press of a burst shows it.
 *
 * bursts DIRECTORY CPUS BURSTS: DIRECTORY is the button's in debugfs, without debounce; the edges
 * come through the injector's file, from a thread on each of the CPUS. Before the next burst all
 * presses must have been carried out, without any further edge.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define INJECTOR "/sys/kernel/debug/alloclab_inject"
#define MAX_CPUS 8
/* So many edges at most in a thread's part of a burst. */
#define MAX_EDGES 4
/* No press takes so long, even if a host lets the CPUs wait. */
#define LOST_MS 60000

static atomic_long edges;
/* All threads pass it when a burst begins and when it has ended. */
static pthread_barrier_t barrier;

static void die(const char *what)
{
	perror(what);
	exit(2);
}

static long ms_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void *inject(void *cpu)
{
	unsigned int seed = (unsigned long)cpu + 1;
	cpu_set_t set;
	char text[16];
	int file;

	CPU_ZERO(&set);
	CPU_SET((unsigned long)cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		die("affinity");
	file = open(INJECTOR, O_WRONLY);
	if (file < 0)
		die(INJECTOR);

	for (;;) {
		int count = 1 + rand_r(&seed) % MAX_EDGES;
		int len = sprintf(text, "%d", count);

		pthread_barrier_wait(&barrier);
		if (write(file, text, len) != len)
			die("inject");
		atomic_fetch_add(&edges, count);
		pthread_barrier_wait(&barrier);
	}
	return NULL;
}

static long value(const char *stats, const char *name)
{
	const char *line = strstr(stats, name);

	if (!line) {
		fprintf(stderr, "stats: no %s\n", name);
		exit(2);
	}
	return atol(line + strlen(name));
}

/* Reads `stats`; a counter's name stands between the end of a line and its value. */
static void read_stats(int file, char *stats, size_t size)
{
	ssize_t len = pread(file, stats, size - 1, 0);

	if (len <= 0)
		die("stats");
	stats[len] = 0;
}

int main(int argc, char **argv)
{
	long bursts, slowest = 0, first_edges, first_presses;
	static char stats[65536];
	int file, nr_cpus;

	if (argc != 4 || chdir(argv[1]))
		die("usage: bursts DIRECTORY CPUS BURSTS");
	nr_cpus = atoi(argv[2]);
	bursts = atol(argv[3]);
	file = open("stats", O_RDONLY);
	if (nr_cpus < 1 || nr_cpus > MAX_CPUS || file < 0)
		die("stats");

	if (pthread_barrier_init(&barrier, NULL, nr_cpus + 1))
		die("barrier");
	read_stats(file, stats, sizeof(stats));
	first_edges = value(stats, "\nedges: ");
	first_presses = value(stats, "\npresses: ");

	for (long cpu = 0; cpu < nr_cpus; cpu++) {
		pthread_t thread;

		if (pthread_create(&thread, NULL, inject, (void *)cpu))
			die("thread");
	}

	for (long burst = 1; burst <= bursts; burst++) {
		long begin, ms, presses, seen, wanted;

		pthread_barrier_wait(&barrier);
		pthread_barrier_wait(&barrier);

		wanted = atomic_load(&edges);
		begin = ms_now();
		do {
			read_stats(file, stats, sizeof(stats));
			presses = value(stats, "\npresses: ") - first_presses;
			ms = ms_now() - begin;
		} while (presses < wanted && ms < LOST_MS);

		/* The edges stand before the presses: they were read earlier. */
		read_stats(file, stats, sizeof(stats));
		seen = value(stats, "\nedges: ") - first_edges;
		if (seen != wanted || presses != wanted) {
			printf("burst %ld: of %ld edges %ld seen, %ld carried out in %ld ms\n",
			       burst, wanted, seen, presses, ms);
			return 1;
		}
		if (ms > slowest)
			slowest = ms;
	}
	printf("%ld bursts, %ld edges, slowest %ld ms\n", bursts, atomic_load(&edges), slowest);
	return 0;
}

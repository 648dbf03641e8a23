// SPDX-License-Identifier: GPL-2.0
/*
 * Presses many buttons of a gpio-sim controller at once, each exactly so many times.
 *
 * pull CHIP BUTTONS PRESSES THREADS: button N is /sys/kernel/debug/alloclab/simN on the line
 * CHIP/sim_gpioN. A thread pulls all its lines up and down, and then waits until each has its
 * edge: the controller takes an edge for one that is still pending on the same line.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define FILES "/sys/kernel/debug/alloclab"
#define MAX_BUTTONS 64
#define PATH_BYTES 512
#define STATS_BYTES 16384
/* No edge takes so long, in seconds. */
#define LOST_SECONDS 120

static struct {
	int pull, stats;
} buttons[MAX_BUTTONS];

static int nr_buttons, presses, threads;

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void pull(int button, const char *how)
{
	if (pwrite(buttons[button].pull, how, strlen(how), 0) < 0)
		die(how);
}

static int edges(int button)
{
	char text[STATS_BYTES];
	ssize_t len = pread(buttons[button].stats, text, sizeof(text) - 1, 0);
	const char *line;

	if (len <= 0)
		die("stats");
	text[len] = 0;
	line = strstr(text, "\nedges: ");
	return line ? atoi(line + strlen("\nedges: ")) : -1;
}

static void *press(void *first)
{
	for (int round = 1; round <= presses; round++) {
		time_t begin = time(NULL);

		for (int button = (long)first; button < nr_buttons; button += threads) {
			pull(button, "pull-up");
			pull(button, "pull-down");
		}
		for (int button = (long)first; button < nr_buttons; button += threads) {
			int seen;

			while ((seen = edges(button)) < round) {
				if (time(NULL) - begin > LOST_SECONDS) {
					fprintf(stderr, "sim%d: %d edges of %d\n", button, seen,
						round);
					exit(1);
				}
				usleep(1000);
			}
		}
	}
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t others[MAX_BUTTONS];
	char path[PATH_BYTES];

	if (argc != 5)
		die("usage: pull CHIP BUTTONS PRESSES THREADS");
	nr_buttons = atoi(argv[2]);
	presses = atoi(argv[3]);
	threads = atoi(argv[4]);
	if (nr_buttons > MAX_BUTTONS || threads < 1 || threads > MAX_BUTTONS)
		die("too many");

	for (int button = 0; button < nr_buttons; button++) {
		snprintf(path, sizeof(path), "%s/sim_gpio%d/pull", argv[1], button);
		buttons[button].pull = open(path, O_WRONLY);
		snprintf(path, sizeof(path), FILES "/sim%d/stats", button);
		buttons[button].stats = open(path, O_RDONLY);
		if (buttons[button].pull < 0 || buttons[button].stats < 0)
			die(path);
	}
	for (long thread = 0; thread < threads; thread++) {
		if (pthread_create(&others[thread], NULL, press, (void *)thread))
			die("thread");
	}
	for (int thread = 0; thread < threads; thread++)
		pthread_join(others[thread], NULL);
	return 0;
}

// SPDX-License-Identifier: GPL-2.0
/*
 * interrupted_write FILE TEXT [MS]: write TEXT while a signal comes after MS or
 * 200 ms, none for 0, and is handled; exit with the errno of write(), or with 0.
 *
 * busybox tries a write again after a signal, so that it cannot show EINTR.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#define ALARM_MS	200

static void ignore(int signal)
{
}

int main(int argc, char **argv)
{
	struct sigaction action = { .sa_handler = ignore };
	struct itimerval timer = { 0 };
	int file;

	if (argc != 3 && argc != 4)
		return 255;
	timer.it_value.tv_usec = 1000 * (argc == 4 ? atoi(argv[3]) : ALARM_MS);
	file = open(argv[1], O_WRONLY);
	if (file < 0)
		return errno;
	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &timer, NULL);
	return write(file, argv[2], strlen(argv[2])) < 0 ? errno : 0;
}

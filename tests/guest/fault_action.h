/* SPDX-License-Identifier: GPL-2.0 */
/* The actions of fault.c, which says what each does. */
#ifndef FAULT_ACTION_H
#define FAULT_ACTION_H

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <stdnoreturn.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define BUFFER_BYTES	1048576
#define EDGE_POLLS	500
#define POLL_NS		10000000
#define SETTLE_NS	200000000
#define MAP_ADDRESS	0x40000000

/* Locked, like all that the operation touches: a page fault would allocate. */
extern char buffer[BUFFER_BYTES];

noreturn void fail(const char *format, ...);

/* Read a file from the beginning into the buffer; return an error. */
int slurp(const char *path);

struct action {
	char text[512], *verb, *path, *rest;
	int file;
	char *bytes;
};

/* Take an action apart, and open and map beforehand what it needs so; return an error. */
int prepare(struct action *action, const char *text);

/* Carry out an action that was prepared; return its error. */
int perform(const struct action *action);

/* Close and unmap that again. */
void put_away(const struct action *action);

/* All of it: where no failure is injected. */
int carry_out(const char *text);

#endif

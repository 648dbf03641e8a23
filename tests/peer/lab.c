// SPDX-License-Identifier: GPL-2.0
/*
 * What a press does: it allocates, or frees what the last one allocated, and a line tells of it.
 *
 * There is one lock. It is held from before a press is carried out until its line is logged, so
 * that lines come in the order of the presses. The hard half never takes it: what it may allocate
 * is ordered in lab->held, and the order is withdrawn by whoever has the lock and is about to
 * change the toggle; see enum order.
 */
#include <linux/bitops.h>
#include <linux/compiler.h>
#include <linux/delay.h>
#include <linux/device.h>
#include <linux/minmax.h>
#include <linux/slab.h>
#include <linux/sprintf.h>

#include "peer.h"

/* So many lines in the interval are all shown. */
#define LINES 100
#define LINES_INTERVAL (5LL * NSEC_PER_SEC)
/* How long to sleep while the hard half is at it: longer than it takes. */
#define NAP_US 20

/* Logs the number of dropped lines, if any, and starts again from 0. */
static void tell_dropped(struct lab *lab)
{
	u64 lines = atomic64_xchg_relaxed(&lab->dropped, 0);

	if (lines)
		dev_warn(lab->dev, "burst of events: %llu lines dropped\n", lines);
}

static enum hrtimer_restart burst_is_over(struct hrtimer *timer)
{
	tell_dropped(container_of(timer, struct lab, burst));
	return HRTIMER_NORESTART;
}

/* Returns whether a line may be logged now; one that may not is counted. With the lock. */
bool lab_line(struct lab *lab)
{
	ktime_t now = ktime_get();
	s64 age = ktime_to_ns(ktime_sub(now, lab->lines_start));

	if (age >= LINES_INTERVAL) {
		hrtimer_cancel(&lab->burst);
		tell_dropped(lab);
		lab->lines_start = now;
		lab->lines = 0;
	}
	if (lab->lines < LINES) {
		lab->lines++;
		return true;
	}
	/* From 0, no timer is going to tell of this line. */
	if (atomic64_fetch_inc_relaxed(&lab->dropped) == 0)
		hrtimer_start(&lab->burst, ns_to_ktime(LINES_INTERVAL - age), HRTIMER_MODE_REL);
	return false;
}

/* Finds out what was got, too: nobody else looks. */
static noinline_for_stack void show_allocated(struct lab *lab, const struct held *held)
{
	struct layout layout = held_layout(held);
	char dma[32] = "", runs[64] = "";

	if (held->method->dma)
		scnprintf(dma, sizeof(dma), ", dma %#018llx,", (u64)shown_dma(held));
	if (layout.pages > 1)
		scnprintf(runs, sizeof(runs), ", %zu pages in %zu runs", layout.pages,
			  layout.runs);
	dev_info(lab->dev, "%s: allocated %zu bytes at %p%s in %llu ns (press %llu)%s\n",
		 held->method->name, held->request.size, held->addr, dma, held->alloc_ns,
		 held->press, runs);
}

static noinline_for_stack void show_failed(struct lab *lab, const struct held *held)
{
	char most[64] = "";

	if (!held->tried)
		scnprintf(most, sizeof(most), ", not tried: at most %zu bytes now", held->most);
	dev_err(lab->dev, "%s: allocation of %zu bytes failed: %s (press %llu)%s\n",
		held->method->name, held->request.size, error_name(held->err), held->press, most);
}

static unsigned int bucket_of(u64 ns)
{
	unsigned int bits, shift;

	ns = min(ns, (1ULL << MAX_BITS) - 1);
	bits = fls64(ns);
	/* So that the leading one and SUB_BITS bits below it are left. */
	shift = bits > SUB_BITS + 1 ? bits - SUB_BITS - 1 : 0;
	return (shift << SUB_BITS) + (ns >> shift);
}

static void histogram_add(struct histogram *histogram, u64 ns)
{
	u32 *bucket = &histogram->buckets[bucket_of(ns)];

	if (likely(*bucket < U32_MAX))
		(*bucket)++;
	histogram->count++;
	histogram->max = max(histogram->max, ns);
}

/* Returns the cycle's next method: `next`, or the first after it that accepts the settings. */
unsigned int lab_next(const struct settings *settings, unsigned int next)
{
	while (!(settings->accepted & BIT(next)))
		next = next + 1 < NR_METHODS ? next + 1 : 0;
	return next;
}

/* Prepares the next allocation. */
static void prepare(struct lab *lab)
{
	const struct settings *settings = &lab->settings;
	struct held *held = &lab->held;

	held->index = settings->only == CYCLE ? lab_next(settings, lab->next) : settings->only;
	held->method = methods[held->index];
	held->request = settings_request(settings, held->index);
}

/* Allocates what is prepared, if there is room, and takes the time. Any context. */
void lab_allocate(struct lab *lab)
{
	struct held *held = &lab->held;
	const struct method *method = held->method;

	/* Looking for room is not part of the latency. */
	held->tried = !method->ram || take_room(held->request.size, &held->most);
	held->start = ktime_get();
	held->err = held->tried ? method->alloc(lab, held) : -ENOMEM;
	held->alloc_ns = ktime_to_ns(ktime_sub(ktime_get(), held->start));
	if (method->ram && held->tried)
		give_room(held->request.size);
}

/* Takes over what was allocated for a press, or was not. */
static void take_in(struct lab *lab)
{
	struct held *held = &lab->held;
	struct method_stats *stats = lab->stats[held->index];

	held->press = ++lab->presses;
	if (held->err) {
		stats->failures++;
		if (lab_line(lab))
			show_failed(lab, held);
		return;
	}
	lab->holding = true;
	held->in_cycle = lab->settings.only == CYCLE;
	stats->allocs++;
	histogram_add(&stats->alloc_ns, held->alloc_ns);
	if (lab_line(lab))
		show_allocated(lab, held);
	if (held->method->remarks)
		held->method->remarks(lab, held);
}

/* Frees what is held; returns how long that took. */
static u64 free_held(struct lab *lab, bool leave)
{
	struct held *held = &lab->held;
	struct method_stats *stats = lab->stats[held->index];
	ktime_t start;
	u64 ns;

	lab->holding = false;
	start = ktime_get();
	if (!leave)
		held->method->free(lab, held);
	ns = ktime_to_ns(ktime_sub(ktime_get(), start));

	if (held->in_cycle)
		lab->next = held->index + 1 < NR_METHODS ? held->index + 1 : 0;
	stats->frees++;
	histogram_add(&stats->free_ns, ns);
	return ns;
}

/* Withdraws the order, or takes over what the hard half has allocated. With the lock. */
static void collect(struct lab *lab)
{
	int order = atomic_read_acquire(&lab->order);

	while (order != ORDER_CLOSED) {
		if (order == ORDER_DONE) {
			atomic_set(&lab->order, ORDER_CLOSED);
			take_in(lab);
			return;
		}
		if (order == ORDER_OPEN &&
		    atomic_try_cmpxchg_acquire(&lab->order, &order, ORDER_CLOSED))
			return;
		/* The hard half may be a thread that needs this CPU. */
		if (order == ORDER_TAKEN)
			fsleep(NAP_US);
		order = atomic_read_acquire(&lab->order);
	}
}

/* Orders the next allocation of the hard half, if it is to carry that out. With the lock. */
static void offer(struct lab *lab)
{
	if (lab->holding || lab->settings.context != CONTEXT_HARD)
		return;
	prepare(lab);
	atomic_set_release(&lab->order, ORDER_OPEN);
}

/* Carries out one press and logs what happened. */
void lab_press(struct lab *lab)
{
	struct held *held = &lab->held;
	u64 ns;

	mutex_lock(&lab->lock);
	collect(lab);
	if (lab->holding) {
		lab->presses++;
		ns = free_held(lab, false);
		if (lab_line(lab))
			dev_info(lab->dev, "%s: freed %zu bytes at %p in %llu ns (press %llu)\n",
				 held->method->name, held->request.size, held->addr, ns,
				 lab->presses);
	} else {
		prepare(lab);
		/* Whatever the settings say, this is a thread. */
		held->request.context = CONTEXT_THREAD;
		lab_allocate(lab);
		take_in(lab);
	}
	offer(lab);
	mutex_unlock(&lab->lock);
}

/* Logs what the hard half has allocated, and lets it allocate again. */
void lab_settle(struct lab *lab)
{
	mutex_lock(&lab->lock);
	collect(lab);
	offer(lab);
	mutex_unlock(&lab->lock);
}

/* Frees what is held and says so, past the limit on lines. Nothing else runs any more. */
void lab_stop(struct lab *lab)
{
	struct held *held = &lab->held;
	u64 ns;

	mutex_lock(&lab->lock);
	collect(lab);
	if (lab->holding) {
		ns = free_held(lab, held->method->of_device);
		if (held->method->of_device)
			dev_info(lab->dev,
				 "%s: left %zu bytes at %p to the device, which frees it (unbind)\n",
				 held->method->name, held->request.size, held->addr);
		else
			dev_info(lab->dev, "%s: freed %zu bytes at %p in %llu ns (unbind)\n",
				 held->method->name, held->request.size, held->addr, ns);
	}
	mutex_unlock(&lab->lock);

	hrtimer_cancel(&lab->burst);
	tell_dropped(lab);
}

/* Says which methods the cycle passes over; `limited`: with the lock. */
noinline_for_stack
void lab_say_passed_over(struct lab *lab, const struct settings *settings, bool limited)
{
	DECLARE_SEQ_BUF(text, WHY_BYTES);
	struct refusal refusal;
	struct request request;
	unsigned int i;

	for (i = 0; i < NR_METHODS; i++) {
		if (settings->accepted & BIT(i) || (limited && !lab_line(lab)))
			continue;
		request = settings_request(settings, i);
		method_refuses(i, &request, &refusal);
		seq_buf_clear(&text);
		print_refusal(&text, &refusal);
		dev_info(lab->dev, "cycle: passed over, as %s\n", seq_buf_str(&text));
	}
}

/* Logs that what was written to a file is not valid. With the lock. */
static noinline_for_stack void log_refused(struct lab *lab, const char *name, struct word text,
					   struct seq_buf *why)
{
	char shown[4 * TEXT_BYTES + 1];

	if (lab_line(lab))
		dev_err(lab->dev, "%s: \"%s\" is not valid: %s\n", name,
			escape(shown, sizeof(shown), text), seq_buf_str(why));
}

void lab_refuse(struct lab *lab, const char *name, struct word text, struct seq_buf *why)
{
	mutex_lock(&lab->lock);
	log_refused(lab, name, text, why);
	mutex_unlock(&lab->lock);
}

/* Changes a setting as was written to the file `name`, or says what is allowed. */
int lab_set(struct lab *lab, const char *name, struct word text, parse_fn *parse)
{
	DECLARE_SEQ_BUF(why, WHY_BYTES);
	struct settings settings;
	struct refusal refusal;
	int err;

	mutex_lock(&lab->lock);
	collect(lab);
	settings = lab->settings;
	err = parse(text, &settings, &why) ?: settings_check(&settings, &refusal, &why);
	if (err) {
		log_refused(lab, name, text, &why);
	} else {
		lab_say_passed_over(lab, &settings, true);
		lab->settings = settings;
		WRITE_ONCE(lab->hard, settings.context == CONTEXT_HARD);
	}
	offer(lab);
	mutex_unlock(&lab->lock);
	return err;
}

/* Prepares what presses need. What is allocated here goes with the device. */
int lab_start(struct lab *lab)
{
	unsigned int i;
	int err;

	mutex_init(&lab->lock);
	hrtimer_setup(&lab->burst, burst_is_over, CLOCK_MONOTONIC, HRTIMER_MODE_REL);
	lab->lines_start = ktime_get();
	lab->probed = lab->lines_start;
	lab->last_ns = NO_EDGE_YET;

	for (i = 0; i < NR_METHODS; i++) {
		lab->stats[i] = devm_kzalloc(lab->dev, sizeof(*lab->stats[i]), GFP_KERNEL);
		if (!lab->stats[i])
			return -ENOMEM;
		err = methods[i]->setup ? methods[i]->setup(lab) : 0;
		if (err)
			return err;
	}
	lab->hard = lab->settings.context == CONTEXT_HARD;
	offer(lab);
	return 0;
}

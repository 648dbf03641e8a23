// SPDX-License-Identifier: GPL-2.0
/*
 * The two halves of the button's interrupt: edges become presses, and presses are carried out.
 */
#include <linux/delay.h>
#include <linux/interrupt.h>
#include <linux/lockdep.h>
#include <linux/minmax.h>
#include <linux/preempt.h>

#include "peer.h"

/* How long the thread half works before it pauses, if presses still wait. */
#define STRETCH_NS (10 * NSEC_PER_MSEC)
/* So many nanoseconds of work are a microsecond of the pause that follows: a tenth. */
#define NS_A_MICROSECOND 10000

/* An edge is a press if it is the first, or if at least the window passed since the last one. */
static bool is_press(struct lab *lab)
{
	s64 now_ns = ktime_to_ns(ktime_sub(ktime_get(), lab->probed));
	s64 last_ns = lab->last_ns;

	lab->last_ns = now_ns;
	return last_ns == NO_EDGE_YET || now_ns - last_ns >= lab->window_ns;
}

/* lockdep takes the hard half for one that PREEMPT_RT would thread; there nothing is ordered. */
static DEFINE_WAIT_OVERRIDE_MAP(spinlocks, LD_WAIT_CONFIG);

/* Carries out the order, if there is one. */
static bool carry_out_order(struct lab *lab)
{
	if (atomic_cmpxchg_acquire(&lab->order, ORDER_OPEN, ORDER_TAKEN) != ORDER_OPEN)
		return false;
	lock_map_acquire_try(&spinlocks);
	lab_allocate(lab);
	lock_map_release(&spinlocks);
	atomic_set_release(&lab->order, ORDER_DONE);
	return true;
}

/* The hard half: it counts the edge, and allocates at once where that is ordered. */
irqreturn_t button_hard(int irq, void *data)
{
	struct lab *lab = data;

	if (in_hardirq())
		atomic64_inc(&lab->edges[IN_HARDIRQ]);
	else if (in_serving_softirq())
		atomic64_inc(&lab->edges[IN_SOFTIRQ]);
	else
		atomic64_inc(&lab->edges[IN_THREAD]);

	if (!is_press(lab)) {
		atomic64_inc(&lab->bounces);
		return IRQ_HANDLED;
	}
	if (atomic64_read_acquire(&lab->waiting) || !carry_out_order(lab)) {
		atomic64_inc(&lab->waiting);
		if (READ_ONCE(lab->hard))
			atomic64_inc(&lab->deferred);
	}
	return IRQ_WAKE_THREAD;
}

/*
 * The thread half: takes the presses one by one, and pauses from time to time while more wait. Its
 * priority is a real-time one: a storm of presses would keep the CPU from everything else.
 */
irqreturn_t button_thread(int irq, void *data)
{
	struct lab *lab = data;
	ktime_t start = 0, now;
	u32 worked_ns;

	/* A press collects what the hard half has allocated, too. */
	if (!atomic64_read(&lab->waiting))
		lab_settle(lab);

	while (atomic64_read(&lab->waiting)) {
		/* When the device goes, what still waits goes with it. */
		if (!READ_ONCE(lab->closing))
			lab_press(lab);
		/* Afterwards: until then no later press may overtake this one. */
		if (!atomic64_dec_return_release(&lab->waiting))
			break;

		now = ktime_get();
		start = start ?: now;
		worked_ns = min_t(s64, ktime_to_ns(ktime_sub(now, start)), U32_MAX);
		if (worked_ns >= STRETCH_NS) {
			fsleep(worked_ns / NS_A_MICROSECOND);
			start = ktime_get();
		}
	}
	return IRQ_HANDLED;
}

/* The core calls no hard half of an interrupt that is nested in its controller's thread. */
irqreturn_t button_nested_thread(int irq, void *data)
{
	if (button_hard(irq, data) == IRQ_WAKE_THREAD)
		button_thread(irq, data);
	return IRQ_HANDLED;
}

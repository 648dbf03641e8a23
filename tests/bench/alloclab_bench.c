// SPDX-License-Identifier: GPL-2.0
/*
 * Counts what a press costs: injects edges into an interrupt one after the other, each when the
 * press of the one before has been carried out, and tells how many instructions a pair of presses
 * took. Only make bench loads it.
 *
 * Write "IRQ PAIRS" to the parameter `run`; the log gets the median and the least of the pairs.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/bottom_half.h>
#include <linux/interrupt.h>
#include <linux/irqdesc.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/sort.h>

#include "count.h"

#define MOST_PAIRS 1000
/* After so many instructions in all, no further pair is counted: some methods take millions. */
#define ENOUGH 100000000U
#define LEAST_PAIRS 3

static u32 pairs[MOST_PAIRS];

/* One edge, and its press carried out. The first after a request may find a stale state. */
static int press(unsigned int irq, bool first)
{
	int ret;

	/* Where the controller cannot raise its line, a tasklet does. */
	local_bh_disable();
	ret = irq_inject_interrupt(irq);
	local_bh_enable();
	if (ret == -EBUSY && first)
		ret = generic_handle_irq_safe(irq);
	if (!ret)
		synchronize_irq(irq);
	return ret;
}

static int less(const void *a, const void *b)
{
	return *(const u32 *)a < *(const u32 *)b ? -1 : *(const u32 *)a > *(const u32 *)b;
}

static int run(const char *text, const struct kernel_param *param)
{
	unsigned int irq, wanted, done;
	u64 sum = 0;
	int ret;

	if (sscanf(text, "%u %u", &irq, &wanted) != 2 || !wanted || wanted > MOST_PAIRS)
		return -EINVAL;

	/* One pair before, so that the caches of the allocators are as they will be. */
	ret = press(irq, true) ?: press(irq, false);
	for (done = 0; !ret && done < wanted; done++) {
		u32 start = count();

		ret = press(irq, false) ?: press(irq, false);
		pairs[done] = count() - start;
		sum += pairs[done];
		if (sum > ENOUGH && done + 1 >= LEAST_PAIRS) {
			done++;
			break;
		}
	}
	if (ret) {
		pr_err("irq %u: %d\n", irq, ret);
		return ret;
	}
	sort(pairs, done, sizeof(*pairs), less, NULL);
	pr_info("%u pairs, median %u, least %u\n", done, pairs[done / 2], pairs[0]);
	return 0;
}

static const struct kernel_param_ops run_ops = { .set = run };
module_param_cb(run, &run_ops, NULL, 0200);
MODULE_PARM_DESC(run, "number of the interrupt, and of the pairs");

static int __init bench_init(void)
{
	count_begin();
	return 0;
}
module_init(bench_init);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Counts the instructions of a press");
MODULE_AUTHOR("The alloclab authors");

// SPDX-License-Identifier: GPL-2.0
/*
 * Presses the button from inside: injects edges into an interrupt from one thread a CPU, each as
 * fast as the interrupt takes them. Only tests load it.
 *
 * Not for lines of gpio-sim: their controller takes an edge for an edge that is still pending.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/completion.h>
#include <linux/cpu.h>
#include <linux/delay.h>
#include <linux/interrupt.h>
#include <linux/irqdesc.h>
#include <linux/jiffies.h>
#include <linux/kthread.h>
#include <linux/ktime.h>
#include <linux/module.h>
#include <linux/sched.h>

#define MAX_CPUS 8

static unsigned int irq;
module_param(irq, uint, 0);
MODULE_PARM_DESC(irq, "number of the interrupt, from the driver's `ready` line");

static unsigned int count;
module_param(count, uint, 0);
MODULE_PARM_DESC(count, "edges to inject, in total");

static unsigned int cpus[MAX_CPUS];
static unsigned int nr_cpus;
module_param_array(cpus, uint, &nr_cpus, 0);
MODULE_PARM_DESC(cpus, "CPUs to inject from, one thread each (default: CPU 0)");

static unsigned int gap_us;
module_param(gap_us, uint, 0);
MODULE_PARM_DESC(gap_us, "pause of a thread after each edge, in microseconds");

struct injector {
	struct completion done;
	unsigned int edges;
	int error;
};

static struct injector injectors[MAX_CPUS];

/*
 * One edge, as soon as the edge before has reached the handler: EBUSY says that it has not.
 *
 * An interrupt that is freed between an injection and its handler drops the injected edge, but goes
 * on saying EBUSY until its next real edge (irq_shutdown() leaves IRQS_REPLAY set). That state is
 * left by handing the flow handler this edge directly, after a time that no handler takes.
 */
static int inject_one(void)
{
	unsigned long deadline = jiffies + HZ;
	int ret;

	do {
		cond_resched();
		/*
		 * Where the controller cannot raise its line, a tasklet does: it runs when bottom
		 * halves are enabled again, and otherwise at the next tick.
		 */
		local_bh_disable();
		ret = irq_inject_interrupt(irq);
		local_bh_enable();
	} while (ret == -EBUSY && time_before(jiffies, deadline));

	return ret == -EBUSY ? generic_handle_irq_safe(irq) : ret;
}

static int inject(void *data)
{
	struct injector *injector = data;
	unsigned int i;

	for (i = 0; i < injector->edges && !injector->error; i++) {
		injector->error = inject_one();
		if (gap_us)
			fsleep(gap_us);
	}

	kthread_complete_and_exit(&injector->done, 0);
}

static int start(struct injector *injector, unsigned int cpu, unsigned int edges)
{
	struct task_struct *thread;

	init_completion(&injector->done);
	injector->edges = edges;

	thread = kthread_create(inject, injector, "alloclab_inject/%u", cpu);
	if (IS_ERR(thread)) {
		complete(&injector->done);
		return PTR_ERR(thread);
	}
	kthread_bind(thread, cpu);
	wake_up_process(thread);
	return 0;
}

static int __init alloclab_inject_init(void)
{
	ktime_t begin = ktime_get();
	unsigned int i, left = count;
	int ret = 0;

	if (!nr_cpus)
		nr_cpus = 1;

	for (i = 0; i < nr_cpus; i++) {
		if (cpus[i] >= nr_cpu_ids || !cpu_online(cpus[i])) {
			pr_err("cpus: %u is not an online CPU\n", cpus[i]);
			return -EINVAL;
		}
	}

	for (i = 0; i < nr_cpus && !ret; i++) {
		unsigned int edges = left / (nr_cpus - i);

		ret = start(&injectors[i], cpus[i], edges);
		left -= edges;
	}

	/* The threads run this module's code: wait for all that were started. */
	while (i--) {
		wait_for_completion(&injectors[i].done);
		ret = ret ?: injectors[i].error;
	}

	if (ret) {
		pr_err("irq %u: %d\n", irq, ret);
		return ret;
	}
	pr_info("injected %u edges into irq %u in %lld us\n", count, irq,
		ktime_us_delta(ktime_get(), begin));
	return 0;
}
module_init(alloclab_inject_init);

static void __exit alloclab_inject_exit(void)
{
}
module_exit(alloclab_inject_exit);

MODULE_LICENSE("GPL");
MODULE_AUTHOR("The alloclab authors");
MODULE_DESCRIPTION("Edge injector for alloclab's tests");
